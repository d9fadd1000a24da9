"""Scorecards read back: what was judged is what is fitted, and what is something else is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from making import binary, make, ordinal

import kardia
from kardia.errors import InputError
from kardia.fitting.cards import counted_shares, load_subject, read_cards
from kardia.rubric.rubric import Part

from .simulated import JUDGE, RUBRIC, card, subject, write_lines

LEVELS = {"warm": 4, "clear": 2, "tone": "neutral"}


def read(tmp_path: Path, *rows, rubric=RUBRIC):
    return read_cards(write_lines(tmp_path / "scores.jsonl", rows), subject(rubric))


def refused(tmp_path: Path, key: str | None, words: str, *rows) -> None:
    with pytest.raises(InputError) as problem:
        read(tmp_path, *rows)
    assert problem.value.key == key
    assert problem.value.file is not None
    assert words in problem.value.message


def test_what_was_scored_is_read_back(tmp_path, conversation):
    rubric = kardia.load_rubric("supportiveness@1")
    cards = [kardia.score(conversation, rubric, "fake", ledger="off"), kardia.score(conversation, "safety", "fake")]
    path = write_lines(tmp_path / "scores.jsonl", [one.to_json() for one in cards])
    found = read_cards(path, load_subject("supportiveness@1"))
    assert found.judge == {"name": "fake", "hash": cards[0].provenance["judge"]["hash"]}
    (read_back,) = found.by_id.values()
    assert (read_back.id, read_back.group, read_back.line) == ("c1", "id c1", 1)
    for key, judgment in cards[0].criteria.items():
        again = read_back.judgments[key]
        assert (again.level, again.value) == (judgment.level, round(judgment.value, 6))


def test_probabilities_have_their_levels_again(tmp_path):
    shares = {"warm": {3: 0.25, 4: 0.75}, "tone": {"warm": 0.5, "neutral": 0.5}}
    (found,) = read(tmp_path, card("a", LEVELS, probabilities=shares)).by_id.values()
    assert found.judgments["warm"].probabilities == shares["warm"]
    assert found.judgments["tone"].probabilities == shares["tone"]
    assert found.judgments["warm"].value == pytest.approx(0.6875)


def test_groups_and_vetoes(tmp_path):
    rows = [card("a", LEVELS, group="g"), card("b", LEVELS, group=3, vetoed_by=["warm"]), card("c", LEVELS)]
    found = read(tmp_path, *rows).by_id
    assert [one.group for one in found.values()] == ["group g", "group 3", "id c"]
    assert [one.vetoed for one in found.values()] == [False, True, False]


def test_statuses(tmp_path):
    levels = {"warm": "unscored", "clear": "abstained", "tone": "not_applicable"}
    (found,) = read(tmp_path, card("a", levels)).by_id.values()
    assert [one.status for one in found.judgments.values()] == list(levels.values())


def test_criteria_of_its_own_leave_a_card_out(tmp_path):
    own = card("a", LEVELS)
    own["provenance"]["instance"] = "sha256:" + "0" * 64
    found = read(tmp_path, own, card("b", LEVELS))
    assert (list(found.by_id), found.own_criteria) == (["b"], 1)
    refused(tmp_path, None, "1 bring criteria of their own", own)


def broken(**criteria):
    row = card("b", LEVELS)
    for key, change in criteria.items():
        row["criteria"][key] = None if change is None else {**row["criteria"][key], **change}
    return row


@pytest.mark.parametrize(
    ("row", "key", "words"),
    [
        ({"id": "b"}, "rubric", "is no scorecard"),
        ({**card("b", LEVELS), "criteria": []}, "criteria", "is no scorecard"),
        ({**card("b", LEVELS), "provenance": {}}, "provenance", "does not say by what it was scored"),
        (card("a", LEVELS), "id", "was there before, in line 1"),
        (broken(warm=None), "criteria.warm", "is no judgment"),
        (broken(warm={"status": "guessed"}), "criteria.warm", "is no judgment"),
        (broken(warm={"level": 6}), "criteria.warm.level", "6 is not on the scale"),
        (broken(warm={"level": True}), "criteria.warm.level", "True is not on the scale"),
        (broken(warm={"value": 1.5}), "criteria.warm.value", "no number from 0 to 1"),
        (broken(warm={"value": None}), "criteria.warm.value", "no number from 0 to 1"),
        (broken(warm={"probabilities": {"9": 1.0}}), "criteria.warm.probabilities", "no distribution"),
        (broken(warm={"probabilities": {"4": 0.0}}), "criteria.warm.probabilities", "no distribution"),
        (broken(warm={"probabilities": {"4": -1.0}}), "criteria.warm.probabilities", "no distribution"),
        (broken(warm={"probabilities": [1.0]}), "criteria.warm.probabilities", "no distribution"),
    ],
)
def test_what_is_no_scorecard(tmp_path, row, key, words):
    with pytest.raises(InputError) as problem:
        read(tmp_path, card("a", LEVELS), row)
    assert (problem.value.line, problem.value.key) == (2, key)
    assert words in problem.value.message


def test_what_is_no_json_line(tmp_path):
    path = tmp_path / "scores.jsonl"
    path.write_text(json.dumps(card("a", LEVELS)) + "\noops\n")
    with pytest.raises(InputError) as problem:
        read_cards(path, subject())
    assert problem.value.line == 2


def test_another_content_of_the_rubric(tmp_path):
    row = card("a", LEVELS)
    row["provenance"]["rubric"]["hash"] = "sha256:" + "0" * 64
    refused(tmp_path, "provenance.rubric.hash", "name the version that it was scored by", row)


def test_a_second_judge(tmp_path):
    other = card("b", LEVELS)
    other["provenance"]["judge"] = {**JUDGE, "hash": "sha256:" + "b" * 64}
    refused(tmp_path, "provenance.judge", "by another judge", card("a", LEVELS), other)


def test_other_rubrics_are_passed_over(tmp_path):
    other = {**card("a", LEVELS), "rubric": "other@1.0.0"}
    assert list(read(tmp_path, other, card("a", LEVELS)).by_id) == ["a"]
    refused(tmp_path, None, "holds no scorecard of made that can be fitted; it holds those of other@1.0.0", other)


def test_cards_of_either_aggregation_may_be_fitted(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = (Path(kardia.load_rubric("empathy-mechanisms").source)).read_text("utf-8")
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    as_it_is = kardia.load_rubric(path)
    learned = "aggregate: {method: learned, artifact: not-there.json}"
    path.write_text(text.replace("aggregate: {method: weighted_mean, unscored: renormalise}", learned))
    assert "not-there.json" in path.read_text()
    found = load_subject(path)
    assert found.rubric.file.aggregate.method == "weighted_mean"
    assert found.rubric.asked_hash == as_it_is.asked_hash
    assert as_it_is.hash in load_subject("empathy-mechanisms").hashes


def test_what_counts_and_how_much():
    deep = make(ordinal("calm"), ordinal("kind"), name="deep")
    inner = make(ordinal("clear", weight=3), binary("asked", weight=0), name="inner", parts=(Part("deep", 1.0, deep),))
    rubric = make(
        ordinal("warm", weight=2),
        binary("noted", weight=0),
        parts=(Part("inner", 2.0, inner), Part("again", 1.0, deep), Part("aside", 0.0, make(ordinal("x"), name="x"))),
    )
    assert counted_shares(rubric, "items") == {"warm": 0.5, "inner": 0.5}
    assert counted_shares(rubric, "criteria") == {
        "warm": 0.5,
        "inner.clear": 0.375,
        "inner.deep.calm": 0.0625,
        "inner.deep.kind": 0.0625,
    }
