"""What `kardia diagnose --json` wrote, as a section."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from kardia.diagnose.finding import KINDS
from kardia.report.sections.blocks import (
    Block,
    Section,
    counted,
    figure,
    finding,
    interval_row,
    intervals,
    lines,
    sentence,
    table,
    text,
)
from kardia.report.sections.bound import Bound

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


def diagnosis_section(data: Mapping[str, Any], bound: Bound | None = None) -> Section:
    """A diagnosis as a section.

    Args:
        data: `Diagnosis.to_json()`.
        bound: what made the scores beside it.
    """
    blocks: list[Block] = []
    of = data["scores"]
    if bound is not None:
        again = "Run `kardia diagnose` on these scores."
        blocks += bound.remarks("The diagnosis", [of["rubric_hash"]], [of["judge_hash"]], again)
    found = data["findings"]
    told = _gist(found)
    gist = Bound.gist(blocks, told)
    blocks.append(text(told))
    blocks += _findings(found)
    rows = [
        (each["kind"].replace("_", " "), each["criterion"] or "score", _name(key), figure(number, 3), number["n"])
        for each in found
        for key, number in each["numbers"].items()
    ]
    if rows:
        columns = ("finding", "of", "figure", "value", "n")
        blocks.append(table("The figures of the findings", columns, rows, left=3, closed=True))
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
    return {"id": "diagnostics", "nav": "Diagnostics", "title": "Diagnostics", "gist": gist, "blocks": blocks}


def _gist(found: list[Mapping[str, Any]]) -> str:
    if not found:
        return "Nothing was found that is certain."
    counts = Counter(each["severity"] for each in found)
    told = ", ".join(f"{counts[key]:,} {key}" for key in ("high", "medium", "low") if counts[key])
    return f"{counted(len(found), 'finding')}, by severity: {told}."


def _findings(found: list[Mapping[str, Any]]) -> list[Block]:
    """One block for all of a kind that ask for the same: thirty pairs of criteria that move together are one matter."""
    matters: dict[tuple[str, str, str], list[str]] = {}
    for each in found:
        matters.setdefault((each["severity"], each["kind"], each["advice"]), []).append(each["sentence"])
    return [
        finding(sentences, sentence(advice), severity, _capital(KINDS.get(kind, kind.replace("_", " "))))
        for (severity, kind, advice), sentences in matters.items()
    ]


def _capital(words: str) -> str:
    return words[:1].upper() + words[1:]


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
    beside = table(
        "Mean score over training steps, as a table",
        ("to step", "judge", "reference", "n"),
        [(f"{step['to']:g}", f"{step['judge']:.3f}", f"{step['reference']:.3f}", step["n"]) for step in steps],
        closed=True,
    )
    curves = {name: [[step["to"], step[name]] for step in steps] for name in ("judge", "reference")}
    return [lines("Mean score over training steps", curves, beside=beside, x="step", y="mean score")]
