"""The gate: order, slots, pace and pauses on a loop with a clock of its own; and two real processes on one file."""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import os
import random
import selectors
import signal
import sqlite3
import subprocess
import sys
import textwrap
import threading
import time
import weakref
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

import pytest

from kardia.engine import commons as commons_module
from kardia.engine import gate as module
from kardia.engine.commons import Commons
from kardia.engine.gate import Gate, endpoint_of
from kardia.judge.profile import JudgeProfile, Limits

T = TypeVar("T")


class Asleep(selectors.DefaultSelector):
    """Moves the clock instead of waiting."""

    clock: Clockwork

    def select(self, timeout: float | None = None) -> list[Any]:
        ready = super().select(0)
        if not ready:
            assert timeout is not None, "everybody waits, and nothing will ever happen"
            self.clock.now += timeout
        return ready


class Clockwork(asyncio.SelectorEventLoop):
    """An event loop on which time passes only while nobody has anything to do."""

    def __init__(self) -> None:
        self.now = 1000.0
        selector = Asleep()
        selector.clock = self
        super().__init__(selector)

    def time(self) -> float:
        return self.now

    @property
    def timers(self) -> int:
        return len(self._scheduled)  # type: ignore[attr-defined]


def on_clockwork(work: Callable[[], Coroutine[Any, Any, T]]) -> T:
    loop = Clockwork()
    try:
        return loop.run_until_complete(work())
    finally:
        loop.close()


def clock() -> float:
    return asyncio.get_running_loop().time()


def made(concurrency: int, commons: Commons | None = None, **limits: Any) -> Gate:
    return Gate(Limits(concurrency=concurrency, **limits), commons, wall=clock)


async def pass_through(gate: Gate, seconds: float = 1.0, tokens: float = 0.0) -> float:
    """One request; returns when it went."""
    if not gate.try_enter(tokens):
        await gate.enter(tokens)
    began = clock()
    await asyncio.sleep(seconds)
    gate.leave("answered", clock() - began)
    return began


class Someone:
    """A judge, as far as a gate is concerned."""

    def __init__(self, **profile: Any) -> None:
        data = {"name": "j", "backend": "http", "model": "m", "base_url": "http://127.0.0.1:1/v1", **profile}
        self.profile = JudgeProfile.model_validate(data)


# order and slots


def test_who_comes_when_there_is_room_does_not_wait():
    async def work():
        gate = made(3)
        assert [gate.try_enter(0.0) for _ in range(4)] == [True, True, True, False]
        assert (gate.level, gate.in_flight, gate.waiting) == (3, 3, 0)
        gate.leave("answered", 0.1)
        assert gate.try_enter(0.0)

    on_clockwork(work)


def test_first_come_first_served_but_retries_go_first():
    async def work():
        gate, order = made(1), []

        async def one(name: str, again: bool) -> None:
            await gate.enter(0.0, again=again)
            order.append(name)
            await asyncio.sleep(1)
            gate.leave("answered", 1.0)

        tasks = []
        for name, again in (("a", False), ("b", False), ("c", True), ("d", False), ("e", True)):
            tasks.append(asyncio.ensure_future(one(name, again)))
            await asyncio.sleep(0)
        assert gate.waiting == 4
        assert not gate.try_enter(0.0)
        await asyncio.gather(*tasks)
        assert order == ["a", "c", "e", "b", "d"]
        assert (gate.in_flight, gate.waiting) == (0, 0)

    on_clockwork(work)


def test_nobody_overtakes_those_who_wait():
    async def work():
        gate = made(1)
        assert gate.try_enter(0.0)
        waiter = asyncio.ensure_future(gate.enter(0.0))
        await asyncio.sleep(0)
        gate.leave("answered", 0.1)
        assert not gate.try_enter(0.0)  # the slot is the waiter's, who has not run yet
        await waiter
        assert gate.in_flight == 1

    on_clockwork(work)


@pytest.mark.parametrize("again", [False, True])
def test_who_is_cancelled_while_waiting_leaves_nothing_behind(again):
    async def work():
        gate = made(1)
        assert gate.try_enter(0.0)
        waiters = [asyncio.ensure_future(gate.enter(0.0, again=again and n < 2)) for n in range(4)]
        await asyncio.sleep(0)
        for waiter in waiters[:3]:
            waiter.cancel()
        await asyncio.sleep(0)
        assert gate.waiting == 1
        gate.leave("answered", 0.1)
        await waiters[3]
        gate.leave("answered", 0.1)
        assert (gate.in_flight, gate.waiting, gate.try_enter(0.0)) == (0, 0, True)

    on_clockwork(work)


