"""A model behind an endpoint as a writer: asked like a judge, over the same connections, within the same limits."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, cast

import orjson

from kardia.conversation import Conversation, Target
from kardia.engine import loop
from kardia.engine.desk import Desk, Stopped
from kardia.errors import AnswerError, Interrupted
from kardia.judge import Judge, build_judge
from kardia.judge.chat import endpoint_identity
from kardia.judge.profile import JudgeProfile
from kardia.judge.protocol import Answer, ChatMessage, Request, Said
from kardia.judgment import RAW_MARK
from kardia.policy.generation import Written
from kardia.rubric.blank import blank_rubric

if TYPE_CHECKING:
    from kardia.policy.writers import Job, Keep, Means

__all__ = ["EndpointWriter", "endpoint_facts"]

MODE = "write"
_MOST_SAID = 300


class EndpointWriter:
    """Writes with whatever a judge profile names.

    Args:
        profile: of a backend that speaks to an endpoint; its template and mode do not matter.
    """

    def __init__(self, profile: JudgeProfile) -> None:
        self.profile = profile

    def write(self, jobs: Sequence[Job], keep: Keep, means: Means) -> None:
        """Asks for all of them side by side, as the profile's limits allow.

        Raises:
            ProfileError: where the key's environment variable is not set.
            Interrupted, JudgeUnreachable, BudgetExhausted: once what was under way is handed over.
        """
        judge = build_judge(self.profile)
        loop.close_later(judge)
        loop.run(self._write(judge, jobs, keep, means))

    async def _write(self, judge: Judge, jobs: Sequence[Job], keep: Keep, means: Means) -> None:
        desk = Desk(judge, budget=means.budget, spent=means.spent)
        if means.halt is not None:
            means.halt.listen(desk.stop)

        async def one(job: Job) -> None:
            answer, _ = await desk.answer(_request(job))
            keep(job, _written(answer))

        tasks = [asyncio.ensure_future(one(job)) for job in jobs]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
            desk.stop()  # after a fault: what is under way is finished, and nothing new is sent
            ended = await asyncio.gather(*tasks, return_exceptions=True)
        except asyncio.CancelledError:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            raise
        finally:
            await judge.aclose()
        for problem in ended:
            if isinstance(problem, BaseException) and not isinstance(problem, (Stopped, asyncio.CancelledError)):
                raise problem
        if any(problem is not None for problem in ended):
            raise Interrupted("stopped; what was written is kept")


def endpoint_facts(profile: JudgeProfile) -> dict[str, Any]:
    """Everything beside a prompt that determines an endpoint's replies."""
    url = profile.base_url
    if url is None and profile.backend == "openai":
        from kardia.judge.backends.openai import OPENAI_URL

        url = OPENAI_URL
    return dict(orjson.loads(endpoint_identity(profile, url)))


def _request(job: Job) -> Request:
    messages = tuple(ChatMessage(cast(Literal["user"], each.role), each.content) for each in job.messages)
    target = Target("reply", len(messages), "")
    return Request(Conversation(job.id, job.messages), target, _NO_RUBRIC, (), MODE, job.sample, messages)


def _written(answer: Answer | AnswerError) -> Written:
    if isinstance(answer, AnswerError):
        return Written(None, why=str(answer))
    if not isinstance(answer, Said):
        return Written(None, why="the endpoint gave no words")
    if answer.text is None and answer.refusal:
        return Written(None, why=f"the endpoint refused{RAW_MARK}{answer.refusal[:_MOST_SAID]}")
    return Written(answer.text or "", answer.usage.output_tokens, answer.truncated)


_NO_RUBRIC = blank_rubric("policy", "A policy")
