"""Conversations that are longer than a model's context: their oldest messages are left out, where that is allowed."""

from __future__ import annotations

import dataclasses
from collections import OrderedDict
from collections.abc import Callable

from kardia.errors import AnswerError
from kardia.judge.profile import JudgeProfile
from kardia.judge.protocol import Request
from kardia.plan import Planner
from kardia.rubric.rubric import Rubric

__all__ = ["Shortening"]

MAX_PLANNERS = 16


class Shortening:
    """Renders requests anew without their oldest messages.

    The judged reply is never left out, nor the last message of the user before it.

    Args:
        profile: in whose words they are rendered.
    """

    def __init__(self, profile: JudgeProfile) -> None:
        self._profile = profile
        # by the rubric itself, which is kept: another one may get the address of one that is gone
        self._planners: OrderedDict[int, tuple[Rubric, Planner]] = OrderedDict()

    def shorten(self, request: Request, fits: Callable[[Request], bool]) -> tuple[Request, int]:
        """The longest form of a request that fits.

        Args:
            request: that does not fit.
            fits: whether one does.

        Returns:
            the request, and how many messages it leaves out.

        Raises:
            AnswerError: where nothing may be left out, or not enough.
        """
        if request.target.reads == "conversation" or request.candidates or len(request.messages) != 2:
            raise AnswerError("it is longer than the model's context, and nothing of it can be left out")
        most = _may_go(request)
        shortest = self._without(request, most) if most else None
        if shortest is None or not fits(shortest):
            raise AnswerError(
                "it is longer than the model's context, even without all messages before the last one of the user"
            )
        too_few, enough, found = 0, most, shortest
        while enough - too_few > 1:
            middle = (too_few + enough) // 2
            shorter = self._without(request, middle)
            if fits(shorter):
                enough, found = middle, shorter
            else:
                too_few = middle
        return found, enough

    def _without(self, request: Request, count: int) -> Request:
        whole = request.conversation
        shorter = dataclasses.replace(whole, messages=whole.messages[count:])
        known = self._planners.get(id(request.rubric))
        if known is None:
            planner = Planner(request.rubric, self._profile)
            known = self._planners[id(request.rubric)] = request.rubric, planner
            while len(self._planners) > MAX_PLANNERS:
                self._planners.popitem(last=False)
        rendered = known[1].requests_for(shorter, request.rubric, request.target, request.criteria)
        messages = next(each.messages for each in rendered if each.sample == request.sample)
        return dataclasses.replace(request, messages=messages)


def _may_go(request: Request) -> int:
    """How many of the conversation's first messages may be left out: all before the last one of the user."""
    messages = request.conversation.messages[: request.conversation.reply_index]
    users = [place for place, message in enumerate(messages) if message.role == "user"]
    return users[-1] if users else len(messages)
