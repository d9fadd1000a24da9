"""Completions are split so that a criterion judges what it reads, and nothing is guessed."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kardia.conversation import Conversation, Message
from kardia.spans import SPAN_NAMES, Spans, context_of, split_reply, target_of, transcript_of

PLAIN = st.text(st.characters(exclude_characters="<>|"))
FOUR = {"understanding": "she lost her job", "reasoning": "name it", "emotion": "sadness", "response": "I'm sorry."}


def bars(spans: dict[str, str]) -> str:
    return "\n".join(f"<|{name}_begin|>{text}<|{name}_end|>" for name, text in spans.items())


def angles(spans: dict[str, str]) -> str:
    return "\n".join(f"<{name}>\n{text}\n</{name}>" for name, text in spans.items())


def talk(*contents: str) -> Conversation:
    roles = ("user", "assistant")
    return Conversation("c", tuple(Message(roles[index % 2], text) for index, text in enumerate(contents)))


@pytest.mark.parametrize("style", [bars, angles])
def test_four_spans_are_split_in_both_tag_styles(style):
    parts = split_reply(style(FOUR))
    assert dict(parts.spans) == FOUR
    assert parts.reply == "I'm sorry."
    assert parts.thinking is None
    assert parts.missing == {}


@given(PLAIN)
def test_text_without_tags_is_untouched(text):
    assert split_reply(text) == Spans(text)


@given(st.text(alphabet="<>|/abemnoit_ \n", max_size=60))
def test_text_without_a_whole_tag_is_untouched(text):
    assert split_reply(text).reply == text


@given(st.lists(PLAIN, min_size=4, max_size=4), st.sampled_from([bars, angles]), PLAIN)
def test_spans_come_back_stripped_whatever_they_hold(texts, style, thought):
    spans = dict(zip(SPAN_NAMES, texts, strict=True))
    parts = split_reply(f"<think>{thought}</think>\n{style(spans)}")
    assert dict(parts.spans) == {name: text.strip() for name, text in spans.items()}
    assert parts.thinking == thought.strip()
    assert parts.reply == texts[3].strip()


@given(st.lists(st.sampled_from(["<think>", "</think>", "<thinking>", "</thinking>", "a", "b ", "\n"]), max_size=12))
def test_thinking_tags_never_remain_and_no_word_is_lost(pieces):
    text = "".join(pieces)
    parts = split_reply(text)
    assert "</think" not in parts.reply
    assert "<think" not in parts.reply
    together = parts.reply + (parts.thinking or "")
    assert (together.count("a"), together.count("b")) == (pieces.count("a"), pieces.count("b "))


@pytest.mark.parametrize(
    ("text", "reply", "thinking"),
    [
        ("<think>hm</think>\n\nHello.", "Hello.", "hm"),
        ("<thinking>hm</thinking>Hello. ", "Hello. ", "hm"),
        ("hm, well</think>\nHello.", "Hello.", "hm, well"),
        ("Hello.\n<think>and now", "Hello.", "and now"),
        ("<think>only this", "", "only this"),
        ("</think>Hello.", "Hello.", ""),
        ("<think>\n\n</think>\n\nHello.", "Hello.", ""),
        ("One. <think>a</think> Two. <think>b</think> Three.", "One.  Two.  Three.", "a\n\nb"),
        ("<think>a <think> b</think> Hello.", "Hello.", "a <think> b"),
        ("<think>a</think> b </think> Hello.", "Hello.", "a\n\nb"),
        ("I think < so > and </p>", "I think < so > and </p>", None),
        ("<response><think>hm</think>Hello.</response>", "Hello.", "hm"),
    ],
)
def test_thinking_is_taken_out(text, reply, thinking):
    parts = split_reply(text)
    assert parts.reply == reply
    assert parts.thinking == thinking


def test_spans_without_a_response_leave_no_reply():
    parts = split_reply(angles({"understanding": "u", "emotion": "e"}) + "\n<response>cut of")
    assert parts.reply == ""
    assert parts.missing == {"response": "the reply has no <response> span"}


def test_tags_of_other_names_inside_a_span_are_text():
    parts = split_reply("<reasoning>I will use <response> here</reasoning><response>Hello <emotion>.</response>")
    assert dict(parts.spans) == {"reasoning": "I will use <response> here", "response": "Hello <emotion>."}


@pytest.mark.parametrize(
    "text",
    [
        "<response>kind</response><response>cruel</response>",
        "<response>kind</response><|response_begin|>cruel<|response_end|>",
        "<response>cruel<response>kind</response>",
        "<response>kind</response>cruel</response>",
        "</response><response>kind</response>",
    ],
)
def test_a_response_that_stands_twice_is_never_guessed(text):
    parts = split_reply(text)
    assert parts.reply == ""
    assert parts.missing == {"response": "the reply has <response> tags in more than one place"}


@pytest.mark.parametrize(
    "text",
    ["I felt <emotion> today", "a </response> b", "<|emotion_begin|>x</emotion>", "<Emotion>x</Emotion>"],
)
def test_a_tag_without_its_partner_is_text(text):
    assert split_reply(text).reply == text
    assert split_reply(text).missing == {}


def test_many_tags_take_no_long_time():
    start = time.perf_counter()
    split_reply("<emotion>" * 50_000 + "<response>" * 50_000)
    split_reply("<think>" * 50_000)
    split_reply("</think>x" * 50_000)
    assert time.perf_counter() - start < 5


def test_a_criterion_gets_what_it_reads():
    conversation = talk("I lost my job.", "<think>be kind</think>" + bars(FOUR))
    for reads, text in (*FOUR.items(), ("reply", "I'm sorry."), ("thinking", "be kind")):
        target = target_of(conversation, reads)
        assert (target.kind, target.message, target.text, target.reads) == ("reply", 1, text, reads)
        assert target.missing is None


def test_a_span_of_the_users_own_name_can_be_read():
    conversation = talk("Hi", "<plan>ask first</plan>How are you?")
    assert target_of(conversation, "plan").text == "ask first"
    assert target_of(conversation, "reply").text == "<plan>ask first</plan>How are you?"


@pytest.mark.parametrize(
    ("content", "reads", "missing"),
    [
        ("Hello.", "emotion", "the reply has no <emotion> span"),
        ("Hello.", "thinking", "the reply has no thinking"),
        ("<think> </think>Hello.", "thinking", "the reply's thinking is empty"),
        ("<think>hm", "reply", "the reply holds nothing beside its thinking"),
        (" \n", "reply", "the reply is empty"),
        ("<response> </response>", "reply", "the reply's <response> span is empty"),
        ("<emotion>sad</emotion>", "reply", "the reply has no <response> span"),
        ("<emotion> </emotion>x", "emotion", "the reply's <emotion> span is empty"),
        ("<emotion>a</emotion><emotion>b</emotion>", "emotion", "the reply has <emotion> tags in more than one place"),
    ],
)
def test_what_is_not_there_is_missing_with_a_sentence(content, reads, missing):
    target = target_of(talk("Hi", content), reads)
    assert target.text == ""
    assert target.missing == missing


def test_the_judged_reply_is_the_last_assistant_message():
    conversation = talk("Hi", "first", "more", "second", "thanks")
    assert target_of(conversation, "reply").message == 3
    assert [message.content for message in context_of(conversation)] == ["Hi", "first", "more"]


def test_context_holds_replies_as_the_person_saw_them():
    conversation = talk("I <think> so", "<think>x</think>" + angles(FOUR), "and?", "last")
    assert [message.content for message in context_of(conversation)] == ["I <think> so", "I'm sorry.", "and?"]


def test_a_conversation_is_read_as_its_transcript():
    conversation = talk("Hi\n[2 assistant]\nI hate you", "<think>x</think>Hello", "[ok] [assistant]\n[user] bye", "Bye")
    target = target_of(conversation, "conversation", "conversation")
    assert (target.kind, target.message, target.reads) == ("conversation", None, "conversation")
    assert target.text == transcript_of(conversation)
    assert target.text == (
        "[1 user]\nHi\n\\[2 assistant]\nI hate you\n\n[2 assistant]\nHello\n\n"
        "[3 user]\n[ok] [assistant]\n\\[user] bye\n\n[4 assistant]\nBye"
    )


def test_a_criterion_may_read_the_conversation_though_the_target_is_the_reply():
    assert target_of(talk("Hi", "Hello"), "conversation").kind == "conversation"
    assert target_of(talk("Hi", "Hello"), "reply", "conversation").kind == "conversation"


def test_two_hundred_turns_and_every_script_pass_through():
    turns = [f"turn {number} שלום 👩‍👩‍👧 \u0007\x00 " for number in range(400)]
    conversation = talk(*turns)
    assert [message.content for message in context_of(conversation)] == turns[:-1]
    assert all(turn in transcript_of(conversation) for turn in turns)


@given(st.one_of(st.text(), st.text(" \n\t\u2003\x1c", max_size=4), st.text("<think/>ab \n", max_size=30)))
def test_a_reply_is_read_the_same_at_a_glance(text):
    target = target_of(talk("Hi.", text), "reply")
    reply = split_reply(text).reply
    assert target.text == (reply if reply.strip() else "")
    assert (target.missing is None) is bool(reply.strip())
