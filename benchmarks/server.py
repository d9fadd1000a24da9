"""A local OpenAI-compatible judge: quick enough to measure clients with, and faulty enough to try them.

    python benchmarks/server.py --port 0 --latency-ms 50 --fault 429=0.05 --fault 500=0.02 --fault stall=0.005

The first line on stdout is JSON: `{"port": …, "url": …, "pid": …}`. `POST /v1/chat/completions` is answered with a
verdict that fits the request's JSON Schema or its tool. The verdict follows from the question alone (the messages up
to the first one by the user), so that a request that is tried again, or repaired, is answered as it would have been
without a fault. Whether a request fails follows from its body, from how often that body came before, and from the seed.

Faults, each with its probability:
  429        at once, with Retry-After where `retry_after` says so
  500        an error of the server, after the latency
  garbage    a chat completion whose content is no verdict: prose, nothing, half of it, two of them, a list
  cut        a chat completion that ends at the token limit in the middle of the verdict
  html       a page with status 200, as a proxy sends one
  truncated  a body that ends before its announced length, and the connection with it
  reset      the connection is reset, at once
  stall      no answer for `stall_s` seconds

`max_concurrent` N answers 429 while N requests are in flight; without a latency, none ever is. `GET /stats` counts,
`GET /arrivals` lists when the requests of the last minute came in (seconds since the start or the reset), `POST /reset`
forgets all of it, `POST /config` takes settings as JSON. `LocalServer` starts one as a process of its own and stops it.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
import urllib.request
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

FAULTS = ("429", "500", "garbage", "cut", "html", "truncated", "reset", "stall")
KARDIA = {
    "type": "object",
    "properties": {
        "reason": {"type": "string"},
        "evidence": {"type": "array", "items": {"type": "string"}},
        "level": {"type": "integer", "enum": [1, 2, 3, 4, 5]},
    },
}
REASON = "Some of what is asked for stands in the text and some of it is missing, as its words show; mark {}."
_MARK = "\0"
_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*(\d+)", re.IGNORECASE)
_CLOSE = re.compile(rb"\r\nconnection:[ \t]*close", re.IGNORECASE)
_CHUNKED = re.compile(rb"\r\ntransfer-encoding:", re.IGNORECASE)
_PHRASES = {200: "OK", 400: "Bad Request", 404: "Not Found", 411: "Length Required", 429: "Too Many Requests"}

try:
    import orjson

    loads: Callable[[bytes], Any] = orjson.loads

    def dumps(data: Any) -> bytes:
        return orjson.dumps(data)
except ImportError:
    loads = json.loads

    def dumps(data: Any) -> bytes:
        return json.dumps(data).encode()


@dataclass(frozen=True)
class Settings:
    """How the server answers; every field can be given on the command line, in `LocalServer` and to `POST /config`."""

    latency_ms: float = 0.0
    jitter_ms: float = 0.0
    """Up to so much more, by the body's hash."""
    faults: Mapping[str, float] = field(default_factory=dict)
    """Kind → probability."""
    retry_after: float | None = None
    """Seconds, in every 429."""
    stall_s: float = 600.0
    max_concurrent: int | None = None
    seed: int = 0
    """Moves which requests fail, and no verdict."""
    by_seed: bool = False
    """Whether the request's `seed` is a part of the question, so that samples differ."""
    assumed: Mapping[str, Any] = field(default_factory=lambda: KARDIA)
    """The schema to answer by where a request brings none."""

    def changed(self, changes: Mapping[str, Any]) -> Settings:
        """With these fields changed; `faults` are replaced as a whole.

        Raises:
            ValueError: for an unknown field or kind of fault, or probabilities that make no sense.
        """
        unknown = set(changes) - {item.name for item in fields(self)}
        if unknown:
            raise ValueError(f"there is no setting {', '.join(sorted(unknown))}")
        faults = changes.get("faults", {})
        if not isinstance(faults, Mapping) or set(faults) - set(FAULTS):
            raise ValueError(f"faults are {', '.join(FAULTS)}, each with its probability")
        shares = list(faults.values())
        if not all(isinstance(share, (int, float)) and 0 <= share <= 1 for share in shares) or sum(shares) > 1 + 1e-9:
            raise ValueError("the probabilities of faults are in [0, 1], and so is their sum")
        return replace(self, **changes)


