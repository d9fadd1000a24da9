"""`kardia judge`."""

from __future__ import annotations

import json
import socket

import pytest
from server import ScriptedServer, says, status, unstructured

from .command import kardia

SECRET = "a-secret-header-value"


@pytest.fixture
def server(tmp_path):
    with ScriptedServer() as scripted:
        (tmp_path / "own.yaml").write_text(
            f"name: own\nbackend: http\nmodel: m\nbase_url: {scripted.url}\nheaders: {{X-Secret: {SECRET}}}\n"
        )
        yield scripted


def check(tmp_path, *arguments, **more):
    return kardia("judge", "check", *arguments, cwd=tmp_path, **more)


def test_list(tmp_path):
    done = kardia("judge", "list", cwd=tmp_path)
    assert done.returncode == 0
    for name in ("embedded", "fake", "openai", "vllm", "ollama", "anthropic"):
        assert name in done.stdout
    rows = json.loads(kardia("judge", "list", "--json", cwd=tmp_path).stdout)
    assert {"name": "fake", "backend": "fake"}.items() <= next(row for row in rows if row["name"] == "fake").items()


def test_list_survives_a_broken_profile(tmp_path):
    (tmp_path / "judges").mkdir()
    (tmp_path / "judges/broken.yaml").write_text("name: broken\nbackend: telepathy\n")
    done = kardia("judge", "list", cwd=tmp_path)
    assert done.returncode == 0
    assert "embedded" in done.stdout
    assert "broken.yaml:2: backend" in done.stderr


def test_show(tmp_path, server):
    done = kardia("judge", "show", "own.yaml", "--set", "sampling.temperature=1", cwd=tmp_path)
    assert done.returncode == 0
    assert "sampling.temperature" in done.stdout
    assert f"127.0.0.1:{server.port}" in done.stdout
    assert "sha256:" in done.stdout
    data = json.loads(kardia("judge", "show", "own.yaml", "--json", cwd=tmp_path).stdout)
    assert (data["limits"]["retries"], data["destination"]) == (6, f"127.0.0.1:{server.port}")
    assert SECRET not in done.stdout + json.dumps(data)


def test_every_shipped_profile_can_be_shown(tmp_path):
    for row in json.loads(kardia("judge", "list", "--json", cwd=tmp_path).stdout):
        assert kardia("judge", "show", row["name"], cwd=tmp_path).returncode == 0


def test_check_of_one_that_works(tmp_path, server):
    done = check(tmp_path, "own.yaml")
    assert (done.returncode, done.stderr) == (0, "")
    assert "works" in done.stdout
    assert len(server.asked) == 1
    assert json.loads(check(tmp_path, "own.yaml", "--json").stdout)["works"] is True


def test_check_of_one_without_structured_output(tmp_path, server):
    server.always = unstructured()
    done = check(tmp_path, "own.yaml")
    assert (done.returncode, done.stderr) == (0, "")
    assert "response_format" in done.stdout


def test_check_of_one_that_answers_in_another_form(tmp_path, server):
    server.always = says("very kind")
    done = check(tmp_path, "own.yaml")
    assert (done.returncode, done.stderr) == (1, "")
    assert "not in the form" in done.stdout


def test_check_of_one_without_log_probabilities(tmp_path, server):
    server.always = says("Verdict: 3")
    done = check(tmp_path, "own.yaml", "--set", "mode=logprob")
    assert done.returncode == 1
    assert "log-probabilities" in done.stdout


def test_check_of_one_whose_profile_is_wrong(tmp_path, server):
    for arguments, words in [
        (["nobody"], "there is no judge 'nobody'"),
        (["own.yaml", "--set", "sampling.temperature=hot"], "sampling.temperature"),
        (["own.yaml", "--set", "api_key_env=SOME_KEY"], "SOME_KEY, which is not set"),
        (["own.yaml", "--set", "nonsense"], "key=value"),
    ]:
        done = check(tmp_path, *arguments)
        assert done.returncode == 2
        assert words in done.stderr
        assert done.stderr.count("\n") == 1
    assert server.asked == []


def test_check_of_one_that_does_not_let_us_in(tmp_path, server):
    server.always = status(401, "no")
    done = check(tmp_path, "own.yaml", "--set", "api_key_env=SOME_KEY", SOME_KEY="sk-made-up-0123456789")
    assert (done.returncode, done.stdout) == (3, "")
    assert "does not accept the key in SOME_KEY" in done.stderr
    assert "sk-made-up" not in done.stderr


def test_check_of_one_that_is_not_there(tmp_path, server):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    done = check(tmp_path, "own.yaml", "--set", f"base_url=http://127.0.0.1:{port}/v1")
    assert done.returncode == 3
    assert "is the server running" in done.stderr
    assert "Traceback" not in done.stderr
