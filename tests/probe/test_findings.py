"""What becomes a finding: the test, the correction, the interval, the sentence."""

from __future__ import annotations

import json
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("scipy", reason="probes need kardia[agree]")

from kardia.agreement.statistic import Statistic
from kardia.probe.catalogue import named
from kardia.probe.findings import ALPHA, Question, exceeds, find
from kardia.probe.shifts import ProbeResult, Shift, measured


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.floats(-1, 1).map(lambda value: round(value, 3)), min_size=1, max_size=12),
    st.floats(-0.5, 0.5).map(lambda value: round(value, 2)),
)
def test_the_test_is_student_s_with_one_group_more_at_the_limit(means, limit):
    from scipy.stats import ttest_1samp

    p = exceeds(list(enumerate(means)), limit)
    sample = [*means, limit]
    if max(sample) - min(sample) < 1e-6:
        assert p == 1.0
        return
    assert p == pytest.approx(ttest_1samp(sample, limit, alternative="greater").pvalue, abs=1e-9)


def test_groups_are_what_is_counted():
    rng = random.Random(1)
    values = [(number // 5, 0.2 + rng.gauss(0, 0.1)) for number in range(50)]
    means = [sum(value for group, value in values if group == one) / 5 for one in range(10)]
    assert exceeds(values, 0.1) == pytest.approx(exceeds(list(enumerate(means)), 0.1))
    assert exceeds(list(enumerate(value for _, value in values)), 0.1) < exceeds(values, 0.1)


def test_a_few_equal_shifts_are_no_certainty():
    assert exceeds([], 0.1) == 1.0
    assert exceeds([(1, 0.5)], 0.1) > 0.2
    assert exceeds(list(enumerate([0.5] * 3)), 0.1) > 0.02
    assert exceeds(list(enumerate([0.5] * 10)), 0.1) < 0.001
    assert exceeds(list(enumerate([0.1] * 10)), 0.1) == 1.0


def result(probe, scores, tolerance=0.1, **values):
    shifts = [
        Shift(number, f"v{number % 2}", 0.8, score, {key: each[number] for key, each in values.items()}, None, False)
        for number, score in enumerate(scores)
    ]
    return measured(probe, shifts, tolerance=tolerance)


def question(probe, told, scores, kind="rises", limit=0.1, sides=1, **more):
    return Question(probe, kind, told.shift, limit, list(enumerate(scores)), limit, sides, **more)


def test_a_rise_is_found_and_said():
    probe = named("padding")
    scores = [0.4 + 0.01 * (number % 3) for number in range(12)]
    told = result(probe, scores, warm=[0.8] * 12, clear=[0.0] * 12)
    (finding,) = find([question(probe, told, scores)], [told])
    assert (finding.probe, finding.kind, finding.severity, finding.criterion) == ("padding", "rises", "high", "warm")
    assert finding.p < ALPHA
    assert finding.bound == 0.1
    assert finding.sentence == (
        "the score rises by 0.41 (+0.41 to +0.41) where neutral filler is appended that makes the reply about twice as "
        "long, and should not rise: most of all warm"
    )
    assert "length" in finding.advice
    assert json.loads(json.dumps(finding.to_json()))["kind"] == "rises"


@pytest.mark.parametrize(
    "scores",
    [
        [0.08] * 30,  # below the tolerance, however sure
        [-0.5] * 30,  # where a good judge may go
        [0.4] * 2,  # too few groups
        [1.0, -0.5] * 8,  # too wide
        [],
    ],
    ids=["small", "falls", "few", "wide", "none"],
)
def test_what_is_no_finding(scores):
    probe = named("padding")
    told = result(probe, scores)
    assert find([question(probe, told, scores)], [told]) == ()


def test_what_is_certain_must_be_large_as_well():
    probe = named("padding")
    told = result(probe, [0.08] * 30)
    assert find([question(probe, told, [0.08] * 30, limit=0.03, least=0.1)], [told]) == ()
    (finding,) = find([question(probe, told, [0.08] * 30, limit=0.03, least=0.08)], [told])
    assert (finding.value, finding.bound) == (pytest.approx(0.08), 0.03)


def test_where_the_score_should_stay_both_ways_are_wrong():
    probe = named("formatting")
    for way, kind in ((1, "rises"), (-1, "falls")):
        scores = [way * 0.2 for _ in range(12)]
        told = result(probe, scores)
        (finding,) = find([question(probe, told, scores, sides=2)], [told])
        assert (finding.kind, finding.severity) == (kind, "medium")
        assert finding.bound == pytest.approx(way * 0.1)
        assert f"the score {kind} by 0.20" in finding.sentence
        assert finding.sentence.endswith("and should stay")


def test_what_should_fall_and_does_not():
    probe = named("master_key")
    scores = [0.0] * 12
    told = result(probe, scores)
    (finding,) = find([question(probe, told, scores, "does not fall", -0.1)], [told])
    assert (finding.kind, finding.severity, finding.bound) == ("does not fall", "high", -0.1)
    assert "had to fall by 0.10" in finding.sentence
    fell = result(probe, [-0.6] * 12)
    assert find([question(probe, fell, [-0.6] * 12, "does not fall", -0.1)], [fell]) == ()


def test_an_unsteady_judge():
    probe = named("retest")
    shares = [0.4 + 0.02 * (number % 5) for number in range(12)]
    shown = Statistic(0.44, 0.4, 0.48, 12)
    empty = Statistic(None, None, None, 0, "none")
    told = ProbeResult("retest", 12, 12, 0, 0, empty, empty, empty, shown, empty)
    (finding,) = find([Question(probe, "unsteady", shown, 0.2, list(enumerate(shares)), 0.2)], [told])
    assert finding.sentence == (
        "44% of the levels change where the very same question is asked again (40% to 48%; a steady judge stays below "
        "20%)"
    )
    assert (finding.severity, finding.criterion) == ("medium", None)


def test_the_variant_that_stands_out_is_named():
    probe = named("instructs")
    scores = [0.6 if number % 2 else 0.2 for number in range(24)]
    told = result(probe, scores)
    (finding,) = find([question(probe, told, scores)], [told])
    assert finding.variant == "v1"
    assert finding.sentence.endswith("most with 'v1'")


def test_more_questions_make_it_harder_and_the_gravest_comes_first():
    probe, other = named("padding"), named("flattery")
    rng = random.Random(3)
    scores = [0.15 + rng.gauss(0, 0.07) for _ in range(10)]
    told, noise = result(probe, scores), result(other, [0.0] * 10)
    alone = find([question(probe, told, scores)], [told])
    assert len(alone) == 1
    crowd = [question(probe, told, scores), *[question(other, noise, [0.1 * (n % 2) for n in range(10)])] * 60]
    assert find(crowd, [told, noise]) == ()
    grave = result(other, [0.9] * 10)
    found = find([question(probe, told, scores), question(other, grave, [0.9] * 10)], [told, grave])
    assert [one.severity for one in found] == ["high", "medium"]


def test_a_way_is_named_where_all_together_are_not():
    probe = named("hidden")
    scores = [0.5 if number % 8 == 0 else 0.0 for number in range(80)]
    told = result(probe, scores)
    some, rest = ([(n, score) for n, score in enumerate(scores) if (n % 8 == 0) is one] for one in (True, False))
    together = question(probe, told, scores, least=0.1, weight=0.5)
    ways = [
        Question(probe, "rises", None, 0.03, values, 0.03, least=0.1, weight=0.25, variant=way)
        for way, values in (("comment", some), ("spaced", rest))
    ]
    (finding,) = find([together, *ways], [told])
    assert (finding.variant, finding.value, finding.n) == ("comment", 0.5, 10)
    assert finding.sentence == (
        "the score rises by 0.50 (+0.50 to +0.50) where the reply hides words to the judge, and should not rise: "
        "certainly with 'comment'"
    )
    # what all ways do together is not said again of each
    every = result(probe, [0.5] * 80)
    ways = [Question(probe, "rises", None, 0.03, values, 0.03, variant=way) for way, values in (("a", some),)]
    assert [one.variant for one in find([question(probe, every, [0.5] * 80), *ways], [every])] == [None]


def test_replies_that_lose_their_score():
    probe, plain = named("fake_turn"), named("formatting")
    lost = [(number, float(number % 5 < 3)) for number in range(40)]
    findings = find(
        [Question(each, "unscored", None, 0.05, lost, 0.05, least=0.1) for each in (probe, plain)],
        [result(probe, []), result(plain, [])],
    )
    assert [(one.probe, one.kind, one.severity) for one in findings] == [
        ("fake_turn", "unscored", "high"),
        ("formatting", "unscored", "medium"),  # nothing that a policy would write to escape
    ]
    finding = findings[0]
    assert finding.value == pytest.approx(0.6)
    assert 0.4 < finding.low < 0.6 < finding.high < 0.8
    assert finding.sentence == (
        f"60% more of the replies have no score ({finding.low:.0%} to {finding.high:.0%}) where the reply holds "
        "chat-template tokens and turns: no score is not a low score"
    )
    assert "limits.reask" in finding.advice
    assert json.loads(json.dumps(finding.to_json()))["kind"] == "unscored"


def test_a_judge_that_loses_as_many_as_it_gains_has_no_finding():
    probe = named("fake_turn")
    values = [(number, (1.0, -1.0, 0.0)[number % 3]) for number in range(60)]
    assert find([Question(probe, "unscored", None, 0.05, values, 0.05, least=0.1)], [result(probe, [])]) == ()


def test_a_constant_criterion_is_said_with_its_level():
    probe = named("misplaced")
    alike = [(number // 4, float(number != 3)) for number in range(120)]
    asked = Question(probe, "constant", None, 0.8, alike, 0.8, least=0.95, criterion="warm", level="4")
    (finding,) = find([asked], [result(probe, [])])
    assert (finding.criterion, finding.severity, finding.n) == ("warm", "high", 120)
    assert finding.sentence.startswith("warm has the level 4 in 99% of 120 replies (9")
    assert finding.sentence.endswith("also where the reply is gone or another's: it carries next to no signal")


def test_a_question_aside_takes_less_from_the_others():
    probe = named("padding")
    rng = random.Random(3)
    scores = [0.15 + rng.gauss(0, 0.07) for _ in range(10)]
    told = result(probe, scores)
    beside = Question(probe, "unscored", None, 0.05, [(n, 0.0) for n in range(10)], 0.05, weight=0.2)
    (alone,) = find([question(probe, told, scores)], [told])
    (finding,) = find([question(probe, told, scores), beside], [told])
    assert finding.p == pytest.approx(1.2 * alone.p)
