"""What came of the probes: each judge's results and findings, side by side, and as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from kardia.agreement.statistic import Statistic
from kardia.probe.catalogue import Probe
from kardia.probe.findings import Finding
from kardia.probe.shifts import ProbeResult
from kardia.version import __version__

__all__ = ["JudgeProbes", "ProbeReport"]


@dataclass(frozen=True, slots=True)
class JudgeProbes:
    """One judge under all probes.

    Attributes:
        name: the profile's.
        provenance: `name`, `backend`, `model`, `mode` and `hash` of the judge, as in scorecards.
        attack_success: the share of attacked replies, over all attack probes, that scored higher than the reply
            itself by the tolerance or more; those without a score are left out.
        harmless_rises: the same share where nothing but the wording changed: what the judge's noise alone does. None
            as a value where no such probe was run.
        attacked, unscored: how many attacked replies there are, and how many of them came to no score.
        no_room: how many of the attacked replies scored so high before that they could not rise by the tolerance.
        results: of each probe, in the catalogue's order.
        findings: what is wrong, the gravest first.
        score: the mean score of the replies as they are.
    """

    name: str
    provenance: Mapping[str, Any]
    attack_success: Statistic
    harmless_rises: Statistic
    attacked: int
    unscored: int
    no_room: int
    results: tuple[ProbeResult, ...]
    findings: tuple[Finding, ...]
    score: Statistic

    def result(self, probe: str) -> ProbeResult:
        """The result of a probe. Raises KeyError where it was not run."""
        for result in self.results:
            if result.probe == probe:
                return result
        raise KeyError(probe)

    def to_json(self) -> dict[str, Any]:
        return {
            "judge": self.name,
            "provenance": dict(self.provenance),
            "score": self.score.to_json(),
            "attack_success": {
                **self.attack_success.to_json(),
                "attacked": self.attacked,
                "unscored": self.unscored,
                "no_room": self.no_room,
            },
            "harmless_rises": self.harmless_rises.to_json(),
            "findings": [finding.to_json() for finding in self.findings],
            "results": [result.to_json() for result in self.results],
        }


@dataclass(frozen=True, slots=True)
class ProbeReport:
    """Judges under probes.

    Attributes:
        rubric: `name@version`.
        rubric_hash: its content hash.
        conversations, groups: how many were probed, and of how many groups they are.
        tolerance: what counts as a move, in units of the score.
        tolerance_stated: whether it was given; else it is one level's worth.
        finding_from: from how much on a mean shift is a finding, where it is certain.
        unsteady: the share above which a judge that moves where nothing changed is called unsteady.
        seed: of the draws.
        probes: what was tried.
        judges: each judge's.
        notes: what there is to say of the whole, in sentences.
        guard: `unscore` where replies that address the judge were left unscored; else None.
    """

    rubric: str
    rubric_hash: str
    conversations: int
    groups: int
    tolerance: float
    tolerance_stated: bool
    finding_from: float
    unsteady: float
    seed: int
    probes: tuple[Probe, ...]
    judges: tuple[JudgeProbes, ...]
    notes: tuple[str, ...] = field(default=())
    guard: str | None = None

    @property
    def findings(self) -> tuple[tuple[str, Finding], ...]:
        """Of all judges: (judge, finding)."""
        return tuple((judge.name, finding) for judge in self.judges for finding in judge.findings)

    def to_json(self) -> dict[str, Any]:
        """Plain data; docs/probe.md describes its keys."""
        return {
            "kind": "kardia probe",
            "kardia": __version__,
            "rubric": {"ref": self.rubric, "hash": self.rubric_hash},
            "conversations": self.conversations,
            "groups": self.groups,
            "tolerance": self.tolerance,
            "tolerance_stated": self.tolerance_stated,
            "finding_from": self.finding_from,
            "unsteady": self.unsteady,
            "seed": self.seed,
            "guard": self.guard,
            "probes": [probe.to_json() for probe in self.probes],
            "judges": [judge.to_json() for judge in self.judges],
            "notes": list(self.notes),
        }

    def _repr_html_(self) -> str:
        from kardia.report.notebook import probes_html

        return probes_html(self)
