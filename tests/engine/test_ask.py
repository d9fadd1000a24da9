"""One request until it is answered or given up: tries, waits, pace."""

from __future__ import annotations

import asyncio
import dataclasses
import re
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

import kardia
from kardia.conversation import Conversation, Message
from kardia.engine import ask as module
from kardia.engine.ask import DEAD_AFTER_REQUESTS, DEAD_AFTER_TRIES, MAX_WAIT_S, Health, _wait, answered, ask
from kardia.errors import AnswerError, JudgeUnreachable, TransientError
from kardia.judge.profile import JudgeProfile, Limits
from kardia.judge.protocol import Known, Opinion, Said, Usage
from kardia.plan import Planner

CONVERSATION = Conversation("c", (Message("user", "I failed."), Message("assistant", "That hurts.")))
RUBRIC = kardia.load_rubric("safety@1")
GOOD = '{"reason": "So.", "evidence": [], "level": "yes"}'


def profile(**limits):
    return JudgeProfile(name="fake", backend="fake", limits=Limits(**limits))


def a_request(profile):
    return Planner(RUBRIC, profile).plan(CONVERSATION).requests[0]


def scripted(*answers, **limits):
    return kardia.FakeJudge(list(answers), profile=profile(**limits))


@pytest.fixture(autouse=True)
def no_wait(monkeypatch):
    waits = []
    monkeypatch.setattr(module, "_wait", lambda attempt, retry_after: waits.append((attempt, retry_after)) or 0.0)
    return waits


async def one(judge, health=None):
    return (await ask([a_request(judge.profile)], judge, health or Health()))[0]


async def test_every_attempt_counts():
    cost = Usage(1, 10, 2, 0.5)
    judge = scripted(TransientError("busy"), Said("?", usage=cost), Said(GOOD, usage=cost))
    asked = await one(judge)
    assert asked.judgments[0].level == "yes"
    assert asked.usage == Usage(3, 20, 4, 1.0)


async def test_an_answer_error_is_final(no_wait):
    judge = scripted(AnswerError("too long"), GOOD)
    asked = await one(judge)
    assert (asked.judgments[0].status, asked.judgments[0].error) == ("unscored", "too long")
    assert asked.usage.requests == 1
    assert no_wait == []


@pytest.mark.parametrize("retries", [0, 1, 5])
async def test_it_is_given_up_after_the_tries_that_the_profile_allows(no_wait, retries):
    judge = scripted(TransientError("busy", retry_after=3.0), retries=retries)
    asked = await one(judge)
    assert re.match(f"given up after {retries + 1} (try|tries): busy", asked.judgments[0].error)
    assert no_wait == [(attempt, 3.0) for attempt in range(retries)]


@pytest.mark.parametrize("reask", [0, 1, 4])
async def test_it_is_asked_again_as_often_as_the_profile_allows(reask):
    judge = scripted("nonsense", reask=reask)
    asked = await one(judge)
    assert asked.judgments[0].status == "unscored"
    assert len(judge.asked) == reask + 1
    assert all(request == judge.asked[0] for request in judge.asked[:2])
    assert all(len(request.messages) == 4 for request in judge.asked[2:])


async def test_a_dead_judge_is_noticed_early():
    judge = scripted(TransientError("refused", down=True), retries=50)
    with pytest.raises(JudgeUnreachable, match="refused"):
        await one(judge)
    assert len(judge.asked) == DEAD_AFTER_TRIES


async def test_a_judge_that_was_only_busy_before_is_not_dead():
    judge = scripted(*[TransientError("busy")] * 3, TransientError("reset", down=True), GOOD)
    assert (await one(judge)).judgments[0].status == "scored"


async def test_a_judge_that_answers_others_is_not_dead():
    judge = scripted(TransientError("reset", down=True), retries=6)
    health = Health(answered=1)

    async def others():
        for _ in range(1000):
            health.answered += 1
            await asyncio.sleep(0)

    asked, _ = await asyncio.gather(one(judge, health), others())
    assert "given up after 7 tries" in asked.judgments[0].error


async def test_many_failures_in_a_row_end_the_run():
    judge = scripted(TransientError("busy"), retries=0)
    health = Health()
    for _ in range(DEAD_AFTER_REQUESTS - 1):
        assert (await one(judge, health)).judgments[0].status == "unscored"
    with pytest.raises(JudgeUnreachable, match=f"{DEAD_AFTER_REQUESTS} requests in a row"):
        await one(judge, health)


async def test_one_answer_among_failures_starts_the_count_anew():
    answers = [*[TransientError("busy")] * (DEAD_AFTER_REQUESTS - 1), GOOD]
    judge = scripted(*answers, retries=0)
    health = Health()
    for _ in range(3 * len(answers)):
        await one(judge, health)


async def test_unreachable_passes_through():
    with pytest.raises(JudgeUnreachable, match="no key"):
        await one(scripted(JudgeUnreachable("no key")))


class Batched:
    """A judge that takes several requests at once."""

    reads_prompts = True
    batch_size = 4

    def __init__(self, answers):
        self.profile = profile()
        self.answers = answers

    async def answer(self, requests):
        if isinstance(self.answers, Exception):
            raise self.answers
        return self.answers

    async def aclose(self):
        return None


async def batch(answers, count):
    judge = Batched(answers)
    return await ask([a_request(judge.profile)] * count, judge, Health())


