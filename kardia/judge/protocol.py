"""What a judge is: something that is handed requests and gives an answer to each.

One method. A judge either *says* something (`Said`: text that `kardia.judgment` parses strictly) or *knows* something
(`Known`: probabilities over levels, from a model that was never asked for words). A request that fails for good raises
`AnswerError`, which becomes an unscored judgment; a judge that cannot be reached raises `JudgeUnreachable`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, runtime_checkable

from kardia.conversation import Conversation, Target
from kardia.judge.profile import JudgeProfile
from kardia.rubric.models import Criterion, Level
from kardia.rubric.rubric import Rubric

__all__ = ["Answer", "ChatMessage", "Judge", "Known", "Opinion", "Request", "Said", "TokenChoice", "Usage"]


@dataclass(frozen=True, slots=True)
class ChatMessage:
    """One message of a rendered prompt."""

    role: Literal["system", "user", "assistant"]
    content: str


@dataclass(frozen=True, slots=True)
class Request:
    """One question to a judge.

    Attributes:
        conversation: what is judged.
        target: the part of it that is judged, as this request's criteria read it.
        rubric: where the criteria come from.
        criteria: what is asked: one criterion, or all of them in `all_criteria` mode.
        mode: how it is asked, as in the profile.
        sample: 0 for the first sample, then 1, 2, …
        messages: the rendered prompt; empty where the judge reads no words (`Judge.reads_prompts` is false).
        schema: the JSON Schema that the answer must obey; None in `logprob` mode.
        labels: in `logprob` mode, what the judge writes for each level: label → level.
        candidates: in `pairwise` and `groupwise` mode, the replies that are compared, in the order shown.
    """

    conversation: Conversation
    target: Target
    rubric: Rubric
    criteria: tuple[Criterion, ...]
    mode: str
    sample: int = 0
    messages: tuple[ChatMessage, ...] = ()
    schema: Mapping[str, Any] | None = None
    labels: Mapping[str, Level] | None = None
    candidates: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Usage:
    """What an answer cost: every attempt counts, the failed ones too.

    Attributes:
        requests: requests that were sent.
        attempts: answers that were read: 1, and 1 more each time that a malformed one was asked for again.
        input_tokens, output_tokens: as the endpoint reported them; 0 where it reports none.
        cost: in the profile's currency; None where the profile has no price.
    """

    requests: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost: float | None = None
    attempts: int = 0

    def __add__(self, other: Usage) -> Usage:
        cost = None if self.cost is None and other.cost is None else (self.cost or 0.0) + (other.cost or 0.0)
        return Usage(
            self.requests + other.requests,
            self.input_tokens + other.input_tokens,
            self.output_tokens + other.output_tokens,
            cost,
            self.attempts + other.attempts,
        )

    def shared_out(self, count: int) -> tuple[Usage, ...]:
        """What each of `count` judgments of one request took: tokens and cost evenly, what cannot be divided to the
        first; their sum is what the request took."""
        if count == 1:
            return (self,)
        cost = None if self.cost is None else self.cost / count
        return tuple(
            Usage(
                self.requests if not place else 0,
                self.input_tokens // count + (self.input_tokens % count if not place else 0),
                self.output_tokens // count + (self.output_tokens % count if not place else 0),
                cost,
                self.attempts if not place else 0,
            )
            for place in range(count)
        )


@dataclass(frozen=True, slots=True)
class TokenChoice:
    """One generated token: its text and the log-probabilities of its likeliest alternatives (itself included)."""

    token: str
    alternatives: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Said:
    """An answer in words.

    Attributes:
        text: what the judge wrote; None where it wrote nothing.
        refusal: its refusal, where the endpoint marks one.
        truncated: whether the endpoint cut the answer at its token limit.
        tokens: the tokens with their alternatives, where they were asked for and came.
        dropped: how many of the conversation's oldest messages the judge was not shown, for want of room.
    """

    text: str | None
    refusal: str | None = None
    truncated: bool = False
    tokens: tuple[TokenChoice, ...] | None = None
    usage: Usage = Usage()
    dropped: int = 0


@dataclass(frozen=True, slots=True)
class Opinion:
    """What a judge without words thinks of one criterion.

    Attributes:
        probabilities: level → probability, summing to 1; None where the judge abstains or could not.
        abstained: why it abstains, where it does.
        failed: why there is no opinion, where it could not form one.
    """

    probabilities: Mapping[Level, float] | None = None
    abstained: str | None = None
    failed: str | None = None


@dataclass(frozen=True, slots=True)
class Known:
    """An answer without words: criterion id → opinion, for every criterion of the request.

    Attributes:
        dropped: how many of the conversation's oldest messages the judge was not shown, for want of room.
    """

    opinions: Mapping[str, Opinion]
    usage: Usage = field(default=Usage())
    dropped: int = 0


Answer = Said | Known


@runtime_checkable
class Judge(Protocol):
    """Answers requests. Implement this to bring a judge of your own; `kardia.FakeJudge` is one in a page.

    Attributes:
        profile: who it is; goes into every scorecard.
        reads_prompts: whether requests need rendered messages.
        batch_size: how many requests it wants in one call of `answer`; 1 for endpoints.
        identity: optional: a text of everything beside the request that determines its answers. Answers of a judge
            without one are not stored, and equal requests are asked of it each time.
        most_requests: optional: how many requests one answer may take, for a run's budget; 1 where it is not there.
    """

    profile: JudgeProfile
    reads_prompts: bool
    batch_size: int

    async def answer(self, requests: Sequence[Request]) -> Sequence[Answer | Exception]:
        """One answer a request, in their order. An `AnswerError` in the list (or raised, for all of them) is one
        request's failure; `JudgeUnreachable` ends the run."""
        ...

    async def aclose(self) -> None:
        """Closes connections. Called once; the judge may be used again on another event loop afterwards."""
        ...
