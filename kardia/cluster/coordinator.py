"""What all actors of a run share: its budget, the endpoints' limits, and the wish to stop. One for a run; a Ray actor
whose methods run on one event loop."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path

from kardia.engine.budget import Budget
from kardia.engine.commons import Commons, Grant
from kardia.errors import BudgetExhausted

__all__ = ["Coordinator"]

SILENT_S = 20.0
"""A worker that said nothing for so long is gone: what it had reserved counts as spent."""


@dataclass
class _Worker:
    """An actor as it was started once; after a restart it is another one.

    Attributes:
        open: what it reserved of the budget and did not settle: number → the most it costs, how often it may be sent.
        given_up: what it no longer waits for.
    """

    actor: str
    seen: float
    busy: bool = False
    open: dict[int, tuple[float, int]] = field(default_factory=dict)
    given_up: set[int] = field(default_factory=set)
    commons: dict[str, Commons] = field(default_factory=dict)


class Coordinator:
    """See above.

    Args:
        max_requests, max_cost: the run's budget; None: no cap.
        limits: the limits file: what else runs on this host beside the run shares the endpoints' limits through it.
    """

    def __init__(self, max_requests: int | None, max_cost: float | None, limits: str) -> None:
        self._budget = Budget(max_requests, max_cost)
        self._limits = Path(limits)
        self._workers: dict[str, _Worker] = {}
        self._stopping = False

    # who is there

    async def begin(self, worker: str, actor: str) -> bool:
        """A worker begins a shard; an earlier worker of the same actor is dead.

        Returns:
            whether the run is to stop: then nothing is begun.
        """
        for name, other in list(self._workers.items()):
            if other.actor == actor and name != worker:
                self._bury(name)
        self._known(worker, actor).busy = not self._stopping
        return self._stopping

    async def end(self, worker: str) -> None:
        """Its shard is done, or given up."""
        self._known(worker).busy = False

    async def beat(self, worker: str) -> bool:
        """A worker lives. Those that have been silent for long are taken for dead.

        Returns:
            whether the run is to stop.
        """
        now = self._known(worker).seen
        for name, other in list(self._workers.items()):
            if now - other.seen > SILENT_S:
                self._bury(name)
        return self._stopping

    async def stop(self) -> None:
        """Asks every worker to finish what is under way, and to begin nothing new."""
        self._stopping = True

    async def busy(self) -> int:
        """How many workers have a shard under way."""
        return sum(worker.busy for worker in self._workers.values())

    def _known(self, name: str, actor: str = "") -> _Worker:
        now = time.monotonic()
        worker = self._workers.setdefault(name, _Worker(actor, now))
        worker.seen = now
        worker.actor = actor or worker.actor
        return worker

    def _bury(self, name: str) -> None:
        worker = self._workers.pop(name)
        for most, sent in worker.open.values():
            self._budget.settle(most, sent, most, sent)  # nobody knows what was sent: all of it, at its most expensive
        for commons in worker.commons.values():
            commons.close()

    # the budget

    async def take(self, name: str, number: int, most: float, sent: int) -> str | None:
        """`Budget.take` for a worker, under a number of its own.

        Returns:
            why it cannot be had; None where it is reserved.
        """
        worker = self._known(name)
        try:
            await self._budget.take(most, sent)
        except BudgetExhausted as problem:
            return str(problem)
        if number in worker.given_up or self._workers.get(name) is not worker:
            worker.given_up.discard(number)
            self._budget.settle(most, 0, 0.0, sent)
        else:
            worker.open[number] = (most, sent)
        return None

    async def settle(self, name: str, number: int, requests: int, cost: float) -> None:
        """`Budget.settle`; nothing where the worker was taken for dead."""
        reserved = self._known(name).open.pop(number, None)
        if reserved is not None:
            most, sent = reserved
            self._budget.settle(most, requests, cost, sent)

    async def give_up(self, name: str, number: int) -> None:
        """What was taken under this number, or is waited for, is not needed."""
        worker = self._known(name)
        if number in worker.open:
            await self.settle(name, number, 0, 0.0)
        else:
            worker.given_up.add(number)

    # the endpoints' limits. Times go to and fro as seconds from now: hosts' clocks differ

    async def sync(
        self, name: str, endpoint: str, level: float, moved: float, ceiling: int, wanted: int, in_use: int, pause: float
    ) -> Grant | None:
        """`Commons.sync`, with the pause in seconds."""
        now = time.time()
        grant = self._commons(name, endpoint).sync(
            now,
            level=level,
            moved=moved,
            ceiling=ceiling,
            wanted=wanted,
            in_use=in_use,
            paused=now + pause if pause > 0 else 0.0,
        )
        if grant is None:
            return None
        pause = max(0.0, grant.paused - now)
        return Grant(grant.level, grant.ceiling, grant.slots, grant.share, grant.members, pause)

    async def reserve(self, name: str, endpoint: str, kind: str, seconds: float) -> float | None:
        """`Commons.reserve`.

        Returns:
            in how many seconds they begin; None where that cannot be told now.
        """
        now = time.time()
        start = self._commons(name, endpoint).reserve(now, kind, seconds)
        return None if start is None else start - now

    async def leave(self, name: str, endpoint: str) -> None:
        """`Commons.leave`."""
        self._commons(name, endpoint).leave(time.time())

    def _commons(self, name: str, endpoint: str) -> Commons:
        commons = self._known(name).commons
        if endpoint not in commons:
            commons[endpoint] = Commons(self._limits, endpoint)
        return commons[endpoint]
