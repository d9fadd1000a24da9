"""The chat-completions format: what is sent, and how an answer is read."""

from __future__ import annotations

import dataclasses
import functools
import json
import math
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from making import asking, make, ordinal

from kardia.errors import AnswerError, JudgeUnreachable, ProfileError, TransientError
from kardia.judge import chat
from kardia.judge.chat import (
    Bodies,
    api_key,
    chat_body,
    endpoint_identity,
    failure,
    read_response,
    retry_after_of,
    without_secrets,
)
from kardia.judge.profile import JudgeProfile
from kardia.judge.protocol import ChatMessage, Said, TokenChoice, Usage

RUBRIC = make(ordinal("kind"))


def profile(**rest):
    data = {"name": "mine", "backend": "http", "model": "m", "base_url": "http://127.0.0.1:8000/v1", **rest}
    return JudgeProfile.model_validate(data)


def request(mode="per_criterion", sample=0):
    messages = (ChatMessage("system", "Judge."), ChatMessage("user", "This."))
    return dataclasses.replace(asking(RUBRIC, mode), messages=messages, sample=sample)


# --- the key ---------------------------------------------------------------------------------------------------------


def test_the_key_comes_from_the_environment(monkeypatch):
    monkeypatch.setenv("MY_KEY", " sk-1 \n")
    assert api_key(profile(api_key_env="MY_KEY")) == "sk-1"
    assert api_key(profile()) is None


@pytest.mark.parametrize(
    ("value", "words"),
    [(None, "takes its key from the environment variable MY_KEY, which is not set"), (" ", "is not set")]
    + [(value, "MY_KEY does not hold a key") for value in ("sk 1", "sk-ä", "“sk”")],
)
def test_a_key_that_is_none(monkeypatch, value, words):
    monkeypatch.delenv("MY_KEY", raising=False)
    if value is not None:
        monkeypatch.setenv("MY_KEY", value)
    with pytest.raises(ProfileError, match=words) as caught:
        api_key(profile(api_key_env="MY_KEY"))
    assert value is None or not value.strip() or value not in str(caught.value)


# --- the body --------------------------------------------------------------------------------------------------------


def test_a_body():
    assert chat_body(profile(), request()) == {
        "model": "m",
        "messages": [{"role": "system", "content": "Judge."}, {"role": "user", "content": "This."}],
        "temperature": 0.0,
        "max_tokens": 512,
        "seed": 7,
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "verdict", "strict": True, "schema": request().schema},
        },
    }


@pytest.mark.parametrize(
    ("sampling", "left_out"),
    [
        ({"temperature": None}, "temperature"),
        ({"seed": None}, "seed"),
        ({"max_tokens": None}, "max_tokens"),
        ({}, "top_p"),
    ],
)
def test_null_is_not_sent(sampling, left_out):
    assert left_out not in chat_body(profile(sampling=sampling), request())


def test_sampling_is_sent():
    body = chat_body(
        profile(sampling={"temperature": 0.5, "top_p": 0.9, "seed": 1, "max_tokens": 9}), request(sample=2)
    )
    assert (body["temperature"], body["top_p"], body["seed"], body["max_tokens"]) == (0.5, 0.9, 3, 9)


def test_log_probabilities_are_asked_for_and_no_schema():
    body = chat_body(profile(mode="logprob"), request("logprob"))
    assert (body["logprobs"], body["top_logprobs"]) == (True, 20)
    assert "response_format" not in body
    assert "logprobs" not in chat_body(profile(), request())


def test_without_structured_output_there_is_no_schema():
    assert "response_format" not in chat_body(profile(), request(), structured=False)


def test_extra_body_wins_and_can_take_away():
    body = chat_body(
        profile(extra_body={"top_k": 1, "temperature": 0.3, "seed": None, "response_format": None}), request()
    )
    assert (body["top_k"], body["temperature"]) == (1, 0.3)
    assert not {"seed", "response_format"} & set(body)


# --- the body, rendered ----------------------------------------------------------------------------------------------

PROFILES = [
    {},
    {"mode": "logprob"},
    {"sampling": {"temperature": None, "seed": None, "max_tokens": None, "top_p": 0.5}},
    {
        "extra_body": {
            "top_k": 1,
            "temperature": 0.3,
            "seed": None,
            "response_format": None,
            "nested": {"1": [None, "ä"]},
        }
    },
    {"extra_body": {"messages": [{"role": "user", "content": "always the same"}]}},
    {"extra_body": {"messages": None}},
    {"model": "a\x00model"},
]


