"""What carries the requests: its bounds, its proxies, its certificates, whatever the server does."""

from __future__ import annotations

import asyncio
import base64
import gc
import gzip
import json
import re
import shutil
import socket
import ssl
import subprocess
import threading
import tracemalloc
import zlib

import pytest
from aiohttp import web
from server import ScriptedServer, completion, reset, status, verdict
from yarl import URL

from kardia.errors import JudgeUnreachable, TransientError
from kardia.judge import build_judge
from kardia.judge.backends import wire as wire_module
from kardia.judge.backends.wire import MAX_RESPONSE_BYTES, Wire
from kardia.judge.protocol import Said

from .endpoints import KEY, profile, request_for

# litellm's own models and clients warn as they are dumped and dropped
NOISY = [
    pytest.mark.filterwarnings(f"ignore::{kind}")
    for kind in ("UserWarning", "DeprecationWarning", "ResourceWarning", "pytest.PytestUnraisableExceptionWarning")
]
SENDERS = ("http", "openai", pytest.param("litellm", marks=NOISY))
MODELS = {"http": "judge", "openai": "judge", "litellm": "openai/judge"}


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("SOME_KEY", KEY)
    with ScriptedServer() as scripted:
        yield scripted


@pytest.fixture(params=SENDERS)
def sender(request):
    if request.param == "litellm":
        pytest.importorskip("litellm")
    return request.param


async def once(url, sender="http", **more):
    """One try, without the engine."""
    made = profile(url, sender, **{"model": MODELS[sender], "api_key_env": "SOME_KEY", **more})
    judge = build_judge(made)
    try:
        return (await judge.answer([request_for(made)]))[0]
    finally:
        await judge.aclose()


# --- how much is read, and for how long ------------------------------------------------------------------------------


class Endless:
    """Sends chunks until nobody listens any more (or a test has failed for good), and counts what was taken."""

    def __init__(self, chunk, pause=0.0, headers=None, count=4096):
        self.chunk, self.pause, self.headers, self.count = chunk, pause, headers or {}, count
        self.taken = 0
        self.hung_up = threading.Event()

    async def __call__(self, request, _):
        response = web.StreamResponse(headers={"content-type": "application/json", **self.headers})
        try:
            await response.prepare(request)
            for _ in range(self.count):
                await response.write(self.chunk)
                self.taken += len(self.chunk)
                await asyncio.sleep(self.pause)
        except (ConnectionError, asyncio.CancelledError):
            self.hung_up.set()
        return response


async def test_a_stream_without_an_end_is_cut_off(server, sender):
    flood = Endless(b" " * (1 << 18))
    server.then(flood)
    answer = await once(server.url, sender, limits={"timeout_s": 60})
    assert isinstance(answer, TransientError)
    assert "longer than 16,777,216 bytes" in str(answer)
    assert flood.hung_up.wait(10)
    assert flood.taken < 4 * MAX_RESPONSE_BYTES


async def test_a_gigabyte_that_announces_itself_is_not_read(server, sender):
    flood = Endless(b" " * (1 << 16), headers={"content-length": str(1 << 30)})
    server.then(flood)
    answer = await once(server.url, sender, limits={"timeout_s": 60})
    assert isinstance(answer, TransientError)
    assert "longer than" in str(answer)
    assert flood.hung_up.wait(10)
    assert flood.taken < MAX_RESPONSE_BYTES


async def test_a_stream_that_drips_is_cut_off_in_time(server, sender):
    drip = Endless(b" ", pause=0.02, count=500)
    server.then(drip)
    answer = await once(server.url, sender, limits={"timeout_s": 0.5})
    assert isinstance(answer, TransientError)
    assert "did not answer within 0.5 s" in str(answer)
    assert not answer.down
    assert drip.hung_up.wait(10)
    assert drip.taken > 5  # each byte came well within any time-out between two reads


def packed(body, how):
    async def behave(_, __):
        return web.Response(body=body, headers={"content-type": "application/json", "content-encoding": how})

    return behave


@pytest.fixture(scope="module")
def bomb():
    """128 MiB of nothing, packed."""
    packer = zlib.compressobj(6, wbits=31)
    return b"".join([packer.compress(bytes(1 << 20)) for _ in range(128)] + [packer.flush()])


async def test_a_bomb_does_not_go_off(server, sender, bomb):
    server.then(packed(bomb, "gzip"))
    tracemalloc.start()
    try:
        answer = await once(server.url, sender, limits={"timeout_s": 60})
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert isinstance(answer, TransientError)
    assert "longer than" in str(answer)
    assert peak < 4 * MAX_RESPONSE_BYTES, peak


TEXT = b'{"choices": [{"message": {"content": "Hi."}}]}'
DEFLATED = zlib.compress(TEXT)
GZIPPED = gzip.compress(TEXT, mtime=0)  # names of tests hold it, and every worker must find the same names


