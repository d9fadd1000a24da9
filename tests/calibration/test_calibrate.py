"""Planted miscalibration is mended on unseen replies; what is right is left alone; what cannot be done is said."""

from __future__ import annotations

from dataclasses import replace

import pytest

pytest.importorskip("numpy", reason="calibration needs kardia[agree]")
pytest.importorskip("scipy", reason="calibration needs kardia[agree]")

import kardia
from kardia.calibration.calibrate import calibrate
from kardia.errors import AnswerError, InputError

from .planted import Planted, calibrated, judge, planted, rubric, scored

QUICK = {"resamples": 200}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("calibrate")
    rubric(folder)
    return folder


def found(place, data: Planted, asked, **options):
    cards = scored(data, place / "planted.yaml", asked)
    return calibrate(cards, data.labels, rubric=place / "planted.yaml", **{**QUICK, **options}).calibration


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("method", ["auto", "isotonic", "threshold"])
def test_a_judge_that_is_too_generous_is_mended_out_of_fold(place, seed, method):
    data = planted(seed=seed)
    rule = found(place, data, judge(data, over=0.7), criteria=["warm"], method=method).criteria["warm"]
    assert rule.method == ("isotonic" if method == "auto" else method)
    assert rule.before.bias.value > 0.12
    assert rule.before.bias.low > 0.08
    assert abs(rule.after.bias.value) < 0.05
    if rule.method == "isotonic":  # cuts choose among the levels, and a level is a coarse value
        assert rule.after.ece.value < rule.before.ece.value - 0.05
    assert rule.change.brier.high < 0 or rule.method == "threshold"
    assert rule.after.kappa.value > rule.before.kappa.value
    assert rule.n == 160
    assert rule.groups == 40


def test_a_judge_that_is_right_is_left_nearly_alone(place):
    methods = []
    for seed in range(20):
        data, asked = calibrated(seed=seed)
        rule = found(place, data, asked, criteria=["warm"]).criteria["warm"]
        methods.append(rule.method)
        if rule.method == "none":
            assert rule.after == rule.before
            assert rule.change.brier.value == 0
        else:
            assert max(abs(x - y) for x, y in zip(rule.x, rule.y, strict=True)) < 0.1
    assert methods.count("none") >= 18


def test_values_where_low_is_good_are_mended_too(place):
    data = planted()
    rule = found(place, data, judge(data, over=0.7), criteria=["presses"]).criteria["presses"]
    assert rule.method == "isotonic"
    assert rule.before.bias.value > 0.12
    assert abs(rule.after.bias.value) < 0.03


@pytest.mark.parametrize(("sure", "softer"), [(5.0, True), (0.1, False)])
def test_a_temperature_makes_probabilities_likelier(place, sure, softer):
    data = planted()
    rule = found(place, data, judge(data, sure=sure), criteria=["warm"], method="temperature").criteria["warm"]
    assert (rule.temperature > 1) == softer
    assert rule.after.log_loss.value < rule.before.log_loss.value


def test_probabilities_of_options_have_a_temperature_and_nothing_else(place):
    data = planted()
    asked = judge(data, sure=3.0)
    made = found(place, data, asked, criteria=["tone"])
    assert made.criteria["tone"].method in ("temperature", "none")
    with pytest.raises(InputError, match="options have no order, and isotonic needs one"):
        found(place, data, asked, criteria=["tone"], method="isotonic")
    made = found(place, data, judge(data))
    assert "no order and the judge gives no probabilities" in made.left_out["tone"]
    with pytest.raises(InputError, match="temperature is of probabilities, and the judge gives none"):
        found(place, data, judge(data), method="temperature")


def test_a_requirement_is_calibrated_only_where_it_is_named(place):
    data = planted()
    made = found(place, data, judge(data, over=0.7))
    assert set(made.criteria) == {"warm", "presses", "listens"}
    assert "can lift a veto" in made.left_out["demeans"]
    assert set(found(place, data, judge(data, over=0.7), criteria=["demeans"]).criteria) == {"demeans"}


