"""What can still be read of a damaged SQLite ledger, carried over into a new one."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from zlib import crc32

from kardia.engine.sqlite_schema import COLUMNS, INSERT, connect, transaction

__all__ = ["salvage"]

AT_ONCE = 500
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
    """The sound rows, in batches; where a stretch cannot be read, it is stepped over, in ever longer leaps."""
    last, leap, limit, seen = 0, 1, AT_ONCE, 0
    query = f"SELECT id, {COLUMNS} FROM judgments WHERE id > ? ORDER BY id LIMIT ?"  # noqa: S608 - constants
    while last < BEYOND and seen <= most:
        try:
            rows = old.execute(query, (last, limit)).fetchall()
        except sqlite3.Error:
            if limit > 1:
                limit = 1
            else:
                last, leap = last + leap, 2 * leap
            continue
        if not rows:
            return
        yield [row[1:] for row in rows if _is_sound(row)]
        seen += len(rows)
        last, leap, limit = max(last + 1, rows[-1][0]), 1, min(2 * limit, AT_ONCE)


def _is_sound(row: tuple[Any, ...]) -> bool:
    key, payload, crc = row[1], row[8], row[9]
    return type(key) is bytes and type(payload) is bytes and crc32(payload, crc32(key)) == crc


def _tolerant(raw: bytes) -> str:
    return raw.decode("utf-8", "replace")
