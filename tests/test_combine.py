"""Several judgments as one: samples, and the voices of a panel."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from making import at, binary, choice, criterion, ordinal, without

from kardia.answer import from_distribution
from kardia.combine import Voice, because, combine_panel, combine_samples
from kardia.judgment import RAW_MARK, Judgment

KIND, BLAMES, TONE = criterion(ordinal("kind")), criterion(binary("blames", good="no")), criterion(choice("tone"))
LOW = criterion(ordinal("harm", good="low"))
EQUALS = criterion(
    {"id": "e", "question": "Which?", "scale": {"type": "choice", "options": {"a": 0.5, "b": 0.5, "c": 0.5}}}
)
CRITERIA = [KIND, LOW, BLAMES, TONE, EQUALS]
HOWS = ["mean", "median", "majority"]


def said(criterion_, *levels):
    return [without(criterion_) if level is None else at(criterion_, level) for level in levels]


def voices(criterion_, *pairs):
    judged = zip(said(criterion_, *(level for level, _ in pairs)), pairs, strict=True)
    return [Voice(f"judge{number}", weight, judgment) for number, (judgment, (_, weight)) in enumerate(judged)]


@st.composite
def judged(draw, failures=True, least=1):
    """A criterion, and samples of it: some with probabilities, some failed."""
    criterion_ = draw(st.sampled_from(CRITERIA))
    samples = []
    for number in range(draw(st.integers(least, 8))):
        kind = draw(st.sampled_from(["level", "shares", "failed"] if failures else ["level", "shares"]))
        if kind == "failed":
            samples.append(without(criterion_, draw(st.sampled_from(["unscored", "abstained", "not_applicable"]))))
        elif kind == "level":
            level = draw(st.sampled_from(criterion_.levels))
            samples.append(Judgment(criterion_.id, "scored", level, criterion_.value(level), f"number {number}"))
        else:
            weights = draw(st.lists(st.integers(0, 3), min_size=len(criterion_.levels), max_size=9).filter(any))
            shares = {level: weight + 0.1 for level, weight in zip(criterion_.levels, weights, strict=False)}
            samples.append(from_distribution(criterion_, shares))
    return criterion_, samples


# --- samples ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", HOWS)
def test_one_sample_is_itself(how):
    for sample in (at(KIND, 4), without(KIND)):
        assert combine_samples(KIND, [sample], how) is sample


@pytest.mark.parametrize(
    ("criterion_", "levels", "how", "level", "value", "shares"),
    [
        (KIND, (1, 2, 5), "mean", 2, 5 / 12, {1: 1 / 3, 2: 1 / 3, 5: 1 / 3}),
        (KIND, (1, 2, 5), "median", 2, 0.25, {2: 1}),
        (KIND, (1, 2, 5), "majority", 1, 0.0, {1: 1}),
        (KIND, (5, 5, 1, 2), "mean", 2, 0.5625, {1: 0.25, 2: 0.25, 5: 0.5}),
        (KIND, (5, 5, 1, 2), "median", 2, 0.625, {2: 0.5, 5: 0.5}),
        (KIND, (5, 5, 1, 2), "majority", 5, 1.0, {5: 1}),
        (LOW, (1, 2, 4, 5), "mean", 4, 0.5, {1: 0.25, 2: 0.25, 4: 0.25, 5: 0.25}),
        (LOW, (1, 2, 4, 5), "median", 4, 0.5, {2: 0.5, 4: 0.5}),
        (LOW, (1, 1, 5, 5), "majority", 5, 0.0, {5: 1}),
        (BLAMES, ("no", "no", "yes"), "mean", "no", 2 / 3, {"no": 2 / 3, "yes": 1 / 3}),
        (BLAMES, ("no", "no", "yes"), "median", "no", 1.0, {"no": 1}),
        (BLAMES, ("no", "yes"), "median", "yes", 0.5, {"no": 0.5, "yes": 0.5}),
        (BLAMES, ("no", "yes"), "majority", "yes", 0.0, {"yes": 1}),
        (TONE, ("warm", "cold", "neutral"), "mean", "cold", 0.5, dict.fromkeys(TONE.levels, 1 / 3)),
        (TONE, ("warm", "cold", "neutral"), "median", "neutral", 0.5, {"neutral": 1}),
        (TONE, ("warm", "warm", "cold"), "majority", "warm", 1.0, {"warm": 1}),
        (EQUALS, ("c", "b"), "majority", "b", 0.5, {"b": 1}),
        (KIND, (5, None, 4, 4), "majority", 4, 0.75, {4: 1}),
        (KIND, (None, 4), "median", 4, 0.75, {4: 1}),
    ],
)
def test_how_samples_come_together(criterion_, levels, how, level, value, shares):
    judgment = combine_samples(criterion_, said(criterion_, *levels), how)
    assert (judgment.status, judgment.level, judgment.value) == ("scored", level, pytest.approx(value))
    assert judgment.samples == levels
    assert judgment.probabilities == pytest.approx({name: shares.get(name, 0) for name in criterion_.levels})


def test_the_mean_is_the_default():
    samples = said(KIND, 1, 2, 5)
    assert combine_samples(KIND, samples) == combine_samples(KIND, samples, "mean")


def test_probabilities_are_averaged_over_those_that_count():
    sure, torn, other = (from_distribution(KIND, shares) for shares in ({2: 1.0}, {2: 0.6, 5: 0.4}, {4: 0.5, 5: 0.5}))
    majority = combine_samples(KIND, [other, torn, sure], "majority")
    assert majority.probabilities == pytest.approx({1: 0, 2: 0.8, 3: 0, 4: 0, 5: 0.2})
    assert (majority.level, majority.value) == (2, pytest.approx(0.4))
    median = combine_samples(KIND, [other, torn, sure], "median")
    assert median.probabilities == torn.probabilities
    assert median.value == pytest.approx(torn.value)


def test_the_words_are_those_of_the_first_sample_at_the_level():
    samples = [Judgment("kind", "scored", n, n / 4 - 0.25, f"about {n}", (f"{n}",)) for n in (5, 1, 2)]
    for how, words in (("mean", "2"), ("median", "2"), ("majority", "1")):
        judgment = combine_samples(KIND, samples, how)
        assert (judgment.reason, judgment.evidence) == (f"about {words}", (words,))


@given(judged(), st.sampled_from(HOWS))
def test_where_fewer_than_half_are_scored_the_first_failure_speaks(case, how):
    criterion_, samples = case
    judgment = combine_samples(criterion_, samples, how)
    failed = [sample for sample in samples if sample.status != "scored"]
    if 2 * len(failed) > len(samples):
        assert judgment is failed[0]
    else:
        assert judgment.status == "scored"


@given(judged(), st.sampled_from(HOWS), st.randoms(use_true_random=False))
def test_the_order_of_the_samples_does_not_matter(case, how, random):
    criterion_, samples = case
    shuffled = random.sample(samples, len(samples))
    one, two = combine_samples(criterion_, samples, how), combine_samples(criterion_, shuffled, how)
    if one.status != "scored":
        assert two.status != "scored"
    else:
        assert (one.level, one.value, one.agreement) == (two.level, two.value, two.agreement)
        assert one.probabilities == two.probabilities


@given(judged(failures=False, least=2), st.sampled_from(HOWS))
def test_values_stay_within_those_of_the_samples_and_are_the_expectation(case, how):
    criterion_, samples = case
    judgment = combine_samples(criterion_, samples, how)
    assert min(s.value for s in samples) <= judgment.value <= max(s.value for s in samples)
    assert judgment.level in {sample.level for sample in samples}
    assert math.fsum(judgment.probabilities.values()) == pytest.approx(1)
    expectation = sum(share * criterion_.value(level) for level, share in judgment.probabilities.items())
    assert judgment.value == pytest.approx(expectation)


@given(judged(failures=False), st.integers(1, 4), st.sampled_from(HOWS))
def test_samples_that_agree_are_themselves(case, count, how):
    criterion_, samples = case
    judgment = combine_samples(criterion_, samples[:1] * count, how)
    assert (judgment.level, judgment.value) == (samples[0].level, pytest.approx(samples[0].value))
    assert judgment.agreement == (None if count == 1 else 1.0)


# --- agreement -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("levels", "how", "agreement"),
    [
        ((4, 4, 5, 1), "mean", 0.5),
        ((4, 4, 4), "mean", 1.0),
        ((1, 2, 5), "majority", 1 / 3),
        ((4, None, 4, 2), "majority", 2 / 3),
        ((4, None), "mean", None),  # one sample agrees with nobody
    ],
)
def test_agreement_is_the_share_of_the_scored_samples_at_the_level(levels, how, agreement):
    assert combine_samples(KIND, said(KIND, *levels), how).agreement == (agreement and pytest.approx(agreement))


def test_without_samples_there_is_no_agreement():
    assert at(KIND, 4).agreement is None
    assert without(KIND).agreement is None


# --- panels ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pairs", "how", "level", "value", "agreement"),
    [
        (((1, 1.0), (5, 3.0)), "mean", 5, 0.75, 0.75),
        (((1, 1.0), (5, 3.0)), "median", 5, 1.0, 0.75),
        (((1, 2.0), (2, 1.0), (5, 1.0)), "median", 1, 0.125, 0.5),
        (((1, 1.0), (2, 1.0), (5, 1.5)), "majority", 5, 1.0, 1.5 / 3.5),
        (((1, 0.1), (1, 0.2), (5, 0.3)), "majority", 1, 0.0, 0.5),  # 0.1 + 0.2 is 0.3
        (((5, 0.1), (5, 0.2), (1, 0.3)), "majority", 1, 0.0, 0.5),
        (((1, 0.1), (1, 0.2), (5, 0.3)), "median", 1, 0.5, 0.5),
        (((4, 1.0), (None, 1.0)), "mean", 4, 0.75, None),
        (((4, 1.0), (2, 1.0), (None, 2.0)), "mean", 2, 0.5, 0.5),
    ],
)
def test_a_panel_weighs_its_members(pairs, how, level, value, agreement):
    judgment = combine_panel(KIND, voices(KIND, *pairs), how)
    assert (judgment.status, judgment.level, judgment.value) == ("scored", level, pytest.approx(value))
    assert judgment.agreement == (agreement and pytest.approx(agreement))
    assert judgment.samples == tuple(level for level, _ in pairs)
    assert judgment.weights == tuple(weight for _, weight in pairs)
    assert "weights" not in judgment.to_json()


def test_the_words_are_those_of_the_weightiest_member_at_the_level():
    def voice(name, weight, level):
        return Voice(name, weight, Judgment("kind", "scored", level, level / 4 - 0.25, name, (name,)))

    panel = [voice("a", 1.0, 4), voice("b", 2.0, 4), voice("c", 2.0, 4), voice("d", 4.0, 5), voice("e", 4.0, 1)]
    judgment = combine_panel(KIND, panel, "median")
    assert (judgment.level, judgment.reason, judgment.evidence) == (4, "b", ("b",))


def test_where_less_than_half_of_the_weight_is_scored_every_reason_is_kept():
    failed = Judgment("kind", "unscored", error=f"no level{RAW_MARK}I would say 4")
    panel = [
        Voice("a", 1.0, at(KIND, 4)),
        Voice("b", 2.0, failed),
        Voice("c", 1.0, without(KIND, "abstained")),
    ]
    judgment = combine_panel(KIND, panel)
    assert (judgment.status, judgment.level, judgment.value) == ("unscored", None, None)
    assert judgment.error == f"b: no level; c: for a test{RAW_MARK}b: I would say 4"
    assert judgment.without_text().error == "b: no level; c: for a test"
    # with half of the weight it is scored
    assert combine_panel(KIND, [Voice("a", 3.0, at(KIND, 4)), *panel[1:]]).level == 4


@pytest.mark.parametrize("status", ["not_applicable", "abstained"])
def test_what_most_of_the_weight_says_without_a_level(status):
    panel = [
        Voice("a", 1.0, at(KIND, 4)),
        Voice("b", 0.5, without(KIND, status, "one")),
        Voice("c", 0.6, without(KIND, status, "two")),
    ]
    judgment = combine_panel(KIND, panel)
    assert (judgment.status, judgment.error) == (status, "b: for a test; c: for a test")
    assert judgment.reason == ("two" if status == "not_applicable" else None)
    even = [Voice("a", 1.1, at(KIND, 4)), *panel[1:]]
    assert combine_panel(KIND, even).status == "scored"


@given(judged(failures=False, least=2), st.sampled_from(HOWS), st.sampled_from([0.25, 1.0, 7.0]))
def test_members_of_one_weight_are_combined_as_samples_are(case, how, weight):
    criterion_, samples = case
    panel = combine_panel(criterion_, [Voice(f"{n}", weight, sample) for n, sample in enumerate(samples)], how)
    plain = combine_samples(criterion_, samples, how)
    assert (panel.level, panel.value) == (plain.level, pytest.approx(plain.value))
    assert panel.probabilities == pytest.approx(plain.probabilities)
    assert panel.agreement == pytest.approx(plain.agreement)


@given(judged(), st.data(), st.sampled_from(HOWS), st.randoms(use_true_random=False))
def test_a_panel_does_not_depend_on_its_order_and_stays_within_bounds(case, data, how, random):
    criterion_, samples = case
    weights = data.draw(st.lists(st.integers(1, 5), min_size=len(samples), max_size=len(samples)))
    panel = [Voice("x", float(weight), sample) for weight, sample in zip(weights, samples, strict=True)]
    one, two = (combine_panel(criterion_, each, how) for each in (panel, random.sample(panel, len(panel))))
    assert (one.status, one.level, one.value) == (two.status, two.level, two.value)
    assert one.agreement == pytest.approx(two.agreement)
    if one.status == "scored":
        values = [sample.value for sample in samples if sample.value is not None]
        assert min(values) <= one.value <= max(values)
        doubled = [Voice("x", 2.0 * voice.weight, voice.judgment) for voice in panel]
        assert combine_panel(criterion_, doubled, how).value == pytest.approx(one.value)
    else:
        assert one.error


def test_because_names_everybody():
    abstained = Judgment("kind", "abstained", error="too few examples")
    assert because([("a", abstained), ("b", Judgment("kind", "not_applicable"))]) == (
        "a: too few examples; b: not applicable"
    )


def test_what_one_sample_was_not_shown_the_whole_was_not():
    first, second = said(KIND, 3, 4)
    judgment = combine_samples(KIND, [first, replace(second, dropped=2)])
    assert judgment.dropped == 2
    assert combine_samples(KIND, [first, second]).dropped == 0
