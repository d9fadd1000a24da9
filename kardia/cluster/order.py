"""What an actor is told: names, not objects. It loads them as the driver did, and compares what it found."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from kardia.cluster.shard import Input
from kardia.errors import ClusterError
from kardia.judge import JudgeProfile, load_profile
from kardia.judge.ensemble import asked_profiles
from kardia.plan import Planner
from kardia.rubric.loading import load_rubric
from kardia.rubric.rubric import Rubric
from kardia.version import __version__

if TYPE_CHECKING:
    from kardia.guard import GuardMode

__all__ = ["Order", "contents", "environment_for"]

OPENAI_KEY = "OPENAI_API_KEY"
"""What the backend openai reads where its profile names nothing."""


@dataclass(frozen=True)
class Order:
    """A run, as its actors carry it out.

    Attributes:
        folder: the working directory, which all hosts have to see.
        environment: variables that the judge needs; never shown.
        rubrics, judge, overrides, mapping: as on the command line.
        inputs: the files.
        output: the folder of the parts.
        form: of the parts.
        ledger: a path, an address, or `off`.
        contents: what the driver loaded, by hash: see `contents`.
    """

    folder: str
    environment: Mapping[str, str] = field(repr=False)
    rubrics: tuple[str, ...]
    judge: str
    overrides: tuple[str, ...]
    mapping: str | None
    inputs: tuple[Input, ...]
    output: str
    form: str
    text: bool
    fresh: bool
    guard: GuardMode | None
    ledger: str = field(repr=False)
    max_requests: int | None
    max_cost: float | None
    contents: Mapping[str, Any]

    @property
    def capped(self) -> bool:
        return self.max_requests is not None or self.max_cost is not None

    def load(self) -> tuple[list[Rubric], JudgeProfile]:
        """On the actor's host: the rubrics and the judge's profile, the same as the driver's.

        Raises:
            InputError: where one is not to be found there.
            ClusterError: where it is there and is another one.
        """
        os.environ.update(self.environment)
        try:
            os.chdir(self.folder)
        except OSError:
            raise ClusterError(
                f"the host {socket.gethostname()} has no folder {self.folder}: all hosts of the cluster have to see "
                "the folder in which kardia is run"
            ) from None
        rubrics = [load_rubric(reference) for reference in self.rubrics]
        profile = load_profile(self.judge, self.overrides)
        here = contents(rubrics, profile)
        for name, there in self.contents.items():
            if here[name] != there:
                raise ClusterError(
                    f"on the host {socket.gethostname()}, {LABELS[name]} is another than where the run was started "
                    f"({shown(here[name])}, there {shown(there)})"
                )
        return rubrics, profile


LABELS = {
    "kardia": "the version of kardia",
    "rubrics": "a rubric",
    "judge": "the judge",
    "templates": "a prompt template",
}
"""What `contents` holds, for people."""


def contents(rubrics: Sequence[Rubric], profile: JudgeProfile) -> dict[str, Any]:
    """What moves a score, by hash: `kardia`, `rubrics`, `judge` and `templates`, each as JSON has it."""
    templates = {
        planner.template.name: planner.template.hash
        for asked in (profile, *asked_profiles(profile))
        for rubric in rubrics
        for planner in [Planner(rubric, asked, prompts=asked.reads_prompts)]
        if planner.template is not None
    }
    return {
        "kardia": __version__,
        "rubrics": {rubric.ref: rubric.hash for rubric in rubrics},
        "judge": {profile.name: profile.hash},
        "templates": templates,
    }


def shown(value: Any) -> str:
    """A part of `contents`, or a setting, in a sentence: hashes are cut short."""
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {shown(inner)}" for name, inner in value.items()) or "none"
    if isinstance(value, list):
        return ", ".join(map(shown, value)) or "none"
    if isinstance(value, str):
        known = value.removeprefix("sha256:")
        return known[:12] if len(known) == 64 else value
    return "none" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def environment_for(profile: JudgeProfile) -> dict[str, str]:
    """The variables of this process that a judge reads: the keys that its profiles name, and where kardia looks."""
    names = {"KARDIA_PATH"}
    for asked in asked_profiles(profile):
        if asked.api_key_env is not None:
            names.add(asked.api_key_env)
        elif asked.backend == "openai" and asked.base_url is None:
            names.add(OPENAI_KEY)
    return {name: os.environ[name] for name in sorted(names) if name in os.environ}
