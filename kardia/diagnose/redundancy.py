"""Criteria that say the same. Pure.

Correlations of values within groups. How many independent directions C criteria have is the participation ratio of
their correlation matrix, (Σλ)² / Σλ² = C² / Σ r², between 1 (all are one) and C (none has to do with another).
"""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

from kardia.agreement.measure import Sums, ratio
from kardia.agreement.statistic import Statistic
from kardia.diagnose.finding import Finding, Record
from kardia.diagnose.table import Table, within

if TYPE_CHECKING:
    from kardia.agreement.ratings import Array, Flags

__all__ = ["check_redundancy"]

BOUND, LEAST = 0.7, 0.85
MIN_CRITERIA = 4
FEW = 1.5
MIN_COMPLETE = 20


def check_redundancy(table: Table, record: Record) -> None:
    """Pairs of criteria that go together, and how many directions all of them have."""
    found: list[dict[str, object]] = []
    for one, other in combinations(range(len(table.criteria)), 2):
        measure = within(table, table.value_NC[:, one], table.value_NC[:, other], ranks=False)
        told = table.bootstrap.statistic(measure)
        first, second = table.criteria[one], table.criteria[other]
        found.append({"criteria": [first, second], "r": told.to_json()})
        if told.value is None:
            continue
        word = "move together" if told.value > 0 else "move against each other"
        record.claim(
            Finding(
                "redundant",
                first,
                {"r": told},
                told.n,
                "medium",
                f"{first} and {second} {word} (r = {told.value:+.2f} within groups): they count one thing twice.",
                "Keep the one that people agree on better, word them further apart, or halve their weights.",
                (second,),
            ),
            told,
            BOUND,
            LEAST,
            table.count(measure.counts_U),
        )
    record.detail["correlations"] = found
    directions, alive = _directions(table)
    record.overall["directions"] = directions
    if directions.high is not None and alive >= MIN_CRITERIA and directions.high < FEW:
        record.certain.append(
            Finding(
                "few_directions",
                None,
                {"directions": directions},
                directions.n,
                "medium",
                f"{alive} criteria act as {directions.value:.1f} within groups: the judge gives one impression many "
                "names.",
                "Ask each criterion by itself (mode: per_criterion), word them further apart, or keep fewer.",
            )
        )


def _directions(table: Table) -> tuple[Statistic, int]:
    """The participation ratio, over the replies that have every criterion that differs; and how many do."""
    import numpy as np

    live = [place for place in range(len(table.criteria)) if _differs(table, place)]
    size = len(live)
    if size < 2:
        return Statistic(None, None, None, len(table.cards), "fewer than two criteria differ within groups"), size
    x_NL = table.value_NC[:, live]
    complete_N: Flags = np.asarray(np.isfinite(x_NL).all(axis=1))
    columns = [table.centred(np.nan_to_num(x_N), complete_N) for x_N in x_NL.T]
    kept_N = columns[0][1]
    inner_NL = np.column_stack([x_N for x_N, _ in columns])
    if int(kept_N.sum()) < MIN_COMPLETE:
        return Statistic(None, None, None, int(kept_N.sum()), "too few replies have all criteria scored"), size
    one, other = np.triu_indices(size)
    parts_ND = inner_NL[:, one] * inner_NL[:, other]

    def of(sums_SD: Array) -> Array:
        square_SL = sums_SD[:, one == other]
        r2_SD = ratio(sums_SD**2, square_SL[:, one] * square_SL[:, other])
        # each pair stands once in the triangle, and twice in the matrix
        return np.asarray(size**2 / (r2_SD * np.where(one == other, 1.0, 2.0)).sum(axis=1))

    why = "a criterion does not differ within groups, where all are scored"
    measure = Sums(parts_ND, of, n=int(kept_N.sum()), counts_U=kept_N, why=why)
    return table.bootstrap.statistic(measure), size


def _differs(table: Table, place: int) -> bool:
    import numpy as np

    x_N = table.value_NC[:, place]
    inner_N, _ = table.centred(np.nan_to_num(x_N), np.isfinite(x_N))
    return bool((np.abs(inner_N) > 0).any())
