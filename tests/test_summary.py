"""What a run came to: only sums are kept, and what is unscored is in no mean."""

from __future__ import annotations

import json
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
        "agreement": None,
        "tokens": 0,
        "cost": None,
    }


def test_cards_and_criteria_are_counted():
    summary = Summary()
    summary.add(card(0.5, x=0.5, y="not_applicable"))
    summary.add(card(0.0, vetoed=("x",), x=0.0, y=1.0))
    summary.add(card(None, x="unscored", y="abstained", id_="c3"))
    summary.add(card(1.0, status="partial", x=1.0, y="abstained"))
    summary.add(card(0.25, rubric="b@1.0.0", x=0.25))
    unasked = {"agreement": None, "tokens": 0, "cost": None}
    assert summary.cards["a@1.0.0"].to_json() == {
        **unasked,
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


def took(tokens, cost=None):
    return {"requests": 1, "attempts": 1, "input_tokens": tokens, "output_tokens": 1, "cost": cost}


def test_what_it_took_is_summed_and_its_cost_unknown_where_nobody_names_one():
    summary = Summary()
    summary.add(card(1.0, x=1.0, y=1.0, usage={**took(10), "criteria": {"x": took(4), "y": took(6)}}))
    whole, rows = summary.cards["a@1.0.0"], summary.criteria["a@1.0.0"]
    assert (whole.tokens, whole.cost) == (11, None)
    summary.add(card(1.0, x=1.0, y=1.0, usage={**took(10, 0.5), "criteria": {"x": took(4, 0.25), "y": took(6, 0.25)}}))
    assert (whole.tokens, whole.cost) == (22, 0.5)
    assert [(row.tokens, row.cost) for row in rows.values()] == [(10, 0.25), (14, 0.25)]


def test_agreement_is_the_mean_over_what_was_asked_more_than_once():
    summary = Summary()
    for levels in ((1, 1), (1, 2)):
        whole = card(1.0, x=1.0)
        sampled = Judgment("x", "scored", 1, 1.0, samples=levels)
        summary.add(Scorecard(**{**{f: getattr(whole, f) for f in whole.__slots__}, "criteria": {"x": sampled}}))
    assert summary.criteria["a@1.0.0"]["x"].agreement == 0.75
    assert summary.cards["a@1.0.0"].agreement is None


parts = st.lists(
    st.lists(st.one_of(st.floats(0, 1), st.sampled_from(["unscored", "abstained"])), max_size=8), max_size=5
)


@given(parts)
def test_merged_figures_are_those_of_all_cards(found):
    whole, merged = Summary(), Summary()
    for number, outcomes in enumerate(found):
        part = Summary()
        for place, outcome in enumerate(outcomes):
            score = outcome if isinstance(outcome, float) else None
            usage = {"input_tokens": 3, "output_tokens": 1, "cost": 0.5}
            usage["criteria"] = {"k": dict(usage)}
            one = card(score, vetoed=("k",) if place % 2 else (), usage=usage, id_=f"{number}.{place}", k=outcome)
            whole.add(one)
            part.add(one)
        merged.merge(Summary.from_plain(json.loads(json.dumps(part.to_plain()))))
    assert (merged.total, merged.unscored, merged.abstained) == (whole.total, whole.unscored, whole.abstained)
    assert merged.first_error == whole.first_error
    rows = [(merged.cards.get(ref), whole.cards[ref]) for ref in whole.cards]
    rows += [(merged.criteria[ref].get(key), row) for ref, keys in whole.criteria.items() for key, row in keys.items()]
    for one, other in rows:
        assert one.spread == pytest.approx(other.spread, abs=1e-9)
        for name, value in other.to_json().items():
            assert one.to_json()[name] == pytest.approx(value, abs=2e-6), name
