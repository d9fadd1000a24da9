"""The ledger in a PostgreSQL database: one for many hosts.

What is asked is small and can be asked again: a connection that is lost is opened anew and the call repeated, for half
a minute, so that a restart of the server costs nothing. As in a file, every row carries a checksum over its key and its
payload.
"""

from __future__ import annotations

import logging
import os
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from kardia.engine import postgres_schema as schema
from kardia.engine.place import Address
from kardia.engine.postgres_salvage import moved_aside, renew
from kardia.engine.store import Entry, Misplaced, Row, StoreError, checksum, is_sound

if TYPE_CHECKING:
    import psycopg

    from kardia.engine.postgres_schema import Connection

__all__ = ["Postgres"]

T = TypeVar("T")

OPEN_S = 5.0
"""Seconds that a server which was never reached before is waited for, where it may just be starting."""
FETCH = 100
"""Rows that are fetched at a time when all are read."""

_log = logging.getLogger("kardia")

_SELECT = "SELECT key, conversation, payload, crc FROM kardia.judgments WHERE key = ANY(%b)"
# written in the order of the keys everywhere, so that of two that write the same ones only one waits for the other; but
# numbered in the order in which they came
_INSERT = f"""INSERT INTO kardia.judgments (id, {schema.COLUMNS})
    SELECT * FROM (
        SELECT nextval(pg_get_serial_sequence('kardia.judgments', 'id')), given.* FROM unnest(
            %(key)b::bytea[], %(conversation)b::bytea[], %(judge)b::bytea[], %(model)b::bytea[], %(rubric)b::bytea[],
            %(criteria)b::bytea[], %(unscored)b::boolean[], %(payload)b::bytea[], %(crc)b::bigint[],
            %(created)b::bigint[]) AS given ({schema.COLUMNS})
    ) AS numbered
    ORDER BY key ON CONFLICT (key) DO """  # noqa: S608 - constants
_ADD = _INSERT + "NOTHING"
_REPLACE = (
    _INSERT
    + """UPDATE SET judge = excluded.judge, model = excluded.model, rubric = excluded.rubric,
    criteria = excluded.criteria, unscored = excluded.unscored, payload = excluded.payload, crc = excluded.crc,
    created = excluded.created WHERE NOT excluded.unscored OR judgments.unscored"""
)
_USE = """INSERT INTO kardia.uses (conversation, key)
    SELECT DISTINCT given.conversation, given.key
    FROM unnest(%b::bytea[], %b::bytea[]) AS given (key, conversation)
    JOIN kardia.judgments j ON j.key = given.key AND j.conversation <> given.conversation
    ORDER BY given.key, given.conversation ON CONFLICT (sha256(conversation), key) DO NOTHING"""
_PRUNE = """DELETE FROM kardia.judgments WHERE (%(before)s::bigint IS NULL OR created < %(before)s)
    AND (%(judge)b::bytea IS NULL OR judge = %(judge)b) AND (NOT %(unscored)s OR unscored)"""
_PRUNE_USES = "DELETE FROM kardia.uses u WHERE NOT EXISTS (SELECT FROM kardia.judgments j WHERE j.key = u.key)"
_FORGET = """WITH named AS MATERIALIZED (
        SELECT name, place FROM unnest(%b::bytea[]) WITH ORDINALITY AS given (name, place)
    ), doomed AS MATERIALIZED (
        SELECT key, min(place) AS place FROM (
            SELECT j.key, n.place FROM named n JOIN kardia.judgments j
                ON sha256(j.conversation) = sha256(n.name) AND j.conversation = n.name
            UNION ALL SELECT u.key, n.place FROM named n JOIN kardia.uses u
                ON sha256(u.conversation) = sha256(n.name) AND u.conversation = n.name
        ) AS found GROUP BY key
    ), unused AS (
        DELETE FROM kardia.uses u USING doomed d WHERE u.key = d.key
    ), gone AS (
        DELETE FROM kardia.judgments j USING doomed d WHERE j.key = d.key RETURNING d.place
    )
    SELECT place, count(*) FROM gone GROUP BY place"""


class _Line:
    """A connection, and whose turn it is."""

    __slots__ = ("connection", "lock")

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.connection: Connection | None = None

    def hang_up(self) -> None:
        connection, self.connection = self.connection, None
        if connection is not None:
            connection.close()


