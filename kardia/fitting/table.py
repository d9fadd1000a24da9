"""Cards and ratings, joined: what is fitted, as arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kardia.aggregate import Inputs, aggregate, inputs_of
from kardia.errors import InputError
from kardia.fitting.cards import Card, Cards, Subject
from kardia.fitting.ratings import Rating, RatingRange
from kardia.fitting.validation import FEWEST
from kardia.rubric.rubric import Rubric, content_hash

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]
    Index = NDArray[np.int64]

__all__ = ["Rated", "Usable", "rated", "usable"]


@dataclass(frozen=True)
class Usable:
    """The cards that can be fitted.

    Attributes:
        cards: in the file's order.
        inputs: of each card, for `ids`.
        ids: the inputs' ids.
        scores: what the rubric itself makes of each card.
        left_out: why → how many cards cannot be fitted.
    """

    cards: tuple[Card, ...]
    inputs: tuple[Inputs, ...]
    ids: tuple[str, ...]
    scores: tuple[float, ...]
    left_out: Mapping[str, int]

    def values(self) -> Array:
        """(cards, inputs); NaN where an input is not applicable."""
        import numpy as np

        rows = [[one.values.get(key, np.nan) for key in self.ids] for one in self.inputs]
        return np.array(rows, dtype=np.float64).reshape(len(rows), len(self.ids))

    def shares(self, rubric: Rubric) -> Array:
        """(cards, levels of all inputs in a row); NaN where a criterion is not applicable."""
        import numpy as np

        inside = rubric.root.inside
        unknown = {key: (np.nan,) * len(inside[key].levels) for key in self.ids}
        rows = [[share for key in self.ids for share in one.shares.get(key, unknown[key])] for one in self.inputs]
        return np.array(rows, dtype=np.float64)


def usable(cards: Sequence[Card], ids: Sequence[str], rubric: Rubric) -> Usable:
    """Sorts out the cards whose score a learned aggregation would not, or could not, decide.

    A card is left out where a requirement failed, where an input is unscored or abstained, or where none applies.
    """
    kept: list[tuple[Card, Inputs, float]] = []
    left_out = {"a requirement failed": 0, "something is unscored": 0, "nothing applies": 0}
    for card in cards:
        inputs = inputs_of(rubric, ids, card.judgments)
        score = aggregate(rubric, card.judgments).score
        if card.vetoed:
            left_out["a requirement failed"] += 1
        elif inputs.gone or (score is None and inputs.values):
            left_out["something is unscored"] += 1
        elif score is None or not inputs.values:
            left_out["nothing applies"] += 1
        else:
            kept.append((card, inputs, score))
    return Usable(
        tuple(card for card, _, _ in kept),
        tuple(inputs for _, inputs, _ in kept),
        tuple(ids),
        tuple(score for _, _, score in kept),
        {why: count for why, count in left_out.items() if count},
    )


@dataclass(frozen=True)
class Rated:
    """Cards with people's overall ratings; one row a rating.

    Attributes:
        usable: the cards, each rated at least once.
        groups: of each card.
        card_R: which card each rating is of.
        rating_R: the ratings.
        weight_R: 1 / how many ratings its card has, so that every card counts once.
        annotator_R: who rated; −1 where nobody is named.
        annotators: their names.
        mean_C: each card's mean rating.
        span: what could be given.
        unknown: how many ratings are of conversations that have no card.
        unrated: how many cards have no rating.
    """

    usable: Usable
    groups: tuple[str, ...]
    card_R: Index
    rating_R: Array
    weight_R: Array
    annotator_R: Index
    annotators: tuple[str, ...]
    mean_C: Array
    span: RatingRange
    unknown: int
    unrated: int

    @property
    def counts(self) -> dict[str, int]:
        found = {"cards": len(self.usable.cards), "ratings": len(self.rating_R)}
        return found | ({"annotators": len(self.annotators)} if self.annotators else {})

    @property
    def data(self) -> str:
        """The hash of what is fitted."""
        rows: list[Any] = [
            [
                card.id,
                {key: round(value, 6) for key, value in one.values.items()},
                dict(one.shares),
            ]
            for card, one in zip(self.usable.cards, self.usable.inputs, strict=True)
        ]
        given = zip(self.card_R.tolist(), self.rating_R.tolist(), self.annotator_R.tolist(), strict=True)
        return content_hash([rows, [list(one) for one in given], [self.span.low, self.span.high]])


def rated(
    cards: Cards,
    ratings: Sequence[Rating],
    ids: Sequence[str],
    subject: Subject,
    span: RatingRange,
    prompts: Mapping[str, str] | None = None,
) -> Rated:
    """Joins cards and ratings by id.

    Args:
        prompts: id → the prompt, where known: cards of one prompt are then of one group, else those of one row group.

    Raises:
        InputError: where fewer than `FEWEST` cards can be fitted, or all ratings are the same.
    """
    import numpy as np

    by_card: dict[str, list[Rating]] = {}
    unknown = 0
    for rating in ratings:
        if rating.id in cards.by_id:
            by_card.setdefault(rating.id, []).append(rating)
        else:
            unknown += 1
    found = usable([card for key, card in cards.by_id.items() if key in by_card], ids, subject.rubric)
    if len(found.cards) < FEWEST:
        why = "".join(f"; in {count} {reason}" for reason, count in found.left_out.items())
        raise InputError(
            f"only {len(found.cards)} of its cards are rated and can be fitted; at least {FEWEST} are needed "
            f"({unknown} ratings are of conversations that have no card{why})",
            file=cards.file,
        )
    rows = [(place, rating) for place, card in enumerate(found.cards) for rating in by_card[card.id]]
    names = sorted({rating.annotator for _, rating in rows if rating.annotator is not None})
    number = {name: place for place, name in enumerate(names)}
    card_R = np.array([place for place, _ in rows], dtype=np.int64)
    rating_R = np.array([rating.value for _, rating in rows], dtype=np.float64)
    if np.ptp(rating_R) == 0:
        raise InputError(f"every rating is {rating_R[0]:g}: there is nothing to learn from", file=cards.file)
    each_C = np.bincount(card_R)
    groups = [card.group if prompts is None else f"prompt {prompts[card.id]}" for card in found.cards]
    return Rated(
        found,
        tuple(groups),
        card_R,
        rating_R,
        1.0 / each_C[card_R],
        np.array([-1 if rating.annotator is None else number[rating.annotator] for _, rating in rows], dtype=np.int64),
        tuple(names),
        np.bincount(card_R, rating_R) / each_C,
        span,
        unknown,
        len(cards.by_id) - len(by_card),
    )
