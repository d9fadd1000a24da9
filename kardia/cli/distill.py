"""`kardia distill`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kardia.cli.options import Map, SkipBad

if TYPE_CHECKING:
    from kardia.model.export import Exported
    from kardia.model.labels import Joined
    from kardia.model.loop import Moment
    from kardia.model.training import Report

__all__ = ["distill"]


class Kind(str, Enum):
    """What the backbone is."""

    encoder = "encoder"
    causal = "causal"


def distill(
    file: Annotated[str, typer.Argument(help="The conversations: JSONL, JSON, CSV or Parquet; - for stdin.")],
    rubric: Annotated[list[str], typer.Option("--rubric", "-r", help="Name, name@version, or path. Repeatable.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="The student's folder.")],
    labels: Annotated[
        list[str] | None,
        typer.Option(
            "--labels",
            help="Scorecards of `kardia score`, or a table of people's levels. Repeatable: each file is a rater. "
            "Default: the labels in the conversations' own metadata.",
        ),
    ] = None,
    backbone: Annotated[
        str | None,
        typer.Option("--backbone", help="Folder, or name in the hub cache. Default: the embedded judge's encoder."),
    ] = None,
    kind: Annotated[Kind | None, typer.Option("--kind", help="What the backbone is. Default: encoder.")] = None,
    seed: Annotated[int | None, typer.Option("--seed", min=0, help="Of the split, the order, the weights.")] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="How it is trained: epochs=4, lora.rank=8, lora=null. Repeatable.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on where an interrupted training stopped.")] = False,
    export: Annotated[
        Path | None,
        typer.Option("--export", help="Also write a plain reward model of the first rubric's score into this folder."),
    ] = None,
    map_: Map = None,
    skip_bad: SkipBad = False,
    as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
) -> None:
    """Train a student: a small model of your own that judges by a rubric, from a judge's scores or people's labels.

    The folder gets a model card, metrics of a held-out part, and a judge profile: `--judge FOLDER` takes it. Nothing is
    downloaded and nothing is sent. Criteria with fewer than ten labels, or labels of one level only, are left out.
    Exit code 0: done; 2: input or configuration is wrong; 130: interrupted, and --resume goes on.

    Example:  kardia distill conversations.jsonl --labels scores.jsonl --rubric supportiveness -o student
    """
    from kardia.cli.stopping import AFTER_A_STEP, stoppable
    from kardia.cli.terminal import note
    from kardia.engine.halt import Halt
    from kardia.errors import InputError, Interrupted
    from kardia.model.labels import Questions, usable
    from kardia.model.recipe import recipe_with
    from kardia.model.training import train
    from kardia.rubric.loading import load_rubric

    known = {"backbone": backbone, "kind": None if kind is None else kind.value, "seed": seed}
    recipe = recipe_with(set_ or [], **known)
    rubrics = [load_rubric(reference) for reference in rubric]
    questions = Questions(rubrics)
    joined, facts = _read(file, questions, labels or [], map_, skip_bad)
    tasks, left_out = usable(joined.examples, questions.tasks)
    for key, why in left_out.items():
        note(f"{key} is left out: {why}")
    if not tasks:
        raise InputError("no criterion has enough labels: there is nothing to learn")
    facts["rubrics"] = {each.ref: each.hash for each in rubrics}
    keys = {task.key for task in tasks}
    examples = [each for each in (_only(example, keys) for example in joined.examples) if each is not None]
    pairs = list(dict.fromkeys((example.context, example.reply) for example in examples))
    if export is not None:
        from kardia.model.export import check_export
        from kardia.model.start import build_of

        check_export(*build_of(recipe), rubrics[0], tasks, len(pairs))
    halt = Halt()
    try:
        with stoppable(halt, AFTER_A_STEP), _progress() as notify:
            report = train(examples, tasks, recipe, output, notify=notify, resume=resume, halt=halt, facts=facts)
    except (KeyboardInterrupt, Interrupted):
        note(f"the same command with --resume goes on from the last checkpoint in {output}")
        raise
    exported = None
    if export is not None:
        from kardia.model.export import export_reward

        exported = export_reward(output, rubrics[0], export, pairs=pairs, seed=recipe.seed)
    if as_json:
        _print_json(report, exported, left_out)
    else:
        _print_summary(report, joined, exported)


def _read(
    file: str, questions: Any, labels: Sequence[str], mapping: str | None, skip_bad: bool
) -> tuple[Joined, dict[str, Any]]:
    """Conversations and labels, put together; and what the card says of where they come from."""
    from kardia.cli.terminal import note
    from kardia.errors import InputError
    from kardia.model.labels import Labels, join
    from kardia.reading import Source, parse_map
    from kardia.reading.files import source_name

    with Source(file, mapping=parse_map(mapping) if mapping else None, skip_bad=skip_bad) as source:
        survey = source.check()
        conversations = list(source.conversations())
    if survey.bad:
        note(f"{survey.bad:,} bad rows are left out")
    said = None
    if labels:
        said = Labels(questions)
        ids = {conversation.id for conversation in conversations}
        for path in labels:
            said.read(path, ids)
        if said.passed_over:
            note(f"{said.passed_over:,} scorecards of other rubrics are passed over")
    try:
        joined = join(conversations, questions, said)
    except InputError as problem:
        raise InputError(problem.message, file=problem.file or source_name(file), key=problem.key) from None
    if joined.unlabelled:
        note(f"{joined.unlabelled:,} of {joined.conversations:,} conversations have no label, and are left out")
    if joined.unread:
        note(f"{joined.unread:,} labels are left out: the reply does not have the part that their criterion reads")
    names = [Path(path).name for path in labels] or ["the conversations' metadata"]
    return joined, {"conversations": Path(source_name(file)).name, "labelled by": names}


def _only(example: Any, keys: set[str]) -> Any:
    """The example with the labels of these tasks alone; None where none is left."""
    from dataclasses import replace

    targets = {key: target for key, target in example.targets.items() if key in keys}
    return replace(example, targets=targets) if targets else None


@contextmanager
def _progress() -> Iterator[Callable[[Moment], None] | None]:
    """A bar on stderr; nothing where stderr is no terminal."""
    import sys

    if not sys.stderr.isatty():
        yield None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from kardia.cli.terminal import number, stderr

    columns = (
        TextColumn("training"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[said]}"),
    )
    with Progress(*columns, console=stderr(), transient=True) as progress:
        task = progress.add_task("training", total=None, said="")

        def show(moment: Moment) -> None:
            said = f"pass {moment.epoch:.1f}  loss {number(moment.loss)}  held out {number(moment.select)}"
            progress.update(task, completed=moment.step, total=moment.steps, said=said)

        yield show


def _print_json(report: Report, exported: Exported | None, left_out: dict[str, str]) -> None:
    from kardia.cli.terminal import print_json

    print_json(
        {
            "folder": str(report.folder),
            "metrics": {key: value.to_json() for key, value in report.metrics.items()},
            "left_out": left_out,
            "training": dict(report.facts),
            "export": None if exported is None else exported.to_json(),
        }
    )


def _print_summary(report: Report, joined: Joined, exported: Exported | None) -> None:
    from kardia.cli.terminal import number, stdout, table

    console = stdout()
    columns = ("labels", "held out", "κ", "macro-F1", "accuracy", "majority", "ECE before", "ECE after")
    made = table(f"student · {report.folder}", ("criterion", *columns), columns)
    for key, count in report.facts["labels"].items():
        found = report.metrics.get(key)
        if found is None:
            made.add_row(key, f"{count:,}", *["–"] * 7)
            continue
        figures = (found.kappa, found.macro_f1, found.accuracy, found.majority, found.ece_before, found.ece_after)
        made.add_row(key, f"{count:,}", f"{found.n:,}", *map(number, figures))
    console.print(made)
    said = f"{report.facts['examples']:,} examples were learnt from and {report.facts['dev']:,} held out"
    console.print(f"{said}; {joined.labels:,} labels in all. Use it with --judge {report.folder}/")
    if exported is not None:
        console.print(exported.sentence)
