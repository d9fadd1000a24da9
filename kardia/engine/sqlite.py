"""The ledger in an SQLite file: no server, any number of processes, and a kill at any moment loses nothing committed.

A write-ahead log lets many read while one writes. Every row carries a checksum over its key and its payload, so that a
byte that flips on the disk makes a row that is not there, and never another level. A file that is damaged is moved
aside, and what is whole in it is carried over into a new one.
"""

from __future__ import annotations

import logging
import os
import sqlite3
import threading
import time
import weakref
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from kardia.engine.sqlite_file import alone_in, is_other_file, make_file, make_folder, move_aside, moved_aside, place_of
from kardia.engine.sqlite_salvage import salvage
from kardia.engine.sqlite_schema import COLUMNS, INSERT, SCHEMA, check, connect, is_busy, is_damage, text, transaction
from kardia.engine.store import Entry, Misplaced, Row, StoreError, checksum, is_sound

__all__ = ["SQLite"]

BUSY_S = 30.0
"""Seconds that another process may keep the file locked."""
TRY_S = 0.25
"""Seconds that one try waits for a lock; between two, others of this process get their turn."""
MOST_RENEWALS = 3

_log = logging.getLogger("kardia")

_REPLACE = """UPDATE judgments SET judge = ?3, model = ?4, rubric = ?5, criteria = ?6, unscored = ?7, payload = ?8,
    crc = ?9, created = ?10 WHERE key = ?1 AND (?7 = 0 OR unscored IS NOT 0)"""
_USE = """INSERT OR IGNORE INTO uses (conversation, key)
    SELECT ?2, key FROM judgments WHERE key = ?1 AND conversation <> ?2"""
_SELECT = {
    # a few fixed lengths, so that the statements are prepared once
    length: "SELECT key, CAST(conversation AS BLOB), payload, crc FROM judgments "  # noqa: S608 - constants
    f"WHERE key IN ({', '.join('?' * length)})"
    for length in (1, 4, 12, 24, 64, 128, 256)
}
_MOST = max(_SELECT)
_PRUNE = """DELETE FROM judgments
    WHERE (?1 IS NULL OR created < ?1) AND (?2 IS NULL OR judge = ?2) AND (NOT ?3 OR unscored)"""
_OF_CONVERSATION = """SELECT id, key FROM judgments
    WHERE conversation = ?1 OR key IN (SELECT key FROM uses WHERE conversation = ?1)"""


