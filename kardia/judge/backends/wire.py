"""One exchange with a server: bytes out, bytes in, within bounds. What three backends send goes through here.

Nothing follows a redirect, no answer is read beyond `MAX_RESPONSE_BYTES` (unpacked), none takes longer than the
profile's time-out however slowly it drips, certificates are always verified, and no error holds a secret.
"""

from __future__ import annotations

import asyncio
import os
import ssl
import zlib
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any
from urllib.request import getproxies, proxy_bypass

import aiohttp
from multidict import CIMultiDict
from yarl import URL

from kardia.errors import JudgeError, JudgeUnreachable, TransientError
from kardia.judge.backends.perloop import PerLoop
from kardia.judge.chat import without_secrets
from kardia.judge.profile import JudgeProfile
from kardia.version import __version__

__all__ = ["MAX_RESPONSE_BYTES", "Reply", "Wire"]

MAX_RESPONSE_BYTES = 16 * 1024 * 1024
STALE_S = 1.0
"""A connection that was kept open and breaks within this time was closed by the server while it was idle."""
MAX_PLAIN_BODY = 1 << 20
"""aiohttp warns where a longer body is handed over as bytes."""

_HEADERS = {
    "accept": "application/json",
    "accept-encoding": "identity",  # answers are short: to unpack them costs more than to carry them
    "content-type": "application/json",
    "user-agent": f"kardia/{__version__}",
}

_made_anew: ContextVar[bool] = ContextVar("kardia_connection_made_anew", default=False)


@dataclass(frozen=True, slots=True)
class Reply:
    """What a server answered.

    Attributes:
        status: the HTTP status; a redirect is an answer too.
        body: as the server meant it, unpacked.
        headers: by name, in any case.
        requests: how many requests it took: 2 where the first met a connection that the server had closed meanwhile.
    """

    status: int
    body: bytes
    headers: Mapping[str, str]
    requests: int = 1


class Wire:
    """The connections to an endpoint: kept alive, one set an event loop, without a bound of their own.

    A proxy is taken from the environment (`HTTPS_PROXY`, `NO_PROXY`, …) when the loop's first request is sent.

    Args:
        profile: who is spoken to, for how long, and the headers that go with every request.
        key: what is never repeated to anybody, where there is one.
        headers: more headers for every request, before the profile's.
    """

    def __init__(self, profile: JudgeProfile, key: str | None, headers: Mapping[str, str] | None = None) -> None:
        self._profile = profile
        self._key = key
        whole = CIMultiDict[str](_HEADERS)
        whole.update(profile.headers)
        whole.update(headers or {})
        plain = (profile.base_url or "").startswith("http://")
        self._proxy_secrets: dict[str, str] = {}
        self._lines = PerLoop(partial(_Line, profile.limits.timeout_s, whole, plain, self._proxy_secrets), _Line.close)

    async def aclose(self) -> None:
        """Closes the running loop's connections."""
        await self._lines.aclose()

    def hide(self, text: str) -> str:
        """The text without the key, the profile's headers and a proxy's password."""
        return without_secrets(text, self._key, {**self._profile.headers, **self._proxy_secrets})

    async def send(
        self, url: URL, body: bytes, headers: Mapping[str, str] | None = None, method: str = "POST"
    ) -> Reply:
        """One request and its answer.

        Args:
            url: where to.
            body: what.
            headers: beside those of every request, and before them.
            method: of HTTP.

        Raises:
            TransientError: no connection, a broken one, no answer in time, one too long or one that cannot be unpacked.
            JudgeUnreachable: a certificate that does not hold, a proxy that refuses, a URL that is none.
        """
        line = self._lines.get()
        requests = 1
        while True:
            began = line.loop.time()
            _made_anew.set(False)
            response: aiohttp.ClientResponse | None = None
            try:
                response = await line.session.request(
                    method,
                    url,
                    data=body if len(body) < MAX_PLAIN_BODY else _stream(body),
                    headers=headers,
                    allow_redirects=False,
                    proxy=line.proxy(url),
                )
                return Reply(response.status, await _read(response), response.headers, requests)
            except Exception as problem:
                caught = problem
            except BaseException:
                if response is not None:
                    response.close()
                raise
            if response is not None:
                response.close()
            elif requests == 1 and _stale(caught) and line.loop.time() - began < STALE_S:
                requests = 2
                continue
            # raised out here, it carries neither aiohttp's error nor what that one knows of the request's headers
            raise self._error(caught, requests)

    def _error(self, problem: Exception, requests: int) -> Exception:
        who, hide = self._profile.destination, self.hide
        if isinstance(problem, JudgeError):
            found: Exception = problem
        elif isinstance(problem, asyncio.TimeoutError):
            patience = f"{self._profile.limits.timeout_s:g} s"
            found = TransientError(f"the endpoint did not answer within {patience}", timed_out=True)
        elif isinstance(problem, aiohttp.InvalidURL):
            found = JudgeUnreachable(f"{hide(str(problem))!r} is not a URL")
        elif isinstance(problem, aiohttp.ClientConnectorCertificateError):
            found = JudgeUnreachable(
                f"{who} has no valid certificate ({_why(problem.certificate_error)}); nothing was sent. Where it is "
                "signed by a private authority, name the authority's file in SSL_CERT_FILE"
            )
        elif isinstance(problem, aiohttp.ClientHttpProxyError):
            found = JudgeUnreachable(f"the proxy on the way to {who} refuses: {problem.status} {problem.message}")
        elif isinstance(problem, aiohttp.ClientConnectorError):
            on_the_way = "the proxy on the way to " if isinstance(problem, aiohttp.ClientProxyConnectionError) else ""
            found = TransientError(f"no connection to {on_the_way}{who}: {hide(_plain(problem))}", down=True)
        elif isinstance(problem, (aiohttp.ClientError, OSError)):
            what = hide(str(problem) or type(problem).__name__)
            found = TransientError(f"the connection to {who} broke: {what}", broke=True)
        elif isinstance(problem, ValueError):
            found = JudgeUnreachable(f"the request to {who} cannot be sent: {hide(str(problem))}")
        else:
            return problem
        if isinstance(found, TransientError):
            found.requests = requests
        return found


