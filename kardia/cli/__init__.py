"""The command line. `main` is the entry point; each group of commands is one module; nothing heavy is imported until
used."""

from __future__ import annotations

import os
import signal
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import logging

__all__ = ["main"]


def main() -> None:
    """Runs the command line. Every error that kardia raises on purpose becomes one sentence on stderr and an exit
    code."""
    try:
        code = _run()
    finally:
        _settle()
    sys.exit(code)


def _run() -> int | str | None:
    import logging

    from kardia.cli.app import app
    from kardia.errors import KardiaError

    log = logging.getLogger("kardia")
    log.addHandler(_notes())
    log.propagate = False

    for name in ("SIGTERM", "SIGHUP"):  # as Ctrl-C: what was scored is kept, and no judged text stays behind
        # what the parent ignores stays ignored: `nohup` means it
        if hasattr(signal, name) and signal.getsignal(getattr(signal, name)) == signal.SIG_DFL:
            signal.signal(getattr(signal, name), _interrupt)
    try:
        try:
            app(prog_name="kardia")
        except SystemExit as ended:
            # Typer and rich answer these two with exit codes of their own
            for kind in (KeyboardInterrupt, BrokenPipeError):
                if _came_of(ended, kind):
                    raise kind from None
            _flush()
            return ended.code
        return 0
    except KardiaError as problem:
        _say(str(problem))
        return problem.exit_code
    except KeyboardInterrupt:
        _say("interrupted")
        return 130
    except BrokenPipeError:
        return 0  # whoever read our output has seen enough
    except Exception as problem:
        if os.environ.get("KARDIA_DEBUG"):
            raise
        fault = f"{type(problem).__name__}: {problem}"
        _say(f"this is a fault in kardia, not in your input ({fault}); KARDIA_DEBUG=1 shows where")
        return 2


def _notes() -> logging.Handler:
    """Warnings of the library as sentences on stderr."""
    import logging

    class Notes(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            _say(record.getMessage())

    return Notes(logging.WARNING)


def _flush() -> None:
    """Empties standard output now, and not when the interpreter ends: a closed pipe and a full disk show here."""
    from kardia.errors import OutputError

    try:
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as problem:
        raise OutputError(f"cannot be written: {problem.strerror or problem}", file="standard output") from None


def _settle() -> None:
    """Empties standard output; where it takes no more, it is turned away, or Python would complain again at exit."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _interrupt(number: int, frame: object) -> None:
    raise KeyboardInterrupt


def _came_of(problem: BaseException | None, kind: type[BaseException]) -> bool:
    while problem is not None:
        if isinstance(problem, kind):
            return True
        problem = problem.__cause__ or problem.__context__
    return False


def _say(message: str) -> None:
    print(f"kardia: {message}", file=sys.stderr)