def test_who_is_cancelled_as_a_slot_gets_free_does_not_disturb_the_others():
    async def work():
        gate = made(2)
        assert gate.try_enter(0.0)
        assert gate.try_enter(0.0)
        first, second = (asyncio.ensure_future(gate.enter(0.0)) for _ in range(2))
        await asyncio.sleep(0)
        for waiter in (first, second):
            waiter.cancel()
        gate.leave("answered", 0.1)  # before the cancelled ones have run
        await gate.enter(0.0)
        await asyncio.gather(first, second, return_exceptions=True)
        gate.leave("answered", 0.1)
        gate.leave("answered", 0.1)
        assert (gate.in_flight, gate.waiting) == (0, 0)
        assert gate.try_enter(0.0)

    on_clockwork(work)


def test_who_is_cancelled_just_as_it_is_let_in_hands_the_slot_on():
    async def work():
        gate = made(1)
        assert gate.try_enter(0.0)
        first, second = (asyncio.ensure_future(gate.enter(0.0)) for _ in range(2))
        await asyncio.sleep(0)
        gate.leave("answered", 0.1)
        first.cancel()
        await second
        assert first.cancelled()
        assert (gate.in_flight, gate.waiting) == (1, 0)

    on_clockwork(work)


def test_whatever_is_cancelled_no_slot_is_lost():
    async def work():
        gate, rng = made(5, requests_per_minute=600), random.Random(3)
        most = 0

        async def one() -> None:
            nonlocal most
            again = False
            for _ in range(2):
                await gate.enter(0.0, again=again)
                most = max(most, gate.in_flight)
                try:
                    await asyncio.sleep(rng.uniform(0.0, 1.0))
                finally:
                    gate.leave(rng.choice(["answered", "failed"]), 0.5)
                again = True

        tasks = [asyncio.ensure_future(one()) for _ in range(300)]
        for _ in range(200):
            await asyncio.sleep(rng.uniform(0.0, 0.3))
            rng.choice(tasks).cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert most == 5
        assert (gate.in_flight, gate.waiting) == (0, 0)
        assert sum(task.cancelled() for task in tasks) > 50
        for _ in range(5):
            await gate.enter(0.0)
        assert gate.in_flight == 5

    on_clockwork(work)


def test_while_there_is_room_no_timer_runs():
    async def work():
        gate = made(4)
        for _ in range(100):
            assert gate.try_enter(0.0)
            gate.leave("answered", 0.01)
        assert asyncio.get_running_loop().timers == 0

    on_clockwork(work)


# the level


def refusing(capacity: int, log: list[tuple[float, int]], told: float | None = None) -> Callable[..., Any]:
    """What a worker does against a server that answers 429 above a capacity."""
    rng, serving = random.Random(1), 0

    async def ask(gate: Gate) -> None:
        nonlocal serving
        again = False
        while True:
            await gate.enter(0.0, again=again)
            began, refused = clock(), serving >= capacity
            if refused:
                await asyncio.sleep(0.01)
            else:
                serving += 1
                await asyncio.sleep(rng.uniform(0.35, 0.65))
                serving -= 1
            gate.leave("overloaded" if refused else "answered", clock() - began, told if refused else None)
            log.append((clock(), gate.level))
            if not refused:
                return
            again = True
            await asyncio.sleep(told or rng.uniform(0.25, 4.0))

    return ask


@pytest.mark.parametrize("told", [None, 1.0])
@pytest.mark.parametrize("capacity", [4, 16, 48])
def test_it_settles_at_a_servers_capacity(capacity, told):
    async def work():
        gate, log = made(64), []
        ask, left = refusing(capacity, log, told), 60 * capacity + 800

        async def worker() -> None:
            nonlocal left
            while left:
                left -= 1
                await ask(gate)

        await asyncio.gather(*(worker() for _ in range(128)))
        half = [level for now, level in log if now > (1000.0 + clock()) / 2]
        assert 0.8 <= sum(half) / len(half) / capacity <= 1.2
        assert len(log) <= 1.25 * (60 * capacity + 800) + 300
        assert (gate.in_flight, gate.waiting) == (0, 0)

    on_clockwork(work)


