"""A rubric by which nothing is judged: a request names one, also where somebody writes instead of judging."""

from __future__ import annotations

from kardia.rubric.models import RubricFile
from kardia.rubric.rubric import Rubric

__all__ = ["blank_rubric"]


def blank_rubric(name: str, title: str) -> Rubric:
    """A rubric whose one question is never asked.

    Args:
        name: who writes, as a rubric is named.
        title: the same for people.
    """
    criterion = {"id": "none", "question": "Is anything judged here?", "scale": {"type": "binary"}}
    told = {"name": name, "version": "1.0.0", "title": title, "criteria": [criterion]}
    return Rubric(RubricFile.model_validate(told))
