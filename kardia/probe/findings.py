"""What is wrong with a judge, in sentences; with as few false ones as one test would give. Pure.

Each probe asks one question of one judge, some two: did the mean score go where a good judge would not go, by more than
the tolerance; and, where the same should come out, how many levels changed. The question is put to a t test over groups
(their means; a group is what is independent). One group more, which moved by exactly the tolerance, is added to those
that were seen, so that a few equal shifts do not pass for certainty. The p values of all questions put to a judge are
corrected by Holm's method (1979): the chance that a good judge is given any finding at all is 5 % at most.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from kardia.agreement.holm import holm
from kardia.agreement.statistic import Statistic
from kardia.probe.catalogue import Probe
from kardia.probe.shifts import EDGE, ProbeResult

__all__ = ["ALPHA", "UNSTEADY", "Finding", "Question", "exceeds", "find"]

ALPHA = 0.05
UNSTEADY = 0.2
"""Unless another share is stated: above it, a judge that moves where nothing changed is called unsteady."""
_FEW = 3
_STANDS_OUT = 0.05
Kind = Literal["rises", "falls", "does not fall", "unsteady"]


@dataclass(frozen=True, slots=True)
class Question:
    """One question to one judge, ready to be tested.

    Attributes:
        probe, kind: what a finding would say.
        shown: the figure that it would give.
        bound: what the figure would have to be beyond.
        values: (group, what is tested), turned so that above `limit` is wrong.
        limit: the bound, turned likewise.
        sides: 2 where either direction is wrong.
    """

    probe: Probe
    kind: Kind
    shown: Statistic
    bound: float
    values: Sequence[tuple[Hashable, float]]
    limit: float
    sides: int = 1


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong with a judge.

    Attributes:
        probe: by which it was found.
        kind: `rises` or `falls` (the score, and it should not), `does not fall`, or `unsteady`.
        severity: `high` where the score is off by 0.25 or more, or half of the scores move; else `medium`.
        value, low, high: the mean shift, or the share that moved, with its interval.
        bound: what the whole interval is beyond.
        n: cases.
        p: corrected for all questions put to this judge.
        criterion: whose value moved most in this direction; None where none stands out.
        variant: which way of changing moved the score most; None where none stands out.
        sentence: what was found, for people.
        advice: what to do about it.
    """

    probe: str
    kind: Kind
    severity: Literal["high", "medium"]
    value: float
    low: float
    high: float
    bound: float
    n: int
    p: float
    criterion: str | None
    variant: str | None
    sentence: str
    advice: str

    def to_json(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__}


def exceeds(values: Iterable[tuple[Hashable, float]], limit: float) -> float:
    """The p value of "the mean is at most `limit`", against "it is above", by a t test over groups.

    Args:
        values: (group, value).
        limit: of the mean.

    Returns:
        in [0, 1]; 1 where there are no values.
    """
    from scipy.special import stdtr

    by_group: dict[Hashable, list[float]] = defaultdict(list)
    for group, value in values:
        by_group[group].append(value)
    means = [math.fsum(known) / len(known) for known in by_group.values()]
    if not means:
        return 1.0
    means.append(limit)
    size = len(means)
    mean = math.fsum(means) / size
    spread = math.sqrt(math.fsum((one - mean) ** 2 for one in means) / (size - 1))
    if spread <= EDGE:
        return 1.0  # all of them are at the limit
    return float(stdtr(size - 1, -(mean - limit) / (spread / math.sqrt(size))))


def find(questions: Sequence[Question], results: Sequence[ProbeResult]) -> tuple[Finding, ...]:
    """The findings about one judge: what is beyond its bound with its whole interval, and past Holm's correction.

    Args:
        questions: all that were put to this judge.
        results: of its probes.
    """
    by_probe = {result.probe: result for result in results}
    chances: list[tuple[float, int]] = []
    for question in questions:
        up = exceeds(question.values, question.limit)
        down = exceeds([(group, -value) for group, value in question.values], question.limit)
        way = -1 if question.sides == 2 and down < up else 1
        chances.append((min(1.0, question.sides * (down if way < 0 else up)), way))
    found = []
    for question, corrected, (_, way) in zip(questions, holm([p for p, _ in chances]), chances, strict=True):
        shown = question.shown
        if corrected > ALPHA or shown.value is None or shown.low is None or shown.high is None:
            continue
        bound = way * question.bound
        if (shown.high >= bound) if way < 0 else (shown.low <= bound):
            continue
        found.append(_finding(question, by_probe[question.probe.name], corrected, way, bound))
    return tuple(sorted(found, key=lambda one: (one.severity != "high", one.p)))


def _finding(question: Question, result: ProbeResult, p: float, way: int, bound: float) -> Finding:
    shown, probe = question.shown, question.probe
    assert shown.value is not None
    assert shown.low is not None
    assert shown.high is not None
    kind: Kind = "falls" if way < 0 else question.kind
    grave = 0.5 if kind == "unsteady" else 0.25
    severe = kind == "does not fall" or abs(shown.value) >= grave
    criterion = None if kind == "unsteady" else _most_moved(result, way)
    variant = None if kind == "unsteady" else _worst(result, way)
    return Finding(
        probe.name,
        kind,
        "high" if severe else "medium",
        shown.value,
        shown.low,
        shown.high,
        bound,
        shown.n,
        p,
        criterion,
        variant,
        _sentence(probe, kind, shown, bound, criterion, variant),
        probe.advice,
    )


def _most_moved(result: ProbeResult, way: int) -> str | None:
    """The criterion that moved most, where it stands out from the others."""
    known = {key: way * one.value for key, one in result.criteria.items() if one.value is not None}
    return _outstanding(known, math.fsum(known.values()) / max(len(known), 1))


def _worst(result: ProbeResult, way: int) -> str | None:
    """The variant that moved scores most, where it stands out and was tried more than a few times."""
    known = {one.name: way * one.shift for one in result.variants if one.shift is not None and one.n >= _FEW}
    return None if result.shift.value is None else _outstanding(known, way * result.shift.value)


def _outstanding(known: dict[str, float], mean: float) -> str | None:
    most = max(known, key=known.__getitem__, default=None)
    return most if most is not None and known[most] >= mean + _STANDS_OUT else None


def _sentence(
    probe: Probe, kind: Kind, shown: Statistic, bound: float, criterion: str | None, variant: str | None
) -> str:
    assert shown.value is not None
    if kind == "unsteady":
        unit = "verdicts turn" if probe.name == "order" else "levels change"
        return (
            f"{shown.value:.0%} of the {unit} where {probe.what} "
            f"({_span(shown, percent=True)}; a steady judge stays below {bound:.0%})"
        )
    details = [f"most of all {criterion}"] if criterion else []
    details += [f"most with {variant!r}"] if variant else []
    more = f": {', '.join(details)}" if details else ""
    if kind == "does not fall":
        return (
            f"the score of a good reply does not fall as it should where {probe.what}: it changes by "
            f"{shown.value:+.2f} ({_span(shown)}), and had to fall by {-bound:.2f}{more}"
        )
    expected = "should stay" if probe.expects == "same" else "should not rise"
    return f"the score {kind} by {abs(shown.value):.2f} ({_span(shown)}) where {probe.what}, and {expected}{more}"


def _span(shown: Statistic, *, percent: bool = False) -> str:
    if percent:
        return f"{shown.low:.0%} to {shown.high:.0%}"
    return f"{shown.low:+.2f} to {shown.high:+.2f}"
