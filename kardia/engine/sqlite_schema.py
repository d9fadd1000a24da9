"""The tables of an SQLite ledger, a connection to them, and what its errors mean."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kardia.engine.sqlite_file import application_in
from kardia.engine.store import Misplaced

__all__ = ["APPLICATION", "COLUMNS", "INSERT", "SCHEMA", "VERSION", "check", "connect", "is_busy", "is_damage"]
__all__ += ["text", "transaction"]

VERSION = 1
APPLICATION = 0x6B726461

# with a rowid: entries are appended, and only the index over the keys, which are random, is written all over the place
SCHEMA = (
    """CREATE TABLE IF NOT EXISTS judgments (
        id INTEGER PRIMARY KEY,
        key BLOB NOT NULL UNIQUE,
        conversation TEXT NOT NULL,
        judge TEXT NOT NULL,
        model TEXT NOT NULL,
        rubric TEXT NOT NULL,
        criteria TEXT NOT NULL,
        unscored INTEGER NOT NULL,
        payload BLOB NOT NULL,
        crc INTEGER NOT NULL,
        created INTEGER NOT NULL
    )""",
    """CREATE TABLE IF NOT EXISTS uses (
        conversation TEXT NOT NULL,
        key BLOB NOT NULL,
        PRIMARY KEY (conversation, key)
    ) WITHOUT ROWID""",
    f"PRAGMA application_id = {APPLICATION}",
    f"PRAGMA user_version = {VERSION}",
)
COLUMNS = "key, conversation, judge, model, rubric, criteria, unscored, payload, crc, created"
INSERT = f"INSERT INTO judgments ({COLUMNS}) VALUES ({', '.join('?' * 10)}) ON CONFLICT (key) DO NOTHING"  # noqa: S608


def connect(path: Path, busy_s: float) -> sqlite3.Connection:
    """A connection to a file that is there. `synchronous` is NORMAL: a kill costs nothing, a power cut perhaps the last
    commits."""
    uri = path.absolute().as_uri() + "?mode=rw"
    connection = sqlite3.connect(uri, timeout=busy_s, isolation_level=None, check_same_thread=False, uri=True)
    try:
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA cache_size = -8000")
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def check(connection: sqlite3.Connection, path: Path) -> set[str]:
    """The names of its tables.

    Raises:
        Misplaced: where it is another program's database, or a newer kardia's.
    """
    tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    if tables and "judgments" not in tables:
        # the file is read only here, since closing it takes away the locks of every connection to it
        if APPLICATION in (application, application_in(path)):
            raise sqlite3.DatabaseError("its tables are not there")
        raise Misplaced(f"{path}: is a database of another program; name another file for the ledger")
    if version > VERSION:
        raise Misplaced(
            f"{path}: was written by a newer kardia (format {version}; this one knows {VERSION}); update kardia, or "
            f"name another file for the ledger"
        )
    return tables


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """All of it, or nothing; the lock is taken at once, so that nothing is found out halfway."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        try:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
        except sqlite3.Error:
            pass  # what is raised already says more
        raise


def is_busy(problem: sqlite3.Error) -> bool:
    """Whether another process held a lock for too long."""
    return isinstance(problem, sqlite3.OperationalError) and "lock" in str(problem)


def is_damage(problem: sqlite3.Error) -> bool:
    """Whether the file itself is broken, and not the way to it or the call. Python 3.10 has no error codes."""
    if isinstance(problem, sqlite3.OperationalError):
        words = ("full", "readonly", "unable to open", "I/O", "denied", "lock", "interrupted")
        return not any(word in str(problem) for word in words)
    return type(problem) is sqlite3.DatabaseError


def text(raw: str) -> str:
    """Half a surrogate pair is no character, and SQLite takes none."""
    return raw if raw.isascii() else raw.encode("utf-8", "backslashreplace").decode("utf-8")
