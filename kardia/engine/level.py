"""How many requests an endpoint gets at a time: a level that finds itself. Pure: it is told what happened, and when.

Requests are looked at in windows of one level's worth. Let `a` be the share of a window's requests that the endpoint
refused as overload (429, or 503 with a Retry-After), and `n` how many it answered. When the window closes

    level ← level · max(0.7, 1 − t·a/2) + b·n/32        within [1, ceiling]

so it falls by a factor of 0.7 at the most, rises by a thirty-second part of itself a window, and stays where it is at
6 % of refusals: an endpoint that refuses one request in twenty at random is driven as hard as it may be, and one that
refuses whatever is above its capacity is driven at 1.0 to 1.1 of that. `b` is 1 and grows to 4 in a row of windows
with hardly a refusal, for a capacity that has risen.

`t` in [0, 1] tells how far refusals are the level's doing. Above its capacity C an endpoint refuses a = 1 − C/level, so
that a rises over ln(level) with a slope of 1 − a; refusals that do not become fewer at a lower level (others use up
the quota, something is broken) have a slope of 0, and lowering the level further would only cost time. `t` is twice the
measured slope over 1 − a, from moments of the last windows that are forgotten exponentially, faster the further the
level has come, and at once where a window surprises. An endpoint that refuses three in ten and more wants less,
whatever the reason: from there on t rises to 1.

What a refusal's speed would distort is put right. It comes back sooner than an answer: it counts in its window when
its request would have been answered. Its slot would ask again and again meanwhile: it is kept shut for as long as an
answer takes (`hold`), where refusals are more than now and then.

Rising latency: the medians of the windows are compared with a baseline, which is the lowest of them and ages towards
the later ones. Where a median is above 2.5 of the baseline, the level falls by a factor of 0.9; but never by this
rule below a quarter of the ceiling: a server that answers in batches is slower the more it is given, and yet gets more
done.
"""

from __future__ import annotations

import math
from collections import deque
from typing import Literal

__all__ = ["Level", "Outcome"]

Outcome = Literal["answered", "overloaded", "failed"]

LEAST_WINDOW = 8
STEEPEST = 0.7
WEIGHT = 0.5
GROWTH = 1 / 32
MOST_BOOST = 4.0
BOOST_WINDOWS = 4
"""Windows with hardly a refusal until the growth has doubled."""
RARE = 0.04
MUCH = 0.3

FORGETTING = 0.05
"""What a window weighs in the moments that tell how far refusals are the level's doing."""
REACH = 0.15
"""Distance in ln(level) from which on older windows are forgotten faster."""
SURPRISE = 4.0
"""Standard errors between a window's share and the mean that make what was learned worthless."""
PRIOR = 0.0005
"""Variance of ln(level) assumed at a slope of 1: as long as the level has not moved, refusals are its doing."""
GAIN = 2.0
"""Half of the windows lie below the capacity, where the slope is 0."""

NOW_AND_THEN = 0.1
"""Share of refusals below which slots are not kept shut."""
FIRST_HOLD_S = 0.05
MOST_HOLD_S = 10.0

SLOW = 2.5
SLOW_FACTOR = 0.9
AGEING = 0.02
LEAST_BASELINE_S = 0.01
"""Below this, latency is this machine's own affair."""
BUSY = 0.75
"""The part of the level that has to be in use for a window to say that more, or less, would do."""


