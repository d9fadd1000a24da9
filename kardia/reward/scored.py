"""Scorecards and the conversations that they are of, put together: groups of scored replies."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from kardia.cardrow import card_row
from kardia.conversation import Conversation, Message
from kardia.errors import InputError
from kardia.judgment import CardStatus
from kardia.reading.files import open_rows, source_name
from kardia.reward.pairs import Group, Reply
from kardia.rubric.loading import wanted_rubric
from kardia.spans import context_of, target_of

__all__ = ["Grouped", "Keep", "Scored", "Scores", "group_replies", "read_scores"]

Keep = Literal["whole", "reply"]
"""What of an assistant's message is trained on: all of it, or what the person is meant to read."""


@dataclass(frozen=True, slots=True)
class Scored:
    """One scorecard, as far as pairs need it.

    Attributes:
        id, group: the conversation's.
        line: where it stands in the file.
        kind, message, text: its target; the text is None where the cards were written without.
        status, score, vetoed: as in `Reply`.
        flagged: whether the guard found that the text addresses the judge.
        instance: the hash of criteria of the row's own; None where it has none.
    """

    id: str
    group: str | None
    line: int
    kind: str
    message: int | None
    text: str | None
    status: CardStatus
    score: float | None
    vetoed: bool
    flagged: bool
    instance: str | None


@dataclass(slots=True)
class Scores:
    """The scorecards of one rubric and one judge.

    Attributes:
        file: where they were read from.
        rubric: `name@version`; `rubric_hash` its content's.
        judge: the profile's name; `judge_hash` its hash.
        by_id: id → scorecard, in the file's order.
    """

    file: str
    rubric: str = ""
    rubric_hash: str = ""
    judge: str = ""
    judge_hash: str = ""
    by_id: dict[str, Scored] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Grouped:
    """Groups of scored replies.

    Attributes:
        groups: in the order of the conversations.
        unscored: conversations that have no scorecard.
        parted: how many names of groups stand for more than one prompt: such a group is as many groups.
        bare: replies that no message goes before: there is no prompt to train on.
    """

    groups: tuple[Group, ...]
    unscored: int = 0
    parted: int = 0
    bare: int = 0


def read_scores(path: str | Path, rubric: str | None = None) -> Scores:
    """Reads the scorecards of one rubric, JSONL or Parquet, as `kardia score` writes them.

    Args:
        path: the file; `-` is stdin.
        rubric: which one, where the file holds several: a name, a name with a version, or a rubric's path.

    Raises:
        InputError: with file, line and key: what is no scorecard, a second judge, another content of the rubric, an id
            a second time; where the file holds none of this rubric, or several and none was named.
    """
    found = Scores(source_name(path))
    is_wanted = wanted_rubric(rubric)
    refs: dict[str, bool] = {}
    for raw in open_rows(path):
        row = card_row(raw, found.file)
        ref = row["rubric"]
        if ref not in refs:
            refs[ref] = is_wanted(ref)
        if refs[ref]:
            _add(found, raw.line, row)
    chosen = [ref for ref, wanted in refs.items() if wanted]
    if not refs:
        raise InputError("holds no scorecards", file=found.file)
    if not chosen:
        raise InputError(f"holds no scorecard of {rubric}; it holds those of {', '.join(refs)}", file=found.file)
    return found


