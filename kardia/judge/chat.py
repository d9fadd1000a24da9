"""The chat-completions wire format, which three backends share: a request's body, and reading a response.

Pure: the body is built here and the response is read here, whoever carries them.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from kardia.errors import AnswerError, JudgeUnreachable, ProfileError, TransientError
from kardia.judge.profile import JudgeProfile
from kardia.judge.protocol import Request, Said, TokenChoice, Usage
from kardia.judgment import RAW_MARK
from kardia.rubric.rubric import canonical_json

__all__ = [
    "Bodies",
    "api_key",
    "chat_body",
    "endpoint_identity",
    "failure",
    "read_response",
    "retry_after_of",
    "without_secrets",
]

TOP_LOGPROBS = 20
MAX_FRAMES = 1024
_SAMPLED = ("temperature", "top_p", "max_tokens", "seed")
"""What of a profile's `sampling` an endpoint is told."""
_HOLE = b"\0"
"""Where the messages go: a byte that no JSON text holds."""


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
    body: dict[str, Any] = {
        "model": profile.model,
        "messages": [{"role": message.role, "content": message.content} for message in request.messages],
    }
    for name in _SAMPLED:
        body[name] = getattr(profile.sampling, name)
    if profile.sampling.seed is not None:
        body["seed"] = profile.sampling.seed + request.sample
    if request.mode == "logprob":
        body["logprobs"] = True
        body["top_logprobs"] = TOP_LOGPROBS
    if structured and request.schema is not None:
        schema = {"name": "verdict", "strict": True, "schema": request.schema}
        body["response_format"] = {"type": "json_schema", "json_schema": schema}
    body.update(profile.extra_body)
    return {key: value for key, value in body.items() if value is not None}


@dataclass(frozen=True, slots=True)
class _Frame:
    """What stands around the messages. It holds the schema, so that the schema's `id` stays its own."""

    schema: Mapping[str, Any] | None
    head: bytes
    tail: bytes | None


class Bodies:
    """Renders the bodies of a profile's requests: what `chat_body` gives, as JSON, without building it twice.

    All but the messages is the same for every request of one schema and sample, and is rendered once.
    """

    def __init__(self, profile: JudgeProfile) -> None:
        self._profile = profile
        self._frames: dict[tuple[int, int, bool, bool], _Frame] = {}

    def render(self, request: Request, *, structured: bool = True) -> bytes:
        """The body of one chat completion, in UTF-8.

        Raises:
            ValueError: where a message cannot be written as UTF-8 (half a surrogate pair).
        """
        key = id(request.schema), request.sample, request.mode == "logprob", structured
        frame = self._frames.get(key)
        if frame is None:
            frame = self._frame(request, structured)
            if len(self._frames) >= MAX_FRAMES:  # rows that bring criteria of their own have a schema each
                self._frames.clear()
            self._frames[key] = frame
        if frame.tail is None:
            return frame.head
        messages = [{"role": message.role, "content": message.content} for message in request.messages]
        try:
            return b"".join((frame.head, orjson.dumps(messages), frame.tail))
        except orjson.JSONEncodeError:
            raise ValueError("a message holds half of a surrogate pair, which UTF-8 cannot write") from None

    def _frame(self, request: Request, structured: bool) -> _Frame:
        body = chat_body(self._profile, request, structured=structured)
        if "messages" not in self._profile.extra_body:
            body["messages"] = orjson.Fragment(_HOLE)
        head, hole, tail = orjson.dumps(body, option=orjson.OPT_NON_STR_KEYS).partition(_HOLE)
        return _Frame(request.schema, head, tail if hole else None)


def endpoint_identity(profile: JudgeProfile, url: str | None) -> str:
    """Everything beside a request that determines an endpoint's answers: who is asked, and how it samples.

    Neither key nor headers, limits or price; not the mode and the template, which the request shows; not how many
    samples are drawn, since each sample is a request of its own.

    Args:
        profile: of the endpoint.
        url: where it is, where the profile leaves that open.
    """
    known = {
        "backend": profile.backend,
        "base_url": _normal(url) if url is not None else None,
        "model": profile.model,
        "sampling": profile.sampling.model_dump(mode="json", include=set(_SAMPLED), exclude_none=True),
        "extra_body": orjson.loads(orjson.dumps(profile.extra_body, option=orjson.OPT_NON_STR_KEYS)),
    }
    return canonical_json(known)


def _normal(url: str) -> str:
    """A base URL as it is written most plainly: the same for all spellings of one place."""
    from urllib.parse import urlsplit

    parts = urlsplit(url)
    scheme = parts.scheme.lower()
    host = parts.hostname or ""  # lower case, without brackets
    port = parts.port
    shown = f"[{host}]" if ":" in host else host
    if port is not None and port != {"http": 80, "https": 443}.get(scheme):
        shown += f":{port}"
    path = parts.path.rstrip("/").removesuffix("/chat/completions").rstrip("/")
    return f"{scheme}://{shown}{path}" + (f"?{parts.query}" if parts.query else "")


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
    if content is not None and not content.isascii():
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
        busy = status == 429 or (status == 503 and retry_after is not None)
        found = f"the endpoint answered {status}{RAW_MARK}{message}"
        return TransientError(found, retry_after=retry_after, overloaded=busy)
    if 300 <= status < 400:
        return JudgeUnreachable(f"{who} redirects elsewhere; a key is not sent after it: set base_url to the new place")
    return AnswerError(f"the endpoint answered {status}{RAW_MARK}{message}")
