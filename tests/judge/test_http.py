"""The http and the openai backend against a server that behaves, and misbehaves, on command."""

from __future__ import annotations

import asyncio
import dataclasses
import gc
import json
import logging
import os
import pickle
import socket
import traceback

import pytest
from pydantic import ValidationError
from server import (
    ScriptedServer,
    raw,
    redirect,
    reset,
    says,
    slow,
    status,
    truncated,
    unstructured,
    verdict,
    with_logprobs,
)

import kardia
from kardia.engine import desk, loop
from kardia.errors import AnswerError, JudgeUnreachable, ProfileError, TransientError
from kardia.judge import build_judge
from kardia.judge.backends import perloop
from kardia.judge.protocol import ChatMessage, Said

from .endpoints import CONVERSATION, KEY, RUBRIC, profile, request_for

BACKENDS = ("http", "openai")


@pytest.fixture
def server():
    with ScriptedServer() as scripted:
        yield scripted


@pytest.fixture(params=BACKENDS)
def backend(request):
    return request.param


@pytest.fixture
def waits(monkeypatch):
    """The waits between tries, none of which is waited."""
    asked = []

    def no_wait(attempt, retry_after):
        asked.append((attempt, retry_after))
        return 0.0

    monkeypatch.setattr(desk, "_wait", no_wait)
    return asked


async def once(server, backend, **more):
    """One try, without the engine."""
    made = profile(server.url, backend, **more)
    judge = build_judge(made)
    try:
        return (await judge.answer([request_for(made)]))[0]
    finally:
        await judge.aclose()


def scored(server, backend, count=1, **more):
    """`count` conversations through the engine: the judge and the cards."""
    judge = build_judge(profile(server.url, backend, **more))
    rows = [{"id": str(n), "context": "My cat is ill.", "response": f"Oh no, {n}."} for n in range(count)]
    try:
        return judge, list(kardia.score_many(rows, RUBRIC, judge))
    finally:
        loop.run(judge.aclose())


def the_one(server, backend, **more):
    card = scored(server, backend, **more)[1][0]
    return card, card.criteria["kind"]


# what is sent


async def test_the_body(server, backend):
    sampling = {"temperature": 0.5, "seed": 11, "max_tokens": 99, "top_p": 0.9}
    await once(server, backend, sampling=sampling)
    body = server.asked[0].body
    assert server.asked[0].path == "/v1/chat/completions"
    assert {key: body[key] for key in ("model", *sampling)} == {"model": "judge", **sampling}
    assert [message["role"] for message in body["messages"]] == ["system", "user"]
    asked = body["response_format"]
    assert asked["type"] == "json_schema"
    assert asked["json_schema"]["strict"] is True
    assert list(asked["json_schema"]["schema"]["properties"]) == ["reason", "evidence", "level"]
    assert set(body) == {"model", "messages", "response_format", *sampling}


async def test_null_is_not_sent(server, backend):
    await once(server, backend, sampling={"temperature": None, "seed": None, "max_tokens": None})
    assert set(server.asked[0].body) == {"model", "messages", "response_format"}


async def test_extra_body_wins_and_is_merged(server, backend):
    extra = {"temperature": 0.9, "max_tokens": None, "chat_template_kwargs": {"enable_thinking": False}}
    await once(server, backend, extra_body=extra)
    body = server.asked[0].body
    assert body["temperature"] == 0.9
    assert "max_tokens" not in body
    assert body["chat_template_kwargs"] == {"enable_thinking": False}


def test_each_sample_has_its_own_seed(server, backend):
    _, judgment = the_one(server, backend, sampling={"seed": 5, "samples": 3})
    assert sorted(asked.body["seed"] for asked in server.asked) == [5, 6, 7]
    assert judgment.samples == (4, 4, 4)


async def test_key_and_headers(server, backend, monkeypatch):
    monkeypatch.setenv("SOME_KEY", f"  {KEY}\n")
    await once(server, backend, api_key_env="SOME_KEY", headers={"X-Team": "support"})
    assert server.asked[0].headers["authorization"] == f"Bearer {KEY}"
    assert server.asked[0].headers["x-team"] == "support"


