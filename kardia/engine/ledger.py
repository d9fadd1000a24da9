"""The ledger: what a judge has answered once is not asked again.

Reading happens where it is needed, in batches. Writing is done by one thread: what is recorded within 50 ms, or 64
entries of it, is committed at once, and only then is anybody told. A ledger that fails says so once and steps aside:
the run goes on without it.
"""

from __future__ import annotations

import asyncio
import atexit
import logging
import os
import threading
import time
import weakref
from collections.abc import Callable, Sequence
from pathlib import Path
from queue import Empty, SimpleQueue

from kardia.engine.place import Address, ledger_place, store_of
from kardia.engine.store import Entry, Misplaced, Row, Store, StoreError
from kardia.errors import InputError

__all__ = ["Entry", "Ledger", "Row", "Store", "StoreError", "existing_ledger", "open_ledger"]

GROUP = 64
"""Entries that are committed without waiting for more."""
WAIT_S = 0.050
"""Seconds between two commits, as long as there are fewer."""
LEAST_WAIT_S = 0.005
"""Seconds that the first entry after a while waits for company."""
MOST_AT_ONCE = 1024

_log = logging.getLogger("kardia")


class _Batch:
    """What waits to be committed together; the `thens` are called on `loop`."""

    __slots__ = ("entries", "loop", "thens", "timer", "uses")

    def __init__(self, loop: asyncio.AbstractEventLoop | None) -> None:
        self.loop = loop
        self.entries: list[Entry] = []
        self.thens: list[Callable[[], None]] = []
        self.uses: list[tuple[bytes, str]] = []
        self.timer: asyncio.TimerHandle | None = None


