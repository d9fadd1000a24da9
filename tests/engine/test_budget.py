"""A cap is a cap."""

from __future__ import annotations

import asyncio
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kardia.engine.budget import Budget, Spent
from kardia.engine.ensemble import CascadeTally
from kardia.errors import BudgetExhausted
from kardia.judge.protocol import Usage


async def test_requests_are_counted_retries_too():
    budget = Budget(max_requests=3)
    await budget.take(0.0)
    budget.settle(0.0, 2, 0.0)  # one call that took two requests
    await budget.take(0.0)
    late = asyncio.ensure_future(budget.take(0.0))
    await asyncio.sleep(0)
    assert not late.done()  # the one under way may turn out not to have been sent
    budget.settle(0.0, 1, 0.0)
    with pytest.raises(BudgetExhausted, match="the budget of 3 requests is used up"):
        await late
    with pytest.raises(BudgetExhausted, match="the budget of 3 requests is used up"):
        await budget.take(0.0)


async def test_near_the_end_one_waits_for_another():
    budget = Budget(max_cost=1.0)
    await budget.take(0.6)
    second = asyncio.ensure_future(budget.take(0.6))
    await asyncio.sleep(0)
    assert not second.done()
    budget.settle(0.6, 1, 0.1)  # it was cheaper than feared
    await second
    budget.settle(0.6, 1, 0.6)
    with pytest.raises(BudgetExhausted, match=r"the budget of 1 is used up: 0.7 is spent, and the next.*may cost 0.6"):
        await budget.take(0.6)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**32), st.floats(0.1, 5.0), st.integers(1, 40))
def test_the_cap_holds_and_is_used(seed, cap, tasks):
    chance = random.Random(seed)
    budget = Budget(max_cost=cap)
    refused = []

    async def one() -> None:
        most = chance.uniform(0.05, 0.3)
        try:
            await budget.take(most)
        except BudgetExhausted:
            refused.append(most)
            return
        await asyncio.sleep(0)
        budget.settle(most, 1, most * chance.uniform(0.2, 1.0))

    async def main() -> None:
        await asyncio.gather(*(one() for _ in range(tasks)))

    asyncio.run(main())
    assert budget.cost <= cap + 1e-9
    assert all(budget.cost + most > cap - 1e-9 for most in refused)


async def test_whoever_stopped_waiting_is_passed_over():
    budget = Budget(max_cost=1.0)
    await budget.take(0.6)
    gone, there = (asyncio.ensure_future(budget.take(0.6)) for _ in range(2))
    await asyncio.sleep(0)
    gone.cancel()
    budget.settle(0.6, 1, 0.1)
    await there
    assert gone.cancelled()
    assert budget.requests == 2


async def test_a_request_that_may_be_sent_twice_never_breaks_the_cap():
    budget = Budget(max_requests=5)
    await budget.take(0.0, 2)
    await budget.take(0.0, 2)
    third = asyncio.ensure_future(budget.take(0.0, 2))
    await asyncio.sleep(0)
    assert not third.done()
    budget.settle(0.0, 2, 0.0, 2)
    budget.settle(0.0, 1, 0.0, 2)  # it took one only
    await third
    budget.settle(0.0, 2, 0.0, 2)
    with pytest.raises(BudgetExhausted):
        await budget.take(0.0, 2)
    assert budget.requests == 5


def test_what_several_runs_used_is_added_up():
    all_of_it = Spent(1, 2, 3, None, 4, 5, 6, 7)
    all_of_it.add(Spent(10, 20, 30, 0.5, 40, 50, 60, 70))
    all_of_it.add(Spent())
    assert all_of_it == Spent(11, 22, 33, 0.5, 44, 55, 66, 77)
    tally = CascadeTally(2, 1, Usage(3, 4, 5), Usage(6))
    tally.add(CascadeTally(20, 10, Usage(30, cost=1.0), Usage(60)))
    assert tally == CascadeTally(22, 11, Usage(33, 4, 5, 1.0), Usage(66))
