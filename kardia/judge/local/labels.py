"""Labels as token sequences: what has to be read so that their probabilities are known. Pure.

The probability of a label is that of its tokens after the prompt, one after the other. Prompt and label are tokenised
together, and a label begins where the sequences of a question's labels first differ: so a token that a label's first
letters share with the prompt's last ones does no harm. Where one label's tokens begin another's ("1" and "10"), each is
followed by the token that ends the turn.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from kardia.judge.local.tree import common

__all__ = ["Question", "Reading", "question_of"]


@dataclass(frozen=True, slots=True)
class Reading:
    """A token sequence that the model reads, and what is asked of it.

    Attributes:
        tokens: what is read.
        asks: (place, token): the log-probability of the token after the sequence up to and with that place.
    """

    tokens: tuple[int, ...]
    asks: tuple[tuple[int, int], ...]

    @property
    def fresh(self) -> int:
        """The first place that is asked about."""
        return min(place for place, _ in self.asks)


@dataclass(frozen=True, slots=True)
class Question:
    """What tells the probabilities of a question's labels.

    Attributes:
        readings: what is read; a label of one token needs no reading of its own.
        terms: for each label, the asks whose sum is its log-probability, as (reading, ask).
    """

    readings: tuple[Reading, ...]
    terms: Mapping[str, tuple[tuple[int, int], ...]]

    def shares(self, read: Sequence[Sequence[float]]) -> dict[str, float]:
        """Each label's share of what all labels have together.

        Args:
            read: for each reading, the log-probability of each of its asks.
        """
        sums = {label: math.fsum(read[one][ask] for one, ask in terms) for label, terms in self.terms.items()}
        most = max(sums.values())
        weights = {label: math.exp(number - most) for label, number in sums.items()}
        whole = math.fsum(weights.values())
        return {label: weight / whole for label, weight in weights.items()}


def question_of(sequences: Mapping[str, tuple[int, ...]], end: int) -> Question:
    """How the probabilities of labels are read.

    Args:
        sequences: label → the tokens of the prompt with that label; they begin alike.
        end: the token that ends the turn.

    Raises:
        ValueError: where there is one label only, two are the same tokens, or nothing stands before them.
    """
    if len(sequences) < 2:
        raise ValueError("a question has at least two labels")
    whole = list(sequences.values())
    start = min(common(whole[0], other) for other in whole)
    if any(len(one) < len(other) and other[: len(one)] == one for one in whole for other in whole):
        sequences = {label: (*tokens, end) for label, tokens in sequences.items()}
    if start == 0 or len(set(sequences.values())) < len(sequences):
        raise ValueError("the labels cannot be told apart by their tokens")
    places: dict[tuple[int, ...], int] = {}
    asks: list[list[tuple[int, int]]] = []
    terms: dict[str, tuple[tuple[int, int], ...]] = {}
    for label, tokens in sequences.items():
        place = places.setdefault(tokens[:-1], len(places))
        if place == len(asks):
            asks.append([])
        here = range(len(asks[place]), len(asks[place]) + len(tokens) - start)
        asks[place] += [(at - 1, tokens[at]) for at in range(start, len(tokens))]
        terms[label] = tuple((place, ask) for ask in here)
    return Question(
        tuple(Reading(tokens, tuple(each)) for tokens, each in zip(places, asks, strict=True)),
        terms,
    )
