"""`kardia ledger`: info, prune, export, verify, forget."""

from __future__ import annotations

from typing import Annotated

import typer

app = typer.Typer(help="The ledger: what judges have answered, so that nothing is asked twice.", no_args_is_help=True)

Where = Annotated[
    str | None,
    typer.Option(
        "--ledger",
        metavar="PLACE",
        help="A file, or postgresql://user@host/database. Default: $KARDIA_LEDGER, else the usual place.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="As JSON, for a program to read.")]


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
        float | None, typer.Option("--older-than", min=0, metavar="DAYS", help="Stored more than so many days ago.")
    ] = None,
    judge: Annotated[str | None, typer.Option("--judge", metavar="NAME", help="Given by this judge.")] = None,
    unscored: Annotated[bool, typer.Option("--unscored", help="With a criterion that is unscored.")] = False,
    everything: Annotated[bool, typer.Option("--all", help="All of them.")] = False,
    as_json: Json = False,
) -> None:
    """Delete answers, and free their space. Of several conditions, all must hold.

    What is deleted is asked, and paid for, again when it is wanted.

    With --unscored that is the purpose: another chance for what was refused.

    Example:  kardia ledger prune --older-than 90 --judge fake
    """
    from kardia.cli.ledger_views import prune_view

    prune_view(ledger, older_than, judge, unscored, everything, as_json)


@app.command()
def export(
    ledger: Where = None,
    output: Annotated[str | None, typer.Option("-o", "--output", help="File. Default: stdout.")] = None,
) -> None:
    """Write every answer as a line of JSON, the oldest first.

    The lines quote the conversations.

    Exit code 1: damaged answers were left out.

    Example:  kardia ledger export -o ledger.jsonl
    """
    from kardia.cli.ledger_views import export_view

    if export_view(ledger, output):
        raise typer.Exit(1)


@app.command()
def verify(
    ledger: Where = None,
    mend: Annotated[
        bool, typer.Option("--mend", help="What is damaged: move it aside, and keep what is whole.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Check the file or the tables, and every answer in it.

    Exit code 0: all is whole; 1: something is damaged; it says what to do.

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
    """Delete every answer about a conversation, so that none of its words stay in the ledger.

    Answers that other conversations share go, too.

    Scorecards, exports and copies are not touched: delete them yourself.

    Exit code 1: nothing was stored.

    Example:  kardia ledger forget conversation-17
    """
    from kardia.cli.ledger_views import forget_view

    if not forget_view(ledger, ids, as_json):
        raise typer.Exit(1)
