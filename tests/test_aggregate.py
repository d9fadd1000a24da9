"""Judgments become a number as the rubric says: bounded, monotone, in any order; what is unscored is no number."""

from __future__ import annotations

import itertools
import random
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from making import at, binary, choice, criterion, make, ordinal, without

from kardia.aggregate import (
    _holds,
    aggregate,
    apply_conditions,
    interact,
    minimum,
    product,
    saturate,
    shape,
    weighted_mean,
)
from kardia.judgment import Judgment
from kardia.rubric.loading import load_rubric
from kardia.rubric.models import Interaction, Saturation, Shaping
from kardia.rubric.rubric import Part

FRACTION = st.floats(0, 1)
WEIGHT = st.one_of(st.just(0.0), st.just(1.0), st.floats(1e-6, 1e6), st.sampled_from([5e-324, 1e-300, 1e308]))
ITEMS = st.lists(st.tuples(FRACTION, WEIGHT), min_size=1, max_size=6).filter(lambda items: any(w for _, w in items))
SATURATION = st.builds(Saturation, above=FRACTION, slope=FRACTION)
POINTS = st.lists(st.tuples(FRACTION, FRACTION), max_size=4).map(
    lambda inner: list(
        zip(
            sorted({0.0, 1.0, *(x for x, _ in inner)}),
            sorted([y for _, y in inner] + [0.0, 1.0] * 4)[-8:],
            strict=False,
        )
    )
)
METHODS = {"weighted_mean": weighted_mean, "product": product, "minimum": minimum}
TINY = 1e-9


def judged(rubric, levels: dict[str, Any]) -> dict[str, Judgment]:
    """Judgments for every criterion: a level, or a status."""
    found = {}
    for item in rubric.criteria:
        level = levels[item.id]
        found[item.id] = at(item, level) if level in item.levels else without(item, level)
    return found


def score(rubric, **levels):
    return aggregate(rubric, judged(rubric, levels)).score


# --- worked examples -------------------------------------------------------------------------------------------------


def test_weighted_mean_by_hand():
    assert weighted_mean([1.0, 0.5, 0.0], [1, 2, 1]) == 0.5
    assert weighted_mean([0.25], [3]) == 0.25
    assert weighted_mean([1.0, 0.0], [0, 1]) == 0.0
    assert weighted_mean([1.0, 0.0], [1e308, 1e308]) == 0.5
    assert weighted_mean([1.0, 0.0], [5e-324, 5e-324]) == 0.5


def test_product_by_hand():
    assert product([0.5, 0.5], [1, 1]) == 0.25
    assert product([0.5, 0.5], [2, 0]) == 0.25
    assert product([0.25, 1.0], [0.5, 9]) == 0.5
    assert product([0.0, 1.0], [0, 1]) == 1.0


def test_minimum_by_hand():
    assert minimum([0.5, 0.25, 0.0], [1, 1, 0]) == 0.25


def test_saturation_by_hand():
    rule = Saturation(above=0.6, slope=0.5)
    # g(1) = 0.6 + 0.5 · 0.4 = 0.8; g(0.8) = 0.6 + 0.5 · 0.2 = 0.7
    assert saturate(0.3, rule) == pytest.approx(0.3 / 0.8)
    assert saturate(0.8, rule) == pytest.approx(0.7 / 0.8)
    assert saturate(1.0, rule) == 1.0
    assert saturate(0.4, Saturation(above=0.5, slope=0.0)) == 0.8
    assert saturate(0.9, Saturation(above=0.5, slope=0.0)) == 1.0
    assert saturate(0.3, Saturation(above=0.0, slope=0.0)) == 0.3
    assert saturate(0.3, Saturation(above=0.5, slope=1.0)) == 0.3


