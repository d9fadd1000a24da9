"""The event loop that kardia owns: one thread, started when first needed.

Synchronous code, a notebook whose own loop is running and a trainer's thread all hand their work to it and wait.
After a fork the child starts its own: a thread does not survive the fork.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import platform
import sys
import threading
import weakref
from collections.abc import AsyncGenerator, Coroutine, Iterator, Sequence
from concurrent.futures import CancelledError
from typing import Any, Generic, Protocol, TypeVar

__all__ = ["close_later", "finish", "iterate", "iterate_chunks", "run"]

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
            loop = _new_loop()
            thread = threading.Thread(target=_serve, args=(loop,), name="kardia-loop", daemon=True)
            thread.start()
            if _owner is None:
                atexit.register(_shut_down)
            _loop, _thread, _owner = loop, thread, os.getpid()
        return _loop


def _new_loop() -> asyncio.AbstractEventLoop:
    """uvloop's where it is installed, which asks less of the processor; else asyncio's own."""
    if sys.platform != "win32" and platform.python_implementation() == "CPython":
        try:
            import uvloop
        except ImportError:
            pass
        else:
            loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
            return loop
    return asyncio.new_event_loop()


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
    return _Work(work).result()


class _Work(Generic[T]):
    """A coroutine under way on kardia's loop, and how another thread waits for it.

    Raises:
        RuntimeError: on kardia's own loop, which cannot wait for itself.
    """

    def __init__(self, work: Coroutine[Any, Any, T]) -> None:
        loop = _own_loop()
        self._loop = loop
        self._over = threading.Event()
        self._task: asyncio.Task[T] | None = None
        try:
            _not_on_own_loop()
            loop.call_soon_threadsafe(self._begin, work)
        except BaseException:
            work.close()
            raise

    def _begin(self, work: Coroutine[Any, Any, T]) -> None:
        self._task = self._loop.create_task(work)
        self._task.add_done_callback(self._end)

    def _end(self, _: asyncio.Task[T]) -> None:
        self._over.set()

    def result(self) -> T:
        """Waits for what the work returns or raises. Whatever interrupts the waiting cancels the work, and waits until
        that is over: it ends before anything else is done with it, such as closing the iterator that it steps."""
        _not_on_own_loop()
        try:
            self._over.wait()
        except BaseException:
            self._loop.call_soon_threadsafe(self._cancel)
            self._over.wait(CANCEL_S)
            raise
        assert self._task is not None
        if self._task.cancelled():
            raise CancelledError
        return self._task.result()

    def _cancel(self) -> None:
        assert self._task is not None  # a loop begins what it was handed first
        self._task.cancel()

    async def stop(self) -> None:
        """On the loop: cancels the work and waits until it is over, however it ends."""
        self._cancel()
        await asyncio.gather(*[self._task] if self._task else [], return_exceptions=True)


def _not_on_own_loop() -> None:
    if _on_own_loop():
        raise RuntimeError(
            "kardia's own event loop cannot wait for itself: inside a judge or an iterator of conversations, await "
            "kardia.ascore instead of calling kardia.score"
        )


def _on_own_loop() -> bool:
    return threading.current_thread() is _thread


def finish(work: Coroutine[Any, Any, None]) -> None:
    """`run` for what ends something; also where garbage is collected on kardia's own loop, where nobody may wait."""
    if _ended or _loop is None:  # no loop: nothing was begun on it, such as in a child that was forked and ends
        work.close()
    elif _on_own_loop():
        task = asyncio.ensure_future(work)
        _late.add(task)
        task.add_done_callback(_late.discard)
    else:
        run(work)


def iterate(source: AsyncGenerator[T, None]) -> Iterator[T]:
    """An asynchronous iterator as a synchronous one; closing it early cancels what is under way."""
    process = os.getpid()
    _sources.add(source)
    try:
        while True:
            _not_forked(process)
            more, item = run(_step(source))
            if not more:
                return
            yield item  # type: ignore[misc]
    finally:
        if process == os.getpid():  # in a copy that a fork made, what is under way is the parent's
            finish(_closed(source, None))


def iterate_chunks(source: AsyncGenerator[Sequence[T], None]) -> Iterator[T]:
    """`iterate` for a source that yields what is ready in chunks: one hop between the threads a chunk, not an item.

    While the items of a chunk are worked on, the next chunk is waited for: the source is at most one chunk ahead, and
    only once a second item of a chunk was asked for. What it raises is raised after the items that came before.
    """
    process = os.getpid()
    _sources.add(source)
    ahead: _Work[tuple[bool, Sequence[T] | None]] | None = None
    try:
        while True:
            _not_forked(process)
            ahead = ahead or _Work(_step(source))
            more, chunk = ahead.result()
            ahead = None
            if not more or chunk is None:
                return
            for number, item in enumerate(chunk):
                if number == 1 and process == os.getpid():
                    ahead = _Work(_step(source))
                yield item
    finally:
        if process == os.getpid():
            finish(_closed(source, ahead))


async def _step(source: AsyncGenerator[T, None]) -> tuple[bool, T | None]:
    try:
        return True, await source.__anext__()
    except StopAsyncIteration:
        return False, None


async def _closed(source: AsyncGenerator[Any, None], under_way: _Work[Any] | None) -> None:
    if under_way is not None:
        await under_way.stop()
    await source.aclose()


def _not_forked(process: int) -> None:
    if process != os.getpid():
        raise RuntimeError(
            "what is iterated here is under way in the process that this one was forked from; score anew in the child"
        )


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
        await asyncio.get_running_loop().shutdown_asyncgens()

    try:
        asyncio.run_coroutine_threadsafe(close(), _loop).result(timeout=5)
    except Exception:  # the interpreter is ending: there is nobody left to tell
        return
    _loop.call_soon_threadsafe(_loop.stop)
    if _thread is not None:
        _thread.join(timeout=5)
    if not _loop.is_running():
        _loop.close()
