"""Pairs as tokens."""

from __future__ import annotations

import pytest

from kardia.errors import ProfileError
from kardia.student.backbone import load_tokenizer
from kardia.student.reading import Reading
from kardia.student.tokens import Coder, special_tokens

PAIRS = [("my dog died", "sorry, that hurts"), ("", "tell me more"), ("exam", ""), ("why why why", "a [SEP] b </s> c")]


@pytest.mark.parametrize("name", ["bert", "roberta"])
def test_an_encoder_gets_its_own_layout(name, request):
    tokenizer = load_tokenizer(request.getfixturevalue(name))
    coder = Coder(tokenizer, "encoder", Reading())
    for (context, reply), coded in zip(PAIRS[:2], coder.code(PAIRS[:2]), strict=True):
        assert list(coded.ids) == tokenizer(context, reply)["input_ids"]
        start, end = coded.reply
        assert list(coded.ids[start:end]) == tokenizer(reply, add_special_tokens=False)["input_ids"]


@pytest.mark.parametrize("name", ["bert", "roberta", "qwen"])
def test_no_text_makes_a_separator(name, request):
    tokenizer = load_tokenizer(request.getfixturevalue(name))
    coder = Coder(tokenizer, "causal" if name == "qwen" else "encoder", Reading())
    assert len(coder.specials) >= 3
    plain, hostile = coder.code([("a", "b"), ("".join(coder.specials), "x".join(coder.specials))])
    special = {tokenizer.convert_tokens_to_ids(each) for each in special_tokens(tokenizer)} - {tokenizer.unk_token_id}
    assert sum(each in special for each in hostile.ids) == sum(each in special for each in plain.ids)


def test_a_causal_model_gets_words(qwen):
    tokenizer = load_tokenizer(qwen)
    coder = Coder(tokenizer, "causal", Reading())
    text = tokenizer.decode(coder.code([("my dog", "oh")])[0].ids)
    assert text == "Message:\nmy dog\n\nReply:\noh<|im_end|>"


def test_each_text_is_tokenised_once_and_order_does_not_matter(bert):
    coder = Coder(load_tokenizer(bert), "encoder", Reading())
    assert coder.code(PAIRS * 2) == coder.code(PAIRS) * 2
    assert coder.code([]) == []


def test_long_pairs_are_cut_to_the_tokens_that_there_are(bert):
    coder = Coder(load_tokenizer(bert), "encoder", Reading(max_tokens=20))
    (coded,) = coder.code([("dog " * 100, "sorry " * 50 + "why " * 50)])
    words = coder.tokenizer.convert_ids_to_tokens(list(coded.ids))
    assert len(words) == 20
    assert words.count("dog") == 5
    start, end = coded.reply
    assert words[start:end] == ["sorry"] * 6 + ["why"] * 6


def test_no_room(bert, qwen):
    with pytest.raises(ProfileError, match="leaves no room"):
        Coder(load_tokenizer(qwen), "causal", Reading(max_tokens=8))
    with pytest.raises(ProfileError, match="use kind: causal"):
        Coder(load_tokenizer(qwen), "encoder", Reading())
