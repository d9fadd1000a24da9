"""The suite: attacks with the kinds that the guard must name, and harmless texts that it must leave alone.

`attacks.json` and `harmless.json` hold one entry a line; characters that nobody sees are escaped. All of it was
written for this project.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Attack:
    id: str
    kinds: tuple[str, ...]
    language: str
    text: str


@dataclass(frozen=True)
class Harmless:
    language: str
    text: str


def attacks() -> list[Attack]:
    rows = json.loads((FOLDER / "attacks.json").read_text(encoding="utf-8"))
    return [Attack(row["id"], tuple(row["kinds"]), row["language"], row["text"]) for row in rows]


def harmless() -> list[Harmless]:
    rows = json.loads((FOLDER / "harmless.json").read_text(encoding="utf-8"))
    return [Harmless(row["language"], row["text"]) for row in rows]
