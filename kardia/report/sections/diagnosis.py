"""What `kardia diagnose --json` wrote, as a section."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kardia.report.sections.blocks import (
    Block,
    Section,
    figure,
    finding,
    interval_row,
    intervals,
    lines,
    table,
    text,
)

__all__ = ["diagnosis_section"]

_NAMES = {
    "flat": "groups whose scores do not differ",
    "flips": "advantages whose sign is chance",
    "words": "correlation with words, within groups",
    "characters": "correlation with characters, within groups",
    "long_gain": "gain of the longer replies",
    "directions": "directions among the criteria",
    "unscored_words": "unscored: correlation with words",
    "words_beyond_labels": "correlation with words beyond labels",
    "words_beyond_rest": "correlation with words beyond the other criteria",
    "noise": "noise within groups",
    "sign_differs": "advantages of another sign the second time",
}
"""Figure → what a reader makes of it; others go by their own names."""


def diagnosis_section(data: Mapping[str, Any]) -> Section:
    """Args: data: `Diagnosis.to_json()`."""
    found = data["findings"]
    blocks: list[Block] = [finding(each["sentence"], each["advice"], warn=each["severity"] == "high") for each in found]
    if not found:
        blocks.append(text("Nothing was found that is certain."))
    numbers = {
        f"{each['kind'].replace('_', ' ')}{': ' + each['criterion'] if each['criterion'] else ''}": each["numbers"]
        for each in found
    }
    rows = [
        (name, _name(key), figure(number, 3), number["n"])
        for name, figures in numbers.items()
        for key, number in figures.items()
    ]
    if rows:
        blocks.append(
            table("The figures of the findings", ("finding", "figure", "value", "n"), rows, left=2, closed=True)
        )
    overall = data["overall"]
    if overall:
        blocks.append(
            table(
                "Figures of the score; in brackets the interval",
                ("figure", "value", "n"),
                [(_name(name), figure(told, 3), told["n"]) for name, told in overall.items()],
            )
        )
    blocks += _criteria(data["criteria"])
    blocks += _steps(data["detail"].get("steps") or [])
    if data["skipped"]:
        blocks.append(
            table("What was not looked at", ("check", "why"), list(data["skipped"].items()), left=2, closed=True)
        )
    return {"id": "diagnostics", "nav": "Diagnostics", "title": "Diagnostics", "blocks": blocks}


def _name(key: str) -> str:
    return _NAMES.get(key, key.replace("_", " "))


def _criteria(criteria: Mapping[str, Mapping[str, Any]]) -> list[Block]:
    names = list(dict.fromkeys(name for figures in criteria.values() for name in figures))
    if not names:
        return []
    found = [
        table(
            "Figures by criterion",
            ("criterion", *(_name(name) for name in names)),
            [(key, *(figure(figures.get(name)) for name in names)) for key, figures in criteria.items()],
            closed=True,
        )
    ]
    by_words = {key: figures["words"] for key, figures in criteria.items() if "words" in figures}
    if by_words:
        rows = [interval_row(key, told) for key, told in by_words.items()]
        title = "How far each criterion goes with the number of words, within groups"
        found.insert(0, intervals(title, rows, low=-1, high=1, zero=0, x="correlation"))
    return found


def _steps(steps: list[Mapping[str, Any]]) -> list[Block]:
    """The training judge and its reference along the training."""
    if not steps:
        return []
    return [
        lines(
            "Mean score over training steps",
            {name: [[step["to"], step[name]] for step in steps] for name in ("judge", "reference")},
            x="step",
            y="mean score",
        ),
        table(
            "Mean score over training steps, as a table",
            ("to step", "judge", "reference", "n"),
            [(f"{step['to']:g}", f"{step['judge']:.3f}", f"{step['reference']:.3f}", step["n"]) for step in steps],
            closed=True,
        ),
    ]
