"""People's labels of the replies that were scored, as values in [0, 1]."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from kardia.diagnose.difference import Beside
from kardia.diagnose.table import Table
from kardia.model.labels import Labels, Questions

if TYPE_CHECKING:
    from kardia.rubric.rubric import Rubric

__all__ = ["beside_labels"]


def beside_labels(table: Table, path: str | Path, rubric: Rubric) -> Beside:
    """Reads labels, long or wide, or scorecards (`kardia.model.labels`); several raters are averaged.

    Raises:
        InputError: with file, line and key, for labels that are none of this rubric.
    """
    import numpy as np

    questions = Questions([rubric])
    labels = Labels(questions)
    labels.read(path)
    # where a row brings criteria of its own, no label is of them
    known = [
        (place, questions.task(f"{rubric.name}.{name}").key, [criterion.value(level) for level in criterion.levels])
        for place, name in enumerate(table.criteria)
        if (criterion := rubric.by_id.get(name)) is not None
    ]
    value_NC = np.full((len(table.cards), len(table.criteria)), np.nan)
    for row, card in enumerate(table.cards):
        said = labels.said.get(card.id, {})
        for place, key, worth in known:
            votes = list(said.get(key, {}).values())
            if votes:
                value_NC[row, place] = np.mean(np.asarray(votes) @ np.asarray(worth))
    return Beside("the labels", value_NC)
