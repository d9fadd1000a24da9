"""The same words in other clothes: spelling, contractions, marks, capitals, layout. What a reply says stays."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from kardia.conversation import Conversation, Message
from kardia.probe.scene import Scene, Variant, rewritten, sentences

__all__ = ["WAYS", "formatting", "paraphrases", "rewording", "translations"]

_NOT = {
    "cannot": "can't",
    "will not": "won't",
    **{
        f"{verb} not": f"{verb}n't"
        for verb in (
            *("do", "does", "did", "is", "are", "was", "were", "has", "have", "had"),
            *("would", "could", "should"),
        )
    },
}
_BE = {"i'm": "I am", "you're": "you are", "we're": "we are", "they're": "they are", "i've": "I have"}
_BE |= {"you've": "you have", "we've": "we have", "they've": "they have", "i'll": "I will", "you'll": "you will"}
_WHOLE = {short: whole for whole, short in _NOT.items()}
# after a pronoun the verb is a question's ("don't you"), and at a sentence's start often is: both stay as they are
_SHORT_NOT = re.compile(
    rf"(?<=[a-z,] )({'|'.join(_WHOLE)})\b(?! (?:i|you|we|they|he|she|it|this|that|these|those|there)\b)", re.IGNORECASE
)
_SHORT_BE = re.compile(rf"\b({'|'.join(_BE)})\b", re.IGNORECASE)
_LONG_NOT = re.compile(rf"\b({'|'.join(_NOT)})\b")

_SPELLINGS = {
    british + ending: american + ending
    for british, american, endings in (
        ("colour", "color", ("", "s")),
        ("favour", "favor", ("", "s", "ite", "ites")),
        ("behaviour", "behavior", ("", "s")),
        ("honour", "honor", ("", "s", "ed")),
        ("humour", "humor", ("",)),
        ("neighbour", "neighbor", ("", "s", "hood")),
        ("labour", "labor", ("",)),
        ("rumour", "rumor", ("", "s")),
        ("realis", "realiz", ("e", "es", "ed", "ing")),
        ("recognis", "recogniz", ("e", "es", "ed", "ing")),
        ("apologis", "apologiz", ("e", "es", "ed", "ing")),
        ("organis", "organiz", ("e", "es", "ed", "ing", "ation")),
        ("counsell", "counsel", ("ing", "or", "ors")),
        ("travell", "travel", ("ed", "ing")),
        ("cancell", "cancel", ("ed", "ing")),
        ("centre", "center", ("", "s")),
        ("grey", "gray", ("",)),
        ("mum", "mom", ("", "s")),
        ("learnt", "learned", ("",)),
        ("towards", "toward", ("",)),
        ("judgement", "judgment", ("", "s")),
    )
    for ending in endings
}
_BACK = {american: british for british, american in _SPELLINGS.items() if american not in ("counselor", "counselors")}
_BRITISH = re.compile(rf"\b({'|'.join(_SPELLINGS)})\b", re.IGNORECASE)
_AMERICAN = re.compile(rf"\b({'|'.join(_BACK)})\b", re.IGNORECASE)


def contractions(reply: str) -> str | None:
    """ "I'm" is written out; where there is nothing to write out, "do not" is drawn together.

    >>> contractions("I'm sorry you didn't sleep. Don't you want to tell me?")
    "I am sorry you did not sleep. Don't you want to tell me?"
    >>> contractions("You do not have to.")
    "You don't have to."
    """
    plain = reply.replace("’", "'")
    whole = _SHORT_BE.sub(_by(_BE), _SHORT_NOT.sub(_by(_WHOLE), plain))
    if whole != plain:
        return whole
    short = _LONG_NOT.sub(_by(_NOT), plain)
    return short if short != plain else None


def punctuation(reply: str) -> str | None:
    """Typographic quotes, dashes and dots instead of a typewriter's, or the other way round.

    >>> punctuation("That's hard - very hard...")
    'That’s hard – very hard…'
    """
    fancy = reply.replace("...", "…").replace(" - ", " – ").replace(" -- ", " – ").replace("'", "’")
    fancy = re.sub(r'"([^"\n]*)"', r"“\1”", fancy)
    if fancy != reply:
        return fancy
    plain = reply.translate({0x2018: "'", 0x2019: "'", 0x201C: '"', 0x201D: '"', 0x2026: "...", 0x2013: "-"})
    return plain.replace("—", "-") if plain.replace("—", "-") != reply else None


def casing(reply: str) -> str | None:
    """All in small letters, as many people type."""
    small = reply.lower()
    return small if small != reply else None


def spelling(reply: str) -> str | None:
    """British spelling becomes American; where there is none, American becomes British.

    >>> spelling("Your neighbour realised it, and Mum too.")
    'Your neighbor realized it, and Mom too.'
    """
    american = _BRITISH.sub(_by(_SPELLINGS), reply)
    if american != reply:
        return american
    british = _AMERICAN.sub(_by(_BACK), reply)
    return british if british != reply else None


def spacing(reply: str) -> str | None:
    """Two spaces after a sentence, as on a typewriter."""
    wide = re.sub(r"([.!?]) (?=\S)", r"\1  ", reply)
    return wide if wide != reply else None


WAYS: Mapping[str, Callable[[str], str | None]] = {
    "contractions": contractions,
    "punctuation": punctuation,
    "casing": casing,
    "spelling": spelling,
    "spacing": spacing,
}


def _by(table: Mapping[str, str]) -> Callable[[re.Match[str]], str]:
    def swapped(found: re.Match[str]) -> str:
        word = found.group()
        other = table[word.lower()]
        if word.isupper() and len(word) > 3:
            return other.upper()
        return other[0].upper() + other[1:] if word[0].isupper() else other

    return swapped


def rewording(conversation: Conversation, scene: Scene) -> Iterator[Variant]:
    """The ways above, each where it changes something."""
    for name, way in WAYS.items():
        changed = rewritten(conversation, way)
        if changed is not None:
            yield Variant(name, changed)


# ---- layout ---------------------------------------------------------------------------------------------------------

_MARKUP = re.compile(r"^\s*(?:[-*•#>]|\d+[.)])\s|\*\*|__", re.MULTILINE)


def formatting(conversation: Conversation, scene: Scene) -> Iterator[Variant]:
    """The same words as a list, under a heading, and with bold parts; only where a reply has no such layout."""
    for name, layout in (("bullets", _bullets), ("heading", _heading), ("bold", _bold)):
        changed = rewritten(conversation, layout)
        if changed is not None:
            yield Variant(name, changed)


def _bullets(reply: str) -> str | None:
    parts = _parts(reply)
    return None if parts is None else "\n".join(f"- {part}" for part in parts)


def _heading(reply: str) -> str | None:
    parts = _parts(reply)
    return None if parts is None else f"## {parts[0]}\n\n{' '.join(parts[1:])}"


def _bold(reply: str) -> str | None:
    parts = _parts(reply)
    if parts is None:
        return None
    return " ".join(f"**{part}**" if not place % 2 else part for place, part in enumerate(parts))


def _parts(reply: str) -> list[str] | None:
    """The sentences of a reply of two or more that has no layout yet."""
    if _MARKUP.search(reply):
        return None
    parts = list(sentences(reply))
    return parts if len(parts) > 1 else None


# ---- what the user brings -------------------------------------------------------------------------------------------


def paraphrases(conversation: Conversation, scene: Scene) -> Iterator[Variant]:
    """The user's own: a text, or a list of texts, in the metadata."""
    given = conversation.metadata.get(scene.paraphrases)
    for number, text in enumerate([given] if isinstance(given, str) else given if isinstance(given, list) else [], 1):
        if isinstance(text, str) and text.strip():
            changed = rewritten(conversation, _fixed(text))
            if changed is not None:
                yield Variant(f"paraphrase {number}", changed)


def translations(conversation: Conversation, scene: Scene) -> Iterator[Variant]:
    """The user's own: language → the reply in it, or the whole conversation's messages, in the metadata."""
    given = conversation.metadata.get(scene.translations)
    for language, text in (given if isinstance(given, dict) else {}).items():
        if isinstance(text, str) and text.strip():
            changed = rewritten(conversation, _fixed(text))
        else:
            changed = _in_messages(conversation, text)
        if changed is not None:
            yield Variant(str(language), changed)


def _fixed(text: str) -> Callable[[str], str]:
    return lambda reply: text


def _in_messages(conversation: Conversation, data: Any) -> Conversation | None:
    if not isinstance(data, list) or not all(
        isinstance(item, dict) and isinstance(item.get("role"), str) and isinstance(item.get("content"), str)
        for item in data
    ):
        return None
    messages = tuple(Message(item["role"], item["content"]) for item in data)
    if [message.role for message in messages] != [message.role for message in conversation.messages]:
        return None
    return Conversation(conversation.id, messages, conversation.metadata)
