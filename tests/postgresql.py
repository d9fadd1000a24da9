"""A PostgreSQL server of the tests' own, from the system's packages, with a password and without a wish for safety."""

from __future__ import annotations

import functools
import itertools
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import pytest

USER, PASSWORD = "keeper", "open%Sesame@7"
QUOTED = "open%25Sesame%407"


def programs() -> Path | None:
    """Where `initdb` and `postgres` are: on the PATH, or where Debian keeps them; the newest."""
    found = shutil.which("initdb")
    places = [Path(found).resolve().parent] if found else []
    places += sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda place: int(place.parent.name), reverse=True)
    return next((place for place in places if (place / "initdb").exists() and (place / "postgres").exists()), None)


@functools.cache
def _other_user() -> str | None:
    """Whom it runs as: it refuses to run as root."""
    if os.geteuid():
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"


class Server:
    """A cluster in a folder of its own. It answers on a loopback port, as a superuser only, and only by password.

    A commit is not waited for unless the client insists: what a ledger says is stored has to be so by its own doing.
    """

    def __init__(self, where: Path) -> None:
        self.programs = where
        self.folder = Path(tempfile.mkdtemp(prefix="kardia-postgresql-"))
        self.data = self.folder / "data"
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self._process: subprocess.Popen[bytes] | None = None
        self._numbers = itertools.count()
        self._free: list[str] = []
        password = self.folder / "password"
        password.write_text(PASSWORD)
        if other := _other_user():
            shutil.chown(self.folder, other)
            shutil.chown(password, other)
        words = ("-U", USER, "-A", "scram-sha-256", f"--pwfile={password}", "-E", "UTF8", "--locale=C", "--no-sync")
        self._run("initdb", "-D", str(self.data), *words).wait(120)
        assert (self.data / "PG_VERSION").exists(), self.said()
        password.unlink()

    def _run(self, program: str, *words: str) -> subprocess.Popen[bytes]:
        with open(self.folder / "said", "ab") as said:
            who: dict[str, Any] = {}
            if other := _other_user():
                entry = pwd.getpwnam(other)
                who = {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
            return subprocess.Popen(
                [str(self.programs / program), *words],
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                cwd=self.folder,
                **who,
            )

    def said(self) -> str:
        return (self.folder / "said").read_text(errors="replace")[-2000:]

    def start(self, *, wait: bool = True, safe: bool = False) -> None:
        """Args:
        wait: until it answers.
        safe: whether it waits for its disk, as servers do that nobody has told otherwise.
        """
        settings = {
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "fsync": "off",
            "synchronous_commit": "off",
            "wal_writer_delay": "10s",
            "autovacuum": "off",
            "max_connections": "60",
            "shared_buffers": "32MB",
            "jit": "off",
        }
        if safe:
            settings = {**settings, "fsync": "on", "synchronous_commit": "on", "autovacuum": "on"}
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        self._process = self._run("postgres", "-D", str(self.data), "-p", str(self.port), *options)
        if wait:
            self._wait()

    def _wait(self) -> None:
        import psycopg

        until = time.monotonic() + 60
        while True:
            try:
                psycopg.connect(self.url("postgres"), connect_timeout=5).close()
                return
            except psycopg.OperationalError:
                assert self._process is not None
                assert self._process.poll() is None, self.said()
                assert time.monotonic() < until, self.said()
                time.sleep(0.05)

    def stop(self, *, crash: bool = False) -> None:
        """Ends it: everybody is cut off at once. In a crash nothing is written any more."""
        if self._process is not None:
            self._process.send_signal(signal.SIGQUIT if crash else signal.SIGINT)
            self._process.wait(60)
            self._process = None

    def url(self, database: str, *, password: str | None = QUOTED, port: int | None = None) -> str:
        secret = "" if password is None else f":{password}"
        return f"postgresql://{USER}{secret}@127.0.0.1:{port or self.port}/{database}"

    def database(self, encoding: str = "UTF8") -> str:
        """The address of an empty one."""
        if encoding == "UTF8" and self._free:
            return self.url(self._free.pop())
        name = f"t{next(self._numbers)}"
        self.execute("postgres", f"CREATE DATABASE {name} TEMPLATE template0 ENCODING '{encoding}'")
        return self.url(name)

    def give_back(self, name: str) -> None:
        """Empties a database, and cuts off whoever still uses it."""
        self.execute(name, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
                     " AND pid <> pg_backend_pid()")  # fmt: skip
        for (schema,) in self.execute(name, "SELECT nspname FROM pg_namespace WHERE nspname LIKE 'kardia%'"):
            self.execute(name, f"DROP SCHEMA {schema} CASCADE")
        self._free.append(name)

    def execute(self, database: str, statement: str) -> list[tuple[Any, ...]]:
        """Runs statements as the superuser, beside whatever is tested; the rows of the last one."""
        import psycopg

        with psycopg.connect(self.url(database), autocommit=True) as connection:
            cursor = connection.execute(statement)
            while cursor.nextset():
                pass
            return cursor.fetchall() if cursor.description else []

    def remove(self) -> None:
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)


def started() -> Server:
    """One that answers; where there can be none, the test is skipped."""
    if os.name == "nt":
        pytest.skip("the tests start a PostgreSQL server only on POSIX systems")
    pytest.importorskip("psycopg", reason="a ledger in PostgreSQL needs kardia[postgres]")
    where = programs()
    if where is None:
        pytest.skip("there is no PostgreSQL server (initdb, postgres): apt-get install postgresql")
    server = Server(where)
    try:
        server.start()
    except BaseException:
        server.remove()
        raise
    return server
