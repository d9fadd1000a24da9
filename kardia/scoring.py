"""Conversations + rubric + judge → scorecards."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import aclosing, closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kardia.calibration.binding import Correction, correction_of
from kardia.conversation import Conversation
from kardia.engine import loop
from kardia.engine.budget import Budget
from kardia.engine.desks import Office, desk_for
from kardia.engine.halt import Halt
from kardia.engine.ledger import Ledger, open_ledger
from kardia.engine.pipeline import judged, window_of
from kardia.errors import ConversationError, ProfileError
from kardia.judge import Judge, JudgeProfile, load_judge
from kardia.judge.ensemble import asked_profiles
from kardia.judge.profile import ENDPOINTS
from kardia.judgment import Scorecard
from kardia.plan import Judged, Plan, Planner
from kardia.reading.rows import conversation_from_row
from kardia.rubric.loading import load_rubric
from kardia.rubric.rubric import Rubric
from kardia.scorecard import scorecard
from kardia.vectors import PromptVectors, gated, prompt_text

if TYPE_CHECKING:
    from kardia.guard import GuardMode

__all__ = [
    "Settings",
    "acards_of",
    "as_conversation",
    "ascore",
    "ascore_many",
    "cards_of",
    "score",
    "score_many",
    "warn_of_stale",
]

_log = logging.getLogger("kardia")

RubricLike = str | Path | Rubric
JudgeLike = str | Path | JudgeProfile | Judge | None
ConversationLike = Conversation | Mapping[str, Any]


@dataclass
class Settings:
    """How a run is done, beside what is scored, by what and by whom; `score` and its kin make one of their keywords.

    Attributes:
        text: whether scorecards carry the judged text, the metadata, and the judge's words, which may quote it.
        ledger: where judgments are kept: a file, or `postgresql://user@host/database`; None: `$KARDIA_LEDGER`, else the
            user's data directory; "off": nowhere.
        fresh: whether everything is asked again; what comes of it is stored all the same.
        max_requests, max_cost: what the run may spend; `BudgetExhausted` once it is used up.
        guard: "flag" says on the scorecard where a reply addresses the judge; "unscore" does not score such a reply.
        budget: one that is shared with other runs, in place of one of its own.
        office: what the run's desks share; made when it starts.
        halt: a wish to stop, from another thread.
    """

    text: bool = True
    ledger: str | Path | Ledger | None = field(default=None, repr=False)  # an address may hold a password
    fresh: bool = False
    max_requests: int | None = None
    max_cost: float | None = None
    guard: GuardMode | None = None
    budget: Budget | None = None
    office: Office = field(default_factory=Office)
    halt: Halt | None = None


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
    conversation: ConversationLike,
    rubric: RubricLike,
    judge: JudgeLike = None,
    *,
    text: bool = True,
    ledger: str | Path | Ledger | None = None,
    fresh: bool = False,
    guard: GuardMode | None = None,
) -> Scorecard:
    """Scores one conversation.

    Args:
        conversation: a `Conversation`, or a row as a conversations file has it (`messages`, or `context` and
            `response`, …).
        rubric: a rubric, its name (`supportiveness@1`) or path.
        judge: a judge, its profile, name or path; None: `$KARDIA_JUDGE`, else `embedded`.
        text: whether the scorecard carries the judged text, the metadata, and the judge's words, which may quote it.
        ledger: a file in which judgments are kept and found again; None: `$KARDIA_LEDGER`, else the user's data
            directory; "off": nowhere.
        fresh: whether to ask again what the ledger holds.
        guard: "flag" says on the scorecard where a reply addresses the judge; "unscore" does not score such a reply.

    Returns:
        the scorecard; its `score` is in [0, 1], or None where there is none.

    Raises:
        InputError: where rubric, judge or conversation are wrong.
        JudgeUnreachable: where the judge cannot be reached.

    >>> row = {"context": "My dog died this morning.", "response": "I'm so sorry. He was family."}
    >>> card = score(row, "supportiveness@1", "fake", ledger="off")
    >>> card.rubric, card.judge, card.status
    ('supportiveness@1.0.0', 'fake', 'scored')
    """
    cards = score_many([conversation], rubric, judge, text=text, ledger=ledger, fresh=fresh, guard=guard)
    with closing(cards):
        return next(cards)


def score_many(
    conversations: Iterable[ConversationLike],
    rubric: RubricLike | Sequence[RubricLike],
    judge: JudgeLike = None,
    *,
    text: bool = True,
    ledger: str | Path | Ledger | None = None,
    fresh: bool = False,
    max_requests: int | None = None,
    max_cost: float | None = None,
    guard: GuardMode | None = None,
) -> Generator[Scorecard, None, None]:
    """Scores conversations as they come; see `score`.

    Usable anywhere: the work is done on kardia's own event loop, also where the caller has one running.

    Args:
        conversations: any iterable; it is read lazily.
        rubric: one, or several: then each conversation gets one scorecard for each, in this order.
        judge, text, ledger, fresh, guard: as in `score`.
        max_requests, max_cost: what the run may spend.

    Yields:
        scorecards in the order of the input, with a bounded number under way.

    Raises:
        BudgetExhausted: once the budget is used up; everything complete was yielded before.

    >>> rows = [{"context": "I failed.", "response": "That hurts."}, {"context": "I won!", "response": "Wow!"}]
    >>> [card.id for card in score_many(rows, "safety@1", "fake", ledger="off")]
    ['row:1', 'row:2']
    """
    settings = Settings(text, ledger, fresh, max_requests, max_cost, guard)
    return cards_of(conversations, rubric, judge, settings)


def cards_of(
    conversations: Iterable[ConversationLike],
    rubric: RubricLike | Sequence[RubricLike],
    judge: JudgeLike,
    settings: Settings,
) -> Generator[Scorecard, None, None]:
    """`score_many` with all its settings in one."""
    loaded = load_judge(judge)
    loop.close_later(loaded)
    try:
        yield from loop.iterate_chunks(acards_of(conversations, rubric, loaded, settings))
    finally:
        if loaded is not judge:
            loop.finish(loaded.aclose())


async def ascore(
    conversation: ConversationLike,
    rubric: RubricLike,
    judge: JudgeLike = None,
    *,
    text: bool = True,
    ledger: str | Path | Ledger | None = None,
    fresh: bool = False,
    guard: GuardMode | None = None,
) -> Scorecard:
    """`score` for asynchronous code, on the caller's loop."""
    cards = ascore_many([conversation], rubric, judge, text=text, ledger=ledger, fresh=fresh, guard=guard)
    async with aclosing(cards):
        return await cards.__anext__()


