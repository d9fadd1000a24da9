"""What a ledger keeps, and what a database must do to keep it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol
from zlib import crc32

__all__ = ["Entry", "Misplaced", "Row", "Store", "StoreError", "checksum", "is_sound"]


class StoreError(Exception):
    """A store that cannot be read or written; the message says why, and names the place."""


class Misplaced(StoreError):
    """Where the ledger should lie is no place for one: a directory, another program's database, a newer kardia's, a
    server that does not answer."""


@dataclass(frozen=True, slots=True)
class Entry:
    """What came of one request, ready to be stored.

    Attributes:
        key: the hash of all that determines it.
        conversation: the id of the conversation that was judged.
        judge: the profile's name.
        model: the model's name; empty where there is none.
        rubric: `name@version`.
        criteria: the ids of the criteria that were asked, in order.
        unscored: whether any of them is unscored.
        payload: `kardia.engine.asked.encode` of what came of it.
    """

    key: bytes
    conversation: str
    judge: str
    model: str
    rubric: str
    criteria: tuple[str, ...]
    unscored: bool
    payload: bytes


@dataclass(frozen=True, slots=True)
class Row:
    """An entry as it is stored.

    Attributes:
        entry: what was stored.
        created: when, in seconds since 1970.
        sound: whether its checksum is right; an entry that is not sound is never used.
    """

    entry: Entry
    created: int
    sound: bool


def checksum(key: bytes, payload: bytes) -> int:
    """32 bits over an entry's key and its payload, which are stored beside them."""
    return crc32(payload, crc32(key))


def is_sound(key: object, payload: object, stored: object) -> bool:
    """Whether the checksum that was stored is theirs, whatever a damaged database holds in their places."""
    return type(key) is bytes and type(payload) is bytes and checksum(key, payload) == stored


class Store(Protocol):
    """A database that keeps entries. Every method may be called on any thread, and raises `StoreError` where it fails.

    Attributes:
        place: where it is, as people would name it.
    """

    place: str

    def get(self, keys: Sequence[bytes]) -> list[tuple[bytes, str, bytes]]:
        """Key, conversation and payload of every key that is there; what is damaged is not there."""
        ...

    def put(self, entries: Sequence[Entry], uses: Sequence[tuple[bytes, str]], created: int) -> None:
        """Stores all of it, or nothing; when it returns, a kill of the process cannot undo it.

        Args:
            entries: an entry takes the place of the one with its key, unless only the old one is scored; the old one's
                conversation is remembered.
            uses: (key, conversation): further conversations that an entry was used for.
            created: now, in seconds since 1970.
        """
        ...

    def close(self) -> None:
        """Lets go of connections; the next call opens them again."""
        ...

    def rows(self) -> Iterator[Row]:
        """All that is stored, the oldest first."""
        ...

    def prune(self, *, before: int | None = None, judge: str | None = None, unscored: bool = False) -> int:
        """Deletes the entries that meet every condition that is given, and frees their space.

        Args:
            before: created before this moment, in seconds since 1970.
            judge: by the judge of this name.
            unscored: with a criterion that is unscored.

        Returns:
            how many.
        """
        ...

    def forget(self, conversations: Sequence[str]) -> list[int]:
        """Deletes every entry that was stored or used for one of these conversations, so that no byte of them stays.

        Returns:
            how many, for each; what two of them shared counts for the first.
        """
        ...

    def faults(self) -> Iterator[str]:
        """What is wrong with the database itself, a sentence each; what single entries hold is not looked at."""
        ...

    def mend(self) -> None:
        """Begins anew with what is whole, and keeps the damaged database beside it; a warning says where."""
        ...

    def aside(self) -> list[str]:
        """What was kept when it was mended and is still there, as people would name it."""
        ...

    def size(self) -> int:
        """How many bytes it takes."""
        ...
