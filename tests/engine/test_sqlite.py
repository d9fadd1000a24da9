"""The ledger's file: what is put in stays, whatever happens to it; what is damaged is never somebody's level.

What holds wherever a ledger lies is in test_store.py.
"""

from __future__ import annotations

import logging
import os
import random
import shutil
import sqlite3
import stat
import subprocess

import pytest

from kardia.engine import sqlite
from kardia.engine.sqlite import SQLite
from kardia.engine.sqlite_file import moved_aside
from kardia.engine.store import Misplaced, StoreError

from .ledgers import NOW, entry, filled, finished, held, in_child, key, payload, python, stored

posix = pytest.mark.skipif(os.name == "nt", reason="POSIX")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "ledger.sqlite3"


@pytest.fixture
def store(path):
    made = SQLite(path)
    yield made
    made.close()


def warnings_in(caplog):
    return [record.getMessage() for record in caplog.records if record.name == "kardia"]


# ---------------------------------------------------------------- what is kept


def test_the_last_one_out_tidies_up(path):
    filled(path)
    assert os.listdir(path.parent) == [path.name]


@posix
def test_only_its_owner_can_read_it(tmp_path):
    before = os.umask(0)
    try:
        store = SQLite(tmp_path / "a" / "b" / "ledger.sqlite3")
        store.put([entry(1)], [], NOW)
    finally:
        os.umask(before)
    names = sorted(os.listdir(tmp_path / "a" / "b"))
    assert names == ["ledger.sqlite3", "ledger.sqlite3-shm", "ledger.sqlite3-wal"]
    assert {stat.S_IMODE(os.stat(tmp_path / "a" / "b" / name).st_mode) for name in names} == {0o600}
    assert {stat.S_IMODE(os.stat(tmp_path / folder).st_mode) for folder in ("a", "a/b")} == {0o700}
    store.close()


# ---------------------------------------------------------------- many at once


WRITER = """
import sys
from pathlib import Path
from ledgers import *
store = SQLite(Path(sys.argv[1]))
for start in range(int(sys.argv[2]), int(sys.argv[3]), 10):
    store.put([entry(number) for number in range(start, start + 10)], [], NOW)
    assert start in held(store, start + 1)
store.close()
"""


# ---------------------------------------------------------------- damage


def garbage(path):
    path.write_bytes(random.Random(1).randbytes(20_000))


def no_database_but_text(path):
    path.write_text("this is my diary\n" * 300)


