"""The ledger in PostgreSQL: restarts, rights, several who begin at once; and what it says where something is wrong.

What holds wherever a ledger lies is in test_store.py.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import subprocess
import sys
import threading
import time
import traceback

import pytest
from postgresql import PASSWORD, QUOTED

from kardia.engine import postgres, postgres_schema
from kardia.engine.ledger import open_ledger
from kardia.engine.place import Address
from kardia.engine.postgres import Postgres
from kardia.engine.store import StoreError
from kardia.errors import InputError, MissingExtra

from .ledgers import NOW, ROOT, entry, fill, finished, held, in_child, key, payload, python

pytestmark = pytest.mark.usefixtures("own_ledgers")
posix = pytest.mark.skipif(os.name == "nt", reason="POSIX")


@pytest.fixture
def place(ledger_database):
    return ledger_database


@pytest.fixture
def store(place):
    made = place.store()
    yield made
    made.close()


def warnings_in(caplog):
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


def sentence(work):
    """What it says; the password is in nothing that anybody could see of it."""
    with pytest.raises((StoreError, InputError)) as raised:
        work()
    told = "".join(traceback.format_exception(raised.type, raised.value, raised.tb))
    assert not any(secret in told for secret in (PASSWORD, QUOTED, "Sesame"))
    assert "\n" not in str(raised.value)
    return f"{raised.type.__name__} {raised.value}"


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


# ---------------------------------------------------------------- a server that comes and goes


def test_a_restart_between_two_calls(store, postgresql, caplog):
    fill(store)
    assert held(store) == set(range(40))
    store.put([entry(40)], [], NOW)
    postgresql.stop()
    postgresql.start()
    assert held(store, 50) == set(range(41))
    postgresql.stop()
    postgresql.start()
    store.put([entry(41)], [], NOW)
    assert held(store, 50) == set(range(42))
    assert warnings_in(caplog) == []


def test_a_restart_while_it_is_written(store, postgresql, caplog):
    store.open()
    stop, problems, done = threading.Event(), [], []

    def work():
        try:
            while not stop.is_set():
                store.put([entry(len(done))], [], NOW)
                done.append(None)
        except BaseException as problem:
            problems.append(problem)

    writer = threading.Thread(target=work)
    writer.start()
    try:
        for crash in (False, True, False):
            before = len(done)
            while len(done) < before + 20:
                time.sleep(0.01)
            postgresql.stop(crash=crash)
            time.sleep(0.2)
            postgresql.start()
    finally:
        stop.set()
        writer.join()
    assert not problems
    assert held(store, len(done)) == set(range(len(done)))
    assert warnings_in(caplog) == []


def test_a_crash_of_the_server_takes_nothing_back(store, postgresql):
    """It is set to answer before a commit is on its disk; what a ledger says is stored is there all the same."""
    store.open()
    for number in range(60):
        store.put([entry(number)], [], NOW)
        if number % 20 == 0:
            postgresql.stop(crash=True)
            postgresql.start()
            assert held(store, 60) == set(range(number + 1))
    postgresql.stop(crash=True)
    postgresql.start()
    assert held(store, 60) == set(range(60))


def test_connections_that_were_cut(place, store, postgresql):
    fill(store)
    for _ in range(3):
        assert held(store) == set(range(40))
        store.put([entry(41)], [], NOW)
        ours = f"WHERE datname = '{place.name}' AND application_name = 'kardia'"
        cut = postgresql.execute("postgres", f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity {ours}")
        assert cut == [(True,), (True,)]
        assert held(store) == set(range(40))
        store.put([entry(42)], [], NOW)


def test_a_server_that_stays_away(store, place, postgresql, monkeypatch, caplog):
    monkeypatch.setattr(postgres_schema, "BUSY_S", 0.5)
    fill(store)
    postgresql.stop()
    try:
        begun = time.monotonic()
        for work in (lambda: store.get([key(1)]), lambda: store.put([entry(1)], [], NOW), lambda: list(store.rows())):
            told = sentence(work)
            assert told.startswith(f"StoreError the ledger {place.shown} cannot be reached (")
            assert "refused" in told
        assert time.monotonic() - begun < 20
    finally:
        postgresql.start()
    assert held(store) == set(range(40))


def test_a_run_goes_on_without_it(place, postgresql, monkeypatch, caplog):
    monkeypatch.setattr(postgres_schema, "BUSY_S", 0.3)
    ledger = open_ledger(place.where)
    postgresql.stop()
    try:

        async def record():
            over = asyncio.Event()
            ledger.record(entry(1), over.set)
            ledger.flush()
            await asyncio.wait_for(over.wait(), 30)

        assert ledger.lookup([(key(1), "a")]) == {}
        asyncio.run(record())
    finally:
        postgresql.start()
    reading, writing = warnings_in(caplog)
    assert reading.startswith(f"the ledger {place.shown} cannot be reached (")
    assert reading.endswith(": what it holds is asked for again")
    assert writing.endswith(": answers are not stored from here on")


def test_a_put_whose_answer_was_lost_is_repeated(store, monkeypatch):
    import psycopg

    store.put([entry(1, "old")], [], NOW)
    plain, lost = postgres_schema.transaction, []

    class Losing:
        def __init__(self, connection):
            self.within = plain(connection)

        def __enter__(self):
            self.within.__enter__()

        def __exit__(self, *what):
            self.within.__exit__(*what)
            if not lost:
                lost.append(True)
                raise psycopg.OperationalError("server closed the connection unexpectedly")

    monkeypatch.setattr(postgres_schema, "transaction", Losing)
    store.put([entry(1, "new", payload=payload(5)), entry(2)], [(key(2), "user")], NOW)
    assert lost
    assert [(row.entry.conversation, row.entry.payload) for row in store.rows()] == [
        ("old", payload(5)),
        ("conversation 2", payload(2)),
    ]
    assert store.forget(["new", "user", "old"]) == [1, 1, 0]


# ---------------------------------------------------------------- a place that is none


def test_a_server_that_is_not_there(monkeypatch):
    monkeypatch.setattr(postgres, "OPEN_S", 0.5)
    port = free_port()
    address = Address.of(f"postgresql://me:{QUOTED}@127.0.0.1:{port}/db")
    for work in (Postgres(address).open, Postgres(address).is_there, lambda: Postgres(address).forget(["a"])):
        told = sentence(work)
        assert told.startswith(f"Misplaced the ledger postgresql://me@127.0.0.1:{port}/db cannot be reached (")
    assert sentence(lambda: open_ledger(address.url)).startswith("InputError the ledger postgresql://me@127.0.0.1")


def test_a_server_that_starts_late_is_waited_for(place, postgresql):
    postgresql.stop()
    later = threading.Timer(0.5, postgresql.start, kwargs={"wait": False})
    later.start()
    store = place.store()
    try:
        store.put([entry(1)], [], NOW)
        assert held(store) == {1}
    finally:
        later.join()
        postgresql._wait()
        store.close()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda url: url.replace(QUOTED, "wrong"), "password authentication failed"),
        (lambda url: url.replace(f":{QUOTED}", ""), "no password supplied"),
        (lambda url: url + "_missing", "does not exist"),
        (lambda url: url + "?colour=blue", "cannot read this address"),
        (lambda url: url.replace("%25", "%"), "cannot read this address"),
        (lambda url: url + "?sslmode=require", "does not support SSL"),
    ],
)
def test_an_address_that_is_wrong_is_told_at_once(place, change, words, monkeypatch):
    begun = time.monotonic()
    url = change(place.where)
    told = sentence(Postgres(Address.of(url)).open)
    assert told.startswith("Misplaced ")
    assert place.shown in told
    assert words in told
    assert "wrong" not in told
    assert sentence(lambda: open_ledger(url)).startswith("InputError ")
    assert time.monotonic() - begun < 5


def test_without_psycopg(place, monkeypatch):
    words = r"a ledger in PostgreSQL needs .*: pip install 'kardia\[postgres\]'"
    with monkeypatch.context() as missing:
        missing.setitem(sys.modules, "psycopg", None)
        for work in (place.store().open, lambda: place.store().get([key(1)]), lambda: open_ledger(place.where)):
            with pytest.raises(MissingExtra, match=words):
                work()


def test_importing_kardia_does_not_import_it():
    code = "import sys, kardia.engine.postgres, kardia.cli.ledger_views; assert 'psycopg' not in sys.modules"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, timeout=60).returncode == 0


def test_the_schema_of_another_program(place):
    place.sql("CREATE SCHEMA kardia", "CREATE TABLE kardia.bookmarks (url text)")
    for work in (place.store().open, lambda: list(place.store().rows()), lambda: place.store().prune()):
        assert "its schema `kardia` is another program's" in sentence(work)
    assert place.sql("SELECT tablename FROM pg_tables WHERE schemaname = 'kardia'") == [("bookmarks",)]


def test_looking_after_what_is_not_there(place):
    for work in (lambda: list(place.store().rows()), place.store().size, lambda: place.store().forget(["a"])):
        assert sentence(work) == (f"Misplaced {place.shown}: there is no ledger yet; the first `kardia score` makes it")
    assert place.sql("SELECT count(*) FROM pg_namespace WHERE nspname = 'kardia'") == [(0,)]


@pytest.mark.parametrize("encoding", ["SQL_ASCII", "LATIN1"])
def test_a_database_for_other_alphabets(postgresql, encoding):
    store = Postgres(Address.of(postgresql.database(encoding)))
    store.put([entry(1, "אני 🥀", judge="ö")], [], NOW)
    assert [(row.entry.conversation, row.entry.judge) for row in store.rows()] == [("אני 🥀", "ö")]
    assert store.forget(["אני 🥀"]) == [1]
    store.close()


# ---------------------------------------------------------------- several at once, and rights

BEGINNING = """
import sys
from ledgers import *
store = store_at(sys.argv[1])
print("ready", flush=True)
sys.stdin.readline()
store.put([entry(int(sys.argv[2]))], [], NOW)
store.close()
"""


def test_ten_begin_at_once(place, store):
    ten = [python(BEGINNING, place.where, number, stdin=subprocess.PIPE) for number in range(10)]
    for process in ten:
        assert process.stdout.readline() == "ready\n"
    for process in ten:
        process.stdin.write("\n")
        process.stdin.flush()
    finished(ten)
    assert held(store) == set(range(10))
    assert list(store.faults()) == []
    assert place.sql("SELECT version FROM version") == [(1,)]


@posix
def test_a_fork_leaves_the_parents_connections_alone(store):
    fill(store)
    assert held(store) == set(range(40))

    def talking():
        lines = (store._reading, store._writing)
        return [line.connection.execute("SELECT pg_backend_pid()").fetchone()[0] for line in lines]

    store.put([entry(40)], [], NOW)
    before = talking()

    def child():
        store.put([entry(41)], [], NOW)
        held(store)
        own = talking()
        store.close()
        import gc

        gc.collect()
        return str(set(own) & set(before))

    assert in_child(child) == "set()"
    assert in_child(lambda: str(store.close())) == "None"
    assert talking() == before
    assert held(store, 50) == set(range(42))


@pytest.fixture
def limited(place, postgresql):
    """The address of somebody who may only do what the documentation grants."""
    name = f"scorer_{place.name}"
    place.sql(f"CREATE ROLE {name} LOGIN PASSWORD 'x'")
    yield place.where.replace(f"keeper:{QUOTED}", f"{name}:x")
    place.sql(f"DROP OWNED BY {name}", f"DROP ROLE {name}")


def grant(place, name):
    """What docs/ledger.md says."""
    lines = (ROOT / "docs/ledger.md").read_text("utf-8").splitlines()
    granted = [line.replace("scorer", name).rstrip(";") for line in lines if line.startswith("GRANT ")]
    assert len(granted) == 3
    place.sql(*granted)


def test_who_may_only_read_and_write_rows(place, limited, caplog):
    store = Postgres(Address.of(limited))
    assert "permission denied for database" in sentence(store.open)
    fill(place.store())
    assert "permission denied for schema kardia" in sentence(store.open)
    grant(place, f"scorer_{place.name}")
    assert held(store) == set(range(40))
    store.put([entry(40), entry(1)], [(key(3), "b")], NOW)
    assert list(store.faults()) == []
    assert warnings_in(caplog) == []
    assert store.forget(["b"]) == [1]
    (told,) = warnings_in(caplog)
    assert told.startswith(f"they are deleted from the ledger {store.place}, but their words may still be in its files")
    assert "permission denied to vacuum" in told or "only" in told
    place.sql("DROP INDEX uses_once")
    assert "must be owner of schema kardia" in sentence(store.mend)
    store.close()


def test_who_may_only_read(place, limited):
    fill(place.store())
    place.sql(
        f"GRANT USAGE ON SCHEMA kardia TO scorer_{place.name}",
        f"GRANT SELECT ON ALL TABLES IN SCHEMA kardia TO scorer_{place.name}",
    )
    store = Postgres(Address.of(limited))
    assert held(store) == set(range(40))
    told = sentence(lambda: store.put([entry(41)], [], NOW))
    assert told.startswith(f"StoreError the ledger {store.place} cannot be written (permission denied for ")
    store.close()


def test_nobody_else_may_look(place, limited):
    """What is made is the maker's alone, until somebody is granted more."""
    fill(place.store())
    store = Postgres(Address.of(limited))
    assert "permission denied" in sentence(lambda: list(store.rows()))