class Template:
    """Every answer that a JSON Schema allows us, as pieces that are put together by a question's hash.

    A piece is text, the reason with its mark, or a choice. The pieces are escaped once, as parts of a JSON string,
    which is how a verdict travels in a chat completion.
    """

    def __init__(self, schema: Any) -> None:
        raw: list[str | list[str]] = []
        _spell(schema, schema, raw, 0)
        self._pieces: list[bytes | list[bytes] | None] = []
        text = ""
        for piece in [*raw, ""]:
            if isinstance(piece, str):
                text += piece
                if piece:
                    continue
            before = text.split(_MARK)
            for number, part in enumerate(before):
                if number:
                    self._pieces.append(None)
                if part:
                    self._pieces.append(_escaped(part))
            text = ""
            if isinstance(piece, list):
                self._pieces.append([_escaped(option) for option in piece])

    def fill(self, digest: bytes) -> bytes:
        """The answer for a question, escaped."""
        number = int.from_bytes(digest, "big")
        mark = digest[:4].hex().encode()
        parts: list[bytes] = []
        for piece in self._pieces:
            if piece is None:
                parts.append(mark)
            elif isinstance(piece, list):
                number, place = divmod(number, len(piece))
                parts.append(piece[place])
            else:
                parts.append(piece)
        return b"".join(parts)


def _escaped(text: str) -> bytes:
    return json.dumps(text)[1:-1].encode()


def _spell(schema: Any, root: Any, out: list[str | list[str]], depth: int) -> None:
    """Appends the pieces of a value that fits the schema."""
    if not isinstance(schema, Mapping) or depth > 12:
        out.append("null" if depth > 12 else '"so it is"')
        return
    if "$ref" in schema:
        found: Any = root
        for step in str(schema["$ref"]).split("/")[1:]:
            found = found[step.replace("~1", "/").replace("~0", "~")]
        return _spell(found, root, out, depth + 1)
    if "allOf" in schema:
        merged: dict[str, Any] = {key: value for key, value in schema.items() if key != "allOf"}
        for part in schema["allOf"]:
            merged.update(part)
        return _spell(merged, root, out, depth + 1)
    for key in ("anyOf", "oneOf"):
        if key in schema:
            branches = [item for item in schema[key] if item.get("type") != "null"] or [{"type": "null"}]
            return _spell(branches[0], root, out, depth + 1)
    if "const" in schema:
        out.append(json.dumps(schema["const"]))
    elif "enum" in schema:
        out.append([json.dumps(option) for option in schema["enum"]])
    else:
        _spell_type(schema, root, out, depth)


def _spell_type(schema: Mapping[str, Any], root: Any, out: list[str | list[str]], depth: int) -> None:
    kind = schema.get("type", "object" if "properties" in schema else "string")
    if isinstance(kind, list):
        kind = next((item for item in kind if item != "null"), "null")
    if kind == "object":
        out.append("{")
        for number, (key, value) in enumerate(schema.get("properties", {}).items()):
            out.append((", " if number else "") + json.dumps(key) + ": ")
            _spell(value, root, out, depth + 1)
        out.append("}")
    elif kind == "array":
        out.append("[")
        for number in range(schema.get("minItems", 0)):
            out.append(", " if number else "")
            _spell(schema.get("items", {}), root, out, depth + 1)
        out.append("]")
    elif kind in ("integer", "number"):
        out.append(_numbers(schema, whole=kind == "integer"))
    elif kind == "boolean":
        out.append(["false", "true"])
    elif kind == "null":
        out.append("null")
    else:
        whole = json.dumps(REASON.format(_MARK)).replace("\\u0000", _MARK)
        longest = schema.get("maxLength")
        out.append(whole if longest is None or longest >= len(REASON) + 8 else json.dumps("x" * longest))


