"""kardia's wire as a transport of httpx, for the libraries that bring a client of their own.

httpx alone reads an answer of any length, for as long as it drips, and its pool looks at every connection for every
request: milliseconds each where many are open.
"""

from __future__ import annotations

from contextvars import ContextVar

import httpx
from yarl import URL

from kardia.errors import JudgeError, TransientError
from kardia.judge.backends.wire import Wire
from kardia.judge.chat import failure
from kardia.judge.profile import JudgeProfile

__all__ = ["SENT", "WireTransport", "cause_of", "client_over"]

SENT: ContextVar[list[int] | None] = ContextVar("kardia_requests_sent", default=None)
"""Where a list is set: how many requests each exchange took is added to it. For libraries that send more than one."""

_OWN = frozenset({"host", "content-length", "connection", "accept-encoding"})
_TOLD = ("content-type", "retry-after", "x-request-id")
"""What is told of a response's headers: httpx turns each of them over many times, and nobody asks for the others."""


class WireTransport(httpx.AsyncBaseTransport):
    """Carries httpx's requests over a `Wire`. Closing it closes nothing: the wire's owner does.

    Args:
        wire: the connections.
        profile: who is spoken to.
    """

    def __init__(self, wire: Wire, profile: JudgeProfile) -> None:
        self._wire = wire
        self._profile = profile
        self._urls: dict[str, URL] = {}

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """One request. The response's extension `requests` says how many it took.

        Raises:
            TransientError, JudgeUnreachable: as `Wire.send` does; the second also for a redirect, which nobody follows.
        """
        headers = {name: value for name, value in request.headers.items() if name not in _OWN}
        sent = SENT.get()
        try:
            reply = await self._wire.send(self._url(request), await request.aread(), headers, request.method)
        except TransientError as problem:
            if sent is not None:
                sent.append(problem.requests)
            raise
        if sent is not None:
            sent.append(reply.requests)
        if 300 <= reply.status < 400:
            raise failure(reply.status, "", self._profile)
        body = reply.body
        if reply.status >= 400:  # servers repeat the key in their errors, and libraries put errors into logs
            body = self._wire.hide(body.decode("utf-8", "replace")).encode()
        told = {name: reply.headers[name] for name in _TOLD if name in reply.headers}
        return httpx.Response(reply.status, headers=told, content=body, extensions={"requests": reply.requests})

    def _url(self, request: httpx.Request) -> URL:
        text = str(request.url)
        known = self._urls.get(text)
        if known is None:
            if len(self._urls) > 16:
                self._urls.clear()
            known = self._urls[text] = URL(text, encoded=True)
        return known


def client_over(wire: Wire, profile: JudgeProfile) -> httpx.AsyncClient:
    """A client of httpx whose every request goes over the wire; it belongs to no event loop and need not be closed."""
    return httpx.AsyncClient(
        transport=WireTransport(wire, profile),
        follow_redirects=False,
        trust_env=False,
        timeout=profile.limits.timeout_s,
    )


def cause_of(problem: BaseException | None) -> JudgeError | None:
    """What the wire raised, however often it was wrapped."""
    while problem is not None:
        if isinstance(problem, JudgeError):
            return problem
        problem = problem.__cause__ or problem.__context__
    return None
