"""What is wrong with a judge, in sentences; with as few false ones as one test would give. Pure.

Each probe asks of one judge whether the mean score went where a good judge's would not go, by more than a bound that
would not matter; in all of its ways together, and in each of them. Beside that: how many levels changed where the same
should come out, whether replies lost their score, and whether a criterion has one level for everything. Each question
is put to a t test over groups (their means; a group is what is independent). One group more, which moved by exactly the
bound, is added to those that were seen, so that a few equal shifts do not pass for certainty. The p values of all
questions put to a judge are corrected by Holm's method (1979), with a weight for each: the chance that a good judge is
given any finding at all is 5 % at most. What is certain must also be large enough to be worth a word.
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
from kardia.probe.shifts import EDGE, ProbeResult, shares

__all__ = ["ALPHA", "UNSTEADY", "Finding", "Question", "exceeds", "find"]

ALPHA = 0.05
UNSTEADY = 0.2
"""Unless another share is stated: above it, a judge that moves where nothing changed is called unsteady."""
_FEW = 3
_STANDS_OUT = 0.05
_UNSCORED = (
    "read why (the `error` of these criteria in `kardia score`), ask again (limits.reask), give the answer more room "
    "(sampling.max_tokens), or take another judge; and look at what a reply without a score is worth in your training"
)
_CONSTANT = (
    "describe the criterion's levels more sharply, show examples of all of them, or take another judge; `kardia "
    "diagnose` says what else tells no replies apart"
)
Kind = Literal["rises", "falls", "does not fall", "unsteady", "unscored", "constant"]


@dataclass(frozen=True, slots=True)
class Question:
    """One question to one judge, ready to be tested.

    Attributes:
        probe, kind: what a finding would say.
        shown: the figure that it would give; None: the mean of `values`, which takes an interval only where it is one.
        bound: what the figure would have to be beyond.
        values: (group, what is tested), turned so that above `limit` is wrong.
        limit: the bound, turned likewise.
        sides: 2 where either direction is wrong.
        least: what the figure itself has to come to, on its side, beside being certainly beyond the bound.
        weight: of the question in Holm's correction.
        variant: of which way of changing it is asked; None: of all of them.
        criterion: of which criterion it is asked; None: of the score.
        level: the level that this criterion has throughout.
    """

    probe: Probe
    kind: Kind
    shown: Statistic | None
    bound: float
    values: Sequence[tuple[Hashable, float]]
    limit: float
    sides: int = 1
    least: float = 0.0
    weight: float = 1.0
    variant: str | None = None
    criterion: str | None = None
    level: str | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong with a judge.

    Attributes:
        probe: by which it was found; of `constant` the last of those that should have moved it.
        kind: `rises` or `falls` (the score, and it should not), `does not fall`, `unsteady`, `unscored` (replies lose
            their score), or `constant` (a criterion has one level, whatever stands there).
        severity: `high` where the score is off by 0.25 or more, half of the levels change, an attack takes the score of
            a quarter of the replies, or what should fall does not; else `medium`.
        value, low, high: the mean shift, or the share (of levels that change, of replies that lose their score, of
            equal levels), with its interval.
        bound: what the whole interval is beyond.
        n: cases.
        p: corrected for all questions put to this judge.
        criterion: whose value moved most in this direction, or which is constant; None where none stands out.
        variant: which way of changing moved the score most, or is the only one that is known to move it; None where
            none stands out.
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


def find(questions: Sequence[Question], results: Sequence[ProbeResult], *, seed: int = 7) -> tuple[Finding, ...]:
    """The findings about one judge: what is large, beyond its bound with its whole interval, and past Holm's
    correction. What a probe does in all of its ways together is not said again of each way.

    Args:
        questions: all that were put to this judge.
        results: of its probes.
        seed: of the intervals.
    """
    by_probe = {result.probe: result for result in results}
    chances: list[tuple[float, int]] = []
    for question in questions:
        up = exceeds(question.values, question.limit)
        down = exceeds([(group, -value) for group, value in question.values], question.limit)
        way = -1 if question.sides == 2 and down < up else 1
        chances.append((min(1.0, question.sides * (down if way < 0 else up)), way))
    corrected = holm([p for p, _ in chances], [question.weight for question in questions])
    found: list[Finding] = []
    alone: list[Finding] = []
    for question, p, (_, way) in zip(questions, corrected, chances, strict=True):
        if p > ALPHA:
            continue
        shown = question.shown or _mean(question.values, seed)
        if shown.value is None or shown.low is None or shown.high is None:
            continue
        bound = way * question.bound
        if (shown.high >= bound) if way < 0 else (shown.low <= bound):
            continue
        if abs(shown.value) < question.least - EDGE:
            continue
        told = _finding(question, shown, by_probe[question.probe.name], p, way, bound)
        (found if question.variant is None else alone).append(told)
    whole = {(one.probe, one.kind) for one in found}
    found += [one for one in alone if (one.probe, one.kind) not in whole]
    return tuple(sorted(found, key=lambda one: (one.severity != "high", one.p)))


def _mean(values: Sequence[tuple[Hashable, float]], seed: int) -> Statistic:
    column = [value for _, value in values]
    proportions = ("mean",) if {0.0, 1.0}.issuperset(column) else ()
    return shares([group for group, _ in values], {"mean": column}, seed=seed, proportions=proportions)["mean"]


def _finding(question: Question, shown: Statistic, result: ProbeResult, p: float, way: int, bound: float) -> Finding:
    probe = question.probe
    assert shown.value is not None
    assert shown.low is not None
    assert shown.high is not None
    kind: Kind = "falls" if way < 0 else question.kind
    criterion, variant = question.criterion, question.variant
    if kind in ("rises", "falls", "does not fall") and variant is None:
        criterion, variant = _most_moved(result, way), _worst(result, way)
    return Finding(
        probe.name,
        kind,
        "high" if _grave(probe, kind, shown.value) else "medium",
        shown.value,
        shown.low,
        shown.high,
        bound,
        shown.n,
        p,
        criterion,
        variant,
        _sentence(question, shown, kind, bound, criterion, variant),
        {"unscored": _UNSCORED, "constant": _CONSTANT}.get(kind, probe.advice),
    )


def _grave(probe: Probe, kind: Kind, value: float) -> bool:
    if kind == "unscored":
        return probe.attack and value >= 0.25
    if kind == "unsteady":
        return value >= 0.5
    return kind in ("does not fall", "constant") or abs(value) >= 0.25


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
    question: Question, shown: Statistic, kind: Kind, bound: float, criterion: str | None, variant: str | None
) -> str:
    probe = question.probe
    assert shown.value is not None
    if kind == "constant":
        return (
            f"{criterion} has the level {question.level} in {shown.value:.0%} of {shown.n:,} replies "
            f"({_span(shown, percent=True)}), also where the reply is gone or another's: it carries next to no signal"
        )
    if kind == "unscored":
        return (
            f"{shown.value:.0%} more of the replies have no score ({_span(shown, percent=True)}) where {probe.what}: "
            "no score is not a low score"
        )
    if kind == "unsteady":
        unit = "verdicts turn" if probe.name == "order" else "levels change"
        return (
            f"{shown.value:.0%} of the {unit} where {probe.what} "
            f"({_span(shown, percent=True)}; a steady judge stays below {bound:.0%})"
        )
    details = [f"most of all {criterion}"] if criterion else []
    details += [f"{'most' if question.variant is None else 'certainly'} with {variant!r}"] if variant else []
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
