"""The calibration network: a judge's answer distributions → the overall rating that people give (LLM-Rubric, Hashemi et
al. 2024, arXiv 2501.00274).

A small network with one hidden layer reads every criterion's distribution and gives one number η; a cumulative link
makes it a distribution over ratings. Every annotator has parameters of their own on top of the shared ones: an offset
of η, and one of each hidden unit. What scores is the shared path, the average annotator.

kardia's own, where the paper has two hidden layers, a softmax and pre-training on further questions: the ordered
output; Gaussian priors around 0, so that without evidence an annotator is the average one and η does not depend on the
judge; and, in place of one strength of the prior that cross-validation would choose, an ensemble of networks over a
range of strengths. With a few hundred ratings such a choice is mostly noise, and the mean over the range does better
(benchmarks/README.md); with many ratings all strengths come to the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kardia.artifact import Bound, Calibration, Distribution, Layer, Network, RatingScale
from kardia.errors import InputError
from kardia.fitting import links
from kardia.fitting.cards import Cards, Subject
from kardia.fitting.report import Fit, Line, made, short
from kardia.fitting.table import Rated
from kardia.fitting.validation import agreement, one_thread, out_of_fold

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]
    Index = NDArray[np.int64]

__all__ = ["STARTS", "STRENGTHS", "Calibrator", "annotator_means", "fit_calibration"]

STRENGTHS = (0.5, 1.0, 2.0, 4.0, 8.0)
"""Of the prior of the shared weights, whose standard deviation is 1/√strength."""
STARTS = 1
"""Networks of each strength, from different starts."""
OFFSET_STRENGTH = 1.0
"""Of an annotator's offset of η, in logits."""
UNIT_STRENGTH = 4.0
"""Of an annotator's offset of a hidden unit."""
BIAS_STRENGTH = 0.1
HIDDEN = 8
MAX_RATINGS = 21


@dataclass(frozen=True)
class _Fitted:
    """One fit: the ensemble's parameters.

    Attributes:
        mean_D: each input's mean over the rows of the fit.
        hidden_MHD, bias_MH, out_MH: the shared weights of each network.
        units_MAH, offset_MA: the annotators'.
        thresholds_MT: rising.
        ratings_L: what the thresholds part.
    """

    mean_D: Array
    hidden_MHD: Array
    bias_MH: Array
    out_MH: Array
    units_MAH: Array
    offset_MA: Array
    thresholds_MT: Array
    ratings_L: Array


