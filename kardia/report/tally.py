"""What a scored file came to: counts, means and distributions of each series of cards. Pure, streaming.

A series is what one rubric's content and one judge made: only its scores can be put into one mean.
"""

from __future__ import annotations

import json
import math
import re
from array import array
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from kardia.judgment import RAW_MARK
from kardia.report.cards import Card

__all__ = ["BINS", "CriterionTally", "Mean", "SeriesKey", "SeriesTally", "Tally"]

BINS = 20
"""Bars of the histogram of scores."""
MAX_REASONS = 200
"""Distinct reasons for unscored criteria that are told apart."""
SHOWN_REASONS = 20
_ANY_NUMBER = re.compile(r"\d+")


@dataclass(frozen=True, slots=True)
class SeriesKey:
    """Of which rubric, and by which judge."""

    rubric: str
    rubric_hash: str
    judge: str
    judge_hash: str

    @classmethod
    def of(cls, card: Card) -> SeriesKey:
        of_rubric, of_judge = card.provenance.get("rubric"), card.provenance.get("judge")
        return cls(card.rubric, _hash(of_rubric), card.judge, _hash(of_judge))


def _hash(provenance: Any) -> str:
    return str(provenance.get("hash")) if isinstance(provenance, Mapping) else ""


@dataclass(slots=True)
class Mean:
    """Mean and spread (the standard deviation of the population) by Welford's method."""

    n: int = 0
    mean: float = 0.0
    _squares: float = 0.0

    def add(self, value: float) -> None:
        self.n += 1
        step = value - self.mean
        self.mean += step / self.n
        self._squares += step * (value - self.mean)

    @property
    def spread(self) -> float | None:
        return math.sqrt(max(self._squares, 0.0) / self.n) if self.n else None

    def to_json(self) -> dict[str, Any]:
        spread = self.spread
        return {
            "n": self.n,
            "mean": round(self.mean, 6) if self.n else None,
            "spread": None if spread is None else round(spread, 6),
        }


@dataclass(slots=True)
class CriterionTally:
    """One criterion's judgments: how many at each level, of each status, and how often it vetoed."""

    levels: Counter[str] = field(default_factory=Counter)
    statuses: Counter[str] = field(default_factory=Counter)
    value: Mean = field(default_factory=Mean)
    vetoes: int = 0

    def to_json(self) -> dict[str, Any]:
        return {
            "seen": dict(self.levels),
            "statuses": dict(self.statuses),
            "vetoes": self.vetoes,
            **self.value.to_json(),
        }


@dataclass(slots=True)
class SeriesTally:
    """The cards of one series."""

    statuses: Counter[str] = field(default_factory=Counter)
    scores: array[float] = field(default_factory=lambda: array("d"))
    score: Mean = field(default_factory=Mean)
    vetoed: int = 0
    guarded: int = 0
    criteria: dict[str, CriterionTally] = field(default_factory=dict)
    reasons: Counter[tuple[str, str]] = field(default_factory=Counter)
    """(criterion, why it is unscored or abstained) → how often."""
    requests: int = 0
    tokens: int = 0
    cost: float | None = None
    provenance: dict[str, int] = field(default_factory=dict)
    """Provenance as JSON text, without its instance → how many cards have it."""

    def add(self, card: Card) -> None:
        self.statuses[card.status] += 1
        if card.score is not None:
            self.score.add(card.score)
            self.scores.append(card.score)
        self.vetoed += bool(card.vetoed_by)
        self.guarded += bool(card.guard and card.guard.get("findings"))
        for key, said in card.criteria.items():
            criterion = self.criteria.get(key)
            if criterion is None:
                criterion = self.criteria[key] = CriterionTally()
            criterion.statuses[said.status] += 1
            if said.level is not None and said.value is not None:
                criterion.levels[said.level] += 1
                criterion.value.add(said.value)
            elif said.error is not None and said.status != "not_applicable":
                self._explain(key, said.error)
        for key in set(card.vetoed_by) & card.criteria.keys():
            self.criteria[key].vetoes += 1
        self._spend(card.usage)
        told = json.dumps({**card.provenance, "instance": None}, sort_keys=True)
        self.provenance[told] = self.provenance.get(told, 0) + 1

    def _explain(self, criterion: str, error: str) -> None:
        """What the judge said is left out, and numbers are made alike: so that one cause is one line."""
        reason = criterion, _ANY_NUMBER.sub("…", error.split(RAW_MARK)[0])[:200]
        if reason in self.reasons or len(self.reasons) < MAX_REASONS:
            self.reasons[reason] += 1
        else:
            self.reasons[criterion, "another reason"] += 1

    def _spend(self, usage: Mapping[str, Any]) -> None:
        def number(key: str) -> float:
            found = usage.get(key)
            return found if isinstance(found, (int, float)) and math.isfinite(found) else 0

        self.requests += int(number("requests"))
        self.tokens += int(number("input_tokens") + number("output_tokens"))
        if isinstance(usage.get("cost"), (int, float)):
            self.cost = (self.cost or 0.0) + number("cost")

    def _reasons(self) -> list[dict[str, Any]]:
        """The commonest causes, each with the criteria that it has met."""
        counts: Counter[str] = Counter()
        criteria: dict[str, list[str]] = {}
        for (criterion, why), n in self.reasons.most_common():
            counts[why] += n
            criteria.setdefault(why, []).append(criterion)
        return [{"why": why, "criteria": criteria[why], "n": n} for why, n in counts.most_common(SHOWN_REASONS)]

    @property
    def histogram(self) -> list[int]:
        """Scores in `BINS` equal parts of [0, 1]; 1 is in the last."""
        counts = [0] * BINS
        for score in self.scores:
            counts[min(int(score * BINS), BINS - 1)] += 1
        return counts

    def to_json(self) -> dict[str, Any]:
        ordered = sorted(self.scores)

        def quantile(share: float) -> float | None:
            return round(ordered[round(share * (len(ordered) - 1))], 6) if ordered else None

        return {
            "n": sum(self.statuses.values()),
            "statuses": dict(self.statuses),
            "score": {
                **self.score.to_json(),
                "low": quantile(0.1),
                "median": quantile(0.5),
                "high": quantile(0.9),
                "histogram": self.histogram,
            },
            "vetoed": self.vetoed,
            "guarded": self.guarded,
            "reasons": self._reasons(),
            "requests": self.requests,
            "tokens": self.tokens,
            "cost": None if self.cost is None else round(self.cost, 6),
        }


@dataclass(slots=True)
class Tally:
    """All cards of a file.

    Attributes:
        series: in the order in which they are met.
        strata: of each card, its series' and its status' places: what a sample keeps in their shares.
        ids: how many different conversations.
    """

    series: dict[SeriesKey, SeriesTally] = field(default_factory=dict)
    strata: array[int] = field(default_factory=lambda: array("Q"))
    _ids: set[int] = field(default_factory=set)

    def add(self, card: Card) -> None:
        key = SeriesKey.of(card)
        found = self.series.get(key)
        if found is None:
            found = self.series[key] = SeriesTally()
        found.add(card)
        place = list(self.series).index(key) if len(self.series) > 1 else 0
        self.strata.append(place * 3 + ("scored", "partial", "unscored").index(card.status))
        self._ids.add(hash(card.id))

    @property
    def cards(self) -> int:
        return len(self.strata)

    @property
    def conversations(self) -> int:
        return len(self._ids)
