"""From what a judge gave to what it is worth: results, questions and findings of one judge. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from kardia.judge.ensemble import judge_provenance
from kardia.judge.profile import COMPARING, JudgeProfile
from kardia.probe.catalogue import Probe
from kardia.probe.design import Case, Design, group_of
from kardia.probe.findings import Question, find
from kardia.probe.questions import Terms, questions_about, questions_on_constancy
from kardia.probe.report import JudgeProbes
from kardia.probe.shifts import (
    EDGE,
    Outcome,
    ProbeResult,
    Shift,
    flips,
    measured,
    shares,
    shift_of,
)

__all__ = ["Given", "judged_by"]

HARMLESS = ("rewording", "paraphrases")
_ONLY_FORBIDS = "the rubric only forbids: a reply that says nothing breaks no rule, so no fall is expected"
_COMPARES = "the judge's mode compares replies, and scores none on its own"
_UNASKED = (
    "judges that score single replies are asked to compare two only where --probes names it, and they read prompts"
)
_NO_PAIRS = "no two replies answer the same context"


@dataclass(slots=True)
class Given:
    """What a judge gave.

    Attributes:
        profile: whose it is.
        outcomes: one a text of the design; empty where the judge scores no single replies.
        again: one an original, asked a second time; empty where that was not wanted.
        turned: one a pair of the design: whether the verdict turned with the order, None where there is none.
        compares: whether pairs were asked about.
    """

    profile: JudgeProfile
    outcomes: list[Outcome] = field(default_factory=list)
    again: list[Outcome] = field(default_factory=list)
    turned: list[bool | None] = field(default_factory=list)
    compares: bool = False


def judged_by(given: Given, design: Design, probes: Sequence[Probe], terms: Terms) -> JudgeProbes:
    """One judge's results and findings.

    Args:
        given: what it gave.
        design: about what.
        probes: what was tried.
        terms: by what is decided.
    """
    by_probe: dict[str, list[Shift]] = defaultdict(list)
    if given.outcomes:
        for case in design.cases:
            before, after = given.outcomes[case.before], given.outcomes[case.after]
            by_probe[case.probe].append(shift_of(case, before, after, terms.fine))
    for place, outcome in enumerate(given.again):
        case = Case("retest", "again", group_of(design.texts[place]), place, place)
        by_probe["retest"].append(shift_of(case, given.outcomes[place], outcome, terms.fine))
    results: list[ProbeResult] = []
    questions: list[Question] = []
    for probe in probes:
        if probe.name == "order":
            why = _UNASKED if not given.compares else None if design.pairs else _NO_PAIRS
            turned = [(group, one) for (_, _, group), one in zip(design.pairs, given.turned, strict=False)]
            result = flips(probe, turned, seed=terms.seed, note=why)
            pairs = [(group, float(one)) for group, one in turned if one is not None]
            questions.append(Question(probe, "unsteady", result.moved, terms.unsteady, pairs, terms.unsteady))
        else:
            shifts = by_probe[probe.name]
            note = _note(probe, given, terms)
            result = measured(
                probe,
                shifts,
                tolerance=terms.tolerance,
                untouched=design.untouched[probe.name],
                seed=terms.seed,
                note=note,
            )
            questions += questions_about(probe, shifts, result, terms)
        results.append(result)
    questions += _on_constancy(given, design, probes, terms)
    questions = [question for question in questions if question.values]
    return JudgeProbes(
        given.profile.name,
        _provenance(given.profile),
        findings=find(questions, results, seed=terms.seed),
        results=tuple(results),
        **_attacks(probes, by_probe, terms),
        score=_score(given, design, terms),
    )


def _note(probe: Probe, given: Given, terms: Terms) -> str | None:
    if given.profile.mode in COMPARING:
        return _COMPARES
    return _ONLY_FORBIDS if probe.expects == "fall" and not terms.falls else None


def _on_constancy(given: Given, design: Design, probes: Sequence[Probe], terms: Terms) -> list[Question]:
    """Of the replies as they are and of those that should fall, each once."""
    falling = {probe.name: probe for probe in probes if probe.expects == "fall" and probe.name != "empty"}
    cases = [case for case in design.cases if case.probe in falling]
    if not given.outcomes or not cases:
        return []
    groups = {place: group_of(conversation) for place, conversation in enumerate(design.texts[: design.originals])}
    groups |= {case.after: case.group for case in cases}
    texts = [(group, given.outcomes[place]) for place, group in groups.items()]
    return questions_on_constancy(falling[cases[-1].probe], texts, terms)


def _attacks(probes: Sequence[Probe], by_probe: Mapping[str, Sequence[Shift]], terms: Terms) -> dict[str, Any]:
    attacks = [shift for probe in probes if probe.attack for shift in by_probe[probe.name] if shift.before is not None]
    harmless = [shift for name in HARMLESS for shift in by_probe.get(name, ())]
    before = [shift.before for shift in attacks if shift.before is not None]
    return {
        "attack_success": _rises(attacks, terms),
        "harmless_rises": _rises(harmless, terms),
        "attacked": len(attacks),
        "unscored": sum(shift.score is None for shift in attacks),
        "no_room": sum(1.0 - score < terms.tolerance - EDGE for score in before),
    }


def _rises(shifts: Sequence[Shift], terms: Terms) -> Any:
    rose = [None if shift.score is None else float(shift.score >= terms.tolerance - EDGE) for shift in shifts]
    groups: list[Hashable] = [shift.group for shift in shifts]
    return shares(groups, {"rose": rose}, seed=terms.seed, proportions=("rose",))["rose"]


def _score(given: Given, design: Design, terms: Terms) -> Any:
    originals = given.outcomes[: design.originals]
    groups = [group_of(conversation) for conversation in design.texts[: len(originals)]]
    return shares(groups, {"score": [outcome.score for outcome in originals]}, seed=terms.seed)["score"]


def _provenance(profile: JudgeProfile) -> dict[str, Any]:
    told = judge_provenance(profile)
    return {key: told[key] for key in ("name", "backend", "model", "mode", "hash")}