class Calibrator:
    """Fits the network to any rows of a table, and predicts others.

    Args:
        x_CD: each card's distributions, all criteria in a row; NaN where one is not applicable.
        card_R: which card each rating is of.
        rating_R: the ratings.
        annotator_R: who rated, from 0; −1 where nobody is named.
        hidden: hidden units of a network.
        seed: of the starts.
        strengths, starts: the ensemble: so many networks of each strength.
    """

    def __init__(
        self,
        x_CD: Array,
        card_R: Index,
        rating_R: Array,
        annotator_R: Index,
        *,
        hidden: int = HIDDEN,
        seed: int = 0,
        strengths: Sequence[float] = STRENGTHS,
        starts: int = STARTS,
    ) -> None:
        import numpy as np

        self.x_CD, self.card_R, self.rating_R, self.annotator_R = x_CD, card_R, rating_R, annotator_R
        self.annotators = int(annotator_R.max()) + 1
        self.hidden, self.seed = hidden, seed
        self.strengths = [strength for strength in strengths for _ in range(starts)]
        self.ratings_L = np.unique(rating_R)

    def fit(self, rows_R: Index) -> _Fitted:
        """Maximises the posterior on these rows, once for each network."""
        import numpy as np

        x_RD = self.x_CD[self.card_R[rows_R]]
        there_D = np.maximum((~np.isnan(x_RD)).sum(0), 1)
        mean_D = np.nansum(x_RD, axis=0) / there_D
        ratings_L, level_R = np.unique(self.rating_R[rows_R], return_inverse=True)
        posterior = _Posterior(
            np.where(np.isnan(x_RD), 0.0, x_RD - mean_D),
            level_R.astype(np.int64),
            self.annotator_R[rows_R],
            max(self.annotators, 0),
            self.hidden,
        )
        found = [posterior.maximum(strength, self.seed + place) for place, strength in enumerate(self.strengths)]
        hidden, bias, out, units, offset, thresholds = (np.stack(each) for each in zip(*found, strict=True))
        return _Fitted(mean_D, hidden, bias, out, units, offset, thresholds, ratings_L)

    def predict(self, fitted: _Fitted, rows_R: Index, *, shared: bool = False) -> Array:
        """Expected ratings of these rows, by their annotators; `shared`, and for one who is new: by the average one."""
        import numpy as np

        x_RD = self.x_CD[self.card_R[rows_R]]
        x_RD = np.where(np.isnan(x_RD), 0.0, x_RD - fitted.mean_D)
        who_R = np.full(len(rows_R), -1) if shared else self.annotator_R[rows_R]
        expected_R = np.zeros(len(rows_R))
        for number in range(len(self.strengths)):
            # the last row is the average annotator's: index −1
            units_AH = np.vstack([fitted.units_MAH[number], np.zeros(self.hidden)])
            offset_A = np.append(fitted.offset_MA[number], 0.0)
            h_RH = np.tanh(x_RD @ fitted.hidden_MHD[number].T + fitted.bias_MH[number] + units_AH[who_R])
            eta_R = h_RH @ fitted.out_MH[number] + offset_A[who_R]
            expected_R += links.expected(eta_R, fitted.thresholds_MT[number], fitted.ratings_L)
        return expected_R / len(self.strengths)


class _Posterior:
    """−ln of the posterior of one network, and where it is lowest."""

    def __init__(self, x_RD: Array, level_R: Index, annotator_R: Index, annotators: int, hidden: int) -> None:
        self.x_RD, self.level_R, self.annotator_R = x_RD, level_R, annotator_R
        self.levels = int(level_R.max()) + 1
        self.annotators, self.hidden = annotators, hidden

    def unpack(self, free: Array) -> tuple[Array, Array, Array, Array, Array, Array]:
        """hidden (H, D), bias (H,), out (H,), the annotators' units (A, H) and offsets (A,), free thresholds."""
        shapes = self._shapes()
        parts: list[Array] = []
        at = 0
        for shape in shapes:
            size = 1
            for side in shape:
                size *= side
            parts.append(free[at : at + size].reshape(shape))
            at += size
        hidden_HD, bias_H, out_H, units_AH, offset_A, free_T = parts
        return hidden_HD, bias_H, out_H, units_AH, offset_A, free_T

    def _shapes(self) -> tuple[tuple[int, ...], ...]:
        h, d, a = self.hidden, self.x_RD.shape[1], self.annotators
        return (h, d), (h,), (h,), (a, h), (a,), (self.levels - 1,)

    def __call__(self, free: Array, strength: float) -> tuple[float, Array]:
        """The value, and its gradient."""
        import numpy as np

        hidden_HD, bias_H, out_H, units_AH, offset_A, free_T = self.unpack(free)
        known_R = self.annotator_R >= 0
        who_R = self.annotator_R[known_R]
        before_RH = self.x_RD @ hidden_HD.T + bias_H
        offset_R = np.zeros(len(self.x_RD))
        before_RH[known_R] += units_AH[who_R]
        offset_R[known_R] = offset_A[who_R]
        h_RH = np.tanh(before_RH)
        thresholds_T = links.as_thresholds(free_T)
        loss_R, by_eta_R, above_R, below_R = links.log_loss(h_RH @ out_H + offset_R, thresholds_T, self.level_R)
        by_before_RH = by_eta_R[:, None] * out_H * (1 - h_RH**2)
        by_units_AH, by_offset_A = np.zeros_like(units_AH), np.zeros_like(offset_A)
        np.add.at(by_units_AH, who_R, by_before_RH[known_R])
        np.add.at(by_offset_A, who_R, by_eta_R[known_R])
        value = float(loss_R.sum()) + 0.5 * (
            strength * float((hidden_HD**2).sum() + out_H @ out_H)
            + BIAS_STRENGTH * float(bias_H @ bias_H)
            + UNIT_STRENGTH * float((units_AH**2).sum())
            + OFFSET_STRENGTH * float(offset_A @ offset_A)
        )
        by_T = links.gathered(above_R, below_R, self.level_R, self.levels - 1)
        slopes = (
            (by_before_RH.T @ self.x_RD + strength * hidden_HD).ravel(),
            by_before_RH.sum(0) + BIAS_STRENGTH * bias_H,
            h_RH.T @ by_eta_R + strength * out_H,
            (by_units_AH + UNIT_STRENGTH * units_AH).ravel(),
            by_offset_A + OFFSET_STRENGTH * offset_A,
            links.free_gradient(free_T, by_T),
        )
        return value, np.concatenate(slopes)

    def maximum(self, strength: float, seed: int) -> tuple[Array, Array, Array, Array, Array, Array]:
        """The parameters where the posterior is highest, near a random start; thresholds last, rising."""
        import numpy as np
        from scipy.optimize import minimize

        random = np.random.default_rng(seed)
        h, d = self.hidden, self.x_RD.shape[1]
        start = (
            random.normal(0.0, 2.0 / np.sqrt(d), h * d),
            np.zeros(h),
            random.normal(0.0, 0.1, h),
            np.zeros(self.annotators * (h + 1)),
            links.as_free(links.start(self.level_R, self.levels)) if self.levels > 1 else np.zeros(0),
        )
        if self.levels == 1:  # everybody gave one rating: nothing to learn
            hidden_HD, bias_H, out_H, units_AH, offset_A, none_T = self.unpack(np.concatenate(start))
            return 0 * hidden_HD, bias_H, 0 * out_H, units_AH, offset_A, none_T
        found = minimize(
            self, np.concatenate(start), args=(strength,), jac=True, method="L-BFGS-B", options={"maxiter": 300}
        )
        *weights, free_T = self.unpack(found.x)
        hidden_HD, bias_H, out_H, units_AH, offset_A = weights
        return hidden_HD, bias_H, out_H, units_AH, offset_A, links.as_thresholds(free_T)


