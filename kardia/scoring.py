"""Conversations + rubric + judge → scorecards."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import aclosing, closing
from pathlib import Path
from typing import Any

from kardia.conversation import Conversation
from kardia.engine import loop
from kardia.engine.pipeline import judged
from kardia.errors import ConversationError
from kardia.judge import Judge, JudgeProfile, load_judge
from kardia.judgment import Scorecard
from kardia.plan import Planner
from kardia.reading.rows import conversation_from_row
from kardia.rubric.loading import load_rubric
from kardia.rubric.rubric import Rubric
from kardia.scorecard import scorecard

__all__ = ["as_conversation", "ascore", "ascore_many", "score", "score_many"]

RubricLike = str | Path | Rubric
JudgeLike = str | Path | JudgeProfile | Judge | None
ConversationLike = Conversation | Mapping[str, Any]


def as_conversation(item: Any, number: int) -> Conversation:
    """A conversation, from itself or from a row; a row without an id is called `row:<number>`.

    Raises:
        ConversationError: where it is neither.
    """
    if isinstance(item, Conversation):
        if not any(message.role == "assistant" for message in item.messages):
            raise ConversationError(f"the conversation {item.id!r} has no reply by the assistant")
        return item
    if not isinstance(item, Mapping):
        raise ConversationError(f"row {number} is a {type(item).__name__}; a Conversation or a mapping was expected")
    return conversation_from_row(item, f"row:{number}")


def score(
    conversation: ConversationLike, rubric: RubricLike, judge: JudgeLike = None, *, text: bool = True
) -> Scorecard:
    """Scores one conversation.

    Args:
        conversation: a `Conversation`, or a row as a conversations file has it (`messages`, or `context` and
            `response`, …).
        rubric: a rubric, its name (`supportiveness@1`) or path.
        judge: a judge, its profile, name or path; None: `$KARDIA_JUDGE`, else `embedded`.
        text: whether the scorecard carries the judged text, the metadata, and the judge's words, which may quote it.

    Returns:
        the scorecard; its `score` is in [0, 1], or None where there is none.

    Raises:
        InputError: where rubric, judge or conversation are wrong.
        JudgeUnreachable: where the judge cannot be reached.

    >>> row = {"context": "My dog died this morning.", "response": "I'm so sorry. He was family."}
    >>> card = score(row, "supportiveness@1", "fake")
    >>> card.rubric, card.judge, card.status
    ('supportiveness@1.0.0', 'fake', 'scored')
    """
    with closing(score_many([conversation], rubric, judge, text=text)) as cards:
        return next(cards)


def score_many(
    conversations: Iterable[ConversationLike],
    rubric: RubricLike | Sequence[RubricLike],
    judge: JudgeLike = None,
    *,
    text: bool = True,
) -> Generator[Scorecard, None, None]:
    """Scores conversations as they come; see `score`.

    Usable anywhere: the work is done on kardia's own event loop, also where the caller has one running.

    Args:
        conversations: any iterable; it is read lazily.
        rubric: one, or several: then each conversation gets one scorecard for each, in this order.
        judge: as in `score`.
        text: as in `score`.

    Yields:
        scorecards in the order of the input, with a bounded number under way.

    >>> rows = [{"context": "I failed.", "response": "That hurts."}, {"context": "I won!", "response": "Wow!"}]
    >>> [card.id for card in score_many(rows, "safety@1", "fake")]
    ['row:1', 'row:2']
    """
    loaded = load_judge(judge)
    loop.close_later(loaded)
    try:
        yield from loop.iterate(ascore_many(conversations, rubric, loaded, text=text))
    finally:
        if loaded is not judge:
            loop.finish(loaded.aclose())


async def ascore(
    conversation: ConversationLike, rubric: RubricLike, judge: JudgeLike = None, *, text: bool = True
) -> Scorecard:
    """`score` for asynchronous code, on the caller's loop."""
    async with aclosing(ascore_many([conversation], rubric, judge, text=text)) as cards:
        return await cards.__anext__()


async def ascore_many(
    conversations: Iterable[ConversationLike],
    rubric: RubricLike | Sequence[RubricLike],
    judge: JudgeLike = None,
    *,
    text: bool = True,
) -> AsyncGenerator[Scorecard, None]:
    """`score_many` for asynchronous code, on the caller's loop. A judge that is built here is closed here."""
    loaded = load_judge(judge)
    listed = rubric if isinstance(rubric, Sequence) and not isinstance(rubric, str) else [rubric]
    planners = [Planner(load_rubric(item), loaded.profile, prompts=loaded.reads_prompts) for item in listed]

    def plans() -> Iterator[Any]:
        for number, item in enumerate(conversations, 1):
            known = as_conversation(item, number)
            for planner in planners:
                yield planner.plan(known)

    templates = {planner.rubric.ref: planner.template for planner in planners}
    try:
        async with aclosing(judged(plans(), loaded)) as answered:
            async for done in answered:
                yield scorecard(done, loaded.profile, templates[done.plan.rubric.ref], text=text)
    finally:
        if loaded is not judge:
            await loaded.aclose()
