"""The commands, put together."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from kardia.cli import judge, rubric, score
from kardia.version import __version__

__all__ = ["ClosedPipe", "Interrupted", "app"]


class Interrupted(Exception):
    """Ctrl-C."""


class ClosedPipe(Exception):
    """Whoever read standard output has stopped."""


class _Commands(TyperGroup):
    """Hands on what Typer would answer with exit codes and words of its own."""

    def make_context(self, *args: Any, **kwargs: Any) -> Any:
        with _handed_on():
            return super().make_context(*args, **kwargs)

    def invoke(self, ctx: Any) -> Any:
        with _handed_on():
            return super().invoke(ctx)


@contextmanager
def _handed_on() -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        raise Interrupted from None
    except BrokenPipeError:
        raise ClosedPipe from None


app = typer.Typer(
    name="kardia",
    cls=_Commands,
    help="Score conversations by versioned rubrics, with a judge of your choice.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Example:  kardia score examples/conversations.jsonl --rubric emotional-support -o scores.jsonl",
)
app.command("score")(score.score)
app.add_typer(rubric.app, name="rubric")
app.add_typer(judge.app, name="judge")


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
