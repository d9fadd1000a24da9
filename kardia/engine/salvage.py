"""Reading a damaged table: what cannot be read is stepped over."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from kardia.engine.store import is_sound

__all__ = ["sound_batches"]

AT_ONCE = 500


def sound_batches(
    read: Callable[[int, int], list[tuple[Any, ...]] | None], beyond: int, most: int | None = None
) -> Iterator[list[tuple[Any, ...]]]:
    """The rows whose checksum is right, without their numbers, in batches of at most 500.

    Where a stretch cannot be read, it is stepped over, in ever longer leaps.

    Args:
        read: from a row's number and a limit, the rows after it by their numbers: the number, then the columns of the
            stores' tables (key first, payload eighth, checksum ninth). None where they cannot be read.
        beyond: no row has such a number.
        most: so many rows cannot be there, whatever the table says.
    """
    last, leap, limit, seen = 0, 1, AT_ONCE, 0
    while last < beyond and (most is None or seen <= most):
        rows = read(last, limit)
        if rows is None:
            if limit > 1:
                limit = 1
            else:
                last, leap = last + leap, 2 * leap
            continue
        if not rows:
            return
        yield [row[1:] for row in rows if is_sound(row[1], row[8], row[9])]
        seen += len(rows)
        last, leap, limit = max(last + 1, rows[-1][0]), 1, min(2 * limit, AT_ONCE)
