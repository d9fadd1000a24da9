"""An ordinary row is read in one go, to just what the closer look would have found."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from kardia.conversation import Message
from kardia.errors import ConversationError
from kardia.reading.ordinary import MAX_DEPTH, ordinary_conversation
from kardia.reading.rows import _Row, conversation_from_row

TEXT = st.one_of(st.sampled_from(["", " ", "text", "é", "\ud800", "[1]", "{}"]), st.text(max_size=6))
ROLE = st.sampled_from(["user", "assistant", "assistant", "system", "tool", "developer", "human", None, 3])
LEAF = st.one_of(
    st.none(), st.booleans(), st.integers(), st.just(10**400), st.floats(), TEXT, st.just(b"bytes"), st.just((1, "a"))
)
NAME = st.one_of(st.sampled_from(["a", "rubric", "group", "profile", "é", "\udfff", "metadata.a", "", 3]), TEXT)
ANY = st.recursive(LEAF, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAME, inner, max_size=3))
MESSAGE = st.one_of(
    st.builds(lambda role, content: {"role": role, "content": content}, ROLE, TEXT),
    st.builds(lambda role, content: {"role": role, "content": content}, st.just("assistant"), TEXT),
    st.fixed_dictionaries({}, optional={"role": ROLE, "content": ANY, "name": ANY, "tool_calls": ANY}),
    ANY,
)
COLUMN = st.sampled_from(
    [
        "id",
        "metadata",
        "prompt",
        "completion",
        "context",
        "response",
        "reply",
        "conversations",
        "emotion",
        "a",
        "rubric",
    ]
)
ROW = st.builds(
    lambda messages, own, rest: {**rest, **own, "messages": messages},
    st.one_of(st.lists(MESSAGE, max_size=4), ANY),
    st.fixed_dictionaries(
        {}, optional={"id": st.one_of(TEXT, LEAF), "metadata": st.one_of(st.dictionaries(NAME, ANY, max_size=3), ANY)}
    ),
    st.dictionaries(st.one_of(COLUMN, NAME), ANY, max_size=3),
)
PAIR = [{"role": "user", "content": "I failed."}, {"role": "assistant", "content": "That hurts."}]


def closely(row: dict[str, Any]) -> Any:
    return _Row(row, {}, False).conversation("file:1")


@given(ROW)
@example({"messages": PAIR, "id": True})
@example({"messages": PAIR, "id": 10**30})
@example({"messages": PAIR, "metadata": {"a": None}, "a": 1})
@example({"messages": PAIR, "metadata": {"a": 1}, "a": 1})
@example({"messages": PAIR, "metadata": {"a": 1}, "a": 2})
@example({"messages": PAIR, "prompt": None})
@example({"messages": PAIR, "reply": "x"})
def test_it_is_what_the_closer_look_finds(row: dict[Any, Any]) -> None:
    known = ordinary_conversation(row, "file:1")
    if known is not None:
        found = closely(row)
        assert repr(known) == repr(found)
        assert list(known.metadata) == list(found.metadata)


@pytest.mark.parametrize(
    "row",
    [
        {"messages": PAIR},
        {"messages": PAIR, "id": "c1", "metadata": {"emotion": "sad", "tags": ["a", {"b": 1.5}], "none": None}},
        {"messages": PAIR, "id": 7, "emotion": "é", "group": 3, "gone": None},
        {"messages": [*PAIR, {"role": "tool", "content": "", "name": "x"}], "metadata": None},
    ],
)
def test_the_ordinary_row_needs_no_closer_look(row: dict[str, Any]) -> None:
    known = ordinary_conversation(row, "file:1")
    assert known is not None
    assert known == closely(row)
    assert known.messages[0] == Message("user", "I failed.")


def test_metadata_is_nested_no_deeper_than_it_may_be() -> None:
    def nested(depth: int) -> dict[str, Any]:
        return {"messages": PAIR, "metadata": {"a": json.loads("[" * depth + "]" * depth)}}

    assert ordinary_conversation(nested(MAX_DEPTH), "file:1") == closely(nested(MAX_DEPTH))
    assert ordinary_conversation(nested(MAX_DEPTH + 1), "file:1") is None
    with pytest.raises(ConversationError, match="nested too deeply"):
        conversation_from_row(nested(MAX_DEPTH + 1), "file:1")


def test_a_row_of_another_kind_takes_the_closer_look() -> None:
    class Columns(dict[str, Any]):
        pass

    assert ordinary_conversation(Columns(messages=PAIR), "file:1") is None
    assert conversation_from_row(Columns(messages=PAIR), "file:1").id == "file:1"


@pytest.mark.parametrize(
    "row",
    [
        {"messages": "text"},
        {"messages": ["text"]},
        {"messages": [{"role": "human", "content": "x"}, *PAIR]},
        {"messages": [{"role": "assistant", "content": "half \ud800"}]},
        {"messages": PAIR[:1]},
        {"messages": PAIR, "id": "  "},
        {"messages": PAIR, "id": 1.5},
        {"messages": PAIR, "metadata": [1]},
        {"messages": PAIR, "metadata": {"a": "\udfff"}},
        {"messages": PAIR, "metadata": {"a": {"\udfff": 1}}},
        {"messages": PAIR, "metadata": {"a": {3: 1}}},
        {"messages": PAIR, "metadata": {"a": [b"bytes"]}},
        {"messages": PAIR, "a": float("nan")},
        {"messages": PAIR, "rubric": []},
        {"messages": PAIR, "context": "x"},
    ],
)
def test_whatever_is_out_of_the_ordinary_takes_the_closer_look(row: dict[str, Any]) -> None:
    assert ordinary_conversation(row, "file:1") is None
