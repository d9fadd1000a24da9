"""Thresholds: what misses one is named, and nothing passes that is not known."""

from __future__ import annotations

import pytest

pytest.importorskip("numpy", reason="agreement needs kardia[agree]")
pytest.importorskip("scipy", reason="agreement needs kardia[agree]")

import kardia
from kardia.agreement.gates import GATES, misses
from kardia.errors import InputError

from .planted import RUBRIC, card, planted


@pytest.fixture(scope="module")
def found():
    cards, labels = planted(60, bias=1)
    labels += [{"id": each["id"], "criterion": "rating", "level": each["score"] * 4} for each in cards]
    return kardia.agree(cards, labels, rubric=RUBRIC, resamples=200)


@pytest.mark.parametrize("gate", GATES, ids=lambda gate: gate.option)
def test_a_bound_at_the_value_holds_and_beyond_it_misses(found, gate):
    (judge,) = found.judges
    figures = {
        each.name: each.coverage if gate.figure == "coverage" else each.statistics[gate.figure]
        for each in judge.criteria
        if each.kind != "choice" or gate.figure not in ("bias", "spearman")
    }
    if gate.of_scores:
        score = judge.scores[0]
        figures["the score"] = score.coverage if gate.figure == "coverage" else score.statistics[gate.figure]
    sizes = {name: abs(figure.value) if gate.most else figure.value for name, figure in figures.items()}
    worst = (max if gate.most else min)(sizes, key=sizes.__getitem__)
    assert misses(found, {gate.option: sizes[worst]}) == ()
    beyond = sizes[worst] - 1e-6 if gate.most else sizes[worst] + 1e-6
    named = {each.name: each for each in misses(found, {gate.option: beyond})}
    assert worst in named
    assert set(named) == {name for name, size in sizes.items() if (size > beyond if gate.most else size < beyond)}
    assert named[worst].found == pytest.approx(figures[worst].value)
    assert gate.option in named[worst].sentence
    ends = {name: max(abs(one.low), abs(one.high)) if gate.most else one.low for name, one in figures.items()}
    bound = (max if gate.most else min)(ends.values())
    assert misses(found, {gate.option: bound}, by_interval=True) == ()
    if gate.option != "--min-coverage":
        assert misses(found, {gate.option: sizes[worst]}, by_interval=True)


def test_what_is_not_defined_misses():
    cards = [card(own, warm=3, blames="no") for own in "ab"]
    labels = [{"id": own, "warm": 3, "blames": "no"} for own in "ab"]
    found = kardia.agree(cards, labels, rubric=RUBRIC, resamples=0)
    missed = misses(found, {"--min-kappa": -1.0, "--min-accuracy": 1.0})
    assert [each.name for each in missed] == ["warm", "blames"]
    assert all("chance explains all agreement" in each.sentence and each.found is None for each in missed)
    (one, _) = misses(found, {"--min-accuracy": 0.1}, by_interval=True)
    assert one.sentence == (
        "warm has no interval of its exact agreement, and misses --min-accuracy 0.1: no resamples were drawn"
    )


def test_pairs_have_their_own_accuracy():
    cards = [card("a", score=0.9), card("b", score=0.1), card("c", score=None)]
    pairs = [{"chosen": "b", "rejected": "a"}, {"chosen": "c", "rejected": "a"}]
    found = kardia.agree(cards, pairs, rubric=RUBRIC, resamples=0)
    (one,) = misses(found, {"--min-accuracy": 0.5})
    assert (one.name, one.found, one.judge) == ("the pairs", 0.0, "j")
    assert one.sentence == "the pairs: accuracy is 0.000, below 0.5 (--min-accuracy)"
    (other,) = misses(found, {"--min-coverage": 0.6})
    assert other.found == 0.5
    assert one.to_json()["bound"] == 0.5
    with pytest.raises(InputError, match="there is nothing in the labels that has a weighted κ") as problem:
        misses(found, {"--min-kappa": 0.5})
    assert problem.value.file == "--min-kappa"