class SQLite:
    """A store in one file, with its `-wal` and `-shm` beside it.

    Every method may be called on any thread and on both sides of a fork.
    """

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self.place = str(self.path)
        self._reader: sqlite3.Connection | None = None
        self._writer: sqlite3.Connection | None = None
        self._inode: tuple[int, int] | None = None
        self._times = 0  # that it was opened
        self._renewals = 0
        self._new_locks()
        with _registering:
            _stores.add(self)

    def _new_locks(self) -> None:
        self._writing = threading.RLock()  # taken before the other where both are
        self._reading = threading.RLock()

    def open(self) -> None:
        """Opens the file and makes it where there is none; what is no database is moved aside.

        Raises:
            Misplaced: where there is something else, or the folder cannot be made.
            StoreError: where it cannot be written.
        """
        with self._writing, self._reading:
            if self._writer is None:
                self._open()

    def is_there(self) -> bool:
        """Whether there is a file, of whatever it may be."""
        return self.path.is_file()

    def get(self, keys: Sequence[bytes]) -> list[tuple[bytes, str, bytes]]:
        found: list[tuple[bytes, str, bytes]] = []
        while True:
            if self._reader is None:
                self.open()
            with self._reading:
                if self._reader is None:
                    continue  # somebody closed it in between
                times = self._times
                try:
                    for start in range(0, len(keys), _MOST):
                        _get(self._reader, keys[start : start + _MOST], found)
                    return found
                except sqlite3.Error as problem:
                    reason = problem
            if is_busy(reason):
                return found
            if not is_damage(reason):
                raise StoreError(f"the ledger {self.place} cannot be read ({reason})") from None
            self._renew(times, reason)
            return found

    def put(self, entries: Sequence[Entry], uses: Sequence[tuple[bytes, str]], created: int) -> None:
        rows = [
            (
                entry.key,
                text(entry.conversation),
                text(entry.judge),
                text(entry.model),
                text(entry.rubric),
                ",".join(entry.criteria),
                entry.unscored,
                entry.payload,
                checksum(entry.key, entry.payload),
                created,
            )
            for entry in entries
        ]
        shared = [(key, text(conversation)) for key, conversation in uses]
        until = time.monotonic() + BUSY_S
        while not self._put(rows, shared, until):
            time.sleep(0.01)

    def _put(self, rows: Sequence[tuple[object, ...]], shared: Sequence[tuple[object, ...]], until: float) -> bool:
        with self._writing:
            if self._writer is not None and self._is_moved():
                _log.warning("the ledger %s was moved or deleted while it was used: a new one is begun", self.place)
                self.close()
            if self._writer is None:
                self.open()
            assert self._writer is not None
            try:
                with transaction(self._writer):
                    written = self._writer.executemany(INSERT, rows).rowcount if rows else 0
                    if written < len(rows):
                        self._writer.executemany(_REPLACE, rows)
                        self._writer.executemany(_USE, [row[:2] for row in rows])
                    if shared:
                        self._writer.executemany(_USE, shared)
                return True
            except sqlite3.Error as problem:
                if is_busy(problem):
                    if time.monotonic() < until:
                        return False
                    raise StoreError(f"the ledger {self.place} is kept locked by another process") from None
                if not is_damage(problem):
                    raise StoreError(f"the ledger {self.place} cannot be written ({problem})") from None
                self._renew(self._times, problem)
                return False

    def close(self) -> None:
        with self._writing, self._reading:
            for connection in (self._reader, self._writer):
                if connection is not None:
                    try:
                        connection.close()
                    except sqlite3.Error:
                        pass  # damaged: there is nothing in it that could be saved by closing it
            self._reader = self._writer = None

    def _open(self) -> bool:
        """Whether a damaged file was moved aside for it."""
        make_folder(self.path)
        damage: tuple[Path, sqlite3.Error] | None = None
        try:
            with alone_in(self.path.parent, BUSY_S):
                try:
                    self._connect()
                except sqlite3.Error as problem:
                    if not is_damage(problem):
                        raise
                    if is_other_file(self.path):  # a slip of the hand: it is neither damaged nor to be moved
                        raise Misplaced(f"{self.place}: is not a ledger; name another file for it") from None
                    damage = self._move_aside(), problem
                    self._connect()
            if damage is not None:
                self._carry_over(*damage)
        except sqlite3.Error as problem:
            self.close()
            raise StoreError(f"the ledger {self.place} cannot be opened ({problem})") from None
        except OSError as problem:
            self.close()
            raise StoreError(f"the ledger {self.place} cannot be made ({problem.strerror or problem})") from None
        except BaseException:
            self.close()
            raise
        return damage is not None

    def _connect(self) -> None:
        make_file(self.path)
        self._writer = connect(self.path, TRY_S)
        self._writer.execute(f"PRAGMA busy_timeout = {int(BUSY_S * 1000)}")
        self._prepare(self._writer)
        self._writer.execute(f"PRAGMA busy_timeout = {int(TRY_S * 1000)}")
        self._reader = connect(self.path, BUSY_S)
        self._reader.execute("PRAGMA query_only = ON")
        self._inode = place_of(self.path)
        self._times += 1

    def _prepare(self, connection: sqlite3.Connection) -> None:
        tables = check(connection, self.path)
        connection.execute("PRAGMA journal_mode = WAL")
        if not tables >= {"judgments", "uses"}:
            with transaction(connection):
                for statement in SCHEMA:
                    connection.execute(statement)
        connection.execute(f"SELECT {COLUMNS} FROM judgments LIMIT 1").fetchone()  # noqa: S608 - constants

    def _is_moved(self) -> bool:
        return self._inode is not None and place_of(self.path) != self._inode

    def _renew(self, times: int, reason: sqlite3.Error) -> None:
        """Moves the damaged file aside and begins a new one, unless another thread or process has done so."""
        with self._writing, self._reading:
            if times != self._times:
                return
            self._renewals += 1
            if self._renewals > MOST_RENEWALS:
                raise StoreError(f"the ledger {self.place} is damaged again and again ({reason})")
            aside: Path | None = None
            try:
                with alone_in(self.path.parent, BUSY_S):
                    if not self._is_moved():
                        aside = self._move_aside()
            except OSError as problem:
                raise StoreError(
                    f"the ledger {self.place} is damaged ({reason}) and cannot be moved aside ({problem.strerror})"
                ) from None
            finally:
                self.close()
            self._open()
            if aside is not None:
                self._carry_over(aside, reason)

    def _move_aside(self) -> Path:
        if os.name == "nt":
            self.close()  # there, what is open cannot be renamed
        aside = move_aside(self.path)
        # only now: a database that SQLite finds moved is left as it is; else its log would be written into it
        self.close()
        return aside

    def _carry_over(self, aside: Path, reason: sqlite3.Error) -> None:
        assert self._writer is not None
        kept = salvage(aside, self._writer)
        rest = f"the {kept:,} answers that are whole are in a new one" if kept else "a new one is begun"
        _log.warning("the ledger %s is damaged (%s): it is now %s, and %s", self.place, reason, aside, rest)

    # ------------------------------------------------------------------ looking after it

    def rows(self) -> Iterator[Row]:
        with self._visit() as connection:
            connection.text_factory = _tolerant
            for row in connection.execute(f"SELECT {COLUMNS} FROM judgments ORDER BY id"):  # noqa: S608 - constants
                yield _row(row)

    def prune(self, *, before: int | None = None, judge: str | None = None, unscored: bool = False) -> int:
        conditions = (before, None if judge is None else text(judge), unscored)
        with self._visit() as connection:
            with transaction(connection):
                gone = connection.execute(_PRUNE, conditions).rowcount
                connection.execute("DELETE FROM uses WHERE key NOT IN (SELECT key FROM judgments)")
            if gone:
                self._shrink(connection, "but their space could not be freed")
        return gone

    def forget(self, conversations: Sequence[str]) -> list[int]:
        counts: list[int] = []
        with self._visit() as connection:
            with transaction(connection):
                for name in map(text, conversations):
                    doomed = connection.execute(_OF_CONVERSATION, (name,)).fetchall()
                    connection.executemany("DELETE FROM judgments WHERE id = ?", [row[:1] for row in doomed])
                    connection.executemany("DELETE FROM uses WHERE key = ?", [row[1:] for row in doomed])
                    connection.execute("DELETE FROM uses WHERE conversation = ?", (name,))
                    counts.append(len(doomed))
            # also where nothing was found: an earlier try may have deleted it and not come to the end
            self._shrink(connection, "but their words may still be in its file")
        return counts

    def faults(self) -> Iterator[str]:
        with self._visit() as connection:
            for (line,) in connection.execute("PRAGMA integrity_check"):
                if line != "ok":
                    yield str(line)

    def mend(self) -> None:
        with self._writing, self._reading:
            self.close()
            if not self._open():  # damage that shows there is mended there
                self._renew(self._times, sqlite3.DatabaseError("somebody said so"))
            self.close()

    def aside(self) -> list[str]:
        return [str(path) for path in moved_aside(self.path)]

    def size(self) -> int:
        return sum(os.path.getsize(name) for name in (self.place, self.place + "-wal") if os.path.exists(name))

    @contextmanager
    def _visit(self) -> Iterator[sqlite3.Connection]:
        """A connection of its own, to a file that is there; damage is said and not mended."""
        try:
            with closing(connect(self.path, BUSY_S)) as connection:
                connection.execute("PRAGMA secure_delete = ON")
                if not check(connection, self.path):
                    raise Misplaced(f"{self.place}: is no ledger; kardia makes one where it finds no file")
                yield connection
        except sqlite3.Error as problem:
            if is_busy(problem):
                raise StoreError(f"the ledger {self.place} is kept locked by another process; try again") from None
            if is_damage(problem):
                raise StoreError(
                    f"the ledger {self.place} is damaged ({problem}): `kardia ledger verify --mend` saves what is whole"
                ) from None
            raise StoreError(f"the ledger {self.place} cannot be used ({problem})") from None

    def _shrink(self, connection: sqlite3.Connection, otherwise: str) -> None:
        """Writes the database anew, without what was deleted, and empties its log."""
        try:
            connection.execute("VACUUM")
            busy = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
        except sqlite3.Error as problem:
            raise StoreError(f"they are deleted from the ledger {self.place}, {otherwise} ({problem})") from None
        if busy:
            raise StoreError(
                f"they are deleted from the ledger {self.place}, {otherwise}: another process is reading it; do it "
                f"again when that has ended"
            )