@pytest.mark.parametrize(
    ("body", "how"),
    [
        (GZIPPED, "gzip"),
        (GZIPPED, "X-GZIP"),
        (DEFLATED, "deflate"),
        (DEFLATED[2:-4], "deflate"),  # as some servers understand the word
        (TEXT, "identity"),
    ],
)
async def test_what_was_packed_unasked_is_unpacked(server, body, how):
    server.then(packed(body, how))
    assert (await once(server.url)).text == "Hi."
    assert server.asked[0].headers["accept-encoding"] == "identity"


@pytest.mark.parametrize(
    ("body", "how", "words"),
    [
        (b"not packed at all", "gzip", "cannot be unpacked"),
        (GZIPPED[:20], "gzip", "its end is missing"),
        (TEXT, "br", "packed as 'br', which was not asked for"),
    ],
)
async def test_what_cannot_be_unpacked_may_be_better_next_time(server, body, how, words):
    server.then(packed(body, how))
    answer = await once(server.url)
    assert isinstance(answer, TransientError)
    assert words in str(answer)


async def test_a_long_question_is_sent_without_a_warning(server):
    sent = Wire(profile(server.url), None)
    body = b'{"messages": [], "x": "' + b"a" * (3 << 20) + b'"}'
    reply = await sent.send(URL(server.url + "/chat/completions"), body)
    await sent.aclose()
    assert reply.status == 200
    assert len(server.asked[0].body["x"]) == 3 << 20


# --- connections -----------------------------------------------------------------------------------------------------


async def test_a_new_connection_that_breaks_is_not_tried_again_here(server, sender):
    server.then(reset)
    answer = await once(server.url, sender)
    assert isinstance(answer, TransientError)
    assert (answer.broke, answer.requests) == (True, 1)
    assert len(server.asked) == 1


async def test_nor_is_a_kept_one_that_breaks_only_after_a_while(server, monkeypatch):
    monkeypatch.setattr(wire_module, "STALE_S", 0.0)
    server.then(verdict(), reset)
    made = profile(server.url)
    judge = build_judge(made)
    first, second = [(await judge.answer([request_for(made)]))[0] for _ in range(2)]
    await judge.aclose()
    assert isinstance(first, Said)
    assert isinstance(second, TransientError)
    assert len(server.asked) == 2


async def test_both_requests_count_where_both_are_lost(server, sender):
    server.then(verdict(), reset, reset, verdict())
    made = profile(server.url, sender, model=MODELS[sender])
    judge = build_judge(made)
    answers = [(await judge.answer([request_for(made)]))[0] for _ in range(3)]
    await judge.aclose()
    assert isinstance(answers[1], TransientError)
    assert answers[1].requests == 2
    assert [answers[0].usage.requests, answers[2].usage.requests] == [1, 1]
    assert len(server.asked) == 4


async def test_every_request_counts_where_structured_output_is_refused_on_the_way(server, sender):
    server.then(verdict(), reset, status(400, "no response_format"))
    made = profile(server.url, sender, model=MODELS[sender])
    judge = build_judge(made)
    answers = [(await judge.answer([request_for(made)]))[0] for _ in range(2)]
    await judge.aclose()
    assert [answer.usage.requests for answer in answers] == [1, 3]
    assert len(server.asked) == 4


async def test_nothing_is_asked_of_a_thread(server, monkeypatch):
    made = profile(server.url)
    judge = build_judge(made)

    def refuse(*_):
        raise AssertionError("a thread for every request costs more than the request")

    monkeypatch.setattr(asyncio.get_running_loop(), "run_in_executor", refuse)
    assert isinstance((await judge.answer([request_for(made)]))[0], Said)
    await judge.aclose()


def test_dropped_on_a_loop_that_goes_on(server, caplog):
    async def use():
        judge = build_judge(profile(server.url))
        answer = await judge.answer([request_for(judge.profile)])
        del judge
        gc.collect()
        await asyncio.sleep(0.05)
        gc.collect()
        return answer

    assert isinstance(asyncio.run(use())[0], Said)
    assert "Unclosed" not in caplog.text


# --- proxies ---------------------------------------------------------------------------------------------------------


async def test_a_proxy_of_the_environment_is_used(server, sender, monkeypatch):
    monkeypatch.setenv("http_proxy", server.url.removesuffix("/v1"))
    assert isinstance(await once("http://judge.invalid/v1", sender), Said)
    assert server.asked[0].headers["host"] == "judge.invalid"


async def test_a_proxy_with_a_password(server, sender, monkeypatch):
    place = server.url.removesuffix("/v1").removeprefix("http://")
    monkeypatch.setenv("http_proxy", f"http://me:proxy-password@{place}")
    server.then(verdict(), status(500, "proxy-password was not what I expected"))
    assert isinstance(await once("http://judge.invalid/v1", sender), Said)
    credentials = server.asked[0].headers["proxy-authorization"].removeprefix("Basic ")
    assert base64.b64decode(credentials) == b"me:proxy-password"
    if sender != "http":
        assert "proxy-password" not in str(await once("http://judge.invalid/v1", sender))