# ---------------------------------------------------------------- looking after it


def test_forgetting_has_the_space_cleared(place, store):
    fill(store, 400)
    secret = b"what nobody else may ever read"
    store.put([entry(500, "whispering", payload=secret)], [], NOW)
    assert store.forget(["whispering"]) == [1]
    place.sql("CREATE EXTENSION IF NOT EXISTS pageinspect SCHEMA public")
    pages = "SELECT count(*) FROM generate_series(0, pg_relation_size('judgments') / 8192 - 1) AS page,"
    rows = (
        f"{pages} LATERAL public.heap_page_items(public.get_raw_page('kardia.judgments', page::int)) WHERE lp_len > 0"
    )
    assert place.sql(rows) == [(400,)]  # a row that was only marked as deleted would be counted
    place.sql("DROP EXTENSION pageinspect")


def test_prune_frees_the_space_for_what_comes(place, store):
    fill(store, 2000)
    (before,) = place.sql("SELECT pg_relation_size('judgments')")
    full = store.size()
    assert store.prune(judge="fake") == 2000
    assert place.sql("SELECT pg_relation_size('judgments')") < [before]
    for _ in range(5):
        fill(store, 2000)
        store.prune()
    fill(store, 2000)
    assert store.size() <= 1.5 * full


def test_forget_waits_for_who_writes(place, store, monkeypatch):
    monkeypatch.setattr(postgres_schema, "BUSY_S", 0.2)
    fill(store)
    with place.locked():
        assert "kept locked by another process" in sentence(lambda: place.store().forget(["conversation 3"]))
    assert place.store().forget(["conversation 3"]) == [1]


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        ("DROP TABLE uses", "the table kardia.uses is missing"),
        ("DROP TABLE version", "the table kardia.version is missing"),
        ("DELETE FROM version", "the table kardia.version does not hold one version"),
        ("DROP INDEX judgments_key", "the index kardia.judgments_key is missing"),
        ("DROP INDEX judgments_conversation", "the index kardia.judgments_conversation is missing"),
        ("DROP INDEX uses_once", "the index kardia.uses_once is missing"),
        ("UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'uses_key'::regclass", "uses_key is not valid"),
        ("ALTER TABLE judgments DROP CONSTRAINT judgments_pkey", "the index kardia.judgments_pkey is missing"),
        ("ALTER TABLE judgments ALTER crc TYPE numeric", "has no column crc of type bigint"),
    ],
)
def test_faults_are_found_and_mended(place, store, damage, words, caplog):
    fill(store, 1200)
    store.put([], [(key(1), "shared")], NOW)
    place.sql(damage)
    assert any(words in fault for fault in store.faults())
    store.mend()
    (told,) = warnings_in(caplog)
    assert told == (
        f"the ledger {place.shown} is damaged: its tables are now in the schema kardia_corrupt_1, and the 1,200 "
        "answers that are whole are in new ones"
    )
    assert list(store.faults()) == []
    assert held(store, 1200) == set(range(1200))
    assert [row.entry.key for row in store.rows()] == [key(number) for number in range(1200)]
    assert store.aside() == [f"the schema kardia_corrupt_1 of {place.shown}"]
    assert store.forget(["shared"]) == [0 if damage == "DROP TABLE uses" else 1]


