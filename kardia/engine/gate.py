"""The gate before an endpoint: how many requests are under way at a time, and at which pace they go.

There is one gate for an event loop, an endpoint and a limits file, whatever the number of runs; what several processes
share is in the file (`commons`). Requests pass in the order in which they came, retries first. On the way through
there is nothing to pay but a few comparisons: no timer runs while there is room, and none at all while nobody is here.
"""

from __future__ import annotations

import asyncio
import math
import os
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from kardia.engine.level import Level, Outcome
from kardia.engine.pace import EARLY_S, Paces
from kardia.judge.profile import ENDPOINTS, JudgeProfile, Limits
from kardia.judge.protocol import Judge

if TYPE_CHECKING:
    from kardia.engine.commons import Grant

__all__ = ["Gate", "Sharing", "endpoint_of", "share_limits"]

SYNC_S = 0.25
"""How often a busy gate looks what the other processes do."""
SOON_S = 0.05
"""And how often at the most, when something has changed or slots are about to change hands."""
AGAIN_S = 0.02
MOST_PAUSE_S = 60.0
MANY = 6
"""Requests told to come back later, beyond those that were answered, from which on that may be meant for all."""


class Sharing(Protocol):
    """What a gate shares with others who ask the same endpoint: `kardia.engine.commons.Commons`, or its like."""

    broken: bool

    @property
    def stuck(self) -> bool: ...

    def sync(
        self, now: float, *, level: float, moved: float, ceiling: int, wanted: int, in_use: int, paused: float = 0.0
    ) -> Grant | None: ...

    def leave(self, now: float) -> None: ...

    def reserve(self, now: float, kind: str, seconds: float) -> float | None: ...

    def close(self) -> None: ...


_Gates = dict[tuple[str, Path], "Gate"]
_sharing: Callable[[Path, str], Sharing] | None = None
_lock = threading.Lock()
_gates: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, _Gates] = weakref.WeakKeyDictionary()
_inherited: list[object] = []


def _after_fork() -> None:
    # in the child: these gates are the parent's, and the lock may have been held
    global _lock, _gates
    _inherited.append(_gates)
    _lock, _gates = threading.Lock(), weakref.WeakKeyDictionary()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def share_limits(make: Callable[[Path, str], Sharing]) -> None:
    """Has the gates that this process makes from now on share through what `make` gives, in place of a `Commons`.

    Args:
        make: is handed the limits file, and the endpoint's name.
    """
    global _sharing
    _sharing = make


def endpoint_of(profile: JudgeProfile) -> str:
    """Names the endpoint for those who share its limits: where it is, and the model; not whose key is used."""
    if profile.base_url is not None:
        where = profile.base_url.rstrip("/")
    elif profile.backend == "openai":
        from kardia.judge.backends.openai import OPENAI_URL

        where = OPENAI_URL
    else:
        where = profile.backend
    return f"{where} {profile.model}"


