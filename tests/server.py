"""A scripted OpenAI-compatible server on loopback, in a thread of its own.

It answers every question with a verdict that fits the question's JSON Schema, unless it was told otherwise, and records
what it was asked. What it was told is a queue of behaviours, one a request; after the last, `always` holds.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web


@dataclass
class Asked:
    """One request as it came in."""

    path: str
    headers: dict[str, str]
    body: dict[str, Any]
    peer: Any

    @property
    def structured(self) -> bool:
        return "response_format" in self.body

    @property
    def text(self) -> str:
        return "\n".join(message["content"] for message in self.body.get("messages", []))


Behaviour = Callable[[web.Request, Asked], Awaitable[web.StreamResponse]]


@dataclass
class ScriptedServer:
    """Use it as a context manager.

    Attributes:
        always: the behaviour once the queue is empty.
        asked: every request, in the order of arrival.
        peak: the most requests that were open at one time.
    """

    always: Behaviour | None = None
    asked: list[Asked] = field(default_factory=list)
    peak: int = 0
    port: int = 0
    _queue: deque[Behaviour] = field(default_factory=deque)
    _open: int = 0

    def __enter__(self) -> ScriptedServer:
        ready = threading.Event()
        self._thread = threading.Thread(target=self._serve, args=(ready,), daemon=True)
        self._thread.start()
        assert ready.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    @property
    def connections(self) -> int:
        """How many TCP connections the requests came over."""
        return len({asked.peer for asked in self.asked})

    def then(self, *behaviours: Behaviour) -> None:
        """Queues behaviours."""
        self._queue.extend(behaviours)

    def _serve(self, ready: threading.Event) -> None:
        async def main() -> None:
            self._loop = asyncio.get_running_loop()
            self._stop = asyncio.Event()
            application = web.Application(client_max_size=64 * 1024 * 1024)
            application.router.add_route("*", "/{path:.*}", self._handle)
            runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
            await runner.setup()
            await web.TCPSite(runner, "127.0.0.1", self.port).start()
            self.port = runner.addresses[0][1]
            ready.set()
            await self._stop.wait()
            await runner.cleanup()

        asyncio.run(main())

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        raw = await request.read()
        peer = request.transport.get_extra_info("peername") if request.transport else None
        headers = {name.lower(): value for name, value in request.headers.items()}
        asked = Asked(request.path, headers, json.loads(raw) if raw else {}, peer)
        self.asked.append(asked)
        self._open += 1
        self.peak = max(self.peak, self._open)
        try:
            behaviour = self._queue.popleft() if self._queue else self.always or verdict()
            return await behaviour(request, asked)
        finally:
            self._open -= 1


def fitting(schema: dict[str, Any]) -> Any:
    """The plainest value that a JSON Schema of kardia's allows."""
    if "anyOf" in schema:
        return fitting(schema["anyOf"][0])
    if "enum" in schema:
        return schema["enum"][-1]
    kind = schema["type"]
    if kind == "object":
        return {key: fitting(value) for key, value in schema["properties"].items()}
    return [] if kind == "array" else "Because it is so."


def completion(content: Any, **more: Any) -> dict[str, Any]:
    """A chat completion; `message`, `finish_reason`, `logprobs` and `usage` may be given."""
    message = {"role": "assistant", "content": content, **more.get("message", {})}
    choice = {"index": 0, "message": message, "finish_reason": more.get("finish_reason", "stop")}
    if "logprobs" in more:
        choice["logprobs"] = more["logprobs"]
    usage = more.get("usage", {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120})
    base = {"id": "c1", "object": "chat.completion", "created": 1, "model": "judge"}
    return {**base, "choices": [choice], "usage": usage}


def verdict(level: Any = None, delay: float = 0.0) -> Behaviour:
    """A verdict by the request's schema, or `level`; where no schema came, one of level 3."""

    async def behave(_: web.Request, asked: Asked) -> web.StreamResponse:
        if delay:
            await asyncio.sleep(delay)
        if level is None and asked.structured:
            data = fitting(asked.body["response_format"]["json_schema"]["schema"])
        else:
            data = {"reason": "Because it is so.", "evidence": [], "level": 3 if level is None else level}
        return web.json_response(completion(json.dumps(data)))

    return behave


def says(content: Any, **more: Any) -> Behaviour:
    """A chat completion with these words."""

    async def behave(_: web.Request, __: Asked) -> web.StreamResponse:
        return web.json_response(completion(content, **more))

    return behave


def status(
    code: int, message: str = "so it goes", *, headers: dict[str, str] | None = None, body: Any = None
) -> Behaviour:
    """An error as OpenAI's API words one."""

    async def behave(_: web.Request, __: Asked) -> web.StreamResponse:
        data = {"error": {"message": message}} if body is None else body
        return web.json_response(data, status=code, headers=headers)

    return behave


def raw(text: str, *, code: int = 200, kind: str = "application/json") -> Behaviour:
    """Any text with any status."""

    async def behave(_: web.Request, __: Asked) -> web.StreamResponse:
        return web.Response(text=text, status=code, content_type=kind)

    return behave


def unstructured(code: int = 400) -> Behaviour:
    """Refuses `response_format`, and answers without it."""

    async def behave(request: web.Request, asked: Asked) -> web.StreamResponse:
        if asked.structured:
            return web.json_response({"error": {"message": "response_format is not supported"}}, status=code)
        return await verdict()(request, asked)

    return behave


async def reset(request: web.Request, _: Asked) -> web.StreamResponse:
    """Hangs up without a word."""
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


async def truncated(request: web.Request, _: Asked) -> web.StreamResponse:
    """Promises more than it sends."""
    response = web.StreamResponse(headers={"content-type": "application/json", "content-length": "1000"})
    await response.prepare(request)
    await response.write(b'{"choices": [')
    assert request.transport is not None
    request.transport.close()
    return response


def slow(seconds: float) -> Behaviour:
    """Answers well, but late."""
    return verdict(delay=seconds)


async def huge(request: web.Request, _: Asked) -> web.StreamResponse:
    """Sends 40 MB of nothing."""
    response = web.StreamResponse(headers={"content-type": "application/json"})
    await response.prepare(request)
    try:
        for _count in range(40):
            await response.write(b" " * (1 << 20))
    except (ConnectionError, asyncio.CancelledError):
        pass  # whoever listened has heard enough
    return response


def redirect(to: str, code: int = 307) -> Behaviour:
    async def behave(_: web.Request, __: Asked) -> web.StreamResponse:
        return web.Response(status=code, headers={"location": to})

    return behave


def token(text: str, alternatives: dict[str, float]) -> dict[str, Any]:
    """One token of `logprobs.content`."""
    others = [{"token": word, "logprob": share, "bytes": None} for word, share in alternatives.items()]
    return {"token": text, "logprob": alternatives[text], "bytes": None, "top_logprobs": others}


def with_logprobs(verdict_token: str, alternatives: dict[str, float]) -> Behaviour:
    """An answer in logprob mode."""
    lead = "Reason: so it is.\nVerdict: "
    content = [token(lead, {lead: 0.0}), token(verdict_token, alternatives)]
    return says(lead + verdict_token, logprobs={"content": content})
