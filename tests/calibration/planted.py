"""Judges whose miscalibration is known, and people's labels."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import kardia
from kardia.judge.protocol import Known, Opinion
from kardia.judgment import Scorecard

RUBRIC = """\
name: planted
version: 1.0.0
title: Planted
criteria:
  - id: warm
    question: How warm is the reply?
    scale: {levels: {1: Cold., 5: Warm.}}
  - id: presses
    question: How far does the reply press the person?
    scale: {levels: {1: It leaves the person free., 5: It presses.}}
    good: low
  - id: listens
    question: Does the reply listen?
    scale: {type: binary}
  - id: demeans
    question: Does the reply demean the person?
    scale: {type: binary}
    good: no
    required: {else_score: 0}
  - id: tone
    question: Which tone prevails?
    scale: {type: choice, options: {warm: 1.0, even: 0.5, cold: 0.0}}
"""


def rubric(folder: Path, version: str = "1.0.0") -> Path:
    path = folder / "planted.yaml"
    path.write_text(RUBRIC.replace("1.0.0", version))
    return path


@dataclass(frozen=True)
class Planted:
    """Replies in groups of four, what each is worth from 1 to 5, and people's level of it."""

    rows: Sequence[Mapping[str, Any]]
    truth: Sequence[float]
    labels: Sequence[Mapping[str, Any]]


def planted(n: int = 160, seed: int = 0) -> Planted:
    noise = random.Random(seed)
    truth = [min(5.0, max(1.0, noise.gauss(3, 1.1))) for _ in range(n)]
    rows = [
        {"id": f"r{place}", "context": f"Day {place // 4}.", "response": f"Reply {place}", "group": f"g{place // 4}"}
        for place in range(n)
    ]
    labels = []
    for place, worth in enumerate(truth):
        level = whole(worth + noise.gauss(0, 0.4))
        labels.append(
            {
                "id": f"r{place}",
                "warm": level,
                "presses": 6 - level,
                "listens": "yes" if level > 2 else "no",
                "demeans": "yes" if level == 1 else "no",
                "tone": "cold" if level < 3 else "even" if level < 5 else "warm",
            }
        )
    return Planted(rows, truth, labels)


def calibrated(n: int = 160, seed: int = 0) -> tuple[Planted, kardia.FakeJudge]:
    """A judge that is right on average at each of its levels, and in most single cases."""
    noise = random.Random(seed)
    said = [noise.randint(1, 5) for _ in range(n)]
    truth = [level if level in (1, 5) else level + noise.choice((-1, 0, 0, 0, 1)) for level in said]
    data = planted(n, seed)
    labels = [{"id": row["id"], "warm": level} for row, level in zip(data.rows, truth, strict=True)]

    def answers(request: Any) -> Any:
        (criterion,) = request.criteria
        level = said[place_of(request)] if criterion.id == "warm" else criterion.levels[0]
        return {"reason": "I read it.", "evidence": [], "level": level}

    return Planted(data.rows, [float(level) for level in truth], labels), kardia.FakeJudge(answers)


def whole(number: float) -> int:
    return max(1, min(5, round(number)))


def place_of(request: Any) -> int:
    return int(request.target.text.split()[1])


def judge(
    data: Planted, over: float = 0.0, sure: float | None = None, seed: int = 1, **profile: Any
) -> kardia.FakeJudge:
    """One that is `over` of a level too generous; with `sure` it gives probabilities, and is the surer the greater."""
    noise = [random.Random(seed * 1_000_003 + place).gauss(0, 0.4) for place in range(len(data.truth))]

    def answers(request: Any) -> Any:
        place, (criterion,) = place_of(request), request.criteria
        felt = min(5.0, max(1.0, data.truth[place] + over + noise[place]))
        level = whole(felt)
        said = {
            "warm": level,
            "presses": 6 - level,
            "listens": "yes" if level > 2 else "no",
            "demeans": "yes" if level == 1 else "no",
            "tone": "cold" if level < 3 else "even" if level < 5 else "warm",
        }[criterion.id]
        if sure is None:
            return {"reason": "I read it.", "evidence": [], "level": said}
        if criterion.id == "warm":
            weights = {each: math.exp(-sure * (each - felt) ** 2) for each in criterion.levels}
        else:
            weights = {each: math.exp(2 * sure * (each == said)) for each in criterion.levels}
        return Known({criterion.id: Opinion(weights)})

    return kardia.FakeJudge(answers, profile=kardia.JudgeProfile(name="fake", backend="fake", **profile))


def scored(data: Planted, rubric: Path, asked: Any) -> list[Scorecard]:
    return list(kardia.score_many(data.rows, rubric, asked, ledger="off"))
