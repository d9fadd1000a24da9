"""The litellm backend: its openai provider against the scripted server."""

from __future__ import annotations

import json
import logging
import os
import pickle
import socket
import subprocess
import sys

import pytest
from server import ScriptedServer, raw, redirect, reset, says, status, unstructured, verdict

import kardia
from kardia.engine import desk, loop
from kardia.errors import JudgeUnreachable, MissingExtra, ProfileError, TransientError
from kardia.judge import build_judge

from .endpoints import CONVERSATION, KEY, RUBRIC, profile, request_for

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
    monkeypatch.setattr(desk, "_wait", lambda attempt, retry_after: asked.append((attempt, retry_after)) or 0.0)
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


# --- what litellm is kept from ---------------------------------------------------------------------------------------

OTHERS = ["openai/judge", "anthropic/claude-3-5-sonnet-20240620", "gemini/gemini-2.0-flash", "azure/judge", "mistral/m"]


async def once(url, **more):
    """One try, without the engine."""
    judge = build_judge(made(url, **more))
    try:
        return (await judge.answer([request_for(judge.profile)]))[0]
    finally:
        await judge.aclose()


@pytest.mark.parametrize("model", OTHERS)
async def test_no_provider_s_key_or_text_follows_a_redirect(server, model):
    with ScriptedServer() as thief:
        server.always = redirect(f"{thief.url.replace('127.0.0.1', 'localhost')}/chat/completions")
        answer = await once(server.url, model=model)
        assert thief.asked == []
    assert isinstance(answer, JudgeUnreachable)
    assert "redirects elsewhere" in str(answer)
    assert len(server.asked) == 1
    assert KEY in json.dumps(server.asked[0].headers)


async def test_nor_one_on_the_same_host(server):
    server.always = redirect("/elsewhere")
    assert isinstance(await once(server.url), JudgeUnreachable)
    assert [asked.path for asked in server.asked] == ["/v1/chat/completions"]


async def test_azure(server):
    answer = await once(server.url, model="azure/judge", extra_body={"api_version": "2024-10-21"})
    assert json.loads(answer.text)["level"] == 4
    asked = server.asked[0]
    assert asked.path == "/v1/openai/deployments/judge/chat/completions"
    assert asked.headers["api-key"] == KEY


async def test_a_provider_that_litellm_speaks_to_by_itself(server):
    answer = await once(server.url, model="mistral/m", headers={"X-Team": "support"})
    assert json.loads(answer.text)["level"] == 4
    assert server.asked[0].headers["authorization"] == f"Bearer {KEY}"
    assert server.asked[0].headers["x-team"] == "support"


async def test_a_connection_that_litellm_opens_by_itself_is_told_of(server, monkeypatch, caplog):
    import litellm

    async def answers(**_):
        return litellm.ModelResponse(choices=[{"message": {"content": "Hi."}}])

    monkeypatch.setattr(litellm, "acompletion", answers)
    judge = build_judge(made(server.url, model="cohere_chat/command"))
    for _ in range(3):
        assert (await judge.answer([request_for(judge.profile)]))[0].text == "Hi."
    assert len([record for record in caplog.records if "opens its own connections" in record.getMessage()]) == 1


@pytest.mark.parametrize(
    "name", ["api_base", "api_key", "base_url", "client", "extra_headers", "headers", "mock_response", "ssl_verify"]
)
def test_extra_body_is_no_way_to_litellm_s_own_options(name):
    with pytest.raises(ProfileError, match=f"extra_body.{name}: litellm takes '{name}' for an option of its own"):
        build_judge(made("http://127.0.0.1:1", api_key_env=None, extra_body={name: "x"}))


def test_extra_body_goes_into_the_body(server):
    score(server, extra_body={"top_p": 0.5, "chat_template_kwargs": {"enable_thinking": False}})
    body = server.asked[0].body
    assert (body["top_p"], body["chat_template_kwargs"]) == (0.5, {"enable_thinking": False})


@pytest.mark.parametrize("how", ["variable", "attribute"])
def test_certificates_that_would_not_be_verified(monkeypatch, how):
    if how == "variable":
        monkeypatch.setenv("SSL_VERIFY", " False")
    else:
        import litellm

        monkeypatch.setattr(litellm, "ssl_verify", False)
    with pytest.raises(ProfileError, match="any certificate; unset it"):
        build_judge(made("https://127.0.0.1:1", api_key_env=None))
    build_judge(made("http://127.0.0.1:1", api_key_env=None))


async def test_what_litellm_stumbles_over_is_no_lost_connection(server):
    server.then(raw('{"content": 4}'))
    answer = await once(server.url, model="anthropic/claude-3-5-sonnet-20240620")
    assert isinstance(answer, TransientError)
    assert not answer.down
    assert "cannot read the provider's answer" in str(answer)
    assert "Traceback" not in str(answer)


@pytest.mark.parametrize("model", OTHERS)
async def test_the_key_is_in_no_log(server, model, caplog):
    caplog.set_level(logging.DEBUG)
    server.then(verdict(), status(500, f"not with {KEY}"), status(401, f"{KEY} is wrong"))
    for _ in range(3):
        await once(server.url, model=model, headers={"X-Secret": "another-secret"})
    assert "LiteLLM" in {record.name for record in caplog.records}
    for record in caplog.records:
        for text in (record.getMessage(), str(record.exc_info), str(record.args)):
            assert KEY not in text
            assert "another-secret" not in text


def test_identity(server):
    known = json.loads(build_judge(made(server.url)).identity)
    assert (known["backend"], known["model"], known["base_url"]) == ("litellm", "openai/judge", server.url)
    assert json.loads(build_judge(made(server.url).model_copy(update={"base_url": None})).identity)["base_url"] is None


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