class Ledger:
    """Stored answers, and a thread that writes new ones. `open_ledger` gives the one of a place.

    Usable from any number of threads and event loops, and by both sides of a fork.

    Args:
        store: where answers are kept.
        place: where that is, as `store_of` takes it; None where nobody else can open it.
    """

    def __init__(self, store: Store, place: Path | Address | None = None) -> None:
        self.store = store
        self._place = place
        self.pending = 0
        """Entries that were recorded and are not committed yet."""
        self._read_off = False
        self._write_off = False
        self._handed = 0.0
        self._fresh()
        with _registering:
            _ledgers.add(self)

    def __repr__(self) -> str:
        return f"Ledger({self.store.place!r})"

    @property
    def path(self) -> Path | None:
        """Its file; None where it lies in none."""
        return self._place if isinstance(self._place, Path) else None

    @property
    def where(self) -> str | Path:
        """What `open_ledger` takes for it, in this process or another one; an address comes with its password."""
        return self._place.url if isinstance(self._place, Address) else self._place or "off"

    def _fresh(self) -> None:
        self._lock = threading.Lock()
        self._batches: dict[asyncio.AbstractEventLoop | None, _Batch] = {}
        self._queue: SimpleQueue[_Batch | None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self.pending = 0

    def lookup(self, wanted: Sequence[tuple[bytes, str]]) -> dict[bytes, bytes]:
        """The payloads of what is stored; that a conversation used one is remembered, so that it can be forgotten.

        Fastest in batches of 64 to 256.

        Args:
            wanted: (key, conversation id).

        Returns:
            key → payload; what is not stored, or damaged, is not in it.
        """
        if self._read_off or not wanted:
            return {}
        asked = dict(wanted)
        try:
            rows = self.store.get(list(asked))
        except StoreError as problem:
            self._read_off = True
            _warn(f"{problem}: what it holds is asked for again")
            return {}
        found: dict[bytes, bytes] = {}
        uses: list[tuple[bytes, str]] = []
        if len(asked) == len(wanted):
            for key, conversation, payload in rows:
                found[key] = payload
                if asked[key] != conversation:
                    uses.append((key, asked[key]))
        else:
            owners: dict[bytes, str] = {}
            for key, conversation, payload in rows:
                found[key] = payload
                owners[key] = conversation
            uses = [(key, who) for key, who in dict.fromkeys(wanted) if key in owners and owners[key] != who]
        if uses:
            self._use(uses)
        return found

    def holds(self, keys: Sequence[bytes]) -> set[bytes]:
        """Which of these keys are stored. Nothing is remembered of having asked."""
        try:
            return {key for key, _, _ in self.store.get(keys)} if keys and not self._read_off else set()
        except StoreError:
            return set()

    def share(self, key: bytes, conversation: str) -> None:
        """Remembers that a conversation uses an answer which another one asked for at the same time."""
        self._use([(key, conversation)])

    def record(self, entry: Entry, then: Callable[[], None]) -> None:
        """Stores an entry soon, and calls `then` on the running event loop once no kill can undo it.

        Where storing has had to be given up, `then` is called as well.
        """
        loop = asyncio.get_running_loop()
        if self._write_off:
            loop.call_soon(then)
            return
        with self._lock:
            self.pending += 1
            batch = self._batches.get(loop)
            if batch is None:
                batch = self._begin(loop)
            batch.entries.append(entry)
            batch.thens.append(then)
            if len(batch.entries) < GROUP:
                return
            self._hand_over(batch)

    def flush(self) -> None:
        """Has what was recorded on the running event loop committed now; does not wait. For whoever has nothing else
        to do until then."""
        with self._lock:
            batch = self._batches.get(asyncio.get_running_loop())
            if batch is not None:
                self._hand_over(batch)

    def close(self) -> None:
        """Waits until everything is committed, and lets go of the store; used again, the ledger opens it again."""
        with self._lock:
            for batch in list(self._batches.values()):
                self._hand_over(batch)
            thread, self._thread = self._thread, None
            queue, self._queue = self._queue, SimpleQueue()  # whoever records from now on gets a thread of its own
        queue.put(None)
        if thread is not None:
            thread.join()
        else:
            self._serve(queue)  # where no thread could be started any more
        self.store.close()

    def reopened(self) -> Ledger:
        """This ledger, with another try where it had been given up."""
        self._read_off = self._write_off = False
        return self

    def _use(self, uses: list[tuple[bytes, str]]) -> None:
        if self._write_off:
            return
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            loop = None
        with self._lock:
            batch = self._batches.get(loop)
            if batch is None:
                batch = self._begin(loop)
            batch.uses += uses
            if loop is None or len(batch.uses) >= MOST_AT_ONCE:
                self._hand_over(batch)

    def _begin(self, loop: asyncio.AbstractEventLoop | None) -> _Batch:
        for other in [batch for batch in self._batches.values() if batch.loop is not None and batch.loop.is_closed()]:
            self._hand_over(other)  # its timer will never come
        batch = self._batches[loop] = _Batch(loop)
        if loop is not None:
            wait = max(self._handed + WAIT_S - time.monotonic(), LEAST_WAIT_S)
            batch.timer = loop.call_later(wait, self._due, batch)
        return batch

    def _due(self, batch: _Batch) -> None:
        with self._lock:
            if self._batches.get(batch.loop) is batch:
                self._hand_over(batch)

    def _hand_over(self, batch: _Batch) -> None:
        """To the thread that writes; with the lock held."""
        del self._batches[batch.loop]
        if batch.timer is not None:
            batch.timer.cancel()
        self._handed = time.monotonic()
        self._queue.put(batch)
        if self._thread is None:
            thread = threading.Thread(target=self._serve, args=(self._queue,), name="kardia-ledger", daemon=True)
            try:
                thread.start()
            except RuntimeError:
                return  # the interpreter is ending: `close` writes it
            self._thread = thread

    def _serve(self, queue: SimpleQueue[_Batch | None]) -> None:
        over = False
        while not over:
            waiting = [queue.get()]
            count = 0
            while waiting[-1] is not None and count < MOST_AT_ONCE:
                count += len(waiting[-1].entries) + len(waiting[-1].uses)
                try:
                    waiting.append(queue.get_nowait())
                except Empty:
                    break
            over = waiting[-1] is None
            batches = [batch for batch in waiting if batch is not None]
            if batches:
                self._commit(batches)

    def _commit(self, batches: list[_Batch]) -> None:
        try:
            if not self._write_off:
                entries = [entry for batch in batches for entry in batch.entries]
                uses = [use for batch in batches for use in batch.uses]
                self.store.put(entries, uses, int(time.time()))
        except StoreError as problem:
            self._write_off = True
            _warn(f"{problem}: answers are not stored from here on")
        except Exception as problem:
            self._write_off = True
            fault = f"{type(problem).__name__}: {problem}"
            _warn(f"the ledger {self.store.place} failed ({fault}): answers are not stored from here on")
        with self._lock:
            self.pending -= sum(len(batch.entries) for batch in batches)
        told: dict[asyncio.AbstractEventLoop, list[Callable[[], None]]] = {}
        for batch in batches:
            if batch.loop is not None and batch.thens:
                told.setdefault(batch.loop, []).extend(batch.thens)
        for loop, thens in told.items():
            try:
                loop.call_soon_threadsafe(_call, loop, thens)
            except RuntimeError:
                pass  # the loop is closed: nobody waits there any more


def _call(loop: asyncio.AbstractEventLoop, thens: list[Callable[[], None]]) -> None:
    for then in thens:
        try:
            then()
        except Exception as problem:
            loop.call_exception_handler({"message": "what follows a commit failed", "exception": problem})


def _warn(sentence: str) -> None:
    """Once a process: a trainer opens the ledger at every step."""
    if sentence not in _warned:
        _warned.add(sentence)
        _log.warning("%s", sentence)


_opening = threading.Lock()
_registering = threading.Lock()
_known: dict[Path | Address, Ledger] = {}
_ledgers: weakref.WeakSet[Ledger] = weakref.WeakSet()
_held: list[Ledger] = []
_warned: set[str] = set()
_at_exit = False


def open_ledger(where: str | Path | None = None) -> Ledger | None:
    """The ledger of a place: one for all of this process.

    Args:
        where: a file; `postgresql://user@host:port/database`; `off`: none; None: `$KARDIA_LEDGER`, else the user's data
            directory.

    Returns:
        None where there is none, or where it cannot be opened: then a warning has said why.

    Raises:
        InputError: where a place was named that cannot hold a ledger.
        MissingExtra: PostgreSQL without psycopg.
    """
    global _at_exit
    place, named = ledger_place(where)
    if place is None:
        return None
    with _opening:
        known = _known.get(place)
        if known is not None:
            return known.reopened()
        store = store_of(place)
        try:
            store.open()
        except StoreError as problem:
            if named and isinstance(problem, Misplaced):
                raise InputError(str(problem)) from None
            _warn(f"{problem}: answers are not stored")
            return None
        ledger = _known[place] = Ledger(store, place)
        if not _at_exit:
            atexit.register(_close_all)
            _at_exit = True
        return ledger


def existing_ledger(where: str | Path | Ledger | None = None) -> Ledger | None:
    """The ledger of a place, where there is one already: to count what it holds, none is made.

    Args:
        where: as for `open_ledger`; or a ledger.

    Raises:
        as `open_ledger`.
    """
    if isinstance(where, Ledger):
        return where
    place, _ = ledger_place(where)
    try:
        if place is None or (place not in _known and not store_of(place).is_there()):
            return None
    except StoreError as problem:
        raise InputError(str(problem)) from None
    return open_ledger(where)


def _close_all() -> None:
    for ledger in list(_known.values()):
        ledger.close()


def _before_fork() -> None:
    _registering.acquire()
    _held.extend(_ledgers)
    for ledger in _held:
        ledger._lock.acquire()


def _after_fork() -> None:
    for ledger in _held:
        ledger._lock.release()
    _held.clear()
    _registering.release()


def _after_fork_in_child() -> None:
    # what was recorded and not committed is the parent's to commit, and so is its thread
    global _opening, _registering
    for ledger in _held:
        ledger._fresh()
    _held.clear()
    _opening, _registering = threading.Lock(), threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_after_fork_in_child)
