"""A scoring run: a file in, scorecards out. Everything is validated before the first request."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from kardia.calibration.binding import correction_of
from kardia.conversation import Conversation
from kardia.engine import loop
from kardia.engine.halt import Halt
from kardia.engine.key import answer_key, identity_of
from kardia.engine.ledger import Ledger, existing_ledger, open_ledger
from kardia.errors import ConversationError, KardiaError, OutputError, ProfileError, RubricError
from kardia.files import private_opener
from kardia.judge import Judge, JudgeProfile, build_judge, default_judge, load_profile
from kardia.judge.ensemble import asked_profiles, asks_at_most, members_of
from kardia.judgment import Scorecard
from kardia.output import rejected_path
from kardia.plan import Planner
from kardia.reading import Source, parse_map
from kardia.rubric.loading import instance_criteria, load_rubric
from kardia.rubric.rubric import Rubric
from kardia.scoring import Settings, budget_of, cards_of, warn_of_stale

__all__ = ["Estimate", "Run"]

LOOKED_UP = 256
"""Requests that are looked up in the ledger at a time."""


@dataclass(frozen=True)
class Estimate:
    """What a run would ask. Tokens are guessed: four characters each; output at the profile's `max_tokens`.

    Attributes:
        stored: how many requests the ledger answers; they are not among `requests`.
        at_most: whether it may be less: a cascade asks its second judge only where the first is unsure.
    """

    conversations: int
    requests: int
    input_tokens: int
    output_tokens: int
    cost: float | None
    stored: int = 0
    at_most: bool = False


@dataclass
class Run:
    """A run that passed the door: rubrics, judge, template and every row were read and found right."""

    source: Source
    rubrics: list[Rubric]
    profile: JudgeProfile
    judge: Judge | None
    settings: Settings
    total: int
    bad: int
    rejected: Path | None = field(default=None)

    @classmethod
    def prepare(
        cls,
        file: str | Sequence[str],
        rubrics: Sequence[str],
        judge: str | None = None,
        *,
        overrides: Sequence[str] = (),
        mapping: str | None = None,
        limit: int | None = None,
        skip_bad: bool = False,
        settings: Settings | None = None,
        dry: bool = False,
        strict: bool = False,
    ) -> Run:
        """Reads and checks everything that a run needs; asks nothing of anybody.

        Args:
            file, rubrics, judge, overrides, mapping, limit, skip_bad: as on the command line; several files are one
                input.
            settings: how it is done.
            dry: whether the run will only be estimated: then no judge is built, and no key is needed.
            strict: whether a calibration that does not hold is an error.

        Raises:
            InputError: with file, line and key.
        """
        loaded = [load_rubric(reference) for reference in rubrics]
        for number, rubric in enumerate(loaded):
            if any(rubric.ref == other.ref for other in loaded[:number]):
                raise RubricError(f"{rubric.ref} is given twice")
        profile = load_profile(judge or default_judge(), overrides)
        built = None if dry else build_judge(profile)
        prompts = profile.reads_prompts if built is None else built.reads_prompts
        settings = settings or Settings()
        for rubric in loaded:
            template = Planner(rubric, profile, prompts=prompts).template  # renders the template once, on trial
            correction = correction_of(rubric, profile, template)
            if strict and correction is not None and correction.why is not None:
                raise ProfileError(correction.why, file=correction.file)
            warn_of_stale(correction)
            for member in members_of(profile):
                Planner(rubric, member, prompts=member.reads_prompts)
        budget_of(profile, settings.max_requests, settings.max_cost)
        if not dry and not isinstance(settings.ledger, Ledger):
            settings.ledger = open_ledger(settings.ledger) or "off"  # a place that cannot hold one is told now

        def check(conversation: Conversation) -> None:
            own = conversation.metadata.get("rubric")
            if own is not None:
                for rubric in loaded:
                    try:
                        instance_criteria(own, rubric)
                    except RubricError as problem:
                        raise ConversationError(problem.message, key=problem.key) from None

        source = Source(
            file, mapping=parse_map(mapping) if mapping else None, skip_bad=skip_bad, limit=limit, check=check
        )
        survey = source.check()
        return cls(source, loaded, profile, built, settings, survey.good * len(loaded), survey.bad)

    @property
    def halt(self) -> Halt:
        """Asks the run to stop, once it is under way; from any thread."""
        if self.settings.halt is None:
            self.settings.halt = Halt()
        return self.settings.halt

    def estimate(self) -> Estimate:
        """Plans everything, and counts; what the ledger holds need not be asked. Nothing is written, nothing sent."""
        counts = [_Count(self, profile) for profile in asked_profiles(self.profile)]
        conversations = 0
        for conversation in self.source.conversations():
            conversations += 1
            for count in counts:
                count.add(conversation)
        for count in counts:
            count.look_up()
        costs = [count.cost for count in counts if count.cost is not None]
        return Estimate(
            conversations,
            sum(count.requests for count in counts),
            sum(count.characters for count in counts) // 4,
            sum(count.output_tokens for count in counts),
            sum(costs) if costs else None,
            sum(count.stored for count in counts),
            asks_at_most(self.profile),
        )

    def cards(self) -> Iterator[Scorecard]:
        """The scorecards, in order: for each conversation one for each rubric.

        Raises:
            ValueError: for a run that was prepared `dry`.
        """
        if self.judge is None:
            raise ValueError("this run was prepared to be estimated only")
        try:
            yield from cards_of(self.source.conversations(), self.rubrics, self.judge, self.settings)
        finally:
            loop.finish(self.judge.aclose())

    def write_rejected(self, output: str | None) -> None:
        """Lists the bad rows beside the output; nothing for stdout. An earlier list is removed."""
        if output is None or output == "-":
            return
        listed = rejected_path(output)
        try:
            if not self.bad:
                listed.unlink(missing_ok=True)
                return
            self.rejected = listed
            with open(self.rejected, "w", encoding="utf-8", opener=private_opener) as stream:
                for item in self.source.rejected():
                    stream.write(json.dumps(item, ensure_ascii=False) + "\n")
        except OSError as problem:
            raise OutputError(f"cannot be written: {problem.strerror or problem}", file=str(listed)) from None


class _Count:
    """What one judge would be asked."""

    def __init__(self, run: Run, profile: JudgeProfile) -> None:
        self.profile = profile
        self.requests = self.stored = self.characters = 0
        self._planners = [Planner(rubric, profile, prompts=profile.reads_prompts) for rubric in run.rubrics]
        self._ledger = None if run.settings.fresh else existing_ledger(run.settings.ledger)
        self._identity = None if self._ledger is None else _identity(profile)
        self._seen: list[tuple[bytes, int]] = []

    def add(self, conversation: Conversation) -> None:
        for planner in self._planners:
            for request in planner.plan(conversation).requests:
                size = sum(len(message.content) for message in request.messages)
                if self._identity is None:
                    self.requests += 1
                    self.characters += size
                    continue
                self._seen.append((answer_key(request, self._identity), size))
                if len(self._seen) >= LOOKED_UP:
                    self.look_up()

    def look_up(self) -> None:
        """Counts what was gathered: asked, unless it is stored."""
        known = self._ledger.holds([key for key, _ in self._seen]) if self._ledger is not None else set()
        for key, size in self._seen:
            if key in known:
                self.stored += 1
            else:
                self.requests += 1
                self.characters += size
        self._seen.clear()

    @property
    def output_tokens(self) -> int:
        return self.requests * (self.profile.sampling.max_tokens or 0) if self.profile.reads_prompts else 0

    @property
    def cost(self) -> float | None:
        return self.profile.price.cost(self.characters // 4, self.output_tokens)


def _identity(profile: JudgeProfile) -> bytes | None:
    """Under which the ledger knows a judge's answers; None where the judge cannot be built, for want of its key."""
    try:
        return identity_of(build_judge(profile))
    except KardiaError:
        return None
