"""Scorecards with people behind them: what they answer is known, so that a fit can be held against it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from making import choice, make, ordinal

from kardia.fitting.cards import Subject
from kardia.fitting.ratings import RatingRange
from kardia.rubric.models import Level
from kardia.rubric.rubric import Rubric

RUBRIC = make(ordinal("warm"), ordinal("clear"), choice("tone", weight=2), name="made")
SPAN = RatingRange(1.0, 5.0)
JUDGE = {"name": "judge", "hash": "sha256:" + "a" * 64}


def subject(rubric: Rubric = RUBRIC) -> Subject:
    return Subject(rubric, frozenset({rubric.hash}))


def card(
    id_: str,
    levels: Mapping[str, Level | str],
    *,
    rubric: Rubric = RUBRIC,
    probabilities: Mapping[str, Mapping[Level, float]] | None = None,
    **more: Any,
) -> dict[str, Any]:
    """A scorecard as `kardia score` writes it; a level may be a status instead."""
    criteria: dict[str, Any] = {}
    for criterion in rubric.criteria:
        level = levels[criterion.id]
        if level not in criterion.levels:
            criteria[criterion.id] = {"status": level, "level": None, "value": None, "error": "for a test"}
            continue
        shares = (probabilities or {}).get(criterion.id)
        value = criterion.value(level)
        if shares is not None:
            value = sum(share * criterion.value(one) for one, share in shares.items())
        criteria[criterion.id] = {
            "status": "scored",
            "level": level,
            "value": round(value, 6),
            "probabilities": None if shares is None else {str(one): share for one, share in shares.items()},
        }
    return {
        "id": id_,
        "group": None,
        "rubric": rubric.ref,
        "vetoed_by": [],
        "criteria": criteria,
        "provenance": {"rubric": {"hash": rubric.hash}, "instance": None, "judge": JUDGE},
        **more,
    }


def write_lines(path: Path, rows: Sequence[Mapping[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def write_csv(path: Path, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> Path:
    lines = [",".join(columns), *(",".join(map(str, row)) for row in rows)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path
