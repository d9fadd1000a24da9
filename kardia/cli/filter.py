"""`kardia filter`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from enum import Enum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kardia.cli.options import DataMap

if TYPE_CHECKING:
    from kardia.conversation import Conversation
    from kardia.reward.filtering import Band, Filtered
    from kardia.reward.scored import Scores

__all__ = ["filter_prompts"]


class By(str, Enum):
    """By what prompts are ordered."""

    mean = "mean"
    best = "best"
    variance = "variance"


def filter_prompts(
    scores: Annotated[str, typer.Argument(metavar="SCORES", help="Scorecards of `kardia score`.")],
    data: Annotated[str, typer.Option("--data", help="The conversations that were scored.")],
    output: Annotated[str | None, typer.Option("-o", "--output", help="JSONL file. Default: stdout.")] = None,
    rubric: Annotated[
        str | None, typer.Option("--rubric", "-r", help="By whose scores, where the file holds several rubrics'.")
    ] = None,
    low: Annotated[float, typer.Option("--low", min=0, max=1, help="The quantile where the band begins.")] = 0.2,
    high: Annotated[float, typer.Option("--high", min=0, max=1, help="The quantile where it ends.")] = 0.8,
    by: Annotated[
        By, typer.Option("--by", help="Of what: of the replies' mean score, their best one, or their variance.")
    ] = By.mean,
    min_scored: Annotated[
        int, typer.Option("--min-scored", min=1, help="Drop prompts with fewer scored replies than this.")
    ] = 2,
    min_spread: Annotated[
        float,
        typer.Option(
            "--min-spread",
            min=0,
            help="Drop prompts whose scores have a smaller standard deviation; equal ones are dropped in any case.",
        ),
    ] = 0.0,
    partial: Annotated[
        bool, typer.Option("--partial", help="Also count scores that an unscored criterion is missing from.")
    ] = False,
    map_: DataMap = None,
) -> None:
    """Keep the prompts that a policy finds neither too easy nor too hard.

    Have the policy write several replies to each prompt, score them, and keep the prompts in the middle: rows to train
    on, as `kardia train` and TRL's GRPOTrainer take them. What is unscored does not count as low. Exit code 0: done; 1:
    nothing came out, and nothing is written; 2: input or configuration is wrong.

    Example:  kardia filter scores.jsonl --data conversations.jsonl -o prompts.jsonl
    """
    from kardia.cli.groups import check_stdin, read_groups
    from kardia.errors import InputError
    from kardia.reward.filtering import Band, filter_groups, prompt_rows
    from kardia.reward.rowfile import origin_of, write_rows

    if low >= high:
        raise InputError(
            f"is {low:g}, and --high {high:g}: a band goes from a lower quantile to a higher", file="--low"
        )
    check_stdin(scores, data)
    metadata: dict[str, Mapping[str, Any]] = {}

    def remembered(known: Scores, conversations: Iterable[Conversation]) -> Iterator[Conversation]:
        for conversation in conversations:
            if conversation.id in known.by_id:
                metadata[conversation.id] = conversation.metadata
            yield conversation

    found, grouped = read_groups(scores, data, rubric, map_, watch=remembered)
    band = Band(low, high, by.value, min_scored, min_spread, partial)
    filtered = filter_groups(grouped.groups, band)
    if filtered.kept:
        origin = {f"reward_{name}": value for name, value in origin_of(found).items()}
        write_rows(prompt_rows(filtered, metadata, origin), output, "jsonl", (scores, data))
    _show(filtered, band, found)
    if not filtered.kept:
        raise typer.Exit(1)


def _show(filtered: Filtered, band: Band, scores: Scores) -> None:
    from kardia.cli.groups import named, show_counts
    from kardia.cli.terminal import note, number

    measured = filtered.measured
    rows = [
        ("prompts", f"{len(measured) + len(filtered.few):,}"),
        ("kept", f"{len(filtered.kept):,}"),
        ("dropped: below the band", f"{len(filtered.below):,}"),
        ("dropped: above the band", f"{len(filtered.above):,}"),
        ("dropped: scores that do not differ", f"{len(filtered.dead):,}"),
        ("dropped: too few scored replies", f"{len(filtered.few):,}"),
        ("replies that do not count: unscored", f"{filtered.unscored:,}"),
    ]
    if filtered.cuts is not None:
        digits = 4 if band.by == "variance" else 3
        begins, ends = (number(cut, digits) for cut in filtered.cuts)
        rows += [
            (f"the band: {band.by}, quantiles {band.low:g} to {band.high:g}", f"{begins} – {ends}"),
            ("mean score of all", number(_mean([each.mean for each in measured]))),
        ]
    if filtered.kept:
        rows += [
            ("mean score of those kept", number(_mean([each.mean for each in filtered.kept]))),
            ("their mean standard deviation", number(_mean([each.std for each in filtered.kept]))),
        ]
    show_counts("filter", scores, rows)
    if filtered.few:
        note(f"fewer than {band.min_scored:,} scored replies have: {named(filtered.few)}")
    if not filtered.kept:
        note("no prompt is left, and nothing is written")


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)
