"""A cell of a table → a target over a task's levels. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from kardia.errors import InputError
from kardia.model.examples import level_target
from kardia.rubric.models import NOT_RELEVANT, Level
from kardia.student.tasks import Task

__all__ = ["distribution_in", "is_missing", "level_in", "mapping", "number_in", "shown", "target_in"]

_YES = {"yes": "yes", "no": "no", "true": "yes", "false": "no", "1": "yes", "0": "no"}
_MISSING = ("", NOT_RELEVANT, "n/a", "na", "nan", "null", "none")


def mapping(value: Any) -> dict[str, Any] | None:
    """An object, also as Parquet gives one: a list of pairs. Keys become text."""
    if isinstance(value, Mapping):
        return {str(key): each for key, each in value.items()}
    paired = isinstance(value, list) and all(isinstance(item, (tuple, list)) and len(item) == 2 for item in value)
    return {str(key): each for key, each in value} if paired else None


def target_in(task: Task, value: Any, column: str) -> tuple[float, ...] | None:
    """The target that a cell says; None where it says nothing.

    A level; on an ordered scale of numbers also a number between two levels, as a mean of ratings is, which is shared
    among them; on a binary one a share of yes.

    Args:
        column: what an error names.

    Raises:
        InputError: where the cell says something that is not on the scale.
    """
    level = level_in(task, value)
    if level is not None:
        return level_target(task, level)
    if is_missing(value):
        return None
    number = number_in(value)
    if number is not None and task.levels == ("no", "yes") and 0 < number < 1:
        return (1.0 - number, number)
    numbers = [each for each in task.levels if isinstance(each, int)]
    if number is not None and task.ordered and len(numbers) == len(task.levels):
        low = math.floor(number)
        if low in numbers and low + 1 in numbers:
            shares = {low: 1.0 - (number - low), low + 1: number - low}
            return tuple(shares.get(each, 0.0) for each in numbers)
    listed = ", ".join(str(each) for each in task.levels)
    raise InputError(f"{shown(value)} is no level of {task.key}; its scale has {listed}", key=column)


def is_missing(value: Any) -> bool:
    """Whether a cell says nothing: it is empty, or says so in words."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return True
    return isinstance(value, str) and value.strip().lower() in _MISSING


def level_in(task: Task, value: Any) -> Level | None:
    """The level that a cell names, however it is written; None where it names none."""
    if not isinstance(value, bool) and value in task.levels:
        return value  # type: ignore[no-any-return]
    number = number_in(value)
    if number is not None and number.is_integer() and int(number) in task.levels:
        return int(number)
    text = str(value).strip()
    if task.levels == ("no", "yes"):
        return _YES.get(text.lower().removesuffix(".0"))
    return next((each for each in task.levels if isinstance(each, str) and each.lower() == text.lower()), None)


def number_in(value: Any) -> float | None:
    """The finite number in a cell, also where it stands as text; None where there is none."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        number = float(value)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def distribution_in(task: Task, shares: Mapping[Any, Any], column: str) -> tuple[float, ...]:
    """The target that a scorecard's probabilities say: level → share, summing to 1 but for rounding.

    Raises:
        InputError: where they are no distribution over the task's levels.
    """
    by_name = {str(level): place for place, level in enumerate(task.levels)}
    target = [0.0] * len(task.levels)
    for name, share in shares.items():
        number = number_in(share)
        if name not in by_name or number is None or number < 0:
            raise InputError(f"{name}: {shown(share)} is no probability of a level", key=f"{column}.probabilities")
        target[by_name[name]] = number
    total = math.fsum(target)
    if not 0.99 <= total <= 1.01:  # scorecards round
        raise InputError(f"sum to {total:.3f}, not to 1", key=f"{column}.probabilities")
    return tuple(share / total for share in target)


def shown(value: Any) -> str:
    """A cell as an error names it."""
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "…"
