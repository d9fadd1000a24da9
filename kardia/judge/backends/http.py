"""Any OpenAI-compatible server, over one shared aiohttp session."""

from __future__ import annotations

from yarl import URL

from kardia.errors import AnswerError, JudgeError
from kardia.judge.backends.endpoint import Endpoint
from kardia.judge.backends.wire import Wire
from kardia.judge.chat import Bodies
from kardia.judge.profile import JudgeProfile
from kardia.judge.protocol import Answer, Request

__all__ = ["HttpJudge"]


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
        self._url = URL(base if base.endswith("/chat/completions") else base + "/chat/completions")
        self._bodies = Bodies(profile)
        bearer = {} if self._key is None else {"authorization": f"Bearer {self._key}"}
        self._wire = Wire(profile, self._key, bearer)

    async def aclose(self) -> None:
        await self._wire.aclose()

    async def _send(self, request: Request, structured: bool) -> tuple[int, Answer | Exception]:
        try:
            body = self._bodies.render(request, structured=structured)
        except ValueError as problem:
            return 0, AnswerError(f"the request cannot be sent: {problem}")
        try:
            reply = await self._wire.send(self._url, body)
        except JudgeError as problem:
            return 0, problem
        return self._meant(reply.status, reply.body, reply.headers, reply.requests)
