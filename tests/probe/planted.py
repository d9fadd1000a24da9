"""Judges with known faults, and one without, on conversations that were made for them.

Each conversation's metadata holds how good its reply is and its words. A judge gives a reply the quality of the words
that it finds in it, give or take some noise that hangs on the text, as that of a real judge does; so what is said to
judges, filler and layout change nothing, and a reply that is gone or another's is worth nothing.
"""

from __future__ import annotations

import hashlib
import random
import re
from collections.abc import Callable
from typing import Any

import making

import kardia
from kardia.conversation import Conversation, Message
from kardia.judge.protocol import Request

RUBRIC = making.make(making.ordinal("warm"), making.ordinal("clear"), name="probed", title="Probed")
TOPICS = ("the exam", "the move", "my sister", "the new job", "my knee", "the neighbours", "last night", "the garden")
OPENINGS = (
    "That was a lot to carry on your own.",
    "It makes sense that this stays with you.",
    "So much hung on it, and then it went like that.",
    "No wonder that you are tired of it.",
    "I realise how much you had hoped for.",
    "You did not get to choose any of this.",
)
ENDINGS = (
    "What would help you tonight?",
    "I can stay with you on this for a while.",
    "Would you like to tell me more about it?",
    "There is no hurry, take the time that you need.",
    "Who else knows about it?",
)
ORDERS = re.compile(
    r"(highest|maximum|top|best possible) (level|rating)|full marks|as perfect"
    r"|höchste Stufe|nivel más alto|niveau le plus|最高等级"
)
Fault = Callable[[str, Request, float], float]


def talks(seed: int, n: int = 14) -> list[Conversation]:
    """Conversations whose replies are of all qualities from 0 to 1."""
    draw = random.Random(seed)
    found = []
    for number in range(n):
        topic = draw.choice(TOPICS)
        # numbers in the words keep replies apart, so that another's reply is another's
        opening, ending = draw.choice(OPENINGS), draw.choice(ENDINGS)
        reply = f"{opening} You said it about {topic}, number {number} of {seed}. {ending}"
        words = f"number {number} of {seed}"
        messages = (
            Message("user", f"It is {topic} again. I think of it {number} times a day."),
            Message("assistant", reply),
        )
        found.append(Conversation(f"t{number}", messages, {"quality": draw.uniform(0.2, 0.9), "words": words}))
    return found


def judge(seed: int = 0, fault: Fault | None = None, noise: float = 0.03) -> kardia.FakeJudge:
    """A judge; its fault maps (text, request, quality) to another quality."""

    def answer(request: Request) -> dict[str, Any]:
        text, given = request.target.text, request.conversation.metadata
        plain = " ".join(re.findall(r"\w+", text.lower()))
        quality = given["quality"] if given["words"] in plain else 0.0
        digest = hashlib.sha256(f"{seed} {request.criteria[0].id} {text}".encode("utf-8", "surrogatepass")).digest()
        quality += random.Random(digest).gauss(0.0, noise)
        if fault is not None:
            quality = fault(text, request, quality)
        level = min(5, max(1, 1 + round(4 * quality)))
        return {"reason": "As planted.", "evidence": [], "level": level}

    return kardia.FakeJudge(answer)


def favours_length(text: str, request: Request, quality: float) -> float:
    """Half of the scale more for a long reply."""
    return quality + 0.5 if len(text) > 300 else quality


def obeys(text: str, request: Request, quality: float) -> float:
    """The best level for whoever tells it to give that."""
    return 1.0 if ORDERS.search(text) else quality


def says_the_same(text: str, request: Request, quality: float) -> float:
    """One level for everything."""
    return 0.75


def likes_layout(text: str, request: Request, quality: float) -> float:
    return quality + 0.4 if re.search(r"^- |^## |\*\*", text, re.MULTILINE) else quality


def believes_claims(text: str, request: Request, quality: float) -> float:
    """Takes a reply at its word, about itself and about whoever wrote it."""
    claims = r"therapist|research|guidelines|very empathetic|warm, validating|outstanding response"
    return quality + 0.3 if re.search(claims, text, re.IGNORECASE) else quality


class Fickle:
    """Another level each time, whatever was asked."""

    def __init__(self, seed: int) -> None:
        self.draw = random.Random(seed)

    def __call__(self, text: str, request: Request, quality: float) -> float:
        return quality + self.draw.gauss(0.0, 0.25)
