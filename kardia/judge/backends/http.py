"""Any OpenAI-compatible server, over one shared aiohttp session.

Structured output is asked for by `response_format`; where a server does not know that, plain JSON is asked for by
the prompt alone, and parsed just as strictly.
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import aiohttp
import orjson

from kardia.errors import JudgeUnreachable, TransientError
from kardia.judge.backends.perloop import PerLoop
from kardia.judge.chat import (
    SCHEMA_REFUSED,
    api_key,
    chat_body,
    counted,
    failure,
    read_response,
    retry_after_of,
    without_secrets,
)
from kardia.judge.profile import JudgeProfile
from kardia.judge.protocol import Answer, Request, Usage

__all__ = ["HttpJudge"]

MAX_RESPONSE_BYTES = 16 * 1024 * 1024


class HttpJudge:
    """The `http` backend.

    Args:
        profile: with `base_url` and `model`.

    Raises:
        ProfileError: where the key's environment variable is not set.
    """

    reads_prompts = True
    batch_size = 1

    def __init__(self, profile: JudgeProfile) -> None:
        self.profile = profile
        base = (profile.base_url or "").rstrip("/")
        self._url = base if base.endswith("/chat/completions") else base + "/chat/completions"
        self._key = api_key(profile)
        self.structured = True
        self._sessions = PerLoop(_opener(profile, self._key), aiohttp.ClientSession.close)

    def __repr__(self) -> str:
        return f"HttpJudge({self.profile.name!r}, {self._url!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        return HttpJudge, (self.profile,)

    async def answer(self, requests: Sequence[Request]) -> Sequence[Answer | Exception]:
        return [await self._one(request) for request in requests]

    async def aclose(self) -> None:
        await self._sessions.aclose()

    async def _one(self, request: Request) -> Answer | Exception:
        structured = self.structured and request.schema is not None
        refused = 0
        try:
            status, body, headers = await self._post(request, structured)
            if structured and status in SCHEMA_REFUSED:
                refused = 1
                status, body, headers = await self._post(request, False)
                if status == 200:
                    self.structured = False  # this server does not know response_format; do not ask again
            if status == 200:
                said = read_response(_json(body), self.profile)
                return dataclasses.replace(said, usage=said.usage + Usage(refused))
            error = failure(status, self._hide(_message(body)), self.profile, retry_after_of(headers))
            return counted(error, 1 + refused)
        except TransientError as problem:
            return problem
        except asyncio.TimeoutError:
            return TransientError(f"the endpoint did not answer within {self.profile.limits.timeout_s:g} s")
        except aiohttp.InvalidURL:
            return JudgeUnreachable(f"{self._url!r} is not a URL")
        except aiohttp.ClientConnectorCertificateError as problem:
            return JudgeUnreachable(f"{self.profile.destination} has no valid certificate: {problem.certificate_error}")
        except aiohttp.ClientConnectorError as problem:
            what = _plain(problem)
            return TransientError(f"no connection to {self.profile.destination}: {self._hide(what)}", down=True)
        except (aiohttp.ClientError, OSError) as problem:
            what = self._hide(str(problem) or type(problem).__name__)
            return TransientError(f"the connection to {self.profile.destination} broke: {what}", broke=True)
        except ValueError as problem:
            what = self._hide(str(problem))
            return JudgeUnreachable(f"the request to {self.profile.destination} cannot be sent: {what}")

    def _hide(self, text: str) -> str:
        return without_secrets(text, self._key, self.profile.headers)

    async def _post(self, request: Request, structured: bool) -> tuple[int, bytes, dict[str, str]]:
        body = orjson.dumps(chat_body(self.profile, request, structured=structured), option=orjson.OPT_NON_STR_KEYS)
        async with self._sessions.get().post(self._url, data=body, allow_redirects=False) as response:
            chunks: list[bytes] = []
            size = 0
            async for chunk in response.content.iter_any():
                size += len(chunk)
                if size > MAX_RESPONSE_BYTES:
                    raise TransientError(f"the endpoint's answer is longer than {MAX_RESPONSE_BYTES:,} bytes")
                chunks.append(chunk)
            return response.status, b"".join(chunks), {key.lower(): value for key, value in response.headers.items()}


def _opener(profile: JudgeProfile, key: str | None) -> Callable[[], aiohttp.ClientSession]:
    headers = {"content-type": "application/json", **profile.headers}
    if key is not None:
        headers["authorization"] = f"Bearer {key}"

    def open_session() -> aiohttp.ClientSession:
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0),  # the engine bounds the concurrency
            timeout=aiohttp.ClientTimeout(total=profile.limits.timeout_s),
            headers=headers,
            trust_env=True,
            auto_decompress=True,
        )

    return open_session


def _plain(problem: aiohttp.ClientConnectorError) -> str:
    """What kept a connection from being made, in words; aiohttp's own name its inner workings."""
    if isinstance(problem, aiohttp.ClientConnectorDNSError):
        return "the host's name is not known"
    refused = isinstance(problem.os_error, ConnectionRefusedError)
    return "connection refused" if refused else problem.os_error.strerror or str(problem)


def _json(body: bytes) -> Any:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        raise TransientError("the endpoint's answer is not JSON") from None


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
