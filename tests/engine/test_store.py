"""What holds for a ledger wherever it lies: in a file, and in a PostgreSQL database."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import random
import signal
import threading
import tracemalloc

import pytest

from kardia.engine import ledger as ledgers
from kardia.engine import postgres_schema, sqlite
from kardia.engine.ledger import existing_ledger, open_ledger
from kardia.engine.store import Misplaced, StoreError

from .ledgers import NOW, entry, fill, finished, held, in_child, key, payload, python, stored

pytestmark = pytest.mark.usefixtures("own_ledgers")
posix = pytest.mark.skipif(os.name == "nt", reason="POSIX")


@pytest.fixture
def place(ledger_place):
    return ledger_place


@pytest.fixture
def store(place):
    made = place.store()
    yield made
    made.close()


def impatient(monkeypatch, seconds):
    """Locks of others are waited for no longer than this."""
    monkeypatch.setattr(sqlite, "TRY_S", min(0.02, seconds))
    monkeypatch.setattr(sqlite, "BUSY_S", seconds)
    monkeypatch.setattr(postgres_schema, "BUSY_S", seconds)


# ---------------------------------------------------------------- what is kept


def test_what_is_put_in_comes_out(store):
    store.put([entry(1), entry(2)], [], NOW)
    assert sorted(store.get([key(1), key(2), key(3)])) == sorted(
        [(key(1), "conversation 1", payload(1)), (key(2), "conversation 2", payload(2))]
    )
    assert [(row.entry, row.created, row.sound) for row in store.rows()] == [
        (entry(1), NOW, True),
        (entry(2), NOW, True),
    ]
    assert list(store.faults()) == []
    assert store.aside() == []


def test_nothing_is_put_in(store):
    store.put([], [], NOW)
    assert store.get([]) == []
    assert list(store.rows()) == []


@pytest.mark.parametrize("count", [1, 2, 5, 64, 65, 256, 257, 700])
def test_any_number_of_keys_at_once(store, count):
    fill(store, count)
    assert held(store, count + 3) == set(range(count))
    assert [row.entry.key for row in store.rows()] == [key(number) for number in range(count)]  # the oldest first


def test_it_is_there_for_the_next_process(place):
    fill(place.store())
    assert in_child(lambda: str(len(stored(place.where)))) == "40"


def test_a_new_answer_takes_the_place_of_the_old_one(store):
    store.put([entry(1)], [], NOW)
    store.put([entry(1, payload=payload(5), judge="other"), entry(2)], [], NOW + 9)
    assert [body for _, _, body in store.get([key(1)])] == [payload(5)]
    assert [(row.entry.judge, row.created) for row in store.rows()] == [("other", NOW + 9), ("fake", NOW + 9)]


def test_an_unscored_answer_does_not_take_the_place_of_a_scored_one(store):
    store.put([entry(1)], [], NOW)
    store.put([entry(1, payload=payload(5), unscored=True)], [], NOW)
    assert [body for _, _, body in store.get([key(1)])] == [payload(1)]
    store.put([entry(2, unscored=True)], [], NOW)
    store.put([entry(2, payload=payload(5))], [], NOW)
    assert [body for _, _, body in store.get([key(2)])] == [payload(5)]
    store.put([entry(3, unscored=True)], [], NOW)
    store.put([entry(3, payload=payload(5), unscored=True)], [], NOW)
    assert [body for _, _, body in store.get([key(3)])] == [payload(5)]


def test_one_key_twice_in_one_go(store):
    """As if one had come after the other."""
    store.put([entry(1, "a"), entry(1, "b", payload=payload(5)), entry(1, "c", unscored=True)], [], NOW)
    store.put([entry(2, "d", unscored=True), entry(2, "e"), entry(3, "f")], [], NOW)
    assert sorted(store.get([key(1), key(2)])) == sorted([(key(1), "a", payload(5)), (key(2), "d", payload(2))])
    assert store.forget(["c", "b", "a", "e"]) == [1, 0, 0, 1]
    assert held(store) == {3}


def test_ids_of_any_characters(store):
    names = ["אני", "🥀", "a\0b", "\ud800", "it's; --", "", "\\x41", "a" * 100_000]
    for number, name in enumerate(names):
        store.put([entry(number, name or " ")], [(key(number), "x" + name)], NOW)
    assert len(store.get([key(number) for number in range(8)])) == 8
    told = [row.entry.conversation for row in store.rows()]
    assert told == ["אני", "🥀", "a\0b", "\\ud800", "it's; --", " ", "\\x41", "a" * 100_000]
    wanted = ["אני", "x🥀", "a\0b", "\ud800", "xit's; --", "x\\x41", "xA", "x" + "a" * 100_000]
    assert store.forget(wanted) == [1, 1, 1, 1, 1, 1, 0, 1]
    assert held(store, 8) == {5}


def test_names_of_any_characters(store):
    odd = entry(1, judge="a\0b", model="🥀", rubric="\ud800", criteria=("a\0", "ב"))
    store.put([odd], [], NOW)
    (row,) = store.rows()
    assert (row.entry.judge, row.entry.model, row.entry.criteria) == ("a\0b", "🥀", ("a\0", "ב"))
    assert store.prune(judge="a\0b") == 1


def test_reading_everything_takes_no_memory(store):
    body = bytes(20_000)
    for start in range(0, 2000, 100):
        store.put([entry(number, payload=body + payload(number)) for number in range(start, start + 100)], [], NOW)
    tracemalloc.start()
    try:
        assert sum(row.sound for row in store.rows()) == 2000
        assert tracemalloc.get_traced_memory()[1] < 10_000_000  # of 40
    finally:
        tracemalloc.stop()


# ---------------------------------------------------------------- many at once


def test_many_threads(store):
    problems = []

    def work(worker):
        try:
            for number in range(worker, 200, 8):
                store.put([entry(number)], [(key(number), f"also {worker}")], NOW)
                assert number in held(store, 200)
        except BaseException as problem:
            problems.append(problem)

    threads = [threading.Thread(target=work, args=(worker,)) for worker in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not problems
    assert held(store, 200) == set(range(200))


WRITER = """
import sys
from ledgers import *
store = store_at(sys.argv[1])
for start in range(int(sys.argv[2]), int(sys.argv[3]), 10):
    store.put([entry(number) for number in range(start, start + 10)], [], NOW)
    assert start in held(store, start + 1)
