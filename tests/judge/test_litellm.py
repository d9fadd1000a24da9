"""The litellm backend: its openai provider against the scripted server."""

from __future__ import annotations

import json
import os
import pickle
import socket
import subprocess
import sys

import pytest
from server import ScriptedServer, raw, reset, says, status, unstructured

import kardia
from kardia.engine import ask, loop
from kardia.errors import JudgeUnreachable, MissingExtra, ProfileError
from kardia.judge import build_judge

from .endpoints import CONVERSATION, KEY, RUBRIC, profile

pytest.importorskip("litellm")
# litellm's own models and clients warn as they are dumped and dropped
pytestmark = [
    pytest.mark.filterwarnings("ignore::UserWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::RuntimeWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("SOME_KEY", KEY)
    with ScriptedServer() as scripted:
        yield scripted


@pytest.fixture
def waits(monkeypatch):
    asked = []
    monkeypatch.setattr(ask, "_wait", lambda attempt, retry_after: asked.append((attempt, retry_after)) or 0.0)
    return asked


def made(url, **more):
    return profile(url, "litellm", **{"model": "openai/judge", "api_key_env": "SOME_KEY", **more})


def score(server, **more):
    card = kardia.score(CONVERSATION, RUBRIC, made(server.url, **more))
    return card, card.criteria["kind"]


def test_an_answer(server):
    card, judgment = score(server, price={"input_per_million": 1.0}, headers={"X-Team": "support"})
    asked = server.asked[0]
    assert (asked.body["model"], asked.body["temperature"], asked.body["seed"]) == ("judge", 0.0, 7)
    assert asked.structured
    assert asked.headers["authorization"] == f"Bearer {KEY}"
    assert asked.headers["x-team"] == "support"
    assert (judgment.level, card.usage["input_tokens"]) == (4, 100)
    assert card.usage["cost"] == pytest.approx(1e-4)


def test_null_is_not_sent(server):
    score(server, sampling={"temperature": None, "seed": None, "max_tokens": None})
    assert not {"temperature", "seed", "max_tokens", "top_p"} & set(server.asked[0].body)


def test_without_structured_output(server):
    server.always = unstructured()
    card, judgment = score(server)
    assert judgment.level == 3
    assert card.usage["requests"] == 2


@pytest.mark.parametrize(
    "failure", [status(429), status(500), status(503), raw('{"choices": []}')], ids=["429", "500", "503", "no choices"]
)
def test_a_passing_failure_is_tried_again_by_the_engine_alone(server, waits, failure):
    server.then(failure)
    card, judgment = score(server)
    assert judgment.level == 4
    assert len(server.asked) == card.usage["requests"] == 2
    assert len(waits) == 1


def test_a_lasting_failure_is_unscored(server, waits):
    server.always = status(503, "no capacity")
    card, judgment = score(server, limits={"retries": 1})
    assert (card.score, judgment.value) == (None, None)
    assert "no capacity" in judgment.error
    assert len(server.asked) == 2


def test_asking_again(server):
    server.then(says("four"), says("four"))
    card, judgment = score(server)
    assert judgment.level == 4
    assert card.usage["input_tokens"] == 300


@pytest.mark.parametrize(("code", "words"), [(401, "does not accept"), (404, "does not know the model")])
def test_asking_on_would_be_in_vain(server, waits, code, words):
    server.always = status(code, f"not with {KEY}")
    with pytest.raises(JudgeUnreachable, match=words) as caught:
        score(server)
    assert KEY not in str(caught.value)
    assert len(server.asked) == 1


def test_a_refused_connection(waits, monkeypatch):
    monkeypatch.setenv("SOME_KEY", KEY)
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    with pytest.raises(JudgeUnreachable, match="no connection"):
        kardia.score(CONVERSATION, RUBRIC, made(f"http://127.0.0.1:{port}/v1"))
    assert len(waits) == 3


def test_a_server_that_hangs_up(server, waits):
    server.then(reset)
    assert score(server)[1].level == 4


def test_the_key_is_in_no_error(server, waits):
    server.always = status(400, f"cannot use {KEY}")
    card, judgment = score(server)
    assert judgment.status == "unscored"
    assert KEY not in json.dumps(card.to_json())


def test_a_judge_travels_without_its_key(server):
    judge = build_judge(made(server.url))
    packed = pickle.dumps(judge)
    assert KEY.encode() not in packed
    assert KEY not in repr(judge)
    copy = pickle.loads(packed)
    assert kardia.score(CONVERSATION, RUBRIC, copy).score == 1.0
    loop.run(copy.aclose())


def test_a_key_that_is_not_set():
    with pytest.raises(ProfileError, match="OTHER_KEY"):
        build_judge(made("http://127.0.0.1:1", api_key_env="OTHER_KEY"))


def test_without_litellm(monkeypatch):
    monkeypatch.setitem(sys.modules, "litellm", None)
    with pytest.raises(MissingExtra, match=r"kardia\[litellm\]"):
        build_judge(made("http://127.0.0.1:1", api_key_env=None))


def test_importing_litellm_fetches_nothing():
    # the table of prices comes from the network unless this is set before the import
    script = "import os; from kardia.judge.backends.litellm import _litellm; _litellm(); "
    script += "print(os.environ['LITELLM_LOCAL_MODEL_COST_MAP'])"
    environment = {key: value for key, value in os.environ.items() if not key.startswith("LITELLM")}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=environment, check=True)
    assert done.stdout.strip() == "True"
