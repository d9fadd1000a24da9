"""The rubric file as data: what an author may write, and nothing else.

These models mirror the YAML key by key (`rubrics/rubric.schema.json` is generated from them). What crosses keys —
ids that must exist, levels that must be on a scale — is checked in `kardia.rubric.checks`, where the line is known.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, StrictInt, StrictStr, Tag, field_validator
from pydantic import model_validator as _model_validator

__all__ = [
    "NOT_RELEVANT",
    "Aggregate",
    "Band",
    "BinaryScale",
    "ChoiceOption",
    "ChoiceScale",
    "Criterion",
    "Example",
    "ExampleMessage",
    "Include",
    "Interaction",
    "Level",
    "OrdinalScale",
    "Required",
    "RubricFile",
    "Saturation",
    "Scale",
    "Shaping",
]

Level = int | str
"""A level as written in the scale: a whole number, `no` / `yes`, or an option's name."""

NOT_RELEVANT = "not relevant"
"""What a judge answers where a criterion allows it (`not_relevant`)."""

MAX_ORDINAL_LEVELS = 101

Text = Annotated[StrictStr, Field(min_length=1, pattern=r"\S")]
Fraction = Annotated[float, Field(ge=0, le=1, strict=True)]
Weight = Annotated[float, Field(ge=0, strict=True)]
Id = Annotated[StrictStr, Field(pattern=r"^[A-Za-z][A-Za-z0-9_-]*$", max_length=80)]
Name = Annotated[StrictStr, Field(pattern=r"^[a-z0-9][a-z0-9_-]*$", max_length=80)]
MetadataValue = StrictStr | StrictInt | bool | float

# SemVer 2.0.0, as the official regular expression has it, without build metadata.
_SEMVER = (
    r"^(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)"
    r"(?:-((?:0|[1-9][0-9]*|[0-9]*[a-zA-Z-][0-9a-zA-Z-]*)(?:\.(?:0|[1-9][0-9]*|[0-9]*[a-zA-Z-][0-9a-zA-Z-]*))*))?$"
)


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, use_attribute_docstrings=True)


class OrdinalScale(_Model):
    """Ordered levels: whole numbers, each described. A number between two described ones is a level too."""

    type: Literal["ordinal"] = "ordinal"
    levels: dict[StrictInt, Text] = Field(min_length=2)
    """Level → what a reply at this level looks like."""

    @field_validator("levels")
    @classmethod
    def _bounded(cls, levels: dict[int, str]) -> dict[int, str]:
        if max(levels) - min(levels) >= MAX_ORDINAL_LEVELS:
            raise ValueError(f"the levels span more than {MAX_ORDINAL_LEVELS} whole numbers")
        return dict(sorted(levels.items()))

    @property
    def names(self) -> tuple[Level, ...]:
        return tuple(range(min(self.levels), max(self.levels) + 1))

    def describe(self, level: Level) -> str | None:
        return self.levels.get(level) if isinstance(level, int) else None


class BinaryScale(_Model):
    """The levels `no` and `yes`."""

    type: Literal["binary"]
    levels: dict[Literal["no", "yes"], Text] = Field(default_factory=dict)
    """Optional: what `no` and what `yes` look like."""

    @property
    def names(self) -> tuple[Level, ...]:
        return ("no", "yes")

    def describe(self, level: Level) -> str | None:
        return self.levels.get(level) if level in ("no", "yes") else None  # type: ignore[call-overload]


class ChoiceOption(_Model):
    """An option with its value and a description."""

    value: Fraction
    """What the option is worth, in [0, 1]; 1 is good."""
    description: Text | None = None
    """What a reply of this option looks like."""


class ChoiceScale(_Model):
    """Named options without an order, each with its value in [0, 1]."""

    type: Literal["choice"]
    options: dict[Text, Fraction | ChoiceOption] = Field(min_length=2)
    """Option → its value in [0, 1], or its value and a description."""

    @field_validator("options")
    @classmethod
    def _no_reserved_name(cls, options: dict[str, Any]) -> dict[str, Any]:
        if NOT_RELEVANT in options:
            raise ValueError(f"{NOT_RELEVANT!r} is allowed by the criterion's `not_relevant`, not by an option")
        return options

    @property
    def names(self) -> tuple[Level, ...]:
        return tuple(self.options)

    def describe(self, level: Level) -> str | None:
        option = self.options.get(str(level))
        return option.description if isinstance(option, ChoiceOption) else None

    def worth(self, level: Level) -> float:
        option = self.options[str(level)]
        return option.value if isinstance(option, ChoiceOption) else float(option)


def _scale_type(data: Any) -> str:
    if isinstance(data, Mapping):
        return str(data.get("type", "ordinal"))
    return str(getattr(data, "type", "ordinal"))


