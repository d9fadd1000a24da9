"""What a reward is put together from: terms, each with a value for every completion, or a reason why there is none.

A term is its own declaration: a strict model with its parameters, and how it counts. What it needs to know from a judge
or an encoder it declares as needs; they are asked for by others, so that measuring is pure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field, StrictStr

from kardia.reward.completion import Completion
from kardia.rubric.rubric import Rubric
from kardia.strict import Strict

__all__ = [
    "Bounds",
    "Cards",
    "Found",
    "Likelihoods",
    "Need",
    "Ranks",
    "Requirement",
    "RowCards",
    "Term",
    "TermValue",
    "Vectors",
    "is_relative",
]


@dataclass(frozen=True, slots=True)
class TermValue:
    """What one term says of one completion.

    Attributes:
        value: mostly in [0, 1]; None where it cannot be had.
        why: why there is none; with a value, what it comes from, where that is worth saying.
    """

    value: float | None
    why: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Cards:
    """A need: a scorecard by a rubric for each completion; or for the reference reply in its place; or for the
    completion in answer to another prompt of the batch (`elsewhere`).

    Found: a `Scorecard` for each completion, or a sentence why there is none.
    """

    rubric: str | Rubric
    judge: str | None = None
    of: Literal["completion", "reference", "elsewhere"] = "completion"

    @property
    def _key(self) -> tuple[object, ...]:
        return "cards", _key_of(self.rubric), self.judge, self.of

    def __hash__(self) -> int:
        return hash(self._key)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Cards) and self._key == other._key


@dataclass(frozen=True, slots=True)
class RowCards:
    """A need: a scorecard by the criteria that each completion's own row carries.

    Found: a `Scorecard` for each completion, or a sentence why there is none.
    """

    how: Literal["explicit", "implicit"]
    column: str = "rubric"
    weights: tuple[tuple[str, float], ...] = ()
    judge: str | None = None


@dataclass(frozen=True, slots=True)
class Vectors:
    """A need: unit vectors of the reply and of the reference reply, by the sentence encoder.

    Found: a pair (reply, reference) of sequences of floats for each completion, or a sentence why there is none.
    """

    of: tuple[str, str] = ("reply", "reference")


@dataclass(frozen=True, slots=True, eq=False)
class Ranks:
    """A need: the place of each completion among those of its prompt, in one judge's ranking.

    Found: (mean rank, from 1 = best; how many were ranked) for each completion, or a sentence why there is none.
    """

    rubric: str | Rubric
    judge: str | None = None
    orders: int = 2
    seed: int = 7

    @property
    def _key(self) -> tuple[object, ...]:
        return "ranks", _key_of(self.rubric), self.judge, self.orders, self.seed

    def __hash__(self) -> int:
        return hash(self._key)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Ranks) and self._key == other._key


@dataclass(frozen=True, slots=True)
class Likelihoods:
    """A need: how likely a slowly moving reference model finds each completion's answer, given its own reasoning.

    Found: a number in [0, 1] for each completion, or a sentence why there is none.
    """


def _key_of(rubric: str | Rubric) -> str:
    return rubric if isinstance(rubric, str) else f"{rubric.ref} {rubric.hash}"


Need = Cards | RowCards | Vectors | Ranks | Likelihoods


def is_relative(need: Need) -> bool:
    """Whether what is found for a completion hangs on what else is in its batch."""
    return isinstance(need, (Ranks, Likelihoods)) or (isinstance(need, Cards) and need.of == "elsewhere")


Found = Mapping[Need, Sequence[Any]]
"""Need → what was found for each completion: an answer, or a sentence why there is none."""


class Requirement(Strict):
    """A veto: where the term's value is lower, the reward is `else_reward`, whatever the other terms say."""

    at_least: Annotated[float, Field(allow_inf_nan=False)] = 1.0
    else_reward: Annotated[float, Field(allow_inf_nan=False)] = 0.0


class Bounds(Strict):
    """A condition on another term's value."""

    at_least: Annotated[float, Field(allow_inf_nan=False)] | None = None
    at_most: Annotated[float, Field(allow_inf_nan=False)] | None = None

    def hold(self, value: float) -> bool:
        """Whether the value lies within, rounding noise aside."""
        low = self.at_least is None or value >= self.at_least - 1e-9
        return low and (self.at_most is None or value <= self.at_most + 1e-9)


class Term(Strict):
    """One part of a reward.

    A subclass has a `kind` of its own, its parameters, and `measure`.
    """

    weight: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 1.0
    """What it counts; 0: it is measured and logged, and does not count."""
    required: Requirement | None = None
    """What makes it a veto."""
    only_if: dict[StrictStr, Bounds] = Field(default_factory=dict)
    """Other terms, by name, and where their values must lie for this one to count; else it counts as 0."""

    def needs(self) -> tuple[Need, ...]:
        """What has to be asked before it can be measured."""
        return ()

    def measure(self, completions: Sequence[Completion], found: Found) -> list[TermValue]:
        """Its value for each completion; those of one prompt share their `group`.

        Args:
            completions: any number, of any prompts.
            found: for each of its needs, one entry a completion.
        """
        raise NotImplementedError
