"""How far two raters' numbers go together, and how far apart they are.

With S_xy = Σ (x − x̄)(y − ȳ): Pearson's r = S_xy / √(S_xx S_yy) (Pearson 1896). Spearman's ρ is r of mid-ranks (Spearman
1904; with ties Kendall 1948, chapter 3). Kendall's τ-b = (C − D) / √((n₀ − n₁)(n₀ − n₂)), of n₀ pairs of units C that
both rank alike, D contrariwise, n₁ and n₂ tied by the one and by the other (Kendall 1945). Lin's concordance
ρ_c = 2 S_xy / (S_xx + S_yy + n (x̄ − ȳ)²) is quadratic κ of numbers (Lin 1989; Krippendorff 1970).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from kardia.agreement.measure import FEW, Measure, Sums, Weighed, centred_square, one_hot, ratio
from kardia.agreement.ratings import Column, numbers, paired

if TYPE_CHECKING:
    from kardia.agreement.ratings import Array, Flags, Index

__all__ = ["bias", "concordance", "kendall", "pearson", "spearman"]

_CELLS = 65_536
"""A table of so many cells is counted faster than pairs are sorted."""

Names = tuple[str, str]
_NAMES: Names = ("the first of both", "the second of both")


def pearson(first: Column, second: Column, *, names: Names = _NAMES) -> Measure:
    """Pearson's correlation in [−1, 1], over the units with both numbers. Not defined where one of them is constant.

    Args:
        first, second: one number a unit.
        names: what the two are called where one of them is constant.

    Raises:
        InputError: for ratings that are no numbers; so do the others here.
    """
    return _moments(first, second, _pearson, names)


def concordance(first: Column, second: Column) -> Measure:
    """Lin's concordance in [−1, 1]: Pearson's correlation, less what differences of mean and spread cost agreement.

    Of levels in equal steps it is quadratically weighted κ; it takes numbers in between as well, such as the mean of
    several people. Not defined where both are one and the same constant.
    """
    return _moments(first, second, _concordance, None)


def bias(first: Column, second: Column) -> Measure:
    """The mean of first − second: above 0 where the first rates higher (Bland and Altman 1986)."""
    import numpy as np

    x_U, y_U, both_U = _columns(first, second)
    return Sums(
        np.column_stack([x_U - y_U, both_U]).astype(np.float64),
        lambda sums_SD: ratio(sums_SD[:, 0], sums_SD[:, 1]),
        n=int(both_U.sum()),
        counts_U=both_U,
        why="there is no unit that both rated",
    )


def spearman(first: Column, second: Column, *, names: Names = _NAMES) -> Measure:
    """Spearman's rank correlation in [−1, 1], ties with their mean rank. Not defined where one of both is constant.

    Args:
        first, second, names: as in `pearson`.
    """
    import numpy as np

    x_U, y_U, both_U = _columns(first, second)
    x_N, y_N = _coded(x_U[both_U]), _coded(y_U[both_U])

    def of(times_U: Array) -> float:
        times_N = times_U[both_U]
        x_ranks, y_ranks = _ranks(x_N, times_N), _ranks(y_N, times_N)
        across = float(times_N @ x_ranks**2) * float(times_N @ y_ranks**2)
        if not across:
            return float("nan")
        return float(np.clip(float(times_N @ (x_ranks * y_ranks)) / np.sqrt(across), -1.0, 1.0))

    why = _why(x_U, y_U, both_U, names)
    table = _Table(x_N, y_N)
    if table.is_small:
        return Sums(table.parts(both_U), table.spearman, n=int(both_U.sum()), counts_U=both_U, why=why)
    return Weighed(of, n=int(both_U.sum()), counts_U=both_U, why=why)


def kendall(first: Column, second: Column, *, names: Names = _NAMES) -> Measure:
    """Kendall's τ-b in [−1, 1]. Not defined where one of both is constant.

    Args:
        first, second, names: as in `pearson`.
    """
    import numpy as np

    x_U, y_U, both_U = _columns(first, second)
    x_N, y_N = _coded(x_U[both_U]), _coded(y_U[both_U])
    wide, high = (int(code_N.max(initial=-1)) + 1 for code_N in (x_N, y_N))
    cell_N = x_N * high + y_N

    def of_table(times_U: Array) -> float:
        counts = np.bincount(cell_N, times_U[both_U], minlength=wide * high).astype(np.float64)
        return _tau(counts.reshape(wide, high))

    def of_pairs(times_U: Array) -> float:
        from scipy.stats import kendalltau

        row_N = np.repeat(np.arange(len(x_N)), times_U[both_U].astype(np.int64))
        one_N, other_N = x_N[row_N], y_N[row_N]
        if len(row_N) < 2 or not np.ptp(one_N) or not np.ptp(other_N):
            return float("nan")
        return float(kendalltau(one_N, other_N, variant="b").statistic)

    why = _why(x_U, y_U, both_U, names)
    table = _Table(x_N, y_N)
    if table.is_small:
        return Sums(table.parts(both_U), table.kendall, n=int(both_U.sum()), counts_U=both_U, why=why)
    of: Callable[[Array], float] = of_table if wide * high <= _CELLS + 16 * len(x_N) else of_pairs
    return Weighed(of, n=int(both_U.sum()), counts_U=both_U, why=why)


class _Table:
    """The table of two columns of few different numbers: rank correlations of many resamples at once.

    Args:
        x_N, y_N: places of the numbers, from 0, of the units that have both.
    """

    def __init__(self, x_N: Index, y_N: Index) -> None:
        self._wide, self._high = (int(code_N.max(initial=-1)) + 1 for code_N in (x_N, y_N))
        self._cell_N = x_N * self._high + y_N
        self.is_small = 0 < self._wide * self._high <= FEW

    def parts(self, both_U: Flags) -> Array:
        """The cell of each unit, one-hot, (U, cells)."""
        import numpy as np

        cell_U = np.full(len(both_U), -1, dtype=np.int64)
        cell_U[both_U] = self._cell_N
        return one_hot(cell_U, self._wide * self._high)

    def spearman(self, sums_SD: Array) -> Array:
        import numpy as np

        counts_SKL = sums_SD.reshape(-1, self._wide, self._high)
        x_SK, y_SL = counts_SKL.sum(axis=2), counts_SKL.sum(axis=1)
        a_SK, b_SL = _centred_ranks(x_SK), _centred_ranks(y_SL)
        across_S = (x_SK * a_SK**2).sum(axis=1) * (y_SL * b_SL**2).sum(axis=1)
        together_S = ((counts_SKL @ b_SL[:, :, None])[:, :, 0] * a_SK).sum(axis=1)
        return np.asarray(np.clip(ratio(together_S, np.sqrt(across_S)), -1.0, 1.0), dtype=np.float64)

    def kendall(self, sums_SD: Array) -> Array:
        import numpy as np

        counts_SKL = sums_SD.reshape(-1, self._wide, self._high)
        n_S = sums_SD.sum(axis=1)
        one_S, other_S = ((n_S**2 - (counts_SKL.sum(axis=axis) ** 2).sum(axis=1)) / 2.0 for axis in (2, 1))
        below_SKL = np.zeros_like(counts_SKL)
        below_SKL[:, :-1] = np.cumsum(counts_SKL[:, :0:-1], axis=1)[:, ::-1]
        upto_SKL = np.cumsum(below_SKL, axis=2)
        apart_SKL = upto_SKL[:, :, -1:] - 2.0 * upto_SKL + below_SKL
        together_S = (counts_SKL * apart_SKL).sum(axis=(1, 2))
        return np.asarray(np.clip(ratio(together_S, np.sqrt(one_S) * np.sqrt(other_S)), -1.0, 1.0), dtype=np.float64)


def _centred_ranks(counts_SV: Array) -> Array:
    """The mid-rank of each value, less their mean, (S, V)."""
    import numpy as np

    ranks_SV = np.cumsum(counts_SV, axis=1) - counts_SV / 2.0
    return np.asarray(ranks_SV - counts_SV.sum(axis=1, keepdims=True) / 2.0, dtype=np.float64)


def _tau(counts_KL: Array) -> float:
    """τ-b of a table of counts."""
    import numpy as np

    n_K, n_L, n = counts_KL.sum(axis=1), counts_KL.sum(axis=0), counts_KL.sum()
    pairs, one, other = (float((n**2 - squares) / 2.0) for squares in (n, (n_K**2).sum(), (n_L**2).sum()))
    if pairs <= 0 or one <= 0 or other <= 0:
        return float("nan")
    # rows below, then columns to the right and to the left of each cell
    below_KL = np.zeros_like(counts_KL)
    below_KL[:-1] = np.cumsum(counts_KL[:0:-1], axis=0)[::-1]
    upto_KL = np.cumsum(below_KL, axis=1)
    right_KL, left_KL = upto_KL[:, -1:] - upto_KL, upto_KL - below_KL
    return min(max(float((counts_KL * (right_KL - left_KL)).sum() / np.sqrt(one) / np.sqrt(other)), -1.0), 1.0)


def _columns(first: Column, second: Column) -> tuple[Array, Array, Flags]:
    """Both columns, 0 where one of them is missing, and where neither is."""
    import numpy as np

    x_U2 = numbers(paired(first, second)).reshape(-1, 2)
    both_U: Flags = np.asarray(~np.isnan(x_U2).any(axis=1))
    x_U2 = np.where(both_U[:, None], x_U2, 0.0)
    return x_U2[:, 0], x_U2[:, 1], both_U


def _why(x_U: Array, y_U: Array, both_U: Flags, names: Names | None) -> str:
    """Why there is no value. Without names it takes both to be constant, and equal; else one of them is enough."""
    import numpy as np

    if both_U.sum() < 2:
        return "there are fewer than two units that both rated"
    if names is None:
        return "both give every unit one and the same number"
    constant = [name for name, one_U in zip(names, (x_U, y_U), strict=True) if not np.ptp(one_U[both_U])]
    if len(constant) > 1:
        return "each of both gives every unit the same number"
    return f"{constant[0]} gives every unit the same number" if constant else "the numbers do not differ"


def _moments(first: Column, second: Column, of: Callable[[Array], Array], names: Names | None) -> Measure:
    import numpy as np

    x_U, y_U, both_U = _columns(first, second)
    if both_U.any():  # shifted alike: squares of numbers near 0 keep their digits
        middle = (x_U[both_U].mean() + y_U[both_U].mean()) / 2.0
        x_U, y_U = np.where(both_U, x_U - middle, 0.0), np.where(both_U, y_U - middle, 0.0)
    parts_UD = np.column_stack([both_U, x_U, y_U, x_U**2, y_U**2, x_U * y_U]).astype(np.float64)
    return Sums(parts_UD, of, n=int(both_U.sum()), counts_U=both_U, why=_why(x_U, y_U, both_U, names))


def _centred(sums_SD: Array) -> tuple[Array, Array, Array]:
    """S_xx, S_yy and S_xy; 0 where there is no unit."""
    import numpy as np

    n_S, x_S, y_S, xx_S, yy_S, xy_S = sums_SD.T
    across_S = xy_S - np.divide(x_S * y_S, n_S, out=np.zeros_like(n_S), where=n_S > 0)
    xx_S, yy_S = centred_square(xx_S, x_S, n_S), centred_square(yy_S, y_S, n_S)
    # what is constant goes together with nothing: what rounding leaves would be told as −0.00
    return xx_S, yy_S, np.where((xx_S > 0) & (yy_S > 0), across_S, 0.0)


def _pearson(sums_SD: Array) -> Array:
    import numpy as np

    xx_S, yy_S, xy_S = _centred(sums_SD)
    return np.asarray(np.clip(ratio(xy_S, np.sqrt(xx_S) * np.sqrt(yy_S)), -1.0, 1.0), dtype=np.float64)


def _concordance(sums_SD: Array) -> Array:
    import numpy as np

    xx_S, yy_S, xy_S = _centred(sums_SD)
    n_S = sums_SD[:, 0]
    shift_S = np.divide((sums_SD[:, 1] - sums_SD[:, 2]) ** 2, n_S, out=np.zeros_like(n_S), where=n_S > 0)
    found_S = np.clip(ratio(2.0 * xy_S, xx_S + yy_S + shift_S), -1.0, 1.0)
    return np.asarray(np.where(n_S > 1, found_S, np.nan), dtype=np.float64)


def _coded(x_N: Array) -> Index:
    import numpy as np

    return np.asarray(np.unique(x_N, return_inverse=True)[1], dtype=np.int64)


def _ranks(code_N: Index, times_N: Array) -> Array:
    """Mid-ranks among units that are there so often, their mean taken off."""
    import numpy as np

    counts_V = np.bincount(code_N, times_N, minlength=1)
    rank_V = np.cumsum(counts_V) - counts_V / 2.0 - counts_V.sum() / 2.0
    return np.asarray(rank_V[code_N], dtype=np.float64)
