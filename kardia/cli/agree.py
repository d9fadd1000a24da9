"""`kardia agree`."""

from __future__ import annotations

from enum import Enum
from typing import Annotated

import typer

__all__ = ["agree"]


class Rule(str, Enum):
    """What several people's levels are made into."""

    median = "median"
    majority = "majority"


_SHOWN, _GATES = "What is shown", "Gates: exit code 1 where one is missed"


def agree(
    scores: Annotated[str, typer.Argument(metavar="SCORES", help="Scorecards of `kardia score`.")],
    labels: Annotated[
        str,
        typer.Argument(
            metavar="LABELS",
            help="What people said, or scorecards of another judge: CSV, JSONL or Parquet. Long (id, criterion, "
            "level), wide (id and a column a criterion) or pairs (chosen, rejected); and `rater`, where several people "
            "rated.",
        ),
    ],
    output: Annotated[str | None, typer.Option("-o", "--output", help="Write everything there, as JSON.")] = None,
    rubric: Annotated[
        list[str] | None,
        typer.Option("--rubric", "-r", help="Only cards of this rubric; also where its scales are found. Repeatable."),
    ] = None,
    criterion: Annotated[
        list[str] | None, typer.Option("--criterion", "-c", help="Only this criterion. Repeatable. Default: all.")
    ] = None,
    overall: Annotated[
        str | None,
        typer.Option(
            "--overall", metavar="COLUMN", help="The column of an overall rating. Default: overall or rating."
        ),
    ] = None,
    range_: Annotated[
        str | None, typer.Option("--range", metavar="LOW:HIGH", help="Which overall ratings could be given: 1:5.")
    ] = None,
    rater: Annotated[
        str | None, typer.Option("--rater", metavar="COLUMN", help="Who rated. Default: rater or annotator.")
    ] = None,
    consensus: Annotated[
        Rule, typer.Option("--consensus", help="What several people's levels are made into.")
    ] = Rule.median,
    unscored_as: Annotated[
        list[str] | None,
        typer.Option(
            "--unscored-as",
            metavar="LEVEL",
            help="Let what the judge could not score count as this level, or as CRITERION=LEVEL. Repeatable. "
            "Default: it is left out, and coverage tells how much it is.",
        ),
    ] = None,
    tie: Annotated[float, typer.Option("--tie", min=0, max=1, help="In pairs: scores no further apart are a tie.")] = 0,
    margin: Annotated[
        float,
        typer.Option("--margin", min=0, max=1, help="A judge that is worse by no more is as good as a person."),
    ] = 0,
    resamples: Annotated[
        int, typer.Option("--resamples", min=0, help="How often groups are drawn for the intervals; 0: no intervals.")
    ] = 2000,
    confidence: Annotated[float, typer.Option("--confidence", min=0.5, max=0.999, help="Of the intervals.")] = 0.95,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of the intervals.")] = 7,
    every: Annotated[
        bool, typer.Option("--all", help="Every figure with its interval.", rich_help_panel=_SHOWN)
    ] = False,
    confusion: Annotated[
        bool,
        typer.Option("--confusion", help="Which levels meet which, for each criterion.", rich_help_panel=_SHOWN),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Everything, for machines.", rich_help_panel=_SHOWN)] = False,
    min_kappa: Annotated[
        float | None,
        typer.Option(
            "--min-kappa", max=1, help="Weighted κ of each criterion (plain κ on options).", rich_help_panel=_GATES
        ),
    ] = None,
    min_alpha: Annotated[
        float | None, typer.Option("--min-alpha", max=1, help="α of each criterion.", rich_help_panel=_GATES)
    ] = None,
    min_spearman: Annotated[
        float | None,
        typer.Option(
            "--min-spearman", min=-1, max=1, help="Spearman's ρ of each criterion and score.", rich_help_panel=_GATES
        ),
    ] = None,
    min_accuracy: Annotated[
        float | None,
        typer.Option(
            "--min-accuracy",
            min=0,
            max=1,
            help="Exact agreement on each criterion; of pairs, how often the judge prefers what people prefer.",
            rich_help_panel=_GATES,
        ),
    ] = None,
    min_coverage: Annotated[
        float | None,
        typer.Option(
            "--min-coverage", min=0, max=1, help="The share of labelled units that is scored.", rich_help_panel=_GATES
        ),
    ] = None,
    max_bias: Annotated[
        float | None,
        typer.Option("--max-bias", min=0, help="Of each criterion, in levels, up or down.", rich_help_panel=_GATES),
    ] = None,
    by_interval: Annotated[
        bool,
        typer.Option("--by-interval", help="The worse end of the interval must reach it.", rich_help_panel=_GATES),
    ] = False,
) -> None:
    """How far a judge agrees with people, for each criterion; and whether it is as good as a person.

    Intervals come from drawing whole groups of conversations again. What the judge could not score does not count as a
    low level. Exit code 0: done; 1: a stated threshold was missed, and what missed it is named; 2: input or
    configuration is wrong.

    Example:  kardia agree scores.jsonl labels.csv --min-kappa 0.6
    """
    from kardia.agreement.agree import agree as agreement_of
    from kardia.agreement.gates import misses
    from kardia.agreement.ratings import needs_numpy
    from kardia.cli.agree_views import show
    from kardia.cli.jsonfile import check_json_file, write_json_file
    from kardia.cli.terminal import note, print_json
    from kardia.errors import InputError
    from kardia.fitting.ratings import parse_range

    needs_numpy("agreement with people")
    if scores == labels == "-":
        raise InputError("stdin cannot hold both the scorecards and the labels", file="LABELS")
    check_json_file(output, scores, labels, *(rubric or ()))
    span = None if range_ is None else parse_range(range_)
    bounds = {
        "--min-kappa": min_kappa,
        "--min-alpha": min_alpha,
        "--min-spearman": min_spearman,
        "--min-accuracy": min_accuracy,
        "--min-coverage": min_coverage,
        "--max-bias": max_bias,
    }
    stated = {option: bound for option, bound in bounds.items() if bound is not None}
    if by_interval and not (stated and resamples):
        raise InputError("goes with a threshold such as --min-kappa, and with resamples", file="--by-interval")
    found = agreement_of(
        scores,
        labels,
        rubric=rubric or (),
        criteria=criterion or (),
        overall=overall,
        span=None if span is None else (span.low, span.high),
        rater=rater,
        consensus=consensus.value,
        unscored_as=unscored_as or (),
        tie=tie,
        resamples=resamples,
        confidence=confidence,
        seed=seed,
    )
    missed = misses(found, stated, by_interval=by_interval)
    gates = {"bounds": stated, "by_interval": by_interval, "missed": [each.to_json() for each in missed]}
    told = {**found.to_json(), "gates": gates if stated else None}
    write_json_file(output, told)
    if as_json:
        if output is None:
            print_json(told)
    else:
        show(found, every=every, with_confusion=confusion, margin=margin)
    for sentence in found.notes:
        note(sentence)
    for each in missed:
        note(f"missed: {each.sentence}" + (f" (judge {each.judge})" if len(found.judges) > 1 else ""))
    if missed:
        raise typer.Exit(1)
