"""What stands for a criterion's levels."""

from __future__ import annotations

import pytest
from making import binary, choice, criterion, ordinal

from kardia.judge.labels import level_labels


@pytest.mark.parametrize(
    ("made", "labels"),
    [
        (ordinal("a", 1, 3), {"1": 1, "2": 2, "3": 3}),
        (ordinal("a", 0, 9), {str(n): n for n in range(10)}),
        (ordinal("a", 8, 10), {"A": 8, "B": 9, "C": 10}),
        (ordinal("a", -1, 1), {"A": -1, "B": 0, "C": 1}),
        (binary("a"), {"no": "no", "yes": "yes"}),
        (choice("a"), {"A": "warm", "B": "neutral", "C": "cold"}),
    ],
)
def test_labels_are_single_tokens(made, labels):
    assert level_labels(criterion(made)) == labels


def test_there_are_no_labels_for_more_than_26_levels():
    assert len(level_labels(criterion(ordinal("a", 0, 25)))) == 26
    with pytest.raises(ValueError, match="a has 27 levels; logprob mode has letters for 26"):
        level_labels(criterion(ordinal("a", 0, 26)))
