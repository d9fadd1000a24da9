"""Judges: who answers, by name, path or object."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from kardia.errors import ProfileError
from kardia.judge.profile import ENSEMBLES, JudgeProfile, load_profile, profile_names
from kardia.judge.protocol import Judge

__all__ = [
    "DEFAULT_JUDGE",
    "Judge",
    "JudgeProfile",
    "build_judge",
    "default_judge",
    "load_judge",
    "load_profile",
    "profile_names",
]

DEFAULT_JUDGE = "embedded"


def default_judge() -> str:
    """The judge where none is named: `$KARDIA_JUDGE`, else `embedded`."""
    return os.environ.get("KARDIA_JUDGE") or DEFAULT_JUDGE


def load_judge(reference: str | Path | JudgeProfile | Judge | None = None, overrides: Sequence[str] = ()) -> Judge:
    """A judge by its profile's name or path.

    Args:
        reference: a name (`embedded`), a path, a profile, or a judge, which is handed back; None: `$KARDIA_JUDGE`,
            else `embedded`.
        overrides: `key.path=value` items that replace what the profile says.

    Raises:
        ProfileError: where there is no such profile, it is not valid, or its key's environment variable is not set.
        MissingExtra: where the backend needs a part of kardia that is not installed.

    >>> load_judge("fake").profile.backend
    'fake'
    """
    if reference is None:
        reference = default_judge()
    if isinstance(reference, JudgeProfile):
        return build_judge(reference)
    if isinstance(reference, (str, Path)):
        return build_judge(load_profile(reference, overrides))
    if overrides:
        raise ProfileError("a judge that is built already takes no overrides")
    return reference


def build_judge(profile: JudgeProfile) -> Judge:
    """The backend that a profile names; imported here and not before. An ensemble with all of its members."""
    if profile.backend in ENSEMBLES:
        from kardia.judge.ensemble import EnsembleJudge

        return EnsembleJudge(profile, [build_judge(member) for member in profile.members])
    if profile.backend == "http":
        from kardia.judge.backends.http import HttpJudge

        return HttpJudge(profile)
    if profile.backend == "openai":
        from kardia.judge.backends.openai import OpenAIJudge

        return OpenAIJudge(profile)
    if profile.backend == "litellm":
        from kardia.judge.backends.litellm import LitellmJudge

        return LitellmJudge(profile)
    if profile.backend == "transformers":
        from kardia.judge.backends.transformers import TransformersJudge

        return TransformersJudge(profile)
    if profile.backend == "embedded":
        from kardia.judge.backends.embedded import EmbeddedJudge

        return EmbeddedJudge(profile)
    if profile.backend == "words":
        from kardia.judge.backends.words import WordsJudge

        return WordsJudge(profile)
    from kardia.judge.backends.fake import FakeJudge

    return FakeJudge(profile=profile)
