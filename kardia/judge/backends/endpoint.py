"""What the three backends that speak to an endpoint have in common, whoever carries the request.

Structured output is asked for by `response_format`; where a server does not know that, plain JSON is asked for by the
prompt alone, and parsed just as strictly.
"""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

from kardia.errors import AnswerError, TransientError
from kardia.judge.chat import api_key, without_secrets
from kardia.judge.profile import JudgeProfile
from kardia.judge.protocol import Answer, Request, Usage

__all__ = ["Endpoint"]

SCHEMA_REFUSED = (400, 415, 422, 501)
"""Statuses by which servers say that they cannot do structured output."""


class Endpoint(ABC):
    """A judge behind an API.

    Args:
        profile: with the model, and the key's variable where there is one.

    Attributes:
        structured: whether structured output is asked for; false once a server has shown that it does not know it.

    Raises:
        ProfileError: where the key's environment variable is not set.
    """

    reads_prompts = True
    batch_size = 1

    def __init__(self, profile: JudgeProfile) -> None:
        self.profile = profile
        self._key = api_key(profile)
        self.structured = True

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.profile.name!r}, {self.profile.model!r}, {self.profile.destination!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.profile,)

    async def answer(self, requests: Sequence[Request]) -> Sequence[Answer | Exception]:
        return [await self._one(request) for request in requests]

    @abstractmethod
    async def aclose(self) -> None:
        """Closes the running loop's connections."""

    @abstractmethod
    async def _send(self, request: Request, structured: bool) -> tuple[int, Answer | Exception]:
        """One request: the status, 0 where there is none, and what it means."""

    async def _one(self, request: Request) -> Answer | Exception:
        structured = self.structured and request.schema is not None
        status, result = await self._send(request, structured)
        if structured and status in SCHEMA_REFUSED:
            status, result = _second(await self._send(request, False))
            if status == 200:
                self.structured = False  # this server does not know response_format; do not ask again
        return result

    def _hide(self, text: str) -> str:
        return without_secrets(text, self._key, self.profile.headers)


def _second(sent: tuple[int, Answer | Exception]) -> tuple[int, Answer | Exception]:
    """A result that took two requests."""
    status, result = sent
    if isinstance(result, (AnswerError, TransientError)):
        result.requests = 2
    elif not isinstance(result, Exception):
        result = dataclasses.replace(result, usage=result.usage + Usage(1))
    return status, result
