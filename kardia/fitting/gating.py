"""The gating network: weights that depend on the prompt, from preference pairs (ArmoRM, arXiv 2406.12845).

A small network over the prompt's embedding gives softmax weights over the inputs; a reply's score is the weighted sum
of its debiased values, which stay as they are. The network is trained with the Bradley–Terry loss on pairs of replies
to one prompt. kardia's own: Gaussian priors, around the rubric's own weights for every prompt; a fitted factor in front
of the difference of two scores, which lie in [0, 1], for how sure people are; and the strength of the prior, chosen by
grouped cross-validation.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kardia.artifact import Bound, Debiased, EncoderId, Gating, Layer
from kardia.fitting.cards import Cards, Subject
from kardia.fitting.paired import Paired
from kardia.fitting.report import Fit, Line, made, short
from kardia.fitting.validation import chosen_strength, one_thread, out_of_fold

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]
    Index = NDArray[np.int64]

__all__ = ["HIDDEN", "STRENGTHS", "Gate", "fit_gating"]

STRENGTHS = (0.5, 2.0, 8.0, 32.0)
"""Of the prior of the layers' weights: its standard deviation is 1/√strength, for prompts of mean square length 1."""
BIAS_STRENGTH = 1.0
"""Of that of the biases: what all prompts share, in logits from the rubric's own weights."""
SHARPNESS_STRENGTH = 4.0
"""Of that of the sharpness, in its logarithm."""
HIDDEN = 8
INNER = 3
"""Folds at most by which the strength is chosen within a fold of the figures."""
SHARPNESS = 10.0
"""Where the factor in front of the difference of two scores starts."""


@dataclass(frozen=True)
class _Fitted:
    """A gate: layers on the vector as it is, and the factor in front of the difference of two scores."""

    layers: tuple[tuple[Array, Array], ...]
    sharpness: float


class Gate:
    """Fits the network to any of the pairs, and predicts others.

    Args:
        data: the pairs.
        hidden: hidden units; 0: a linear gate.
        seed: of the start.
        constant: whether the gate does not see the prompt: the same weights for all.
    """

    def __init__(self, data: Paired, *, hidden: int = HIDDEN, seed: int = 0, constant: bool = False) -> None:
        import numpy as np

        self.data, self.hidden, self.seed, self.constant = data, hidden, seed, constant
        self.prior_I = np.log(np.array(list(data.shares.values())))
        self.there_CI = ~np.isnan(data.values_CI)
        debiased_CI = data.values_CI - data.debias_I * data.verbosity_C[:, None]
        self.values_CI = np.where(self.there_CI, debiased_CI, 0.0)

    def fit(self, rows_P: Index, strength: float) -> _Fitted:
        """Maximises the posterior over these pairs."""
        import numpy as np
        from scipy.optimize import minimize

        posterior = self.posterior(rows_P, strength)
        found = minimize(
            posterior,
            self._start(posterior.shapes),
            jac=True,
            method="L-BFGS-B",
            options={"maxiter": 300, "ftol": 1e-6},
        )
        layers, sharp = posterior.unpack(found.x)
        first, bias = layers[0]
        if self.constant:
            first = np.zeros((len(self.prior_I), len(posterior.mean_D)))
        # layers on the vectors as they are: centring and scale go into the first, the rubric's weights into the last
        first = first / posterior.scale
        layers[0] = (first, bias - first @ posterior.mean_D)
        last, bias = layers[-1]
        layers[-1] = (last, bias + self.prior_I)
        return _Fitted(tuple(layers), math.exp(sharp))

    def posterior(self, rows_P: Index, strength: float) -> _Posterior:
        """What is maximised."""
        import numpy as np

        data = self.data
        prompts_U, prompt_P = np.unique(data.prompt_P[rows_P], return_inverse=True)
        seen_UD = data.vector_UD[prompts_U]
        mean_D = seen_UD.mean(0)
        # sentence vectors share a direction: what they differ in is brought to a mean square length of 1
        scale = float(np.sqrt(((seen_UD - mean_D) ** 2).sum(1).mean())) or 1.0
        x_UD = (seen_UD - mean_D)[:, :0] if self.constant else (seen_UD - mean_D) / scale
        inputs, width = len(self.prior_I), x_UD.shape[1]
        deep = self.hidden and not self.constant
        shapes = ((self.hidden, width), (inputs, self.hidden)) if deep else ((inputs, width),)
        sides = tuple(
            (self.there_CI[card_P[rows_P]], self.values_CI[card_P[rows_P]])
            for card_P in (data.chosen_P, data.rejected_P)
        )
        return _Posterior(x_UD, prompt_P.astype(np.int64), self.prior_I, sides, shapes, strength, mean_D, scale)

    def odds(self, fitted: _Fitted, rows_P: Index) -> Array:
        """The log odds that the chosen reply is preferred: the difference of the scores, times the sharpness."""
        data = self.data
        logits_PI = _forward(fitted.layers, data.vector_UD[data.prompt_P[rows_P]])[-1]
        chosen_P, rejected_P = (
            (_softmax(logits_PI, self.there_CI[card_P]) * self.values_CI[card_P]).sum(1)
            for card_P in (data.chosen_P[rows_P], data.rejected_P[rows_P])
        )
        gap_P: Array = chosen_P - rejected_P
        return fitted.sharpness * gap_P

    def weights(self, fitted: _Fitted) -> Array:
        """The weights of all inputs for each prompt, (U, I)."""
        import numpy as np

        logits_UI = _forward(fitted.layers, self.data.vector_UD)[-1]
        return _softmax(logits_UI, np.ones(logits_UI.shape, dtype=bool))

    def loss(self, fit_P: Index, held_P: Index, strength: float) -> float:
        """The sum of the held-out pairs' log losses."""
        import numpy as np

        return float(np.logaddexp(0.0, -self.odds(self.fit(fit_P, strength), held_P)).sum())

    def _start(self, shapes: Sequence[tuple[int, int]]) -> Array:
        """Random hidden units, and no influence of theirs."""
        import numpy as np

        random = np.random.default_rng(self.seed)
        parts: list[Array] = []
        for number, (rows, columns) in enumerate(shapes):
            last = number == len(shapes) - 1
            parts += [np.zeros(rows * columns) if last else random.normal(0.0, 1.0, rows * columns), np.zeros(rows)]
        return np.concatenate([*parts, [math.log(SHARPNESS)]])


