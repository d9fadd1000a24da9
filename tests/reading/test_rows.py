"""One row → a conversation, or a sentence with the key."""

from __future__ import annotations

import datetime
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kardia.conversation import ROLES, Message
from kardia.errors import ConversationError
from kardia.reading.rows import conversation_from_row, parse_map, row_id

USER = {"role": "user", "content": "I failed."}
REPLY = {"role": "assistant", "content": "That hurts."}
PAIR = (Message("user", "I failed."), Message("assistant", "That hurts."))

TEXT = st.text()
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT
JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3), max_leaves=8
)


def read(row, **options):
    return conversation_from_row(row, "file:1", **options)


def fault(row, **options) -> str:
    with pytest.raises(ConversationError) as caught:
        read(row, **options)
    return str(caught.value)


@pytest.mark.parametrize(
    "row",
    [
        {"messages": [USER, REPLY]},
        {"messages": (USER, REPLY), "id": None, "metadata": None},
        {"conversations": [{"from": "human", "value": "I failed."}, {"from": "gpt", "value": "That hurts."}]},
        {"conversations": [USER, REPLY]},
        {"prompt": "I failed.", "completion": "That hurts."},
        {"prompt": [USER], "completion": [REPLY]},
        {"prompt": [USER], "completion": "That hurts."},
        {"prompt": "I failed.", "completion": REPLY},
        {"context": "I failed.", "response": "That hurts."},
        {"context": [USER], "response": "That hurts."},
        {"context": "I failed.", "reply": "That hurts."},
        {"messages": json.dumps([USER, REPLY])},
    ],
)
def test_every_form_is_recognised(row):
    conversation = read(row)
    assert conversation.messages == PAIR
    assert conversation.id == "file:1"
    assert conversation.metadata == {}


@pytest.mark.parametrize("context", [None, "", " \n", []])
def test_a_response_without_context_stands_alone(context):
    assert read({"context": context, "response": "That hurts."}).messages == PAIR[1:]


@given(st.lists(st.tuples(st.sampled_from(ROLES), TEXT), max_size=8), TEXT, st.dictionaries(TEXT, JSON, max_size=4))
def test_contents_and_metadata_pass_through_unharmed(turns, reply, metadata):
    messages = [{"role": role, "content": text} for role, text in (*turns, ("assistant", reply))]
    metadata.pop("rubric", None)
    conversation = read({"messages": messages, "metadata": metadata})
    assert [(message.role, message.content) for message in conversation.messages] == [*turns, ("assistant", reply)]
    assert conversation.metadata == {name: value for name, value in metadata.items() if value is not None}


@given(
    st.dictionaries(TEXT, JSON | st.binary() | st.floats(), max_size=4),
    st.sampled_from(["messages", "response", "id"]),
    JSON,
)
def test_any_row_gives_a_conversation_or_a_sentence(row, column, value):
    try:
        conversation = read({"response": "x", **row, column: value})
    except ConversationError as problem:
        str(problem).encode()
    else:
        json.dumps(dict(conversation.metadata), allow_nan=False)
        assert conversation.messages[conversation.reply_index].role == "assistant"


def test_sharegpt_names_every_role():
    speakers = ["system", "human", "gpt", "user", "assistant", "function_call", "observation", "tool"]
    conversation = read({"conversations": [{"from": speaker, "value": "x"} for speaker in speakers]})
    roles = ["system", "user", "assistant", "user", "assistant", "assistant", "tool", "tool"]
    assert [message.role for message in conversation.messages] == roles


def test_text_parts_are_put_together():
    parts = [{"type": "text", "text": "That "}, {"type": "output_text", "text": "hurts"}, "."]
    assert read({"messages": [USER, {"role": "assistant", "content": parts}]}).messages == PAIR


