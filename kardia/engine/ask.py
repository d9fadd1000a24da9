"""One request to a judge until it is answered or given up: tries again, asks again, counts everything."""

from __future__ import annotations

import asyncio
import dataclasses
import random
from collections.abc import Sequence
from dataclasses import dataclass, field

from kardia.answer import read_answer, unscored
from kardia.engine.asked import Asked
from kardia.errors import AnswerError, JudgeUnreachable, TransientError
from kardia.judge.protocol import Answer, ChatMessage, Judge, Request, Said, Usage
from kardia.judgment import RAW_MARK, Judgment

__all__ = ["Asked", "Health", "answered", "ask"]

MAX_WAIT_S = 30.0
DEAD_AFTER_TRIES = 4
DEAD_AFTER_REQUESTS = 20
DEAD_AFTER_CONVERSATIONS = 3

_REPAIR = (
    "That was not in the form that was asked for: {problem}. Answer again, with exactly one answer in the form that "
    "was asked for and nothing beside it."
)


@dataclass
class Health:
    """Whether the judge still answers, and its pace; one for a run."""

    answered: int = 0
    given_up_in_a_row: int = 0
    given_up_ids: set[str] = field(default_factory=set)
    _due: dict[str, float] = field(default_factory=dict)

    async def pace(self, name: str, amount: float, per_minute: int | None) -> None:
        """Waits until `amount` fits into a limit of `per_minute`; evenly spaced, without bursts."""
        if per_minute is None:
            return
        now = asyncio.get_running_loop().time()
        start = max(now, self._due.get(name, 0.0))
        self._due[name] = start + amount * 60.0 / per_minute
        if start > now:
            await asyncio.sleep(start - now)


async def ask(requests: Sequence[Request], judge: Judge, health: Health) -> list[Asked]:
    """Asks a batch of requests.

    Raises:
        JudgeUnreachable: where asking on would be in vain.
    """
    if judge.batch_size == 1:
        return [await _ask_one(request, judge, health) for request in requests]
    try:
        answers = await judge.answer(requests)
    except AnswerError as problem:
        return [_failed(request, problem, Usage()) for request in requests]
    asked: list[Asked] = []
    for request, answer in zip(requests, answers, strict=True):
        if isinstance(answer, AnswerError):
            asked.append(_failed(request, answer, Usage()))
        elif isinstance(answer, Exception):
            raise answer
        else:
            asked.append(Asked(tuple(read_answer(request, answer)[0]), answer.usage))
    return asked


async def _ask_one(request: Request, judge: Judge, health: Health) -> Asked:
    limits = judge.profile.limits
    spent = Usage()
    current = request
    best: list[Judgment] = []
    for attempt in range(limits.reask + 1):
        answer, cost = await answered(current, judge, health)
        spent += cost
        if isinstance(answer, AnswerError):
            return Asked(tuple(best), spent) if best else _failed(request, answer, spent)
        judgments, malformed = read_answer(request, answer)
        # what was well-formed once is kept, whatever the judge says when it is asked for the rest again
        best = [new if old.status == "unscored" else old for old, new in zip(best or judgments, judgments, strict=True)]
        if not malformed:
            break
        # the identical request once more, then with a turn that says what was wrong
        if attempt >= 1 and isinstance(answer, Said) and request.messages:
            problem = next(item.error for item in judgments if item.error).split(RAW_MARK)[0]
            said = ChatMessage("assistant", answer.text or "(nothing)")
            repair = ChatMessage("user", _REPAIR.format(problem=problem))
            current = dataclasses.replace(request, messages=(*request.messages, said, repair))
    return Asked(tuple(best), spent)


async def answered(request: Request, judge: Judge, health: Health) -> tuple[Answer | AnswerError, Usage]:
    """The judge's answer, after as many tries as the profile allows, or why there is none; and what all tries cost.

    Raises:
        JudgeUnreachable: where asking on would be in vain.
    """
    limits = judge.profile.limits
    spent = Usage()
    downs, before = 0, health.answered
    for attempt in range(limits.retries + 1):
        await health.pace("requests", 1, limits.requests_per_minute)
        await health.pace("tokens", _tokens(request, judge), limits.tokens_per_minute)
        answer = await _once(request, judge)
        if not isinstance(answer, Exception):
            health.answered += 1
            health.given_up_in_a_row = 0
            health.given_up_ids.clear()
            return answer, spent + answer.usage
        spent += Usage(requests=getattr(answer, "requests", 1))
        if isinstance(answer, AnswerError):
            return answer, spent
        if not isinstance(answer, TransientError):
            raise answer
        # a connection that breaks may be this one request's doing, unless nothing was ever answered
        gone = answer.down or (answer.broke and not health.answered)
        if gone:
            before = before if downs else health.answered
            downs += 1
        # a judge that has never answered is given fewer tries where the profile allows no more
        enough = DEAD_AFTER_TRIES if health.answered else min(DEAD_AFTER_TRIES, limits.retries + 1)
        if gone and downs >= enough and health.answered == before:
            raise JudgeUnreachable(f"the judge {judge.profile.name} does not answer: {answer}")
        if attempt < limits.retries:
            await asyncio.sleep(_wait(attempt, answer.retry_after))
    health.given_up_in_a_row += 1
    health.given_up_ids.add(request.conversation.id)
    # one conversation that an endpoint stumbles over is not the end of a run, however many criteria are asked of it
    many = len(health.given_up_ids) >= DEAD_AFTER_CONVERSATIONS or not health.answered
    if health.given_up_in_a_row >= DEAD_AFTER_REQUESTS and many:
        raise JudgeUnreachable(
            f"the judge {judge.profile.name} failed {health.given_up_in_a_row} requests in a row; "
            f"the last time: {answer}"
        )
    return AnswerError(f"given up after {_tries(limits.retries + 1)}: {answer}"), spent


async def _once(request: Request, judge: Judge) -> Answer | Exception:
    try:
        return (await judge.answer([request]))[0]
    except (AnswerError, TransientError) as problem:
        return problem


def _tokens(request: Request, judge: Judge) -> float:
    """A rough guess of a request's tokens: four characters each, and all of the answer."""
    return sum(len(message.content) for message in request.messages) / 4 + (judge.profile.sampling.max_tokens or 0)


def _wait(attempt: int, retry_after: float | None) -> float:
    """Seconds until the next try: what the endpoint asked for, or exponential with full jitter."""
    if retry_after is not None:
        return min(retry_after, MAX_WAIT_S) * random.uniform(1.0, 1.1)
    return float(min(MAX_WAIT_S, 0.5 * 2.0**attempt) * random.uniform(0.5, 1.0))


def _tries(count: int) -> str:
    return "1 try" if count == 1 else f"{count} tries"


def _failed(request: Request, error: AnswerError, usage: Usage) -> Asked:
    return Asked(tuple(unscored(criterion, str(error), error.raw) for criterion in request.criteria), usage)
