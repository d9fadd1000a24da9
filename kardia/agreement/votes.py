"""What people said, as it stands in a file: levels of criteria, overall ratings, or which of two is better.

The form of a row is told by its columns:

- scorecards, as `kardia score` writes them: each of their judges is a rater.
- long: `id`, `criterion`, `level` and, with several people, `rater` (or `annotator`).
- wide: `id`, a column for each criterion (or one column `levels` with all of them) and, with several people, `rater`.
- pairs: ids in `chosen` and `rejected`; or in `id_a` and `id_b`, and `preferred`, which is `a`, `b`, `tie` or an id.

Levels are not read here: what a cell means depends on the scale.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, Literal

from kardia.agreement.sheets import Named, Rows, Sheets, is_card, rows_of, sheets_in
from kardia.errors import InputError
from kardia.model.cells import is_missing, mapping, number_in, shown
from kardia.model.labels import CRITERION, ID, LEVEL, LEVELS, RATER

__all__ = ["OVERALL", "Choice", "Preferred", "Rating", "Vote", "Votes", "read_votes"]

OVERALL = ("overall", "rating")
"""What the column of the overall rating is called where the user says nothing."""
CHOSEN, REJECTED, ID_A, ID_B, PREFERRED = "chosen", "rejected", "id_a", "id_b", "preferred"

Preferred = Literal["first", "second", "tie"]
_PREFERRED: dict[str, Preferred] = {
    **dict.fromkeys(("a", "id_a", "first", "1"), "first"),
    **dict.fromkeys(("b", "id_b", "second", "2"), "second"),
    **dict.fromkeys(("tie", "equal", "same"), "tie"),
}


@dataclass(frozen=True, slots=True)
class Vote:
    """What a rater said of one criterion.

    Attributes:
        id: the conversation's.
        criterion: as it is called there.
        rater: empty where the file names none.
        value: the cell.
        column, line: where it stands.
    """

    id: str
    criterion: str
    rater: str
    value: Any
    column: str
    line: int


@dataclass(frozen=True, slots=True)
class Rating:
    """A rater's overall rating of a conversation, or another judge's score.

    Attributes:
        ref: the rubric (`name@version`) whose score it is to be held beside; None: every rubric's.
    """

    id: str
    rater: str
    value: float
    ref: str | None = None


@dataclass(frozen=True, slots=True)
class Choice:
    """Which of two conversations a rater finds better."""

    first: str
    second: str
    preferred: Preferred
    rater: str
    line: int


@dataclass(slots=True)
class Votes:
    """What a file of labels holds.

    Attributes:
        file: what errors call it.
        votes: of criteria; one for each cell of a wide row that is no known other thing.
        ratings: overall.
        choices: between two.
        sheets: where the labels are scorecards.
        wide: columns of wide rows in the order of their appearance: one that is no criterion may be something else.
        rows: how many were read.
    """

    file: str
    votes: list[Vote] = field(default_factory=list)
    ratings: list[Rating] = field(default_factory=list)
    choices: list[Choice] = field(default_factory=list)
    sheets: Sheets | None = None
    wide: dict[str, None] = field(default_factory=dict)
    rows: int = 0


def read_votes(
    source: Rows,
    *,
    overall: str | None = None,
    rater: str | None = None,
    named: tuple[Named, ...] = (),
    criteria: frozenset[str] = frozenset(),
    name: str = "the labels",
) -> Votes:
    """Reads labels: CSV, TSV, JSONL, JSON or Parquet.

    Args:
        source: the file, `-` for stdin, or its rows.
        overall: the column of the overall rating, or in long rows its criterion; None: `overall` or `rating`.
        rater: the column that says who rated; None: `rater` or `annotator`.
        named: where the labels are scorecards, the rubrics that are meant.
        criteria: names that mean criteria, whatever they are called.
        name: what errors call labels that are in no file.

    Raises:
        InputError: with file, line and key.
    """
    file, rows = rows_of(source, name)
    found = Votes(file)
    first = next(rows, None)
    if first is None:
        raise InputError("holds no labels", file=file)
    if first.row is not None and is_card(first.row):
        found.sheets = sheets_in(file, chain([first], rows), named)
        return found
    names = (overall,) if overall is not None else tuple(each for each in OVERALL if each not in criteria)
    reader = _Reader(found, names, (rater,) if rater is not None else RATER)
    columns: dict[str, None] = {}
    for raw in chain([first], rows):
        try:
            if raw.row is None:
                raise InputError(raw.error or "cannot be read")
            columns.update(dict.fromkeys(map(str, raw.row)))
            reader.read(raw.row, raw.line)
        except InputError as problem:
            raise InputError(problem.message, file=file, line=raw.line, key=problem.key) from None
        found.rows += 1
    for option, column in (("--overall", overall), ("--rater", rater)):
        is_criterion = option == "--overall" and any(found.ratings)
        if column is not None and column not in columns and not is_criterion:
            raise InputError(f"has no column {column!r} ({option}); there are: {', '.join(columns)}", file=file)
    return found


class _Reader:
    def __init__(self, found: Votes, overall: tuple[str, ...], rater: tuple[str, ...]) -> None:
        self._found = found
        self._overall = overall
        self._rater = rater
        self._rated: dict[tuple[str, str], int] = {}
        self._chosen: dict[tuple[frozenset[str], str], int] = {}

    def read(self, row: Mapping[str, Any], line: int) -> None:
        """One row of plain labels."""
        rater = next((str(row[column]).strip() for column in self._rater if row.get(column) is not None), "")
        if CHOSEN in row and REJECTED in row:
            self._choice(_id(row, CHOSEN), _id(row, REJECTED), "first", rater, REJECTED, line)
            return
        if ID_A in row and ID_B in row:
            if PREFERRED not in row:
                raise InputError("is missing: it says which of the two is better (a, b or tie)", key=PREFERRED)
            first, second = _id(row, ID_A), _id(row, ID_B)
            if not is_missing(row[PREFERRED]):
                self._choice(first, second, _preferred(row[PREFERRED], first, second), rater, ID_B, line)
            return
        if ID not in row:
            there = ", ".join(map(str, row)) or "none"
            raise InputError(
                f"is missing: a label says which conversation it is of; there are the columns {there}", key=ID
            )
        own_id = _id(row, ID)
        if CRITERION in row and LEVEL in row:
            self._vote(own_id, str(row[CRITERION]).strip(), rater, row[LEVEL], LEVEL, line)
            return
        if CRITERION in row:
            raise InputError(f"is missing: beside {CRITERION!r} it says which level was given", key=LEVEL)
        levels = row.get(LEVELS)
        for name, value in (mapping(levels) or {}).items():
            self._vote(own_id, str(name), rater, value, f"{LEVELS}.{name}", line)
        for column, value in row.items():
            if column == ID or column in self._rater or (column == LEVELS and mapping(levels) is not None):
                continue
            self._found.wide.setdefault(column)
            self._vote(own_id, column, rater, value, column, line)

    def _vote(self, own_id: str, criterion: str, rater: str, value: Any, column: str, line: int) -> None:
        if is_missing(value):
            return
        if criterion not in self._overall:
            self._found.votes.append(Vote(own_id, criterion, rater, value, column, line))
            return
        number = number_in(value)
        if number is None:
            raise InputError(f"{shown(value)} is no number, as an overall rating is", key=column)
        if (own_id, rater) in self._rated:
            by = f" by {rater}" if rater else ""
            raise InputError(
                f"is a second overall rating{by} for the id {own_id!r}, after that in line "
                f"{self._rated[own_id, rater]}{_HINT if not rater else ''}",
                key=column,
            )
        self._rated[own_id, rater] = line
        self._found.ratings.append(Rating(own_id, rater, number))

    def _choice(self, first: str, second: str, preferred: Preferred, rater: str, column: str, line: int) -> None:
        if first == second:
            raise InputError(f"compares {first!r} with itself", key=column)
        key = (frozenset((first, second)), rater)
        if key in self._chosen:
            by = f" by {rater}" if rater else ""
            raise InputError(
                f"is a second comparison{by} of {first!r} and {second!r}, after that in line {self._chosen[key]}"
                f"{_HINT if not rater else ''}",
                key=column,
            )
        self._chosen[key] = line
        self._found.choices.append(Choice(first, second, preferred, rater, line))


_HINT = "; with several raters, a column `rater` says whose it is"


def _preferred(value: Any, first: str, second: str) -> Preferred:
    text = str(value).strip()
    if text in (first, second):
        return "first" if text == first else "second"
    found = _PREFERRED.get(text.lower())
    if found is None:
        raise InputError(f"{shown(value)} is neither a, b, tie, nor one of the two ids", key=PREFERRED)
    return found


def _id(row: Mapping[str, Any], column: str) -> str:
    value = row[column]
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        raise InputError("must be the id of a conversation", key=column)
    return str(value)
