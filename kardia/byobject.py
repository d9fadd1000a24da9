"""Functions of objects that cannot be hashed, worked out once for each object."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import TypeVar

__all__ = ["by_object"]

Item = TypeVar("Item")
Made = TypeVar("Made")


def by_object(most: int) -> Callable[[Callable[[Item], Made]], Callable[[Item], Made]]:
    """For pure functions of an object that never changes: what it gives is remembered under the object's address.

    Frozen models are compared by all that they hold and cannot be hashed. The object is kept beside what was made of
    it, so that no other comes to stand at its address.

    Args:
        most: how many are remembered; then all are forgotten.
    """

    def decorate(make: Callable[[Item], Made]) -> Callable[[Item], Made]:
        known: dict[int, tuple[Item, Made]] = {}

        @wraps(make)
        def recall(item: Item) -> Made:
            found = known.get(id(item))
            if found is not None:
                return found[1]
            if len(known) >= most:
                known.clear()
            made = make(item)
            known[id(item)] = (item, made)
            return made

        return recall

    return decorate
