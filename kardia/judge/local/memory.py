"""Running out of memory: noticed, and answered with less at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

__all__ = ["halving", "out_of_memory"]

T = TypeVar("T")
R = TypeVar("R")

_SIGNS = ("out of memory", "can't allocate memory", "not enough memory", "defaultcpuallocator")


def out_of_memory(problem: BaseException) -> bool:
    """Whether this says that memory ran out: torch on a GPU, torch on the CPU (a plain RuntimeError), or Python."""
    if isinstance(problem, MemoryError) or type(problem).__name__ == "OutOfMemoryError":
        return True
    return isinstance(problem, RuntimeError) and any(sign in str(problem).lower() for sign in _SIGNS)


def halving(
    items: Sequence[T],
    work: Callable[[Sequence[T]], Sequence[R]],
    give_up: Callable[[T], R],
    relieve: Callable[[], bool],
) -> list[R]:
    """The results of all items; where memory runs out, of half as many at a time.

    Args:
        items: any number.
        work: one result an item, in their order.
        give_up: the result of an item for which alone there is not enough memory.
        relieve: called each time that memory ran out: frees what can be freed, and says whether `work` now takes less,
            so that the same items can be tried again.
    """
    if not items:
        return []
    try:
        return list(work(items))
    except Exception as problem:
        if not out_of_memory(problem):
            raise
        # here and not below: what the failed frames hold is freed with the problem
    if relieve():
        return halving(items, work, give_up, relieve)
    if len(items) == 1:
        return [give_up(items[0])]
    middle = len(items) // 2
    first = halving(items[:middle], work, give_up, relieve)
    return first + halving(items[middle:], work, give_up, relieve)
