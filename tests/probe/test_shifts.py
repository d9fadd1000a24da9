"""Shifts in figures: means, shares, intervals, and what has none."""

from __future__ import annotations

import math

import making
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("scipy", reason="probes need kardia[agree]")

from kardia.judgment import Scorecard
from kardia.probe.catalogue import named
from kardia.probe.design import Case
from kardia.probe.shifts import Outcome, Shift, flips, measured, outcome_of, shares, shift_of
from kardia.probe.tolerance import MEAN, MOST, demanding, fine, level_worth, mean_worth
from kardia.rubric.rubric import Part

PADDING, EMPTY, ORDER = named("padding"), named("empty"), named("order")
UNIT = st.floats(0, 1, allow_nan=False)


def shift(score, before=0.5, group="g", variant="v", **more):
    lost = (score is None) - (before is None)
    given = {"values": {}, "levels": None, "unscored": None if before is None else score is None, "lost": lost, **more}
    return Shift(group, variant, before, score, **given)


def test_what_of_a_card_is_compared():
    rubric = making.make(making.ordinal("warm"), making.binary("blames"))
    warm, blames = rubric.criteria
    judgments = {"warm": making.at(warm, 4), "blames": making.without(blames)}
    card = Scorecard("c", {}, None, None, rubric.ref, "fake", "unscored", None, (), judgments)
    assert outcome_of(card) == Outcome(None, {"warm": 0.75, "blames": None}, {"warm": 4, "blames": None})


def test_a_shift_is_after_less_before():
    case = Case("padding", "v", "g", 0, 1)
    before = Outcome(0.5, {"a": 0.25, "b": None, "c": 1.0}, {"a": 2, "b": None, "c": "yes"})
    after = Outcome(0.75, {"a": 0.5, "b": 0.5, "c": 1.0}, {"a": 3, "b": 3, "c": "yes"})
    assert shift_of(case, before, after) == Shift("g", "v", 0.5, 0.25, {"a": 0.25, "b": None, "c": 0.0}, 0.5, False)
    gone = Outcome(None, {"a": None, "b": None, "c": None}, {"a": None, "b": None, "c": None})
    none = {"a": None, "b": None, "c": None}
    assert shift_of(case, before, gone) == Shift("g", "v", 0.5, None, none, None, True, 1)
    came = shift_of(case, gone, after)
    assert (came.unscored, came.lost) == (None, -1)
    assert shift_of(case, gone, gone).lost == 0


def test_what_the_guard_took_away_was_not_lost():
    case = Case("instructs", "order, after", "g", 0, 1)
    before, guarded = Outcome(0.5, {"a": 0.5}, {"a": 3}), Outcome(None, {"a": None}, {"a": None}, guarded=True)
    shift = shift_of(case, before, guarded)
    assert (shift.unscored, shift.lost, shift.way) == (True, None, "order")


@pytest.mark.parametrize(("guard", "guarded"), [(None, False), ("flag", False), ("unscore", True)])
def test_whose_doing_it_is_that_there_is_no_score(guard, guarded):
    rubric = making.make(making.ordinal("warm"))
    told = None if guard is None else {"mode": guard, "findings": [{"kind": "addresses_judge"}]}
    judgments = {"warm": making.without(rubric.criteria[0])}
    card = Scorecard("c", {}, None, None, rubric.ref, "fake", "unscored", None, (), judgments, guard=told)
    assert outcome_of(card).guarded is guarded


def test_on_a_fine_scale_the_next_level_is_no_other():
    rubric = making.make(making.ordinal("a", 0, 100), making.ordinal("b", 0, 10), making.binary("c"))
    assert fine(rubric) == {"a"}
    case = Case("rewording", "v", "g", 0, 1)
    before = Outcome(0.5, {"a": 0.5, "b": 0.5}, {"a": 50, "b": 5})
    for level, moved in ((53, 0.5), (60, 1.0), (40, 1.0)):
        after = Outcome(0.5, {"a": level / 100, "b": 0.6}, {"a": level, "b": 6})
        assert shift_of(case, before, after, fine(rubric)).levels == moved
        assert shift_of(case, before, after).levels == 1.0


def test_moves_count_from_the_tolerance_on():
    scores = [0.1, 0.1 - 1e-12, 0.05, -0.1, -0.3, None]
    found = measured(PADDING, [shift(score, group=number) for number, score in enumerate(scores)], tolerance=0.1)
    known = [score for score in scores if score is not None]
    assert found.shift.value == pytest.approx(sum(known) / 5)
    assert (found.shift.n, found.cases, found.groups) == (5, 6, 6)
    assert found.shift.low < found.shift.value < found.shift.high
    assert found.moved.value == pytest.approx(4 / 5)
    assert found.rose.value == pytest.approx(2 / 5)
    assert found.unscored.value == pytest.approx(1 / 6)


def test_only_good_replies_can_fall():
    before = [0.2, 0.5, 0.9, None]
    shifts = [shift(-0.4 if score else None, before=score, group=score) for score in before]
    found = measured(EMPTY, shifts, tolerance=0.1)
    assert (found.cases, found.low, found.shift.n) == (4, 1, 2)
    assert found.unscored.n == 2
    assert measured(PADDING, shifts, tolerance=0.1).low == 0


