"""Scored files as diagnosis and comparison read them: every judgment of every card, with its reason."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kardia.cardrow import STATUSES, card_row, is_number, is_share
from kardia.errors import InputError
from kardia.judgment import RAW_MARK
from kardia.model.cells import mapping
from kardia.reading.files import open_rows, source_name
from kardia.reading.jsontext import JsonFault, parse_json
from kardia.rubric.loading import wanted_rubric

__all__ = ["STEP", "Card", "Mark", "Scored", "read_file", "read_scored"]

STEP = "step"
"""The metadata's key of the training step in which a reply was written."""
RARE = 0.05


@dataclass(frozen=True, slots=True)
class Mark:
    """One judgment as it stands in a file. Levels are text here, in JSONL as in Parquet.

    Attributes:
        status, value, reason: as in `kardia.judgment.Judgment`.
        level: None unless scored.
        error: why there is no level, without what the judge said.
        probabilities: level → probability, where the judge gives them.
        samples: the levels of the scored samples, where more than one was asked for.
    """

    status: str
    level: str | None = None
    value: float | None = None
    reason: str | None = None
    error: str | None = None
    probabilities: Mapping[str, float] | None = None
    samples: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Card:
    """One scorecard.

    Attributes:
        id: the conversation's.
        line: where it stands in the file.
        group: the row's group, as text; None where it has none.
        step: the training step, from the metadata; None where nothing says.
        status, score, vetoed_by: as in `kardia.judgment.Scorecard`.
        marks: criterion → judgment, in the file's order.
        text: what was judged; None where the cards were written without.
        instance: the hash of criteria of the row's own; None where it has none.
    """

    id: str
    line: int
    group: str | None
    step: float | None
    status: str
    score: float | None
    vetoed_by: tuple[str, ...]
    marks: Mapping[str, Mark]
    text: str | None = None
    instance: str | None = None


@dataclass(slots=True)
class Scored:
    """The scorecards of one rubric and one judge.

    Attributes:
        file: where they were read from.
        rubric: `name@version`; `rubric_hash` its content's.
        judge: the profile's name; `judge_hash` its hash.
        cards: id → card, in the file's order.
    """

    file: str
    rubric: str
    rubric_hash: str
    judge: str
    judge_hash: str
    cards: dict[str, Card] = field(default_factory=dict)

    @property
    def criteria(self) -> tuple[str, ...]:
        """Every criterion of any card, in the order in which they come."""
        return tuple(dict.fromkeys(name for card in self.cards.values() for name in card.marks))

    @property
    def common(self) -> tuple[str, ...]:
        """The criteria that are on one card in twenty, or more: those that rows bring themselves are on few, and say
        nothing together."""
        counts = Counter(name for card in self.cards.values() for name in card.marks)
        return tuple(name for name in self.criteria if counts[name] >= RARE * len(self.cards))

    @property
    def rubric_name(self) -> str:
        return self.rubric.partition("@")[0]

    def source(self) -> dict[str, str]:
        """Where the numbers are from, as plain data."""
        return {
            "file": self.file,
            "rubric": self.rubric,
            "rubric_hash": self.rubric_hash,
            "judge": self.judge,
            "judge_hash": self.judge_hash,
        }


def read_scored(path: str | Path, rubric: str | None = None) -> Scored:
    """Reads the scorecards of one rubric, JSONL or Parquet, as `kardia score` writes them.

    Args:
        path: the file; `-` is stdin.
        rubric: which one, where the file holds several: a name, a name with a version, or a rubric's path.

    Raises:
        InputError: with file, line and key: what is no scorecard, a second judge, another content of the rubric, an id
            a second time; where the file holds none of this rubric, or several and none was named.
    """
    found = read_file(path, rubric)
    if len(found) > 1:
        raise InputError(
            f"the file holds scorecards of {' and '.join(found)}: say which with --rubric", file=source_name(path)
        )
    return next(iter(found.values()))