class Postgres:
    """A store in the schema `kardia` of a PostgreSQL database (12 or newer).

    Every method may be called on any thread and on both sides of a fork. It keeps two connections: one reads while the
    other one commits.
    """

    def __init__(self, address: Address) -> None:
        self.address = address
        self.place = str(address)
        self._known = False  # whether there ever was a connection: then the address is right
        self._opened = False
        self._new_lines()
        _stores.add(self)

    def _new_lines(self) -> None:
        self._reading, self._writing = _Line(), _Line()

    def open(self) -> None:
        """Connects, and makes the tables where there are none.

        Raises:
            MissingExtra: without psycopg.
            Misplaced: where there is no such database, or it cannot be reached or used; where its schema `kardia` is
                another program's or a newer kardia's.
            StoreError: where it fails otherwise.
        """
        self._ask(self._writing, lambda connection: None, "opened")

    def is_there(self) -> bool:
        """Whether there is a ledger; none is made.

        Raises:
            as `open`.
        """
        with self._connected() as connection:
            return bool(schema.check(connection, self.place))

    def get(self, keys: Sequence[bytes]) -> list[tuple[bytes, str, bytes]]:
        def work(connection: Connection) -> list[tuple[bytes, str, bytes]]:
            with connection.cursor(binary=True) as cursor:
                return [
                    (key, _words(conversation), payload)
                    for key, conversation, payload, crc in cursor.execute(_SELECT, (list(keys),))
                    if is_sound(key, payload, crc)
                ]

        return self._ask(self._reading, work, "read")

    def put(self, entries: Sequence[Entry], uses: Sequence[tuple[bytes, str]], created: int) -> None:
        rows, shared = _one_for_each_key(entries)
        columns = _columns(rows, created)
        shared += uses
        mine = [(entry.key, entry.conversation) for entry in rows]

        def work(connection: Connection) -> None:
            with schema.transaction(connection):
                users = shared
                if rows and connection.execute(_ADD, columns).rowcount < len(rows):
                    connection.execute(_REPLACE, columns)
                    users = mine + shared
                if users:
                    pairs = [key for key, _ in users], [_bytes(conversation) for _, conversation in users]
                    connection.execute(_USE, pairs)

        # done twice, it is the same as done once: the answer to the first may have been lost
        self._ask(self._writing, work, "written")

    def close(self) -> None:
        for line in (self._writing, self._reading):
            with line.lock:
                line.hang_up()

    def _ask(self, line: _Line, work: Callable[[Connection], T], done: str) -> T:
        """What comes of it, on a connection that is opened where there is none; again where that may help."""
        psycopg = schema.driver()
        until = time.monotonic() + (schema.BUSY_S if self._known else OPEN_S)
        for pause in _pauses():
            with line.lock:
                try:
                    if line.connection is None:
                        line.connection = schema.connect(self.address, by_index=True)
                        self._prepare(line.connection)
                        self._known = self._opened = True
                    return work(line.connection)
                except BaseException as problem:
                    line.hang_up()
                    if not isinstance(problem, psycopg.Error):
                        raise
                    reason = problem
            if time.monotonic() + pause > until or not schema.is_passing(reason, self._known):
                raise self._fault(reason, done) from None
            time.sleep(pause)
        raise AssertionError

    def _prepare(self, connection: Connection) -> None:
        if schema.check(connection, self.place) == set(schema.TABLES):
            return  # whoever may only read and write rows needs no right to make tables
        if self._opened:
            _log.warning("the ledger %s was deleted while it was used: a new one is begun", self.place)
        with schema.transaction(connection):
            schema.make(connection, self.place)

    def _fault(self, problem: psycopg.Error, done: str) -> StoreError:
        why = self.address.without_secrets(str(problem.diag.message_primary or problem))
        if schema.is_lost(problem):
            kind = StoreError if self._known else Misplaced
            return kind(f"the ledger {self.place} cannot be reached ({why})")
        if problem.sqlstate == "55P03":
            return StoreError(f"the ledger {self.place} is kept locked by another process; try again")
        if schema.is_damage(problem):
            return StoreError(
                f"the ledger {self.place} is damaged ({why}): `kardia ledger verify --mend` saves what is whole"
            )
        kind = StoreError if self._known else Misplaced
        return kind(f"the ledger {self.place} cannot be {done} ({why})")

    # ------------------------------------------------------------------ looking after it

    def rows(self) -> Iterator[Row]:
        with self._visit() as connection, schema.transaction(connection):
            connection.execute(
                f"DECLARE kardia_rows NO SCROLL CURSOR FOR SELECT {schema.COLUMNS} "  # noqa: S608 - constants
                "FROM kardia.judgments ORDER BY id"
            )
            with connection.cursor(binary=True) as cursor:
                while some := cursor.execute(f"FETCH {FETCH} FROM kardia_rows").fetchall():
                    yield from map(_row, some)

    def prune(self, *, before: int | None = None, judge: str | None = None, unscored: bool = False) -> int:
        conditions = {"before": before, "judge": None if judge is None else _bytes(judge), "unscored": unscored}
        with self._visit() as connection:
            with schema.transaction(connection):
                gone = connection.execute(_PRUNE, conditions).rowcount
                connection.execute(_PRUNE_USES)
            if gone:
                self._vacuum(connection, "but their space could not be freed")
        return gone

    def forget(self, conversations: Sequence[str]) -> list[int]:
        with self._visit() as connection:
            with schema.transaction(connection):
                # what others are writing about them just now comes before this, or after it
                connection.execute("LOCK TABLE kardia.judgments, kardia.uses IN SHARE ROW EXCLUSIVE MODE")
                found = connection.execute(_FORGET, ([_bytes(name) for name in conversations],)).fetchall()
            # also where nothing was found: an earlier try may have deleted it and not come to the end
            self._vacuum(connection, "but their words may still be in its files")
        counts = dict(found)
        return [counts.get(place, 0) for place in range(1, len(conversations) + 1)]

    def faults(self) -> Iterator[str]:
        with self._visit() as connection:
            yield from schema.faults_of(connection)

    def mend(self) -> None:
        with self._visit() as connection:
            aside, kept = renew(connection, self.place)
        rest = f"the {kept:,} answers that are whole are in new ones" if kept else "new ones are begun"
        _log.warning("the ledger %s is damaged: its tables are now in the schema %s, and %s", self.place, aside, rest)

    def aside(self) -> list[str]:
        with self._visit() as connection:
            return [f"the schema {name} of {self.place}" for name in moved_aside(connection)]

    def size(self) -> int:
        with self._visit() as connection:
            found = connection.execute(
                "SELECT sum(pg_total_relation_size(oid))::bigint FROM pg_class "
                "WHERE relkind = 'r' AND relnamespace = to_regnamespace('kardia')"
            ).fetchone()
        return int(found[0] or 0) if found else 0

    @contextmanager
    def _visit(self) -> Iterator[Connection]:
        """A connection of its own, to a ledger that is there; damage is said and not mended."""
        with self._connected() as connection:
            if not schema.check(connection, self.place):
                raise Misplaced(f"{self.place}: there is no ledger yet; the first `kardia score` makes it")
            yield connection

    @contextmanager
    def _connected(self) -> Iterator[Connection]:
        psycopg = schema.driver()
        until = time.monotonic() + (schema.BUSY_S if self._known else OPEN_S)
        try:
            for pause in _pauses():
                try:
                    made = schema.connect(self.address)
                    break
                except psycopg.Error as problem:
                    if time.monotonic() + pause > until or not schema.is_passing(problem, self._known):
                        raise
                time.sleep(pause)
            self._known = True
            with closing(made) as connection:
                yield connection
        except psycopg.Error as problem:
            raise self._fault(problem, "used") from None

    def _vacuum(self, connection: Connection, otherwise: str) -> None:
        """Has the server clear away what was deleted. Others read and write meanwhile."""
        told: list[str] = []
        connection.add_notice_handler(lambda notice: told.append(str(notice.message_primary)))
        try:
            connection.execute("VACUUM (INDEX_CLEANUP TRUE) kardia.judgments, kardia.uses")
        except schema.driver().Error as problem:
            why = self.address.without_secrets(str(problem.diag.message_primary or problem))
            raise StoreError(f"they are deleted from the ledger {self.place}, {otherwise} ({why})") from None
        if told:  # only the owner may; the server's own rounds come later
            _log.warning("they are deleted from the ledger %s, %s (%s)", self.place, otherwise, told[0])


