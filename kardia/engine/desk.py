"""One judge's desk: a request goes in, and what came of it comes out — from the ledger, or from the judge.

On the way: equal requests under way are asked once, the gate keeps the pace, a failed try is tried again, a malformed
answer is asked for again, everything is counted, and an answer is stored before anybody sees it.
"""

from __future__ import annotations

import asyncio
import dataclasses
import random
import sys
import weakref
from collections import deque
from collections.abc import Awaitable, Sequence
from typing import Literal, TypeVar

from kardia.answer import read_answer, unscored
from kardia.engine.asked import Asked, decode, encode
from kardia.engine.breaker import PATIENCE_S, Breaker, Tries
from kardia.engine.budget import Budget, Spent
from kardia.engine.gate import Gate
from kardia.engine.key import answer_key, identity_of
from kardia.engine.late import Late
from kardia.engine.ledger import Entry, Ledger
from kardia.errors import AnswerError, BudgetExhausted, JudgeUnreachable, TransientError
from kardia.judge.protocol import Answer, ChatMessage, Judge, Request, Said, Usage
from kardia.judgment import RAW_MARK, Judgment

__all__ = ["Desk", "Stopped"]

T = TypeVar("T")

MAX_WAIT_S = 30.0
MAX_PENDING = 64
"""Answers that wait to be stored before a new request is held back (the profile's concurrency, where that is more):
what a kill can cost stays bounded."""

_REPAIR = (
    "That was not in the form that was asked for: {problem}. Answer again, with exactly one answer in the form that "
    "was asked for and nothing beside it."
)
# by the ledger, too: what one run stores in its own is not stored in another's
_Flights = dict[tuple[Ledger | None, bytes], "asyncio.Future[Asked | None]"]
_flights: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, _Flights] = weakref.WeakKeyDictionary()


class Stopped(Exception):
    """A request that was not answered because the run is coming to its end."""


