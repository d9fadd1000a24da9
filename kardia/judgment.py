"""Judgments and scorecards: what a judge said of each criterion, or why there is nothing."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from kardia.rubric.models import Level

__all__ = ["CardStatus", "Judgment", "Scorecard", "Status"]

Status = Literal["scored", "unscored", "abstained", "not_applicable"]
RAW_MARK = " | the judge said: "
"""What stands in an error between the reason and the judge's raw words."""
CardStatus = Literal["scored", "partial", "unscored"]
DIGITS = 6
"""Decimals of a number in a scorecard: more would be noise of the machine, and equal runs must be equal bytes."""


@dataclass(frozen=True, slots=True)
class Judgment:
    """The answer for one criterion: a level and its value — or a reason why there is none.

    Attributes:
        criterion: its full id.
        status: `scored` (there is a level), `unscored` (one was wanted and could not be had), `abstained` (the judge
            knows that it cannot judge this), `not_applicable` (the rubric says so).
        level: as written in the scale; None unless scored.
        value: in [0, 1], 1 is good; None unless scored. With probabilities it is their expectation.
        reason: the judge's words; None for judges without words.
        evidence: passages that the judge quoted and that do stand in the judged text.
        probabilities: level → probability, where the judge gives them.
        samples: the levels of the single samples, where more than one was asked for.
        error: why there is no level, with what the judge said; None when scored.
        weights: what each of the samples counts; None where all count alike. Not in the scorecard.
        dropped: how many of the conversation's oldest messages the judge was not shown, for want of room: one with a
            small context may be told to do without them.
        uncalibrated: the `level`, `value` and `probabilities` that the judge gave, where a calibration gave others.
    """

    criterion: str
    status: Status
    level: Level | None = None
    value: float | None = None
    reason: str | None = None
    evidence: tuple[str, ...] = ()
    probabilities: Mapping[Level, float] | None = None
    samples: tuple[Level | None, ...] | None = None
    error: str | None = None
    weights: tuple[float, ...] | None = None
    dropped: int = 0
    uncalibrated: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        if (self.status == "scored") != (self.level is not None and self.value is not None):
            raise ValueError(f"a judgment has a level and a value exactly when it is scored: {self!r}")

    @property
    def agreement(self) -> float | None:
        """The share of the scored samples, by weight, that gave the judgment's level, in (0, 1]; None where fewer
        than two were scored."""
        if self.samples is None or self.level is None:
            return None
        weights = self.weights or (1.0,) * len(self.samples)
        given = [(level, weight) for level, weight in zip(self.samples, weights, strict=True) if level is not None]
        if len(given) < 2:
            return None
        agreeing = math.fsum(weight for level, weight in given if level == self.level)
        return agreeing / math.fsum(weight for _, weight in given)

    @property
    def entropy(self) -> float | None:
        """How undecided the probabilities are: their entropy, as a share of the most that so many levels can have. In
        [0, 1], 0 where one level is certain; None where there are no probabilities."""
        shares = self.probabilities
        if shares is None or len(shares) < 2:
            return None
        bits = -math.fsum(share * math.log(share) for share in shares.values() if share > 0)
        return min(max(bits / math.log(len(shares)), 0.0), 1.0)

    def without_text(self) -> Judgment:
        """The judgment without anything that may quote the judged text: its reason, evidence and raw answer."""
        error = None if self.error is None else self.error.split(RAW_MARK)[0]
        return replace(self, reason=None, evidence=(), error=error)

    def to_json(self) -> dict[str, Any]:
        """The judgment as it stands in a scorecard; `dropped_messages` and `uncalibrated` only where there are some."""
        value, probabilities = self.value, self.probabilities
        told: dict[str, Any] = {
            "status": self.status,
            "level": self.level,
            "value": None if value is None else round(value, DIGITS),
            "reason": self.reason,
            "evidence": list(self.evidence),
            "probabilities": _shares(probabilities),
            "samples": None if self.samples is None else list(self.samples),
            "error": self.error,
        }
        if self.dropped:
            told["dropped_messages"] = self.dropped
        if self.uncalibrated is not None:
            said = self.uncalibrated
            told["uncalibrated"] = {
                "level": said["level"],
                "value": round(said["value"], DIGITS),
                "probabilities": _shares(said["probabilities"]),
            }
        return told


def _shares(probabilities: Mapping[Level, float] | None) -> dict[str, float] | None:
    if probabilities is None:
        return None
    return {str(level): round(share, DIGITS) for level, share in probabilities.items()}


@dataclass(frozen=True, slots=True)
class Scorecard:
    """All judgments of one target by one rubric, and the number they make.

    Attributes:
        id: the conversation's id.
        target: `kind`, `message` (its index) and `text` (None with `--no-text`).
        group: the row's group, where it has one.
        metadata: the row's metadata (None with `--no-text`).
        rubric: `name@version`.
        judge: the profile's name.
        status: `scored` all applicable criteria are scored; `partial` some are not, but there is a score; `unscored`
            there is none.
        score: in [0, 1], or None.
        vetoed_by: ids of the requirements that failed.
        criteria: id → judgment, in the rubric's order.
        usage: requests, attempts, tokens and cost of all judgments, and under `criteria` of each.
        provenance: where the number comes from. No clock.
        guard: `mode` and `findings` of the injection guard in the judged text; None where it was not asked.
    """

    id: str
    target: Mapping[str, Any]
    group: str | int | None
    metadata: Mapping[str, Any] | None
    rubric: str
    judge: str
    status: CardStatus
    score: float | None
    vetoed_by: tuple[str, ...]
    criteria: Mapping[str, Judgment]
    usage: Mapping[str, Any] = field(default_factory=dict)
    provenance: Mapping[str, Any] = field(default_factory=dict)
    guard: Mapping[str, Any] | None = None

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        from kardia.report.notebook import card_html

        return card_html(self)

    def to_json(self) -> dict[str, Any]:
        """The scorecard as one JSON object, keys in the documented order; `guard` only where there is something."""
        score, guard = self.score, self.guard
        return {
            "id": self.id,
            "target": dict(self.target),
            "group": self.group,
            "metadata": None if self.metadata is None else dict(self.metadata),
            "rubric": self.rubric,
            "judge": self.judge,
            "status": self.status,
            "score": None if score is None else round(score, DIGITS),
            "vetoed_by": list(self.vetoed_by),
            **({} if guard is None else {"guard": dict(guard)}),
            "criteria": {key: judgment.to_json() for key, judgment in self.criteria.items()},
            "usage": dict(self.usage),
            "provenance": dict(self.provenance),
        }
