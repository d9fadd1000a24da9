"""How much a reply is worth where it was written over what it would be worth elsewhere.

Kardia's own. A judge that is content with a reply whatever it answers teaches a policy to write that reply; taking off
what a reply earns in answer to somebody else is the idea of a mutual-information objective (Li et al., 2016, arXiv
1510.03055) with a rubric's score in place of a likelihood.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pydantic import ConfigDict, InstanceOf, StrictStr

from kardia.judgment import Scorecard
from kardia.reward.completion import Completion
from kardia.reward.term import Cards, Found, Need, Term, TermValue
from kardia.reward.terms.rubric import Number, blank_value, card_value
from kardia.rubric.rubric import Rubric

__all__ = ["SpecificityTerm", "specificity"]


class SpecificityTerm(Term):
    """(1 + score − the score of the same reply in answer to another prompt of the batch) / 2, in [0, 1].

    0.5: the reply would do as well in answer to somebody else. It costs one more scorecard for each completion. A
    completion in a batch with one prompt only has no value.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True)

    kind: Literal["specificity"] = "specificity"
    rubric: StrictStr | InstanceOf[Rubric]
    """The rubric: a name, `name@version`, or a path."""
    judge: StrictStr | None = None
    """A judge of its own: a profile's name or path; default: the reward's."""
    nothing_written: Number | None = None
    """What a completion gets that holds no reply; null: no value."""

    def needs(self) -> tuple[Need, ...]:
        return (self.cards, self.cards_elsewhere)

    @property
    def cards(self) -> Cards:
        """What it asks for of the completion; a rubric term with the same rubric and judge asks for the same."""
        return Cards(self.rubric, self.judge)

    @property
    def cards_elsewhere(self) -> Cards:
        """What it asks for of the reply in answer to another prompt."""
        return Cards(self.rubric, self.judge, "elsewhere")

    def measure(self, completions: Sequence[Completion], found: Found) -> list[TermValue]:
        rows = zip(completions, found[self.cards], found[self.cards_elsewhere], strict=True)
        return [blank_value(item, self.nothing_written) or _value(here, elsewhere) for item, here, elsewhere in rows]


def _value(here: Scorecard | str, elsewhere: Scorecard | str) -> TermValue:
    if isinstance(here, Scorecard) and here.provenance.get("instance") is not None:
        return TermValue(None, "the row has criteria of its own, by which a reply to somebody else cannot be scored")
    scores: list[float] = []
    for card, where in ((here, ""), (elsewhere, "in answer to another prompt: ")):
        value = TermValue(None, card) if isinstance(card, str) else card_value(card)
        if value.value is None:
            return TermValue(None, f"{where}{value.why}")
        scores.append(value.value)
    return TermValue(specificity(*scores))


def specificity(here: float, elsewhere: float) -> float:
    """(1 + here − elsewhere) / 2.

    Args:
        here: the score where the reply was written, in [0, 1].
        elsewhere: the same reply's score in answer to something else, in [0, 1].

    >>> specificity(0.75, 0.25), specificity(0.9, 0.9)
    (0.75, 0.5)
    """
    return 0.5 + (here - elsewhere) / 2
