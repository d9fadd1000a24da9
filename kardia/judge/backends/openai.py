"""The openai SDK: OpenAI, Azure, and whatever else speaks to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kardia.errors import AnswerError, JudgeError, JudgeUnreachable, TransientError
from kardia.judge.backends.endpoint import Endpoint
from kardia.judge.backends.wire import Wire
from kardia.judge.chat import Bodies, endpoint_identity
from kardia.judge.profile import JudgeProfile
from kardia.judge.protocol import Answer, Request

if TYPE_CHECKING:
    from openai import AsyncOpenAI

__all__ = ["OpenAIJudge"]

OPENAI_URL = "https://api.openai.com/v1"
_OPTIONS: Any = {"headers": {"content-type": "application/json"}}


class OpenAIJudge(Endpoint):
    """The `openai` backend: the SDK's client, which knows OpenAI's headers, over kardia's own wire.

    Args:
        profile: with `model`; `base_url` for Azure and others; the key from `api_key_env`, else `OPENAI_API_KEY`.

    Raises:
        ProfileError: where the key's environment variable is not set.
    """

    def __init__(self, profile: JudgeProfile) -> None:
        if profile.api_key_env is None and profile.base_url is None:
            profile = profile.model_copy(update={"api_key_env": "OPENAI_API_KEY"})
        super().__init__(profile)
        self.identity = endpoint_identity(profile, profile.base_url or OPENAI_URL)
        self._bodies = Bodies(profile)
        self._wire = Wire(profile, self._key)
        self._client: AsyncOpenAI | None = None

    async def aclose(self) -> None:
        await self._wire.aclose()

    async def _send(self, request: Request, structured: bool) -> tuple[int, Answer | Exception]:
        import httpx
        import openai

        if self._client is None:
            self._client = _client(self.profile, self._wire, self._key)
        try:
            body = self._bodies.render(request, structured=structured)
        except ValueError as problem:
            return 0, AnswerError(f"the request cannot be sent: {problem}")
        try:
            # what `chat.completions.create` does, without turning over every key of the body, and without building
            # objects from an answer that is read strictly anyway
            response = await self._client.post(
                "/chat/completions", cast_to=httpx.Response, content=body, options=_OPTIONS
            )
        except openai.APIStatusError as problem:
            response = problem.response
        except openai.APIConnectionError as problem:
            if isinstance(problem.__cause__, JudgeError):
                return 0, problem.__cause__
            what = self._hide(str(problem.__cause__ or problem))
            return 0, TransientError(f"the connection to {self.profile.destination} broke: {what}", broke=True)
        except openai.OpenAIError as problem:
            return 0, JudgeUnreachable(self._hide(str(problem)))
        return self._meant(
            response.status_code, response.content, response.headers, response.extensions.get("requests", 1)
        )


def _client(profile: JudgeProfile, wire: Wire, key: str | None) -> AsyncOpenAI:
    from openai import AsyncOpenAI

    from kardia.judge.backends.transport import client_over

    return AsyncOpenAI(
        api_key=key or "none",  # the SDK wants a key; servers that want none ignore it
        # always given: the SDK would take another from the environment, and texts would go where no profile says
        base_url=profile.base_url or OPENAI_URL,
        timeout=profile.limits.timeout_s,
        max_retries=0,  # the engine retries, and counts
        default_headers=dict(profile.headers) or None,
        http_client=client_over(wire, profile),
    )