@dataclass(frozen=True)
class _Posterior:
    """−ln of the posterior: Σ ln(1 + exp(−sharpness·gap)) over pairs, and the priors.

    Attributes:
        x_UD: the prompts, brought to a common scale.
        prompt_P: which prompt each pair answers.
        prior_I: logarithms of the rubric's own weights.
        sides: of the chosen and of the rejected replies: which inputs are there, and their values, each (P, I).
        shapes: of each layer's weights.
        strength: of the prior of the layers' weights.
        mean_D, scale: how the prompts were brought there.
    """

    x_UD: Array
    prompt_P: Index
    prior_I: Array
    sides: tuple[tuple[Any, Array], ...]
    shapes: tuple[tuple[int, int], ...]
    strength: float
    mean_D: Array
    scale: float

    def unpack(self, free: Array) -> tuple[list[tuple[Array, Array]], float]:
        """The layers, and the logarithm of the sharpness."""
        layers: list[tuple[Array, Array]] = []
        at = 0
        for rows, columns in self.shapes:
            weights = free[at : at + rows * columns].reshape(rows, columns)
            at += rows * columns
            layers.append((weights, free[at : at + rows]))
            at += rows
        return layers, float(free[at])

    def __call__(self, free: Array) -> tuple[float, Array]:
        """The value, and its gradient."""
        import numpy as np
        from scipy.special import expit

        layers, sharp = self.unpack(free)
        signals = _forward(layers, self.x_UD)
        logits_PI = signals[-1][self.prompt_P] + self.prior_I
        gap_P = np.zeros(len(logits_PI))
        slope_PI = np.zeros_like(logits_PI)
        for sign, (there_PI, value_PI) in zip((1.0, -1.0), self.sides, strict=True):
            weight_PI = _softmax(logits_PI, there_PI)
            score_P1 = (weight_PI * value_PI).sum(1, keepdims=True)
            gap_P += sign * score_P1[:, 0]
            slope_PI += sign * weight_PI * (value_PI - score_P1)
        sharpness = math.exp(sharp)
        odds_P = sharpness * gap_P
        away = sharp - math.log(SHARPNESS)
        value = float(np.logaddexp(0.0, -odds_P).sum()) + 0.5 * SHARPNESS_STRENGTH * away**2
        by_odds_P = -expit(-odds_P)
        by_out_UI = np.zeros_like(signals[-1])
        np.add.at(by_out_UI, self.prompt_P, (sharpness * by_odds_P)[:, None] * slope_PI)
        slopes: list[Array] = [np.array([by_odds_P @ odds_P + SHARPNESS_STRENGTH * away])]
        for number in range(len(layers) - 1, -1, -1):
            weights, bias = layers[number]
            before = np.tanh(signals[number]) if number else signals[number]
            value += 0.5 * (self.strength * float((weights**2).sum()) + BIAS_STRENGTH * float(bias @ bias))
            by_weights = by_out_UI.T @ before + self.strength * weights
            slopes[:0] = [by_weights.ravel(), by_out_UI.sum(0) + BIAS_STRENGTH * bias]
            if number:
                by_out_UI = by_out_UI @ weights * (1 - before**2)
        return value, np.concatenate(slopes)


def _forward(layers: Sequence[tuple[Array, Array]], x_ND: Array) -> list[Array]:
    """What goes into each layer, before its tanh, and what comes out of the last."""
    import numpy as np

    signals = [x_ND]
    for number, (weights, bias) in enumerate(layers):
        signals.append((np.tanh(signals[-1]) if number else signals[-1]) @ weights.T + bias)
    return signals


