"""Scorecards as agreement needs them: what each judge said of each criterion, and by which scale.

A file may hold the cards of several judges and several rubrics. A rubric is found by the name and the version that
stand in its cards, and counts as found where its content hash is theirs; or it is named.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kardia.cardrow import STATUSES, is_share
from kardia.errors import InputError, RubricError
from kardia.judgment import Scorecard
from kardia.model.cells import mapping
from kardia.reading.files import RawRow, open_rows, source_name
from kardia.reading.jsontext import JsonFault, parse_json
from kardia.rubric.loading import load_rubric, load_unlearned
from kardia.rubric.rubric import Rubric
from kardia.rubric.versions import is_meant, parse_reference

__all__ = [
    "Card",
    "Judge",
    "Named",
    "Rows",
    "RubricOf",
    "Sheets",
    "is_card",
    "read_named",
    "read_sheets",
    "rows_of",
    "sheets_in",
]

Rows = str | Path | Iterable[Scorecard] | Iterable[Mapping[str, Any]]
"""A file, or what would stand in one."""


@dataclass(frozen=True, slots=True)
class Card:
    """One scorecard.

    Attributes:
        id, group: the conversation's.
        line: where it stands in the file.
        score: in [0, 1], or None.
        criteria: criterion id → (status, level as it stands there or None).
    """

    id: str
    group: str | None
    line: int
    score: float | None
    criteria: Mapping[str, tuple[str, Any]]


@dataclass(frozen=True, slots=True)
class Judge:
    """Who judged: the profile's name and hash."""

    name: str
    hash: str


@dataclass(slots=True)
class RubricOf:
    """A rubric that cards were scored by.

    Attributes:
        ref: `name@version`; `hash` its content's, as the cards have it.
        found: the rubric itself; None where it could not be had, and `why` then says why not.
        why: also where a rubric of another content was named.
    """

    ref: str
    hash: str
    found: Rubric | None = None
    why: str | None = None

    @property
    def name(self) -> str:
        return self.ref.partition("@")[0]


@dataclass(frozen=True, slots=True)
class Named:
    """A rubric that the user named: the reference, and the rubric where it can be had without the cards."""

    reference: str
    rubric: Rubric | None

    def is_meant(self, ref: str) -> bool:
        """Whether cards of `ref` (`name@version`) are meant."""
        if self.rubric is not None and ref == self.rubric.ref:
            return True
        try:
            asked = parse_reference(self.reference)
        except RubricError:
            return False  # a path, which means its own version alone
        return is_meant(ref, asked)


@dataclass(slots=True)
class Sheets:
    """The scorecards of a file.

    Attributes:
        file: what errors call it.
        rubrics: `name@version` → the rubric.
        by_judge: judge → `name@version` → conversation id → card.
        passed_over: cards of rubrics that were not asked for.
        own_criteria: judgments of criteria that only their row has; they do not count.
    """

    file: str
    rubrics: dict[str, RubricOf] = field(default_factory=dict)
    by_judge: dict[Judge, dict[str, dict[str, Card]]] = field(default_factory=dict)
    passed_over: int = 0
    own_criteria: int = 0


def rows_of(source: Rows, name: str) -> tuple[str, Iterator[RawRow]]:
    """What errors call a source, and its rows.

    Args:
        name: what a source that is no file is called.
    """
    if isinstance(source, (str, Path)):
        return source_name(source), open_rows(source)
    given: Iterable[Scorecard | Mapping[str, Any]] = source
    return name, (
        RawRow(number, row.to_json() if isinstance(row, Scorecard) else row, None, number)
        for number, row in enumerate(given, start=1)
    )


def is_card(row: Mapping[str, Any]) -> bool:
    """Whether a row is a scorecard of `kardia score`."""
    return "rubric" in row and "judge" in row and mapping(row.get("criteria")) is not None


def read_named(references: Sequence[str | Path | Rubric]) -> tuple[Named, ...]:
    """The rubrics that the user named.

    Raises:
        RubricError: where one is there, but is none; and for a path at which there is none.
    """
    found: list[Named] = []
    for reference in references:
        if isinstance(reference, Rubric):
            found.append(Named(reference.ref, reference))
            continue
        text = os.fspath(reference)
        try:
            found.append(Named(text, _loaded(text)))
        except RubricError as problem:
            try:
                parse_reference(text)  # a name may mean cards whose rubric is gone; a path may not
            except RubricError:
                raise problem from None
            found.append(Named(text, None))
    return tuple(found)


def read_sheets(source: Rows, named: Sequence[Named] = (), *, name: str = "the scorecards") -> Sheets:
    """Reads scorecards, JSONL or Parquet, as `kardia score` writes them.

    Args:
        source: the file, `-` for stdin, or the scorecards themselves.
        named: only cards of these rubrics count; none: all do.
        name: what errors call scorecards that are in no file.

    Raises:
        InputError: with file, line and key: what is no scorecard, an id a second time by one rubric and judge, one
            rubric in two versions or contents; where there is no card.
    """
    return sheets_in(*rows_of(source, name), named)


