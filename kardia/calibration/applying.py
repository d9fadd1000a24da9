"""A rule and the judge's judgment → the calibrated judgment. Pure.

What the judge said stays beside it (`Judgment.uncalibrated`); its reason and its evidence stay as they are.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import replace

from kardia.answer import from_distribution, level_values
from kardia.calibration.artifact import Isotonic, Rule, Temperature, Threshold, Unchanged
from kardia.judgment import Judgment
from kardia.rubric.models import Criterion, Level

__all__ = ["applied", "interpolated", "nearest_level", "softened"]

_LEAST = 1e-6
"""What a probability counts at least: scorecards round to so much, and a power of 0 is 0 at any temperature."""
_EQUAL = 1e-9


def applied(rule: Rule, criterion: Criterion, judgment: Judgment) -> Judgment:
    """The judgment as the rule corrects it; itself where it is not scored, or the rule leaves it.

    Args:
        rule: fitted for this criterion.
        criterion: whose levels they are.
        judgment: as the judge gave it.

    Raises:
        ValueError: for a temperature, where the judgment has no probabilities.
    """
    if judgment.status != "scored" or isinstance(rule, Unchanged):
        return judgment
    assert judgment.value is not None
    values = level_values(criterion)
    if isinstance(rule, Temperature):
        corrected = _by_temperature(rule, criterion, judgment)
    elif isinstance(rule, Isotonic):
        value = interpolated(rule.x, rule.y, judgment.value)
        level = nearest_level(values, value)
        corrected = replace(judgment, level=level, value=value, probabilities=_of_two(values, value))
    else:
        assert isinstance(rule, Threshold)
        order = sorted(values, key=values.__getitem__)
        level = order[bisect_right(rule.cuts, judgment.value + _EQUAL)]
        corrected = replace(judgment, level=level, value=values[level], probabilities=None)
    said = {
        "level": judgment.level,
        "value": judgment.value,
        "probabilities": None if judgment.probabilities is None else dict(judgment.probabilities),
    }
    return replace(corrected, uncalibrated=said)


def interpolated(x: Sequence[float], y: Sequence[float], at: float) -> float:
    """Straight lines through points, flat beyond both ends.

    >>> interpolated([0.25, 0.75], [0.0, 0.5], 0.5)
    0.25
    """
    place = bisect_left(x, at)
    if place == 0:
        return y[0]
    if place == len(x):
        return y[-1]
    share = (at - x[place - 1]) / (x[place] - x[place - 1])
    return min(max(y[place - 1] + share * (y[place] - y[place - 1]), 0.0), 1.0)


def nearest_level(values: Mapping[Level, float], value: float) -> Level:
    """The level whose value is next; of two as near, the less good one, as everywhere."""
    return min(values, key=lambda level: (round(abs(values[level] - value), 9), values[level]))


def softened(shares: Mapping[Level, float], temperature: float) -> dict[Level, float]:
    """Each probability to the power of 1 / temperature, normalised."""
    powers = {level: max(share, _LEAST) ** (1.0 / temperature) for level, share in shares.items()}
    total = sum(powers.values())
    return {level: power / total for level, power in powers.items()}


def _by_temperature(rule: Temperature, criterion: Criterion, judgment: Judgment) -> Judgment:
    if judgment.probabilities is None:
        raise ValueError(f"a temperature is of probabilities, and the judgment of {criterion.id} has none")
    before = from_distribution(criterion, judgment.probabilities)
    after = from_distribution(criterion, softened(judgment.probabilities, rule.temperature))
    # a level that the judge said in words stays; one that was read off the probabilities is read off them again
    level = after.level if judgment.level == before.level else judgment.level
    return replace(judgment, level=level, value=after.value, probabilities=after.probabilities)


def _of_two(values: Mapping[Level, float], value: float) -> dict[Level, float] | None:
    """On two levels a value is a probability; on more, many distributions have it, and none is made up."""
    if len(values) != 2 or set(values.values()) != {0.0, 1.0}:
        return None
    return {level: value if worth == 1.0 else 1.0 - value for level, worth in values.items()}
