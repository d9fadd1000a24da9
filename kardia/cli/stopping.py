"""Ctrl-C while something is under way."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kardia.engine.halt import Halt

__all__ = ["AFTER_A_STEP", "stoppable"]

AFTER_A_STEP = "the step under way is finished, and a checkpoint written"
"""What a training does before it stops."""


@contextmanager
def stoppable(halt: Halt, what: str = "what is under way is finished first") -> Iterator[None]:
    """The first Ctrl-C, or a first SIGTERM, asks for a stop; the second stops at once.

    Args:
        halt: who is asked.
        what: what happens until then, for people.
    """
    import signal

    from kardia.cli.terminal import note

    def on_signal(number: int, frame: object) -> None:
        if halt.requested:
            raise KeyboardInterrupt
        halt.request()
        note(f"stopping: {what} (Ctrl-C again stops at once)")

    numbers = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
    before = {number: signal.getsignal(number) for number in numbers}
    # what the parent ignores stays ignored: `nohup` means it
    caught = [number for number, handler in before.items() if handler is not signal.SIG_IGN]
    for number in caught:
        signal.signal(number, on_signal)
    try:
        yield
    finally:
        for number in caught:
            signal.signal(number, before[number])
