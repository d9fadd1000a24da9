"""Preference pairs and scorecards, joined: what a gate is fitted to, as arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from kardia.artifact import EncoderId, Verbosity
from kardia.conversation import Conversation
from kardia.errors import InputError
from kardia.fitting.cards import Card, Cards, Subject
from kardia.fitting.debias import debias_of, verbosity_of
from kardia.fitting.ratings import Pair
from kardia.fitting.table import usable
from kardia.fitting.validation import FEWEST
from kardia.rubric.rubric import Rubric, content_hash
from kardia.spans import target_of
from kardia.vectors import PromptVectors, prompt_text

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]
    Index = NDArray[np.int64]

__all__ = ["Paired", "Text", "paired", "text_of"]


@dataclass(frozen=True, slots=True)
class Text:
    """What a gate needs of a conversation: the prompt, and how long the judged text is in characters."""

    prompt: str
    characters: int


def text_of(conversation: Conversation, rubric: Rubric) -> Text:
    """What a gate needs of a conversation, as scoring takes it."""
    judged = target_of(conversation, rubric.target, rubric.target)
    return Text(prompt_text(conversation, rubric.target), len(judged.text))


@dataclass(frozen=True)
class Paired:
    """Preference pairs over cards that can be fitted.

    Attributes:
        shares: id of each input → its share by the rubric's own weights.
        values_CI: each card's values; NaN where an input is not applicable.
        scores_C: what the rubric itself makes of each card.
        verbosity_C: how long each reply is, on the artifact's scale.
        debias_I: λ of each input.
        verbosity: the scale.
        vector_UD: each prompt's vector.
        prompt_C: which prompt each card answers.
        chosen_P, rejected_P: the cards of each pair.
        card_ids: of all cards, the reference set.
        pairs_left_out: why → how many pairs cannot be fitted.
    """

    shares: Mapping[str, float]
    values_CI: Array
    scores_C: Array
    verbosity_C: Array
    debias_I: Array
    verbosity: Verbosity
    vector_UD: Array
    prompt_C: Index
    chosen_P: Index
    rejected_P: Index
    card_ids: tuple[str, ...]
    pairs_left_out: Mapping[str, int]

    @property
    def prompt_P(self) -> Index:
        """Which prompt each pair answers."""
        return self.prompt_C[self.chosen_P]

    @property
    def data(self) -> str:
        """The hash of what is fitted."""
        values = [[None if value != value else round(value, 6) for value in row] for row in self.values_CI.tolist()]
        pairs = [[self.card_ids[one] for one in which.tolist()] for which in (self.chosen_P, self.rejected_P)]
        return content_hash([list(self.card_ids), values, pairs, [round(one, 6) for one in self.verbosity_C.tolist()]])


def paired(
    cards: Cards,
    pairs: Sequence[Pair],
    texts: Mapping[str, Text],
    shares: Mapping[str, float],
    subject: Subject,
    encoder: EncoderId,
    file: str | Path,
) -> Paired:
    """Joins cards, pairs and texts, embeds the prompts, and takes the length out of the values.

    The reference set of the debiasing is every card that can be fitted, in a pair or not.

    Args:
        texts: id → what a gate needs; cards that have none are left out.
        shares: the inputs, as `counted_shares` gives them.
        file: that of the pairs, for messages.

    Raises:
        InputError: a pair of replies to different prompts; fewer than `FEWEST` pairs that can be fitted.
    """
    import numpy as np

    listed: list[Card] = [card for key, card in cards.by_id.items() if key in texts]
    found = usable(listed, tuple(shares), subject.rubric)
    place = {card.id: number for number, card in enumerate(found.cards)}
    kept: list[Pair] = []
    left_out = {"a reply has no scorecard": 0, "a reply's scorecard cannot be fitted": 0}
    for pair in pairs:
        both = (pair.chosen, pair.rejected)
        if not all(key in cards.by_id and key in texts for key in both):
            left_out["a reply has no scorecard"] += 1
            continue
        if texts[pair.chosen].prompt != texts[pair.rejected].prompt:
            raise InputError(
                f"compares replies to different prompts ({pair.chosen!r} and {pair.rejected!r}): which is better then "
                "says nothing about the criteria",
                file=str(file),
                line=pair.line,
            )
        if not all(key in place for key in both):
            left_out["a reply's scorecard cannot be fitted"] += 1
            continue
        kept.append(pair)
    why = {reason: count for reason, count in left_out.items() if count}
    if len(kept) < FEWEST:
        told = "".join(f"; in {count}, {reason}" for reason, count in why.items())
        raise InputError(f"only {len(kept)} pairs can be fitted; at least {FEWEST} are needed{told}", file=str(file))
    prompts = list(dict.fromkeys(texts[pair.chosen].prompt for pair in kept))
    number = {prompt: row for row, prompt in enumerate(prompts)}
    vectors = PromptVectors([encoder]).embed_now(prompts)
    characters_C = np.array([texts[card.id].characters for card in found.cards], dtype=np.float64)
    verbosity = verbosity_of(characters_C)
    verbosity_C = (np.log1p(characters_C) - verbosity.mean) / verbosity.span
    values_CI = found.values()
    return Paired(
        dict(shares),
        values_CI,
        np.array(found.scores),
        verbosity_C,
        np.array([debias_of(values_CI[:, place], verbosity_C) for place in range(len(shares))]),
        verbosity,
        np.array([vectors[prompt][encoder.sha256] for prompt in prompts], dtype=np.float64),
        np.array([number.get(texts[card.id].prompt, -1) for card in found.cards], dtype=np.int64),
        np.array([place[pair.chosen] for pair in kept], dtype=np.int64),
        np.array([place[pair.rejected] for pair in kept], dtype=np.int64),
        tuple(card.id for card in found.cards),
        why,
    )
