"""A reward as it is declared: terms by name, and how they are put together. Values → one number, or None. Pure.

Where a required term is too low, the reward is its `else_reward` (the lowest, of several), whatever the rest says. Else
every term that counts, and every required one, must have a value: a reward of which one part could not be had is no
reward. A term whose `only_if` does not hold counts as 0: the composite gate of TimeMaster (arXiv 2506.13705), where an
open-ended score counts only if the parts that can be verified hold.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Literal

from pydantic import Field, StrictStr, model_validator

from kardia.reward.term import Term, TermValue
from kardia.reward.terms.alignment import AlignmentTerm
from kardia.reward.terms.column import ColumnTerm
from kardia.reward.terms.consistency import ConsistencyTerm
from kardia.reward.terms.emotion import EmotionTerm
from kardia.reward.terms.format import FormatTerm
from kardia.reward.terms.guard import GuardTerm
from kardia.reward.terms.length import LengthTerm
from kardia.reward.terms.rank import RankTerm
from kardia.reward.terms.rar import RarTerm
from kardia.reward.terms.repetition import RepetitionTerm
from kardia.reward.terms.rubric import RubricTerm
from kardia.reward.terms.semantic import SemanticTerm
from kardia.reward.terms.specificity import SpecificityTerm
from kardia.strict import Strict

__all__ = ["AnyTerm", "RewardSpec", "RewardValue", "combine", "settled", "still_open", "waves"]

AnyTerm = Annotated[
    AlignmentTerm
    | ColumnTerm
    | ConsistencyTerm
    | EmotionTerm
    | FormatTerm
    | GuardTerm
    | LengthTerm
    | RankTerm
    | RarTerm
    | RepetitionTerm
    | RubricTerm
    | SemanticTerm
    | SpecificityTerm,
    Field(discriminator="kind"),
]
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
RESERVED = frozenset(("unscored", "vetoed", "seconds", "requests", "stored", "cost", "why"))
"""What a training log says of every reward, beside its terms."""


class RewardSpec(Strict):
    """A reward: its terms, and how they become one number."""

    name: Annotated[StrictStr, Field(pattern=r"^[a-z0-9][a-z0-9_.-]*$")]
    """What it is called in a training log."""
    description: StrictStr = ""
    """What it is, and which part of it is published where."""
    terms: dict[StrictStr, AnyTerm] = Field(min_length=1)
    """Its parts, each by a name of its own: a letter, then letters, digits, _ and -."""
    combine: Literal["mean", "sum", "product"] = "mean"
    """mean: Σ w·v / Σ w; sum: Σ w·v; product: Π v^w, where a value below 0 is 0."""

    @model_validator(mode="after")
    def _fits(self) -> RewardSpec:
        for name, term in self.terms.items():
            if _NAME.fullmatch(name) is None:
                raise ValueError(f"{name!r} is no name for a term: a letter, then letters, digits, _ and -")
            if name in RESERVED:
                raise ValueError(f"{name!r} means something else in a training log; call the term otherwise")
            for other in term.only_if:
                if other not in self.terms:
                    raise ValueError(f"{name} counts only if {other} holds, which is no term of this reward")
                if self.terms[other].only_if:
                    raise ValueError(f"{name} hangs on {other}, which hangs on others itself: name those instead")
        if not any(term.weight > 0 for term in self.terms.values()):
            raise ValueError("no term counts: every weight is 0")
        return self


@dataclass(frozen=True, slots=True)
class RewardValue:
    """What a reward says of one completion.

    Attributes:
        value: the reward; None where it cannot be had.
        why: why there is none.
        vetoed_by: names of the required terms that were too low.
        terms: name → what each term that was measured says.
    """

    value: float | None
    why: str | None = None
    vetoed_by: tuple[str, ...] = ()
    terms: Mapping[str, TermValue] = field(default_factory=dict)


def combine(spec: RewardSpec, values: Mapping[str, TermValue]) -> RewardValue:
    """One completion's reward.

    Args:
        spec: how its terms are put together.
        values: name → value, for every term that `still_open` does not leave out.
    """
    decided = settled(spec, values)
    if decided is not None:
        return decided
    counted: list[tuple[float, float]] = []
    missing: list[str] = []
    left: list[str] = []
    for name, term in spec.terms.items():
        if not _counts(term):
            continue
        opened = _opened(spec, name, values)
        told = values.get(name)
        if isinstance(opened, TermValue):
            missing.append(f"{name} hangs on what is not known: {opened.why}")
        elif opened is False:
            counted.append((term.weight, 0.0))
        elif opened is None or told is None:
            left.append(f"{name} was not measured")
        elif told.value is None:
            missing.append(f"{name}: {told.why}")
        else:
            counted.append((term.weight, told.value))
    if gaps := missing + left:
        return RewardValue(None, gaps[0], (), values)
    number = _put_together(spec.combine, [(weight, value) for weight, value in counted if weight > 0])
    if not math.isfinite(number):
        return RewardValue(None, "the terms do not make a finite number", (), values)
    return RewardValue(number, None, (), values)


def _put_together(how: str, counted: list[tuple[float, float]]) -> float:
    """Σ w·v / Σ w, Σ w·v or Π v^w; NaN where that is more than a number can hold."""
    try:
        if how == "product":
            factors = [float(max(value, 0.0) ** weight) for weight, value in counted]
            return math.prod(sorted(factors))
        total = math.fsum(weight * value for weight, value in counted)
        return total / math.fsum(weight for weight, _ in counted) if how == "mean" else total
    except OverflowError:
        return math.nan


def settled(spec: RewardSpec, values: Mapping[str, TermValue]) -> RewardValue | None:
    """The reward, where a required term that has a value decides it already; else None."""
    floors: dict[str, float] = {}
    for name, term in spec.terms.items():
        known = values.get(name)
        if term.required is None or known is None or known.value is None or _opened(spec, name, values) is not True:
            continue
        if known.value < term.required.at_least - 1e-9:
            floors[name] = term.required.else_reward
    return RewardValue(min(floors.values()), None, tuple(floors), values) if floors else None


def still_open(spec: RewardSpec, values: Mapping[str, TermValue]) -> tuple[str, ...]:
    """The terms whose value is not known and still matters.

    Once a veto decides, that is other vetoes that go deeper; where a part is missing for good, any veto, with what it
    hangs on; and never a term whose conditions are known not to hold, or never will be known.
    """
    left = tuple(name for name in spec.terms if name not in values and _opened(spec, name, values) in (True, None))
    decided = settled(spec, values)
    if decided is not None and decided.value is not None:
        return tuple(name for name in left if _floor(spec.terms[name]) < decided.value)
    if not any(_is_missing(spec, name, values) for name in spec.terms):
        return left
    vetoes = [name for name in left if spec.terms[name].required is not None]
    matter = {*vetoes, *(other for name in vetoes for other in spec.terms[name].only_if)}
    return tuple(name for name in left if name in matter)


def waves(spec: RewardSpec) -> Iterator[tuple[str, ...]]:
    """The terms in the order in which they are measured: what needs nobody before what does, and a condition before
    what hangs on it, so that nobody is asked what does not matter any more."""
    left = list(spec.terms)
    while left:
        ready = [name for name in left if not any(other in left for other in spec.terms[name].only_if)]
        wave = tuple(name for name in ready if not spec.terms[name].needs()) or tuple(ready)
        yield wave
        left = [name for name in left if name not in wave]


def _floor(term: Term) -> float:
    """The least that a veto of this term makes of a reward."""
    return math.inf if term.required is None else term.required.else_reward


def _counts(term: Term) -> bool:
    return term.weight > 0 or term.required is not None


def _is_missing(spec: RewardSpec, name: str, values: Mapping[str, TermValue]) -> bool:
    """Whether a term that counts has no value, and never will."""
    if not _counts(spec.terms[name]):
        return False
    opened, told = _opened(spec, name, values), values.get(name)
    return isinstance(opened, TermValue) or (opened is True and told is not None and told.value is None)


def _opened(spec: RewardSpec, name: str, values: Mapping[str, TermValue]) -> bool | TermValue | None:
    """Whether a term's conditions hold; None where that is not known yet, and the unscored value where it never
    will be."""
    unknown: TermValue | None = None
    pending = False
    for other, bounds in spec.terms[name].only_if.items():
        known = values.get(other)
        if known is None:
            pending = True
        elif known.value is None:
            unknown = known
        elif not bounds.hold(known.value):
            return False
    return None if pending else unknown if unknown is not None else True
