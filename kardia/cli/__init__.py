"""The command line. `main` is the entry point; each group of commands is one module; nothing heavy is imported until
used."""

from __future__ import annotations

import os
import sys

__all__ = ["main"]


def main() -> None:
    """Runs the command line. Every error that kardia raises on purpose becomes one sentence on stderr and an exit
    code."""
    from kardia.cli.app import ClosedPipe, Interrupted, app
    from kardia.errors import KardiaError

    try:
        try:
            app(prog_name="kardia")
        finally:
            sys.stdout.flush()  # here, and not when the interpreter ends: a closed pipe shows now
    except KardiaError as problem:
        _say(str(problem))
        sys.exit(problem.exit_code)
    except (Interrupted, KeyboardInterrupt):
        _say("interrupted")
        sys.exit(130)
    except (ClosedPipe, BrokenPipeError):
        # whoever read our output has seen enough; python would complain again when it flushes at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except Exception as problem:
        if os.environ.get("KARDIA_DEBUG"):
            raise
        kind = type(problem).__name__
        _say(f"this is a fault in kardia, not in your input ({kind}: {problem}); KARDIA_DEBUG=1 shows where")
        sys.exit(2)


def _say(message: str) -> None:
    print(f"kardia: {message}", file=sys.stderr)