def test_interactions_by_hand():
    both = Interaction.model_validate({"when": {"a": {"at_least": 0.5}, "b": {"at_most": 0.25}}, "add": -0.2})
    bonus = Interaction.model_validate(
        {"when": {"a": {"at_least": 0.5, "at_most": 0.5}, "c": {"at_least": 1}}, "add": 0.5}
    )
    assert interact({"a": 0.5, "b": 0.25}, [both]) == -0.2
    assert interact({"a": 0.49, "b": 0.25}, [both]) == 0
    assert interact({"a": 0.5, "b": 0.3}, [both]) == 0
    assert interact({"a": 0.5}, [both]) == 0
    assert interact({"a": 0.5, "b": 0.0, "c": 1.0}, [both, bonus]) == pytest.approx(0.3)
    # fractions miss their band by a hair: 1 − 0.9 is a little less than 0.1, and 0.1 + 0.2 a little more than 0.3
    close = Interaction.model_validate({"when": {"a": {"at_least": 0.1}, "b": {"at_most": 0.3}}, "add": 0.1})
    assert interact({"a": 1 - 0.9, "b": 0.1 + 0.2}, [close]) == 0.1


def test_shaping_by_hand():
    assert shape(0.3, None) == 0.3
    assert shape(0.5, Shaping(power=2)) == 0.25
    steps = Shaping(points=[(0, 0), (0.5, 0.1), (1, 0.9)])
    assert [shape(x, steps) for x in (0, 0.25, 0.5, 1)] == pytest.approx([0, 0.05, 0.1, 0.9])
    assert shape(0.75, steps) == pytest.approx(0.5)
    assert shape(1.0000001, steps) == 0.9


def test_a_whole_rubric_by_hand():
    rubric = make(
        ordinal("a", weight=2),
        ordinal("b", good="low"),
        choice("c", weight=0),
        aggregate={
            "saturation": {"a": {"above": 0.5, "slope": 0.5}},
            "interactions": [{"when": {"a": {"at_least": 0.7}, "c": {"at_most": 0.5}}, "add": -0.25}],
            "shaping": {"power": 2},
        },
    )
    # a: level 4 is 0.75, saturated (0.5 + 0.5 · 0.25) / 0.75 = 5/6; b: level 2, low is good: 0.75
    mean = (2 * 5 / 6 + 0.75) / 3
    assert score(rubric, a=4, b=2, c="warm") == pytest.approx(mean**2)
    assert score(rubric, a=4, b=2, c="cold") == pytest.approx((mean - 0.25) ** 2)
    assert score(rubric, a=1, b=5, c="cold") == 0
    # a band holds the value itself, not what saturation makes of it: level 3 is 0.5, though saturated it is 2/3
    assert score(rubric, a=3, b=5, c="cold") == pytest.approx((2 * (2 / 3) / 3) ** 2)


# --- the small functions ---------------------------------------------------------------------------------------------


@given(ITEMS, st.sampled_from(sorted(METHODS)))
def test_methods_are_bounded_and_keep_all_good_and_all_bad(items, method):
    values, weights = zip(*items, strict=True)
    assert 0 <= METHODS[method](values, weights) <= 1
    assert METHODS[method]([1.0] * len(values), weights) == 1
    assert METHODS[method]([0.0] * len(values), weights) == 0


@given(ITEMS, st.sampled_from(sorted(METHODS)), st.integers(0, 5), FRACTION)
def test_methods_never_fall_when_a_value_rises(items, method, place, up):
    values, weights = (list(part) for part in zip(*items, strict=True))
    place %= len(values)
    before = METHODS[method](values, weights)
    values[place] = max(values[place], up)
    assert METHODS[method](values, weights) >= before - TINY


@given(ITEMS, st.sampled_from(sorted(METHODS)), st.randoms(use_true_random=False))
def test_methods_do_not_look_at_the_order(items, method, chance):
    shuffled = list(items)
    chance.shuffle(shuffled)
    assert METHODS[method](*zip(*items, strict=True)) == METHODS[method](*zip(*shuffled, strict=True))


@given(ITEMS)
def test_the_mean_lies_between_the_lowest_and_the_highest(items):
    values = [value for value, weight in items if weight]
    assert min(values) - TINY <= weighted_mean(*zip(*items, strict=True)) <= max(values) + TINY


@given(FRACTION, FRACTION, SATURATION)
def test_saturation_is_bounded_monotone_and_keeps_the_ends(a, b, rule):
    low, high = sorted((a, b))
    assert 0 <= saturate(low, rule) <= saturate(high, rule) + TINY <= 1 + TINY
    assert saturate(0.0, rule) == 0
    assert saturate(1.0, rule) == 1


@given(
    FRACTION,
    FRACTION,
    st.builds(lambda power: Shaping(power=power), st.floats(0.01, 10)) | POINTS.map(lambda p: Shaping(points=p)),
)
def test_shaping_is_bounded_and_monotone(a, b, rule):
    low, high = sorted((a, b))
    assert 0 <= shape(low, rule) <= shape(high, rule) + TINY <= 1 + TINY


