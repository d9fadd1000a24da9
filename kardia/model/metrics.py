"""How far a student's levels are those of the labels. Pure; levels are given by their place on the scale."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

__all__ = ["TaskMetrics", "accuracy", "calibration_error", "kappa", "macro_f1", "majority_share", "task_metrics"]


@dataclass(frozen=True, slots=True)
class TaskMetrics:
    """One task on the part that it was not trained on.

    Attributes:
        n: labels.
        kappa: Cohen's κ, quadratically weighted on an ordered scale; None where all labels and answers are one level.
        macro_f1: the mean over levels of F1.
        accuracy: share of labels whose level is the likeliest one.
        majority: share of the commonest label: what always saying it would reach.
        loss: mean −log probability of the label.
        ece_before, ece_after: expected calibration error before and after the temperature was fitted.
        temperature: what the outputs are divided by.
    """

    n: int
    kappa: float | None
    macro_f1: float
    accuracy: float
    majority: float
    loss: float
    ece_before: float
    ece_after: float
    temperature: float

    def to_json(self) -> dict[str, Any]:
        return {name: round(value, 4) if isinstance(value, float) else value for name, value in asdict(self).items()}


def accuracy(truth: Sequence[int], said: Sequence[int]) -> float:
    """The share of equal levels."""
    return sum(a == b for a, b in zip(truth, said, strict=True)) / len(truth)


def majority_share(truth: Sequence[int]) -> float:
    """The share of the commonest level."""
    return max(Counter(truth).values()) / len(truth)


def kappa(truth: Sequence[int], said: Sequence[int], *, quadratic: bool = True) -> float | None:
    """Cohen's κ = 1 − Σ w O / Σ w E, with w = (i − j)² or, unweighted, w = [i ≠ j].

    Returns:
        at most 1; None where both sides know one and the same level only.
    """
    n = len(truth)
    left, right = Counter(truth), Counter(said)

    def weight(a: int, b: int) -> float:
        return float((a - b) ** 2) if quadratic else float(a != b)

    observed = math.fsum(weight(a, b) for a, b in zip(truth, said, strict=True)) / n
    expected = math.fsum(weight(a, b) * left[a] * right[b] for a in left for b in right) / n**2
    return None if expected == 0 else 1.0 - observed / expected


def macro_f1(truth: Sequence[int], said: Sequence[int]) -> float:
    """The mean of F1 over the levels that stand on either side."""
    levels = sorted(set(truth) | set(said))
    left, right = Counter(truth), Counter(said)
    both = Counter(a for a, b in zip(truth, said, strict=True) if a == b)
    return math.fsum(2 * both[level] / (left[level] + right[level]) for level in levels) / len(levels)


def calibration_error(confidences: Sequence[float], right: Sequence[bool], bins: int = 10) -> float:
    """Expected calibration error: Σ over bins of equal width of share · |accuracy − mean confidence|.

    Args:
        confidences: the probability of the level that was said, in [0, 1].
        right: whether it was the label's.
    """
    inside: dict[int, list[tuple[float, bool]]] = {}
    for confidence, hit in zip(confidences, right, strict=True):
        inside.setdefault(min(bins - 1, int(confidence * bins)), []).append((confidence, hit))
    n = len(confidences)
    return math.fsum(
        abs(math.fsum(float(hit) for _, hit in each) - math.fsum(confidence for confidence, _ in each)) / n
        for each in inside.values()
    )


def task_metrics(
    targets: Sequence[Sequence[float]],
    before: Sequence[Sequence[float]],
    after: Sequence[Sequence[float]],
    *,
    ordered: bool,
    temperature: float,
) -> TaskMetrics:
    """What one task's probabilities are worth.

    Args:
        targets: distributions over levels, at least one; the likeliest level is the label.
        before, after: probabilities before and after the temperature was fitted.
        ordered: whether κ is quadratically weighted.
    """
    truth = [_likeliest(target) for target in targets]
    said = [_likeliest(shares) for shares in after]
    first = [_likeliest(shares) for shares in before]
    return TaskMetrics(
        n=len(truth),
        kappa=kappa(truth, said, quadratic=ordered),
        macro_f1=macro_f1(truth, said),
        accuracy=accuracy(truth, said),
        majority=majority_share(truth),
        loss=cross_entropy(targets, after),
        ece_before=calibration_error([max(shares) for shares in before], _hits(truth, first)),
        ece_after=calibration_error([max(shares) for shares in after], _hits(truth, said)),
        temperature=temperature,
    )


def cross_entropy(targets: Sequence[Sequence[float]], shares: Sequence[Sequence[float]]) -> float:
    """The mean of −Σ target · log share; a share below 1e-6 counts as that."""
    return math.fsum(
        -t * math.log(max(p, 1e-6))
        for target, row in zip(targets, shares, strict=True)
        for t, p in zip(target, row, strict=True)
        if t > 0
    ) / len(targets)


def _hits(truth: Sequence[int], said: Sequence[int]) -> list[bool]:
    return [a == b for a, b in zip(truth, said, strict=True)]


def _likeliest(shares: Sequence[float]) -> int:
    return max(range(len(shares)), key=lambda place: (shares[place], -place))
