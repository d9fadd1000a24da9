"""Writing files so that nobody ever sees half of one."""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path

from kardia.errors import OutputError

__all__ = ["check_output", "check_place", "partial_path", "private_opener", "same_file", "utf8_stdout", "write_text"]


def private_opener(path: str, flags: int) -> int:
    """For `open(opener=…)`: a new file is readable by its owner only."""
    return os.open(path, flags, 0o600)


def partial_path(path: Path) -> Path:
    """Where an output lies until it is complete."""
    return path.with_name(path.name + ".partial")


def same_file(place: Path, source: str | None) -> bool:
    """Whether an output's place is a file that is read; `-` and None are none."""
    if source is None or source == "-" or not place.exists() or not os.path.exists(source):
        return False
    return os.path.samefile(place, source)


def check_place(target: Path, path: str) -> None:
    """Whether an output can lie there.

    Args:
        target: where.
        path: the same as the user wrote it.

    Raises:
        OutputError: where it is a folder, is in none, is no file, or is read-only.
    """
    if target.is_dir():
        raise OutputError("is a directory; name a file", file=path)
    if not target.parent.is_dir():
        raise OutputError(f"there is no folder {str(target.parent)!r}", file=path)
    if target.exists() and not target.is_file():
        raise OutputError("is not a file; for standard output leave -o out", file=path)
    if target.exists() and not os.access(target, os.W_OK):
        raise OutputError("cannot be written: it is read-only", file=path)


def check_output(path: str | Path, *sources: str | None) -> None:
    """Whether an output can lie there, and replaces nothing that is read.

    Args:
        path: where, as the user wrote it.
        sources: the inputs; `-` and None are none.

    Raises:
        OutputError: as `check_place` does, and where it is an input.
    """
    check_place(Path(path), str(path))
    if any(same_file(Path(path), source) for source in sources):
        raise OutputError("is an input; name another file", file=str(path))


def utf8_stdout() -> None:
    """JSON is UTF-8, whatever the terminal's code page."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8", errors="backslashreplace")


def write_text(path: Path, text: str, *, private: bool = False) -> None:
    """Writes a small file in one step: it is the old one or the new one, never half of either.

    Args:
        private: whether only its owner may read it.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(temporary, "w", encoding="utf-8", opener=private_opener if private else None) as stream:
            stream.write(text)
        os.replace(temporary, path)
    except OSError as problem:
        try:
            temporary.unlink(missing_ok=True)
        except OSError:
            pass  # where a folder on the way is a file, there is nothing to remove
        raise OutputError(f"cannot be written: {problem.strerror or problem}", file=str(path)) from None