def test_mending_keeps_what_can_be_read(place, store, caplog):
    import psycopg

    fill(store, 1000)
    place.sql("UPDATE judgments SET crc = 0 WHERE id <= 3")
    # pages of zeros in the middle are empty to PostgreSQL, and a broken header is an error
    (path,) = place.sql("SELECT pg_relation_filepath('judgments')")[0]
    place.sql("CHECKPOINT")
    place.server.stop()
    with open(place.server.data / path, "r+b") as stream:
        stream.seek(8192 * 5)
        stream.write(b"\xff" * 64)
    place.server.start()
    assert "is damaged (invalid page" in sentence(lambda: list(store.rows()))
    assert "verify --mend" in sentence(lambda: held(store, 1000))
    store.mend()
    found = held(store, 1000)
    assert 900 < len(found) < 997
    assert not found & {0, 1, 2}
    assert f"the {len(found):,} answers that are whole" in warnings_in(caplog)[-1]
    assert [row.sound for row in store.rows()] == [True] * len(found)
    with pytest.raises(psycopg.errors.DataCorrupted):  # and the damaged one is still there
        place.sql("SELECT sum(crc) FROM kardia_corrupt_1.judgments")


def test_others_go_on_while_it_is_mended(place, store):
    fill(store)
    other = place.store()
    for _ in range(8):  # often enough that its statements are prepared
        assert held(other) == set(range(40))
        other.put([entry(1)], [], NOW)
    store.mend()
    store.mend()
    assert held(other) == set(range(40))
    other.put([entry(40)], [], NOW)
    assert held(store, 41) == set(range(41))
    assert len(store.aside()) == 2
    other.close()


