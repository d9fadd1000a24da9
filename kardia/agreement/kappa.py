"""Agreement on levels: how often raters agree, and how much more often than by chance.

Shares of agreement are means over units of Σ_k r_uk (r*_uk − 1) / (r_u (r_u − 1)), r_uk raters having given unit u the
level k, with r*_uk = Σ_l w_kl r_ul: the share of the unit's pairs of ratings that agree, partly where weights say so
(Fleiss 1971, P_i; Gwet 2014, chapter 3, p_a).

Cohen's κ = 1 − Σ v_ij p_ij / Σ v_ij p_i· p_·j, with v = 1 − w (Cohen 1960, equation 1; with weights Cohen 1968, κ_w).

Gwet's AC1 and, with weights, AC2 = (p_a − p_e) / (1 − p_e), p_a being the share above over the units with two ratings
or more, p_e = Σ_kl w_kl / (q (q − 1)) · Σ_k π_k (1 − π_k) for q levels, and π_k the mean over all rated units of
r_uk / r_u (Gwet 2008, γ_1, for two raters; Gwet 2014, chapters 2 and 3, for any number with missing ratings).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from kardia.agreement.measure import Measure, Sums, ratio
from kardia.agreement.ratings import Column, Level, Table, codes, paired
from kardia.agreement.weights import Weights, agreement_weights
from kardia.errors import InputError

if TYPE_CHECKING:
    from kardia.agreement.ratings import Array, Flags, Index

__all__ = ["cohen_kappa", "gwet", "shared"]


def cohen_kappa(first: Column, second: Column, levels: Sequence[Level], weights: Weights = "identity") -> Measure:
    """Cohen's κ of two raters, over the units that both rated.

    At most 1; 0 is what their base rates give by chance. Not defined where both give every unit one and the same level.

    Args:
        first, second: one rating a unit.
        levels: the whole scale, in its order; a level that nobody gave changes nothing.
        weights: identity for options and for plain κ; linear or quadratic for levels in an order.
    """
    import numpy as np

    code_UR = codes(paired(first, second), levels).reshape(-1, 2)
    apart_LL = 1.0 - agreement_weights(levels, weights)
    size = len(levels)
    both_U: Flags = np.asarray((code_UR >= 0).all(axis=1))
    cell_U = code_UR[:, 0] * size + code_UR[:, 1]
    parts_UD = np.zeros((len(code_UR), size * size))
    parts_UD[np.flatnonzero(both_U), cell_U[both_U]] = 1.0

    def of(sums_SD: Array) -> Array:
        counts_SLL = sums_SD.reshape(-1, size, size)
        n_S = sums_SD.sum(axis=1)
        observed_S = (counts_SLL * apart_LL).sum(axis=(1, 2))
        expected_S = ((counts_SLL.sum(axis=2) @ apart_LL) * counts_SLL.sum(axis=1)).sum(axis=1)
        return 1.0 - ratio(observed_S * n_S, expected_S)

    why = "there is no unit that both rated"
    if both_U.any():
        level = levels[int(code_UR[both_U][0, 0])]
        why = (
            f"both give every unit the level {level}: as there is nothing else to choose, chance explains all agreement"
        )
    return Sums(parts_UD, of, n=int(both_U.sum()), counts_U=both_U, why=why)


def gwet(table: Table, levels: Sequence[Level], weights: Weights = "identity") -> Measure:
    """Gwet's AC1 (identity weights) or AC2 of any number of raters, with missing ratings.

    At most 1. Unlike κ it stays high where nearly all units have one level and raters agree on it.

    Args:
        table: units × raters.
        levels: the whole scale, in its order. A level that nobody gave counts: chance has more to choose from.
        weights: identity for options; linear or quadratic for levels in an order.
    """
    import numpy as np

    counts_UL, agreeing_U, pairs_U = _pairs(codes(table, levels), agreement_weights(levels, weights))
    size = len(levels)
    rated_U = counts_UL.sum(axis=1)
    chance = float(agreement_weights(levels, weights).sum()) / (size * (size - 1)) if size > 1 else np.nan
    shares_UL = counts_UL / np.maximum(rated_U, 1)[:, None]
    parts_UD = np.column_stack([agreeing_U, pairs_U, rated_U > 0, shares_UL]).astype(np.float64)

    def of(sums_SD: Array) -> Array:
        observed_S = ratio(sums_SD[:, 0], sums_SD[:, 1])
        pi_SL = sums_SD[:, 3:] / np.maximum(sums_SD[:, 2], 1)[:, None]
        expected_S = chance * (pi_SL * (1.0 - pi_SL)).sum(axis=1)
        return ratio(observed_S - expected_S, 1.0 - expected_S)

    why = "no unit has two ratings to compare" if size > 1 else "the scale has one level: there is nothing to agree on"
    return Sums(parts_UD, of, n=int(pairs_U.sum()), counts_U=rated_U > 0, why=why)


def shared(table: Table, levels: Sequence[Level], *, within: int = 0, of: Literal["pairs", "all"] = "pairs") -> Measure:
    """How often ratings of a unit are the same level, or no more than `within` places of the scale apart.

    Args:
        table: units × raters; units with fewer than two ratings do not count.
        levels: the whole scale, in its order.
        within: 0: exact agreement. 1: the same level or a neighbouring one.
        of: the mean share of a unit's `pairs` of ratings, or the share of units on which `all` ratings are so near.
            With two raters both are the same.

    Raises:
        InputError: for `within` below 0, and as `codes` does.
    """
    import numpy as np

    if within < 0:
        raise InputError(f"levels are 0 or more places apart, not {within}")
    code_UR = codes(table, levels)
    place_L = np.arange(len(levels))
    near_LL = (np.abs(place_L[:, None] - place_L[None, :]) <= within).astype(np.float64)
    counts_UL, agreeing_U, pairs_U = _pairs(code_UR, near_LL)
    if of == "all":
        given_UL = counts_UL > 0
        lowest_U, highest_U = given_UL.argmax(axis=1), len(levels) - 1 - given_UL[:, ::-1].argmax(axis=1)
        agreeing_U = pairs_U * (highest_U - lowest_U <= within)
    return Sums(
        np.column_stack([agreeing_U, pairs_U]),
        lambda sums_SD: ratio(sums_SD[:, 0], sums_SD[:, 1]),
        n=int(pairs_U.sum()),
        counts_U=pairs_U > 0,
        why="no unit has two ratings to compare",
    )


def _pairs(code_UR: Index, weights_LL: Array) -> tuple[Array, Array, Array]:
    """How many raters gave each unit each level, (U, L); the share of its pairs that agree, (U,), 0 where it has none;
    and whether it has a pair, (U,), 0 or 1."""
    import numpy as np

    counts_UL = (code_UR[:, :, None] == np.arange(len(weights_LL))).sum(axis=1).astype(np.float64)
    rated_U = counts_UL.sum(axis=1)
    agreeing_U = (counts_UL * (counts_UL @ weights_LL - 1.0)).sum(axis=1)
    pairs_U = rated_U * (rated_U - 1.0)
    return counts_UL, agreeing_U / np.maximum(pairs_U, 1.0), (rated_U > 1).astype(np.float64)
