from __future__ import annotations

import json
from typing import Any

import pytest

from kardia.cardrow import CARD_STATUSES, STATUSES, card_row, is_number, is_share
from kardia.errors import InputError
from kardia.reading.files import RawRow


def card(**changes: Any) -> dict[str, Any]:
    whole = {
        "id": "one",
        "target": {"kind": "reply"},
        "rubric": "plain@1.0.0",
        "judge": "fake",
        "status": "scored",
        "score": 0.5,
        "vetoed_by": [],
        "criteria": {},
        "provenance": {"rubric": {"hash": "a"}, "judge": {"hash": "b"}},
    }
    return {key: value for key, value in (whole | changes).items() if value is not ...}


def read(row: dict[str, Any] | None, error: str | None = None, **options: Any) -> dict[str, Any]:
    return card_row(RawRow(7, row, error, 7), "scored.jsonl", **options)


def test_a_card_is_returned_as_it_stands() -> None:
    assert read(card()) == card()


def test_objects_that_parquet_holds_as_text_are_read() -> None:
    given = card(provenance=json.dumps(card()["provenance"]), guard='{"findings": []}', metadata='{"a": 1}')
    found = read(given)
    assert found == card(guard={"findings": []}, metadata='{"a": 1}')
    assert read(given, texts=("provenance", "metadata"))["metadata"] == {"a": 1}
    assert given["guard"] == '{"findings": []}', "the row itself is not changed"


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ({"id": 3}, "id"),
        ({"id": ...}, "id"),
        ({"target": "reply"}, "target"),
        ({"rubric": None}, "rubric"),
        ({"judge": ...}, "judge"),
        ({"vetoed_by": "demeans"}, "vetoed_by"),
        ({"provenance": "{"}, "provenance"),
        ({"provenance": []}, "provenance"),
        ({"provenance": {"judge": {}}}, "provenance.rubric"),
        ({"provenance": {"rubric": {}, "judge": "x"}}, "provenance.judge"),
        ({"guard": "{"}, "guard"),
        ({"status": "abstained"}, "status"),
        ({"status": ["scored"]}, "status"),
        ({"score": None}, "score"),
        ({"status": "unscored"}, "score"),
        ({"score": 1.5}, "score"),
        ({"score": True}, "score"),
        ({"score": float("nan")}, "score"),
    ],
)
def test_what_is_no_card_is_named_with_file_line_and_key(change: dict[str, Any], key: str) -> None:
    with pytest.raises(InputError, match="is no scorecard of `kardia score`") as found:
        read(card(**change))
    assert (found.value.file, found.value.line, found.value.key) == ("scored.jsonl", 7, key)


def test_a_line_that_could_not_be_read_says_why() -> None:
    with pytest.raises(InputError, match="no JSON") as found:
        read(None, "no JSON")
    assert found.value.line == 7
    with pytest.raises(InputError, match="cannot be read"):
        read(None)


def test_who_does_not_ask_by_what_it_was_scored_is_not_told() -> None:
    assert read(card(provenance={}), traced=False)["provenance"] == {}


def test_statuses_are_those_of_judgments_and_cards() -> None:
    assert set(STATUSES) == {"scored", "unscored", "abstained", "not_applicable"}
    assert set(CARD_STATUSES) == {"scored", "partial", "unscored"}


@pytest.mark.parametrize(
    ("value", "number", "share"),
    [
        (0, True, True),
        (1.0, True, True),
        (1.01, True, False),
        (-0.1, True, False),
        (True, False, False),
        (float("nan"), False, False),
        (float("inf"), False, False),
        ("1", False, False),
        (None, False, False),
    ],
)
def test_numbers_and_shares(value: object, number: bool, share: bool) -> None:
    assert (is_number(value), is_share(value)) == (number, share)
