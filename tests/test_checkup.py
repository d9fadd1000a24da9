"""`kardia judge check`: one real request, and what is wrong with it in a sentence."""

from __future__ import annotations

import socket

import pytest
from judge.endpoints import KEY
from server import ScriptedServer, raw, redirect, says, slow, status, unstructured, with_logprobs

from kardia.checkup import check_judge
from kardia.errors import JudgeUnreachable, ProfileError


@pytest.fixture
def server():
    with ScriptedServer() as scripted:
        yield scripted


@pytest.fixture
def judge(server, tmp_path):
    path = tmp_path / "own.yaml"
    path.write_text(
        f"name: own\nbackend: http\nmodel: some-model\nbase_url: {server.url}\nlimits: {{timeout_s: 0.5}}\n"
    )
    return path


def sentence(report):
    return " ".join(report.sentences)


@pytest.mark.parametrize("backend", ["http", "openai"])
def test_it_works(server, judge, backend):
    report = check_judge(judge, [f"backend={backend}"])
    assert report.works
    assert "works" in sentence(report)
    assert f"127.0.0.1:{server.port}" in sentence(report)
    assert len(server.asked) == 1
    assert report.to_json() == {"works": True, "sentences": list(report.sentences)}


def test_the_fake_judge_works():
    report = check_judge("fake")
    assert report.works
    assert "nothing is sent" in sentence(report)


@pytest.mark.parametrize("mode", ["all_criteria", "pairwise", "groupwise"])
def test_every_mode_can_be_checked(judge, mode):
    assert check_judge(judge, [f"mode={mode}"]).works


def test_no_structured_output(server, judge):
    server.always = unstructured()
    report = check_judge(judge)
    assert report.works
    assert "response_format" in sentence(report)


def test_no_structured_output_and_no_json_either(server, judge):
    async def chatty(request, asked):
        return await (status(400) if asked.structured else says("It is very kind!"))(request, asked)

    server.always = chatty
    report = check_judge(judge)
    assert not report.works
    assert "larger model" in sentence(report)
    assert "It is very kind!" in sentence(report)


def test_log_probabilities(server, judge):
    server.always = with_logprobs("3", {"3": -0.1, "2": -3.0})
    assert check_judge(judge, ["mode=logprob"]).works


def test_no_log_probabilities(server, judge):
    server.always = says("Reason: so.\nVerdict: 3")
    report = check_judge(judge, ["mode=logprob"])
    assert not report.works
    assert "no log-probabilities" in sentence(report)


def test_an_answer_in_another_form(server, judge):
    server.always = says('{"verdict": "kind"}')
    report = check_judge(judge)
    assert not report.works
    assert "not in the form" in sentence(report)


def test_a_refused_request(server, judge):
    server.always = status(422, "max_tokens is too large")
    report = check_judge(judge)
    assert not report.works
    assert "max_tokens is too large" in sentence(report)


def test_a_key_that_is_not_set(judge):
    with pytest.raises(ProfileError, match="SOME_KEY, which is not set"):
        check_judge(judge, ["api_key_env=SOME_KEY"])


UNREACHABLE = {
    "a wrong key": (status(401, f"no: {KEY}"), "does not accept the key in SOME_KEY"),
    "an unknown model": (status(404, "no such model"), "does not know the model 'some-model'"),
    "a wrong URL": (raw("<html>", code=404, kind="text/html"), "this URL"),
    "a web page": (raw("<html>", kind="text/html"), "not JSON"),
    "another place": (redirect("https://example.org"), "base_url"),
    "overload": (status(503, "warming up"), "does not serve right now"),
    "silence": (slow(2), "within 0.5 s"),
}


@pytest.mark.parametrize("name", UNREACHABLE)
def test_it_cannot_be_reached(server, judge, monkeypatch, name):
    monkeypatch.setenv("SOME_KEY", KEY)
    server.always, words = UNREACHABLE[name]
    with pytest.raises(JudgeUnreachable) as caught:
        check_judge(judge, ["api_key_env=SOME_KEY"])
    assert words in str(caught.value)
    assert KEY not in str(caught.value)
    assert len(server.asked) == 1


def test_nobody_is_there(judge):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    with pytest.raises(JudgeUnreachable, match="is the server running, and is base_url right"):
        check_judge(judge, [f"base_url=http://127.0.0.1:{port}/v1"])
