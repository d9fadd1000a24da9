"""Worked out once for each object, and for no other that equals it."""

from __future__ import annotations

import gc

from making import criterion, ordinal

from kardia.byobject import by_object


def test_once_for_each_object():
    asked = []

    @by_object(most=8)
    def levels(item):
        """The levels."""
        asked.append(item)
        return len(item.levels)

    first, equal = criterion(ordinal("kind")), criterion(ordinal("kind"))
    assert first == equal
    assert [levels(item) for item in (first, equal, first, equal)] == [5, 5, 5, 5]
    assert [id(item) for item in asked] == [id(first), id(equal)]
    assert (levels.__name__, levels.__doc__) == ("levels", "The levels.")


def test_an_object_that_is_gone_is_not_taken_for_another():
    made = by_object(most=50)(lambda item: item[0])
    for number in range(500):  # without a reference, each list would come to stand where the one before it stood
        assert made([number]) == number
        gc.collect(0)


def test_what_is_remembered_has_a_bound():
    kept = [[number] for number in range(10)]
    asked = []
    made = by_object(most=4)(asked.append)
    for item in kept:
        made(item)
    assert len(asked) == 10
    for item in kept[8:]:
        made(item)
    assert len(asked) == 10
    made(kept[0])
    assert len(asked) == 11
