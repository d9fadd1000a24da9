"""`kardia calibrate`."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from kardia.calibration.artifact import Figure, Rule
    from kardia.calibration.calibrate import Calibrated

__all__ = ["calibrate"]


class Method(str, Enum):
    """How values are corrected."""

    auto = "auto"
    isotonic = "isotonic"
    temperature = "temperature"
    threshold = "threshold"


class Consensus(str, Enum):
    """What several people's levels are made into."""

    median = "median"
    majority = "majority"


def calibrate(
    scores: Annotated[str, typer.Argument(metavar="SCORES", help="Scorecards of one rubric by one judge.")],
    labels: Annotated[
        str,
        typer.Argument(
            metavar="LABELS", help="What people said: CSV, JSONL or Parquet, long or wide, as `kardia agree` reads it."
        ),
    ],
    output: Annotated[Path | None, typer.Option("-o", "--output", help="Write the calibration there, as JSON.")] = None,
    method: Annotated[
        Method, typer.Option("--method", help="How values are corrected; auto: what serves unseen replies best.")
    ] = Method.auto,
    criterion: Annotated[
        list[str] | None,
        typer.Option("--criterion", "-c", help="Only this criterion. Repeatable. Default: all but requirements."),
    ] = None,
    rubric: Annotated[
        str | None,
        typer.Option("--rubric", "-r", help="Which rubric, where SCORES holds several; or its file."),
    ] = None,
    rater: Annotated[
        str | None, typer.Option("--rater", metavar="COLUMN", help="Who rated. Default: rater or annotator.")
    ] = None,
    consensus: Annotated[
        Consensus, typer.Option("--consensus", help="What several people's levels are made into.")
    ] = Consensus.median,
    folds: Annotated[int, typer.Option("--folds", min=2, max=50, help="Parts of the cross-validation.")] = 5,
    resamples: Annotated[
        int, typer.Option("--resamples", min=0, help="How often groups are drawn for the intervals; 0: no intervals.")
    ] = 1000,
    confidence: Annotated[float, typer.Option("--confidence", min=0.5, max=0.999, help="Of the intervals.")] = 0.95,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of folds and intervals.")] = 7,
    plots: Annotated[
        Path | None, typer.Option("--plots", metavar="DIR", help="Write reliability diagrams there, as SVG and PNG.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The calibration to stdout, for machines.")] = False,
) -> None:
    """Correct a judge by what people said.

    Every figure after the correction is of replies that it had not seen. The calibration holds for this rubric and this
    judge as they are now, and is used with `kardia score --calibration`, or named in the judge's profile. Exit code 0:
    done; 2: input or configuration is wrong, or there are too few labels.

    Example:  kardia calibrate scores.jsonl labels.csv -o calibration.json
    """
    from kardia.calibration.calibrate import calibrate as calibrated
    from kardia.cli.jsonfile import check_json_file
    from kardia.cli.terminal import note, print_json
    from kardia.errors import InputError

    if scores == labels == "-":
        raise InputError("stdin cannot hold both the scorecards and the labels", file="LABELS")
    check_json_file(output, scores, labels, rubric)
    if plots is not None:
        from kardia.report.plots import needs_matplotlib

        needs_matplotlib()
    found = calibrated(
        scores,
        labels,
        rubric=rubric,
        criteria=criterion or (),
        method=method.value,
        rater=rater,
        consensus=consensus.value,
        folds=folds,
        resamples=resamples,
        confidence=confidence,
        seed=seed,
    )
    if output is not None:
        found.write(output)
    if as_json:
        print_json(found.to_json())
    else:
        _show(found)
    for sentence in found.notes:
        note(sentence)
    if plots is not None:
        _draw(found, plots)
    if output is not None:
        note(f"the calibration is in {output}; it holds for {_subject(found)} as they are now")
    elif not as_json:
        note("nothing was written: name a file with -o")


def _subject(found: Calibrated) -> str:
    made = found.calibration
    return f"{made.rubric.name}@{made.rubric.version} and the judge {made.judge.name}"


def _show(found: Calibrated) -> None:
    from kardia.cli.terminal import stdout, table

    made = found.calibration
    console = stdout()
    console.print(f"{made.rubric.name}@{made.rubric.version} · judge {made.judge.name}", soft_wrap=True)
    columns = ("criterion", "method", "n", "ECE", "squared error", "κ", "bias")
    shown = table(None, columns, columns[2:])
    for key, rule in made.criteria.items():
        shown.add_row(key, rule.method, f"{rule.n:,}", *_cells(rule))
    console.print(shown)
    for key, rule in made.criteria.items():
        console.print(_sentence(key, rule), soft_wrap=True)
    for key, why in made.left_out.items():
        console.print(f"{key} is left as it is: {why}.", soft_wrap=True)


def _cells(rule: Rule) -> tuple[str, str, str, str]:
    before, after = rule.before, rule.after
    if rule.method == "none":
        return _plain(before.ece), _plain(before.brier), _plain(before.kappa, 2), _signed(before.bias)
    return (
        f"{_plain(before.ece)} → {_plain(after.ece)}",
        f"{_plain(before.brier)} → {_plain(after.brier)}",
        f"{_plain(before.kappa, 2)} → {_plain(after.kappa, 2)}",
        f"{_signed(before.bias)} → {_signed(after.bias)}",
    )


def _sentence(key: str, rule: Rule) -> str:
    from kardia.calibration.artifact import Temperature, Threshold

    if rule.method == "none":
        return f"{key}: nothing that was tried is better by more than chance; it stays as it is."
    what = "corrected values"
    if isinstance(rule, Temperature):
        sure = "softer" if rule.temperature > 1 else "sharper"
        what = f"a temperature of {rule.temperature:g} ({sure} probabilities)"
    elif isinstance(rule, Threshold):
        what = f"cuts at {', '.join(f'{cut:.2f}' for cut in rule.cuts)}"
    change = rule.change.brier
    if change.value is None or change.low is None or change.high is None:
        sure = ""
    elif change.high < 0:
        sure = ", beyond chance"
    else:
        sure = ", which may be chance" if change.value < 0 else ""
    by = f"{_signed(change, 3)}{_ends(change, 3)}{sure}"
    return f"{key}: {what}; the squared error changes by {by}." if change.value is not None else f"{key}: {what}."


def _plain(figure: Figure, digits: int = 3) -> str:
    from kardia.cli.terminal import number

    return number(figure.value, digits)


def _signed(figure: Figure, digits: int = 2) -> str:
    return "–" if figure.value is None else f"{round(figure.value, digits) + 0.0:+.{digits}f}"


def _ends(figure: Figure, digits: int = 2) -> str:
    if figure.low is None or figure.high is None:
        return ""
    low, high = (round(end, digits) + 0.0 for end in (figure.low, figure.high))
    return f" [{low:+.{digits}f}, {high:+.{digits}f}]"


def _draw(found: Calibrated, folder: Path) -> None:
    from kardia.cli.terminal import note
    from kardia.report.plots import write_section_plots
    from kardia.report.sections.calibration import calibration_section

    names = write_section_plots([calibration_section(found.calibration)], folder)
    note(f"{len(names):,} diagrams are in {folder}, each as SVG and PNG")