@given(
    st.sampled_from(PROFILES),
    st.lists(st.tuples(st.sampled_from(["system", "user", "assistant"]), st.text()), max_size=3),
    st.integers(0, 3),
    st.booleans(),
)
def test_a_rendered_body_is_the_body(data, messages, sample, structured):
    known = profile(**data)
    asked = dataclasses.replace(
        request(known.mode, sample), messages=tuple(ChatMessage(role, text) for role, text in messages)
    )
    bodies = Bodies(known)
    for _ in range(2):  # as it is rendered first, and from its parts
        rendered = json.loads(bodies.render(asked, structured=structured))
        expected = chat_body(known, asked, structured=structured)
        assert rendered == json.loads(orjson.dumps(expected, option=orjson.OPT_NON_STR_KEYS))
        assert list(rendered) == list(expected)


def test_what_stands_around_the_messages_is_built_once_for_a_schema_and_a_sample(monkeypatch):
    built = []
    monkeypatch.setattr(chat, "chat_body", lambda *given, **more: built.append(given) or chat_body(*given, **more))
    bodies = Bodies(profile())
    one = request()
    for text in "abc":
        bodies.render(dataclasses.replace(one, messages=(ChatMessage("user", text),)))
    assert len(built) == 1
    assert json.loads(bodies.render(dataclasses.replace(one, sample=1)))["seed"] == 8
    assert "response_format" not in json.loads(bodies.render(one, structured=False))
    assert len(built) == 3


def test_a_schema_that_is_gone_is_not_taken_for_the_next_one():
    bodies = Bodies(profile())
    for number in range(3 * chat.MAX_FRAMES):  # each a new object, and the last ones in the places of the first
        schema = {"type": "object", "number": number}
        body = json.loads(bodies.render(dataclasses.replace(request_kept(), schema=schema)))
        assert body["response_format"]["json_schema"]["schema"] == schema
    assert len(bodies._frames) <= chat.MAX_FRAMES


@functools.cache
def request_kept():
    return request()


def test_half_a_surrogate_pair_cannot_be_sent():
    with pytest.raises(ValueError, match="half of a surrogate pair"):
        Bodies(profile()).render(dataclasses.replace(request(), messages=(ChatMessage("user", "\ud800"),)))


# --- who answers -----------------------------------------------------------------------------------------------------

WHERE = "http://127.0.0.1:8000/v1"


def identity(url=WHERE, **rest):
    return endpoint_identity(profile(base_url=url, **rest), url)


@pytest.mark.parametrize(
    "rest",
    [
        {"name": "another"},
        {"description": "x"},
        {"api_key_env": "MY_KEY"},
        {"headers": {"X-Team": "a"}},
        {"limits": {"concurrency": 2, "reask": 1}},
        {"price": {"input_per_million": 1.0}},
        {"sampling": {"samples": 5}},
        {"mode": "all_criteria"},
        {"template": "reasoned"},
    ],
)
def test_what_moves_no_answer_is_no_part_of_the_identity(rest):
    assert identity(**rest) == identity()


@pytest.mark.parametrize(
    "rest",
    [
        {"model": "n"},
        {"backend": "openai"},
        {"sampling": {"temperature": 1.0}},
        {"sampling": {"seed": 8}},
        {"sampling": {"seed": None}},
        {"sampling": {"max_tokens": 99}},
        {"sampling": {"top_p": 0.5}},
        {"extra_body": {"top_k": 1}},
        {"url": "http://127.0.0.1:8001/v1"},
        {"url": "https://127.0.0.1:8000/v1"},
        {"url": "http://127.0.0.1:8000/v2"},
        {"url": "http://127.0.0.1:8000/v1?version=2"},
    ],
)
def test_what_moves_an_answer_is(rest):
    assert identity(**rest) != identity()


@pytest.mark.parametrize(
    ("url", "same"),
    [
        (WHERE, WHERE + "/"),
        (WHERE, WHERE + "/chat/completions"),
        (WHERE, WHERE + "/chat/completions/"),
        ("http://Judge.example/v1", "http://judge.EXAMPLE:80/v1"),
        ("https://judge.example", "https://judge.example:443/"),
        ("http://[::1]:8000/v1", "http://[::1]:8000/v1/"),
        ("http://[FE80::1]/v1", "http://[fe80::1]:80/v1"),
    ],
)
def test_one_place_however_it_is_spelt(url, same):
    assert json.loads(identity(url))["base_url"] == json.loads(identity(same))["base_url"]


def test_the_order_of_keys_is_nothing():
    assert identity(extra_body={"a": 1, "b": {"c": 1, "d": 2}}) == identity(extra_body={"b": {"d": 2, "c": 1}, "a": 1})


# --- a response ------------------------------------------------------------------------------------------------------


def response(message=None, **choice):
    message = {"role": "assistant", "content": "Hi."} if message is None else message
    return {
        "choices": [{"message": message, "finish_reason": "stop", **choice}],
        "usage": {"prompt_tokens": 10, "completion_tokens": 2},
    }


