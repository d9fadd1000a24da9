"""Scorecards as a report reads them: of any rubrics and judges, from JSONL or Parquet, in one shape."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kardia.cardrow import STATUSES, card_row, is_share
from kardia.errors import InputError
from kardia.model.cells import mapping
from kardia.reading.files import RawRow, open_rows, source_name

__all__ = ["Card", "Said", "read_cards"]

_AS_TEXT = ("metadata", "guard", "usage", "provenance")
"""Free-form objects, which Parquet holds as JSON text."""


@dataclass(frozen=True, slots=True)
class Said:
    """A judgment, as in `kardia.judgment.Judgment`; levels are text, for a report does not calculate with them."""

    status: str
    level: str | None
    value: float | None
    reason: str | None
    evidence: tuple[str, ...]
    probabilities: Mapping[str, float] | None
    samples: tuple[str | None, ...] | None
    error: str | None
    dropped: int


@dataclass(frozen=True, slots=True)
class Card:
    """A scorecard, as in `kardia.judgment.Scorecard`, and the line that it stands in."""

    line: int
    id: str
    kind: str
    message: int | None
    text: str | None
    group: str | None
    metadata: Mapping[str, Any] | None
    rubric: str
    judge: str
    status: str
    score: float | None
    vetoed_by: tuple[str, ...]
    guard: Mapping[str, Any] | None
    criteria: Mapping[str, Said]
    usage: Mapping[str, Any]
    provenance: Mapping[str, Any]


def read_cards(path: str | Path) -> Iterator[Card]:
    """The scorecards of a file, streamed.

    Raises:
        InputError: with file, line and key, for what is no scorecard.
    """
    name = source_name(path)
    for raw in open_rows(path):
        yield _card(raw, name)


def _card(raw: RawRow, file: str) -> Card:
    def fault(key: str) -> InputError:
        return InputError("is no scorecard of `kardia score`", file=file, line=raw.line, key=key)

    row = card_row(raw, file, _AS_TEXT, traced=False)
    for key in ("metadata", "guard", "usage"):
        if not isinstance(row.get(key), (Mapping, type(None))):
            raise fault(key)
    score, target = row["score"], row["target"]
    if not all(isinstance(one, str) for one in row["vetoed_by"]):
        raise fault("vetoed_by")
    message, text = target.get("message"), target.get("text")
    if not isinstance(message, (int, type(None))) or not isinstance(text, (str, type(None))):
        raise fault("target")
    criteria = mapping(row.get("criteria"))
    if criteria is None:
        raise fault("criteria")
    said: dict[str, Said] = {}
    for key, judgment in criteria.items():
        found = _said(judgment)
        if found is None:
            raise fault(f"criteria.{key}")
        said[key] = found
    return Card(
        line=raw.line,
        id=row["id"],
        kind=str(target.get("kind")),
        message=message,
        text=text,
        group=_text(row.get("group")),
        metadata=row.get("metadata"),
        rubric=row["rubric"],
        judge=row["judge"],
        status=row["status"],
        score=None if score is None else float(score),
        vetoed_by=tuple(row["vetoed_by"]),
        guard=row.get("guard"),
        criteria=said,
        usage=row.get("usage") or {},
        provenance=row["provenance"],
    )


def _said(judgment: Any) -> Said | None:
    """None for what is no judgment."""
    if not isinstance(judgment, Mapping):
        return None
    status, level, value = judgment.get("status"), judgment.get("level"), judgment.get("value")
    reason, error = judgment.get("reason"), judgment.get("error")
    evidence, samples = judgment.get("evidence") or (), judgment.get("samples")
    shares = judgment.get("probabilities")
    if shares is not None:
        shares = mapping(shares)
        if shares is None or not all(is_share(share) for share in shares.values()):
            return None
    if (
        status not in STATUSES
        or (status == "scored") != (level is not None and is_share(value))
        or not all(isinstance(one, (str, type(None))) for one in (reason, error))
        or not isinstance(evidence, (list, tuple))
        or not all(isinstance(one, str) for one in evidence)
        or not isinstance(samples, (list, tuple, type(None)))
    ):
        return None
    return Said(
        status=status,
        level=_text(level),
        value=None if value is None else float(value),
        reason=reason,
        evidence=tuple(evidence),
        probabilities=shares,
        samples=None if samples is None else tuple(_text(one) for one in samples),
        error=error,
        dropped=int(judgment.get("dropped_messages") or 0),
    )


def _text(value: Any) -> str | None:
    return None if value is None else str(value)
