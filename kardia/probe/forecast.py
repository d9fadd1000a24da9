"""What a run of probes would ask, of whom, and what of it the ledger holds. Nothing is written, nothing is sent."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from kardia.conversation import Conversation
from kardia.engine.key import answer_key, identity_of
from kardia.engine.ledger import Ledger, existing_ledger
from kardia.engine.place import ledger_place
from kardia.errors import KardiaError
from kardia.judge import JudgeProfile, build_judge
from kardia.judge.ensemble import asked_profiles, asks_at_most
from kardia.judge.protocol import Request
from kardia.plan import Planner
from kardia.probe.again import asked_again
from kardia.probe.design import Design
from kardia.probe.running import compares, scores
from kardia.rubric.rubric import Rubric

__all__ = ["Forecast", "forecast"]

_LOOKED_UP = 256


@dataclass(slots=True)
class Forecast:
    """What one judge would be asked. Tokens are guessed: four characters each; output at the profile's `max_tokens`.

    Attributes:
        profile: whose it is.
        requests: how many would be sent; those about pairs, two a pair, are among them.
        stored: how many more the ledger answers.
        input_tokens, output_tokens: of those that would be sent, without those about pairs.
        cost: by the profiles' prices; None where there are none.
        at_most: whether it may be less: a cascade asks its second judge only where the first is unsure.
    """

    profile: JudgeProfile
    requests: int = 0
    stored: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost: float | None = None
    at_most: bool = False

    def to_json(self) -> dict[str, object]:
        return {
            "judge": self.profile.name,
            "destination": self.profile.destination,
            "requests": self.requests,
            "stored": self.stored,
            "input_tokens": self.input_tokens,
            "output_tokens": self.output_tokens,
            "cost": self.cost,
            "at_most": self.at_most,
        }


def forecast(
    profile: JudgeProfile,
    design: Design,
    rubric: Rubric,
    names: Iterable[str],
    *,
    ledger: str | Path | Ledger | None = None,
    fresh: bool = False,
    order: bool = False,
) -> Forecast:
    """What a judge would be asked about a design.

    Args:
        profile: the judge's; it is built only to look into the ledger, and needs no key.
        design, rubric: what it would be asked about, and by what.
        names: of the probes.
        ledger, fresh, order: as when it is done.
    """
    wanted = set(names)
    found = Forecast(profile, at_most=asks_at_most(profile))
    known = None if fresh else existing_ledger(ledger)
    kept = not fresh and (isinstance(ledger, Ledger) or ledger_place(ledger)[0] is not None)
    if scores(profile) and (design.cases or "retest" in wanted):
        for asked in asked_profiles(profile):
            identity = _identity(asked, again=False) if kept else None
            _count(found, asked, rubric, design.texts, known, identity)
            if "retest" in wanted:
                identity = _identity(asked, again=True) if kept else None
                _count(found, asked, rubric, design.texts[: design.originals], known, identity)
    if "order" in wanted and compares(profile, profile.reads_prompts, order):
        found.requests += 2 * len(design.pairs)
    return found


def _count(
    found: Forecast,
    profile: JudgeProfile,
    rubric: Rubric,
    texts: Iterable[Conversation],
    ledger: Ledger | None,
    identity: bytes | None,
) -> None:
    planner = Planner(rubric, profile, prompts=profile.reads_prompts)
    seen: set[bytes] = set()
    requests = characters = 0
    for batch in _batches(planner, texts):
        keys = [None if identity is None else answer_key(request, identity) for request, _ in batch]
        held = ledger.holds([key for key in keys if key is not None]) if ledger is not None else set()
        for key, (_, size) in zip(keys, batch, strict=True):
            if key is not None:
                if key in seen:
                    continue  # the same question: the answer to the first is kept by then
                seen.add(key)
            if key in held:
                found.stored += 1
            else:
                requests += 1
                characters += size
    written = requests * (profile.sampling.max_tokens or 0) if profile.reads_prompts else 0
    found.requests += requests
    found.input_tokens += characters // 4
    found.output_tokens += written
    cost = profile.price.cost(characters // 4, written)
    if cost is not None:
        found.cost = (found.cost or 0.0) + cost


def _batches(planner: Planner, texts: Iterable[Conversation]) -> Iterator[list[tuple[Request, int]]]:
    batch: list[tuple[Request, int]] = []
    for text in texts:
        for request in planner.plan(text).requests:
            batch.append((request, sum(len(message.content) for message in request.messages)))
        if len(batch) >= _LOOKED_UP:
            yield batch
            batch = []
    if batch:
        yield batch


def _identity(profile: JudgeProfile, *, again: bool) -> bytes | None:
    """Under which the ledger knows a judge's answers; None where the judge cannot be built, for want of its key."""
    try:
        judge = build_judge(profile)
        return identity_of(asked_again(judge) if again else judge)
    except KardiaError:
        return None
