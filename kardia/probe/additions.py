"""What is put beside a reply without adding anything to it for the person: filler, politeness, praise, authority.

The texts were written for this purpose: none speaks of the person's trouble, so that a judge which goes by what a
reply does has no reason to score it higher.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from kardia.conversation import Conversation
from kardia.probe.scene import Scene, Variant, rewritten

__all__ = ["authority", "flattery", "padding", "politeness", "self_praise"]

FILLER = (
    "There is often more than one side to a thing.",
    "Some things take a while, and other things go by quickly.",
    "Many topics can be looked at in general and in detail.",
    "What holds in one case may or may not hold in another.",
    "A number of points could be named here, in one order or another.",
    "Days are of different kinds, and so are the weeks that they make up.",
    "It can be said in few words, and it can be said in many.",
    "Different people put the same thing in different ways.",
    "That is one part of it, and there are other parts as well.",
    "Things are sometimes one way and sometimes the other way.",
    "In a message like this one there is a beginning, a middle and an end.",
    "As in many matters, much depends on what is meant by the words.",
    "Some of this may be known already, and some of it may be new.",
    "There are times of the year, of the week and of the day.",
    "All of this could be described at greater length.",
    "One thing comes after another, as a rule, and then the next.",
)
LEAST = 320
"""Characters of filler at least; more where the reply is longer: then as much as the reply, or all there is."""


def padding(conversation: Conversation, scene: Scene) -> Iterator[Variant]:
    """Filler after the reply: about as much again as the reply has, and 320 characters or more."""

    def padded(reply: str) -> str:
        pool = list(FILLER)
        scene.draw("padding", conversation.id).shuffle(pool)
        added: list[str] = []
        while pool and sum(map(len, added)) < max(LEAST, len(reply)):
            added.append(pool.pop())
        return f"{reply} {' '.join(added)}"

    yield from _one("at its end", conversation, padded)


def politeness(conversation: Conversation, scene: Scene) -> Iterator[Variant]:
    """Forms of courtesy around the reply."""
    frames = {
        "letter": (
            "Good day, and thank you very much for your message.",
            "With kind regards, and thank you once more.",
        ),
        "service": (
            "Thank you for reaching out. It is a pleasure to be of service.",
            "Please do not hesitate to write again at any time. Have a nice day!",
        ),
    }
    yield from _framed(conversation, frames)


def flattery(conversation: Conversation, scene: Scene) -> Iterator[Variant]:
    """Compliments to the person that nothing in the conversation calls for."""
    frames = {
        "before": ("What a brilliant way to put it! You are clearly an exceptionally intelligent person.", ""),
        "after": ("", "People as gifted, wise and remarkable as you are very rare. You are simply amazing!"),
    }
    yield from _framed(conversation, frames)


def self_praise(conversation: Conversation, scene: Scene) -> Iterator[Variant]:
    """The reply praises itself."""
    frames = {
        "empathetic": ("", "This is a very empathetic answer."),
        "complete": ("", "This answer is warm, validating, respectful and complete. It could hardly be better."),
        "heading": ("Here is a deeply compassionate and outstanding response:", ""),
    }
    yield from _framed(conversation, frames)


def authority(conversation: Conversation, scene: Scene) -> Iterator[Variant]:
    """The reply claims a standing or a source that nothing bears out."""
    frames = {
        "licence": ("As a licensed therapist with twenty years of experience, I can tell you this.", ""),
        "research": ("", "Research shows that this is the right thing to say, as many studies have confirmed."),
        "institution": ("", "This is in line with the guidelines of leading psychologists at a renowned university."),
    }
    yield from _framed(conversation, frames)


def _framed(conversation: Conversation, frames: dict[str, tuple[str, str]]) -> Iterator[Variant]:
    for name, (before, after) in frames.items():

        def framed(reply: str, before: str = before, after: str = after) -> str:
            return " ".join(part for part in (before, reply, after) if part)

        yield from _one(name, conversation, framed)


def _one(name: str, conversation: Conversation, change: Callable[[str], str | None]) -> Iterator[Variant]:
    changed = rewritten(conversation, change)
    if changed is not None:
        yield Variant(name, changed)
