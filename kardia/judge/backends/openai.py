"""The openai SDK: OpenAI, Azure, and whatever else speaks to it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

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
from kardia.judge.protocol import Answer, Request, Said, Usage

if TYPE_CHECKING:
    from openai import AsyncOpenAI

__all__ = ["OpenAIJudge"]

OPENAI_URL = "https://api.openai.com/v1"


class OpenAIJudge:
    """The `openai` backend.

    Args:
        profile: with `model`; `base_url` for Azure and others; the key from `api_key_env`, else `OPENAI_API_KEY`.

    Raises:
        ProfileError: where the key's environment variable is not set.
    """

    reads_prompts = True
    batch_size = 1

    def __init__(self, profile: JudgeProfile) -> None:
        if profile.api_key_env is None and profile.base_url is None:
            profile = profile.model_copy(update={"api_key_env": "OPENAI_API_KEY"})
        self.profile = profile
        # the SDK wants a key; servers that want none ignore it
        self._key = api_key(profile) or "none"
        self.structured = True
        self._clients = PerLoop(_opener(profile, self._key), _close)

    def __repr__(self) -> str:
        return f"OpenAIJudge({self.profile.name!r}, {self.profile.model!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        return OpenAIJudge, (self.profile,)

    async def answer(self, requests: Sequence[Request]) -> Sequence[Answer | Exception]:
        return [await self._one(request) for request in requests]

    async def aclose(self) -> None:
        await self._clients.aclose()

    async def _one(self, request: Request) -> Answer | Exception:
        structured = self.structured and request.schema is not None
        result = await self._try(request, structured)
        if structured and isinstance(result, _Refused):
            again = await self._try(request, False)
            if isinstance(again, Said):
                self.structured = False
                again = dataclasses.replace(again, usage=again.usage + Usage(1))
            if isinstance(again, _Refused):
                return counted(again.error, 2)
            return counted(again, 2) if isinstance(again, Exception) else again
        return result.error if isinstance(result, _Refused) else result

    async def _try(self, request: Request, structured: bool) -> Answer | Exception:
        import httpx
        import openai

        body = chat_body(self.profile, request, structured=structured)
        known = {"model", "messages", "temperature", "top_p", "max_tokens", "seed", "logprobs", "top_logprobs"}
        named = {key: value for key, value in body.items() if key in known or key == "response_format"}
        extra = {key: value for key, value in body.items() if key not in named}
        try:
            completions = self._clients.get().chat.completions.with_raw_response
            # read here, as it came: the SDK builds its objects from anything, and stumbles over what is not JSON
            response = await completions.create(**named, extra_body=extra or None)
            return read_response(orjson.loads(response.content), self.profile)
        except TransientError as problem:
            return problem
        except orjson.JSONDecodeError:
            return TransientError("the endpoint's answer is not JSON")
        except openai.APITimeoutError:
            return TransientError(f"the endpoint did not answer within {self.profile.limits.timeout_s:g} s")
        except openai.APIStatusError as problem:
            headers = {key.lower(): value for key, value in problem.response.headers.items()}
            message = self._hide(str(problem.message))
            error = failure(problem.status_code, message, self.profile, retry_after_of(headers))
            return _Refused(error) if problem.status_code in SCHEMA_REFUSED else error
        except openai.APIConnectionError as problem:
            what = self._hide(str(problem.__cause__ or problem))
            if isinstance(problem.__cause__, httpx.ConnectError):
                return TransientError(f"no connection to {self.profile.destination}: {what}", down=True)
            return TransientError(f"the connection to {self.profile.destination} broke: {what}", broke=True)
        except openai.APIError as problem:
            return TransientError(f"the endpoint's answer is not a chat completion: {self._hide(problem.message)}")
        except openai.OpenAIError as problem:
            return JudgeUnreachable(self._hide(str(problem)))

    def _hide(self, text: str) -> str:
        return without_secrets(text, self._key, self.profile.headers)


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


class _Refused(Exception):
    """A status that may mean: no structured output here."""

    def __init__(self, error: Exception) -> None:
        self.error = error
        super().__init__(str(error))
