"""One client an event loop: connections belong to the loop that opened them, and a judge is used on several."""

from __future__ import annotations

import asyncio
import os
import weakref
from collections.abc import Callable, Coroutine
from typing import Any, Generic, TypeVar

__all__ = ["PerLoop"]

C = TypeVar("C")

_inherited: list[object] = []
"""Clients that a fork copied: kept and never touched. To close one would take the parent's sockets off its loop."""


class _Clients(Generic[C]):
    """The clients of one process."""

    def __init__(self) -> None:
        self.process = os.getpid()
        self.of: dict[asyncio.AbstractEventLoop, C] = {}

    def here(self) -> dict[asyncio.AbstractEventLoop, C]:
        if self.process != os.getpid():
            _inherited.append(dict(self.of))
            self.of.clear()
            self.process = os.getpid()
        return self.of


class PerLoop(Generic[C]):
    """Makes a client for each event loop on first use, and closes it: by `aclose`, or when the owner is gone.

    Args:
        make: builds a client; called on the loop that it is for.
        close: closes one, on its loop.
    """

    def __init__(self, make: Callable[[], C], close: Callable[[C], Coroutine[Any, Any, None]]) -> None:
        self._make = make
        self._close = close
        self._clients: _Clients[C] = _Clients()
        weakref.finalize(self, _release, self._clients, close).atexit = False

    def get(self) -> C:
        """The running loop's client."""
        clients = self._clients.here()
        for loop in [loop for loop in clients if loop.is_closed()]:
            del clients[loop]
        loop = asyncio.get_running_loop()
        if loop not in clients:
            clients[loop] = self._make()
        return clients[loop]

    async def aclose(self) -> None:
        """Closes the running loop's client, where there is one."""
        client = self._clients.here().pop(asyncio.get_running_loop(), None)
        if client is not None:
            await self._close(client)


def _release(clients: _Clients[C], close: Callable[[C], Coroutine[Any, Any, None]]) -> None:
    for loop, client in clients.here().items():
        if loop.is_running():
            asyncio.run_coroutine_threadsafe(close(client), loop)
