"""Learned aggregation: by hand, within [0, 1], and within a rubric."""

from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from learning import calibration, gating, learned, linear
from learning import ordinal as ordinal_artifact
from making import at, binary, choice, make, ordinal, without

from kardia.aggregate import aggregate, inputs_of
from kardia.artifact import RatingScale, renormalises
from kardia.judgment import Judgment
from kardia.learned import (
    Beside,
    calibration_score,
    gate_weights,
    gating_score,
    level_shares,
    linear_score,
    ordinal_score,
    verbosity,
)
from kardia.rubric.rubric import Part

FRACTION = st.floats(0, 1)
NUMBER = st.floats(-20, 20)
SCALE = RatingScale(low=1.0, high=5.0, ratings=[1.0, 2.0, 3.0, 4.0, 5.0])


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


# --- by hand ---------------------------------------------------------------------------------------------------------


def test_linear_by_hand():
    artifact = linear({"a": 0.5, "b": 0.25}, 0.1, fill=0.4)
    assert linear_score(artifact, {"a": 1.0, "b": 0.5}) == pytest.approx(0.1 + 0.5 + 0.125)
    assert linear_score(artifact, {"a": 1.0}) == pytest.approx(0.1 + 0.5 + 0.25 * 0.4)  # b is not applicable
    assert linear_score(linear({"a": 5.0}), {"a": 1.0}) == 1.0
    assert linear_score(linear({"a": -5.0}), {"a": 1.0}) == 0.0


def test_what_is_unscored_gives_its_weight_to_the_rest():
    artifact = linear({"a": 0.5, "b": 0.25, "c": 0.25}, 0.1, fill=0.4)
    assert linear_score(artifact, {"a": 1.0, "b": 0.0}, ("c",)) == pytest.approx(0.1 + (0.5 / 0.75) * 1.0)
    # as the weighted mean does: without an intercept and with weights that sum to 1 it is one
    plain = linear({"a": 0.5, "b": 0.5})
    assert linear_score(plain, {"a": 0.3}, ("b",)) == pytest.approx(0.3)
    assert linear_score(linear({"a": 0.0, "b": 1.0}), {"a": 1.0}, ("b",)) is None


def test_ordinal_by_hand():
    artifact = ordinal_artifact({"a": 2.0}, [0.0], RatingScale(low=0.0, high=4.0, ratings=[1.0, 3.0]))
    # two ratings, 1 and 3, of a range from 0 to 4: (1 + 2·σ(2a)) / 4
    assert ordinal_score(artifact, {"a": 0.7}) == pytest.approx((1 + 2 * sigmoid(1.4)) / 4)
    assert ordinal_score(artifact, {}) == pytest.approx((1 + 2 * sigmoid(1.0)) / 4)


@given(st.lists(NUMBER, min_size=4, max_size=4), NUMBER, FRACTION)
def test_ordinal_is_the_expectation(thresholds, weight, value):
    thresholds = sorted(thresholds)
    below = [0.0, *(sigmoid(threshold - weight * value) for threshold in thresholds), 1.0]
    expected = sum(rating * (b - a) for rating, (a, b) in zip(SCALE.ratings, itertools.pairwise(below), strict=True))
    score = ordinal_score(ordinal_artifact({"a": weight}, thresholds, SCALE), {"a": value})
    assert score == pytest.approx((expected - 1) / 4, abs=1e-9)
    assert 0 <= score <= 1


def test_gate_by_hand():
    layers = [([[1.0, 0.0], [0.0, 1.0]], [0.0, 0.5]), ([[2.0, 0.0], [0.0, 1.0], [0.0, 0.0]], [0.0, 0.0, 1.0])]
    artifact = gating({"a": 0.0, "b": 0.0, "c": 0.0}, layers)
    raw = [math.exp(2 * math.tanh(0.6)), math.exp(math.tanh(1.3)), math.exp(1.0)]
    weights = gate_weights(artifact, (0.6, 0.8), ("a", "b", "c"))
    assert list(weights.values()) == pytest.approx([one / sum(raw) for one in raw])
    some = gate_weights(artifact, (0.6, 0.8), ("a", "c"))
    assert list(some.values()) == pytest.approx([raw[0] / (raw[0] + raw[2]), raw[2] / (raw[0] + raw[2])])
    score = gating_score(artifact, {"a": 1.0, "c": 0.5}, (0.6, 0.8), 100)
    assert score == pytest.approx(some["a"] + 0.5 * some["c"])
    assert gating_score(artifact, {}, (0.6, 0.8), 100) is None
    with pytest.raises(ValueError, match="a vector of 3 numbers"):
        gate_weights(artifact, (1.0, 0.0, 0.0), ("a",))