# --- whole rubrics ---------------------------------------------------------------------------------------------------


@st.composite
def rubrics(draw, interactions=False, required=False):
    names = ["a", "b", "c", "d"][: draw(st.integers(1, 4))]
    made = []
    for name in names:
        extra: dict[str, Any] = {"weight": draw(st.sampled_from([0.0, 0.5, 1.0, 3.0]))}
        kind = draw(st.sampled_from([ordinal, binary, choice]))
        if kind is not choice:
            extra["good"] = draw(st.sampled_from(["high", "low"] if kind is ordinal else ["yes", "no"]))
        if required and draw(st.booleans()):
            extra["required"] = {"else_score": draw(st.sampled_from([0.0, 0.2, 0.9]))}
        made.append(kind(name, **extra))
    if not any(item["weight"] for item in made):
        made[0]["weight"] = 1.0
    rule: dict[str, Any] = {
        "method": draw(st.sampled_from(sorted(METHODS))),
        "unscored": draw(st.sampled_from(["whole", "renormalise"])),
        "saturation": {name: {"above": 0.5, "slope": 0.25} for name in names if draw(st.booleans())},
        "shaping": draw(st.sampled_from([None, {"power": 2.0}, {"points": [(0, 0), (0.3, 0.6), (1, 1)]}])),
    }
    if interactions and len(names) > 1:
        bands = st.builds(lambda low: {"at_least": low}, st.sampled_from([0.0, 0.5, 1.0]))
        when = {"a": draw(bands), "b": draw(bands)}
        rule["interactions"] = [{"when": when, "add": draw(st.sampled_from([-1.0, -0.3, 0.4]))}]
    return make(*made, aggregate=rule)


def draw_judgments(data, rubric, statuses=()):
    return {
        item.id: data.draw(
            st.sampled_from(
                [*map(lambda level, item=item: at(item, level), item.levels), *(without(item, s) for s in statuses)]
            )
        )
        for item in rubric.criteria
    }


GAPS = ("unscored", "abstained", "not_applicable")


@given(rubrics(interactions=True, required=True), st.data())
def test_a_score_is_in_the_unit_interval_or_there_is_none(rubric, data):
    judgments = draw_judgments(data, rubric, GAPS)
    outcome = aggregate(rubric, judgments)
    open_ = any(judgment.status in ("unscored", "abstained") for judgment in judgments.values())
    if outcome.score is None:
        assert outcome.status == "unscored"
        assert outcome.why
        assert not outcome.vetoed_by
    else:
        assert 0 <= outcome.score <= 1
        assert outcome.why is None
        assert outcome.status == ("partial" if open_ else "scored")


@given(rubrics(), st.data())
def test_raising_one_value_never_lowers_the_score(rubric, data):
    judgments = draw_judgments(data, rubric, ("not_applicable",))
    name = data.draw(st.sampled_from([item.id for item in rubric.criteria]))
    item, old = rubric.by_id[name], judgments[name]
    assume(old.value is not None)
    better = [level for level in item.levels if item.value(level) >= (old.value or 0)]
    before = aggregate(rubric, judgments).score
    after = aggregate(rubric, {**judgments, name: at(item, data.draw(st.sampled_from(better)))}).score
    assert (before is None) == (after is None)
    if before is not None and after is not None:
        assert after >= before - TINY


@given(rubrics(interactions=True, required=True), st.data(), st.randoms(use_true_random=False))
def test_the_order_of_the_criteria_does_not_show(rubric, data, chance):
    judgments = draw_judgments(data, rubric, GAPS)
    criteria = list(rubric.file.criteria)
    chance.shuffle(criteria)
    other = type(rubric)(rubric.file.model_copy(update={"criteria": criteria}))
    keys = list(judgments)
    chance.shuffle(keys)
    one, two = aggregate(rubric, judgments), aggregate(other, {key: judgments[key] for key in keys})
    assert (one.score, one.status, set(one.vetoed_by)) == (two.score, two.status, set(two.vetoed_by))


