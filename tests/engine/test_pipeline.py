"""Plans → judgments: the order, the window, failures, and stopping early."""

from __future__ import annotations

import asyncio
import dataclasses
import random
import time
from contextlib import aclosing

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import kardia
from kardia.engine import loop
from kardia.engine.budget import Budget
from kardia.engine.desk import Desk
from kardia.engine.halt import Halt
from kardia.engine.pipeline import judged, window_of
from kardia.errors import BudgetExhausted, Interrupted, JudgeError, JudgeUnreachable
from kardia.judge.profile import JudgeProfile, Limits, Sampling
from kardia.judge.protocol import Known, Opinion, Usage
from kardia.plan import Planner

RUBRIC = kardia.load_rubric("kardia-r1@1")
GOOD = {"reason": "So.", "evidence": [], "level": 3}


def profile(concurrency=8, **sampling):
    return JudgeProfile(
        name="fake", backend="fake", limits=Limits(concurrency=concurrency), sampling=Sampling(**sampling)
    )


def conversation(number, **metadata):
    messages = (kardia.Message("user", "I failed."), kardia.Message("assistant", f"That hurts. {number}"))
    return kardia.Conversation(str(number), messages, metadata)


def plans(judge, count, rubric=RUBRIC):
    planner = Planner(rubric, judge.profile, prompts=judge.reads_prompts)
    return (planner.plan(conversation(number)) for number in range(count))


async def collected(judge, count, rubric=RUBRIC):
    return [done async for done in flat(judged(plans(judge, count, rubric), Desk(judge)))]


async def flat(chunks):
    async with aclosing(chunks):
        async for chunk in chunks:
            for done in chunk:
                yield done


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 9), st.integers(0, 12))
def test_the_order_is_that_of_the_input_whatever_is_slow(seed, concurrency, count):
    random_ = random.Random(seed)

    async def late(request):
        for _ in range(random_.randrange(6)):
            await asyncio.sleep(0)
        return {"reason": request.conversation.id, "evidence": [], "level": 1 + int(request.conversation.id) % 5}

    judge = kardia.FakeJudge(late, profile=profile(concurrency))
    found = loop.run(collected(judge, count))
    assert [done.plan.conversation.id for done in found] == [str(number) for number in range(count)]
    for number, done in enumerate(found):
        assert list(done.judgments) == [criterion.id for criterion in RUBRIC.criteria]
        assert {judgment.level for judgment in done.judgments.values()} == {1 + number % 5}
        assert {judgment.reason for judgment in done.judgments.values()} == {str(number)}
        assert done.usage == Usage(requests=len(RUBRIC.criteria), attempts=len(RUBRIC.criteria))
        assert set(done.usages) == set(done.judgments)


async def test_the_window_is_bounded():
    taken = []
    under_way = peak = 0

    async def late(request):
        nonlocal under_way, peak
        under_way += 1
        peak = max(peak, under_way)
        await asyncio.sleep(0.001)
        under_way -= 1
        return GOOD

    judge = kardia.FakeJudge(late, profile=profile(4))

    def watched():
        for plan in plans(judge, 100):
            taken.append(plan)
            yield plan

    seen = 0
    async for chunk in judged(watched(), Desk(judge), window=8):
        seen += len(chunk)
        # 8 requests, of 5 each, and the one that is begun
        assert len(taken) - seen <= 8 / 5 + 1
    assert (seen, peak) == (100, 4)


async def test_a_slow_first_does_not_let_the_rest_run_away():
    taken = []
    gate = asyncio.Event()

    async def first_waits(request):
        if request.conversation.id == "0":
            await gate.wait()
        return GOOD

    judge = kardia.FakeJudge(first_waits, profile=profile(10))

    def watched():
        for plan in plans(judge, 1000):
            taken.append(plan)
            yield plan

    stream = judged(watched(), Desk(judge), window=100)
    head = asyncio.ensure_future(stream.__anext__())
    await asyncio.sleep(0.05)
    assert not head.done()
    assert len(taken) == 20
    assert len(judge.asked) == 100  # those behind it are not held up
    gate.set()
    assert [done.plan.conversation.id for done in await head] == [str(number) for number in range(20)]
    await stream.aclose()


async def test_a_plan_with_nothing_to_ask_keeps_its_place():
    judge = kardia.FakeJudge(GOOD, profile=profile())
    planner = Planner(RUBRIC, judge.profile)
    full = [planner.plan(conversation(number)) for number in range(3)]
    settled = {criterion.id: kardia.Judgment(criterion.id, "not_applicable") for criterion in RUBRIC.criteria}
    empty = dataclasses.replace(full[1], requests=(), settled=settled)
    found = [done async for done in flat(judged([full[0], empty, full[2]], Desk(judge)))]
    assert [done.plan.conversation.id for done in found] == ["0", "1", "2"]
    assert {judgment.status for judgment in found[1].judgments.values()} == {"not_applicable"}
    assert found[1].usage == Usage()


async def test_samples_become_one_judgment():
    judge = kardia.FakeJudge(
        lambda request: {**GOOD, "level": 1 + request.sample}, profile=profile(samples=3, temperature=1.0)
    )
    done = (await collected(judge, 1))[0]
    assert {judgment.samples for judgment in done.judgments.values()} == {(1, 2, 3)}
    assert {judgment.value for judgment in done.judgments.values()} == {0.25}


async def into(found, stream):
    async for done in flat(stream):
        found.append(done.plan.conversation.id)


