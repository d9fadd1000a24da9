"""What a run came to, per criterion and overall. Streaming: nothing is kept but sums."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from kardia.judgment import Scorecard

__all__ = ["Row", "Summary"]


@dataclass
class Row:
    """One criterion's, or one rubric's, figures. Values are in [0, 1], 1 is good; `tokens` and `cost` are what its
    judgments took, those from the ledger included.

    Mean and spread (the standard deviation of the population) follow Welford's method, so that a million cards lose
    no digits.
    """

    scored: int = 0
    unscored: int = 0
    abstained: int = 0
    not_applicable: int = 0
    partial: int = 0
    vetoes: int = 0
    mean: float = 0.0
    tokens: int = 0
    cost: float | None = None
    _squares: float = 0.0
    _agreed: float = 0.0
    _sampled: int = 0

    def agree(self, share: float) -> None:
        """Counts in how far the samples of one judgment, or a panel's judges, agree: a share in [0, 1]."""
        self._agreed += share
        self._sampled += 1

    @property
    def agreement(self) -> float | None:
        """The mean of it; None where nothing was asked more than once."""
        return self._agreed / self._sampled if self._sampled else None

    def take(self, usage: Mapping[str, Any]) -> None:
        """Counts in what a judgment took, whenever that was."""
        self.tokens += usage["input_tokens"] + usage["output_tokens"]
        if usage["cost"] is not None:
            self.cost = (self.cost or 0.0) + usage["cost"]

    def add(self, value: float) -> None:
        self.scored += 1
        step = value - self.mean
        self.mean += step / self.scored
        self._squares += step * (value - self.mean)

    def merge(self, other: Row) -> None:
        """Counts in the figures of other cards."""
        scored = self.scored + other.scored
        if other.scored:
            step = other.mean - self.mean
            self._squares += other._squares + step * step * self.scored * other.scored / scored
            self.mean += step * other.scored / scored
            self.scored = scored
        for name in ("unscored", "abstained", "not_applicable", "partial", "vetoes", "tokens", "_agreed", "_sampled"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        if other.cost is not None:
            self.cost = (self.cost or 0.0) + other.cost

    @property
    def spread(self) -> float | None:
        return math.sqrt(self._squares / self.scored) if self.scored else None

    def to_json(self) -> dict[str, Any]:
        return {
            "scored": self.scored,
            "mean": round(self.mean, 6) if self.scored else None,
            "spread": None if self.spread is None else round(self.spread, 6),
            "unscored": self.unscored,
            "abstained": self.abstained,
            "not_applicable": self.not_applicable,
            "partial": self.partial,
            "vetoes": self.vetoes,
            "agreement": None if self.agreement is None else round(self.agreement, 6),
            "tokens": self.tokens,
            "cost": None if self.cost is None else round(self.cost, 9),
        }


@dataclass
class Summary:
    """Figures of a run: rubric → (its cards, its criteria)."""

    cards: dict[str, Row] = field(default_factory=dict)
    criteria: dict[str, dict[str, Row]] = field(default_factory=dict)
    first_error: str | None = None
    guarded: int = 0
    """Cards on which the guard found something."""

    def add(self, card: Scorecard) -> None:
        """Counts one scorecard in."""
        rows = self.criteria.get(card.rubric)
        if rows is None:
            rows = self.criteria[card.rubric] = {}
            self.cards.setdefault(card.rubric, Row())
        whole = self.cards[card.rubric]
        if card.score is None:
            whole.unscored += 1
        else:
            whole.add(card.score)
            whole.partial += card.status == "partial"
        for key, judgment in card.criteria.items():
            row = rows.get(key)
            if row is None:
                row = rows[key] = Row()
            if judgment.status == "scored" and judgment.value is not None:
                row.add(judgment.value)
                if judgment.samples is not None and (share := judgment.agreement) is not None:
                    row.agree(share)
            elif judgment.status == "unscored":
                row.unscored += 1
                if self.first_error is None:
                    self.first_error = f"{card.id}, {key}: {judgment.error}"
            elif judgment.status == "abstained":
                row.abstained += 1
            else:
                row.not_applicable += 1
        if card.guard is not None and card.guard["findings"]:
            self.guarded += 1
        if card.vetoed_by:
            whole.vetoes += 1
            for key in card.criteria.keys() & set(card.vetoed_by):
                rows[key].vetoes += 1
        for key, took in card.usage.get("criteria", {}).items():
            rows[key].take(took)
        if card.usage:
            whole.take(card.usage)

    def merge(self, other: Summary) -> None:
        """Counts in the figures of other cards. `first_error` stays what it is, where there is one."""
        for rubric, whole in other.cards.items():
            self.cards.setdefault(rubric, Row()).merge(whole)
            rows = self.criteria.setdefault(rubric, {})
            for key, row in other.criteria[rubric].items():
                rows.setdefault(key, Row()).merge(row)
        self.first_error = self.first_error or other.first_error
        self.guarded += other.guarded

    def to_plain(self) -> dict[str, Any]:
        """All of it, as JSON has it; `from_plain` reads it again."""
        return asdict(self)

    @classmethod
    def from_plain(cls, data: Mapping[str, Any]) -> Summary:
        cards = {rubric: Row(**row) for rubric, row in data["cards"].items()}
        criteria = {rubric: {key: Row(**row) for key, row in rows.items()} for rubric, rows in data["criteria"].items()}
        return cls(cards, criteria, data["first_error"], data["guarded"])

    @property
    def total(self) -> int:
        """Scorecards counted."""
        return sum(row.scored + row.unscored for row in self.cards.values())

    @property
    def unscored(self) -> int:
        """Criteria and cards that wanted a number and have none; abstentions are not among them."""
        return sum(row.unscored for rows in self.criteria.values() for row in rows.values()) or sum(
            row.unscored for row in self.cards.values()
        )

    @property
    def abstained(self) -> int:
        return sum(row.abstained for rows in self.criteria.values() for row in rows.values())
