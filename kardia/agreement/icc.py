"""Intraclass correlations of raters who all rated the same units, with their F-based intervals.

From the two-way analysis of variance of n units by k raters, with mean squares between units (BMS), between raters
(JMS) and of what remains (EMS):

    ICC(2,1) = (BMS − EMS) / (BMS + (k − 1) EMS + k (JMS − EMS) / n)    one rater, of a population of raters: agreement
    ICC(3,1) = (BMS − EMS) / (BMS + (k − 1) EMS)                        one of these raters: consistency
    ICC(2,k) = (BMS − EMS) / (BMS + (JMS − EMS) / n)                    the mean of k raters: agreement
    ICC(3,k) = (BMS − EMS) / BMS                                        the mean of these raters: consistency

(Shrout and Fleiss 1979, pages 423 to 426; McGraw and Wong 1996 call 2 "A" and 3 "C"). Intervals: for 3 by F = BMS / EMS
with (n − 1) and (n − 1)(k − 1) degrees of freedom, for (2,1) by Satterthwaite's approximation, for (2,k) by the
Spearman-Brown formula from the ends for (2,1) (Shrout and Fleiss 1979, pages 424 to 426).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, get_args

from kardia.agreement.measure import Sums, centred_square
from kardia.agreement.ratings import Table, numbers
from kardia.agreement.statistic import Statistic
from kardia.errors import InputError

if TYPE_CHECKING:
    from kardia.agreement.ratings import Array, Flags

__all__ = ["Form", "Intraclass", "MeanSquares", "icc"]

Form = Literal["2,1", "3,1", "2,k", "3,k"]
_NOISE = 1e-12


@dataclass(frozen=True, slots=True)
class MeanSquares:
    """A two-way analysis of variance with one rating a cell.

    Attributes:
        n: units.
        k: raters.
        between: BMS, between units, with n − 1 degrees of freedom.
        raters: JMS, between raters, with k − 1.
        error: EMS, with (n − 1)(k − 1).
    """

    n: int
    k: int
    between: float
    raters: float
    error: float


class Intraclass(Sums):
    """An intraclass correlation, with an interval of its own besides the bootstrap's."""

    def __init__(self, table: Table, form: Form) -> None:
        import numpy as np

        if form not in get_args(Form):
            raise InputError(f"an ICC is of the form 2,1 or 3,1 or 2,k or 3,k, not {form!r}")
        x_UK = numbers(table)
        self.form = form
        self.k = x_UK.shape[1]
        whole_U: Flags = np.asarray(~np.isnan(x_UK).any(axis=1))
        n = int(whole_U.sum()) if self.k > 1 else 0
        rows_UK = np.where(whole_U[:, None], x_UK, 0.0)
        if n:
            rows_UK = np.where(whole_U[:, None], rows_UK - rows_UK[whole_U].mean(), 0.0)
        parts_UD = np.column_stack([whole_U, (rows_UK**2).sum(axis=1), rows_UK.sum(axis=1) ** 2, rows_UK])
        if self.k < 2:
            why = "an ICC takes two raters"
        elif n < 2:
            why = f"an ICC takes two units that all {self.k} raters rated"
        elif not rows_UK[whole_U].any():
            why = "all ratings are the same"
        else:
            why = "the units differ too little beside the ratings of one and the same unit"
        super().__init__(parts_UD.astype(np.float64), self._of, n=n, counts_U=whole_U, why=why)

    def mean_squares(self) -> MeanSquares | None:
        """Of the units that all raters rated; None where there are fewer than two units or raters."""
        if self.n < 2:
            return None
        between_S, raters_S, error_S = self._squares(self.parts_UD.sum(axis=0)[None])
        return MeanSquares(self.n, self.k, float(between_S[0]), float(raters_S[0]), float(error_S[0]))

    def by_f(self, confidence: float = 0.95) -> Statistic:
        """The value with the interval by F, which takes units as independent.

        Args:
            confidence: of the interval.
        """
        found = self.statistic()
        squares = self.mean_squares()
        if found.value is None or squares is None:
            return found
        ends = _interval(squares, self.form, 1.0 - (1.0 - confidence) / 2.0)
        # Satterthwaite's approximation can pass by a value far below 0
        if ends is None or not ends[0] - _NOISE <= found.value <= ends[1] + _NOISE:
            return replace(found, why="the interval by F is not defined for so little difference between units")
        return replace(found, low=ends[0], high=ends[1])

    def _squares(self, sums_SD: Array) -> tuple[Array, Array, Array]:
        """Mean squares between units, between raters and of what remains; NaN for fewer than two units."""
        import numpy as np

        k, n_S = self.k, sums_SD[:, 0]
        all_S = np.where(n_S > 1, n_S, np.nan)
        columns_SK = sums_SD[:, 3:]
        sum_S = columns_SK.sum(axis=1)
        total_S = centred_square(sums_SD[:, 1], sum_S, n_S * k)
        between_S = sums_SD[:, 2] / k - sum_S**2 / (all_S * k)
        raters_S = (columns_SK**2).sum(axis=1) / all_S - sum_S**2 / (all_S * k)
        error_S = total_S - between_S - raters_S
        found = [
            np.where((total_S > 0) & (one_S > _NOISE * total_S), one_S, 0.0) for one_S in (between_S, raters_S, error_S)
        ]
        freedom = [all_S - 1.0, np.full_like(all_S, k - 1.0), (all_S - 1.0) * (k - 1.0)]
        between_S, raters_S, error_S = (one_S / df_S for one_S, df_S in zip(found, freedom, strict=True))
        return between_S, raters_S + 0.0 * all_S, error_S

    def _of(self, sums_SD: Array) -> Array:
        import numpy as np

        if self.k < 2:
            return np.full(len(sums_SD), np.nan)
        between_S, raters_S, error_S = self._squares(sums_SD)
        n_S = np.maximum(sums_SD[:, 0], 1.0)
        bottom_S = {
            "2,1": between_S + (self.k - 1) * error_S + self.k * (raters_S - error_S) / n_S,
            "3,1": between_S + (self.k - 1) * error_S,
            "2,k": between_S + (raters_S - error_S) / n_S,
            "3,k": between_S,
        }[self.form]
        # a variance estimate of 0 or less is nothing to take a share of, nor is what rounding leaves of 0
        sound_S = bottom_S > _NOISE * (between_S + raters_S + error_S)
        found_S = np.divide(between_S - error_S, bottom_S, out=np.full(len(sums_SD), np.nan), where=sound_S)
        return np.asarray(found_S, dtype=np.float64)


