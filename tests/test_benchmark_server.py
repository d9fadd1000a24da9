"""The benchmarks' server: what it answers, how each fault looks from outside, and that it counts right."""

from __future__ import annotations

import http.client
import json
import random
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st
from making import benchmark_server

import kardia
from kardia.answer import Malformed, answer_schema, load_object
from kardia.judge import JudgeProfile

ROOT = Path(__file__).resolve().parent.parent


bench = benchmark_server()
SCHEMA = {
    "type": "object",
    "properties": {
        "reason": {"type": "string"},
        "evidence": {"type": "array", "items": {"type": "string"}},
        "level": {"type": "integer", "enum": [1, 2, 3, 4, 5]},
    },
    "required": ["reason", "evidence", "level"],
    "additionalProperties": False,
}


@pytest.fixture(scope="module")
def process() -> Iterator[Any]:
    with bench.LocalServer() as server:
        yield server


@pytest.fixture
def server(process: Any) -> Any:
    """The module's server, as if it had just started."""
    process.configure(**{**vars(bench.Settings()), "assumed": SCHEMA})
    process.reset()
    return process


def body(text: str = "How warm is it?", schema: Any = SCHEMA, **more: Any) -> dict[str, Any]:
    messages = [{"role": "system", "content": "You judge."}, {"role": "user", "content": text}]
    form = {"type": "json_schema", "json_schema": {"name": "verdict", "strict": True, "schema": schema}}
    return {"model": "m", "messages": messages, "response_format": form, **more}


def post(server: Any, data: Any, timeout: float = 20.0) -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=timeout)
    try:
        connection.request("POST", "/v1/chat/completions", json.dumps(data), {"content-type": "application/json"})
        response = connection.getresponse()
        return response.status, {name.lower(): value for name, value in response.getheaders()}, response.read()
    finally:
        connection.close()


def content(server: Any, data: Any) -> str:
    status, _, answer = post(server, data)
    assert status == 200
    return str(json.loads(answer)["choices"][0]["message"]["content"])


def eventually(true: Callable[[], bool]) -> None:
    for _ in range(400):
        if true():
            return
        time.sleep(0.025)
    raise AssertionError("it never came about")


@pytest.mark.parametrize("name", ["supportiveness@1", "safety@1", "kardia-r1@1", "emotion-inference@1"])
def test_a_verdict_fits_every_schema_that_kardia_sends(name: str) -> None:
    rubric = kardia.load_rubric(name)
    schemas = [answer_schema([criterion], "per_criterion") for criterion in rubric.criteria]
    schemas.append(answer_schema(rubric.criteria, "all_criteria"))
    schemas.append(answer_schema(rubric.criteria[:1], "groupwise", 3))
    for schema in schemas:
        template = bench.Template(schema)
        for number in range(20):
            jsonschema.validate(json.loads(unescaped(template.fill(number.to_bytes(16, "little")))), schema)


def unescaped(text: bytes) -> str:
    return str(json.loads(b'"' + text + b'"'))


