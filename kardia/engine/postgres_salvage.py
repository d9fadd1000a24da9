"""A damaged ledger in PostgreSQL: its schema is renamed, and what is whole is carried over into a new one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from kardia.engine import postgres_schema as schema
from kardia.engine.salvage import sound_batches

if TYPE_CHECKING:
    from kardia.engine.postgres_schema import Connection

__all__ = ["moved_aside", "renew"]

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
    for sound in _batches(connection, aside):
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
    query = f"SELECT id, {schema.COLUMNS} FROM {aside}.judgments WHERE id > %s ORDER BY id LIMIT %s"  # noqa: S608
    error = schema.driver().Error

    def read(last: int, limit: int) -> list[tuple[Any, ...]] | None:
        try:
            return connection.execute(query, (last, limit), binary=True).fetchall()
        except error as problem:
            if schema.is_lost(problem):
                raise
            return None

    return sound_batches(read, BEYOND)
