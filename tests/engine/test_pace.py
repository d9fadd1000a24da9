"""The pace: no minute holds more than its limit, and little less."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kardia.engine.pace import CHUNK_S, LATE_S, Pace, Paces


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


class Both:
    """Where the free moments of both limits are kept; `shut` ones cannot be told at the moment."""

    def __init__(self) -> None:
        self.kinds = {"requests": Free(), "tokens": Free()}
        self.shut: set[str] = set()

    def __call__(self, kind: str, seconds: float) -> float | None:
        return None if kind in self.shut else self.kinds[kind](seconds)

    def at(self, now: float) -> float:
        for free in self.kinds.values():
            free.now = now
        return now


def when(paces: Paces, both: Both, amounts: list[float]) -> list[float]:
    """When requests of these amounts go, each tried again at the moment that was told."""
    now, times = 0.0, []
    for amount in amounts:
        while not paces.lets_go(amount, both.at(now), both):
            assert paces.due is not None
            assert paces.due > now
            now = paces.due
        times.append(now)
    return times


@pytest.mark.parametrize(("requests", "tokens"), [(60, None), (None, 6000), (60, 6000), (60, 60_000), (600, 6000)])
def test_the_narrower_of_two_limits_holds(requests, tokens):
    amounts = [100.0, 50.0, 150.0] * 20
    times = when(Paces(requests, tokens), Both(), amounts)
    assert most_in_a_minute(times) <= (requests or 1e9)
    assert most_in_a_minute(times, amounts) <= (tokens or 1e9)
    assert times == sorted(times)
    assert times[-1] <= 1.1 * max(59 * 60.0 / (requests or 1e9), 6000 * 60.0 / ((tokens or 1e9) - 150.0))


def test_without_limits_everything_goes():
    paces = Paces(None, None)
    assert all(paces.lets_go(1e9, 0.0, Both()) for _ in range(10))


@pytest.mark.parametrize("shut", ["requests", "tokens"])
def test_what_cannot_be_told_is_asked_again(shut):
    paces, both = Paces(60, 6000), Both()
    both.shut.add(shut)
    assert not paces.lets_go(10.0, both.at(1.0), both)
    assert paces.due is None
    both.shut.clear()
    assert paces.lets_go(10.0, both.at(1.0), both)


def test_who_takes_less_goes_with_what_was_kept_for_another():
    paces, both = Paces(60, 6000), Both()
    assert paces.lets_go(1000.0, both.at(0.0), both)
    assert not paces.lets_go(1000.0, both.at(0.1), both)
    due, asked = paces.due, both.kinds["tokens"].asked
    assert due is not None
    assert paces.lets_go(10.0, both.at(due), both)  # the first in the row was cancelled; this one takes its turn
    assert both.kinds["tokens"].asked == asked


def test_who_takes_more_waits_for_the_rest():
    paces, both = Paces(None, 6000), Both()
    assert paces.lets_go(100.0, both.at(0.0), both)
    assert not paces.lets_go(100.0, both.at(0.1), both)
    first = paces.due
    assert not paces.lets_go(1000.0, both.at(0.1), both)
    assert first is not None
    assert paces.due is not None
    assert paces.due >= first
