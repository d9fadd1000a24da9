"""The calibration network: gradients, annotators of their own, and scoring as the average one."""

from __future__ import annotations

import pytest
from making import make, ordinal, without

from kardia.errors import InputError
from kardia.fitting.calibration import Calibrator, _Posterior, annotator_means, fit_calibration
from kardia.fitting.cards import Card, Cards, counted_shares
from kardia.fitting.ratings import Rating
from kardia.fitting.table import rated
from kardia.fitting.validation import agreement, one_thread
from kardia.judgment import Judgment
from kardia.learned import calibration_score

from .simulated import JUDGE, SPAN, subject

np = pytest.importorskip("numpy", reason="fitting needs kardia[local]")
pytest.importorskip("scipy", reason="fitting needs kardia[local]")

RUBRIC = make(ordinal("warm", 1, 4), ordinal("clear", 1, 4), ordinal("brief", 1, 4), name="made")


def people(count=160, annotators=4, *, signal=3.0, severity=1.0, gaps=0.0, seed=0):
    """Distributions over levels, and ratings by annotators who are severe or mild; one rating a card."""
    random = np.random.default_rng(seed)
    cards = Cards("scores.jsonl", judge=dict(JUDGE))
    ratings = []
    leaning_A = np.linspace(-severity, severity, annotators)
    for number in range(count):
        judgments = {}
        for criterion in RUBRIC.criteria:
            share_L = random.dirichlet(np.full(4, 0.7))
            shares = dict(zip(criterion.levels, share_L.tolist(), strict=True))
            value = sum(share * criterion.value(level) for level, share in shares.items())
            level = max(shares, key=shares.__getitem__)
            judgments[criterion.id] = Judgment(criterion.id, "scored", level, value, probabilities=shares)
            if random.uniform() < gaps:
                judgments[criterion.id] = without(criterion, "not_applicable")
        key = f"c{number}"
        cards.by_id[key] = Card(key, f"id {key}", number + 1, judgments, False)
        annotator = int(random.integers(annotators))
        merit = (judgments["warm"].value or 0.5) + 0.5 * (judgments["clear"].value or 0.5)
        rating = 3 + signal * (merit - 0.75) + leaning_A[annotator] + random.normal(0, 0.5)
        ratings.append(Rating(key, float(np.clip(np.rint(rating), 1, 5)), f"a{annotator}", number + 2))
    return cards, ratings


def table(cards, ratings):
    return rated(cards, ratings, tuple(counted_shares(RUBRIC, "criteria")), subject(RUBRIC), SPAN)


def test_gradient():
    from scipy.optimize import check_grad

    random = np.random.default_rng(0)
    x_RD, level_R = random.normal(size=(30, 5)), random.integers(0, 4, 30)
    annotator_R = random.integers(-1, 3, 30)
    posterior = _Posterior(x_RD, level_R, annotator_R, 3, 4)
    start = random.normal(0, 0.5, 4 * 5 + 4 + 4 + 3 * 4 + 3 + 3)
    assert check_grad(lambda x: posterior(x, 0.7)[0], lambda x: posterior(x, 0.7)[1], start) < 1e-4


def test_the_judge_and_the_annotators_are_both_learned():
    cards, ratings = people()
    fit = fit_calibration(table(cards, ratings), cards, subject(RUBRIC))
    lines = {line.name: line.figures for line in fit.lines}
    knowing, shared = lines["network, knowing who rates"], lines["network, the average annotator"]
    means = lines["each annotator's mean"]
    assert knowing["pearson"] > max(shared["pearson"], means["pearson"]) + 0.1
    assert shared["pearson"] > 0.4
    assert knowing["rmse"] < means["rmse"] - 0.1
    assert lines["the ratings' mean"]["pearson"] is None
    assert fit.artifact.made.counts == {"cards": 160, "ratings": 160, "annotators": 4}


