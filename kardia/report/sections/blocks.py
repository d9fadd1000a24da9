"""What a section of a report is made of: plain data that the page knows how to show. Pure.

A section is `{"id", "nav", "title", "blocks"}`, `nav` being its short name; a block is a text, a finding, facts, a
table, or a chart (intervals, bars, lines). Every chart has a table beside it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

__all__ = [
    "Block",
    "Section",
    "facts",
    "figure",
    "finding",
    "interval_row",
    "intervals",
    "lines",
    "share",
    "table",
    "text",
]

Block = dict[str, Any]
Section = dict[str, Any]


def text(sentence: str) -> Block:
    """A paragraph."""
    return {"type": "text", "text": sentence}


def finding(sentence: str, advice: str | None, *, warn: bool) -> Block:
    """Something that was found, and what to do about it."""
    return {"type": "finding", "text": sentence, "todo": advice, "warn": warn}


def facts(data: Mapping[str, Any]) -> Block:
    """Names and values."""
    return {"type": "facts", "facts": dict(data)}


def table(
    caption: str, columns: Sequence[str], rows: Iterable[Sequence[Any]], *, left: int = 1, closed: bool = False
) -> Block:
    """A table.

    Args:
        left: so many columns are words; the others are flush right.
        closed: whether it is unfolded only when somebody asks.
    """
    return {
        "type": "table",
        "caption": caption,
        "columns": list(columns),
        "rows": [list(row) for row in rows],
        "right": list(range(left, len(columns))),
        "closed": closed,
    }


def intervals(
    label: str,
    rows: Iterable[Block],
    *,
    low: float | None = None,
    high: float | None = None,
    zero: float | None = None,
    x: str = "",
) -> Block:
    """Points with intervals, one line each; `low` and `high` are the axis's ends, `zero` is where a line is drawn."""
    return {"type": "intervals", "label": label, "rows": list(rows), "min": low, "max": high, "zero": zero, "x": x}


def interval_row(name: str, statistic: Mapping[str, Any], *, warn: bool = False, digits: int = 2) -> Block:
    """One line of `intervals`, of a `Statistic` as JSON."""
    return {
        "name": name,
        "value": statistic["value"],
        "low": statistic["low"],
        "high": statistic["high"],
        "text": figure(statistic, digits),
        "warn": warn,
    }


def lines(
    label: str, series: Mapping[str, Sequence[Sequence[float]]], *, x: str = "", y: str = "", diagonal: bool = False
) -> Block:
    """Curves of points [x, y]; with `diagonal` both axes are [0, 1]."""
    found: Block = {"type": "lines", "label": label, "series": dict(series), "x": x, "y": y, "diagonal": diagonal}
    return {**found, "min": 0, "max": 1} if diagonal else found


def figure(statistic: Mapping[str, Any] | None, digits: int = 2) -> str | None:
    """A `Statistic` as JSON in a table: the value and its interval; None where it is not defined.

    >>> figure({"value": 0.61234, "low": 0.5, "high": 0.7})
    '0.61 [0.50, 0.70]'
    """
    if statistic is None or statistic["value"] is None:
        return None
    value, low, high = (_number(statistic[key], digits) for key in ("value", "low", "high"))
    return value if low is None else f"{value} [{low}, {high}]"


def _number(value: float | None, digits: int) -> str | None:
    return None if value is None else f"{round(value, digits) + 0.0:.{digits}f}".replace("-", "−")


def share(value: float | None) -> str | None:
    """A share as per cent."""
    return None if value is None else f"{100 * value:.0f} %"
