"""Compares a (context, reply) pair with examples whose levels are known: probabilities over levels, in closed form.

What a pair is compared by (`pair_features`): the reply's vector, and the reply's vector less its projection on the
context's vector. The second takes out what a reply merely repeats of the topic; what is left is nearer to how it
answers.

How it is compared (`fit`): ridge regression from the features to the examples' levels, which is the same as weighing
the examples by their similarity to the pair. Examples of rare levels weigh more (by the square root of their rarity);
on an ordered scale a level's neighbours share in its target, so that near misses cost less. The ridge and the
temperature are those with the best likelihood when **every context is left out in turn**: the examples are contrast
sets, several replies to one context, and a context must not be known when its replies are judged. Leaving groups out of
a ridge regression has a closed form — with the hat matrix H, the residuals of a left-out group g are (I − H_gg)⁻¹ (y_g
− ŷ_g) — so that nothing is fitted twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

__all__ = ["Comparison", "fit", "pair_features"]

RIDGES = tuple(10.0 ** (step / 2) for step in range(-6, 5))
TEMPERATURES = (1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 11.0, 15.0, 20.0)
RARITY = 0.5
"""Exponent of a level's weight in its rarity: 0 leaves the examples' shares as the prior, 1 makes all levels equal."""
MIN_GROUPS = 3
"""With fewer contexts, single examples are left out instead."""


def pair_features(reply_TD: Array, context_TD: Array) -> Array:
    """Features of shape (pairs, 2, dimensions) from unit vectors; a context of zeros means that there is none."""
    import numpy as np

    along_T1 = (reply_TD * context_TD).sum(axis=1, keepdims=True)
    beside_TD = reply_TD - along_T1 * context_TD
    norms_T1 = np.linalg.norm(beside_TD, axis=1, keepdims=True)
    # a reply that is its context has nothing beside it: zeros, not the direction of rounding errors
    beside_TD = np.where(norms_T1 > 1e-3, beside_TD / np.maximum(norms_T1, 1e-3), 0.0)
    return np.stack([reply_TD, beside_TD], axis=1).astype(np.float64)


@dataclass(frozen=True, slots=True)
class Comparison:
    """One criterion's examples, ready to be compared with.

    Attributes:
        mean_BD, scale_B: centre and root mean square length of the examples, per block of features.
        weights_FL, bias_L: from centred features to a score per level.
        temperature: how sharply scores become probabilities.
        shown_L: which levels the examples show; the others have the probability 0.
        left_out_EL: the examples' own probabilities, each with its context left out: what the comparison is worth.
    """

    mean_BD: Array
    scale_B: Array
    weights_FL: Array
    bias_L: Array
    temperature: float
    shown_L: NDArray[np.bool_]
    left_out_EL: Array

    def probabilities(self, features_TBD: Array) -> Array:
        """Probabilities of shape (pairs, levels); rows sum to 1."""
        flat_TF = _flat(features_TBD, self.mean_BD, self.scale_B)
        return _softmax(self.temperature * (flat_TF @ self.weights_FL + self.bias_L), self.shown_L)


def fit(
    features_EBD: Array, level_E: Sequence[int], group_E: Sequence[int], levels: int, *, ordered: bool
) -> Comparison:
    """Prepares the comparison with one criterion's examples.

    Args:
        features_EBD: the examples' features.
        level_E: the index of each example's level.
        group_E: which context each example belongs to.
        levels: how many levels the scale has.
        ordered: whether neighbouring levels are alike.

    Raises:
        ValueError: where the examples show fewer than two levels.
    """
    import numpy as np

    level = np.asarray(level_E, dtype=np.intp)
    counts_L = np.bincount(level, minlength=levels)
    shown_L = counts_L > 0
    if shown_L.sum() < 2:
        raise ValueError("the examples show fewer than two levels")
    one_hot_EL = np.eye(levels)[level]
    targets_EL = one_hot_EL @ _neighbourhood(levels) if ordered else one_hot_EL

    mean_BD = features_EBD.mean(axis=0)
    scale_B = np.sqrt(((features_EBD - mean_BD) ** 2).sum(axis=2).mean(axis=0))
    scale_B = np.where(scale_B > 1e-9, scale_B, 1.0)
    flat_EF = _flat(features_EBD, mean_BD, scale_B)
    design_EF = np.hstack([flat_EF, np.ones((len(level), 1))])

    weight_E = (1.0 / counts_L[level]) ** RARITY
    weight_E /= weight_E.mean()
    root_E1 = np.sqrt(weight_E)[:, None]
    left, singular, right = np.linalg.svd(root_E1 * design_EF, full_matrices=False)
    targets = root_E1 * targets_EL
    projected = left.T @ targets
    groups = _groups(group_E)

    best: tuple[float, float, float, Array] | None = None
    for ridge in RIDGES:
        shrink = singular**2 / (singular**2 + ridge)
        scores_EL = _left_out(left, shrink, targets, projected, groups) / root_E1
        for temperature in TEMPERATURES:
            shares_EL = _softmax(temperature * scores_EL, shown_L)
            likelihood_E = np.log(np.maximum(shares_EL[np.arange(len(level)), level], 1e-12))
            loss = -float((weight_E * likelihood_E).mean())
            if best is None or loss < best[0]:
                best = (loss, ridge, temperature, shares_EL)
    assert best is not None
    _, ridge, temperature, left_out_EL = best
    weights = right.T @ ((singular / (singular**2 + ridge))[:, None] * projected)
    return Comparison(mean_BD, scale_B, weights[:-1], weights[-1], temperature, shown_L, left_out_EL)


def _left_out(left: Array, shrink: Array, targets: Array, projected: Array, groups: list[NDArray[np.intp]]) -> Array:
    """What each example would have been given, had its group not been there."""
    import numpy as np

    fitted = left @ (shrink[:, None] * projected)
    result = np.empty_like(fitted)
    for members in groups:
        hat = (left[members] * shrink) @ left[members].T
        residual = np.linalg.solve(np.eye(len(members)) - hat, targets[members] - fitted[members])
        result[members] = targets[members] - residual
    return result


def _groups(group_E: Sequence[int]) -> list[NDArray[np.intp]]:
    import numpy as np

    group = np.asarray(group_E)
    names = np.unique(group)
    if len(names) < MIN_GROUPS:
        return [np.array([index]) for index in range(len(group))]
    return [np.flatnonzero(group == name) for name in names]


def _neighbourhood(levels: int) -> Array:
    """How much of an example's target each level has: most its own, less with distance; rows sum to 1."""
    import numpy as np

    steps = np.arange(levels, dtype=np.float64)
    reach = max(1.0, (levels - 1) / 4)  # on a scale of 101 levels, neighbours are further than one step
    shares = np.exp(-np.abs(steps[:, None] - steps[None, :]) / reach)
    return np.asarray(shares / shares.sum(axis=1, keepdims=True), dtype=np.float64)


def _flat(features_TBD: Array, mean_BD: Array, scale_B: Array) -> Array:
    import numpy as np

    blocks = features_TBD.shape[1]
    scaled = (features_TBD - mean_BD) / scale_B[:, None] / np.sqrt(blocks)
    return np.asarray(scaled.reshape(len(features_TBD), -1), dtype=np.float64)


def _softmax(scores_TL: Array, shown_L: NDArray[np.bool_]) -> Array:
    import numpy as np

    masked = np.where(shown_L, scores_TL, -np.inf)
    shares = np.exp(masked - masked.max(axis=1, keepdims=True))
    return np.asarray(shares / shares.sum(axis=1, keepdims=True), dtype=np.float64)
