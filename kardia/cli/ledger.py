"""`kardia ledger`: info, prune, export, verify, forget."""

from __future__ import annotations

from typing import Annotated

import typer

app = typer.Typer(help="The ledger: what judges have answered, so that nothing is asked twice.", no_args_is_help=True)

Where = Annotated[
    str | None,
    typer.Option("--ledger", help="Its file. Default: $KARDIA_LEDGER, else ledger.sqlite3 in your data directory."),
]
Json = Annotated[bool, typer.Option("--json", help="For machines.")]


@app.command()
def info(ledger: Where = None, as_json: Json = False) -> None:
    """Say where the ledger lies, how large it is, and whose answers it holds.

    Example:  kardia ledger info
    """
    from kardia.cli.ledger_views import info_view

    info_view(ledger, as_json)


@app.command()
def prune(
    ledger: Where = None,
    older_than: Annotated[
        float | None, typer.Option("--older-than", min=0, metavar="DAYS", help="What was stored longer ago.")
    ] = None,
    judge: Annotated[str | None, typer.Option("--judge", help="What the judge of this name answered.")] = None,
    unscored: Annotated[bool, typer.Option("--unscored", help="What has an unscored criterion.")] = False,
    everything: Annotated[bool, typer.Option("--all", help="Everything.")] = False,
    as_json: Json = False,
) -> None:
    """Delete entries and free their space. Of several conditions, all must hold.

    What is deleted is asked, and paid for, again when it is wanted.

    Example:  kardia ledger prune --older-than 90 --judge fake
    """
    from kardia.cli.ledger_views import prune_view

    prune_view(ledger, older_than, judge, unscored, everything, as_json)


@app.command()
def export(
    ledger: Where = None,
    output: Annotated[str | None, typer.Option("-o", "--output", help="File. Default: stdout.")] = None,
) -> None:
    """Write every entry as a line of JSON, the oldest first.

    Exit code 1: damaged entries were left out.

    Example:  kardia ledger export -o ledger.jsonl
    """
    from kardia.cli.ledger_views import export_view

    if export_view(ledger, output):
        raise typer.Exit(1)


@app.command()
def verify(
    ledger: Where = None,
    mend: Annotated[
        bool, typer.Option("--mend", help="Where the file is damaged: move it aside, and keep what is whole.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Check the database, and the checksum and form of every entry.

    Exit code 0: all is whole; 1: something is damaged, and what to do about it.

    Example:  kardia ledger verify
    """
    from kardia.cli.ledger_views import verify_view

    if not verify_view(ledger, mend, as_json):
        raise typer.Exit(1)


@app.command()
def forget(
    ids: Annotated[list[str], typer.Argument(metavar="ID...", help="Conversation ids.")],
    ledger: Where = None,
    as_json: Json = False,
) -> None:
    """Delete everything about a conversation, so that no byte of it stays in the ledger's file.

    What it shares with other conversations goes too. Outputs that were written are not touched. Exit code 1: there
    was nothing.

    Example:  kardia ledger forget conversation-17
    """
    from kardia.cli.ledger_views import forget_view

    if not forget_view(ledger, ids, as_json):
        raise typer.Exit(1)