# the pace


def most_in(times: list[float], seconds: float) -> int:
    return max(sum(begin <= time < begin + seconds for time in times) for begin in times)


@pytest.mark.parametrize("limit", [30, 600, 6000])
def test_requests_a_minute(limit):
    async def work():
        gate = made(50, requests_per_minute=limit)
        times = await asyncio.gather(*(pass_through(gate, 0.1) for _ in range(2 * limit)))
        assert sorted(times) == times
        assert all(later - time > 60.0 for time, later in zip(times, times[limit:], strict=False))
        assert most_in(times[:500], 1.0) <= limit / 60 + 2
        assert len(times) / (times[-1] - times[0]) >= 0.95 * limit / 60

    on_clockwork(work)


def test_tokens_a_minute():
    async def work():
        gate, rng = made(50, tokens_per_minute=60_000), random.Random(1)
        amounts = [rng.uniform(10, 1000) for _ in range(400)]
        times = await asyncio.gather(*(pass_through(gate, 0.1, amount) for amount in amounts))
        for begin in times:
            held = sum(a for time, a in zip(times, amounts, strict=True) if begin <= time < begin + 60.0)
            assert held <= 60_000
        assert sum(amounts) / (times[-1] - times[0]) >= 0.9 * 1000

    on_clockwork(work)


@pytest.mark.parametrize("scarce", ["requests", "tokens"])
def test_the_scarcer_of_two_limits_holds_and_the_other_loses_nothing(scarce):
    async def work():
        limits = {"requests_per_minute": 600, "tokens_per_minute": 80_000}
        tokens = 100.0 if scarce == "requests" else 200.0
        gate = made(50, **limits)
        times = await asyncio.gather(*(pass_through(gate, 0.1, tokens) for _ in range(500)))
        rate = len(times) / (times[-1] - times[0])
        assert rate >= (9.5 if scarce == "requests" else 0.95 * 80_000 / 60 / 200)
        assert most_in(times, 1.0) <= 12

    on_clockwork(work)


def test_who_is_let_in_at_once_keeps_the_pace_too():
    async def work():
        gate, times = made(50, requests_per_minute=600), []
        while len(times) < 100:
            if gate.try_enter(0.0):
                times.append(clock())
                gate.leave("answered", 0.01)
            await asyncio.sleep(0.003)
        assert most_in(times, 1.0) <= 11
        assert times[-1] - times[0] <= 11.5

    on_clockwork(work)


# pauses


def test_where_most_are_told_to_come_back_later_nobody_asks_until_then():
    async def work():
        gate = made(20)
        began = clock()
        for _ in range(10):
            assert gate.try_enter(0.0)
        for _ in range(10):
            gate.leave("overloaded", 0.01, 30.0)
        assert not gate.try_enter(0.0)
        await gate.enter(0.0)
        assert clock() == pytest.approx(began + 30.0, abs=0.01)
        assert gate.try_enter(0.0)

    on_clockwork(work)


def test_an_hour_is_more_than_anybody_waits():
    async def work():
        gate, began = made(20), clock()
        for _ in range(10):
            gate.try_enter(0.0)
            gate.leave("overloaded", 0.01, 3600.0)
        await gate.enter(0.0)
        assert clock() == pytest.approx(began + 60.0, abs=0.01)

    on_clockwork(work)


@pytest.mark.parametrize("of_ten", [1, 4])
def test_where_few_are_the_others_go_on(of_ten):
    async def work():
        gate, began = made(20), clock()
        for count in range(200):
            assert gate.try_enter(0.0)
            gate.leave("overloaded" if count % 10 < of_ten else "answered", 0.01, 30.0 if count % 10 < of_ten else None)
            await asyncio.sleep(0.1)
        assert clock() < began + 25.0

    on_clockwork(work)


def test_those_beyond_a_capacity_do_not_stop_those_within_it():
    async def work():
        gate = made(20)
        for _ in range(20):
            assert gate.try_enter(0.0)
        for _ in range(8):
            gate.leave("overloaded", 0.01, 30.0)
        assert gate.in_flight == 12
        gate.leave("answered", 0.5)
        await gate.enter(0.0)
        assert clock() < 1010.0

    on_clockwork(work)


