"""How much of a score is worth speaking of, by the rubric's own steps. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from kardia.rubric.rubric import Group, Rubric

__all__ = ["MOST", "demands", "level_worth"]

MOST = 0.25
"""A coarse scale's step is no reason to overlook a quarter of the whole score."""


def level_worth(rubric: Rubric) -> float:
    """What one level of one criterion is worth in the card's score, on average over the criteria; at most 0.25.

    A criterion's share of the score is its weight over the sum of all, and a level is worth that share over the number
    of steps on its scale. It is exact for weighted means without vetoes, and of the right size for other rules.
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
            yield share * criterion.weight / total / (len(criterion.levels) - 1)
    for weight, inner in counted:
        yield from _steps(inner, share * weight / total)


def demands(rubric: Rubric) -> bool:
    """Whether the rubric wants something to be there. Where it only forbids, a reply that says nothing does nothing
    wrong, and its score need not fall."""
    return any(criterion.weight > 0 and criterion.good_end not in ("no", "low") for criterion in rubric.criteria)