def test_where_the_judge_says_nothing_it_is_the_annotators_mean():
    cards, ratings = people(signal=0.0)
    data = table(cards, ratings)
    lines = {line.name: line.figures for line in fit_calibration(data, cards, subject(RUBRIC)).lines}
    assert lines["network, knowing who rates"]["rmse"] < 1.05 * lines["each annotator's mean"]["rmse"]


def test_without_names_there_is_one_annotator():
    cards, ratings = people(severity=0.0)
    ratings = [Rating(one.id, one.value, None, one.line) for one in ratings]
    fit = fit_calibration(table(cards, ratings), cards, subject(RUBRIC))
    assert [line.name for line in fit.lines] == [
        "network, the average annotator",
        "the rubric as it is",
        "the ratings' mean",
    ]
    assert fit.lines[0].figures["pearson"] > 0.5


def test_what_was_fitted_is_what_scores():
    cards, ratings = people(60, gaps=0.2)
    data = table(cards, ratings)
    fit = fit_calibration(data, cards, subject(RUBRIC))
    work = Calibrator(data.usable.shares(RUBRIC), data.card_R, data.rating_R, data.annotator_R)
    every_R = np.arange(len(data.rating_R))
    with one_thread():
        predicted_R = work.predict(work.fit(every_R), every_R, shared=True)
    assert np.ptp(predicted_R) > 0.3
    for inputs, predicted in zip(data.usable.inputs, predicted_R, strict=True):
        assert calibration_score(fit.artifact, inputs.shares) == pytest.approx(SPAN.rescaled(predicted), abs=1e-4)


def test_a_new_annotator_is_the_average_one():
    cards, ratings = people(60)
    data = table(cards, ratings)
    work = Calibrator(data.usable.shares(RUBRIC), data.card_R, data.rating_R, data.annotator_R)
    seen_R = np.flatnonzero(data.annotator_R != 2)
    new_R = np.flatnonzero(data.annotator_R == 2)
    with one_thread():
        fitted = work.fit(seen_R)
    assert work.predict(fitted, new_R) == pytest.approx(work.predict(fitted, new_R, shared=True), abs=1e-3)


def test_annotators_means():
    rating_R = np.array([1.0, 3.0, 5.0, 4.0, 2.0, 2.0])
    annotator_R = np.array([0, 0, 1, 1, 2, -1])
    fit_R, held_R = np.array([0, 1, 2]), np.array([3, 4, 5])
    assert annotator_means(rating_R, annotator_R, fit_R, held_R).tolist() == [5.0, 3.0, 3.0]
    nobody_R = np.full(6, -1)
    assert annotator_means(rating_R, nobody_R, fit_R, held_R).tolist() == [3.0, 3.0, 3.0]


def test_more_data_follow_the_judge_more():
    few, many = (
        fit_calibration(table(*both), both[0], subject(RUBRIC)).lines[1].figures["pearson"]
        for both in (people(40, seed=3), people(320, seed=3))
    )
    assert many > few


def test_the_same_again():
    cards, ratings = people(40)
    one, two = (fit_calibration(table(cards, ratings), cards, subject(RUBRIC), seed=1).artifact for _ in range(2))
    assert one == two


def test_all_of_one_rating_in_a_fold_is_no_fault():
    cards, ratings = people(12)
    ratings = [Rating(one.id, 4.0 if place else 2.0, one.annotator, one.line) for place, one in enumerate(ratings)]
    data = table(cards, ratings)
    fit = fit_calibration(data, cards, subject(RUBRIC), folds=12)
    assert fit.artifact.scale.ratings == [2.0, 4.0]
    assert agreement(np.array([1.0]), np.array([1.0])).pearson is None


def test_too_many_ratings():
    cards, ratings = people(40)
    ratings = [Rating(one.id, 1 + place / 10, one.annotator, one.line) for place, one in enumerate(ratings)]
    with pytest.raises(InputError, match="40 different ratings"):
        fit_calibration(table(cards, ratings), cards, subject(RUBRIC))