store.close()
"""


def test_processes_begin_and_write_at_once(place, store):
    where = place.where
    finished([python(WRITER, where, 0, 600), python(WRITER, where, 300, 900), python(WRITER, where, 0, 900)])
    assert held(store, 900) == set(range(900))
    assert list(store.faults()) == []
    assert store.aside() == []


CROSSING = """
import random, sys
from ledgers import *
store, chance = store_at(sys.argv[1]), random.Random(int(sys.argv[2]))
for turn in range(40):
    chosen = chance.sample(range(100), 60)
    entries = [entry(number, f"{sys.argv[2]} {turn % 3}") for number in chosen]
    store.put(entries, [(key(number), f"used {turn % 5}") for number in chosen], NOW)
store.close()
"""


def test_processes_write_the_same_keys_in_any_order(place, store):
    """They wait for each other; that each waits for the other does not happen."""
    finished([python(CROSSING, place.where, seed) for seed in (1, 2, 3)])
    assert held(store, 100) == set(range(100))
    names = [f"{seed} {turn}" for seed in (1, 2, 3) for turn in range(3)]
    assert sum(store.forget(names)) == 100  # every one of those who used it can be found
    assert place.sql("SELECT count(*) FROM uses") == [(0,)]


def test_a_writer_waits_for_a_lock(place, store, monkeypatch):
    monkeypatch.setattr(sqlite, "TRY_S", 0.02)
    fill(store)
    done = threading.Thread(target=store.put, args=([entry(90)], [], NOW))
    with place.locked():
        done.start()
        assert held(store) == set(range(40))  # reading does not wait
        done.join(0.3)
        assert done.is_alive()
    done.join(30)
    assert held(store, 91) == {*range(40), 90}


def test_a_lock_that_is_never_given_back(place, store, monkeypatch):
    impatient(monkeypatch, 0.1)
    fill(store)
    with place.locked(), pytest.raises(StoreError, match="kept locked by another process"):
        store.put([entry(90)], [], NOW)
    store.put([entry(90)], [], NOW)
    assert held(store, 91) == {*range(40), 90}


@posix
def test_both_sides_of_a_fork_write(place, store):
    store.put([entry(1)], [], NOW)
    assert held(store) == {1}

    def child():
        store.put([entry(2)], [], NOW)
        seen = held(store)
        store.close()
        return str(sorted(seen))

    assert in_child(child) == "[1, 2]"
    store.put([entry(3)], [], NOW)
    assert held(store) == {1, 2, 3}
    assert list(store.faults()) == []


@posix
def test_a_fork_while_another_thread_writes(store):
    fill(store)
    stop = threading.Event()

    def work():
        while not stop.is_set():
            store.put([entry(number) for number in range(40, 60)], [], NOW)

    writer = threading.Thread(target=work)
    writer.start()
    try:
        for _ in range(15):
            assert in_child(lambda: str(held(store) == set(range(40)))) == "True"
    finally:
        stop.set()
        writer.join()
    assert held(store, 60) == set(range(60))
    assert list(store.faults()) == []


# ---------------------------------------------------------------- damage


def test_a_row_that_is_damaged_is_asked_again_and_replaced(place, store):
    fill(store)
    place.sql(
        "UPDATE judgments SET payload = (SELECT payload FROM judgments WHERE id = 9) WHERE id = 8",
        "UPDATE judgments SET crc = crc + 1 WHERE id = 10",
    )
    assert held(store) == {*range(40)} - {7, 9}
    assert sum(not row.sound for row in store.rows()) == 2
    store.put([entry(7), entry(9)], [], NOW)
    assert held(store) == {*range(40)}


def test_an_index_that_points_to_another_row(place, store):
    """Two keys swapped, each with the other's payload and checksum: what is checked is the key that was asked for."""
    fill(store)
    place.sql(
        f"UPDATE judgments SET key = {place.blob(bytes(1))} WHERE id = 1",
        f"UPDATE judgments SET key = {place.blob(key(0))} WHERE id = 2",
        f"UPDATE judgments SET key = {place.blob(key(1))} WHERE id = 1",
    )
    assert held(store) == {*range(2, 40)}


