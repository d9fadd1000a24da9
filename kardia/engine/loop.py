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
from collections.abc import AsyncGenerator, Coroutine, Iterator
from typing import Any, Protocol, TypeVar

__all__ = ["close_later", "finish", "iterate", "run"]

T = TypeVar("T")

CANCEL_S = 10.0


class _Closes(Protocol):
    async def aclose(self) -> None: ...


_lock = threading.Lock()
_loop: asyncio.AbstractEventLoop | None = None
_thread: threading.Thread | None = None
_owner: int | None = None
_open: weakref.WeakSet[Any] = weakref.WeakSet()
_ended = False
_abandoned: list[object] = []
_sources: weakref.WeakSet[Any] = weakref.WeakSet()
_late: set[asyncio.Future[None]] = set()


def _after_fork() -> None:
    # in the child: the lock may have been held, and the loop's thread is not there; the old loop is kept, since
    # closing it would disturb the parent's
    global _lock, _loop, _thread
    _lock = threading.Lock()
    _abandoned.extend((_loop, *_sources))
    _sources.clear()
    _loop = _thread = None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def _own_loop() -> asyncio.AbstractEventLoop:
    global _loop, _thread, _owner
    with _lock:
        if _loop is None:
            loop = asyncio.new_event_loop()
            thread = threading.Thread(target=_serve, args=(loop,), name="kardia-loop", daemon=True)
            thread.start()
            if _owner is None:
                atexit.register(_shut_down)
            _loop, _thread, _owner = loop, thread, os.getpid()
        return _loop


def _serve(loop: asyncio.AbstractEventLoop) -> None:
    asyncio.set_event_loop(loop)
    while True:
        try:
            loop.run_forever()
            return
        except (KeyboardInterrupt, SystemExit):
            continue  # raised by work, which hands it to whoever waits; others still need the loop


def run(work: Coroutine[Any, Any, T]) -> T:
    """Runs a coroutine on kardia's loop and waits for it; whatever interrupts the waiting cancels the work.

    Raises:
        RuntimeError: on kardia's own loop, which cannot wait for itself.
    """
    loop = _own_loop()
    if _on_own_loop():
        work.close()
        raise RuntimeError(
            "kardia's own event loop cannot wait for itself: inside a judge or an iterator of conversations, await "
            "kardia.ascore instead of calling kardia.score"
        )
    over = threading.Event()

    async def watched() -> T:
        try:
            return await work
        finally:
            over.set()

    future = asyncio.run_coroutine_threadsafe(watched(), loop)
    try:
        return future.result()
    except BaseException:
        if not future.done():
            # what is under way ends before anything else is done with it, such as closing the iterator that it steps
            future.cancel()
            over.wait(CANCEL_S)
        raise


def _on_own_loop() -> bool:
    return threading.current_thread() is _thread


def finish(work: Coroutine[Any, Any, None]) -> None:
    """`run` for what ends something; also where garbage is collected on kardia's own loop, where nobody may wait."""
    if _ended:
        work.close()
    elif _on_own_loop():
        task = asyncio.ensure_future(work)
        _late.add(task)
        task.add_done_callback(_late.discard)
    else:
        run(work)


def iterate(source: AsyncGenerator[T, None]) -> Iterator[T]:
    """An asynchronous iterator as a synchronous one; closing it early cancels what is under way."""

    async def step() -> tuple[bool, T | None]:
        try:
            return True, await source.__anext__()
        except StopAsyncIteration:
            return False, None

    async def close() -> None:
        await source.aclose()

    process = os.getpid()
    _sources.add(source)
    try:
        while True:
            more, item = run(step())
            if not more:
                return
            yield item  # type: ignore[misc]
    finally:
        if process == os.getpid():  # in a copy that a fork made, what is under way is the parent's
            finish(close())


def close_later(judge: _Closes) -> None:
    """Has a judge's connections closed when the interpreter ends."""
    _open.add(judge)


def _shut_down() -> None:
    global _ended
    if _loop is None or _owner != os.getpid() or not _loop.is_running():
        return

    _ended = True

    async def close() -> None:
        under_way = asyncio.all_tasks() - {asyncio.current_task()}
        for task in under_way:
            task.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)
        for source in list(_sources):
            await source.aclose()
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
