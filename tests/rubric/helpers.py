"""Small rubrics to change."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

from kardia.rubric.models import RubricFile
from kardia.rubric.rubric import Part, Rubric

Data = dict[str, Any]

BASE: Data = {
    "name": "base",
    "version": "1.0.0",
    "title": "Base",
    "description": "What the base is about.",
    "metadata": {"profile": "Who the person is."},
    "criteria": [
        {
            "id": "takes_up",
            "question": "How far does the reply take up what was told?",
            "guidance": "Length does not count.",
            "scale": {"levels": {1: "Turns away from it.", 2: "Answers the subject.", 3: "Takes up a particular."}},
            "weight": 2,
        },
        {
            "id": "blames",
            "question": "Does the reply blame the person?",
            "scale": {"type": "binary", "levels": {"no": "Lays no fault on them.", "yes": "Says it is their doing."}},
            "good": "no",
            "required": {"else_score": 0},
            "not_relevant": "Where nothing went wrong.",
        },
        {
            "id": "tone",
            "question": "Which tone prevails?",
            "scale": {"type": "choice", "options": {"warm": {"value": 1, "description": "Kind words."}, "cold": 0}},
            "only_if": {"emotion": ["grief"]},
            "only_if_levels": {"takes_up": [2, 3]},
        },
    ],
    "examples": [
        {
            "context": "My dog died this morning.",
            "reply": "He was there every morning, and today he is not.",
            "levels": {"takes_up": 3, "blames": "no"},
            "why": "The mornings are there.",
        },
        {
            "context": [{"role": "user", "content": "I failed again."}],
            "reply": "You should have worked harder.",
            "levels": {"takes_up": 2, "blames": "yes", "tone": "cold"},
            "metadata": {"emotion": "shame"},
        },
    ],
}


def changed(change: Callable[[Data], Any] | None = None, data: Data = BASE) -> Data:
    """A copy of the data, with something done to it."""
    new = copy.deepcopy(data)
    if change is not None:
        change(new)
    return new


def rubric(change: Callable[[Data], Any] | None = None, data: Data = BASE, *parts: Part) -> Rubric:
    """The data as a rubric."""
    return Rubric(RubricFile.model_validate(changed(change, data)), parts)


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def yaml_text(name: str, version: str, question: str = "Does the reply blame the person?", extra: str = "") -> str:
    """A one-criterion rubric as YAML."""
    return (
        f"name: {name}\n"
        f"version: {version}   # the version\n"
        f"title: {name}\n{extra}"
        "criteria:\n"
        "  - id: blames\n"
        f"    question: {question}\n"
        "    scale: {type: binary}\n"
        "    good: no\n"
    )