async def test_http_sends_no_key_unless_the_profile_names_one(server, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    await once(server, "http")
    assert "authorization" not in server.asked[0].headers


async def test_openai_sends_no_stray_key_to_another_server(server, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    await once(server, "openai")
    assert KEY not in json.dumps(server.asked[0].headers)


def test_openai_takes_no_address_from_the_environment(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("OPENAI_BASE_URL", "http://elsewhere.invalid/v1")
    made = profile("http://x", "openai").model_copy(update={"base_url": None})
    judge = build_judge(made)
    places = []

    async def send(url, body, headers, method):
        places.append((str(url), headers["authorization"]))
        raise TransientError("nothing is sent from here")

    monkeypatch.setattr(judge._wire, "send", send)
    assert str(loop.run(judge.answer([request_for(made)]))[0]) == "nothing is sent from here"
    assert places == [("https://api.openai.com/v1/chat/completions", f"Bearer {KEY}")]
    assert judge.profile.destination == "api.openai.com"
    assert json.loads(judge.identity)["base_url"] == "https://api.openai.com/v1"


@pytest.mark.parametrize("value", [None, "", "  ", "two words", "schlüssel"])
def test_a_key_that_is_none_is_a_fault_of_the_profile(backend, monkeypatch, value):
    if value is not None:
        monkeypatch.setenv("SOME_KEY", value)
    with pytest.raises(ProfileError, match="SOME_KEY"):
        build_judge(profile("http://127.0.0.1:1/v1", backend, api_key_env="SOME_KEY"))


@pytest.mark.parametrize("ending", ["", "/", "/chat/completions"])
async def test_http_takes_the_address_with_and_without_its_end(server, ending):
    made = profile(server.url + ending)
    judge = build_judge(made)
    assert isinstance((await judge.answer([request_for(made)]))[0], Said)
    await judge.aclose()
    assert server.asked[0].path == "/v1/chat/completions"


async def test_what_cannot_be_written_is_one_request_s_failure(server, backend):
    made = profile(server.url, backend)
    judge = build_judge(made)
    broken = dataclasses.replace(request_for(made), messages=(ChatMessage("user", "\ud800"),))
    answers = await judge.answer([broken, request_for(made)])
    await judge.aclose()
    assert isinstance(answers[0], AnswerError)
    assert "half of a surrogate pair" in str(answers[0])
    assert isinstance(answers[1], Said)
    assert len(server.asked) == 1


# what comes back


async def test_an_answer(server, backend):
    answer = await once(server, backend, price={"input_per_million": 1.0, "output_per_million": 10.0})
    assert json.loads(answer.text)["level"] == 4
    usage = answer.usage
    assert (usage.requests, usage.input_tokens, usage.output_tokens) == (1, 100, 20)
    assert usage.cost == pytest.approx((100 * 1 + 20 * 10) / 1e6)


async def test_a_refusal(server, backend):
    server.then(says(None, message={"refusal": "I won't."}), says("", finish_reason="content_filter"))
    assert (await once(server, backend)).refusal == "I won't."
    assert "content filter" in (await once(server, backend)).refusal


def test_a_refusal_is_unscored_and_not_asked_again(server, backend):
    server.always = says(None, message={"refusal": "I won't."})
    card, judgment = the_one(server, backend)
    assert (card.status, card.score, judgment.status, judgment.value) == ("unscored", None, "unscored", None)
    assert "refused" in judgment.error
    assert "I won't." in judgment.error
    assert len(server.asked) == 1


def test_a_cut_off_answer_says_so(server, backend):
    server.always = says('{"reason": "Beca', finish_reason="length")
    _, judgment = the_one(server, backend, limits={"reask": 0})
    assert judgment.status == "unscored"
    assert "token limit" in judgment.error


def test_content_in_parts(server):
    text = json.dumps({"reason": "So.", "evidence": [], "level": 2})
    server.always = says([{"type": "text", "text": text[:9]}, {"type": "text", "text": text[9:]}])
    assert the_one(server, "http")[1].level == 2


def test_log_probabilities(server, backend):
    server.always = with_logprobs("3", {"3": -0.7, "2": -0.7, "4": -5.0})
    _, judgment = the_one(server, backend, mode="logprob")
    body = server.asked[0].body
    assert (body["logprobs"], body["top_logprobs"]) == (True, 20)
    assert "response_format" not in body
    assert judgment.status == "scored"
    assert 1 / 3 < judgment.value < 2 / 3
    assert sum(judgment.probabilities.values()) == pytest.approx(1)


def test_all_criteria_in_one_call(server, backend):
    _, judgment = the_one(server, backend, mode="all_criteria")
    assert (judgment.level, len(server.asked)) == (4, 1)


# structured output, and without


@pytest.mark.parametrize("code", [400, 415, 422, 501])
def test_a_server_without_structured_output(server, backend, code):
    server.always = unstructured(code)
    judge, cards = scored(server, backend, count=3, limits={"concurrency": 1})
    assert [card.criteria["kind"].level for card in cards] == [3, 3, 3]
    assert [asked.structured for asked in server.asked] == [True, False, False, False]
    assert judge.structured is False
    assert [card.usage["requests"] for card in cards] == [2, 1, 1]


def test_a_bad_request_does_not_switch_structured_output_off(server, backend, waits):
    server.then(status(400, "the prompt is too long"), status(400, "the prompt is too long"))
    judge, cards = scored(server, backend, count=2, limits={"concurrency": 1})
    assert [card.status for card in cards] == ["unscored", "scored"]
    assert "the prompt is too long" in cards[0].criteria["kind"].error
    assert [asked.structured for asked in server.asked] == [True, False, True]
    assert judge.structured is True
    assert waits == []


# failures of one try

TRANSIENT = {
    "429": status(429, "slow down"),
    "500": status(500),
    "503": status(503),
    "408": status(408),
    "529": status(529),
    "garbage": raw("{not json"),
    "html": raw("<html>Starting…</html>", kind="text/html"),
    "empty": raw(""),
    "no choices": raw('{"choices": []}'),
    "null": raw("null"),
    "error in a 200": raw('{"error": {"message": "no capacity"}}'),
    "an object for words": says({"level": 4}),
    "truncated": truncated,
    "reset": reset,
}


@pytest.mark.parametrize("name", TRANSIENT)
def test_a_passing_failure_is_tried_again(server, backend, waits, name):
    server.then(TRANSIENT[name])
    card, judgment = the_one(server, backend)
    assert (judgment.status, judgment.level) == ("scored", 4)
    assert len(server.asked) == card.usage["requests"] == 2
    assert len(waits) == 1


@pytest.mark.parametrize("name", [name for name in TRANSIENT if name not in ("reset", "truncated")])
def test_a_lasting_failure_is_unscored_and_never_a_number(server, backend, waits, name):
    server.always = TRANSIENT[name]
    card, judgment = the_one(server, backend, limits={"retries": 2})
    assert (card.status, card.score) == ("unscored", None)
    assert (judgment.status, judgment.level, judgment.value) == ("unscored", None, None)
    assert "given up after 3 tries" in judgment.error
    assert len(server.asked) == card.usage["requests"] == 3
    assert [attempt for attempt, _ in waits] == [0, 1]


@pytest.mark.parametrize("broken", [reset, truncated])
def test_a_server_that_only_hangs_up_is_unreachable(server, backend, waits, broken):
    server.always = broken
    with pytest.raises(JudgeUnreachable, match="does not answer"):
        the_one(server, backend)
    assert len(server.asked) == 4


@pytest.mark.parametrize("code", [400, 413, 422])
def test_a_request_that_is_wrong_is_given_up_at_once(server, backend, waits, code):
    server.always = status(code, "no such thing")
    _card, judgment = the_one(server, backend)
    assert (judgment.status, judgment.value) == ("unscored", None)
    assert f"answered {code} | " in judgment.error
    assert "no such thing" in judgment.error
    assert waits == []


def test_a_slow_server_times_out(server, backend, waits):
    server.then(slow(3))
    card, judgment = the_one(server, backend, limits={"timeout_s": 0.4})
    assert judgment.status == "scored"
    assert card.usage["requests"] == 2


async def test_the_reason_of_a_time_out(server, backend):
    server.then(slow(3))
    answer = await once(server, backend, limits={"timeout_s": 0.3})
    assert isinstance(answer, TransientError)
    assert "within 0.3 s" in str(answer)
    assert not answer.down


@pytest.mark.parametrize(("given", "least", "most"), [("7", 7, 7), ("0", 0, 0), ("soon", None, None), ("-3", 0, 0)])
async def test_retry_after(server, backend, given, least, most):
    server.then(status(429, headers={"Retry-After": given}))
    answer = await once(server, backend)
    assert isinstance(answer, TransientError)
    assert answer.retry_after is None if least is None else least <= answer.retry_after <= most


def test_retry_after_reaches_the_wait(server, backend, waits):
    server.then(status(429, headers={"Retry-After": "7"}), status(500))
    the_one(server, backend)
    assert waits == [(0, 7.0), (1, None)]


# asking again


def test_the_identical_question_first_then_one_that_says_what_was_wrong(server, backend):
    server.then(says("I'd say four."), says('{"reason": "So.", "evidence": [], "level": 9}'))
    card, judgment = the_one(server, backend)
    assert judgment.level == 4
    first, second, third = (asked.body["messages"] for asked in server.asked)
    assert first == second
    assert third[: len(first)] == first
    assert [message["role"] for message in third[len(first) :]] == ["assistant", "user"]
    assert third[-2]["content"] == '{"reason": "So.", "evidence": [], "level": 9}'
    assert "9" in third[-1]["content"]
    assert (card.usage["requests"], card.usage["input_tokens"], card.usage["output_tokens"]) == (3, 300, 60)


def test_after_the_last_time_of_asking_it_is_unscored_with_what_was_said(server, backend):
    server.always = says("Four!")
    card, judgment = the_one(server, backend, limits={"reask": 2})
    assert (judgment.status, judgment.value) == ("unscored", None)
    assert "Four!" in judgment.error
    assert card.usage["requests"] == len(server.asked) == 3


# nobody there

UNREACHABLE = {
    "401": (status(401, "bad key"), "does not accept"),
    "403": (status(403, "not you"), "does not accept"),
    "402": (status(402, "pay first"), "exhausted"),
    "quota": (
        status(429, "you exceeded it", body={"error": {"message": "x", "code": "insufficient_quota"}}),
        "exhausted",
    ),
    "404": (status(404, "no such model"), "does not know the model 'judge'"),
    "405": (status(405), "this URL"),
    "redirect": (redirect("/elsewhere"), "redirects"),
}


@pytest.mark.parametrize("name", UNREACHABLE)
def test_asking_on_would_be_in_vain(server, backend, waits, name):
    behaviour, words = UNREACHABLE[name]
    server.always = behaviour
    with pytest.raises(JudgeUnreachable, match=words):
        scored(server, backend, count=50, limits={"concurrency": 4})
    assert len(server.asked) <= 8
    assert waits == []


def test_a_refused_connection(backend, waits):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    judge = build_judge(profile(f"http://127.0.0.1:{port}/v1", backend))
    with pytest.raises(JudgeUnreachable, match=f"no connection to 127.0.0.1:{port}"):
        kardia.score(CONVERSATION, RUBRIC, judge)
    loop.run(judge.aclose())
    assert len(waits) == 3


def test_a_refused_connection_where_no_retries_are_allowed(backend):
    judge = build_judge(profile("http://127.0.0.1:9/v1", backend, limits={"retries": 0}))
    with pytest.raises(JudgeUnreachable):
        kardia.score(CONVERSATION, RUBRIC, judge)
    loop.run(judge.aclose())


def test_one_hang_up_among_answers_ends_nothing(server, backend):
    server.then(verdict(), reset, reset)
    _, cards = scored(server, backend, count=4, limits={"retries": 0, "concurrency": 1})
    assert [card.status for card in cards] == ["scored", "unscored", "scored", "scored"]
    assert [card.usage["requests"] for card in cards] == [1, 2, 1, 1]


def test_a_connection_that_was_closed_while_idle_is_replaced_and_counted(server, backend, waits):
    server.then(verdict(), reset)
    _, cards = scored(server, backend, count=3, limits={"retries": 0, "concurrency": 1})
    assert [card.status for card in cards] == ["scored", "scored", "scored"]
    assert [card.usage["requests"] for card in cards] == [1, 2, 1]
    assert len(server.asked) == 4
    assert waits == []


def test_twenty_failures_in_a_row_end_the_run(server, backend, waits):
    server.always = status(503, "no capacity")
    with pytest.raises(JudgeUnreachable, match=r"20 times in a row.*no capacity"):
        scored(server, backend, count=60, limits={"retries": 1, "concurrency": 1})
    assert len(server.asked) in (20, 21)  # the next one may be on its way by then


# secrets


def echo_key(backend):
    """Errors of servers that repeat the key."""
    return {
        401: status(401, f"Incorrect API key provided: {KEY}"),
        400: status(400, f"cannot use {KEY}"),
        503: status(503, f"{KEY} has to wait"),
        404: raw(f"no route for {KEY}", code=404, kind="text/plain"),
    }


@pytest.mark.parametrize("code", [401, 400, 503, 404])
def test_the_key_is_in_no_output_and_no_error(server, backend, waits, monkeypatch, code, caplog):
    monkeypatch.setenv("SOME_KEY", KEY)
    server.always = echo_key(backend)[code]
    more = {"api_key_env": "SOME_KEY", "limits": {"retries": 1}, "headers": {"X-Secret": "another-secret"}}
    judge = build_judge(profile(server.url, backend, **more))
    shown = [repr(judge), repr(judge.profile), repr(vars(judge).get("profile"))]
    try:
        shown.append(json.dumps(kardia.score(CONVERSATION, RUBRIC, judge).to_json()))
    except JudgeUnreachable as problem:
        shown += [str(problem), repr(problem), "".join(traceback.format_exception(problem))]
    loop.run(judge.aclose())
    for text in (*shown, caplog.text):
        assert KEY not in text
        assert "another-secret" not in text
    assert server.asked[0].headers["authorization"] == f"Bearer {KEY}"


def test_the_key_is_in_no_log(server, backend, monkeypatch, caplog):
    monkeypatch.setenv("SOME_KEY", KEY)
    caplog.set_level(logging.DEBUG)
    server.then(verdict(), status(500, f"not with {KEY}"), status(401, f"{KEY} is wrong"))
    more = {"api_key_env": "SOME_KEY", "headers": {"X-Secret": "another-secret"}}
    for _ in range(3):
        asyncio.run(once(server, backend, **more))
    assert [asked.headers["x-secret"] for asked in server.asked] == ["another-secret"] * 3
    if backend == "openai":
        assert "openai" in {record.name.split(".")[0] for record in caplog.records}
    for record in caplog.records:
        assert KEY not in record.getMessage() + str(record.exc_info) + str(record.args)
        assert "another-secret" not in record.getMessage()


async def test_no_error_carries_the_request_with_the_key(backend, monkeypatch, server):
    monkeypatch.setenv("SOME_KEY", KEY)
    server.then(reset)
    for place in (server.url, "http://127.0.0.1:9/v1"):
        judge = build_judge(profile(place, backend, api_key_env="SOME_KEY"))
        problem = (await judge.answer([request_for(judge.profile)]))[0]
        await judge.aclose()
        assert isinstance(problem, TransientError)
        assert (problem.__cause__, problem.__context__) == (None, None)
        assert KEY.encode() not in pickle.dumps(problem)


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
def test_neither_key_nor_text_follows_a_redirect(server, backend, monkeypatch, code):
    monkeypatch.setenv("SOME_KEY", KEY)
    with ScriptedServer() as thief:
        server.always = redirect(f"{thief.url}/chat/completions", code)
        with pytest.raises(JudgeUnreachable, match="redirects"):
            the_one(server, backend, api_key_env="SOME_KEY")
        assert thief.asked == []


@pytest.mark.parametrize("code", [302, 307])
def test_nor_one_on_the_same_host(server, backend, monkeypatch, code):
    monkeypatch.setenv("SOME_KEY", KEY)
    server.always = redirect("/elsewhere", code)
    with pytest.raises(JudgeUnreachable, match="redirects"):
        the_one(server, backend, api_key_env="SOME_KEY")
    assert [asked.path for asked in server.asked] == ["/v1/chat/completions"]


def test_identity(backend):
    judge = build_judge(profile("http://127.0.0.1:1/v1/", backend, model="m", sampling={"samples": 3}))
    assert json.loads(judge.identity) == {
        "backend": backend,
        "base_url": "http://127.0.0.1:1/v1",
        "extra_body": {},
        "model": "m",
        "sampling": {"max_tokens": 512, "seed": 7, "temperature": 0.0},
    }


def test_a_header_that_cannot_be_sent(server, backend):
    with pytest.raises(ValidationError, match="holds characters that a header cannot hold") as caught:
        the_one(server, backend, headers={"X-Secret": "secret-value\nInjected: yes"}, limits={"retries": 0})
    assert "secret-value" not in caught.value.errors()[0]["msg"]
    assert server.asked == []


# connections


def test_one_connection_is_reused(server, backend):
    scored(server, backend, count=20, limits={"concurrency": 1})
    assert len(server.asked) == 20
    assert server.connections == 1


def test_concurrency_is_bounded(server, backend):
    server.always = verdict(delay=0.02)
    _, cards = scored(server, backend, count=40, limits={"concurrency": 5})
    assert [card.id for card in cards] == [str(n) for n in range(40)]
    assert 2 <= server.peak <= 5
    assert server.connections <= 5


def test_one_judge_on_several_loops(server, backend):
    judge = build_judge(profile(server.url, backend))

    async def use():
        card = await kardia.ascore(CONVERSATION, RUBRIC, judge)
        await judge.aclose()
        return card.score

    assert [asyncio.run(use()) for _ in range(3)] == [1.0, 1.0, 1.0]
    assert kardia.score(CONVERSATION, RUBRIC, judge).score == 1.0
    loop.run(judge.aclose())
    assert len(judge._wire._lines) == 0


def test_a_loop_that_ends_closes_its_connections(server, backend, caplog):
    # warnings are errors here, and aiohttp tells its loop too
    judge = build_judge(profile(server.url, backend))
    request = request_for(judge.profile)
    for _ in range(3):
        assert isinstance(asyncio.run(judge.answer([request]))[0], Said)
        gc.collect()
    assert server.connections == 3
    assert "Unclosed" not in caplog.text


def test_a_judge_that_is_dropped_closes_its_connections(server, backend):
    # warnings are errors here: an unclosed session would be one
    judge = build_judge(profile(server.url, backend))
    kardia.score(CONVERSATION, RUBRIC, judge)
    del judge
    gc.collect()
    loop.run(asyncio.sleep(0.05))
    gc.collect()


def test_a_judge_by_path_closes_its_connections(server, backend, tmp_path):
    path = tmp_path / "own.yaml"
    path.write_text(f"name: own\nbackend: {backend}\nmodel: judge\nbase_url: {server.url}\n")
    assert kardia.score(CONVERSATION, RUBRIC, path).score == 1.0
    gc.collect()


def test_a_judge_travels(server, backend, monkeypatch):
    monkeypatch.setenv("SOME_KEY", KEY)
    judge = build_judge(profile(server.url, backend, api_key_env="SOME_KEY"))
    packed = pickle.dumps(judge)
    assert KEY.encode() not in packed
    copy = pickle.loads(packed)
    assert kardia.score(CONVERSATION, RUBRIC, copy).score == 1.0
    loop.run(copy.aclose())


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the platform does not fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_child_scores_and_leaves_the_parent_its_connections(server, backend):
    judge = build_judge(profile(server.url, backend))
    assert kardia.score(CONVERSATION, RUBRIC, judge).score == 1.0
    child = os.fork()
    if child == 0:
        code = 1
        try:
            scored_well = kardia.score(CONVERSATION, RUBRIC, judge).score == 1.0
            del judge
            gc.collect()
            # closed here, the parent's connection would fall silent: it is kept, and left alone
            code = 0 if scored_well and len(perloop._inherited) == 1 else 2
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert kardia.score(CONVERSATION, RUBRIC, judge).score == 1.0
    loop.run(judge.aclose())
    assert len(server.asked) == 3
    assert server.connections == 2


async def test_the_judge_says_which_failure_is_whose(server, backend):
    server.then(status(400, "one"), status(400, "two"), status(401), reset)
    assert isinstance(await once(server, backend), AnswerError)
    assert isinstance(await once(server, backend), JudgeUnreachable)
    down = await once(server, backend)
    assert isinstance(down, TransientError)
    assert down.broke
    assert not down.down
