"""The command line. `main` is the entry point; each group of commands is one module; nothing heavy is imported until
used."""

from __future__ import annotations

import os
import sys

__all__ = ["main"]


def main() -> None:
    """Runs the command line. Every error that kardia raises on purpose becomes one sentence on stderr and an exit
    code."""
    from kardia.cli.app import app
    from kardia.errors import KardiaError

    try:
        try:
            app(prog_name="kardia")
        except SystemExit as ended:
            # Typer and rich answer these two with exit codes of their own
            for kind in (KeyboardInterrupt, BrokenPipeError):
                if _came_of(ended, kind):
                    raise kind from None
            raise
        finally:
            sys.stdout.flush()  # here, and not when the interpreter ends: a closed pipe shows now
    except KardiaError as problem:
        _say(str(problem))
        sys.exit(problem.exit_code)
    except KeyboardInterrupt:
        _say("interrupted")
        sys.exit(130)
    except BrokenPipeError:
        # whoever read our output has seen enough; python would complain again when it flushes at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except Exception as problem:
        if os.environ.get("KARDIA_DEBUG"):
            raise
        fault = f"{type(problem).__name__}: {problem}"
        _say(f"this is a fault in kardia, not in your input ({fault}); KARDIA_DEBUG=1 shows where")
        sys.exit(2)


def _came_of(problem: BaseException | None, kind: type[BaseException]) -> bool:
    while problem is not None:
        if isinstance(problem, kind):
            return True
        problem = problem.__cause__ or problem.__context__
    return False


def _say(message: str) -> None:
    print(f"kardia: {message}", file=sys.stderr)