def _numbers(schema: Mapping[str, Any], *, whole: bool) -> list[str]:
    """Some numbers that fit; without bounds 1 and 2, which most scales have."""
    low: float | None = schema.get("minimum")
    high: float | None = schema.get("maximum")
    if low is None and "exclusiveMinimum" in schema:
        low = schema["exclusiveMinimum"] + (1 if whole else 1e-3)
    if high is None and "exclusiveMaximum" in schema:
        high = schema["exclusiveMaximum"] - (1 if whole else 1e-3)
    if low is None and high is None:
        return ["1", "2"]
    if low is None:
        low = (high or 0) - 1
    if high is None:
        high = low + 1
    if whole:
        return [str(number) for number in range(int(low), min(int(high), int(low) + 100) + 1)]
    return [f"{low + (high - low) * step / 10:.6g}" for step in range(11)]


class Answers:
    """Bodies → verdicts; templates are made once a schema."""

    def __init__(self) -> None:
        self._templates: dict[bytes, Template] = {}

    def template(self, schema: Any) -> Template:
        key = dumps(schema)
        known = self._templates.get(key)
        if known is None:
            known = self._templates[key] = Template(schema)
        return known

    def verdict(self, body: Mapping[str, Any], digest: bytes, assumed: Any) -> tuple[bytes, bytes | None]:
        """The escaped verdict, and the name of the tool that it is for, where it is for one."""
        tools = body.get("tools")
        if tools and not body.get("response_format"):
            choice = body.get("tool_choice")
            wanted = choice.get("function", {}).get("name") if isinstance(choice, Mapping) else None
            functions = [tool["function"] for tool in tools]
            tool = next((item for item in functions if item["name"] == wanted), functions[0])
            return self.template(tool.get("parameters", {})).fill(digest), dumps(tool["name"])
        form = body.get("response_format") or {}
        schema = (form.get("json_schema") or {}).get("schema") or assumed
        return self.template(schema).fill(digest), None


def question_digest(body: Mapping[str, Any], *, by_seed: bool = False) -> bytes:
    """16 bytes over the messages up to the first one by the user."""
    hashed = hashlib.blake2b(digest_size=16)
    for message in body["messages"]:
        content = message["content"]
        hashed.update(message["role"].encode() + b"\0")
        hashed.update(content.encode() if isinstance(content, str) else dumps(content))
        if message["role"] == "user":
            break
    if by_seed:
        hashed.update(b"\0%d" % (body.get("seed") or 0))
    return hashed.digest()


def _garbage(content: bytes, digest: bytes) -> bytes:
    return (
        b"It reads well to me, on the whole.",
        b"",
        _half(content),
        content + content,
        b"```json\\n[]\\n```",
    )[digest[-1] % 5]


