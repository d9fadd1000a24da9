"""What a run came to: only sums are kept, and what is unscored is in no mean."""

from __future__ import annotations

import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kardia.judgment import Judgment, Scorecard
from kardia.summary import Row, Summary


def judgment(key, outcome):
    if isinstance(outcome, float):
        return Judgment(key, "scored", 1, outcome)
    return Judgment(key, outcome, error=f"{outcome} it is")


def card(score, rubric="a@1.0.0", vetoed=(), usage=None, status=None, id_="c1", **criteria):
    status = status or ("unscored" if score is None else "scored")
    judgments = {key: judgment(key, outcome) for key, outcome in criteria.items()}
    return Scorecard(id_, {}, None, {}, rubric, "fake", status, score, vetoed, judgments, usage or {})


@given(st.lists(st.floats(0, 1), min_size=1, max_size=50))
def test_mean_and_spread_are_those_of_the_population(values):
    row = Row()
    for value in values:
        row.add(value)
    assert row.scored == len(values)
    assert row.mean == pytest.approx(statistics.fmean(values))
    assert row.spread == pytest.approx(statistics.pstdev(values), abs=1e-9)


def test_an_empty_row_has_no_figures():
    assert Row().to_json() == {
        "scored": 0,
        "mean": None,
        "spread": None,
        "unscored": 0,
        "abstained": 0,
        "not_applicable": 0,
        "partial": 0,
        "vetoes": 0,
    }


def test_cards_and_criteria_are_counted():
    summary = Summary()
    summary.add(card(0.5, x=0.5, y="not_applicable"))
    summary.add(card(0.0, vetoed=("x",), x=0.0, y=1.0))
    summary.add(card(None, x="unscored", y="abstained", id_="c3"))
    summary.add(card(1.0, status="partial", x=1.0, y="abstained"))
    summary.add(card(0.25, rubric="b@1.0.0", x=0.25))
    assert summary.cards["a@1.0.0"].to_json() == {
        "scored": 3,
        "mean": 0.5,
        "spread": 0.408248,
        "unscored": 1,
        "abstained": 0,
        "not_applicable": 0,
        "partial": 1,
        "vetoes": 1,
    }
    rows = summary.criteria["a@1.0.0"]
    assert (rows["x"].scored, rows["x"].mean, rows["x"].unscored, rows["x"].vetoes) == (3, 0.5, 1, 1)
    assert (rows["y"].scored, rows["y"].mean, rows["y"].abstained, rows["y"].not_applicable) == (1, 1.0, 2, 1)
    assert (summary.total, summary.unscored, summary.abstained) == (5, 1, 2)
    assert summary.first_error == "c3, x: unscored it is"
    assert summary.criteria["b@1.0.0"]["x"].spread == 0


def test_the_first_error_stays():
    summary = Summary()
    summary.add(card(None, x="unscored", id_="c1"))
    summary.add(card(None, x="unscored", id_="c2"))
    assert (summary.first_error or "").startswith("c1, x")


def test_a_card_without_a_score_counts_though_no_criterion_is_unscored():
    summary = Summary()
    summary.add(card(None, x="abstained"))
    assert (summary.unscored, summary.abstained) == (1, 1)


def test_costs_are_summed_and_unknown_where_nobody_names_one():
    summary = Summary()
    summary.add(card(1.0, usage={"requests": 2, "input_tokens": 10, "output_tokens": 3, "cost": None}))
    assert (summary.requests, summary.input_tokens, summary.output_tokens, summary.cost) == (2, 10, 3, None)
    summary.add(card(1.0, usage={"requests": 1, "cost": 0.5}))
    summary.add(card(1.0, usage={"requests": 1, "cost": 0.25}))
    assert (summary.requests, summary.cost) == (4, 0.75)