Scale = Annotated[
    Annotated[OrdinalScale, Tag("ordinal")]
    | Annotated[BinaryScale, Tag("binary")]
    | Annotated[ChoiceScale, Tag("choice")],
    Discriminator(_scale_type),
]


class Required(_Model):
    """A veto: where the criterion does not hold, the card's score is `else_score` whatever the rest says."""

    at_least: StrictInt | None = None
    """On an ordinal scale: the lowest level that still holds. Without it, only the best level holds."""
    at_most: StrictInt | None = None
    """On an ordinal scale with `good: low`: the highest level that still holds."""
    else_score: Fraction = 0.0
    """The card's score where the requirement fails, in [0, 1]."""


class Criterion(_Model):
    """One thing a judge is asked about a target."""

    id: Id
    """Stable name: scores are compared by it."""
    question: Text
    """What the judge is asked. One thing."""
    guidance: Text | None = None
    """How borderline cases are decided; the judge reads it."""
    scale: Scale
    """`ordinal` (the default type), `binary` or `choice`."""
    weight: Weight = 1.0
    """Its share in the aggregate, relative to the other items."""
    good: Literal["high", "low", "yes", "no"] | None = None
    """Which end is good. Default: `high` on an ordinal scale, `yes` on a binary one."""
    required: Required | None = None
    """A veto."""
    reads: Id | None = None
    """What is judged: `reply`, `conversation`, `thinking`, or a named span such as `emotion`. Default: the target."""
    only_if: dict[StrictStr, list[MetadataValue]] | None = None
    """Applies only where the row's metadata has one of these values, for every key given."""
    only_if_levels: (
        dict[StrictStr, list[StrictInt | StrictStr]] | list[dict[StrictStr, list[StrictInt | StrictStr]]] | None
    ) = None
    """Applies only where other criteria came out at one of these levels: all of a map's, or any map of a list."""
    not_relevant: Text | None = None
    """Allows the judge to answer `not relevant`, and says when; the criterion is then not applicable."""

    @field_validator("only_if", mode="before")
    @classmethod
    def _listed(cls, value: Any) -> Any:
        if isinstance(value, Mapping):
            return {key: item if isinstance(item, list) else [item] for key, item in value.items()}
        return value

    @field_validator("only_if_levels", mode="before")
    @classmethod
    def _listed_levels(cls, value: Any) -> Any:
        if isinstance(value, list):
            return [cls._listed(item) for item in value]
        return cls._listed(value)

    @property
    def levels(self) -> tuple[Level, ...]:
        """Every level a judge may answer, in the scale's order (ordinal: from lowest to highest)."""
        return self.scale.names

    @property
    def good_end(self) -> str | None:
        """`high`, `low`, `yes` or `no`; None on a choice scale."""
        if isinstance(self.scale, ChoiceScale):
            return None
        return self.good or ("yes" if isinstance(self.scale, BinaryScale) else "high")

    def value(self, level: Level) -> float:
        """The level as a number in [0, 1], oriented so that 1 is good.

        Ordinal: `(level − lowest) / (highest − lowest)`, mirrored where low is good. Raises KeyError off the scale.
        """
        if level not in self.levels or isinstance(level, bool):
            raise KeyError(level)
        if isinstance(self.scale, ChoiceScale):
            return self.scale.worth(level)
        if isinstance(self.scale, BinaryScale):
            return 1.0 if level == self.good_end else 0.0
        lowest, highest = self.levels[0], self.levels[-1]
        assert isinstance(level, int)
        assert isinstance(lowest, int)
        assert isinstance(highest, int)
        share = (level - lowest) / (highest - lowest)
        return 1.0 - share if self.good_end == "low" else share

    def holds(self, level: Level) -> bool:
        """Whether the requirement holds at this level; true where there is none."""
        need = self.required
        if need is None:
            return True
        if isinstance(level, int) and need.at_least is not None:
            return level >= need.at_least
        if isinstance(level, int) and need.at_most is not None:
            return level <= need.at_most
        return self.value(level) == max(self.value(other) for other in self.levels)

    @property
    def conditions(self) -> tuple[dict[str, list[Level]], ...]:
        """`only_if_levels` as alternatives: any map, and within a map every key. Empty: no condition."""
        if self.only_if_levels is None:
            return ()
        if isinstance(self.only_if_levels, dict):
            return (dict(self.only_if_levels),)
        return tuple(dict(item) for item in self.only_if_levels)


class Include(_Model):
    """Another rubric as one weighted item."""

    rubric: Text
    """A name with a range (`safety@^1`), or a path beside this file (`./house-rules.yaml`)."""
    as_: Id | None = Field(default=None, alias="as")
    """Prefix of its criteria's ids; default: its name."""
    weight: Weight = 1.0
    """Its share in the aggregate, relative to the other items."""


