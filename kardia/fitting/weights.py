"""Weights from people's overall ratings: ridge regression, or proportional-odds ordinal regression with L2.

The ratings, rescaled to [0, 1] by their range, are regressed on the inputs' values. How hard the weights are held back
is chosen by grouped cross-validation; the figures are of an outer one, in which that choice is made anew. Weights are
not negative unless it is allowed: a good criterion should not count against a reply.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from kardia.artifact import Bound, Linear, Ordinal, RatingScale, Weighted
from kardia.errors import InputError
from kardia.fitting import links
from kardia.fitting.cards import Cards, Subject
from kardia.fitting.report import Fit, Line, made, short
from kardia.fitting.table import Rated
from kardia.fitting.validation import agreement, chosen_strength, one_thread, out_of_fold

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]
    Index = NDArray[np.int64]

__all__ = ["STRENGTHS", "Kind", "fit_linear", "fit_ordinal", "fit_weights"]

Kind = Literal["linear", "ordinal"]

STRENGTHS = (0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0)
"""λ of `fit_linear` and `fit_ordinal`; values and ratings both lie in [0, 1]."""
MAX_RATINGS = 101


def fit_linear(x_NI: Array, y_N: Array, weight_N: Array, strength: float, nonnegative: bool) -> tuple[Array, float]:
    """Ridge regression: argmin Σ s·(y − b − x·w)² / Σ s + λ·Σ w².

    Args:
        x_NI: values, without gaps.
        y_N: ratings in [0, 1].
        weight_N: s, what each row counts.
        strength: λ.
        nonnegative: whether w ≥ 0.

    Returns:
        w (I,) and b.
    """
    import numpy as np
    from scipy.optimize import lsq_linear

    share_N = weight_N / weight_N.sum()
    x_I, y = share_N @ x_NI, float(share_N @ y_N)
    root_N1 = np.sqrt(share_N)[:, None]
    inputs = len(x_I)
    # the penalty as further rows, one an input, whose target is 0; the intercept goes with the means, unpenalised
    rows = np.vstack([root_N1 * (x_NI - x_I), np.sqrt(strength) * np.eye(inputs)])
    target = np.concatenate([root_N1[:, 0] * (y_N - y), np.zeros(inputs)])
    found = lsq_linear(rows, target, bounds=(0.0 if nonnegative else -np.inf, np.inf), method="bvls")
    w_I = np.asarray(found.x, dtype=np.float64)
    return w_I, y - float(x_I @ w_I)


def fit_ordinal(
    x_NI: Array, level_N: Index, weight_N: Array, strength: float, nonnegative: bool
) -> tuple[Array, Array]:
    """Proportional odds: argmin Σ s·(−ln P(level)) / Σ s + λ/2·Σ w², thresholds free.

    Args:
        x_NI: values, without gaps.
        level_N: the observed level of each row, from 0; every level occurs.
        weight_N, strength, nonnegative: as in `fit_linear`.

    Returns:
        w (I,) and rising thresholds (levels − 1,).
    """
    import numpy as np
    from scipy.optimize import minimize

    inputs, levels = x_NI.shape[1], int(level_N.max()) + 1
    total = weight_N.sum()

    def objective(free: Array) -> tuple[float, Array]:
        w_I, free_T = free[:inputs], free[inputs:]
        thresholds_T = links.as_thresholds(free_T)
        loss_N, by_eta_N, above_N, below_N = links.log_loss(x_NI @ w_I, thresholds_T, level_N)
        by_T = links.gathered(above_N * weight_N, below_N * weight_N, level_N, levels - 1) / total
        by_w_I = x_NI.T @ (by_eta_N * weight_N) / total + strength * w_I
        value = float(loss_N @ weight_N / total + strength / 2 * w_I @ w_I)
        return value, np.concatenate([by_w_I, links.free_gradient(free_T, by_T)])

    bounds = [(0.0 if nonnegative else None, None)] * inputs + [(None, None)] * (levels - 1)
    start = np.concatenate([np.zeros(inputs), links.as_free(links.start(level_N, levels))])
    found = minimize(objective, start, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": 1000})
    return found.x[:inputs], links.as_thresholds(found.x[inputs:])


class _Regression:
    """One kind of regression over a table, for any of its rows."""

    def __init__(self, table: Rated, kind: Kind, nonnegative: bool) -> None:
        import numpy as np

        self.kind, self.nonnegative = kind, nonnegative
        self.table = table
        self.x_CI = table.usable.values()
        self.ratings_L, level_R = np.unique(table.rating_R, return_inverse=True)
        self.level_R = level_R.astype(np.int64)
        self.y_C = (table.mean_C - table.span.low) / (table.span.high - table.span.low)

    def fit(self, fit_C: Index, strength: float) -> tuple[Array, Array, Array, Array]:
        """Weights (I,), fills (I,), thresholds or the intercept, and the ratings that the thresholds part."""
        import numpy as np

        fill_I = _means(self.x_CI[fit_C])
        x_CI = np.where(np.isnan(self.x_CI), fill_I, self.x_CI)
        if self.kind == "linear":
            weights_I, intercept = fit_linear(
                x_CI[fit_C], self.y_C[fit_C], np.ones(len(fit_C)), strength, self.nonnegative
            )
            return weights_I, fill_I, np.array([intercept]), self.ratings_L
        rows_R = np.flatnonzero(np.isin(self.table.card_R, fit_C))
        there_L, level_R = np.unique(self.level_R[rows_R], return_inverse=True)
        if len(there_L) < 2:  # these people gave one rating only: it is what is expected
            return np.zeros(len(fill_I)), fill_I, np.zeros(0), self.ratings_L[there_L]
        weights_I, thresholds_T = fit_ordinal(
            x_CI[self.table.card_R[rows_R]],
            level_R.astype(np.int64),
            self.table.weight_R[rows_R],
            strength,
            self.nonnegative,
        )
        return weights_I, fill_I, thresholds_T, self.ratings_L[there_L]

    def predict(self, fit_C: Index, held_C: Index, strength: float) -> Array:
        """Predicted mean ratings of held-out cards, as numbers in [0, 1]."""
        import numpy as np

        weights_I, fill_I, rest, ratings_L = self.fit(fit_C, strength)
        eta_C = np.where(np.isnan(self.x_CI[held_C]), fill_I, self.x_CI[held_C]) @ weights_I
        if self.kind == "linear":
            return np.asarray(np.clip(eta_C + rest[0], 0.0, 1.0), dtype=np.float64)
        span = self.table.span
        return (links.expected(eta_C, rest, ratings_L) - span.low) / (span.high - span.low)

    def loss(self, fit_C: Index, held_C: Index, strength: float) -> float:
        """The sum of the held-out cards' squared errors."""
        error_C = self.predict(fit_C, held_C, strength) - self.y_C[held_C]
        return float(error_C @ error_C)