def half(path):
    os.truncate(path, path.stat().st_size // 2)


def a_page_less_one_byte(path):
    os.truncate(path, path.stat().st_size - 1)


def zeroed(path):
    path.write_bytes(bytes(path.stat().st_size))


def header_gone(path):
    with open(path, "r+b") as stream:
        stream.write(b"garbage!" * 4)


def middle_gone(path):
    with open(path, "r+b") as stream:
        stream.seek(path.stat().st_size // 2)
        stream.write(bytes(range(256)) * 16)


def schema_gone(path):
    text = path.read_bytes()
    path.write_bytes(text.replace(b"CREATE TABLE judgments", b"CREATE TABLE judgmentz"))


def tables_renamed(path):
    with sqlite3.connect(path) as other:
        other.execute("ALTER TABLE judgments RENAME TO elsewhere")
    other.close()


def a_column_less(path):
    with sqlite3.connect(path) as other:
        other.execute("ALTER TABLE judgments RENAME COLUMN crc TO cru")
    other.close()


DAMAGES = [
    garbage,
    no_database_but_text,
    half,
    a_page_less_one_byte,
    zeroed,
    header_gone,
    middle_gone,
    schema_gone,
    tables_renamed,
    a_column_less,
]


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_damage_between_two_runs(path, damage, caplog):
    filled(path, 400)
    damage(path)
    store = SQLite(path)
    store.open()
    held(store, 400)
    store.put([entry(number) for number in range(400)], [], NOW)
    assert held(store, 400) == set(range(400))
    store.close()
    assert list(store.faults()) == []
    told = warnings_in(caplog)
    assert len(told) == len([other for other in moved_aside(path) if not other.name.endswith(("-wal", "-shm"))])
    assert all("is damaged" in sentence and ".corrupt-1" in sentence for sentence in told)
    assert told or damage in (middle_gone, a_page_less_one_byte)  # what hits payloads alone is noticed row by row


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_damage_while_it_is_used(path, damage, caplog):
    store = filled(path, 400)
    store.put([entry(400)], [], NOW)
    assert held(store, 401) == set(range(401))
    damage(path)
    held(store, 401)
    for number in range(401):
        store.put([entry(number)], [], NOW)
    assert held(store, 401) == set(range(401))
    store.close()
    again = SQLite(path)
    held(again, 401)  # what was never read again while it was used may be found out only now
    again.put([entry(number) for number in range(401)], [], NOW)
    assert held(again, 401) == set(range(401))
    again.close()
    assert all("damaged" in sentence for sentence in warnings_in(caplog))


def test_what_is_whole_is_carried_over(path, caplog):
    store = filled(path, 2000)
    store.put([], [(key(1999), "shared")], NOW)
    store.close()
    with open(path, "r+b") as stream:
        stream.seek(path.stat().st_size // 2 // 4096 * 4096)
        stream.write(b"\xff" * 4096)  # one page in the middle
    store.open()
    store.get([key(number) for number in range(2000)])
    list(map(store.get, ([key(number)] for number in range(2000))))
    assert 1900 < len(held(store, 2000)) < 2000
    assert len(warnings_in(caplog)) == 1
    assert "answers that are whole are in a new one" in warnings_in(caplog)[0]
    assert list(store.faults()) == []
    if 1999 in held(store, 2000):
        assert store.forget(["shared"]) == [1]
    store.close()


def test_damaged_ones_are_numbered(path, caplog):
    for number in (1, 2, 3):
        garbage(path)
        store = SQLite(path)
        store.put([entry(number)], [], NOW)
        store.close()
    assert [other.name for other in moved_aside(path)] == [f"ledger.sqlite3.corrupt-{number}" for number in (1, 2, 3)]
    assert stored(path) == {3}


def test_the_log_of_another_ledger(path, tmp_path, caplog):
    filled(path)
    other = SQLite(tmp_path / "other.sqlite3")
    other.put([entry(number, payload=payload(number), conversation="other") for number in range(20, 300)], [], NOW)
    shutil.copy(tmp_path / "other.sqlite3-wal", tmp_path / "ledger.sqlite3-wal")
    store = SQLite(path)
    store.open()
    held(store, 300)
    store.put([entry(number) for number in range(300)], [], NOW)
    assert held(store, 300) == set(range(300))
    store.close()
    other.close()


def test_the_log_of_another_database(path, tmp_path, caplog):
    filled(path)
    with sqlite3.connect(tmp_path / "other.sqlite3") as other:
        other.execute("PRAGMA journal_mode = WAL")
        other.execute("CREATE TABLE diary (day TEXT)")
        other.executemany("INSERT INTO diary VALUES (?)", [["dear diary " * 20]] * 500)
        other.commit()
        shutil.copy(tmp_path / "other.sqlite3-wal", tmp_path / "ledger.sqlite3-wal")
    other.close()
    store = SQLite(path)
    store.open()
    assert held(store) == set()
    store.put([entry(1)], [], NOW)
    assert held(store) == {1}
    store.close()
    assert len(warnings_in(caplog)) == 1


@posix
def test_deleted_while_it_is_used(path, caplog):
    store = filled(path)
    assert held(store) == set(range(40))
    path.unlink()
    store.put([entry(41)], [], NOW)
    assert held(store, 50) == {41}
    store.close()
    assert stored(path, 50) == {41}
    assert warnings_in(caplog) == [f"the ledger {path} was moved or deleted while it was used: a new one is begun"]


@posix
def test_deleted_and_begun_anew_by_another_process(path, caplog):
    store = filled(path)
    held(store)
    for suffix in ("", "-wal", "-shm"):
        (path.parent / (path.name + suffix)).unlink(missing_ok=True)
    finished([python(WRITER, path, 100, 110)])
    store.put([entry(41)], [], NOW)
    assert held(store, 110) == {41, *range(100, 110)}
    store.close()
    assert stored(path, 110) == {41, *range(100, 110)}
    assert list(SQLite(path).faults()) == []


BOTH_SEE_IT = """
import sys
from pathlib import Path
from ledgers import *
store = SQLite(Path(sys.argv[1]))
try: held(store)  # opens it
except Exception: pass
print("ready", flush=True)
sys.stdin.readline()
for number in range(int(sys.argv[2]), int(sys.argv[2]) + 50):
    store.put([entry(number)], [], NOW)
store.close()
"""


@pytest.mark.parametrize("damage", [garbage, half, header_gone], ids=lambda damage: damage.__name__)
def test_two_processes_find_it_damaged_at_once(path, damage):
    filled(path, 400)
    both = [python(BOTH_SEE_IT, path, start, stdin=subprocess.PIPE) for start in (1000, 2000)]
    for process in both:
        assert process.stdout.readline() == "ready\n"
    damage(path)
    for process in both:
        process.stdin.write("\n")
        process.stdin.flush()
    for process in both:
        assert process.wait(60) == 0
        process.communicate()
    store = SQLite(path)
    found = held(store, 2100)
    for start in (1000, 2000):
        # what one wrote before either had noticed went into the file that was destroyed, and is asked for again
        lost = [number for number in range(start, start + 50) if number not in found]
        assert lost == list(range(start, start + len(lost)))
        assert len(lost) < 50
    assert list(store.faults()) == []
    store.close()


def copies(path, folder):
    """The database with its log, as a killed process would leave them."""
    for suffix in ("", "-wal"):
        source = path.parent / (path.name + suffix)
        if source.exists():
            shutil.copy(source, folder / (path.name + suffix))
    return folder / path.name


@pytest.mark.parametrize("where", ["", "-wal"])
def test_a_flipped_byte_anywhere_never_makes_another_level(path, tmp_path, where, caplog):
    """`held` compares every payload that comes out with the one that was put in."""
    caplog.set_level(logging.CRITICAL)
    store = filled(path)
    if where:
        for number in range(40, 60):
            store.put([entry(number)], [], NOW)
    size = os.path.getsize(f"{path}{where}")
    chance = random.Random(7)
    places = {*range(0, 100, 3), *chance.sample(range(size), 120)}
    places |= {page + offset for page in range(0, size, 4096) for offset in (0, 3, 5, 7, 8, 9, 12)}
    losses = 0
    for number, place in enumerate(sorted(place for place in places if place < size)):
        folder = tmp_path / str(number)
        folder.mkdir()
        copy = copies(path, folder)
        with open(f"{copy}{where}", "r+b") as stream:
            stream.seek(place)
            old = stream.read(1)[0]
            stream.seek(place)
            stream.write(bytes([old ^ (1 << chance.randrange(8))]))
        flipped = SQLite(copy)
        try:
            there = held(flipped, 60)
            flipped.put([entry(number) for number in range(60)], [], NOW)
            assert held(flipped, 60) >= there
        except StoreError:
            there = set()
        flipped.close()
        losses += len(there) < (60 if where else 40)
        shutil.rmtree(folder)
    store.close()
    assert losses  # or nothing was ever hit


def test_a_row_of_another_type_is_asked_again_and_replaced(path):
    filled(path)
    with sqlite3.connect(path) as other:
        other.execute("UPDATE judgments SET payload = replace(payload, 'passage 7', 'passage 8') WHERE id = 8")
        other.execute("UPDATE judgments SET payload = 17 WHERE id = 12")
    other.close()
    store = SQLite(path)
    assert held(store) == {*range(40)} - {7, 11}
    assert sum(not row.sound for row in store.rows()) == 2
    store.put([entry(7), entry(11)], [], NOW)
    assert held(store) == {*range(40)}
    store.close()


# ---------------------------------------------------------------- what is no place for it


def test_a_directory(path):
    path.mkdir()
    with pytest.raises(Misplaced, match="is a directory"):
        SQLite(path).open()


@posix
def test_something_that_is_no_file(path):
    os.mkfifo(path)
    with pytest.raises(Misplaced, match="is not a file"):
        SQLite(path).open()


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(Misplaced, match="cannot be made"):
        SQLite(tmp_path / "file" / "folder" / "ledger.sqlite3").open()


def test_the_database_of_another_program(path, caplog):
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE bookmarks (url TEXT)")
    other.close()
    before = path.read_bytes()
    for work in (SQLite(path).open, lambda: SQLite(path).forget(["x"]), lambda: list(SQLite(path).rows())):
        with pytest.raises(Misplaced, match="another program"):
            work()
    assert path.read_bytes() == before
    assert os.listdir(path.parent) == [path.name]


def test_an_empty_file(path):
    path.touch()
    store = SQLite(path)
    store.put([entry(1)], [], NOW)
    assert held(store) == {1}
    store.close()


def test_looking_after_what_is_no_ledger(path):
    path.touch()
    with pytest.raises(Misplaced, match="is no ledger"):
        list(SQLite(path).rows())
    garbage(path)
    for work in (lambda: list(SQLite(path).rows()), lambda: SQLite(path).prune(), lambda: list(SQLite(path).faults())):
        with pytest.raises(StoreError, match="is damaged"):
            work()
    assert os.listdir(path.parent) == [path.name]  # and nothing is moved


# ---------------------------------------------------------------- what cannot be written


def test_a_full_disk(path):
    store = filled(path)
    store.open()
    (pages,) = store._writer.execute("PRAGMA page_count").fetchone()
    store._writer.execute(f"PRAGMA max_page_count = {pages + 3}")
    with pytest.raises(StoreError, match=r"cannot be written \(database or disk is full\)"):
        store.put([entry(number) for number in range(40, 4000)], [], NOW)
    assert held(store) == set(range(40))
    store._writer.execute("PRAGMA max_page_count = 100000")
    store.put([entry(number) for number in range(400)], [], NOW)
    assert held(store, 400) == set(range(400))
    store.close()


LIMITED = """
import resource, sys
from pathlib import Path
from ledgers import *
from kardia.engine.store import StoreError
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), int(sys.argv[2])))
store, done = SQLite(Path(sys.argv[1])), 0
try:
    while done < 100_000:
        store.put([entry(done)], [], NOW)
        done += 1
except StoreError as problem:
    print(problem)
assert not done or held(store, done) == set(range(done))
print(done)
"""


@posix
@pytest.mark.parametrize("limit", [200_000, 30_000, 5_000, 0])
def test_a_file_that_may_not_grow(path, limit):
    (told,) = finished([python(LIMITED, path, limit)])
    sentence, done = told.splitlines()
    assert str(path) in sentence
    assert "cannot be" in sentence
    assert bool(int(done)) == (limit > 100_000)
    assert moved_aside(path) == []
    store = SQLite(path)  # what was stored outlives it
    assert held(store, int(done) + 1) == set(range(int(done)))
    store.put([entry(90_000)], [], NOW)
    store.close()
    assert list(store.faults()) == []


def as_nobody(work):
    """As a user who may write nothing here; root may everything."""

    def dropped():
        if not os.geteuid():
            os.setgid(65534)
            os.setuid(65534)
        return work()

    return in_child(dropped)


@pytest.fixture
def open_place(tmp_path):
    """A folder that everybody can reach: pytest's own are closed to others."""
    folders = [tmp_path, *tmp_path.parents]
    changed = [(folder, folder.stat().st_mode) for folder in folders if folder.owner() == tmp_path.owner()]
    for folder, mode in changed:
        if not mode & stat.S_IXOTH:
            folder.chmod(mode | stat.S_IXOTH | stat.S_IROTH)
    yield tmp_path
    for folder, mode in changed:
        folder.chmod(mode)


def sentence(work):
    try:
        return work()
    except StoreError as problem:
        return f"{type(problem).__name__} {problem}"


@posix
def test_a_folder_that_may_not_be_written(open_place):
    folder = open_place / "folder"
    folder.mkdir(mode=0o755)
    folder.chmod(0o555)
    path = folder / "ledger.sqlite3"
    told = as_nobody(lambda: sentence(SQLite(path).open))
    assert told == f"StoreError the ledger {path} cannot be made (Permission denied)"
    assert os.listdir(folder) == []


@posix
def test_a_file_that_may_not_be_written(open_place):
    path = open_place / "ledger.sqlite3"
    filled(path)
    path.chmod(0o444)
    open_place.chmod(0o777)

    def work():
        store = SQLite(path)
        there = held(store)  # reading goes
        told = sentence(lambda: store.put([entry(90)], [], NOW))
        store.close()
        return f"{len(there)} {told}"

    told = as_nobody(work)
    assert told == f"40 StoreError the ledger {path} cannot be written (attempt to write a readonly database)"


@posix
def test_a_file_that_may_not_be_read(open_place):
    path = open_place / "ledger.sqlite3"
    filled(path)
    path.chmod(0)
    told = as_nobody(lambda: sentence(SQLite(path).open))
    assert told == f"StoreError the ledger {path} cannot be opened (unable to open database file)"


@posix
def test_damage_in_a_folder_that_may_not_be_written(open_place):
    folder = open_place / "folder"
    folder.mkdir()
    path = folder / "ledger.sqlite3"
    garbage(path)
    path.chmod(0o666)
    folder.chmod(0o555)
    told = as_nobody(lambda: sentence(SQLite(path).open))
    assert told == f"StoreError the ledger {path} cannot be made (Permission denied)"
    assert path.stat().st_size == 20_000


# ---------------------------------------------------------------- looking after it


def test_prune_frees_the_space(path):
    store = filled(path, 3000)
    before = store.size()
    assert store.prune(judge="fake") == 3000
    assert store.size() < before / 20


def bytes_in(folder):
    return b"".join(file.read_bytes() for file in folder.iterdir() if file.is_file())


@pytest.mark.parametrize("opened", [False, True], ids=["alone", "while it is used"])
def test_forget_leaves_no_byte(path, tmp_path, opened):
    secret = "the words that nobody else may ever read"
    store = SQLite(path)
    for number in range(0, 600, 6):
        told = payload(number).replace(b"passage", secret.encode())
        store.put([entry(number, "whispering", payload=told)], [], NOW)
        store.put([entry(number + 1, "whispering", payload=told.replace(b"nobody", b"NOBODY"))], [], NOW)
        store.put([entry(number + 1, "whispering", payload=told)], [], NOW)  # written over
        store.put([entry(other) for other in range(number + 2, number + 6)], [], NOW)
    if not opened:
        store.close()
    assert secret.encode() in bytes_in(tmp_path)
    assert SQLite(path).forget(["whispering", "nobody"]) == [200, 0]
    assert secret.encode() not in bytes_in(tmp_path)
    assert b"NOBODY" not in bytes_in(tmp_path)
    assert b"whispering" not in bytes_in(tmp_path)
    assert held(store, 600) == {number for number in range(600) if number % 6 > 1}
    store.close()
    assert secret.encode() not in bytes_in(tmp_path)


def test_forget_says_when_somebody_still_reads(path, monkeypatch):
    monkeypatch.setattr(sqlite, "BUSY_S", 0.1)
    filled(path)
    reader = sqlite3.connect(path, isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM judgments").fetchone()
    with pytest.raises(StoreError, match="another process is reading it; do it again"):
        SQLite(path).forget(["conversation 3"])
    reader.execute("COMMIT")
    reader.close()
    assert SQLite(path).forget(["conversation 3"]) == [0]
    assert b"passage 3 " not in bytes_in(path.parent)


def test_faults(path):
    store = filled(path, 400)
    with sqlite3.connect(path) as other:
        other.execute("PRAGMA writable_schema = ON")
        other.execute("UPDATE sqlite_master SET rootpage = 3 WHERE name = 'uses'")
        other.commit()
    other.close()
    assert list(store.faults())


@pytest.mark.parametrize("name", ["conversations.jsonl", "rows.CSV", "notes.txt"])
def test_somebodys_data_that_was_named_by_mistake_stays_where_it_is(tmp_path, name):
    path = tmp_path / name
    path.write_text('{"context": "My cat is ill.", "response": "Oh no."}\n')
    with pytest.raises(Misplaced, match="is not a ledger; name another file"):
        SQLite(path).open()
    assert os.listdir(tmp_path) == [name]
    assert "My cat" in path.read_text()
