"""`rubrics.lock`: what was released, so that it never changes.

Beside the rubrics' folders, JSON, one entry a release: its content hash and the exact version of each of its includes.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from kardia.errors import RubricError
from kardia.files import write_text
from kardia.rubric.rubric import Rubric
from kardia.yamlfile import read_text

__all__ = ["LOCK_NAME", "Lock", "LockEntry", "entry_of", "lock_gaps", "read_lock", "write_lock"]

LOCK_NAME = "rubrics.lock"


class LockEntry(BaseModel):
    """One release."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    hash: str = Field(pattern=r"^sha256:[0-9a-f]{64}$")
    includes: dict[str, str] = Field(default_factory=dict)
    """Name of each included rubric → its exact version, those included by includes too."""


class Lock(BaseModel):
    """The whole file: name → version → entry."""

    model_config = ConfigDict(extra="forbid")

    lock: int = Field(default=1, ge=1, le=1)
    rubrics: dict[str, dict[str, LockEntry]] = Field(default_factory=dict)

    def entry(self, name: str, version: str) -> LockEntry | None:
        return self.rubrics.get(name, {}).get(version)

    def add(self, name: str, version: str, entry: LockEntry) -> None:
        self.rubrics.setdefault(name, {})[version] = entry


def read_lock(folder: Path) -> Lock:
    """The lock of a rubrics folder; an empty one where there is no file."""
    path = folder / LOCK_NAME
    if not path.exists():
        return Lock()
    try:
        return Lock.model_validate(json.loads(read_text(path, RubricError)))
    except (ValidationError, ValueError) as problem:
        first = str(problem).splitlines()[0]
        raise RubricError(f"is not a lock that kardia wrote ({first})", file=str(path)) from None


def lock_gaps(folder: Path) -> list[str]:
    """A sentence for each release that the lock holds and whose file is gone."""
    return [
        f"{folder / name / version}.yaml: {name}@{version} is released, and its file is gone: restore it"
        for name, versions in read_lock(folder).rubrics.items()
        for version in versions
        if not any((folder / name / f"{version}{suffix}").is_file() for suffix in (".yaml", ".yml"))
    ]


def write_lock(folder: Path, lock: Lock) -> None:
    """Writes the lock, sorted, in one step."""
    data: dict[str, Any] = lock.model_dump(mode="json")
    data["rubrics"] = {name: dict(sorted(data["rubrics"][name].items())) for name in sorted(data["rubrics"])}
    write_text(folder / LOCK_NAME, json.dumps(data, indent=2) + "\n")


def entry_of(rubric: Rubric) -> LockEntry:
    """The entry that a rubric would get now."""
    return LockEntry(hash=rubric.hash, includes=dict(sorted(_includes(rubric).items())))


def _includes(rubric: Rubric) -> dict[str, str]:
    found: dict[str, str] = {}
    for part in rubric.parts:
        found[part.rubric.name] = part.rubric.version
        found.update(_includes(part.rubric))
    return found
