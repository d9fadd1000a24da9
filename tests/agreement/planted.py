"""Scorecards and labels with what is to be found in them."""

from __future__ import annotations

import csv
import json
import random
from pathlib import Path
from typing import Any

from making import binary, choice, make, ordinal

from kardia.rubric.rubric import Rubric

RUBRIC = make(ordinal("warm"), ordinal("cold", good="low"), binary("blames", good="no"), choice("tone"), name="planted")


def card(own_id: str, rubric: Rubric = RUBRIC, judge: str = "j", **more: Any) -> dict[str, Any]:
    """A scorecard; keywords that are criteria give a level, or None: unscored, or a status."""
    criteria = {}
    for criterion in rubric.criteria:
        level = more.pop(criterion.id, None)
        status = "scored"
        if level is None or level in ("abstained", "not_applicable"):
            status, level = level or "unscored", None
        criteria[criterion.id] = {"status": status, "level": level, "value": None, "probabilities": None}
    return {
        "id": own_id,
        "group": more.pop("group", None),
        "rubric": rubric.ref,
        "judge": judge,
        "score": more.pop("score", 0.5),
        "criteria": criteria,
        "provenance": {
            "rubric": {"name": rubric.name, "version": rubric.version, "hash": more.pop("digest", rubric.hash)},
            "judge": {"name": judge, "hash": f"sha256:{judge}"},
        },
        **more,
    }


def planted(size: int = 120, *, bias: int = 0, raters: str = "AB", seed: int = 3) -> tuple[list[Any], list[Any]]:
    """Cards, and long labels by several people who say the same as the judge or a level beside it; the judge says
    `bias` levels more of warm."""
    chance = random.Random(seed)
    cards, labels = [], []
    for number in range(size):
        true = {c.id: chance.randrange(len(c.levels)) for c in RUBRIC.criteria}
        said: dict[str, Any] = {"id": f"c{number}", "group": f"g{number // 3}"}
        for criterion in RUBRIC.criteria:
            levels = criterion.levels
            shift = bias if criterion.id == "warm" else 0
            said[criterion.id] = levels[min(max(true[criterion.id] + shift, 0), len(levels) - 1)]
            for rater in raters:
                place = true[criterion.id]
                if chance.random() < 0.3:
                    place = min(max(place + chance.choice([-1, 1]), 0), len(levels) - 1)
                labels.append({"id": f"c{number}", "rater": rater, "criterion": criterion.id, "level": levels[place]})
        cards.append(card(said.pop("id"), score=true["warm"] / 4, **said))
    return cards, labels


def wide(labels: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Long rows as wide ones."""
    rows: dict[tuple[str, str], dict[str, Any]] = {}
    for label in labels:
        row = rows.setdefault((label["id"], label["rater"]), {"id": label["id"], "rater": label["rater"]})
        row[label["criterion"]] = label["level"]
    names = dict.fromkeys(key for row in rows.values() for key in row)
    return [{name: row.get(name) for name in names} for row in rows.values()]


def write_csv(path: Path, rows: list[dict[str, Any]]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def write_jsonl(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path