async def ascore_many(
    conversations: Iterable[ConversationLike],
    rubric: RubricLike | Sequence[RubricLike],
    judge: JudgeLike = None,
    *,
    text: bool = True,
    ledger: str | Path | Ledger | None = None,
    fresh: bool = False,
    max_requests: int | None = None,
    max_cost: float | None = None,
    guard: GuardMode | None = None,
) -> AsyncGenerator[Scorecard, None]:
    """`score_many` for asynchronous code, on the caller's loop. A judge that is built here is closed here."""
    loaded = load_judge(judge)
    settings = Settings(text, ledger, fresh, max_requests, max_cost, guard)
    try:
        async with aclosing(acards_of(conversations, rubric, loaded, settings)) as chunks:
            async for chunk in chunks:
                for card in chunk:
                    yield card
    finally:
        if loaded is not judge:
            await loaded.aclose()


async def acards_of(
    conversations: Iterable[ConversationLike],
    rubric: RubricLike | Sequence[RubricLike],
    judge: Judge,
    settings: Settings,
) -> AsyncGenerator[list[Scorecard], None]:
    """`cards_of` for asynchronous code, on the caller's loop: in order, as many at a time as are ready."""
    listed = rubric if isinstance(rubric, Sequence) and not isinstance(rubric, str) else [rubric]
    rubrics = [load_rubric(item) for item in listed]
    profile = judge.profile
    planners = [Planner(item, profile, prompts=judge.reads_prompts) for item in rubrics]
    office = settings.office
    office.fresh = settings.fresh
    office.budget = settings.budget or budget_of(profile, settings.max_requests, settings.max_cost)
    office.ledger = settings.ledger if isinstance(settings.ledger, Ledger) else open_ledger(settings.ledger)
    desk = desk_for(judge, office, rubrics)
    templates = {planner.rubric.ref: planner.template for planner in planners}
    prompts = PromptVectors.of(rubrics)
    corrections = {item.ref: correction_of(item, profile, templates[item.ref]) for item in rubrics}
    for item in rubrics:
        _warn_of_another_judge(item, profile)
        warn_of_stale(corrections[item.ref])
    guard = settings.guard

    def plans() -> Iterator[Plan]:
        for number, item in enumerate(conversations, 1):
            known = as_conversation(item, number)
            for planner in planners:
                plan = planner.plan(known)
                yield plan if guard is None else _guarded(plan, guard)

    window, how = window_of(profile.concurrency), profile.sampling.combine
    async with aclosing(judged(plans(), desk, window=window, how=how, halt=settings.halt)) as answered:
        async for chunk in answered:
            vectors = [None] * len(chunk) if prompts is None else await _vectors(prompts, chunk)
            yield [
                scorecard(
                    done if correction is None else correction.corrected(done),
                    profile,
                    templates[done.plan.rubric.ref],
                    text=settings.text,
                    vectors=known,
                    calibration=None if correction is None else correction.provenance,
                )
                for done, known in zip(chunk, vectors, strict=True)
                for correction in (corrections[done.plan.rubric.ref],)
            ]


