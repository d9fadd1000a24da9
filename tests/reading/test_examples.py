"""The examples that a newcomer runs."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from kardia.reading import Source
from kardia.spans import target_of

EXAMPLES = Path(__file__).parents[2] / "examples" / "conversations.jsonl"
QUALITIES = ("good", "mediocre", "harmful")
# fmt: off
LABELS = {  # the labels of EmpatheticDialogues
    "afraid", "angry", "annoyed", "anticipating", "anxious", "apprehensive", "ashamed", "caring", "confident",
    "content", "devastated", "disappointed", "disgusted", "embarrassed", "excited", "faithful", "furious",
    "grateful", "guilty", "hopeful", "impressed", "jealous", "joyful", "lonely", "nostalgic", "prepared", "proud",
    "sad", "sentimental", "surprised", "terrified", "trusting",
}
# fmt: on


def test_every_row_loads_and_three_replies_answer_each_context():
    source = Source(EXAMPLES)
    survey = source.check()
    assert (survey.rows, survey.good) == (24, 24)
    assert survey.metadata_keys >= {"quality", "emotion", "situation", "group"}
    conversations = list(source.conversations())
    assert set(Counter(conversation.group for conversation in conversations).values()) == {3}
    for start in range(0, 24, 3):
        same = conversations[start : start + 3]
        assert [conversation.id for conversation in same] == [f"{same[0].group}-{quality}" for quality in QUALITIES]
        assert [conversation.metadata["quality"] for conversation in same] == list(QUALITIES)
        assert len({conversation.messages[:-1] for conversation in same}) == 1
        assert len({target_of(conversation, "reply").text for conversation in same}) == 3


def test_the_examples_are_varied():
    conversations = list(Source(EXAMPLES).conversations())
    emotions = {conversation.metadata["emotion"] for conversation in conversations}
    assert emotions <= LABELS
    assert len(emotions) >= 6
    assert {len(conversation.messages) for conversation in conversations} >= {2, 4}
    assert any(conversation.metadata.get("language") == "de" for conversation in conversations)
