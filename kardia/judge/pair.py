"""What a judge without words reads: a judged text, and what came before it. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from kardia.conversation import Conversation, Message, Target
from kardia.rubric.models import Criterion, Example
from kardia.spans import context_of, target_of

__all__ = ["Pair", "context_text", "pair_of", "pair_of_example", "unreadable"]


@dataclass(frozen=True, slots=True)
class Pair:
    """What is judged: a text and what came before it (empty: nothing)."""

    context: str
    text: str


def pair_of(conversation: Conversation, target: Target) -> Pair:
    """The pair that a conversation's target makes. A whole conversation has no context."""
    whole = target.kind == "conversation" and target.message is None
    return Pair("" if whole else context_text(context_of(conversation)), target.text)


def pair_of_example(example: Example, criterion: Criterion, target: str) -> Pair:
    """A rubric's example as a judge would meet it in a row: taken apart by the same code.

    Args:
        target: the rubric's `target`, for a criterion that says nothing of its own.
    """
    said = (
        ([Message("user", example.context)] if example.context.strip() else [])
        if isinstance(example.context, str)
        else [Message(message.role, message.content) for message in example.context]
    )
    conversation = Conversation("example", (*said, Message("assistant", example.reply)))
    found = target_of(conversation, criterion.reads or target, target)
    # an example of a span may give the span's text alone
    text = example.reply if found.missing is not None else found.text
    return Pair("" if found.message is None else context_text(context_of(conversation)), text)


def context_text(messages: Iterable[Message]) -> str:
    """What came before a reply: what the person and the assistant said, a line each."""
    said = [message.content.strip() for message in messages if message.role in ("user", "assistant")]
    return "\n".join(part for part in said if part)


def unreadable(text: str, who: str = "the embedded judge's encoder") -> str | None:
    """Why a text cannot be judged by who has learnt English, where it cannot; None where it can."""
    letters = [character for character in text if character.isalpha()]
    if not letters:
        return "the judged text has no words that could be compared"
    if sum(_is_latin(character) for character in letters) * 2 < len(letters):
        return f"the judged text is mostly not in Latin script, and {who} has learnt English"
    return None


def _is_latin(character: str) -> bool:
    code = ord(character)
    # up to the end of Latin Extended-B, Latin Extended Additional, full-width and mathematical letters
    return code < 0x250 or 0x1E00 <= code < 0x1F00 or 0xFF21 <= code <= 0xFF5A or 0x1D400 <= code < 0x1D6A8
