"""The artifact of a learned aggregation: what `kardia fit` writes and a rubric names. Data, and nothing else.

A small JSON file (`aggregate: {method: learned, artifact: weights.json}`). Four kinds:

- `linear`: a weighted sum, fitted to people's overall ratings.
- `ordinal`: the expected rating of a proportional-odds model, fitted to the same.
- `gating`: weights that depend on the prompt, by a small network over its embedding (ArmoRM, arXiv 2406.12845). What
  ArmoRM takes from a verbosity head is here the measured length of the judged text: that is kardia's own.
- `calibration`: the expected rating by a small network over the judge's answer distributions (LLM-Rubric, Hashemi et
  al. 2024), as the average annotator would give it.

`kardia.learned` applies them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, StrictStr, Tag, TypeAdapter
from pydantic import model_validator as _model_validator

from kardia.datafile import Data, Digest, Fraction, Malformed, Name, parse_data, validated

__all__ = [
    "FORMAT",
    "Artifact",
    "Bound",
    "Calibration",
    "Debiased",
    "Distribution",
    "EncoderId",
    "Gating",
    "Layer",
    "Learned",
    "Linear",
    "Made",
    "Network",
    "Ordinal",
    "RatingScale",
    "Verbosity",
    "Weighted",
    "artifact_text",
    "parse_artifact",
    "renormalises",
]

FORMAT = "aggregate/1"
"""Moves when the same file would be applied differently."""

KINDS = ("linear", "ordinal", "gating", "calibration")


class Bound(Data):
    """The rubric that an artifact was fitted for."""

    name: Name
    hash: Digest
    """`Rubric.asked_hash`: over its content without `version` and `aggregate`."""


class Made(Data):
    """How an artifact came to be. No score depends on it."""

    kardia: Name
    seed: int
    data: Digest
    """Over what the fit saw: values and ratings, or pairs."""
    judge: dict[str, str]
    """`name` and `hash` of the judge whose scorecards were fitted."""
    counts: dict[str, int]
    """Cards, ratings, pairs, annotators."""
    settings: dict[str, int | float | str | bool | None]
    """What was chosen, by the user or by cross-validation."""
    figures: dict[str, dict[str, float | None]]
    """What `kardia fit` printed: line → column → figure, each from cards that its fit had not seen."""


class _Base(Data):
    kardia: Literal["aggregate/1"]
    rubric: Bound
    made: Made


class RatingScale(Data):
    """The ratings that were fitted: the distinct ones that occurred, ascending, and the ends of their range."""

    low: float
    high: float
    ratings: list[float] = Field(min_length=2)

    @_model_validator(mode="after")
    def _ascend(self) -> RatingScale:
        ends = [self.low, *self.ratings, self.high]
        if self.low >= self.high or any(b < a for a, b in pairwise(ends)) or len(set(self.ratings)) < len(self.ratings):
            raise ValueError("`ratings` must rise, from `low` to `high`")
        return self


class Weighted(Data):
    """One input with its weight."""

    id: Name
    """An item of the rubric (a criterion, or an include's `as`), or a criterion further inside (`safety.demeans`)."""
    weight: float
    fill: Fraction
    """Its mean over the cards of the fit: what it counts as where it is not applicable."""


class Linear(_Base):
    """score = intercept + Σ weight·value, clipped to [0, 1]."""

    kind: Literal["linear"]
    inputs: list[Weighted] = Field(min_length=1)
    intercept: float

    @_model_validator(mode="after")
    def _fits(self) -> Linear:
        _distinct(self.inputs)
        return self


class Ordinal(_Base):
    """P(rating ≤ rating k) = σ(threshold k − Σ weight·value); score = (expected rating − low) / (high − low)."""

    kind: Literal["ordinal"]
    inputs: list[Weighted] = Field(min_length=1)
    thresholds: list[float]
    scale: RatingScale

    @_model_validator(mode="after")
    def _fits(self) -> Ordinal:
        _distinct(self.inputs)
        _rise(self.thresholds, self.scale)
        return self


class Debiased(Data):
    """One input of a gate, with how much of the length is taken out of it."""

    id: Name
    debias: Fraction
    """λ in value − λ·verbosity."""


class EncoderId(Data):
    """The sentence encoder that a gate reads prompts with; its last layer's vector, of unit length."""

    model: Name
    revision: StrictStr | None = None
    sha256: Annotated[StrictStr, Field(pattern=r"^[0-9a-f]{64}$")]
    """Of its weights file."""
    dimensions: Annotated[int, Field(ge=1, le=65536)]


class Verbosity(Data):
    """verbosity = (ln(1 + characters) − mean) / span."""

    mean: float
    """Of ln(1 + characters) over the reference set."""
    span: Annotated[float, Field(gt=0)]
    """From its 5th to its 95th percentile there: so the verbosities of nine texts in ten span 1, as values may."""


class Layer(Data):
    """y = weights·x + bias; between two layers stands tanh."""

    weights: list[list[float]] = Field(min_length=1)
    """One row an output."""
    bias: list[float] = Field(min_length=1)

    @_model_validator(mode="after")
    def _rectangle(self) -> Layer:
        if len(self.weights) != len(self.bias) or len({len(row) for row in self.weights}) != 1 or not self.weights[0]:
            raise ValueError("`weights` must be rows of one length, one for each number in `bias`")
        return self


class Gating(_Base):
    """score = Σ g·(value − λ·verbosity), clipped to [0, 1]; g = softmax(layers(vector)) over the inputs that apply."""

    kind: Literal["gating"]
    inputs: list[Debiased] = Field(min_length=1)
    encoder: EncoderId
    verbosity: Verbosity
    layers: list[Layer] = Field(min_length=1, max_length=4)

    @_model_validator(mode="after")
    def _fits(self) -> Gating:
        _distinct(self.inputs)
        widths = [self.encoder.dimensions, *(len(layer.bias) for layer in self.layers)]
        if widths[-1] != len(self.inputs) or [len(layer.weights[0]) for layer in self.layers] != widths[:-1]:
            raise ValueError("`layers` do not lead from the encoder's dimensions to one number for each input")
        return self


class Distribution(Data):
    """One criterion's levels, with the mean probability of each over the cards of the fit."""

    id: Name
    levels: list[int | StrictStr] = Field(min_length=2)
    fill: list[Fraction]

    @_model_validator(mode="after")
    def _paired(self) -> Distribution:
        if len(self.fill) != len(self.levels):
            raise ValueError("`fill` must have one share for each of `levels`")
        return self


class Network(Data):
    """η = out·tanh(hidden(x)); P(rating ≤ rating k) = σ(threshold k − η). x: every criterion's shares, in a row."""

    hidden: Layer
    out: list[float]
    thresholds: list[float]


class Calibration(_Base):
    """score = (expected rating − low) / (high − low), the expectation averaged over the networks.

    The fit gives every annotator parameters of their own; they are not kept: what scores is the shared path, the
    average annotator.
    """

    kind: Literal["calibration"]
    inputs: list[Distribution] = Field(min_length=1)
    scale: RatingScale
    networks: list[Network] = Field(min_length=1, max_length=64)

    @_model_validator(mode="after")
    def _fits(self) -> Calibration:
        _distinct(self.inputs)
        width = sum(len(item.levels) for item in self.inputs)
        for network in self.networks:
            if len(network.hidden.weights[0]) != width or len(network.out) != len(network.hidden.bias):
                raise ValueError("a network does not lead from the levels of all inputs to one number")
            _rise(network.thresholds, self.scale)
        return self


def _distinct(inputs: Sequence[Any]) -> None:
    ids = [item.id for item in inputs]
    if len(set(ids)) < len(ids):
        raise ValueError("an id stands twice in `inputs`")


def _rise(thresholds: Sequence[float], scale: RatingScale) -> None:
    if len(thresholds) != len(scale.ratings) - 1 or any(b < a for a, b in pairwise(thresholds)):
        raise ValueError("`thresholds` must rise, and be one fewer than `ratings`")


def _kind(data: Any) -> str:
    return str(data.get("kind")) if isinstance(data, Mapping) else str(getattr(data, "kind", None))


Artifact = Linear | Ordinal | Gating | Calibration
_ARTIFACT: TypeAdapter[Artifact] = TypeAdapter(
    Annotated[
        Annotated[Linear, Tag("linear")]
        | Annotated[Ordinal, Tag("ordinal")]
        | Annotated[Gating, Tag("gating")]
        | Annotated[Calibration, Tag("calibration")],
        Discriminator(_kind),
    ]
)


@dataclass(frozen=True)
class Learned:
    """An artifact as a rubric has it.

    Attributes:
        artifact: its content.
        digest: `sha256:` over the file's bytes.
        file: where it was read from, for messages.
    """

    artifact: Artifact
    digest: str
    file: str = field(default="", compare=False)


def renormalises(artifact: Artifact) -> bool:
    """Whether the weights of what is unscored can be shared out over the rest: in a weighted sum without negative
    weights, and in a gate. The others need all of their inputs."""
    if isinstance(artifact, Linear):
        return all(item.weight >= 0 for item in artifact.inputs)
    return isinstance(artifact, Gating)


def parse_artifact(text: str) -> Artifact:
    """Reads an artifact.

    Raises:
        Malformed: with the line where the text is not JSON, else with the key.
    """
    data = parse_data(text, FORMAT, "aggregation")
    if data.get("kind") not in KINDS:
        raise Malformed(f"kind: is {data.get('kind')!r}; expected one of {', '.join(KINDS)}")
    return validated(_ARTIFACT.validate_python, data, tags=1)


def artifact_text(artifact: Artifact) -> str:
    """The artifact as the text of its file: equal artifacts, equal bytes."""
    lines = [
        f"  {json.dumps(key)}: {json.dumps(value, ensure_ascii=False, allow_nan=False)}"
        for key, value in artifact.model_dump(mode="json").items()
    ]
    return "{\n" + ",\n".join(lines) + "\n}\n"
