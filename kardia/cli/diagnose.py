"""`kardia diagnose`."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from kardia.agreement.statistic import Statistic
    from kardia.diagnose.cards import Scored
    from kardia.diagnose.diagnosis import Diagnosis
    from kardia.rubric.rubric import Rubric

__all__ = ["diagnose"]

FEW = 10
"""A correlation of fewer replies is not shown; the JSON has it."""


class Severity(str, Enum):
    """How much a finding weighs."""

    high = "high"
    medium = "medium"
    low = "low"


def diagnose(
    scores: Annotated[str, typer.Argument(metavar="SCORES", help="Scorecards of `kardia score`, best with groups.")],
    against: Annotated[
        str | None,
        typer.Option("--against", help="The same replies scored by a reference judge, or once more by the same one."),
    ] = None,
    labels: Annotated[
        str | None, typer.Option("--labels", help="People's labels: CSV, JSONL or Parquet, long or wide.")
    ] = None,
    log: Annotated[
        str | None,
        typer.Option("--log", help="report.json of `kardia train`, or the completions that the trainer logged."),
    ] = None,
    rubric: Annotated[
        str | None, typer.Option("--rubric", "-r", help="By whose scores, where the file holds several rubrics'.")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of intervals, and of what is drawn.")] = 7,
    output: Annotated[Path | None, typer.Option("-o", "--output", help="Write the JSON to this file.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="JSON to stdout, for machines.")] = False,
    fail_on: Annotated[
        Severity | None, typer.Option("--fail-on", help="Exit code 1 where a finding weighs so much, or more.")
    ] = None,
) -> None:
    """Find what is wrong with a judge before a policy does.

    Looks at scored groups (the replies to one prompt) for criteria without a signal, length, criteria that say the
    same, noise, vetoes and gaps; with labels or a second judge also for generosity; with training steps for a judge
    that parts from its reference. Exit code 0: done; 1: --fail-on was met; 2: input or configuration is wrong.

    Example:  kardia diagnose scores.jsonl --labels labels.csv -o diagnosis.json
    """
    from kardia.agreement.ratings import needs_numpy
    from kardia.cli.jsonfile import check_json_file, write_json_file
    from kardia.cli.terminal import note, print_json
    from kardia.diagnose.cards import read_scored
    from kardia.diagnose.diagnosis import diagnose as found_in
    from kardia.diagnose.log import read_log

    needs_numpy("diagnosis")
    check_json_file(output, scores, against, labels, log, rubric)
    scored = read_scored(scores, rubric)
    other = None if against is None else read_scored(against, scored.rubric_name)
    kept = None if log is None else read_log(log)
    found = found_in(scored, _rubric_of(scored, rubric), against=other, labels=labels, log=kept, seed=seed)
    write_json_file(output, found.to_json())
    if as_json:
        print_json(found.to_json())
    else:
        _show(found)
        if output is not None:
            note(f"the diagnosis is in {output}")
    order = [each.value for each in Severity]
    if fail_on is not None and any(order.index(one.severity) <= order.index(fail_on.value) for one in found.findings):
        note(f"a finding weighs {fail_on.value} or more")
        raise typer.Exit(1)


def _rubric_of(scored: Scored, asked: str | None) -> Rubric | None:
    """The rubric that the cards are of; None where it is not there, or has another content by now."""
    from kardia.errors import KardiaError
    from kardia.rubric.loading import load_rubric

    for reference in dict.fromkeys((scored.rubric, asked or scored.rubric)):
        try:
            rubric = load_rubric(reference)
        except KardiaError:
            continue
        if rubric.hash == scored.rubric_hash:
            return rubric
    return None


def _show(found: Diagnosis) -> None:
    from kardia.cli.terminal import note, stdout, table

    facts = found.facts
    source = facts["scores"]
    console = stdout()
    console.print(
        f"{source['rubric']} · judge {source['judge']} · {facts['replies']:,} replies, "
        f"{facts['groups_of_several']:,} groups of two or more"
    )
    columns = ["criterion", "n", "commonest", "at top", "flat", "within", "words ρ", "noise", "unscored"]
    over = next((key for key in ("over_labels", "over_reference") if key in found.overall), None)
    if over is not None:
        columns.append("over labels" if over == "over_labels" else "over reference")
    made = table(None, columns, columns[1:])
    rows = [*found.criteria.items(), ("all", found.overall)]
    for name, figures in rows:
        words = figures.get("words_beyond_labels") or figures.get("words")
        cells = [name, _count(figures)]
        cells += [_share(figures.get(key)) for key in ("commonest", "top", "flat", "within")]
        cells += [
            _signed(words if words is not None and words.n >= FEW else None),
            _share(figures.get("noise")),
            _share(figures.get("unscored")),
        ]
        if over is not None:
            cells.append(_signed(figures.get(over)))
        made.add_row(*cells)
    console.print(made)
    told = [
        ("flips of an advantage's sign", _share(found.overall.get("flips"))),
        ("two scorings differ in sign", _share(found.overall.get("sign_differs"))),
        ("independent directions", _plain(found.overall.get("directions"))),
        ("vetoed", _share(found.overall.get("vetoed"))),
        ("rise over the reference, in SD", _signed(found.overall.get("divergence"))),
    ]
    console.print(" · ".join(f"{name} {cell}" for name, cell in told if cell != "–"), soft_wrap=True)
    for veto in found.detail["vetoes"]:
        often = f"{veto['fired']:,} of {veto['judged']:,} replies, alone in {veto['alone']:,}"
        console.print(f"veto {veto['criterion']}: fires in {often}", soft_wrap=True)
    console.print()
    for finding in found.findings:
        also = f" Also: {', '.join(finding.criteria)}." if finding.criteria and finding.kind != "redundant" else ""
        console.print(f"{finding.severity}: {finding.sentence}{also}", soft_wrap=True)
        console.print(f"  → {finding.advice}", soft_wrap=True)
    if not found.findings:
        console.print(f"No finding. {facts['claims']:,} things were looked at.", soft_wrap=True)
    for name, why in found.skipped.items():
        note(f"not looked at: {name}: {why}")


def _count(figures: object) -> str:
    assert isinstance(figures, dict)
    for key in ("commonest", "vetoed"):
        if key in figures:
            return f"{figures[key].n:,}"
    return "–"


def _share(told: Statistic | None) -> str:
    if told is None or told.value is None:
        return "–"
    return f"{told.value:.0%}" if told.value <= 1 else ">100%"


def _signed(told: Statistic | None) -> str:
    return "–" if told is None or told.value is None else f"{told.value:+.2f}"


def _plain(told: Statistic | None) -> str:
    return "–" if told is None or told.value is None else f"{told.value:.1f}"
