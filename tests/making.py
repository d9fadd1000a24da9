"""Small rubrics, judgments and requests, made in a line."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from kardia.answer import answer_schema
from kardia.conversation import Conversation, Message
from kardia.judge.labels import level_labels
from kardia.judge.protocol import Request
from kardia.judgment import Judgment
from kardia.rubric.models import Criterion, Level, RubricFile
from kardia.rubric.rubric import Part, Rubric
from kardia.spans import target_of


def ordinal(id_: str, low: int = 1, high: int = 5, **rest: Any) -> dict[str, Any]:
    scale = {"levels": {low: f"{id_} at its lowest", high: f"{id_} at its highest"}}
    return {"id": id_, "question": f"How {id_} is it?", "scale": scale, **rest}


def binary(id_: str, **rest: Any) -> dict[str, Any]:
    return {"id": id_, "question": f"Is it {id_}?", "scale": {"type": "binary"}, **rest}


def choice(id_: str, **rest: Any) -> dict[str, Any]:
    options = {"warm": 1.0, "neutral": {"value": 0.5, "description": "Neither."}, "cold": 0.0}
    return {"id": id_, "question": f"Which {id_}?", "scale": {"type": "choice", "options": options}, **rest}


def criterion(data: dict[str, Any]) -> Criterion:
    return Criterion.model_validate(data)


def make(*criteria: dict[str, Any], parts: tuple[Part, ...] = (), name: str = "made", **rest: Any) -> Rubric:
    data = {"name": name, "version": "1.0.0", "title": "Made", "criteria": list(criteria), **rest}
    return Rubric(RubricFile.model_validate(data), parts)


def at(criterion: Criterion, level: Level) -> Judgment:
    return Judgment(criterion.id, "scored", level, criterion.value(level), "because")


def without(criterion: Criterion, status: Any = "unscored", reason: str | None = None) -> Judgment:
    return Judgment(criterion.id, status, reason=reason, error="for a test")


def asking(
    rubric: Rubric, mode: str = "per_criterion", reply: str = "I'm so sorry. He was family.", reads: str = "reply"
) -> Request:
    conversation = Conversation("c", (Message("user", "My dog died."), Message("assistant", reply)))
    criteria = rubric.criteria if mode == "all_criteria" else rubric.criteria[:1]
    labels = level_labels(criteria[0]) if mode == "logprob" else None
    schema = answer_schema(criteria, mode)
    return Request(conversation, target_of(conversation, reads), rubric, criteria, mode, schema=schema, labels=labels)


def benchmark_server() -> ModuleType:
    """benchmarks/server.py, under a name that tests/server.py does not have."""
    known = sys.modules.get("benchmark_server")
    if known is not None:
        return known
    path = Path(__file__).resolve().parent.parent / "benchmarks" / "server.py"
    spec = importlib.util.spec_from_file_location("benchmark_server", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["benchmark_server"] = module
    spec.loader.exec_module(module)
    return module
