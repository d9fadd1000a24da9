"""A command's result as a JSON file: checked before there is one, then written in one step, for its owner only."""

from __future__ import annotations

from pathlib import Path
from typing import Any

__all__ = ["check_json_file", "write_json_file"]


def check_json_file(output: str | Path | None, *sources: str | None) -> None:
    """Raises OutputError where the result could not be written, or would replace what is read."""
    from kardia.errors import OutputError
    from kardia.files import check_output

    if output is None:
        return
    if str(output) == "-":
        raise OutputError("JSON goes to a file: name one with -o")
    check_output(output, *sources)


def write_json_file(output: str | Path | None, data: Any) -> None:
    """Writes the result, where a file was named. It may quote people: nobody else is to read it."""
    import json

    from kardia.files import write_text

    if output is None:
        return
    text = json.dumps(data, ensure_ascii=False, indent=2, allow_nan=False) + "\n"
    # half a surrogate pair, as names of files may hold it, becomes its escape, which is JSON too
    write_text(Path(output), text.encode("utf-8", "backslashreplace").decode("utf-8"), private=True)
