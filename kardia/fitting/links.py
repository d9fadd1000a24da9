"""The cumulative link: one number η and rising thresholds → a distribution over ordered ratings (McCullagh 1980).

P(rating ≤ k) = σ(θ_k − η). Thresholds are searched as θ_1 and the logarithms of the steps between them, so that every
set of numbers gives rising ones.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]
    Index = NDArray[np.int64]

__all__ = ["as_free", "as_thresholds", "expected", "free_gradient", "gathered", "log_loss", "start"]

TINY = 1e-300


def as_thresholds(free_T: Array) -> Array:
    """θ_1 and log-steps → rising thresholds."""
    import numpy as np

    return np.concatenate([free_T[:1], free_T[0] + np.cumsum(np.exp(free_T[1:]))])


def as_free(thresholds_T: Array) -> Array:
    """The inverse of `as_thresholds`."""
    import numpy as np

    return np.concatenate([thresholds_T[:1], np.log(np.maximum(np.diff(thresholds_T), 1e-6))])


def free_gradient(free_T: Array, by_thresholds_T: Array) -> Array:
    """The gradient by the free numbers, from that by the thresholds."""
    import numpy as np

    tail_T = np.cumsum(by_thresholds_T[::-1])[::-1]
    return np.concatenate([tail_T[:1], tail_T[1:] * np.exp(free_T[1:])])


def start(level_N: Index, levels: int) -> Array:
    """Thresholds that give every level its share among the rows, half a row added to each."""
    import numpy as np

    counts_L = np.bincount(level_N, minlength=levels) + 0.5
    below_T = np.cumsum(counts_L)[:-1] / counts_L.sum()
    return np.asarray(np.log(below_T / (1 - below_T)), dtype=np.float64)


def log_loss(eta_N: Array, thresholds_T: Array, level_N: Index) -> tuple[Array, Array, Array, Array]:
    """−ln P(level) of each row, and its derivatives.

    Args:
        eta_N: (N,).
        thresholds_T: (T,), rising.
        level_N: the observed level of each row, from 0 to T.

    Returns:
        losses (N,); their derivatives by η (N,), by the threshold above the level (N,) and by that below it (N,), each
        0 where there is none.
    """
    import numpy as np
    from scipy.special import expit

    padded = np.concatenate([[-np.inf], thresholds_T, [np.inf]])
    above_N, below_N = expit(padded[level_N + 1] - eta_N), expit(padded[level_N] - eta_N)
    p_N = np.maximum(above_N - below_N, TINY)
    by_above_N, by_below_N = -above_N * (1 - above_N) / p_N, below_N * (1 - below_N) / p_N
    return -np.log(p_N), 1 - above_N - below_N, by_above_N, by_below_N


def gathered(by_above_N: Array, by_below_N: Array, level_N: Index, thresholds: int) -> Array:
    """The gradient by each threshold, (T,), from those by the two around each row's level."""
    import numpy as np

    sums = np.bincount(level_N + 1, by_above_N, thresholds + 2) + np.bincount(level_N, by_below_N, thresholds + 2)
    return np.asarray(sums[1:-1], dtype=np.float64)


def expected(eta_N: Array, thresholds_T: Array, ratings_L: Array) -> Array:
    """The expected rating of each row, (N,)."""
    import numpy as np
    from scipy.special import expit

    above_NT = expit(eta_N[:, None] - thresholds_T)
    return np.asarray(ratings_L[0] + above_NT @ np.diff(ratings_L), dtype=np.float64)