class Band(_Model):
    """A condition on a value in [0, 1]."""

    at_least: Fraction | None = None
    at_most: Fraction | None = None


class Saturation(_Model):
    """Diminishing returns past a value."""

    above: Fraction
    """From this value on, gains count less."""
    slope: Fraction
    """How much of a gain past `above` still counts: 1 all, 0 nothing."""


class Interaction(_Model):
    """A bonus or a penalty when two items hold, or clash, together."""

    when: dict[StrictStr, Band] = Field(min_length=2, max_length=2)
    """Two items (criterion ids or an include's `as`), each with a band for its value."""
    add: Annotated[float, Field(ge=-1, le=1, strict=True)]
    """What is added to the score before it is clipped to [0, 1]."""


class Shaping(_Model):
    """A monotone map of the score; exactly one of the two."""

    power: Annotated[float, Field(gt=0, le=10, strict=True)] | None = None
    """score ** power."""
    points: list[tuple[Fraction, Fraction]] | None = None
    """Straight lines through these points, from x = 0 to x = 1, never falling."""

    @_model_validator(mode="after")
    def _one(self) -> Shaping:
        if (self.power is None) == (self.points is None):
            raise ValueError("shaping wants exactly one of `power` and `points`")
        if self.points is not None:
            xs = [x for x, _ in self.points]
            ys = [y for _, y in self.points]
            if len(xs) < 2 or xs[0] != 0 or xs[-1] != 1 or any(b <= a for a, b in itertools.pairwise(xs)):
                raise ValueError("`points` must run from x = 0 to x = 1 with rising x")
            if any(b < a for a, b in itertools.pairwise(ys)):
                raise ValueError("`points` must never fall")
        return self


class Aggregate(_Model):
    """How the judgments become one number."""

    method: Literal["weighted_mean", "product", "minimum", "learned"] = "weighted_mean"
    """How the weighted values of the items are put together; `learned`: as `artifact` says."""
    artifact: Text | None = None
    """With `learned`: the file that `kardia fit` wrote, as a path beside this file."""
    sha256: StrictStr | None = None
    """With `learned`: the digest that the artifact's file must have."""
    unscored: Literal["whole", "renormalise"] = "whole"
    """`whole`: a card with an unscored or abstained criterion has no score; `renormalise`: the rest is averaged."""
    saturation: dict[StrictStr, Saturation] = Field(default_factory=dict)
    """Item → where its returns diminish."""
    interactions: list[Interaction] = Field(default_factory=list)
    """Bonuses and penalties for two items together."""
    shaping: Shaping | None = None
    """A monotone map of the score, applied last."""

    @field_validator("sha256")
    @classmethod
    def _is_digest(cls, value: str | None) -> str | None:
        if value is not None and re.fullmatch(r"[0-9a-f]{64}", value) is None:
            raise ValueError("must be a SHA-256 in 64 lower-case hexadecimal digits, as `sha256sum FILE` prints it")
        return value


class ExampleMessage(_Model):
    """One message of an example's context."""

    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: StrictStr


class Example(_Model):
    """A (context, reply) pair with the levels it shows."""

    context: StrictStr | list[ExampleMessage] = ""
    """What came before the reply: one message of the person, or a list of messages."""
    reply: StrictStr
    """The reply that shows the levels."""
    levels: dict[StrictStr, StrictInt | StrictStr] = Field(min_length=1)
    """Criterion id → the level this reply shows."""
    why: Text | None = None
    """Why it shows these levels, in a sentence or two."""
    metadata: dict[StrictStr, Any] = Field(default_factory=dict)
    """What the row would carry: profile, situation, emotion, ..."""


class RubricFile(_Model):
    """A rubric as its author writes it."""

    name: Name
    """The rubric's name: that of its folder."""
    version: Annotated[StrictStr, Field(pattern=_SEMVER, max_length=64)]
    """Semantic version; `1.1.0-draft.1` is a draft."""
    title: Text
    """What it is called in lists and reports."""
    description: Text | None = None
    """What the rubric is about; the judge reads it."""
    target: Literal["reply", "conversation"] = "reply"
    """What is scored: the last assistant message, or the whole conversation."""
    metadata: dict[StrictStr, StrictStr | None] = Field(default_factory=dict)
    """Row metadata that the judge is shown as background: name → what it is."""
    include: list[Include] = Field(default_factory=list)
    """Other rubrics, each aggregated by its own rule and counted as one weighted item."""
    criteria: list[Criterion] = Field(default_factory=list)
    """What the judge is asked, one thing each."""
    aggregate: Aggregate = Field(default_factory=Aggregate)
    """How the judgments become one number."""
    examples: list[Example] = Field(default_factory=list)
    """Replies with the levels they show; one example can show levels of several criteria."""