def test_variants_are_told_apart():
    shifts = [shift(0.5, variant="a"), shift(0.1, variant="a"), shift(None, variant="b"), shift(-0.2, variant="c")]
    assert [one.to_json() for one in measured(PADDING, shifts, tolerance=0.25).variants] == [
        {"name": "a", "n": 2, "shift": 0.3, "rose": 0.5},
        {"name": "b", "n": 0, "shift": None, "rose": None},
        {"name": "c", "n": 1, "shift": -0.2, "rose": 0.0},
    ]


def test_criteria_have_their_own():
    shifts = [shift(0.0, group=number, values={"a": 0.25, "b": None}) for number in range(3)]
    found = measured(PADDING, shifts, tolerance=0.1)
    assert found.criteria["a"].value == 0.25
    assert found.criteria["b"].value is None
    assert found.criteria["b"].why


@pytest.mark.parametrize("shifts", [[], [shift(None)], [shift(None, before=None)]])
def test_where_there_is_nothing_there_is_a_reason(shifts):
    found = measured(PADDING, shifts, tolerance=0.1)
    for statistic in (found.shift, found.moved, found.rose, found.levels):
        assert (statistic.value, statistic.low, statistic.n) == (None, None, 0)
        assert statistic.why == "nothing was scored both before and after"
    assert found.to_json()["shift"]["value"] is None


def test_one_group_has_no_interval():
    found = measured(PADDING, [shift(0.2), shift(0.4)], tolerance=0.1)
    assert found.shift.value == pytest.approx(0.3)
    assert found.shift.low is None
    assert "one group" in found.shift.why


def test_no_success_in_a_few_tries_is_no_proof():
    found = measured(PADDING, [shift(0.0, group=number) for number in range(10)], tolerance=0.1)
    assert (found.rose.value, found.rose.low) == (0.0, 0.0)
    # Clopper and Pearson, as scipy has them
    from scipy.stats import binomtest

    assert found.rose.high == pytest.approx(binomtest(0, 10).proportion_ci().high)
    every = measured(PADDING, [shift(0.5, group=number) for number in range(10)], tolerance=0.1)
    assert every.rose.low == pytest.approx(binomtest(10, 10).proportion_ci().low)
    assert (every.shift.low, every.shift.high) == (0.5, 0.5)


def test_replies_of_one_group_are_drawn_together():
    alike = {"x": [0.0, 1.0] * 10}
    together = shares([number // 2 for number in range(20)], alike)["x"]
    apart = shares(list(range(20)), alike)["x"]
    assert together.low == together.high == 0.5  # every group has one of each
    assert apart.high - apart.low > 0.3


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 4), st.none() | UNIT), max_size=20))
def test_shares_are_means_and_never_nan(rows):
    values = [value for _, value in rows]
    found = shares([group for group, _ in rows], {"x": values})["x"]
    known = [value for value in values if value is not None]
    if not known:
        assert found.value is None
        return
    assert found.value == pytest.approx(math.fsum(known) / len(known))
    if found.low is not None:
        assert min(known) - 1e-12 <= found.low <= found.high <= max(known) + 1e-12


def test_order_counts_what_turned():
    found = flips(ORDER, [("a", True), ("b", False), ("c", None), ("d", True)], seed=7, note=None)
    assert found.moved.value == pytest.approx(2 / 3)
    assert found.unscored.value == 0.25
    assert found.shift.value is None
    assert flips(ORDER, [], seed=7, note="none").note == "none"


# ---- what a level is worth ------------------------------------------------------------------------------------------


def test_a_level_s_worth():
    assert level_worth(making.make(making.ordinal("a"), making.ordinal("b"))) == pytest.approx(0.125)
    assert level_worth(making.make(making.ordinal("a", weight=3.0), making.binary("b"))) == pytest.approx(
        (0.75 / 4 + 0.25) / 2
    )
    assert level_worth(making.make(making.binary("a"))) == MOST
    assert level_worth(making.make(making.ordinal("a", weight=0.0), making.ordinal("b"))) == 0.25
    inner = making.make(making.ordinal("c"), making.ordinal("d"), name="inner")
    outer = making.make(making.ordinal("a"), parts=(Part("inner", 1.0, inner),))
    assert level_worth(outer) == pytest.approx((0.5 / 4 + 2 * 0.25 / 4) / 3)


def test_a_fine_scale_s_level_is_worth_a_tenth_of_it():
    assert level_worth(making.make(making.ordinal("a", 0, 100))) == pytest.approx(0.1)
    both = making.make(making.ordinal("a", 0, 100), making.ordinal("b"))
    assert level_worth(both) == pytest.approx((0.05 + 0.125) / 2)


def test_a_mean_is_worth_a_word_before_a_single_score_has_moved():
    coarse, many = making.make(making.binary("a")), making.make(*(making.ordinal(name) for name in "abcde"))
    assert mean_worth(None, coarse) == MEAN < level_worth(coarse)
    assert mean_worth(None, many) == level_worth(many) < MEAN
    assert mean_worth(0.2, coarse) == 0.2  # what was stated holds


def test_a_rubric_that_only_forbids_demands_nothing():
    assert demanding(making.make(making.ordinal("a"))) == ("a",)
    assert demanding(making.make(making.choice("a"))) == ("a",)
    assert demanding(making.make(making.binary("a", good="no"), making.ordinal("b", good="low"))) == ()
    assert demanding(making.make(making.binary("a", good="no"), making.ordinal("b", weight=0.0))) == ()
