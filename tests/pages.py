"""The pages of the documentation: which there are, their blocks, and the commands in them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]

_BLOCK = re.compile(r"^( *)```(\w*)([^\n]*)\n(.*?)^ *```", re.MULTILINE | re.DOTALL)
_SAVED = re.compile(r"\bas\s+`([\w.-]+)`")


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block.

    Attributes:
        page: where it stands.
        line: of its first fence, from 1.
        language: the word behind the fence; empty where there is none.
        text: what it holds.
        saved: the name that the sentence before it tells the reader to save it under.
    """

    page: Path
    line: int
    language: str
    text: str
    saved: str | None

    @property
    def where(self) -> str:
        return f"{self.page.relative_to(ROOT).as_posix()}:{self.line}"


def blocks(page: Path) -> list[Block]:
    """Every fenced block of a page, in order."""
    text = page.read_text("utf-8")
    found = []
    for each in _BLOCK.finditer(text):
        sentence = text[: each.start()].rstrip().rpartition("\n\n")[2]
        names = _SAVED.findall(sentence) if re.search(r"\b[Ss]ave this\b|\bthis as `", sentence) else []
        line = text[: each.start()].count("\n") + 1
        found.append(Block(page, line, each[2], each[4], names[-1] if names else None))
    return found


def every_block(*languages: str) -> list[Block]:
    """The blocks of all pages that are written in one of these languages."""
    return [block for page in PAGES for block in blocks(page) if block.language in languages]


def typed(text: str) -> list[str]:
    """The lines after `$ `; a backslash at an end continues one."""
    return [line[2:] for line in text.replace("\\\n", " ").splitlines() if line.startswith("$ ")]


def kardia_commands(block: Block) -> Iterator[list[str]]:
    """The words after each `kardia` that a block has somebody type: of its prompts, or else of its lines."""
    lines = typed(block.text) or block.text.replace("\\\n", " ").splitlines()
    for line in lines:
        try:
            words = shlex.split(line, comments=True)
        except ValueError:
            continue  # an answer, with an apostrophe in it
        for place, word in enumerate(words):
            if word == "kardia" and (place == 0 or words[place - 1] == "-m" or words[place - 1].startswith("KARDIA_")):
                after = [each for each in words[place + 1 :] if each != "…"]
                ends = [number for number, each in enumerate(after) if each in ("|", ">", "&&", ";", "&")]
                yield after[: min(ends, default=len(after))]
