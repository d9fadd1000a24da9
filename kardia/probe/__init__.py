"""What fools a judge: replies are changed in known ways, judged again, and the scores compared.

`probe` changes each conversation by each probe of the catalogue (`PROBES`), has a judge score both, and reports the
paired shift of the card's score and of each criterion with an interval over groups, the share that moved, and a finding
in a sentence where a judge did what a good one does not. Needs numpy and scipy: kardia's extra `agree`.
"""

from __future__ import annotations

from kardia.probe.catalogue import PROBES, Probe
from kardia.probe.findings import Finding
from kardia.probe.report import JudgeProbes, ProbeReport
from kardia.probe.running import probe
from kardia.probe.shifts import ProbeResult

__all__ = ["PROBES", "Finding", "JudgeProbes", "Probe", "ProbeReport", "ProbeResult", "probe"]
