"""A line of a scored file: a scorecard as `kardia score` wrote it, in JSONL or Parquet, checked. Pure.

Who reads scorecards takes the row from here, and its own parts out of it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, TypeGuard, get_args

from kardia.errors import InputError
from kardia.judgment import CardStatus, Status
from kardia.reading.files import RawRow
from kardia.reading.jsontext import JsonFault, parse_json

__all__ = ["CARD_STATUSES", "STATUSES", "card_row", "is_number", "is_share"]

CARD_STATUSES: tuple[str, ...] = get_args(CardStatus)
STATUSES: tuple[str, ...] = get_args(Status)
_KINDS: Mapping[str, type] = {
    "id": str,
    "target": Mapping,
    "rubric": str,
    "judge": str,
    "vetoed_by": list,
    "provenance": Mapping,
}


def card_row(
    raw: RawRow, file: str, texts: tuple[str, ...] = ("provenance", "guard"), *, traced: bool = True
) -> dict[str, Any]:
    """A row that has what a scorecard has. Of its criteria nothing is said here.

    Args:
        raw: a row of the file.
        file: what errors call it.
        texts: free-form objects that are wanted, which Parquet holds as JSON text.
        traced: whether it must say by what it was scored: `provenance.rubric` and `provenance.judge`.

    Raises:
        InputError: with file, line and key, where it is none.
    """
    if raw.row is None:
        raise InputError(raw.error or "cannot be read", file=file, line=raw.line)

    def fault(key: str) -> InputError:
        return InputError("is no scorecard of `kardia score`", file=file, line=raw.line, key=key)

    row: dict[str, Any] = {**raw.row}
    for key in texts:
        if isinstance(row.get(key), str):
            try:
                row[key] = parse_json(row[key])
            except JsonFault:
                raise fault(key) from None
    for key, kind in _KINDS.items():
        if not isinstance(row.get(key), kind):
            raise fault(key)
    score, status = row.get("score"), row.get("status")
    if status not in CARD_STATUSES:
        raise fault("status")
    if (score is None) != (status == "unscored") or not (score is None or is_share(score)):
        raise fault("score")
    for key in ("rubric", "judge"):
        if traced and not isinstance(row["provenance"].get(key), Mapping):
            raise fault(f"provenance.{key}")
    return row


def is_number(value: object) -> TypeGuard[float]:
    """A finite number, and no truth value."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def is_share(value: object) -> TypeGuard[float]:
    """A number from 0 to 1, and no truth value."""
    return is_number(value) and 0 <= value <= 1
