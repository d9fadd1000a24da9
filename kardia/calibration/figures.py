"""How far a judge's values can be believed: reliability, expected calibration error, squared error, log loss, κ, bias.

Reliability: replies are sorted by value into bins of about as many (replies of one value stay together); of each, the
mean value and the mean of what people said (DeGroot and Fienberg 1983). Expected calibration error: Σ n_b / N ·
|value_b − people_b| (Naeini, Cooper and Hauskrecht 2015, with bins of equal counts). Log loss: −Σ q(level) ln p(level),
q being people's ratings as shares.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kardia.agreement.bootstrap import Bootstrap, less
from kardia.agreement.figures import Figure as Measured
from kardia.agreement.figures import found_in
from kardia.agreement.kappa import cohen_kappa
from kardia.agreement.measure import Measure, Sums, ratio
from kardia.agreement.statistic import Statistic
from kardia.agreement.weights import Weights
from kardia.calibration.artifact import Bin, Change, Figures, figure
from kardia.calibration.cells import Cells
from kardia.judgment import Judgment

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

__all__ = ["BINS", "Measures", "change_of", "expected_error", "figures_of", "measures_of", "reliability"]

BINS = 10
A_BIN = 10
"""Replies in a bin, at least, while there is more than one."""
_DIGITS = 6
_NOTHING = "there is no reply with a label and a judgment"
_NO_INTERVAL = "there is no interval: to draw replies again adds chance to every bin, and it would lie too high"


@dataclass(frozen=True)
class Measures:
    """The figures of one criterion, made ready for intervals.

    Attributes:
        bins: the reliability, unrounded.
        brier, log_loss, kappa, bias: as `kardia.calibration.artifact.Figures` has them.
    """

    bins: list[Bin]
    brier: Measure
    log_loss: Measured
    kappa: Measure
    bias: Measure


def measures_of(cells: Cells, judgments: Sequence[Judgment]) -> Measures:
    """The figures of these judgments, one for each row of the cells."""
    import numpy as np

    value_N = np.asarray([judgment.value for judgment in judgments], dtype=np.float64)
    over_N = value_N - cells.people_N
    weights: Weights = "quadratic" if cells.scale.ordered else "identity"
    levels = [judgment.level for judgment in judgments]
    log_loss: Measured = "the judgments have a value and no probabilities"
    if all(judgment.probabilities is not None for judgment in judgments):
        shares = [[(judgment.probabilities or {})[level] for level in cells.scale.levels] for judgment in judgments]
        log_NL = np.log(np.maximum(np.asarray(shares, dtype=np.float64), 1e-6))
        log_loss = _mean(-(cells.target_NL * log_NL).sum(axis=1))
    return Measures(
        reliability(value_N, cells.people_N),
        _mean(over_N**2),
        log_loss,
        cohen_kappa(levels, cells.levels, cells.scale.levels, weights),
        _mean(over_N),
    )


def figures_of(found: Measures, bootstrap: Bootstrap | None) -> Figures:
    """The figures with their intervals."""
    n = sum(each.n for each in found.bins)
    error = expected_error(found.bins)
    return Figures(
        ece=figure(Statistic(error, None, None, n, _NOTHING if error is None else _NO_INTERVAL)),
        brier=figure(found_in(found.brier, bootstrap)),
        log_loss=figure(found_in(found.log_loss, bootstrap)),
        kappa=figure(found_in(found.kappa, bootstrap)),
        bias=figure(found_in(found.bias, bootstrap)),
        bins=[
            Bin(predicted=round(each.predicted, _DIGITS), observed=round(each.observed, _DIGITS), n=each.n)
            for each in found.bins
        ],
    )


def change_of(before: Measures, after: Measures, bootstrap: Bootstrap | None) -> Change:
    """After less before, each resample drawn for both."""

    def difference(new: Measure, old: Measure) -> Statistic:
        return less(new, old) if bootstrap is None else bootstrap.difference(new, old)

    return Change(
        brier=figure(difference(after.brier, before.brier)),
        kappa=figure(difference(after.kappa, before.kappa)),
        bias=figure(difference(after.bias, before.bias)),
    )


def reliability(value_N: Array, people_N: Array, bins: int = BINS) -> list[Bin]:
    """Bins of about as many replies, by value.

    Args:
        value_N: what the judge says, in [0, 1].
        people_N: what people say, in [0, 1].
        bins: at most so many; fewer where there are few replies, or few values.

    Returns:
        by value, from the least on; none where there is no reply.
    """
    import numpy as np

    n = len(value_N)
    wanted = max(1, min(bins, n // A_BIN))
    order_N = np.argsort(value_N, kind="stable")
    sorted_N = value_N[order_N]
    edges = [0]
    for number in range(1, wanted):
        edge = round(number * n / wanted)
        while 0 < edge < n and sorted_N[edge] - sorted_N[edge - 1] <= 1e-9:
            edge += 1
        if edges[-1] < edge < n:
            edges.append(edge)
    made: list[Bin] = []
    for start, end in zip(edges, [*edges[1:], n], strict=True):
        inside_N = order_N[start:end]
        if len(inside_N):
            predicted, observed = float(value_N[inside_N].mean()), float(people_N[inside_N].mean())
            made.append(Bin(predicted=_share(predicted), observed=_share(observed), n=len(inside_N)))
    return made


def expected_error(bins: Sequence[Bin]) -> float | None:
    """Σ n / N · |predicted − observed|, in [0, 1]; None where there is no reply."""
    total = sum(each.n for each in bins)
    return sum(each.n * abs(each.predicted - each.observed) for each in bins) / total if total else None


def _share(number: float) -> float:
    """A mean of shares, which rounding may have moved past an end."""
    return min(max(number, 0.0), 1.0)


def _mean(each_N: Array) -> Measure:
    import numpy as np

    return Sums(
        np.column_stack([each_N, np.ones(len(each_N))]),
        lambda sums_SD: ratio(sums_SD[:, 0], sums_SD[:, 1]),
        n=len(each_N),
        counts_U=np.ones(len(each_N), dtype=bool),
        why=_NOTHING,
    )