def icc(table: Table, form: Form) -> Intraclass:
    """An intraclass correlation, at most 1, over the units that all raters rated.

    Args:
        table: units × raters, numbers.
        form: `2,1` and `2,k`: how far raters agree, who stand for all who could have been asked; `3,1` and `3,k`: how
            consistent these very raters are, whatever their means. `1`: a single rater's rating; `k`: the mean of as
            many raters as there are.

    Raises:
        InputError: for ratings that are no numbers, and for other forms than these four.
    """
    return Intraclass(table, form)


def _interval(squares: MeanSquares, form: Form, p: float) -> tuple[float, float] | None:
    """The ends that leave 1 − p on either side; None where they are not defined."""
    if squares.between == 0:  # both ends would be the value, as if it were certain
        return None
    if form in ("3,1", "3,k"):
        return _consistent(squares, form, p)
    ends = _agreeing(squares, p)
    if ends is None or form == "2,1":
        return ends
    k = squares.k
    if any(1 + (k - 1) * end <= 0 for end in ends):  # a mean of k raters has no such correlation
        return None
    low, high = (k * end / (1 + (k - 1) * end) for end in ends)
    return low, high


def _consistent(squares: MeanSquares, form: Form, p: float) -> tuple[float, float]:
    from scipy.special import fdtri

    if squares.error == 0:
        return 1.0, 1.0
    n, k = squares.n, squares.k
    f = squares.between / squares.error
    first, second = n - 1, (n - 1) * (k - 1)
    low, high = f / float(fdtri(first, second, p)), f * float(fdtri(second, first, p))
    if form == "3,1":
        return (low - 1) / (low + k - 1), (high - 1) / (high + k - 1)
    return 1 - 1 / low, 1 - 1 / high


def _agreeing(squares: MeanSquares, p: float) -> tuple[float, float] | None:
    from scipy.special import fdtri

    n, k, bms, jms, ems = squares.n, squares.k, squares.between, squares.raters, squares.error
    if ems == 0 and jms == 0:
        return 1.0, 1.0
    rho = (bms - ems) / (bms + (k - 1) * ems + k * (jms - ems) / n)
    # Shrout and Fleiss's ν with both of its sides times EMS², so that EMS may be 0
    rest = ems * (n * (1 + (k - 1) * rho) - k * rho)
    bottom = (n - 1) * (k * rho * jms) ** 2 + rest**2
    # of 0 degrees of freedom there is no quantile, and NaN comes of it
    freedom = (k - 1) * (n - 1) * (k * rho * jms + rest) ** 2 / bottom if bottom else 0.0
    upper, lower = float(fdtri(n - 1, freedom, p)), float(fdtri(freedom, n - 1, p))
    other = k * jms + (k * n - k - n) * ems
    low = n * (bms - upper * ems) / (upper * other + n * bms)
    high = n * (lower * bms - ems) / (other + n * lower * bms)
    return (low, high) if math.isfinite(low) and math.isfinite(high) else None
