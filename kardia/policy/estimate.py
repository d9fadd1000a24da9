"""What a training would ask of its judges, and where texts would go: counted, not asked.

Requests are planned for some of the prompts, with a made-up completion of the longest length, and multiplied; tokens
are guessed at four characters each. So it is an upper bound but for tokens of dense scripts: equal completions are
asked about once, vetoes settle some without asking, and what the ledger holds is not asked again.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from kardia.conversation import Conversation, Message
from kardia.errors import RubricError
from kardia.judge import JudgeProfile
from kardia.judge.ensemble import asked_profiles
from kardia.plan import Planner
from kardia.policy.data import Prompt
from kardia.policy.prepared import Prepared, profile_of
from kardia.reward.evidence import JudgeLike
from kardia.reward.row_rubric import row_rubric
from kardia.reward.term import Cards, Ranks, RowCards
from kardia.reward.terms.format import render_spans
from kardia.rubric.loading import load_rubric
from kardia.rubric.rubric import Rubric
from kardia.simulate.dialogue import EVALUATION, setting_of
from kardia.simulate.scripted import DEFAULT_RUBRIC

__all__ = ["Asked", "Estimate", "StagePlan", "estimate"]

SAMPLED = 16
"""Prompts whose requests are planned."""
CHARACTERS = 4
"""A token's."""


@dataclass(slots=True)
class Asked:
    """What one judge would be asked, at most.

    Attributes:
        judge: its profile.
        requests, input_tokens, output_tokens: at most.
    """

    judge: JudgeProfile
    requests: float = 0.0
    input_tokens: float = 0.0

    @property
    def output_tokens(self) -> float:
        return self.requests * (self.judge.sampling.max_tokens or 0) if self.judge.reads_prompts else 0.0

    @property
    def cost(self) -> float | None:
        """By the profile's prices; None where it has none."""
        return self.judge.price.cost(round(self.input_tokens), round(self.output_tokens))

    def to_json(self) -> dict[str, Any]:
        return {
            "judge": self.judge.name,
            "backend": self.judge.backend,
            "destination": self.judge.destination,
            "requests": round(self.requests),
            "input_tokens": round(self.input_tokens),
            "output_tokens": round(self.output_tokens),
            "cost": self.cost,
        }


@dataclass(frozen=True, slots=True)
class StagePlan:
    """A stage as it would run.

    Attributes:
        name: base | sft | before | grpo | after | stock | report.
        what: a sentence.
        completions: replies that the policy would write.
    """

    name: str
    what: str
    completions: int = 0


@dataclass
class Estimate:
    """What would run, and whom it would ask."""

    stages: list[StagePlan] = field(default_factory=list)
    asked: dict[str, Asked] = field(default_factory=dict)

    @property
    def cost(self) -> float | None:
        """Of all judges that have prices; None where none has."""
        known = [asked.cost for asked in self.asked.values() if asked.cost is not None]
        return math.fsum(known) if known else None

    def to_json(self) -> dict[str, Any]:
        return {
            "stages": [
                {"stage": each.name, "what": each.what, "completions": each.completions} for each in self.stages
            ],
            "judges": [asked.to_json() for asked in self.asked.values()],
            "cost": self.cost,
        }


def estimate(prepared: Prepared) -> Estimate:
    """Plans every stage. Nothing is written, nothing sent."""
    made = Estimate()
    counter = _Counter(prepared, made)
    recipe = prepared.recipe
    looks = _looks(prepared)
    told = recipe.evaluation if prepared.measures else None
    if told is not None and told.base and recipe.sft is not None:
        counter.measurement("base", "measures the policy as it comes")
    if recipe.sft is not None:
        counter.sft()
    if told is not None:
        counter.measurement("before", "measures it before GRPO" if recipe.grpo is not None else "measures it")
    if recipe.grpo is not None:
        counter.grpo(looks)
        if told is not None:
            counter.measurement("after", "measures it after GRPO")
    if told is not None and told.constant is not None and prepared.rubric is not None:
        counter.constant()
    made.stages.append(StagePlan("report", "writes the report"))
    return made


def _looks(prepared: Prepared) -> int:
    grpo = prepared.recipe.grpo
    return 0 if grpo is None or grpo.eval_steps is None else prepared.grpo_steps // grpo.eval_steps


