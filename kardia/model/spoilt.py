"""Replies spoilt in ways that a judge must notice: put under another context, scrambled, cut off, repeated. Pure.

What is wrong with them is known without reading them again, so that they are examples with levels of their own. They
are for a student's training beside texts that people wrote, and never in place of them.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from kardia.model.examples import Labelled

__all__ = ["cut_off", "looped", "misplaced", "scrambled", "spoilt"]

_ENDS = ("me", "you", "it")
"""Words that a sentence may well end in."""
MIN_WORDS = 12
"""A shorter reply can still be read when its words are mixed up, or is whole where it is cut."""

Targets = Mapping[str, tuple[float, ...]]


def scrambled(text: str, rng: random.Random) -> str | None:
    """The words in a random order; None for a text that is too short to lose its sense."""
    words = text.split()
    if len(words) < MIN_WORDS:
        return None
    rng.shuffle(words)
    return " ".join(words)


def cut_off(text: str, rng: random.Random) -> str | None:
    """The beginning of the text, broken off between two words of one sentence; None where there is no such place."""
    words = text.split()
    places = [
        place
        for place in range(MIN_WORDS // 2, len(words) - 2)
        if words[place - 1][-1].isalnum() and words[place - 1].lower() not in _ENDS
    ]
    return " ".join(words[: rng.choice(places)]) if len(words) >= MIN_WORDS and places else None


def looped(text: str, rng: random.Random) -> str | None:
    """One sentence of the text said again and again; None where it has none of a few words."""
    sentences = [part for part in re.split(r"(?<=[.!?])\s+", text.strip()) if 3 <= len(part.split()) <= 30]
    if not sentences:
        return None
    place = rng.randrange(len(sentences))
    times = rng.randint(3, 5)
    return " ".join((*sentences[:place], *[sentences[place]] * times, *sentences[place + 1 :]))


def spoilt(
    examples: Sequence[Labelled],
    how: Callable[[str, random.Random], str | None],
    targets: Targets,
    count: int,
    seed: int,
    name: str,
) -> list[Labelled]:
    """Examples with their replies spoilt in one way.

    Args:
        examples: what they are drawn from.
        how: `scrambled`, `cut_off` or `looped`.
        targets: what is known of every reply that is spoilt in this way.
        count: how many, at most.
        seed: of the draw.
        name: what their ids end in.
    """
    rng = random.Random(seed)
    order = list(examples)
    rng.shuffle(order)
    made: list[Labelled] = []
    for example in order:
        if len(made) >= count:
            break
        reply = how(example.reply, rng)
        if reply is not None:
            made.append(replace(example, reply=reply, targets=dict(targets), id=f"{example.id}-{name}"))
    return made


def misplaced(
    examples: Sequence[Labelled], kinds: Mapping[str, str], targets: Targets, seed: int, name: str = "misplaced"
) -> list[Labelled]:
    """Replies that speak of one situation, each under the context of another one.

    Contexts are partners two by two, so that no more than two groups of texts have to stay on one side of a split.

    Args:
        examples: those to be put elsewhere; each speaks of its own situation and fits no other.
        kinds: group → what its contexts have in common, such as their language; partners are of one kind.
        targets: what is known of a reply that stands under another's context.
        seed: of the choice of partners.
        name: what their ids end in.
    """
    contexts: dict[str, dict[str, str]] = {}
    for example in examples:
        if example.group in kinds:
            contexts.setdefault(kinds[example.group], {}).setdefault(example.group, example.context)
    partner: dict[str, str] = {}
    for known in contexts.values():
        groups = sorted(known)
        random.Random(seed).shuffle(groups)
        for one, other in zip(groups[::2], groups[1::2], strict=False):
            partner[one], partner[other] = known[other], known[one]
    return [
        replace(example, context=partner[example.group], targets=dict(targets), id=f"{example.id}-{name}")
        for example in examples
        if example.group in partner
    ]
