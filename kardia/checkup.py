"""One real request to a judge, and what is wrong with it in a sentence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kardia.answer import read_answer
from kardia.conversation import Conversation, Message
from kardia.engine import loop
from kardia.errors import AnswerError, JudgeUnreachable, TransientError
from kardia.judge import JudgeProfile, build_judge, load_profile
from kardia.judge.ensemble import asked_profiles
from kardia.judge.protocol import Answer, Judge, Request, Said
from kardia.plan import SCORING_MODES, Planner
from kardia.rubric.models import RubricFile
from kardia.rubric.rubric import Rubric

__all__ = ["CheckReport", "check_judge"]

_RUBRIC = {
    "name": "check",
    "version": "1.0.0",
    "title": "A check of the judge",
    "criteria": [
        {
            "id": "kind",
            "question": "How kind is the reply?",
            "scale": {"levels": {1: "It is cruel.", 2: "It is indifferent.", 3: "It is kind."}},
        }
    ],
    "examples": [
        {"context": "I lost my keys.", "reply": reply, "levels": {"kind": level}}
        for reply, level in (
            ("Oh no, what a nuisance. Can I help you look?", 3),
            ("That is annoying, I am sorry. Take a breath first.", 3),
            ("Keys are sold in shops.", 2),
            ("Noted.", 2),
            ("You are hopeless, as always.", 1),
            ("Serves you right, stupid.", 1),
        )
    ],
}
_CONVERSATION = Conversation(
    "check",
    (Message("user", "My cat is ill."), Message("assistant", "I am so sorry. How is she today?")),
)


@dataclass(frozen=True)
class CheckReport:
    """What a check found: whether the judge works, and sentences for people."""

    works: bool
    sentences: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        return {"works": self.works, "sentences": list(self.sentences)}


def check_judge(reference: str | Path, overrides: Sequence[str] = ()) -> CheckReport:
    """Loads a profile and sends it one request; a panel or a cascade: one to each of its judges.

    Raises:
        ProfileError: where the profile is wrong, or its key is not set.
        JudgeUnreachable: where nobody answers, the key is refused, or the model is unknown.
    """
    whole = load_profile(reference, overrides)
    reports = [_checked(profile) for profile in asked_profiles(whole)]
    return CheckReport(
        all(report.works for report in reports), tuple(said for item in reports for said in item.sentences)
    )


def _checked(profile: JudgeProfile) -> CheckReport:
    judge = build_judge(profile)
    mode = profile.mode if profile.mode in SCORING_MODES else "per_criterion"
    asked = profile if mode == profile.mode else profile.model_copy(update={"mode": mode, "template": None})
    rubric = Rubric(RubricFile.model_validate(_RUBRIC))
    request = Planner(rubric, asked, prompts=judge.reads_prompts).plan(_CONVERSATION).requests[0]
    try:
        answer = loop.run(_answer(judge, request))
    finally:
        loop.run(judge.aclose())
    where = f"{profile.name} ({profile.backend}, {profile.model or 'no model'}, {profile.destination})"
    if isinstance(answer, AnswerError):
        return CheckReport(False, (f"{where} refused the request: {answer}",))
    return _read(where, request, answer, judge)


async def _answer(judge: Judge, request: Request) -> Answer | AnswerError:
    try:
        answer = (await judge.answer([request]))[0]
    except AnswerError as problem:
        return problem
    if isinstance(answer, AnswerError):
        return answer
    if isinstance(answer, TransientError):
        what = "nobody answers" if answer.down else "it does not serve right now"
        hint = " (is the server running, and is base_url right?)" if answer.down else ""
        raise JudgeUnreachable(f"{judge.profile.name}: {what}: {answer}{hint}")
    if isinstance(answer, Exception):
        raise answer
    return answer


def _read(where: str, request: Request, answer: Answer, judge: Judge) -> CheckReport:
    judgment = read_answer(request, answer)[0][0]
    said = answer if isinstance(answer, Said) else None
    if request.mode == "logprob" and said is not None and said.tokens is None:
        why = "it sends no log-probabilities, which the mode logprob needs; use per_criterion, or another server"
        return CheckReport(False, (f"{where} answers, but {why}",))
    sentences: list[str] = []
    structured = getattr(judge, "structured", True)
    if said is not None and request.schema is not None and not structured:
        sentences.append("it does not know structured output (response_format); answers are parsed as plain JSON")
    if judgment.status == "abstained":
        return CheckReport(True, (f"{where} works; on the check's own criterion it abstains: {judgment.error}",))
    if judgment.status != "scored":
        hint = "" if structured else ": without structured output a larger model may be needed"
        return CheckReport(False, (f"{where} answers, but not in the form that is needed{hint}: {judgment.error}",))
    first = f"{where} works: it gave a kind reply level {judgment.level} of 1, 2, 3"
    return CheckReport(True, (first, *sentences))
