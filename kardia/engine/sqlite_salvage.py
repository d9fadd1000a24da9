"""What can still be read of a damaged SQLite ledger, carried over into a new one."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from kardia.engine.salvage import AT_ONCE, sound_batches
from kardia.engine.sqlite_schema import COLUMNS, INSERT, connect, transaction

__all__ = ["salvage"]

LEAST_ROW = 60
"""Bytes; a file cannot hold more rows than so many fit into it, whatever its pages say."""
BEYOND = 2**40


def salvage(damaged: Path, into: sqlite3.Connection) -> int:
    """Copies every row whose checksum is right, and whatever is known of further uses; how many rows."""
    count = 0
    try:
        with closing(connect(damaged, 5.0)) as old:
            old.text_factory = _tolerant
            for rows in _batches(old, os.path.getsize(damaged) // LEAST_ROW):
                with transaction(into):
                    count += into.executemany(INSERT, rows).rowcount
            uses = old.execute("SELECT conversation, key FROM uses")
            while some := uses.fetchmany(AT_ONCE):
                with transaction(into):
                    into.executemany("INSERT OR IGNORE INTO uses (conversation, key) VALUES (?, ?)", some)
    except (sqlite3.Error, OSError):
        pass  # no more can be had: what was copied stays
    return count


def _batches(old: sqlite3.Connection, most: int) -> Iterator[list[tuple[Any, ...]]]:
    query = f"SELECT id, {COLUMNS} FROM judgments WHERE id > ? ORDER BY id LIMIT ?"  # noqa: S608 - constants

    def read(last: int, limit: int) -> list[tuple[Any, ...]] | None:
        try:
            return old.execute(query, (last, limit)).fetchall()
        except sqlite3.Error:
            return None

    return sound_batches(read, BEYOND, most)


def _tolerant(raw: bytes) -> str:
    return raw.decode("utf-8", "replace")
