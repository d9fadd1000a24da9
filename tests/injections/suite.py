"""The suite: attacks with the kinds that the guard must name, and harmless texts that it must leave alone.

Files of JSON with one entry a line, in which characters that nobody sees are escaped; all of it written for this
project. `attacks` were written beside the guard, which was changed until it found them. `evasions` were written to get
past it. `held_out` was written when the guard was done; nothing was changed for it, and nothing may be: whoever wants
to find more of it moves it to `attacks` and writes a new one.
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


def attacks(name: str = "attacks") -> list[Attack]:
    rows = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    return [Attack(row["id"], tuple(row["kinds"]), row["language"], row["text"]) for row in rows]


def harmless() -> list[Harmless]:
    rows = json.loads((FOLDER / "harmless.json").read_text(encoding="utf-8"))
    return [Harmless(row["language"], row["text"]) for row in rows]