@given(rubrics(interactions=True, required=True), st.data())
def test_requirements_win(rubric, data):
    judgments = draw_judgments(data, rubric, GAPS)
    needs = [item for item in rubric.criteria if item.required is not None]
    failed = [
        item for item in needs if judgments[item.id].level is not None and not item.holds(judgments[item.id].level)
    ]
    outcome = aggregate(rubric, judgments)
    assert outcome.vetoed_by == tuple(item.id for item in failed)
    if failed:
        assert outcome.score == min(item.required.else_score for item in failed)
    elif any(judgments[item.id].status in ("unscored", "abstained") for item in needs):
        assert outcome.score is None
        assert "the requirement" in (outcome.why or "")


@given(rubrics(interactions=True), st.data())
def test_what_is_unscored_is_never_a_number(rubric, data):
    judgments = draw_judgments(data, rubric, GAPS)
    gaps = [name for name, judgment in judgments.items() if judgment.status in ("unscored", "abstained")]
    outcome = aggregate(rubric, judgments)
    if rubric.file.aggregate.unscored == "whole" and gaps:
        assert outcome.score is None
        return
    # the same as if the criteria without a number were not there at all
    absent = {name: without(rubric.by_id[name], "not_applicable") for name in gaps}
    assert outcome.score == aggregate(rubric, {**judgments, **absent}).score
    rest = [item for item in rubric.file.criteria if judgments[item.id].status == "scored"]
    if any(item.weight for item in rest):
        fewer = type(rubric)(rubric.file.model_copy(update={"criteria": rest}))
        assert outcome.score == aggregate(fewer, {item.id: judgments[item.id] for item in rest}).score
    else:
        assert outcome.score is None


@pytest.mark.parametrize("status", ["unscored", "abstained"])
def test_whole_and_renormalise(status):
    for rule, expected, said in (("whole", None, "unscored"), ("renormalise", 0.75, "partial")):
        rubric = make(ordinal("a"), ordinal("b"), aggregate={"unscored": rule})
        outcome = aggregate(rubric, judged(rubric, {"a": 4, "b": status}))
        assert (outcome.score, outcome.status) == (expected, said)
    rubric = make(ordinal("a"), ordinal("b"), aggregate={"unscored": "renormalise"})
    outcome = aggregate(rubric, judged(rubric, {"a": status, "b": status}))
    assert (outcome.score, outcome.status, outcome.why) == (None, "unscored", "a is not scored")


def test_where_nothing_applies_there_is_no_score():
    rubric = make(ordinal("a"), binary("b", required={}))
    outcome = aggregate(rubric, judged(rubric, {"a": "not_applicable", "b": "not_applicable"}))
    assert (outcome.score, outcome.status, outcome.why) == (None, "unscored", "no criterion applies")


def test_what_weighs_nothing_is_judged_but_does_not_count():
    rubric = make(ordinal("a"), ordinal("b", weight=0), aggregate={"method": "minimum"})
    assert score(rubric, a=5, b=1) == 1
    assert score(rubric, a="not_applicable", b=5) is None


def test_a_missing_judgment_is_a_mistake_of_the_caller():
    rubric = make(ordinal("a"), ordinal("b"))
    with pytest.raises(KeyError):
        aggregate(rubric, {"a": at(rubric.criteria[0], 3)})


# --- requirements ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("made", "fine", "failing"),
    [
        (ordinal("r", required={}), [5], [1, 4]),
        (ordinal("r", required={"at_least": 3}), [3, 4, 5], [1, 2]),
        (ordinal("r", good="low", required={"at_most": 2}), [1, 2], [3, 5]),
        (ordinal("r", good="low", required={}), [1], [2, 5]),
        (binary("r", required={}), ["yes"], ["no"]),
        (binary("r", good="no", required={}), ["no"], ["yes"]),
        (choice("r", required={}), ["warm"], ["neutral", "cold"]),
    ],
)
def test_when_a_requirement_holds(made, fine, failing):
    rubric = make(made, ordinal("other"))
    for level in fine:
        assert aggregate(rubric, judged(rubric, {"r": level, "other": 3})).vetoed_by == ()
    for level in failing:
        outcome = aggregate(rubric, judged(rubric, {"r": level, "other": 5}))
        assert (outcome.score, outcome.vetoed_by, outcome.status) == (0, ("r",), "scored")