@one_thread()
def fit_calibration(
    table: Rated,
    cards: Cards,
    subject: Subject,
    *,
    hidden: int = HIDDEN,
    folds: int = 5,
    seed: int = 0,
) -> Fit:
    """Fits the calibration network.

    Args:
        table: cards with their ratings, over criteria.
        cards: where they come from.
        subject: the rubric that they are fitted for.
        hidden: hidden units of a network.
        folds, seed: of the cross-validation, whose folds part cards, not ratings.

    Raises:
        InputError: for more than 21 different ratings.
    """
    import numpy as np

    x_CD = table.usable.shares(subject.rubric)
    work = Calibrator(x_CD, table.card_R, table.rating_R, table.annotator_R, hidden=hidden, seed=seed)
    if len(work.ratings_L) > MAX_RATINGS:
        raise InputError(f"there are {len(work.ratings_L)} different ratings; this network tells {MAX_RATINGS} apart")
    groups = [table.groups[card] for card in table.card_R.tolist()]

    def predict(fit_R: Index, held_R: Index) -> Array:
        fitted = work.fit(fit_R)
        return np.stack(
            [
                work.predict(fitted, held_R),
                work.predict(fitted, held_R, shared=True),
                annotator_means(table.rating_R, table.annotator_R, fit_R, held_R),
                np.full(len(held_R), table.rating_R[fit_R].mean()),
            ],
            axis=1,
        )

    predicted_RN = out_of_fold(predict, groups, folds, seed, (4,))
    span, card_R = table.span, table.card_R
    own_R = span.low + np.array(table.usable.scores)[card_R] * (span.high - span.low)
    columns: list[tuple[str, Array]] = [
        ("network, the average annotator", predicted_RN[:, 1]),
        ("the rubric as it is", own_R),
    ]
    if table.annotators:
        columns.insert(0, ("network, knowing who rates", predicted_RN[:, 0]))
        columns.append(("each annotator's mean", predicted_RN[:, 2]))
    lines = [Line(name, agreement(column_R, table.rating_R).to_json()) for name, column_R in columns]
    mean = agreement(predicted_RN[:, 3], table.rating_R).to_json()
    lines.append(Line("the ratings' mean", {**mean, "pearson": None, "spearman": None}))
    all_R = np.arange(len(table.rating_R))
    fitted = work.fit(all_R)
    facts = made(
        cards,
        seed,
        table.data,
        table.counts,
        {"hidden": hidden, "networks": len(work.strengths), "folds": folds},
        lines,
    )
    artifact = Calibration(
        kardia="aggregate/1",
        kind="calibration",
        rubric=Bound(name=subject.rubric.name, hash=subject.rubric.asked_hash),
        inputs=_distributions(table, subject, fitted.mean_D),
        scale=RatingScale(low=span.low, high=span.high, ratings=fitted.ratings_L.tolist()),
        networks=[_network(fitted, number) for number in range(len(work.strengths))],
        made=facts,
    )
    counts = table.counts
    by = f" by {counts['annotators']:,} people" if "annotators" in counts else ""
    title = (
        f"Against {counts['ratings']:,} single ratings{by} of {counts['cards']:,} replies, from {span.low:g} to "
        f"{span.high:g}; errors in ratings"
    )
    return Fit(artifact, title, tuple(lines), {}, _remarks(lines, bool(table.annotators)))


