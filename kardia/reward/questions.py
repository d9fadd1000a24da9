"""What of a completion is judged, and by which rubric; or why nothing can be. Pure."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from kardia.conversation import Conversation, Message
from kardia.errors import RubricError
from kardia.reward.completion import Completion, digest_of
from kardia.reward.row_rubric import row_rubric
from kardia.reward.term import Cards, RowCards
from kardia.rubric.loading import instance_criteria
from kardia.rubric.rubric import Rubric
from kardia.spans import split_reply

__all__ = ["Question", "Questions", "text_of"]


@dataclass(frozen=True, slots=True)
class Question:
    """A conversation, and the rubric that it is judged by. Equal ids are equal conversations."""

    conversation: Conversation
    rubric: Rubric


class Questions:
    """What cards are wanted of, for one batch: what its rows have in common is read once.

    Args:
        rubric_of: loads a rubric by its reference.
        own_columns: columns that a term reads its row's criteria from: what stands there is added to no other rubric.
        batch: all completions of the batch.
    """

    def __init__(
        self,
        rubric_of: Callable[[str | Rubric], Rubric],
        own_columns: Collection[str] = (),
        batch: Sequence[Completion] = (),
    ) -> None:
        self.rubric_of = rubric_of
        self.own_columns = own_columns
        self._batch = batch
        self._read: dict[tuple[Any, ...], Rubric | str] = {}

    def question(self, need: Cards | RowCards, completion: Completion) -> Question | str:
        """What is judged; or a sentence why nothing can be."""
        if isinstance(need, Cards):
            return self._by_rubric(need, completion)
        data = completion.metadata.get(need.column)
        if data is None:
            return f"the row has no criteria of its own under `{need.column}`"
        rubric = self._remembered(("row", need.how, need.weights, _text(data)), lambda: _row_rubric(need, data))
        if isinstance(rubric, str):
            return rubric
        conversation = completion.conversation
        rest = {name: value for name, value in conversation.metadata.items() if name not in (need.column, "rubric")}
        # it differs from the same text as another rubric judges it: that one is shown all metadata
        return Question(replace(conversation, id=f"{conversation.id}-row", metadata=rest), rubric)

    def _by_rubric(self, need: Cards, completion: Completion) -> Question | str:
        rubric = self.rubric_of(need.rubric)
        if need.of == "elsewhere":
            other = self._elsewhere.get(completion.group)
            if other is None:
                return "the batch has one prompt only, and there is nowhere else to put the reply"
            return Question(_moved(completion, other), rubric)
        judged = completion.conversation if need.of == "completion" else _reference_of(completion)
        if judged is None:
            return "the row has no `reference` reply"
        own = judged.metadata.get("rubric")
        if own is None:
            return Question(judged, rubric)
        if "rubric" in self.own_columns:
            rest = {name: value for name, value in judged.metadata.items() if name != "rubric"}
            return Question(replace(judged, metadata=rest), rubric)
        fault = self._remembered(("instance", rubric.hash, _text(own)), lambda: _instance_fault(own, rubric))
        return fault if isinstance(fault, str) else Question(judged, rubric)

    @cached_property
    def _elsewhere(self) -> dict[str, Completion]:
        return _next_groups(self._batch)

    def _remembered(self, key: tuple[Any, ...], make: Callable[[], Rubric | str]) -> Rubric | str:
        known = self._read.get(key)
        if known is None:
            known = self._read[key] = make()
        return known


def text_of(completion: Completion, what: str) -> str | None:
    """A text of a completion or of its row; None where there is none.

    Args:
        completion: where it is taken from.
        what: `reply`, `reference`, `gold` (the metadata's emotion) or `span:NAME`.
    """
    if what == "reference":
        return None if completion.reference is None else split_reply(completion.reference).reply
    if what == "gold":
        found = completion.metadata.get("emotion")
        return found if isinstance(found, str) else None
    if what.startswith("span:"):
        return split_reply(completion.text, (what[5:],)).spans.get(what[5:], "")
    return completion.parts.reply


def _reference_of(completion: Completion) -> Conversation | None:
    """The prompt with the reference reply as its answer."""
    if completion.reference is None:
        return None
    messages = (*completion.prompt, Message("assistant", completion.reference))
    # all completions of a row have the same one, and it is asked about once
    named = f"{completion.group}-{digest_of(messages, completion.metadata)}-reference"
    return replace(completion.conversation, id=named, messages=messages)


def _next_groups(batch: Sequence[Completion]) -> dict[str, Completion]:
    """Group → a completion of the group that comes after it in the batch, the last one's being the first's; nothing
    where there is one group only. All completions of a group are moved to the same place, so that they can be compared.
    """
    first: dict[str, Completion] = {}
    for completion in batch:
        first.setdefault(completion.group, completion)
    names = list(first)
    return {} if len(names) < 2 else {name: first[names[place % len(names)]] for place, name in enumerate(names, 1)}


def _moved(completion: Completion, other: Completion) -> Conversation:
    """The last message of a completion in answer to another one's prompt."""
    messages = (*other.prompt, completion.conversation.messages[-1])
    known = {name: value for name, value in other.metadata.items() if name != "rubric"}
    named = f"{other.group}-{digest_of(messages, known)}-elsewhere"
    return replace(other.conversation, id=named, messages=messages, metadata=known)


def _row_rubric(need: RowCards, data: Any) -> Rubric | str:
    try:
        return row_rubric(data, need.how, dict(need.weights), need.column)
    except RubricError as problem:
        return f"the row's criteria cannot be read: {problem}"


def _instance_fault(data: Any, rubric: Rubric) -> Rubric | str:
    """A sentence where a row's criteria cannot be added to a rubric; else the rubric as it is."""
    try:
        instance_criteria(data, rubric)
    except RubricError as problem:
        return f"the row's own criteria cannot be added to {rubric.ref}: {problem}"
    return rubric


def _text(data: Any) -> str:
    return data if isinstance(data, str) else json.dumps(data, sort_keys=True, default=str)