async def test_a_batch():
    id_ = a_request(profile()).criteria[0].id
    known = Known({id_: Opinion({"no": 0.0, "yes": 1.0})}, Usage(1))
    found = await batch([known, AnswerError("too long"), known], 3)
    assert [asked.judgments[0].status for asked in found] == ["scored", "unscored", "scored"]
    found = await batch(AnswerError("none of them"), 3)
    assert [asked.judgments[0].error for asked in found] == ["none of them"] * 3
    with pytest.raises(JudgeUnreachable):
        await batch([known, JudgeUnreachable("gone"), known], 3)
    with pytest.raises(ValueError, match="zip"):
        await batch([known], 2)


async def test_answered_hands_back_what_it_cost():
    judge = scripted(TransientError("busy"), AnswerError("no"))
    answer, usage = await answered(a_request(judge.profile), judge, Health())
    assert isinstance(answer, AnswerError)
    assert usage.requests == 2


async def test_the_pace_is_even(monkeypatch):
    now = [100.0]
    slept = []

    async def sleep(seconds):
        slept.append(round(seconds, 6))

    monkeypatch.setattr(module.asyncio, "sleep", sleep)
    monkeypatch.setattr(asyncio.get_running_loop(), "time", lambda: now[0])
    health = Health()
    for _ in range(4):
        await health.pace("requests", 1, 120)
    assert slept == [0.5, 1.0, 1.5]
    await health.pace("tokens", 600, 600)
    await health.pace("tokens", 1, 600)
    assert slept[3:] == [60.0]
    await health.pace("anything", 1e9, None)
    now[0] += 1000
    await health.pace("requests", 1, 120)
    assert len(slept) == 4


async def test_limits_of_a_minute_are_kept():
    judge = scripted(GOOD, requests_per_minute=3000)
    health = Health()
    start = asyncio.get_running_loop().time()
    await asyncio.gather(*(one(judge, health) for _ in range(10)))
    assert asyncio.get_running_loop().time() - start >= 9 * 60 / 3000 - 0.005


@given(st.integers(0, 200))
def test_a_wait_grows_and_is_bounded(attempt):
    seconds = _wait(attempt, None)
    assert 0 < seconds <= MAX_WAIT_S
    assert seconds <= 0.5 * 2**attempt


@given(st.floats(0, 3600))
def test_a_wait_that_was_asked_for_is_kept(seconds):
    waited = _wait(3, seconds)
    assert min(seconds, MAX_WAIT_S) <= waited <= MAX_WAIT_S * 1.1


def test_waits_are_spread():
    waits = [_wait(4, None) for _ in range(200)]
    assert statistics.pstdev(waits) > 0.5


def test_usage_adds_up():
    assert Usage(1, 2, 3) + Usage(1, 2, 3, 0.5) == Usage(2, 4, 6, 0.5)
    assert dataclasses.replace(Usage() + Usage(), requests=1).cost is None


# what one bad conversation may and may not do


def rows(count):
    return [
        {"id": str(number), "context": "I failed.", "response": f"That hurts, {number}."} for number in range(count)
    ]


@pytest.mark.parametrize("concurrency", [1, 4])
@pytest.mark.parametrize(
    "fault", [TransientError("the connection broke", broke=True), TransientError("the endpoint answered 500")]
)
@pytest.mark.parametrize("poisoned", [3, 11])
def test_one_conversation_that_nobody_can_answer_leaves_the_others_scored(concurrency, fault, poisoned):
    def script(request):
        return (
            fault
            if request.conversation.id == str(poisoned)
            else {"reason": "a", "level": request.criteria[0].levels[0]}
        )

    judge = kardia.FakeJudge(script, profile=profile(concurrency=concurrency))
    cards = list(kardia.score_many(rows(12), "emotional-support@1", judge))
    assert [card.id for card in cards] == [str(number) for number in range(12)]
    assert [card.id for card in cards if card.score is None] == [str(poisoned)]


@pytest.mark.parametrize("fault", [TransientError("refused", down=True), TransientError("the endpoint answered 500")])
def test_a_judge_that_dies_in_the_middle_ends_the_run(fault):
    def script(request):
        if int(request.conversation.id) >= 5:
            return fault
        return {"reason": "a", "level": request.criteria[0].levels[0]}

    judge = kardia.FakeJudge(script, profile=profile(concurrency=1))
    found = []
    with pytest.raises(JudgeUnreachable):
        found.extend(card.id for card in kardia.score_many(rows(12), "emotional-support@1", judge))
    assert len({request.conversation.id for request in judge.asked}) < 12


def test_a_valid_verdict_survives_a_worse_answer_to_the_same_question():
    ids = [criterion.id for criterion in RUBRIC.criteria]
    good = {key: {"reason": "a", "evidence": [], "level": RUBRIC.by_id[key].levels[0]} for key in ids}
    partly = {**good, ids[-1]: {"reason": "a", "level": "maybe"}}
    for second in ("what?", AnswerError("too long")):
        judge = kardia.FakeJudge(
            [partly, second],
            profile=JudgeProfile(name="fake", backend="fake", mode="all_criteria", limits=Limits(reask=1)),
        )
        card = kardia.score(rows(1)[0], RUBRIC, judge)
        assert [key for key, judgment in card.criteria.items() if judgment.status != "scored"] == ids[-1:]


async def test_what_a_failed_judge_said_is_kept():
    asked = await one(scripted(AnswerError("too long", raw="I will not read all of that.")))
    assert asked.judgments[0].error == "too long | the judge said: I will not read all of that."
    assert asked.judgments[0].value is None
