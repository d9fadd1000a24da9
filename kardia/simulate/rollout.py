"""Many talks side by side: a policy is asked in batches, and so is the seeker's judge."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace

from kardia.conversation import Conversation, Message
from kardia.errors import InputError
from kardia.simulate.dialogue import Setting, setting_of
from kardia.simulate.difficulty import MEDIUM, Difficulty, DifficultyLike, difficulty_of
from kardia.simulate.persona import Persona
from kardia.simulate.seeker import Reaction, Seeker, Talk, advance, as_conversation, hears, left_alone, open_talk

__all__ = ["Case", "Policy", "cases_of", "reply_to", "rollout", "rollouts"]

Policy = Callable[[Sequence[Sequence[dict[str, str]]]], Awaitable[Sequence[str]]]
"""Takes conversations, each a list of messages with `role` and `content`, and gives one reply to each."""


@dataclass(frozen=True, slots=True)
class Case:
    """Whom a policy is to talk with.

    Attributes:
        persona, difficulty: who the seeker is.
        seed: tells seekers of the same persona apart.
        number: tells talks with the same seeker apart: the members of a group.
    """

    persona: Persona
    difficulty: Difficulty = MEDIUM
    seed: int = 0
    number: int = 0

    @property
    def group(self) -> str:
        """The same for all talks with the same seeker."""
        known = self.difficulty
        hard = "-".join(f"{round(100 * value)}" for value in known.model_dump().values())
        return f"{self.persona.name}:{hard}:{self.seed}"

    @property
    def id(self) -> str:
        return f"{self.group}:{self.number}"


def cases_of(
    personas: Iterable[Persona],
    difficulties: Iterable[DifficultyLike] = ("medium",),
    *,
    seeds: Sequence[int] = (0,),
    talks: int = 1,
) -> list[Case]:
    """Every persona at every difficulty with every seed, so many talks with each.

    Raises:
        InputError: where a difficulty is none.
    """
    hard = [difficulty_of(each) for each in difficulties]
    return [
        Case(persona, difficulty, seed, number)
        for persona in personas
        for difficulty in hard
        for seed in seeds
        for number in range(talks)
    ]


async def rollout(
    policy: Policy,
    cases: Iterable[Case],
    seeker: Seeker,
    *,
    setting: str | Setting = "training",
    system: str | None = None,
    side_by_side: int = 256,
) -> list[Conversation]:
    """`rollouts`, all of them, in the order of the cases."""
    listed = list(cases)
    found = {}
    async with aclosing(
        rollouts(policy, listed, seeker, setting=setting, system=system, side_by_side=side_by_side)
    ) as done:
        async for conversation in done:
            found[conversation.id] = conversation
    return [found[case.id] for case in listed]


async def rollouts(
    policy: Policy,
    cases: Iterable[Case],
    seeker: Seeker,
    *,
    setting: str | Setting = "training",
    system: str | None = None,
    side_by_side: int = 256,
) -> AsyncGenerator[Conversation, None]:
    """Has a policy talk with seekers, and yields each talk when it is over.

    A completion that says nothing — empty, or thinking alone — hurts as the worst reply does. A reply that cannot be
    scored ends its talk unscored.

    Args:
        policy: see `Policy`; it is handed all talks that are under way at once.
        cases: whom it talks with; no id twice.
        seeker: who reacts.
        setting: `training`, `evaluation`, or one's own.
        system: a system message for the policy, before everything that is said.
        side_by_side: how many talks are under way at a time.

    Raises:
        InputError: where the policy gives anything but one text a talk, or two cases are the same.
        JudgeUnreachable: where the seeker's judge cannot be reached; what was over is yielded already.
    """
    rules = setting_of(setting)
    waiting = _each_once(cases)
    under_way: list[tuple[Case, Talk]] = []
    while True:
        while len(under_way) < side_by_side and (case := next(waiting, None)) is not None:
            under_way.append((case, open_talk(case.persona, case.difficulty, rules, seed=case.seed, system=system)))
        if not under_way:
            return
        talks = [talk for _, talk in under_way]
        replies = await policy([_as_rows(talk) for talk in talks])
        moved = await reply_to(talks, _checked(replies, len(talks)), seeker)
        cases_here = [case for case, _ in under_way]
        under_way = []
        for case, talk in zip(cases_here, moved, strict=True):
            if talk.state.ended:
                yield as_conversation(talk, case.id, case.group)
            else:
                under_way.append((case, talk))


async def reply_to(talks: Sequence[Talk], replies: Sequence[str], seeker: Seeker) -> list[Talk]:
    """Each talk after a reply and the reaction to it; who was told nothing is not asked.

    Raises:
        JudgeUnreachable: where the seeker's judge cannot be reached.
    """
    told = [
        replace(talk, messages=(*talk.messages, Message("assistant", reply)))
        for talk, reply in zip(talks, replies, strict=True)
    ]
    asked = [place for place, reply in enumerate(replies) if hears(reply)]
    reactions: dict[int, Reaction] = {}
    if asked:
        answers = await seeker.respond([told[place] for place in asked])
        reactions.update(zip(asked, answers, strict=True))
    return [advance(talk, reactions.get(place) or left_alone(talk)) for place, talk in enumerate(told)]


def _as_rows(talk: Talk) -> list[dict[str, str]]:
    return [message.to_json() for message in talk.messages]


def _checked(replies: Sequence[str], count: int) -> Sequence[str]:
    if isinstance(replies, str) or len(replies) != count:
        given = "one text" if isinstance(replies, str) else f"{len(replies)} replies"
        raise InputError(f"the policy gave {given} for {count} talks; one reply to each was expected")
    for reply in replies:
        if not isinstance(reply, str):
            raise InputError(f"the policy gave a {type(reply).__name__}; a text was expected")
    return replies


def _each_once(cases: Iterable[Case]) -> Iterator[Case]:
    seen: set[str] = set()
    for case in cases:
        if case.id in seen:
            raise InputError(f"the case {case.id} stands here twice; give its talks different numbers")
        seen.add(case.id)
        yield case
