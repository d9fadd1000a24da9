"""The files of an SQLite ledger: made private, moved aside together, and by one process at a time."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kardia.engine.store import Misplaced

if os.name != "nt":
    import fcntl

__all__ = [
    "FILES",
    "alone_in",
    "application_in",
    "is_other_file",
    "make_file",
    "make_folder",
    "move_aside",
    "moved_aside",
    "place_of",
]

FILES = ("", "-wal", "-shm")
OTHER_FILES = frozenset((".jsonl", ".json", ".csv", ".tsv", ".parquet", ".yaml", ".yml", ".txt", ".md", ".html"))
"""Endings of files that people name by mistake."""
_ASIDE = ".corrupt-"


def make_folder(path: Path) -> None:
    """Makes the folders that a file lies in, for their owner alone.

    Raises:
        Misplaced: where one cannot be made.
    """
    missing = [folder for folder in path.parents if not folder.exists()]
    for folder in reversed(missing):
        try:
            folder.mkdir(mode=0o700, exist_ok=True)
        except OSError as problem:
            why = problem.strerror or problem
            raise Misplaced(f"{path}: the ledger's folder {folder} cannot be made ({why})") from None


def make_file(path: Path) -> None:
    """Makes a database's file, empty, for its owner alone, where there is none. SQLite makes the others like it.

    Raises:
        Misplaced: where something else lies there.
    """
    if path.is_file():
        return
    if path.exists():
        kind = "a directory" if path.is_dir() else "not a file"
        raise Misplaced(f"{path}: is {kind}; name a file for the ledger")
    for suffix in FILES[1:]:  # of a database that was deleted: a new one would take them for its own
        Path(f"{path}{suffix}").unlink(missing_ok=True)
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))


def place_of(path: Path) -> tuple[int, int] | None:
    """What tells a file from another one that took its name; None where there is none."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def is_other_file(path: Path) -> bool:
    """Whether it is somebody's data, by its name and its first bytes, and no database that was damaged."""
    if path.suffix.lower() not in OTHER_FILES:
        return False
    with open(path, "rb") as stream:
        return stream.read(15) != b"SQLite format 3"


def application_in(path: Path) -> int:
    """The application id that stands in the database file itself, whatever a log beside it says."""
    with open(path, "rb") as stream:
        return int.from_bytes(stream.read(72)[68:], "big")


def move_aside(path: Path) -> Path:
    """Renames a damaged database, with its log, to `<name>.corrupt-<number>`; where it lies now."""
    number = 1
    while any(os.path.lexists(f"{path}{_ASIDE}{number}{suffix}") for suffix in FILES):
        number += 1
    aside = Path(f"{path}{_ASIDE}{number}")
    for suffix in FILES:
        try:
            os.replace(f"{path}{suffix}", f"{aside}{suffix}")
        except FileNotFoundError:
            pass
    return aside


def moved_aside(path: Path) -> list[Path]:
    """The damaged databases that were moved aside and still lie there."""
    return sorted(other for other in path.parent.glob("*") if other.name.startswith(path.name + _ASIDE))


@contextmanager
def alone_in(folder: Path, patience_s: float) -> Iterator[None]:
    """Holds other processes off while files are made or moved; whoever waits in vain, or cannot lock, goes on."""
    if os.name == "nt":
        yield
        return
    held = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        until = time.monotonic() + patience_s
        while True:
            try:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > until:
                    break
                time.sleep(0.005)
            except OSError:
                break  # a file system without such locks
        yield
    finally:
        os.close(held)
