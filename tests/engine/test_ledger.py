"""The ledger: nobody is told before it is safe, and everybody is told."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import threading
from pathlib import Path

import pytest

from kardia.engine import ledger as module
from kardia.engine.ledger import Ledger, open_ledger
from kardia.engine.store import StoreError
from kardia.errors import InputError

from .ledgers import NOW, entry, key, payload, python

pytestmark = pytest.mark.usefixtures("own_ledgers")
posix = pytest.mark.skipif(os.name == "nt", reason="POSIX")
FOREVER_S = 1000.0


class Memory:
    """A store in a dictionary that keeps count, and fails when it is told to."""

    place = "memory"

    def __init__(self):
        self.entries = {}
        self.uses = set()
        self.puts = []
        self.gets = 0
        self.closed = 0
        self.failing = None
        self.threads = set()
        self.gate = threading.Event()
        self.gate.set()

    def get(self, keys):
        self.gets += 1
        if self.failing:
            raise self.failing
        return [
            (name, self.entries[name].conversation, self.entries[name].payload) for name in keys if name in self.entries
        ]

    def put(self, entries, uses, created):
        self.gate.wait(30)
        self.threads.add(threading.current_thread().name)
        self.puts.append(len(entries))
        if self.failing:
            raise self.failing
        self.entries.update({one.key: one for one in entries})
        self.uses.update(uses)

    def close(self):
        self.closed += 1


@pytest.fixture
def memory():
    return Memory()


@pytest.fixture
def ledger(memory):
    made = Ledger(memory)
    yield made
    memory.gate.set()
    made.close()


@pytest.fixture(autouse=True)
def _unnamed(monkeypatch):
    """Where the ledger lies is what a test says."""
    monkeypatch.delenv("KARDIA_LEDGER", raising=False)


@pytest.fixture
def patient(monkeypatch):
    """A ledger that waits for a full group for as long as it takes."""
    monkeypatch.setattr(module, "WAIT_S", FOREVER_S)
    monkeypatch.setattr(module, "LEAST_WAIT_S", FOREVER_S)


async def recorded(ledger, numbers):
    """Records entries and waits until all are safe; in which order they were told, and on which threads."""
    loop = asyncio.get_running_loop()
    told, all_told, threads = [], loop.create_future(), set()

    def then(number):
        told.append(number)
        threads.add(threading.current_thread())
        if len(told) == len(numbers):
            all_told.set_result(None)

    for number in numbers:
        ledger.record(entry(number), lambda number=number: then(number))
    await asyncio.wait_for(all_told, 60)
    assert threads == {threading.current_thread()}
    return told


async def until(true):
    for _ in range(6000):
        if true():
            return
        await asyncio.sleep(0.01)
    raise TimeoutError


def messages(caplog):
    return [record.getMessage() for record in caplog.records if record.name == "kardia"]


# ---------------------------------------------------------------- recording


async def test_they_are_told_in_order_and_after_the_commit(ledger, memory):
    memory.gate.clear()
    told = []
    for number in range(10):
        ledger.record(entry(number), lambda number=number: told.append((number, key(number) in memory.entries)))
    assert ledger.pending == 10
    ledger.flush()
    await asyncio.sleep(0.05)
    assert not told
    memory.gate.set()
    await until(lambda: len(told) == 10)
    assert ledger.pending == 0
    assert told == [(number, True) for number in range(10)]
    assert memory.threads == {"kardia-ledger"}


async def test_sixty_four_are_a_group(ledger, memory, patient):
    for number in range(63):
        ledger.record(entry(number), lambda: None)
    await asyncio.sleep(0.05)
    assert memory.puts == []
    assert await recorded(ledger, [63]) == [63]
    assert memory.puts == [64]


async def test_fewer_wait_for_a_moment_only(ledger, memory):
    assert await recorded(ledger, range(20)) == list(range(20))
    assert sum(memory.puts) == 20
    assert len(memory.puts) == 1


async def test_flush_does_not_wait_for_more(ledger, memory, patient):
    waiting = asyncio.ensure_future(recorded(ledger, range(5)))
    await asyncio.sleep(0)
    ledger.flush()
    ledger.flush()
    assert await waiting == list(range(5))
    assert memory.puts == [5]


async def test_what_comes_while_it_writes_is_one_commit(ledger, memory):
    memory.gate.clear()
    waiting = asyncio.ensure_future(recorded(ledger, range(640)))
    await asyncio.sleep(0.05)
    memory.gate.set()
    assert await waiting == list(range(640))
    assert len(memory.puts) <= 3


async def test_one_call_for_a_loop_and_a_group(ledger, memory, patient, monkeypatch):
    loop = asyncio.get_running_loop()
    calls = []
    plain = loop.call_soon_threadsafe
    monkeypatch.setattr(loop, "call_soon_threadsafe", lambda *args: (calls.append(args), plain(*args))[1])
    await recorded(ledger, range(64))
    assert len(calls) == 1


def test_every_loop_is_told_on_its_own(ledger, memory):
    results = []

    def work(start):
        results.append(asyncio.run(recorded(ledger, range(start, start + 300))))

    threads = [threading.Thread(target=work, args=(start,)) for start in range(0, 1200, 300)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == [list(range(start, start + 300)) for start in range(0, 1200, 300)]
    assert set(memory.entries) == {key(number) for number in range(1200)}
    assert ledger.pending == 0


async def test_what_follows_may_fail_and_the_others_are_told(ledger, memory):
    loop = asyncio.get_running_loop()
    problems, told = [], []
    loop.set_exception_handler(lambda _, context: problems.append(context["exception"]))
    ledger.record(entry(1), lambda: 1 / 0)
    ledger.record(entry(2), lambda: told.append(2))
    await until(lambda: told)
    assert [type(problem) for problem in problems] == [ZeroDivisionError]


# ---------------------------------------------------------------- looking up


def test_lookup(ledger, memory):
    memory.put([entry(1, "a"), entry(2, "b")], [], NOW)
    assert ledger.lookup([(key(1), "a"), (key(2), "b"), (key(3), "c")]) == {key(1): payload(1), key(2): payload(2)}
    assert ledger.lookup([]) == {}
    assert memory.gets == 1
    ledger.close()
    assert memory.uses == set()


def test_whoever_uses_an_answer_is_remembered(ledger, memory):
    memory.put([entry(1, "a"), entry(2, "b")], [], NOW)
    ledger.lookup([(key(1), "a"), (key(2), "a"), (key(3), "a")])
    ledger.lookup([(key(1), "a"), (key(1), "c"), (key(1), "d"), (key(1), "c"), (key(4), "c")])
    ledger.share(key(2), "e")
    ledger.close()
    assert memory.uses == {(key(2), "a"), (key(1), "c"), (key(1), "d"), (key(2), "e")}


async def test_uses_are_written_with_the_next_group(ledger, memory, patient):
    memory.put([entry(1, "a")], [], NOW)
    ledger.lookup([(key(1), "b")])
    await recorded(ledger, range(2, 66))
    assert memory.uses == {(key(1), "b")}
    assert memory.puts == [1, 64]


async def test_uses_alone_are_written_soon(ledger, memory):
    memory.put([entry(1, "a")], [], NOW)
    ledger.lookup([(key(1), "b")])
    await until(lambda: memory.uses)
    assert memory.uses == {(key(1), "b")}


# ---------------------------------------------------------------- giving up


@pytest.mark.parametrize(
    ("problem", "words"),
    [
        (StoreError("the ledger memory is full"), "the ledger memory is full: answers are not stored from here on"),
        (KeyError("oh"), "the ledger memory failed (KeyError: 'oh'): answers are not stored from here on"),
    ],
)
async def test_a_store_that_fails_stops_nobody(ledger, memory, caplog, problem, words):
    memory.failing = problem
    for start in (0, 100, 200):
        assert sorted(await recorded(ledger, range(start, start + 100))) == list(range(start, start + 100))
    assert len(memory.puts) <= 2
    assert ledger.pending == 0
    assert messages(caplog) == [words]
    memory.failing = None
    await recorded(ledger, [1])
    assert not memory.entries
    await recorded(ledger.reopened(), [2])
    assert set(memory.entries) == {key(2)}


def test_a_store_that_cannot_be_read(ledger, memory, caplog):
    memory.failing = StoreError("the ledger memory is gone")
    assert ledger.lookup([(key(1), "a")]) == {}
    assert ledger.lookup([(key(1), "a")]) == {}
    assert memory.gets == 1
    assert messages(caplog) == ["the ledger memory is gone: what it holds is asked for again"]


# ---------------------------------------------------------------- closing


def test_close_waits_for_what_nobody_waits_for(ledger, memory, patient):
    async def leave():
        for number in range(100):
            ledger.record(entry(number), lambda: None)

    asyncio.run(leave())
    assert len(memory.entries) < 100
    ledger.close()
    assert set(memory.entries) == {key(number) for number in range(100)}
    assert (ledger.pending, memory.closed) == (0, 1)


def test_closed_it_can_be_used_again(ledger, memory):
    before = set(threading.enumerate())  # other tests may have left ledgers open
    for start in (0, 50, 100):
        asyncio.run(recorded(ledger, range(start, start + 50)))
        ledger.close()
        ledger.close()
    assert set(memory.entries) == {key(number) for number in range(150)}
    assert not [thread for thread in set(threading.enumerate()) - before if thread.name == "kardia-ledger"]


def test_closing_while_others_record(ledger, memory):
    stop = threading.Event()

    def closing():
        while not stop.is_set():
            ledger.close()

    closer = threading.Thread(target=closing)
    closer.start()
    try:
        assert sorted(asyncio.run(recorded(ledger, range(2000)))) == list(range(2000))
    finally:
        stop.set()
        closer.join()
    assert len(memory.entries) == 2000


def test_where_no_thread_can_be_started_closing_writes(ledger, memory, monkeypatch, patient):
    def refused(self):
        raise RuntimeError("can't create new thread at interpreter shutdown")

    async def leave():
        for number in range(70):
            ledger.record(entry(number), lambda: None)

    monkeypatch.setattr(threading.Thread, "start", refused)
    asyncio.run(leave())
    assert not memory.entries
    ledger.close()
    assert len(memory.entries) == 70


# ---------------------------------------------------------------- processes

FULL = """
import asyncio, resource, sys
from ledgers import *
from kardia.engine.ledger import open_ledger
ledger = open_ledger(sys.argv[1])
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), int(sys.argv[2])))
async def main():
    told = []
    for number in range(3000):
        ledger.record(entry(number), lambda number=number: told.append(number))
        if number % 50 == 0:
            await asyncio.sleep(0.001)
    while len(told) < 3000:
        await asyncio.sleep(0.001)
    assert sorted(told) == list(range(3000))
    print(len(ledger.lookup([(key(number), "conversation %d" % number) for number in range(3000)])))
