"""`kardia serve` as an operator runs it: configuration, signals, and what stands on stderr."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from server import ScriptedServer, slow

pytest.importorskip("fastapi", reason="kardia serve needs kardia[serve]")
pytest.importorskip("prometheus_client", reason="kardia serve needs kardia[serve]")

from service.running import Answer, Client, item

from kardia.cli.serve import serve
from kardia.errors import InputError

from .command import KARDIA, process, surroundings

TOKEN = "0123456789abcdef0123456789abcdef"
SECRET = "the-words-of-somebody-in-distress"
FAKE = ("--rubric", "supportiveness@1", "--judge", "fake")


class Process:
    """A server in a process of its own."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        assert process.stderr is not None
        self.lines: list[str] = []
        self.listening = threading.Event()
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()
        assert self.listening.wait(60)
        self.url = next((found[0] for line in self.lines if (found := re.search(r"http://\S+", line))), "")
        assert self.url, self.lines
        self.client = Client(self.url.replace("0.0.0.0", "127.0.0.1"))

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.lines.append(line.strip())
            if "http://" in line:
                self.listening.set()
        self.listening.set()

    def wait(self) -> int:
        code = self.process.wait(60)
        self.reader.join(10)
        return code


@contextmanager
def serving(*arguments: object, **environment: str) -> Iterator[Process]:
    process = subprocess.Popen(
        [*KARDIA, "serve", *map(str, arguments), "--port", "0"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=surroundings(**environment),
    )
    try:
        yield Process(process)
    finally:
        process.kill()
        process.communicate()


def endpoint(folder: Path, url: str) -> Path:
    """A judge's profile."""
    path = folder / "endpoint.yaml"
    path.write_text(f"name: endpoint\nbackend: http\nbase_url: {url}\nmodel: m\nlimits: {{retries: 1}}\n")
    return path


def under_way(client: Client) -> None:
    """Waits until something is being judged."""
    until = time.monotonic() + 20
    while client.metric("kardia_under_way_items") == 0:
        assert time.monotonic() < until
        time.sleep(0.02)


class Later:
    """A request that another thread waits for."""

    def __init__(self, client: Client, *texts: str) -> None:
        self.answer: Answer | None = None
        self.problem: Exception | None = None
        self._thread = threading.Thread(target=self._ask, args=(client, texts))
        self._thread.start()

    def _ask(self, client: Client, texts: tuple[str, ...]) -> None:
        try:
            self.answer = client.post("/score", {"items": [item(text) for text in texts]})
        except Exception as problem:
            self.problem = problem

    def wait(self) -> Later:
        self._thread.join(60)
        return self


def test_help(tmp_path: Path) -> None:
    done = process("serve", "--help", cwd=tmp_path, COLUMNS="200")
    assert done.returncode == 0
    assert "Example:  kardia serve" in done.stdout
    code = "import sys; sys.argv = ['kardia', 'serve', '--help']\nfrom kardia.cli import main\ntry: main()\n"
    code += "except SystemExit: pass\nprint(*sys.modules, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=surroundings(), timeout=60)
    assert {"fastapi", "uvicorn", "prometheus_client", "aiohttp", "jinja2"}.isdisjoint(done.stderr.split())


FAKE_OF: dict[str, Any] = {"rubric": "supportiveness@1", "judge": "fake"}
WRONG: list[tuple[dict[str, Any], str]] = [
    ({}, "say which reward"),
    ({**FAKE_OF, "reward": "kardia-r1"}, "say which reward"),
    ({**FAKE_OF, "host": "0.0.0.0"}, "0.0.0.0 can be reached from other machines"),
    ({**FAKE_OF, "token_env": "NOT_SET"}, "$NOT_SET is not set"),
    ({**FAKE_OF, "on_unscored": "zero"}, "--on-unscored: is 'zero'; expected raise or a number"),
    ({**FAKE_OF, "on_unscored": "nan"}, "--on-unscored: is 'nan'; expected raise or a number"),
    ({**FAKE_OF, "set_": ["terms.rubric.weight=2"]}, "--rubric has none"),
    ({**FAKE_OF, "set_": ["sampling.temperatur=2"]}, "sampling.temperatur"),
    ({"reward": "kardia-r2", "judge": "fake"}, "did you mean 'kardia-r1'?"),
    ({"reward": "kardia-r1", "judge": "fake", "set_": ["terms.rubric.rubrik=a"]}, "rubrik"),
    ({"rubric": "nothing", "judge": "fake"}, "nothing"),
    ({**FAKE_OF, "judge": "nobody"}, "nobody"),
    ({**FAKE_OF, "judge": "openai"}, "OPENAI_API_KEY"),
    ({**FAKE_OF, "host": "192.0.2.1", "token_env": "T"}, "192.0.2.1:8080: cannot be listened at"),
]


@pytest.mark.parametrize(("options", "why"), WRONG, ids=[why[:40] for _, why in WRONG])
def test_what_is_wrong_is_said_before_anything_is_served(
    options: dict[str, Any], why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("T", TOKEN)
    with pytest.raises(InputError) as caught:
        serve(**options)
    assert why in str(caught.value)
    assert TOKEN not in str(caught.value)
    assert caught.value.exit_code == 2


def test_in_one_sentence(tmp_path: Path) -> None:
    done = process("serve", *FAKE, "--host", "0.0.0.0", cwd=tmp_path)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert "--token-env" in done.stderr


def test_without_its_extra_it_says_what_to_install(tmp_path: Path) -> None:
    (tmp_path / "fastapi.py").write_text("raise ModuleNotFoundError(name='fastapi')\n")
    path = os.pathsep.join((str(tmp_path), surroundings()["PYTHONPATH"]))
    done = process("serve", *FAKE, cwd=tmp_path, PYTHONPATH=path)
    assert done.returncode == 2
    assert "pip install 'kardia[serve]'" in done.stderr


def test_it_serves_and_ends_with_0_when_it_is_asked_to_stop() -> None:
    options = ("--reward", "kardia-r1", "--judge", "fake", "--set", "terms.rubric.rubric=supportiveness@1")
    with serving(*options, "--set", "sampling.samples=2", "--on-unscored", "raise", "--host", "127.0.0.1") as server:
        assert server.url.startswith("http://127.0.0.1:")
        spans = {"understanding": SECRET, "reasoning": "b", "emotion": "sad", "response": "I hear you."}
        written = "".join(f"<|{name}_start|>{text}<|{name}_end|>" for name, text in spans.items())
        told = server.client.post("/score", {"items": [item(written, metadata={"emotion": "sad"})]}).data
        assert list(told["details"][0]["terms"]) == ["format", "emotion", "rubric"]
        assert "warmth" in told["details"][0]["criteria"]["rubric"]
        assert server.client.metric("kardia_judge_requests_total") % 2 == 0
        assert server.client.post("/score", {"items": [SECRET]}).status == 422
        assert server.client.post("/", {"query": ["ab"], "prompts": ["a"]}).status in (200, 422)
        server.process.send_signal(signal.SIGTERM)
        assert server.wait() == 0
        assert "stopping" in server.lines[-1]
        assert len(server.lines) == 2
        assert SECRET not in "".join(server.lines)
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(server.client.place, timeout=5)


def test_beyond_this_machine_it_wants_the_token_and_warns() -> None:
    with serving(*FAKE, "--host", "0.0.0.0", "--token-env", "T", T=TOKEN) as server:
        body = {"items": [item("a")]}
        assert server.client.post("/score", body).status == 401
        assert server.client.post("/score", body, host="gpu-box:80", authorization=f"Bearer {TOKEN}").status == 200
        server.process.send_signal(signal.SIGINT)
        assert server.wait() == 0
        assert any("nothing is encrypted" in line for line in server.lines)
        assert TOKEN not in "".join(server.lines)


@pytest.mark.skipif(os.name == "nt", reason="needs signals")
def test_what_is_under_way_is_finished_before_it_ends(tmp_path: Path) -> None:
    with ScriptedServer(always=slow(1.0)) as judge:
        profile = endpoint(tmp_path, judge.url)
        with serving("--rubric", "supportiveness@1", "--judge", profile) as server:
            asked = [Later(server.client, "a", "b"), Later(server.client, "c")]
            under_way(server.client)
            server.process.send_signal(signal.SIGTERM)
            for later in asked:
                answer = later.wait().answer
                assert answer is not None, later.problem
                assert answer.status == 200
                assert None not in answer.data["rewards"]
            assert server.wait() == 0


@pytest.mark.skipif(os.name == "nt", reason="needs signals")
def test_a_second_signal_stops_at_once(tmp_path: Path) -> None:
    with ScriptedServer(always=slow(60.0)) as judge:
        profile = endpoint(tmp_path, judge.url)
        with serving("--rubric", "supportiveness@1", "--judge", profile) as server:
            later = Later(server.client, "a")
            under_way(server.client)
            server.process.send_signal(signal.SIGTERM)
            until = time.monotonic() + 20
            while not any("stopping" in line for line in server.lines):
                assert time.monotonic() < until
                time.sleep(0.02)
            assert server.process.poll() is None
            server.process.send_signal(signal.SIGTERM)
            assert server.process.wait(30) == 130  # the judge would have taken a minute
            answer = later.wait().answer
            assert answer is None or answer.error[:2] == (503, "stopping")


def test_a_judge_that_is_not_there_is_503_until_it_is(tmp_path: Path) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    profile = endpoint(tmp_path, f"http://127.0.0.1:{port}/v1")
    with serving("--rubric", "supportiveness@1", "--judge", profile) as server:
        for _ in range(2):
            status, kind, message = server.client.post("/score", {"items": [item(SECRET)]}).error
            assert (status, kind) == (503, "judge")
            assert "endpoint does not answer" in message
        with ScriptedServer(port=port):
            told = server.client.post("/score", {"items": [item(SECRET)]}).data
            assert told["rewards"][0] is not None
        server.process.send_signal(signal.SIGTERM)
        assert server.wait() == 0
        assert sum("does not answer" in line for line in server.lines) == 1
        assert SECRET not in "".join(server.lines)


def test_a_ledger_answers_again(tmp_path: Path) -> None:
    for number in range(2):
        with serving(*FAKE, "--ledger", tmp_path / "answers.sqlite3", KARDIA_LEDGER="") as server:
            assert server.client.post("/score", {"items": [item("a")]}).status == 200
            asked = (
                server.client.metric("kardia_judge_requests_total"),
                server.client.metric("kardia_judge_stored_total"),
            )
            assert asked == ((0.0, 6.0) if number else (6.0, 0.0))
            server.process.send_signal(signal.SIGTERM)
            assert server.wait() == 0


def test_the_benchmark(tmp_path: Path) -> None:
    """Two seconds of it: nothing lost, order kept, bad tokens refused, malformed bodies 4xx, a clean end."""
    script = Path(__file__).resolve().parents[2] / "benchmarks" / "serve.py"
    done = subprocess.run(
        [sys.executable, str(script), "--seconds", "2", "--clients", "24", "--json"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        env=surroundings(),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    assert (told["wrong"], told["code"], told["noise"]) == ({}, 0, [])
    assert all(told["right"][kind] > 0 for kind in ("score", "openrlhf", "malformed"))
