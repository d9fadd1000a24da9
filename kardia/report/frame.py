"""Scorecards as a table for pandas."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kardia.errors import InputError
from kardia.judgment import Scorecard

if TYPE_CHECKING:
    import pandas as pd

    from kardia.report.cards import Card

__all__ = ["to_pandas"]


def to_pandas(cards: Iterable[Scorecard] | str | Path, *, long: bool = False) -> pd.DataFrame:
    """Scorecards as a `pandas.DataFrame`.

    Args:
        cards: scorecards, or the file of `kardia score` that holds them.
        long: one row for each judgment (`criterion`, `status`, `level`, `value`, `reason`, `error`) instead of one row
            for each card, in which every criterion has a column with its value and a column `<criterion>:level`.

    Raises:
        InputError: where pandas is not installed, and for a file that holds no scorecards.
    """
    try:
        import pandas as pd
    except ImportError:
        raise InputError("a table for pandas needs pandas, which is not installed: pip install pandas") from None
    found: Iterable[Scorecard | Card]
    if isinstance(cards, (str, Path)):
        from kardia.report.cards import read_cards

        found = read_cards(cards)
    else:
        found = cards
    rows = (row for card in found for row in (_long(card) if long else (_wide(card),)))
    return pd.DataFrame(list(rows))


def _of_card(card: Scorecard | Card) -> dict[str, Any]:
    return {"id": card.id, "group": card.group, "rubric": card.rubric, "judge": card.judge}


def _wide(card: Scorecard | Card) -> dict[str, Any]:
    row = {**_of_card(card), "status": card.status, "score": card.score, "vetoed_by": list(card.vetoed_by)}
    for key, said in card.criteria.items():
        row |= {key: said.value, f"{key}:level": said.level}
    return row


def _long(card: Scorecard | Card) -> Iterator[dict[str, Any]]:
    for key, said in card.criteria.items():
        yield {
            **_of_card(card),
            "criterion": key,
            "status": said.status,
            "level": said.level,
            "value": said.value,
            "reason": said.reason,
            "error": said.error,
        }