def _softmax(logits_NI: Array, there_NI: Any) -> Array:
    """Weights of the inputs that are there; the others have none."""
    import numpy as np

    logits_NI = np.where(there_NI, logits_NI, -np.inf)
    raw_NI = np.exp(logits_NI - logits_NI.max(1, keepdims=True))
    return np.asarray(raw_NI / raw_NI.sum(1, keepdims=True), dtype=np.float64)


@one_thread()
def fit_gating(
    data: Paired,
    cards: Cards,
    subject: Subject,
    encoder: EncoderId,
    *,
    hidden: int = HIDDEN,
    folds: int = 5,
    seed: int = 0,
) -> Fit:
    """Fits the gating network to preference pairs.

    Args:
        data: the pairs.
        cards: where they come from.
        subject: the rubric that they are fitted for.
        encoder: what embeds the prompts.
        hidden: hidden units; 0: a linear gate.
        folds, seed: of the cross-validation, whose folds part prompts.

    Raises:
        InputError: where all pairs are of one prompt.
    """
    import numpy as np

    gate, constant = Gate(data, hidden=hidden, seed=seed), Gate(data, constant=True)
    groups = [str(prompt) for prompt in data.prompt_P.tolist()]

    def strength_of(rows_P: Index, parts: int) -> float:
        return chosen_strength(gate.loss, rows_P, groups, STRENGTHS, parts, seed + 1)

    def predict(fit_P: Index, held_P: Index) -> Array:
        fitted = gate.fit(fit_P, strength_of(fit_P, min(folds, INNER)))
        return np.stack([gate.odds(fitted, held_P), constant.odds(constant.fit(fit_P, 0.0), held_P)], axis=1)

    odds_PN = out_of_fold(predict, groups, folds, seed, (2,))
    chosen_P, rejected_P = data.chosen_P, data.rejected_P
    alike_C = np.nanmean(data.values_CI, axis=1)
    lines = [
        _line("learned gate", odds_PN[:, 0], True),
        _line("one set of weights for every prompt", odds_PN[:, 1], True),
        _line("the rubric as it is", data.scores_C[chosen_P] - data.scores_C[rejected_P]),
        _line("all inputs alike", alike_C[chosen_P] - alike_C[rejected_P]),
        _line("the longer reply", data.verbosity_C[chosen_P] - data.verbosity_C[rejected_P]),
    ]
    all_P = np.arange(len(chosen_P))
    strength = strength_of(all_P, folds)
    fitted = gate.fit(all_P, strength)
    counts = {"cards": len(data.card_ids), "pairs": len(chosen_P), "prompts": len(data.vector_UD)}
    settings = {"strength": strength, "hidden": hidden, "folds": folds, "sharpness": short(fitted.sharpness)}
    artifact = Gating(
        kardia="aggregate/1",
        kind="gating",
        rubric=Bound(name=subject.rubric.name, hash=subject.rubric.asked_hash),
        inputs=[Debiased(id=key, debias=one) for key, one in zip(data.shares, data.debias_I.tolist(), strict=True)],
        encoder=encoder,
        verbosity=data.verbosity,
        layers=[
            Layer(
                weights=[[short(one) for one in row] for row in weights.tolist()], bias=list(map(short, bias.tolist()))
            )
            for weights, bias in fitted.layers
        ],
        made=made(cards, seed, data.data, counts, settings, lines),
    )
    return Fit(artifact, _title(counts), tuple(lines), _columns(data, gate, fitted), _remarks(lines))


def _line(name: str, odds_P: Array, graded: bool = False) -> Line:
    """Accuracy counts an equal pair half; the log loss is that of what gives probabilities."""
    import numpy as np

    right = float(np.mean((odds_P > 0) + 0.5 * (odds_P == 0)))
    error = math.sqrt(right * (1 - right) / len(odds_P))
    loss = float(np.logaddexp(0.0, -odds_P).mean()) if graded else None
    return Line(name, {"accuracy": right, "± (95 %)": 1.96 * error, "log loss": loss})


def _columns(data: Paired, gate: Gate, fitted: _Fitted) -> dict[str, dict[str, float]]:
    """Of each input: λ, and its weight over the prompts: the mean, and the 5th and 95th percentile."""
    import numpy as np

    weights_UI = gate.weights(fitted)
    low_I, high_I = np.percentile(weights_UI, [5, 95], axis=0)
    return {
        key: {
            "weight": float(weights_UI[:, place].mean()),
            "5 %": float(low_I[place]),
            "95 %": float(high_I[place]),
            "debias": float(data.debias_I[place]),
        }
        for place, key in enumerate(data.shares)
    }


def _title(counts: Mapping[str, int]) -> str:
    return f"Against {counts['pairs']:,} choices between two replies, to {counts['prompts']:,} prompts"


def _remarks(lines: Sequence[Line]) -> tuple[str, ...]:
    gate, constant, rubric = (line.figures for line in lines[:3])
    found: list[str] = []
    if (gate["log loss"] or 0.0) >= (constant["log loss"] or 0.0):
        found.append("The gate predicts choices no better than one set of weights for every prompt does.")
    if (gate["accuracy"] or 0.0) <= (rubric["accuracy"] or 0.0):
        found.append("It is right no more often than the rubric as it is: there is little reason to use it.")
    return tuple(found)
