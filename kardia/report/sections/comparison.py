"""What `kardia compare --json` wrote, as a section."""

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
    sides,
    table,
    text,
)
from kardia.report.sections.bound import Bound

__all__ = ["comparison_section"]

_NAMED = 5


def comparison_section(data: Mapping[str, Any], bound: Bound | None = None) -> Section:
    """Comparisons as a section.

    Args:
        data: `{"comparisons": […]}`, each a `Comparison.to_json()`.
        bound: what made the scores beside it.
    """
    found = data["comparisons"]
    many = len(found) > 1
    blocks: list[Block] = []
    gists: list[str] = []
    for each in found:
        if many:
            blocks.append(heading(f"{each['first']['rubric']} and {each['second']['rubric']}"))
        told = _verdict(each["score"])
        gists.append(f"{each['second']['rubric']}: {told}" if many else f"{_against(each)}: {told}")
        blocks += _comparison(each, told, bound, f" of {each['second']['rubric']}" if many else "")
    return {
        "id": "comparison",
        "nav": "Comparison",
        "title": "What changed from A to B",
        "gist": " ".join(gists),
        "blocks": blocks,
    }


def _against(each: Mapping[str, Any]) -> str:
    return f"{each['second']['file']} (B) beside {each['first']['file']} (A)"


def _comparison(each: Mapping[str, Any], told: str, bound: Bound | None, of: str) -> Iterator[Block]:
    first, second = each["first"], each["second"]
    known = {"A": True, "B": True} if bound is None else {"A": _is_of(first, bound), "B": _is_of(second, bound)}
    if not any(known.values()):
        sentence = "Neither A nor B was made by the rubric and the judge that made these scores."
        yield finding([sentence], "Run `kardia compare` with these scores as one of the two files.", "high")
    here = [name for name, found in known.items() if found]
    which = f" The scores of this report are {here[0]}'s." if bound is not None and len(here) == 1 else ""
    yield text(
        f"A is {first['file']} ({first['rubric']}, judge {first['judge']}), B is {second['file']} ({second['rubric']}, "
        f"judge {second['judge']}).{which} They have {_shared(each)}."
    )
    yield text(told)
    changes = {"score": each["score"], **each["criteria"]}
    rows = [interval_row(name, change["difference"], digits=3) for name, change in changes.items()]
    if any(row["value"] is not None for row in rows):
        yield intervals(
            f"Change of the score and of each criterion{of}", rows, zero=0, x="B less A; above 0, B is better"
        )
    yield table(
        f"Means over the conversations that both have scored{of}; in brackets the interval",
        ("", "n", "A", "B", "B − A", "up", "down", "same", "lost", "gained"),
        [(name, change["difference"]["n"], *_row(change)) for name, change in changes.items()],
    )
    reasons = {name: change["difference"]["why"] for name, change in changes.items() if change["difference"]["why"]}
    if reasons:
        columns = ("of", "why")
        yield table(f"Why a figure or its interval is missing{of}", columns, reasons.items(), left=2, closed=True)
    fired = [(name, one["newly"], one["no_longer"]) for name, one in each["vetoes"].items() if any(one.values())]
    if fired:
        yield table(f"Vetoes{of}", ("requirement", "fires in B alone", "fires in A alone"), fired)
    yield from (text(sentence) for sentence in _alone(each))
    if each["moved"]:
        label = f"The conversations that moved most{of}"
        yield sides(label, ("A", "B"), [_moved(one) for one in each["moved"]])
    if each["gaps"]:
        label = f"Conversations that are scored on one side alone{of}"
        yield sides(label, ("A", "B"), [_moved(one) for one in each["gaps"]])


def _is_of(side: Mapping[str, Any], bound: Bound) -> bool:
    return side["rubric_hash"] in bound.rubrics and side["judge_hash"] in bound.judges


def _shared(each: Mapping[str, Any]) -> str:
    groups = "" if each["groups"] == each["both"] else f" in {counted(each['groups'], 'group')}"
    same = each["same_text"]
    if same is None:
        replies = "; whether the replies are the same is not known"
    elif same == each["both"]:
        replies = ", with the same replies"
    else:
        replies = f", {each['both'] - same:,} with another reply"
    return f"{counted(each['both'], 'conversation')} in common{groups}{replies}"


def _verdict(change: Mapping[str, Any]) -> str:
    told = change["difference"]
    if told["value"] is None:
        return f"Nothing can be said of the score: {told['why']}."
    counts = f"{change['wins']:,} up, {change['losses']:,} down, {change['ties']:,} the same"
    size = figure(told, 3, signed=True)
    if told["low"] is None or told["high"] is None:
        return f"B less A is {size} ({counts}); {told['why']}."
    if told["low"] > 0 or told["high"] < 0:
        return f"B scores {'higher' if told['low'] > 0 else 'lower'} than A, by {size}; {counts}."
    return f"There is no certain difference between A and B: {size}; {counts}."


def _row(change: Mapping[str, Any]) -> tuple[Any, ...]:
    counts = ("wins", "losses", "ties", "only_first", "only_second")
    means = (number(change["first"], 3), number(change["second"], 3))
    return *means, figure(change["difference"], 3, signed=True), *(change[key] for key in counts)


def _alone(each: Mapping[str, Any]) -> Iterator[str]:
    for side, key in (("A", "first"), ("B", "second")):
        ids = each[f"only_{key}"]
        if ids:
            more = f", and {len(ids) - _NAMED:,} more" if len(ids) > _NAMED else ""
            yield f"Only in {side}: {counted(len(ids), 'conversation')}: {', '.join(ids[:_NAMED])}{more}."
        if each[f"criteria_{key}"]:
            yield f"Only in {side}: the criteria {', '.join(each[f'criteria_{key}'])}."


def _moved(one: Mapping[str, Any]) -> dict[str, Any]:
    change = "" if one["difference"] is None else f" ({number(one['difference'], 3, signed=True)})"
    first, second = (number(one[key], 3) or "no score" for key in ("first", "second"))
    notes = [
        f"{side} vetoed by {', '.join(one[f'vetoed_{key}'])}"
        for side, key in (("A", "first"), ("B", "second"))
        if one[f"vetoed_{key}"]
    ]
    if one["same_text"] is False:
        notes.insert(0, "another reply")
    rows = [
        {"criterion": side["criterion"], "sides": [_side(side["first"]), _side(side["second"])]}
        for side in one["criteria"]
    ]
    return {"id": one["id"], "title": f"{first} → {second}{change}", "notes": notes, "rows": rows}


def _side(mark: Mapping[str, Any] | None) -> dict[str, str] | None:
    if mark is None:
        return None
    level = mark["status"].replace("_", " ") if mark["level"] is None else mark["level"]
    return {"level": str(level), "words": mark["reason"] or mark["error"] or ""}
