"""Tables for the benchmarks' README, written between markers so that the prose around them stays."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path


def markdown_table(head: Sequence[str], rows: Sequence[Sequence[str]], right: Collection[int] = ()) -> str:
    """A Markdown table; `right` are the columns with numbers."""
    widths = [max(len(row[place]) for row in (head, *rows)) for place in range(len(head))]

    def line(cells: Sequence[str]) -> str:
        shown = (
            cell.rjust(width) if place in right else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(cells, widths, strict=True))
        )
        return "| " + " | ".join(shown) + " |"

    rule = ["-" * (width - 1) + ":" if place in right else "-" * width for place, width in enumerate(widths)]
    return "\n".join([line(head), line(rule), *(line(row) for row in rows)])


def write_table(readme: Path, name: str, table: str) -> None:
    """Replaces what stands between `<!-- name -->` and `<!-- /name -->`."""
    text = readme.read_text(encoding="utf-8")
    start, end = f"<!-- {name} -->\n", f"\n<!-- /{name} -->"
    before, found, rest = text.partition(start)
    _, closed, after = rest.partition(end)
    if not found or not closed:
        raise SystemExit(f"{readme} has no lines {start.strip()} and {end.strip()}")
    readme.write_text(before + start + table + end + after, encoding="utf-8")
