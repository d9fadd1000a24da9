"""Talking to the terminal: tables and progress on stderr, results on stdout, JSON where a machine reads."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console, JustifyMethod
    from rich.table import Table

__all__ = ["note", "number", "print_json", "stderr", "stdout", "table"]


def stderr() -> Console:
    from rich.console import Console

    # markup is off everywhere: what is printed may come from a judged text
    return Console(stderr=True, highlight=False, markup=False, width=None if sys.stderr.isatty() else 100)


def stdout() -> Console:
    from rich.console import Console

    # without a terminal nothing is wrapped or cut: a pipe gets whole lines
    return Console(highlight=False, markup=False, width=None if sys.stdout.isatty() else 200)


def note(message: str) -> None:
    """One sentence on stderr."""
    print(f"kardia: {message}", file=sys.stderr)


def print_json(data: Any) -> None:
    print(json.dumps(data, ensure_ascii=False, indent=2))


def table(title: str | None, columns: Sequence[str], right: Sequence[str] = ()) -> Table:
    """An empty table; the columns in `right` are flush right."""
    from rich import box
    from rich.table import Table

    made = Table(title=title, box=box.SIMPLE_HEAD, title_justify="left", pad_edge=False)
    for place, column in enumerate(columns):
        # what names a row is never cut
        side: JustifyMethod = "right" if column in right else "left"
        made.add_column(column, justify=side, no_wrap=column in right or not place, overflow="fold")
    return made


def number(value: float | None, digits: int = 3) -> str:
    """A figure for a table; a dash where there is none."""
    return "–" if value is None else f"{value:.{digits}f}"
