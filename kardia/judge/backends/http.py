"""Any OpenAI-compatible server, over one shared aiohttp session."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import aiohttp
import orjson

from kardia.errors import JudgeUnreachable, TransientError
from kardia.judge.backends.endpoint import Endpoint
from kardia.judge.backends.perloop import PerLoop
from kardia.judge.chat import chat_body, failure, read_response, retry_after_of
from kardia.judge.profile import JudgeProfile
from kardia.judge.protocol import Answer, Request

__all__ = ["HttpJudge"]

MAX_RESPONSE_BYTES = 16 * 1024 * 1024


class HttpJudge(Endpoint):
    """The `http` backend.

    Args:
        profile: with `base_url` and `model`.

    Raises:
        ProfileError: where the key's environment variable is not set.
    """

    def __init__(self, profile: JudgeProfile) -> None:
        super().__init__(profile)
        base = (profile.base_url or "").rstrip("/")
        self._url = base if base.endswith("/chat/completions") else base + "/chat/completions"
        self._sessions = PerLoop(_opener(profile, self._key), aiohttp.ClientSession.close)

    async def aclose(self) -> None:
        await self._sessions.aclose()

    async def _send(self, request: Request, structured: bool) -> tuple[int, Answer | Exception]:
        try:
            status, body, headers = await self._post(request, structured)
            if status == 200:
                return status, read_response(_json(body), self.profile)
            return status, failure(status, self._hide(_message(body)), self.profile, retry_after_of(headers))
        except Exception as problem:
            return 0, self._failed(problem)

    def _failed(self, problem: Exception) -> Exception:
        who = self.profile.destination
        if isinstance(problem, TransientError):
            return problem
        if isinstance(problem, asyncio.TimeoutError):
            return TransientError(f"the endpoint did not answer within {self.profile.limits.timeout_s:g} s")
        if isinstance(problem, aiohttp.InvalidURL):
            return JudgeUnreachable(f"{self._url!r} is not a URL")
        if isinstance(problem, aiohttp.ClientConnectorCertificateError):
            return JudgeUnreachable(f"{who} has no valid certificate: {problem.certificate_error}")
        if isinstance(problem, aiohttp.ClientConnectorError):
            return TransientError(f"no connection to {who}: {self._hide(_plain(problem))}", down=True)
        if isinstance(problem, (aiohttp.ClientError, OSError)):
            what = self._hide(str(problem) or type(problem).__name__)
            return TransientError(f"the connection to {who} broke: {what}", broke=True)
        if isinstance(problem, ValueError):
            return JudgeUnreachable(f"the request to {who} cannot be sent: {self._hide(str(problem))}")
        raise problem

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
