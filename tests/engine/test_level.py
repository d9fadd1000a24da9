"""The level: where it settles, against servers in a seeded discrete-event simulation."""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kardia.engine.level import Level

LATENCY = 0.5


@dataclass
class Run:
    """What came of a simulation.

    Attributes:
        log: (time, level, under way at the server) after each event.
        refusals: their times.
        answers: their times.
    """

    log: list[tuple[float, int, int]] = field(default_factory=list)
    refusals: list[float] = field(default_factory=list)
    answers: list[float] = field(default_factory=list)

    @property
    def end(self) -> float:
        return self.log[-1][0]

    def mean(self, begin: float, end: float) -> float:
        """The level between two times (parts of the run), weighted by time."""
        begin, end = begin * self.end, end * self.end
        steps = [(level, later - now) for (now, level, _), (later, _, _) in pairwise(self.log) if begin <= now < end]
        return sum(level * width for level, width in steps) / sum(width for _, width in steps)

    def refused(self, begin: float) -> float:
        """Refusals per answer from a time (part of the run) on."""
        begin *= self.end
        return sum(time >= begin for time in self.refusals) / sum(time >= begin for time in self.answers)


def simulate(
    start: int,
    capacity: Callable[[float], int],
    answers: int,
    *,
    slow: bool = False,
    at_random: float = 0.0,
    told: bool = True,
    seed: int = 1,
    trip: float = 0.01,
) -> Run:
    """Endless work from twice as many workers as the level starts with; each tries again, after a while, when refused.

    Args:
        capacity: of the server at a time: whatever is above it is refused.
        slow: whether refusals take as long as answers.
        at_random: the share that is refused whatever the load.
        told: whether the level is told how long refusals took.
        trip: the time of a refusal that is not slow.
    """
    rng, run, level = random.Random(seed), Run(), Level(start)
    events: list[tuple[float, int, str, float]] = []
    new, again, held, under_way, serving, now, count = 2 * start, 0, 0, 0, 0, 0.0, 0

    def later(seconds: float, kind: str) -> None:
        nonlocal count
        count += 1
        heapq.heappush(events, (now + seconds, count, kind, now))

    def answer_time() -> float:
        return trip + LATENCY * rng.uniform(0.7, 1.3)

    while len(run.answers) < answers:
        while under_way + held < int(level.value) and new + again:
            again, new = (again - 1, new) if again else (again, new - 1)
            under_way += 1
            if serving >= capacity(now) or rng.random() < at_random:
                later(answer_time() if slow else trip * rng.uniform(0.7, 1.5), "overloaded")
            else:
                serving += 1
                later(answer_time(), "answered")
        now, _, kind, began = heapq.heappop(events)
        if kind == "back":
            again += 1
        elif kind == "open":
            held -= 1
        else:
            refused = kind == "overloaded"
            seconds = now - began if told or not refused else None
            level.left(now, "overloaded" if refused else "answered", seconds, under_way + held, int(level.value))
            under_way -= 1
            (run.refusals if refused else run.answers).append(now)
            if refused:
                later(rng.uniform(0.25, 4.0), "back")
                if hold := level.hold(int(level.value)):
                    held += 1
                    later(hold, "open")
            else:
                serving -= 1
                new += 1
            run.log.append((now, int(level.value), serving))
    return run


@pytest.mark.parametrize("slow", [False, True], ids=["at-once", "late"])
@pytest.mark.parametrize(
    ("start", "capacity"),
    [(8, 4), (16, 4), (64, 4), (64, 16), (64, 48), (256, 4), (256, 64), (256, 200), (1024, 8), (1024, 100)],
)
def test_it_settles_at_the_servers_capacity(start, capacity, slow):
    run = simulate(start, lambda now: capacity, max(1200, 60 * capacity), slow=slow)
    assert 0.8 <= run.mean(0.5, 1.0) / capacity <= 1.2
    assert run.refused(0.5) <= 0.2
    # down by 0.7 at a time: each step costs what is above the capacity, all steps together start / 0.3
    assert len(run.refusals) <= 1.5 * start / 0.3 + 0.2 * len(run.answers)


@pytest.mark.parametrize("trip", [0.001, 0.5])
def test_it_settles_however_fast_refusals_come(trip):
    for told in (True, False):
        run = simulate(64, lambda now: 16, 1500, trip=trip, told=told)
        assert 0.8 <= run.mean(0.5, 1.0) / 16 <= 1.2
        assert run.refused(0.5) <= 0.2


def test_a_server_that_refuses_nothing_gets_all():
    run = simulate(64, lambda now: 64, 2000)
    assert run.mean(0.0, 1.0) == 64
    assert not run.refusals


@pytest.mark.parametrize("start", [8, 64, 256])
def test_random_refusals_do_not_strangle_it(start):
    runs = [simulate(start, lambda now: 10**9, 40 * start + 1000, at_random=0.05, seed=seed) for seed in range(4)]
    assert sum(run.mean(0.0, 1.0) for run in runs) / len(runs) >= 0.85 * start
    assert all(run.refused(0.0) <= 0.08 for run in runs)


def test_random_refusals_on_top_of_a_capacity():
    run = simulate(64, lambda now: 16, 3000, at_random=0.05)
    assert 0.8 <= run.mean(0.5, 1.0) / 16 <= 1.2


