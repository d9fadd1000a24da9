"""A criterion's scale as agreement needs it: which levels there are, in which order, and where they stand. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from kardia.errors import InputError
from kardia.model.cells import is_missing, level_in, number_in, shown
from kardia.rubric.models import BinaryScale, ChoiceScale, Criterion, Level
from kardia.student.tasks import Task

__all__ = ["Kind", "Scale", "scale_from_data", "scale_of"]

Kind = Literal["ordinal", "binary", "choice"]


@dataclass(frozen=True, slots=True)
class Scale:
    """The levels of one criterion.

    Attributes:
        kind: `ordinal`, `binary` or `choice`; the options of a choice have no order.
        levels: as written in the scale, in its order.
        values: level → what it is worth in [0, 1], 1 being good; empty where that is not known.
        known: whether the rubric says so, and not just the levels that somebody gave.
    """

    kind: Kind
    levels: tuple[Level, ...]
    values: Mapping[Level, float] = field(default_factory=dict)
    known: bool = True

    @property
    def ordered(self) -> bool:
        return self.kind != "choice"

    @property
    def width(self) -> float:
        """How far apart the ends of the scale are; 1 for no and yes."""
        return float(len(self.levels) - 1)

    def position(self, level: Level) -> float:
        """Where a level of an ordered scale stands: the number itself; 0 and 1 for no and yes.

        Raises:
            ValueError: where there is no such level.
        """
        return float(level) if isinstance(level, int) else float(self.levels.index(level))

    def nearest(self, position: float) -> Level:
        """The level next to a position between levels; of two that are as near, the one at an even place, so that
        halves go up as often as down."""
        first = self.position(self.levels[0])
        place = round(position - first)
        return self.levels[min(max(place, 0), len(self.levels) - 1)]

    def read(self, value: Any, column: str, key: str) -> Level | float | None:
        """What a cell says: a level; on an ordered scale also a number between two levels, as a mean of ratings is;
        None where it says nothing.

        Args:
            column: what an error names.
            key: the criterion's name.

        Raises:
            InputError: for what is not on the scale.
        """
        level = level_in(Task(key, self.levels, self.ordered, ""), value)
        if level is not None:
            return level
        if is_missing(value):
            return None
        number = number_in(value)
        if number is not None and self.ordered:
            low, high = self.position(self.levels[0]), self.position(self.levels[-1])
            if low < number < high:
                return number
        return self.level(value, column, key)

    def level(self, value: Any, column: str, key: str) -> Level:
        """The level that a cell names, and nothing between levels. As `read` otherwise.

        Raises:
            InputError: where it names none.
        """
        level = level_in(Task(key, self.levels, self.ordered, ""), value)
        if level is None:
            listed = ", ".join(str(each) for each in self.levels)
            raise InputError(f"{shown(value)} is no level of {key}; its scale has {listed}", key=column)
        return level


def scale_of(criterion: Criterion) -> Scale:
    """The scale as the rubric has it."""
    scale = criterion.scale
    kind: Kind = "ordinal"
    if isinstance(scale, ChoiceScale):
        kind = "choice"
    elif isinstance(scale, BinaryScale):
        kind = "binary"
    return Scale(kind, criterion.levels, {level: criterion.value(level) for level in criterion.levels})


def scale_from_data(said: Iterable[Any]) -> Scale | None:
    """A scale that holds what was said, for want of a rubric: whole numbers are levels in an order, from the least to
    the greatest that somebody gave; no and yes are a binary scale; words are options.

    Returns:
        None where nothing was said.
    """
    cells = [value for value in said if not is_missing(value)]
    if not cells:
        return None
    if all(_is_yes_or_no(value) for value in cells):
        return Scale("binary", ("no", "yes"), known=False)
    numbers = [number_in(value) for value in cells]
    found = [number for number in numbers if number is not None]
    if len(found) == len(cells):
        low, high = math.floor(min(found)), math.ceil(max(found))
        if high - low <= 1000:  # more is a measurement, and no scale
            return Scale("ordinal", tuple(range(low, high + 1)), known=False)
    # case does not make another option, as it does not where the rubric is known
    options = {str(value).strip().lower(): str(value).strip() for value in reversed(cells)}
    return Scale("choice", tuple(options[name] for name in sorted(options)), known=False)


def _is_yes_or_no(value: Any) -> bool:
    return isinstance(value, bool) or (isinstance(value, str) and value.strip().lower() in ("no", "yes"))
