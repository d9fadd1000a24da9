"""Whether a rubric's score is a weighted sum of logistic units, and which. Pure but for numpy.

A student's expected levels are sums of logistic units (see `kardia.student.ordinal`). Where the rubric's rule is linear
in the criteria's values — a weighted mean, also of included rubrics, without requirements, conditions, saturation,
interactions and shaping — its score is one too, and a network with one hidden layer computes it exactly.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kardia.model.reward import CardScore
from kardia.student.ordinal import Slot

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

__all__ = ["LogisticSum", "logistic_sum"]

_TRIALS = 300
_TOLERANCE = 1e-9


@dataclass(frozen=True)
class LogisticSum:
    """score = constant + Σ_o weights_O · σ(output_o / temperature_o).

    Attributes:
        weights_O: one for each of the student's outputs; 0 for those that do not count.
        exact: whether this is the score; else it is the nearest sum of the kind.
    """

    constant: float
    weights_O: Array
    exact: bool


def logistic_sum(score: CardScore, slots: Sequence[Slot]) -> LogisticSum:
    """The sum of logistic units that a rubric's score is, found by trying: least squares over random answers, of which
    every second is sure of one level each, so that requirements and conditions show."""
    import numpy as np

    random = np.random.default_rng(0)
    asked = {task.key for task in score.asked.values()}
    used = [slot for slot in slots if slot.task.key in asked]
    outputs = max(slot.place.stop for slot in slots)
    rows: list[Array] = []
    scores: list[float] = []
    for trial in range(_TRIALS + 2 * outputs):
        units_O = np.zeros(outputs)
        shares: dict[str, list[float]] = {}
        for slot in used:
            own = _answer(random, len(slot.task.levels), sure=trial % 2 == 0)
            shares[slot.task.key] = own.tolist()
            if slot.task.thresholds:
                units_O[slot.place] = 1.0 - np.cumsum(own)[:-1]
        rows.append(np.append(units_O, 1.0))
        scores.append(score(shares))
    matrix, wanted = np.stack(rows), np.asarray(scores)
    found, *_ = np.linalg.lstsq(matrix, wanted, rcond=None)
    off = float(np.abs(matrix @ found - wanted).max())
    return LogisticSum(float(found[-1]), found[:-1], off < _TOLERANCE and _even(found, used))


def _answer(random: np.random.Generator, levels: int, *, sure: bool) -> Array:
    import numpy as np

    if sure:
        own = np.zeros(levels)
        own[random.integers(levels)] = 1.0
        return own
    return np.asarray(random.dirichlet(np.full(levels, 0.5)))


def _even(found: Array, used: Sequence[Slot]) -> bool:
    """Whether every step of a scale counts alike: then the order of the thresholds, which is a matter of sorting, does
    not matter."""
    import numpy as np

    return all(float(np.ptp(found[slot.place])) < 1e-7 for slot in used if slot.task.thresholds)


def task_weights(sum_: LogisticSum, slots: Sequence[Slot]) -> Mapping[str, float]:
    """What each task counts, from its lowest level to its highest; for the card."""
    return {slot.task.key: float(sum_.weights_O[slot.place].sum()) for slot in slots}