def _one_for_each_key(entries: Sequence[Entry]) -> tuple[list[Entry], list[tuple[bytes, str]]]:
    """Of several with one key, what is left when they are put in one after the other; and who else used them."""
    kept: dict[bytes, Entry] = {}
    uses: list[tuple[bytes, str]] = []
    for entry in entries:
        old = kept.setdefault(entry.key, entry)
        if old is not entry:
            uses.append((entry.key, entry.conversation))
            if old.unscored or not entry.unscored:
                kept[entry.key] = replace(entry, conversation=old.conversation)
    return list(kept.values()), uses


def _columns(entries: Sequence[Entry], created: int) -> dict[str, list[Any]]:
    """What `_INSERT` takes."""
    return {
        "key": [entry.key for entry in entries],
        "conversation": [_bytes(entry.conversation) for entry in entries],
        "judge": [_bytes(entry.judge) for entry in entries],
        "model": [_bytes(entry.model) for entry in entries],
        "rubric": [_bytes(entry.rubric) for entry in entries],
        "criteria": [_bytes(",".join(entry.criteria)) for entry in entries],
        "unscored": [entry.unscored for entry in entries],
        "payload": [entry.payload for entry in entries],
        "crc": [checksum(entry.key, entry.payload) for entry in entries],
        "created": [created] * len(entries),
    }


def _bytes(raw: str) -> bytes:
    """Half a surrogate pair is no character: it is written out, as in a file's ledger."""
    return raw.encode("utf-8", "backslashreplace")


def _words(raw: bytes) -> str:
    return raw.decode("utf-8", "replace")


def _row(row: tuple[Any, ...]) -> Row:
    key, conversation, judge, model, rubric, criteria, unscored, payload, crc, created = row
    sound = is_sound(key, payload, crc)
    who, by, called, against = map(_words, (conversation, judge, model, rubric))
    asked = tuple(_words(criteria).split(","))
    entry = Entry(key if sound else b"", who, by, called, against, asked, unscored, payload if sound else b"")
    return Row(entry, created, sound)


def _pauses() -> Iterator[float]:
    pause = 0.02
    while True:
        yield pause
        pause = min(2 * pause, 1.0)


_stores: weakref.WeakSet[Postgres] = weakref.WeakSet()
_inherited: list[Connection | None] = []
"""Connections that a fork copied: kept and never touched, since the parent speaks on them."""


def _after_fork_in_child() -> None:
    for store in list(_stores):
        _inherited.extend((store._reading.connection, store._writing.connection))
        store._new_lines()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