# whose gate it is


async def test_one_for_an_endpoint_a_file_and_a_loop(tmp_path):
    ledger = tmp_path / "ledger"
    gate = Gate.of(Someone(), ledger)
    assert gate is Gate.of(Someone(name="other", backend="openai", base_url="http://127.0.0.1:1/v1/"), ledger)
    assert gate is not Gate.of(Someone(model="n"), ledger)
    assert gate is not Gate.of(Someone(base_url="http://127.0.0.1:2/v1"), ledger)
    assert gate is not Gate.of(Someone(), tmp_path / "another")
    elsewhere: list[Gate] = []

    async def there() -> None:
        elsewhere.append(Gate.of(Someone(), ledger))

    thread = threading.Thread(target=asyncio.run, args=(there(),))
    thread.start()
    thread.join()
    assert elsewhere[0] is not gate


async def test_a_judge_that_is_no_endpoint_has_its_own(tmp_path):
    judge = Someone(backend="fake", model=None, base_url=None)
    gate = Gate.of(judge, tmp_path / "ledger")
    assert gate is not Gate.of(judge, tmp_path / "ledger")
    assert gate.try_enter(0.0)
    assert not list(tmp_path.iterdir())


def test_endpoints_by_what_they_are_called():
    assert endpoint_of(Someone().profile) == "http://127.0.0.1:1/v1 m"
    openai = endpoint_of(Someone(backend="openai", base_url=None).profile)
    assert openai == "https://api.openai.com/v1 m"
    assert endpoint_of(Someone(backend="litellm", base_url=None).profile) == "litellm m"


async def test_the_latest_limits_hold(tmp_path):
    gate = Gate.of(Someone(limits={"concurrency": 2}), tmp_path / "ledger")
    assert [gate.try_enter(0.0) for _ in range(3)] == [True, True, False]
    waiter = asyncio.ensure_future(gate.enter(0.0))
    await asyncio.sleep(0)
    assert Gate.of(Someone(limits={"concurrency": 4}), tmp_path / "ledger") is gate
    await waiter
    assert (gate.level, gate.in_flight) == (4, 3)
    Gate.of(Someone(limits={"concurrency": 1}), tmp_path / "ledger")
    assert gate.level == 1
    for _ in range(3):
        assert not gate.try_enter(0.0)
        gate.leave("answered", 0.1)
    assert gate.try_enter(0.0)
    gate.leave("answered", 0.1)


def test_it_does_not_keep_its_loop(tmp_path):
    loops: list[weakref.ref[asyncio.AbstractEventLoop]] = []

    async def work() -> None:
        loops.append(weakref.ref(asyncio.get_running_loop()))
        gate = Gate.of(Someone(limits={"concurrency": 1, "requests_per_minute": 6000}), tmp_path / "ledger")
        await gate.enter(0.0)
        waiter = asyncio.ensure_future(gate.enter(0.0))
        await asyncio.sleep(0)
        waiter.cancel()

    for _ in range(3):
        asyncio.run(work())
    gc.collect()
    assert [loop() for loop in loops] == [None, None, None]
    assert not [loop for loop in module._gates if loop.is_closed()]


