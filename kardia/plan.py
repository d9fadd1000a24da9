"""Conversation + rubric → requests. Pure: nothing is sent, nothing is read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from kardia.answer import answer_schema, level_labels, unscored
from kardia.conversation import Conversation, Message, Target
from kardia.errors import ProfileError
from kardia.judge.profile import JudgeProfile
from kardia.judge.protocol import ChatMessage, Request, Usage
from kardia.judgment import Judgment
from kardia.prompt import Template, load_template, question_variables, shared_variables
from kardia.rubric.loading import instance_criteria
from kardia.rubric.models import Criterion
from kardia.rubric.rubric import Rubric, content_hash
from kardia.spans import target_of

__all__ = ["Judged", "Plan", "Planner"]

SCORING_MODES = ("per_criterion", "all_criteria", "logprob")


@dataclass(frozen=True, slots=True)
class Plan:
    """What is asked about one conversation, and what needs no asking.

    Attributes:
        conversation: what is judged.
        rubric: with the row's own criteria, where it carries some.
        base: the rubric without them.
        target: the part that is judged, for the scorecard.
        requests: in a fixed order: criteria first, samples of one criterion side by side.
        settled: criterion id → judgment without a judge: not applicable by metadata, or nothing there to judge.
        instance: the hash of the row's own criteria; None where it has none.
    """

    conversation: Conversation
    rubric: Rubric
    base: Rubric
    target: Target
    requests: tuple[Request, ...]
    settled: Mapping[str, Judgment]
    instance: str | None = None


@dataclass(frozen=True, slots=True)
class Judged:
    """A plan with its judgments.

    Attributes:
        judgments: criterion id → judgment, in the rubric's order.
        usage: what all its judgments took, whenever that was.
        usages: criterion id → what that judgment took; what one request for several criteria took is shared out evenly.
    """

    plan: Plan
    judgments: dict[str, Judgment]
    usage: Usage
    usages: Mapping[str, Usage] = field(default_factory=dict)


class Planner:
    """Plans requests for one rubric and one judge; what all conversations share is prepared once.

    Args:
        rubric: what is asked.
        profile: who is asked, and how.
        prompts: whether messages are rendered; judges without words need none.

    Raises:
        ProfileError: where the mode does not score conversations one by one, or cannot hold the rubric.
        TemplateError: where the template is not sound; a trial render finds out before anything is sent.
    """

    def __init__(self, rubric: Rubric, profile: JudgeProfile, *, prompts: bool = True) -> None:
        if profile.mode not in SCORING_MODES:
            raise ProfileError(
                f"the mode {profile.mode} compares replies and scores none on its own; use one of "
                f"{', '.join(SCORING_MODES)} (kardia.judge_pair and kardia.judge_group compare)",
                file=profile.name,
                key="mode",
            )
        self.rubric = rubric
        self.profile = profile
        self.template: Template | None = load_template(profile.template_name, profile.mode) if prompts else None
        self._questions: dict[tuple[str, ...], _Question] = {}
        if self.template is not None:
            self.plan(_trial(rubric))

    def plan(self, conversation: Conversation) -> Plan:
        """The requests for one conversation.

        Raises:
            RubricError: where the row's own criteria are wrong.
        """
        rubric, instance, questions = self.rubric, None, self._questions
        own = conversation.metadata.get("rubric")
        if own is not None:
            criteria = instance_criteria(own, self.rubric)
            rubric = self.rubric.with_instance(criteria)
            instance = content_hash([item.model_dump(mode="json", exclude_defaults=True) for item in criteria])
            questions = {}
        settled: dict[str, Judgment] = {}
        asked: dict[str, list[Criterion]] = {}
        targets: dict[str, Target] = {}
        for criterion in rubric.criteria:
            if not _applies(criterion, conversation.metadata):
                why = f"the metadata does not meet {', '.join(criterion.only_if or ())}"
                settled[criterion.id] = Judgment(criterion.id, "not_applicable", error=why)
                continue
            reads = criterion.reads or "reply"
            if reads not in targets:
                targets[reads] = target_of(conversation, reads, rubric.target)
            if targets[reads].missing is not None:
                settled[criterion.id] = unscored(criterion, targets[reads].missing or "")
                continue
            asked.setdefault(reads, []).append(criterion)
        requests: list[Request] = []
        for reads, criteria_here in asked.items():
            requests += self._requests(conversation, rubric, targets[reads], criteria_here, questions)
        whole = target_of(conversation, "conversation" if rubric.target == "conversation" else "reply", rubric.target)
        return Plan(conversation, rubric, self.rubric, whole, tuple(requests), settled, instance)

    def _requests(
        self,
        conversation: Conversation,
        rubric: Rubric,
        target: Target,
        criteria: Sequence[Criterion],
        questions: dict[tuple[str, ...], _Question],
    ) -> Iterator[Request]:
        mode = self.profile.mode
        shared: dict[str, Any] | None = None
        head = ""
        system = ""
        if self.template is not None:
            shared = shared_variables(rubric, mode, conversation, target)
            system = self.template.render("system", {key: shared[key] for key in ("rubric", "mode")})
            head = self.template.render("shared", shared)
        groups = [tuple(criteria)] if mode == "all_criteria" else [(criterion,) for criterion in criteria]
        for group in groups:
            question = self._question(group, rubric, questions)
            messages: tuple[ChatMessage, ...] = ()
            if self.template is not None and shared is not None:
                text = self.template.render("question", {**shared, **question.variables})
                messages = (ChatMessage("system", system), ChatMessage("user", head + "\n\n" + text))
            for sample in range(self.profile.sampling.samples):
                yield Request(
                    conversation, target, rubric, group, mode, sample, messages, question.schema, question.labels
                )

    def _question(
        self, group: tuple[Criterion, ...], rubric: Rubric, questions: dict[tuple[str, ...], _Question]
    ) -> _Question:
        key = tuple(criterion.id for criterion in group)
        known = questions.get(key)
        if known is None:
            labels = self._labels(group[0]) if self.profile.mode == "logprob" else None
            schema = answer_schema(group, self.profile.mode)
            known = questions[key] = _Question(question_variables(group, rubric, labels), schema, labels)
        return known

    def _labels(self, criterion: Criterion) -> Mapping[str, Any]:
        if criterion.not_relevant:
            raise ProfileError(
                f"logprob mode cannot ask {criterion.id}, which allows `not relevant`; use per_criterion",
                file=self.profile.name,
                key="mode",
            )
        try:
            return level_labels(criterion)
        except ValueError as problem:
            raise ProfileError(str(problem), file=self.profile.name, key="mode") from None


@dataclass(frozen=True, slots=True)
class _Question:
    variables: Mapping[str, Any]
    schema: Mapping[str, Any] | None
    labels: Mapping[str, Any] | None


def _applies(criterion: Criterion, metadata: Mapping[str, Any]) -> bool:
    if criterion.only_if is None:
        return True
    return all(_among(metadata.get(key), values) for key, values in criterion.only_if.items())


def _among(value: Any, wanted: Sequence[Any]) -> bool:
    if isinstance(value, (list, tuple)):  # several emotions in one row: any of them
        return any(_among(item, wanted) for item in value)
    return any(value == item and isinstance(value, bool) == isinstance(item, bool) for item in wanted) or (
        # a CSV knows only text: its 2 is the rubric's 2
        isinstance(value, str)
        and value.strip().lower() in {str(item).lower() for item in wanted if not isinstance(item, str)}
    )


def _trial(rubric: Rubric) -> Conversation:
    """A conversation that meets every condition and has every span: what a template must be able to render."""
    reads = {criterion.reads or "reply" for criterion in rubric.criteria} - {"reply", "conversation", "thinking"}
    names = sorted(reads | {"response"}) if reads else []
    reply = "<think>text</think>" + ("".join(f"<{name}>text</{name}>" for name in names) or "text")
    metadata: dict[str, Any] = dict.fromkeys(rubric.metadata, "text")
    wanted: dict[str, list[Any]] = {}
    for criterion in rubric.criteria:
        for key, values in (criterion.only_if or {}).items():
            wanted.setdefault(key, []).extend(values)
    metadata.update(wanted)
    metadata.pop("rubric", None)  # a row's own criteria stand there
    messages = (Message("user", "text"), Message("assistant", reply))
    return Conversation("trial", messages, metadata)
