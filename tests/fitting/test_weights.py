"""Weights from ratings: those that made the ratings are found, and what was fitted is what scores."""

from __future__ import annotations

import pytest
from making import at, without

from kardia.aggregate import aggregate
from kardia.errors import InputError
from kardia.fitting.cards import Card, Cards, counted_shares
from kardia.fitting.ratings import Rating
from kardia.fitting.table import rated
from kardia.fitting.weights import fit_linear, fit_ordinal, fit_weights
from kardia.learned import linear_score, ordinal_score

from .simulated import JUDGE, RUBRIC, SPAN, subject

np = pytest.importorskip("numpy", reason="fitting needs kardia[local]")
pytest.importorskip("scipy", reason="fitting needs kardia[local]")

TRUE = {"warm": 2.5, "clear": 1.0, "tone": 0.0}
IDS = tuple(counted_shares(RUBRIC, "items"))


def people(count=120, *, raters=2, noise=0.4, seed=0, weights=TRUE, gaps=0.0):
    """Cards with random levels, and ratings 1 + Σ weight·value + noise, to whole numbers in 1 … 5."""
    random = np.random.default_rng(seed)
    cards = Cards("scores.jsonl", judge=dict(JUDGE))
    ratings = []
    for number in range(count):
        judgments = {}
        for criterion in RUBRIC.criteria:
            judgments[criterion.id] = at(criterion, criterion.levels[random.integers(len(criterion.levels))])
            if random.uniform() < gaps:
                judgments[criterion.id] = without(criterion, "not_applicable")
        key = f"c{number}"
        cards.by_id[key] = Card(key, f"g{number // 2}", number + 1, judgments, False)
        merit = sum(weight * (judgments[key].value or 0.0) for key, weight in weights.items())
        for rater in range(raters):
            value = float(np.clip(np.rint(1.2 + merit + random.normal(0, noise)), 1, 5))
            ratings.append(Rating(key, value, f"r{rater}", 2 * number + rater + 2))
    return cards, ratings


def table(cards, ratings, ids=IDS):
    return rated(cards, ratings, ids, subject(), SPAN)


def test_ridge_is_scikit_learns():
    linear_model = pytest.importorskip("sklearn.linear_model", reason="compares with scikit-learn")
    random = np.random.default_rng(0)
    x_NI, y_N, s_N = random.uniform(size=(60, 4)), random.uniform(size=60), random.uniform(0.5, 2, 60)
    for strength in (0.001, 0.1):
        for nonnegative in (False, True):
            theirs = linear_model.Ridge(alpha=strength * s_N.sum(), positive=nonnegative, tol=1e-10)
            theirs.fit(x_NI, y_N, sample_weight=s_N)
            ours_I, intercept = fit_linear(x_NI, y_N, s_N, strength, nonnegative)
            assert ours_I == pytest.approx(theirs.coef_, abs=1e-6)
            assert intercept == pytest.approx(theirs.intercept_, abs=1e-6)


def test_ordinal_regression_finds_what_made_the_ratings():
    random = np.random.default_rng(0)
    x_NI = random.uniform(size=(4000, 3))
    latent_N = x_NI @ [4.0, 2.0, -1.0] + random.logistic(size=4000)
    level_N = np.searchsorted([1.0, 3.0, 5.0], latent_N)
    weights_I, thresholds_T = fit_ordinal(x_NI, level_N, np.ones(4000), 1e-6, False)
    assert weights_I == pytest.approx([4.0, 2.0, -1.0], abs=0.35)
    assert thresholds_T == pytest.approx([1.0, 3.0, 5.0], abs=0.35)
    held_back_I, _ = fit_ordinal(x_NI, level_N, np.ones(4000), 1.0, False)
    assert np.abs(held_back_I).sum() < np.abs(weights_I).sum() / 3
    kept_I, _ = fit_ordinal(x_NI, level_N, np.ones(4000), 1e-6, True)
    assert kept_I[2] == 0.0
    assert (kept_I[:2] > 1).all()


@pytest.mark.parametrize("kind", ["linear", "ordinal"])
def test_weights_that_made_the_ratings(kind):
    cards, ratings = people()
    fit = fit_weights(table(cards, ratings), cards, subject(), kind=kind)
    weights = {item.id: item.weight for item in fit.artifact.inputs}
    assert weights["warm"] > 1.8 * weights["clear"] > 5 * weights["tone"] >= 0
    lines = {line.name: line.figures for line in fit.lines}
    learned, rubric = lines[f"learned ({kind})"], lines["the rubric as it is"]
    assert learned["pearson"] > rubric["pearson"] + 0.1
    assert learned["rmse"] < min(rubric["rmse"], lines["the ratings' mean"]["rmse"]) - 0.2
    assert lines["the ratings' mean"]["pearson"] is None
    assert fit.artifact.made.figures[f"learned ({kind})"]["rmse"] == pytest.approx(learned["rmse"], abs=1e-4)


