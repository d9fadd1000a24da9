"""Judges that ask judges: a panel asks all of its members, a cascade asks the second where the first is unsure.

An ensemble reads no prompts and answers nothing itself: the engine plans each question anew for every member, in that
member's words, asks it through the ledger and the member's own limits, and puts the answers together
(`kardia.engine.ensemble`). So a member's answers are shared with every other run that asks the same of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from kardia.errors import ProfileError
from kardia.judge.profile import ENSEMBLES, JudgeProfile
from kardia.judge.protocol import Answer, Judge, Request

__all__ = ["EnsembleJudge", "Member", "asked_profiles", "asks_at_most", "judge_provenance", "members_of"]


@dataclass(frozen=True, slots=True)
class Member:
    """A judge of an ensemble.

    Attributes:
        judge: any judge; an ensemble, too.
        weight: what it counts in a panel, above 0; in a cascade it has no meaning.
    """

    judge: Judge
    weight: float = 1.0


class EnsembleJudge:
    """The backends `panel` and `cascade`.

    Args:
        profile: of one of the two.
        judges: as many as the profile names, in its order; they take the places of those that it names.

    Attributes:
        profile: with these judges' profiles as its members: its hash is theirs.
        members: the judges with their weights.
        identity: None: what members say is stored under their own identities.

    Raises:
        ProfileError: where the members do not fit: see `JudgeProfile.members`.
    """

    reads_prompts = False
    batch_size = 1
    identity: str | None = None

    def __init__(self, profile: JudgeProfile, judges: Sequence[Judge]) -> None:
        if profile.backend not in ENSEMBLES:
            raise ProfileError(f"the backend {profile.backend} asks nobody else", file=profile.name, key="backend")
        # a judge of one's own that reads no prompts answers with probabilities
        confident = bool(judges) and not isinstance(judges[0], EnsembleJudge) and not judges[0].reads_prompts
        self.profile = profile.with_members([judge.profile for judge in judges], confident=confident)
        weights = [weight for _, _, weight in profile.references]
        self.members = tuple(Member(judge, weight) for judge, weight in zip(judges, weights, strict=True))

    def __repr__(self) -> str:
        return f"EnsembleJudge({self.profile.name!r}, {[member.judge for member in self.members]!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        return EnsembleJudge, (self.profile, [member.judge for member in self.members])

    async def answer(self, requests: Sequence[Request]) -> Sequence[Answer | Exception]:
        """Nobody asks an ensemble directly.

        Raises:
            ProfileError: always.
        """
        raise ProfileError(
            f"{self.profile.name} is a {self.profile.backend} and answers nothing itself; score with it "
            "(kardia.score), or ask its judges one by one"
        )

    async def aclose(self) -> None:
        """Closes the members."""
        for judge in {id(member.judge): member.judge for member in self.members}.values():
            await judge.aclose()


def members_of(judge: Judge | JudgeProfile) -> tuple[JudgeProfile, ...]:
    """The single judges behind an ensemble, those of ensembles within it included, in order; none of a single judge."""
    profile = judge if isinstance(judge, JudgeProfile) else judge.profile
    return tuple(inner for member in profile.members for inner in asked_profiles(member))


def asked_profiles(judge: Judge | JudgeProfile) -> tuple[JudgeProfile, ...]:
    """Who is really asked: `members_of` an ensemble, or the single judge itself."""
    profile = judge if isinstance(judge, JudgeProfile) else judge.profile
    return members_of(profile) or (profile,)


def asks_at_most(judge: Judge | JudgeProfile) -> bool:
    """Whether not all of `asked_profiles` are asked everything: whether there is a cascade among them."""
    profile = judge if isinstance(judge, JudgeProfile) else judge.profile
    return profile.backend == "cascade" or any(asks_at_most(member) for member in profile.members)


def judge_provenance(profile: JudgeProfile) -> dict[str, Any]:
    """Who judged, for the scorecard: `name`, `backend`, `model`, `mode`, `hash`; of an ensemble also how it decides
    and its `members`, each with the same keys, its `template` and its `sampling`, and in a panel its `weight`.

    Reads the members' templates: prepare it once, not for every scorecard.
    """
    single = profile.backend not in ENSEMBLES
    told: dict[str, Any] = {
        "name": profile.name,
        "backend": profile.backend,
        "model": profile.model,
        "mode": profile.mode if single else None,
        "hash": profile.hash,
    }
    if profile.panel is not None:
        told["combine"] = profile.panel.combine
    if profile.cascade is not None:
        told["unsure_below"] = profile.cascade.unsure_below
    if not single:
        seats = zip(profile.references, profile.members, strict=True)
        told["members"] = [_seated(member, weight if profile.panel else None) for (_, _, weight), member in seats]
    return told


def _seated(profile: JudgeProfile, weight: float | None) -> dict[str, Any]:
    from kardia.prompt import load_template

    told = judge_provenance(profile)
    if weight is not None:
        told["weight"] = weight
    if profile.backend not in ENSEMBLES:
        template = load_template(profile.template_name, profile.mode) if profile.reads_prompts else None
        told["template"] = (
            None if template is None else {"name": template.name, "version": template.version, "hash": template.hash}
        )
        told["sampling"] = profile.sampling.model_dump(mode="json")
    return told
