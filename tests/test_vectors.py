"""The prompt's vector: which text is embedded, by whom, and what a gate makes of it when a conversation is scored."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import logging
from dataclasses import replace
from pathlib import Path

import pytest
from learning import bound, gating, learned, linear, tiny_encoder
from making import make, ordinal

import kardia
from kardia.conversation import Conversation, Message
from kardia.errors import MissingExtra, ProfileError
from kardia.judge import load_judge
from kardia.learned import gating_score
from kardia.vectors import PromptVectors, encoder_id, gated, prompt_text

HAS_TORCH = all(importlib.util.find_spec(name) for name in ("torch", "transformers", "tokenizers"))
encodes = pytest.mark.skipif(not HAS_TORCH, reason="an encoder needs kardia[local]")

PLAIN = make(ordinal("warm"), ordinal("clear"))


def talk(*messages: str, id_: str = "c") -> Conversation:
    roles = ("user", "assistant")
    return Conversation(id_, tuple(Message(roles[n % 2], text) for n, text in enumerate(messages)))


# --- which text ------------------------------------------------------------------------------------------------------


def test_what_came_before_the_reply():
    assert (
        prompt_text(talk("My dog died.", "Oh.", " I'm alone. ", "I see."), "reply")
        == "My dog died.\n\nOh.\n\nI'm alone."
    )
    thought = Message("assistant", "<think>Well.</think>Oh.")
    messages = (
        Message("system", ""),
        Message("user", "Hi."),
        thought,
        Message("user", "So?"),
        Message("assistant", "Yes."),
    )
    assert prompt_text(Conversation("c", messages), "reply") == "Hi.\n\nOh.\n\nSo?"


def test_of_a_conversation_only_what_nobody_is_judged_for():
    assert prompt_text(talk("My dog died.", "Oh.", "I'm alone.", "I see."), "conversation") == "My dog died."


def test_nothing_before_the_reply_is_an_empty_text():
    only = Conversation("c", (Message("assistant", "Hello."),))
    assert prompt_text(only, "reply") == prompt_text(only, "conversation") == ""


def test_of_a_long_prompt_the_end():
    text = prompt_text(talk("start " + "x" * 5000 + " end", "Oh."), "reply")
    assert len(text) == 4000
    assert text.endswith(" end")


# --- who embeds it ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory):
    return tiny_encoder(tmp_path_factory.mktemp("tiny"))


@encodes
def test_a_text_has_one_vector_whatever_else_is_embedded(encoder):
    texts = ["my dog died.", "i failed an exam! again, again and again. " * 30, "", "i am sad"]
    vectors = PromptVectors([encoder])
    together = asyncio.run(vectors.embed([*texts, *texts]))
    assert list(together) == texts
    for text in texts:
        (vector,) = vectors.embed_now([text])[text].values()
        assert together[text] == {encoder.sha256: vector}
        assert sum(x * x for x in vector) == pytest.approx(1.0)
        assert len(vector) == encoder.dimensions


@encodes
def test_an_encoder_as_an_artifact_names_it(encoder, tmp_path):
    from kardia.judge.profile import JudgeProfile

    profile = JudgeProfile(name="e", backend="embedded", model=encoder.model)
    assert encoder_id(profile) == encoder


@encodes
def test_another_encoder_is_refused(encoder):
    with pytest.raises(ProfileError, match="not those that the profile names"):
        PromptVectors([encoder.model_copy(update={"sha256": "4" * 64})])


def test_an_encoder_that_is_not_there():
    gate = gating({"warm": 0.0}, [([[0.0, 0.0]], [0.0])])
    with pytest.raises(MissingExtra):
        PromptVectors([gate.encoder.model_copy(update={"model": "somebody/some-encoder"})])


def test_a_machine_without_torch_is_told_so_at_the_door(monkeypatch):
    monkeypatch.setattr("kardia.vectors.find_spec", lambda name: None if name == "torch" else object())
    with pytest.raises(MissingExtra, match=r"weighing criteria by the prompt needs .*kardia\[local\]"):
        PromptVectors([])


def test_only_a_gate_needs_vectors():
    assert not gated(PLAIN)
    rubric = learned(PLAIN, linear({"warm": 1.0}))
    assert not gated(rubric)
    assert PromptVectors.of([PLAIN, rubric]) is None
    assert gated(learned(PLAIN, gating({"warm": 0.0}, [([[0.0, 0.0]], [0.0])])))


# --- when a conversation is scored -----------------------------------------------------------------------------------


@encodes
def test_a_gate_weighs_by_the_prompt(encoder, tmp_path):
    rows = [[(-1.0) ** place for place in range(16)], [0.3 * place for place in range(16)]]
    gate = gating({"warm": 0.1, "clear": 0.0}, [(rows, [0.1, -0.1])], (4.0, 2.0), encoder, bound(PLAIN))
    rubric = learned(PLAIN, gate)
    talks = [
        talk("My dog died.", "I'm so sorry. He was family.", id_="a"),
        talk("I failed an exam!", "I'm so sorry. He was family.", id_="b"),
        talk("My dog died.", "Well.", id_="c"),
    ]
    cards = list(kardia.score_many(talks, [rubric, "safety@1"], "fake", ledger="off"))
    assert [card.rubric for card in cards] == ["made@1.0.0", "safety@1.0.0"] * 3
    vectors = PromptVectors([encoder])
    for said, card in zip(talks, cards[::2], strict=True):
        prompt, reply = (message.content for message in said.messages)
        (vector,) = vectors.embed_now([prompt])[prompt].values()
        values = {key: judgment.value for key, judgment in card.criteria.items()}
        assert card.score == gating_score(gate, values, vector, len(reply))
        assert card.provenance["rubric"]["learned"] == {"made": rubric.learned.digest}
    alone = kardia.score(talks[1], rubric, "fake", ledger="off")
    assert json.dumps(alone.to_json()) == json.dumps(cards[2].to_json())


def test_a_gate_whose_encoder_is_missing_stops_the_run_before_anything_is_asked():
    gate = gating({"warm": 0.0}, [([[0.0, 0.0]], [0.0])])
    asked = []
    judge = kardia.FakeJudge(lambda request: asked.append(request) or {"level": 1})
    with pytest.raises(MissingExtra):
        kardia.score(talk("Hi.", "Yes."), learned(PLAIN, gate), judge, ledger="off")
    assert not asked


def test_scores_of_another_judge_are_spoken_of(caplog):
    caplog.set_level(logging.WARNING, "kardia")
    artifact = linear({"warm": 1.0})
    card = kardia.score(talk("Hi.", "Yes."), learned(PLAIN, artifact), "fake", ledger="off")
    assert card.status == "scored"
    assert "the aggregation of made was fitted to the scores of fake (222222222222)" in caplog.text
    caplog.clear()
    judge = load_judge("fake")
    made = artifact.made.model_copy(update={"judge": {"name": "fake", "hash": judge.profile.hash}})
    same = learned(PLAIN, artifact.model_copy(update={"made": made}))
    kardia.score(talk("Hi.", "Yes."), same, judge, ledger="off")
    assert not caplog.text


def test_a_copy_of_a_rubric_keeps_what_it_learned():
    rubric = learned(PLAIN, linear({"warm": 1.0}))
    assert replace(rubric).learned is rubric.learned
    assert rubric.with_instance(()).learned is rubric.learned
    assert Path(rubric.learned.file).name == "a.json"
