"""One request until it is answered or given up: tries, waits, what is counted, what is stored, what is shared."""

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
from kardia.engine import desk as module
from kardia.engine.breaker import DEAD_AFTER_TRIES, MANY, PATIENCE_S
from kardia.engine.budget import Budget, Spent
from kardia.engine.desk import MAX_WAIT_S, Desk, Stopped, _wait
from kardia.engine.ledger import open_ledger
from kardia.errors import AnswerError, BudgetExhausted, JudgeUnreachable, TransientError
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


async def one(judge, desk=None):
    return await (desk or Desk(judge)).ask(a_request(judge.profile))


async def test_every_attempt_counts():
    cost = Usage(1, 10, 2, 0.5)
    judge = scripted(TransientError("busy"), Said("?", usage=cost), Said(GOOD, usage=cost))
    asked = await one(judge)
    assert asked.judgments[0].level == "yes"
    assert asked.usage == Usage(3, 20, 4, 1.0, attempts=2)


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
    desk = Desk(judge)

    async def others():
        for _ in range(1000):
            desk.breaker.success()
            await asyncio.sleep(0)

    asked, _ = await asyncio.gather(one(judge, desk), others())
    assert "given up after 7 tries" in asked.judgments[0].error


async def test_many_failures_in_a_row_end_the_run():
    judge = scripted(TransientError("busy", overloaded=True), retries=0)
    desk = Desk(judge)
    for _ in range(MANY - 1):
        assert (await one(judge, desk)).judgments[0].status == "unscored"
    with pytest.raises(JudgeUnreachable, match=f"the judge fake failed to answer {MANY} requests in a row"):
        await one(judge, desk)


async def test_one_answer_among_failures_starts_the_count_anew():
    answers = [*[TransientError("busy", overloaded=True)] * (MANY - 1), GOOD]
    judge = scripted(*answers, retries=0)
    desk = Desk(judge)
    found = [(await one(judge, desk)).judgments[0].status for _ in range(3 * len(answers))]
    assert found.count("scored") == 3


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
    return await Desk(judge).ask_batch([a_request(judge.profile) for _ in range(count)])


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


async def test_an_answer_comes_with_what_it_took():
    judge = scripted(TransientError("busy"), AnswerError("no"))
    answer, usage = await Desk(judge).answer(a_request(judge.profile))
    assert isinstance(answer, AnswerError)
    assert usage.requests == 2


@given(st.integers(0, 200))
def test_a_wait_grows_and_is_bounded(attempt):
    seconds = _wait(attempt, None)
    assert 0 < seconds <= MAX_WAIT_S
    assert seconds <= 0.5 * 2**attempt


@given(st.floats(0, 3600))
def test_a_wait_that_was_asked_for_is_kept(seconds):
    waited = _wait(3, seconds)
    assert min(seconds, PATIENCE_S) <= waited <= PATIENCE_S * 1.1


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
    cards = list(kardia.score_many(rows(12), "emotional-support@1", judge, ledger="off"))
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
        found.extend(card.id for card in kardia.score_many(rows(12), "emotional-support@1", judge, ledger="off"))
    assert len(judge.asked) < 5 * 22 + 7 * 22  # far from seven tries of everything that was left


def test_a_valid_verdict_survives_a_worse_answer_to_the_same_question():
    ids = [criterion.id for criterion in RUBRIC.criteria]
    good = {key: {"reason": "a", "evidence": [], "level": RUBRIC.by_id[key].levels[0]} for key in ids}
    partly = {**good, ids[-1]: {"reason": "a", "level": "maybe"}}
    for second in ("what?", AnswerError("too long")):
        judge = kardia.FakeJudge(
            [partly, second],
            profile=JudgeProfile(name="fake", backend="fake", mode="all_criteria", limits=Limits(reask=1)),
        )
        card = kardia.score(rows(1)[0], RUBRIC, judge, ledger="off")
        assert [key for key, judgment in card.criteria.items() if judgment.status != "scored"] == ids[-1:]


async def test_what_a_failed_judge_said_is_kept():
    asked = await one(scripted(AnswerError("too long", raw="I will not read all of that.")))
    assert asked.judgments[0].error == "too long | the judge said: I will not read all of that."
    assert asked.judgments[0].value is None


# the ledger, and requests that are equal


def fitting(request):
    return {"reason": "So.", "evidence": [], "level": request.criteria[0].levels[0]}


@pytest.fixture
def ledger(tmp_path):
    opened = open_ledger(tmp_path / "ledger.sqlite3")
    yield opened
    opened.close()


def counting(script, **limits):
    """A judge whose answers are stored, although they are scripted."""
    judge = kardia.FakeJudge(script, profile=profile(**limits))
    judge.identity = "counting"
    return judge


async def ask_all(judge, ledger, requests, **more):
    return await Desk(judge, ledger=ledger, **more).ask_all(requests)


async def test_an_answer_is_stored_and_never_asked_again(ledger):
    judge = counting(fitting)
    requests = Planner(RUBRIC, judge.profile).plan(CONVERSATION).requests
    first = await ask_all(judge, ledger, requests)
    again = await ask_all(judge, ledger, requests)
    assert len(judge.asked) == len(requests)
    assert again == first
    await ask_all(judge, ledger, requests, fresh=True)
    assert len(judge.asked) == 2 * len(requests)


