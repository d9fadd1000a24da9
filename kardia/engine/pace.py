"""The pace of limits per minute: requests are spaced evenly, without bursts. Pure: time is passed in, in seconds.

The generic cell rate algorithm without a burst allowance: a request that takes `cost` seconds of the limit may go at
the next free moment, and moves that moment on by its cost. Free moments are taken in chunks of up to 100 ms from
wherever they are kept, so that a high limit that processes share does not cost a transaction a request.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

__all__ = ["CHUNK_S", "EARLY_S", "LATE_S", "Pace", "Paces"]

_Reserve = Callable[[float], "float | None"]
"""Takes so many seconds of a limit; returns when they begin: the next free moment, and never before now. None: that
cannot be told at the moment."""

CHUNK_S = 0.1
LATE_S = 0.05
"""Room that is not used this long after its moment is lost: used later, it would crowd a later minute."""
EARLY_S = 0.002
"""Timers are no finer than this."""
MARGIN = 0.01
"""Requests are spaced wider than 60/limit by this part, so that no 60 s hold more than the limit even where some of
them arrive up to half a second early or late."""


class Pace:
    """One limit per minute.

    Args:
        per_minute: how much may be sent in a minute.
        coarse: whether requests take much of it each, as with tokens: 60 s may hold one request more than 60 s of
            spacing, so what that one takes is kept free.
    """

    __slots__ = ("_coarse", "_end", "_next", "per_minute")

    def __init__(self, per_minute: int, *, coarse: bool = False) -> None:
        self.per_minute = per_minute
        self._coarse = coarse
        self._next = self._end = 0.0

    def cost(self, amount: float) -> float:
        """Seconds of the limit that a request takes."""
        usable = self.per_minute * (1.0 - MARGIN)
        if self._coarse:
            usable -= min(amount, self.per_minute / 4)
        return 60.0 * amount / usable

    def take(self, amount: float, now: float, reserve: _Reserve) -> float | None:
        """Takes what a request of `amount` needs.

        Returns:
            the moment when it may go, in the past by LATE_S at most; None where nothing could be reserved.
        """
        cost = self.cost(amount)
        if cost <= 0.0:
            return now
        self._next = max(self._next, now - LATE_S)
        if self._next + cost > self._end + 1e-9:
            length = max(1, int(CHUNK_S / cost)) * cost
            start = reserve(length)
            if start is None:
                return None
            # what is left of the last chunk is used up first where the new one follows it; two clocks are compared here
            if abs(start - self._end) > 1e-3 or self._next > self._end:
                self._next = start
            self._end = start + length
        moment = self._next
        self._next += cost
        return moment


class Paces:
    """The limits per minute of one endpoint: in requests, in tokens, or both.

    Args:
        requests, tokens: how many in a minute; None: no limit.

    Attributes:
        due: when whoever is next may go; None where that is not known yet.
    """

    __slots__ = ("_by_requests", "_by_tokens", "_due_tokens", "_taken", "due")

    def __init__(self, requests: int | None, tokens: int | None) -> None:
        self._by_requests = None if requests is None else Pace(requests)
        self._by_tokens = None if tokens is None else Pace(tokens, coarse=True)
        self._due_tokens = 0.0
        self._taken: float | None = None  # a request's moment that still waits for its tokens'
        self.due: float | None = None

    def lets_go(self, tokens: float, now: float, reserve: Callable[[str, float], float | None]) -> bool:
        """Whether a request may go now. What it needs is reserved once, and kept for whoever goes next.

        Args:
            tokens: what it takes of the tokens.
            now: the time.
            reserve: takes so many seconds of a limit, `requests` or `tokens`, as for `Pace`.
        """
        due, missing = self.due, tokens - self._due_tokens
        if due is None or due < now - LATE_S:
            due, missing, self._due_tokens = now - LATE_S, tokens, 0.0
            if self._by_requests is not None:
                if self._taken is None or self._taken < due:
                    self._taken = self._by_requests.take(1.0, now, partial(reserve, "requests"))
                if self._taken is None:
                    return False
                due = max(due, self._taken)
        if self._by_tokens is not None and missing > 0.0:
            moment = self._by_tokens.take(missing, now, partial(reserve, "tokens"))
            if moment is None:
                return False
            due = max(due, moment)
            self._due_tokens += missing
        if due > now + EARLY_S:
            self.due = due
            return False
        self.due = self._taken = None
        return True
