"""Thresholds that a judge has to reach, for CI: what missed them, by name. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from kardia.agreement.statistic import Statistic
from kardia.agreement.table import Agreement, JudgeAgreement
from kardia.errors import InputError

__all__ = ["GATES", "Gate", "Miss", "misses"]


@dataclass(frozen=True, slots=True)
class Gate:
    """One threshold.

    Attributes:
        option: as on the command line.
        figure: what is held against it; in pairs of preferences `of_pairs` instead, where there is one.
        words: what the figure is called.
        most: whether it is the most there may be, of the figure's size; else the least.
    """

    option: str
    figure: str
    words: str
    of_pairs: str | None = None
    of_scores: bool = False
    most: bool = False


GATES = (
    Gate("--min-kappa", "weighted_kappa", "weighted κ"),
    Gate("--min-alpha", "alpha", "α"),
    Gate("--min-spearman", "spearman", "Spearman's ρ", of_scores=True),
    Gate("--min-accuracy", "exact", "exact agreement", of_pairs="accuracy"),
    Gate("--min-coverage", "coverage", "coverage", of_pairs="coverage", of_scores=True),
    Gate("--max-bias", "bias", "bias", most=True),
)


@dataclass(frozen=True, slots=True)
class Miss:
    """A threshold that was missed.

    Attributes:
        judge: the profile's name.
        name: the criterion, or the score or pairs of a rubric.
        option, bound: the threshold.
        found: what was held against it; None where there is none.
        sentence: all of it, and why there is no figure where there is none.
    """

    judge: str
    name: str
    option: str
    bound: float
    found: float | None
    sentence: str

    def to_json(self) -> dict[str, Any]:
        return {
            "judge": self.judge,
            "name": self.name,
            "option": self.option,
            "bound": self.bound,
            "found": self.found,
            "sentence": self.sentence,
        }


def misses(agreement: Agreement, bounds: Mapping[str, float], *, by_interval: bool = False) -> tuple[Miss, ...]:
    """What misses its threshold: every criterion (and pairs, and where it applies scores) of every judge has to reach
    it. A figure that is not defined reaches nothing.

    Args:
        bounds: option → threshold, of `GATES`.
        by_interval: the worse end of the interval has to reach it, and not just the value.

    Raises:
        InputError: for a threshold that there is nothing to hold against.
    """
    found: list[Miss] = []
    for gate in GATES:
        if gate.option not in bounds:
            continue
        held = [(judge, *each) for judge in agreement.judges for each in _held(judge, gate)]
        if not held:
            raise InputError(f"there is nothing in the labels that has {_article(gate.words)}", file=gate.option)
        for judge, name, statistic in held:
            missed = _miss(gate, bounds[gate.option], judge.judge, name, statistic, by_interval)
            if missed is not None:
                found.append(missed)
    return tuple(found)


def _held(judge: JudgeAgreement, gate: Gate) -> Iterator[tuple[str, Statistic]]:
    several = len(judge.rubrics) > 1
    for each in judge.criteria:
        statistic = each.coverage if gate.figure == "coverage" else each.statistics[gate.figure]
        # options have no order: what takes one is not asked of them
        if each.kind != "choice" or gate.figure not in ("bias", "spearman"):
            yield each.name, statistic
    if gate.of_scores:
        for score in judge.scores:
            name = f"the score of {score.rubric}" if several else "the score"
            yield name, score.coverage if gate.figure == "coverage" else score.statistics[gate.figure]
    if gate.of_pairs is not None:
        for pairs in judge.preferences:
            name = f"the pairs by {pairs.rubric}" if several else "the pairs"
            yield name, pairs.coverage if gate.of_pairs == "coverage" else pairs.statistics[gate.of_pairs]


def _miss(gate: Gate, bound: float, judge: str, name: str, statistic: Statistic, by_interval: bool) -> Miss | None:
    words = "accuracy" if gate.of_pairs == "accuracy" and name.startswith("the pairs") else gate.words

    def miss(found: float | None, sentence: str) -> Miss:
        return Miss(judge, name, gate.option, bound, found, sentence)

    if statistic.value is None:
        return miss(None, f"{name} has no {words}, and misses {gate.option} {bound:g}: {statistic.why}")
    if not by_interval:
        held, which = statistic.value, words
    elif statistic.low is None or statistic.high is None:
        why = statistic.why or "no resamples were drawn"
        return miss(None, f"{name} has no interval of its {words}, and misses {gate.option} {bound:g}: {why}")
    elif gate.most:
        held, which = max((statistic.low, statistic.high), key=abs), f"the far end of the {words}'s interval"
    else:
        held, which = statistic.low, f"the lower end of the interval of its {words}"
    if (abs(held) <= bound) if gate.most else (held >= bound):
        return None
    side = "outside ±" if gate.most else "below "
    return miss(held, f"{name}: {which} is {held:.3f}, {side}{bound:g} ({gate.option})")


def _article(words: str) -> str:
    return f"{'an' if words[0] in 'aeiou' else 'a'} {words}"
