"""Whether a judge is too generous or too strict, held against people's labels or another judge. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kardia.agreement.measure import ratio
from kardia.agreement.statistic import Statistic
from kardia.diagnose.cards import Scored
from kardia.diagnose.finding import Finding, Record
from kardia.diagnose.table import Table, column, mean
from kardia.rubric.models import ChoiceScale, OrdinalScale

if TYPE_CHECKING:
    from kardia.agreement.ratings import Array

__all__ = ["Beside", "beside_cards", "check_difference"]

BOUND, LEAST = 0.025, 0.075
"""In shares of the scale: on five levels a tenth of a level, and three tenths."""
STRONG = 0.15


@dataclass(frozen=True, slots=True)
class Beside:
    """What somebody else says of the same replies.

    Attributes:
        who: `the labels`, or a judge.
        value_NC: values in [0, 1], by criterion; NaN where there is none.
        score_N: scores, NaN where there is none; None for people, who rate criteria.
    """

    who: str
    value_NC: Array
    score_N: Array | None = None

    @property
    def mean_N(self) -> Array:
        """Of each reply, over criteria; NaN where there is none."""
        return _row_means(self.value_NC)


def beside_cards(table: Table, other: Scored) -> Beside:
    """Another judge's cards of the same replies; criteria are joined by id."""
    import numpy as np

    rows: list[Sequence[float]] = []
    for card in table.cards:
        marks = {} if (found := other.cards.get(card.id)) is None else found.marks
        values = [None if (mark := marks.get(name)) is None else mark.value for name in table.criteria]
        rows.append([float("nan") if value is None else value for value in values])
    score_N = column([None if (found := other.cards.get(card.id)) is None else found.score for card in table.cards])
    return Beside(f"the judge {other.judge}", np.asarray(rows, dtype=np.float64).reshape(len(rows), -1), score_N)


def check_difference(table: Table, record: Record, beside: Beside, *, claims: bool = True) -> None:
    """Mean differences, judge less other, by criterion and over all.

    Over all is over the criteria of more than two levels, where there are some: a rare yes or no says nothing of how
    generous a judge is.

    Args:
        claims: whether they may become findings.
    """
    import numpy as np

    gap_NC = table.value_NC - beside.value_NC
    key = "over_labels" if beside.score_N is None else "over_reference"
    for place, name in enumerate(table.criteria):
        _one(table, record, beside, key, name, gap_NC[:, place], claims)
    if not np.isfinite(gap_NC).any():
        record.skipped[key] = f"no reply is scored by both the judge and {beside.who}"
        return
    graded = [place for place, name in enumerate(table.criteria) if _is_graded(table, name)]
    chosen = graded if graded and np.isfinite(gap_NC[:, graded]).any() else list(range(len(table.criteria)))
    _one(
        table, record, beside, key, None, _row_means(gap_NC[:, chosen]), claims, [table.criteria[one] for one in chosen]
    )
    if beside.score_N is not None:
        # scores of two versions of a rubric need not be of one making
        told = table.bootstrap.statistic(mean(table.score_N - beside.score_N))
        record.overall["score_over_reference"] = told


def _one(
    table: Table,
    record: Record,
    beside: Beside,
    key: str,
    name: str | None,
    gap_N: Array,
    claims: bool,
    names: Sequence[str] = (),
) -> None:
    measure = mean(gap_N, f"no reply is scored by both the judge and {beside.who}")
    told = table.bootstrap.statistic(measure)
    record.of(name)[key] = told
    if told.value is None:
        return
    steps = _steps(table, names or (table.criteria if name is None else (name,)))
    numbers: Mapping[str, Statistic] = {key: told}
    if steps is not None:
        record.of(name)[f"{key}_levels"] = levels = _scaled(told, steps)
        numbers = {**numbers, f"{key}_levels": levels}
        far = f"{abs(told.value) * steps:.2f} of a level"
    else:
        far = f"{abs(told.value):.2f} of the scale"
    if not claims:
        return
    generous = told.value > 0
    what = "The judge" if name is None else f"On {name} the judge"
    record.claim(
        Finding(
            "generous" if generous else "strict",
            name,
            numbers,
            told.n,
            "high" if abs(told.value) >= STRONG else "medium",
            f"{what} is {far} more {'generous' if generous else 'strict'} than {beside.who}, on average over "
            f"{told.n:,} replies.",
            "Within groups a constant cancels out; thresholds, vetoes and what is compared with other judges do not. "
            "Calibrate the judge (`kardia calibrate`), or show it examples of the levels it misses (`examples` in the "
            "rubric).",
        ),
        told,
        BOUND,
        LEAST,
        table.count(measure.counts_U),
    )


def _is_graded(table: Table, name: str) -> bool:
    criterion = None if table.rubric is None else table.rubric.by_id.get(name)
    return criterion is not None and len(criterion.levels) > 2


def _steps(table: Table, names: Sequence[str]) -> int | None:
    """How many levels lie between the ends of the scale; None where that is not known, or not the same for all."""
    if table.rubric is None:
        return None
    scales = [criterion.scale for name in names if (criterion := table.rubric.by_id.get(name)) is not None]
    if not scales or any(isinstance(scale, ChoiceScale) for scale in scales):
        return None
    widths = {int(scale.names[-1]) - int(scale.names[0]) if isinstance(scale, OrdinalScale) else 1 for scale in scales}
    return widths.pop() if len(widths) == 1 else None


def _scaled(told: Statistic, by: float) -> Statistic:
    ends = [None if end is None else end * by for end in (told.value, told.low, told.high)]
    return Statistic(ends[0], ends[1], ends[2], told.n, told.why, told.left_out)


def _row_means(x_NC: Array) -> Array:
    import numpy as np

    n_N = np.isfinite(x_NC).sum(axis=1).astype(np.float64)
    return ratio(np.nansum(x_NC, axis=1), n_N)
