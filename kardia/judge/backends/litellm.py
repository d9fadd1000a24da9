"""litellm: a hundred providers behind one call, in the optional part `kardia[litellm]`."""

from __future__ import annotations

import os
from typing import Any

from kardia.errors import JudgeUnreachable, MissingExtra, TransientError
from kardia.judge.backends.endpoint import Endpoint
from kardia.judge.chat import chat_body, failure, read_response, retry_after_of
from kardia.judge.profile import JudgeProfile
from kardia.judge.protocol import Answer, Request

__all__ = ["LitellmJudge"]


class LitellmJudge(Endpoint):
    """The `litellm` backend.

    Args:
        profile: `model` as litellm names it (`anthropic/…`, `gemini/…`); the key from `api_key_env`, else from the
            variable that litellm itself reads for the provider.

    Raises:
        ProfileError: where the key's environment variable is not set.
        MissingExtra: where litellm is not installed.
    """

    def __init__(self, profile: JudgeProfile) -> None:
        super().__init__(profile)
        _litellm()

    async def aclose(self) -> None:
        return None  # litellm keeps its clients to itself

    async def _send(self, request: Request, structured: bool) -> tuple[int, Answer | Exception]:
        litellm = _litellm()
        body = chat_body(self.profile, request, structured=structured)
        # the engine retries, and counts
        options: dict[str, Any] = {"timeout": self.profile.limits.timeout_s, "num_retries": 0, "drop_params": True}
        if self._key is not None:
            options["api_key"] = self._key
        if self.profile.base_url is not None:
            options["api_base"] = self.profile.base_url
        if self.profile.headers:
            options["extra_headers"] = dict(self.profile.headers)
        try:
            completion = await litellm.acompletion(**body, **options)
            return 200, read_response(completion.model_dump(), self.profile)
        except TransientError as problem:
            return 0, problem
        except litellm.exceptions.Timeout:
            return 0, TransientError(f"the provider did not answer within {self.profile.limits.timeout_s:g} s")
        except litellm.exceptions.APIConnectionError as problem:
            return 0, TransientError(f"no connection to the provider: {self._hide(problem.message)}", down=True)
        except litellm.exceptions.BudgetExceededError as problem:
            return 0, JudgeUnreachable(str(problem))
        except Exception as problem:  # litellm's errors share no root, but carry a status
            status = getattr(problem, "status_code", None)
            if not isinstance(status, int):
                return 0, TransientError(f"litellm failed: {self._hide(str(problem))}")
            if _no_connection(problem):
                return 0, TransientError(f"no connection to the provider: {self._hide(str(problem))}", down=True)
            headers = getattr(getattr(problem, "response", None), "headers", None) or {}
            message = self._hide(str(getattr(problem, "message", problem)))
            return status, failure(status, message, self.profile, retry_after_of(headers))


def _no_connection(problem: BaseException | None) -> bool:
    """Whether nobody answered at all: litellm says "500" then, as of a server that failed."""
    from httpx import TransportError

    while problem is not None:
        if isinstance(problem, TransportError):
            return True
        problem = problem.__cause__ or problem.__context__
    return False


def _litellm() -> Any:
    # without this, importing litellm fetches a table of prices from the network
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    try:
        import litellm
    except ModuleNotFoundError as problem:
        if problem.name is not None and problem.name.split(".")[0] != "litellm":
            raise
        raise MissingExtra("litellm", "the litellm backend") from None
    litellm.suppress_debug_info = True
    litellm.telemetry = False
    return litellm
