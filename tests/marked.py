"""A judge that goes by marks in the reply, and a small rubric for it: rewards that a test knows beforehand."""

from __future__ import annotations

import asyncio
import textwrap
from pathlib import Path
from typing import Any

import pytest
from making import binary, make, ordinal

from kardia.errors import AnswerError, JudgeUnreachable
from kardia.judge.backends.fake import FakeJudge
from kardia.judge.protocol import Request
from kardia.reward.reward import Reward
from kardia.rubric.rubric import Rubric


def rubric() -> Rubric:
    """warmth from 1 to 5, clarity no or yes, and a veto on blames."""
    return make(ordinal("warmth"), binary("clear"), binary("blames", good="no", required={"else_score": 0}))


async def by_marks(request: Request) -> Any:
    """UNJUDGED: no answer; GONE: nobody is there; COLD: the lowest warmth; BLAMES: the veto; else the best of all."""
    await asyncio.sleep(0)
    text = request.target.text
    if "UNJUDGED" in text:
        return AnswerError("for a test")
    if "GONE" in text:
        return JudgeUnreachable("nobody is there")
    criterion = request.criteria[0]
    mark = {"warmth": "COLD", "blames": "BLAMES"}.get(criterion.id, "UNCLEAR")
    ranked = sorted(criterion.levels, key=criterion.value)
    return {"reason": "By its marks.", "evidence": [], "level": ranked[0 if mark in text else -1]}


def judge() -> FakeJudge:
    """A new one, which keeps what it was asked."""
    return FakeJudge(by_marks)


def own_file(path: Path, module: str, function: str, name: str, /, **options: Any) -> Path:
    """A user's file for a trainer, with the judge that goes by marks.

    Args:
        path: where it is written.
        module, function: what of `kardia.reward` makes the reward.
        name: what the trainer looks for in the file.
        options: of the function.
    """
    told = ", ".join(f"{key}={value!r}" for key, value in options.items())
    path.write_text(
        textwrap.dedent(f"""
            import marked
            from kardia.reward.{module} import {function}

            {name} = {function}(rubric=marked.rubric(), judge=marked.judge(), ledger="off", {told})
            """),
        "utf-8",
    )
    return path


def batch_sizes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many completions each call of a reward's judge is given, from now on."""
    sizes: list[int] = []
    real = Reward.ajudge

    async def counted(self: Reward, completions: Any) -> Any:
        sizes.append(len(completions))
        return await real(self, completions)

    monkeypatch.setattr(Reward, "ajudge", counted)
    return sizes
