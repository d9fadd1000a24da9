"""Scored files for the tests of the report, written as `kardia score` writes them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from kardia.rubric.loading import load_rubric

RUBRIC = load_rubric("supportiveness@1")
HASHES = {"rubric": RUBRIC.hash, "judge": "sha256:" + "b" * 64}
TEXT = "I'm so sorry. A morning like that empties the whole house."


def judgment(level: Any = None, value: float | None = None, **more: Any) -> dict[str, Any]:
    """Scored where there is a level; else unscored, with an error."""
    scored = level is not None
    return {
        "status": "scored" if scored else "unscored",
        "level": level,
        "value": value,
        "reason": "It names the loss." if scored else None,
        "evidence": [],
        "probabilities": None,
        "samples": None,
        "error": None if scored else "no answer within 60 s",
        **more,
    }


def card(own_id: str = "c1", **more: Any) -> dict[str, Any]:
    """A scorecard in which every criterion is at its best level."""
    criteria = {}
    for criterion in RUBRIC.criteria:
        best = max(criterion.levels, key=criterion.value)
        criteria[criterion.id] = judgment(best, criterion.value(best))
    return {
        "id": own_id,
        "target": {"kind": "reply", "message": 1, "text": TEXT},
        "group": None,
        "metadata": {"emotion": "grief"},
        "rubric": RUBRIC.ref,
        "judge": "my-server",
        "status": "scored",
        "score": 1.0,
        "vetoed_by": [],
        "criteria": criteria,
        "usage": {"requests": 3, "input_tokens": 900, "output_tokens": 90, "cost": None},
        "provenance": {
            "rubric": {"name": RUBRIC.name, "version": RUBRIC.version, "hash": HASHES["rubric"]},
            "instance": None,
            "judge": {"name": "my-server", "hash": HASHES["judge"]},
            "kardia": "1",
        },
        **more,
    }


def row(own_id: str = "c1", said: str = "My dog died this morning.", reply: str = TEXT) -> dict[str, Any]:
    """The conversation of a card."""
    return {"id": own_id, "messages": [{"role": "user", "content": said}, {"role": "assistant", "content": reply}]}


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(one, ensure_ascii=False) + "\n" for one in rows), encoding="utf-8")
    return path


def mixed(n: int) -> list[dict[str, Any]]:
    """Cards of every status, level and score, the same each time."""
    made = []
    for at in range(n):
        score = round(at % 21 / 20, 2)
        found = card(f"talk-{at:05d}", score=score, group=f"g{at // 4}")
        for place, criterion in enumerate(RUBRIC.criteria):
            level = criterion.levels[(at + place) % len(criterion.levels)]
            found["criteria"][criterion.id] = judgment(level, criterion.value(level), reason=f"Reason {at % 7}.")
        if at % 10 == 3:
            key = RUBRIC.criteria[0].id
            found["criteria"][key] = judgment()
            found.update(status="unscored", score=None)
        elif at % 10 == 5:
            found.update(status="scored", score=0.0, vetoed_by=[RUBRIC.criteria[-1].id])
        made.append(found)
    return made


def calibration() -> dict[str, Any]:
    """An artifact of `kardia calibrate` for what made the cards: one criterion is corrected, one stays as it is."""

    def figure(value: float | None, low: float | None = None, high: float | None = None) -> dict[str, Any]:
        return {"value": value, "low": low, "high": high, "n": 40, "why": None, "left_out": 0}

    def figures(ece: float, kappa: float, bias: float, bins: list[tuple[float, float, int]]) -> dict[str, Any]:
        return {
            "ece": figure(ece),
            "brier": figure(0.05),
            "log_loss": figure(None),
            "kappa": figure(kappa),
            "bias": figure(bias),
            "bins": [{"predicted": at, "observed": said, "n": n} for at, said, n in bins],
        }

    before = figures(0.1, 0.6, 0.1, [(0.2, 0.3, 10), (0.8, 0.7, 30)])
    after = figures(0.02, 0.7, 0.0, [(0.3, 0.3, 40)])
    change = {"brier": figure(-0.02, -0.03, -0.01), "kappa": figure(0.1), "bias": figure(-0.1)}
    rule = {"levels": [1, 2, 3, 4, 5], "n": 40, "groups": 20, "before": before, "after": after, "change": change}
    return {
        "kardia": "calibration/1",
        "rubric": {"name": RUBRIC.name, "version": RUBRIC.version, "hash": HASHES["rubric"]},
        "judge": {"name": "my-server", "hash": HASHES["judge"], "template": None},
        "criteria": {
            RUBRIC.criteria[0].id: {**rule, "method": "isotonic", "x": [0.0, 1.0], "y": [0.1, 0.9]},
            "same": {**rule, "method": "none"},
        },
        "left_out": {"demeans": "it is a requirement"},
        "made": {"kardia": "1", "data": "sha256:" + "d" * 64, "settings": {"folds": 5, "seed": 7}},
    }