def test_a_tool_call_has_no_words():
    calls = {"role": "assistant", "content": None, "tool_calls": [{"id": "1"}]}
    tool = {"role": "tool", "content": "3 pm", "tool_call_id": "1"}
    contents = [message.content for message in read({"messages": [USER, calls, tool, REPLY]}).messages]
    assert contents == ["I failed.", "", "3 pm", "That hurts."]
    assert read({"messages": [USER, {"role": "assistant", "function_call": {"name": "f"}}]}).messages[1].content == ""


@pytest.mark.parametrize(
    ("given_id", "text"), [("a", "a"), (7, "7"), (10**30, "1" + "0" * 30), (" a ", " a "), (None, "file:1")]
)
def test_ids_are_text_or_whole_numbers(given_id, text):
    assert read({"id": given_id, "response": "x"}).id == text


def test_unknown_columns_become_metadata():
    row = {"response": "x", "emotion": "sad", "turn": 3, "empty": None, "metadata": {"group": "g", "nothing": None}}
    conversation = read(row)
    assert conversation.metadata == {"emotion": "sad", "turn": 3, "group": "g"}
    assert conversation.group == "g"


def test_the_columns_of_an_unfinished_form_become_metadata():
    assert read({"messages": [USER, REPLY], "prompt": "I failed.", "context": "c"}).metadata == {
        "prompt": "I failed.",
        "context": "c",
    }
    assert read({"prompt": "p", "completion": "r", "context": "c"}).metadata == {"context": "c"}
    assert read({"context": "c", "response": "r", "prompt": "p"}).metadata == {"prompt": "p"}


def test_a_value_may_stand_twice_if_it_is_the_same():
    assert read({"response": "x", "emotion": "sad", "metadata": {"emotion": "sad"}}).metadata == {"emotion": "sad"}


def test_an_instance_rubric_may_be_json_in_a_text():
    rubric = [{"id": "a", "question": "Is it?"}]
    assert read({"response": "x", "rubric": json.dumps(rubric)}).metadata["rubric"] == rubric
    assert read({"response": "x", "metadata": json.dumps({"rubric": rubric})}).metadata["rubric"] == rubric
    assert read({"response": "x", "rubric": "by name"}).metadata["rubric"] == "by name"


def test_cells_of_a_table_of_texts_are_looked_into():
    row = {"context": json.dumps([USER]), "response": "[1, 2]", "profile": '{"age": 30}'}
    conversation = read(row, cells=True)
    assert conversation.messages == (PAIR[0], Message("assistant", "[1, 2]"))
    assert conversation.metadata == {"profile": {"age": 30}}
    kept = read(row)
    assert kept.messages[0].content == json.dumps([USER])
    assert kept.metadata == {"profile": '{"age": 30}'}
    assert read({"context": "[sighs] no {", "response": "x"}, cells=True).messages[0].content == "[sighs] no {"
    assert read({"profile": "{curly}", "response": "x"}, cells=True).metadata == {"profile": "{curly}"}


# --map


def test_a_map_names_other_columns():
    mapping = parse_map("reply=answer, context=question,emotion=feeling,id=uid,metadata.topic=t")
    row = {
        "answer": "That hurts.",
        "question": "I failed.",
        "feeling": "sad",
        "uid": 5,
        "t": "exam",
        "id": "other",
        "response": "old",
    }
    conversation = read(row, mapping=mapping)
    assert conversation.messages == PAIR
    assert conversation.id == "5"
    assert conversation.metadata == {"emotion": "sad", "topic": "exam", "id": "other", "response": "old"}


def test_a_map_decides_between_two_forms():
    row = {"messages": [USER, REPLY], "prompt": "p", "completion": "r"}
    assert "holds two conversations" in fault(row)
    assert read(row, mapping={"messages": "messages"}).messages == PAIR
    assert read(row, mapping={"completion": "completion"}).messages[1].content == "r"
    assert read({"response": "r", "prompt": "p"}, mapping={"context": "prompt"}).messages[0].content == "p"


