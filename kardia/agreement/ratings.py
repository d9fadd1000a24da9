"""Ratings as they come in, and as arrays: units in rows, raters in columns, None for what nobody said."""

from __future__ import annotations

import math
from collections.abc import Sequence
from numbers import Real
from typing import TYPE_CHECKING

from kardia.errors import InputError, MissingExtra

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]
    Index = NDArray[np.int64]
    Flags = NDArray[np.bool_]

__all__ = ["Column", "Level", "Table", "codes", "needs_numpy", "numbers", "paired", "places", "positions"]

Level = int | float | str
Column = Sequence[Level | None]
"""One rater's ratings, one a unit."""
Table = Sequence[Column]
"""One row a unit, in it one rating a rater."""


def needs_numpy(purpose: str) -> None:
    """Says that numpy or scipy is missing: better before anything is read than after.

    Args:
        purpose: what needs numpy and scipy, as the message begins.

    Raises:
        MissingExtra: where one of the two is not installed.
    """
    from importlib.util import find_spec

    if any(find_spec(package) is None for package in ("numpy", "scipy")):
        raise MissingExtra("agree", purpose)


def places(levels: Sequence[Level]) -> dict[Level, int]:
    """Level → its place on the scale, from 0.

    Raises:
        InputError: where there is no level, or one twice.
    """
    found = {level: place for place, level in enumerate(levels)}
    if not levels or len(found) != len(levels):
        raise InputError(f"a scale has at least one level, and each of them once, not {_listed(levels)}")
    return found


def positions(levels: Sequence[Level]) -> Array:
    """Where levels stand for distances between them: the numbers themselves where all are numbers, else their places.

    So 1, 2 and 5 are as far apart as they say, and `no` and `yes` are 0 and 1.
    """
    import numpy as np

    places(levels)
    if all(isinstance(level, Real) for level in levels):
        return np.asarray(levels, dtype=np.float64)
    return np.arange(len(levels), dtype=np.float64)


def codes(table: Table, levels: Sequence[Level]) -> Index:
    """The place of each rating on the scale, (units, raters); −1 where there is none.

    Raises:
        InputError: for a rating that is no level, and for rows of different lengths.
    """
    import numpy as np

    place = places(levels)
    width = _width(table)
    try:
        rows = [[-1 if rating is None else place[rating] for rating in row] for row in table]
    except KeyError as problem:
        raise InputError(f"the rating {problem.args[0]!r} is none of the levels {_listed(levels)}") from None
    return np.asarray(rows, dtype=np.int64).reshape(len(table), width)


def numbers(table: Table) -> Array:
    """The ratings as they are, (units, raters); NaN where there is none.

    Raises:
        InputError: for a rating that is not a finite number, and for rows of different lengths.
    """
    import numpy as np

    width = _width(table)
    for row in table:
        for rating in row:
            if rating is not None and not _is_finite(rating):
                raise InputError(f"{rating!r} is not a number that can be averaged; a missing rating is None")
    rows = [[math.nan if rating is None else float(rating) for rating in row] for row in table]
    return np.asarray(rows, dtype=np.float64).reshape(len(table), width)


def paired(first: Column, second: Column) -> list[tuple[Level | None, Level | None]]:
    """Two raters' columns as a table of two.

    Raises:
        InputError: where one is longer than the other.
    """
    if len(first) != len(second):
        raise InputError(f"two raters of the same units have as many ratings, not {len(first)} and {len(second)}")
    return list(zip(first, second, strict=True))


def _width(table: Table) -> int:
    widths = {len(row) for row in table}
    if len(widths) > 1:
        raise InputError(
            f"every unit has a place for each rater's rating, not {min(widths)} here and {max(widths)} there"
        )
    return widths.pop() if widths else 0


def _is_finite(rating: object) -> bool:
    # the two that ratings nearly always are, first: asking an abstract class takes long
    return (type(rating) in (int, float) or isinstance(rating, Real)) and math.isfinite(rating)  # type: ignore[arg-type]


def _listed(levels: Sequence[Level]) -> str:
    return ", ".join(repr(level) for level in levels) or "none"
