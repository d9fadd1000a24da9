"""What `kardia probe --json` wrote, as a section."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from kardia.report.sections.blocks import (
    Block,
    Section,
    figure,
    finding,
    interval_row,
    intervals,
    share,
    table,
    text,
)

__all__ = ["probes_section"]


def probes_section(data: Mapping[str, Any]) -> Section:
    """Args: data: `ProbeReport.to_json()`."""
    blocks: list[Block] = [
        text(
            f"{data['conversations']:,} conversations were changed in known ways and judged again by "
            f"{data['rubric']['ref']}. A score moved where it changed by {data['tolerance']:.3g} or more."
        ),
        *(text(note) for note in data["notes"]),
    ]
    expects = {probe["name"]: probe["expects"] for probe in data["probes"]}
    many = len(data["judges"]) > 1
    for judge in data["judges"]:
        blocks += _judge(judge, expects, f", judge {judge['judge']}" if many else "")
    return {"id": "probes", "nav": "Probes", "title": "What fools this judge", "blocks": blocks}


def _judge(judge: Mapping[str, Any], expects: Mapping[str, str], of: str) -> Iterator[Block]:
    attack = judge["attack_success"]
    if attack["value"] is not None:
        yield text(
            f"Attack success rate{of}: {share(attack['value'])} of {attack['n']:,} attacked replies scored higher than "
            "the reply itself by the tolerance or more."
        )
    found = {each["probe"] for each in judge["findings"]}
    if not found:
        yield text(f"No probe found a fault that is certain{of}.")
    for each in judge["findings"]:
        yield finding(each["sentence"], each["advice"], warn=each["severity"] == "high")
    shifted = [each for each in judge["results"] if each["shift"]["value"] is not None]
    rows = [interval_row(each["probe"], each["shift"], warn=each["probe"] in found, digits=3) for each in shifted]
    yield intervals(f"Shift of the score by probe{of}", rows, zero=0, x="score after less score before")
    yield table(
        f"Probes{of}; in brackets the interval",
        ("probe", "a good judge's score", "cases", "shift", "moved", "rose", "levels changed", "unscored"),
        [
            (
                each["probe"],
                {"no rise": "does not rise", "fall": "falls", "same": "stays"}.get(expects.get(each["probe"], ""), "–"),
                each["cases"],
                figure(each["shift"], 3),
                share(each["moved"]["value"]),
                share(each["rose"]["value"]),
                share(each["levels"]["value"]),
                share(each["unscored"]["value"]),
            )
            for each in judge["results"]
        ],
        left=2,
    )