def test_the_length_is_taken_out():
    artifact = gating({"a": 0.5, "b": 0.0}, [([[0.0, 0.0], [0.0, 0.0]], [0.0, 0.0])], verbosity=(math.log(101), 2.0))
    assert verbosity(artifact, 100) == pytest.approx(0.0)
    assert verbosity(artifact, 1000) == pytest.approx((math.log(1001) - math.log(101)) / 2)
    score = gating_score(artifact, {"a": 0.8, "b": 0.6}, (0.0, 0.0), 1000)
    assert score == pytest.approx(0.7 - 0.5 * 0.5 * verbosity(artifact, 1000))
    assert gating_score(artifact, {"a": 0.0, "b": 0.0}, (0.0, 0.0), 1000) == 0.0


def test_calibration_by_hand():
    scale = RatingScale(low=1.0, high=3.0, ratings=[1.0, 2.0, 3.0])
    one = ([[1.0, -1.0, 0.5]], [0.2], [2.0], [-0.5, 0.5])
    two = ([[0.0, 0.0, 0.0]], [0.0], [0.0], [0.0, 0.0])
    artifact = calibration({"a": (1, 2, 3)}, [one, two], scale)
    eta = 2.0 * math.tanh(0.1 - 0.2 + 0.35 + 0.2)
    first = 1 + sigmoid(eta + 0.5) + sigmoid(eta - 0.5)
    assert calibration_score(artifact, {"a": (0.1, 0.2, 0.7)}) == pytest.approx(((first + 2.0) / 2 - 1) / 2)
    filled = 2.0 * math.tanh((1 - 1 + 0.5) / 3 + 0.2)
    first = 1 + sigmoid(filled + 0.5) + sigmoid(filled - 0.5)
    assert calibration_score(artifact, {}) == pytest.approx(((first + 2.0) / 2 - 1) / 2)


def test_an_answer_as_a_distribution():
    sure = Judgment("a", "scored", 2, 0.5)
    assert level_shares((1, 2, 3), sure) == (0.0, 1.0, 0.0)
    unsure = Judgment("a", "scored", 2, 0.6, probabilities={2: 0.6, 3: 0.199999})
    assert level_shares((1, 2, 3), unsure) == pytest.approx((0.0, 0.6 / 0.799999, 0.199999 / 0.799999))


def test_what_can_renormalise():
    assert renormalises(linear({"a": 0.0, "b": 1.0}))
    assert not renormalises(linear({"a": -0.1, "b": 1.0}))
    assert renormalises(gating({"a": 0.0}, [([[0.0, 0.0]], [0.0])]))
    assert not renormalises(ordinal_artifact({"a": 1.0}, [0.0], RatingScale(low=0.0, high=1.0, ratings=[0.0, 1.0])))


# --- whatever the numbers --------------------------------------------------------------------------------------------


@given(st.lists(st.tuples(NUMBER, FRACTION), min_size=1, max_size=5), NUMBER, st.integers(0, 100_000))
def test_every_score_lies_in_0_and_1(items, other, characters):
    values = {f"i{place}": value for place, (_, value) in enumerate(items)}
    weights = {f"i{place}": weight for place, (weight, _) in enumerate(items)}
    assert 0 <= linear_score(linear(weights, other), values) <= 1
    assert 0 <= ordinal_score(ordinal_artifact(weights, [other] * 4, SCALE), values) <= 1
    gate = gating(
        {key: abs(value) for key, value in values.items()},
        [([[weight, other] for weight, _ in items], [weight for weight, _ in items])],
    )
    assert 0 <= gating_score(gate, values, (0.6, -0.8), characters) <= 1
    chosen = gate_weights(gate, (0.6, -0.8), list(values))
    assert math.fsum(chosen.values()) == pytest.approx(1.0)
    network = ([[weight for weight, _ in items for _ in (1, 2)]], [other], [other], [0.0, 0.0, 0.0, 0.0])
    artifact = calibration(dict.fromkeys(values, (1, 2)), [network], SCALE)
    assert 0 <= calibration_score(artifact, {key: (value, 1 - value) for key, value in values.items()}) <= 1


@given(FRACTION, FRACTION, st.floats(0, 10))
def test_a_better_value_is_no_worse_under_a_weight_that_is_not_negative(a, b, weight):
    low, high = sorted((a, b))
    for artifact, apply in (
        (linear({"a": weight}), linear_score),
        (ordinal_artifact({"a": weight}, [-1.0, 0.0, 1.0, 2.0], SCALE), ordinal_score),
    ):
        assert apply(artifact, {"a": low}) <= apply(artifact, {"a": high}) + 1e-12


