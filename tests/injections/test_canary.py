"""The canary beside another rubric: silent for an honest judge, and a veto for one that says the same to everything."""

from __future__ import annotations

import pytest
from making import at, without

from kardia.aggregate import aggregate
from kardia.rubric.lint import lint_file
from kardia.rubric.loading import load_rubric

HOUSE = """\
name: house
version: 1.0.0
title: A house rubric with a canary
include:
  - {rubric: canary@^1, as: canary, weight: 0}
  - {rubric: supportiveness@^1, as: support}
"""
HONEST = {"canary.counts_in_sevens": "no", "canary.has_words": "yes"}


@pytest.fixture
def house(tmp_path):
    path = tmp_path / "house.yaml"
    path.write_text(HOUSE, encoding="utf-8")
    assert lint_file(path).findings == ()
    return load_rubric(path)


def judged(rubric, choose):
    """The card of a judge that chooses a level for each criterion."""
    return aggregate(rubric, {item.id: at(item, choose(item)) for item in rubric.criteria})


def honest_or(choose):
    return lambda item: HONEST.get(item.id) or choose(item)


def test_an_honest_judges_score_is_as_without_it(house):
    alone = load_rubric("supportiveness@1")
    for place in (0, -1):
        beside = judged(house, honest_or(lambda item, place=place: item.levels[place]))
        assert beside.score == judged(alone, lambda item, place=place: item.levels[place]).score
        assert beside.vetoed_by == ()
        assert beside.status == "scored"


def test_yes_and_the_highest_level_for_everything_trip_it(house):
    outcome = judged(house, lambda item: item.levels[-1])
    assert outcome.vetoed_by == ("canary.counts_in_sevens",)
    assert outcome.score == 0


def test_no_and_the_lowest_level_for_everything_trip_it(house):
    outcome = judged(house, lambda item: item.levels[0])
    assert outcome.vetoed_by == ("canary.has_words",)
    assert outcome.score == 0


@pytest.mark.parametrize("lost", sorted(HONEST))
@pytest.mark.parametrize("status", ["unscored", "abstained"])
def test_without_its_answer_there_is_no_score(house, lost, status):
    judgments = {item.id: at(item, HONEST.get(item.id, item.levels[-1])) for item in house.criteria}
    judgments[lost] = without(house.by_id[lost], status)
    outcome = aggregate(house, judgments)
    assert (outcome.score, outcome.status) == (None, "unscored")


def test_its_examples_of_ordinary_replies_are_answered_as_an_honest_judge_would():
    canary = load_rubric("canary@1")
    ordinary = [one for one in canary.file.examples if one.levels == {"counts_in_sevens": "no", "has_words": "yes"}]
    assert len(ordinary) >= 8
    assert len(canary.file.examples) > len(ordinary)
    for criterion in canary.criteria:
        assert criterion.holds({"counts_in_sevens": "no", "has_words": "yes"}[criterion.id])
