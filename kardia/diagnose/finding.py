"""A finding, and when something is one: how it is made certain, many at a time. Pure.

What is estimated becomes a claim: an estimate with an interval, held against a bound below which it would not matter.
Its p is that of the nearer side of the bound, from the interval's width by Student's t with one degree of freedom less
than there are groups. All claims of one diagnosis are one family, and Holm's step-down procedure (Holm 1979) keeps the
chance of any false one below `ALPHA`. Each kind of fault weighs the same in it, over all and once more by criterion, so
that many criteria take nothing from what is asked of the score. The bounds, and taking the standard error from the
bootstrap's interval, are kardia's own. What is only counted (a criterion that has one level throughout) is held against
its bound by the near end of its Wilson interval, and needs no such care.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from kardia.agreement.holm import holm
from kardia.agreement.statistic import Statistic

__all__ = ["ALPHA", "KINDS", "Claim", "Finding", "Kind", "Record", "Severity", "confirmed", "listed", "share", "tail"]

Kind = Literal[
    "constant",
    "ceiling",
    "floor",
    "dead",
    "flat_groups",
    "length",
    "redundant",
    "few_directions",
    "noise",
    "veto_always",
    "veto_often",
    "veto_never",
    "unscored",
    "unscored_by_length",
    "generous",
    "strict",
    "divergence",
]
KINDS: Mapping[str, str] = {
    "constant": "a criterion that never differs",
    "ceiling": "a criterion at its best level nearly always",
    "floor": "a criterion at its worst level nearly always",
    "dead": "a criterion that does not differ within groups",
    "flat_groups": "groups without any difference in score",
    "length": "scores that go with length",
    "redundant": "two criteria that are one",
    "few_directions": "many criteria that say one thing",
    "noise": "advantages whose sign is chance",
    "veto_always": "a veto that always fires",
    "veto_often": "a veto that fires more often than not",
    "veto_never": "a veto that never fires",
    "unscored": "judgments that could not be had",
    "unscored_by_length": "judgments that fail by length",
    "generous": "a judge that is too generous",
    "strict": "a judge that is too strict",
    "divergence": "a training judge that parts from its reference",
}
Severity = Literal["high", "medium", "low"]

ALPHA = 0.01
"""The most that the chance of any false claim may be."""
FEW_GROUPS = 5
"""With fewer an interval says nothing that a claim could stand on."""
_Z = 1.959963984540054


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is wrong.

    Attributes:
        kind: one of `KINDS`.
        criterion: which; None: it is about the score, or the judge as a whole.
        numbers: name → figure with its interval.
        n: how many replies, or groups, it stands on.
        severity: `high` (training on this goes wrong), `medium`, `low` (good to know).
        sentence: what is wrong.
        advice: what to do.
        criteria: further criteria that it shows in.
    """

    kind: Kind
    criterion: str | None
    numbers: Mapping[str, Statistic]
    n: int
    severity: Severity
    sentence: str
    advice: str
    criteria: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "criterion": self.criterion,
            "criteria": list(self.criteria),
            "severity": self.severity,
            "sentence": self.sentence,
            "advice": self.advice,
            "n": self.n,
            "numbers": {name: number.to_json() for name, number in self.numbers.items()},
        }


@dataclass(frozen=True, slots=True)
class Claim:
    """A finding, if it is certain.

    Attributes:
        p: how likely so much is where the truth lies at the bound.
        large: whether the estimate itself is large enough to be worth a word.
    """

    finding: Finding
    p: float
    large: bool


@dataclass(slots=True)
class Record:
    """What the checks write down.

    Attributes:
        overall: figures of the score, or of the judge.
        criteria: criterion → figures.
        detail: check → plain data beyond figures.
        claims: what may become findings.
        certain: findings that are counts.
        skipped: check → why it was not made.
    """

    overall: dict[str, Statistic] = field(default_factory=dict)
    criteria: dict[str, dict[str, Statistic]] = field(default_factory=dict)
    detail: dict[str, Any] = field(default_factory=dict)
    claims: list[Claim] = field(default_factory=list)
    certain: list[Finding] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)

    def of(self, criterion: str | None) -> dict[str, Statistic]:
        """Where the figures of a criterion, or of the score, go."""
        return self.overall if criterion is None else self.criteria.setdefault(criterion, {})

    def claim(self, finding: Finding, estimate: Statistic, bound: float, least: float, groups: int) -> None:
        """Writes down what may become a finding: that an estimate is certainly beyond `bound`, and at least `least`
        (both on the side where it lies)."""
        p = tail(estimate, bound, groups)
        if p is not None and estimate.value is not None:
            self.claims.append(Claim(finding, p, abs(estimate.value) >= least))


def tail(estimate: Statistic, bound: float, groups: int) -> float | None:
    """How likely an estimate so far beyond ±`bound` is where the truth lies at it; two-sided, so that either sign may
    be claimed. None where there is no interval, or too few groups for one that says anything."""
    from scipy.stats import t

    if estimate.value is None or estimate.low is None or estimate.high is None or groups < FEW_GROUPS:
        return None
    beyond = abs(estimate.value) - bound
    error = (estimate.high - estimate.low) / (2.0 * _Z)
    if error <= 0.0:
        return 0.0 if beyond > 0 else 1.0
    return min(1.0, 2.0 * float(t.sf(beyond / error, groups - 1)))


def confirmed(record: Record) -> tuple[Finding, ...]:
    """The findings, the weightiest first: Holm's procedure over all claims, and what was counted.

    Where a claim about the score holds, those of the same kind about criteria are named in it, and are none of their
    own; it is then as severe as the gravest of them.
    """
    ordered = sorted(record.claims, key=lambda claim: claim.p)
    families = Counter(map(_family, ordered))
    corrected = holm([claim.p for claim in ordered], [1.0 / families[_family(claim)] for claim in ordered])
    kept = [claim.finding for claim, p in zip(ordered, corrected, strict=True) if p <= ALPHA and claim.large]
    rank = {"high": 0, "medium": 1, "low": 2}
    found = [*record.certain]
    for finding in kept:
        whole = next((other for other in kept if other.kind == finding.kind and other.criterion is None), None)
        if finding is whole:
            inside = [other for other in kept if other.kind == finding.kind and other.criterion]
            names = tuple(other.criterion for other in inside if other.criterion)
            gravest = min((finding.severity, *(other.severity for other in inside)), key=rank.__getitem__)
            found.append(replace(finding, severity=gravest, criteria=(*finding.criteria, *names)))
        elif whole is None:
            found.append(finding)
    order = {kind: place for place, kind in enumerate(KINDS)}
    return tuple(sorted(found, key=lambda each: (rank[each.severity], order[each.kind], each.criterion or "")))


def _family(claim: Claim) -> tuple[Kind, bool]:
    """Which claims share a weight. Nothing that was estimated is in it, such as in which direction a judge is off."""
    kind = claim.finding.kind
    return "generous" if kind == "strict" else kind, claim.finding.criterion is None


def share(count: int, n: int, why: str = "there is nothing to count") -> Statistic:
    """A share with its Wilson interval (Wilson 1927), 95 %."""
    if not n:
        return Statistic(None, None, None, 0, why)
    p = count / n
    middle = (p + _Z**2 / (2 * n)) / (1 + _Z**2 / n)
    half = _Z / (1 + _Z**2 / n) * math.sqrt(p * (1 - p) / n + _Z**2 / (4 * n**2))
    return Statistic(p, min(max(middle - half, 0.0), p), max(min(middle + half, 1.0), p), n)


def listed(names: Sequence[str]) -> str:
    """a, b and c."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