@pytest.mark.parametrize("at_random", [0.1, 0.2])
def test_more_of_them_slow_it_down_and_no_more(at_random):
    runs = [simulate(64, lambda now: 10**9, 4000, at_random=at_random, seed=seed) for seed in range(4)]
    assert sum(run.mean(0.5, 1.0) for run in runs) / len(runs) >= 16


@pytest.mark.parametrize("slow", [False, True], ids=["at-once", "late"])
def test_it_follows_a_capacity_that_changes(slow):
    run = simulate(256, lambda now: 100 if now < 50 else 20 if now < 100 else 150, 30_000, slow=slow)
    part = 1.0 / run.end
    assert 0.8 <= run.mean(25 * part, 50 * part) / 100 <= 1.2
    assert 0.8 <= run.mean(75 * part, 100 * part) / 20 <= 1.2
    assert 0.8 <= run.mean(150 * part, 1.0) / 150 <= 1.2


def test_it_recovers_all_the_way():
    run = simulate(200, lambda now: 4 if now < 25 else 200, 20_000)
    assert run.mean(0.9, 1.0) >= 190


def fill(level: Level, now: float, outcome: str = "answered", seconds: float = 0.1, in_use: int | None = None) -> float:
    """Exactly one window of requests that began in it; returns the time at its end."""
    now += seconds
    limit = int(level.value)
    for _ in range(10_000):
        now += 1e-6
        if level.left(now, outcome, seconds, limit if in_use is None else in_use, limit):
            return now
    raise AssertionError("the window never closed")


def test_nothing_but_refusals_takes_it_to_one_by_seven_tenths():
    level, now = Level(100), 0.0
    for _ in range(20):
        before = level.value
        now = fill(level, now, "overloaded")
        assert max(1.0, 0.7 * before) <= level.value + 1e-9 <= max(1.0, 0.7 * before + 0.31)
    assert level.value == 1.0


def test_what_began_before_the_level_fell_does_not_count():
    level = Level(16)
    now = fill(level, 0.0, "overloaded", 1.0)
    fallen = level.value
    for _ in range(1000):
        assert not level.left(now + 0.5, "overloaded", 0.6, 11, 11)
    assert level.value == fallen < 16


def test_an_unused_level_does_not_grow():
    level, now = Level(64), 0.0
    level.move(10.0, 64)
    for _ in range(20):
        now = fill(level, now, in_use=3)
    assert level.value == 10.0
    for _ in range(20):
        now = fill(level, now)
    assert level.value > 14


def test_it_falls_where_latency_rises_but_not_below_a_quarter():
    level, now = Level(64), 0.0
    for _ in range(5):
        now = fill(level, now, seconds=0.2)
    assert level.value == 64
    lowest = 64.0
    for _ in range(200):
        before = level.value
        now = fill(level, now, seconds=4.0)
        assert level.value >= 0.9 * before - 1e-9
        lowest = min(lowest, level.value)
    assert 16 <= lowest <= 20
    assert level.value == 64  # what lasts is no longer news


def test_a_latency_that_wavers_moves_nothing():
    level, now, rng = Level(64), 0.0, random.Random(1)
    for _ in range(100):
        now = fill(level, now, seconds=rng.uniform(0.2, 0.4))
        assert level.value == 64


def test_failures_say_nothing_about_the_load_unless_they_took_long():
    level, now = Level(64), 0.0
    now = fill(level, now, seconds=0.2)
    for _ in range(20):
        now = fill(level, now, "failed", 0.001)
    now = fill(level, now, seconds=0.2)
    assert level.value == 64
    for _ in range(5):
        now = fill(level, now, "failed", 60.0)  # time-outs
    assert level.value < 64


def test_shares_of_a_level_move_the_whole_as_one_does():
    one, halves = Level(100), [Level(100), Level(100)]
    for level in halves:
        for count in range(50):
            level.left(1.0, "overloaded" if count % 5 == 0 else "answered", 0.0, 50, 50)
    for count in range(100):
        one.left(1.0, "overloaded" if count % 5 == 0 else "answered", 0.0, 100, 100)
    assert one.value < 100
    assert sum(level.moved for level in halves) == pytest.approx(one.moved)


def test_slots_are_kept_shut_only_where_refusals_are_many():
    level = Level(64)
    fill(level, 0.0, seconds=2.0)
    for _ in range(7):
        level.left(3.0, "overloaded", 0.0, 64, 64)
        assert level.hold(64) == 0.0
    level.left(3.0, "overloaded", 0.0, 64, 64)
    assert level.hold(64) == 2.0


@given(
    st.integers(1, 300),
    st.lists(
        st.tuples(
            st.sampled_from(["answered", "overloaded", "failed"]),
            st.floats(0.0, 50.0) | st.none(),
            st.floats(0.0, 1.0),
        ),
        max_size=200,
    ),
    st.integers(1, 40),
)
@settings(max_examples=100, deadline=None)
def test_whatever_happens_it_stays_in_its_bounds(ceiling, happenings, repeat):
    level, now = Level(ceiling), 0.0
    for outcome, seconds, wait in happenings * repeat:
        now += wait
        before, limit = level.value, int(level.value)
        level.left(now, outcome, seconds, limit, limit)
        assert 1.0 <= level.value <= ceiling
        assert level.value >= 0.7 * before - 1e-9
        assert level.value <= before + max(8, before) / 8 + 1e-9
        assert 0.0 <= level.hold(limit) <= 10.0
