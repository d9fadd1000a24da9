"""Several people's ratings of a unit → the one thing that they say together. Pure.

On an ordered scale of more than two levels it is the median (of two middle ratings, the level between them; where two
levels are as near, the one at an even place, so that halves go up as often as down). On two levels and on options it is
what most of them say, and nothing where two have as many. Where numbers are wanted, it is the mean.
"""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from kardia.agreement.scale import Scale
from kardia.rubric.models import Level

__all__ = ["Consensus", "Rule", "consensus"]

Rule = Literal["median", "majority"]


@dataclass(frozen=True, slots=True)
class Consensus:
    """What people say of each unit.

    Attributes:
        levels: None where nobody said anything, or people are split.
        numbers: the mean of their positions; None where nobody said anything, and on options.
        split: units on which two levels have as many votes, so that there is none.
        between: units whose level was taken from between two levels.
    """

    levels: tuple[Level | None, ...]
    numbers: tuple[float | None, ...]
    split: int
    between: int


def consensus(people: Sequence[Sequence[Level | float | None]], scale: Scale, rule: Rule = "median") -> Consensus:
    """The consensus of each unit.

    Args:
        people: units × raters: levels; on an ordered scale also numbers between two levels.
        scale: what they were asked on.
        rule: what is made of several ratings on an ordered scale of more than two levels.
    """
    levels: list[Level | None] = []
    numbers: list[float | None] = []
    split = between = 0
    by_majority = rule == "majority" or not scale.ordered or len(scale.levels) == 2
    for row in people:
        said = [rating for rating in row if rating is not None]
        if not said:
            levels.append(None)
            numbers.append(None)
            continue
        positions = [_position(rating, scale) for rating in said] if scale.ordered else []
        numbers.append(math.fsum(positions) / len(positions) if positions else None)
        if by_majority:
            level = _majority(said, positions, scale)
            split += level is None
        else:
            middle = statistics.median(positions)
            between += not middle.is_integer()
            level = scale.nearest(middle)
        levels.append(level)
    return Consensus(tuple(levels), tuple(numbers), split, between)


def _position(rating: Level | float, scale: Scale) -> float:
    return rating if isinstance(rating, float) else scale.position(rating)


def _majority(said: Sequence[Level | float], positions: Sequence[float], scale: Scale) -> Level | None:
    if len(scale.levels) == 2 and positions:
        # shares of yes, too
        share = math.fsum(positions) / len(positions) - scale.position(scale.levels[0])
        return None if share == 0.5 else scale.levels[share > 0.5]
    voted = [scale.nearest(rating) if isinstance(rating, float) else rating for rating in said]
    (level, most), *rest = Counter(voted).most_common()
    return None if rest and rest[0][1] == most else level
