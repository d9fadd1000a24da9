"""How much is read."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from kardia.student.reading import GAP, Reading, cut_tokens

SPECIALS = ("[MASK]", "[CLS]", "[SEP]")


@given(st.text(max_size=60), st.text(max_size=80), st.integers(0, 20), st.integers(2, 30))
def test_texts_are_cut(context, reply, left, right):
    reading = Reading(context_chars=left, reply_chars=right)
    short, cut = reading.texts(context, reply, SPECIALS)
    assert len(short) <= left
    assert len(cut) <= right + len(GAP)
    assert not any(special in short + "\0" + cut for special in SPECIALS)
    if len(context.strip()) <= left and "[" not in context and context.isascii():
        assert short == context.strip()


def test_the_end_of_a_context_and_both_ends_of_a_reply_are_kept():
    reading = Reading(context_chars=5, reply_chars=6)
    assert reading.texts("0123456789", "abcdefghij") == ("56789", "abc" + GAP + "hij")
    assert reading.texts("0123", "abcdef") == ("0123", "abcdef")
    assert Reading(context_chars=0).texts("0123", "a") == ("", "a")


def test_special_tokens_are_taken_apart():
    assert Reading().texts("a [SEP] b", "[CLS]", SPECIALS) == ("a [ SEP] b", "[ CLS]")


def test_a_lone_surrogate_is_no_text():
    assert Reading().texts("\ud83d", "a\udfff") == ("?", "a?")


def test_what_cannot_be():
    for wrong in ({"context_chars": -1}, {"reply_chars": 1}, {"max_tokens": 2}, {"tokens": 5}):
        with pytest.raises(ValidationError):
            Reading(**wrong)


@given(st.integers(0, 40), st.integers(0, 40), st.integers(2, 50))
def test_tokens_are_cut_to_the_room(left, right, room):
    context, reply = list(range(left)), list(range(100, 100 + right))
    kept, own = cut_tokens(context, reply, room)
    assert len(kept) + len(own) == min(room, left + right)
    assert kept == context[left - len(kept) :]
    assert own == [*reply[: (len(own) + 1) // 2], *reply[right - len(own) // 2 :]] or own == reply
    if left + right > room:
        # neither is squeezed out by the other
        assert len(kept) >= min(left, room // 3)
        assert len(own) >= min(right, room - room // 3)
