"""Labels as token sequences."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kardia.judge.local.labels import question_of

PROMPT = (9, 8, 7)
END = 99


def asks(question):
    """For each label, the (prefix, token) pairs whose log-probabilities are summed."""
    found = {}
    for label, terms in question.terms.items():
        pairs = [(question.readings[one], question.readings[one].asks[ask]) for one, ask in terms]
        found[label] = [(reading.tokens[: place + 1], token) for reading, (place, token) in pairs]
    return found


def test_labels_of_one_token_are_read_off_the_prompt():
    question = question_of({"1": (*PROMPT, 1), "2": (*PROMPT, 2)}, END)
    assert [reading.tokens for reading in question.readings] == [PROMPT]
    assert asks(question) == {"1": [(PROMPT, 1)], "2": [(PROMPT, 2)]}
    assert question.readings[0].fresh == 2


def test_a_longer_label_is_read_token_by_token():
    question = question_of({"no": (*PROMPT, 1), "yes": (*PROMPT, 2, 3)}, END)
    assert asks(question) == {"no": [(PROMPT, 1)], "yes": [(PROMPT, 2), ((*PROMPT, 2), 3)]}


def test_a_label_that_begins_another_is_told_apart_by_the_end_of_the_turn():
    question = question_of({"1": (*PROMPT, 1), "10": (*PROMPT, 1, 0), "2": (*PROMPT, 2)}, END)
    one = (*PROMPT, 1)
    assert asks(question) == {
        "1": [(PROMPT, 1), (one, END)],
        "10": [(PROMPT, 1), (one, 0), ((*one, 0), END)],
        "2": [(PROMPT, 2), ((*PROMPT, 2), END)],
    }


def test_a_token_that_reaches_over_the_border_counts_from_where_labels_differ():
    """The prompt's last token is another one with one of the labels."""
    question = question_of({"a": (9, 8, 7, 1), "b": (9, 8, 5)}, END)
    assert asks(question) == {"a": [((9, 8), 7), ((9, 8, 7), 1)], "b": [((9, 8), 5)]}


def test_what_all_labels_begin_with_says_nothing():
    question = question_of({"a": (*PROMPT, 4, 1), "b": (*PROMPT, 4, 2)}, END)
    assert asks(question) == {"a": [((*PROMPT, 4), 1)], "b": [((*PROMPT, 4), 2)]}


@pytest.mark.parametrize(
    "sequences", [{"a": (1, 2)}, {"a": (1, 2), "b": (1, 2)}, {"a": (1,), "b": (2,)}], ids=["one", "equal", "bare"]
)
def test_labels_that_cannot_be_told_apart(sequences):
    with pytest.raises(ValueError, match="label"):
        question_of(sequences, END)


@given(st.lists(st.lists(st.integers(0, 2), min_size=1, max_size=3).map(tuple), min_size=2, max_size=6, unique=True))
def test_shares_are_those_of_the_sums(labels):
    question = question_of({str(label): (5, *label) for label in labels}, END)

    def told(prefix, token):
        return -0.1 - 0.37 * len(prefix) - token / 7

    read = [[told(each.tokens[: place + 1], token) for place, token in each.asks] for each in question.readings]
    shares = question.shares(read)
    sums = {label: sum(told(*pair) for pair in pairs) for label, pairs in asks(question).items()}
    whole = sum(math.exp(each) for each in sums.values())
    assert math.isclose(sum(shares.values()), 1)
    for label, number in sums.items():
        assert math.isclose(shares[label], math.exp(number) / whole)
