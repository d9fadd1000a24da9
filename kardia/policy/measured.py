"""What was found of a policy's completions, and the files that keep it. Pure but for those."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from kardia.conversation import Conversation, Message
from kardia.files import partial_path, private_opener

__all__ = ["Measured", "Wrote", "load_rows", "load_talks", "talk_row", "write_rows"]

T = TypeVar("T", bound="Wrote | Measured")


@dataclass(frozen=True)
class Wrote:
    """One completion of a held-out prompt.

    Attributes:
        prompt: its id.
        sample: which one, from 0.
        text: as it was written; empty where the prompt was too long for the model.
        tokens: how many.
        truncated: whether it ended at the limit.
    """

    prompt: str
    sample: int
    text: str
    tokens: int
    truncated: bool


@dataclass(frozen=True)
class Measured:
    """One completion with all that was found of it. A number that could not be had is None.

    Attributes:
        prompt, sample, text, tokens, truncated: as in `Wrote`; of a talk with a seeker the last reply.
        reply: what the person reads of it.
        words: of the reply.
        kept: whether it keeps the format; None where there is none.
        fault: the first fault in its format, as a sentence.
        emotion: 1 where its emotion span is the row's label, else 0; None where there is none to be right about.
        reward, why: by the reward that is trained towards, and why there is none.
        terms: its terms.
        score, criteria: by the rubric, in [0, 1].
        second, second_criteria: by the rubric and the second judge.
        seeker: of a talk: `emotion` at its end, `turns`, `end`, `outcome`.
    """

    prompt: str
    sample: int
    text: str
    tokens: int
    truncated: bool
    reply: str
    words: int
    kept: bool | None = None
    fault: str | None = None
    emotion: float | None = None
    reward: float | None = None
    why: str | None = None
    terms: Mapping[str, float | None] = field(default_factory=dict)
    score: float | None = None
    criteria: Mapping[str, float | None] = field(default_factory=dict)
    second: float | None = None
    second_criteria: Mapping[str, float | None] = field(default_factory=dict)
    seeker: Mapping[str, Any] | None = None


def write_rows(path: Path, rows: Iterable[Wrote | Measured | Mapping[str, Any]]) -> None:
    """One row a line, readable by its owner alone; the file is there when it is whole."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    partial = partial_path(path)
    with open(partial, "w", encoding="utf-8", opener=private_opener) as stream:
        for row in rows:
            plain = row if isinstance(row, Mapping) else {name: getattr(row, name) for name in row.__dataclass_fields__}
            stream.write(json.dumps(plain, ensure_ascii=False) + "\n")
    partial.replace(path)


def load_rows(path: Path, kind: type[T]) -> list[T] | None:
    """The rows of such a file; None where there is none."""
    if not path.is_file():
        return None
    with path.open(encoding="utf-8") as stream:
        return [kind(**json.loads(line)) for line in stream]


def talk_row(talk: Conversation) -> dict[str, Any]:
    """A talk as a row that any command of kardia reads."""
    messages = [message.to_json() for message in talk.messages]
    return {"id": talk.id, "messages": messages, "metadata": dict(talk.metadata)}


def load_talks(path: Path) -> list[Conversation] | None:
    """The talks of a file of such rows; None where there is none."""
    if not path.is_file():
        return None
    with path.open(encoding="utf-8") as stream:
        rows = [json.loads(line) for line in stream]
    return [
        Conversation(
            row["id"], tuple(Message(each["role"], each["content"]) for each in row["messages"]), row["metadata"]
        )
        for row in rows
    ]