def test_a_response():
    assert read_response(response(), profile()) == Said("Hi.", usage=Usage(1, 10, 2, None))


@pytest.mark.parametrize(
    ("message", "choice", "expected"),
    [
        ({"content": None}, {}, Said(None)),
        ({}, {}, Said(None)),
        ({"content": [{"type": "text", "text": "a"}, {"text": "b"}, "x", {"type": "image"}]}, {}, Said("ab")),
        ({"content": None, "refusal": "No."}, {}, Said(None, refusal="No.")),
        ({"content": "x", "refusal": ""}, {}, Said("x")),
        ({"content": "x", "refusal": {"a": 1}}, {}, Said("x")),
        ({"content": "x"}, {"finish_reason": "length"}, Said("x", truncated=True)),
        ({"content": "half a pair: \ud83d"}, {}, Said("half a pair: ?")),
        (
            {"content": None},
            {"finish_reason": "content_filter"},
            Said(None, refusal="the endpoint's content filter stopped the answer"),
        ),
    ],
)
def test_what_a_message_may_hold(message, choice, expected):
    said = read_response(response(message, **choice), profile())
    assert dataclasses.replace(said, usage=Usage()) == expected


@pytest.mark.parametrize(
    "data",
    [
        None,
        [],
        "text",
        4,
        {},
        {"choices": None},
        {"choices": []},
        {"choices": {}},
        {"choices": [None]},
        {"choices": ["x"]},
        {"choices": [{}]},
        {"choices": [{"message": None}]},
        {"choices": [{"message": "x"}]},
        {"choices": [{"message": {"content": 4}}]},
        {"choices": [{"message": {"content": {"text": "x"}}}]},
        {"error": "loading"},
    ],
)
def test_what_is_no_chat_completion_may_be_one_later(data):
    with pytest.raises(TransientError, match="is not a chat completion"):
        read_response(data, profile())


def top(*pairs):
    return [{"token": token, "logprob": logprob} for token, logprob in pairs]


@pytest.mark.parametrize(
    ("logprobs", "tokens"),
    [
        (
            {"content": [{"token": "4", "logprob": -0.1, "top_logprobs": top(("4", -0.1), ("5", -2.5))}]},
            (TokenChoice("4", {"4": -0.1, "5": -2.5}),),
        ),
        (
            {"content": [{"token": "4", "logprob": -0.1, "top_logprobs": top(("5", -2))}]},
            (TokenChoice("4", {"5": -2, "4": -0.1}),),
        ),
        ({"content": [{"token": "4", "logprob": -0.1, "top_logprobs": None}]}, None),
        ({"content": [{"token": "4", "logprob": -0.1}]}, None),
        ({"content": []}, None),
        ({"content": None}, None),
        ({"content": "4"}, None),
        ({"content": ["4"]}, None),
        ({"content": [{"logprob": -0.1}]}, None),
        ({"content": [{"token": "4", "logprob": None}]}, None),
        ({"content": [{"token": "4", "logprob": "low"}]}, None),
        ({"content": [{"token": "4", "logprob": -1, "top_logprobs": [{"token": "4"}]}]}, None),
        ({}, None),
        (None, None),
        ([], None),
    ],
)
def test_log_probabilities(logprobs, tokens):
    assert read_response(response(logprobs=logprobs), profile()).tokens == tokens


@pytest.mark.parametrize(
    ("usage", "counted"),
    [
        ({"prompt_tokens": 5, "completion_tokens": 6}, (5, 6)),
        ({"prompt_tokens": None, "completion_tokens": "6"}, (0, 0)),
        ({"prompt_tokens": -5, "completion_tokens": True}, (0, 0)),
        ({}, (0, 0)),
        (None, (0, 0)),
        ([1], (0, 0)),
    ],
)
def test_usage(usage, counted):
    found = read_response({**response(), "usage": usage}, profile()).usage
    assert (found.requests, (found.input_tokens, found.output_tokens), found.cost) == (1, counted, None)


@pytest.mark.parametrize(
    ("price", "cost"),
    [
        ({}, None),
        ({"input_per_million": 3.0}, 30e-6),
        ({"output_per_million": 5.0}, 10e-6),
        ({"input_per_million": 3.0, "output_per_million": 5.0}, 40e-6),
        ({"input_per_million": 0.0}, 0.0),
    ],
)
def test_cost(price, cost):
    assert read_response(response(), profile(price=price)).usage.cost == (None if cost is None else pytest.approx(cost))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "choices",
                    "message",
                    "content",
                    "refusal",
                    "logprobs",
                    "token",
                    "logprob",
                    "top_logprobs",
                    "usage",
                    "text",
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=20,
)


