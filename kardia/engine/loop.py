"""The event loop that kardia owns: one thread, started when first needed.

Synchronous code, a notebook whose own loop is running and a trainer's thread all hand their work to it and wait.
After a fork the child starts its own: a thread does not survive the fork.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import threading
import weakref
from collections.abc import AsyncIterator, Coroutine, Iterator
from typing import Any, Protocol, TypeVar

__all__ = ["close_later", "iterate", "run"]

T = TypeVar("T")


class _Closes(Protocol):
    async def aclose(self) -> None: ...


_lock = threading.Lock()
_loop: asyncio.AbstractEventLoop | None = None
_thread: threading.Thread | None = None
_owner: int | None = None
_open: weakref.WeakSet[Any] = weakref.WeakSet()


def _own_loop() -> asyncio.AbstractEventLoop:
    global _loop, _thread, _owner
    with _lock:
        if _loop is None or _owner != os.getpid():
            loop = asyncio.new_event_loop()
            thread = threading.Thread(target=_serve, args=(loop,), name="kardia-loop", daemon=True)
            thread.start()
            if _owner is None:
                atexit.register(_shut_down)
            _loop, _thread, _owner = loop, thread, os.getpid()
        return _loop


def _serve(loop: asyncio.AbstractEventLoop) -> None:
    asyncio.set_event_loop(loop)
    loop.run_forever()


def run(work: Coroutine[Any, Any, T]) -> T:
    """Runs a coroutine on kardia's loop and waits for it; whatever interrupts the waiting cancels the work."""
    future = asyncio.run_coroutine_threadsafe(work, _own_loop())
    try:
        return future.result()
    except BaseException:
        future.cancel()
        raise


def iterate(source: AsyncIterator[T]) -> Iterator[T]:
    """An asynchronous iterator as a synchronous one; closing it early cancels what is under way."""

    async def step() -> tuple[bool, T | None]:
        try:
            return True, await source.__anext__()
        except StopAsyncIteration:
            return False, None

    async def close() -> None:
        aclose = getattr(source, "aclose", None)
        if aclose is not None:
            await aclose()

    try:
        while True:
            more, item = run(step())
            if not more:
                return
            yield item  # type: ignore[misc]
    finally:
        run(close())


def close_later(judge: _Closes) -> None:
    """Has a judge's connections closed when the interpreter ends."""
    _open.add(judge)


def _shut_down() -> None:
    if _loop is None or _owner != os.getpid() or not _loop.is_running():
        return

    async def close() -> None:
        for judge in list(_open):
            await judge.aclose()

    try:
        asyncio.run_coroutine_threadsafe(close(), _loop).result(timeout=5)
    except Exception:  # the interpreter is ending: there is nobody left to tell
        return
    _loop.call_soon_threadsafe(_loop.stop)
    if _thread is not None:
        _thread.join(timeout=5)
    if not _loop.is_running():
        _loop.close()
