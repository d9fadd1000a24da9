"""What litellm is handed to send by: one object that both of its ways of sending take for theirs.

Providers that litellm speaks to itself send through an `AsyncHTTPHandler`; those that it reaches by the openai SDK use
`chat.completions` of an `AsyncOpenAI`. Imported only where litellm is.
"""

from __future__ import annotations

import os
from functools import cached_property
from typing import Any

import httpx
import litellm
from litellm.llms.custom_httpx.http_handler import AsyncHTTPHandler
from openai import AsyncAzureOpenAI, AsyncOpenAI

from kardia.judge.backends.transport import client_over
from kardia.judge.backends.wire import Wire
from kardia.judge.profile import JudgeProfile

__all__ = ["client_for"]

OPENAI_URL = "https://api.openai.com/v1"
AZURE = ("azure", "azure_text")


def client_for(profile: JudgeProfile, wire: Wire, key: str | None) -> Any:
    """A client for `litellm.acompletion` whose every request goes over the wire. It belongs to no event loop."""
    _, provider, own_key, own_base = litellm.get_llm_provider(profile.model, api_base=profile.base_url, api_key=key)
    if provider in AZURE:
        return _azure(profile, wire, key)
    base = own_base or profile.base_url or litellm.api_base or _first("OPENAI_BASE_URL", "OPENAI_API_BASE")
    known = key or own_key or litellm.api_key or litellm.openai_key or _first("OPENAI_API_KEY")
    return _Client(wire, profile, base or OPENAI_URL, known or "none")


class _Client(AsyncHTTPHandler):  # type: ignore[misc] # of a package whose types are not followed
    def __init__(self, wire: Wire, profile: JudgeProfile, base_url: str, key: str) -> None:
        self._wire = wire
        self._profile = profile
        self._sdk_base_url = base_url
        self._sdk_key = key
        super().__init__()

    def __repr__(self) -> str:
        return f"<kardia's client for {self._profile.destination}>"

    def create_client(self, *args: Any, **more: Any) -> httpx.AsyncClient:
        """Whatever litellm wants of a client, a time-out or a certificate: it gets one over the wire."""
        return client_over(self._wire, self._profile)

    @cached_property
    def _sdk(self) -> AsyncOpenAI:
        carrier = client_over(self._wire, self._profile)
        return AsyncOpenAI(api_key=self._sdk_key, base_url=self._sdk_base_url, max_retries=0, http_client=carrier)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(self._sdk, name)


def _azure(profile: JudgeProfile, wire: Wire, key: str | None) -> AsyncAzureOpenAI | None:
    base = profile.base_url or litellm.api_base or _first("AZURE_API_BASE")
    known = key or litellm.api_key or litellm.azure_key or _first("AZURE_OPENAI_API_KEY", "AZURE_API_KEY")
    if base is None or known is None:
        return None  # it signs in by other means, which only litellm knows
    version = profile.extra_body.get("api_version") or litellm.api_version or _first("AZURE_API_VERSION")
    return AsyncAzureOpenAI(
        azure_endpoint=base,
        api_key=known,
        api_version=version or litellm.AZURE_DEFAULT_API_VERSION,
        max_retries=0,
        http_client=client_over(wire, profile),
    )


def _first(*names: str) -> str | None:
    return next((os.environ[name] for name in names if os.environ.get(name)), None)
