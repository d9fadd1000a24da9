"""An actor's access to what all actors of the run share: the budget and the limits, asked of the coordinator."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

from kardia.engine.budget import Budget
from kardia.engine.commons import STUCK, Grant
from kardia.errors import BudgetExhausted

__all__ = ["SharedBudget", "SharedLimits"]

PATIENCE_S = 1.0
"""How long the event loop waits for the coordinator, which answers within a few milliseconds."""
AGAIN_S = 5.0
"""How long it is left alone when it did not."""


class SharedBudget(Budget):
    """The run's budget, as one actor takes of it.

    Args:
        coordinator: the handle of its Ray actor.
        worker: who takes.
        max_requests, max_cost: the caps of the whole run.
    """

    def __init__(self, coordinator: Any, worker: str, max_requests: int | None, max_cost: float | None) -> None:
        super().__init__(max_requests, max_cost)
        self._coordinator = coordinator
        self._worker = worker
        self._numbers = itertools.count()
        # equal reservations are as good as one another
        self._taken: dict[tuple[float, int], list[int]] = defaultdict(list)

    async def take(self, most: float, sent: int = 1) -> None:
        number = next(self._numbers)
        try:
            refused = await self._coordinator.take.remote(self._worker, number, most, sent)
        except asyncio.CancelledError:
            self._coordinator.give_up.remote(self._worker, number)
            raise
        if refused is not None:
            raise BudgetExhausted(refused)
        self._taken[most, sent].append(number)

    def settle(self, most: float, requests: int, cost: float, sent: int = 1) -> None:
        number = self._taken[most, sent].pop()
        self._coordinator.settle.remote(self._worker, number, requests, cost)


class SharedLimits:
    """`kardia.engine.commons.Commons` for actors on any host: one event loop's access to an endpoint's limits.

    Args:
        coordinator, worker: as for the budget.
        path: the limits file that the process would share with others; the coordinator has its own.
        endpoint: names the endpoint.
    """

    broken = False

    def __init__(self, coordinator: Any, worker: str, path: Path, endpoint: str) -> None:
        self._coordinator = coordinator
        self._worker = worker
        self._endpoint = endpoint
        self._silent = 0
        self._not_before = 0.0

    @property
    def stuck(self) -> bool:
        return self._silent >= STUCK

    def sync(
        self, now: float, *, level: float, moved: float, ceiling: int, wanted: int, in_use: int, paused: float = 0.0
    ) -> Grant | None:
        pause = max(0.0, paused - now)
        grant = self._ask(self._coordinator.sync, level, moved, ceiling, wanted, in_use, pause)
        if grant is None:
            return None
        until = now + grant.paused if grant.paused else 0.0
        return Grant(grant.level, grant.ceiling, grant.slots, grant.share, grant.members, until)

    def reserve(self, now: float, kind: str, seconds: float) -> float | None:
        wait = self._ask(self._coordinator.reserve, kind, seconds)
        return None if wait is None else now + wait

    def leave(self, now: float) -> None:
        self._coordinator.leave.remote(self._worker, self._endpoint)

    def close(self) -> None:
        self.leave(0.0)

    def _ask(self, method: Any, *arguments: Any) -> Any:
        import ray
        from ray.exceptions import RayError

        if time.monotonic() < self._not_before:
            return None
        try:
            found = ray.get(method.remote(self._worker, self._endpoint, *arguments), timeout=PATIENCE_S)
        except RayError:
            self._not_before = time.monotonic() + AGAIN_S
            self._silent = STUCK
            return None
        self._silent = 0 if found is not None else self._silent + 1
        return found
