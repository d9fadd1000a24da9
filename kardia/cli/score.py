"""`kardia score`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kardia.cli.options import Ledger, Map, MaxRequests

if TYPE_CHECKING:
    from kardia.engine.budget import Spent
    from kardia.summary import Row, Summary

__all__ = ["score"]


class Format(str, Enum):
    """How scorecards are written."""

    jsonl = "jsonl"
    parquet = "parquet"


class Engine(str, Enum):
    """Where the work is done."""

    local = "local"
    ray = "ray"


class Guard(str, Enum):
    """What is done with a reply that addresses the judge."""

    flag = "flag"
    unscore = "unscore"


def score(
    file: Annotated[
        list[str],
        typer.Argument(
            help="JSONL, JSON, CSV or Parquet; - for stdin; or the name of a data set. Several are one input."
        ),
    ],
    rubric: Annotated[list[str], typer.Option("--rubric", "-r", help="Name, name@version, or path. Repeatable.")],
    judge: Annotated[
        str | None,
        typer.Option("--judge", "-j", help="Profile name or path. Default: $KARDIA_JUDGE, else embedded."),
    ] = None,
    output: Annotated[
        str | None, typer.Option("-o", "--output", help="File. Default: stdout. With --engine ray: a folder.")
    ] = None,
    format: Annotated[Format, typer.Option("--format", help="How the scorecards are written.")] = Format.jsonl,
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="Only the first N rows.")] = None,
    skip_bad: Annotated[
        bool, typer.Option("--skip-bad", help="List bad rows in <out>.rejected.jsonl instead of stopping.")
    ] = False,
    map_: Map = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="Override the profile: sampling.temperature=1. Repeatable.")
    ] = None,
    ledger: Ledger = None,
    fresh: Annotated[
        bool,
        typer.Option(
            "--fresh",
            help="Ask everything again, whatever the ledger holds; with --engine ray, begin the folder anew.",
        ),
    ] = False,
    max_requests: MaxRequests = None,
    max_cost: Annotated[
        float | None,
        typer.Option(
            "--max-cost", min=0.0, help="Spend at most so much, by the profile's prices; then stop with exit code 3."
        ),
    ] = None,
    guard: Annotated[
        Guard | None, typer.Option("--guard", help="Replies that address the judge: flag them, or leave them unscored.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be asked, of whom, and stop.")] = False,
    no_text: Annotated[
        bool, typer.Option("--no-text", help="Leave out texts, metadata, and the judge's words about them.")
    ] = False,
    calibration: Annotated[
        str | None,
        typer.Option("--calibration", metavar="JSON", help="Correct the answers by what `kardia calibrate` wrote."),
    ] = None,
    strict: Annotated[
        bool,
        typer.Option(
            "--strict", help="Abstentions count as unscored in the exit code, and a stale calibration as an error."
        ),
    ] = False,
    report: Annotated[
        str | None,
        typer.Option("--report", metavar="HTML", help="Also make a report of it; needs -o."),
    ] = None,
    engine: Annotated[
        Engine, typer.Option("--engine", help="local: this process. ray: actors on a Ray cluster.")
    ] = Engine.local,
    workers: Annotated[
        int | None, typer.Option("--workers", min=1, help="ray: actors. Default: by the judge and the cluster.")
    ] = None,
    shard_rows: Annotated[
        int | None,
        typer.Option(
            "--shard-rows", min=1, help="ray: rows that an actor scores at a time, and in a part. Default: 2000."
        ),
    ] = None,
    ray_address: Annotated[
        str | None,
        typer.Option(
            "--ray-address",
            metavar="HOST:PORT",
            help="ray: the cluster, or auto. Default: $RAY_ADDRESS, else a Ray on this machine for the run.",
        ),
    ] = None,
) -> None:
    """Score conversations against one or more rubrics.

    One scorecard a conversation and rubric, in the order of the input. Exit code 0: all scored; 1: something is
    unscored; 2: input or configuration is wrong, and nothing was scored; 3: the judge could not be reached, or the
    budget is used up; 130: interrupted. What was paid for is kept in the ledger, and the same command goes on from
    there; with --engine ray, the shards that are done stay done.

    Example:  kardia score examples/conversations.jsonl --rubric emotional-support -o scores.jsonl
    """
    import os

    from kardia.run import Run
    from kardia.scoring import Settings

    on_ray = engine is Engine.ray
    if not on_ray:
        _refuse({"--workers": workers, "--shard-rows": shard_rows, "--ray-address": ray_address})
    if report is not None:
        _check_report(report, file, output, on_ray)
    settings = Settings(
        text=not no_text,
        ledger=ledger,
        fresh=fresh,
        max_requests=max_requests,
        max_cost=max_cost,
        guard=None if guard is None else guard.value,
    )
    overrides = list(set_ or [])
    if calibration is not None:
        overrides.append(f"calibration={os.path.abspath(calibration)}")
    common: dict[str, Any] = {
        "overrides": overrides,
        "mapping": map_,
        "limit": limit,
        "skip_bad": skip_bad,
        "settings": settings,
        "strict": strict,
    }
    if dry_run:
        _announce(Run.prepare(file, rubric, judge, dry=True, **common))
        return
    if on_ray:
        from kardia.cli.score_ray import score_on_ray

        run, summary = score_on_ray(
            file, rubric, judge, output, format.value, workers, shard_rows or 2000, ray_address, _progress, common
        )
    else:
        run = Run.prepare(file, rubric, judge, **common)
        summary = _score(run, output, format.value, file)
    _print_summary(summary, run)
    if report is not None and output is not None:
        # the texts of stdin are gone by now, and with --no-text nobody wants them there
        _report(report, output, None if no_text or "-" in file else file, map_, run)
    if summary.unscored or (strict and summary.abstained):
        raise typer.Exit(1)


def _refuse(given: dict[str, object]) -> None:
    from kardia.errors import InputError

    for option, value in given.items():
        if value is not None:
            raise InputError("is for --engine ray: add that, or leave this out", file=option)


def _check_report(place: str, sources: list[str], output: str | None, parts: bool) -> None:
    """Whether a report can be made at all: told before anything is paid for."""
    from kardia.cli.report import check_report_place
    from kardia.errors import InputError

    if parts:
        raise InputError("is made of one scored file: put the parts of --engine ray together first", file="--report")
    if output is None or output == "-":
        raise InputError("is made of the scored file: name one with -o", file="--report")
    if place == output:
        raise InputError("is where the scorecards go; name another file", file="--report")
    check_report_place(place, (*sources, output))


def _report(place: str, scores: str, data: list[str] | None, mapping: str | None, run: Any) -> None:
    from kardia.cli.report import told
    from kardia.report.report import write_report

    told(write_report(scores, place, data=data, mapping=mapping, rubrics=run.rubrics), place)


def _announce(run: Any) -> None:
    from kardia.cli.terminal import note

    estimate = run.estimate()
    most = "at most " if estimate.at_most else ""
    stored = f" ({estimate.stored:,} more are in the ledger)" if estimate.stored else ""
    note(
        f"{estimate.conversations:,} conversations, {most}{estimate.requests:,} requests{stored}, "
        f"about {estimate.input_tokens:,} tokens in and at most {estimate.output_tokens:,} out"
        + (f", at most {estimate.cost:,.4f} by the profile's prices" if estimate.cost is not None else "")
    )
    note(f"judge {run.profile.name} ({run.profile.backend}); the texts would go to {run.profile.destination}")
    note("nothing was sent")


def _score(run: Any, output: str | None, form: str, sources: list[str]) -> Summary:
    from kardia.cli.stopping import stoppable
    from kardia.cli.terminal import note
    from kardia.engine.cycles import look_rarely
    from kardia.output import open_output
    from kardia.summary import Summary

    look_rarely()
    summary = Summary()
    sink = open_output(output, form, *sources)
    done = False
    try:
        run.write_rejected(output)
        with stoppable(run.halt), _progress(run.total, run.settings.office.spent) as advance:
            for card in run.cards():
                sink.write(card)
                summary.add(card)
                advance(summary)
        sink.finish()
        done = True
    finally:
        run.source.close()
        if not done:
            with _undisturbed():  # a further Ctrl-C must not cost what is there
                kept = sink.abandon()
            if kept is not None:
                note(f"{summary.total:,} finished scorecards are kept in {kept}")
    return summary


@contextmanager
def _undisturbed() -> Iterator[None]:
    import signal

    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _progress(total: int | None, spent: Spent) -> Any:
    """A bar on stderr with rate, unscored, tokens and cost; nothing where stderr is no terminal."""

    @contextmanager
    def silent() -> Any:
        yield lambda summary: None

    @contextmanager
    def shown() -> Any:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (
            TextColumn("scoring"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[spent]}"),
        )
        from kardia.cli.terminal import stderr

        with Progress(*columns, console=stderr(), transient=True) as progress:
            task = progress.add_task("scoring", total=total, rate="", spent="")

            def advance(summary: Summary) -> None:
                speed = progress.tasks[0].speed
                said = f"unscored {summary.unscored}"
                if spent.stored:
                    said += f"  from the ledger {spent.stored:,}"
                if spent.input_tokens:
                    said += f"  tokens {spent.input_tokens + spent.output_tokens:,}"
                if spent.cost is not None:
                    said += f"  cost {spent.cost:.4f}"
                progress.update(task, completed=summary.total, rate=f"{speed:.1f}/s" if speed else "", spent=said)

            yield advance

    import sys

    return shown() if sys.stderr.isatty() else silent()


def _print_summary(summary: Summary, run: Any) -> None:
    from kardia.cli.terminal import note, number, stderr, table

    console = stderr()
    for rubric, whole in summary.cards.items():
        rows = summary.criteria[rubric]
        # columns that hold nothing but noughts are left out, so that the table fits a terminal
        shown = [
            name
            for name in ("unscored", "abstained", "not_applicable", "vetoes")
            if name == "unscored" or any(getattr(row, name) for row in (*rows.values(), whole))
        ]
        shares = any(row.agreement is not None for row in rows.values())
        priced = "cost" if whole.cost is not None else "tokens" if whole.tokens else None
        columns = (
            *("scored", "mean", "spread", *(name.replace("not_applicable", "n/a") for name in shown)),
            *(("agreement",) if shares else ()),
            *((priced,) if priced else ()),
        )
        made = table(f"{rubric} · judge {run.profile.name}", ("criterion", *columns), columns)

        def cells(row: Row, shown: list[str] = shown, shares: bool = shares, priced: str | None = priced) -> list[str]:
            found = [f"{row.scored:,}", number(row.mean if row.scored else None), number(row.spread)]
            found += [f"{getattr(row, name):,}" for name in shown]
            found += [number(row.agreement)] if shares else []
            return found + ([number(row.cost, 4) if priced == "cost" else f"{row.tokens:,}"] if priced else [])

        for key, row in rows.items():
            made.add_row(key, *cells(row))
        made.add_section()
        made.add_row("score" + (f" ({whole.partial:,} partial)" if whole.partial else ""), *cells(whole))
        console.print(made)
    if summary.first_error:
        note(f"the first unscored one: {' '.join(summary.first_error.split())[:400]}")
    if run.settings.guard is not None:
        what = "flagged" if run.settings.guard == "flag" else "left unscored"
        note(f"the guard {what} {summary.guarded:,} of {summary.total:,} scorecards: `guard` on each says why")
    _print_spent(run)
    if run.bad:
        note(f"{run.bad:,} bad rows were left out" + (f"; they are listed in {run.rejected}" if run.rejected else ""))


def _print_spent(run: Any) -> None:
    """What the run asked, what it did not have to ask, and what it cost."""
    from kardia.cli.terminal import note

    spent = run.settings.office.spent
    if not (spent.requests or spent.stored):
        return
    parts = [f"{spent.requests:,} requests"]
    if spent.stored:
        parts.append(f"{spent.stored:,} answers from the ledger")
    if spent.shared:
        parts.append(f"{spent.shared:,} answers shared with an equal question")
    if spent.failed:
        parts.append(f"{spent.failed:,} failed tries")
    if spent.input_tokens or spent.output_tokens:
        parts.append(f"{spent.input_tokens:,} tokens in, {spent.output_tokens:,} out")
    if spent.cost is not None:
        parts.append(f"cost {spent.cost:.4f}")
    note(", ".join(parts))
    for tally in run.settings.office.cascades.values():
        if sentence := tally.sentence():
            note(sentence)
