"""The planned seeker: a language model plays the persona. It plans, then it speaks.

One request a turn, answered as one JSON object in this order: what the reply did to the person (`reason`), by how much
the emotion changes (`change`), whether they take leave (`goodbye`), what they say (`says`). RLVER plans and speaks in
two requests; that both come in one, the plan first, is kardia's own choice, and half the price.
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from kardia.answer import MAX_RAW, Malformed, load_object
from kardia.content import shipped
from kardia.conversation import Conversation, Target
from kardia.engine import loop
from kardia.engine.budget import Budget
from kardia.engine.desk import Desk
from kardia.errors import AnswerError, ProfileError
from kardia.fence import fence
from kardia.judge import Judge, load_judge
from kardia.judge.backends.fake import FakeJudge
from kardia.judge.protocol import Answer, ChatMessage, Request, Said, Usage
from kardia.judgment import RAW_MARK
from kardia.prompt import load_template
from kardia.rubric.blank import blank_rubric
from kardia.scoring import JudgeLike
from kardia.simulate.difficulty import Difficulty
from kardia.simulate.seeker import Reaction, Talk, hears

__all__ = ["MOST_CHANGE", "SCHEMA", "PlannedSeeker", "read_plan"]

MODE = "seeker"
MOST_CHANGE = 20
"""The most that a language model may say a reply changed, up or down; kardia's own bound."""
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "reason": {"type": "string", "description": "What the reply did to you, before the change."},
        "change": {"type": "integer", "enum": list(range(-MOST_CHANGE, MOST_CHANGE + 1))},
        "goodbye": {"type": "boolean"},
        "says": {"type": "string", "description": "Your next words."},
    },
    "required": ["reason", "change", "goodbye", "says"],
    "additionalProperties": False,
}

_REPAIR = (
    "That was not in the form that was asked for: {problem}. Answer again, with exactly one answer in the form that "
    "was asked for and nothing beside it."
)
_ABOUT: dict[str, tuple[str, str]] = {
    "openness": ("little that is good gets through to you", "what is good goes straight in"),
    "patience": ("weak replies hurt, and you soon go", "you forgive much and have time"),
    "ambiguity": ("you say and show what you feel", "you say little of it and hide what you feel"),
    "resistance": ("ordinary kindness helps you", "only a reply that meets you, and nobody else, helps you"),
}


class PlannedSeeker:
    """A seeker that a language model plays.

    Args:
        judge: a judge that writes: its profile names the model, how it samples and what it may be asked.
        template: a template in the manner of training/simulate/seeker.j2; None: that one.
        budget: what may be spent; None: as much as it takes.

    Raises:
        ProfileError: where the judge gives no words.
        TemplateError: where the template is not sound.
    """

    def __init__(self, judge: JudgeLike, *, template: str | Path | None = None, budget: Budget | None = None) -> None:
        self.judge: Judge = load_judge(judge)
        loop.close_later(self.judge)
        if not self.judge.reads_prompts:
            raise ProfileError(f"the judge {self.judge.profile.name} gives no words and cannot speak for anybody")
        if isinstance(self.judge, FakeJudge) and self.judge.script is None:
            raise ProfileError("the fake judge makes levels up and nothing else; give it a script to speak from")
        path = shipped("training") / "simulate" / "seeker.j2" if template is None else template
        self.template = load_template(str(path), MODE)
        self.budget = budget

    def __repr__(self) -> str:
        return f"PlannedSeeker({self.judge.profile.name!r})"

    async def respond(self, talks: Sequence[Talk]) -> list[Reaction]:
        """All are asked side by side. Who gives no well-formed answer, asked as often as the profile's `limits.reask`
        says, or refuses, has no reaction.

        Raises:
            JudgeUnreachable, BudgetExhausted: where asking on would be in vain.
        """
        desk = Desk(self.judge, budget=self.budget)
        turns = [
            _Turn(self._request(talk, number), talk.state.setting.goodbye_ends) for number, talk in enumerate(talks)
        ]
        for attempt in range(self.judge.profile.limits.reask + 1):
            open_ = [turn for turn in turns if turn.reaction is None]
            if not open_:
                break
            answers = await _answers(desk, [turn.request for turn in open_], again=attempt > 0)
            for turn, (answer, usage) in zip(open_, answers, strict=True):
                turn.read(answer, usage, again=attempt > 0)
        return [turn.final() for turn in turns]

    def _request(self, talk: Talk, number: int = 0) -> Request:
        variables = _variables(talk)
        system = self.template.render("system", {"mode": MODE})
        text = self.template.render("shared", variables) + "\n\n" + self.template.render("question", variables)
        messages = (ChatMessage("system", system), ChatMessage("user", text))
        conversation = Conversation(f"{talk.persona.name}:{talk.seed}:{number}:{talk.state.turn}", talk.messages)
        target = Target("reply", len(talk.messages) - 1, hears(talk.messages[-1].content))
        return Request(conversation, target, _NO_RUBRIC, (), MODE, talk.seed, messages, SCHEMA)