def _add(found: Scores, line: int, row: Mapping[str, Any]) -> None:
    def fault(message: str, key: str) -> InputError:
        return InputError(message, file=found.file, line=line, key=key)

    provenance, target, guard = row["provenance"], row["target"], row.get("guard")
    rubric_hash, judge_hash = (str(provenance[key].get("hash")) for key in ("rubric", "judge"))
    if not found.by_id:
        found.rubric, found.rubric_hash = row["rubric"], rubric_hash
        found.judge, found.judge_hash = row["judge"], judge_hash
    if row["rubric"] != found.rubric:
        both = f"{found.rubric} and {row['rubric']}"
        raise fault(f"the file holds scorecards of {both}: say which with --rubric", "rubric")
    if rubric_hash != found.rubric_hash:
        message = f"was scored by {found.rubric} with another content than the cards before it; score again"
        raise fault(message, "provenance.rubric.hash")
    if (row["judge"], judge_hash) != (found.judge, found.judge_hash):
        before = f"those before it ({found.judge})"
        message = f"is by another judge ({row['judge']}) than {before}: the scores of two cannot be compared"
        raise fault(message, "provenance.judge")
    own_id = row["id"]
    if own_id in found.by_id:
        raise fault(f"the id {own_id!r} was there before, in line {found.by_id[own_id].line}", "id")
    instance = provenance.get("instance")
    found.by_id[own_id] = Scored(
        id=own_id,
        group=None if row.get("group") is None else str(row["group"]),
        line=line,
        kind=str(target.get("kind")),
        message=target.get("message"),
        text=target.get("text"),
        status=row["status"],
        score=None if row["score"] is None else float(row["score"]),
        vetoed=bool(row["vetoed_by"]),
        flagged=isinstance(guard, Mapping) and bool(guard.get("findings")),
        instance=None if instance is None else str(instance),
    )


def group_replies(
    scores: Scores, conversations: Iterable[Conversation], *, keep: Keep = "whole", source: str = "the data"
) -> Grouped:
    """Puts scorecards and conversations together, and the replies to one prompt into one group.

    A group is what has the same `group`, the same messages before the reply, and the same criteria of its own, where
    rows carry some. Where a row says no group, the same messages are enough.

    Args:
        scores: the scorecards; each must have its conversation.
        conversations: what was scored; there may be more.
        keep: what is trained on. `reply` takes thinking and spans out of the prompt's assistant messages as well.
        source: what an error calls the conversations' file.

    Raises:
        InputError: with file, line and key: a scorecard whose conversation is not there, or of another text.
    """
    members: dict[tuple[str | None, str | None, tuple[Message, ...]], list[Reply]] = {}
    prompts: dict[tuple[str | None, str | None], int] = {}
    seen: set[str] = set()
    unscored = bare = 0
    for conversation in conversations:
        card = scores.by_id.get(conversation.id)
        if card is None:
            unscored += 1
            continue
        seen.add(card.id)
        _check_same(card, conversation, scores.file, source)
        prompt, text = _taken(conversation, keep)
        if not prompt:
            bare += 1
            continue
        name = card.group if conversation.group is None else str(conversation.group)
        key = (name, card.instance, prompt)
        if key not in members:
            prompts[name, card.instance] = prompts.get((name, card.instance), 0) + 1
        reply = Reply(card.id, text, card.score, card.status, card.vetoed, card.flagged)
        members.setdefault(key, []).append(reply)
    for card in scores.by_id.values():
        if card.id not in seen:
            message = f"the conversation {card.id!r} is not in {source}: name the file that was scored"
            raise InputError(message, file=scores.file, line=card.line, key="id")
    groups = tuple(Group(name, prompt, tuple(replies)) for (name, _, prompt), replies in members.items())
    parted = sum(count > 1 for (name, _), count in prompts.items() if name is not None)
    return Grouped(groups, unscored, parted, bare)


def _check_same(card: Scored, conversation: Conversation, file: str, source: str) -> None:
    kind = "conversation" if card.kind == "conversation" else "reply"
    target = target_of(conversation, kind, kind)
    if (card.text is None or card.text == target.text) and card.message == target.message:
        return
    raise InputError(
        f"is not what {conversation.id!r} says in {source}: the two files do not belong together; name the file that "
        "was scored",
        file=file,
        line=card.line,
        key="target",
    )


def _taken(conversation: Conversation, keep: Keep) -> tuple[tuple[Message, ...], str]:
    """Prompt and text."""
    if keep == "reply":
        return context_of(conversation), target_of(conversation, "reply").text
    index = conversation.reply_index
    return conversation.messages[:index], conversation.messages[index].content
