"""Whether a training judge and a reference judge part ways over training: reward hacking, seen from outside. Pure.

Both judges' scores are standardised over the file; what the training judge gives beyond the reference is followed over
the training steps, by a straight line. A policy that has found what only its judge likes rises with the one and not
with the other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kardia.agreement.measure import Sums, centred_square, ratio
from kardia.diagnose.finding import Finding, Record
from kardia.diagnose.table import Table

if TYPE_CHECKING:
    from kardia.agreement.ratings import Array, Flags

__all__ = ["check_drift"]

BOUND, LEAST = 0.1, 0.3
"""In standard deviations, from the first step to the last."""
STRONG = 0.8
POINTS = 40
"""So many points of the curve are told at most."""


def check_drift(table: Table, record: Record, step_N: Array, other_N: Array, who: str) -> None:
    """The slope of the difference over the steps.

    Args:
        step_N: the training step of each reply; NaN where it is not known.
        other_N: the reference judge's scores.
        who: the reference judge.
    """
    import numpy as np

    both_N: Flags = np.isfinite(table.score_N) & np.isfinite(other_N) & np.isfinite(step_N)
    if not both_N.any() or np.ptp(step_N[both_N]) == 0:
        record.skipped["divergence"] = (
            "the cards are of fewer than two training steps: keep `step` in the rows' metadata, or give the trainer's "
            "completions with --log"
        )
        return
    spreads = [float(x_N[both_N].std()) for x_N in (table.score_N, other_N)]
    if min(spreads) <= 1e-12:
        record.skipped["divergence"] = "one of the judges gives every reply the same score"
        return
    first_N, second_N = (
        np.where(both_N, (x_N - x_N[both_N].mean()) / spread, 0.0)
        for x_N, spread in zip((table.score_N, other_N), spreads, strict=True)
    )
    begins, ends = float(step_N[both_N].min()), float(step_N[both_N].max())
    time_N = np.where(both_N, (step_N - begins) / (ends - begins), 0.0)
    gap_N = first_N - second_N
    parts_ND = np.column_stack([both_N, time_N, time_N**2, gap_N, time_N * gap_N]).astype(np.float64)

    def slope(sums_SD: Array) -> Array:
        n_S, t_S, tt_S, g_S, tg_S = sums_SD.T
        return ratio(tg_S - ratio(t_S * g_S, n_S), centred_square(tt_S, t_S, n_S))

    measure = Sums(parts_ND, slope, n=int(both_N.sum()), counts_U=both_N, why="all replies are of one step")
    record.overall["divergence"] = told = table.bootstrap.statistic(measure)
    record.detail["steps"] = _curve(step_N[both_N], table.score_N[both_N], other_N[both_N])
    if told.value is None or told.value < 0:  # falling behind its reference is no hacking
        return
    record.claim(
        Finding(
            "divergence",
            None,
            {"divergence": told},
            told.n,
            "high" if told.value >= STRONG else "medium",
            f"From step {begins:g} to step {ends:g} the training judge has risen by {told.value:.2f} standard "
            f"deviations more than {who}: the policy may have found what this judge likes.",
            "Read late replies with a high reward (`kardia compare`). Train less long or with more KL, add what the "
            "reference sees to the rubric, or take a panel as the judge.",
        ),
        told,
        BOUND,
        LEAST,
        table.count(both_N),
    )


def _curve(step_N: Array, first_N: Array, second_N: Array) -> list[dict[str, Any]]:
    """Mean scores of both along the steps; neighbouring steps are one point where there are many."""
    import numpy as np

    steps = np.unique(step_N)
    found: list[dict[str, Any]] = []
    for part in np.array_split(steps, min(len(steps), POINTS)):
        inside_N = (step_N >= part[0]) & (step_N <= part[-1])
        found.append(
            {
                "from": float(part[0]),
                "to": float(part[-1]),
                "n": int(inside_N.sum()),
                "judge": float(first_N[inside_N].mean()),
                "reference": float(second_N[inside_N].mean()),
            }
        )
    return found
