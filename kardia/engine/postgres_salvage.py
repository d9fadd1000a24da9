"""A damaged ledger in PostgreSQL: its schema is renamed, and what is whole is carried over into a new one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any
from zlib import crc32

from kardia.engine import postgres_schema as schema

if TYPE_CHECKING:
    from kardia.engine.postgres_schema import Connection

__all__ = ["moved_aside", "renew"]

AT_ONCE = 500
BEYOND = 2**62
_ASIDE = "kardia_corrupt_"


def moved_aside(connection: Connection) -> list[str]:
    """The schemas of damaged ledgers that are still there."""
    found = connection.execute("SELECT nspname FROM pg_namespace WHERE starts_with(nspname, %s)", (_ASIDE,))
    return sorted(name for (name,) in found)


def renew(connection: Connection, place: str) -> tuple[str, int]:
    """Begins anew; others who use the ledger go on in the new one.

    Returns:
        the schema in which the damaged tables lie now; how many answers were carried over.
    """
    with schema.transaction(connection):
        taken = moved_aside(connection)
        aside = next(name for name in (f"{_ASIDE}{number}" for number in range(1, BEYOND)) if name not in taken)
        connection.execute(f"ALTER SCHEMA kardia RENAME TO {aside}")
        schema.make(connection, place)
    kept = 0
    places = ", ".join(["%s"] * len(schema.COLUMNS.split(", ")))
    add = f"INSERT INTO kardia.judgments ({schema.COLUMNS}) VALUES ({places}) ON CONFLICT (key) DO NOTHING"  # noqa: S608
    for rows in _batches(connection, aside):
        sound = [row[1:] for row in rows if _is_sound(row)]
        if sound:
            with schema.transaction(connection), connection.cursor() as cursor:
                cursor.executemany(add, sound)
                kept += cursor.rowcount
    try:
        connection.execute(
            f"INSERT INTO kardia.uses (conversation, key) SELECT conversation, key FROM {aside}.uses "  # noqa: S608
            "ON CONFLICT (sha256(conversation), key) DO NOTHING"
        )
    except schema.driver().Error as problem:
        if schema.is_lost(problem):
            raise
        # no more can be had: what was copied stays
    return aside, kept


def _batches(connection: Connection, aside: str) -> Iterator[list[tuple[Any, ...]]]:
    """The rows of the damaged table; where a stretch cannot be read, it is stepped over, in ever longer leaps."""
    last, leap, limit = 0, 1, AT_ONCE
    query = f"SELECT id, {schema.COLUMNS} FROM {aside}.judgments WHERE id > %s ORDER BY id LIMIT %s"  # noqa: S608
    error = schema.driver().Error
    while last < BEYOND:
        try:
            rows = connection.execute(query, (last, limit), binary=True).fetchall()
        except error as problem:
            if schema.is_lost(problem):
                raise
            if limit > 1:
                limit = 1
            else:
                last, leap = last + leap, 2 * leap
            continue
        if not rows:
            return
        yield rows
        last, leap, limit = rows[-1][0], 1, min(2 * limit, AT_ONCE)


def _is_sound(row: tuple[Any, ...]) -> bool:
    key, payload, crc = row[1], row[8], row[9]
    return bool(crc32(payload, crc32(key)) == crc)
