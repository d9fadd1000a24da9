"""Which ids come twice, in files of any length and in little memory.

The first ids are held in a set of 64-bit numbers, 12 to 24 bytes each, so that a repeat is seen at once. Where there
are more of them, their numbers are written to temporary files, shared out by their highest bits, and looked through one
file after the other in the end.
"""

from __future__ import annotations

import tempfile
from array import array
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kardia.errors import InputError

__all__ = ["IdSet", "SeenIds", "id_hash"]

HELD = 1 << 16
"""Ids that are held in memory; half a megabyte of numbers, and as many again wait to be written."""
PARTS = 1 << 10
"""A thousand million ids are looked through in 23 MB."""

_MASK = 2**64 - 1
_SHIFT = 54  # the highest bits: the set of a part goes by the lowest


def id_hash(text: str) -> int:
    """64 bits of Python's own hash, which holds for this process only; never 0."""
    return hash(text) & _MASK or 1


class IdSet:
    """Open addressing with linear probing in one array of unsigned 64-bit numbers, 0 for an empty slot."""

    __slots__ = ("_count", "_mask", "_slots")

    def __init__(self) -> None:
        self._mask = 1023
        self._slots = array("Q", (0,)) * 1024
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[int]:
        return (number for number in self._slots if number)

    def add(self, number: int) -> bool:
        """Adds a number from 1 to 2**64 - 1; False where it was in the set already."""
        slots, mask = self._slots, self._mask
        index = number & mask
        while held := slots[index]:
            if held == number:
                return False
            index = (index + 1) & mask
        slots[index] = number
        self._count += 1
        if self._count * 3 > mask * 2:
            self._grow()
        return True

    def _grow(self) -> None:
        old = self._slots
        mask = self._mask = 2 * len(old) - 1
        slots = self._slots = array("Q", (0,)) * (2 * len(old))
        for number in old:
            if number:
                index = number & mask
                while slots[index]:
                    index = (index + 1) & mask
                slots[index] = number


class SeenIds:
    """The numbers of ids that were seen, and which of them were seen twice. A context manager, which removes what it
    wrote.

    Args:
        held: from how many on they are written to files.
    """

    def __init__(self, held: int = HELD) -> None:
        self._held = held
        self._known: IdSet | None = IdSet()
        self._waiting: list[array[int]] = []
        self._count = 0
        self._folder: tempfile.TemporaryDirectory[str] | None = None

    def __enter__(self) -> SeenIds:
        return self

    def __exit__(self, *_: object) -> None:
        self._known, self._waiting = None, []
        if self._folder is not None:
            self._folder.cleanup()

    def add(self, number: int) -> bool:
        """Adds a number from 1 to 2**64 - 1; False where it is certain already that it was seen before.

        Raises:
            InputError: where the temporary files cannot be written.
        """
        if self._known is not None:
            if not self._known.add(number):
                return False
            if len(self._known) >= self._held:
                self._begin(self._known)
            return True
        self._waiting[number >> _SHIFT].append(number)
        self._count += 1
        if self._count >= self._held:
            self._write()
        return True

    def repeats(self) -> Iterator[int]:
        """The numbers for which `add` could not tell that they had been seen before, once for each further time.

        Raises:
            InputError: where the temporary files cannot be written or read.
        """
        if self._folder is None:
            return
        self._write()
        for part in range(PARTS):
            path = self._part(part)
            if not path.exists():
                continue
            numbers = array("Q")
            with _on_disk():
                numbers.frombytes(path.read_bytes())
            known = IdSet()
            for number in numbers:
                if not known.add(number):
                    yield number

    def _begin(self, known: IdSet) -> None:
        with _on_disk():
            self._folder = tempfile.TemporaryDirectory(prefix="kardia-")
        self._waiting = [array("Q") for _ in range(PARTS)]
        for number in known:
            self._waiting[number >> _SHIFT].append(number)
        self._known = None
        self._write()

    def _write(self) -> None:
        with _on_disk():
            for part, numbers in enumerate(self._waiting):
                if numbers:
                    with self._part(part).open("ab") as file:
                        numbers.tofile(file)
                    del numbers[:]
        self._count = 0

    def _part(self, part: int) -> Path:
        assert self._folder is not None
        return Path(self._folder.name) / f"{part:04}"


@contextmanager
def _on_disk() -> Iterator[None]:
    try:
        yield
    except OSError as problem:
        reason = problem.strerror or problem
        raise InputError(f"ids cannot be compared in temporary files: {reason}", file=tempfile.gettempdir()) from None
