"""Intervals by drawing whole groups again: what belongs together, such as the replies of a conversation, stays so.

Of G groups, G are drawn with replacement, so often; the statistic of the units in them is taken each time (Efron and
Tibshirani 1993, chapter 8; Davison and Hinkley 1997, section 3.8, for groups). `percentile`: the ends are the α/2 and
1 − α/2 quantiles of these (1993, equation 13.5). `bca`: the quantiles at Φ(z₀ + (z₀ + z) / (1 − a (z₀ + z))) instead,
with z₀ from the share of resamples below the value, those equal to it by half, and a = Σ d³ / (6 (Σ d²)^{3/2}) of what
the statistic is without each group, d being their mean less each of them (1993, equations 14.9, 14.10, 14.14, 14.15).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Literal, get_args
from weakref import WeakKeyDictionary

from kardia.agreement.measure import Measure
from kardia.agreement.statistic import Statistic
from kardia.errors import InputError

if TYPE_CHECKING:
    from kardia.agreement.ratings import Array, Flags, Index

    Joined = Callable[[list[Array]], Array]

__all__ = ["RESAMPLES", "Bootstrap", "Method", "less"]

RESAMPLES = 2_000
Method = Literal["percentile", "bca"]

_CELLS = 4_000_000
_EQUAL = 1e-12
"""Resamples that differ by less differ by rounding."""


class Bootstrap:
    """Units in groups, and how groups are drawn again.

    Args:
        groups: the group of each unit, in the order of the measures' units.
        resamples: how often groups are drawn.
        seed: equal seeds give equal intervals.
        confidence: the share of resamples between the ends.
        method: `percentile`, or `bca`, which costs one more computation for each group.

    Raises:
        InputError: for fewer than 10 resamples, and a confidence that is not between 0 and 1.
    """

    def __init__(
        self,
        groups: Sequence[Hashable],
        *,
        resamples: int = RESAMPLES,
        seed: int = 7,
        confidence: float = 0.95,
        method: Method = "percentile",
    ) -> None:
        import numpy as np

        if resamples < 10:
            raise InputError(f"an interval takes 10 resamples or more, not {resamples}")
        if not 0 < confidence < 1:
            raise InputError(f"the confidence of an interval lies between 0 and 1, not at {confidence}")
        if method not in get_args(Method):
            raise InputError(f"the method of an interval is percentile or bca, not {method!r}")
        self._groups = groups
        numbers = {name: number for number, name in enumerate(dict.fromkeys(groups))}
        self._group_U: Index = np.asarray([numbers[name] for name in groups], dtype=np.int64)
        self._resamples = resamples
        self._seed = seed
        self._confidence = confidence
        self._method = method
        self._times_of: dict[int, Array] = {}
        self._drawn_of: WeakKeyDictionary[Measure, dict[bytes, Array]] = WeakKeyDictionary()

    def rows(self, units: Sequence[int]) -> Bootstrap:
        """The same for measures whose rows are of these units: a unit may have several rows, or none."""
        return self.of([self._groups[unit] for unit in units])

    def of(self, groups: Sequence[Hashable]) -> Bootstrap:
        """The same for measures whose units are of these groups."""
        made = Bootstrap(
            groups,
            resamples=self._resamples,
            seed=self._seed,
            confidence=self._confidence,
            method=self._method,
        )
        made._times_of = self._times_of
        return made

    def statistic(self, measure: Measure) -> Statistic:
        """A measure with its interval.

        Returns:
            without an interval, and with the reason in `why`, where fewer than two groups count, or where half of the
            resamples or more have no value.

        Raises:
            InputError: where the measure has more or fewer units than there are groups given.
        """
        found = measure.statistic()
        if found.value is None:
            return found
        return self._with_interval(found, found.value, [measure], lambda each: each[0])

    def difference(self, measure: Measure, other: Measure) -> Statistic:
        """`measure` less `other`, two measures of the same units: each resample is drawn for both.

        Raises:
            InputError: as `statistic` does.
        """
        found = less(measure, other)
        if found.value is None:
            return found
        return self._with_interval(found, found.value, [measure, other], lambda each: each[0] - each[1])

    def total(self, measures: Sequence[Measure], weights: Sequence[float]) -> Statistic:
        """Σ weight · measure, of measures of the same units, such as a mean over criteria: each resample is drawn for
        all of them, and has no value where one of them has none.

        Returns:
            `n`: how many units count towards one of them. Without a value where one has none, for its reason.

        Raises:
            InputError: as `statistic` does; for no measures, and where there are not as many weights.
        """
        import numpy as np

        if not measures or len(measures) != len(weights):
            raise InputError(f"a sum takes a weight for each measure, not {len(weights)} for {len(measures)}")
        counts_U = np.any([measure.counts_U for measure in measures], axis=0)
        n = int(counts_U.sum())
        value = 0.0
        for measure, weight in zip(measures, weights, strict=True):
            own = measure.value()
            if own is None:
                return Statistic(None, None, None, n, measure.why)
            value += weight * own

        def join(each: list[Array]) -> Array:
            return np.asarray(sum(weight * one for weight, one in zip(weights, each, strict=True)), dtype=np.float64)

        return self._with_interval(Statistic(value, None, None, n), value, measures, join)

    def _counting(self, measures: Sequence[Measure]) -> tuple[Index, int]:
        """The group of each unit, −1 where none of the measures counts it; and how many groups are left."""
        import numpy as np

        counts_U: Flags = np.zeros(len(self._group_U), dtype=bool)
        for measure in measures:
            if len(measure.counts_U) != len(self._group_U):
                raise InputError(f"{len(self._group_U)} units have a group, but {len(measure.counts_U)} have ratings")
            counts_U = counts_U | measure.counts_U
        group_U = np.full(len(self._group_U), -1, dtype=np.int64)
        kept, group_U[counts_U] = np.unique(self._group_U[counts_U], return_inverse=True)
        return group_U, len(kept)

    def _with_interval(self, found: Statistic, value: float, measures: Sequence[Measure], join: Joined) -> Statistic:
        import numpy as np

        group_U, groups = self._counting(measures)
        if groups < 2:
            return replace(
                found, why="there is no interval: all units are of one group, which says nothing of the spread"
            )
        drawn_S = join([self._drawn(measure, group_U, groups) for measure in measures])
        known_S = drawn_S[np.isfinite(drawn_S)]
        left_out = len(drawn_S) - len(known_S)
        if 2 * left_out >= len(drawn_S):
            return replace(
                found,
                left_out=left_out,
                why=f"there is no interval: {left_out} of {len(drawn_S)} resamples have no value",
            )
        tail = (1.0 - self._confidence) / 2.0
        ends = np.asarray([tail, 1.0 - tail])
        if self._method == "bca":
            without = [measure.grouped(group_U, groups).left_out() for measure in measures]
            ends = _corrected(ends, value, known_S, join(without))
        low, high = np.quantile(known_S, ends)
        return replace(found, low=float(low), high=float(high), left_out=left_out)

    def _drawn(self, measure: Measure, group_U: Index, groups: int) -> Array:
        """A measure on every resample, (S,). Kept, for what is compared with others is drawn on its own as well."""
        import numpy as np

        known = self._drawn_of.setdefault(measure, {})
        key = hashlib.sha256(group_U.tobytes()).digest()
        if key not in known:
            grouped = measure.grouped(group_U, groups)
            known[key] = np.concatenate([grouped.drawn(times_SG) for times_SG in self._times(groups)])
        return known[key]

    def _times(self, groups: int) -> Iterator[Array]:
        """How often each group is drawn, (S, G), block by block. They are the same for every measure of so many groups:
        where they fit into one block, they are kept."""
        import numpy as np

        if groups in self._times_of:
            yield self._times_of[groups]
            return
        generator = np.random.default_rng(self._seed)
        block = max(1, _CELLS // groups)
        for start in range(0, self._resamples, block):
            size = min(block, self._resamples - start)
            # one count over all resamples of the block: each has its own stretch of numbers
            number_SG = generator.integers(0, groups, (size, groups)) + groups * np.arange(size)[:, None]
            times_SG = np.bincount(number_SG.ravel(), minlength=size * groups).reshape(size, groups).astype(np.float64)
            if size == self._resamples:
                self._times_of.clear()  # of the last number of groups only: they are large
                self._times_of[groups] = times_SG
            yield times_SG


def less(measure: Measure, other: Measure) -> Statistic:
    """`measure` less `other`, without an interval."""
    one, two = measure.value(), other.value()
    n = min(measure.n, other.n)
    if one is None or two is None:
        return Statistic(None, None, None, n, measure.why if one is None else other.why)
    return Statistic(one - two, None, None, n)


def _corrected(ends: Array, value: float, drawn_S: Array, left_out_G: Array) -> Array:
    """The BCa quantiles for the ends of an interval."""
    import numpy as np
    from scipy.special import ndtr, ndtri

    equal_S = np.abs(drawn_S - value) <= _EQUAL
    below = float(np.mean((drawn_S < value) & ~equal_S) + 0.5 * np.mean(equal_S))
    # all on one side would put both ends at infinity: half a resample stays on the other
    spare = 0.5 / len(drawn_S)
    bias = float(ndtri(min(max(below, spare), 1.0 - spare)))
    known_G = left_out_G[np.isfinite(left_out_G)]
    d_G = known_G.mean() - known_G if len(known_G) else np.zeros(0)
    spread = float((d_G**2).sum())
    bend = float((d_G**3).sum()) / (6.0 * spread**1.5) if spread > _EQUAL**2 else 0.0
    z = bias + ndtri(ends)
    slope = 1.0 - bend * z
    # beyond the pole nothing is further out
    moved = np.where(slope > 0, z / np.where(slope > 0, slope, 1.0), np.copysign(np.inf, z))
    return np.asarray(ndtr(bias + moved), dtype=np.float64)
