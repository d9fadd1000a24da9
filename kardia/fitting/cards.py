"""Scorecards read back: what a judge said of each criterion, as the aggregation is given it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kardia.cardrow import STATUSES, is_share
from kardia.errors import InputError
from kardia.judgment import Judgment
from kardia.reading.files import RawRow, open_rows, source_name
from kardia.rubric.loading import load_rubric, load_unlearned
from kardia.rubric.models import Aggregate, Criterion
from kardia.rubric.rubric import Group, Rubric

__all__ = ["Card", "Cards", "Subject", "counted_shares", "load_subject", "read_cards"]


@dataclass(frozen=True, slots=True)
class Subject:
    """The rubric that an artifact is fitted for.

    Attributes:
        rubric: without an artifact of its own.
        hashes: content hashes of the scorecards that may be fitted: those of this rubric, whatever its aggregation.
    """

    rubric: Rubric
    hashes: frozenset[str]


def load_subject(reference: str | Path) -> Subject:
    """Loads a rubric to fit for; it need not have an artifact, and one that it names need not be there.

    Raises:
        RubricError: where it is no rubric.
    """
    rubric = load_unlearned(reference)
    plain = Rubric(rubric.file.model_copy(update={"aggregate": Aggregate()}), rubric.parts)
    hashes = {rubric.hash, plain.hash}
    try:
        hashes.add(load_rubric(reference).hash)
    except InputError:
        pass  # what its old artifact has against it is no matter: it is to have a new one
    return Subject(rubric, frozenset(hashes))


@dataclass(frozen=True, slots=True)
class Card:
    """One scorecard.

    Attributes:
        id: the conversation's.
        group: whom it must not be parted from in cross-validation: the row's group, else its id.
        line: where it stands in the file.
        judgments: full id → judgment, in the rubric's order, conditions applied.
        vetoed: whether a requirement failed: its score is then not the aggregation's.
    """

    id: str
    group: str
    line: int
    judgments: Mapping[str, Judgment]
    vetoed: bool


@dataclass(slots=True)
class Cards:
    """The scorecards of one rubric and one judge.

    Attributes:
        file: where they were read from.
        by_id: id → card, in the file's order.
        judge: the judge's `name` and `hash`.
        own_criteria: how many were left out because their row brought criteria of its own.
    """

    file: str
    by_id: dict[str, Card] = field(default_factory=dict)
    judge: dict[str, str] = field(default_factory=dict)
    own_criteria: int = 0


def read_cards(path: str | Path, subject: Subject) -> Cards:
    """Reads the scorecards of one rubric from a JSONL file of `kardia score`; those of other rubrics are passed over.

    Raises:
        InputError: with file, line and key: no scorecard, of another content of the rubric, of a second judge, an id a
            second time; where there is none of this rubric.
    """
    found = Cards(source_name(path))
    others: dict[str, None] = {}
    for raw in open_rows(path):
        row = _row(raw, found.file)
        ref = row["rubric"]
        if str(ref).rpartition("@")[0] != subject.rubric.name:
            others[str(ref)] = None
            continue
        _add(found, raw.line, row, subject)
    if not found.by_id:
        there = f"; it holds those of {', '.join(others)}" if others else ""
        more = f"; {found.own_criteria} bring criteria of their own and cannot be used" if found.own_criteria else ""
        raise InputError(
            f"holds no scorecard of {subject.rubric.name} that can be fitted{there}{more}", file=found.file
        )
    return found


def _row(raw: RawRow, file: str) -> Mapping[str, Any]:
    row = raw.row
    if row is None:
        raise InputError(raw.error or "cannot be read", file=file, line=raw.line)
    for key, kind in (("id", str), ("rubric", str), ("criteria", dict), ("vetoed_by", list), ("provenance", dict)):
        if not isinstance(row.get(key), kind):
            raise InputError("is no scorecard of `kardia score` in JSONL", file=file, line=raw.line, key=key)
    return row


def _add(found: Cards, line: int, row: Mapping[str, Any], subject: Subject) -> None:
    rubric, provenance = subject.rubric, row["provenance"]
    of_rubric, of_judge = provenance.get("rubric"), provenance.get("judge")
    if not isinstance(of_rubric, dict) or not isinstance(of_judge, dict):
        raise InputError("does not say by what it was scored", file=found.file, line=line, key="provenance")
    if of_rubric.get("hash") not in subject.hashes:
        raise InputError(
            f"was scored by {row['rubric']} with another content than {rubric.ref} has now: name the version that it "
            "was scored by (--rubric), or score again",
            file=found.file,
            line=line,
            key="provenance.rubric.hash",
        )
    judge = {"name": str(of_judge.get("name")), "hash": str(of_judge.get("hash"))}
    if found.judge and found.judge != judge:
        raise InputError(
            f"is by another judge ({judge['name']}) than those before it ({found.judge['name']}): fit for one judge "
            "at a time",
            file=found.file,
            line=line,
            key="provenance.judge",
        )
    found.judge = judge
    if provenance.get("instance") is not None:
        found.own_criteria += 1
        return
    key = row["id"]
    if key in found.by_id:
        message = f"the id {key!r} was there before, in line {found.by_id[key].line}"
        raise InputError(message, file=found.file, line=line, key="id")
    judgments: dict[str, Judgment] = {}
    for criterion in rubric.criteria:
        judgments[criterion.id] = _judgment(criterion, row["criteria"].get(criterion.id), found.file, line)
    group = row.get("group")
    found.by_id[key] = Card(
        key, f"id {key}" if group is None else f"group {group}", line, judgments, bool(row["vetoed_by"])
    )


def _judgment(criterion: Criterion, data: Any, file: str, line: int) -> Judgment:
    at = f"criteria.{criterion.id}"
    if not isinstance(data, dict) or data.get("status") not in STATUSES:
        raise InputError("is no judgment", file=file, line=line, key=at)
    status, level, value = data["status"], data.get("level"), data.get("value")
    if status != "scored":
        return Judgment(criterion.id, status, reason=data.get("reason"), error=data.get("error"))
    if isinstance(level, bool) or level not in criterion.levels:
        raise InputError(f"{level!r} is not on the scale", file=file, line=line, key=f"{at}.level")
    if not is_share(value):
        raise InputError(f"{value!r} is no number from 0 to 1", file=file, line=line, key=f"{at}.value")
    shares = data.get("probabilities")
    probabilities = None
    if shares is not None:
        names = {str(one): one for one in criterion.levels}
        right = isinstance(shares, dict) and shares.keys() <= names.keys() and all(map(is_share, shares.values()))
        if not right or not sum(shares.values()) > 0:
            raise InputError("is no distribution over the levels", file=file, line=line, key=f"{at}.probabilities")
        probabilities = {names[name]: float(share) for name, share in shares.items()}
    return Judgment(criterion.id, "scored", level, float(data["value"]), probabilities=probabilities)


def counted_shares(rubric: Rubric, over: str) -> dict[str, float]:
    """What is fitted: the id of what counts in a rubric → its share by the rubric's own weights; together 1.

    What has weight 0 is left out, and what is included by two ways counts where it is met first.

    Args:
        rubric: whose rule is fitted.
        over: `items` (its own criteria, and each include as one) or `criteria` (every criterion of the tree).
    """
    return dict(_shares(rubric.root, "", 1.0, over == "criteria"))


def _shares(group: Group, prefix: str, whole: float, deep: bool) -> Iterator[tuple[str, float]]:
    parts = [(as_, weight, inner) for as_, weight, inner, counts in group.parts if counts and weight > 0]
    own = [criterion for criterion in group.criteria if criterion.weight > 0]
    total = math.fsum([criterion.weight for criterion in own] + [weight for _, weight, _ in parts])
    for criterion in own:
        yield prefix + group.local(criterion.id), whole * criterion.weight / total
    for as_, weight, inner in parts:
        if deep:
            yield from _shares(inner, f"{prefix}{as_}.", whole * weight / total, deep)
        else:
            yield prefix + as_, whole * weight / total
