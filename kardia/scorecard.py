"""Judgments → scorecard. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from kardia.aggregate import aggregate, apply_conditions
from kardia.answer import ANSWER_FORMAT
from kardia.byobject import by_object
from kardia.judge.ensemble import judge_provenance
from kardia.judge.profile import ENSEMBLES, JudgeProfile
from kardia.judge.protocol import Usage
from kardia.judgment import Scorecard
from kardia.learned import Beside
from kardia.plan import Judged
from kardia.prompt import Template
from kardia.rubric.rubric import Rubric
from kardia.version import __version__

__all__ = ["scorecard"]


def scorecard(
    done: Judged,
    profile: JudgeProfile,
    template: Template | None,
    *,
    text: bool = True,
    vectors: Mapping[str, Sequence[float]] | None = None,
    calibration: Mapping[str, Any] | None = None,
) -> Scorecard:
    """The scorecard of one conversation's judgments: conditions applied, aggregated, with its provenance.

    Args:
        done: what was judged.
        profile, template: by whom, and in which words.
        text: whether the card carries the judged text.
        vectors: what embeds the prompt → its vector (`kardia.vectors`); needed where a gating network weighs criteria.
        calibration: for the provenance, where the judge has one: `kardia.calibration.binding.Correction.provenance`.
    """
    plan = done.plan
    rubric = plan.rubric
    judgments = apply_conditions(rubric, done.judgments)
    beside = None if vectors is None else Beside(len(plan.target.text), vectors)
    outcome = aggregate(rubric, judgments, beside)
    if not text:
        judgments = {key: judgment.without_text() for key, judgment in judgments.items()}
    target = {"kind": plan.target.kind, "message": plan.target.message, "text": plan.target.text if text else None}
    guard = plan.guard
    if guard is not None and not text:
        from kardia.guard import without_text

        guard = without_text(guard)
    usage = _spent(done.usage)
    if done.usages:
        usage["criteria"] = {key: _spent(item) for key, item in done.usages.items()}
    ref, of_rubric = _of_rubric(plan.base)
    of_judge, sampling = _of_judge(profile)
    provenance = {
        "rubric": of_rubric,
        "instance": plan.instance,
        "template": None if template is None else _of_template(template),
        "judge": of_judge,
        "sampling": sampling,
        **({} if calibration is None else {"calibration": calibration}),
        "answer_format": ANSWER_FORMAT,
        "kardia": __version__,
    }
    conversation = plan.conversation
    return Scorecard(
        id=conversation.id,
        target=target,
        group=conversation.group,
        metadata=conversation.metadata if text else None,
        rubric=ref,
        judge=profile.name,
        status=outcome.status,
        score=outcome.score,
        vetoed_by=outcome.vetoed_by,
        criteria=judgments,
        usage=usage,
        provenance=provenance,
        guard=guard,
    )


def _spent(usage: Usage) -> dict[str, Any]:
    return {
        "requests": usage.requests,
        "attempts": usage.attempts,
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "cost": None if usage.cost is None else round(usage.cost, 9),
    }


# The parts of the provenance are the same objects in every card: built once, and read only.


@by_object(most=64)
def _of_rubric(base: Rubric) -> tuple[str, dict[str, Any]]:
    told: dict[str, Any] = {"name": base.name, "version": base.version, "hash": base.hash}
    if base.artifacts:
        told["learned"] = {name: learned.digest for name, learned in base.artifacts.items()}
    return base.ref, told


@by_object(most=64)
def _of_template(template: Template) -> dict[str, Any]:
    return {"name": template.name, "version": template.version, "hash": template.hash}


@by_object(most=64)
def _of_judge(profile: JudgeProfile) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """Who judged, and how it sampled; the members of an ensemble sample each in their own way."""
    single = profile.backend not in ENSEMBLES
    return judge_provenance(profile), profile.sampling.model_dump(mode="json") if single else None
