"""When two texts say the same in different clothes, and how a text is quoted in a sentence."""

from __future__ import annotations

import unicodedata
from typing import Any

__all__ = ["same_words", "short", "words_of"]


def words_of(text: str) -> str:
    """The text without punctuation, case and spacing differences; symbols and emoji stay, since they mean something.

    >>> words_of("Does it  listen?") == words_of("does it listen")
    True
    """
    folded = unicodedata.normalize("NFKC", text).casefold()
    kept = "".join(
        " " if unicodedata.category(mark)[0] in "PZC" and not _means(folded, place) else mark
        for place, mark in enumerate(folded)
    )
    return " ".join(kept.split())


def _means(text: str, place: int) -> bool:
    """Whether a punctuation mark is no mere punctuation: 1.5 is not 1-5, and 5 % is not 5."""
    between = 0 < place < len(text) - 1 and text[place - 1].isdigit() and text[place + 1].isdigit()
    return text[place] in "%&" or between


def same_words(a: str, b: str) -> bool:
    """Whether two texts differ in spacing, case and punctuation only."""
    return words_of(a) == words_of(b)


def short(value: Any, limit: int = 90) -> str:
    """A value on one line: texts in quotation marks, cut after `limit` characters."""
    if isinstance(value, str):
        text = " ".join(value.split())
        return f"“{text if len(text) <= limit else text[: limit - 1].rstrip() + '…'}”"
    if isinstance(value, dict):
        text = ", ".join(
            f"{key}: {short(item, 40) if isinstance(item, (dict, str)) else item}" for key, item in value.items()
        )
    elif isinstance(value, list):
        text = ", ".join(short(item, 40) if isinstance(item, dict) else str(item) for item in value)
    else:
        text = str(value)
    return text if len(text) <= limit else text[: limit - 1] + "…"
