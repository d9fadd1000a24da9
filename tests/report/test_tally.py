"""What a scored file came to."""

from __future__ import annotations

import statistics

from kardia.report.cards import read_cards
from kardia.report.tally import Tally

from .cardfile import RUBRIC, card, judgment, mixed, write


def tally_of(tmp_path, rows):
    tally = Tally()
    for one in read_cards(write(tmp_path / "s.jsonl", rows)):
        tally.add(one)
    return tally


def test_figures_are_those_of_the_file(tmp_path):
    rows = mixed(100)
    tally = tally_of(tmp_path, rows)
    (series,) = tally.series.values()
    told = series.to_json()
    scores = [row["score"] for row in rows if row["score"] is not None]
    assert told["n"] == tally.cards == tally.conversations == 100
    assert told["statuses"] == {"scored": 90, "unscored": 10}
    assert told["score"]["mean"] == round(statistics.fmean(scores), 6)
    assert told["score"]["spread"] == round(statistics.pstdev(scores), 6)
    assert sum(told["score"]["histogram"]) == len(scores)
    assert told["score"]["histogram"][-1] == sum(score >= 0.95 for score in scores)
    assert told["vetoed"] == sum(bool(row["vetoed_by"]) for row in rows)
    first = RUBRIC.criteria[0]
    counted = series.criteria[first.id]
    assert counted.statuses == {"scored": 90, "unscored": 10}
    assert counted.levels[str(first.levels[0])] == sum(
        row["criteria"][first.id]["level"] == first.levels[0] for row in rows
    )
    assert series.criteria[RUBRIC.criteria[-1].id].vetoes == told["vetoed"]


def test_one_cause_is_one_reason(tmp_path):
    errors = ["no answer within 60 s", "no answer within 61 s", "it has no level | the judge said: my secret"]
    rows = [card(f"c{at}", criteria={"a": judgment(error=error)}) for at, error in enumerate(errors)]
    (series,) = tally_of(tmp_path, rows).series.values()
    reasons = {one["why"]: one["n"] for one in series.to_json()["reasons"]}
    assert reasons == {"no answer within … s": 2, "it has no level": 1}


def test_one_cause_in_many_criteria_is_one_reason(tmp_path):
    empty = {f"a{at}": judgment(error="the reply is empty") for at in range(30)}
    (series,) = tally_of(tmp_path, [card("c1", criteria=empty)]).series.values()
    assert series.to_json()["reasons"] == [{"why": "the reply is empty", "criteria": list(empty), "n": 30}]


def test_two_judges_are_two_series(tmp_path):
    other = card("c1", judge="other")
    other["provenance"] = {**other["provenance"], "judge": {"name": "other", "hash": "sha256:cc"}}
    tally = tally_of(tmp_path, [card("c1"), other, card("c2")])
    assert [(key.judge, series.to_json()["n"]) for key, series in tally.series.items()] == [
        ("my-server", 2),
        ("other", 1),
    ]
    assert (tally.cards, tally.conversations) == (3, 2)
    assert list(tally.strata) == [0, 3, 0]


def test_nothing_scored_is_nothing_and_not_nought(tmp_path):
    rows = [card(status="unscored", score=None, criteria={"a": judgment()})]
    (series,) = tally_of(tmp_path, rows).series.values()
    told = series.to_json()["score"]
    assert (told["mean"], told["spread"], told["median"]) == (None, None, None)
