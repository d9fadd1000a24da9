"""Pairs → token ids, in the backbone's own layout."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from kardia.errors import ProfileError
from kardia.student.reading import Reading, cut_tokens

__all__ = ["Coded", "Coder", "Kind", "special_tokens"]

Kind = Literal["encoder", "causal"]

_BEFORE = "Message:\n"
_BETWEEN = "\n\nReply:\n"


@dataclass(frozen=True, slots=True)
class Coded:
    """One pair's tokens.

    Attributes:
        ids: with the separators.
        reply: from where to where the reply's own tokens stand.
    """

    ids: tuple[int, ...]
    reply: tuple[int, int]


def special_tokens(tokenizer: Any) -> tuple[str, ...]:
    """Every special token's text, the longest first; of one character none can be told from an ordinary text."""
    added = tokenizer.added_tokens_decoder.values()
    texts = {str(token) for token in added if token.special} | {str(token) for token in tokenizer.all_special_tokens}
    return tuple(sorted((text for text in texts if len(text) > 1), key=lambda text: (-len(text), text)))


class Coder:
    """Tokenises pairs, each distinct text once.

    An encoder gets its tokenizer's own layout of a pair ([CLS] context [SEP] reply [SEP] for BERT). A causal model gets
    plain words, "Message:", the context, "Reply:", the reply, and the token that ends a text, whose state is pooled.
    Token types are not used: a separator says where the reply begins.

    Args:
        tokenizer: a fast tokenizer of transformers.
        kind: of the backbone.
        reading: how much is read.

    Raises:
        ProfileError: where the tokenizer's layout of a pair cannot be told apart.
    """

    def __init__(self, tokenizer: Any, kind: Kind, reading: Reading) -> None:
        self.tokenizer = tokenizer
        self.kind = kind
        self.reading = reading
        self.specials = special_tokens(tokenizer)
        self.before, self.between, self.after = self._pair_layout() if kind == "encoder" else self._text_layout()
        self.room = reading.max_tokens - len(self.before) - len(self.between) - len(self.after)
        if self.room < 2:
            raise ProfileError(f"max_tokens: {reading.max_tokens} leaves no room for a text")
        pad = tokenizer.pad_token_id
        self.pad = int(pad if pad is not None else tokenizer.eos_token_id or 0)

    def code(self, pairs: Sequence[tuple[str, str]]) -> list[Coded]:
        """The tokens of (context, reply) pairs, in their order."""
        texts = [self.reading.texts(context, reply, self.specials) for context, reply in pairs]
        ids = self._ids(dict.fromkeys(text for pair in texts for text in pair))
        coded: list[Coded] = []
        for context, reply in texts:
            left, right = cut_tokens(ids[context], ids[reply], self.room)
            start = len(self.before) + len(left) + len(self.between)
            whole = (*self.before, *left, *self.between, *right, *self.after)
            coded.append(Coded(whole, (start, start + len(right))))
        return coded

    def _ids(self, texts: dict[str, None]) -> dict[str, list[int]]:
        if not texts:
            return {}
        found = self.tokenizer(
            list(texts),
            add_special_tokens=False,
            truncation=False,
            return_attention_mask=False,
            return_token_type_ids=False,
            verbose=False,
        )["input_ids"]
        return dict(zip(texts, found, strict=True))

    def _pair_layout(self) -> tuple[tuple[int, ...], ...]:
        ids = [int(token) for token in self.tokenizer("a", "b", verbose=False)["input_ids"]]
        first, second = (self.tokenizer(text, add_special_tokens=False)["input_ids"] for text in "ab")
        start = _find(ids, first, 0)
        middle = -1 if start < 0 else _find(ids, second, start + len(first))
        between = ids[start + len(first) : middle]
        if middle < 0 or not between:
            raise ProfileError("the backbone's tokenizer does not separate two texts; use kind: causal")
        return tuple(ids[:start]), tuple(between), tuple(ids[middle + len(second) :])

    def _text_layout(self) -> tuple[tuple[int, ...], ...]:
        ids = self._ids({_BEFORE: None, _BETWEEN: None})
        begin, end = self.tokenizer.bos_token_id, self.tokenizer.eos_token_id
        opening = () if begin is None else (begin,)
        return (*opening, *ids[_BEFORE]), tuple(ids[_BETWEEN]), () if end is None else (end,)


def _find(ids: Sequence[int], part: Sequence[int], start: int) -> int:
    for place in range(start, len(ids) - len(part) + 1):
        if list(ids[place : place + len(part)]) == list(part):
            return place
    return -1
