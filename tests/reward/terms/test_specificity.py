"""What a reply is worth where it was written over what it would be worth elsewhere."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from making import make, ordinal

import kardia
from kardia.reward.reward import Reward
from kardia.reward.terms.specificity import specificity

UNIT = st.floats(0, 1)
RUBRIC = make(ordinal("fits"))
SPEC = {"name": "here", "terms": {"here": {"kind": "specificity", "rubric": RUBRIC}}}
DOG, EXAM = "My dog died.", "I failed my exam."


def by_words(request: Any) -> dict[str, Any]:
    """A judge that looks for the person's words in the reply; and one stock reply has fooled it."""
    said = set(request.conversation.messages[0].content.lower().strip(".").split())
    fits = request.target.text == "stock" or said & set(request.target.text.lower().split())
    return {"reason": "Hm.", "evidence": [], "level": 5 if fits else 1}


def told(judge: Any, rows: list[tuple[str, str]], spec: Any = SPEC, **columns: Any) -> list[tuple[Any, Any]]:
    reward = Reward(spec, judge, ledger="off")
    prompts, completions = ([row[part] for row in rows] for part in (0, 1))
    judged = reward.judge(reward.batch(prompts, completions, None, columns))
    return [(value.value, value.why) for value in judged.values]


@given(UNIT, UNIT)
def test_a_reply_that_is_as_good_elsewhere_is_in_the_middle(here: float, elsewhere: float) -> None:
    found = specificity(here, elsewhere)
    assert 0 <= found <= 1
    assert (found > 0.5) <= (here > elsewhere)
    assert found + specificity(elsewhere, here) == pytest.approx(1)
    assert specificity(here, here) == 0.5


def test_a_stock_reply_earns_nothing_by_it() -> None:
    rows = [(DOG, "the dog"), (DOG, "stock"), (DOG, "the exam"), (EXAM, "the exam"), (EXAM, "stock")]
    assert [value for value, _ in told(kardia.FakeJudge(by_words), rows)] == [1.0, 0.5, 0.0, 1.0, 0.5]


def test_it_costs_one_card_more_and_shares_what_a_rubric_term_asks() -> None:
    judge = kardia.FakeJudge(by_words)
    rows = [(DOG, "the dog"), (DOG, "the dog"), (EXAM, "the exam")]
    both = {"name": "both", "terms": {**SPEC["terms"], "rubric": {"kind": "rubric", "rubric": RUBRIC}}}  # type: ignore[dict-item]
    told(judge, rows, both)
    assert len(judge.asked) == 2 + 2, "equal completions once; each where it was written, and elsewhere"


def test_one_prompt_alone_has_no_elsewhere() -> None:
    (value, why), _ = told(kardia.FakeJudge(by_words), [(DOG, "the dog"), (DOG, "stock")])
    assert value is None
    assert why.startswith("here: in answer to another prompt: the batch has one prompt only")


def test_where_one_of_the_two_could_not_be_judged_there_is_no_value() -> None:
    def fails(request: Any) -> Any:
        return "no answer" if request.conversation.messages[0].content == EXAM else by_words(request)

    found = told(kardia.FakeJudge(fails), [(DOG, "the dog"), (EXAM, "the exam")])
    assert [value for value, _ in found] == [None, None]
    assert "here: in answer to another prompt: " in found[0][1]
    assert "in answer to another prompt" not in found[1][1]


def test_a_rows_own_criteria_do_not_move() -> None:
    rows = [(DOG, "the dog"), (EXAM, "the exam")]
    own = [[{"question": "Does it name the loss?"}], None]
    judge = kardia.FakeJudge(lambda request: {"reason": "Hm.", "evidence": [], "level": request.criteria[0].levels[-1]})
    (first, why), (second, _) = told(judge, rows, rubric=own)
    assert (first, second) == (None, 0.5)
    assert "criteria of its own" in why


def test_nothing_written_has_the_value_that_is_declared() -> None:
    spec = {"name": "here", "terms": {"here": {**SPEC["terms"]["here"], "nothing_written": 0}}}  # type: ignore[index]
    judge = kardia.FakeJudge(by_words)
    assert [value for value, _ in told(judge, [(DOG, ""), (EXAM, "the exam")], spec)] == [0.0, 1.0]