def sheets_in(file: str, rows: Iterable[RawRow], named: Sequence[Named] = ()) -> Sheets:
    """`read_sheets`, of rows that somebody has begun to read."""
    found = Sheets(file)
    refs: dict[str, bool] = {}
    for raw in rows:
        if raw.row is None:
            raise InputError(raw.error or "cannot be read", file=file, line=raw.line)
        try:
            _add(found, raw.row, raw.line, named, refs)
        except InputError as problem:
            raise InputError(problem.message, file=file, line=raw.line, key=problem.key) from None
    if not refs:
        raise InputError("holds no scorecards", file=file)
    if not found.by_judge:
        asked = " or ".join(each.reference for each in named)
        raise InputError(f"holds no scorecard of {asked}; it holds those of {', '.join(refs)}", file=file)
    return found


def _add(found: Sheets, row: Mapping[str, Any], line: int, named: Sequence[Named], refs: dict[str, bool]) -> None:
    own_id, ref, criteria = row.get("id"), row.get("rubric"), mapping(row.get("criteria"))
    provenance = _provenance(row)
    for key, is_right in (
        ("id", isinstance(own_id, str)),
        ("rubric", isinstance(ref, str)),
        ("judge", isinstance(row.get("judge"), str)),
        ("criteria", criteria is not None),
        ("provenance", provenance is not None),
    ):
        if not is_right:
            raise InputError("is no scorecard of `kardia score`", key=key)
    assert isinstance(own_id, str)
    assert isinstance(ref, str)
    assert criteria is not None
    assert provenance is not None
    if ref not in refs:
        refs[ref] = not named or any(each.is_meant(ref) for each in named)
    if not refs[ref]:
        found.passed_over += 1
        return
    rubric = _rubric_of(found, ref, str(_inner(provenance, "rubric").get("hash")), named)
    judge = Judge(str(row["judge"]), str(_inner(provenance, "judge").get("hash")))
    cards = found.by_judge.setdefault(judge, {}).setdefault(ref, {})
    if own_id in cards:
        raise InputError(
            f"the id {own_id!r} was there before, in line {cards[own_id].line}, by the same rubric and judge", key="id"
        )
    own = _criteria(criteria, rubric, found)
    group = row.get("group")
    cards[own_id] = Card(own_id, None if group is None else str(group), line, _score(row), own)


def _rubric_of(found: Sheets, ref: str, digest: str, named: Sequence[Named]) -> RubricOf:
    known = found.rubrics.get(ref)
    if known is not None:
        if known.hash != digest:
            raise InputError(
                f"was scored by {ref} with another content than the cards before it; score again",
                key="provenance.rubric.hash",
            )
        return known
    made = RubricOf(ref, digest)
    for other in found.rubrics:
        if other.partition("@")[0] == made.name:
            raise InputError(f"the file holds scorecards of {other} and {ref}: say which with --rubric", key="rubric")
    stated = next((each.rubric for each in named if each.rubric is not None and each.rubric.name == made.name), None)
    if stated is not None and stated.ref == ref:
        made.found = stated
        if stated.hash != digest:
            made.why = f"the content of {ref} has changed since it scored; its scales are taken as they are now"
    else:
        made.found, made.why = _looked_up(ref, digest)
    found.rubrics[ref] = made
    return made


def _looked_up(ref: str, digest: str) -> tuple[Rubric | None, str | None]:
    advice = "levels are those that were given; --rubric names the rubric's file"
    try:
        rubric = _loaded(ref)
    except InputError:
        return None, f"the rubric {ref} cannot be found here: {advice}"
    if rubric.hash != digest:
        return None, f"{ref} here has another content than what scored: {advice}"
    return rubric, None


def _loaded(reference: str) -> Rubric:
    try:
        return load_rubric(reference)
    except InputError:
        return load_unlearned(reference)  # scales need no artifact


def _criteria(criteria: Mapping[str, Any], rubric: RubricOf, found: Sheets) -> dict[str, tuple[str, Any]]:
    own: dict[str, tuple[str, Any]] = {}
    for key, judgment in criteria.items():
        if rubric.found is not None and key not in rubric.found.by_id:
            found.own_criteria += 1
            continue
        status = judgment.get("status") if isinstance(judgment, Mapping) else None
        if status not in STATUSES or (status == "scored" and judgment.get("level") is None):
            raise InputError("is no judgment", key=f"criteria.{key}")
        own[str(key)] = (status, judgment.get("level") if status == "scored" else None)
    return own


def _score(row: Mapping[str, Any]) -> float | None:
    score = row.get("score")
    if score is None:
        return None
    if not is_share(score):
        raise InputError("is no score in [0, 1]", key="score")
    return float(score)


def _provenance(row: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Parquet has it as JSON text."""
    value = row.get("provenance")
    if isinstance(value, str):
        try:
            value = parse_json(value)
        except JsonFault:
            return None
    return value if isinstance(value, Mapping) else None


def _inner(provenance: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = provenance.get(key)
    if not isinstance(value, Mapping):
        raise InputError("does not say by what it was scored", key=f"provenance.{key}")
    return value