def test_deleted_while_it_is_used(place, store, caplog):
    fill(store)
    held(store)
    store.put([entry(40)], [], NOW)
    place.sql("DROP SCHEMA kardia CASCADE")
    store.put([entry(41)], [], NOW)
    assert held(store, 50) == {41}
    assert warnings_in(caplog) == [f"the ledger {place.shown} was deleted while it was used: a new one is begun"]
    assert list(store.faults()) == []


def test_rows_are_found_by_an_index(place, store):
    """Also by plans that were made when there were only a few."""
    for number in range(8):
        store.put([entry(number)], [(key(number), "b")], NOW)
        store.put([entry(number, "c")], [], NOW)
        held(store, 8)
    for start in range(0, 3000, 100):
        store.put([entry(number) for number in range(start, start + 100)], [], NOW)
    for line, least in ((store._reading, 1), (store._writing, 2)):
        prepared = line.connection.execute("SELECT name FROM pg_prepared_statements").fetchall()
        assert len(prepared) >= least
    before = place.sql("SELECT sum(seq_tup_read) FROM pg_stat_user_tables WHERE relname = 'judgments'")
    for _ in range(5):
        held(store, 100)
        store.put([entry(number, "d") for number in range(50)], [(key(7), "e")], NOW)
    store.close()
    time.sleep(1.1)  # the server counts with a delay
    after = place.sql("SELECT sum(seq_tup_read) FROM pg_stat_user_tables WHERE relname = 'judgments'")
    assert after == before
