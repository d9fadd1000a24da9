"""A rubric tried on its own examples: what its author expected against what a judge gives.

Each example is judged by the rubric without that example and without the others of the same context, so that a judge
that compares with examples, or is shown them, is not asked to find a text that it was given.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kardia.conversation import Conversation, Message
from kardia.engine import loop
from kardia.engine.desks import Office, desk_for
from kardia.engine.ledger import open_ledger
from kardia.engine.pipeline import judged, window_of
from kardia.judge import Judge, load_judge
from kardia.judgment import Judgment
from kardia.plan import Judged, Plan, Planner
from kardia.rubric.models import Example, Level
from kardia.rubric.rubric import Rubric

__all__ = ["Trial", "TrialRow", "conversation_of", "try_rubric"]


@dataclass(frozen=True, slots=True)
class TrialRow:
    """One criterion of one example.

    Attributes:
        example: the example's number, from 1, in `rubric.examples`.
        criterion: full id.
        expected: the level that the author gave.
        judgment: what the judge gave.
        distance: |value expected − value got| in [0, 1]; None where the judge gave none.
    """

    example: int
    criterion: str
    expected: Level
    judgment: Judgment
    distance: float | None


@dataclass
class Trial:
    """All rows, and what they come to for each criterion."""

    rubric: Rubric
    rows: list[TrialRow] = field(default_factory=list)

    def of(self, criterion: str) -> list[TrialRow]:
        return [row for row in self.rows if row.criterion == criterion]

    def figures(self, criterion: str) -> dict[str, Any]:
        """count, scored, unscored, abstained, exact (share of the scored at the expected level), distance (its
        mean)."""
        rows = self.of(criterion)
        scored = [row for row in rows if row.distance is not None]
        exact = sum(row.judgment.level == row.expected for row in scored)
        return {
            "count": len(rows),
            "scored": len(scored),
            "unscored": sum(row.judgment.status == "unscored" for row in rows),
            "abstained": sum(row.judgment.status == "abstained" for row in rows),
            "exact": exact / len(scored) if scored else None,
            "distance": sum(row.distance or 0.0 for row in scored) / len(scored) if scored else None,
        }

    @property
    def exact(self) -> float | None:
        """The share of expected levels that the judge gave, over everything that it scored."""
        scored = [row for row in self.rows if row.distance is not None]
        return sum(row.judgment.level == row.expected for row in scored) / len(scored) if scored else None

    def to_json(self) -> dict[str, Any]:
        ids = [criterion.id for criterion in self.rubric.criteria]
        return {
            "rubric": self.rubric.ref,
            "exact": self.exact,
            "criteria": {key: self.figures(key) for key in ids if self.of(key)},
            "rows": [
                {
                    "example": row.example,
                    "criterion": row.criterion,
                    "expected": row.expected,
                    "got": row.judgment.level,
                    "status": row.judgment.status,
                    "reason": row.judgment.reason,
                    "error": row.judgment.error,
                }
                for row in self.rows
            ],
        }


def conversation_of(example: Example, number: int) -> Conversation:
    """An example as a conversation that ends with its reply."""
    if isinstance(example.context, str):
        before = [Message("user", example.context.strip())] if example.context.strip() else []
    else:
        before = [Message(message.role, message.content) for message in example.context]
    messages = (*before, Message("assistant", example.reply.strip()))
    return Conversation(f"example:{number}", messages, example.metadata)


def try_rubric(rubric: Rubric, judge: Any = None, ledger: str | Path | None = None) -> Trial:
    """Runs a rubric on its own examples.

    Args:
        rubric: whose examples are judged.
        judge, ledger: as in `kardia.score`.

    Raises:
        InputError: where rubric or judge are wrong.
        JudgeUnreachable: where the judge cannot be reached.
    """
    loaded: Judge = load_judge(judge)
    loop.close_later(loaded)
    Planner(rubric, loaded.profile, prompts=loaded.reads_prompts)
    trial = Trial(rubric)
    examples = rubric.examples

    def plans() -> Iterator[Plan]:
        planners: dict[str, Planner] = {}
        for number, example in enumerate(examples, 1):
            context = repr(example.context)
            if context not in planners:
                reduced = rubric.without_context_of(example)
                planners[context] = Planner(reduced, loaded.profile, prompts=loaded.reads_prompts)
            yield planners[context].plan(conversation_of(example, number))

    async def answered() -> AsyncGenerator[list[Judged], None]:
        desk = desk_for(loaded, Office(open_ledger(ledger)))
        window, how = window_of(loaded.profile.concurrency), loaded.profile.sampling.combine
        async with aclosing(judged(plans(), desk, window=window, how=how)) as chunks:
            async for chunk in chunks:
                yield chunk

    for number, done in enumerate(loop.iterate_chunks(answered()), 1):
        for key, expected in examples[number - 1].levels.items():
            judgment = done.judgments[key]
            distance = None
            criterion = rubric.by_id[key]
            if judgment.level is not None and expected in criterion.levels:
                distance = abs(criterion.value(judgment.level) - criterion.value(expected))
            trial.rows.append(TrialRow(number, key, expected, judgment, distance))
    return trial
