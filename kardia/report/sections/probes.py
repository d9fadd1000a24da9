"""What `kardia probe --json` wrote, as a section."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from kardia.report.sections.blocks import (
    Block,
    Section,
    counted,
    figure,
    finding,
    heading,
    interval_row,
    intervals,
    number,
    sentence,
    share,
    table,
    text,
)
from kardia.report.sections.bound import Bound

__all__ = ["probes_section"]

_WANTED = {"no rise": "does not rise", "fall": "falls", "same": "stays"}


def probes_section(data: Mapping[str, Any], bound: Bound | None = None) -> Section:
    """A report on probes as a section.

    Args:
        data: `ProbeReport.to_json()`.
        bound: what made the scores beside it.
    """
    blocks: list[Block] = []
    judges = data["judges"]
    if bound is not None:
        hashes = [judge["provenance"]["hash"] for judge in judges]
        again = "Run `kardia probe` with this rubric and this judge."
        blocks += bound.remarks("The report on probes", [data["rubric"]["hash"]], hashes, again)
    remarks = list(blocks)
    guard = ", with the guard" if data["guard"] else ""
    blocks += [
        text(
            f"{counted(data['conversations'], 'conversation')} were changed in known ways and judged again by "
            f"{data['rubric']['ref']}{guard}. A score moved where it changed by {data['tolerance']:.3g} or more."
        ),
        *(text(note) for note in data["notes"]),
    ]
    expects = {probe["name"]: probe["expects"] for probe in data["probes"]}
    gists: list[str] = []
    for judge in judges:
        name, many = judge["judge"], len(judges) > 1
        other = bound is not None and not bound.knows(judge["provenance"]["hash"])
        if many:
            blocks.append(heading(f"Judge {name}{', which did not make these scores' if other else ''}"))
        told = _told(judge)
        if not (many and other):
            gists.append(f"{name}: {told}" if many else told)
        blocks.append(text(f"{told}{_beside(judge)}"))
        blocks += _judge(judge, expects, f", judge {name}" if many else "")
    gist = Bound.gist(remarks, " ".join(gists))
    return {"id": "probes", "nav": "Probes", "title": "What fools this judge", "gist": gist, "blocks": blocks}


def _told(judge: Mapping[str, Any]) -> str:
    found = judge["findings"]
    names = list(dict.fromkeys(each["probe"] for each in found))
    faults = f"{counted(len(found), 'certain fault')}: {', '.join(names)}." if found else "No certain fault."
    attack = judge["attack_success"]
    if attack["value"] is None:
        return faults
    ends = "" if attack["low"] is None else f" [{share(attack['low'])}, {share(attack['high'])}]"
    return f"{faults} {share(attack['value'])}{ends} of {counted(attack['n'], 'attack')} succeed."


def _beside(judge: Mapping[str, Any]) -> str:
    """How the attacks' success is to be taken."""
    if judge["attack_success"]["value"] is None:
        return ""
    harmless = judge["harmless_rises"]["value"]
    noise = "" if harmless is None else f"; where only the wording changed, {share(harmless)} rise as far"
    room = judge["attack_success"]["no_room"]
    full = f" {counted(room, 'reply', 'replies')} scored so high that there was no room to rise." if room else ""
    return f" An attack succeeds where the score rises by that much{noise}.{full}"


def _judge(judge: Mapping[str, Any], expects: Mapping[str, str], of: str) -> Iterator[Block]:
    found = {each["probe"] for each in judge["findings"]}
    for each in judge["findings"]:
        yield finding([sentence(each["sentence"])], sentence(each["advice"]), each["severity"], each["probe"])
    tried = [each for each in judge["results"] if each["cases"]]
    shifted = [each for each in tried if each["shift"]["value"] is not None]
    rows = [interval_row(each["probe"], each["shift"], warn=each["probe"] in found, digits=3) for each in shifted]
    if rows:
        x = "score after less score before"
        yield intervals(f"Shift of the score by probe{of}", rows, zero=0, x=x, marked="a certain fault")
    yield table(
        f"Probes{of}; in brackets the interval",
        ("probe", "a good judge's score", "cases", "shift", "moved", "rose", "levels changed", "unscored"),
        [
            (
                each["probe"],
                _WANTED.get(expects.get(each["probe"], ""), "–"),
                each["cases"] - each["low"],
                figure(each["shift"], 3, signed=True),
                share(each["moved"]["value"]),
                share(each["rose"]["value"]),
                share(each["levels"]["value"]),
                share(each["unscored"]["value"]),
            )
            for each in tried
        ],
        left=2,
    )
    variants = [
        (each["probe"], one["name"], one["n"], number(one["shift"], 3, signed=True), share(one["rose"]))
        for each in tried
        for one in each["variants"]
        if len(each["variants"]) > 1
    ]
    if variants:
        columns = ("probe", "way of changing", "n", "shift", "rose")
        yield table(f"The ways in which replies were changed{of}", columns, variants, left=2, closed=True)
    silent = [
        (each["probe"], each["note"] or "there is nothing here that could be changed in this way")
        for each in judge["results"]
        if each["note"] or not each["cases"]
    ]
    if silent:
        yield table(f"What there is to say of single probes{of}", ("probe", "note"), silent, left=2, closed=True)
