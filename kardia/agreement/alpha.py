"""Krippendorff's α: agreement of any number of raters, with missing ratings, by what differences mean.

α = 1 − D_o / D_e = 1 − (n − 1) Σ_ck o_ck δ²_ck / Σ_ck n_c n_k δ²_ck over coincidences o_ck: each of a unit's
m_u (m_u − 1) ordered pairs of ratings counts 1 / (m_u − 1), a unit with one rating counts for nothing, n_c = Σ_k o_ck
and n = Σ_c n_c (Krippendorff 2011, sections A to E; 2018, chapter 12).

δ²_ck is [c ≠ k] for nominal ratings and (c − k)² for interval ones. For ordinal ones it is
(Σ_{g from c to k} n_g − (n_c + n_k) / 2)², the squared difference of the mid-ranks of c and k among all n ratings:
ordinal α is interval α of mid-ranks. In this form D_o and D_e need no table of coincidences: a unit adds
2 m_u Σ (x − x̄_u)² / (m_u − 1) to the one, and 2 n Σ (x − x̄)² is the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, get_args

from kardia.agreement.measure import FEW, Measure, Sums, Weighed, centred_square, one_hot, ratio
from kardia.agreement.ratings import Level, Table, codes, numbers, positions
from kardia.errors import InputError

if TYPE_CHECKING:
    from kardia.agreement.ratings import Array, Flags

__all__ = ["Metric", "alpha"]

Metric = Literal["nominal", "ordinal", "interval"]


def alpha(table: Table, metric: Metric, levels: Sequence[Level] | None = None) -> Measure:
    """Krippendorff's α.

    At most 1; 0 is chance. Not defined where all ratings that can be compared are the same: then nothing shows that
    raters can tell units apart.

    Args:
        table: units × raters.
        metric: what a difference means: `nominal`, any other level is as wrong; `ordinal`, by how many ratings lie in
            between; `interval`, by the numbers.
        levels: the scale in its order. Needed for ordinal and interval α of levels that are no numbers, which then
            stand for their places; numbers need none.

    Raises:
        InputError: for other metrics than these three, for a rating that is no level, or no number where there are no
            levels.
    """
    import numpy as np

    if metric not in get_args(Metric):
        raise InputError(f"α is nominal, ordinal or interval, not {metric!r}")
    if levels is not None:
        code_UR = codes(table, levels)
        x_UR = np.where(code_UR >= 0, positions(levels)[code_UR], np.nan)
    elif metric == "nominal":
        # in the order of appearance: options of different types do not sort
        seen = dict.fromkeys(rating for row in table for rating in row if rating is not None)
        code_UR = codes(table, list(seen) or [0])
        x_UR = np.where(code_UR >= 0, code_UR, np.nan).astype(np.float64)
    else:
        x_UR = numbers(table)
    said_UR = ~np.isnan(x_UR)
    counts_U = said_UR.sum(axis=1) > 1
    said_UR &= counts_U[:, None]
    n = int(counts_U.sum())
    why = (
        "all ratings that can be compared are the same: nothing shows that these raters tell units apart"
        if n
        else "no unit has two ratings to compare"
    )
    if metric == "nominal":
        return Sums(_nominal_parts(x_UR, said_UR), _nominal, n=n, counts_U=counts_U, why=why)
    if metric == "interval":
        middle = float(x_UR[said_UR].mean()) if n else 0.0
        return Sums(_interval_parts(x_UR - middle, said_UR), _interval, n=n, counts_U=counts_U, why=why)
    few = _FewOrdinal(x_UR, said_UR)
    if few.is_small:
        return Sums(few.parts_UP, few, n=n, counts_U=counts_U, why=why)
    return Weighed(_Ordinal(x_UR, said_UR), n=n, counts_U=counts_U, why=why)


def _nominal_parts(x_UR: Array, said_UR: Flags) -> Array:
    """Disagreement of each unit, then how often it has each level: (U, 1 + levels)."""
    import numpy as np

    levels_V = np.unique(x_UR[said_UR])
    counts_UV = ((x_UR[:, :, None] == levels_V) & said_UR[:, :, None]).sum(axis=1).astype(np.float64)
    m_U = counts_UV.sum(axis=1)
    apart_U = (m_U**2 - (counts_UV**2).sum(axis=1)) / np.maximum(m_U - 1.0, 1.0)
    return np.column_stack([apart_U, counts_UV])


def _nominal(sums_SD: Array) -> Array:
    n_S = sums_SD[:, 1:].sum(axis=1)
    expected_S = n_S**2 - (sums_SD[:, 1:] ** 2).sum(axis=1)
    return 1.0 - ratio((n_S - 1.0) * sums_SD[:, 0], expected_S)


def _interval_parts(x_UR: Array, said_UR: Flags) -> Array:
    """Disagreement of each unit, how many ratings it has, their sum and the sum of their squares: (U, 4)."""
    import numpy as np

    x_UR = np.where(said_UR, x_UR, 0.0)
    return np.column_stack([_within(x_UR, said_UR), said_UR.sum(axis=1), x_UR.sum(axis=1), (x_UR**2).sum(axis=1)])


def _interval(sums_SD: Array) -> Array:
    apart_S, n_S, sum_S, squares_S = sums_SD.T
    return 1.0 - ratio((n_S - 1.0) * apart_S, 2.0 * n_S * centred_square(squares_S, sum_S, n_S))


def _within(x_UR: Array, said_UR: Flags) -> Array:
    """2 m Σ (x − x̄)² / (m − 1) of each unit, (U,); x is 0 where nothing was said."""
    import numpy as np

    m_U = said_UR.sum(axis=1)
    mean_U = x_UR.sum(axis=1) / np.maximum(m_U, 1)
    squares_U = (np.where(said_UR, x_UR - mean_U[:, None], 0.0) ** 2).sum(axis=1)
    return np.asarray(2.0 * m_U * squares_U / np.maximum(m_U - 1.0, 1.0), dtype=np.float64)


class _FewOrdinal:
    """Ordinal α where few different things are said of units: of many resamples at once, by how often each is there.
    In which order raters stand makes no difference."""

    def __init__(self, x_UR: Array, said_UR: Flags) -> None:
        import numpy as np

        self.is_small = False
        levels_V = np.unique(x_UR[said_UR])
        counts_UV = ((x_UR[:, :, None] == levels_V) & said_UR[:, :, None]).sum(axis=1).astype(np.float64)
        said_U = counts_UV.sum(axis=1) > 0
        self._counts_PV, pattern_N = np.unique(counts_UV[said_U], axis=0, return_inverse=True)
        if not 0 < len(self._counts_PV) <= FEW:
            return
        self.is_small = True
        pattern_U = np.full(len(x_UR), -1, dtype=np.int64)
        pattern_U[said_U] = pattern_N.reshape(-1)
        self.parts_UP = one_hot(pattern_U, len(self._counts_PV))

    def __call__(self, sums_SD: Array) -> Array:
        import numpy as np

        counts_SV = sums_SD @ self._counts_PV
        n_S = counts_SV.sum(axis=1)
        # from the middle: a sum of squares of numbers near 0 keeps its digits
        rank_SV = np.cumsum(counts_SV, axis=1) - counts_SV / 2.0 - n_S[:, None] / 2.0
        m_P = self._counts_PV.sum(axis=1)
        mean_SP = rank_SV @ self._counts_PV.T / m_P
        apart_S = np.zeros(len(sums_SD))
        for level in range(self._counts_PV.shape[1]):
            square_SP = (rank_SV[:, level, None] - mean_SP) ** 2
            apart_S += (sums_SD * square_SP) @ (2.0 * m_P / (m_P - 1.0) * self._counts_PV[:, level])
        expected_S = 2.0 * n_S * (counts_SV * rank_SV**2).sum(axis=1)
        expected_S = np.where((counts_SV > 0).sum(axis=1) < 2, 0.0, expected_S)
        return 1.0 - ratio((n_S - 1.0) * apart_S, expected_S)


class _Ordinal:
    """Ordinal α by how often each unit is there: mid-ranks are those of the ratings that are."""

    def __init__(self, x_UR: Array, said_UR: Flags) -> None:
        import numpy as np

        self._said_UR = said_UR
        self._unit_P, self._rater_P = np.nonzero(said_UR)
        _, self._code_P = np.unique(x_UR[said_UR], return_inverse=True)
        self._size = int(self._code_P.max()) + 1 if len(self._code_P) else 0

    def __call__(self, times_U: Array) -> float:
        import numpy as np

        times_P = times_U[self._unit_P]
        counts_V = np.bincount(self._code_P, times_P, minlength=self._size)
        rank_V = np.cumsum(counts_V) - counts_V / 2.0
        if (counts_V > 0).sum() < 2:
            return float("nan")
        n = counts_V.sum()
        rank_UR = np.zeros(self._said_UR.shape)
        # from the middle: a sum of squares of numbers near 0 keeps its digits
        rank_UR[self._unit_P, self._rater_P] = rank_V[self._code_P] - n / 2.0
        apart = float(times_U @ _within(rank_UR, self._said_UR))
        expected = 2.0 * n * float(counts_V @ (rank_V - n / 2.0) ** 2)
        return float(1.0 - (n - 1.0) * apart / expected)
