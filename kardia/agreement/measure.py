"""A statistic made ready: to be computed on all units, and as often as wanted on units that are drawn again.

Most statistics are functions of sums over units: then a resample is a few sums of sums, and thousands are one product
of matrices. Those that are not (they need ranks, which are of the whole sample) take how often each unit was drawn.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING

from kardia.agreement.statistic import Statistic

if TYPE_CHECKING:
    from kardia.agreement.ratings import Array, Flags, Index

__all__ = ["FEW", "Measure", "OfGroups", "Sums", "Weighed", "centred_square", "one_hot", "ratio"]

FEW = 256
"""So many patterns are few: what depends on nothing but how often each pattern is there is summed over units."""

_NOISE = 1e-12
"""A sum of squares less than this share of what it was subtracted from is what rounding leaves of zero."""


class OfGroups(ABC):
    """A measure whose units are in groups."""

    @abstractmethod
    def drawn(self, times_SG: Array) -> Array:
        """The statistic where group g was drawn times_SG[s, g] times, (S,); NaN where it is not defined."""

    @abstractmethod
    def left_out(self) -> Array:
        """The statistic without each group, (G,); NaN where it is not defined."""


class Measure(ABC):
    """A statistic of a table's units.

    Attributes:
        n: how many units count towards it, as its `Statistic` says.
        counts_U: which units have anything to say, (U,).
        why: the sentence that is given where it has no value.
    """

    def __init__(self, *, n: int, counts_U: Flags, why: str) -> None:
        self.n = n
        self.counts_U = counts_U
        self.why = why

    @abstractmethod
    def whole(self) -> float:
        """On all units; NaN where it is not defined."""

    @abstractmethod
    def grouped(self, group_U: Index, groups: int) -> OfGroups:
        """The same with units in groups 0 to `groups` − 1; a unit of the group −1 is left out."""

    def value(self) -> float | None:
        """On all units; None where it is not defined."""
        found = self.whole()
        return found if math.isfinite(found) else None

    def statistic(self) -> Statistic:
        """On all units, without an interval."""
        value = self.value()
        return Statistic(value, None, None, self.n, self.why if value is None else None)


class Sums(Measure):
    """A statistic of sums over units.

    Args:
        parts_UD: what each unit adds to each sum.
        of: sums (S, D) → values (S,), NaN where they are not defined.
        n, counts_U, why: as in `Measure`.
    """

    def __init__(self, parts_UD: Array, of: Callable[[Array], Array], *, n: int, counts_U: Flags, why: str) -> None:
        super().__init__(n=n, counts_U=counts_U, why=why)
        self.parts_UD = parts_UD
        self.of = of

    def whole(self) -> float:
        return float(self.of(self.parts_UD.sum(axis=0)[None])[0])

    def grouped(self, group_U: Index, groups: int) -> OfGroups:
        import numpy as np

        parts_GD = np.zeros((groups, self.parts_UD.shape[1]))
        np.add.at(parts_GD, group_U[group_U >= 0], self.parts_UD[group_U >= 0])
        return _GroupedSums(parts_GD, self.of)


class _GroupedSums(OfGroups):
    def __init__(self, parts_GD: Array, of: Callable[[Array], Array]) -> None:
        self._parts_GD = parts_GD
        self._of = of

    def drawn(self, times_SG: Array) -> Array:
        return self._of(times_SG @ self._parts_GD)

    def left_out(self) -> Array:
        return self._of(self._parts_GD.sum(axis=0)[None] - self._parts_GD)


class Weighed(Measure):
    """A statistic that is computed from how often each unit is there.

    Args:
        of: times (U,) → the value, NaN where it is not defined.
        n, counts_U, why: as in `Measure`.
    """

    def __init__(self, of: Callable[[Array], float], *, n: int, counts_U: Flags, why: str) -> None:
        super().__init__(n=n, counts_U=counts_U, why=why)
        self.of = of

    def whole(self) -> float:
        import numpy as np

        return self.of(np.ones(len(self.counts_U)))

    def grouped(self, group_U: Index, groups: int) -> OfGroups:
        return _GroupedWeighed(self.of, group_U, groups)


class _GroupedWeighed(OfGroups):
    def __init__(self, of: Callable[[Array], float], group_U: Index, groups: int) -> None:
        self._of = of
        self._group_U = group_U
        self._groups = groups

    def drawn(self, times_SG: Array) -> Array:
        import numpy as np

        # the last column is that of the units in no group: index −1
        padded_SG = np.concatenate([times_SG, np.zeros((len(times_SG), 1))], axis=1)
        return np.asarray([self._of(times_G[self._group_U]) for times_G in padded_SG], dtype=np.float64)

    def left_out(self) -> Array:
        import numpy as np

        inside_U = self._group_U >= 0
        without = [(inside_U & (self._group_U != group)).astype(np.float64) for group in range(self._groups)]
        return np.asarray([self._of(times_U) for times_U in without], dtype=np.float64)


def one_hot(pattern_U: Index, patterns: int) -> Array:
    """1 where a unit has a pattern, (U, patterns); a unit of pattern −1 has none."""
    import numpy as np

    parts_UP = np.zeros((len(pattern_U), patterns))
    has_U = pattern_U >= 0
    parts_UP[np.flatnonzero(has_U), pattern_U[has_U]] = 1.0
    return parts_UP


def ratio(top_S: Array, bottom_S: Array) -> Array:
    """top / bottom, NaN where bottom is 0."""
    import numpy as np

    found_S = np.divide(top_S, bottom_S, out=np.full(np.shape(top_S), np.nan), where=bottom_S != 0)
    return np.asarray(found_S, dtype=np.float64)


def centred_square(squares_S: Array, sum_S: Array, n_S: Array) -> Array:
    """Σ(x − x̄)² from Σx², Σx and n; exactly 0 where all that is left is rounding, or where there is no x."""
    import numpy as np

    found_S = squares_S - np.divide(sum_S**2, n_S, out=np.zeros(np.shape(n_S)), where=n_S > 0)
    return np.asarray(np.where(found_S > _NOISE * squares_S, found_S, 0.0), dtype=np.float64)
