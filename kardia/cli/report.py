"""`kardia report`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from kardia.cli.options import DataMap

if TYPE_CHECKING:
    from kardia.report.report import Report

__all__ = ["check_report_place", "report", "told"]


def report(
    scores: Annotated[str, typer.Argument(metavar="SCORES", help="Scorecards of `kardia score`: JSONL or Parquet.")],
    output: Annotated[str, typer.Option("-o", "--output", help="The HTML file.")] = "report.html",
    data: Annotated[
        str | None,
        typer.Option("--data", help="The conversations that were scored. Without them only the replies are shown."),
    ] = None,
    map_: DataMap = None,
    rubric: Annotated[
        list[str] | None,
        typer.Option("--rubric", "-r", help="The rubric's file, where it is in none of the usual places. Repeatable."),
    ] = None,
    agree: Annotated[
        str | None, typer.Option("--agree", metavar="JSON", help="What `kardia agree --json` wrote.")
    ] = None,
    calibration: Annotated[
        str | None, typer.Option("--calibration", metavar="JSON", help="The calibration of this judge.")
    ] = None,
    probe: Annotated[
        str | None, typer.Option("--probe", metavar="JSON", help="What `kardia probe --json` wrote.")
    ] = None,
    diagnose: Annotated[
        str | None, typer.Option("--diagnose", metavar="JSON", help="What `kardia diagnose --json` wrote.")
    ] = None,
    compare: Annotated[
        str | None, typer.Option("--compare", metavar="JSON", help="What `kardia compare --json` wrote.")
    ] = None,
    plots: Annotated[
        str | None, typer.Option("--plots", metavar="DIR", help="Also write plots for papers there, as SVG and PNG.")
    ] = None,
    title: Annotated[str | None, typer.Option("--title", help="Of the page. Default: the file's name.")] = None,
    most: Annotated[
        int, typer.Option("--most", min=1, help="List at most so many scorecards; of more, a sample.")
    ] = 50_000,
) -> None:
    """Make a report of a scored file: one HTML file that needs no network.

    Figures and distributions, what other commands found where it is given, and every scorecard with its conversation,
    levels, reasons and evidence, to be filtered and searched. The file holds the texts: treat it as you treat them.

    Example:  kardia report scores.jsonl --data conversations.jsonl -o report.html
    """
    from pathlib import Path

    from kardia.cli.terminal import note
    from kardia.report.asked import loaded
    from kardia.report.plots import needs_matplotlib, write_plots
    from kardia.report.report import survey, write_report
    from kardia.report.sections import read_sections
    from kardia.report.sections.bound import Bound

    if plots is not None:
        needs_matplotlib()
    check_report_place(output, (scores, data, agree, calibration, probe, diagnose, compare, *(rubric or ())))
    surveyed = survey(scores, loaded(rubric or []))
    sections = read_sections(
        agree=agree,
        calibration=calibration,
        probe=probe,
        diagnose=diagnose,
        compare=compare,
        bound=Bound.of(surveyed.tally),
    )
    made = write_report(
        scores, output, data=data, mapping=map_, sections=sections, title=title, most=most, surveyed=surveyed
    )
    told(made, output)
    if plots is not None:
        names = write_plots(surveyed, sections, Path(plots))
        note(f"{len(names):,} plots are in {plots}, each as SVG and PNG")


def check_report_place(output: str, inputs: tuple[str | None, ...]) -> None:
    """Whether the report can be written there.

    Raises:
        OutputError: where it cannot, or would replace an input.
    """
    from kardia.errors import OutputError
    from kardia.files import check_output

    if output == "-":
        raise OutputError("the report goes to a file: name one with -o")
    check_output(output, *inputs)


def told(made: Report, output: str) -> None:
    """Says what was written, on stderr."""
    from kardia.cli.terminal import note

    for sentence in made.notes:
        note(sentence)
    size = made.size / 1_000_000
    note(f"{made.listed:,} scorecards are in {output} ({size:.1f} MB); it holds their texts")
