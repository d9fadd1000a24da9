"""How the page holds the scorecards."""

from __future__ import annotations

import base64
import gzip
import json

from hypothesis import given, settings
from hypothesis import strategies as st

from kardia.conversation import Message
from kardia.report import pack as module
from kardia.report.asked import questions
from kardia.report.cards import read_cards
from kardia.report.pack import LEVEL_0, Pack, packed, safe_json
from kardia.report.tally import SeriesKey

from .cardfile import RUBRIC, card, mixed, write


def unpacked(text):
    return json.loads(gzip.decompress(base64.b64decode(text)))


ANY = st.recursive(
    st.none() | st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
)


@settings(max_examples=60, deadline=None)
@given(ANY)
def test_json_in_a_script_element_cannot_end_it(data):
    text = safe_json(data)
    assert not set("<>&") & set(text)
    assert text.isascii()
    assert json.loads(text) == data
    assert unpacked(packed(data)) == data


def test_half_a_surrogate_pair_and_huge_numbers_are_kept():
    data = {"a": "\ud83d", "b": 2**70}
    assert unpacked(packed(data)) == data


def filled(tmp_path, rows, messages=None):
    cards = list(read_cards(write(tmp_path / "s.jsonl", rows)))
    found = Pack({SeriesKey.of(cards[0]): questions(RUBRIC, {})})
    for one in cards:
        found.add(one, messages)
    return found, found.index(), [unpacked(chunk) for chunk in found.chunks]


def test_columns_and_chunks_are_the_cards(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "CARDS_A_CHUNK", 8)
    rows = mixed(30)
    _, index, chunks = filled(tmp_path, rows)
    assert index["starts"] == [0, 8, 16, 24]
    assert [len(chunk) for chunk in chunks] == [8, 8, 8, 6]
    records = [record for chunk in chunks for record in chunk]
    assert index["ids"] == [row["id"] for row in rows]
    assert index["scores"] == [row["score"] for row in rows]
    assert index["statuses"] == "".join("2" if row["score"] is None else "0" for row in rows)
    assert index["vetoes"] == {
        "5": [len(RUBRIC.criteria) - 1],
        "15": [len(RUBRIC.criteria) - 1],
        "25": [len(RUBRIC.criteria) - 1],
    }
    for place, criterion in enumerate(RUBRIC.criteria):
        column = index["levels"][0][place]
        for at, row in enumerate(rows):
            level = row["criteria"][criterion.id]["level"]
            assert column[at] == ("!" if level is None else chr(LEVEL_0 + criterion.levels.index(level)))
    for record, row in zip(records, rows, strict=True):
        assert record["t"] == row["target"]["text"]
        assert [told[1] for told in record["j"]] == list(row["criteria"])


def test_the_context_goes_with_the_card(tmp_path):
    messages = (
        Message("user", "My dog died."),
        Message("assistant", "<think>…</think>I'm sorry"),
        Message("user", "Thanks"),
    )
    _, _, ((record,),) = filled(tmp_path, [card(target={"kind": "reply", "message": 1, "text": "I'm sorry"})], messages)
    assert record["c"] == [["user", "My dog died."]]
    assert record["a"] == [["user", "Thanks"]]
    assert record["w"] == "<think>…</think>I'm sorry"


def test_equal_cards_are_equal_bytes(tmp_path):
    first, second = (filled(tmp_path, mixed(20))[0].chunks for _ in range(2))
    assert first == second