def test_a_failed_requirement_wins_over_what_is_unscored():
    rubric = make(binary("r", required={"else_score": 0.1}), binary("s", required={}), ordinal("other"))
    outcome = aggregate(rubric, judged(rubric, {"r": "no", "s": "unscored", "other": "abstained"}))
    assert (outcome.score, outcome.status, outcome.vetoed_by) == (0.1, "partial", ("r",))


def test_of_several_failed_requirements_the_lowest_score_holds():
    rubric = make(binary("r", required={"else_score": 0.5}), binary("s", required={"else_score": 0.2}))
    outcome = aggregate(rubric, judged(rubric, {"r": "no", "s": "no"}))
    assert (outcome.score, outcome.vetoed_by) == (0.2, ("r", "s"))


@pytest.mark.parametrize("status", ["unscored", "abstained"])
def test_an_open_requirement_leaves_the_card_unscored_even_when_renormalised(status):
    rubric = make(binary("r", required={}), ordinal("a"), aggregate={"unscored": "renormalise"})
    outcome = aggregate(rubric, judged(rubric, {"r": status, "a": 5}))
    assert (outcome.score, outcome.status, outcome.why) == (None, "unscored", "the requirement r is not scored")


# --- includes --------------------------------------------------------------------------------------------------------


def test_an_include_counts_as_one_item_by_its_own_rule():
    inner = make(ordinal("x"), ordinal("y"), name="inner", aggregate={"method": "minimum"})
    outer = make(ordinal("a"), parts=(Part("in", 3.0, inner),))
    outcome = aggregate(outer, judged(outer, {"a": 5, "in.x": 2, "in.y": 4}))
    assert outcome.score == (1 + 3 * 0.25) / 4
    assert outcome.parts == {"in": 0.25}


def test_rules_name_an_include_by_its_as():
    inner = make(ordinal("x"), name="inner")
    rule = {
        "saturation": {"in": {"above": 0.5, "slope": 0}},
        "interactions": [{"when": {"in": {"at_least": 1}, "a": {"at_most": 0}}, "add": -0.5}],
    }
    outer = make(ordinal("a"), parts=(Part("in", 1.0, inner),), aggregate=rule)
    assert score(outer, a=5, **{"in.x": 3}) == 1
    assert score(outer, a=1, **{"in.x": 3}) == 0.5
    assert score(outer, a=1, **{"in.x": 5}) == 0


def test_rules_of_an_include_name_its_own_criteria_without_prefix():
    rule = {"saturation": {"x": {"above": 0.5, "slope": 0}}}
    inner = make(ordinal("x"), name="inner", aggregate=rule)
    middle = make(parts=(Part("in", 1.0, inner),), name="middle")
    outer = make(parts=(Part("mid", 1.0, middle),))
    outcome = aggregate(outer, judged(outer, {"mid.in.x": 3}))
    assert (outcome.score, outcome.parts) == (1.0, {"mid.in": 1.0, "mid": 1.0})


def test_requirements_of_includes_stay_active():
    inner = make(binary("r", required={"else_score": 0.2}), ordinal("x"), name="inner")
    outer = make(ordinal("a"), parts=(Part("in", 0.0, inner),))
    outcome = aggregate(outer, judged(outer, {"a": 5, "in.r": "no", "in.x": 5}))
    assert (outcome.score, outcome.vetoed_by, outcome.parts) == (0.2, ("in.r",), {"in": 0.2})


def test_gaps_of_an_include_follow_its_own_rule_first():
    for own, outer_rule, expected in (
        ("renormalise", "whole", 0.75),
        ("whole", "renormalise", 1.0),
        ("whole", "whole", None),
    ):
        inner = make(ordinal("x"), ordinal("y"), name="inner", aggregate={"unscored": own})
        outer = make(ordinal("a"), parts=(Part("in", 1.0, inner),), aggregate={"unscored": outer_rule})
        outcome = aggregate(outer, judged(outer, {"a": 5, "in.x": 3, "in.y": "unscored"}))
        assert outcome.score == expected
        assert outcome.status == ("unscored" if expected is None else "partial")


def test_an_include_in_which_nothing_applies_is_left_out():
    inner = make(ordinal("x"), name="inner")
    outer = make(ordinal("a"), parts=(Part("in", 1.0, inner),))
    outcome = aggregate(outer, judged(outer, {"a": 4, "in.x": "not_applicable"}))
    assert (outcome.score, outcome.status, outcome.parts) == (0.75, "scored", {"in": None})


