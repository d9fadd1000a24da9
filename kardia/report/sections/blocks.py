"""What a section of a report is made of: plain data that the page knows how to show. Pure.

A section is `{"id", "nav", "title", "gist", "blocks"}`, `nav` being its short name and `gist` what it comes to, in a
sentence or two for the page's head. A block is a text, a heading, a finding, facts, a table, a chart (intervals,
lines), conversations side by side, or holds other blocks (`fold`, `grid`). Every chart has a table beside it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

__all__ = [
    "Block",
    "Section",
    "charts",
    "counted",
    "facts",
    "figure",
    "finding",
    "fold",
    "grid",
    "heading",
    "interval_row",
    "intervals",
    "lines",
    "number",
    "sentence",
    "share",
    "sides",
    "table",
    "text",
]

Block = dict[str, Any]
Section = dict[str, Any]

_HARD = "\u00a0"
"""A space at which no line is broken: a number stays with its sign, an interval in one piece."""


def text(sentence: str) -> Block:
    """A paragraph."""
    return {"type": "text", "text": sentence}


def heading(title: str) -> Block:
    """What stands above the blocks of one judge, or of one comparison."""
    return {"type": "heading", "text": title}


def finding(sentences: Sequence[str], advice: str | None, severity: str | None = None, title: str = "") -> Block:
    """Something that was found, and what to do about it.

    Args:
        sentences: what was found; several of one kind are one block.
        advice: what to do.
        severity: `high`, `medium` or `low`; None where it is no matter of degrees.
        title: of what kind it is.
    """
    return {"type": "finding", "items": list(sentences), "todo": advice, "severity": severity, "title": title}


def facts(label: str, data: Mapping[str, Any]) -> Block:
    """Names and values, which are unfolded only when somebody asks."""
    return {"type": "facts", "label": label, "facts": dict(data)}


def fold(label: str, blocks: Iterable[Block]) -> Block:
    """Blocks that are unfolded only when somebody asks."""
    return {"type": "fold", "label": label, "blocks": list(blocks)}


def grid(blocks: Iterable[Block]) -> Block:
    """Small blocks beside each other, as many as the page is wide."""
    return {"type": "grid", "blocks": list(blocks)}


def table(
    caption: str,
    columns: Sequence[str],
    rows: Iterable[Sequence[Any]],
    *,
    left: int = 1,
    closed: bool = False,
    shaded: bool = False,
) -> Block:
    """A table.

    Args:
        left: so many columns are words; the others are flush right.
        closed: whether it is unfolded only when somebody asks.
        shaded: whether its counts are shaded by their share of their row.
    """
    return {
        "type": "table",
        "caption": caption,
        "columns": list(columns),
        "rows": [list(row) for row in rows],
        "right": list(range(left, len(columns))),
        "closed": closed,
        "shaded": shaded,
    }


def intervals(
    label: str,
    rows: Iterable[Block],
    *,
    low: float | None = None,
    high: float | None = None,
    zero: float | None = None,
    x: str = "",
    marked: str = "",
) -> Block:
    """Points with intervals, one line each.

    Args:
        low, high: the axis's ends.
        zero: where a line is drawn.
        x: what the axis is.
        marked: what a mark says of a row that has one.
    """
    return {
        "type": "intervals",
        "label": label,
        "rows": list(rows),
        "min": low,
        "max": high,
        "zero": zero,
        "x": x,
        "marked": marked,
    }


def interval_row(name: str, statistic: Mapping[str, Any], *, warn: bool = False, digits: int = 2) -> Block:
    """One line of `intervals`, of a `Statistic` as JSON; `warn` marks it."""
    return {
        "name": name,
        "value": statistic["value"],
        "low": statistic["low"],
        "high": statistic["high"],
        "text": figure(statistic, digits),
        "warn": warn,
    }


def lines(
    label: str,
    series: Mapping[str, Sequence[Sequence[float]]],
    *,
    beside: Block,
    x: str = "",
    y: str = "",
    diagonal: bool = False,
) -> Block:
    """Curves of points [x, y], or [x, y, n] where a point stands for n things; with `diagonal` both axes are [0, 1].

    Args:
        beside: the table with the same figures.
    """
    found: Block = {
        "type": "lines",
        "label": label,
        "series": {name: [list(point) for point in points] for name, points in series.items()},
        "x": x,
        "y": y,
        "diagonal": diagonal,
        "beside": beside,
    }
    return {**found, "min": 0, "max": 1} if diagonal else found


def sides(label: str, names: Sequence[str], items: Iterable[Mapping[str, Any]]) -> Block:
    """Conversations as two scorings see them.

    Args:
        names: of the two sides.
        items: `{"id", "title", "notes", "rows"}` each, a row being `{"criterion", "sides"}`, and a side `{"level",
            "words"}`, or None.
    """
    return {"type": "sides", "label": label, "names": list(names), "items": [dict(item) for item in items]}


def charts(blocks: Iterable[Block]) -> Iterator[Block]:
    """The charts among blocks, however deep they lie."""
    for block in blocks:
        if block["type"] in ("intervals", "lines"):
            yield block
        elif block["type"] in ("fold", "grid"):
            yield from charts(block["blocks"])


def figure(statistic: Mapping[str, Any] | None, digits: int = 2, *, signed: bool = False) -> str | None:
    """A `Statistic` as JSON in a table: the value and its interval; None where it is not defined.

    >>> figure({"value": 0.61234, "low": 0.5, "high": 0.7}).replace("\u00a0", "_")
    '0.61 [0.50,_0.70]'
    """
    if statistic is None or statistic["value"] is None:
        return None
    value, low, high = (number(statistic[key], digits, signed=signed) for key in ("value", "low", "high"))
    return value if low is None or high is None else f"{value} [{low},{_HARD}{high}]"


def number(value: float | None, digits: int = 2, *, signed: bool = False) -> str | None:
    """A number in a table, or in a sentence: never −0.00."""
    if value is None:
        return None
    rounded = round(value, digits) + 0.0
    return f"{rounded:{'+' if signed and rounded else ''}.{digits}f}".replace("-", "−")


def sentence(words: str) -> str:
    """What a terminal shows as a clause, as a sentence."""
    return words[:1].upper() + words[1:] + ("" if words.endswith((".", "!", "?")) else ".")


def share(value: float | None) -> str | None:
    """A share as per cent."""
    return None if value is None else f"{100 * value:.0f}{_HARD}%"


def counted(n: int, one: str, many: str | None = None) -> str:
    """A number of things.

    >>> counted(1, "criterion", "criteria"), counted(2, "finding")
    ('1 criterion', '2 findings')
    """
    return f"{n:,} {one if n == 1 else many or f'{one}s'}"
