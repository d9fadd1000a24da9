"""Scorecards as the report reads them."""

from __future__ import annotations

import pytest

from kardia.errors import InputError
from kardia.report.cards import read_cards

from .cardfile import RUBRIC, TEXT, card, judgment, write


def test_what_is_read(tmp_path):
    key = RUBRIC.criteria[0].id
    said = judgment(4, 0.75, evidence=["so sorry"], probabilities={"4": 0.9, "5": 0.1}, samples=[4, None])
    path = write(tmp_path / "s.jsonl", [card(criteria={key: said}, group=7)])
    found = next(read_cards(path))
    assert (found.id, found.line, found.text, found.group, found.score) == ("c1", 1, TEXT, "7", 1.0)
    one = found.criteria[key]
    assert (one.level, one.value, one.evidence, one.samples) == ("4", 0.75, ("so sorry",), ("4", None))
    assert one.probabilities == {"4": 0.9, "5": 0.1}


def test_parquet_is_read_as_jsonl_is(tmp_path):
    pytest.importorskip("pyarrow")
    import kardia
    from kardia.output import open_output

    rows = [{"id": str(at), "context": "I failed.", "response": f"That hurts {at}."} for at in range(3)]
    cards = list(kardia.score_many(rows, "supportiveness", "fake"))
    for form in ("jsonl", "parquet"):
        sink = open_output(str(tmp_path / f"s.{form}"), form)
        for one in cards:
            sink.write(one)
        sink.finish()
    first, second = (list(read_cards(tmp_path / f"s.{form}")) for form in ("jsonl", "parquet"))
    assert first == second
    assert len(first) == 3


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ({"id": 7}, "id"),
        ({"status": "done"}, "status"),
        ({"score": None}, "score"),
        ({"score": 1.5}, "score"),
        ({"target": "text"}, "target"),
        ({"target": {"text": 7}}, "target"),
        ({"criteria": None}, "criteria"),
        ({"criteria": {"a": {"status": "scored", "level": 3, "value": None}}}, "criteria.a"),
        ({"criteria": {"a": judgment(3, 0.5, evidence="so")}}, "criteria.a"),
        ({"criteria": {"a": judgment(3, 0.5, probabilities={"3": 2})}}, "criteria.a"),
        ({"vetoed_by": [3]}, "vetoed_by"),
        ({"provenance": None}, "provenance"),
        ({"metadata": []}, "metadata"),
        ({"usage": "{"}, "usage"),
    ],
)
def test_what_is_no_scorecard(tmp_path, change, key):
    path = write(tmp_path / "s.jsonl", [card("ok"), card(**change)])
    with pytest.raises(InputError, match="is no scorecard of") as caught:
        list(read_cards(path))
    assert (caught.value.line, caught.value.key) == (2, key)


def test_a_line_that_is_no_json(tmp_path):
    path = tmp_path / "s.jsonl"
    path.write_text("{\n", encoding="utf-8")
    with pytest.raises(InputError) as caught:
        list(read_cards(path))
    assert caught.value.line == 1
