"""What people said of replies: overall ratings, and which of two was better."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kardia.errors import InputError
from kardia.reading.files import RawRow, open_rows, source_name

__all__ = ["Pair", "Rating", "RatingRange", "parse_range", "read_pairs", "read_ratings"]


@dataclass(frozen=True, slots=True)
class RatingRange:
    """The lowest and the highest rating that could be given, whether or not somebody gave them."""

    low: float
    high: float

    def rescaled(self, rating: float) -> float:
        """A rating as a number in [0, 1]."""
        return (rating - self.low) / (self.high - self.low)

    def rating(self, score: float) -> float:
        """A number in [0, 1] as a rating."""
        return self.low + score * (self.high - self.low)


@dataclass(frozen=True, slots=True)
class Rating:
    """One person's overall rating of one conversation; `annotator` is None where the file names none."""

    id: str
    value: float
    annotator: str | None
    line: int


@dataclass(frozen=True, slots=True)
class Pair:
    """Two conversations, of which a person found the first better."""

    chosen: str
    rejected: str
    line: int


def parse_range(text: str) -> RatingRange:
    """`1:5` → the range from 1 to 5.

    Raises:
        InputError: where it is none.
    """
    low, colon, high = text.partition(":")
    try:
        found = RatingRange(float(low), float(high))
    except ValueError:
        found = RatingRange(math.nan, math.nan)
    if not colon or not found.low < found.high or math.isinf(found.high - found.low):
        raise InputError(f"{text!r} is no range; write the lowest and the highest rating, such as 1:5", file="--range")
    return found


def read_ratings(
    path: str | Path, span: RatingRange, *, column: str = "rating", annotator: str | None = None
) -> list[Rating]:
    """Reads ratings from CSV, TSV, JSONL, JSON or Parquet: the columns `id`, the rating, and who gave it.

    Args:
        path: the file.
        span: every rating must lie in it.
        column: the rating's column; an empty cell is a rating that was not given.
        annotator: the column that says who rated; None: `annotator`, where there is such a column.

    Raises:
        InputError: with file, line and key: a column that is not there, a rating that is no number in the range, two
            ratings of one conversation by one annotator; where there is no rating at all.
    """
    file = source_name(path)
    found: list[Rating] = []
    seen: dict[tuple[str, str | None], int] = {}
    columns: dict[str, None] = {}
    for raw in open_rows(path):
        row = _row(raw, file, ("id",))
        columns.update(dict.fromkeys(row))
        value = row.get(column)
        if value is None:
            continue
        number = _number(value)
        if number is None or not span.low <= number <= span.high:
            raise InputError(
                f"{value!r} is no rating from {span.low:g} to {span.high:g}; --range says what can be given",
                file=file,
                line=raw.line,
                key=column,
            )
        who = row.get(annotator or "annotator")
        rating = Rating(str(row["id"]), number, None if who is None else str(who), raw.line)
        key = (rating.id, rating.annotator)
        if key in seen:
            by = "" if rating.annotator is None else f" by {rating.annotator}"
            message = f"a second rating of {rating.id!r}{by}, after that in line {seen[key]}"
            hint = "" if rating.annotator else "; where several people rated, name them in a column (--annotator)"
            raise InputError(message + hint, file=file, line=raw.line, key="id")
        seen[key] = raw.line
        found.append(rating)
    if annotator is not None and annotator not in columns:
        raise InputError(f"has no column {annotator!r}; there are: {', '.join(columns)}", file=file, key=annotator)
    if not found:
        raise InputError(f"holds no rating in a column {column!r}; there are: {', '.join(columns)}", file=file)
    return found


def read_pairs(path: str | Path) -> list[Pair]:
    """Reads preference pairs from CSV, TSV, JSONL, JSON or Parquet: ids in the columns `chosen` and `rejected`.

    Raises:
        InputError: with file, line and key.
    """
    file = source_name(path)
    found: list[Pair] = []
    for raw in open_rows(path):
        row = _row(raw, file, ("chosen", "rejected"))
        for key in ("chosen", "rejected"):
            if not isinstance(row[key], (str, int)):
                raise InputError("must be the id of a conversation", file=file, line=raw.line, key=key)
        pair = Pair(str(row["chosen"]), str(row["rejected"]), raw.line)
        if pair.chosen == pair.rejected:
            raise InputError(f"compares {pair.chosen!r} with itself", file=file, line=raw.line, key="rejected")
        found.append(pair)
    if not found:
        raise InputError("holds no pair", file=file)
    return found


def _row(raw: RawRow, file: str, columns: tuple[str, ...]) -> Mapping[str, Any]:
    row = raw.row
    if row is None:
        raise InputError(raw.error or "cannot be read", file=file, line=raw.line)
    for column in columns:
        if column not in row:
            there = ", ".join(map(str, row))
            raise InputError(f"has no column {column!r}; there are: {there}", file=file, line=raw.line, key=column)
    if "id" in columns and not isinstance(row["id"], (str, int)):
        raise InputError("must be the id of a conversation", file=file, line=raw.line, key="id")
    return row


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        number = float(value)
    except ValueError:
        return None
    return number if math.isfinite(number) else None
