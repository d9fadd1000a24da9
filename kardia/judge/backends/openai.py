"""The openai SDK: OpenAI, Azure, and whatever else speaks to it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import orjson

from kardia.errors import JudgeUnreachable, TransientError
from kardia.judge.backends.endpoint import Endpoint
from kardia.judge.backends.perloop import PerLoop
from kardia.judge.chat import chat_body, failure, read_response, retry_after_of
from kardia.judge.profile import JudgeProfile
from kardia.judge.protocol import Answer, Request

if TYPE_CHECKING:
    from openai import AsyncOpenAI

__all__ = ["OpenAIJudge"]

OPENAI_URL = "https://api.openai.com/v1"


class OpenAIJudge(Endpoint):
    """The `openai` backend.

    Args:
        profile: with `model`; `base_url` for Azure and others; the key from `api_key_env`, else `OPENAI_API_KEY`.

    Raises:
        ProfileError: where the key's environment variable is not set.
    """

    def __init__(self, profile: JudgeProfile) -> None:
        if profile.api_key_env is None and profile.base_url is None:
            profile = profile.model_copy(update={"api_key_env": "OPENAI_API_KEY"})
        super().__init__(profile)
        # the SDK wants a key; servers that want none ignore it
        self._clients = PerLoop(_opener(profile, self._key or "none"), _close)

    async def aclose(self) -> None:
        await self._clients.aclose()

    async def _send(self, request: Request, structured: bool) -> tuple[int, Answer | Exception]:
        body = chat_body(self.profile, request, structured=structured)
        known = {"model", "messages", "temperature", "top_p", "max_tokens", "seed", "logprobs", "top_logprobs"}
        named = {key: value for key, value in body.items() if key in known or key == "response_format"}
        extra = {key: value for key, value in body.items() if key not in named}
        try:
            completions = self._clients.get().chat.completions.with_raw_response
            # read here, as it came: the SDK builds its objects from anything, and stumbles over what is not JSON
            response = await completions.create(**named, extra_body=extra or None)
            return 200, read_response(orjson.loads(response.content), self.profile)
        except TransientError as problem:
            return 0, problem
        except orjson.JSONDecodeError:
            return 0, TransientError("the endpoint's answer is not JSON")
        except Exception as problem:
            return self._failed(problem)

    def _failed(self, problem: Exception) -> tuple[int, Exception]:
        import httpx
        import openai

        who = self.profile.destination
        if isinstance(problem, openai.APITimeoutError):
            return 0, TransientError(f"the endpoint did not answer within {self.profile.limits.timeout_s:g} s")
        if isinstance(problem, openai.APIStatusError):
            headers = {key.lower(): value for key, value in problem.response.headers.items()}
            status, message = problem.status_code, self._hide(str(problem.message))
            return status, failure(status, message, self.profile, retry_after_of(headers))
        if isinstance(problem, openai.APIConnectionError):
            what = self._hide(str(problem.__cause__ or problem))
            if isinstance(problem.__cause__, httpx.ConnectError):
                return 0, TransientError(f"no connection to {who}: {what}", down=True)
            return 0, TransientError(f"the connection to {who} broke: {what}", broke=True)
        if isinstance(problem, openai.APIError):
            return 0, TransientError(f"the endpoint's answer is not a chat completion: {self._hide(problem.message)}")
        if isinstance(problem, openai.OpenAIError):
            return 0, JudgeUnreachable(self._hide(str(problem)))
        raise problem


def _opener(profile: JudgeProfile, key: str) -> Callable[[], AsyncOpenAI]:
    def open_client() -> AsyncOpenAI:
        from openai import AsyncOpenAI, DefaultAsyncHttpxClient

        return AsyncOpenAI(
            api_key=key,
            # always given: the SDK would take another from the environment, and texts would go where no profile says
            base_url=profile.base_url or OPENAI_URL,
            timeout=profile.limits.timeout_s,
            max_retries=0,  # the engine retries, and counts
            default_headers=dict(profile.headers) or None,
            http_client=DefaultAsyncHttpxClient(follow_redirects=False),
        )

    return open_client


async def _close(client: AsyncOpenAI) -> None:
    await client.close()
