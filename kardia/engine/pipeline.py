"""Plans → judgments: bounded, on one event loop, in the order of the input.

The seam between what is pure and what waits: `judged` is handed plans, lazily, and yields them with a judgment for
every criterion. A slow request holds up those behind it only once the window is full of them.
"""

from __future__ import annotations

import asyncio
from asyncio import CancelledError
from collections import deque
from collections.abc import AsyncGenerator, Coroutine, Iterable
from dataclasses import dataclass, field
from typing import Any

from kardia.combine import How, combine_samples
from kardia.engine.asked import Asked, Asks
from kardia.engine.desk import Stopped
from kardia.engine.halt import Halt
from kardia.errors import BudgetExhausted, Interrupted, JudgeError
from kardia.judge.protocol import Request, Usage
from kardia.judgment import Judgment
from kardia.plan import Judged, Plan

__all__ = ["judged", "window_of"]

MIN_WINDOW = 1024
"""Requests between the first one that is not handed out yet and the last one that was planned."""
PULLED = 256
"""Requests that are looked up in the ledger at a time."""
PULLED_S = 0.02
"""Seconds after which they are looked up, however few: conversations may come slowly."""


@dataclass(eq=False)
class _Open:
    """A plan whose answers are still coming."""

    plan: Plan
    left: int
    answers: list[Asked | None]

    def fill(self, place: int, asked: Asked) -> None:
        self.left -= 1
        self.answers[place] = asked

    def close(self, how: How) -> Judged:
        samples: dict[str, list[Judgment]] = {}
        usages: dict[str, Usage] = {}
        total = Usage()
        for asked in self.answers:
            assert asked is not None
            total += asked.usage
            for judgment, share in zip(asked.judgments, asked.each(), strict=True):
                known = samples.get(judgment.criterion)
                if known is None:
                    samples[judgment.criterion] = [judgment]
                    usages[judgment.criterion] = share
                else:
                    known.append(judgment)
                    usages[judgment.criterion] += share
        judgments: dict[str, Judgment] = {}
        settled = self.plan.settled
        for criterion in self.plan.rubric.criteria:
            found = settled.get(criterion.id)
            judgments[criterion.id] = found or combine_samples(criterion, samples[criterion.id], how)
        return Judged(self.plan, judgments, total, usages)


def window_of(concurrency: int) -> int:
    """How many requests may be open at a time, answered ones that wait for a slower one before them included."""
    return max(MIN_WINDOW, 16 * concurrency)


async def judged(
    plans: Iterable[Plan], desk: Asks, *, window: int = MIN_WINDOW, how: How = "mean", halt: Halt | None = None
) -> AsyncGenerator[list[Judged], None]:
    """Has every plan's requests answered and yields the plans in order, as many at a time as are ready.

    Args:
        plans: read lazily.
        desk: who answers.
        window: see `window_of`.
        how: how several samples become one judgment.
        halt: a wish to stop: what is under way is finished and handed out.

    Raises:
        JudgeUnreachable: where asking on would be in vain.
        BudgetExhausted: where the run's budget is used up.
        Interrupted: after `halt`.
        Exception: whatever `plans` raises, once everything that came before it was judged and yielded.

    Before it raises, it yields every plan that is complete, also those behind one that is not.
    """
    work = _Work(plans, desk, window, how)
    if halt is not None:
        halt.listen(work.interrupt)
    try:
        while True:
            work.pull()
            if ready := work.ready():
                yield ready
                continue
            if work.problem is not None or work.done:
                break
            if work.wants_more:
                await asyncio.sleep(0)  # conversations come slowly: who is under way has a turn between two
            else:
                await work.changed()
        if work.problem is not None:
            await work.drain()
            if complete := work.complete():
                yield complete
            raise work.problem
        if work.input_problem is not None:
            raise work.input_problem
    finally:
        await work.abandon()