def test_a_ledger_of_a_newer_kardia(place):
    fill(place.store())
    place.age(2)
    for work in (place.store().open, lambda: list(place.store().rows())):
        with pytest.raises(Misplaced, match=r"newer kardia \(format 2; this one knows 1\); update"):
            work()


# ---------------------------------------------------------------- a kill

KILLED = """
import os, sys
from ledgers import *
store, number = store_at(sys.argv[1]), int(sys.argv[2])
while True:
    store.put([entry(number), entry(number + 1)], [], NOW)
    os.write(1, b"%d\\n" % (number + 1))
    number += 2
"""


@posix
def test_what_was_put_outlives_a_kill_at_any_moment(place, store):
    done, chance = 0, random.Random(3)
    for _ in range(8):
        process = python(KILLED, place.where, done)
        wanted = done + chance.randrange(1, 400)
        for line in process.stdout:
            if (written := int(line)) >= wanted:
                break
        process.send_signal(signal.SIGKILL)
        written = max([written, *map(int, process.communicate()[0].split())])
        done = written + 1
        found = held(store, done + 4)
        assert found >= set(range(done))
        assert len(found) % 2 == 0  # all of what was put in one go, or nothing of it
        store.close()
        assert list(store.faults()) == []
    assert store.aside() == []


# ---------------------------------------------------------------- looking after it


