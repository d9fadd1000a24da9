"""Requests that wait for their turn are looked up in the ledger again: another process may have asked them meanwhile.

A run looks its requests up when it plans them, and asks some of them much later: a window of requests waits where the
pace is slow. Two runs over the same rows would ask everything twice. A request that waits is looked up every second,
which costs nothing where requests wait for less.
"""

from __future__ import annotations

import asyncio
from typing import Any

from kardia.engine.asked import Asked, decode
from kardia.engine.ledger import Ledger
from kardia.judge.profile import Price
from kardia.judge.protocol import Request

__all__ = ["Late"]

LOOK_S = 1.0
"""How long a request waits before it is looked up again."""
AT_ONCE = 256


class Late:
    """The requests of one desk that wait for their turn; used on one event loop.

    Args:
        ledger: where they are looked up.
        price: what tokens cost.
    """

    def __init__(self, ledger: Ledger, price: Price) -> None:
        self._ledger = ledger
        self._price = price
        self._waiting: dict[asyncio.Task[Any], tuple[Request, bytes, float]] = {}  # who waits longest comes first
        self._found: dict[asyncio.Task[Any], Asked] = {}
        self._timer: asyncio.TimerHandle | None = None

    def wait(self, task: asyncio.Task[Any], request: Request, key: bytes) -> None:
        """A task waits to ask this. Once it is found in the ledger, the task is cancelled, and `found` has it."""
        loop = asyncio.get_running_loop()
        now = loop.time()
        self._waiting[task] = request, key, now
        if self._timer is None:
            self._timer = loop.call_at(now + LOOK_S, self._look)

    def go(self, task: asyncio.Task[Any]) -> None:
        """Its turn has come, or it has given up."""
        self._waiting.pop(task, None)

    def found(self, task: asyncio.Task[Any]) -> Asked | None:
        """Why a task was cancelled: what the ledger has; None where somebody else cancelled it."""
        return self._found.pop(task, None)

    def _look(self) -> None:
        self._timer = None
        loop = asyncio.get_running_loop()
        now = loop.time()
        batch: list[tuple[asyncio.Task[Any], Request, bytes]] = []
        for task, (request, key, since) in self._waiting.items():
            if since > now - LOOK_S or len(batch) == AT_ONCE:
                break
            batch.append((task, request, key))
        stored = self._ledger.lookup([(key, request.conversation.id) for _, request, key in batch])
        for task, request, key in batch:
            del self._waiting[task]
            payload = stored.get(key)
            asked = None if payload is None else decode(payload, request, self._price)
            if asked is None:
                self._waiting[task] = request, key, now
            else:
                self._found[task] = asked
                task.cancel()
        for _, _, since in self._waiting.values():
            self._timer = loop.call_at(since + LOOK_S, self._look)
            break
