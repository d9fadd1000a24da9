"""A command's result as a JSON file: checked before there is one, then written in one step, for its owner only."""

from __future__ import annotations

from pathlib import Path
from typing import Any

__all__ = ["check_json_file", "write_json_file"]


def check_json_file(output: Path | None, *sources: str | None) -> None:
    """Raises OutputError where the result could not be written, or would replace what is read."""
    from kardia.errors import OutputError
    from kardia.files import check_place, same_file

    if output is None:
        return
    check_place(output, str(output))
    if any(same_file(output, source) for source in sources):
        raise OutputError("is an input; name another file", file=str(output))


def write_json_file(output: Path | None, data: Any) -> None:
    """Writes the result, where a file was named. It may quote people: nobody else is to read it."""
    import json

    from kardia.files import write_text

    if output is not None:
        write_text(output, json.dumps(data, ensure_ascii=False, indent=2) + "\n", private=True)
