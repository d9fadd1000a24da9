"""Errors are sentences that lead with the place, and they survive a trip to another process."""

from __future__ import annotations

import pickle
import re

import pytest

from kardia import errors
from kardia.errors import (
    AnswerError,
    InputError,
    JudgeError,
    KardiaError,
    MissingExtra,
    RubricError,
    TemplateError,
    TransientError,
)


@pytest.mark.parametrize(
    ("place", "expected"),
    [
        ({}, "is wrong"),
        ({"file": "a.yaml"}, "a.yaml: is wrong"),
        ({"file": "a.yaml", "line": 3}, "a.yaml:3: is wrong"),
        ({"line": 3}, "line 3: is wrong"),
        ({"file": "a.yaml", "line": 3, "key": "criteria.0.id"}, "a.yaml:3: criteria.0.id: is wrong"),
        ({"key": "mode"}, "mode: is wrong"),
    ],
)
def test_the_place_comes_first(place, expected):
    assert str(InputError("is wrong", **place)) == expected


@pytest.mark.parametrize(
    "error",
    [
        RubricError("is wrong", file="a.yaml", line=3, key="criteria"),
        TemplateError("is wrong"),
        MissingExtra("parquet", "writing Parquet"),
        TransientError("busy", retry_after=2.0, down=True),
        AnswerError("no", raw="what it said"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_errors_pickle(error):
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is type(error)
    assert str(copy) == str(error)
    assert vars(copy) == vars(error)


def test_a_missing_extra_says_how_to_install_it():
    assert "pip install 'kardia[parquet]'" in str(MissingExtra("parquet", "writing Parquet"))


def test_exit_codes():
    assert RubricError("x").exit_code == MissingExtra("a", "b").exit_code == 2
    assert AnswerError("x").exit_code == JudgeError("x").exit_code == 3


def test_the_tree_in_the_docstring_is_the_tree():
    listed = set(re.findall(r"\b\w*(?:Error|Extra|Unreachable|Exhausted|Interrupted)\b", errors.__doc__ or ""))
    assert listed == set(errors.__all__)
    for name in errors.__all__:
        assert issubclass(getattr(errors, name), KardiaError)
