"""The chat-completions wire format, which three backends share: a request's body, and reading a response.

Pure: the body is built here and the response is read here, whoever carries them.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from typing import Any

from kardia.errors import AnswerError, JudgeUnreachable, ProfileError, TransientError
from kardia.judge.profile import JudgeProfile
from kardia.judge.protocol import Request, Said, TokenChoice, Usage
from kardia.judgment import RAW_MARK

__all__ = [
    "api_key",
    "chat_body",
    "failure",
    "read_response",
    "retry_after_of",
    "without_secrets",
]

TOP_LOGPROBS = 20


def api_key(profile: JudgeProfile) -> str | None:
    """The key from the environment variable that the profile names; None where it names none.

    Raises:
        ProfileError: where the variable is not set, or holds what cannot be a key.
    """
    if profile.api_key_env is None:
        return None
    key = os.environ.get(profile.api_key_env, "").strip()
    if not key:
        raise ProfileError(
            f"the judge {profile.name} takes its key from the environment variable {profile.api_key_env}, "
            "which is not set",
            key="api_key_env",
        )
    if not key.isascii() or any(char.isspace() for char in key):
        raise ProfileError(f"the environment variable {profile.api_key_env} does not hold a key", key="api_key_env")
    return key


def chat_body(profile: JudgeProfile, request: Request, *, structured: bool = True) -> dict[str, Any]:
    """The JSON body of one chat completion, `null` sampling values left out.

    Args:
        profile: model, sampling and extra_body come from it; extra_body wins.
        request: with rendered messages.
        structured: whether to ask for structured output by the request's schema.
    """
    sampling = profile.sampling
    body: dict[str, Any] = {
        "model": profile.model,
        "messages": [{"role": message.role, "content": message.content} for message in request.messages],
    }
    if sampling.temperature is not None:
        body["temperature"] = sampling.temperature
    if sampling.top_p is not None:
        body["top_p"] = sampling.top_p
    if sampling.max_tokens is not None:
        body["max_tokens"] = sampling.max_tokens
    if sampling.seed is not None:
        body["seed"] = sampling.seed + request.sample
    if request.mode == "logprob":
        body["logprobs"] = True
        body["top_logprobs"] = TOP_LOGPROBS
    if structured and request.schema is not None:
        schema = {"name": "verdict", "strict": True, "schema": request.schema}
        body["response_format"] = {"type": "json_schema", "json_schema": schema}
    body.update(profile.extra_body)
    return {key: value for key, value in body.items() if value is not None}


def read_response(data: Any, profile: JudgeProfile) -> Said:
    """What a 200 response says.

    Raises:
        TransientError: where it is not a chat completion: proxies and starting servers answer so.
    """
    try:
        choice = data["choices"][0]
        message = choice["message"]
        content = message.get("content")
    except (KeyError, IndexError, TypeError, AttributeError):
        raise TransientError("the endpoint's answer is not a chat completion") from None
    if isinstance(content, list):  # some servers answer in parts
        content = "".join(_part(part) for part in content)
    if content is not None and not isinstance(content, str):
        raise TransientError("the endpoint's answer is not a chat completion")
    if content is not None:
        content = content.encode("utf-8", "replace").decode("utf-8")  # half a surrogate pair could never be sent back
    refusal = message.get("refusal")
    finish = choice.get("finish_reason")
    if not refusal and finish == "content_filter":
        refusal = "the endpoint's content filter stopped the answer"
    return Said(
        content,
        refusal=refusal if isinstance(refusal, str) and refusal else None,
        truncated=finish == "length",
        tokens=_tokens(choice.get("logprobs")),
        usage=_usage(data.get("usage"), profile),
    )


def _part(part: Any) -> str:
    """A text part's text; a reasoning model's thoughts come as parts too, and are no part of its answer."""
    if not isinstance(part, Mapping) or part.get("type", "text") not in ("text", "output_text"):
        return ""
    text = part.get("text")
    return text if isinstance(text, str) else ""


def _tokens(logprobs: Any) -> tuple[TokenChoice, ...] | None:
    content = logprobs.get("content") if isinstance(logprobs, Mapping) else None
    if not isinstance(content, list) or not content:
        return None
    found: list[TokenChoice] = []
    try:
        if not any(item.get("top_logprobs") for item in content):
            return None  # the token's own log-probability alone says nothing of the other levels
        for item in content:
            alternatives = {str(other["token"]): float(other["logprob"]) for other in item.get("top_logprobs") or ()}
            alternatives.setdefault(str(item["token"]), float(item["logprob"]))
            found.append(TokenChoice(str(item["token"]), alternatives))
    except (KeyError, TypeError, ValueError, AttributeError):
        return None
    return tuple(found)


def _usage(usage: Any, profile: JudgeProfile) -> Usage:
    given = usage if isinstance(usage, Mapping) else {}
    read = _count(given.get("prompt_tokens"))
    written = _count(given.get("completion_tokens"))
    return Usage(1, read, written, profile.price.cost(read, written))


def _count(number: Any) -> int:
    return number if isinstance(number, int) and not isinstance(number, bool) and number > 0 else 0


def retry_after_of(headers: Mapping[str, str]) -> float | None:
    """Seconds from a Retry-After header (seconds or a date); None where there is none that makes sense."""
    text = headers.get("retry-after") or headers.get("Retry-After")
    if not text:
        return None
    try:
        seconds = float(text)
        return None if math.isnan(seconds) else max(0.0, min(seconds, 3600.0))
    except ValueError:
        pass
    from datetime import datetime, timezone
    from email.utils import parsedate_to_datetime

    try:
        due = parsedate_to_datetime(text)
    except (TypeError, ValueError):
        return None
    if due.tzinfo is None:  # "-0000": in UTC, says the standard, of a place unknown
        due = due.replace(tzinfo=timezone.utc)
    return max(0.0, min((due - datetime.now(timezone.utc)).total_seconds(), 3600.0))


def without_secrets(text: str, key: str | None, headers: Mapping[str, str]) -> str:
    """The text without the key and the values of the profile's headers: some servers repeat them in their errors."""
    for secret in (key, *headers.values()):
        if secret is not None and len(secret.strip()) >= 8:
            for form in (secret.strip(), repr(secret.strip())[1:-1]):
                text = text.replace(form, "[hidden]")
    return text


def failure(status: int, message: str, profile: JudgeProfile, retry_after: float | None = None) -> Exception:
    """What a status other than 200 means: try again, give this request up, or give the judge up."""
    message = " ".join(message.split())[:300]
    who = profile.destination
    if status in (401, 403):
        key = f"the key in {profile.api_key_env}" if profile.api_key_env else "a request without a key (api_key_env)"
        return JudgeUnreachable(f"{who} does not accept {key}: {status} {message}")
    if status == 402 or (status == 429 and "insufficient_quota" in message):
        return JudgeUnreachable(f"{who} says that the account is exhausted: {message}")
    if status in (404, 405):
        return JudgeUnreachable(
            f"{who} does not know the model {profile.model!r} or this URL ({profile.base_url or 'the default'}): "
            f"{status} {message}"
        )
    if status in (408, 409, 425, 429) or status >= 500:
        return TransientError(f"the endpoint answered {status}{RAW_MARK}{message}", retry_after=retry_after)
    if 300 <= status < 400:
        return JudgeUnreachable(f"{who} redirects elsewhere; a key is not sent after it: set base_url to the new place")
    return AnswerError(f"the endpoint answered {status}{RAW_MARK}{message}")
