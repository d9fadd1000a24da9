"""`kardia fit`: weights, gating, calibration."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="Learn from people how a rubric's criteria combine.", no_args_is_help=True)


class Kind(str, Enum):
    """How ratings are regressed on values."""

    linear = "linear"
    ordinal = "ordinal"


class Over(str, Enum):
    """What is weighed."""

    items = "items"
    criteria = "criteria"


Scores = Annotated[str, typer.Argument(metavar="SCORES", help="Scorecards of `kardia score`, JSONL.")]
RubricOption = Annotated[
    str, typer.Option("--rubric", "-r", help="What they were scored by: name, name@version, or path.")
]
Output = Annotated[Path, typer.Option("-o", "--output", help="The artifact, JSON. Its place is beside the rubric.")]
Ratings = Annotated[
    str, typer.Option("--ratings", help="CSV or JSONL with the columns id and rating; several people may rate one.")
]
Range = Annotated[str, typer.Option("--range", metavar="LOW:HIGH", help="What could be given, such as 1:5.")]
Overall = Annotated[str, typer.Option("--overall", metavar="COLUMN", help="The column of the overall rating.")]
Annotator = Annotated[
    str | None, typer.Option("--annotator", metavar="COLUMN", help="Who rated. Default: annotator, where it is there.")
]
OverOption = Annotated[
    Over, typer.Option("--over", help="items: each include is one; criteria: those inside the includes too.")
]
Conversations = Annotated[
    str | None,
    typer.Option("--conversations", help="What was scored: replies to one prompt then stay in one fold."),
]
MapOption = Annotated[
    str | None, typer.Option("--map", help="Which columns of the conversations hold what: reply=answer.")
]
Folds = Annotated[int, typer.Option("--folds", min=2, max=50, help="Parts of the cross-validation.")]
Seed = Annotated[int, typer.Option("--seed", help="Of the folds and of the starts.")]
Json = Annotated[bool, typer.Option("--json", help="For machines.")]


@app.command()
def weights(
    scores: Scores,
    ratings: Ratings,
    rubric: RubricOption,
    output: Output,
    range_: Range,
    overall: Overall = "rating",
    annotator: Annotator = None,
    kind: Annotated[Kind, typer.Option("--kind", help="linear: ridge regression; ordinal: proportional odds.")] = (
        Kind.linear
    ),
    allow_negative: Annotated[
        bool, typer.Option("--allow-negative", help="Let a criterion count against a reply that does well on it.")
    ] = False,
    over: OverOption = Over.items,
    conversations: Conversations = None,
    map_: MapOption = None,
    folds: Folds = 5,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Fit weights to people's overall ratings.

    Prints how well the fit predicts ratings of replies that it has not seen, beside the rubric as it is, and the lines
    to paste into the rubric.

    Example:  kardia fit weights scores.jsonl --ratings ratings.csv --range 1:5 --rubric supportiveness -o weights.json
    """
    from kardia.cli.fit_views import Asked, weights_view

    asked = Asked(scores, rubric, output, over.value, conversations, map_, folds, seed, as_json)
    weights_view(asked, ratings, range_, overall, annotator, kind.value, not allow_negative)


@app.command()
def gating(
    scores: Scores,
    pairs: Annotated[
        str, typer.Option("--pairs", help="CSV or JSONL with the columns chosen and rejected: ids of two replies.")
    ],
    conversations: Annotated[str, typer.Option("--conversations", help="What was scored; its prompts are read.")],
    rubric: RubricOption,
    output: Output,
    hidden: Annotated[int, typer.Option("--hidden", min=0, max=256, help="Hidden units; 0: a linear gate.")] = 8,
    encoder: Annotated[
        str, typer.Option("--encoder", help="What embeds prompts: a judge profile of the backend embedded.")
    ] = "embedded",
    over: OverOption = Over.items,
    map_: MapOption = None,
    folds: Folds = 5,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Fit weights that depend on the prompt, to choices between two replies to it.

    What values owe to the mere length of a reply is taken out first.

    Example:  kardia fit gating scores.jsonl --pairs pairs.csv --conversations talks.jsonl -r safety -o gate.json
    """
    from kardia.cli.fit_views import Asked, gating_view

    asked = Asked(scores, rubric, output, over.value, conversations, map_, folds, seed, as_json)
    gating_view(asked, pairs, encoder, hidden)


@app.command()
def calibration(
    scores: Scores,
    ratings: Ratings,
    rubric: RubricOption,
    output: Output,
    range_: Range,
    overall: Overall = "rating",
    annotator: Annotator = None,
    hidden: Annotated[int, typer.Option("--hidden", min=1, max=64, help="Hidden units of each network.")] = 8,
    conversations: Conversations = None,
    map_: MapOption = None,
    folds: Folds = 5,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Fit a small network that reads the judge's answer distributions, to people's overall ratings.

    Each annotator has parameters of their own; what scores is the average annotator.

    Example:  kardia fit calibration scores.jsonl --ratings ratings.csv --range 1:5 -r supportiveness -o network.json
    """
    from kardia.cli.fit_views import Asked, calibration_view

    asked = Asked(scores, rubric, output, "criteria", conversations, map_, folds, seed, as_json)
    calibration_view(asked, ratings, range_, overall, annotator, hidden)
