"""How much of a score is worth speaking of, by the rubric's own steps. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from kardia.rubric.rubric import Group, Rubric

__all__ = ["FINEST", "MEAN", "MOST", "demanding", "fine", "level_worth", "mean_worth"]

MOST = 0.25
"""A coarse scale's step is no reason to overlook a quarter of the whole score."""
FINEST = 0.1
"""Nor is a fine scale's to speak of a hundredth: no judge says twice in the same words what it gives 71 of 100."""
MEAN = 0.075
"""Of a mean: on five levels three tenths of a level, as in `kardia diagnose`."""


def level_worth(rubric: Rubric) -> float:
    """What one level of one criterion is worth in the card's score, on average over the criteria; at most 0.25.

    A criterion's share of the score is its weight over the sum of all, and a level is worth that share over the number
    of steps on its scale; a scale of more than eleven levels counts as one of eleven. It is exact for weighted means
    without vetoes, and of the right size for other rules.
    """
    steps = list(_steps(rubric.root, 1.0))
    return min(sum(steps) / len(steps), MOST) if steps else MOST


def _steps(group: Group, share: float) -> Iterator[float]:
    counted = [(weight, inner) for _, weight, inner, counts in group.parts if counts]
    total = sum(criterion.weight for criterion in group.criteria) + sum(weight for weight, _ in counted)
    if total <= 0:
        return
    for criterion in group.criteria:
        if criterion.weight > 0:
            yield share * criterion.weight / total * max(1 / (len(criterion.levels) - 1), FINEST)
    for weight, inner in counted:
        yield from _steps(inner, share * weight / total)


def mean_worth(tolerance: float | None, rubric: Rubric) -> float:
    """From how much on a mean shift is worth speaking of: the tolerance that was stated, or else one level's worth, and
    0.075 at most. A mean of many is known better than a single score, and half a level on every reply, or a whole one
    on half of them, is what a policy finds."""
    return min(level_worth(rubric), MEAN) if tolerance is None else tolerance


def fine(rubric: Rubric) -> frozenset[str]:
    """The criteria whose levels lie nearer together than a tenth of the scale."""
    return frozenset(criterion.id for criterion in rubric.criteria if (len(criterion.levels) - 1) * FINEST > 1.0)


def demanding(rubric: Rubric) -> tuple[str, ...]:
    """The criteria that want something to be there, by their ids. Where a rubric has none it only forbids: a reply that
    says nothing does nothing wrong, and its score need not fall."""
    return tuple(
        criterion.id
        for criterion in rubric.criteria
        if criterion.weight > 0 and criterion.good_end not in ("no", "low")
    )
