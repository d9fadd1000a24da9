"""Fitting an aggregation: scorecards and what people said of the same replies → an artifact that a rubric names.

`cards` and `ratings` read the files, `weights`, `gating` and `calibration` fit, `report` says how well. What is fitted
is what `kardia.learned` applies. Needs numpy and scipy, a gate torch too: kardia's extra `local`.
"""

from __future__ import annotations