class _Connector(aiohttp.TCPConnector):
    """Notes which requests had to open a connection: those that did not may meet one that is closed already."""

    async def _create_connection(self, *args: Any, **more: Any) -> Any:
        _made_anew.set(True)
        return await super()._create_connection(*args, **more)


class _Line:
    """The session of one event loop."""

    def __init__(self, timeout_s: float, headers: Mapping[str, str], plain: bool, secrets: dict[str, str]) -> None:
        self.loop = asyncio.get_running_loop()
        self.session = aiohttp.ClientSession(
            # the engine bounds the concurrency
            connector=_Connector(limit=0) if plain else _Connector(limit=0, ssl=_authorities()),
            timeout=aiohttp.ClientTimeout(total=timeout_s),
            headers=headers,
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,  # done here, within bounds
        )
        self._secrets = secrets
        self._proxies: dict[tuple[str, str | None], URL | None] = {}

    async def close(self) -> None:
        await self.session.close()

    def proxy(self, url: URL) -> URL | None:
        """The proxy on the way to a URL; looked up once for each host."""
        place = url.scheme, url.raw_host
        try:
            return self._proxies[place]
        except KeyError:
            proxy = self._proxies[place] = _proxy_of(url)
            if proxy is not None and proxy.password:
                self._secrets[proxy.host or ""] = proxy.password
            return proxy


def _proxy_of(url: URL) -> URL | None:
    host = url.raw_host
    proxies = getproxies()
    named = proxies.get(url.scheme) or proxies.get("all")
    if not named or host is None or proxy_bypass(host if url.explicit_port is None else f"{host}:{url.port}"):
        return None
    proxy = URL(named if "://" in named else f"http://{named}")
    if proxy.scheme not in ("http", "https") or not proxy.host:
        raise JudgeUnreachable(
            f"the environment names a {proxy.scheme} proxy for {host}, and kardia speaks only to http proxies; "
            "add the host to NO_PROXY to go there directly"
        )
    return proxy


@lru_cache(maxsize=1)
def _authorities() -> ssl.SSLContext:
    """The authorities that certificates are verified by: the system's and certifi's, or those that SSL_CERT_FILE or
    SSL_CERT_DIR name."""
    context = ssl.create_default_context()
    if not (os.environ.get("SSL_CERT_FILE") or os.environ.get("SSL_CERT_DIR")):
        try:
            import certifi
        except ImportError:
            pass  # the system's alone, then
        else:
            context.load_verify_locations(certifi.where())
    context.set_alpn_protocols(["http/1.1"])
    return context


def _stale(problem: Exception) -> bool:
    """Whether a request went into a connection that the server had closed while it was idle, as every server does after
    some seconds: nobody has read it, and it may be sent again without asking whether the server is well."""
    broken = isinstance(problem, (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError))
    return broken and not isinstance(problem, aiohttp.ClientConnectorError) and not _made_anew.get()


async def _read(response: aiohttp.ClientResponse) -> bytes:
    if (response.content_length or 0) > MAX_RESPONSE_BYTES:
        raise _too_long()
    content = response.content
    body = await content.readany()
    if not content.at_eof():
        chunks, size = [body], len(body)
        while chunk := await content.readany():
            size += len(chunk)
            if size > MAX_RESPONSE_BYTES:
                raise _too_long()
            chunks.append(chunk)
        body = b"".join(chunks)
    packed = response.headers.get("content-encoding")
    return body if packed is None else _unpacked(body, packed.strip().lower())


def _unpacked(body: bytes, how: str) -> bytes:
    if how in ("", "identity") or not body:
        return body
    if how not in ("gzip", "x-gzip", "deflate"):
        raise TransientError(f"the endpoint's answer is packed as {how[:20]!r}, which was not asked for")
    # bare deflate has no header; what has one is told by its first byte (RFC 9110, section 8.4.1.2)
    bare = how == "deflate" and body[0] & 0x0F != 8
    unpack = zlib.decompressobj(-zlib.MAX_WBITS if bare else zlib.MAX_WBITS | 32)
    try:
        plain = unpack.decompress(body, MAX_RESPONSE_BYTES + 1)
    except zlib.error:
        raise TransientError("the endpoint's answer cannot be unpacked") from None
    if len(plain) > MAX_RESPONSE_BYTES:
        raise _too_long()
    if not unpack.eof:
        raise TransientError("the endpoint's answer cannot be unpacked: its end is missing")
    return plain


def _too_long() -> TransientError:
    return TransientError(f"the endpoint's answer is longer than {MAX_RESPONSE_BYTES:,} bytes")


def _stream(body: bytes) -> Any:
    from io import BytesIO

    return BytesIO(body)


def _plain(problem: aiohttp.ClientConnectorError) -> str:
    """What kept a connection from being made, in words; aiohttp's own name its inner workings."""
    if isinstance(problem, aiohttp.ClientConnectorDNSError):
        return "the host's name is not known"
    refused = isinstance(problem.os_error, ConnectionRefusedError)
    return "connection refused" if refused else problem.os_error.strerror or str(problem)


def _why(problem: Exception) -> str:
    """OpenSSL's reason, without its inner workings."""
    reason = getattr(problem, "verify_message", None)
    return str(reason) if reason else str(problem)
