"""What a run may spend: requests and money. Reserved before a request is sent, settled when its answer is there."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from kardia.errors import BudgetExhausted

__all__ = ["Budget", "Spent"]


@dataclass
class Spent:
    """What a run has used, whatever came of it; shared by all judges of a run.

    Attributes:
        requests: sent by this run, retries included.
        input_tokens, output_tokens: as the endpoints reported them.
        cost: in the profiles' currency; None where no profile has a price.
        asked: requests of the plan that were asked, and answered.
        stored: those that the ledger answered.
        shared: those that were the same as one under way, and got its answer.
        failed: tries that failed and were counted.
    """

    requests: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost: float | None = None
    asked: int = 0
    stored: int = 0
    shared: int = 0
    failed: int = 0

    def add(self, other: Spent) -> None:
        """Counts in what another run has used."""
        for name in ("requests", "input_tokens", "output_tokens", "asked", "stored", "shared", "failed"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        if other.cost is not None:
            self.cost = (self.cost or 0.0) + other.cost


@dataclass
class Budget:
    """A cap on requests, on money, or on both; used on one event loop.

    Money is a hard cap as far as tokens can be told beforehand: a request is reserved at its most expensive (all of
    `max_tokens` written, input tokens as the endpoint has counted them so far), so near the end fewer are under way
    at a time.

    Args:
        max_requests: how many may be sent, retries included; None: no cap.
        max_cost: how much they may cost; None: no cap.
    """

    max_requests: int | None = None
    max_cost: float | None = None
    requests: int = 0
    cost: float = 0.0
    _open: int = 0
    _reserved: float = 0.0
    _waiting: list[asyncio.Future[None]] = field(default_factory=list)

    async def take(self, most: float, sent: int = 1) -> None:
        """Reserves a request that costs at most `most` and may be sent `sent` times; waits while others may make room.

        Raises:
            BudgetExhausted: where it cannot fit any more.
        """
        while not self._fits(most, sent):
            if not self._open:
                raise BudgetExhausted(self._spent(most))
            waiting = asyncio.get_running_loop().create_future()
            self._waiting.append(waiting)
            await waiting
        self.requests += sent
        self._open += 1
        self._reserved += most

    def _fits(self, most: float, sent: int) -> bool:
        left = sent if self.max_requests is None else self.max_requests - self.requests
        if left < sent and (self._open or left < 1):  # the last one goes even where it may have to be sent twice
            return False
        return self.max_cost is None or self.cost + self._reserved + most <= self.max_cost

    def _spent(self, most: float) -> str:
        on = "what was scored is kept, and the same command goes on from there"
        if self.max_requests is not None and self.requests >= self.max_requests:
            return f"the budget of {self.max_requests:,} requests is used up; {on}"
        if not self.cost:
            return f"the budget of {self.max_cost:g} is too small for one request, which may cost {most:.6g}"
        return (
            f"the budget of {self.max_cost:g} is used up: {self.cost:.6g} is spent, and the next request may cost "
            f"{most:.6g}; {on}"
        )

    def settle(self, most: float, requests: int, cost: float, sent: int = 1) -> None:
        """A request that was taken as `most` and `sent` came back: it took `requests` in truth, and cost `cost`."""
        self.requests += requests - sent
        self._open -= 1
        self._reserved -= most
        self.cost += cost
        for waiting in self._waiting:
            if not waiting.done():
                waiting.set_result(None)
        self._waiting.clear()