def _means(x_CI: Array) -> Array:
    """Each input's mean over the cards that it applies to; over none: a half."""
    import numpy as np

    there_I = (~np.isnan(x_CI)).sum(0)
    return np.where(there_I > 0, np.nansum(x_CI, axis=0) / np.maximum(there_I, 1), 0.5)


@one_thread()
def fit_weights(
    table: Rated,
    cards: Cards,
    subject: Subject,
    *,
    kind: Kind = "linear",
    nonnegative: bool = True,
    folds: int = 5,
    seed: int = 0,
) -> Fit:
    """Fits weights to people's overall ratings.

    Args:
        table: cards with their ratings.
        cards: where they come from.
        subject: the rubric that they are fitted for.
        kind: `linear`, or `ordinal`.
        nonnegative: whether no weight may be below 0.
        folds, seed: of the cross-validation.

    Raises:
        InputError: `ordinal` for ratings with more than 101 different values.
    """
    import numpy as np

    work = _Regression(table, kind, nonnegative)
    if kind == "ordinal" and len(work.ratings_L) > MAX_RATINGS:
        raise InputError(
            f"there are {len(work.ratings_L)} different ratings: too many steps for an ordinal fit; use --kind linear"
        )
    groups = table.groups
    all_C = np.arange(len(groups))

    def strength_of(rows_C: Index) -> float:
        return chosen_strength(work.loss, rows_C, groups, STRENGTHS, folds, seed + 1)

    def predict(fit_C: Index, held_C: Index) -> Array:
        return work.predict(fit_C, held_C, strength_of(fit_C))

    predicted_C = out_of_fold(predict, groups, folds, seed, ())
    mean_C = out_of_fold(lambda fit, held: np.full(len(held), work.y_C[fit].mean()), groups, folds, seed, ())
    lines = [
        _line(f"learned ({kind})", predicted_C, table),
        _line("the rubric as it is", np.array(table.usable.scores), table),
        _line("all inputs alike", np.nanmean(work.x_CI, axis=1), table),
        _line("the ratings' mean", mean_C, table, constant=True),
    ]
    strength = strength_of(all_C)
    weights_I, fill_I, rest, ratings_L = work.fit(all_C, strength)
    inputs = [
        Weighted(id=key, weight=short(weight), fill=short(fill))
        for key, weight, fill in zip(table.usable.ids, weights_I.tolist(), fill_I.tolist(), strict=True)
    ]
    facts = made(
        cards,
        seed,
        table.data,
        table.counts,
        {"strength": strength, "nonnegative": nonnegative, "folds": folds},
        lines,
    )
    bound = Bound(name=subject.rubric.name, hash=subject.rubric.asked_hash)
    artifact: Linear | Ordinal
    if kind == "linear":
        artifact = Linear(
            kardia="aggregate/1",
            kind="linear",
            rubric=bound,
            inputs=inputs,
            intercept=short(float(rest[0])),
            made=facts,
        )
    else:
        span = table.span
        artifact = Ordinal(
            kardia="aggregate/1",
            kind="ordinal",
            rubric=bound,
            inputs=inputs,
            thresholds=[short(one) for one in rest.tolist()],
            scale=RatingScale(low=span.low, high=span.high, ratings=ratings_L.tolist()),
            made=facts,
        )
    columns = {
        item.id: {"weight": item.weight, "mean": item.fill, "correlation": _alone(work.x_CI[:, place], work.y_C)}
        for place, item in enumerate(inputs)
    }
    return Fit(artifact, _title(table), tuple(lines), columns, _remarks(inputs, nonnegative, lines))


