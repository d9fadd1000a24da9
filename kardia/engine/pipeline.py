"""Plans → judgments: bounded, on one event loop, in the order of the input.

The seam between what is pure and what waits: `judged` is handed plans, lazily, and yields each with a judgment for
every criterion. At most `window` requests are under way or waiting for a slower one before them.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Iterable, Iterator
from contextlib import aclosing
from dataclasses import dataclass, field

from kardia.answer import combine_samples
from kardia.engine.ask import Asked, Health, ask
from kardia.judge.protocol import Judge, Request, Usage
from kardia.judgment import Judgment
from kardia.plan import Judged, Plan

__all__ = ["judged"]


@dataclass
class _Open:
    """A plan whose answers are still coming."""

    plan: Plan
    left: int
    samples: dict[str, list[Judgment]] = field(default_factory=dict)
    usage: Usage = field(default_factory=Usage)

    def add(self, asked: Asked) -> None:
        self.left -= 1
        self.usage += asked.usage
        for judgment in asked.judgments:
            self.samples.setdefault(judgment.criterion, []).append(judgment)

    def close(self) -> Judged:
        judgments: dict[str, Judgment] = {}
        for criterion in self.plan.rubric.criteria:
            settled = self.plan.settled.get(criterion.id)
            judgments[criterion.id] = settled or combine_samples(criterion, self.samples[criterion.id])
        return Judged(self.plan, judgments, self.usage)


async def judged(plans: Iterable[Plan], judge: Judge) -> AsyncGenerator[Judged, None]:
    """Asks the judge for every plan's requests and yields the plans in order, each as soon as all before it are done.

    Raises:
        JudgeUnreachable: where asking on would be in vain; what was yielded before stands.
        Exception: whatever `plans` raises, once everything that came before it was judged and yielded.
    """
    opened: deque[_Open] = deque()

    def requests() -> Iterator[Request | None]:
        for plan in plans:
            opened.append(_Open(plan, len(plan.requests) or 1))
            if plan.requests:
                yield from plan.requests
            else:
                yield None  # nothing to ask, but it keeps its place

    async with aclosing(_answers(requests(), judge)) as answers:
        async for asked in answers:
            head = opened[0]
            if asked is None:
                head.left = 0
            else:
                head.add(asked)
            if head.left == 0:
                yield opened.popleft().close()


async def _answers(requests: Iterator[Request | None], judge: Judge) -> AsyncGenerator[Asked | None, None]:
    in_flight = judge.profile.limits.concurrency if judge.batch_size == 1 else 1
    window = 2 * in_flight
    slots = asyncio.Semaphore(in_flight)
    health = Health()
    pending: deque[asyncio.Task[list[Asked | None]]] = deque()
    ended: Exception | bool = False

    def next_batch() -> list[Request | None]:
        nonlocal ended
        batch: list[Request | None] = []
        try:
            while not ended and len(batch) < judge.batch_size:
                batch.append(next(requests))
        except StopIteration:
            ended = True
        except Exception as problem:  # what came before it was asked and paid for: it is handed out first
            ended = problem
        return batch

    async def work(batch: list[Request | None]) -> list[Asked | None]:
        wanted = [request for request in batch if request is not None]
        async with slots:
            answers = iter(await ask(wanted, judge, health) if wanted else [])
        return [None if request is None else next(answers) for request in batch]

    try:
        while True:
            while len(pending) < window and (batch := next_batch()):
                pending.append(asyncio.create_task(work(batch)))
            if not pending:
                if isinstance(ended, Exception):
                    raise ended
                return
            for asked in await pending[0]:
                yield asked
            pending.popleft()
    finally:
        for task in pending:
            task.cancel()
        await asyncio.gather(*pending, return_exceptions=True)