async def test_it_is_stored_before_it_is_used(ledger):
    judge = counting(GOOD)
    desk = Desk(judge, ledger=ledger)
    request = a_request(judge.profile)
    assert desk.known([request]) == [None]
    await desk.ask(request)
    assert ledger.pending == 0
    assert desk.known([a_request(judge.profile)]) != [None]


async def test_a_malformed_answer_and_a_refusal_are_stored_but_not_a_failure(ledger, no_wait):
    for script, stored in (
        ("nonsense", True),
        (Said(None, refusal="no"), True),
        (AnswerError("too long"), False),
        (TransientError("busy", overloaded=True), False),
    ):
        judge = counting([script])
        judge.identity = repr(script)
        for _ in range(2):
            asked = (await ask_all(judge, ledger, [a_request(judge.profile)]))[0]
            assert asked.judgments[0].status == "unscored"
            count = len(judge.asked)
        assert (await ask_all(judge, ledger, [a_request(judge.profile)]))[0].judgments[0].status == "unscored"
        assert (len(judge.asked) == count) == stored


async def test_equal_requests_under_way_are_asked_once(ledger):
    gate = asyncio.Event()

    async def waits(request):
        await gate.wait()
        return GOOD

    judge = counting(waits)
    spent = Spent()
    requests = [a_request(judge.profile) for _ in range(50)]
    for kept in (None, ledger):
        gate.clear()
        judge.asked.clear()
        work = asyncio.ensure_future(ask_all(judge, kept, requests, spent=spent, fresh=True))
        await asyncio.sleep(0.01)
        gate.set()
        assert {asked.judgments[0].level for asked in await work} == {"yes"}
        assert len(judge.asked) == 1
    assert (spent.asked, spent.shared) == (2, 98)


async def test_judges_without_an_identity_are_asked_each_time(ledger):
    judge = kardia.FakeJudge(GOOD, profile=profile())
    await ask_all(judge, ledger, [a_request(judge.profile) for _ in range(3)])
    assert len(judge.asked) == 3


async def test_whoever_waits_for_one_that_fails_asks_for_itself():
    first = asyncio.Event()

    async def fails_once(request):
        if not first.is_set():
            first.set()
            await asyncio.sleep(0.01)
            return JudgeUnreachable("gone")
        return GOOD

    judge = counting(fails_once)
    desk = Desk(judge)
    requests = [a_request(judge.profile) for _ in range(2)]
    assert desk.known(requests) == [None, None]
    found = await asyncio.gather(*(desk.ask(request) for request in requests), return_exceptions=True)
    assert isinstance(found[0], JudgeUnreachable)
    assert found[1].judgments[0].level == "yes"


# stopping


async def test_a_stop_lets_what_is_under_way_finish(ledger):
    started = asyncio.Event()

    async def slow(request):
        started.set()
        await asyncio.sleep(0.02)
        return fitting(request)

    judge = counting(slow, concurrency=2)
    desk = Desk(judge, ledger=ledger)
    requests = Planner(RUBRIC, judge.profile).plan(CONVERSATION).requests
    desk.known(requests)
    tasks = [asyncio.ensure_future(desk.ask(request)) for request in requests]
    await started.wait()
    desk.stop()
    found = await asyncio.gather(*tasks, return_exceptions=True)
    await desk.settle()
    assert [isinstance(item, Stopped) for item in found] == [False, False] + [True] * (len(requests) - 2)
    assert len(judge.asked) == 2
    assert [asked is not None for asked in Desk(judge, ledger=ledger).known(requests)][:3] == [True, True, False]


async def test_a_hard_stop_gives_up_what_is_under_way():
    async def forever(request):
        await asyncio.sleep(3600)

    judge = counting(forever)
    desk = Desk(judge)
    task = asyncio.ensure_future(desk.ask(a_request(judge.profile)))
    await asyncio.sleep(0.01)
    desk.stop(hard=True)
    with pytest.raises(Stopped):
        await task
    assert desk.spent.requests == 1  # it was sent, and may be billed


# the budget


async def test_a_budget_counts_every_try():
    judge = scripted(TransientError("busy"), GOOD)
    desk = Desk(judge, budget=Budget(max_requests=3))
    await desk.ask(a_request(judge.profile))
    with pytest.raises(BudgetExhausted):
        await desk.ask(a_request(judge.profile))
    assert (desk.spent.requests, len(judge.asked)) == (3, 3)


async def test_a_budget_that_is_smaller_than_a_batch_buys_what_fits_and_the_next_run_goes_on(ledger):
    asked = []

    class Several(Batched):
        identity = "several"

        async def answer(self, requests):
            asked.append(len(requests))
            return [
                Known({request.criteria[0].id: Opinion({request.criteria[0].levels[0]: 1.0})}, Usage(1))
                for request in requests
            ]

    judge = Several([])
    requests = Planner(RUBRIC, judge.profile).plan(CONVERSATION).requests
    for _ in range(2):
        with pytest.raises(BudgetExhausted):
            await Desk(judge, ledger=ledger, budget=Budget(max_requests=2)).ask_all(requests)
    assert asked == [2, 2]
    stored = Desk(judge, ledger=ledger).known(requests)
    assert [item is not None for item in stored] == [True] * 4 + [False] * (len(requests) - 4)