# --- within a rubric -------------------------------------------------------------------------------------------------


def judged(rubric, **levels):
    found = {}
    for item in rubric.criteria:
        level = levels[item.id.replace(".", "_")]
        found[item.id] = at(item, level) if level in item.levels else without(item, level)
    return found


def test_a_rubric_that_learned():
    rubric = learned(make(ordinal("warm"), binary("blames", good="no")), linear({"warm": 0.6, "blames": 0.2}, 0.1))
    outcome = aggregate(rubric, judged(rubric, warm=4, blames="no"))
    assert outcome.score == pytest.approx(0.1 + 0.6 * 0.75 + 0.2)
    assert outcome.status == "scored"


def test_a_veto_stands_whatever_was_learned():
    rubric = make(ordinal("warm"), binary("blames", good="no", required={"else_score": 0.05}))
    rubric = learned(rubric, linear({"warm": 1.0}))
    outcome = aggregate(rubric, judged(rubric, warm=5, blames="yes"))
    assert (outcome.score, outcome.vetoed_by) == (0.05, ("blames",))
    assert aggregate(rubric, judged(rubric, warm=5, blames="no")).score == 1.0
    assert aggregate(rubric, judged(rubric, warm=5, blames="unscored")).score is None


@pytest.mark.parametrize("gap", ["unscored", "abstained"])
def test_what_is_unscored(gap):
    weights = {"warm": 0.5, "clear": 0.25}
    whole = learned(make(ordinal("warm"), ordinal("clear")), linear(weights, 0.1))
    outcome = aggregate(whole, judged(whole, warm=5, clear=gap))
    assert (outcome.score, outcome.status, outcome.why) == (None, "unscored", "clear is not scored")
    rest = make(ordinal("warm"), ordinal("clear"), aggregate={"unscored": "renormalise"})
    rest = learned(rest, linear(weights, 0.1))
    outcome = aggregate(rest, judged(rest, warm=5, clear=gap))
    assert (outcome.score, outcome.status) == (pytest.approx(0.85), "partial")
    assert aggregate(rest, judged(rest, warm=gap, clear=gap)).score is None
    nothing = learned(
        make(ordinal("warm"), ordinal("clear"), aggregate={"unscored": "renormalise"}), linear({"warm": 1})
    )
    assert aggregate(nothing, judged(nothing, warm=gap, clear=5)).why == "warm is not scored"


def test_what_is_not_applicable_counts_as_its_mean():
    rubric = learned(make(ordinal("warm"), ordinal("clear")), linear({"warm": 0.5, "clear": 0.5}, fill=0.3))
    outcome = aggregate(rubric, judged(rubric, warm=5, clear="not_applicable"))
    assert (outcome.score, outcome.status) == (pytest.approx(0.5 + 0.15), "scored")
    none = aggregate(rubric, judged(rubric, warm="not_applicable", clear="not_applicable"))
    assert (none.score, none.why) == (None, "no criterion applies")


def test_interactions_and_shaping_keep_their_meaning():
    rule = {
        "interactions": [{"when": {"warm": {"at_least": 0.9}, "clear": {"at_most": 0.1}}, "add": -0.2}],
        "shaping": {"power": 2.0},
    }
    rubric = learned(make(ordinal("warm"), ordinal("clear"), aggregate=rule), linear({"warm": 0.5, "clear": 0.5}, 0.1))
    assert aggregate(rubric, judged(rubric, warm=5, clear=1)).score == pytest.approx((0.6 - 0.2) ** 2)
    assert aggregate(rubric, judged(rubric, warm=5, clear=5)).score == pytest.approx(1.0)


def test_every_kind_within_a_rubric():
    plain = make(ordinal("warm", 1, 3), choice("tone"))
    judgments = judged(plain, warm=3, tone="neutral")
    assert aggregate(
        learned(plain, ordinal_artifact({"warm": 1.0, "tone": 2.0}, [0.0, 1.0, 2.0, 3.0], SCALE)), judgments
    )
    tone = ("warm", "neutral", "cold")
    network = ([[0.0, 0.0, 0.0, 0.0, 1.0, 0.0]], [0.0], [4.0], [0.0, 0.0, 0.0, 0.0])
    calibrated = learned(plain, calibration({"warm": (1, 2, 3), "tone": tone}, [network], SCALE))
    assert aggregate(calibrated, judgments).score == pytest.approx(sigmoid(4 * math.tanh(1.0)))
    gate = gating({"warm": 0.0, "tone": 0.0}, [([[1.0, 0.0], [0.0, 1.0]], [0.0, 0.0])])
    gated = learned(plain, gate)
    with pytest.raises(ValueError, match=r"a\.json weighs criteria by the prompt"):
        aggregate(gated, judgments)
    with pytest.raises(ValueError, match="hand over its vector"):
        aggregate(gated, judgments, Beside(100, {}))
    outcome = aggregate(gated, judgments, Beside(100, {gate.encoder.sha256: (1.0, 0.0)}))
    assert outcome.score == pytest.approx((math.e + 0.5) / (math.e + 1))