class Level:
    """The level of one endpoint.

    Where processes share an endpoint, each has a `Level` of it and drives its own share: it moves the whole by what
    its own share moves, so that together they move it as one would.

    Args:
        ceiling: where it starts, and the most it may be; at least 1.

    Attributes:
        value: the level now, in [1, ceiling].
        ceiling: the most it may be.
        moved: what this level moved itself by since somebody set this to 0; for those who share it.
    """

    __slots__ = (
        "_baseline",
        "_began",
        "_clean",
        "_count",
        "_cover",
        "_fresh",
        "_late",
        "_mean_share",
        "_mean_size",
        "_refused",
        "_seconds",
        "_typical",
        "_variance",
        "ceiling",
        "moved",
        "value",
    )

    def __init__(self, ceiling: int) -> None:
        self.ceiling = ceiling
        self.value = float(ceiling)
        self.moved = 0.0
        self._baseline: float | None = None
        self._typical = 0.0
        self._clean = 0
        self._mean_size: float | None = None
        self._mean_share = self._variance = self._cover = 0.0
        self._begin(-math.inf)

    def left(self, now: float, outcome: Outcome, seconds: float | None, in_use: int, limit: int) -> bool:
        """A request came back.

        Args:
            now: the time, in seconds of any clock that does not jump.
            outcome: `overloaded` is a refusal; `failed` says nothing about the load.
            seconds: how long it took; None: not long.
            in_use: slots that were in use until now: this one, and those that are kept shut, included.
            limit: slots that there are, here: the level, or this process's share of it.

        Returns:
            whether a window closed, so that the level may have moved.
        """
        if seconds is not None and now - seconds < self._began:
            return False  # it tells how things stood before the level last moved
        late = self._late
        if outcome == "overloaded":
            self._fresh += 1
            late.append(now - (seconds or 0.0))
        else:
            self._count += 1
            # a time-out is a slow answer; what failed at once says nothing about how fast answers are
            if seconds is not None and (outcome == "answered" or seconds > (self._baseline or math.inf)):
                self._seconds.append(seconds)
        if late:
            due = now - self._typical
            while late and late[0] <= due:
                late.popleft()
                self._count += 1
                self._refused += 1
        if self._count < limit or self._count < LEAST_WINDOW:
            return False
        self._close(in_use >= BUSY * limit, limit)
        self._begin(now)
        return True

    def hold(self, limit: int) -> float:
        """Seconds for which the slot of a request that was just refused is kept shut; 0 where refusals are rare."""
        if self._fresh <= 1 + NOW_AND_THEN * max(limit, LEAST_WINDOW):
            return 0.0
        return min(self._typical or FIRST_HOLD_S, MOST_HOLD_S)

    def move(self, value: float, ceiling: int) -> None:
        """Sets both from outside: another process moved the level, or a profile has another limit."""
        self.ceiling = ceiling
        self.value = min(max(value, 1.0), float(ceiling))

    def _begin(self, now: float) -> None:
        self._began = now
        self._count = self._refused = self._fresh = 0
        self._seconds: list[float] = []
        self._late: deque[float] = deque()

    def _close(self, busy: bool, limit: int) -> None:
        share = self._refused / self._count
        self._learn(math.log(self.value), share)
        doing = max(self._doing(), min((share - MUCH) / MUCH, 1.0))
        factor = max(STEEPEST, 1.0 - WEIGHT * doing * share)
        self._clean = 0 if share > RARE else self._clean + busy
        growth = 0.0  # what is not used is not known to be good
        if self._slow(busy):
            least = max(4.0, self.ceiling / 4)
            factor = min(factor, max(SLOW_FACTOR, least / self.value), 1.0)
        elif busy:
            growth = GROWTH * (self._count - self._refused) * min(MOST_BOOST, 1.0 + self._clean / BOOST_WINDOWS)
        before = self.value
        moved = min(float(limit), before) * (factor - 1.0) + growth
        self.value = min(max(before + moved, 1.0), float(self.ceiling))
        self.moved += self.value - before

    def _slow(self, busy: bool) -> bool:
        if not self._seconds:
            return False
        self._typical = median = sorted(self._seconds)[len(self._seconds) // 2]
        if not busy:
            return False
        if self._baseline is None or median < self._baseline:
            self._baseline = median
        else:
            self._baseline += AGEING * (median - self._baseline)
        return median > SLOW * max(self._baseline, LEAST_BASELINE_S)

    def _learn(self, size: float, share: float) -> None:
        """Takes a window's ln(level) and share of refusals into the moments."""
        error = math.sqrt(max(self._mean_share * (1.0 - self._mean_share), 0.02) / self._count)
        if self._mean_size is None or abs(share - self._mean_share) > SURPRISE * error:
            self._mean_size, self._mean_share = size, share
            self._variance = self._cover = 0.0
        by_size, by_share = size - self._mean_size, share - self._mean_share
        new = min(FORGETTING * max(1.0, (by_size / REACH) ** 2), 0.5)
        self._mean_size += new * by_size
        self._mean_share += new * by_share
        self._variance = (1.0 - new) * (self._variance + new * by_size * by_size)
        self._cover = (1.0 - new) * (self._cover + new * by_size * by_share)

    def _doing(self) -> float:
        """How far refusals are the level's doing, in [0, 1]."""
        expected = self._variance * (1.0 - self._mean_share)
        return min(max(GAIN * (self._cover + PRIOR) / (expected + PRIOR), 0.0), 1.0)
