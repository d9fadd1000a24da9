"""The temperature of a task: one number that makes its probabilities right on a part that it was not trained on.

Temperature scaling (Guo, Pleiss, Sun and Weinberger 2017, "On calibration of modern neural networks"): the outputs are
divided by T, which does not change their order. A weak pull towards T = 1, which few labels do not outweigh and many
do, is kardia's own.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from kardia.errors import MissingExtra
from kardia.student.ordinal import probabilities
from kardia.student.tasks import Task

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

__all__ = ["MIN_LABELS", "fit_temperature"]

MIN_LABELS = 20
"""With fewer labels the temperature stays 1: it would be a guess."""
_PULL = 4.0
"""Nats that a temperature of e or 1/e costs, beside those of the labels."""
_BOUNDS = (math.log(0.2), math.log(5.0))


def fit_temperature(task: Task, logits_NO: Array, targets_NL: Array) -> float:
    """The temperature in [0.2, 5] of the least cross-entropy, pulled towards 1.

    Args:
        logits_NO: the task's outputs on the held-out part.
        targets_NL: distributions over its levels.

    Raises:
        MissingExtra: where scipy is not installed.
    """
    if len(targets_NL) < MIN_LABELS:
        return 1.0
    import numpy as np

    try:
        from scipy.optimize import minimize_scalar
    except ImportError:
        raise MissingExtra("local", "fitting a temperature") from None

    def loss(log_temperature: float) -> float:
        shares_NL = probabilities(task, logits_NO, math.exp(log_temperature))
        summed = -(targets_NL * np.log(np.maximum(shares_NL, 1e-6))).sum()
        return float(summed + _PULL * log_temperature**2) / len(targets_NL)

    found = minimize_scalar(loss, bounds=_BOUNDS, method="bounded", options={"xatol": 1e-3})
    # kept where it is no better than leaving the outputs as they are: bounds can be local
    return round(math.exp(float(found.x)), 4) if found.fun < loss(0.0) else 1.0
