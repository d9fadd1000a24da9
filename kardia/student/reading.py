"""What a student reads of a conversation: a context and a reply, cut to what it was made for. Pure.

Texts are cut by characters first, which everything that loads a student can do alike, then by tokens, which bounds what
a hostile text can cost and is rarely reached. Of the context the end is kept: it is what the reply answers. Of the
reply the beginning and the end are.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Annotated

from pydantic import Field, StrictInt

from kardia.strict import Strict

__all__ = ["GAP", "Reading", "cut_tokens", "parted"]

GAP = " … "
"""Stands in a reply where its middle was left out."""


class Reading(Strict):
    """How much of a context and a reply a student reads."""

    context_chars: Annotated[StrictInt, Field(ge=0, le=1_000_000)] = 800
    """Characters of the context's end."""
    reply_chars: Annotated[StrictInt, Field(ge=2, le=1_000_000)] = 1200
    """Characters of the reply: of a longer one its first and its last half so many."""
    max_tokens: Annotated[StrictInt, Field(ge=8, le=1_000_000)] = 2048
    """Tokens of both together, separators included. The default bounds only what is no ordinary text."""

    def texts(self, context: str, reply: str, specials: Iterable[str] = ()) -> tuple[str, str]:
        """A pair as it is tokenised: cut to length, and nothing in it that the tokenizer would take for a separator.

        Args:
            specials: the tokenizer's special tokens.
        """
        context, reply = _clean(context, specials), _clean(reply, specials)
        half = self.reply_chars // 2
        if len(reply) > self.reply_chars:
            reply = reply[:half] + GAP + reply[-half:]
        return context[-self.context_chars :] if self.context_chars else "", reply


def _clean(text: str, specials: Iterable[str]) -> str:
    """Without space around it, without lone surrogates, which tokenizers refuse, and without special tokens."""
    if not text.isascii():
        text = text.encode("utf-8", "replace").decode("utf-8")
    for special in specials:
        if special in text:
            text = text.replace(special, parted(special))
    return text.strip()


def parted(special: str) -> str:
    """A special token as it stands in a text that must not hold it: with a space after its first character."""
    return f"{special[0]} {special[1:]}"


def cut_tokens(context: Sequence[int], reply: Sequence[int], room: int) -> tuple[list[int], list[int]]:
    """A pair's tokens, cut to what there is room for: a third is the context's, where it has so many, the rest is the
    reply's, and what one of them leaves is the other's.

    Args:
        room: tokens of both together, above 1.

    Returns:
        the end of the context; the beginning and the end of the reply.
    """
    if len(context) + len(reply) <= room:
        return list(context), list(reply)
    kept = min(len(reply), max(room - len(context), room - room // 3))
    left = min(len(context), room - kept)
    head = (kept + 1) // 2 if kept < len(reply) else kept
    return list(context[len(context) - left :]), [*reply[:head], *reply[len(reply) - (kept - head) :]]
