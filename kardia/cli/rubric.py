"""`kardia rubric`: what an author needs, from a new file to a release."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="Rubrics: what a good reply is.", no_args_is_help=True)

Json = Annotated[bool, typer.Option("--json", help="For machines.")]
RubricArgument = Annotated[str, typer.Argument(metavar="RUBRIC", help="Name, name@version, or path.")]


class Part(str, Enum):
    """The part of a version that is raised."""

    major = "major"
    minor = "minor"
    patch = "patch"


@app.command("list")
def list_(
    all_: Annotated[bool, typer.Option("--all", help="Every version, drafts too.")] = False, as_json: Json = False
) -> None:
    """List the rubrics that can be found, newest release each.

    Example:  kardia rubric list
    """
    from kardia.cli.rubric_views import list_view

    list_view(all_, as_json)


@app.command()
def show(rubric: RubricArgument, as_json: Json = False) -> None:
    """Explain a rubric in prose and a table.

    Example:  kardia rubric show supportiveness
    """
    from kardia.cli.rubric_views import show_view
    from kardia.rubric.loading import load_rubric

    show_view(load_rubric(rubric), as_json)


@app.command()
def lint(
    paths: Annotated[list[Path], typer.Argument(help="Rubric files, folders that hold some, or names.")],
    data: Annotated[
        str | None, typer.Option("--data", help="A conversations file: references to metadata are held against it.")
    ] = None,
    semantic: Annotated[
        bool, typer.Option("--semantic/--no-semantic", help="Compare questions by embedding, where it is installed.")
    ] = True,
    as_json: Json = False,
) -> None:
    """Find what a careful reviewer would: each finding with file, line and how to mend it.

    Exit code 0: nothing found; 1: something found; 2: a file is no rubric.

    Example:  kardia rubric lint rubrics/supportiveness/1.0.0.yaml
    """
    from kardia.cli.rubric_views import lint_view

    code = lint_view(paths, data, semantic, as_json)
    if code:
        raise typer.Exit(code)


@app.command()
def render(
    rubric: RubricArgument,
    file: Annotated[str, typer.Argument(help="A conversations file; - for stdin.")],
    judge: Annotated[
        str | None, typer.Option("--judge", "-j", help="Whose template and mode. Default: reasoned, one criterion.")
    ] = None,
    id_: Annotated[str | None, typer.Option("--id", help="Which conversation. Default: the first.")] = None,
    set_: Annotated[list[str] | None, typer.Option("--set", help="Override the profile: mode=all_criteria.")] = None,
    as_json: Json = False,
) -> None:
    """Print the exact prompts that a judge would be sent for a conversation. Nothing is sent.

    Example:  kardia rubric render supportiveness examples/conversations.jsonl
    """
    from kardia.cli.rubric_views import render_view

    render_view(rubric, file, judge, id_, set_ or [], as_json)


@app.command("try")
def try_(
    rubric: RubricArgument,
    judge: Annotated[
        str | None, typer.Option("--judge", "-j", help="Profile name or path. Default: $KARDIA_JUDGE, else embedded.")
    ] = None,
    set_: Annotated[list[str] | None, typer.Option("--set", help="Override the profile.")] = None,
    min_exact: Annotated[
        float | None, typer.Option("--min-exact", min=0, max=1, help="Exit with 1 below this share of exact levels.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Run a rubric on its own examples, and show expected against got.

    Every example is judged without the examples of its own context. Exit code 1: something is unscored, or
    --min-exact was missed.

    Example:  kardia rubric try empathy-mechanisms --judge embedded
    """
    from kardia.cli.rubric_views import try_view

    if not try_view(rubric, judge, set_ or [], min_exact, as_json):
        raise typer.Exit(1)


@app.command()
def diff(
    a: Annotated[str, typer.Argument(metavar="A", help="The earlier one: name@version or path.")],
    b: Annotated[str, typer.Argument(metavar="B", help="The later one.")],
    as_json: Json = False,
) -> None:
    """Say what changed in meaning, whether scores stay comparable, and which version step that needs.

    Example:  kardia rubric diff safety@1.0.0 rubrics/safety/1.1.0-draft.1.yaml
    """
    from kardia.cli.rubric_views import diff_view

    diff_view(a, b, as_json)


@app.command()
def new(
    name: Annotated[str, typer.Argument(help="Lower-case letters, digits, - and _.")],
    folder: Annotated[Path, typer.Option("--in", help="The folder of rubrics.")] = Path("rubrics"),
) -> None:
    """Start a rubric: a small complete draft to edit.

    Example:  kardia rubric new kindness
    """
    from kardia.rubric.new import new_rubric

    path = new_rubric(name, folder)
    typer.echo(str(path))
    typer.echo(f"Edit it, then: kardia rubric lint {path}", err=True)


@app.command()
def bump(
    rubric: RubricArgument,
    part: Annotated[
        Part | None, typer.Option("--part", help="Default: minor; for a draft, what its changes need.")
    ] = None,
) -> None:
    """Make a new draft of a release; or raise a draft's version to what its changes need.

    Example:  kardia rubric bump safety
    """
    from kardia.rubric.publish import bump as make

    typer.echo(str(make(rubric, None if part is None else part.value)))


@app.command()
def publish(rubric: RubricArgument) -> None:
    """Turn a draft into a release: it never changes again, and the lock holds its hash.

    Example:  kardia rubric publish rubrics/safety/1.1.0-draft.1.yaml
    """
    from kardia.rubric.publish import publish as release

    typer.echo(str(release(rubric)))


@app.command()
def schema() -> None:
    """Print the JSON Schema of rubric files, for editors.

    Example:  kardia rubric schema > rubrics/rubric.schema.json
    """
    from kardia.rubric.schema import schema_text

    typer.echo(schema_text(), nl=False)
