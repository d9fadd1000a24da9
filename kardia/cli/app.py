"""The commands, put together. A command's module is imported, and its options are read, when the command is used."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from kardia.version import __version__

__all__ = ["COMMANDS", "app"]

COMMANDS: Mapping[str, tuple[str, str]] = {
    "score": ("score.score", "Score conversations against one or more rubrics."),
    "report": ("report.report", "Make a report of a scored file: one HTML file that needs no network."),
    "compare": ("compare.compare", "Compare two scored files, conversation by conversation."),
    "rubric": ("rubric.app", "Rubrics: what a good reply is."),
    "judge": ("judge.app", "Judges: who answers."),
    "agree": (
        "agree.agree",
        "How far a judge agrees with people, for each criterion; and whether it is as good as a person.",
    ),
    "calibrate": ("calibrate.calibrate", "Correct a judge by what people said."),
    "probe": (
        "probe.probe",
        "What fools a judge: replies are changed in known ways, judged again, and the scores compared.",
    ),
    "diagnose": ("diagnose.diagnose", "Find what is wrong with a judge before a policy does."),
    "distill": (
        "distill.distill",
        "Train a student: a small model of your own that judges by a rubric, from a judge's scores or people's labels.",
    ),
    "fit": ("fit.app", "Learn from people how a rubric's criteria combine."),
    "train": (
        "train.train",
        "Train a policy: supervised on demonstrations, then by GRPO towards a rubric and a judge.",
    ),
    "evaluate": (
        "evaluate.evaluate",
        "Let policies reply to held-out conversations, and score the replies: one table, several policies.",
    ),
    "filter": ("filter.filter_prompts", "Keep the prompts that a policy finds neither too easy nor too hard."),
    "pairs": ("pairs.pairs", "Make preference pairs of scored groups, for DPO; or pick the best of each group."),
    "serve": ("serve.serve", "Serve a reward over HTTP, for trainers on other hosts."),
    "ledger": ("ledger.app", "The ledger: what judges have answered, so that nothing is asked twice."),
}
"""Name → where it is within this package, and its help's first sentence, in the order of `kardia --help`."""


class Commands(TyperGroup):
    """The commands by their names: in a list each is a name and a sentence, and it is built when it is run."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self.commands = {name: TyperCommand(name, help=said) for name, (_, said) in COMMANDS.items()}
        self._lists = False

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if self._lists or cmd_name not in COMMANDS:
            return super().get_command(ctx, cmd_name)
        return _built(cmd_name)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        self._lists = True
        try:
            super().format_help(ctx, formatter)
        finally:
            self._lists = False


def _built(name: str) -> Any:
    module, _, attribute = COMMANDS[name][0].rpartition(".")
    found = getattr(importlib.import_module(f"kardia.cli.{module}"), attribute)
    around = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode="rich")
    around.callback()(_nothing)  # with it, Typer makes a group of one command, too
    if isinstance(found, typer.Typer):
        around.add_typer(found, name=name)
    else:
        around.command(name)(found)
    group = typer.main.get_command(around)
    assert isinstance(group, TyperGroup)
    return group.commands[name]


def _nothing() -> None:
    """Not run: only what stands in the group is taken out of it."""


app = typer.Typer(
    name="kardia",
    cls=Commands,
    help="Score conversations by versioned rubrics, with a judge of your choice.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Example:  kardia score examples/conversations.jsonl --rubric emotional-support -o scores.jsonl",
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"kardia {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and leave.")
    ] = False,
) -> None:
    """Score conversations by versioned rubrics, with a judge of your choice."""
