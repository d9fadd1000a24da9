"""Conversations: the group a row names, and the reply that is judged."""

from __future__ import annotations

import pytest

from kardia.conversation import Conversation, Message

ASKS = Message("user", "Are you there?")
ANSWERS = Message("assistant", "I am.")


@pytest.mark.parametrize(
    ("metadata", "group"),
    [({"group": "a"}, "a"), ({"group": 3}, 3), ({"group": True}, None), ({"group": ["a"]}, None), ({}, None)],
)
def test_a_group_is_a_word_or_a_number(metadata: dict[str, object], group: object) -> None:
    assert Conversation("c", (ASKS, ANSWERS), metadata).group == group


def test_the_reply_is_the_last_assistant_message() -> None:
    assert Conversation("c", (ASKS, ANSWERS, ASKS, ANSWERS, ASKS)).reply_index == 3


def test_without_an_assistant_there_is_no_reply() -> None:
    with pytest.raises(ValueError, match="no assistant message"):
        _ = Conversation("c", (ASKS,)).reply_index
