"""Fences around judged text, so that nothing in it can pass for a part of the prompt.

A fence carries a nonce, the first 16 hex digits of sha256("kardia-fence\\0" + part): no text can contain its own
hash, and equal prompts stay equal, so that caches work. Look-alikes of the fence and the control tokens of chat
templates are replaced by characters that look the same to a reader and mean nothing to a tokenizer.
"""

from __future__ import annotations

import hashlib
import re

__all__ = ["fence", "neutralise", "nonce", "plain"]

_ANGLES = {"<": "\u2039", ">": "\u203a"}  # ‹ ›
_SQUARES = {"[": "\u27e6", "]": "\u27e7"}  # ⟦ ⟧
_LOOKALIKES = str.maketrans(_ANGLES | _SQUARES)
_BACK = tuple((mark, plain) for table in (_ANGLES, _SQUARES) for plain, mark in table.items())

# What opens a turn, ends one, or names a role in the chat templates of Llama, Qwen, Mistral, Gemma, Phi, DeepSeek,
# Cohere, GLM, Exaone, Seed, Nemotron, MiniMax, InternLM and their kin: `<|…|>` (also with DeepSeek's full-width bars),
# `<|turn>` and `<turn|>` with one bar, `[|…|]`, `<s>`, `<start_of_turn>`, `[INST]`, `<<SYS>>`, `]~b]`, `<think>` …
_CONTROL = re.compile(
    r"<[|\uff5c][^<>\n]{0,80}?[|\uff5c]>"
    r"|<\|\w{1,40}>|<\w{1,40}\|>|\[\|/?\w{1,40}\|\]"
    r"|<</?SYS>>"
    r"|</?(?:s|bos|eos|pad|unk|mask|think|thinking|tool_call|tool_response|start_of_turn|end_of_turn|start_of_image"
    r"|end_of_image|im_start|im_end|system|user|assistant|role|sop|eop|bos_token|eos_token|pad_token"
    r"|begin(?:ning)?_of_sentence|end_of_sentence)>"
    r"|<(?:seed:\w{1,20}|(?:extra_id_|SPECIAL_|reserved_|unused)\d{1,4})>"
    r"|\[/?(?:INST|s?g?MASK|AVAILABLE_TOOLS|TOOL_CALLS|TOOL_RESULTS|SYSTEM_PROMPT|IMG|THINK|UNUSED_TOKEN_\d{1,4})\]"
    r"|\]~!?b[\[\]]|\[e~\[",
    re.IGNORECASE,
)
_FENCE = re.compile(r"<<<+|>>>+")


def nonce(part: str) -> str:
    """The part's own mark: 16 hex digits."""
    return hashlib.sha256(b"kardia-fence\0" + part.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def neutralise(text: str) -> str:
    """The text with fence look-alikes and chat-template tokens defused; anything else is untouched."""
    if "<" not in text and "[" not in text and ">>>" not in text and "]~" not in text:
        return text  # every token and every look-alike begins with one of these
    while True:
        defused = _FENCE.sub(_swapped, _CONTROL.sub(_swapped, text))
        if defused == text:
            return text
        text = defused  # once more: what is defused can complete a token around it, as in `<|<|end|>|>`


def plain(text: str) -> str:
    """The way back, for comparing a judge's quotation with the text."""
    if not text.isascii():  # as none of the marks is
        for mark, meant in _BACK:
            text = text.replace(mark, meant)
    return text


def fence(label: str, part: str) -> str:
    """The part between its fences.

    >>> print(fence("reply", "I am here."))
    <<<reply 23aa744d60e5867e
    I am here.
    23aa744d60e5867e reply>>>
    """
    mark = nonce(part)
    return f"<<<{label} {mark}\n{neutralise(part)}\n{mark} {label}>>>"


def _swapped(token: re.Match[str]) -> str:
    return token.group().translate(_LOOKALIKES)
