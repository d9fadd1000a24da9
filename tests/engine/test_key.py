"""A key moves with everything that determines an answer, and with nothing else."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from making import binary, choice, make, ordinal

import kardia.engine.key
from kardia.conversation import Conversation, Message
from kardia.engine.key import KEY_BYTES, answer_key, identity_of
from kardia.judge.backends.fake import FakeJudge
from kardia.judge.profile import JudgeProfile
from kardia.judge.protocol import ChatMessage, Request
from kardia.plan import Planner

IDENTITY = b"i" * 20
EXAMPLE = {"context": "Hi.", "reply": "Go away.", "levels": {"kind": 1}}


class Named(FakeJudge):
    def __init__(self, identity: str | None) -> None:
        super().__init__()
        self.identity = identity


def profile(**rest):
    return JudgeProfile.model_validate({"name": "fake", "backend": "fake", **rest})


def talk(reply="I'm so sorry.", id_="c", **metadata):
    return Conversation(id_, (Message("user", "My dog died."), Message("assistant", reply)), metadata)


def requests(*criteria, conversation=None, prompts=True, rubric=None, **rest):
    made = make(*(criteria or [ordinal("kind"), choice("tone")]), **(rubric or {}))
    return Planner(made, profile(**rest), prompts=prompts).plan(conversation or talk()).requests


def key(*criteria, identity=IDENTITY, **rest):
    return answer_key(requests(*criteria, **rest)[0], identity)


BASE = {"rubric": {"description": "About it.", "metadata": {"emotion": None}}}


# --- judges that read prompts ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changed",
    [
        {"criteria": [{**ordinal("kind"), "question": "How kind, really?"}]},
        {"criteria": [ordinal("kind", high=4)]},
        {"criteria": [ordinal("kind", guidance="Look closely.")]},
        {"criteria": [ordinal("kind", not_relevant="Where nothing is said.")]},
        {"criteria": [ordinal("kind")], "conversation": talk("I'm so sorry!")},
        {"criteria": [ordinal("kind")], "conversation": talk(emotion="sadness")},
        {"criteria": [ordinal("kind")], "rubric": {**BASE["rubric"], "description": "About something else."}},
        {"criteria": [ordinal("kind")], "rubric": {**BASE["rubric"], "title": "Another"}},
        {"criteria": [ordinal("kind")], "mode": "all_criteria"},
        {"criteria": [ordinal("kind")], "mode": "logprob"},
        {"criteria": [ordinal("kind")], "template": "reasoned-with-examples", "rubric": {"examples": [EXAMPLE]}},
        {"criteria": [ordinal("kind", reads="conversation")]},
        {"criteria": [ordinal("kind")], "identity": b"j" * 20},
    ],
    ids=str,
)
def test_what_determines_the_answer_moves_the_key(changed):
    given = {**BASE, **changed}
    assert key(*given.pop("criteria"), **given) != key(ordinal("kind"), **BASE)


@pytest.mark.parametrize(
    "changed",
    [
        {"criteria": [ordinal("kind", weight=3, good="low", required={"at_most": 2})]},
        {"criteria": [{**ordinal("kind"), "id": "renamed"}]},
        {"criteria": [ordinal("kind", only_if_levels={"tone": ["warm"]}), choice("tone")]},
        {"criteria": [ordinal("kind"), binary("blames", good="no")]},
        {"criteria": [ordinal("kind")], "conversation": talk(id_="another")},
        {"criteria": [ordinal("kind")], "conversation": talk(split="train", group="g")},
        {"criteria": [ordinal("kind")], "limits": {"concurrency": 1, "timeout_s": 1.0}},
        {"criteria": [ordinal("kind")], "price": {"input_per_million": 1.0}},
        {"criteria": [ordinal("kind")], "sampling": {"samples": 3}},
        {"criteria": [ordinal("kind")], "name": "renamed"},
        {"criteria": [ordinal("kind")], "rubric": {**BASE["rubric"], "name": "renamed", "version": "2.0.0"}},
        {"criteria": [ordinal("kind")], "rubric": {**BASE["rubric"], "examples": [EXAMPLE]}},
    ],
    ids=str,
)
def test_what_does_not_leaves_it(changed):
    given = {**BASE, **changed}
    assert key(*given.pop("criteria"), **given) == key(ordinal("kind"), **BASE)


def test_each_sample_has_a_key_of_its_own():
    found = [answer_key(request, IDENTITY) for request in requests(ordinal("kind"), sampling={"samples": 5})]
    assert len(set(found)) == 5
    again = [answer_key(request, IDENTITY) for request in requests(ordinal("kind"), sampling={"samples": 2})]
    assert found[:2] == again


@pytest.mark.parametrize(
    "changed",
    [
        {"mode": "other"},
        {"sample": 1},
        {"schema": None},
        {"schema": {"type": "object"}},
        {"labels": {"1": 1}},
        {"candidates": ("one", "two")},
        {"messages": ()},
        {"messages": (ChatMessage("system", "Judge."), ChatMessage("user", "Text"))},
        {"messages": (ChatMessage("system", "Judge!"), ChatMessage("user", "text"))},
        {"messages": (ChatMessage("user", "Judge."), ChatMessage("user", "text"))},
        {"messages": (ChatMessage("system", "Judge."), ChatMessage("assistant", "text"))},
        {"messages": (ChatMessage("system", "Judge."),)},
        {"messages": (ChatMessage("user", "text"),)},
    ],
    ids=str,
)
def test_every_part_of_a_request_counts(changed):
    base = replace(
        requests(ordinal("kind"))[0],
        messages=(ChatMessage("system", "Judge."), ChatMessage("user", "text")),
        schema={"type": "object", "properties": {"level": {"enum": [1, 2]}}},
    )
    for _ in range(2):  # whatever is remembered of one is not taken for the other
        assert answer_key(replace(base, **changed), IDENTITY) != answer_key(base, IDENTITY)


def test_the_order_of_a_schema_is_the_order_of_the_answer():
    base = requests(ordinal("kind"))[0]
    turned = dict(reversed(list((base.schema or {}).items())))
    assert turned == base.schema
    assert answer_key(replace(base, schema=turned), IDENTITY) != answer_key(base, IDENTITY)


def test_a_repair_turn_has_a_key_of_its_own():
    request = requests(ordinal("kind"))[0]
    first = answer_key(request, IDENTITY)
    repair = (ChatMessage("assistant", "4"), ChatMessage("user", "Again, please."))
    asked_again = replace(request, messages=(*request.messages, *repair))
    assert answer_key(asked_again, IDENTITY) != first
    assert answer_key(replace(asked_again, messages=request.messages), IDENTITY) == first


def flat(messages: list[tuple[str, str]], candidates: list[str], base: Request) -> Request:
    return replace(
        base, messages=tuple(ChatMessage(role, text) for role, text in messages), candidates=tuple(candidates)
    )


ROLES = st.sampled_from(["system", "user", "assistant"])
WORDS = st.text(st.sampled_from("0123456789: usertext\ud800é"), max_size=12)
PROMPTS = st.tuples(st.lists(st.tuples(ROLES, WORDS), min_size=1, max_size=4), st.lists(WORDS, max_size=3))


@given(PROMPTS, PROMPTS)
def test_no_two_prompts_are_the_same_bytes(one, other):
    base = requests(ordinal("kind"))[0]
    first, second = (answer_key(flat(*prompt, base), IDENTITY) for prompt in (one, other))
    assert (first == second) is (one == other)
    assert len(first) == KEY_BYTES


def test_what_is_remembered_has_a_bound(monkeypatch):
    monkeypatch.setattr(kardia.engine.key, "_MAX_KNOWN", 8)
    base = requests(ordinal("kind"))[0]
    keys = {answer_key(replace(base, schema={"number": number}), IDENTITY) for number in range(50)}
    assert len(keys) == 50
    assert len(kardia.engine.key._asked) <= 8


def test_what_all_requests_share_is_digested_once(monkeypatch):
    made = []
    real = kardia.engine.key._shared
    monkeypatch.setattr(kardia.engine.key, "_shared", lambda *given: made.append(given) or real(*given))
    planner = Planner(make(ordinal("kind"), choice("tone")), profile())
    for number in range(20):
        for request in planner.plan(talk(f"Reply {number}.")).requests:
            answer_key(request, IDENTITY)
    assert len(made) == 2  # one for each criterion's schema


# --- judges that read no prompts -------------------------------------------------------------------------------------


def silent(*criteria, **rest):
    return key(*criteria, prompts=False, **rest)


@pytest.mark.parametrize(
    "changed",
    [
        {"criteria": [ordinal("kind", weight=2)]},
        {"criteria": [ordinal("kind"), binary("blames")]},
        {"criteria": [{**ordinal("kind"), "id": "renamed"}]},
        {"criteria": [ordinal("kind", reads="conversation")]},
        {"criteria": [ordinal("kind")], "conversation": talk("I'm so sorry!")},
        {"criteria": [ordinal("kind")], "conversation": talk(emotion="sadness")},
        {"criteria": [ordinal("kind")], "rubric": {**BASE["rubric"], "examples": [EXAMPLE]}},
        {"criteria": [ordinal("kind")], "mode": "all_criteria"},
        {"criteria": [ordinal("kind")], "identity": b"j" * 20},
    ],
    ids=str,
)
def test_without_words_the_rubric_and_the_conversation_move_the_key(changed):
    given = {**BASE, **changed}
    assert silent(*given.pop("criteria"), **given) != silent(ordinal("kind"), **BASE)


@pytest.mark.parametrize(
    "changed",
    [
        {"conversation": talk(id_="another")},
        {"conversation": talk(split="train")},
        {"limits": {"concurrency": 1}},
        {"price": {"input_per_million": 1.0}},
    ],
    ids=str,
)
def test_without_words_the_rest_leaves_it(changed):
    assert silent(ordinal("kind"), **{**BASE, **changed}) == silent(ordinal("kind"), **BASE)


def test_without_words_each_criterion_sample_and_target_has_its_own():
    reply = "<emotion>sad</emotion><response>sad</response>"
    made = requests(
        ordinal("a"), ordinal("b"), ordinal("c", reads="emotion"), prompts=False, conversation=talk(reply),
        sampling={"samples": 2},
    )  # fmt: skip
    assert len({answer_key(request, IDENTITY) for request in made}) == len(made) == 6
    same = replace(made[0], conversation=talk(reply, "another"))
    assert answer_key(same, IDENTITY) == answer_key(made[0], IDENTITY)


def test_a_rubric_that_does_not_know_an_example_is_another():
    rubric = make(ordinal("kind"), examples=[EXAMPLE, {**EXAMPLE, "context": "Hello."}])
    reduced = rubric.without_context_of(rubric.examples[0])
    assert reduced.hash == rubric.hash
    keys = {
        answer_key(Planner(known, profile(), prompts=False).plan(talk()).requests[0], IDENTITY)
        for known in (rubric, reduced, make(ordinal("kind"), examples=[EXAMPLE]))
    }
    assert len(keys) == 3


def test_metadata_that_json_does_not_know_has_a_key_too():
    import datetime

    named = {"metadata": {"born": None}}
    days = [datetime.date(2000, 1, day) for day in (1, 2)]
    keys = {silent(ordinal("kind"), rubric=named, conversation=talk(born=day)) for day in days}
    assert len(keys) == 2


# --- the judge -------------------------------------------------------------------------------------------------------


def test_a_judge_without_identity_has_none():
    class Mine:
        profile, reads_prompts, batch_size = profile(), True, 1

    assert identity_of(Mine()) is None
    assert identity_of(Named(None)) is None


def test_each_identity_has_a_digest():
    found = [identity_of(Named(text)) for text in ("", "a", "b", "\ud800")]
    assert len(set(found)) == 4
    assert all(digest is not None and len(digest) == KEY_BYTES for digest in found)
    assert identity_of(Named("a")) == found[1]


# --- the format: whoever moves these on purpose moves `_FORMAT` with them ---------------------------------------------

GOLDEN = {
    "identity": "463422c14851976d13b6711373402158a2b7e5ef",
    "prompt": "1050b1e6581a2a047d7199ab62d6e28a5e694295",
    "silent": "cf26da750b5869b0e2ef7ade6d2b23167adfa264",
}


def golden() -> dict[str, str]:
    identity = identity_of(Named("http | a model")) or b""
    rubric = make(ordinal("kind"), metadata={"emotion": None}, examples=[EXAMPLE])
    conversation = talk("Ünï \ud800 – so sorry.", emotion="sadness")
    base = Planner(rubric, profile(), prompts=False).plan(conversation).requests[0]
    prompt = replace(
        base, sample=2, messages=(ChatMessage("system", "Judge."), ChatMessage("user", "Text ‹é›")), candidates=("one",)
    )
    return {
        "identity": identity.hex(),
        "prompt": answer_key(prompt, identity).hex(),
        "silent": answer_key(base, identity).hex(),
    }


def test_the_format_stays():
    assert golden() == GOLDEN


def test_keys_are_the_same_in_every_process():
    program = "import sys; sys.path[:0] = sys.argv[1:]; from engine.test_key import golden; print(golden())"
    tests = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    for seed in ("0", "7"):
        done = subprocess.run(
            [sys.executable, "-c", program, tests],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
            timeout=120,
        )
        assert done.stdout.strip() == str(GOLDEN)
