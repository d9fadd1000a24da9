"""`kardia judge`: list, show, check."""

from __future__ import annotations

from typing import Annotated

import typer

app = typer.Typer(help="Judges: who answers.", no_args_is_help=True)


@app.command("list")
def list_(as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False) -> None:
    """List the judge profiles that can be found.

    Example:  kardia judge list
    """
    from kardia.cli.terminal import note, print_json, stdout, table
    from kardia.errors import InputError
    from kardia.judge import load_profile, profile_names

    made = table(None, ("name", "backend", "model", "texts go to", "what it is"))
    rows = []
    for name, path in sorted(profile_names().items()):
        try:
            profile = load_profile(path)
        except InputError as problem:
            note(str(problem))
            continue
        about = " ".join((profile.description or "").split()).split(". ")[0].rstrip(".")
        rows.append({"name": name, "backend": profile.backend, "model": profile.model, "file": str(path)})
        made.add_row(name, profile.backend, profile.model or "", profile.destination, about)
    if as_json:
        print_json(rows)
    else:
        stdout().print(made)


@app.command()
def show(
    judge: Annotated[str, typer.Argument(help="Profile name or path.")],
    set_: Annotated[list[str] | None, typer.Option("--set", help="Override: sampling.temperature=1.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
) -> None:
    """Show one profile with every default filled in, and its hash.

    Example:  kardia judge show embedded
    """
    from kardia.cli.terminal import print_json, stdout, table
    from kardia.judge import load_profile

    profile = load_profile(judge, set_ or [])
    data = profile.model_dump(mode="json", exclude={"headers"})
    data["headers"] = sorted(profile.headers)  # their values may be secrets
    if as_json:
        print_json({**data, "hash": profile.hash, "destination": profile.destination})
        return
    if not profile.reads_prompts:
        for unused in ("mode", "template", "sampling", "limits", "price", "extra_body"):
            data.pop(unused)
    made = table(None, ("key", "value"))
    for key, value in data.items():
        for inner, item in value.items() if isinstance(value, dict) and value else [("", value)]:
            if item not in (None, {}, []):
                made.add_row(f"{key}.{inner}" if inner else key, str(item).strip())
    if profile.reads_prompts:
        made.add_row("template", profile.template_name)
    made.add_row("texts go to", profile.destination)
    made.add_row("hash", profile.hash)
    stdout().print(made)


@app.command()
def check(
    judge: Annotated[str, typer.Argument(help="Profile name or path.")],
    set_: Annotated[list[str] | None, typer.Option("--set", help="Override: model=other.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
) -> None:
    """Send one real request and say what is wrong, if anything is.

    Exit code 0: the judge works; 1: it answers, but not in the form that is needed; 2: the profile is wrong; 3: it
    cannot be reached.

    Example:  kardia judge check embedded
    """
    from kardia.checkup import check_judge
    from kardia.cli.terminal import print_json

    report = check_judge(judge, set_ or [])
    if as_json:
        print_json(report.to_json())
    else:
        for sentence in report.sentences:
            typer.echo(sentence)
    if not report.works:
        raise typer.Exit(1)