def test_prune(store):
    store.put([entry(number) for number in range(10)], [(key(1), "shared"), (key(15), "none")], NOW)
    store.put([entry(number, judge="other") for number in range(10, 20)], [], NOW + 100)
    store.put([entry(number, judge="other", unscored=True) for number in range(20, 30)], [], NOW + 200)
    assert store.prune(before=NOW) == 0
    assert store.prune(before=NOW + 100, judge="other") == 0
    assert store.prune(unscored=True, judge="fake") == 0
    assert store.prune(unscored=True, judge="other") == 10
    assert held(store) == {*range(20)}
    assert store.prune(before=NOW + 50) == 10
    assert held(store) == {*range(10, 20)}
    assert store.forget(["shared"]) == [0]
    assert store.prune(judge="other") == 10
    store.put([entry(1)], [], NOW)
    assert store.prune() == 1
    assert held(store) == set()


def test_prune_while_somebody_writes(place, store):
    fill(store, 400)
    held(store, 400)
    assert place.store().prune(before=NOW + 1) == 400
    assert held(store, 400) == set()
    store.put([entry(1)], [], NOW)
    assert held(store, 400) == {1}


def test_forget_finds_what_another_conversation_asked_for(store):
    store.put([entry(1, "first"), entry(2, "first")], [], NOW)
    store.put([], [(key(1), "second"), (key(1), "first"), (key(9), "second")], NOW)
    store.put([entry(2, "third")], [], NOW)  # asked again
    assert store.forget(["second"]) == [1]
    assert held(store) == {2}
    assert store.forget(["third", "first"]) == [1, 0]
    assert held(store) == set()


def test_forget_leaves_no_row(place, store):
    secret = b"the words that nobody else may ever read"
    for number in range(0, 60, 3):
        store.put([entry(number, "whispering", payload=payload(number) + secret)], [], NOW)
        store.put([entry(number + 1, "loud")], [(key(number + 1), "whispering")], NOW)
        store.put([entry(number + 2, "loud")], [(key(number), "also there")], NOW)
    assert secret in place.words()
    assert store.forget(["whispering", "nobody"]) == [40, 0]
    left = place.words()
    assert not any(word in left for word in (secret, b"whispering", b"also there"))
    assert held(store, 60) == set(range(2, 60, 3))
    assert store.forget(["whispering"]) == [0]


# ---------------------------------------------------------------- the ledger over it


async def recorded(ledger, numbers):
    """Records entries and waits until all are safe."""
    left, all_told = set(numbers), asyncio.get_running_loop().create_future()

    def then(number):
        left.discard(number)
        if not left:
            all_told.set_result(None)

    for number in numbers:
        ledger.record(entry(number), lambda number=number: then(number))
    await asyncio.wait_for(all_told, 60)


def wanted(count):
    return [(key(number), f"conversation {number}") for number in range(count)]


def test_what_was_stored_is_there_for_the_next(place):
    fill(place.store())
    assert open_ledger(place.where).lookup(wanted(50)) == {key(number): payload(number) for number in range(40)}


def test_one_for_a_place(place):
    ledger = open_ledger(place.where)
    assert open_ledger(place.where) is ledger
    assert existing_ledger(ledger) is ledger
    assert open_ledger(ledger.where) is ledger
    assert repr(ledger) == f"Ledger({place.shown!r})"


def test_to_count_what_it_holds_none_is_made(place):
    assert existing_ledger(place.where) is None
    assert not place.store().is_there()
    fill(place.store())
    assert place.store().is_there()
    assert len(existing_ledger(place.where).holds([key(number) for number in range(50)])) == 40


