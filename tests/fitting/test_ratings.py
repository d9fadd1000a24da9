"""Ratings and pairs as people keep them: read in any column, and refused where they cannot be meant."""

from __future__ import annotations

import pytest

from kardia.errors import InputError
from kardia.fitting.ratings import Pair, Rating, RatingRange, parse_range, read_pairs, read_ratings

from .simulated import SPAN, write_csv, write_lines


def test_a_range():
    assert parse_range("1:5") == RatingRange(1.0, 5.0)
    assert parse_range("-0.5:0.5").rescaled(0.0) == 0.5
    assert parse_range("1:5").rating(0.25) == 2.0


@pytest.mark.parametrize("text", ["", "5", "5:1", "1:1", "a:b", "nan:1", "1:inf", "-inf:inf", "1:2:3"])
def test_what_is_no_range(text):
    with pytest.raises(InputError, match="is no range; write the lowest and the highest"):
        parse_range(text)


def test_csv_and_json_lines_are_read_alike(tmp_path):
    rows = [("a", "4", "ann"), ("b", "2.5", "ann"), ("a", "5", "bob"), ("c", "", "bob"), ("d", "1", "")]
    table = write_csv(tmp_path / "r.csv", ("id", "rating", "annotator"), rows)
    lines = write_lines(
        tmp_path / "r.jsonl",
        [
            {"id": "a", "rating": 4, "annotator": "ann"},
            {"id": "b", "rating": 2.5, "annotator": "ann", "note": "warm"},
            {"id": "a", "rating": 5, "annotator": "bob"},
            {"id": "c", "annotator": "bob"},
            {"id": "d", "rating": 1},
        ],
    )
    one, two = read_ratings(table, SPAN), read_ratings(lines, SPAN)
    assert [(r.id, r.value, r.annotator) for r in one] == [(r.id, r.value, r.annotator) for r in two]
    assert one[0] == Rating("a", 4.0, "ann", 2)
    assert one[-1] == Rating("d", 1.0, None, 6)


def test_columns_by_name(tmp_path):
    path = write_csv(tmp_path / "r.csv", ("id", "overall", "who"), [(7, 3, 1), (7, 4, 2)])
    found = read_ratings(path, SPAN, column="overall", annotator="who")
    assert [(r.id, r.value, r.annotator) for r in found] == [("7", 3.0, "1"), ("7", 4.0, "2")]


@pytest.mark.parametrize(
    ("rows", "options", "line", "key", "words"),
    [
        ([{"id": "a", "rating": 6}], {}, 1, "rating", "6 is no rating from 1 to 5; --range"),
        ([{"id": "a", "rating": 0.5}], {}, 1, "rating", "no rating from 1 to 5"),
        ([{"id": "a", "rating": "good"}], {}, 1, "rating", "'good' is no rating"),
        ([{"id": "a", "rating": True}], {}, 1, "rating", "True is no rating"),
        ([{"id": "a", "rating": "nan"}], {}, 1, "rating", "'nan' is no rating"),
        ([{"id": "a", "rating": [3]}], {}, 1, "rating", "is no rating"),
        ([{"id": "a", "rating": 3}, {"id": "a", "rating": 4}], {}, 2, "id", "name them in a column (--annotator)"),
        (
            [{"id": "a", "rating": 3, "annotator": "x"}, {"id": "a", "rating": 4, "annotator": "x"}],
            {},
            2,
            "id",
            "a second rating of 'a' by x, after that in line 1",
        ),
        ([{"rating": 3}], {}, 1, "id", "has no column 'id'; there are: rating"),
        ([{"id": None, "rating": 3}], {}, 1, "id", "must be the id of a conversation"),
        ([{"id": "a", "score": 3}], {}, None, None, "holds no rating in a column 'rating'; there are: id, score"),
        ([{"id": "a", "rating": 3}], {"annotator": "who"}, None, "who", "has no column 'who'; there are: id, rating"),
        ([], {}, None, None, "holds no rating"),
    ],
)
def test_what_is_no_rating(tmp_path, rows, options, line, key, words):
    path = write_lines(tmp_path / "r.jsonl", rows)
    with pytest.raises(InputError) as problem:
        read_ratings(path, SPAN, **options)
    assert (problem.value.file, problem.value.line, problem.value.key) == (str(path), line, key)
    assert words in problem.value.message


def test_pairs(tmp_path):
    path = write_csv(tmp_path / "p.csv", ("chosen", "rejected", "by"), [("a", "b", "x"), (1, 2, "y")])
    assert read_pairs(path) == [Pair("a", "b", 2), Pair("1", "2", 3)]


@pytest.mark.parametrize(
    ("rows", "line", "key", "words"),
    [
        ([{"chosen": "a", "rejected": "a"}], 1, "rejected", "compares 'a' with itself"),
        ([{"chosen": "a"}], 1, "rejected", "has no column 'rejected'"),
        ([{"chosen": "a", "rejected": None}], 1, "rejected", "must be the id"),
        ([], None, None, "holds no pair"),
    ],
)
def test_what_is_no_pair(tmp_path, rows, line, key, words):
    path = write_lines(tmp_path / "p.jsonl", rows)
    with pytest.raises(InputError) as problem:
        read_pairs(path)
    assert (problem.value.line, problem.value.key) == (line, key)
    assert words in problem.value.message


def test_a_line_that_is_no_json(tmp_path):
    path = tmp_path / "r.jsonl"
    path.write_text('{"id": "a", "rating": 3}\noops\n')
    for read in (lambda: read_ratings(path, SPAN), lambda: read_pairs(path)):
        with pytest.raises(InputError):
            read()