def _half(content: bytes) -> bytes:
    half = content[: len(content) // 2]
    return half + b"\\" if (len(half) - len(half.rstrip(b"\\"))) % 2 else half


class Peak:
    """The most arrivals in any window of so many seconds."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.most = 0
        self.times: deque[float] = deque()

    def add(self, now: float) -> None:
        times = self.times
        times.append(now)
        oldest = now - self.seconds
        while times[0] <= oldest:
            times.popleft()
        if len(times) > self.most:
            self.most = len(times)


class Counts:
    """What came in, and what became of it."""

    def __init__(self) -> None:
        self.began, self.cpu = time.monotonic(), time.process_time()
        self.bodies: dict[bytes, int] = {}
        self.refused: Counter[bytes] = Counter()
        self.answered: set[bytes] = set()
        self.questions: set[bytes] = set()
        self.faults: Counter[str] = Counter()
        self.requests = self.sound = self.again = self.connections = self.peak = self.hung_up = 0
        self.second, self.minute = Peak(1.0), Peak(60.0)

    def report(self, in_flight: int) -> dict[str, Any]:
        return {
            "requests": self.requests,
            "answered": self.sound,
            "unique": len(self.bodies),
            "repeated": self.requests - len(self.bodies),
            "repeated_after_answer": self.again,
            "questions": len(self.questions),
            "refused": sum(self.refused.values()),
            "faults": {kind: self.faults[kind] for kind in FAULTS if self.faults[kind]},
            "hung_up": self.hung_up,
            "in_flight": in_flight,
            "peak": self.peak,
            "most_in_a_second": self.second.most,
            "most_in_a_minute": self.minute.most,
            "connections": self.connections,
            "seconds": time.monotonic() - self.began,
            "cpu_s": time.process_time() - self.cpu,
        }


class JudgeServer:
    """What all connections share."""

    def __init__(self, settings: Settings, loop: asyncio.AbstractEventLoop) -> None:
        self.settings, self.loop = settings, loop
        self.answers, self.counts = Answers(), Counts()
        self.in_flight = 0

    def fault(self, body: bytes, attempt: int) -> str | None:
        """The kind of fault that a body's attempt meets; None: none."""
        settings = self.settings
        if not settings.faults:
            return None
        salt = b"%d\0%d\0" % (settings.seed, attempt)
        drawn = int.from_bytes(hashlib.blake2b(salt + body, digest_size=8).digest(), "big") / 2.0**64
        for kind, share in settings.faults.items():
            drawn -= share
            if drawn < 0:
                return kind
        return None


class Connection(asyncio.Protocol):
    """One client's connection: one request at a time, the next when the answer to the last is written."""

    def __init__(self, server: JudgeServer) -> None:
        self._server = server
        self._transport: Any = None
        self._buffer = bytearray()
        self._waiting: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._server.counts.connections += 1

    def connection_lost(self, _: Exception | None) -> None:
        self._transport = None
        if self._waiting is not None:  # whoever asked has given up
            self._waiting.cancel()
            self._waiting = None
            self._server.in_flight -= 1
            self._server.counts.hung_up += 1

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        self._next()

    def _next(self) -> None:
        while self._buffer and self._waiting is None and self._transport is not None:
            end = self._buffer.find(b"\r\n\r\n")
            if end < 0:
                return
            head = bytes(self._buffer[:end])
            if _CHUNKED.search(head):
                self._respond(411, _error("send a content-length"), close=True)
                return
            length = _LENGTH.search(head)
            whole = end + 4 + (int(length.group(1)) if length else 0)
            if len(self._buffer) < whole:
                return
            body = bytes(self._buffer[end + 4 : whole])
            del self._buffer[:whole]
            method, _, rest = head.partition(b" ")
            path = rest.partition(b" ")[0].partition(b"?")[0]
            close = _CLOSE.search(head) is not None
            if method == b"POST" and path.endswith(b"/chat/completions"):
                self._judge(body, close)
            else:
                self._manage(method + b" " + path, body, close)

    def _manage(self, what: bytes, body: bytes, close: bool) -> None:
        server = self._server
        status, data = 200, {}
        if what == b"GET /stats":
            data = {**server.counts.report(server.in_flight), "settings": asdict(server.settings)}
        elif what == b"GET /arrivals":
            data = {"arrivals": [at - server.counts.began for at in server.counts.minute.times]}
        elif what == b"POST /reset":
            server.counts = Counts()
        elif what == b"POST /config":
            try:
                server.settings = server.settings.changed(loads(body))
                data = asdict(server.settings)
            except (ValueError, TypeError) as problem:
                status, data = 400, _error(str(problem))
        elif what in (b"GET /v1/models", b"GET /models"):
            data = {"object": "list", "data": [{"id": "judge", "object": "model", "created": 1, "owned_by": "kardia"}]}
        else:
            status, data = 404, _error("no such place")
        self._respond(status, data, close=close)

    def _judge(self, raw: bytes, close: bool) -> None:
        server = self._server
        counts, settings = server.counts, server.settings
        try:
            body = loads(raw)
            question = question_digest(body, by_seed=settings.by_seed)
            content, tool = server.answers.verdict(body, question, settings.assumed)
        except (ValueError, TypeError, KeyError, IndexError, AttributeError) as problem:
            return self._respond(400, _error(f"not a chat completion's request: {problem!r}"), close=close)
        now = time.monotonic()
        counts.requests += 1
        counts.second.add(now)
        counts.minute.add(now)
        counts.questions.add(question)
        key = hashlib.blake2b(raw, digest_size=16).digest()
        tried = counts.bodies.get(key, 0)
        counts.bodies[key] = tried + 1
        counts.again += key in counts.answered
        if settings.max_concurrent is not None and server.in_flight >= settings.max_concurrent:
            counts.refused[key] += 1
            return self._busy(close)
        fault = server.fault(key, tried - counts.refused[key] if counts.refused else tried)
        if fault is not None:
            counts.faults[fault] += 1
            if fault == "429":
                return self._busy(close)
            if fault == "reset":
                return self._reset()
        wait = settings.latency_ms
        if settings.jitter_ms:
            wait += settings.jitter_ms * key[0] / 255
        if fault == "stall":
            wait = settings.stall_s * 1000
        server.in_flight += 1
        counts.peak = max(counts.peak, server.in_flight)

        def answer() -> None:
            self._waiting = None
            server.in_flight -= 1
            self._answer(body, len(raw), key, content, tool, fault, close)
            self._next()

        if wait > 0:
            self._waiting = server.loop.call_later(wait / 1000, answer)
        else:
            server.in_flight -= 1
            self._answer(body, len(raw), key, content, tool, fault, close)

    def _answer(
        self,
        body: Mapping[str, Any],
        size: int,
        key: bytes,
        content: bytes,
        tool: bytes | None,
        fault: str | None,
        close: bool,
    ) -> None:
        if fault == "500":
            return self._respond(500, _error("the server had an error while answering"), close=close)
        if fault == "html":
            return self._write(200, b"<html><body><h1>Back in a minute</h1></body></html>", "text/html", close)
        finish = b"stop"
        if fault == "garbage":
            content = _garbage(content, key)
        elif fault == "cut":
            content, finish = _half(content), b"length"
        said = b'"content":"' + content + b'"'
        if tool is not None:
            call = b'{"id":"call_1","type":"function","function":{"name":' + tool + b',"arguments":"' + content + b'"}}'
            said = b'"content":null,"tool_calls":[' + call + b"]"
            finish = b"tool_calls" if finish == b"stop" else finish
        read, wrote = size // 4, len(content) // 4 + 1
        whole = (
            b'{"id":"chatcmpl-%b","object":"chat.completion","created":1,"model":%b,"choices":[{"index":0,"message":'
            b'{"role":"assistant",%b,"refusal":null},"logprobs":null,"finish_reason":"%b"}],"usage":{"prompt_tokens":%d,'
            b'"completion_tokens":%d,"total_tokens":%d}}'
        ) % (key[:8].hex().encode(), dumps(body.get("model")), said, finish, read, wrote, read + wrote)
        if fault in (None, "stall"):
            counts = self._server.counts
            counts.sound += 1
            counts.answered.add(key)
        self._write(200, whole, "application/json", close, cut=fault == "truncated")

    def _busy(self, close: bool) -> None:
        after = self._server.settings.retry_after
        more = "" if after is None else f"retry-after: {after:g}\r\n"
        self._respond(429, _error("too many requests at the moment", "rate_limit_exceeded"), more, close=close)

    def _reset(self) -> None:
        connection: socket.socket = self._transport.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._transport.abort()
        self._transport = None

    def _respond(self, status: int, data: Any, more: str = "", *, close: bool) -> None:
        self._write(status, dumps(data), "application/json", close, more)

    def _write(self, status: int, body: bytes, kind: str, close: bool, more: str = "", *, cut: bool = False) -> None:
        if self._transport is None:
            return
        phrase = _PHRASES.get(status, "Internal Server Error")
        head = f"HTTP/1.1 {status} {phrase}\r\ncontent-type: {kind}\r\n{more}content-length: {len(body)}\r\n"
        head += "connection: close\r\n\r\n" if close else "\r\n"
        self._transport.write(head.encode() + (body[: len(body) // 2] if cut else body))
        if close or cut:
            self._transport.close()
            self._transport = None


def _error(message: str, code: str | None = None) -> dict[str, Any]:
    return {"error": {"message": message, "type": "error", "param": None, "code": code}}


class LocalServer:
    """A server in a process of its own; use it as a context manager.

    >>> with LocalServer(latency_ms=5, faults={"429": 0.1}) as server:  # doctest: +SKIP
    ...     ask(server.url)
    ...     server.stats()["requests"]
    """

    def __init__(self, port: int = 0, **settings: Any) -> None:
        self.port = port
        self._settings = settings
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> LocalServer:
        Settings().changed(self._settings)
        command = [sys.executable, os.path.abspath(__file__), "--port", str(self.port), "--until-eof"]
        command += ["--settings", json.dumps(self._settings)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("the server did not start")
        self.port = int(json.loads(line)["port"])
        return self

    def __exit__(self, *_: object) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    @property
    def root(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        """What a client calls the base URL."""
        return self.root + "/v1"

    def stop(self) -> None:
        """Kills it, as a crash would; the port can be served again by another `LocalServer(port=…)`."""
        if self._process is not None:
            self._process.kill()
            self.__exit__()

    def stats(self) -> dict[str, Any]:
        return self._call("/stats")

    def arrivals(self) -> list[float]:
        """When the requests of the last minute came in, in seconds since the start or the reset."""
        return list(self._call("/arrivals")["arrivals"])

    def reset(self) -> None:
        """Forgets what was asked; settings stay."""
        self._call("/reset", {})

    def configure(self, **settings: Any) -> None:
        self._call("/config", settings)

    def _call(self, path: str, data: Any = None) -> dict[str, Any]:
        body = None if data is None else json.dumps(data).encode()
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(urllib.request.Request(self.root + path, body), timeout=30) as response:
            return dict(json.load(response))


def _fault(text: str) -> tuple[str, float]:
    kind, _, share = text.partition("=")
    return kind, float(share)


def main() -> int:
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=form)
    parser.add_argument("--port", type=int, default=0, help="0: any that is free")
    parser.add_argument("--latency-ms", type=float)
    parser.add_argument("--jitter-ms", type=float)
    parser.add_argument("--fault", type=_fault, action="append", metavar="KIND=P", dest="faults", help="repeatable")
    parser.add_argument("--retry-after", type=float, help="seconds, in every 429")
    parser.add_argument("--stall-s", type=float)
    parser.add_argument("--max-concurrent", type=int)
    parser.add_argument("--seed", type=int)
    parser.add_argument("--by-seed", action="store_true", default=None)
    parser.add_argument("--settings", type=json.loads, default={}, help="any settings, as one JSON object")
    parser.add_argument(
        "--until-eof", action="store_true", help="end when stdin does, and with it whoever started this"
    )
    options = vars(parser.parse_args())
    port, until_eof, given = options.pop("port"), options.pop("until_eof"), options.pop("settings")
    given.update({key: value for key, value in options.items() if value is not None})
    if "faults" in given:
        given["faults"] = dict(given["faults"])
    try:
        settings = Settings().changed(given)
    except ValueError as problem:
        parser.error(str(problem))
    asyncio.set_event_loop(loop := _new_loop())
    loop.run_until_complete(_serve(settings, port, until_eof))
    return 0


def _new_loop() -> asyncio.AbstractEventLoop:
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop()
    loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
    return loop


async def _serve(settings: Settings, port: int, until_eof: bool) -> None:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(name, stop.set)
    shared = JudgeServer(settings, loop)
    listening = await loop.create_server(lambda: Connection(shared), "127.0.0.1", port, backlog=4096)
    port = listening.sockets[0].getsockname()[1]
    print(json.dumps({"port": port, "url": f"http://127.0.0.1:{port}/v1", "pid": os.getpid()}), flush=True)
    if until_eof:

        def watch() -> None:
            sys.stdin.buffer.read()
            loop.call_soon_threadsafe(stop.set)

        threading.Thread(target=watch, daemon=True).start()
    await stop.wait()
    listening.close()


if __name__ == "__main__":
    sys.exit(main())