def schemas() -> st.SearchStrategy[Any]:
    whole = st.integers(-50, 50)
    leaves = st.one_of(
        st.just({"type": "string"}),
        st.just({"type": "boolean"}),
        st.just({"type": "number"}),
        st.builds(lambda n: {"type": "string", "maxLength": n}, st.integers(0, 300)),
        st.builds(
            lambda low, more: {"type": "integer", "minimum": low, "maximum": low + more}, whole, st.integers(0, 9)
        ),
        st.builds(lambda high: {"type": "number", "exclusiveMaximum": high}, whole),
        st.builds(lambda low: {"type": "integer", "exclusiveMinimum": low}, whole),
        st.builds(lambda options: {"enum": options}, st.lists(st.one_of(st.text(), whole), min_size=1)),
        st.builds(lambda value: {"const": value}, st.one_of(st.text(), st.none(), whole)),
        st.just({"type": ["null", "string"]}),
        st.just({"$ref": "#/$defs/verdict"}),
    )

    def deeper(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
        return st.one_of(
            st.builds(lambda items: {"type": "array", "items": items, "minItems": 2}, inner),
            st.builds(lambda item: {"anyOf": [{"type": "null"}, item]}, inner),
            st.builds(lambda item: {"allOf": [item]}, inner),
            st.dictionaries(st.text(max_size=9), inner, max_size=4).map(
                lambda held: {"type": "object", "properties": held, "required": list(held)}
            ),
        )

    return st.recursive(leaves, deeper, max_leaves=8).map(
        lambda schema: {**schema, "$defs": {"verdict": {"type": "string", "enum": ["yes", "nö"]}}}
    )


@given(schemas(), st.binary(min_size=16, max_size=16))
def test_a_verdict_fits_any_schema(schema: Any, digest: bytes) -> None:
    jsonschema.validate(json.loads(unescaped(bench.Template(schema).fill(digest))), schema)


def test_a_verdict_follows_from_the_question_alone(server: Any) -> None:
    asked = body()
    repaired = body()
    repaired["messages"] += [{"role": "assistant", "content": "Hm."}, {"role": "user", "content": "As JSON, please."}]
    first = content(server, asked)
    assert content(server, repaired) == first
    assert content(server, {**asked, "seed": 8, "temperature": 1}) == first
    server.configure(seed=5)
    assert content(server, asked) == first
    others = {content(server, body(f"Question {number}")) for number in range(40)}
    assert {json.loads(other)["level"] for other in others} == {1, 2, 3, 4, 5}
    assert len(others) == 40  # the reason is marked: two questions never have the same answer by chance


def test_samples_differ_where_the_seed_is_a_part_of_the_question(server: Any) -> None:
    server.configure(by_seed=True)
    answers = [content(server, body(seed=number)) for number in range(8)]
    assert len(set(answers)) == 8
    assert content(server, body(seed=3)) == answers[3]


def test_a_tool_is_called_with_arguments_that_fit(server: Any) -> None:
    tools = [{"type": "function", "function": {"name": name, "parameters": SCHEMA}} for name in ("look", "grade")]
    asked = {**body(), "tools": tools, "tool_choice": {"type": "function", "function": {"name": "grade"}}}
    del asked["response_format"]
    choice = json.loads(post(server, asked)[2])["choices"][0]
    call = choice["message"]["tool_calls"][0]["function"]
    assert choice["finish_reason"] == "tool_calls"
    assert choice["message"]["content"] is None
    assert call["name"] == "grade"
    jsonschema.validate(json.loads(call["arguments"]), SCHEMA)


def test_without_a_schema_the_assumed_one_holds(server: Any) -> None:
    asked = body()
    del asked["response_format"]
    assert set(json.loads(content(server, asked))) == {"reason", "evidence", "level"}
    server.configure(
        assumed={"type": "object", "properties": {"score": {"type": "integer", "minimum": 7, "maximum": 7}}}
    )
    assert json.loads(content(server, asked)) == {"score": 7}


def test_kardia_is_content_with_it(server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    profile = JudgeProfile.model_validate({"name": "b", "backend": "http", "model": "m", "base_url": server.url})
    row = {"context": "My dog died this morning.", "response": "I'm so sorry. He was family."}
    monkeypatch.setenv("KARDIA_LEDGER", "off")
    card = kardia.score(row, "supportiveness@1", profile)
    assert card.status == "scored"
    assert server.stats()["questions"] == 6


def test_a_429_comes_with_retry_after_where_it_is_set(server: Any) -> None:
    server.configure(faults={"429": 1.0})
    status, headers, answer = post(server, body())
    assert status == 429
    assert "retry-after" not in headers
    assert json.loads(answer)["error"]["code"] == "rate_limit_exceeded"
    server.configure(retry_after=2.5)
    assert post(server, body())[1]["retry-after"] == "2.5"


def test_a_500(server: Any) -> None:
    server.configure(faults={"500": 1.0})
    status, _, answer = post(server, body())
    assert status == 500
    assert json.loads(answer)["error"]["message"]


def test_garbage_is_never_a_verdict(server: Any) -> None:
    server.configure(faults={"garbage": 1.0})
    kinds = set()
    for number in range(40):
        said = content(server, body(f"Question {number}"))
        kinds.add(said[:12])
        with pytest.raises(Malformed):
            load_object(said)
    assert len(kinds) >= 4


def test_a_cut_answer_says_so_and_is_no_verdict(server: Any) -> None:
    server.configure(faults={"cut": 1.0})
    for number in range(20):
        choice = json.loads(post(server, body(f"Question {number}"))[2])["choices"][0]
        assert choice["finish_reason"] == "length"
        with pytest.raises(Malformed):
            load_object(choice["message"]["content"])


def test_html_with_status_200(server: Any) -> None:
    server.configure(faults={"html": 1.0})
    status, headers, answer = post(server, body())
    assert (status, headers["content-type"]) == (200, "text/html")
    assert answer.startswith(b"<html>")


def test_a_truncated_body_ends_early_and_the_connection_with_it(server: Any) -> None:
    server.configure(faults={"truncated": 1.0})
    with pytest.raises(http.client.IncompleteRead):
        post(server, body())


def test_a_reset(server: Any) -> None:
    server.configure(faults={"reset": 1.0})
    with pytest.raises(ConnectionResetError):
        post(server, body())
    assert server.stats()["in_flight"] == 0


def test_a_stall_outlasts_the_client_and_is_counted_as_hung_up(server: Any) -> None:
    server.configure(faults={"stall": 1.0})
    with pytest.raises(TimeoutError):
        post(server, body(), timeout=0.2)
    eventually(lambda: server.stats()["hung_up"] == 1)
    stats = server.stats()
    assert stats["faults"] == {"stall": 1}
    assert (stats["answered"], stats["in_flight"]) == (0, 0)


def test_a_stall_ends(server: Any) -> None:
    server.configure(faults={"stall": 1.0}, stall_s=0.01)
    assert json.loads(content(server, body()))["level"]


def test_tried_often_enough_everything_is_answered_as_without_faults(server: Any) -> None:
    questions = [body(f"Question {number}") for number in range(30)]
    clean = [content(server, question) for question in questions]
    server.configure(faults={"429": 0.3, "500": 0.2})
    server.reset()
    tries = []
    for question, right in zip(questions, clean, strict=True):
        status, count = 0, 0
        while status != 200:
            status, _, answer = post(server, question)
            count += 1
        assert json.loads(answer)["choices"][0]["message"]["content"] == right
        tries.append(count)
    stats = server.stats()
    assert stats["requests"] == sum(tries)
    assert stats["unique"] == stats["questions"] == stats["answered"] == 30
    assert stats["repeated"] == sum(tries) - 30 == sum(stats["faults"].values())
    assert stats["repeated_after_answer"] == 0
    post(server, questions[0])
    assert server.stats()["repeated_after_answer"] == 1


def test_which_requests_fail_follows_from_body_attempt_and_seed() -> None:
    def drawn(seed: int, faults: dict[str, float]) -> list[str | None]:
        shared = bench.JudgeServer(bench.Settings(seed=seed, faults=faults), None)
        return [shared.fault(b"%d" % number, attempt) for number in range(2000) for attempt in range(2)]

    faults = {"429": 0.1, "stall": 0.05}
    first = drawn(1, faults)
    assert drawn(1, faults) == first
    assert drawn(2, faults) != first
    assert first[::2] != first[1::2]  # the second attempt has a fate of its own
    # 4,000 draws: a share lies within five standard deviations of its probability
    assert abs(first.count("429") / 4000 - 0.1) < 5 * (0.1 * 0.9 / 4000) ** 0.5
    assert abs(first.count("stall") / 4000 - 0.05) < 5 * (0.05 * 0.95 / 4000) ** 0.5


def test_more_than_it_takes_at_a_time_is_refused(server: Any) -> None:
    server.configure(latency_ms=600_000, max_concurrent=2)
    waiting = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(2)]
    for number, connection in enumerate(waiting):
        connection.sendall(wire(body(f"Question {number}")))
    eventually(lambda: server.stats()["in_flight"] == 2)
    assert post(server, body("One more"))[0] == 429
    stats = server.stats()
    assert (stats["refused"], stats["peak"], stats["faults"]) == (1, 2, {})
    for connection in waiting:
        connection.close()
    eventually(lambda: server.stats()["in_flight"] == 0)
    server.configure(latency_ms=0)
    assert post(server, body("One more"))[0] == 200
    # a refusal is no attempt: the fault that the first attempt meets is met when there is room
    assert server.stats()["repeated"] == 1


def wire(data: Any) -> bytes:
    raw = json.dumps(data).encode()
    return b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%b" % (len(raw), raw)


def test_requests_in_pieces_and_one_after_another_on_a_connection(server: Any) -> None:
    sent = wire(body("Question 1")) + wire(body("Question 2"))
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
        for start in range(0, len(sent), 97):
            connection.sendall(sent[start : start + 97])
        received = b""
        while received.count(b'"total_tokens"') < 2:
            received += connection.recv(65536)
    assert received.count(b"HTTP/1.1 200 OK") == 2
    assert server.stats()["connections"] == 2  # this one and the one that asks for the counts


@pytest.mark.parametrize(
    "changes", [{"latency": 5}, {"faults": {"404": 0.1}}, {"faults": {"429": 0.7, "500": 0.7}}, {"faults": {"429": -1}}]
)
def test_settings_that_make_no_sense_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"setting|fault"), bench.LocalServer(**changes):
        pass


