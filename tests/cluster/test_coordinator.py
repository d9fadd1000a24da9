"""What all actors share, without a cluster: the coordinator is asked as the actors ask it."""

from __future__ import annotations

import asyncio
import time

import pytest

from kardia.cluster import coordinator as module
from kardia.cluster.coordinator import Coordinator
from kardia.cluster.shared import SharedBudget, SharedLimits
from kardia.errors import BudgetExhausted


class Method:
    def __init__(self, method):
        self.method = method

    def remote(self, *arguments):
        return asyncio.ensure_future(self.method(*arguments))


class Handle:
    """A Ray actor's handle, as far as it is used."""

    def __init__(self, target):
        self.target = target

    def __getattr__(self, name):
        return Method(getattr(self.target, name))


@pytest.fixture
def made(tmp_path):
    def make(requests=None, cost=None):
        return Coordinator(requests, cost, str(tmp_path / "limits"))

    return make


async def test_two_workers_together_send_no_more_than_the_budget(made):
    handle = Handle(made(requests=10))
    budgets = [SharedBudget(handle, name, 10, None) for name in ("a", "b")]
    sent = 0

    async def send(budget):
        nonlocal sent
        await budget.take(0.0)
        sent += 1
        await asyncio.sleep(0)
        budget.settle(0.0, 1, 0.0)

    ended = await asyncio.gather(*(send(budgets[n % 2]) for n in range(30)), return_exceptions=True)
    assert sent == 10
    refused = [problem for problem in ended if problem is not None]
    assert len(refused) == 20
    assert all(isinstance(problem, BudgetExhausted) for problem in refused)
    assert "the budget of 10 requests is used up" in str(refused[0])


async def test_money_is_one_purse_too(made):
    handle = Handle(made(cost=1.0))
    a, b = (SharedBudget(handle, name, None, 1.0) for name in ("a", "b"))
    await a.take(0.6)
    waiting = asyncio.ensure_future(b.take(0.6))
    await asyncio.sleep(0.01)
    assert not waiting.done()
    a.settle(0.6, 1, 0.1)  # it was cheaper
    await waiting
    b.settle(0.6, 1, 0.6)
    await asyncio.sleep(0.01)
    with pytest.raises(BudgetExhausted, match=r"0\.7 is spent"):
        await a.take(0.6)


async def test_what_a_worker_had_reserved_when_it_died_is_spent_and_the_rest_is_exact(made):
    target = made(requests=5)
    handle = Handle(target)
    await target.begin("first", "actor")
    dead, other = SharedBudget(handle, "first", 5, None), SharedBudget(handle, "other", 5, None)
    for _ in range(3):
        await dead.take(0.0)
    dead.settle(0.0, 1, 0.0)
    await asyncio.sleep(0.01)
    await target.begin("second", "actor")  # Ray started the actor again
    assert await target.busy() == 1
    await other.take(0.0)
    other.settle(0.0, 1, 0.0)
    await other.take(0.0)
    other.settle(0.0, 1, 0.0)
    await asyncio.sleep(0.01)
    with pytest.raises(BudgetExhausted):
        await other.take(0.0)


async def test_who_waits_for_a_worker_that_fell_silent_is_told_in_the_end(made, monkeypatch):
    target = made(requests=1)
    handle = Handle(target)
    dead, other = SharedBudget(handle, "dead", 1, None), SharedBudget(handle, "other", 1, None)
    await dead.take(0.0)
    waiting = asyncio.ensure_future(other.take(0.0))
    await asyncio.sleep(0.01)
    assert not waiting.done()
    monkeypatch.setattr(module, "SILENT_S", 0.0)
    await asyncio.sleep(0.01)
    await target.beat("other")
    with pytest.raises(BudgetExhausted):
        await waiting
    await target.settle("dead", 0, 1, 0.0)  # it was only slow: counted once
    assert target._budget.requests == 1


async def test_what_is_no_longer_waited_for_goes_back(made):
    target = made(requests=1)
    a, b = (SharedBudget(Handle(target), name, 1, None) for name in ("a", "b"))
    await a.take(0.0)
    waiting = asyncio.ensure_future(b.take(0.0))
    await asyncio.sleep(0.01)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    a.settle(0.0, 0, 0.0)  # never sent
    await asyncio.sleep(0.01)
    await a.take(0.0)  # and not b's by now


async def test_everybody_hears_of_a_stop(made):
    target = made()
    assert not await target.begin("a", "1")
    assert not await target.beat("a")
    await target.stop()
    assert await target.beat("a")
    assert await target.begin("b", "2")
    assert await target.busy() == 1
    await target.end("a")
    assert await target.busy() == 0


async def test_slots_are_shared_out_and_a_dead_worker_has_none(made):
    target = made()

    def sync(worker):
        return target.sync(worker, "endpoint", 8.0, 0.0, 8, 8, 0, 0.0)

    first = await sync("a")
    assert (first.slots, first.members) == (8, 1)
    await sync("b")
    for _ in range(3):
        a, b = await sync("a"), await sync("b")
    assert (a.slots, b.slots, a.members) == (4, 4, 2)
    target._bury("a")
    assert (await sync("b")).slots == 8


async def test_moments_are_taken_once_whoever_asks(made):
    target = made()
    waits = [await target.reserve(worker, "endpoint", "requests", 1.0) for worker in "abab"]
    assert waits == pytest.approx([0.0, 1.0, 2.0, 3.0], abs=0.2)
    assert await target.reserve("a", "another", "requests", 1.0) == pytest.approx(0.0, abs=0.01)


def test_a_coordinator_that_says_nothing_is_left_alone(monkeypatch, tmp_path):
    ray = pytest.importorskip("ray")
    from ray.exceptions import GetTimeoutError

    asked = []

    def get(reference, timeout):
        asked.append(timeout)
        raise GetTimeoutError

    class Silent:
        def __getattr__(self, name):
            return type("Method", (), {"remote": staticmethod(lambda *arguments: None)})

    monkeypatch.setattr(ray, "get", get)
    limits = SharedLimits(Silent(), "a", tmp_path, "endpoint")
    now = time.time()
    assert limits.sync(now, level=1.0, moved=0.0, ceiling=1, wanted=1, in_use=0) is None
    assert limits.stuck
    assert limits.reserve(now, "requests", 1.0) is None
    assert len(asked) == 1  # an event loop must not wait for it again and again