@given(
    JSON
    | JSON.map(lambda inner: {"choices": [{"message": inner}]})
    | JSON.map(lambda inner: response(logprobs={"content": inner}))
)
def test_any_json_is_read_or_may_be_better_later(data):
    try:
        said = read_response(data, profile())
    except TransientError:
        return
    assert said.text is None or isinstance(said.text, str)


# --- waiting and failing ---------------------------------------------------------------------------------------------


def date(seconds):
    return format_datetime(datetime.now(timezone.utc) + timedelta(seconds=seconds), usegmt=True)


@pytest.mark.parametrize(
    ("text", "low", "high"),
    [
        ("2", 2, 2),
        ("0.5", 0.5, 0.5),
        ("-3", 0, 0),
        ("99999", 3600, 3600),
        ("inf", 3600, 3600),
    ],
)
def test_how_many_seconds_to_wait(text, low, high):
    for name in ("retry-after", "Retry-After"):
        assert low <= (retry_after_of({name: text}) or 0) <= high


@pytest.mark.parametrize(("seconds", "low", "high"), [(100, 90, 100), (-100, 0, 0), (10**6, 3600, 3600)])
@pytest.mark.parametrize("zone", ["GMT", "-0000", "+0000"])
def test_a_date_until_which_to_wait(seconds, low, high, zone):
    found = retry_after_of({"retry-after": date(seconds).replace("GMT", zone)})
    assert found is not None
    assert low <= found <= high


@pytest.mark.parametrize(
    "headers", [{}, {"retry-after": ""}, {"retry-after": "soon"}, {"retry-after": "nan"}, {"x": "2"}]
)
def test_nobody_said_how_long_to_wait(headers):
    assert retry_after_of(headers) is None


@given(st.text() | st.from_regex(r"\A(Mon, )?\d{1,2} (Jan|Feb) \d{1,6} \d\d:\d\d(:\d\d)? ([+-]\d{1,6}|GMT)?\Z"))
def test_no_header_raises(text):
    seconds = retry_after_of({"retry-after": text})
    assert seconds is None or (0 <= seconds <= 3600 and not math.isnan(seconds))


@pytest.mark.parametrize(
    ("status", "message", "kind", "words"),
    [
        (401, "bad key", JudgeUnreachable, "does not accept a request without a key (api_key_env): 401 bad key"),
        (403, "no", JudgeUnreachable, "does not accept"),
        (402, "pay", JudgeUnreachable, "the account is exhausted"),
        (429, "insufficient_quota: pay", JudgeUnreachable, "the account is exhausted"),
        (429, "slow down", TransientError, "answered 429 | the judge said: slow down"),
        (404, "no model", JudgeUnreachable, "does not know the model 'm' or this URL"),
        (405, "", JudgeUnreachable, "does not know the model"),
        (408, "", TransientError, "answered 408"),
        (409, "", TransientError, "answered 409"),
        (425, "", TransientError, "answered 425"),
        (500, "x" * 1000, TransientError, "answered 500"),
        (503, "loading\n\n  the model", TransientError, "loading the model"),
        (301, "", JudgeUnreachable, "redirects elsewhere"),
        (400, "too long", AnswerError, "answered 400 | the judge said: too long"),
        (422, "", AnswerError, "answered 422"),
    ],
)
def test_what_a_status_means(status, message, kind, words):
    problem = failure(status, message, profile(), 3.0)
    assert type(problem) is kind
    assert words in str(problem)
    assert len(str(problem)) < 500
    if isinstance(problem, TransientError):
        assert problem.retry_after == 3.0


def test_a_failure_names_the_variable_and_never_the_key(monkeypatch):
    monkeypatch.setenv("MY_KEY", "sk-secret")
    text = str(failure(401, "no", profile(api_key_env="MY_KEY")))
    assert "the key in MY_KEY" in text
    assert "sk-secret" not in text


def test_a_failure_names_the_url_and_the_model():
    text = str(failure(404, "no", profile(base_url="http://127.0.0.1:8000/v1")))
    assert "(http://127.0.0.1:8000/v1)" in text
    openai = JudgeProfile(name="mine", backend="openai", model="m")
    assert "api.openai.com does not know the model 'm' or this URL (the default)" in str(failure(404, "no", openai))


@pytest.mark.parametrize(
    ("text", "key", "headers", "shown"),
    [
        ("wrong key sk-123456789", "sk-123456789", {}, "wrong key [hidden]"),
        ("wrong key sk-123456789", None, {"X": " sk-123456789"}, "wrong key [hidden]"),
        ("wrong key", None, {}, "wrong key"),
        ("a b c", "a", {"X": "b"}, "a b c"),  # too short to be one, and all over the text
        ("'it\\'s \"a\" key'", 'it\'s "a" key', {}, "'[hidden]'"),
    ],
)
def test_what_a_server_repeats_of_a_secret_is_hidden(text, key, headers, shown):
    assert without_secrets(text, key, headers) == shown
