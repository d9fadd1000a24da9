"""What another process asks meanwhile is not asked again."""

from __future__ import annotations

import asyncio
import sys

import pytest

import kardia
from kardia.engine import late as module
from kardia.engine.budget import Spent
from kardia.engine.desk import Desk, Stopped
from kardia.engine.ledger import open_ledger
from kardia.judge.profile import JudgeProfile, Limits
from kardia.plan import Planner
from kardia.scoring import as_conversation

RUBRIC = kardia.load_rubric("understanding@1")  # four criteria
ROW = {"id": "a", "context": "I failed.", "response": "That hurts."}


@pytest.fixture
def ledger(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "LOOK_S", 0.02)
    opened = open_ledger(tmp_path / "ledger.sqlite3")
    yield opened
    opened.close()


def judge_of(script):
    """One at a time; known to the ledger under one name, whoever it is."""
    judge = kardia.FakeJudge(script, profile=JudgeProfile(name="fake", backend="fake", limits=Limits(concurrency=1)))
    judge.identity = "the same"
    return judge


def first_level(request):
    return {"reason": "So.", "evidence": [], "level": request.criteria[0].levels[0]}


async def others_ask(ledger, count=4):
    """The same on another event loop, which shares nothing with this one but the ledger."""
    other = judge_of(first_level)
    card = await asyncio.to_thread(kardia.score, ROW, RUBRIC, other, ledger=ledger)
    assert len(other.asked) == count
    return card


def begun(ledger, gate, **more):
    """A desk whose judge holds the first request back until the gate opens."""

    async def waits(request):
        await gate.wait()
        return first_level(request)

    judge = judge_of(waits)
    desk = Desk(judge, ledger=ledger, spent=Spent(), **more)
    plan = Planner(RUBRIC, judge.profile).plan(as_conversation(ROW, 1))
    return desk, judge, asyncio.ensure_future(desk.ask_all(plan.requests))


async def until(true):
    for _ in range(2000):
        if true():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it never came about")


async def test_what_waits_is_found_and_what_is_under_way_is_left_alone(ledger):
    gate = asyncio.Event()
    desk, judge, work = begun(ledger, gate)
    await until(lambda: judge.asked)
    card = await others_ask(ledger)
    await until(lambda: desk.spent.stored == 3)
    gate.set()
    found = await work
    assert [asked.judgments[0].level for asked in found] == [item.level for item in card.criteria.values()]
    assert (len(judge.asked), desk.spent.requests, desk.spent.stored, desk.spent.asked) == (1, 1, 3, 1)


async def test_nothing_is_looked_up_for_whoever_wants_it_fresh(ledger):
    gate = asyncio.Event()
    desk, judge, work = begun(ledger, gate, fresh=True)
    await until(lambda: judge.asked)
    await others_ask(ledger)
    await asyncio.sleep(0.1)
    gate.set()
    await work
    assert (len(judge.asked), desk.spent.stored) == (4, 0)


async def test_a_stop_is_still_a_stop(ledger):
    gate = asyncio.Event()
    desk, judge, work = begun(ledger, gate)
    await until(lambda: judge.asked)
    desk.stop()
    with pytest.raises(Stopped):
        await work
    gate.set()
    await desk.settle()
    assert not desk._late._waiting
    await others_ask(ledger, 3)  # what was under way was stored
    assert (len(judge.asked), desk.spent.stored) == (1, 0)


@pytest.mark.skipif(sys.version_info < (3, 11), reason="tasks that count their cancellations")
async def test_who_asks_is_not_cancelled_by_it(ledger):
    gate = asyncio.Event()
    desk, judge, work = begun(ledger, gate)
    await until(lambda: judge.asked)
    plan = Planner(RUBRIC, judge.profile).plan(as_conversation({**ROW, "response": "Oh no."}, 1))
    request = plan.requests[0]

    async def asks():
        assert desk.known([request]) == [None]
        asked = await desk.ask(request)
        return asked, asyncio.current_task().cancelling()

    mine = asyncio.ensure_future(asks())
    await asyncio.sleep(0)
    await asyncio.to_thread(kardia.score, {**ROW, "response": "Oh no."}, RUBRIC, judge_of(first_level), ledger=ledger)
    asked, cancelled = await mine
    assert (asked.judgments[0].status, cancelled) == ("scored", 0)
    gate.set()
    await work
