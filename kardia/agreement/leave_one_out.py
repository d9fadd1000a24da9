"""A judge beside people: each person against the others, and the judge against the very same others.

For each person, whatever the others say of a unit is the reference. The person is measured against it, and so is the
judge, on the same units: whoever is compared has never had a part in the reference, and the judge has no advantage
from a reference of more people than a person is held to. "As good as a person" is then the difference of two figures,
with an interval. (The design of Calderon, Reichart and Dror 2025, with their ε as the margin, for any measure; the
mean of the others as in Snow et al. 2008.)
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from kardia.agreement.bootstrap import Bootstrap, less
from kardia.agreement.measure import Measure, Sums
from kardia.agreement.ratings import Column, Level, Table, numbers
from kardia.agreement.statistic import Statistic
from kardia.errors import InputError

__all__ = ["Beside", "LeaveOneOut", "Reference", "Verdict", "against_others", "leave_one_out"]

Reference = Literal["mean", "median", "majority", "each"]
"""What the others say: the mean or the median of their numbers (of an even number of others, the mean of the middle
two); the level that most of them gave, and nothing where two levels have as many; or each of them in turn."""

Verdict = Literal["better", "as good", "worse", "open"]


@dataclass(frozen=True, slots=True)
class Beside:
    """A judge and a person, held to the same reference on the same units.

    Attributes:
        rater: the person; None where all are taken together.
        person, judge: the measure of each against the reference.
        difference: the judge's less the person's; from the same resamples, so that its interval is narrower than
            those of both would make believe.
    """

    rater: str | None
    person: Statistic
    judge: Statistic
    difference: Statistic

    def verdict(self, margin: float = 0.0) -> Verdict:
        """What the interval of the difference says, for measures of which more is better.

        Args:
            margin: by how much a judge may be worse and still be as good as a person. Choose it before you look.

        Returns:
            `better`: the interval lies above 0. `as good`: above −margin. `worse`: below 0 (and not above −margin).
            `open`: none of these, or there is no interval: more units would tell.

        Raises:
            InputError: for a margin below 0.
        """
        if not margin >= 0:
            raise InputError(f"a judge may be worse by 0 or more, not by {margin}")
        low, high = self.difference.low, self.difference.high
        if low is None or high is None:
            return "open"
        if low > 0:
            return "better"
        if low > -margin:
            return "as good"
        return "worse" if high < 0 else "open"

    def to_json(self) -> dict[str, Any]:
        return {
            "rater": self.rater,
            "person": self.person.to_json(),
            "judge": self.judge.to_json(),
            "difference": self.difference.to_json(),
        }


@dataclass(frozen=True, slots=True)
class LeaveOneOut:
    """A judge beside all people.

    Attributes:
        reference: what the others' ratings were made into.
        together: over all pairs of a person and a unit at once; its `n` counts these pairs. It serves as well where
            each of many people rated few units.
        raters: beside each person, in the order of the columns.
    """

    reference: Reference
    together: Beside
    raters: tuple[Beside, ...]

    def to_json(self) -> dict[str, Any]:
        return {
            "reference": self.reference,
            "together": self.together.to_json(),
            "raters": [one.to_json() for one in self.raters],
        }


def leave_one_out(
    judge: Column,
    people: Table,
    measure: Callable[[Column, Column], Measure],
    *,
    reference: Reference = "mean",
    names: Sequence[str] | None = None,
    bootstrap: Bootstrap | None = None,
) -> LeaveOneOut:
    """Sets a judge beside each person and beside all of them.

    Args:
        judge: the judge's rating of each unit.
        people: units × people.
        measure: makes a measure of two columns, such as `concordance` or
            `lambda one, other: cohen_kappa(one, other, levels)`. It has to take what the reference gives: a mean or a
            median can lie between levels, which κ does not take.
        reference: what the others' ratings are made into.
        names: of the people; else their columns' numbers, from 1.
        bootstrap: with the group of each unit; None: no intervals.

    Raises:
        InputError: for columns of different lengths, and as `measure` does.
    """
    if reference not in get_args(Reference):
        raise InputError(
            f"the others' ratings are made into their mean, median or majority, or each, not {reference!r}"
        )
    if len(judge) != len(people):
        raise InputError(f"the judge rated {len(judge)} units and people {len(people)}: give one row for each unit")
    widths = {len(row) for row in people}
    if len(widths) > 1:
        raise InputError("every unit has a place for each person's rating: fill it with None where there is none")
    width = widths.pop() if widths else 0
    if names is None:
        names = [str(number + 1) for number in range(width)]
    if len(names) != width:
        raise InputError(f"there are {len(names)} names for {width} people")
    rows = [_rows(judge, people, place, reference) for place in range(width)]
    return LeaveOneOut(
        reference,
        _beside(None, [row for each in rows for row in each], width, measure, bootstrap),
        tuple(_beside(name, each, width, measure, bootstrap) for name, each in zip(names, rows, strict=True)),
    )


def against_others(
    judge: Column, people: Table, measure: Callable[[Column, Column], Measure], reference: Reference = "mean"
) -> tuple[Sums, Sums] | None:
    """What `leave_one_out` compares over all people together, as measures of the units: to be put together with those
    of other criteria by `Bootstrap.total`.

    Args:
        judge, people, reference: as there.
        measure: as there; of sums over units, as `concordance` and `cohen_kappa` are.

    Returns:
        the judge's and the people's; None where there is nothing to compare.
    """
    width = max(map(len, people), default=0)
    rows = [row for place in range(width) for row in _rows(judge, people, place, reference)]
    if not rows:
        return None
    said = [row[3] for row in rows]
    units = [row[0] for row in rows]
    both = [_by_unit(measure([row[place] for row in rows], said), units, len(people)) for place in (2, 1)]
    return both[0], both[1]


def _by_unit(measure: Measure, units: Sequence[int], size: int) -> Sums:
    """A measure of rows as one of the units that the rows are of."""
    import numpy as np

    assert isinstance(measure, Sums)
    parts_UD = np.zeros((size, measure.parts_UD.shape[1]))
    np.add.at(parts_UD, units, measure.parts_UD)
    counts_U = np.zeros(size, dtype=bool)
    counts_U[np.asarray(units)[measure.counts_U]] = True
    return Sums(parts_UD, measure.of, n=int(counts_U.sum()), counts_U=counts_U, why=measure.why)


Row = tuple[int, Level, Level, Level]
"""A unit, what the person says of it, what the judge says, and the reference."""


def _rows(judge: Column, people: Table, place: int, reference: Reference) -> list[Row]:
    """Of one person, wherever there is all of it."""
    found: list[Row] = []
    known: dict[tuple[Level, ...], Sequence[Level]] = {}
    for unit, (own, row) in enumerate(zip(judge, people, strict=True)):
        said = row[place]
        others = tuple(rating for other, rating in enumerate(row) if other != place and rating is not None)
        if own is not None and said is not None and others:
            if others not in known:
                known[others] = _reference(others, reference)
            found.extend((unit, said, own, one) for one in known[others])
    return found


def _reference(others: Sequence[Level], reference: Reference) -> Sequence[Level]:
    """What one or more ratings of a unit are made into; nothing for a majority that is none."""
    if reference == "each":
        return others
    if reference == "majority":
        (level, most), *rest = Counter(others).most_common()
        return [] if rest and rest[0][1] == most else [level]
    values: list[float] = sorted(numbers([others])[0].tolist())
    size = len(values)
    if reference == "mean":
        return [math.fsum(values) / size]
    return [(values[(size - 1) // 2] + values[size // 2]) / 2.0]


def _beside(
    rater: str | None,
    rows: Sequence[Row],
    width: int,
    measure: Callable[[Column, Column], Measure],
    bootstrap: Bootstrap | None,
) -> Beside:
    if not rows:
        if width < 2:
            why = "there is nobody else to compare with: it takes two people who rated the same units"
        else:
            why = "there is no unit that the judge, this person and others rated, and on which the others say one thing"
            why = why if rater is not None else why.replace("this person", "a person")
        nothing = Statistic(None, None, None, 0, why)
        return Beside(rater, nothing, nothing, nothing)
    reference = [row[3] for row in rows]
    person, judge = measure([row[1] for row in rows], reference), measure([row[2] for row in rows], reference)
    if bootstrap is None:
        return Beside(rater, person.statistic(), judge.statistic(), less(judge, person))
    drawn = bootstrap.rows([row[0] for row in rows])
    return Beside(rater, drawn.statistic(person), drawn.statistic(judge), drawn.difference(judge, person))
