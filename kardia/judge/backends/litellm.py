"""litellm: a hundred providers behind one call, in the optional part `kardia[litellm]`.

litellm translates; kardia's own wire carries. What litellm opens by itself follows redirects with the key in hand,
reads answers of any length, and takes any certificate where an environment variable says so.
"""

from __future__ import annotations

import logging
import os
from typing import Any

from kardia.errors import AnswerError, JudgeUnreachable, MissingExtra, ProfileError, TransientError
from kardia.judge.backends.endpoint import Endpoint, plus_requests
from kardia.judge.backends.wire import Wire
from kardia.judge.chat import chat_body, failure, read_response, retry_after_of
from kardia.judge.profile import JudgeProfile
from kardia.judge.protocol import Answer, Request

__all__ = ["LitellmJudge"]

_OWN_OPTIONS = {
    *("api_base", "api_key", "base_url", "client", "custom_llm_provider", "deployment_id", "drop_params"),
    *("extra_headers", "fallbacks", "headers", "max_retries", "mock_response", "model_list", "num_retries"),
    *("shared_session", "ssl_verify", "stream", "timeout"),
}
"""What `litellm.acompletion` takes beside a request's own parameters, as far as its list of such names leaves it out or
it matters most."""


class LitellmJudge(Endpoint):
    """The `litellm` backend.

    Args:
        profile: `model` as litellm names it (`anthropic/…`, `gemini/…`); the key from `api_key_env`, else from the
            variable that litellm itself reads for the provider.

    Raises:
        ProfileError: where the key's environment variable is not set, `extra_body` holds what litellm takes for an
            option of its own, or certificates would not be verified.
        MissingExtra: where litellm is not installed.
    """

    def __init__(self, profile: JudgeProfile) -> None:
        super().__init__(profile)
        litellm = _litellm()
        _check_body(profile)
        _check_certificates(profile, litellm)
        self._wire = Wire(profile, self._key)
        self._client: Any = None
        self._told = False

    async def aclose(self) -> None:
        await self._wire.aclose()

    async def _send(self, request: Request, structured: bool) -> tuple[int, Answer | Exception]:
        from kardia.judge.backends.transport import SENT

        sent: list[int] = []
        before = SENT.set(sent)
        try:
            status, result = await self._complete(request, structured, sent)
        finally:
            SENT.reset(before)
        if status == 200 and not sent:
            self._tell()
        counted = result.requests if isinstance(result, (AnswerError, TransientError)) else 1
        more = sum(sent) - counted  # litellm sends again by itself where a parameter was refused
        return status, plus_requests(result, more) if more > 0 else result

    async def _complete(self, request: Request, structured: bool, sent: list[int]) -> tuple[int, Answer | Exception]:
        from kardia.judge.backends.transport import cause_of

        litellm = _litellm()
        body = chat_body(self.profile, request, structured=structured)
        # the engine retries, and counts; the wire adds the profile's headers, which litellm would write into its logs
        options: dict[str, Any] = {"timeout": self.profile.limits.timeout_s, "num_retries": 0, "drop_params": True}
        if self._key is not None:
            options["api_key"] = self._key
        if self.profile.base_url is not None:
            options["api_base"] = self.profile.base_url
        try:
            if self._client is None:
                from kardia.judge.backends.litellm_client import client_for

                self._client = client_for(self.profile, self._wire, self._key)
            completion = await litellm.acompletion(**body, **options, client=self._client)
            return 200, read_response(completion.model_dump(), self.profile)
        except TransientError as problem:
            return 0, problem
        except Exception as problem:  # litellm's errors share no root, but carry a status
            raised = cause_of(problem)
            return (0, raised) if raised is not None else self._failed(problem, litellm, bool(sent))

    def _failed(self, problem: Exception, litellm: Any, answered: bool) -> tuple[int, Exception]:
        # litellm puts whole tracebacks into its messages
        message = self._hide(str(getattr(problem, "message", problem)).partition("Traceback (most recent")[0].strip())
        if isinstance(problem, litellm.exceptions.Timeout):
            patience = f"{self.profile.limits.timeout_s:g} s"
            return 0, TransientError(f"the provider did not answer within {patience}", timed_out=True)
        if isinstance(problem, litellm.exceptions.BudgetExceededError):
            return 0, JudgeUnreachable(message)
        status = getattr(problem, "status_code", None)
        if not isinstance(status, int):
            return 0, TransientError(f"litellm failed: {message}")
        if isinstance(problem, litellm.exceptions.APIConnectionError) and answered:
            # what litellm calls a connection error is any error that it did not expect
            return 0, TransientError(f"litellm cannot read the provider's answer: {message}")
        if isinstance(problem, litellm.exceptions.APIConnectionError) or _no_connection(problem):
            return 0, TransientError(f"no connection to the provider: {message}", down=True)
        headers = getattr(getattr(problem, "response", None), "headers", None) or {}
        return status, failure(status, message, self.profile, retry_after_of(headers))

    def _tell(self) -> None:
        if not self._told:
            self._told = True
            logging.getLogger("kardia").warning(
                "litellm opens its own connections to the provider of %s: kardia cannot keep them from following "
                "redirects with the key, nor bound what they read, nor send the profile's headers",
                self.profile.model,
            )


def _check_body(profile: JudgeProfile) -> None:
    from litellm.types.utils import all_litellm_params

    taken = (_OWN_OPTIONS | set(all_litellm_params)) - {"api_version"}  # Azure's version has no other place
    for name in profile.extra_body:
        if name in taken:
            raise ProfileError(
                f"litellm takes {name!r} for an option of its own, not for a part of the request; it has no place here",
                key=f"extra_body.{name}",
            )


def _check_certificates(profile: JudgeProfile, litellm: Any) -> None:
    if (profile.base_url or "").startswith("http://"):
        return
    if os.environ.get("SSL_VERIFY", "").strip().lower() == "false" or litellm.ssl_verify is False:
        raise ProfileError(
            "SSL_VERIFY in the environment (or litellm.ssl_verify) lets litellm send keys and texts to whoever shows "
            "any certificate; unset it, and name a private authority's file in SSL_CERT_FILE"
        )


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
