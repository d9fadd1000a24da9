"""Conversation + rubric → requests. Pure: nothing is sent, nothing is read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from kardia.answer import answer_schema, unscored
from kardia.conversation import Conversation, Message, Target
from kardia.errors import ProfileError
from kardia.judge.labels import level_labels
from kardia.judge.profile import ENSEMBLES, JudgeProfile
from kardia.judge.protocol import ChatMessage, Request, Usage
from kardia.judgment import Judgment
from kardia.prompt import Template, load_template, question_variables, rubric_variables, shared_variables
from kardia.rubric.loading import instance_criteria
from kardia.rubric.models import Criterion
from kardia.rubric.rubric import Rubric, content_hash
from kardia.spans import target_of

__all__ = ["Judged", "Plan", "Planner"]

SCORING_MODES = ("per_criterion", "all_criteria", "logprob")
MAX_QUESTIONS = 4096

_CONVERSATION = {"background", "context", "target", "candidates"}
"""What a template is given of the conversation; where a question uses none of it, it is rendered once."""


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
        guard: what the injection guard says of it, for the scorecard; None where it was not asked.
    """

    conversation: Conversation
    rubric: Rubric
    base: Rubric
    target: Target
    requests: tuple[Request, ...]
    settled: Mapping[str, Judgment]
    instance: str | None = None
    guard: Mapping[str, Any] | None = None


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
        composite = profile.backend in ENSEMBLES
        if profile.mode not in SCORING_MODES and not composite:
            raise ProfileError(
                f"the mode {profile.mode} compares replies and scores none on its own; use one of "
                f"{', '.join(SCORING_MODES)} (kardia.judge_pair and kardia.judge_group compare)",
                file=profile.name,
                key="mode",
            )
        self.rubric = rubric
        self.profile = profile
        self.template: Template | None = None
        if prompts and not composite:
            self.template = load_template(profile.template_name, profile.mode)
        self._composite = composite
        self._mode = "all_criteria" if composite else profile.mode
        self._samples = 1 if composite else profile.sampling.samples
        self._layout = _layout(rubric)
        self._whole = "conversation" if rubric.target == "conversation" else "reply"
        self._questions: dict[tuple[str, ...], tuple[_Question, ...]] = {}
        self._system: tuple[Mapping[str, Any], ChatMessage] | None = None
        if self.template is not None:
            self.plan(_trial(rubric))

    def plan(self, conversation: Conversation) -> Plan:
        """The requests for one conversation.

        Raises:
            RubricError: where the row's own criteria are wrong.
        """
        rubric, instance, questions, layout = self.rubric, None, self._questions, self._layout
        own = conversation.metadata.get("rubric")
        if own is not None:
            criteria = instance_criteria(own, self.rubric)
            rubric = self.rubric.with_instance(criteria)
            instance = content_hash([item.model_dump(mode="json", exclude_defaults=True) for item in criteria])
            questions, layout = {}, _layout(rubric)
        settled: dict[str, Judgment] = {}
        targets: dict[str, Target] = {}
        asked: dict[str, list[Criterion]] = {}
        for criterion, reads, conditional in layout:
            if conditional and not _applies(criterion, conversation.metadata):
                why = f"the metadata does not meet {', '.join(criterion.only_if or ())}"
                settled[criterion.id] = Judgment(criterion.id, "not_applicable", error=why)
                continue
            target = targets.get(reads)
            if target is None:
                target = targets[reads] = target_of(conversation, reads, rubric.target)
            if target.missing is None:
                asked.setdefault(reads, []).append(criterion)
            else:
                settled[criterion.id] = unscored(criterion, target.missing)
        requests: list[Request] = []
        for reads, criteria_here in asked.items():
            requests += self._requests(conversation, rubric, targets[reads], tuple(criteria_here), questions)
        whole = targets.get(self._whole) or target_of(conversation, self._whole, rubric.target)
        return Plan(conversation, rubric, self.rubric, whole, tuple(requests), settled, instance)

    def requests_for(
        self, conversation: Conversation, rubric: Rubric, target: Target, criteria: Sequence[Criterion]
    ) -> list[Request]:
        """The requests for these criteria about this target, whatever the metadata says: for asking again in this
        profile's words what was planned for another.

        Args:
            conversation: what is judged.
            rubric: this planner's, or that with a row's own criteria.
            target: the part that is judged, as the criteria read it; there is one.
            criteria: some of the rubric's.

        Returns:
            in the order of `plan`: criteria first, samples of one criterion side by side.

        Raises:
            ProfileError: where the mode cannot hold one of the criteria.
        """
        questions = self._questions if rubric is self.rubric else {}
        return self._requests(conversation, rubric, target, tuple(criteria), questions)

    def _requests(
        self,
        conversation: Conversation,
        rubric: Rubric,
        target: Target,
        criteria: tuple[Criterion, ...],
        questions: dict[tuple[str, ...], tuple[_Question, ...]],
    ) -> list[Request]:
        mode, template, samples = self._mode, self.template, self._samples
        shared: dict[str, Any] = {}
        head = ""
        system: ChatMessage | None = None
        if template is not None:
            shared = shared_variables(rubric, mode, conversation, target)
            system = self._system_message(template, {"rubric": shared["rubric"], "mode": mode})
            head = template.render("shared", shared) + "\n\n"
        requests: list[Request] = []
        for question in self._asked(criteria, rubric, questions):
            messages: tuple[ChatMessage, ...] = ()
            if template is not None and system is not None:
                text = question.text
                if question.variables is not None:
                    text = template.render("question", {**shared, **question.variables})
                messages = (system, ChatMessage("user", head + text))
            for sample in range(samples):
                requests.append(
                    Request(
                        conversation,
                        target,
                        rubric,
                        question.criteria,
                        mode,
                        sample,
                        messages,
                        question.schema,
                        question.labels,
                    )
                )
        return requests

    def _system_message(self, template: Template, given: Mapping[str, Any]) -> ChatMessage:
        """One object for all requests; a rubric with a row's own criteria has the same title and description."""
        known = self._system
        if known is None or known[0] != given:
            known = self._system = (given, ChatMessage("system", template.render("system", given)))
        return known[1]

    def _asked(
        self, criteria: tuple[Criterion, ...], rubric: Rubric, questions: dict[tuple[str, ...], tuple[_Question, ...]]
    ) -> tuple[_Question, ...]:
        """One question for each criterion, or one for all."""
        key = tuple([criterion.id for criterion in criteria])
        known = questions.get(key)
        if known is None:
            if len(criteria) > 1 and self._mode != "all_criteria":
                known = tuple(item for criterion in criteria for item in self._asked((criterion,), rubric, questions))
            elif len(criteria) == 1 and self._is_known(criteria[0], rubric):
                known = self._asked((self.rubric.by_id[criteria[0].id],), self.rubric, self._questions)
            else:
                known = (self._question(criteria, rubric),)
            if len(questions) >= MAX_QUESTIONS:  # rows can meet conditions in many ways
                questions.clear()
            questions[key] = known
        return known

    def _is_known(self, criterion: Criterion, rubric: Rubric) -> bool:
        """Whether another rubric, such as this one with a row's own criteria, asks this planner's question."""
        mine = self.rubric
        return (
            rubric is not mine
            and mine.by_id.get(criterion.id) == criterion
            and mine.examples_of(criterion.id) == rubric.examples_of(criterion.id)
            and (mine.file.title, mine.file.description) == (rubric.file.title, rubric.file.description)
        )

    def _question(self, group: tuple[Criterion, ...], rubric: Rubric) -> _Question:
        if self._composite:
            return _Question(group)
        labels = self._labels(group[0]) if self._mode == "logprob" else None
        schema = answer_schema(group, self._mode)
        if self.template is None:
            return _Question(group, schema, labels)
        variables = question_variables(group, rubric, labels)
        if not _CONVERSATION.isdisjoint(self.template.uses["question"]):
            return _Question(group, schema, labels, variables)
        text = self.template.render("question", {**rubric_variables(rubric, self._mode), **variables})
        return _Question(group, schema, labels, text=text)

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
    """What is asked of every target alike: its text, or, where the template shows the target in it again, what the
    template is given of the criteria."""

    criteria: tuple[Criterion, ...]
    schema: Mapping[str, Any] | None = None
    labels: Mapping[str, Any] | None = None
    variables: Mapping[str, Any] | None = None
    text: str = ""


def _layout(rubric: Rubric) -> tuple[tuple[Criterion, str, bool], ...]:
    """Each criterion, what it reads, and whether it has a condition on the metadata."""
    return tuple((item, item.reads or "reply", item.only_if is not None) for item in rubric.criteria)


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