LEAVING = """
import asyncio, sys
from ledgers import *
from kardia.engine.ledger import open_ledger
async def main():
    for number in range(100):
        open_ledger(sys.argv[1]).record(entry(number), lambda: None)
asyncio.run(main())
"""


def test_nothing_is_lost_when_the_interpreter_ends(place):
    finished([python(LEAVING, place.where)])
    assert not place.folder.exists() or len(os.listdir(place.folder)) <= 1  # the file alone
    assert stored(place.where, 100) == set(range(100))


TELLING = """
import asyncio, os, sys
from ledgers import *
from kardia.engine.ledger import open_ledger
async def main(number):
    ledger = open_ledger(sys.argv[1])
    while True:
        for _ in range(7):
            ledger.record(entry(number), lambda number=number: os.write(1, b"%d\\n" % number))
            number += 1
        while ledger.pending > 200:
            await asyncio.sleep(0.001)
        await asyncio.sleep(0.001)
asyncio.run(main(int(sys.argv[2])))
"""


@posix
def test_what_somebody_was_told_of_outlives_a_kill_at_any_moment(place, store):
    chance, first, everything = random.Random(5), 0, set()
    for _ in range(6):
        process = python(TELLING, place.where, first)
        many = chance.randrange(1, 1500)
        told = [process.stdout.readline() for _ in range(many)]
        process.send_signal(signal.SIGKILL)
        told += process.communicate()[0].splitlines()
        everything |= {int(line) for line in told}
        first = max(everything) + 500
        assert held(store, first) >= everything
        store.close()
        assert list(store.faults()) == []


SHARING = """
import asyncio, sys
from ledgers import *
from kardia.engine.ledger import open_ledger
async def main(start, end):
    ledger, found, left = open_ledger(sys.argv[1]), 0, end - start
    def then():
        nonlocal left
        left -= 1
    for number in range(start, end):
        stored = ledger.lookup([(key(number), "conversation %d" % number)])
        found += bool(stored)
        ledger.record(entry(number), then)
        if number % 20 == 0:
            await asyncio.sleep(0)
    while left:
        await asyncio.sleep(0.001)
    ledger.close()
asyncio.run(main(int(sys.argv[2]), int(sys.argv[3])))
"""


def test_several_processes_at_once(place, store):
    finished([python(SHARING, place.where, start, start + 1500) for start in (0, 500, 1000)])
    assert held(store, 2500) == set(range(2500))
    assert list(store.faults()) == []


@posix
def test_a_forked_child_has_what_is_stored_and_not_what_waits(place, monkeypatch):
    monkeypatch.setattr(ledgers, "WAIT_S", 1000.0)
    monkeypatch.setattr(ledgers, "LEAST_WAIT_S", 1000.0)
    ledger = open_ledger(place.where)

    async def parent():
        await recorded(ledger, range(64))
        for number in range(64, 70):
            ledger.record(entry(number), lambda: None)

        def child():
            assert open_ledger(place.where) is ledger
            assert ledger.pending == 0
            found = ledger.lookup(wanted(70))

            async def write():
                ledger.record(entry(200), lambda: None)

            asyncio.run(write())
            ledger.close()
            return f"{len(found)} {len(stored(place.where, 201))}"

        return await asyncio.to_thread(in_child, child)

    assert asyncio.run(parent()) == "64 65"
    assert ledger.pending == 6
    ledger.close()
    assert stored(place.where, 201) == {*range(70), 200}


def _spawned(where):
    ledger = open_ledger(where)
    asyncio.run(recorded(ledger, range(10, 20)))
    found = len(ledger.lookup(wanted(20)))
    ledger.close()
    return found


def test_a_spawned_child(place):
    asyncio.run(recorded(open_ledger(place.where), range(10)))
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.apply(_spawned, (place.where,)) == 20
        pool.close()
        pool.join()