def _get(connection: sqlite3.Connection, keys: Sequence[bytes], found: list[tuple[bytes, str, bytes]]) -> None:
    length = next(length for length in _SELECT if length >= len(keys))
    wanted = [*keys, *[keys[-1]] * (length - len(keys))]
    for key, conversation, payload, crc in connection.execute(_SELECT[length], wanted):
        # the key that is checked is the one that was looked up: an index that points to another row shows here
        if type(conversation) is bytes and is_sound(key, payload, crc):
            found.append((key, conversation.decode("utf-8", "replace"), payload))


def _row(row: tuple[Any, ...]) -> Row:
    """A row as it is stored, whatever a damaged file holds in it."""
    key, conversation, judge, model, rubric, criteria, unscored, payload, crc, created = row
    sound = is_sound(key, payload, crc)
    names = (str(conversation), str(judge), str(model), str(rubric), tuple(str(criteria).split(",")))
    entry = Entry(key if sound else b"", *names, bool(unscored), payload if sound else b"")
    return Row(entry, created if type(created) is int else 0, sound)


def _tolerant(raw: bytes) -> str:
    return raw.decode("utf-8", "replace")


_registering = threading.Lock()
_stores: weakref.WeakSet[SQLite] = weakref.WeakSet()
_paused: list[SQLite] = []


def _before_fork() -> None:
    """While the process is copied, nobody is inside SQLite, and nothing is open: copied connections corrupt files."""
    _registering.acquire()
    _paused.extend(_stores)
    for store in _paused:
        store._writing.acquire()
        store._reading.acquire()
        store.close()


def _after_fork() -> None:
    for store in _paused:
        store._reading.release()
        store._writing.release()
    _paused.clear()
    _registering.release()


def _after_fork_in_child() -> None:
    global _registering
    for store in _paused:
        store._new_locks()
    _paused.clear()
    _registering = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_after_fork_in_child)
