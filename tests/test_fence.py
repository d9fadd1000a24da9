"""No text can close its own fence, or pass for a turn of the prompt."""

from __future__ import annotations

import hashlib
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kardia.fence import _CONTROL, _swapped, fence, neutralise, nonce, plain

TOKENS = [
    "<|im_start|>",
    "<|im_end|>",
    "<|endoftext|>",
    "<|eot_id|>",
    "<|start_header_id|>",
    "<|START_OF_TURN_TOKEN|>",
    "<｜User｜>",
    "<｜end▁of▁sentence｜>",
    "<|turn>",
    "<turn|>",
    "<s>",
    "</s>",
    "<bos>",
    "<EOS>",
    "<BOS_TOKEN>",
    "<start_of_turn>",
    "<end_of_turn>",
    "[INST]",
    "[/INST]",
    "[SYSTEM_PROMPT]",
    "[TOOL_CALLS]",
    "[gMASK]",
    "<sop>",
    "<<SYS>>",
    "<</SYS>>",
    "<think>",
    "</think>",
    "</tool_call>",
    "<system>",
    "</user>",
]
HOSTILE = st.lists(
    st.sampled_from([*TOKENS, "<", ">", "|", "[", "]", "<<<", ">>>", "reply", "\n", " ", "23aa744d60e5867e", "a"]),
    max_size=30,
).map("".join)
ANY = st.one_of(st.text(), HOSTILE)


def test_the_nonce_is_the_first_16_hex_digits_of_the_hash():
    assert nonce("I am here.") == hashlib.sha256(b"kardia-fence\0I am here.").hexdigest()[:16]
    assert re.fullmatch("[0-9a-f]{16}", nonce(""))


def test_half_a_surrogate_pair_has_a_nonce_too():
    assert nonce("\ud800") != nonce("\udfff")


@given(ANY)
def test_no_text_can_close_its_own_fence(text):
    lines = fence("reply", text).split("\n")
    assert lines[0] == f"<<<reply {nonce(text)}"
    assert lines[-1] == f"{nonce(text)} reply>>>"
    inside = "\n".join(lines[1:-1])
    assert "<<<" not in inside
    assert ">>>" not in inside
    assert nonce(text) not in text


@pytest.mark.parametrize("token", TOKENS)
def test_tokens_of_chat_templates_are_defused(token):
    text = f"before {token} after"
    assert token not in neutralise(text)
    assert plain(neutralise(text)) == text


@given(HOSTILE)
def test_no_token_is_left_wherever_it_stands(text):
    left = neutralise(text).lower()
    assert not [token for token in TOKENS if token.lower() in left]


@given(ANY)
def test_neutralising_twice_changes_nothing(text):
    once = neutralise(text)
    assert neutralise(once) == once


@pytest.mark.parametrize("text", ["<|<|end|>|>", "<|<<<|>", "<|" * 20 + "x" + "|>" * 20, "<<s>>", "[[INST]]"])
def test_what_completes_a_token_around_another_is_defused_too(text):
    once = neutralise(text)
    assert neutralise(once) == once
    assert plain(once) == text


@given(st.text(st.characters(exclude_characters="<>[]")))
def test_harmless_text_is_untouched(text):
    assert neutralise(text) == text


@pytest.mark.parametrize(
    "text", ["1 < 2 > 0", "<3", ">.<", "[sighs] ok", "a -> b <- c", "<b>bold</b>", ">> quoted", "x[0]"]
)
def test_everyday_brackets_are_untouched(text):
    assert neutralise(text) == text


@given(ANY)
def test_plain_is_the_way_back_for_comparing(text):
    assert plain(neutralise(text)) == plain(text)
    assert plain(plain(text)) == plain(text)
    assert len(neutralise(text)) == len(text)


def test_equal_parts_have_equal_fences():
    assert fence("user", "hello") == fence("user", "hello")
    assert fence("user", "hello") != fence("user", "hello!")


def closely(text):
    """Every text looked at with both patterns, until nothing changes."""
    while True:
        defused = re.sub("<{3,}|>{3,}", _swapped, _CONTROL.sub(_swapped, text))
        if defused == text:
            return text
        text = defused


@given(ANY)
def test_a_text_that_is_passed_at_a_glance_holds_nothing(text):
    assert neutralise(text) == closely(text)


@given(st.text(st.one_of(st.sampled_from("\u2039\u203a\u27e6\u27e7<>[]a"), st.characters())))
def test_the_way_back_is_letter_by_letter(text):
    assert plain(text) == text.translate(str.maketrans("\u2039\u203a\u27e6\u27e7", "<>[]"))