def diamond():
    base = make(ordinal("x"), binary("r", required={}, weight=0), name="base")
    left = make(ordinal("l"), parts=(Part("base", 1.0, base),), name="left")
    right = make(ordinal("r"), parts=(Part("base", 1.0, base),), name="right")
    return make(parts=(Part("left", 1.0, left), Part("right", 1.0, right)), name="top")


def test_a_diamond_is_asked_once_and_counts_once():
    top = diamond()
    assert [item.id for item in top.criteria] == ["left.l", "left.base.x", "left.base.r", "right.r"]
    outcome = aggregate(top, judged(top, {"left.l": 5, "left.base.x": 1, "left.base.r": "yes", "right.r": 5}))
    # left: (1 + 0) / 2; right: its own criterion alone, since the base counted already
    assert outcome.score == (0.5 + 1) / 2
    outcome = aggregate(top, judged(top, {"left.l": 5, "left.base.x": 5, "left.base.r": "no", "right.r": 5}))
    assert (outcome.score, outcome.vetoed_by) == (0, ("left.base.r",))


def test_a_gap_in_a_diamond_is_a_gap_where_it_counts_only():
    top = diamond()
    levels = {"left.l": 5, "left.base.x": "unscored", "left.base.r": "yes", "right.r": 3}
    outcome = aggregate(top, judged(top, levels))
    assert (outcome.score, (outcome.parts or {})["right"]) == (None, 0.5)


# --- conditions ------------------------------------------------------------------------------------------------------


def masked(rubric, **levels):
    judgments = apply_conditions(rubric, judged(rubric, levels))
    assert list(judgments) == [item.id for item in rubric.criteria]
    return {name: judgment.level or judgment.status for name, judgment in judgments.items()}


def test_a_condition_masks_after_judging():
    rubric = make(ordinal("b", only_if_levels={"a": [1, 2]}), ordinal("a"))
    assert masked(rubric, a=2, b=4) == {"a": 2, "b": 4}
    assert masked(rubric, a=3, b=4) == {"a": 3, "b": "not_applicable"}
    assert masked(rubric, a=3, b="unscored") == {"a": 3, "b": "not_applicable"}
    assert masked(rubric, a=2, b="unscored") == {"a": 2, "b": "unscored"}
    assert masked(rubric, a="not_applicable", b=4) == {"a": "not_applicable", "b": "not_applicable"}


def test_what_hangs_on_an_unknown_level_is_unknown():
    rubric = make(ordinal("a"), ordinal("b", only_if_levels={"a": [1, 2]}))
    for status in ("unscored", "abstained"):
        judgments = apply_conditions(rubric, judged(rubric, {"a": status, "b": 4}))
        assert judgments["b"].status == status
        assert judgments["b"].value is None
        assert judgments["b"].error == f"applies only at certain levels of a, which is {status}"
        assert masked(rubric, a=status, b="not_applicable")["b"] == "not_applicable"


def test_every_key_of_a_map_must_hold():
    rubric = make(ordinal("a"), binary("b"), ordinal("c", only_if_levels={"a": [1], "b": ["yes"]}))
    assert masked(rubric, a=1, b="yes", c=3)["c"] == 3
    assert masked(rubric, a=1, b="no", c=3)["c"] == "not_applicable"
    # one that surely does not hold decides, whatever is unknown
    assert masked(rubric, a=2, b="unscored", c=3)["c"] == "not_applicable"
    assert masked(rubric, a=1, b="unscored", c=3)["c"] == "unscored"
    assert masked(rubric, a="unscored", b="unscored", c=3)["c"] == "unscored"


def test_any_map_of_a_list_may_hold():
    rubric = make(ordinal("a"), binary("b"), ordinal("c", only_if_levels=[{"a": [1]}, {"b": ["yes"], "a": [5]}]))
    assert masked(rubric, a=1, b="no", c=3)["c"] == 3
    assert masked(rubric, a=5, b="yes", c=3)["c"] == 3
    assert masked(rubric, a=5, b="no", c=3)["c"] == "not_applicable"
    assert masked(rubric, a=1, b="unscored", c=3)["c"] == 3
    assert masked(rubric, a=5, b="unscored", c=3)["c"] == "unscored"
    assert masked(rubric, a=2, b="unscored", c=3)["c"] == "not_applicable"


