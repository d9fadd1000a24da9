"""Options that several commands have in the same words."""

from __future__ import annotations

from typing import Annotated

import typer

__all__ = ["DataMap", "Fresh", "Ledger", "Map", "MaxCost", "MaxRequests", "SkipBad"]

Map = Annotated[str | None, typer.Option("--map", help="Which columns hold what: reply=answer,context=question.")]
DataMap = Annotated[
    str | None, typer.Option("--map", help="Which columns of the data hold what: reply=answer,context=question.")
]
SkipBad = Annotated[bool, typer.Option("--skip-bad", help="Leave bad rows out instead of stopping.")]

Ledger = Annotated[
    str | None,
    typer.Option(
        "--ledger",
        help="Keeps the judge's answers: a file, postgresql://user@host/database, or off. Default: $KARDIA_LEDGER, "
        "else the usual place.",
    ),
]
Fresh = Annotated[bool, typer.Option("--fresh", help="Ask everything again, whatever the ledger holds.")]
MaxRequests = Annotated[
    int | None,
    typer.Option("--max-requests", min=1, help="Send at most so many requests; then stop with exit code 3."),
]
MaxCost = Annotated[
    float | None,
    typer.Option("--max-cost", min=0.0, help="Spend at most so much, by the profiles' prices; then stop."),
]
