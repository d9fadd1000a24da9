"""Conversations that are longer than a model's context: their oldest messages are left out, where that is allowed."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from kardia.errors import AnswerError
from kardia.judge.labels import level_labels
from kardia.judge.profile import JudgeProfile
from kardia.judge.protocol import ChatMessage, Request
from kardia.prompt import load_template, question_variables, shared_variables

__all__ = ["Shortening"]


class Shortening:
    """Renders requests anew without their oldest messages.

    The judged reply is never left out, nor the last message of the user before it.

    Args:
        profile: in whose words they are rendered.
    """

    def __init__(self, profile: JudgeProfile) -> None:
        self._profile = profile

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
        """The request as it would be planned for the rest of the conversation; only the user's turn shows it."""
        whole, profile = request.conversation, self._profile
        rest = dataclasses.replace(whole, messages=whole.messages[count:])
        labels: Mapping[str, Any] | None = None
        if profile.mode == "logprob":
            labels = request.labels or level_labels(request.criteria[0])
        template = load_template(profile.template_name, profile.mode)
        shared = shared_variables(request.rubric, profile.mode, rest, request.target)
        question = {**shared, **question_variables(request.criteria, request.rubric, labels)}
        text = template.render("shared", shared) + "\n\n" + template.render("question", question)
        return dataclasses.replace(request, messages=(request.messages[0], ChatMessage("user", text)))


def _may_go(request: Request) -> int:
    """How many of the conversation's first messages may be left out: all before the last one of the user."""
    messages = request.conversation.messages[: request.conversation.reply_index]
    users = [place for place, message in enumerate(messages) if message.role == "user"]
    return users[-1] if users else len(messages)