def test_what_is_masked_cannot_open_a_branch():
    rubric = make(ordinal("a"), ordinal("b", only_if_levels={"a": [1]}), ordinal("c", only_if_levels={"b": [1]}))
    assert masked(rubric, a=1, b=1, c=3) == {"a": 1, "b": 1, "c": 3}
    assert masked(rubric, a=2, b=1, c=3) == {"a": 2, "b": "not_applicable", "c": "not_applicable"}
    assert masked(rubric, a="unscored", b=1, c=3) == {"a": "unscored", "b": "unscored", "c": "unscored"}


def test_conditions_hold_within_includes_and_across():
    inner = make(ordinal("x"), ordinal("y", only_if_levels={"x": [1]}), name="inner")
    outer = make(ordinal("a", only_if_levels={"in.y": [5]}), parts=(Part("in", 1.0, inner),))
    assert masked(outer, a=3, **{"in.x": 1, "in.y": 5}) == {"a": 3, "in.x": 1, "in.y": 5}
    assert masked(outer, a=3, **{"in.x": 2, "in.y": 5})["a"] == "not_applicable"


@given(st.permutations(["a", "b", "c"]), st.data())
def test_conditions_do_not_look_at_the_order(order, data):
    made = {
        "a": ordinal("a", 1, 2),
        "b": ordinal("b", 1, 2, only_if_levels={"a": [1]}),
        "c": ordinal("c", 1, 2, only_if_levels=[{"b": [1]}, {"a": [2]}]),
    }
    levels = {name: data.draw(st.sampled_from([1, 2, "unscored", "abstained", "not_applicable"])) for name in made}
    assert masked(make(*made.values()), **levels) == masked(make(*(made[name] for name in order)), **levels)


# --- a questionnaire that branches -----------------------------------------------------------------------------------

QUESTIONNAIRE = """
name: first-call
version: 0.1.0-draft.1
title: The first minutes of a call
description: |
  Eight questions with jumps between them, as a paper form has them. START → told; told: yes → named, no → asked,
  not relevant → END; named: yes → fits, no → asked; fits: any → next_step; asked: yes → next_step, no → END;
  next_step: yes → agreed, no → END, not relevant → thanked; agreed: any → END; thanked: any → END.
criteria:
  - id: told
    question: Did the caller say what happened?
    scale: {type: binary}
    not_relevant: Where the call was for somebody else.
  - id: named
    question: Does the reply name what the caller told?
    scale: {type: binary}
    only_if_levels: {told: ["yes"]}
  - id: fits
    question: How well does the name fit what the caller told?
    scale: {levels: {0: It misses it., 1: It comes near., 2: It is the caller's own word.}}
    only_if_levels: {named: ["yes"]}
  - id: asked
    question: Does the reply ask what happened?
    scale: {type: binary}
    only_if_levels: [{told: ["no"]}, {named: ["no"]}]
  - id: next_step
    question: Does the reply offer a next step?
    scale: {type: binary}
    not_relevant: Where the caller has already chosen one.
    only_if_levels: [{fits: [0, 1, 2]}, {asked: ["yes"]}]
  - id: agreed
    question: Does the reply leave it to the caller whether to take the step?
    scale: {type: binary}
    required: {else_score: 0.2}
    only_if_levels: {next_step: ["yes"]}
  - id: thanked
    question: Does the reply honour what the caller has chosen?
    scale: {type: binary}
    only_if_levels: {next_step: [not relevant]}
"""
ANSWERS = {
    "told": ["yes", "no", "not relevant"],
    "named": ["yes", "no"],
    "fits": [0, 1, 2],
    "asked": ["yes", "no"],
    "next_step": ["yes", "no", "not relevant"],
    "agreed": ["yes", "no"],
    "thanked": ["yes", "no"],
}
GOTO: dict[tuple[str, Any], str] = {
    ("told", "yes"): "named",
    ("told", "no"): "asked",
    ("named", "yes"): "fits",
    ("named", "no"): "asked",
    ("fits", 0): "next_step",
    ("fits", 1): "next_step",
    ("fits", 2): "next_step",
    ("asked", "yes"): "next_step",
    ("next_step", "yes"): "agreed",
    ("next_step", "not relevant"): "thanked",
}


