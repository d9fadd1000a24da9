"""A wish to stop, from any thread: what is under way is finished, nothing new is begun."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

__all__ = ["Halt"]


class Halt:
    """Handed to a run; `request` may be called from anywhere, a signal handler included."""

    def __init__(self) -> None:
        self.requested = False
        self._listeners: list[tuple[asyncio.AbstractEventLoop, Callable[[], object]]] = []

    def request(self) -> None:
        """Asks whoever listens to stop."""
        self.requested = True
        for loop, callback in tuple(self._listeners):
            if not loop.is_closed():
                loop.call_soon_threadsafe(callback)

    def listen(self, callback: Callable[[], object]) -> None:
        """Has `callback` called on the running loop once stopping is asked for."""
        self._listeners.append((asyncio.get_running_loop(), callback))
        if self.requested:
            callback()
