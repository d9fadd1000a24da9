"""What is asked of a judge, and what is not."""

from __future__ import annotations

import making
import pytest

pytest.importorskip("scipy", reason="probes need kardia[agree]")

from kardia.probe.catalogue import named
from kardia.probe.questions import Terms, questions_about, questions_on_constancy, terms_of
from kardia.probe.shifts import Outcome, Shift, measured

RUBRIC = making.make(making.ordinal("warm"), making.binary("blames", good="no"))
TERMS = terms_of(RUBRIC, tolerance=None, unsteady=0.2, seed=7)


def asked(name, variants, scores, terms=TERMS, lost=0):
    probe = named(name)
    shifts = [
        Shift(number, variant, 0.8, score, {}, 0.0, score is None, lost)
        for number, (variant, score) in enumerate(zip(variants, scores, strict=True))
    ]
    return questions_about(probe, shifts, measured(probe, shifts, tolerance=terms.tolerance), terms)


def test_a_mean_is_asked_about_from_the_tolerance_or_less():
    (rises, _) = asked("padding", ["at its end"] * 4, [0.1] * 4)
    assert (rises.least, rises.limit) == (0.075, pytest.approx(0.025))
    assert rises.bound == rises.limit
    stated = terms_of(RUBRIC, tolerance=0.3, unsteady=0.2, seed=7)
    (rises, _) = asked("padding", ["at its end"] * 4, [0.1] * 4, stated)
    assert (rises.least, rises.limit) == (0.3, pytest.approx(0.1))
    (falls, _) = asked("misplaced", ["another's"] * 4, [-0.1] * 4, stated)
    assert (falls.least, falls.limit) == (0.0, -0.3)


def test_ways_are_asked_about_wherever_they_stand_in_the_reply():
    variants = ["order, before", "order, after", "rule, between", "system, after"]
    questions = [one for one in asked("instructs", variants, [0.1, 0.2, 0.3, 0.4]) if one.kind == "rises"]
    assert [(one.variant, len(one.values)) for one in questions] == [
        (None, 4),
        ("order", 2),
        ("rule", 1),
        ("system", 1),
    ]
    assert sum(one.weight for one in questions) == pytest.approx(1.0)
    assert questions[0].weight == pytest.approx(0.5)


def test_whether_scores_were_lost_is_asked_of_what_is_the_judge_s_doing():
    assert [one.kind for one in asked("padding", ["at its end"], [None], lost=1)] == ["unscored"]
    assert asked("empty", ["empty"], [None], lost=1) == []
    assert [one.kind for one in asked("retest", ["again"], [None], lost=1)] == ["unsteady"]
    assert asked("instructs", ["order, after"], [None], lost=None) == []  # the guard's doing


def test_where_a_rubric_only_forbids_no_fall_is_asked_for():
    forbids = Terms(0.25, 0.075, 0.2, 7, ())
    assert [one.kind for one in asked("misplaced", ["another's"], [0.0], forbids)] == ["unscored"]


@pytest.mark.parametrize(
    ("values", "count"),
    [
        ([0.75] * 9 + [0.25], 1),
        ([0.0] * 10, 0),  # at its worst already, it cannot fall
        ([None] * 10, 0),
    ],
)
def test_a_criterion_that_demands_something_is_asked_whether_it_differs(values, count):
    levels = {0.75: 4, 0.25: 2, 0.0: 1, None: None}
    texts = [
        (number, Outcome(None, {"warm": value, "blames": 1.0}, {"warm": levels[value], "blames": "no"}))
        for number, value in enumerate(values)
    ]
    found = questions_on_constancy(named("misplaced"), texts, TERMS)
    assert [(one.criterion, one.level) for one in found] == [("warm", "4")] * count
    assert [sum(value for _, value in one.values) for one in found] == [9.0] * count