asyncio.run(main())
ledger.close()
"""


@posix
def test_a_disk_that_fills_up_costs_no_result(tmp_path):
    path = tmp_path / "ledger.sqlite3"
    process = python(FULL, path, 400_000)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0
    assert err.count("\n") == 1
    assert err.startswith(f"the ledger {path} cannot be written (")
    assert err.endswith("answers are not stored from here on\n")
    assert 0 < int(out) < 3000


# ---------------------------------------------------------------- opening


def test_one_for_a_place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "link").symlink_to(tmp_path)
    ledger = open_ledger("ledger.sqlite3")
    assert ledger is open_ledger(tmp_path / "ledger.sqlite3") is open_ledger("./link/ledger.sqlite3")
    assert ledger is not open_ledger("other.sqlite3")
    assert ledger.path == tmp_path / "ledger.sqlite3"
    assert repr(ledger) == f"Ledger({str(ledger.path)!r})"


def test_by_default_it_is_made_in_the_users_data_directory(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    ledger = open_ledger()
    assert ledger.path.is_relative_to(tmp_path)
    assert ledger.path.is_file()


@pytest.mark.parametrize(
    "where", [".", "file/folder/ledger.sqlite3", "foreign.sqlite3", "mysql://host/db", "postgres://h:x/d"]
)
def test_a_named_place_that_is_none(tmp_path, monkeypatch, where):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("")
    with sqlite3.connect(tmp_path / "foreign.sqlite3") as other:
        other.execute("CREATE TABLE bookmarks (url TEXT)")
    other.close()
    with pytest.raises(InputError):
        open_ledger(where)
    monkeypatch.setenv("KARDIA_LEDGER", where)
    with pytest.raises(InputError):
        open_ledger()
    assert sorted(os.listdir(tmp_path)) == ["file", "foreign.sqlite3"]


def test_a_default_place_that_is_none_is_said_once(tmp_path, monkeypatch, caplog):
    (tmp_path / "file").write_text("")
    monkeypatch.setattr("platformdirs.user_data_path", lambda *_, **__: Path(tmp_path / "file" / "kardia"))
    assert open_ledger() is None
    assert open_ledger() is None
    (told,) = messages(caplog)
    assert told.endswith("cannot be made (Not a directory): answers are not stored")


def test_a_damaged_one_is_opened(tmp_path, caplog):
    path = tmp_path / "ledger.sqlite3"
    path.write_bytes(b"no database" * 1000)
    ledger = open_ledger(path)
    asyncio.run(recorded(ledger, range(10)))
    assert len(ledger.lookup([(key(number), "x") for number in range(10)])) == 10
    (told,) = messages(caplog)
    assert f"it is now {path}.corrupt-1" in told
