"""The guard: what it finds of the project's own suite, of injections of others, and how often it cries wolf.

    python benchmarks/guard.py [--injections PATH …] [--replies FILE …] [--write]

The suite (tests/injections/) is always measured. `--injections` takes files or folders of JSON, each an object
category → list of texts or a list of texts; every text is looked at alone, and within a reply, in its middle and at its
end. `--replies` takes JSONL with real replies: EPITOME (`response_post`), ESConv (`dialog`, what the supporter says) or
conversations as kardia reads them. $KARDIA_BENCH_DATA names a folder that holds injections/, epitome/ and esconv/, for
both. No text of such a file is printed. `--write` puts the tables into benchmarks/README.md.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tables import markdown_table, write_table

from kardia.guard import KINDS, findings
from kardia.reading.rows import conversation_from_row

ROOT = Path(__file__).resolve().parent.parent
README = Path(__file__).with_name("README.md")
SUITE = ROOT / "tests" / "injections"
REPLIES = ("epitome/train.jsonl", "epitome/dev.jsonl", "esconv/train.jsonl", "esconv/valid.jsonl")
AROUND = "That sounds like a long and lonely week.", "What would help you most tonight?"


def suite_table() -> str:
    """Of each kind: how many attacks carry it, and in how many the guard names it; once for each file of the suite."""
    lines = []
    for title, name in (("written beside the guard", "attacks"), ("written after it", "held_out")):
        attacks = json.loads((SUITE / f"{name}.json").read_text(encoding="utf-8"))
        named = [{finding.kind for finding in findings(attack["text"])} for attack in attacks]
        for kind in KINDS:
            mine = [kinds for attack, kinds in zip(attacks, named, strict=True) if kind in attack["kinds"]]
            lines.append([title, *_line(kind, [kind in kinds for kinds in mine])])
        lines.append([title, *_line("any", [bool(kinds) for kinds in named])])
    for title, name in (("written to get past it", "evasions"), ("harmless", "harmless")):
        texts = json.loads((SUITE / f"{name}.json").read_text(encoding="utf-8"))
        lines.append([title, *_line("any", [bool(findings(text["text"])) for text in texts])])
    return markdown_table(["the suite", "kind", "texts", "flagged", "share"], lines, right=(2, 3, 4))


def _line(name: str, flagged: Sequence[bool]) -> list[str]:
    share = f"{sum(flagged) / len(flagged):.3f}" if flagged else "–"
    return [name, str(len(flagged)), str(sum(flagged)), share]


def injections_of(path: Path) -> Iterator[tuple[str, list[str]]]:
    """The categories of a file, or of all JSON files of a folder, with their texts."""
    for file in sorted(path.glob("*.json")) if path.is_dir() else [path]:
        data = json.loads(file.read_text(encoding="utf-8"))
        for category, texts in data.items() if isinstance(data, dict) else [(file.stem, data)]:
            yield str(category), [text for text in texts if isinstance(text, str)]


def injections_table(paths: Sequence[Path]) -> str:
    lines = []
    everything: list[list[str]] = []
    for path in paths:
        for category, texts in injections_of(path):
            everything.append(texts)
            lines.append(_injected(category, texts))
    lines.append(_injected("**all**", [text for texts in everything for text in texts]))
    return markdown_table(
        ["injections of others", "texts", "alone", "mid-reply", "at its end"], lines, right=(1, 2, 3, 4)
    )


def _injected(name: str, texts: Sequence[str]) -> list[str]:
    before, after = AROUND
    alone = sum(bool(findings(text)) for text in texts)
    middle = sum(bool(findings(f"{before} {text} {after}")) for text in texts)
    end = sum(bool(findings(f"{before} {after}\n\n{text}")) for text in texts)
    return [name, str(len(texts)), str(alone), str(middle), str(end)]


def replies_of(path: Path) -> Iterator[str]:
    """The replies of a JSONL file: of EPITOME, of ESConv, or the assistant's messages of conversations."""
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        row: dict[str, Any] = json.loads(line)
        if "response_post" in row:
            yield row["response_post"]
        elif "dialog" in row:
            yield from (turn["text"] for turn in row["dialog"] if turn["speaker"] == "sys")
        else:
            messages = conversation_from_row(row, f"row:{number}").messages
            yield from (message.content for message in messages if message.role == "assistant")


def replies_table(paths: Sequence[Path]) -> str:
    lines = []
    for path in paths:
        replies = list(replies_of(path))
        start = time.process_time()
        flagged = [bool(findings(reply)) for reply in replies]
        spent = (time.process_time() - start) / max(len(replies), 1)
        print(f"{path}: {1e6 * spent:.0f} µs a reply", file=sys.stderr)
        lines.append(_line(f"{path.parent.name}/{path.name}", flagged))
    return markdown_table(["real replies", "texts", "flagged", "share"], lines, right=(1, 2, 3))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--injections", type=Path, nargs="+", default=[], help="JSON files, or folders of them")
    parser.add_argument("--replies", type=Path, nargs="+", default=[], help="JSONL files with replies")
    parser.add_argument("--write", action="store_true", help="put the tables into benchmarks/README.md")
    options = parser.parse_args()
    injections, replies = list(options.injections), list(options.replies)
    if root := os.environ.get("KARDIA_BENCH_DATA"):
        injections = injections or [path for path in [Path(root) / "injections"] if path.is_dir()]
        replies = replies or [path for name in REPLIES if (path := Path(root) / name).is_file()]
    for path in (*injections, *replies):
        if not path.exists():
            print(f"There is no {path}.", file=sys.stderr)
            return 2
    tables = {"guard-suite": suite_table()}
    if injections:
        tables["guard-injections"] = injections_table(injections)
    if replies:
        tables["guard-replies"] = replies_table(replies)
    print("\n\n".join(tables.values()))
    if options.write:
        for name, table in tables.items():
            write_table(README, name, table)
    return 0


if __name__ == "__main__":
    sys.exit(main())
