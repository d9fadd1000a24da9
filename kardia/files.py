"""Writing files so that nobody ever sees half of one."""

from __future__ import annotations

import os
from pathlib import Path

from kardia.errors import OutputError

__all__ = ["partial_path", "private_opener", "write_text"]


def private_opener(path: str, flags: int) -> int:
    """For `open(opener=…)`: a new file is readable by its owner only."""
    return os.open(path, flags, 0o600)


def partial_path(path: Path) -> Path:
    """Where an output lies until it is complete."""
    return path.with_name(path.name + ".partial")


def write_text(path: Path, text: str) -> None:
    """Writes a small file in one step: it is the old one or the new one, never half of either."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_text(text, encoding="utf-8")
        os.replace(temporary, path)
    except OSError as problem:
        try:
            temporary.unlink(missing_ok=True)
        except OSError:
            pass  # where a folder on the way is a file, there is nothing to remove
        raise OutputError(f"cannot be written: {problem.strerror or problem}", file=str(path)) from None