def read_plan(text: str) -> Reaction:
    """A reaction from a model's answer.

    Raises:
        Malformed: where it is not exactly what `SCHEMA` says.

    >>> read_plan('{"reason": "It heard me.", "change": 6, "goodbye": false, "says": "Yes."}').change
    6.0
    """
    data = load_object(text)
    if set(data) != set(SCHEMA["required"]):
        given = ", ".join(sorted(data))
        raise Malformed(f"the answer's keys are {given}; {', '.join(SCHEMA['required'])} were asked for")
    reason, change, goodbye, says = (data[name] for name in SCHEMA["required"])
    if not isinstance(reason, str) or not reason.strip():
        raise Malformed("the answer has no reason")
    if isinstance(change, float) and change.is_integer():
        change = int(change)  # 4.0 is a whole number in JSON
    if type(change) is not int or abs(change) > MOST_CHANGE:
        raise Malformed(f"the change is no whole number from {-MOST_CHANGE} to {MOST_CHANGE}")
    if type(goodbye) is not bool:
        raise Malformed("goodbye is neither true nor false")
    if not isinstance(says, str) or not says.strip():
        raise Malformed("the answer says nothing")
    return Reaction(float(change), _writable(says), goodbye, _writable(reason))


def _writable(text: str) -> str:
    """Half a surrogate pair, which JSON can spell, is no character: as UTF-8 it could not be written."""
    return text.strip().encode("utf-8", "replace").decode("utf-8")


class _Turn:
    """One seeker's turn, asked until there is a reaction or none is to be had."""

    def __init__(self, request: Request, may_leave: bool) -> None:
        self.request = request
        self.reaction: Reaction | None = None
        self._may_leave = may_leave
        self._first = request
        self._usage = Usage()
        self._why = ""

    def read(self, answer: Answer | AnswerError, usage: Usage, *, again: bool) -> None:
        """Takes an answer in: it is a reaction, or settles that there is none, or leads to another question."""
        self._usage += usage
        if isinstance(answer, AnswerError):
            self.reaction = Reaction(None, why=str(answer))
        elif not isinstance(answer, Said):
            self.reaction = Reaction(None, why="the judge gave no words")
        elif answer.refusal:
            self.reaction = Reaction(None, why=f"the judge refused{RAW_MARK}{answer.refusal[:MAX_RAW]}")
        else:
            try:
                plan = read_plan(answer.text or "")
            except Malformed as problem:
                cut = "the answer was cut off at its token limit, and " if answer.truncated else ""
                self._why = f"{cut}{problem}" + (f"{RAW_MARK}{answer.text[:MAX_RAW]}" if answer.text else "")
                if again:  # the same question once more, then one that says what was wrong
                    said = ChatMessage("assistant", answer.text or "(nothing)")
                    repair = ChatMessage("user", _REPAIR.format(problem=problem))
                    messages = (*self._first.messages, said, repair)
                    self.request = dataclasses.replace(self._first, messages=messages)
            else:
                self.reaction = dataclasses.replace(plan, goodbye=plan.goodbye and self._may_leave)

    def final(self) -> Reaction:
        """What came of it, with all that it took."""
        found = self.reaction or Reaction(None, why=self._why)
        return dataclasses.replace(found, usage=self._usage)


async def _answers(desk: Desk, requests: Sequence[Request], *, again: bool) -> list[tuple[Answer | AnswerError, Usage]]:
    """An answer to each request, or why there is none."""
    if desk.batch_size == 1:
        asked = (desk.answer(request, again=again) for request in requests)
        found = await asyncio.gather(*asked, return_exceptions=True)
        for each in found:
            if isinstance(each, BaseException):
                raise each
        return [each for each in found if not isinstance(each, BaseException)]
    told: list[tuple[Answer | AnswerError, Usage]] = []
    for start in range(0, len(requests), desk.batch_size):
        batch = requests[start : start + desk.batch_size]
        if desk.budget is not None:
            for _ in batch:
                await desk.budget.take(0.0)
                desk.budget.settle(0.0, 1, 0.0)
        try:
            answers = await desk.judge.answer(batch)
        except AnswerError as problem:
            answers = [problem] * len(batch)
        for answer in answers:
            if isinstance(answer, AnswerError):
                told.append((answer, Usage(requests=answer.requests)))
            elif isinstance(answer, Exception):
                raise answer
            else:
                told.append((answer, answer.usage))
    return told


def _variables(talk: Talk) -> dict[str, Any]:
    """What the template is given; every text is fenced. The state is part of `target`: it is what changes each turn,
    and stands last, so that caches of prefixes hit."""
    persona = talk.persona
    about = [
        ("profile", "", persona.profile),
        ("situation", "what has happened", persona.situation),
        ("emotion", "that you came with", persona.emotion),
        ("need", "what you need, and do not say", persona.hidden_need),
        ("helps", "what does you good", "\n".join(persona.helps)),
        ("hurts", "what makes it worse", "\n".join(persona.hurts)),
        ("temper", "how you are today", _temper(talk.difficulty)),
    ]
    said = [message for message in talk.messages[:-1] if message.role in ("user", "assistant")]
    context = [
        {
            "role": "you" if message.role == "user" else "other",
            "text": fence("you", message.content) if message.role == "user" else fence("other", hears(message.content)),
        }
        for message in said
    ]
    target = {
        "kind": "reply",
        "reads": "reply",
        "text": fence("reply", hears(talk.messages[-1].content)),
        "emotion": round(talk.state.emotion),
        "turn": talk.state.turn + 1,
        "may_leave": talk.state.setting.goodbye_ends,
    }
    background = [{"name": name, "about": text, "text": fence(name, value)} for name, text, value in about]
    return {"background": background, "context": context, "target": target, "mode": MODE}


def _temper(difficulty: Difficulty) -> str:
    given = difficulty.model_dump()
    return "\n".join(f"{name}: {given[name]:.2f} (0: {none}; 1: {all_})" for name, (none, all_) in _ABOUT.items())


_NO_RUBRIC = blank_rubric("seeker", "A seeker")