def test_a_map_may_be_given_with_the_names_of_the_command_line():
    assert read({"a": "That hurts.", "f": "sad"}, mapping={"reply": "a", "emotion": "f"}).metadata == {"emotion": "sad"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("reply", "--map: 'reply' is not of the form field=column"),
        ("reply=", "--map: 'reply=' is not of the form"),
        ("", "--map: '' is not of the form"),
        ("replay=a", "--map: replay: is not a field of a conversation; did you mean 'reply'?"),
        ("zzz=a", "--map: zzz: is not a field of a conversation; there are: reply"),
        ("metadata.=a", "--map: metadata.: is not a field"),
        ("reply=a,response=b", "--map: response: is named twice"),
        ("reply=a,context=a", "--map: context: takes the column 'a', which another field takes"),
    ],
)
def test_a_wrong_map_is_a_sentence(text, message):
    with pytest.raises(ConversationError) as caught:
        parse_map(text)
    assert str(caught.value).startswith(message)


# bad rows

DEEP: list = []
for _ in range(150):
    DEEP = [DEEP]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({}, "has no messages: expected `messages`, `conversations`, `prompt` with `completion`, or `context` with"),
        ({"text": 1}, "has no messages: expected"),
        ({str(n): 1 for n in range(20)}, "has no messages"),
        ({"messages": []}, "messages: has no messages"),
        ({"messages": "hello"}, "messages: must be a list of messages, not text"),
        ({"messages": "[{'role': 'user'}]"}, "messages: is text that is not JSON"),
        ({"messages": "[1"}, "messages: is text that is not JSON: expecting ',' delimiter, at character 3"),
        ({"messages": {"role": "user"}}, "messages: must be a list of messages, not an object"),
        ({"messages": ["hi"]}, "messages.0: must be a message with role and content, not text"),
        ({"messages": [USER]}, "messages: has no assistant reply"),
        ({"messages": [USER, {"content": "x"}]}, "messages.1.role: is missing"),
        ({"messages": [{"from": "gpt", "value": "x"}]}, "messages.0.role: is missing; from and value belong under"),
        (
            {"messages": [{"role": "Assistant", "content": "x"}]},
            "messages.0.role: is 'Assistant'; expected one of system,",
        ),
        ({"messages": [{"role": ["user"], "content": "x"}]}, "messages.0.role: is ['user']; expected one of"),
        ({"messages": [{"role": "x" * 99, "content": "x"}]}, "messages.0.role: is 'xxxxxxxxxxxx"),
        ({"messages": [{"role": "assistant", "content": None}]}, "messages.0.content: is null; expected text"),
        ({"messages": [{"role": "assistant"}]}, "messages.0.content: is missing"),
        ({"messages": [{"role": "assistant", "content": []}]}, "messages.0.content: is an empty list; expected text"),
        (
            {"messages": [{"role": "assistant", "content": 3}]},
            "messages.0.content: must be text or a list of text parts, not a",
        ),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}]},
            "messages.0.content.0: is a part of type 'image_url'; only text is judged",
        ),
        (
            {"messages": [{"role": "user", "content": [{"type": "text"}]}]},
            "messages.0.content.0: must be a text part, not null",
        ),
        ({"conversations": ["x"]}, "conversations.0: must be a message with from and value, not text"),
        (
            {"conversations": [{"from": "narrator", "value": "x"}]},
            "conversations.0.from: is 'narrator'; expected one of",
        ),
        ({"conversations": [{"from": "gpt"}]}, "conversations.0.value: is missing"),
        (
            {"conversations": [{"from": "gpt", "value": 3}]},
            "conversations.0.value: must be text or a list of text parts",
        ),
        ({"prompt": "x"}, "has no reply: `prompt` is there, `completion` is missing"),
        ({"context": "x"}, "has no reply: `context` is there, `response` is missing"),
        ({"completion": "x"}, "has `completion` without a `prompt`; say --map reply=completion"),
        ({"prompt": "x", "response": "y"}, "prompt: stands beside 'response'; say --map context=prompt"),
        ({"prompt": [USER, REPLY], "completion": [USER]}, "completion: has no assistant reply"),
        ({"context": ["hi", "ho"], "response": "x"}, "context.0: must be a message with role and content, not text"),
        ({"context": 3, "response": "x"}, "context: must be text or a list of messages, not a number"),
        ({"reply": "x", "response": "y"}, "response: stands beside 'reply'; keep one of them"),
        ({"messages": [REPLY], "response": "x"}, "holds two conversations, `messages` and `response`; say which with"),
        ({"prompt": "a", "completion": "b", "context": "c", "response": "d"}, "holds two conversations, `prompt` with"),
        ({"response": "x", "id": ""}, "id: must not be empty"),
        ({"response": "x", "id": " "}, "id: must not be empty"),
        ({"response": "x", "id": True}, "id: must be text or a whole number, not true or false"),
        ({"response": "x", "id": 1.0}, "id: must be text or a whole number, not a number"),
        ({"response": "x", "id": [1]}, "id: must be text or a whole number, not a list"),
        ({"response": "x", "id": 10**5000}, "id: is a number of too many digits"),
        ({"response": "x", "metadata": [1]}, "metadata: must be an object, not a list"),
        ({"response": "x", "metadata": "some"}, "metadata: must be an object, not text"),
        ({"response": "x", "metadata": "{some"}, "metadata: is text that is not JSON"),
        ({"response": "x", "rubric": "[some"}, "rubric: is text that is not JSON"),
        (
            {"response": "x", "e": 1, "metadata": {"e": 2}},
            "e: stands in `metadata` and as a column, with different values",
        ),
        ({"response": "x", "e": float("inf")}, "e: is inf, which JSON cannot write"),
        ({"response": "x", "e": {"f": [b"\xff"]}}, "e.f.0: is a bytes, which JSON cannot write"),
        ({"response": "x", "e": datetime.date(2020, 1, 1)}, "e: is a date, which JSON cannot write"),
        ({"response": "x", "e": {3: 4}}, "e: has the key 3; a key must be text"),
        ({"response": "x", "e": DEEP}, "e: is nested too deeply"),
        ({"response": "a\ud83d"}, "response: holds half a character (\\ud83d), which UTF-8 cannot write"),
        ({"messages": [{"role": "assistant", "content": "\ud83d"}]}, "messages.0.content: holds half a character"),
        ({"messages": [{"role": "assistant", "content": ["\ud83d"]}]}, "messages.0.content.0: holds half a character"),
        ({"response": "x", "id": "\ud83d"}, "id: holds half a character"),
        ({"response": "x", "e": ["\ud83d"]}, "e.0: holds half a character"),
        ({"response": "x", "\ud83d": 1}, "'\\ud83d': holds half a character"),
        ({"response": "x", "metadata": {"\ud83d": 1}}, "metadata.'\\ud83d': holds half a character"),
        ({"response": "x", "metadata": {"a": {"\ud83d": 1}}}, "metadata.a.'\\ud83d': holds half a character"),
    ],
)
def test_a_bad_row_is_a_sentence_with_its_key(row, message):
    assert fault(row).startswith(message)


def test_a_mapped_column_that_a_row_lacks_is_a_bad_row():
    assert (
        fault({"response": "x"}, mapping={"response": "answer"})
        == "answer: has no such column; its columns are 'response'"
    )
    assert fault({}, mapping={"response": "answer"}) == "answer: has no such column; its columns are none"
    assert fault({"answer": None, "messages": [REPLY]}, mapping={"response": "answer"}).startswith("has no messages")


def test_the_key_is_the_column_that_was_mapped():
    assert fault({"chat": [USER]}, mapping={"messages": "chat"}) == "chat: has no assistant reply"


@pytest.mark.parametrize(
    ("value", "text"), [("a", "a"), (3, "3"), (True, None), ("", None), (None, None), ("\ud83d", "?")]
)
def test_the_id_of_a_bad_row(value, text):
    assert row_id({"id": value}) == text
    assert row_id({"uid": value}, {"id": "uid"}) == text