class Desk:
    """Asks one judge; made for one run, on one event loop.

    Args:
        judge: who is asked.
        ledger: where answers are looked up and stored; None: nowhere.
        fresh: whether everything is asked again, whatever the ledger holds.
        budget: what the run may spend; shared by all desks of a run.
        spent: where it is counted what the run did; likewise.

    Attributes:
        batch_size: how many requests `ask_batch` takes.
    """

    def __init__(
        self,
        judge: Judge,
        *,
        ledger: Ledger | None = None,
        fresh: bool = False,
        budget: Budget | None = None,
        spent: Spent | None = None,
    ) -> None:
        self.judge = judge
        self.ledger = ledger
        self.fresh = fresh
        self.budget = budget
        self.spent = spent or Spent()
        self.batch_size = judge.batch_size
        self.breaker = Breaker()
        self._identity = identity_of(judge)
        # by the request itself, which is kept as long as its key: another one may get the address of one that is gone
        self._keys: dict[int, tuple[Request, bytes]] = {}
        self._late = None if ledger is None or fresh else Late(ledger, judge.profile.price)
        self._gate: Gate | None = None
        self._pending = 0
        self._room: list[asyncio.Future[None]] = []
        self._held: deque[asyncio.Future[None]] = deque()
        self._probing = 0
        self._most_pending = max(MAX_PENDING, judge.profile.limits.concurrency)
        self._under_way: set[asyncio.Task[object]] = set()
        self._asking: set[asyncio.Task[object]] = set()
        self._waiting: set[asyncio.Task[object]] = set()
        self._stopping = False
        self._tokens_matter = judge.profile.limits.tokens_per_minute is not None or (
            budget is not None and budget.max_cost is not None
        )
        self._ratio = 1.0

    def known(self, requests: Sequence[Request]) -> list[Asked | None]:
        """What the ledger holds of these requests; None for what has to be asked."""
        found: list[Asked | None] = [None] * len(requests)
        if self._identity is None:
            return found
        keys = [answer_key(request, self._identity) for request in requests]
        if self.ledger is not None and not self.fresh:
            wanted = [(key, request.conversation.id) for key, request in zip(keys, requests, strict=True)]
            stored = self.ledger.lookup(wanted)
            if stored:
                price = self.judge.profile.price
                for place, (key, request) in enumerate(zip(keys, requests, strict=True)):
                    payload = stored.get(key)
                    if payload is not None:
                        found[place] = decode(payload, request, price)
                self.spent.stored += sum(asked is not None for asked in found)
        for key, request, asked in zip(keys, requests, found, strict=True):
            if asked is None:
                self._keys[id(request)] = (request, key)
        return found

    async def ask(self, request: Request) -> Asked:
        """What came of a request that `known` did not know.

        Raises:
            JudgeUnreachable, BudgetExhausted: where asking on would be in vain.
            Stopped: where the run was stopped before the request was sent.
        """
        key = self._key(request)
        if key is None:
            return await self._asked(request, None)
        flights = _flights.setdefault(asyncio.get_running_loop(), {})
        place = (self.ledger, key)
        while (other := flights.get(place)) is not None:
            asked = await self._waited(other)
            # the same words may be another criterion's, with an id, values and a price of its own
            asked = None if asked is None else decode(encode(asked), request, self.judge.profile.price)
            if asked is not None:
                self.spent.shared += 1
                if self.ledger is not None:
                    self.ledger.share(key, request.conversation.id)
                return asked
        flight: asyncio.Future[Asked | None] = asyncio.get_running_loop().create_future()
        flights[place] = flight
        asked = None
        try:
            asked = await self._asked(request, key)
            return asked
        finally:
            del flights[place]
            flight.set_result(asked)  # None: whoever waits asks for itself

    async def ask_all(self, requests: Sequence[Request]) -> list[Asked]:
        """All of them: from the ledger, or asked, side by side."""
        known = self.known(requests)
        missing = [request for request, asked in zip(requests, known, strict=True) if asked is None]
        if self.batch_size > 1:
            new = await self.ask_batch(missing) if missing else []
        else:
            new = await asyncio.gather(*(self.ask(request) for request in missing))
        rest = iter(new)
        return [next(rest) if asked is None else asked for asked in known]

    async def ask_batch(self, requests: Sequence[Request]) -> list[Asked]:
        """Requests for a judge that takes several at a time."""
        self._check()
        keys = [self._key(request) for request in requests]
        fault: Exception | None = None
        if self.budget is not None:
            for place in range(len(requests)):
                try:
                    await self.budget.take(0.0)
                except BudgetExhausted as problem:
                    if not place:
                        raise
                    # what still fits is asked and stored: the same command goes on from there
                    fault, requests, keys = problem, requests[:place], keys[:place]
                    break
                self.budget.settle(0.0, 1, 0.0)
        try:
            answers: Sequence[Answer | Exception] = await self.judge.answer(requests)
        except AnswerError as problem:
            answers = [problem] * len(requests)
        results: list[Asked] = []
        final: list[tuple[Request, Asked, bytes | None]] = []
        for request, answer, key in zip(requests, answers, keys, strict=True):
            if isinstance(answer, AnswerError):
                results.append(_failed(request, answer, Usage()))
            elif isinstance(answer, Exception):
                fault = fault or answer
            else:
                usage = dataclasses.replace(answer.usage, attempts=1)
                self._pay(usage)
                results.append(Asked(tuple(read_answer(request, answer)[0]), usage))
                final.append((request, results[-1], key))
            self.spent.asked += 1
        await asyncio.gather(*(self._record(*item) for item in final))
        if fault is not None:
            raise fault
        return results

    def stop(self, *, hard: bool = False) -> None:
        """Nothing new is sent from here on: what waits for its turn ends with `Stopped`.

        Args:
            hard: what is under way is given up too. What is answered already is stored either way.
        """
        self._stopping = True
        for task in tuple(self._waiting | self._asking if hard else self._waiting):
            task.cancel()

    async def settle(self) -> None:
        """Waits until everything that is under way has ended, and what was answered is stored."""
        while self._under_way:
            await asyncio.wait(tuple(self._under_way))

    def _key(self, request: Request) -> bytes | None:
        return self._keys.pop(id(request), (request, None))[1]

    def _check(self) -> None:
        if self._stopping:
            raise Stopped

    async def _asked(self, request: Request, key: bytes | None) -> Asked:
        task = asyncio.current_task()
        assert task is not None
        self._asking.add(task)
        self._under_way.add(task)
        if self._late is not None and key is not None:
            self._late.wait(task, request, key)
        try:
            try:
                asked, final = await self._until_read(request)
            except asyncio.CancelledError:
                known = None if self._late is None else self._late.found(task)
                if known is not None:
                    if sys.version_info >= (3, 11):
                        task.uncancel()
                    self.spent.stored += 1
                    return known
                if self._stopping:
                    raise Stopped from None
                raise
            finally:
                self._asking.discard(task)
                if self._late is not None:
                    self._late.go(task)
            self.spent.asked += 1
            if final:
                await self._record(request, asked, key)
            return asked
        finally:
            self._under_way.discard(task)

    async def _record(self, request: Request, asked: Asked, key: bytes | None) -> None:
        """Stores an answer; comes back once it is safe."""
        if key is None or self.ledger is None:
            return
        profile = self.judge.profile
        entry = Entry(
            key,
            request.conversation.id,
            profile.name,
            profile.model or "",
            request.rubric.ref,
            tuple(criterion.id for criterion in request.criteria),
            any(judgment.status == "unscored" for judgment in asked.judgments),
            encode(asked),
        )
        stored: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def then() -> None:
            self._pending -= 1
            if not stored.done():
                stored.set_result(None)
            if self._room and self._pending < self._most_pending:
                for waiting in self._room:
                    if not waiting.done():
                        waiting.set_result(None)
                self._room.clear()

        self._pending += 1
        self.ledger.record(entry, then)
        if not self._asking:
            self.ledger.flush()  # nobody else is coming
        await stored

    async def _until_read(self, request: Request) -> tuple[Asked, bool]:
        """Asks until the answer is well-formed, or for as often as the profile says.

        Returns:
            what came of it, and whether that is final: an answer that was read, not a request that was given up.
        """
        limits = self.judge.profile.limits
        spent = Usage()
        current = request
        best: list[Judgment] = []
        for attempt in range(limits.reask + 1):
            answer, cost = await self.answer(current, again=attempt > 0)
            spent += cost
            if isinstance(answer, AnswerError):
                return (Asked(tuple(best), spent) if best else _failed(request, answer, spent)), False
            spent = dataclasses.replace(spent, attempts=spent.attempts + 1)
            judgments, malformed = read_answer(request, answer)
            # what was well-formed once is kept, whatever the judge says when it is asked for the rest again
            best = [
                new if old.status == "unscored" else old for old, new in zip(best or judgments, judgments, strict=True)
            ]
            if not malformed:
                break
            # the identical request once more, then with a turn that says what was wrong
            if attempt >= 1 and isinstance(answer, Said) and request.messages:
                wrong = next(item.error or "" for item in judgments if item.status == "unscored")
                problem = wrong.split(RAW_MARK)[0]
                said = ChatMessage("assistant", answer.text or "(nothing)")
                repair = ChatMessage("user", _REPAIR.format(problem=problem))
                current = dataclasses.replace(request, messages=(*request.messages, said, repair))
        return Asked(tuple(best), spent), True

    async def answer(self, request: Request, *, again: bool = False) -> tuple[Answer | AnswerError, Usage]:
        """The judge's answer, after as many tries as the profile allows, or why there is none; and what it all took.

        Args:
            request: goes to the judge as it is.
            again: whether it was asked before, so that it goes before those that are new.

        Raises:
            JudgeUnreachable, BudgetExhausted: where asking on would be in vain.
            Stopped: where the run is coming to its end.
        """
        limits = self.judge.profile.limits
        tries = Tries()
        spent = Usage()
        try:
            for attempt in range(limits.retries + 1):
                answer, usage = await self._try(request, again or attempt > 0)
                spent += usage
                if not isinstance(answer, Exception):
                    self.breaker.success()
                    self._let_go(len(self._held))
                    return answer, spent
                self.spent.failed += 1
                if isinstance(answer, AnswerError):
                    self._let_go(len(self._held))  # whatever it said, somebody is there
                    return answer, spent
                if not isinstance(answer, TransientError):
                    raise answer
                self._probing += not attempt
                self._verdict(self.breaker.failure(answer, tries, request.conversation.id, limits.retries + 1))
                if self._held and (answer.overloaded or self.breaker.probe()):
                    self._let_go(1)
                if attempt < limits.retries:
                    await self._rest(_wait(attempt, answer.retry_after))
            assert isinstance(answer, TransientError)
            self._verdict(self.breaker.given_up(answer, request.conversation.id))
            return AnswerError(f"given up after {_tries(limits.retries + 1)}: {answer}"), spent
        finally:
            if tries.failed:
                self._probing -= 1
                self._let_go(1)

    def _verdict(self, dead: str | None) -> None:
        if dead is not None:
            raise JudgeUnreachable(f"the judge {self.judge.profile.name} {dead}")

    async def _held_back(self) -> None:
        """Waits while others find out whether the endpoint is there at all: where they fail, a few are let go."""
        held: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._held.append(held)
        try:
            await self._waits(held)
        except asyncio.CancelledError:
            if held.done() and not held.cancelled():
                self._let_go(1)  # it was this one's turn
            raise
        self._check()

    def _let_go(self, count: int) -> None:
        while count and self._held:
            held = self._held.popleft()
            if not held.done():
                held.set_result(None)
                count -= 1

    async def _try(self, request: Request, again: bool) -> tuple[Answer | Exception, Usage]:
        """One try: through the gate, within the budget, counted whatever comes of it."""
        self._check()
        if self._gate is None:
            self._gate = Gate.of(self.judge, None if self.ledger is None else self.ledger.path)
        gate = self._gate
        tokens = self._tokens(request) if self._tokens_matter else 0.0
        if again or not gate.try_enter(tokens):
            await self._queue(gate, tokens, again)
        if not again and self._probing and self.breaker.suspicious:
            gate.leave("failed")
            await self._held_back()
            await self._queue(gate, tokens, False)
        if self._late is not None and (task := asyncio.current_task()) is not None:
            self._late.go(task)
        outcome: Literal["answered", "overloaded", "failed"] = "failed"
        seconds: float | None = None
        retry_after: float | None = None
        most = 0.0
        sent: int = getattr(self.judge, "most_requests", 1)
        reserved = False
        usage = Usage()
        try:
            while self._pending >= self._most_pending:
                await self._waits(self._until_room())
            if self.budget is not None:
                # as the endpoint counts by now, which nobody knew when the request began to wait
                most = self._most(self._tokens(request)) if self._tokens_matter else 0.0
                await self._waits(self.budget.take(most, sent))
                reserved = True
            self._check()
            loop = asyncio.get_running_loop()
            started = loop.time()
            usage = Usage(requests=1)  # sent from here on, whatever comes back
            try:
                answer = (await self.judge.answer([request]))[0]
            except (AnswerError, TransientError) as problem:
                answer = problem
            seconds = loop.time() - started
            if isinstance(answer, Exception):
                usage = Usage(requests=getattr(answer, "requests", 1))
                overloaded = isinstance(answer, TransientError) and answer.overloaded
                if isinstance(answer, TransientError):
                    retry_after = answer.retry_after
                outcome = "overloaded" if overloaded else "failed"
            else:
                outcome = "answered"
                usage = answer.usage
                if self._tokens_matter and usage.input_tokens:
                    self._ratio = max(self._ratio, usage.input_tokens / max(1.0, _characters(request) / 4))
            return answer, usage
        finally:
            gate.leave(outcome, seconds, retry_after)
            self._pay(usage)
            if self.budget is not None and reserved:
                self.budget.settle(most, usage.requests, usage.cost or 0.0, sent)

    async def _queue(self, gate: Gate, tokens: float, again: bool) -> None:
        """Waits for a slot."""
        await self._waits(gate.enter(tokens, again=again))
        if self._stopping:
            gate.leave("failed")
            raise Stopped

    async def _until_room(self) -> None:
        room: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._room.append(room)
        await room

    async def _waited(self, flight: asyncio.Future[Asked | None]) -> Asked | None:
        """What somebody else's request comes to."""
        task = asyncio.current_task()
        assert task is not None
        self._under_way.add(task)
        try:
            return await self._waits(asyncio.shield(flight))
        except asyncio.CancelledError:
            if self._stopping:
                raise Stopped from None
            raise
        finally:
            self._under_way.discard(task)

    async def _rest(self, seconds: float) -> None:
        await self._waits(asyncio.sleep(seconds))

    async def _waits(self, what: Awaitable[T]) -> T:
        """Waiting that a stop ends."""
        task = asyncio.current_task()
        assert task is not None
        self._waiting.add(task)
        try:
            return await what
        finally:
            self._waiting.discard(task)

    def _pay(self, usage: Usage) -> None:
        spent = self.spent
        spent.requests += usage.requests
        spent.input_tokens += usage.input_tokens
        spent.output_tokens += usage.output_tokens
        if usage.cost is not None:
            spent.cost = (spent.cost or 0.0) + usage.cost

    def _tokens(self, request: Request) -> float:
        """A guess of a request's tokens: four characters each, or as the endpoint counts; and all of the answer."""
        return self._ratio * _characters(request) / 4 + (self.judge.profile.sampling.max_tokens or 0)

    def _most(self, tokens: float) -> float:
        """The most that a request may cost."""
        written = self.judge.profile.sampling.max_tokens or 0
        return self.judge.profile.price.cost(int(tokens) - written, written) or 0.0


def _characters(request: Request) -> int:
    return sum(len(message.content) for message in request.messages)


def _wait(attempt: int, retry_after: float | None) -> float:
    """Seconds until the next try: what the endpoint asked for, or exponential with full jitter."""
    if retry_after is not None:
        return min(retry_after, PATIENCE_S) * random.uniform(1.0, 1.1)
    return float(min(MAX_WAIT_S, 0.5 * 2.0**attempt) * random.uniform(0.5, 1.0))


def _tries(count: int) -> str:
    return "1 try" if count == 1 else f"{count} tries"


def _failed(request: Request, error: AnswerError, usage: Usage) -> Asked:
    return Asked(tuple(unscored(criterion, str(error), error.raw) for criterion in request.criteria), usage)
