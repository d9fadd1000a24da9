"""Rules against another implementation, and what they do to judgments."""

from __future__ import annotations

import math

import pytest

pytest.importorskip("numpy", reason="calibration needs kardia[agree]")
pytest.importorskip("scipy", reason="calibration needs kardia[agree]")

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from kardia.answer import from_distribution
from kardia.calibration import fitting
from kardia.calibration.applying import applied, interpolated, nearest_level, softened
from kardia.calibration.artifact import Isotonic, Temperature, Threshold, Unchanged
from kardia.judgment import Judgment
from kardia.rubric.models import Criterion

WARM = Criterion(id="warm", question="How warm?", scale={"levels": {1: "Cold.", 5: "Warm."}})
COLD = Criterion(id="cold", question="How cold?", scale={"levels": {1: "Warm.", 5: "Cold."}}, good="low")
BLAMES = Criterion(id="blames", question="Does it blame?", scale={"type": "binary"}, good="no")
PAIRS = st.lists(st.tuples(st.integers(0, 20), st.integers(0, 4)), min_size=2, max_size=40)


@settings(max_examples=40, deadline=None)
@given(PAIRS)
def test_isotonic_is_that_of_scikit_learn(pairs):
    other = pytest.importorskip("sklearn.isotonic").IsotonicRegression(out_of_bounds="clip")
    value_N = np.asarray([x / 20 for x, _ in pairs])
    people_N = np.asarray([y / 4 for _, y in pairs])
    x, y = fitting._isotonic(value_N, people_N)
    other.fit(value_N, people_N)
    for at in np.linspace(0, 1, 41):
        assert interpolated(x, y, float(at)) == pytest.approx(other.predict([at])[0], abs=2e-6)  # six decimals are kept


@settings(max_examples=40, deadline=None)
@given(PAIRS)
def test_cuts_are_no_worse_than_the_nearest_levels(pairs):
    sklearn = pytest.importorskip("sklearn.metrics")
    value_N = np.asarray([x / 20 for x, _ in pairs])
    place_N = np.asarray([y for _, y in pairs])
    cuts = fitting._cuts(value_N, place_N, (0.0, 0.25, 0.5, 0.75, 1.0))
    assert cuts == sorted(cuts)

    def kappa(cuts):
        found = fitting._placed(cuts, value_N)
        if len({*found.tolist(), *place_N.tolist()}) == 1:
            return 0.0
        kept = sklearn.cohen_kappa_score(found, place_N, weights="quadratic", labels=range(5))
        assert kept == pytest.approx(float(fitting._kappas(found[None], place_N)[0]), abs=1e-9)
        return kept

    assert kappa(cuts) >= kappa([0.125, 0.375, 0.625, 0.875]) - 1e-9


def test_cuts_find_a_shift():
    value_N = np.asarray([0.25, 0.5, 0.75, 1.0, 1.0] * 8)
    place_N = np.asarray([0, 1, 2, 3, 3] * 8)
    cuts = fitting._cuts(value_N, place_N, (0.0, 0.25, 0.5, 0.75, 1.0))
    assert fitting._placed(cuts, value_N).tolist() == place_N.tolist()


@pytest.mark.parametrize("true", [0.5, 1.0, 2.5])
def test_the_temperature_that_was_planted_is_found(true):
    generator = np.random.default_rng(3)
    share_NL = generator.dirichlet(np.ones(4), 4000)
    likely_NL = share_NL ** (1 / true)
    likely_NL /= likely_NL.sum(axis=1, keepdims=True)
    drawn_N = (likely_NL.cumsum(axis=1) < generator.random((4000, 1))).sum(axis=1)
    found = fitting._temperature(share_NL, np.eye(4)[np.minimum(drawn_N, 3)])
    assert found == pytest.approx(true, rel=0.08)


def rule(kind, **parameters):
    return kind.model_construct(**parameters)


def test_isotonic_moves_value_and_level():
    halved = rule(Isotonic, method="isotonic", x=[0.0, 1.0], y=[0.0, 0.5])
    said = Judgment("warm", "scored", 5, 1.0, "Kind words.", ("dear",))
    found = applied(halved, WARM, said)
    assert (found.level, found.value, found.probabilities) == (3, 0.5, None)
    assert (found.reason, found.evidence) == (said.reason, said.evidence)
    assert found.uncalibrated == {"level": 5, "value": 1.0, "probabilities": None}
    assert found.to_json()["uncalibrated"]["level"] == 5
    # 1 is good: on a scale where low is good the half is the middle as well, and 0.375 is between 4 and 3
    assert applied(halved, COLD, Judgment("cold", "scored", 1, 1.0)).level == 3
    assert applied(halved, COLD, Judgment("cold", "scored", 2, 0.75)).level == 4


def test_on_two_levels_a_value_is_a_probability():
    found = applied(
        rule(Isotonic, method="isotonic", x=[0.0, 1.0], y=[0.1, 0.8]), BLAMES, Judgment("b", "scored", "no", 1.0)
    )
    assert (found.level, found.value) == ("no", 0.8)
    assert found.probabilities == pytest.approx({"no": 0.8, "yes": 0.2})


def test_thresholds_choose_the_level_by_value():
    cuts = rule(Threshold, method="threshold", cuts=[0.3, 0.6, 0.8, 0.95])
    for value, level, worth in ((0.29, 1, 0.0), (0.3, 2, 0.25), (0.94, 4, 0.75), (1.0, 5, 1.0)):
        found = applied(cuts, WARM, Judgment("warm", "scored", 5, value))
        assert (found.level, found.value) == (level, worth)
    assert applied(cuts, COLD, Judgment("cold", "scored", 1, 0.29)).level == 5


def test_a_temperature_keeps_the_level_that_was_said():
    soft = rule(Temperature, method="temperature", temperature=2.0)
    shares = {1: 0.0, 2: 0.1, 3: 0.1, 4: 0.2, 5: 0.6}
    read_off = applied(soft, WARM, from_distribution(WARM, shares))
    assert read_off.probabilities[5] < 0.6
    assert math.fsum(read_off.probabilities.values()) == pytest.approx(1)
    assert read_off.value == pytest.approx(sum(p * (level - 1) / 4 for level, p in read_off.probabilities.items()))
    assert applied(soft, WARM, from_distribution(WARM, shares, level=2)).level == 2
    with pytest.raises(ValueError, match="has none"):
        applied(soft, WARM, Judgment("warm", "scored", 5, 1.0))


@pytest.mark.parametrize("status", ["unscored", "abstained", "not_applicable"])
def test_what_has_no_level_stays_without_one(status):
    said = Judgment("warm", status, error="nobody said")
    assert applied(rule(Isotonic, method="isotonic", x=[0.5], y=[1.0]), WARM, said) is said


def test_nothing_is_changed_by_no_rule():
    said = Judgment("warm", "scored", 5, 1.0)
    assert applied(rule(Unchanged, method="none"), WARM, said) is said


@given(st.lists(st.floats(0, 1), min_size=2, max_size=6), st.floats(0.1, 10))
def test_softening_keeps_the_order_and_sums_to_one(shares, temperature):
    found = softened(dict(enumerate(shares)), temperature)
    assert math.fsum(found.values()) == pytest.approx(1)
    for one, a in enumerate(shares):
        for other, b in enumerate(shares):
            assert a < b or found[one] >= found[other] - 1e-12


def test_of_two_levels_as_near_the_less_good_one_is_taken():
    assert nearest_level({1: 0.0, 2: 0.25, 3: 0.5}, 0.375) == 2
    assert nearest_level({1: 1.0, 2: 0.5, 3: 0.0}, 0.75) == 2
