"""Replies against each other: pairwise, and a whole group ranked. Judgments of their own shape, always asked in both
orders.

A judge that changes its mind when the order changes has no preference: such a pair is a tie, marked as inconsistent.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from kardia.answer import MAX_RAW, Malformed, answer_schema, load_object
from kardia.conversation import Target
from kardia.engine import loop
from kardia.engine.desk import Desk
from kardia.errors import AnswerError, ConversationError, ProfileError
from kardia.judge import Judge, load_judge
from kardia.judge.profile import JudgeProfile
from kardia.judge.protocol import ChatMessage, Known, Request, Said, Usage
from kardia.judgment import RAW_MARK
from kardia.prompt import load_template, question_variables, shared_variables
from kardia.rubric.loading import load_rubric
from kardia.rubric.rubric import Rubric
from kardia.scoring import ConversationLike, JudgeLike, RubricLike, as_conversation
from kardia.spans import context_of, target_of

__all__ = ["GroupJudgment", "PairJudgment", "judge_group", "judge_pair"]

Better = Literal["first", "second", "tie"]


@dataclass(frozen=True, slots=True)
class PairJudgment:
    """Which of two replies is better.

    Attributes:
        ids: of the two conversations.
        status: `scored`, or `unscored` where an order has no answer.
        better: `first`, `second` or `tie`; None where unscored.
        consistent: whether both orders agree; None where unscored.
        reasons: the judge's words in the order (first, second), then in the order (second, first).
        error: why there is no answer.
        usage: what both orders cost.
    """

    ids: tuple[str, str]
    status: Literal["scored", "unscored"]
    better: Better | None
    consistent: bool | None
    reasons: tuple[str, ...]
    error: str | None
    usage: Usage


@dataclass(frozen=True, slots=True)
class GroupJudgment:
    """How a judge ranks the replies to one prompt.

    Attributes:
        ids: of the conversations, in the order given.
        status: `scored`, or `unscored` where an order has no answer.
        ranks: for each, its mean rank over both orders: 1 is best, equal ranks are ties; None where unscored.
        agreement: Kendall's τ-a between the two orders' rankings, in [−1, 1]; None where unscored.
        reasons: the judge's words, for each order.
        error: why there is no answer.
        usage: what both orders cost.
    """

    ids: tuple[str, ...]
    status: Literal["scored", "unscored"]
    ranks: tuple[float, ...] | None
    agreement: float | None
    reasons: tuple[str, ...]
    error: str | None
    usage: Usage


def judge_pair(
    first: ConversationLike, second: ConversationLike, rubric: RubricLike, judge: JudgeLike = None
) -> PairJudgment:
    """Asks which of two replies to the same context is better by a rubric, in both orders.

    Raises:
        ConversationError: where the two have different contexts.
        ProfileError: where the judge gives no words.
        JudgeUnreachable: where the judge cannot be reached.
    """
    comparison = _Comparison([first, second], rubric, judge, "pairwise")
    answers = comparison.ask([(0, 1), (1, 0)])
    if comparison.error is not None:
        return PairJudgment(
            comparison.pair, "unscored", None, None, tuple(comparison.reasons), comparison.error, comparison.usage
        )
    sides = {"A": 1, "B": -1, "tie": 0}
    forth, back = sides[answers[0]], -sides[answers[1]]
    better: Better = "tie" if forth != back or forth == 0 else ("first" if forth > 0 else "second")
    return PairJudgment(
        comparison.pair, "scored", better, forth == back, tuple(comparison.reasons), None, comparison.usage
    )


def judge_group(
    conversations: Sequence[ConversationLike], rubric: RubricLike, judge: JudgeLike = None
) -> GroupJudgment:
    """Ranks all replies to one context by a rubric: one request with all of them, and one in reversed order.

    Args:
        conversations: 2 to 26 of them, with the same context.

    Raises:
        ConversationError: where there are fewer than two or too many, or their contexts differ.
        ProfileError: where the judge gives no words.
        JudgeUnreachable: where the judge cannot be reached.
    """
    comparison = _Comparison(list(conversations), rubric, judge, "groupwise")
    size = len(comparison.conversations)
    forward = tuple(range(size))
    orders = [forward, forward[::-1]]
    answers = comparison.ask(orders)
    ids = tuple(conversation.id for conversation in comparison.conversations)
    reasons = tuple(comparison.reasons)
    if comparison.error is not None:
        return GroupJudgment(ids, "unscored", None, None, reasons, comparison.error, comparison.usage)
    places: list[list[int]] = []
    for order, ranking in zip(orders, answers, strict=True):
        rank_of = {order[int(name[1:]) - 1]: rank for rank, name in enumerate(ranking, 1)}
        places.append([rank_of[member] for member in range(size)])
    ranks = tuple((a + b) / 2 for a, b in zip(*places, strict=True))
    return GroupJudgment(ids, "scored", ranks, _tau(*places), reasons, None, comparison.usage)


def _tau(first: Sequence[int], second: Sequence[int]) -> float:
    pairs = [(i, j) for i in range(len(first)) for j in range(i)]
    agree = sum(1 if (first[i] < first[j]) == (second[i] < second[j]) else -1 for i, j in pairs)
    return agree / len(pairs)


class _Comparison:
    """The same replies, asked about in several orders."""

    def __init__(self, items: Sequence[ConversationLike], rubric: RubricLike, judge: JudgeLike, mode: str) -> None:
        self.conversations = [as_conversation(item, number) for number, item in enumerate(items, 1)]
        if not 2 <= len(self.conversations) <= 26:
            raise ConversationError(f"between 2 and 26 replies can be compared, not {len(self.conversations)}")
        contexts = [context_of(conversation) for conversation in self.conversations]
        for conversation, context in zip(self.conversations, contexts, strict=True):
            if context != contexts[0]:
                raise ConversationError(f"{conversation.id!r} does not answer the same context as the first")
        self.rubric: Rubric = load_rubric(rubric)
        self.judge: Judge = load_judge(judge)
        loop.close_later(self.judge)
        if not self.judge.reads_prompts:
            raise ProfileError(f"the judge {self.judge.profile.name} gives no words and cannot compare")
        profile: JudgeProfile = self.judge.profile
        self.mode = mode
        self.template = load_template(profile.template if profile.mode == mode and profile.template else mode, mode)
        self.targets = [target_of(conversation, "reply", "reply") for conversation in self.conversations]
        self.usage = Usage()
        self.reasons: list[str] = []
        self.error: str | None = None

    @property
    def pair(self) -> tuple[str, str]:
        return self.conversations[0].id, self.conversations[1].id

    def ask(self, orders: Sequence[tuple[int, ...]]) -> list[Any]:
        """The verdict of each order; `error` is set where one has none."""
        return loop.run(self._ask([self._request(order) for order in orders]))

    def _request(self, order: tuple[int, ...]) -> Request:
        texts = tuple(self.targets[place].text for place in order)
        conversation = self.conversations[order[0]]
        target = Target("reply", conversation.reply_index, texts[0])
        shared = shared_variables(self.rubric, self.mode, conversation, target, texts)
        question = question_variables(self.rubric.criteria, self.rubric)
        system = self.template.render("system", {key: shared[key] for key in ("rubric", "mode")})
        text = (
            self.template.render("shared", shared) + "\n\n" + self.template.render("question", {**shared, **question})
        )
        messages = (ChatMessage("system", system), ChatMessage("user", text))
        schema = answer_schema(self.rubric.criteria, self.mode, len(order))
        return Request(
            conversation, target, self.rubric, self.rubric.criteria, self.mode, 0, messages, schema, None, texts
        )

    async def _ask(self, requests: Sequence[Request]) -> list[Any]:
        desk = Desk(self.judge)
        verdicts: list[Any] = []
        for request in requests:
            verdict = None
            for _ in range(self.judge.profile.limits.reask + 1):
                answer, usage = await desk.answer(request)
                self.usage += usage
                if isinstance(answer, AnswerError):
                    self.error = str(answer)
                    break
                if isinstance(answer, Said) and answer.refusal:
                    self.error = f"the judge refused{RAW_MARK}{answer.refusal[:MAX_RAW]}"
                    break
                try:
                    verdict = self._verdict(answer, len(request.candidates))
                    self.error = None
                    break
                except Malformed as problem:
                    raw = answer.text if isinstance(answer, Said) else None
                    self.error = f"{problem}{RAW_MARK}{raw[:MAX_RAW]}" if raw else str(problem)
            if self.error is not None:
                return []
            verdicts.append(verdict)
        return verdicts

    def _verdict(self, answer: Said | Known, size: int) -> Any:
        if isinstance(answer, Known):
            raise Malformed("the judge gave no words")
        key = "better" if self.mode == "pairwise" else "ranking"
        data = load_object(answer.text or "")
        reason = data.get("reason")
        if not isinstance(reason, str) or not reason.strip():
            raise Malformed("the answer has no reason")
        if set(data) != {"reason", key}:
            raise Malformed(f"the answer's keys are {', '.join(sorted(data))}; reason and {key} were asked for")
        verdict = data[key]
        if key == "better":
            if verdict not in ("A", "B", "tie"):
                raise Malformed(f"{verdict!r} is none of A, B, tie")
        elif not isinstance(verdict, list) or sorted(map(str, verdict)) != sorted(f"R{n}" for n in range(1, size + 1)):
            raise Malformed("the ranking does not name every reply once")
        self.reasons.append(reason.strip())
        return verdict