def test_what_is_no_request_is_told_so(server: Any) -> None:
    assert post(server, {"messages": "hello"})[0] == 400
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
    connection.request("POST", "/config", json.dumps({"latency": 3}))
    assert connection.getresponse().status == 400
    connection.close()
    assert server.stats()["requests"] == 0


def test_it_says_when_the_requests_came(server: Any) -> None:
    for number in range(5):
        post(server, body(f"Question {number}"))
    arrivals = server.arrivals()
    assert arrivals == sorted(arrivals)
    assert len(arrivals) == server.stats()["most_in_a_minute"] == 5


@given(st.lists(st.floats(0, 3, allow_nan=False), min_size=1, max_size=60))
def test_the_most_in_any_window(gaps: list[float]) -> None:
    peak, now, times = bench.Peak(1.0), 0.0, []
    for gap in gaps:
        now += gap
        times.append(now)
        peak.add(now)
    assert peak.most == max(sum(1 for other in times if at - 1.0 < other <= at) for at in times)


def test_it_ends_with_whoever_started_it_and_can_come_back_on_its_port() -> None:
    with bench.LocalServer() as first:
        port = first.port
        answer = content(first, body())
        first.stop()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port), timeout=5)
    with bench.LocalServer(port=port, seed=random.randrange(99)) as second:
        assert second.port == port
        assert content(second, body()) == answer
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=5)
