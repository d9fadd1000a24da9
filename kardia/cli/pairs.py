"""`kardia pairs`."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Annotated

import typer

from kardia.cli.options import DataMap

if TYPE_CHECKING:
    from kardia.reward.pairs import Pairing, Picked
    from kardia.reward.scored import Scores

__all__ = ["pairs"]


class Strategy(str, Enum):
    """Which replies of a group are compared."""

    best_worst = "best_worst"
    all = "all"
    adjacent = "adjacent"


class Vetoed(str, Enum):
    """What becomes of replies in which a requirement failed."""

    keep = "keep"
    drop = "drop"


class Kept(str, Enum):
    """What of a reply is trained on."""

    whole = "whole"
    reply = "reply"


class Format(str, Enum):
    """How rows are written."""

    jsonl = "jsonl"
    parquet = "parquet"


def pairs(
    scores: Annotated[str, typer.Argument(metavar="SCORES", help="Scorecards of `kardia score`.")],
    data: Annotated[str, typer.Option("--data", help="The conversations that were scored.")],
    output: Annotated[str | None, typer.Option("-o", "--output", help="File. Default: stdout.")] = None,
    rubric: Annotated[
        str | None, typer.Option("--rubric", "-r", help="By whose scores, where the file holds several rubrics'.")
    ] = None,
    format: Annotated[Format, typer.Option("--format", help="How the rows are written.")] = Format.jsonl,
    strategy: Annotated[
        Strategy | None,
        typer.Option(
            "--strategy",
            help="best_worst: one pair a group; all: each reply with each; adjacent: each with the next in rank. "
            "Default: best_worst.",
        ),
    ] = None,
    margin: Annotated[
        float | None, typer.Option("--margin", min=0, max=1, help="The least difference of scores. Default: 0.1.")
    ] = None,
    max_per_group: Annotated[
        int | None, typer.Option("--max-per-group", min=1, help="Only the N pairs with the widest margins of a group.")
    ] = None,
    max_length_ratio: Annotated[
        float | None,
        typer.Option("--max-length-ratio", min=0.01, help="Leave out where chosen is more than so many times longer."),
    ] = None,
    vetoed: Annotated[
        Vetoed | None,
        typer.Option("--vetoed", help="May a vetoed reply be rejected (keep, the default)? It is never chosen."),
    ] = None,
    partial: Annotated[
        bool, typer.Option("--partial", help="Also take scores that an unscored criterion is missing from.")
    ] = False,
    keep: Annotated[
        Kept, typer.Option("--keep", help="whole: what the policy wrote; reply: without thinking and spans.")
    ] = Kept.whole,
    best: Annotated[
        bool, typer.Option("--best", help="Write the best reply of each group instead, for supervised training.")
    ] = False,
    n: Annotated[
        int | None, typer.Option("--n", min=1, help="With --best: look only at the first N replies of a group.")
    ] = None,
    map_: DataMap = None,
) -> None:
    """Make preference pairs of scored groups, for DPO; or pick the best of each group.

    A group is the replies to one prompt. Rows are what TRL's DPOTrainer takes, with --best what its SFTTrainer takes.
    What is unscored is in no pair; what was vetoed is never chosen. Exit code 0: done; 1: nothing came out, and nothing
    is written; 2: input or configuration is wrong.

    Example:  kardia pairs scores.jsonl --data conversations.jsonl -o pairs.jsonl
    """
    from kardia.cli.groups import check_stdin, read_groups
    from kardia.errors import InputError
    from kardia.reward.pairs import MARGIN, Rules, pair_up, pick_best
    from kardia.reward.rowfile import completion_rows, preference_rows, write_rows

    of_pairs = {
        "--strategy": strategy,
        "--margin": margin,
        "--max-per-group": max_per_group,
        "--max-length-ratio": max_length_ratio,
        "--vetoed": vetoed,
    }
    for option, value in of_pairs.items():
        if best and value is not None:
            raise InputError("is about pairs: leave it out, or leave --best out", file=option)
    if n is not None and not best:
        raise InputError("goes with --best: pairs are made of whole groups", file="--n")
    check_stdin(scores, data)
    found, grouped = read_groups(scores, data, rubric, map_, keep=keep.value, bare="a pair needs a prompt")
    if best:
        picked = pick_best(grouped.groups, n, partial=partial)
        if picked.best:
            write_rows(completion_rows(picked, found), output, format.value, (scores, data))
        _show_picked(picked, found, n)
    else:
        rules = Rules(
            (strategy or Strategy.best_worst).value,
            MARGIN if margin is None else margin,
            max_per_group,
            max_length_ratio,
            partial,
            vetoed is not Vetoed.drop,
        )
        pairing = pair_up(grouped.groups, rules)
        if pairing.pairs:
            write_rows(preference_rows(pairing, found), output, format.value, (scores, data))
        _show_pairs(pairing, found)
    if not (picked.best if best else pairing.pairs):
        raise typer.Exit(1)


def _show_pairs(pairing: Pairing, scores: Scores) -> None:
    from kardia.cli.groups import show_counts
    from kardia.cli.terminal import note, number

    tally = pairing.tally
    chosen, rejected = pairing.lengths
    always = [
        ("groups", tally.groups),
        ("replies", tally.replies),
        ("pairs", tally.pairs),
        ("groups without a pair", tally.without),
        ("replies left out: unscored", tally.unscored),
        ("replies vetoed, never chosen", tally.vetoed + tally.dropped),
        ("pairs left out: ties", tally.ties),
    ]
    sometimes = [
        ("replies left out: partial (--partial takes them)", tally.partial),
        ("replies left out: no text", tally.blank),
        ("replies left out: vetoed", tally.dropped),
        ("pairs left out: the same text", tally.identical),
        ("pairs left out: chosen too much longer", tally.longer),
        ("pairs left out: beyond --max-per-group", tally.capped),
    ]
    rows = [(name, f"{count:,}") for name, count in always]
    rows += [(name, f"{count:,}") for name, count in sometimes if count]
    if pairing.pairs:
        longer = pairing.chosen_longer
        rows += [
            ("mean margin", number(pairing.margin)),
            ("mean length of chosen, characters", number(chosen, 1)),
            ("mean length of rejected, characters", number(rejected, 1)),
            ("share of pairs whose chosen is longer", number(longer)),
        ]
    show_counts("pairs", scores, rows)
    flagged = sum(pair.chosen.flagged for _, pair in pairing.pairs)
    if flagged:
        note(f"the guard flagged the chosen reply of {flagged:,} pairs: look at them before training")
    if not pairing.pairs:
        note("no pair came out, and nothing is written")


def _show_picked(picked: Picked, scores: Scores, n: int | None) -> None:
    from kardia.cli.groups import named, show_counts
    from kardia.cli.terminal import note, number

    length, first_length = picked.lengths
    rows = [
        ("groups", f"{len(picked.best) + len(picked.without):,}"),
        ("best replies", f"{len(picked.best):,}"),
        ("groups without one", f"{len(picked.without):,}"),
    ]
    if n is not None and picked.short:
        rows.append((f"groups of fewer than {n:,} replies", f"{picked.short:,}"))
    if picked.comparable:
        rows += [
            ("groups whose first reply has a score", f"{len(picked.comparable):,}"),
            ("mean score of their best", number(picked.score)),
            ("mean score of their first", number(picked.first_score)),
            ("mean length of their best, characters", number(length, 1)),
            ("mean length of their first, characters", number(first_length, 1)),
        ]
    show_counts("best of each group" if n is None else f"best of {n}", scores, rows)
    if picked.without:
        note(f"no reply is scored and not vetoed in: {named(picked.without)}")
    flagged = sum(best.reply.flagged for best in picked.best)
    if flagged:
        note(f"the guard flagged {flagged:,} of the best replies: look at them before training")
    if not picked.best:
        note("there is no best reply, and nothing is written")
