"""How far two levels agree: 1 where they are the same, 0 where they could not be further apart.

Identity: [i = j]. Linear: 1 − |x_i − x_j| / (x_max − x_min). Quadratic: 1 − (x_i − x_j)² / (x_max − x_min)² (Cohen
1968; Gwet 2014, chapter 3). x is the level itself where levels are numbers, else its place.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, get_args

from kardia.agreement.ratings import Level, positions
from kardia.errors import InputError

if TYPE_CHECKING:
    from kardia.agreement.ratings import Array

__all__ = ["Weights", "agreement_weights"]

Weights = Literal["identity", "linear", "quadratic"]


def agreement_weights(levels: Sequence[Level], kind: Weights) -> Array:
    """The weights of all pairs of levels, (L, L), in [0, 1].

    Raises:
        InputError: for other weights than these three, and for a scale that is none.
    """
    import numpy as np

    if kind not in get_args(Weights):
        raise InputError(f"weights are identity, linear or quadratic, not {kind!r}")
    x_L = positions(levels)
    if kind == "identity" or len(x_L) == 1:
        return np.eye(len(x_L))
    distance_LL = np.abs(x_L[:, None] - x_L[None, :]) / np.ptp(x_L)
    return np.asarray(1.0 - (distance_LL if kind == "linear" else distance_LL**2), dtype=np.float64)
