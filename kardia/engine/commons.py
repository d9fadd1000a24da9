"""What processes on this machine share about an endpoint: its pace, its level, and who has how many slots of it.

One small SQLite file beside the ledger, without a server and without a thread: whoever is busy looks into it a few
times a second, in transactions of some 100 µs. What it holds is worth nothing after a minute, so nothing is ever
flushed to the disk, and where the file makes trouble the limits hold for this process alone, with one warning.

Slots: each process that is busy is a member, with a heartbeat. It says how many slots it could use, and is granted its
max–min fair share of the level; it takes at once only what the others have not been granted, and the rest when they
have shrunk. So, while the level stays as it is, the members together never have more slots than the level. Members
whose process is gone, or whose heartbeat is older than 3 s, are dropped.

Pace: for each limit, the next free moment, in wall-clock time.
"""

from __future__ import annotations

import hashlib
import logging
import math
import os
import platform
import sqlite3
import threading
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from kardia.files import private_opener

__all__ = ["Commons", "Grant", "fair_share", "limits_path"]

T = TypeVar("T")

DEAD_S = 3.0
TURN_S = 2.0
"""Where there are fewer slots than members, they take turns of this length."""
BUSY_S = 0.02
"""How long the event loop waits for the file's lock."""
FIRST_BUSY_S = 0.25
"""How long it waits when it opens the file: others may be making it."""
MOST_PATIENCE_S = 5.0
STUCK = 5
"""Times in a row that the lock was not to be had, after which it is somebody's who keeps it."""
AHEAD_S = 60.0
"""A next free moment further ahead than this (and 64 requests) is no reservation: a clock was set back."""
VERSION = 1

_SCHEMA = """
CREATE TABLE IF NOT EXISTS levels (
    endpoint TEXT PRIMARY KEY, level REAL NOT NULL, ceiling INTEGER NOT NULL, paused REAL NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS members (
    joined INTEGER PRIMARY KEY, endpoint TEXT NOT NULL, member TEXT NOT NULL, place TEXT NOT NULL, pid INTEGER NOT NULL,
    seen REAL NOT NULL, ceiling INTEGER NOT NULL, wanted INTEGER NOT NULL, granted INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS paces (
    endpoint TEXT NOT NULL, kind TEXT NOT NULL, due REAL NOT NULL, PRIMARY KEY (endpoint, kind)
) WITHOUT ROWID;
"""

_log = logging.getLogger("kardia")
_warned: set[tuple[str, str]] = set()
_inherited: list[sqlite3.Connection] = []
"""Connections that a fork copied: kept and never touched, since closing one would drop the parent's locks."""


@dataclass(frozen=True, slots=True)
class Grant:
    """What a member may do until it asks again.

    Attributes:
        level: the endpoint's level, as all members see it.
        ceiling: the largest concurrency that a member's profile allows; the level's ceiling.
        slots: how many requests this member may have under way; 0 where it has to wait for others to shrink.
        share: how many it will have then.
        members: how many there are, this one included.
        paused: the wall-clock time until which nobody asks the endpoint.
    """

    level: float
    ceiling: int
    slots: int
    share: int
    members: int
    paused: float


def limits_path(beside: Path | None) -> Path:
    """The limits file of a ledger; of the default ledger where there is none, so that runs without one share too."""
    if beside is None:
        import platformdirs

        beside = platformdirs.user_data_path("kardia", appauthor=False) / "ledger.sqlite3"
    return beside.with_name(beside.name + ".limits").absolute()


def fair_share(level: int, wanted: Sequence[int], turn: int = 0) -> list[int]:
    """Max–min fair shares: nobody gets more than wanted, and what one leaves the others divide.

    Args:
        level: how many there are to share; ≥ 0.
        wanted: how many each could use; ≥ 0.
        turn: whose turn it is where they cannot be divided evenly; any whole number.

    Returns:
        each one's share: min(level, sum(wanted)) in all; nobody has more than 1 above one who gets less than wanted.
    """
    shares = [0] * len(wanted)
    order = sorted((i for i, want in enumerate(wanted) if want > 0), key=lambda i: wanted[i])
    left = level
    for done, i in enumerate(order):
        if wanted[i] > left // (len(order) - done):
            rest = sorted(order[done:])
            each, over = divmod(left, len(rest))
            for place, member in enumerate(rest):
                shares[member] = each + ((place - turn) % len(rest) < over)
            break
        shares[i] = wanted[i]
        left -= wanted[i]
    return shares


