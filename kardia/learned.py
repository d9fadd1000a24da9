"""Learned aggregation: an artifact and the inputs of one card → a score in [0, 1]. Pure.

An input that is not applicable counts as `fill`, its mean over the cards of the fit; a gate shares the weight of such
an input out over the others. What is unscored has no value, and is never given one: see `kardia.artifact.renormalises`.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from operator import mul

from kardia.artifact import Calibration, Gating, Layer, Linear, Ordinal, RatingScale
from kardia.judgment import Judgment
from kardia.rubric.models import Level

__all__ = [
    "Beside",
    "calibration_score",
    "gate_weights",
    "gating_score",
    "level_shares",
    "linear_score",
    "ordinal_score",
    "verbosity",
]


@dataclass(frozen=True, slots=True)
class Beside:
    """What a learned aggregation may need beside the judgments.

    Attributes:
        characters: how long the judged text is.
        vectors: digest of an encoder's weights → the prompt's vector by it.
    """

    characters: int | None = None
    vectors: Mapping[str, Sequence[float]] = field(default_factory=dict)


def linear_score(artifact: Linear, values: Mapping[str, float], gone: Collection[str] = ()) -> float | None:
    """intercept + Σ weight·value, clipped to [0, 1].

    Args:
        artifact: the weights; none negative where there are `gone`.
        values: id → value in [0, 1]; an input that is neither here nor in `gone` is not applicable: its `fill` counts.
        gone: ids that are unscored: the rest's weights are scaled up to the sum of all.

    Returns:
        the score; None where all weight is gone.
    """
    terms = [(item.weight, values.get(item.id, item.fill)) for item in artifact.inputs if item.id not in gone]
    share = 1.0
    if gone:
        left = math.fsum(weight for weight, _ in terms)
        if left <= 0:
            return None
        share = math.fsum(item.weight for item in artifact.inputs) / left
    return _clip(artifact.intercept + share * math.fsum(weight * value for weight, value in terms))


def ordinal_score(artifact: Ordinal, values: Mapping[str, float]) -> float:
    """The expected rating, rescaled to [0, 1]; `values` as in `linear_score`."""
    eta = math.fsum(item.weight * values.get(item.id, item.fill) for item in artifact.inputs)
    return _rescaled(_expected(eta, artifact.thresholds, artifact.scale.ratings), artifact.scale)


def verbosity(artifact: Gating, characters: int) -> float:
    """How long a text is, on a scale like that of values: see `Verbosity`."""
    return (math.log1p(characters) - artifact.verbosity.mean) / artifact.verbosity.span


def gate_weights(artifact: Gating, vector: Sequence[float], present: Collection[str]) -> dict[str, float]:
    """The weight of each present input for this prompt; they sum to 1.

    Args:
        artifact: the gate.
        vector: the prompt's, by the artifact's encoder.
        present: ids of the inputs that have a value; at least one.
    """
    if len(vector) != artifact.encoder.dimensions:
        raise ValueError(f"a vector of {len(vector)} numbers for an encoder of {artifact.encoder.dimensions}")
    signal: Sequence[float] = vector
    for number, layer in enumerate(artifact.layers):
        if number:
            signal = [math.tanh(x) for x in signal]
        signal = _linear(layer, signal)
    logits = {item.id: x for item, x in zip(artifact.inputs, signal, strict=True) if item.id in present}
    top = max(logits.values())
    raw = {key: math.exp(x - top) for key, x in logits.items()}
    total = math.fsum(raw.values())
    return {key: x / total for key, x in raw.items()}


def gating_score(
    artifact: Gating, values: Mapping[str, float], vector: Sequence[float], characters: int
) -> float | None:
    """Σ g·(value − λ·verbosity) over the inputs that have a value, clipped to [0, 1]; None where none has."""
    present = [item.id for item in artifact.inputs if item.id in values]
    if not present:
        return None
    weights = gate_weights(artifact, vector, present)
    long = verbosity(artifact, characters)
    debias = {item.id: item.debias for item in artifact.inputs}
    return _clip(math.fsum(weights[key] * (values[key] - debias[key] * long) for key in present))


def level_shares(levels: Sequence[Level], judgment: Judgment) -> tuple[float, ...]:
    """A scored judgment as a distribution over its criterion's levels; without probabilities, all on its level."""
    if judgment.probabilities is None:
        return tuple(1.0 if level == judgment.level else 0.0 for level in levels)
    shares = [judgment.probabilities.get(level, 0.0) for level in levels]
    total = math.fsum(shares)
    return tuple(share / total for share in shares)


def calibration_score(artifact: Calibration, shares: Mapping[str, Sequence[float]]) -> float:
    """The expected rating of the average annotator, rescaled to [0, 1].

    Args:
        artifact: the networks.
        shares: id → a probability for each level; an input that is not here is not applicable: its `fill` counts.
    """
    x = [share for item in artifact.inputs for share in shares.get(item.id, item.fill)]
    expected = []
    for network in artifact.networks:
        hidden = [math.tanh(h) for h in _linear(network.hidden, x)]
        eta = math.fsum(map(mul, network.out, hidden))
        expected.append(_expected(eta, network.thresholds, artifact.scale.ratings))
    return _rescaled(math.fsum(expected) / len(expected), artifact.scale)


def _linear(layer: Layer, x: Sequence[float]) -> list[float]:
    return [math.fsum(map(mul, row, x)) + bias for row, bias in zip(layer.weights, layer.bias, strict=True)]


def _expected(eta: float, thresholds: Sequence[float], ratings: Sequence[float]) -> float:
    """Σ rating·P(rating), as the lowest rating plus every step times the probability of being above it."""
    steps = zip(pairwise(ratings), thresholds, strict=True)
    return ratings[0] + math.fsum((upper - lower) * _sigmoid(eta - threshold) for (lower, upper), threshold in steps)


def _rescaled(rating: float, scale: RatingScale) -> float:
    return _clip((rating - scale.low) / (scale.high - scale.low))


def _sigmoid(x: float) -> float:
    if x >= 0:
        return 1.0 / (1.0 + math.exp(-x))
    grown = math.exp(x)
    return grown / (1.0 + grown)


def _clip(number: float) -> float:
    return 0.0 if number < 0.0 else 1.0 if number > 1.0 else number