class _Counter:
    def __init__(self, prepared: Prepared, made: Estimate) -> None:
        self.prepared = prepared
        self.made = made
        self.recipe = prepared.recipe
        limit = self.recipe.grpo.max_completion_length if self.recipe.grpo is not None else 512
        self.text = _made_up(limit * CHARACTERS, self.recipe.data.spans, self.recipe.data.tags)
        self.size: dict[tuple[str, str, str], dict[str, tuple[float, float]]] = {}

    def sft(self) -> None:
        told = self.recipe.sft
        assert told is not None
        size = len(self.prepared.demonstrations)
        what = f"learns {size:,} demonstrations, at most {self.prepared.sft_steps:,} steps of {told.batch_size:,}"
        looks = 0
        if told.until is not None:
            looks = math.ceil(self.prepared.sft_steps / told.until.every) * told.until.samples
            what += f", until {told.until.format:.0%} of sampled replies keep the format"
        self.made.stages.append(StagePlan("sft", what, looks))

    def grpo(self, looks: int) -> None:
        told = self.recipe.grpo
        assert told is not None
        steps, group = self.prepared.grpo_steps, told.num_generations
        completions = steps * told.prompts_per_step * group
        what = f"{steps:,} steps of {told.prompts_per_step:,} prompts with {group:,} completions each"
        if self.prepared.cast is not None:
            assert self.recipe.environment is not None
            turns = setting_of(self.recipe.environment.setting).most_turns
            self.talks(completions, turns)
            self.made.stages.append(StagePlan("grpo", f"{what}, talks of at most {turns} turns", completions))
            return
        extra = looks * min(len(self.prepared.held_out), self._most()) * group
        self.reward(completions + extra, (steps * told.prompts_per_step) + extra // group, self.prepared.train)
        self.made.stages.append(StagePlan("grpo", what, completions + extra))

    def measurement(self, name: str, what: str) -> None:
        told = self.recipe.evaluation
        assert told is not None
        if self.prepared.cast is not None:
            talks = len(self.prepared.cast.held_out) * max(1, told.prompts // len(self.prepared.cast.held_out))
            self.talks(talks, EVALUATION.most_turns)
            self._scored(talks)
            self.made.stages.append(StagePlan(name, f"{what}: {talks:,} talks with held-out seekers", talks))
            return
        prompts = min(told.prompts, len(self.prepared.held_out))
        replies = prompts * told.samples
        if self.prepared.spec is not None:
            self.reward(replies, prompts, self.prepared.held_out)
        self._scored(replies)
        self.made.stages.append(StagePlan(name, f"{what}: {replies:,} replies to {prompts:,} prompts", replies))

    def constant(self) -> None:
        told = self.recipe.evaluation
        assert told is not None
        assert told.constant is not None
        if self.prepared.cast is not None:
            return
        prompts = min(told.constant.prompts, told.prompts, len(self.prepared.held_out))
        self.scored(told.constant.candidates * prompts, self.prepared.judges.evaluation)
        what = f"gives each of {told.constant.candidates} of its replies to {prompts} prompts, as a stock reply"
        self.made.stages.append(StagePlan("stock", what))

    def reward(self, completions: int, groups: int, prompts: Sequence[Prompt]) -> None:
        """Each need of the reward's terms, once: equal needs of several terms are one."""
        spec, judges = self.prepared.spec, self.prepared.judges
        assert spec is not None
        for need in dict.fromkeys(need for term in spec.terms.values() for need in term.needs()):
            judge: JudgeLike = getattr(need, "judge", None) or judges.reward
            if isinstance(need, Cards):
                times = groups if need.of == "reference" else completions
                self.cards(times, load_rubric(need.rubric), judge, prompts)
            elif isinstance(need, RowCards):
                self.row_cards(completions, need, judge, prompts)
            elif isinstance(need, Ranks):
                self.ranks(groups, need, judge, completions / max(groups, 1))

    def talks(self, completions: int, turns: int) -> None:
        told, judge = self.recipe.environment, self.prepared.judges.reward
        assert told is not None
        if told.seeker == "scripted":
            self.cards(completions * turns, load_rubric(told.rubric or DEFAULT_RUBRIC), judge, ())
        else:
            asked = self._asked(profile_of(judge))
            asked.requests += completions * turns
            asked.input_tokens += completions * turns * (800 + turns * 100)

    def _scored(self, completions: int) -> None:
        judges = self.prepared.judges
        if self.prepared.rubric is None:
            return
        self.scored(completions, judges.evaluation)
        if judges.second is not None:
            self.scored(completions, judges.second)

    def scored(self, completions: int, judge: JudgeLike) -> None:
        assert self.prepared.rubric is not None
        self.cards(completions, self.prepared.rubric, judge, self.prepared.held_out)

    def cards(self, times: int, rubric: Rubric, judge: JudgeLike, prompts: Sequence[Prompt]) -> None:
        profile = profile_of(judge)
        key = (profile.hash, rubric.hash, str(id(prompts)))
        if key not in self.size:
            self.size[key] = {}
            for member in asked_profiles(profile):
                planner = Planner(rubric, member, prompts=member.reads_prompts)
                sizes = [_size(planner, conversation) for conversation in self._conversations(prompts)]
                self._asked(member)
                self.size[key][member.hash] = _mean(sizes)
        for member in asked_profiles(profile):
            requests, characters = self.size[key][member.hash]
            asked = self._asked(member)
            asked.requests += times * requests
            asked.input_tokens += times * characters / CHARACTERS

    def row_cards(self, times: int, need: RowCards, judge: JudgeLike, prompts: Sequence[Prompt]) -> None:
        for member in asked_profiles(profile_of(judge)):
            sizes: list[tuple[float, float]] = []
            for prompt, conversation in zip(_some(prompts), self._conversations(prompts), strict=False):
                try:
                    rubric = row_rubric(prompt.metadata.get(need.column), need.how)
                except RubricError:
                    continue  # the door has let it pass: such rows are left out
                rest = {
                    key: value for key, value in conversation.metadata.items() if key not in (need.column, "rubric")
                }
                bare = Conversation(conversation.id, conversation.messages, rest)
                sizes.append(_size(Planner(rubric, member, prompts=member.reads_prompts), bare))
            requests, characters = _mean(sizes)
            asked = self._asked(member)
            asked.requests += times * requests
            asked.input_tokens += times * characters / CHARACTERS

    def ranks(self, groups: int, need: Ranks, judge: JudgeLike, size: float) -> None:
        asked = self._asked(profile_of(judge))
        asked.requests += groups * need.orders
        asked.input_tokens += groups * need.orders * (size * len(self.text) / CHARACTERS + 400)

    def _conversations(self, prompts: Sequence[Prompt]) -> Iterator[Conversation]:
        for prompt in _some(prompts):
            yield Conversation(prompt.id, (*prompt.messages, Message("assistant", self.text)), prompt.metadata)
        if not prompts:
            yield Conversation("?", (Message("user", "x" * 800), Message("assistant", self.text)), {})

    def _asked(self, profile: JudgeProfile) -> Asked:
        return self.made.asked.setdefault(profile.hash, Asked(profile))

    def _most(self) -> int:
        return 0 if self.recipe.evaluation is None else self.recipe.evaluation.prompts


def _some(prompts: Sequence[Prompt]) -> Sequence[Prompt]:
    step = max(1, len(prompts) // SAMPLED)
    return prompts[::step][:SAMPLED]


def _size(planner: Planner, conversation: Conversation) -> tuple[float, float]:
    try:
        requests = planner.plan(conversation).requests
    except RubricError:  # the row's own criteria are another term's
        rest = {key: value for key, value in conversation.metadata.items() if key != "rubric"}
        requests = planner.plan(Conversation(conversation.id, conversation.messages, rest)).requests
    return float(len(requests)), float(sum(len(each.content) for request in requests for each in request.messages))


def _mean(sizes: Sequence[tuple[float, float]]) -> tuple[float, float]:
    if not sizes:
        return 0.0, 0.0
    return sum(each[0] for each in sizes) / len(sizes), sum(each[1] for each in sizes) / len(sizes)


def _made_up(characters: int, spans: Sequence[str] | None, tags: Any) -> str:
    """A completion as long as one can be, with every span, nearly all of it in the last."""
    words = "word " * (characters // 5 + 1)
    if spans is None:
        return words
    return render_spans({name: (words if name == spans[-1] else "word") for name in spans}, tags)
