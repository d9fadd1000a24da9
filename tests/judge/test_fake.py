"""The public fake judge."""

from __future__ import annotations

import asyncio
import pickle
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

import kardia
from kardia.errors import AnswerError
from kardia.judge.backends.fake import fake_level
from kardia.judge.profile import JudgeProfile
from kardia.judge.protocol import Judge, Known, Opinion, Said

from .endpoints import CONVERSATION, RUBRIC

KIND = RUBRIC.criteria[0]


def level(script):
    return kardia.score(CONVERSATION, RUBRIC, kardia.FakeJudge(script)).criteria["kind"].level


def test_it_is_a_judge():
    assert isinstance(kardia.FakeJudge(), Judge)
    assert "fake" in repr(kardia.FakeJudge())


@given(st.text())
def test_a_level_of_the_scale_from_the_text_alone(text):
    assert fake_level(KIND, text) == fake_level(KIND, text)
    assert fake_level(KIND, text) in KIND.levels


def test_all_levels_come_about_equally_often():
    counts = Counter(fake_level(KIND, str(number)) for number in range(2000))
    assert set(counts) == set(KIND.levels)
    assert min(counts.values()) > 400


def test_samples_differ():
    assert len({fake_level(KIND, "text", sample) for sample in range(20)}) > 1


@pytest.mark.parametrize("mode", ["per_criterion", "all_criteria", "logprob"])
def test_it_answers_in_every_mode(mode):
    profile = JudgeProfile(name="fake", backend="fake", mode=mode)
    cards = [kardia.score(CONVERSATION, RUBRIC, profile) for _ in range(2)]
    assert cards[0] == cards[1]
    assert cards[0].criteria["kind"].level == fake_level(KIND, "Oh no. How is she?")


def test_it_compares():
    other = kardia.Conversation("d", (*CONVERSATION.messages[:1], kardia.Message("assistant", "So what? \ud800")))
    pair = kardia.judge_pair(CONVERSATION, other, RUBRIC, "fake")
    assert pair.status == "scored"
    assert pair.consistent
    group = kardia.judge_group([CONVERSATION, other], RUBRIC, "fake")
    assert sorted(group.ranks) == [1, 2]


ANSWER = {"reason": "So.", "evidence": [], "level": 2}


async def answer_later(request):
    await asyncio.sleep(0)
    return ANSWER


SCRIPTS = {
    "a mapping": ANSWER,
    "text": '{"reason": "So.", "evidence": [], "level": 2}',
    "a list": [ANSWER],
    "a function": lambda request: ANSWER,
    "an async function": answer_later,
    "words": lambda request: Said('{"reason": "So.", "evidence": [], "level": 2}'),
    "knowledge": lambda request: Known({"kind": Opinion({1: 0.0, 2: 1.0, 3: 0.0, 4: 0.0})}),
}


@pytest.mark.parametrize("name", SCRIPTS)
def test_scripts(name):
    assert level(SCRIPTS[name]) == 2


def test_a_list_is_answered_by_turns():
    judge = kardia.FakeJudge([ANSWER, {**ANSWER, "level": 4}])
    rows = [CONVERSATION] * 3
    assert [card.criteria["kind"].level for card in kardia.score_many(rows, RUBRIC, judge)] == [2, 4, 2]


def test_an_empty_script_is_refused():
    with pytest.raises(ValueError, match="at least one"):
        kardia.FakeJudge([])


def test_it_goes_the_way_of_every_judge():
    judge = kardia.FakeJudge("not JSON")
    judgment = kardia.score(CONVERSATION, RUBRIC, judge).criteria["kind"]
    assert judgment.status == "unscored"
    assert "not JSON" in judgment.error
    assert len(judge.asked) == judge.profile.limits.reask + 1


@pytest.mark.parametrize("give", ["return", "raise"])
def test_it_fails_on_command(give):
    def script(request):
        if give == "raise":
            raise AnswerError("no")
        return AnswerError("no")

    judgment = kardia.score(CONVERSATION, RUBRIC, kardia.FakeJudge(script)).criteria["kind"]
    assert (judgment.status, judgment.value, judgment.error) == ("unscored", None, "no")


def test_a_fault_in_a_script_is_not_hidden():
    def script(request):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        level(script)


def test_it_keeps_what_it_was_asked():
    judge = kardia.FakeJudge(ANSWER)
    kardia.score(CONVERSATION, RUBRIC, judge)
    assert judge.asked[0].criteria == (KIND,)
    assert judge.asked[0].messages[0].role == "system"
    assert kardia.FakeJudge().asked == []


def test_a_judge_without_a_script_has_an_identity():
    named = JudgeProfile(name="mine", backend="fake", sampling={"samples": 3})
    assert kardia.FakeJudge().identity == kardia.FakeJudge(profile=named).identity
    assert kardia.FakeJudge().identity is not None
    assert kardia.FakeJudge(ANSWER).identity is None
    assert kardia.FakeJudge(lambda request: ANSWER).identity is None


def test_it_travels():
    copy = pickle.loads(pickle.dumps(kardia.FakeJudge([ANSWER])))
    assert kardia.score(CONVERSATION, RUBRIC, copy).criteria["kind"].level == 2
