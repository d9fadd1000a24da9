"""What changed between two scorings: of one figure over all conversations, and in one conversation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from kardia.agreement.bootstrap import Bootstrap
from kardia.agreement.statistic import Statistic
from kardia.diagnose.cards import Card, Mark
from kardia.diagnose.table import column, mean

__all__ = ["Change", "Moved", "Side", "change_of", "moved_of"]

TIE = 1e-6
"""Scorecards hold six decimals: what differs by less is equal."""


@dataclass(frozen=True, slots=True)
class Change:
    """How a score, or a criterion's value, changed from A to B.

    Attributes:
        first, second: means over the conversations that both have scored, in [0, 1].
        difference: the mean of B − A over these, with its 95 % interval by groups.
        wins, losses, ties: in how many of them B is above A, below it, or equal.
        only_first, only_second, neither: conversations in both files in which only A has a value, only B, or none,
            although both were asked.
    """

    first: float | None
    second: float | None
    difference: Statistic
    wins: int
    losses: int
    ties: int
    only_first: int
    only_second: int
    neither: int

    @property
    def n(self) -> int:
        return self.difference.n

    def to_json(self) -> dict[str, Any]:
        return {
            "first": self.first,
            "second": self.second,
            "difference": self.difference.to_json(),
            "wins": self.wins,
            "losses": self.losses,
            "ties": self.ties,
            "only_first": self.only_first,
            "only_second": self.only_second,
            "neither": self.neither,
        }


@dataclass(frozen=True, slots=True)
class Side:
    """A criterion in one conversation, both judgments side by side; None where a side was not asked.

    Attributes:
        difference: of the values, B − A; None unless both are scored.
    """

    criterion: str
    first: Mark | None
    second: Mark | None
    difference: float | None

    def to_json(self) -> dict[str, Any]:
        return {
            "criterion": self.criterion,
            "difference": self.difference,
            "first": _told(self.first),
            "second": _told(self.second),
        }


@dataclass(frozen=True, slots=True)
class Moved:
    """A conversation whose score moved.

    Attributes:
        id, group: the conversation's.
        first, second: its scores; None where a side has none.
        vetoed_first, vetoed_second: which requirements failed.
        same_text: whether both sides judged the same text; None where the cards do not say.
        sides: the criteria that differ in status, level or value, those that moved most first.
    """

    id: str
    group: str | None
    first: float | None
    second: float | None
    vetoed_first: tuple[str, ...]
    vetoed_second: tuple[str, ...]
    same_text: bool | None
    sides: tuple[Side, ...]

    @property
    def difference(self) -> float | None:
        return None if self.first is None or self.second is None else self.second - self.first

    def to_json(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "group": self.group,
            "first": self.first,
            "second": self.second,
            "difference": self.difference,
            "vetoed_first": list(self.vetoed_first),
            "vetoed_second": list(self.vetoed_second),
            "same_text": self.same_text,
            "criteria": [side.to_json() for side in self.sides],
        }


def change_of(
    first: Sequence[float | None], second: Sequence[float | None], asked: Sequence[bool], bootstrap: Bootstrap
) -> Change:
    """The change of a figure.

    Args:
        first, second: its value in each conversation of both files; None where there is none.
        asked: where both sides wanted a value.
        bootstrap: of the conversations' groups.
    """
    gaps = [None if a is None or b is None else b - a for a, b in zip(first, second, strict=True)]
    both = [(a, b) for a, b in zip(first, second, strict=True) if a is not None and b is not None]
    known = [gap for gap in gaps if gap is not None]
    gone = [
        (a is not None, b is not None)
        for a, b, wanted in zip(first, second, asked, strict=True)
        if wanted and (a is None or b is None)
    ]
    return Change(
        first=sum(a for a, _ in both) / len(both) if both else None,
        second=sum(b for _, b in both) / len(both) if both else None,
        difference=bootstrap.statistic(mean(column(gaps), "no conversation is scored on both sides")),
        wins=sum(gap > TIE for gap in known),
        losses=sum(gap < -TIE for gap in known),
        ties=sum(abs(gap) <= TIE for gap in known),
        only_first=gone.count((True, False)),
        only_second=gone.count((False, True)),
        neither=gone.count((False, False)),
    )


def moved_of(first: Card, second: Card) -> Moved:
    """A conversation, both sides."""
    sides: list[Side] = []
    for name in dict.fromkeys((*first.marks, *second.marks)):
        one, other = first.marks.get(name), second.marks.get(name)
        gap = None
        if one is not None and other is not None:
            if one.value is not None and other.value is not None:
                gap = other.value - one.value
            if (one.status, one.level) == (other.status, other.level) and abs(gap or 0.0) <= TIE:
                continue
        sides.append(Side(name, one, other, gap))
    sides.sort(key=lambda side: -2.0 if side.difference is None else -abs(side.difference))
    same = None if first.text is None or second.text is None else first.text == second.text
    return Moved(
        first.id, first.group, first.score, second.score, first.vetoed_by, second.vetoed_by, same, tuple(sides)
    )


def _told(mark: Mark | None) -> dict[str, Any] | None:
    if mark is None:
        return None
    return {
        "status": mark.status,
        "level": mark.level,
        "value": mark.value,
        "reason": mark.reason,
        "error": mark.error,
    }