@dataclass(eq=False)
class _Work:
    """The state of one run."""

    plans: Iterable[Plan]
    desk: Asks
    window: int
    how: How
    opened: deque[_Open] = field(default_factory=deque)
    open_requests: int = 0
    problem: BaseException | None = None
    input_problem: Exception | None = None
    ended: bool = False
    _queue: deque[tuple[_Open, int]] = field(default_factory=deque)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)
    _batching: bool = False
    _wake: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self._plans = iter(self.plans)

    @property
    def wants_more(self) -> bool:
        """Whether more can be planned without anything having to happen before."""
        return not self.ended and self.open_requests < self.window

    @property
    def done(self) -> bool:
        return self.ended and not self.opened

    def pull(self) -> None:
        """Takes plans until the window is full; what the ledger does not know is asked."""
        loop = asyncio.get_running_loop()
        while not self.ended and self.problem is None and self.open_requests < self.window:
            taken: list[tuple[_Open, int]] = []
            requests: list[Request] = []
            until = loop.time() + PULLED_S
            while len(requests) < PULLED and self.open_requests < self.window and (not requests or loop.time() < until):
                try:
                    plan = next(self._plans)
                except StopIteration:
                    self.ended = True
                    break
                except Exception as problem:  # what came before it was asked and paid for: it is handed out first
                    self.ended, self.input_problem = True, problem
                    break
                count = len(plan.requests)
                entry = _Open(plan, count, [None] * count)
                self.opened.append(entry)
                self.open_requests += count or 1
                taken.extend((entry, place) for place in range(count))
                requests.extend(plan.requests)
            try:
                known = self.desk.known(requests) if requests else []
            except Exception as problem:
                self.fail(problem)
                return
            for (entry, place), request, asked in zip(taken, requests, known, strict=True):
                if asked is not None:
                    entry.fill(place, asked)
                elif self.desk.batch_size > 1:
                    self._queue.append((entry, place))
                else:
                    self._start(self._ask(entry, place, request))
            if (self.opened and not self.opened[0].left) or loop.time() >= until:
                break  # something can be handed out already, or who is under way wants to be heard
        if self._queue and not self._batching and self.problem is None:
            self._batching = True
            self._start(self._ask_batches())

    def ready(self) -> list[Judged]:
        """What can be handed out: everything before the first plan that is not complete."""
        found: list[Judged] = []
        opened = self.opened
        while opened and not opened[0].left:
            entry = opened.popleft()
            self.open_requests -= len(entry.answers) or 1
            found.append(entry.close(self.how))
        return found

    def complete(self) -> list[Judged]:
        """Everything that is complete, whatever stands before it."""
        found = [entry.close(self.how) for entry in self.opened if not entry.left]
        self.opened.clear()
        return found

    async def changed(self) -> None:
        await self._wake.wait()
        self._wake.clear()

    def interrupt(self) -> None:
        self.fail(Interrupted("interrupted: what was under way was finished; the same command goes on from there"))

    def fail(self, problem: BaseException) -> None:
        """Ends the run: in good order after a wish to stop or a spent budget, at once where asking on is in vain."""
        if self.problem is None:
            self.problem = problem
            # now, not when somebody asks for more
            self.desk.stop(hard=not isinstance(problem, (Interrupted, BudgetExhausted)))
        self._wake.set()

    async def drain(self) -> None:
        """Waits for what is under way."""
        while self._tasks:
            await asyncio.wait(tuple(self._tasks))
        await self.desk.settle()

    async def abandon(self) -> None:
        """Gives up whatever is still under way."""
        if not self._tasks:
            return
        self.desk.stop(hard=True)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _filled(self, entry: _Open) -> None:
        if not entry.left and self.opened and entry is self.opened[0]:
            self._wake.set()

    async def _ask(self, entry: _Open, place: int, request: Request) -> None:
        try:
            asked = await self.desk.ask(request)
        except Stopped:
            return
        except BaseException as problem:  # whatever it is, nobody must wait for this answer for ever
            self.fail(_said(problem))
            return
        entry.fill(place, asked)
        self._filled(entry)

    async def _ask_batches(self) -> None:
        """Batch after batch: a judge that takes several requests at a time computes, and computes one thing."""
        size = self.desk.batch_size
        try:
            while self._queue and self.problem is None:
                batch = [self._queue.popleft() for _ in range(min(size, len(self._queue)))]
                requests = [entry.plan.requests[place] for entry, place in batch]
                for (entry, place), asked in zip(batch, await self.desk.ask_batch(requests), strict=True):
                    entry.fill(place, asked)
                self._wake.set()
        except Stopped:
            return
        except BaseException as problem:
            self.fail(_said(problem))
        finally:
            # not when the task is seen to be done: by then somebody may have filled the window, and wait for it
            self._batching = False


def _said(problem: BaseException) -> BaseException:
    """What a run ends with; a cancellation that nobody here asked for would pass for the caller's own."""
    strange = isinstance(problem, (CancelledError, GeneratorExit))
    return JudgeError("the judge cancelled its own request") if strange else problem
