"""`kardia compare`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from kardia.compare.change import Change, Moved
    from kardia.compare.comparison import Comparison
    from kardia.diagnose.cards import Mark

__all__ = ["compare"]

LONGEST = 240
"""So much of a reason is shown; the JSON has all of it."""


def compare(
    first: Annotated[str, typer.Argument(metavar="A", help="Scorecards of `kardia score`: what it was.")],
    second: Annotated[str, typer.Argument(metavar="B", help="Scorecards of the same conversations: what it is now.")],
    rubric: Annotated[
        str | None, typer.Option("--rubric", "-r", help="Only this rubric's, where the files hold several.")
    ] = None,
    top: Annotated[int, typer.Option("--top", min=0, help="How many conversations that moved most are shown.")] = 10,
    max_drop: Annotated[
        float | None, typer.Option("--max-drop", min=0, help="Exit code 1 where the mean score falls by more.")
    ] = None,
    max_criterion_drop: Annotated[
        float | None,
        typer.Option("--max-criterion-drop", min=0, help="Likewise for the mean value of any criterion."),
    ] = None,
    max_unscored: Annotated[
        float | None,
        typer.Option(
            "--max-unscored", min=0, max=1, help="Likewise where B has no score in a larger share of what A scored."
        ),
    ] = None,
    criterion: Annotated[
        list[str] | None,
        typer.Option("--criterion", help="Hold only these to --max-criterion-drop. Repeatable."),
    ] = None,
    by_interval: Annotated[
        bool, typer.Option("--by-interval", help="Hold the drops' intervals to the limits: the lower end must do.")
    ] = False,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of the intervals.")] = 7,
    output: Annotated[Path | None, typer.Option("-o", "--output", help="Write the JSON to this file.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="JSON to stdout, for machines.")] = False,
) -> None:
    """Compare two scored files, conversation by conversation.

    Two versions of a rubric, two judges or two policies: what rose and fell from A to B, with intervals by group, and
    the conversations that moved most, with what both said of them. Exit code 0: done; 1: a stated limit was missed; 2:
    input or configuration is wrong.

    Example:  kardia compare before.jsonl after.jsonl --max-drop 0.02
    """
    from kardia.agreement.ratings import needs_numpy
    from kardia.cli.jsonfile import check_json_file, write_json_file
    from kardia.cli.terminal import note, print_json
    from kardia.compare.comparison import compare as compared
    from kardia.compare.comparison import paired
    from kardia.diagnose.cards import read_file
    from kardia.errors import InputError

    needs_numpy("comparing scored files")
    if first == second == "-":
        raise InputError("stdin cannot hold both files", file="B")
    check_json_file(output, first, second, rubric)
    found = [
        compared(*pair, top=top, seed=seed) for pair in paired(read_file(first, rubric), read_file(second, rubric))
    ]
    unknown = [name for name in criterion or () if not any(name in each.criteria for each in found)]
    if unknown:
        there = ", ".join(dict.fromkeys(name for each in found for name in each.criteria))
        raise InputError(f"{unknown[0]!r} is no criterion of both files; there are {there}", file="--criterion")
    told = {"comparisons": [each.to_json() for each in found]}
    write_json_file(output, told)
    if as_json:
        print_json(told)
    else:
        for each in found:
            _show(each)
    missed: list[str] = []
    for each in found:
        name = each.second["rubric"]
        if max_drop is not None:
            missed += _dropped(f"the score of {name}", each.score, max_drop, by_interval)
        if max_criterion_drop is not None:
            for key, change in each.criteria.items():
                if not criterion or key in criterion:
                    missed += _dropped(f"{key} of {name}", change, max_criterion_drop, by_interval)
        if max_unscored is not None:
            had = each.score.n + each.score.only_first
            share = each.score.only_first / had if had else 1.0
            if share > max_unscored:
                missed.append(
                    f"{each.score.only_first:,} of {had:,} conversations that A scored have no score in B, beyond "
                    f"--max-unscored {max_unscored:g}"
                )
    for why in missed:
        note(f"missed: {why}")
    if missed:
        raise typer.Exit(1)


def _dropped(what: str, change: Change, limit: float, by_interval: bool) -> list[str]:
    """Why a limit was missed, if it was; what cannot be known is no pass."""
    told = change.difference
    if told.value is None:
        return [f"{what} cannot be compared: {told.why}"]
    end = told.low if by_interval else told.value
    if end is None:
        return [f"{what} has no interval: {told.why}"]
    if end >= -limit - 1e-9:
        return []
    low = f", and may by {-end:.3f}" if by_interval else ""
    return [f"{what} changed by {told.value:+.3f}{low}: more than the drop of {limit:g} that is allowed"]


def _show(found: Comparison) -> None:
    from kardia.cli.terminal import note, number, stdout, table

    console = stdout()
    first, second = found.first, found.second
    console.print(f"A: {first['file']} · {first['rubric']} · judge {first['judge']}", soft_wrap=True)
    console.print(f"B: {second['file']} · {second['rubric']} · judge {second['judge']}", soft_wrap=True)
    console.print(_replies(found), soft_wrap=True)
    columns = ("", "n", "A", "B", "B − A", "95 %", "up", "down", "same", "lost", "gained")
    made = table(None, columns, columns[1:])
    for name, change in {"score": found.score, **found.criteria}.items():
        told = change.difference
        made.add_row(
            name,
            f"{change.n:,}",
            number(change.first),
            number(change.second),
            "–" if told.value is None else f"{told.value:+.3f}",
            "–" if told.low is None else f"{told.low:+.3f} … {told.high:+.3f}",
            *(
                f"{count:,}"
                for count in (change.wins, change.losses, change.ties, change.only_first, change.only_second)
            ),
        )
    console.print(made)
    console.print(_verdict(found.score), soft_wrap=True)
    for name, (new, gone) in found.vetoes.items():
        if new or gone:
            console.print(f"The veto of {name} fires in {new:,} more, and no longer in {gone:,}.", soft_wrap=True)
    for place, moved in enumerate(found.moved, 1):
        _show_moved(place, moved)
    for side, ids in (("A", found.only_first), ("B", found.only_second)):
        if ids:
            note(f"only in {side}: {len(ids):,} conversations: {_some(ids)}")
    for side, ids in (("A", found.criteria_first), ("B", found.criteria_second)):
        if ids:
            note(f"only in {side}: the criteria {', '.join(ids)}")
    if found.gaps:
        note(f"scored on one side alone: {_some([each.id for each in found.gaps])}")


def _replies(found: Comparison) -> str:
    groups = "" if found.groups == found.both else f" in {found.groups:,} groups"
    if found.same_text is None:
        return f"{found.both:,} conversations{groups}; whether the replies are the same is not known (--no-text)"
    if found.same_text == found.both:
        return f"{found.both:,} conversations{groups}, the same replies"
    return f"{found.both:,} conversations{groups}, {found.both - found.same_text:,} with another reply"


def _verdict(change: Change) -> str:
    told = change.difference
    if told.value is None:
        return f"Nothing can be said of the score: {told.why}."
    counts = f"{change.wins:,} up, {change.losses:,} down, {change.ties:,} the same"
    if told.low is None or told.high is None:
        return f"B − A is {told.value:+.3f} ({counts}); {told.why}."
    certain = "higher" if told.low > 0 else "lower" if told.high < 0 else None
    word = "There is no certain difference" if certain is None else f"B scores {certain} than A"
    return f"{word}: {told.value:+.3f} (95 % interval {told.low:+.3f} to {told.high:+.3f}); {counts}."


def _show_moved(place: int, moved: Moved) -> None:
    from kardia.cli.terminal import number, stdout, table

    console = stdout()
    gap = moved.difference
    assert gap is not None
    other = " · another reply" if moved.same_text is False else ""
    vetoes = "".join(
        f" · {side} vetoed by {', '.join(names)}"
        for side, names in (("A", moved.vetoed_first), ("B", moved.vetoed_second))
        if names
    )
    console.print(
        f"\n{place}. {_plain(moved.id)}: {number(moved.first)} → {number(moved.second)} ({gap:+.3f}){other}{vetoes}",
        soft_wrap=True,
    )
    made = table(None, ("criterion", "A", "B", "A says", "B says"))
    for side in moved.sides:
        made.add_row(side.criterion, _level(side.first), _level(side.second), _words(side.first), _words(side.second))
    if moved.sides:
        console.print(made)


def _level(mark: Mark | None) -> str:
    if mark is None:
        return "–"
    return _plain(mark.level) if mark.level is not None else mark.status.replace("_", " ")


def _words(mark: Mark | None) -> str:
    said = "" if mark is None else _plain(mark.reason or mark.error or "")
    return said if len(said) <= LONGEST else f"{said[: LONGEST - 1].rstrip()}…"


def _plain(text: str) -> str:
    """On one line, and without what a terminal would obey."""
    return " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())


def _some(ids: tuple[str, ...] | list[str]) -> str:
    shown = ", ".join(_plain(one) for one in ids[:5])
    return shown if len(ids) <= 5 else f"{shown}, and {len(ids) - 5:,} more"
