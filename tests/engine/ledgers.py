"""Entries, ledgers, and processes that write to them."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path

from kardia.engine.place import ledger_place, store_of
from kardia.engine.sqlite import SQLite
from kardia.engine.store import Entry, Store

ROOT = Path(__file__).resolve().parents[2]
NOW = 1_700_000_000


def key(number: int) -> bytes:
    return hashlib.blake2b(str(number).encode(), digest_size=20).digest()


def payload(number: int) -> bytes:
    """One that says which entry it belongs to, of a length of its own."""
    words = f"passage {number} " * (1 + number % 40)
    return f'[1,[1,1,{number},7],[["scored",{number % 5},"{words}",[],null,null]]]'.encode()


def entry(number: int, conversation: str | None = None, **more: object) -> Entry:
    made = {
        "key": key(number),
        "conversation": conversation or f"conversation {number}",
        "judge": "fake",
        "model": "",
        "rubric": "made@1.0.0",
        "criteria": ("kind",),
        "unscored": False,
        "payload": payload(number),
    }
    return Entry(**{**made, **more})


def store_at(where: str | Path) -> Store:
    """The store of what `--ledger` takes."""
    place, _ = ledger_place(where)
    assert place is not None
    return store_of(place)


def filled(path: Path, count: int = 40) -> SQLite:
    """A closed store of entries 0, 1, …; each conversation has one."""
    store = SQLite(path)
    fill(store, count)
    return store


def fill(store: Store, count: int = 40) -> None:
    for start in range(0, count, 64):
        store.put([entry(number) for number in range(start, min(start + 64, count))], [], NOW)
    store.close()


def held(store: Store, count: int = 40) -> set[int]:
    """Which of the entries 0, 1, … are there; none may be there with another's payload."""
    found = store.get([key(number) for number in range(count)])
    numbers = {key(number): number for number in range(count)}
    for name, _, body in found:
        assert body == payload(numbers[name])
    return {numbers[name] for name, _, _ in found}


def stored(where: str | Path, count: int = 40) -> set[int]:
    """`held` of what a place holds."""
    store = store_at(where)
    try:
        return held(store, count)
    finally:
        store.close()


def python(code: str, *arguments: object, stdin: int = subprocess.DEVNULL) -> subprocess.Popen[str]:
    """A Python process that knows kardia and this module (as `ledgers`)."""
    path = os.pathsep.join([str(ROOT), str(ROOT / "tests/engine"), os.environ.get("PYTHONPATH", "")])
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        stdin=stdin,
        text=True,
        env={**os.environ, "PYTHONPATH": path},
    )


def finished(processes: Iterable[subprocess.Popen[str]]) -> list[str]:
    """What each wrote, once it has ended well and without a word on stderr."""
    written = []
    for process in processes:
        out, err = process.communicate(timeout=120)
        assert (process.returncode, err) == (0, "")
        written.append(out)
    return written


def in_child(work: Callable[[], str]) -> str:
    """What a forked copy of this process returns."""
    reading, writing = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12 warns of forks beside threads
        child = os.fork()
    if not child:
        try:
            os.write(writing, work().encode())
        except BaseException as problem:
            os.write(writing, f"{type(problem).__name__}: {problem}".encode())
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as stream:
        told = stream.read().decode()
    os.waitpid(child, 0)
    return told