def family():
    """A rubric with an include, which has an include: ids such as `inner.deep.calm`."""
    deep = make(ordinal("calm"), name="deep")
    inner = make(ordinal("clear"), ordinal("short"), name="inner", parts=(Part("deep", 1.0, deep),))
    return make(ordinal("warm"), parts=(Part("inner", 2.0, inner),)), inner


def test_inputs_may_be_includes_or_criteria_within_them():
    plain, _ = family()
    judgments = judged(plain, warm=5, inner_clear=1, inner_short=3, inner_deep_calm=5)
    items = learned(plain, linear({"warm": 0.5, "inner": 0.5}))
    assert aggregate(items, judgments).score == pytest.approx(0.5 + 0.5 * (0 + 0.5 + 1) / 3)
    within = learned(plain, linear({"warm": 0.5, "inner.short": 0.3, "inner.deep.calm": 0.2}))
    assert aggregate(within, judgments).score == pytest.approx(0.5 + 0.15 + 0.2)
    gap = judgments | {"inner.deep.calm": without(plain.by_id["inner.deep.calm"])}
    assert aggregate(within, gap).score is None
    inputs = inputs_of(plain, ("warm", "inner", "inner.clear", "inner.deep.calm"), gap)
    assert inputs.values == {"warm": 1.0, "inner.clear": 0.0}
    assert inputs.gone == ("inner", "inner.deep.calm")
    assert inputs.shares["inner.clear"] == (1.0, 0.0, 0.0, 0.0, 0.0)


def test_an_include_that_does_not_apply_counts_as_its_mean():
    inner = make(ordinal("clear"), name="inner")
    rubric = make(ordinal("warm"), parts=(Part("inner", 1.0, inner),))
    rubric = learned(rubric, linear({"warm": 0.5, "inner": 0.5}, fill=0.2))
    outcome = aggregate(rubric, judged(rubric, warm=5, inner_clear="not_applicable"))
    assert (outcome.score, outcome.status) == (pytest.approx(0.6), "scored")


def test_all_weight_on_what_is_unscored_is_no_score():
    rubric = make(ordinal("warm"), ordinal("clear"), aggregate={"unscored": "renormalise"})
    rubric = learned(rubric, linear({"warm": 1.0, "clear": 0.0}, 0.3))
    outcome = aggregate(rubric, judged(rubric, warm="unscored", clear=5))
    assert (outcome.score, outcome.why) == (None, "warm is not scored")


def test_an_included_rubric_that_learned_names_its_own():
    _, inner = family()
    inner = learned(inner, linear({"short": 0.7, "deep.calm": 0.3}))
    rubric = make(ordinal("warm"), parts=(Part("in", 1.0, inner),))
    judgments = judged(rubric, warm=1, in_clear=1, in_short=5, in_deep_calm=1)
    outcome = aggregate(rubric, judgments)
    assert outcome.parts["in"] == pytest.approx(0.7)
    assert outcome.score == pytest.approx(0.35)
    assert list(rubric.artifacts) == ["inner"]


def test_a_learned_rubric_keeps_its_inputs_where_they_are_counted_elsewhere():
    deep = make(ordinal("calm"), name="deep")
    inner = make(ordinal("clear"), name="inner", parts=(Part("deep", 1.0, deep),))
    inner = learned(inner, linear({"clear": 0.5, "deep": 0.5}))
    rubric = make(ordinal("warm"), parts=(Part("first", 1.0, deep), Part("in", 1.0, inner)))
    assert [criterion.id for criterion in rubric.criteria] == ["warm", "first.calm", "in.clear"]
    judgments = judged(rubric, warm=1, first_calm=5, in_clear=5)
    assert aggregate(rubric, judgments).parts["in"] == pytest.approx(1.0)
    gap = judgments | {"first.calm": without(rubric.by_id["first.calm"])}
    assert aggregate(rubric, gap).parts["in"] is None


def test_the_same_rubric_with_another_artifact_is_another():
    plain = make(ordinal("warm"))
    one, two = (learned(plain, linear({"warm": weight})) for weight in (0.5, 0.6))
    assert len({plain.hash, one.hash, two.hash}) == 3
    assert plain.asked_hash == one.asked_hash == two.asked_hash
