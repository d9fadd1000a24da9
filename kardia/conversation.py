"""A conversation, and the part of it that is judged."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Conversation", "Message", "Target"]

ROLES = ("system", "developer", "user", "assistant", "tool")


@dataclass(frozen=True, slots=True)
class Message:
    """One message. `role` is one of system, developer, user, assistant, tool; `content` is text, untouched."""

    role: str
    content: str

    def to_json(self) -> dict[str, str]:
        """The message as plain data."""
        return {"role": self.role, "content": self.content}


@dataclass(frozen=True, slots=True)
class Conversation:
    """Messages plus metadata.

    Attributes:
        id: unique within a file; a string, a row's whole number as text.
        messages: at least one, at least one of them by the assistant.
        metadata: whatever the row carried beside; may hold profile, situation, emotion, reference, group, rubric.
    """

    id: str
    messages: tuple[Message, ...]
    metadata: Mapping[str, Any] = field(default_factory=dict)

    @property
    def group(self) -> str | int | None:
        """Which prompt's completions this one belongs to, where the row says so."""
        group = self.metadata.get("group")
        return group if isinstance(group, (str, int)) and not isinstance(group, bool) else None

    @property
    def reply_index(self) -> int:
        """The index of the last assistant message. Raises ValueError where there is none."""
        for index in range(len(self.messages) - 1, -1, -1):
            if self.messages[index].role == "assistant":
                return index
        raise ValueError("the conversation has no assistant message")


@dataclass(frozen=True, slots=True)
class Target:
    """The part of a conversation that is judged.

    Attributes:
        kind: `reply` or `conversation`.
        message: the index of the judged message; None for a conversation.
        text: the judged text: the reply with thinking and tags taken out, the span that a criterion reads, or the
            transcript.
        reads: `reply`, `conversation`, `thinking` or a span's name.
        missing: why there is nothing to judge, where the span that is read is not there.
    """

    kind: str
    message: int | None
    text: str
    reads: str = "reply"
    missing: str | None = None