class Gate:
    """Lets requests through; used on the event loop on which it was made.

    Whoever was let in (`try_enter`, `enter`) leaves once (`leave`), whatever came of the request.

    Args:
        limits: of the judge's profile. Where another profile of the same endpoint comes through the same gate, the
            latest one's limits hold from then on.
        commons: what is shared with other processes; None: nothing.
        wall: tells wall-clock time.

    Attributes:
        in_flight: requests that are through and have not left.
        waiting: requests that wait before it.
    """

    def __init__(
        self, limits: Limits, commons: Sharing | None = None, *, wall: Callable[[], float] = time.time
    ) -> None:
        # held weakly: gates are kept for as long as their loop is there
        self._loop = weakref.ref(asyncio.get_running_loop())
        self._limits = limits
        self._level = Level(limits.concurrency)
        self._pace = _pace(limits)
        self._commons = commons
        self._wall = wall
        self.in_flight = 0
        self.waiting = 0
        self._again: deque[tuple[asyncio.Future[None], float]] = deque()
        self._new: deque[tuple[asyncio.Future[None], float]] = deque()
        self._held: deque[float] = deque()
        self._paused = 0.0
        self._strain = 0
        self._free_at: dict[str, float] = {}
        self._timer_at = math.inf
        self._joined = False
        self._granted: int | None = None
        self._members = 1
        self._peak = 0
        self._synced_level = self._level.value
        self._synced_at = self._sync_at = -math.inf
        self._allowed = 0
        self._open = 0
        self._resize()

    @classmethod
    def of(cls, judge: Judge, beside: Path | None) -> Gate:
        """The running loop's gate before a judge: shared by all judges of one endpoint; a judge that is no endpoint
        (`profile.backend`) gets one of its own.

        Args:
            judge: whose requests go through it.
            beside: the ledger beside which the limits file lies; None: the default one.
        """
        profile = judge.profile
        if profile.backend not in ENDPOINTS:
            return cls(profile.limits)
        from kardia.engine.commons import Commons, limits_path

        loop = asyncio.get_running_loop()
        key = (endpoint_of(profile), limits_path(beside))
        with _lock:
            for closed in [other for other in _gates if other.is_closed()]:
                for gate in _gates.pop(closed).values():
                    gate._abandon()
            gates = _gates.setdefault(loop, {})
        known = gates.get(key)
        if known is None:
            gates[key] = cls(profile.limits, (_sharing or Commons)(key[1], key[0]))
        else:
            known._adopt(profile.limits)
        return gates[key]

    def __repr__(self) -> str:
        return f"Gate(level={self.level}, in_flight={self.in_flight}, waiting={self.waiting})"

    @property
    def level(self) -> int:
        """How many requests the endpoint is given at a time, by all who share it."""
        return int(self._level.value)

    def try_enter(self, tokens: float) -> bool:
        """Lets a request in where it need not wait.

        Args:
            tokens: what it will take of the profile's tokens_per_minute, as far as can be told.
        """
        if self.waiting:
            return False
        if self.in_flight < self._open:
            self.in_flight += 1
            return True
        return self._lets_in(tokens, self._now())

    async def enter(self, tokens: float, *, again: bool = False) -> None:
        """Waits until the request is let in.

        Args:
            tokens: as for `try_enter`.
            again: whether it was let in before and is tried again: then it goes before those that are new.
        """
        now = self._now()
        if not (self._again if again else self.waiting) and self._lets_in(tokens, now):
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        (self._again if again else self._new).append((future, tokens))
        self.waiting += 1
        self._admit(now)
        try:
            await future
        except BaseException:
            if future.done() and not future.cancelled():
                # let in and cancelled in the same moment
                self.in_flight -= 1
                self._admit(self._now())
            else:
                self.waiting -= 1
                if not self.waiting:
                    self._again.clear()
                    self._new.clear()
            raise

    def leave(self, outcome: Outcome, seconds: float | None = None, retry_after: float | None = None) -> None:
        """A request that was let in has come back.

        Args:
            outcome: `overloaded` for 429, and for 503 with a Retry-After; `failed` for whatever says nothing about
                the load, a request that was never sent included.
            seconds: how long the endpoint took; told for refusals too, so that those of requests from before the
                level fell do not count again.
            retry_after: the seconds that the endpoint asked to wait.
        """
        in_use = self.in_flight + len(self._held)
        self.in_flight -= 1
        loop = self._loop()
        if loop is None or loop.is_closed():
            return
        now = loop.time()
        if in_use > self._peak:
            self._peak = in_use
        moved = self._level.left(now, outcome, seconds, in_use, self._allowed)
        if outcome == "overloaded":
            self._refused(now, retry_after)
        elif self._strain:
            self._strain -= 1
        if moved:
            self._moved(now)
        if self.waiting:
            self._admit(now)

    def _now(self) -> float:
        loop = self._loop()
        return 0.0 if loop is None else loop.time()

    def _lets_in(self, tokens: float, now: float) -> bool:
        """Takes a slot and the pace's next moment, where both are there."""
        if not self._joined and self._commons is not None:
            self._sync(now)
            self._wake(self._sync_at)
        if self._paused:
            if now < self._paused:
                return False
            self._paused = 0.0
            self._resize()
        held = self._held
        if held and held[0] <= now:
            while held and held[0] <= now:
                held.popleft()
            self._resize()
        if self.in_flight + len(held) >= self._allowed:
            return False
        if self._pace is not None and not self._pace.lets_go(tokens, now, self._reserve):
            return False
        self.in_flight += 1
        return True

    def _admit(self, now: float) -> None:
        """Lets in those who wait, as far as there is room."""
        while self.waiting:
            queue = self._again or self._new
            if not queue:
                return  # who is counted as waiting has been cancelled, and does not know it yet
            future, tokens = queue[0]
            if future.done():  # cancelled while it waited
                queue.popleft()
            elif self._lets_in(tokens, now):
                queue.popleft()
                self.waiting -= 1
                future.set_result(None)
            else:
                self._wake_for_waiting(now)
                return

    # the slots

    def _resize(self) -> None:
        """Recounts the slots, after anything that they depend on."""
        level = self._level.value
        if self._commons is None:
            self._allowed = int(level)
        elif not self._joined:
            self._allowed = 0
        elif self._granted is None:
            self._allowed = min(int(level), self._limits.concurrency)
        else:
            # the whole fell since it was divided: so does this part; it rises only when it is divided again
            part = min(1.0, level / self._synced_level)
            self._allowed = max(int(self._granted * part + 1e-9), min(self._granted, 1))
        self._open = 0 if self._paused or self._pace is not None else self._allowed - len(self._held)

    def _moved(self, now: float) -> None:
        changed = int(self._level.value) != int(self._synced_level)
        if self._commons is not None and self._joined and changed and now >= self._synced_at + SOON_S:
            self._sync(now)
        else:
            self._resize()

    def _refused(self, now: float, retry_after: float | None) -> None:
        if retry_after:
            self._strain += 1
            if self._strain >= MANY and self._strain > self.in_flight:
                # more were told to come back later than were let in: until then, nobody need ask
                self._pause(now + min(retry_after, MOST_PAUSE_S))
                self._strain = 0
        hold = self._level.hold(self._allowed)
        if hold:
            self._held.append(max(now + hold, self._held[-1]) if self._held else now + hold)
            self._resize()

    def _pause(self, until: float) -> None:
        if until > self._paused:
            self._paused = until
            self._open = 0
            if self._joined:
                self._sync_at = min(self._sync_at, self._synced_at + SOON_S)
                self._wake(self._sync_at)

    def _abandon(self) -> None:
        """The loop was closed under it: what it was granted goes back."""
        if self._commons is not None:
            self._commons.close()
            self._commons = None

    def _adopt(self, limits: Limits) -> None:
        if limits == self._limits:
            return
        self._limits = limits
        self._pace = _pace(limits)
        level = self._level
        full = level.value >= level.ceiling
        level.move(limits.concurrency if full else level.value, limits.concurrency)
        now = self._now()
        if self._joined:
            self._sync(now)
        else:
            self._resize()
        self._admit(now)

    # the pace

    def _reserve(self, kind: str, seconds: float) -> float | None:
        """Takes so many seconds of a limit, from where it is shared."""
        now = self._now()
        if self._commons is not None:
            wall = self._wall()
            start = self._commons.reserve(wall, kind, seconds)
            if start is not None:
                self._free_at[kind] = now + (start - wall) + seconds
                return now + (start - wall)
            if not self._commons.stuck:
                return None
        start = max(now, self._free_at.get(kind, 0.0))
        # where the others cannot be asked, each keeps to its part
        self._free_at[kind] = start + seconds * self._members
        return start

    # the other processes

    def _sync(self, now: float) -> None:
        commons = self._commons
        if commons is None:
            return
        level, ceiling = self._level, self._limits.concurrency
        # whoever has to wait could use more than there is, and nobody knows how much
        hungry = self.waiting or self._peak >= self._allowed
        wall = self._wall()
        grant = commons.sync(
            wall,
            level=level.value,
            moved=level.moved,
            ceiling=ceiling,
            wanted=ceiling if hungry else self._peak + max(1, self._peak // 4),
            in_use=self.in_flight + len(self._held),
            paused=wall + (self._paused - now) if self._paused > now else 0.0,
        )
        self._synced_at, self._sync_at = now, now + SYNC_S
        self._peak = self.in_flight
        if grant is not None:
            level.move(grant.level, grant.ceiling)
            level.moved = 0.0
            self._synced_level = level.value
            self._granted, self._members = grant.slots, grant.members
            if grant.paused - wall > max(self._paused - now, 0.0):
                self._paused = now + min(grant.paused - wall, MOST_PAUSE_S)
            if not self._joined or grant.slots < grant.share or self.in_flight > grant.share:
                self._sync_at = now + SOON_S  # slots are about to change hands
            self._joined = True
        elif commons.broken:
            self._commons = None
            level.move(level.value, ceiling)
        elif commons.stuck:
            self._joined = True  # with what was granted last, or as if it were alone
        else:
            self._sync_at = now + AGAIN_S
        self._resize()

    # the timer: one at a time, and only while somebody is here

    def _wake_for_waiting(self, now: float) -> None:
        if self._paused > now:
            self._wake(self._paused)
        elif self.in_flight + len(self._held) >= self._allowed:
            if self._held:
                self._wake(self._held[0])
        elif self._pace is not None:
            self._wake(now + AGAIN_S if self._pace.due is None else self._pace.due)

    def _wake(self, at: float) -> None:
        loop = self._loop()
        if at < self._timer_at and loop is not None:
            self._timer_at = at
            loop.call_at(at, _tick, weakref.ref(self), at)

    def _tick(self, at: float) -> None:
        if at != self._timer_at:
            return  # an earlier one was set after it
        self._timer_at = math.inf
        now = self._now()
        commons = self._commons
        if commons is not None and now >= self._sync_at - EARLY_S:
            if self.in_flight or self.waiting or self._held:
                self._sync(now)
            elif self._joined:
                commons.leave(self._wall())
                self._joined, self._granted = False, None
                self._resize()
        if commons is not None and (self._joined or self.waiting):
            self._wake(self._sync_at)
        if self.waiting:
            self._admit(now)


def _tick(gate: weakref.ref[Gate], at: float) -> None:
    alive = gate()
    if alive is not None:
        alive._tick(at)


def _pace(limits: Limits) -> Paces | None:
    if limits.requests_per_minute is None and limits.tokens_per_minute is None:
        return None
    return Paces(limits.requests_per_minute, limits.tokens_per_minute)
