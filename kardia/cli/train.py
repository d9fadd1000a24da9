"""`kardia train`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from kardia.policy.estimate import Estimate
    from kardia.policy.follow import Moment
    from kardia.policy.prepared import Prepared
    from kardia.policy.report import Report

__all__ = ["train"]


def train(
    recipe: Annotated[str, typer.Argument(help="A recipe's name, or the path of its YAML file.")],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="The training's folder. Default: runs/<name>-<seed>.")
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", help="Override the recipe: grpo.steps=100, reward.judge=openai, lora=null. Repeatable."),
    ] = None,
    seed: Annotated[int | None, typer.Option("--seed", min=0, help="Of the weights, the order, what is drawn.")] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would run, whom it would ask and what for, and stop.")
    ] = False,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Begin anew: what an earlier run left in the folder is removed.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
) -> None:
    """Train a policy: supervised on demonstrations, then by GRPO towards a rubric and a judge.

    Everything is checked before a model is loaded, and nothing is downloaded. The folder gets the policy, a report, and
    what the policy wrote to held-out prompts before and after. The same command goes on where a run was interrupted or
    killed. Several processes: `accelerate launch -m kardia train …`.

    Exit code 0: done; 1: done, and the format was not learnt as wanted, or a held-out reply has no score; 2: input or
    configuration is wrong; 3: the judge could not be reached; 130: interrupted. What was trained is kept.

    Example:  kardia train kardia-r1-gemma-2b-lora --set data.prompts=dialogues.jsonl --dry-run
    """
    from kardia.engine.halt import Halt
    from kardia.errors import Interrupted, JudgeError
    from kardia.policy.prepared import prepare
    from kardia.policy.ranks import first_of_all
    from kardia.policy.recipes import load_recipe

    loaded = load_recipe(recipe, set_ or [], seed)
    prepared = prepare(loaded, dry=dry_run)
    folder = output or Path("runs") / f"{loaded.name}-{loaded.seed}"
    main = first_of_all()
    if main:
        _note_all(prepared)
    if dry_run:
        _announce(prepared, folder, as_json)
        return
    from kardia.cli.stopping import AFTER_A_STEP, stoppable
    from kardia.policy.run import load_report
    from kardia.policy.run import train as run

    report = None if fresh else load_report(prepared, folder)
    if report is not None and main:
        from kardia.cli.terminal import note

        note(f"the training in {folder} is complete; --fresh begins anew")
    if report is None:
        halt = Halt()
        try:
            with stoppable(halt, AFTER_A_STEP), _progress(main) as notify:
                report = run(prepared, folder, fresh=fresh, notify=notify, halt=halt)
        except (KeyboardInterrupt, Interrupted, JudgeError):
            if main:
                from kardia.cli.terminal import note

                note(f"what was trained is kept in {folder}; the same command goes on from there")
            raise
    if main:
        _show(report, folder, as_json)
    if _missed(report):
        raise typer.Exit(1)


def _missed(report: Report) -> bool:
    unscored = any(
        told.means["unscored"].mean
        for told in report.figures.values()
        if "rubric" in told.means or "second judge" in told.means
    )
    return report.stages.get("sft", {}).get("reached") is False or unscored


def _note_all(prepared: Prepared) -> None:
    from kardia.cli.terminal import note

    for sentence in prepared.notes:
        note(sentence)


def _announce(prepared: Prepared, folder: Path, as_json: bool) -> None:
    from kardia.cli.terminal import note, print_json
    from kardia.policy.estimate import estimate

    plan: Estimate = estimate(prepared)
    if as_json:
        print_json({"recipe": prepared.recipe.name, "folder": str(folder), **plan.to_json()})
        return
    counts = prepared.counts
    if prepared.cast is not None:
        train_, held = len(prepared.cast.train), len(prepared.cast.held_out)
        note(f"{prepared.recipe.name}: {train_} seekers to train with, {held} held out; everything goes into {folder}")
    else:
        shown = f"{counts.get('train', 0):,} prompts to train on, {counts.get('held_out', 0):,} held out"
        note(f"{prepared.recipe.name}: {shown}; everything goes into {folder}")
    for stage in plan.stages:
        wrote = f" ({stage.completions:,} completions)" if stage.completions else ""
        note(f"{stage.name}: {stage.what}{wrote}")
    for asked in plan.asked.values():
        words = asked.judge.reads_prompts
        tokens = (
            f", about {asked.input_tokens:,.0f} tokens in and at most {asked.output_tokens:,.0f} out" if words else ""
        )
        price = f", at most {asked.cost:,.2f} by the profile's prices" if asked.cost is not None else ""
        note(f"judge {asked.judge.name} ({asked.judge.backend}): at most {asked.requests:,.0f} requests{tokens}{price}")
        note(f"judge {asked.judge.name}: the texts would go to {asked.judge.destination}")
    note("no model was loaded, and nothing was sent")


def _show(report: Report, folder: Path, as_json: bool) -> None:
    from kardia.cli.terminal import print_json, stdout, table
    from kardia.policy.report import findings

    if as_json:
        print_json({"folder": str(folder), **report.to_json()})
        return
    console = stdout()
    stages = list(report.figures)
    if stages:
        columns = [*stages, *(["change", "95 % interval"] if report.changes else [])]
        made = table(f"{report.facts['name']} · held-out prompts", ("", *columns), columns)
        for name in dict.fromkeys(name for stage in stages for name in report.figures[stage].means):
            cells = [_mean(report.figures[stage].means.get(name)) for stage in stages]
            if report.changes:
                change = report.changes.get(name)
                known = change is not None and change.low is not None
                cells += [
                    f"{change.mean:+.3f}" if change is not None and change.mean is not None else "–",
                    f"{change.low:+.3f} … {change.high:+.3f}" if change is not None and known else "–",
                ]
            made.add_row(name, *cells)
        distinct = [report.figures[stage].distinct[2] for stage in stages]
        ratio = report.distinct_ratio
        rest = [f"× {ratio:.3f}" if ratio is not None else "–", ""] if report.changes else []
        made.add_row("distinct-2", *(f"{share:.3f}" if share is not None else "–" for share in distinct), *rest)
        console.print(made)
    for sentence in findings(report):
        console.print(f"- {sentence}")
    if report.stock is not None:
        console.print(f"The best stock reply: {report.stock['text']}")
    console.print(f"The policy is in {folder / 'policy'}, the report in {folder / 'report.md'}")


def _mean(value: object) -> str:
    from kardia.cli.terminal import number

    return number(getattr(value, "mean", None))


@contextmanager
def _progress(main: bool) -> Iterator[Callable[[Moment], None] | None]:
    """On stderr: a bar on a terminal; a line for each stage and each tenth of one elsewhere."""
    import sys

    if not main:
        yield None
    elif sys.stderr.isatty():
        with _bar() as show:
            yield show
    else:
        yield _lines()


def _lines() -> Callable[[Moment], None]:
    from kardia.cli.terminal import note

    said: dict[str, int] = {}

    def show(moment: Moment) -> None:
        if not moment.steps:
            note(f"{moment.stage} …")
            return
        tenth = moment.step * 10 // moment.steps
        if tenth > said.get(moment.stage, 0):
            said[moment.stage] = tenth
            figures = _figures(moment)
            note(f"{moment.stage} {moment.step:,} of {moment.steps:,}" + (f": {figures}" if figures else ""))

    return show


@contextmanager
def _bar() -> Iterator[Callable[[Moment], None]]:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from kardia.cli.terminal import stderr

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[said]}"),
    )
    with Progress(*columns, console=stderr()) as progress:
        tasks = {}

        def show(moment: Moment) -> None:
            if moment.stage not in tasks:
                tasks[moment.stage] = progress.add_task(moment.stage, total=None, said="")
            total = moment.steps or None
            progress.update(tasks[moment.stage], completed=moment.step, total=total, said=_figures(moment))

        yield show


def _figures(moment: Moment) -> str:
    told = [
        f"{name} {moment.figures[key]:.3f}"
        for key, name in (("reward", "reward"), ("entropy", "entropy"), ("loss", "loss"))
        if isinstance(moment.figures.get(key), (int, float))
    ]
    return "  ".join(told)
