"""Judgments → scorecard. Pure."""

from __future__ import annotations

from typing import Any

from kardia.aggregate import aggregate, apply_conditions
from kardia.answer import ANSWER_FORMAT
from kardia.judge.profile import JudgeProfile
from kardia.judgment import Scorecard
from kardia.plan import Judged
from kardia.version import __version__

__all__ = ["scorecard"]


def scorecard(done: Judged, profile: JudgeProfile, template: Any, *, text: bool = True) -> Scorecard:
    """The scorecard of one conversation's judgments: conditions applied, aggregated, with its provenance."""
    plan = done.plan
    rubric = plan.rubric
    judgments = apply_conditions(rubric, done.judgments)
    outcome = aggregate(rubric, judgments)
    if not text:
        judgments = {key: judgment.without_text() for key, judgment in judgments.items()}
    target = {"kind": plan.target.kind, "message": plan.target.message, "text": plan.target.text if text else None}
    usage = {
        "requests": done.usage.requests,
        "input_tokens": done.usage.input_tokens,
        "output_tokens": done.usage.output_tokens,
        "cost": None if done.usage.cost is None else round(done.usage.cost, 9),
    }
    provenance = {
        "rubric": {"name": rubric.name, "version": rubric.version, "hash": plan.base.hash},
        "instance": plan.instance,
        "template": None
        if template is None
        else {"name": template.name, "version": template.version, "hash": template.hash},
        "judge": {
            "name": profile.name,
            "backend": profile.backend,
            "model": profile.model,
            "mode": profile.mode,
            "hash": profile.hash,
        },
        "sampling": profile.sampling.model_dump(mode="json"),
        "answer_format": ANSWER_FORMAT,
        "kardia": __version__,
    }
    conversation = plan.conversation
    return Scorecard(
        id=conversation.id,
        target=target,
        group=conversation.group,
        metadata=conversation.metadata if text else None,
        rubric=rubric.ref,
        judge=profile.name,
        status=outcome.status,
        score=outcome.score,
        vetoed_by=outcome.vetoed_by,
        criteria=judgments,
        usage=usage,
        provenance=provenance,
    )