def test_a_loop_that_has_gone_keeps_no_slots(tmp_path):
    async def work() -> bool:
        gate = Gate.of(Someone(limits={"concurrency": 1}), tmp_path / "ledger")
        return gate.try_enter(0.0) and not gate.try_enter(0.0)  # and never leaves

    assert all(asyncio.run(work()) for _ in range(3))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_after_a_fork_the_child_has_gates_of_its_own(tmp_path):
    script = f"""
        import asyncio, os, sys
        from pathlib import Path
        from kardia.engine import gate as module
        from kardia.engine.gate import Gate
        from kardia.judge.profile import JudgeProfile
        class Someone:
            profile = JudgeProfile(name="j", backend="http", model="m", base_url="http://127.0.0.1:1/v1")
        async def work():
            gate = Gate.of(Someone, Path({str(tmp_path / "ledger")!r}))
            entered = gate.try_enter(0.0)
            gate.leave("answered", 0.1)
            return entered
        loop = asyncio.new_event_loop()
        assert loop.run_until_complete(work())
        assert len(module._gates) == 1
        child = os.fork()
        if child == 0:
            assert not module._gates
            assert asyncio.run(asyncio.wait_for(asyncio.sleep(0.0), 1)) is None
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert loop.run_until_complete(work())
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


async def test_a_request_that_comes_back_after_its_loop_has_gone_harms_nobody():
    gates: list[Gate] = []

    async def there() -> None:
        gates.append(made(2))
        gates[0].try_enter(0.0)

    await asyncio.to_thread(asyncio.run, there())
    gates[0].leave("answered", 0.1)
    assert gates[0].in_flight == 0


# several on one file


def test_two_share_the_slots_and_one_alone_has_all(tmp_path):
    async def work():
        gates = [made(8, Commons(tmp_path / "limits", "e")) for _ in range(2)]
        most, through = 0, [0, 0]

        async def worker(who: int, until: float) -> None:
            nonlocal most
            while clock() < until:
                await gates[who].enter(0.0)
                most = max(most, sum(gate.in_flight for gate in gates))
                await asyncio.sleep(0.1)
                gates[who].leave("answered", 0.1)
                through[who] += 1

        await asyncio.gather(
            *(worker(0, 1020.0) for _ in range(16)),
            *(worker(1, 1010.0) for _ in range(16)),
        )
        assert most == 8
        # 80 a second: 40 each in the first ten seconds, all of them after that
        assert 360 <= through[1] <= 440
        assert 1100 <= through[0] <= 1240
        assert gates[0].level == 8

    on_clockwork(work)


def test_who_is_idle_keeps_no_slots_and_no_timer(tmp_path):
    async def work():
        first, second = (made(8, Commons(tmp_path / "limits", "e")) for _ in range(2))
        await pass_through(first, 0.1)
        await asyncio.sleep(1)
        assert asyncio.get_running_loop().timers == 0
        assert [second.try_enter(0.0) for _ in range(9)] == [True] * 8 + [False]
        for _ in range(8):
            second.leave("answered", 0.1)

    on_clockwork(work)


def test_four_settle_together_at_a_servers_capacity(tmp_path):
    async def work():
        gates = [made(64, Commons(tmp_path / "limits", "e")) for _ in range(4)]
        log: list[tuple[float, int]] = []
        ask, left = refusing(24, log), 4000

        async def worker(gate: Gate) -> None:
            nonlocal left
            while left:
                left -= 1
                await ask(gate)

        await asyncio.gather(*(worker(gate) for gate in gates for _ in range(40)))
        half = [level for now, level in log if now > (1000.0 + clock()) / 2]
        assert 0.8 <= sum(half) / len(half) / 24 <= 1.2
        assert len(log) <= 1.25 * 4000 + 300

    on_clockwork(work)


def test_several_keep_one_pace(tmp_path):
    async def work():
        gates = [made(8, Commons(tmp_path / "limits", "e"), requests_per_minute=600) for _ in range(3)]
        times = await asyncio.gather(*(pass_through(gates[n % 3], 0.1) for n in range(1200)))
        times.sort()
        assert all(later - time > 60.0 for time, later in zip(times, times[600:], strict=False))
        assert most_in(times[:500], 1.0) <= 12
        assert 1200 / (max(times) - min(times)) >= 9.3

    on_clockwork(work)


def test_a_pause_holds_for_the_others(tmp_path):
    async def work():
        first, second = (made(20, Commons(tmp_path / "limits", "e")) for _ in range(2))
        assert first.try_enter(0.0)
        assert not second.try_enter(0.0)
        await second.enter(0.0)
        began = clock()
        for _ in range(9):
            await first.enter(0.0)
        for _ in range(10):
            first.leave("overloaded", 0.01, 30.0)
        await asyncio.sleep(0.5)
        assert not second.try_enter(0.0)
        await second.enter(0.0)
        assert clock() >= began + 29.9
        second.leave("answered", 0.1)
        second.leave("answered", 0.1)

    on_clockwork(work)


@pytest.mark.parametrize("trouble", ["no database", "locked"])
def test_without_the_file_the_limits_hold_for_it_alone(tmp_path, trouble, caplog, monkeypatch):
    monkeypatch.setattr(commons_module, "_warned", set())
    path = tmp_path / "limits"
    other = None
    if trouble == "locked":
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("CREATE TABLE t (x)")
        other.execute("BEGIN EXCLUSIVE")
    else:
        path.write_text("this is no database at all " * 100)

    async def work():
        gate, most = made(8, Commons(path, "e"), requests_per_minute=6000), 0

        async def one() -> float:
            nonlocal most
            await gate.enter(0.0)
            most = max(most, gate.in_flight)
            began = clock()
            await asyncio.sleep(0.2)
            gate.leave("answered", 0.2)
            return began

        times = await asyncio.gather(*(one() for _ in range(200)))
        assert most == 8
        assert most_in(times, 0.1) <= 12
        assert max(times) - min(times) <= 10.0

    with caplog.at_level(logging.WARNING, "kardia"):
        on_clockwork(work)
    assert len(caplog.records) == 1
    if other is not None:
        other.close()


# real processes

WORKER = """
import asyncio, json, sys, time
from pathlib import Path
from kardia.engine.commons import Commons
from kardia.engine.gate import Gate
from kardia.judge.profile import Limits

