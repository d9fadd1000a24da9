"""What was said around a judged reply: the conversations of the scorecards, by id."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from kardia.conversation import Conversation, Message
from kardia.errors import InputError
from kardia.reading import Source, parse_map
from kardia.report.cards import Card
from kardia.spans import target_of

__all__ = ["Contexts", "read_contexts"]


class Contexts:
    """Conversations by id.

    Args:
        conversations: those that were scored; there may be more.
        source: what an error calls their file.
        wanted: which ids to keep; None for all of them.
    """

    def __init__(self, conversations: Iterable[Conversation], source: str, wanted: set[str] | None = None) -> None:
        self._source = source
        self._known: Mapping[str, Conversation] = {
            one.id: one for one in conversations if wanted is None or one.id in wanted
        }
        self.missing = 0
        """Cards whose conversation is not there."""

    def __len__(self) -> int:
        return len(self._known)

    def of(self, card: Card, file: str) -> tuple[Message, ...] | None:
        """All messages of a card's conversation; None where it is not there.

        Raises:
            InputError: where the conversation is there, and says something else.
        """
        found = self._known.get(card.id)
        if found is None:
            self.missing += 1
            return None
        kind = "conversation" if card.kind == "conversation" else "reply"
        target = target_of(found, kind, kind)
        if (card.text is not None and card.text != target.text) or card.message != target.message:
            raise InputError(
                f"is not what {card.id!r} says in {self._source}: the two files do not belong together; name the file "
                "that was scored",
                file=file,
                line=card.line,
                key="target",
            )
        return found.messages


def read_contexts(
    path: str | Path | Sequence[str | Path], mapping: str | None = None, wanted: set[str] | None = None
) -> Contexts:
    """Reads the conversations that were scored. Rows that cannot be read were not scored either, and are passed over.

    Raises:
        InputError: where the file holds none, or cannot be read.
    """
    with Source(path, mapping=parse_map(mapping) if mapping else None, skip_bad=True) as source:
        source.check()
        return Contexts(source.conversations(), source.name, wanted)
