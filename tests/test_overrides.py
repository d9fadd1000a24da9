"""Single keys set from outside a file."""

from __future__ import annotations

from typing import Any

import pytest

from kardia.errors import ProfileError
from kardia.overrides import apply_overrides, has_place


def test_overriding_leaves_the_data_alone() -> None:
    data: dict[str, Any] = {"a": {"b": 1}, "l": [{"c": 1}]}
    assert apply_overrides(data, ["a.b=2", "a.c=x", "l.0.c=3"]) == {"a": {"b": 2, "c": "x"}, "l": [{"c": 3}]}
    assert data == {"a": {"b": 1}, "l": [{"c": 1}]}


def test_what_is_not_there_is_made() -> None:
    found = apply_overrides({}, ["a.b.c=yes", "a.d=1.5", "e=null"])
    assert found == {"a": {"b": {"c": "yes"}, "d": 1.5}, "e": None}  # YAML 1.2: yes is a word


@pytest.mark.parametrize(
    ("item", "message"),
    [
        ("a", "not of the form key=value"),
        ("a.=1", "not of the form key=value"),
        ("a.b=1", "'a' is a value, not a group of keys"),
        ("l.1=2", "'1' is no place in a list of 1"),
        ("l.x=2", "'x' is no place in a list of 1"),
    ],
)
def test_what_cannot_be_set(item: str, message: str) -> None:
    with pytest.raises(ProfileError, match=message):
        apply_overrides({"a": 1, "l": [1]}, [item])


def test_whether_a_place_is_there() -> None:
    assert has_place({"a": None}, "a")
    assert has_place([1], 0)
    assert not has_place({"a": 1}, "b")
    assert not has_place([1], "a")
    assert not has_place("text", 0)