def annotator_means(rating_R: Array, annotator_R: Index, fit_R: Index, held_R: Index) -> Array:
    """Each held-out row's prediction by its annotator's mean over the rows of the fit; one who is new: by the mean of
    all."""
    import numpy as np

    count = int(annotator_R.max()) + 2  # the last place is that of nobody: index −1
    who_R = annotator_R[fit_R] % count
    rows_A = np.bincount(who_R, minlength=count)
    sums_A = np.bincount(who_R, rating_R[fit_R], minlength=count)
    mean_A = np.where(rows_A > 0, sums_A / np.maximum(rows_A, 1), rating_R[fit_R].mean())
    return np.asarray(mean_A[annotator_R[held_R] % count], dtype=np.float64)


def _distributions(table: Rated, subject: Subject, mean_D: Array) -> list[Distribution]:
    inside = subject.rubric.root.inside
    found: list[Distribution] = []
    at = 0
    for key in table.usable.ids:
        levels = inside[key].levels
        fill = [short(share) for share in mean_D[at : at + len(levels)].tolist()]
        found.append(Distribution(id=key, levels=list(levels), fill=fill))
        at += len(levels)
    return found


def _network(fitted: _Fitted, number: int) -> Network:
    """One network, with the centring of its inputs in its biases."""
    weights_HD = fitted.hidden_MHD[number]
    bias_H = fitted.bias_MH[number] - weights_HD @ fitted.mean_D
    return Network(
        hidden=Layer(
            weights=[[short(one) for one in row] for row in weights_HD.tolist()],
            bias=[short(one) for one in bias_H.tolist()],
        ),
        out=[short(one) for one in fitted.out_MH[number].tolist()],
        thresholds=[short(one) for one in fitted.thresholds_MT[number].tolist()],
    )


def _remarks(lines: Sequence[Line], named: bool) -> tuple[str, ...]:
    by_name = {line.name: line.figures for line in lines}
    found: list[str] = []
    if named:
        found.append(
            "What scores is the average annotator: who will read a reply is not known. Knowing who rates is compared "
            "with each annotator's mean, which knows nothing of the reply."
        )
    own, mean = by_name["network, the average annotator"]["rmse"], by_name["the ratings' mean"]["rmse"]
    if own is not None and mean is not None and own >= mean:
        found.append("As the average annotator it predicts no better than the ratings' mean: do not use it.")
    return tuple(found)
