"""Which levels were given: the base rate of each, and which level of one rater meets which of the other.

Without base rates no figure of agreement can be read: who always says the commonest level agrees as often as it occurs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from kardia.agreement.ratings import Column, Level, Table, paired, places
from kardia.errors import InputError

__all__ = ["BaseRates", "Confusion", "base_rates", "confusion"]


@dataclass(frozen=True, slots=True)
class BaseRates:
    """How often each level was given.

    Attributes:
        levels: the scale, in its order.
        counts: of each level.
    """

    levels: tuple[Level, ...]
    counts: tuple[int, ...]

    @property
    def n(self) -> int:
        """How many ratings."""
        return sum(self.counts)

    @property
    def shares(self) -> tuple[float, ...] | None:
        """Of each level, adding up to 1; None where there is no rating."""
        return tuple(count / self.n for count in self.counts) if self.n else None

    @property
    def commonest(self) -> float | None:
        """The largest share: the exact agreement of somebody who always says that level. None without a rating."""
        return max(self.counts) / self.n if self.n else None

    def to_json(self) -> dict[str, Any]:
        return {"levels": list(self.levels), "counts": list(self.counts), "n": self.n, "commonest": self.commonest}


@dataclass(frozen=True, slots=True)
class Confusion:
    """Units by the levels that two raters gave them.

    Attributes:
        levels: the scale, in its order.
        counts: one row for each level of the first rater, in it one count for each level of the second.
    """

    levels: tuple[Level, ...]
    counts: tuple[tuple[int, ...], ...]

    @property
    def n(self) -> int:
        """Units that both rated."""
        return sum(map(sum, self.counts))

    def to_json(self) -> dict[str, Any]:
        return {"levels": list(self.levels), "counts": [list(row) for row in self.counts], "n": self.n}


def base_rates(table: Table, levels: Sequence[Level]) -> BaseRates:
    """The base rates of all ratings of a table; those of one rater where it has one column.

    Raises:
        InputError: for a rating that is no level.
    """
    found = Counter(rating for row in table for rating in row if rating is not None)
    _check(found, levels)
    return BaseRates(tuple(levels), tuple(found[level] for level in levels))


def confusion(first: Column, second: Column, levels: Sequence[Level]) -> Confusion:
    """How often each level of the first rater meets each of the second, over the units that both rated.

    Raises:
        InputError: for a rating that is no level, and for columns of different lengths.
    """
    pairs = paired(first, second)
    _check([rating for pair in pairs for rating in pair if rating is not None], levels)
    found = Counter(pairs)
    return Confusion(tuple(levels), tuple(tuple(found[one, other] for other in levels) for one in levels))


def _check(ratings: Counter[Level] | list[Level], levels: Sequence[Level]) -> None:
    known = places(levels)
    for rating in ratings:
        if rating not in known:
            raise InputError(f"the rating {rating!r} is none of the levels {', '.join(map(repr, levels))}")