@pytest.mark.parametrize("listed", ["127.0.0.1", "elsewhere.invalid, 127.0.0.1", "*"])
async def test_no_proxy_where_the_environment_says_so(server, monkeypatch, listed):
    with ScriptedServer() as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        monkeypatch.setenv("no_proxy", listed)
        assert isinstance(await once(server.url), Said)
        assert proxy.asked == []
    assert len(server.asked) == 1


async def test_no_proxy_for_one_port(server, monkeypatch):
    with ScriptedServer() as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        monkeypatch.setenv("no_proxy", f"127.0.0.1:{server.port}")
        assert isinstance(await once(server.url), Said)
        assert proxy.asked == []


async def test_the_environment_is_read_once_a_session(server, monkeypatch):
    read = []
    monkeypatch.setattr(wire_module, "getproxies", lambda: read.append(1) or {})
    made = profile(server.url)
    judge = build_judge(made)
    for _ in range(5):
        await judge.answer([request_for(made)])
    await judge.aclose()
    assert len(read) == 1
    assert len(server.asked) == 5


async def test_a_proxy_that_kardia_cannot_speak_to(server, monkeypatch):
    monkeypatch.setenv("all_proxy", "socks5://127.0.0.1:1080")
    answer = await once(server.url)
    assert isinstance(answer, JudgeUnreachable)
    assert "socks5 proxy" in str(answer)
    assert "NO_PROXY" in str(answer)
    assert server.asked == []


async def test_a_proxy_that_is_not_there(server, monkeypatch):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    monkeypatch.setenv("http_proxy", f"http://me:proxy-password@127.0.0.1:{port}")
    answer = await once(server.url)
    assert isinstance(answer, TransientError)
    assert answer.down
    assert "no connection to the proxy on the way to" in str(answer)
    assert "proxy-password" not in str(answer)


# --- certificates ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A certificate for 127.0.0.1 that nobody but itself has signed, and its key."""
    program = shutil.which("openssl")
    if program is None:
        pytest.skip("needs the program openssl to make a certificate")
    folder = tmp_path_factory.mktemp("tls")
    command = f"{program} req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=made-up -keyout key.pem -out cert.pem"
    command = [*command.split(), "-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    return folder / "cert.pem", folder / "key.pem"


class TlsServer:
    """Answers every request with one verdict, and keeps what was said to it once a connection was trusted."""

    def __init__(self, certificate):
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(*certificate)
        self.heard = b""
        self.knocks = 0

    def __enter__(self):
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"https://127.0.0.1:{self._socket.getsockname()[1]}/v1"
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join(10)

    def _serve(self):
        while True:
            try:
                plain, _ = self._socket.accept()
            except OSError:
                return
            self.knocks += 1
            try:
                with plain, self._context.wrap_socket(plain, server_side=True) as stream:
                    while not self.heard.endswith(b"}"):
                        self.heard += stream.recv(1 << 16)
                    said = completion('{"reason": "So.", "evidence": [], "level": 4}')
                    body = json.dumps(said).encode()
                    stream.sendall(b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: %d\r\n\r\n" % len(body))
                    stream.sendall(body)
            except (ssl.SSLError, OSError):
                continue


@pytest.fixture
def authorities():
    wire_module._authorities.cache_clear()
    yield
    wire_module._authorities.cache_clear()


async def test_a_certificate_that_nobody_vouches_for_is_refused(certificate, authorities, sender, monkeypatch):
    monkeypatch.setenv("SOME_KEY", KEY)
    with TlsServer(certificate) as server:
        answer = await once(server.url, sender)
    assert isinstance(answer, JudgeUnreachable)
    assert re.search(r"has no valid certificate \(self.signed certificate\); nothing was sent", str(answer))
    assert (server.heard, server.knocks) == (b"", 1)


async def test_one_that_the_user_vouches_for_is_taken(certificate, authorities, sender, monkeypatch):
    monkeypatch.setenv("SOME_KEY", KEY)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
    with TlsServer(certificate) as server:
        answer = await once(server.url, sender)
    assert isinstance(answer, Said)
    assert KEY.encode() in server.heard


async def test_one_for_another_name_is_not(certificate, authorities, sender, monkeypatch):
    monkeypatch.setenv("SOME_KEY", KEY)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
    with TlsServer(certificate) as server:
        answer = await once(server.url.replace("127.0.0.1", "localhost"), sender)
    assert isinstance(answer, JudgeUnreachable)
    assert "no valid certificate" in str(answer)
    assert server.heard == b""


@pytest.mark.parametrize(
    "name", ["SSL_VERIFY", "PYTHONHTTPSVERIFY", "CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "NODE_TLS_REJECT_UNAUTHORIZED"]
)
@pytest.mark.parametrize("plain_sender", ["http", "openai"])
async def test_no_variable_switches_verification_off(certificate, authorities, plain_sender, monkeypatch, name):
    monkeypatch.setenv("SOME_KEY", KEY)
    monkeypatch.setenv(name, "" if "BUNDLE" in name else "0" if "NODE" in name or "PYTHON" in name else "False")
    with TlsServer(certificate) as server:
        assert isinstance(await once(server.url, plain_sender), JudgeUnreachable)
    assert server.heard == b""
