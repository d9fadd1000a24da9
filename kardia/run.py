"""A scoring run: a file in, scorecards out. Everything is validated before the first request."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from kardia.conversation import Conversation
from kardia.engine import loop
from kardia.errors import ConversationError, OutputError, RubricError
from kardia.files import private_opener
from kardia.judge import Judge, JudgeProfile, build_judge, default_judge, load_profile
from kardia.judgment import Scorecard
from kardia.output import rejected_path
from kardia.plan import Planner
from kardia.reading import Source, parse_map
from kardia.rubric.loading import instance_criteria, load_rubric
from kardia.rubric.rubric import Rubric
from kardia.scoring import score_many

__all__ = ["Estimate", "Run"]


@dataclass(frozen=True)
class Estimate:
    """What a run would ask. Tokens are guessed: four characters each; output at the profile's `max_tokens`."""

    conversations: int
    requests: int
    input_tokens: int
    output_tokens: int
    cost: float | None


@dataclass
class Run:
    """A run that passed the door: rubrics, judge, template and every row were read and found right."""

    source: Source
    rubrics: list[Rubric]
    profile: JudgeProfile
    judge: Judge | None
    text: bool
    total: int
    bad: int
    rejected: Path | None = field(default=None)

    @classmethod
    def prepare(
        cls,
        file: str,
        rubrics: Sequence[str],
        judge: str | None = None,
        *,
        overrides: Sequence[str] = (),
        mapping: str | None = None,
        limit: int | None = None,
        skip_bad: bool = False,
        text: bool = True,
        dry: bool = False,
    ) -> Run:
        """Reads and checks everything that a run needs; asks nothing of anybody.

        Args:
            file, rubrics, judge, overrides, mapping, limit, skip_bad, text: as on the command line.
            dry: whether the run will only be estimated: then no judge is built, and no key is needed.

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
        for rubric in loaded:
            Planner(rubric, profile, prompts=prompts)  # renders the template once, on trial

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
        return cls(source, loaded, profile, built, text, survey.good * len(loaded), survey.bad)

    def estimate(self) -> Estimate:
        """Plans everything, and counts."""
        prompts = self.profile.reads_prompts
        planners = [Planner(rubric, self.profile, prompts=prompts) for rubric in self.rubrics]
        conversations = requests = characters = 0
        for conversation in self.source.conversations():
            conversations += 1
            for planner in planners:
                planned = planner.plan(conversation).requests
                requests += len(planned)
                characters += sum(len(message.content) for request in planned for message in request.messages)
        tokens_in = characters // 4
        tokens_out = requests * (self.profile.sampling.max_tokens or 0) if prompts else 0
        return Estimate(conversations, requests, tokens_in, tokens_out, self.profile.price.cost(tokens_in, tokens_out))

    def cards(self) -> Iterator[Scorecard]:
        """The scorecards, in order: for each conversation one for each rubric.

        Raises:
            ValueError: for a run that was prepared `dry`.
        """
        if self.judge is None:
            raise ValueError("this run was prepared to be estimated only")
        try:
            yield from score_many(self.source.conversations(), self.rubrics, self.judge, text=self.text)
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