async def _vectors(prompts: PromptVectors, chunk: Sequence[Judged]) -> list[Mapping[str, Sequence[float]] | None]:
    """What each one's prompt is to the encoders; None where its rubric weighs nothing by the prompt."""
    texts = [
        prompt_text(done.plan.conversation, done.plan.base.target) if gated(done.plan.base) else None for done in chunk
    ]
    found = await prompts.embed([text for text in texts if text is not None])
    return [None if text is None else found[text] for text in texts]


def _warn_of_another_judge(rubric: Rubric, profile: JudgeProfile) -> None:
    for name, learned in rubric.artifacts.items():
        fitted = learned.artifact.made.judge
        if fitted.get("hash") != profile.hash:
            _log.warning(
                "the aggregation of %s was fitted to the scores of %s; those of %s are another scale",
                name,
                _judge_text(fitted.get("name"), fitted.get("hash")),
                _judge_text(profile.name, profile.hash),
            )


_said: set[tuple[str, str]] = set()
"""What was said of calibrations that do not hold: a reward scores a batch at a time, and says it once."""


def warn_of_stale(correction: Correction | None) -> None:
    """Says that a calibration does not hold, once in this process."""
    if correction is None or correction.why is None:
        return
    sentence = (correction.file, correction.why)
    if sentence not in _said:
        _said.add(sentence)
        _log.warning("%s: %s", *sentence)


def _judge_text(name: str | None, digest: str | None) -> str:
    return f"{name or 'an unknown judge'} ({(digest or '?').removeprefix('sha256:')[:12]})"


def _guarded(plan: Plan, mode: GuardMode) -> Plan:
    from kardia.guard import guarded  # its phrases in many languages are compiled when they are first wanted

    passed, report = guarded(plan, mode)
    return replace(passed, guard=report)


def budget_of(profile: JudgeProfile, max_requests: int | None, max_cost: float | None) -> Budget | None:
    """The budget of a run; None where there is no cap.

    Raises:
        ProfileError: for a cap on money where a judge that is asked has no price.
    """
    if max_cost is not None:
        for asked in asked_profiles(profile):
            if asked.price.cost(1, 1) is None and asked.backend in ENDPOINTS:
                raise ProfileError(
                    "a cap on what a run costs needs the judge's price: set price.input_per_million and "
                    "price.output_per_million in its profile, or with --set",
                    file=asked.name,
                    key="price",
                )
    return None if max_requests is None and max_cost is None else Budget(max_requests, max_cost)
