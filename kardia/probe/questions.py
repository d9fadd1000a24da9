"""What is asked of a judge about the shifts of a probe, each question with what it is tested on. Pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, replace
from statistics import median

from kardia.probe.catalogue import Probe
from kardia.probe.findings import Question
from kardia.probe.shifts import GOOD, Outcome, ProbeResult, Shift
from kardia.probe.tolerance import demanding, fine, level_worth, mean_worth
from kardia.rubric.rubric import Rubric

__all__ = ["CERTAIN", "Terms", "questions_about", "questions_on_constancy", "terms_of"]

CERTAIN = 1 / 3
"""A mean shift has to be large, and certainly this share of it: what is certainly as large is far larger."""
LOST, LOST_LEAST = 0.05, 0.1
"""Of replies that lose their score."""
ALIKE, ALIKE_LEAST = 0.8, 0.95
"""Of replies at one level of a criterion."""
NEAR = 0.05
"""Values that differ by less, of the scale, are equal; nearer to its bad end than this a criterion cannot fall."""
WHOLE, ASIDE = 0.5, 0.2
"""The weight in Holm's correction of a probe's ways together, each of them having its share of the rest; and that of a
question beside the shift of the score, which has a plain answer where there is one at all."""


@dataclass(frozen=True, slots=True)
class Terms:
    """By what is decided.

    Attributes:
        tolerance: what counts as a move.
        least: from how much on a mean shift is worth speaking of.
        unsteady: which share of moves where nothing changed is too much.
        seed: of the intervals.
        demanding: ids of the criteria that a reply without content must fail.
        fine: ids of the criteria whose levels lie so near together that the next one is no other.
    """

    tolerance: float
    least: float
    unsteady: float
    seed: int
    demanding: tuple[str, ...]
    fine: frozenset[str] = frozenset()

    @property
    def falls(self) -> bool:
        """Whether a reply without content has to fall."""
        return bool(self.demanding)


def terms_of(rubric: Rubric, *, tolerance: float | None, unsteady: float, seed: int) -> Terms:
    """The terms of a run; None as a tolerance: what the rubric's own steps are worth."""
    return Terms(
        level_worth(rubric) if tolerance is None else tolerance,
        mean_worth(tolerance, rubric),
        unsteady,
        seed,
        demanding(rubric),
        fine(rubric),
    )


def questions_about(probe: Probe, shifts: Sequence[Shift], result: ProbeResult, terms: Terms) -> list[Question]:
    """All that is asked about one probe; those that nothing is known of are left out.

    Args:
        probe, shifts, result: whose they are.
        terms: by what is decided.
    """
    found: list[Question] = []
    bound = terms.least * CERTAIN
    scored = [shift for shift in shifts if shift.score is not None]
    if probe.expects == "no rise":
        found += _on_means(Question(probe, "rises", result.shift, bound, (), bound, least=terms.least), scored)
    elif probe.expects == "fall" and terms.falls:
        good = [shift for shift in scored if shift.before is not None and shift.before >= GOOD]
        limit = -terms.tolerance
        found += _on_means(Question(probe, "does not fall", result.shift, limit, (), limit), good)
    elif probe.expects == "same" and probe.change is not None:
        whole = Question(probe, "rises", result.shift, bound, (), bound, sides=2, least=terms.least)
        found += _on_means(whole, scored)
    if probe.steady:
        changed = [(shift.group, shift.levels) for shift in shifts if shift.levels is not None]
        found.append(Question(probe, "unsteady", result.levels, terms.unsteady, changed, terms.unsteady))
    # kardia itself leaves an empty reply unscored, and asking again changes nothing that could take a score
    if probe.change is not None and probe.name != "empty":
        found.append(_on_losses(probe, shifts))
    return [question for question in found if question.values]


def _on_means(whole: Question, shifts: Sequence[Shift]) -> list[Question]:
    """The question about all ways of a probe together, and about each, where it has several."""
    by_way: dict[str, list[Shift]] = defaultdict(list)
    for shift in shifts:
        by_way[shift.way].append(shift)
    if len(by_way) < 2:
        return [replace(whole, values=_values(shifts))]
    found = [replace(whole, values=_values(shifts), weight=WHOLE)]
    for way, own in by_way.items():
        weight = (1.0 - WHOLE) / len(by_way)
        found.append(replace(whole, shown=None, values=_values(own), weight=weight, variant=way))
    return found


def _values(shifts: Iterable[Shift]) -> list[tuple[Hashable, float]]:
    return [(shift.group, shift.score) for shift in shifts if shift.score is not None]


def _on_losses(probe: Probe, shifts: Sequence[Shift]) -> Question:
    """Whether replies lose their score, less those that have one only now: a judge that fails now and then, whatever it
    is asked, loses as many as it gains."""
    lost = [(shift.group, float(shift.lost)) for shift in shifts if shift.lost is not None]
    return Question(probe, "unscored", None, LOST, lost, LOST, least=LOST_LEAST, weight=ASIDE)


def questions_on_constancy(probe: Probe, texts: Sequence[tuple[Hashable, Outcome]], terms: Terms) -> list[Question]:
    """Whether a criterion that wants something to be there has one level for everything.

    Args:
        probe: by which it is said.
        texts: (group, outcome) of the replies as they are, and of those that should fall.
        terms: by what is decided.
    """
    found: list[Question] = []
    for key in terms.demanding:
        known = [
            (group, value, outcome.levels.get(key))
            for group, outcome in texts
            if (value := outcome.values.get(key)) is not None
        ]
        if not known:
            continue
        middle = median(value for _, value, _ in known)
        if middle <= NEAR:
            continue
        level = Counter(str(level) for _, _, level in known).most_common(1)[0][0]
        alike = [(group, float(abs(value - middle) < NEAR)) for group, value, _ in known]
        found.append(
            Question(
                probe,
                "constant",
                None,
                ALIKE,
                alike,
                ALIKE,
                least=ALIKE_LEAST,
                weight=ASIDE / len(terms.demanding),
                criterion=key,
                level=level,
            )
        )
    return found
