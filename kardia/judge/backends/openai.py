"""The openai SDK: OpenAI, Azure, and whatever else speaks to it."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from kardia.errors import JudgeUnreachable, TransientError
from kardia.judge.chat import SCHEMA_REFUSED, api_key, chat_body, failure, read_response, retry_after_of
from kardia.judge.profile import JudgeProfile
from kardia.judge.protocol import Answer, Request

if TYPE_CHECKING:
    from openai import AsyncOpenAI

__all__ = ["OpenAIJudge"]


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
        self._clients: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, AsyncOpenAI] = weakref.WeakKeyDictionary()

    def __repr__(self) -> str:
        return f"OpenAIJudge({self.profile.name!r}, {self.profile.model!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        return OpenAIJudge, (self.profile,)

    async def answer(self, requests: Sequence[Request]) -> Sequence[Answer | Exception]:
        return [await self._one(request) for request in requests]

    async def aclose(self) -> None:
        client = self._clients.pop(asyncio.get_running_loop(), None)
        if client is not None:
            await client.close()

    def _client(self) -> AsyncOpenAI:
        from openai import AsyncOpenAI

        loop = asyncio.get_running_loop()
        client = self._clients.get(loop)
        if client is None:
            client = self._clients[loop] = AsyncOpenAI(
                api_key=self._key,
                base_url=self.profile.base_url,
                timeout=self.profile.limits.timeout_s,
                max_retries=0,  # the engine retries, and counts
                default_headers=dict(self.profile.headers) or None,
            )
        return client

    async def _one(self, request: Request) -> Answer | Exception:
        structured = self.structured and request.schema is not None
        result = await self._try(request, structured)
        if structured and isinstance(result, _Refused):
            again = await self._try(request, False)
            if not isinstance(again, Exception):
                self.structured = False
            result = again
        return result.error if isinstance(result, _Refused) else result

    async def _try(self, request: Request, structured: bool) -> Answer | Exception:
        import openai

        body = chat_body(self.profile, request, structured=structured)
        known = {"model", "messages", "temperature", "top_p", "max_tokens", "seed", "logprobs", "top_logprobs"}
        named = {key: value for key, value in body.items() if key in known or key == "response_format"}
        extra = {key: value for key, value in body.items() if key not in named}
        try:
            completion = await self._client().chat.completions.create(**named, extra_body=extra or None)
            # an HTML page with status 200 comes back as text
            dump = getattr(completion, "model_dump", None)
            return read_response(dump() if dump is not None else None, self.profile)
        except TransientError as problem:
            return problem
        except openai.APITimeoutError:
            return TransientError(f"the endpoint did not answer within {self.profile.limits.timeout_s:g} s")
        except openai.APIStatusError as problem:
            headers = {key.lower(): value for key, value in problem.response.headers.items()}
            error = failure(problem.status_code, str(problem.message), self.profile, retry_after_of(headers))
            return _Refused(error) if problem.status_code in SCHEMA_REFUSED else error
        except openai.APIConnectionError as problem:
            what = str(problem.__cause__ or problem)
            return TransientError(f"no connection to {self.profile.destination}: {what}", down=True)
        except openai.APIError as problem:
            return TransientError(f"the endpoint's answer is not a chat completion: {problem.message}")
        except openai.OpenAIError as problem:
            return JudgeUnreachable(str(problem))


class _Refused(Exception):
    """A status that may mean: no structured output here."""

    def __init__(self, error: Exception) -> None:
        self.error = error
        super().__init__(str(error))