def read_file(path: str | Path, rubric: str | None = None) -> dict[str, Scored]:
    """As `read_scored`, but for every rubric in the file: `name@version` → its scorecards.

    Raises:
        InputError: as `read_scored` does, but for several rubrics.
    """
    name = source_name(path)
    is_wanted = wanted_rubric(rubric)
    found: dict[str, Scored] = {}
    others: dict[str, None] = {}
    for raw in open_rows(path):
        row = card_row(raw, name, ("provenance",))
        if is_wanted(row["rubric"]):
            _add(found, raw.line, row, name)
        else:
            others[row["rubric"]] = None
    if not found:
        if not others:
            raise InputError("holds no scorecards", file=name)
        raise InputError(f"holds no scorecard of {rubric}; it holds those of {', '.join(others)}", file=name)
    return found


def _add(found: dict[str, Scored], line: int, row: Mapping[str, Any], name: str) -> None:
    def fault(message: str, key: str) -> InputError:
        return InputError(message, file=name, line=line, key=key)

    ref, provenance = row["rubric"], row["provenance"]
    rubric_hash, judge_hash = (str(provenance[key].get("hash")) for key in ("rubric", "judge"))
    scored = found.get(ref)
    if scored is None:
        scored = found[ref] = Scored(name, ref, rubric_hash, row["judge"], judge_hash)
    if rubric_hash != scored.rubric_hash:
        message = f"was scored by {ref} with another content than the cards before it; score again"
        raise fault(message, "provenance.rubric.hash")
    if (row["judge"], judge_hash) != (scored.judge, scored.judge_hash):
        message = (
            f"is by another judge ({row['judge']}) than those before it ({scored.judge}): give each judge's cards a "
            "file of their own"
        )
        raise fault(message, "provenance.judge")
    if row["id"] in scored.cards:
        raise fault(f"the id {row['id']!r} was there before, in line {scored.cards[row['id']].line}", "id")
    criteria = mapping(row.get("criteria"))
    if criteria is None:
        raise fault("is no scorecard of `kardia score`", "criteria")
    instance = provenance.get("instance")
    scored.cards[row["id"]] = Card(
        id=row["id"],
        line=line,
        group=None if row.get("group") is None else str(row["group"]),
        step=_step(row.get("metadata"), fault),
        status=row["status"],
        score=None if row["score"] is None else float(row["score"]),
        vetoed_by=tuple(map(str, row["vetoed_by"])),
        marks={str(key): _mark(value, f"criteria.{key}", fault) for key, value in criteria.items()},
        text=row["target"].get("text"),
        instance=None if instance is None else str(instance),
    )


def _step(metadata: Any, fault: Any) -> float | None:
    if isinstance(metadata, str):  # Parquet
        try:
            metadata = parse_json(metadata)
        except JsonFault:
            raise fault("is no JSON", "metadata") from None
    step = metadata.get(STEP) if isinstance(metadata, Mapping) else None
    return float(step) if is_number(step) else None


def _mark(data: Any, key: str, fault: Any) -> Mark:
    if not isinstance(data, Mapping) or data.get("status") not in STATUSES:
        raise fault("is no judgment", key)
    status, error = data["status"], data.get("error")
    if status != "scored":
        said = None if error is None else str(error).split(RAW_MARK)[0]
        return Mark(status, reason=data.get("reason"), error=said)
    level, value = data.get("level"), data.get("value")
    if level is None or not is_share(value):
        raise fault("is scored, but has no level, or no value from 0 to 1", key)
    shares = mapping(data.get("probabilities"))
    if shares is not None and not (
        shares and all(is_number(each) and each >= 0 for each in shares.values()) and sum(shares.values()) > 0
    ):
        raise fault("is no distribution over levels", f"{key}.probabilities")
    samples = data.get("samples")
    return Mark(
        "scored",
        str(level),
        float(value),
        data.get("reason"),
        probabilities=None if shares is None else {str(one): float(share) for one, share in shares.items()},
        samples=None if samples is None else tuple(str(one) for one in samples if one is not None),
    )
