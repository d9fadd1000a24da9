"""`kardia.score` and its siblings."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

import kardia
from kardia.errors import AnswerError, ConversationError, InputError, ProfileError, RubricError
from kardia.judge.profile import JudgeProfile
from kardia.version import __version__

ROW = {"id": "a", "context": "I failed.", "response": "That hurts.", "metadata": {"emotion": "sad", "group": "g"}}


def test_a_card(conversation):
    card = kardia.score(conversation, "safety@1", "fake")
    assert (card.id, card.rubric, card.judge, card.status) == ("c1", "safety@1.0.0", "fake", "scored")
    assert 0 <= card.score <= 1
    assert card.target == {"kind": "reply", "message": 1, "text": "I'm so sorry. He was family."}
    assert card.metadata == {"emotion": "sadness"}
    each = {"requests": 1, "attempts": 1, "input_tokens": 0, "output_tokens": 0, "cost": None}
    assert card.usage == {**each, "requests": 7, "attempts": 7, "criteria": dict.fromkeys(card.criteria, each)}


def test_where_the_number_comes_from(conversation):
    rubric = kardia.load_rubric("safety@1")
    judge = kardia.FakeJudge()
    provenance = kardia.score(conversation, rubric, judge).provenance
    assert provenance["rubric"] == {"name": "safety", "version": "1.0.0", "hash": rubric.hash}
    assert provenance["judge"]["hash"] == judge.profile.hash
    assert provenance["template"]["name"] == "reasoned"
    assert provenance["template"]["hash"].startswith("sha256:")
    assert provenance["sampling"]["seed"] == 7
    assert provenance["kardia"] == __version__


def test_no_clock_and_no_chance(conversation):
    cards = [json.dumps(kardia.score(conversation, "emotional-support", "fake").to_json()) for _ in range(2)]
    assert cards[0] == cards[1]


@pytest.mark.parametrize("judge", ["fake", JudgeProfile(name="fake", backend="fake"), kardia.FakeJudge()], ids=type)
@pytest.mark.parametrize("rubric", ["safety", "safety@1.0.0", kardia.load_rubric("safety")], ids=str)
def test_by_name_or_by_object(judge, rubric):
    assert kardia.score(ROW, rubric, judge) == kardia.score(ROW, "safety@1", "fake")


def test_the_judge_of_the_environment(monkeypatch):
    monkeypatch.setenv("KARDIA_JUDGE", "fake")
    assert kardia.score(ROW, "safety").judge == "fake"


def test_without_text():
    card = kardia.score(ROW, "safety", "fake", text=False)
    assert (card.target["text"], card.metadata, card.group) == (None, None, "g")
    assert "hurts" not in json.dumps(card.to_json())


def test_several_rubrics_each_with_a_card():
    cards = list(kardia.score_many([ROW, {**ROW, "id": "b"}], ["safety", "kardia-r1"], "fake"))
    assert [(card.id, card.rubric) for card in cards] == [
        ("a", "safety@1.0.0"),
        ("a", "kardia-r1@1.0.0"),
        ("b", "safety@1.0.0"),
        ("b", "kardia-r1@1.0.0"),
    ]


def test_nothing_gives_nothing():
    assert list(kardia.score_many([], "safety", "fake")) == []


def test_a_row_with_criteria_of_its_own():
    own = {**ROW, "metadata": {"rubric": [{"id": "asks", "question": "Does it ask what happened?"}]}}
    plain, extended = kardia.score_many([ROW, {**own, "id": "b"}], "safety", "fake")
    assert set(extended.criteria) - set(plain.criteria) == {"asks"}
    assert extended.provenance["rubric"] == plain.provenance["rubric"]
    assert plain.provenance["instance"] is None
    assert extended.provenance["instance"].startswith("sha256:")


def test_a_judge_that_fails_gives_no_number():
    card = kardia.score(ROW, "safety", kardia.FakeJudge("no"))
    assert (card.status, card.score) == ("unscored", None)
    assert {judgment.value for judgment in card.criteria.values()} == {None}


def test_a_failed_requirement_decides():
    def script(request):
        bad = request.criteria[0].id == "demeans"
        return {"reason": "So.", "evidence": [], "level": "yes" if bad else "no"}

    card = kardia.score(ROW, "safety", kardia.FakeJudge(script))
    assert card.score == 0
    assert "demeans" in card.vetoed_by


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (({"messages": []}, "safety", "fake"), ConversationError),
        ((ROW, "nobody", "fake"), RubricError),
        ((ROW, "safety", "nobody"), ProfileError),
        ((ROW, "safety", JudgeProfile(name="f", backend="fake", mode="pairwise")), ProfileError),
    ],
)
async def test_what_is_wrong_is_said(arguments, error):
    with pytest.raises(error):
        kardia.score(*arguments)
    with pytest.raises(InputError):
        await kardia.ascore(*arguments)


async def test_asynchronously():
    cards = [card async for card in kardia.ascore_many([ROW, {**ROW, "id": "b"}], "safety", "fake")]
    assert [card.id for card in cards] == ["a", "b"]
    both = await asyncio.gather(*(kardia.ascore({**ROW, "id": id_}, "safety", "fake") for id_ in "ab"))
    assert list(both) == cards


async def test_a_judge_that_was_built_here_is_closed_here_and_no_other(monkeypatch):
    closed = []

    async def aclose(self):
        closed.append(self)

    monkeypatch.setattr(kardia.FakeJudge, "aclose", aclose)
    own = kardia.FakeJudge()
    await kardia.ascore(ROW, "safety", own)
    kardia.score(ROW, "safety", own)
    assert closed == []
    await kardia.ascore(ROW, "safety", "fake")
    kardia.score(ROW, "safety", "fake")
    assert len(closed) == 2
    cards = kardia.score_many([ROW, {**ROW, "id": "b"}], "safety", "fake")
    next(cards)
    cards.close()
    assert len(closed) == 3


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ({"reason": "SECRET", "evidence": ["SECRET"], "level": "SECRET"}, "is not on the scale"),
        ({"reason": "SECRET", "level": "no", "SECRET": 1}, "keys that were not asked for"),
        (AnswerError("the endpoint answered 400 | the judge said: SECRET"), "the endpoint answered 400"),
        ({"reason": "SECRET", "evidence": ["SECRET"], "level": "no"}, None),
    ],
)
def test_without_text_nothing_of_the_conversation_is_left(answer: Any, words: str | None) -> None:
    row = {"context": "SECRET", "response": "SECRET", "metadata": {"emotion": "SECRET"}}
    judge = kardia.FakeJudge(answer if isinstance(answer, dict) else lambda request: answer)
    card = kardia.score(row, "safety@1", judge, text=False)
    assert "SECRET" not in json.dumps(card.to_json())
    first = card.criteria["encourages_harm"]
    assert (first.error is None) if words is None else (words in (first.error or ""))


@pytest.mark.parametrize("wrong", ["hello", [{"role": "user", "content": "Hi."}], 3, None])
def test_what_is_no_conversation_is_said_to_be_none(wrong: Any) -> None:
    with pytest.raises(kardia.InputError, match="a Conversation or a mapping was expected"):
        kardia.score(wrong, "safety@1", "fake")


def test_a_conversation_without_a_reply() -> None:
    with pytest.raises(kardia.InputError, match="has no reply by the assistant"):
        kardia.score(kardia.Conversation("c", (kardia.Message("user", "Hi."),)), "safety@1", "fake")
