"""The fake judge: deterministic, scripted or by function. For users' tests and kardia's own, and for trying a pipeline.

Its answers go the way of every judge's: text, parsed strictly.

>>> import kardia
>>> judge = kardia.FakeJudge({"reason": "Warm.", "evidence": [], "level": "yes"})
>>> judge.profile.name
'fake'
"""

from __future__ import annotations

import hashlib
import inspect
import json
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from kardia.judge.chat import endpoint_identity
from kardia.judge.profile import JudgeProfile
from kardia.judge.protocol import Answer, Known, Request, Said, TokenChoice, Usage
from kardia.rubric.models import Criterion, Level

__all__ = ["FakeJudge", "fake_level"]

Reply = str | Mapping[str, Any] | Said | Known | Exception
Script = Callable[[Request], Any] | Mapping[str, Any] | Sequence[Any] | str


def fake_level(criterion: Criterion, text: str, sample: int = 0) -> Level:
    """The level that the fake judge gives: from a hash of the criterion's id and the judged text, evenly over the
    scale."""
    digest = hashlib.sha256(f"kardia-fake\0{criterion.id}\0{sample}\0{text}".encode("utf-8", "surrogatepass")).digest()
    return criterion.levels[int.from_bytes(digest[:8], "big") % len(criterion.levels)]


class FakeJudge:
    """A judge without a model.

    Args:
        script: what it answers. None: a level from a hash of the text. A function of the request (also an async one)
            that returns text, a mapping (sent as JSON), an `Answer`, or an exception to fail with. A mapping or
            text: the same answer every time. A list: one answer after the other, by turns.
        profile: default: the shipped profile `fake`.

    Attributes:
        asked: every request that it was asked, in order.
        identity: what determines its answers beside the request; None where a script does.
    """

    reads_prompts = True

    def __init__(self, script: Script | None = None, *, profile: JudgeProfile | None = None) -> None:
        self.profile = profile or JudgeProfile(name="fake", backend="fake")
        if isinstance(script, Sequence) and not script:
            raise ValueError("a script needs at least one answer")
        self.script = script
        self.batch_size = 1
        self.asked: list[Request] = []
        self._turn = 0
        self.identity = endpoint_identity(self.profile, None) if script is None else None
        self._keeps = script is not None  # a million requests of a dry pipeline are not kept

    def __repr__(self) -> str:
        return f"FakeJudge({self.profile.name!r})"

    async def answer(self, requests: Sequence[Request]) -> Sequence[Answer | Exception]:
        return [await self._one(request) for request in requests]

    async def aclose(self) -> None:
        return None

    async def _one(self, request: Request) -> Answer | Exception:
        if self._keeps:
            self.asked.append(request)
        reply = self._scripted(request)
        if inspect.isawaitable(reply):
            reply = await reply
        if isinstance(reply, (Said, Known, Exception)):
            return reply
        text = reply if isinstance(reply, str) else json.dumps(reply, ensure_ascii=False)
        return Said(text, usage=Usage(requests=1))

    def _scripted(self, request: Request) -> Any:
        if self.script is None:
            return _from_hash(request)
        if callable(self.script):
            return self.script(request)
        if isinstance(self.script, (str, Mapping)):
            return self.script
        reply = self.script[self._turn % len(self.script)]
        self._turn += 1
        return reply


def _from_hash(request: Request) -> Any:
    text, sample = request.target.text, request.sample
    if request.mode == "logprob":
        return _logprob(request, fake_level(request.criteria[0], text, sample))
    if request.mode == "pairwise":
        first, second = (_digest(reply) for reply in request.candidates)
        return {"reason": _WORDS, "better": "tie" if first == second else "A" if first > second else "B"}
    if request.mode == "groupwise":
        order = sorted(
            range(len(request.candidates)),
            key=lambda place: _digest(request.candidates[place]),
        )
        return {"reason": _WORDS, "ranking": [f"R{place + 1}" for place in order]}
    verdicts: dict[str, Any] = {
        criterion.id: {"reason": _WORDS, "evidence": [], "level": fake_level(criterion, text, sample)}
        for criterion in request.criteria
    }
    return verdicts if request.mode == "all_criteria" else verdicts[request.criteria[0].id]


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


_WORDS = "A made-up level, from a hash of the text: the fake judge reads nothing."


def _logprob(request: Request, level: Level) -> Said:
    labels = request.labels or {}
    chosen = next(label for label, meant in labels.items() if meant == level)
    rest = 0.2 / max(1, len(labels) - 1)
    alternatives = {label: math.log(0.8 if label == chosen else rest) for label in labels}
    lead = f"Reason: {_WORDS}\nVerdict: "
    tokens = (TokenChoice(lead, {lead: 0.0}), TokenChoice(chosen, alternatives))
    return Said(lead + chosen, tokens=tokens, usage=Usage(requests=1))