class Batched:
    """A judge without words that takes seven requests at a time."""

    reads_prompts = False
    batch_size = 7

    def __init__(self):
        self.profile = profile()
        self.sizes = []
        self.under_way = 0

    async def answer(self, requests):
        self.under_way += 1
        assert self.under_way == 1
        self.sizes.append(len(requests))
        await asyncio.sleep(0)
        self.under_way -= 1
        certain = {level: float(level == 2) for level in range(1, 6)}
        return [Known({request.criteria[0].id: Opinion(certain)}) for request in requests]

    async def aclose(self):
        return None


async def test_batches_cross_conversations():
    judge = Batched()
    found = await collected(judge, 10)
    assert [done.plan.conversation.id for done in found] == [str(number) for number in range(10)]
    assert {judgment.level for done in found for judgment in done.judgments.values()} == {2}
    assert judge.sizes == [7] * 7 + [1]


@pytest.mark.parametrize("window", [1, 5, 7, 10, 35])
async def test_a_window_that_is_filled_at_once_when_the_last_batch_has_ended(window):
    # who takes the plans out does not wait for anything, so that nothing happens between two looks at the window
    judge = Batched()
    stream = flat(judged(plans(judge, 24), Desk(judge), window=window))
    found = [done.plan.conversation.id async for done in stream]
    assert found == [str(number) for number in range(24)]


@pytest.mark.parametrize("judge", [kardia.FakeJudge(GOOD, profile=profile(3)), Batched()], ids=["single", "batched"])
async def test_a_fault_of_the_source_comes_after_what_preceded_it(judge):
    def faulty():
        yield from plans(judge, 4)
        raise RuntimeError("the disk is gone")

    found = []
    with pytest.raises(RuntimeError, match="the disk is gone"):
        await into(found, judged(faulty(), Desk(judge)))
    assert found == ["0", "1", "2", "3"]


async def test_whatever_is_complete_is_handed_out_before_an_unreachable_judge_ends_the_run():
    waiting = asyncio.Event()

    async def dies(request):
        number = int(request.conversation.id)
        if number == 1:
            await asyncio.sleep(3600)  # blocks the order for ever
        if number == 5:
            await waiting.wait()
            return JudgeUnreachable("gone")
        if number == 4:
            waiting.set()
        return GOOD

    judge = kardia.FakeJudge(dies, profile=profile(40))
    found = []
    with pytest.raises(JudgeUnreachable, match="gone"):
        await into(found, judged(plans(judge, 50), Desk(judge)))
    assert found[:4] == ["0", "2", "3", "4"]
    assert len(found) < 50


async def test_a_wish_to_stop_finishes_what_is_under_way():
    halt = Halt()

    async def late(request):
        if request.conversation.id == "3":
            halt.request()
        await asyncio.sleep(0.001)
        return GOOD

    judge = kardia.FakeJudge(late, profile=profile(5))
    found = []
    with pytest.raises(Interrupted):
        await into(found, judged(plans(judge, 50), Desk(judge), halt=halt))
    assert found == ["0", "1", "2", "3"]
    assert len(judge.asked) <= 25


async def test_a_wish_that_came_before_the_run_asks_nothing():
    halt = Halt()
    halt.request()
    judge = kardia.FakeJudge(GOOD, profile=profile())
    with pytest.raises(Interrupted):
        await into([], judged(plans(judge, 5), Desk(judge), halt=halt))
    assert judge.asked == []


async def test_a_budget_ends_a_run_with_what_it_bought():
    judge = kardia.FakeJudge(GOOD, profile=profile(3))
    found = []
    with pytest.raises(BudgetExhausted):
        await into(found, judged(plans(judge, 50), Desk(judge, budget=Budget(max_requests=23))))
    assert len(judge.asked) == 23
    assert found == ["0", "1", "2", "3"]


def test_the_window_grows_with_the_concurrency():
    assert window_of(1) == 1024
    assert window_of(256) == 4096


async def test_closing_early_cancels_at_once():
    cancelled = []

    async def forever(request):
        if request.conversation.id == "0":
            return GOOD
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            cancelled.append(request.conversation.id)
            raise

    judge = kardia.FakeJudge(forever, profile=profile(12))
    async with aclosing(judged(plans(judge, 50), Desk(judge))) as stream:
        assert [done.plan.conversation.id for done in await stream.__anext__()] == ["0"]
        await asyncio.sleep(0)
    assert len(cancelled) == 12
    assert len(asyncio.all_tasks()) == 1


@pytest.mark.parametrize("batched", [False, True])
@pytest.mark.parametrize(
    ("kind", "ends_with"),
    [
        (asyncio.CancelledError, JudgeError),
        (GeneratorExit, JudgeError),
        (KeyboardInterrupt, KeyboardInterrupt),
        (SystemExit, SystemExit),
        (ZeroDivisionError, ZeroDivisionError),
    ],
)
def test_whatever_a_judge_raises_ends_the_run(kind, ends_with, batched):
    class Odd(Batched if batched else kardia.FakeJudge):
        async def answer(self, requests):
            raise kind

    rows = [{"context": "I failed.", "response": f"That hurts. {number}"} for number in range(3)]
    with pytest.raises(ends_with):
        list(kardia.score_many(rows, RUBRIC, Odd()))
    assert next(kardia.score_many(rows, RUBRIC, "fake")).id == "row:1"


async def test_slow_conversations_are_asked_about_as_they_come():
    judge = kardia.FakeJudge(GOOD, profile=profile(4))
    asked = []

    def slowly():
        for plan in plans(judge, 4):
            asked.append(len(judge.asked))
            yield plan
            time.sleep(0.03)

    found = []
    await into(found, judged(slowly(), Desk(judge)))
    assert found == ["0", "1", "2", "3"]
    assert asked[-1] > 0  # the first was asked about before the last was read