@pytest.mark.parametrize(("kind", "apply"), [("linear", linear_score), ("ordinal", ordinal_score)])
def test_what_was_fitted_is_what_scores(kind, apply):
    from kardia.fitting.weights import _Regression

    cards, ratings = people(gaps=0.2)
    data = table(cards, ratings)
    fit = fit_weights(data, cards, subject(), kind=kind)
    work = _Regression(data, kind, True)
    every_C = np.arange(len(data.usable.cards))
    predicted_C = work.predict(every_C, every_C, fit.artifact.made.settings["strength"])
    for inputs, predicted in zip(data.usable.inputs, predicted_C, strict=True):
        assert apply(fit.artifact, inputs.values) == pytest.approx(predicted, abs=1e-5)


def test_the_same_again():
    cards, ratings = people(60)
    one, two = (fit_weights(table(cards, ratings), cards, subject(), seed=3).artifact for _ in range(2))
    assert one == two
    assert fit_weights(table(cards, ratings), cards, subject(), seed=4).artifact.made.seed == 4


def test_a_criterion_that_counts_against_a_reply():
    cards, ratings = people(weights={"warm": 3.0, "clear": -1.5, "tone": 0.0}, seed=1)
    data = table(cards, ratings)
    kept = fit_weights(data, cards, subject())
    assert {item.id: item.weight for item in kept.artifact.inputs}["clear"] == 0.0
    assert any("--allow-negative" in remark and "clear" in remark for remark in kept.remarks)
    free = fit_weights(data, cards, subject(), nonnegative=False)
    assert {item.id: item.weight for item in free.artifact.inputs}["clear"] < -0.2
    assert not any("--allow-negative" in remark for remark in free.remarks)


def test_noise_is_called_noise():
    cards, ratings = people(40, weights={}, noise=1.5, seed=5)
    fit = fit_weights(table(cards, ratings), cards, subject())
    figures = {line.name: line.figures for line in fit.lines}
    assert figures["learned (linear)"]["rmse"] >= figures["the ratings' mean"]["rmse"]
    assert any("do not use it" in remark for remark in fit.remarks)


def test_too_many_steps_for_an_ordinal_fit():
    cards, ratings = people(120, raters=1)
    ratings = [Rating(one.id, 1 + 0.03 * place, None, 1) for place, one in enumerate(ratings)]
    with pytest.raises(InputError, match="120 different ratings"):
        fit_weights(table(cards, ratings), cards, subject(), kind="ordinal")
    assert fit_weights(table(cards, ratings), cards, subject(), kind="linear").artifact.kind == "linear"


def test_a_rating_that_a_fold_has_not_seen():
    cards, ratings = people(20, raters=1, noise=0.0, weights={})
    ratings = [Rating(one.id, 2.0 if place else 5.0, None, 1) for place, one in enumerate(ratings)]
    fit = fit_weights(table(cards, ratings), cards, subject(), kind="ordinal")
    assert fit.artifact.scale.ratings == [2.0, 5.0]


# --- what is joined --------------------------------------------------------------------------------------------------


def test_what_is_left_out():
    cards, ratings = people(30, raters=1)
    shown = list(cards.by_id.values())
    gap = {**shown[0].judgments, "warm": without(RUBRIC.by_id["warm"])}
    none = {key: without(RUBRIC.by_id[key], "not_applicable") for key in shown[1].judgments}
    cards.by_id["c0"] = Card("c0", "g", 1, gap, False)
    cards.by_id["c1"] = Card("c1", "g", 2, none, False)
    cards.by_id["c2"] = Card("c2", "g", 3, shown[2].judgments, True)
    ratings = [one for one in ratings if one.id != "c3"] + [Rating("stranger", 3.0, None, 99)]
    data = table(cards, ratings)
    assert data.usable.left_out == {"something is unscored": 1, "nothing applies": 1, "a requirement failed": 1}
    assert (data.unknown, data.unrated, len(data.usable.cards)) == (1, 1, 26)
    assert data.counts == {"cards": 26, "ratings": 26, "annotators": 1}
    assert data.usable.scores[0] == aggregate(RUBRIC, data.usable.cards[0].judgments).score


def test_each_card_counts_once():
    cards, ratings = people(12, raters=1)
    ratings = [*ratings, *(Rating("c0", value, f"x{value}", 50) for value in (1.0, 5.0))]
    data = table(cards, ratings)
    assert np.bincount(data.card_R, data.weight_R).tolist() == pytest.approx([1.0] * 12)
    given = [one.value for one in ratings if one.id == "c0"]
    assert data.mean_C[0] == pytest.approx(sum(given) / 3)


def test_prompts_group_where_they_are_known():
    cards, ratings = people(12, raters=1)
    assert table(cards, ratings).groups[:3] == ("g0", "g0", "g1")
    prompts = {key: "same" if key in ("c0", "c5") else key for key in cards.by_id}
    known = rated(cards, ratings, IDS, subject(), SPAN, prompts).groups
    assert known[0] == known[5] == "prompt same"
    assert known[0] != known[1]


def test_too_little_to_fit():
    cards, ratings = people(9)
    with pytest.raises(InputError, match="only 9 of its cards are rated and can be fitted; at least 10"):
        table(cards, ratings)
    cards, ratings = people(12)
    with pytest.raises(InputError, match="every rating is 3"):
        table(cards, [Rating(one.id, 3.0, one.annotator, one.line) for one in ratings])
