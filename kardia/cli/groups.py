"""Scored groups for a command: read with their conversations, named, and counted in a table."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kardia.conversation import Conversation
    from kardia.reward.pairs import Group
    from kardia.reward.scored import Grouped, Keep, Scores

    Watch = Callable[[Scores, Iterable[Conversation]], Iterable[Conversation]]

__all__ = ["check_stdin", "named", "read_groups", "show_counts"]

NAMED = 5
"""So many groups are named."""


def check_stdin(scores: str, data: str) -> None:
    """Raises InputError where both files are to be read from stdin."""
    from kardia.errors import InputError

    if scores == data == "-":
        raise InputError("stdin cannot hold both the scorecards and the conversations", file="--data")


def read_groups(
    scores: str,
    data: str,
    rubric: str | None,
    mapping: str | None,
    *,
    keep: Keep = "whole",
    bare: str = "there is no prompt",
    watch: Watch | None = None,
) -> tuple[Scores, Grouped]:
    """Scorecards and their conversations, put together; what is left out is said on stderr.

    Args:
        scores, data, rubric, mapping: as on the command line.
        keep: what of a reply is kept.
        bare: why replies that answer nothing are of no use.
        watch: sees the conversations as they pass.
    """
    from kardia.cli.terminal import note
    from kardia.reading import Source, parse_map
    from kardia.reading.files import source_name
    from kardia.reward.scored import group_replies, read_scores

    found = read_scores(scores, rubric)
    # a row that cannot be read was not scored either; if one was, its scorecard misses it
    with Source(data, mapping=parse_map(mapping) if mapping else None, skip_bad=True) as source:
        survey = source.check()
        conversations: Iterable[Conversation] = source.conversations()
        if watch is not None:
            conversations = watch(found, conversations)
        grouped = group_replies(found, conversations, keep=keep, source=source_name(data))
    if survey.bad:
        note(f"{survey.bad:,} bad rows of {source_name(data)} are left out")
    if grouped.unscored:
        note(f"{grouped.unscored:,} conversations have no scorecard, and are left out")
    if grouped.bare:
        note(f"{grouped.bare:,} replies answer nothing, and are left out: {bare}")
    if grouped.parted:
        note(f"{grouped.parted:,} groups hold replies to different prompts; each prompt is a group of its own")
    return found, grouped


def named(groups: Sequence[Group]) -> str:
    """The first few groups by name, and how many more there are."""
    names = [group.name or f"that of {group.replies[0].id}" for group in groups[:NAMED]]
    more = len(groups) - len(names)
    return ", ".join(names) + (f", and {more:,} more" if more else "")


def show_counts(title: str, scores: Scores, rows: Sequence[tuple[str, str]]) -> None:
    """A table of counts on stderr."""
    from kardia.cli.terminal import stderr, table

    made = table(None, ("", "count"), ("count",))
    made.show_header = False
    for row in rows:
        made.add_row(*row)
    console = stderr()
    console.print(f"{title} · {scores.rubric} · judge {scores.judge}")
    console.print(made)
