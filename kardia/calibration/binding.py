"""A calibration file, and whether it holds for a rubric and a judge."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kardia.answer import unscored
from kardia.calibration.applying import applied
from kardia.calibration.artifact import Calibration, Rule, Temperature, Unchanged, parse_calibration
from kardia.datafile import Malformed
from kardia.errors import InputError
from kardia.plan import Judged
from kardia.rubric.rubric import Rubric

if TYPE_CHECKING:
    from kardia.judge.profile import JudgeProfile
    from kardia.judgment import Judgment
    from kardia.prompt import Template

__all__ = ["Correction", "Loaded", "correction_of", "load_calibration"]

AS_SAID = "the judge's own answers are used; calibrate again"


@dataclass(frozen=True, slots=True)
class Loaded:
    """A calibration as it was read.

    Attributes:
        calibration: its content.
        digest: `sha256:` over the file's bytes.
        file: where it was read from, for messages.
    """

    calibration: Calibration
    digest: str
    file: str


@dataclass(frozen=True, slots=True)
class Correction:
    """What is done with one judge's answers by one rubric.

    Attributes:
        rules: criterion id → rule; empty where the calibration does not hold.
        why: a sentence: why it does not; None where it does.
        file: the calibration's, for messages.
        provenance: for scorecards: `digest`, `applied`, `why`, `judge_hash` (of the judge as it answers), and
            `criteria`: id → method. No path: equal runs are equal bytes.
    """

    rules: Mapping[str, Rule]
    why: str | None
    file: str
    provenance: Mapping[str, Any]

    def corrected(self, done: Judged) -> Judged:
        """The judgments with the rules applied; what the judge said stays beside each."""
        if not self.rules:
            return done
        known = done.plan.rubric.by_id
        judgments = {
            key: _corrected(self.rules[key], known[key], judgment) if key in self.rules else judgment
            for key, judgment in done.judgments.items()
        }
        return replace(done, judgments=judgments)


def _corrected(rule: Rule, criterion: Any, judgment: Judgment) -> Judgment:
    if isinstance(rule, Temperature) and judgment.status == "scored" and judgment.probabilities is None:
        return unscored(criterion, "its calibration needs probabilities, and the judge gave none")
    return applied(rule, criterion, judgment)


def load_calibration(path: Path) -> Loaded:
    """Reads a calibration.

    Raises:
        InputError: where there is none, or the file is no calibration.
    """
    try:
        raw = path.read_bytes()
        return Loaded(parse_calibration(raw.decode("utf-8")), "sha256:" + hashlib.sha256(raw).hexdigest(), str(path))
    except OSError as problem:
        message = "there is no such calibration" if not path.exists() else f"cannot be read: {problem.strerror}"
        raise InputError(f"{message}; `kardia calibrate` writes one", file=str(path)) from None
    except UnicodeDecodeError:
        raise InputError("is no calibration: it is no text in UTF-8", file=str(path)) from None
    except Malformed as problem:
        raise InputError(str(problem), file=str(path)) from None


def correction_of(rubric: Rubric, profile: JudgeProfile, template: Template | None) -> Correction | None:
    """What a judge's calibration does to its answers by a rubric.

    Args:
        rubric: as it is now, without a row's own criteria.
        profile: the judge's.
        template: the words in which it is asked; None where it reads no prompt.

    Returns:
        None for a judge without a calibration.

    Raises:
        InputError: where the file cannot be read.
    """
    loaded = profile.loaded_calibration
    if loaded is None:
        return None
    found = loaded.calibration
    why = _why_not(loaded, rubric, profile, template)
    if why is None:
        for key, rule in found.criteria.items():
            if key not in rubric.by_id or list(rubric.by_id[key].levels) != rule.levels:
                raise InputError(f"is no criterion of {rubric.ref} with these levels", file=loaded.file, key=key)
    rules = {} if why else {key: rule for key, rule in found.criteria.items() if not isinstance(rule, Unchanged)}
    told = {
        "digest": loaded.digest,
        "applied": why is None,
        "why": why,
        "judge_hash": profile.asked_hash,
        "criteria": {} if why else {key: rule.method for key, rule in found.criteria.items()},
    }
    return Correction(rules, why, loaded.file, told)


def _why_not(loaded: Loaded, rubric: Rubric, profile: JudgeProfile, template: Template | None) -> str | None:
    """Why a calibration does not hold; names no path, for it goes into scorecards."""
    found = loaded.calibration
    if found.rubric.name != rubric.name:
        return f"the calibration is of the rubric {found.rubric.name}, and not of {rubric.name}: {AS_SAID}"
    made, own = f"{found.rubric.name}@{found.rubric.version}", found.judge.name
    if found.rubric.hash != rubric.hash:
        now = "which has changed" if made == rubric.ref else f"and this is {rubric.ref}"
        return f"the calibration is stale, for it was made for {made}, {now}: {AS_SAID}"
    if found.judge.hash != profile.asked_hash:
        now = "which has changed" if own == profile.name else f"and this is {profile.name}"
        return f"the calibration is stale, for it was made for the judge {own}, {now}: {AS_SAID}"
    if found.judge.template is not None and (template is None or found.judge.template != template.hash):
        return f"the calibration is stale, for the words in which {own} is asked have changed: {AS_SAID}"
    return None
