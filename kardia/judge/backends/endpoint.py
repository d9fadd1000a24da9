"""What the three backends that speak to an endpoint have in common, whoever carries the request.

Structured output is asked for by `response_format`; where a server does not know that, plain JSON is asked for by the
prompt alone, and parsed just as strictly.
"""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from kardia.errors import AnswerError, TransientError
from kardia.judge.chat import api_key, endpoint_identity, failure, read_response, retry_after_of, without_secrets
from kardia.judge.profile import JudgeProfile
from kardia.judge.protocol import Answer, Request, Said, Usage

__all__ = ["Endpoint", "plus_requests"]

SCHEMA_REFUSED = (400, 415, 422, 501)
"""Statuses by which servers say that they cannot do structured output."""


class Endpoint(ABC):
    """A judge behind an API.

    Args:
        profile: with the model, and the key's variable where there is one.

    Attributes:
        structured: whether structured output is asked for; false once a server has shown that it does not know it.
        identity: everything beside a request that determines its answers.

    Raises:
        ProfileError: where the key's environment variable is not set.
    """

    reads_prompts = True
    batch_size = 1

    def __init__(self, profile: JudgeProfile) -> None:
        self.profile = profile
        self._key = api_key(profile)
        self.structured = True
        self._proven = False
        self.identity: str | None = endpoint_identity(profile, profile.base_url)

    @property
    def most_requests(self) -> int:
        """How many requests one try may take: two until it is known whether the server does structured output."""
        return 2 if self.structured and not self._proven else 1

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
            before = result.requests if isinstance(result, AnswerError) else 1
            status, result = await self._send(request, False)
            result = plus_requests(result, before)
            if status == 200:
                self.structured = False  # this server does not know response_format; do not ask again
        elif structured and status == 200:
            self._proven = True
        return result

    def _meant(
        self, status: int, body: bytes, headers: Mapping[str, str], requests: int
    ) -> tuple[int, Answer | Exception]:
        """What a response means that took so many requests."""
        result: Answer | Exception
        if status == 200:
            try:
                result = read_response(orjson.loads(body), self.profile)
            except orjson.JSONDecodeError:
                result = TransientError("the endpoint's answer is not JSON")
            except TransientError as problem:
                result = problem
        else:
            result = failure(status, self._hide(_message(body)), self.profile, retry_after_of(headers))
        return status, result if requests == 1 else plus_requests(result, requests - 1)

    def _hide(self, text: str) -> str:
        return without_secrets(text, self._key, self.profile.headers)


def plus_requests(result: Answer | Exception, more: int) -> Answer | Exception:
    """A result that took more requests than the last one."""
    if isinstance(result, (AnswerError, TransientError)):
        result.requests += more
    elif isinstance(result, Said):
        return dataclasses.replace(result, usage=result.usage + Usage(more))
    return result


def _message(body: bytes) -> str:
    """The words of an error response, whatever its shape."""
    text = body[:2000].decode("utf-8", "replace")
    try:
        data = orjson.loads(body)
    except orjson.JSONDecodeError:
        return text
    error = data.get("error", data) if isinstance(data, dict) else data
    if isinstance(error, dict):
        words = error.get("message") or error.get("detail") or text
        code = error.get("code")
        return f"{words} ({code})" if isinstance(code, str) else str(words)
    return str(error)