def _alone(x_C: Array, y_C: Array) -> float:
    import numpy as np

    there = ~np.isnan(x_C)
    r = agreement(x_C[there], y_C[there]).pearson if there.sum() else None
    return 0.0 if r is None else r


def _line(name: str, score_C: Array, table: Rated, *, constant: bool = False) -> Line:
    span = table.span
    found = agreement(span.low + score_C * (span.high - span.low), table.mean_C).to_json()
    return Line(name, {**found, "pearson": None, "spearman": None} if constant else found)


def _title(table: Rated) -> str:
    span, counts = table.span, table.counts
    by = f" by {counts['annotators']:,} people" if "annotators" in counts else ""
    what = f"{counts['ratings']:,} ratings{by} of {counts['cards']:,} replies"
    return f"Against {what}, from {span.low:g} to {span.high:g}; errors in ratings"


def _remarks(inputs: list[Weighted], nonnegative: bool, lines: list[Line]) -> tuple[str, ...]:
    found: list[str] = []
    zero = [item.id for item in inputs if item.weight == 0]
    if zero and nonnegative:
        found.append(
            f"Without influence, because they would count against a reply or add nothing: {', '.join(zero)}. "
            "--allow-negative lets them."
        )
    own, rubric, mean = (lines[place].figures for place in (0, 1, 3))
    if own["rmse"] is not None and mean["rmse"] is not None and own["rmse"] >= mean["rmse"]:
        found.append("The fit predicts no better than the ratings' mean: do not use it. More ratings may help.")
    elif (own["pearson"] or 0.0) <= (rubric["pearson"] or 0.0):
        found.append("The fit ranks replies no better than the rubric does as it is: there is little reason to use it.")
    return tuple(found)