def test_no_group_stands_on_both_sides(place):
    """Replies of a group are one and the same, and whoever has seen one knows the others."""
    data = planted(n=160)
    labels = [
        {"id": row["id"], "warm": 1 + (int(row["group"][1:]) * 7919) % 5} for row in data.rows
    ]  # nothing but the group tells
    cards = scored(data, place / "planted.yaml", judge(data))
    groups = {row["id"]: row["group"] for row in data.rows}
    values = {key: number / 39 for number, key in enumerate(sorted(set(groups.values())))}
    cards = [
        replace(card, criteria={"warm": replace(card.criteria["warm"], value=values[groups[card.id]])})
        for card in cards
    ]
    rule = calibrate(cards, labels, rubric=place / "planted.yaml", method="isotonic", **QUICK).calibration.criteria
    assert rule["warm"].after.brier.value > 0.08  # the labels' own spread is 0.125


def test_too_few_labels_are_refused(place):
    data = planted(n=24)
    with pytest.raises(InputError, match=r"nothing can be calibrated: warm: 24 labelled replies .* of 6 groups"):
        found(place, data, judge(data))


def test_too_few_of_one_criterion_leave_it_out(place):
    data = planted()
    few = [label if number < 20 else {**label, "warm": ""} for number, label in enumerate(data.labels)]
    cards = scored(data, place / "planted.yaml", judge(data, over=0.7))
    made = calibrate(cards, few, rubric=place / "planted.yaml", **QUICK).calibration
    assert "20 labelled replies" in made.left_out["warm"]
    assert "presses" in made.criteria


def test_labels_of_one_level_are_refused(place):
    data = planted()
    same = [{"id": label["id"], "warm": 3} for label in data.labels]
    cards = scored(data, place / "planted.yaml", judge(data))
    with pytest.raises(InputError, match="the same level"):
        calibrate(cards, same, rubric=place / "planted.yaml")


def test_a_judge_that_is_constant_has_figures_all_the_same(place):
    data = planted()
    asked = kardia.FakeJudge({"reason": "So so.", "evidence": [], "level": 3})
    for method in ("auto", "isotonic", "threshold"):
        rule = found(place, data, asked, criteria=["warm"], method=method).criteria["warm"]
        assert rule.before.kappa.value == 0
        assert rule.before.bins[0].n == 160
        assert len(rule.before.bins) == 1


def test_unscored_replies_do_not_count(place):
    data = planted()
    right = judge(data, over=0.7).script

    def answers(request):
        return AnswerError("no") if request.target.text.endswith("7") else right(request)

    rule = found(place, data, kardia.FakeJudge(answers), criteria=["warm"]).criteria["warm"]
    assert rule.n == 144


def test_several_people_are_averaged(place):
    data = planted()
    two = [{**label, "rater": "A"} for label in data.labels]
    two += [{**label, "warm": 6 - label["warm"], "rater": "B"} for label in data.labels]
    cards = scored(data, place / "planted.yaml", judge(data))
    with pytest.raises(InputError, match="the same level"):  # their mean is 3, of every reply
        calibrate(cards, two, rubric=place / "planted.yaml", criteria=["warm"])


def test_equal_runs_are_equal_and_no_interval_is_none(place):
    data = planted()
    asked = judge(data, over=0.7)
    first, second = (found(place, data, asked) for _ in range(2))
    assert first == second
    plain = found(place, data, asked, resamples=0).criteria["warm"]
    assert (plain.before.bias.low, plain.change.brier.low) == (None, None)
    assert plain.after.brier.value == first.criteria["warm"].after.brier.value


def test_files_of_two_judges_or_unknown_rubrics_are_refused(place):
    data = planted(n=40)
    one, other = (scored(data, place / "planted.yaml", judge(data, **more)) for more in ({}, {"model": "another"}))
    with pytest.raises(InputError, match="holds scorecards of the judges"):
        calibrate([*one, *other], data.labels, rubric=place / "planted.yaml")
    with pytest.raises(InputError, match="cannot be found here, and a calibration is bound to it"):
        calibrate(one, data.labels)
    moved = rubric(place.parent)
    moved.write_text(moved.read_text().replace("How warm is", "How kind is"))
    with pytest.raises(InputError, match=r"content of planted@1\.0\.0 has changed"):
        calibrate(one, data.labels, rubric=moved)
    with pytest.raises(InputError, match="method is one of auto"):
        calibrate(one, data.labels, method="magic")
    with pytest.raises(InputError, match="2 to 50 folds"):
        calibrate(one, data.labels, folds=1)
