"""The pace: no minute holds more than its limit, and little less."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kardia.engine.pace import CHUNK_S, LATE_S, Pace


class Free:
    """Where the next free moment is kept; counts how often it is asked."""

    def __init__(self) -> None:
        self.now = 0.0
        self.due = 0.0
        self.asked = 0

    def __call__(self, seconds: float) -> float:
        self.asked += 1
        start = max(self.now, self.due)
        self.due = start + seconds
        return start


def most_in_a_minute(times: list[float], amounts: list[float] | None = None) -> float:
    """The most that any 60 s hold."""
    amounts = amounts or [1.0] * len(times)
    order = sorted(zip(times, amounts, strict=True))
    most = held = 0.0
    first = 0
    for time, amount in order:
        held += amount
        while order[first][0] <= time - 60.0:
            held -= order[first][1]
            first += 1
        most = max(most, held)
    return most


def greedy(paces: list[Pace], free: Free, seconds: float, amount: float = 1.0, jitter: float = 0.0) -> list[float]:
    """When requests go that are always there, over several processes in turn."""
    rng = random.Random(1)
    clocks = [0.0] * len(paces)
    times: list[float] = []
    while min(clocks) < seconds:
        turn = clocks.index(min(clocks))
        free.now = clocks[turn]
        moment = paces[turn].take(amount, free.now, free)
        assert moment is not None
        clocks[turn] = max(clocks[turn], moment)
        times.append(clocks[turn] + rng.uniform(0.0, jitter))
    return times


@pytest.mark.parametrize("limit", [1, 2, 7, 10, 60, 599, 600, 5000])
@pytest.mark.parametrize("processes", [1, 3])
def test_no_minute_holds_more_than_the_limit(limit, processes):
    times = greedy([Pace(limit) for _ in range(processes)], Free(), 240.0, jitter=0.5)
    assert most_in_a_minute(times) <= limit
    assert len(times) >= 0.97 * 4 * limit - processes


@pytest.mark.parametrize(("limit", "amount"), [(10_000, 1000.0), (10_000, 4000.0), (200_000, 700.0)])
def test_nor_more_tokens(limit, amount):
    times = greedy([Pace(limit, coarse=True)], Free(), 240.0, amount)
    assert most_in_a_minute(times, [amount] * len(times)) <= limit
    assert len(times) * amount >= 4 * (0.98 * limit - amount) - amount


def test_a_request_larger_than_the_limit_goes_and_is_paid_for():
    free, pace = Free(), Pace(1000, coarse=True)
    assert pace.take(5000.0, 0.0, free) == 0.0
    moment = pace.take(10.0, 0.0, free)
    assert moment is not None
    assert moment >= 300.0


def test_there_is_no_burst_after_a_rest():
    free, pace = Free(), Pace(600)
    pace.take(1.0, 0.0, free)
    free.now = 1000.0
    moments = [pace.take(1.0, free.now, free) for _ in range(11)]
    assert moments[0] == 1000.0
    assert moments[10] == pytest.approx(1000.0 + 10 * pace.cost(1.0))


def test_room_that_was_not_used_in_time_is_lost():
    free, pace = Free(), Pace(60_000)
    first = pace.take(1.0, 0.0, free)
    assert first == 0.0
    free.now = 0.09  # most of the chunk has passed
    moments = [pace.take(1.0, free.now, free) for _ in range(200)]
    assert all(moment is not None and moment >= free.now - LATE_S for moment in moments)


def test_high_limits_are_reserved_in_chunks():
    free = Free()
    times = greedy([Pace(60_000)], free, 10.0)
    assert len(times) >= 9800
    assert free.asked <= 1.1 * 10.0 / CHUNK_S


def test_where_nothing_can_be_reserved_nothing_goes():
    pace = Pace(60)
    assert pace.take(1.0, 5.0, lambda seconds: None) is None
    assert pace.take(1.0, 5.0, lambda seconds: 7.0) == 7.0
    assert pace.take(0.0, 5.0, lambda seconds: None) == 5.0


@given(
    st.integers(1, 3000),
    st.lists(st.tuples(st.integers(0, 2), st.floats(0.0, 3.0)), min_size=1, max_size=300),
)
@settings(max_examples=150, deadline=None)
def test_whenever_requests_come_no_minute_holds_too_many(limit, arrivals):
    free, paces, times = Free(), [Pace(limit) for _ in range(3)], []
    for process, rest in arrivals:
        free.now += rest
        moment = paces[process].take(1.0, free.now, free)
        assert moment is not None
        assert moment >= free.now - LATE_S - 1e-6
        times.append(max(moment, free.now))
    assert most_in_a_minute(times) <= limit
