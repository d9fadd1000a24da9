"""What `kardia calibrate` writes and a judge's profile names (`calibration: calibration.json`). Data, nothing else.

It is bound to the content of one rubric and to one judge: their hashes, and that of the template where there is one. It
holds a rule for each criterion, and how far the judge could be believed before and after, on replies that the rule had
not seen. `kardia.calibration.applying` applies the rules.
"""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Annotated, Any, Literal

from pydantic import Field, StrictStr
from pydantic import model_validator as _model_validator

from kardia.agreement.statistic import Statistic
from kardia.datafile import Data, Digest, Fraction, Name, parse_data, validated

__all__ = [
    "FORMAT",
    "Bin",
    "Calibration",
    "Change",
    "Figure",
    "Figures",
    "Isotonic",
    "Made",
    "OfJudge",
    "OfRubric",
    "Rule",
    "Temperature",
    "Threshold",
    "Unchanged",
    "calibration_text",
    "figure",
    "parse_calibration",
]

FORMAT = "calibration/1"
"""Moves when the same file would be applied differently."""

Count = Annotated[int, Field(ge=0)]


class OfRubric(Data):
    """The rubric that it is bound to."""

    name: Name
    version: Name
    hash: Digest


class OfJudge(Data):
    """The judge that it is bound to, as it answers: without a calibration."""

    name: Name
    hash: Digest
    template: Digest | None
    """The hash of the words in which it is asked; None for judges that read no prompt, and for ensembles."""


class Figure(Data):
    """A figure and its interval; see `kardia.agreement.statistic.Statistic`."""

    value: float | None
    low: float | None
    high: float | None
    n: Count
    why: StrictStr | None
    left_out: Count


class Bin(Data):
    """Replies whose values are alike: the mean of what was predicted and of what people said."""

    predicted: Fraction
    observed: Fraction
    n: Count


class Figures(Data):
    """How far values could be believed. Values are in [0, 1], 1 being good; people's is the mean of their ratings."""

    ece: Figure
    """Expected calibration error: over bins, the mean distance of what was predicted from what people said."""
    brier: Figure
    """The mean squared distance of the value from people's; on two levels this is the Brier score."""
    log_loss: Figure
    """The mean of −ln p(the level that people gave), where there are probabilities."""
    kappa: Figure
    """Quadratic κ of the levels; on options, plain κ."""
    bias: Figure
    """The mean of the value less people's: above 0 the judge is kinder than people."""
    bins: list[Bin]


class Change(Data):
    """After less before, on the same replies."""

    brier: Figure
    kappa: Figure
    bias: Figure


class _Rule(Data):
    levels: list[int | StrictStr] = Field(min_length=2)
    """The criterion's, as the scale has them."""
    n: Count
    """Replies with a label and a judgment."""
    groups: Count
    """Groups that they are of: none stands on both sides of the cross-validation."""
    before: Figures
    after: Figures
    """Out of fold: each reply by a rule that was fitted without its group."""
    change: Change


class Isotonic(_Rule):
    """A new value for each value: straight lines through (x, y), y never falling; flat beyond both ends."""

    method: Literal["isotonic"]
    x: list[Fraction] = Field(min_length=1)
    y: list[Fraction] = Field(min_length=1)

    @_model_validator(mode="after")
    def _rises(self) -> Isotonic:
        if len(self.x) != len(self.y):
            raise ValueError("`x` and `y` must be of one length")
        if any(b <= a for a, b in pairwise(self.x)) or any(b < a for a, b in pairwise(self.y)):
            raise ValueError("`x` must rise, and `y` must not fall")
        return self


class Temperature(_Rule):
    """p(level) ^ (1 / temperature), normalised: above 1 the judge was too sure of itself."""

    method: Literal["temperature"]
    temperature: Annotated[float, Field(ge=0.05, le=20)]


class Threshold(_Rule):
    """The level by where the value lies between cuts; the value is then the level's."""

    method: Literal["threshold"]
    cuts: list[Annotated[float, Field(ge=0, le=2)]]
    """Ascending; one less than there are levels. A value at a cut or above belongs to the better level; above a cut
    beyond 1 there is no value."""

    @_model_validator(mode="after")
    def _parts(self) -> Threshold:
        if len(self.cuts) != len(self.levels) - 1 or any(b < a for a, b in pairwise(self.cuts)):
            raise ValueError("`cuts` must be one less than the levels, and must not fall")
        return self


class Unchanged(_Rule):
    """The judge's own answer: nothing that was tried is better by more than chance."""

    method: Literal["none"]


Rule = Isotonic | Temperature | Threshold | Unchanged


class Made(Data):
    """How it came to be. No value depends on it."""

    kardia: Name
    data: Digest
    """Over what was seen: ids, values and labels."""
    settings: dict[str, int | float | str | bool | None]
    """`method`, `folds`, `seed`, `consensus`, `resamples`, `confidence`."""


class Calibration(Data):
    """Rules for the criteria of one rubric, as one judge answers them."""

    kardia: Literal["calibration/1"]
    rubric: OfRubric
    judge: OfJudge
    criteria: dict[str, Annotated[Rule, Field(discriminator="method")]] = Field(min_length=1)
    left_out: dict[str, str]
    """Criterion → why it has no rule: its answers stay as they are."""
    made: Made


def parse_calibration(text: str) -> Calibration:
    """Reads an artifact.

    Raises:
        Malformed: with the line where the text is not JSON, else with the key.
    """
    return validated(Calibration.model_validate, parse_data(text, FORMAT, "calibration"))


def calibration_text(calibration: Calibration) -> str:
    """The artifact as the text of its file: equal artifacts, equal bytes."""
    return json.dumps(calibration.model_dump(mode="json"), ensure_ascii=False, allow_nan=False, indent=1) + "\n"


def figure(found: Statistic) -> Figure:
    """A statistic as it stands in an artifact."""
    data: dict[str, Any] = found.to_json()
    for key in ("value", "low", "high"):
        data[key] = None if data[key] is None else round(data[key], 6) + 0.0
    return Figure(**data)
