"""One client an event loop: connections belong to the loop that opened them, and a judge is used on several."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, Callable, Coroutine
from typing import Any, Generic, TypeVar

__all__ = ["PerLoop"]

C = TypeVar("C")

_inherited: list[object] = []
"""Clients that a fork copied: kept and never touched. To close one would take the parent's sockets off its loop."""


class PerLoop(Generic[C]):
    """Makes a client for each event loop on first use, and closes it: by `aclose`, when the owner is gone, or when the
    loop ends (`asyncio.run` and whoever else calls `shutdown_asyncgens`).

    Args:
        make: builds a client; called on the loop that it is for. It holds no reference to the owner of this object.
        close: closes one, on its loop.
    """

    def __init__(self, make: Callable[[], C], close: Callable[[C], Coroutine[Any, Any, None]]) -> None:
        self._make = make
        self._close = close
        self._process = os.getpid()
        self._open: dict[asyncio.AbstractEventLoop, tuple[C, AsyncGenerator[None, None]]] = {}

    def __len__(self) -> int:
        return len(self._here())

    def get(self) -> C:
        """The running loop's client."""
        loop = asyncio.get_running_loop()
        known = self._here().get(loop)
        return known[0] if known is not None else self._make_for(loop)

    async def aclose(self) -> None:
        """Closes the running loop's client, where there is one."""
        known = self._here().pop(asyncio.get_running_loop(), None)
        if known is not None:
            await known[1].aclose()

    def _make_for(self, loop: asyncio.AbstractEventLoop) -> C:
        for other in [other for other in list(self._open) if other.is_closed()]:
            del self._open[other]
        client = self._make()
        # a loop closes its asynchronous generators, dropped ones at once and all of them as it ends: the one place
        # where it can be asked to close anything at all
        guard = _kept_open(client, self._close)
        try:
            guard.__anext__().send(None)
        except StopIteration:
            pass  # it has reached its `yield`
        self._open[loop] = client, guard
        return client

    def _here(self) -> dict[asyncio.AbstractEventLoop, tuple[C, AsyncGenerator[None, None]]]:
        """The clients of this process."""
        if self._process != os.getpid():
            _inherited.append(self._open)
            self._open = {}
            self._process = os.getpid()
        return self._open


async def _kept_open(client: C, close: Callable[[C], Coroutine[Any, Any, None]]) -> AsyncGenerator[None, None]:
    try:
        yield
    finally:
        await close(client)