path, limits, workers, count, seconds = json.loads(sys.argv[1])

async def main():
    gate, spans, left = Gate(Limits(**limits), Commons(Path(path), "e")), [], count
    print("ready", flush=True)
    sys.stdin.readline()

    async def worker():
        nonlocal left
        while left:
            left -= 1
            if not gate.try_enter(0.0):
                await gate.enter(0.0)
            began = time.time()
            await asyncio.sleep(seconds)
            spans.append((began, time.time()))
            gate.leave("answered", spans[-1][1] - began)

    await asyncio.gather(*(worker() for _ in range(workers)))
    print(json.dumps(spans), flush=True)

asyncio.run(main())
"""


def start(*given: Any) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", textwrap.dedent(WORKER), json.dumps(given)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def together(*given: Any) -> list[list[tuple[float, float]]]:
    """When the requests of two processes began and ended."""
    processes = [start(*given) for _ in range(2)]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    outputs = [process.communicate()[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    return [json.loads(output) for output in outputs]


def test_two_processes_keep_one_pace(tmp_path):
    spans = together(str(tmp_path / "limits"), {"concurrency": 32, "requests_per_minute": 600}, 16, 20, 0.01)
    times = sorted(began for process in spans for began, _ in process)
    assert len(times) == 40
    # every 101 ms one; one of each process may be late, and a loop that was kept from running counts as that
    for seconds in (0.5, 1.0, 2.0, 4.0):
        assert most_in(times, seconds) <= seconds / 0.101 + 3


def test_two_processes_share_the_slots(tmp_path):
    spans = together(str(tmp_path / "limits"), {"concurrency": 8}, 16, 400, 0.03)
    flat = [span for process in spans for span in process]
    steps = sorted([(began, 1) for began, _ in flat] + [(ended, -1) for _, ended in flat])
    open_, most = 0, 0
    for _, step in steps:
        open_ += step
        most = max(most, open_)
    assert 4 < most <= 8
    assert [len(process) for process in spans] == [400, 400]


def until_granted(path: Path, slots: int) -> None:
    while True:
        try:
            members = sqlite3.connect(path)
            if members.execute("SELECT count(*) FROM members WHERE granted = ?", (slots,)).fetchone()[0]:
                return
        except sqlite3.OperationalError:
            pass  # the file is just being made
        finally:
            members.close()
        time.sleep(0.01)


@pytest.mark.skipif(os.name != "posix", reason="signals")
async def test_what_a_killed_process_held_goes_back(tmp_path):
    process = start(str(tmp_path / "limits"), {"concurrency": 4}, 8, 8, 3600.0)
    assert process.stdout is not None
    assert process.stdin is not None
    assert process.stdout.readline() == "ready\n"
    process.stdin.write("\n")
    process.stdin.flush()
    until_granted(tmp_path / "limits", 4)
    gate = Gate(Limits(concurrency=4), Commons(tmp_path / "limits", "e"))
    assert not gate.try_enter(0.0)
    waiting = asyncio.ensure_future(gate.enter(0.0))
    await asyncio.sleep(0.3)
    assert not waiting.done()
    process.send_signal(signal.SIGKILL)
    process.communicate()
    await waiting
    assert all(gate.try_enter(0.0) for _ in range(3))
    for _ in range(4):
        gate.leave("answered", 0.1)
