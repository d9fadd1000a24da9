"""Places where a ledger may lie, and what a test does to them behind kardia's back."""

from __future__ import annotations

import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from postgresql import Server

from kardia.engine.place import ledger_place, store_of
from kardia.engine.store import Store


class Place(ABC):
    """Somewhere that nobody has used yet.

    Attributes:
        where: as `--ledger` takes it.
        shown: as people are told of it.
        folder: an empty one beside it.
    """

    where: str
    shown: str
    folder: Path

    def store(self) -> Store:
        place, _ = ledger_place(self.where)
        assert place is not None
        return store_of(place)

    @abstractmethod
    def sql(self, *statements: str) -> list[tuple[Any, ...]]:
        """Runs statements as another program; the rows of the last one."""

    @abstractmethod
    def blob(self, raw: bytes) -> str:
        """Bytes, as they are written in a statement."""

    @abstractmethod
    def age(self, version: int) -> None:
        """Makes it one that this version of the format wrote."""

    @abstractmethod
    @contextmanager
    def locked(self) -> Iterator[None]:
        """Nobody else can write as long as this lasts."""

    def words(self) -> bytes:
        """Everything that is written in its rows."""
        rows = self.sql("SELECT conversation, payload FROM judgments") + self.sql("SELECT conversation, key FROM uses")
        return b"\n".join(cell.encode() if isinstance(cell, str) else bytes(cell) for row in rows for cell in row)


class File(Place):
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.where = self.shown = str(folder / "ledger.sqlite3")

    def sql(self, *statements: str) -> list[tuple[Any, ...]]:
        rows: list[tuple[Any, ...]] = []
        with closing(sqlite3.connect(self.where)) as other, other:
            for statement in statements:
                rows = other.execute(statement).fetchall()
        return rows

    def blob(self, raw: bytes) -> str:
        return f"x'{raw.hex()}'"

    def age(self, version: int) -> None:
        self.sql(f"PRAGMA user_version = {version}")

    @contextmanager
    def locked(self) -> Iterator[None]:
        with closing(sqlite3.connect(self.where, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            yield
            other.execute("COMMIT")


class Database(Place):
    def __init__(self, folder: Path, server: Server) -> None:
        self.folder, self.server = folder, server
        self.where = server.database()
        self.name = self.where.rpartition("/")[2]
        self.shown = server.url(self.name, password=None)

    def sql(self, *statements: str) -> list[tuple[Any, ...]]:
        return self.server.execute(self.name, ";".join(("SET search_path = kardia", *statements)))

    def blob(self, raw: bytes) -> str:
        return f"'\\x{raw.hex()}'::bytea"

    def age(self, version: int) -> None:
        self.sql(f"UPDATE version SET version = {version}")

    @contextmanager
    def locked(self) -> Iterator[None]:
        import psycopg

        with psycopg.connect(self.where) as other:
            other.execute("LOCK TABLE kardia.judgments IN SHARE ROW EXCLUSIVE MODE")
            yield
            other.commit()