class Commons:
    """One event loop's access to what is shared about one endpoint.

    Args:
        path: the limits file; made, readable by its owner only, where there is none.
        endpoint: names the endpoint, the same in every process. Only its hash is stored: a URL may hold a key.

    Attributes:
        broken: whether the file was given up: from then on every method returns None, at once.
        stuck: whether it has been locked for so long that there is no use in waiting.
    """

    def __init__(self, path: Path, endpoint: str) -> None:
        self.path = path
        self.broken = False
        self._endpoint = hashlib.blake2b(endpoint.encode(), digest_size=16).hexdigest()
        self._member = os.urandom(8).hex()
        self._place = _place()
        self._box: list[sqlite3.Connection] = []
        self._process = os.getpid()
        # at its end the program closes this on one thread while the event loop's may still be at it
        self._lock = threading.RLock()
        self._locked = 0
        self._not_before = 0.0
        weakref.finalize(self, _close, self._box, self._member, self._process, self._lock)

    @property
    def stuck(self) -> bool:
        return self.broken or self._locked >= STUCK

    def sync(
        self, now: float, *, level: float, moved: float, ceiling: int, wanted: int, in_use: int, paused: float = 0.0
    ) -> Grant | None:
        """Says what this member does, and asks what it may do; also the heartbeat.

        Args:
            now: wall-clock time.
            level: what this member takes the level to be; counts where there is no other.
            moved: by what it moved it since it last synced; counts where there are others.
            ceiling: its profile's concurrency.
            wanted: how many slots it could use.
            in_use: how many it uses.
            paused: the wall-clock time until which it was told to wait.

        Returns:
            None where the file is locked or was given up.
        """

        def work(connection: sqlite3.Connection) -> Grant:
            mine, others = self._members(connection, now)
            stored = connection.execute(
                "SELECT level, ceiling, paused FROM levels WHERE endpoint = ?", (self._endpoint,)
            ).fetchone()
            top = max([ceiling, *(other.ceiling for other in others)])
            value, until = level, paused
            if others and stored is not None:
                # a level that never had to fall rises with the ceiling
                value = (float(top) if stored[0] >= stored[1] else stored[0]) + moved
                if stored[2] < now + AHEAD_S:
                    until = max(until, stored[2])
            value = min(max(value, 1.0), float(top))
            whole = int(value)
            me = _Member(math.inf if mine is None else mine, ceiling, min(wanted, ceiling) if others else ceiling, 0)
            row = sorted([*others, me], key=lambda member: member.joined)
            wants = [min(member.wanted, member.ceiling) for member in row]
            turn = int(now / TURN_S) if whole < sum(want > 0 for want in wants) else 0
            share = fair_share(whole, wants, turn)[row.index(me)]
            slots = max(0, min(share, whole - sum(other.granted for other in others)))
            connection.execute(
                "INSERT INTO levels VALUES (?, ?, ?, ?) ON CONFLICT (endpoint) DO UPDATE SET "
                "level = excluded.level, ceiling = excluded.ceiling, paused = excluded.paused",
                (self._endpoint, value, top, until),
            )
            connection.execute(
                "INSERT OR REPLACE INTO members VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (mine, self._endpoint, self._member, self._place, self._process, now, ceiling, me.wanted,
                 max(slots, in_use)),
            )  # fmt: skip
            return Grant(value, top, slots, share, len(row), until)

        return self._do(now, work)

    def leave(self, now: float) -> None:
        """This member needs nothing any more, for now."""

        def work(connection: sqlite3.Connection) -> None:
            connection.execute("DELETE FROM members WHERE member = ?", (self._member,))

        self._do(now, work)

    def reserve(self, now: float, kind: str, seconds: float) -> float | None:
        """Takes so many seconds of a limit.

        Args:
            now: wall-clock time.
            kind: which limit.
            seconds: how much of it.

        Returns:
            when they begin, in wall-clock time; None where the file is locked or was given up.
        """

        def work(connection: sqlite3.Connection) -> float:
            key = (self._endpoint, kind)
            found = connection.execute("SELECT due FROM paces WHERE endpoint = ? AND kind = ?", key).fetchone()
            due = now if found is None else found[0]
            start = due if now < due < now + AHEAD_S + 64 * seconds else now
            connection.execute("INSERT OR REPLACE INTO paces VALUES (?, ?, ?)", (*key, start + seconds))
            return start

        return self._do(now, work)

    def close(self) -> None:
        """This member is gone; should it come back, the file is opened again."""
        _close(self._box, self._member, self._process, self._lock)

    def _members(self, connection: sqlite3.Connection, now: float) -> tuple[int | None, list[_Member]]:
        """Where this one stands in the row, and the others that live; the dead ones are dropped."""
        mine: int | None = None
        others: list[_Member] = []
        rows = connection.execute(
            "SELECT joined, member, place, pid, seen, ceiling, wanted, granted FROM members WHERE endpoint = ?",
            (self._endpoint,),
        ).fetchall()
        for joined, member, place, pid, seen, *numbers in rows:
            if member == self._member:
                mine = joined
            elif abs(now - seen) > DEAD_S or (place == self._place and not _lives(pid)):
                connection.execute("DELETE FROM members WHERE joined = ?", (joined,))
            else:
                others.append(_Member(joined, *numbers))
        return mine, others

    def _do(self, now: float, work: Callable[[sqlite3.Connection], T]) -> T | None:
        """Does something in one transaction; None where that cannot be, now or ever."""
        if self._process != os.getpid():
            self._after_fork()
        if self.broken or now < self._not_before <= now + MOST_PATIENCE_S:
            return None
        connection = None
        with self._lock:
            try:
                connection = self._connection()
                connection.execute("BEGIN IMMEDIATE")
                result = work(connection)
                connection.execute("COMMIT")
            except (sqlite3.Error, OSError) as problem:
                self._trouble(problem, connection, now)
                return None
            except BaseException:
                _roll_back(connection)
                raise
        self._locked = 0
        return result

    def _connection(self) -> sqlite3.Connection:
        if self._box:
            return self._box[0]
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        os.close(private_opener(str(self.path), os.O_RDWR | os.O_CREAT))
        patience = BUSY_S if self._locked else FIRST_BUSY_S
        connection = sqlite3.connect(self.path, timeout=patience, isolation_level=None, check_same_thread=False)
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = OFF")
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            if version == 0:
                connection.executescript(f"BEGIN IMMEDIATE; {_SCHEMA} PRAGMA user_version = {VERSION}; COMMIT;")
            elif version != VERSION:
                raise sqlite3.DatabaseError(f"version {version}, made by another version of kardia")
            connection.execute(f"PRAGMA busy_timeout = {BUSY_S * 1000:.0f}")
        except BaseException:
            connection.close()
            raise
        self._box.append(connection)
        return connection

    def _trouble(self, problem: Exception, connection: sqlite3.Connection | None, now: float) -> None:
        _roll_back(connection)
        locked = isinstance(problem, sqlite3.OperationalError) and ("locked" in str(problem) or "busy" in str(problem))
        if locked:
            # others hold it for 100 µs at a time: whoever holds it longer may do so for long
            self._locked += 1
            self._not_before = now + min(0.01 * 2.0**self._locked, MOST_PATIENCE_S)
            if self.stuck:
                self._warn("is locked by another program", "until it is free", "")
            return
        self.broken = True
        _close(self._box, self._member, self._process, self._lock)
        self._warn(f"cannot be used ({problem})", "from here on", "; if nothing else needs it, delete it")

    def _warn(self, what: str, when: str, remedy: str) -> None:
        if (str(self.path), when) not in _warned:
            _warned.add((str(self.path), when))
            _log.warning(
                "the limits file %s %s: %s, limits hold for each process alone%s", self.path, what, when, remedy
            )

    def _after_fork(self) -> None:
        _inherited.extend(self._box)
        self._process = os.getpid()
        self._box = []
        self._lock = threading.RLock()
        self._member = os.urandom(8).hex()
        weakref.finalize(self, _close, self._box, self._member, self._process, self._lock)


@dataclass(frozen=True, slots=True, eq=False)
class _Member:
    joined: float
    ceiling: int
    wanted: int
    granted: int


def _close(box: list[sqlite3.Connection], member: str, process: int, lock: threading.RLock) -> None:
    if process != os.getpid():
        return
    with lock:
        while box:
            connection = box.pop()
            try:
                connection.execute("DELETE FROM members WHERE member = ?", (member,))
            except sqlite3.Error:
                pass  # the others will notice
            connection.close()


def _roll_back(connection: sqlite3.Connection | None) -> None:
    try:
        if connection is not None and connection.in_transaction:
            connection.execute("ROLLBACK")
    except sqlite3.Error:
        pass  # it is given up, or asked again, anyway


def _lives(pid: int) -> bool:
    if os.name != "posix":
        return True  # there, signal 0 is no question; the heartbeat has to do
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        pass  # somebody else's, but there
    return True


def _place() -> str:
    """Where process ids mean the same: this machine, or this container on it."""
    try:
        return f"{platform.node()} {os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return platform.node()