@pytest.fixture(scope="module")
def questionnaire(tmp_path_factory):
    path = tmp_path_factory.mktemp("q") / "first-call.yaml"
    path.write_text(QUESTIONNAIRE)
    return load_rubric(path)


def walked(answers):
    """The form filled in by hand: question after question, as the jumps say."""
    reached: list[str] = []
    here: str | None = "told"
    while here is not None:
        reached.append(here)
        here = GOTO.get((here, answers[here]))
    return reached


def test_a_branching_questionnaire_is_the_same_form(questionnaire):
    chance = random.Random(7)
    forms = list(itertools.product(*ANSWERS.values()))
    for form in chance.sample(forms, 200):
        answers = dict(zip(ANSWERS, form, strict=True))
        judgments = {
            item.id: without(item, "not_applicable", "said so")
            if answers[item.id] == "not relevant"
            else at(item, answers[item.id])
            for item in questionnaire.criteria
        }
        settled = apply_conditions(questionnaire, judgments)
        reached = walked(answers)
        for name in ANSWERS:
            counts = name in reached and answers[name] != "not relevant"
            assert settled[name].status == ("scored" if counts else "not_applicable"), (answers, name)
        outcome = aggregate(questionnaire, settled)
        scored = [settled[name].value or 0.0 for name in ANSWERS if settled[name].status == "scored"]
        if "agreed" in reached and answers["agreed"] == "no":
            assert (outcome.score, outcome.vetoed_by) == (0.2, ("agreed",))
        elif scored:
            assert outcome.score == pytest.approx(sum(scored) / len(scored))
        else:
            assert outcome.score is None


def test_a_not_relevant_that_is_not_reached_opens_no_branch(questionnaire):
    item = questionnaire.by_id
    judgments = {name: at(item[name], levels[0]) for name, levels in ANSWERS.items()}
    judgments["told"] = without(item["told"], "not_applicable", "for somebody else")
    judgments["next_step"] = without(item["next_step"], "not_applicable", "chosen already")
    settled = apply_conditions(questionnaire, judgments)
    assert {judgment.status for judgment in settled.values()} == {"not_applicable"}
    judgments["told"] = without(item["told"])
    settled = apply_conditions(questionnaire, judgments)
    assert settled["thanked"].status == "unscored"


# --- the short ways are the long ones ---------------------------------------------------------------------------------


@given(ITEMS)
def test_the_mean_is_exact_whatever_the_weights(items):
    values, weights = zip(*items, strict=True)
    exact = sum(Fraction(w) * Fraction(v) for v, w in items) / sum(map(Fraction, weights))
    assert weighted_mean(values, weights) == pytest.approx(float(exact), rel=1e-12, abs=1e-300)


def test_a_mean_wants_a_weight_for_each_value():
    with pytest.raises(ValueError, match="2 values with 1 weights"):
        weighted_mean([1.0, 0.0], [1])


@pytest.mark.parametrize(
    "made",
    [
        ordinal("a", required={"at_least": 3}),
        ordinal("a", good="low", required={"at_most": 2}),
        ordinal("a", required={}),
        binary("a", good="no", required={}),
        choice("a", required={}),
        ordinal("a"),
    ],
)
def test_whether_a_requirement_holds_is_what_the_criterion_says(made):
    item = criterion(made)
    for level in [*item.levels, *item.levels]:
        assert _holds(item, level) is item.holds(level)


def test_a_changed_requirement_is_another():
    strict = criterion(ordinal("a", required={"at_least": 5}))
    assert not _holds(strict, 4)
    assert _holds(strict.model_copy(update={"required": criterion(ordinal("a", required={"at_least": 4})).required}), 4)


@pytest.mark.parametrize("conditions", [None, {}, []])
def test_without_conditions_every_judgment_stays(conditions):
    rubric = make(ordinal("a"), ordinal("b"))
    bare = [item.model_copy(update={"only_if_levels": conditions}) for item in rubric.file.criteria]
    rubric = type(rubric)(rubric.file.model_copy(update={"criteria": bare}))
    judgments = {"b": without(rubric.by_id["b"], "not_applicable", "so"), "a": at(rubric.by_id["a"], 3)}
    settled = apply_conditions(rubric, judgments)
    assert list(settled) == ["a", "b"]
    assert settled == judgments
