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
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import making

import kardia
from kardia.conversation import Conversation, Message
from kardia.judge import JudgeProfile
from kardia.judge.protocol import Request
from kardia.probe import PROBES, JudgeProbes
from kardia.probe.design import Design
from kardia.probe.findings import UNSTEADY
from kardia.probe.judged import Given, judged_by
from kardia.probe.questions import terms_of
from kardia.probe.running import designed
from kardia.probe.shifts import Outcome
from kardia.rubric.rubric import Rubric

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


# ---- judged without a judge -----------------------------------------------------------------------------------------


class Seen:
    """What a fault may go by: the probe and the way of a text (None: it is as it was), and a share of its own."""

    __slots__ = ("_key", "criterion", "probe", "steps", "text", "way")

    def __init__(self, probe: str | None, way: str | None, text: str, criterion: int, steps: int, key: str) -> None:
        self.probe, self.way, self.text, self.criterion, self.steps = probe, way, text, criterion, steps
        self._key = key

    def share(self) -> float:
        """In [0, 1), the same for the same text and criterion of a seed."""
        return random.Random(hashlib.sha256(self._key.encode("utf-8", "surrogatepass")).digest()).random()


Flaw = Callable[[Seen, float], "float | None"]
"""What is seen, and the quality → the quality that the judge makes of it; None: it gives no score."""


def scaled(low: int, high: int, criteria: int = 2) -> Rubric:
    """A rubric of one scale; of 0 and 1 it is a yes or no."""
    made = (making.binary, making.ordinal)[high > 1]
    bounds = {} if high == 1 else {"low": low, "high": high}
    return making.make(*(made(f"c{number}", **bounds) for number in range(criteria)), name="probed", title="Probed")


@dataclass(frozen=True)
class Text:
    """A text of a design, and what does not hang on the judge.

    Attributes:
        probe, way: None of the replies as they are.
        true: how good it is.
        noise: one standard normal value a criterion.
        key: of what a flaw draws for it.
    """

    probe: str | None
    way: str | None
    text: str
    true: float
    noise: tuple[float, ...]
    key: str


@cache
def design(seed: int, n: int, grouped: bool) -> tuple[Design, list[Text]]:
    """All probes of so many conversations. Of four in a group the replies are of one kind, more or less."""
    rng = random.Random(f"groups {seed}")
    means = [rng.uniform(0.3, 0.8) for _ in range(n)]
    found = talks(seed, n)
    for number, conversation in enumerate(found) if grouped else ():
        quality = min(0.95, max(0.05, rng.gauss(means[number // 4], 0.15)))
        told = {**conversation.metadata, "quality": quality, "group": number // 4}
        found[number] = replace(conversation, metadata=told)
    made = designed(found, RUBRIC, PROBES, seed=seed)
    ways = {case.after: (case.probe, case.variant.partition(", ")[0]) for case in made.cases}
    texts = []
    for place, conversation in enumerate(made.texts):
        text, given = conversation.messages[-1].content, conversation.metadata
        key = f"{seed} {conversation.id} {text}"
        draw = random.Random(hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest())
        true = given["quality"] if given["words"] in " ".join(re.findall(r"\w+", text.lower())) else 0.0
        noise = tuple(draw.gauss(0.0, 1.0) for _ in range(2))
        texts.append(Text(*ways.get(place, (None, None)), text, true, noise, key))
    return made, texts


def judged(
    seed: int,
    flaw: Flaw | None = None,
    *,
    rubric: Rubric = RUBRIC,
    n: int = 40,
    grouped: bool = False,
    noise: float = 0.03,
) -> JudgeProbes:
    """What all probes say of a judge that was never asked: its levels are worked out, which is fast."""
    made, texts = design(seed, n, grouped)
    scales = [[(level, each.value(level)) for level in each.levels] for each in rubric.criteria]
    names = [each.id for each in rubric.criteria]
    outcomes = [_outcome(text, names, scales, flaw, noise) for text in texts]
    given = Given(JudgeProfile(name="planted", backend="fake"), outcomes, outcomes[: made.originals])
    return judged_by(given, made, PROBES, terms_of(rubric, tolerance=None, unsteady=UNSTEADY, seed=seed))


def _outcome(
    text: Text, names: list[str], scales: list[list[tuple[Any, float]]], flaw: Flaw | None, noise: float
) -> Outcome:
    levels: dict[str, Any] = dict.fromkeys(names)
    values: dict[str, Any] = dict.fromkeys(names)
    for number, (name, scale) in enumerate(zip(names, scales, strict=True)):
        steps = len(scale) - 1
        quality: float | None = text.true + noise * text.noise[number]
        if flaw is not None and quality is not None:
            quality = flaw(Seen(text.probe, text.way, text.text, number, steps, f"{text.key} {number}"), quality)
        if quality is not None and text.text.strip():
            levels[name], values[name] = scale[min(steps, max(0, round(steps * quality)))]
    known = [value for value in values.values() if value is not None]
    return Outcome(sum(known) / len(known) if len(known) == len(names) else None, values, levels)
