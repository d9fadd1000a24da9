"""A set of 64-bit numbers that takes 12 to 24 bytes for each: for finding repeated ids in files of any length."""

from __future__ import annotations

from array import array

__all__ = ["IdSet", "id_hash"]

_MASK = 2**64 - 1


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
