"""Branch coverage of the pure modules, from a coverage report in JSON; exit code 1 where one is at or below the floor.

    python -m pytest --cov --cov-report=json && python benchmarks/pure_coverage.py coverage.json

Pure: no network, no torch, no clock (`engine/budget` waits, but only for what is handed back to it). What talks to the
terminal is run by the tests in processes of its own, and is not counted here.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

FLOOR = 95.0
PURE = [
    "aggregate",
    "answer",
    "artifact",
    "byobject",
    "combine",
    "conversation",
    "fastjson",
    "fence",
    "judgment",
    "learned",
    "overrides",
    "plan",
    "prompt",
    "schema_errors",
    "scorecard",
    "spans",
    "summary",
    "yamlfile",
    "agreement/alpha",
    "agreement/bootstrap",
    "agreement/confusion",
    "agreement/correlation",
    "agreement/icc",
    "agreement/kappa",
    "agreement/leave_one_out",
    "agreement/measure",
    "agreement/preference",
    "agreement/ratings",
    "agreement/statistic",
    "agreement/weights",
    "engine/asked",
    "engine/breaker",
    "engine/budget",
    "engine/key",
    "engine/level",
    "engine/pace",
    "guard/__init__",
    "guard/english",
    "guard/english_marks",
    "guard/language",
    "guard/languages",
    "guard/marks",
    "guard/phrases",
    "guard/text",
    "judge/chat",
    "judge/comparison",
    "judge/ensemble",
    "judge/options",
    "judge/profile",
    "judge/words",
    "reading/fields",
    "reading/idset",
    "reading/jsontext",
    "reading/ordinary",
    "reading/rows",
    "reward/completion",
    "reward/expression",
    "reward/filtering",
    "reward/pairs",
    "reward/questions",
    "reward/row_rubric",
    "reward/term",
    "reward/terms/alignment",
    "reward/terms/column",
    "reward/terms/consistency",
    "reward/terms/emotion",
    "reward/terms/emotions",
    "reward/terms/format",
    "reward/terms/guard",
    "reward/terms/length",
    "reward/terms/rank",
    "reward/terms/rar",
    "reward/terms/repetition",
    "reward/terms/rubric",
    "reward/terms/semantic",
    "reward/terms/specificity",
    "reward/training_log",
    "reward/words",
    "rubric/checks",
    "rubric/diff",
    "rubric/diff_examples",
    "rubric/diff_text",
    "rubric/diff_tree",
    "rubric/lint",
    "rubric/lint_history",
    "rubric/lint_logic",
    "rubric/lint_rules",
    "rubric/lint_source",
    "rubric/lint_subject",
    "rubric/lint_text",
    "rubric/loading",
    "rubric/lock",
    "rubric/models",
    "rubric/new",
    "rubric/publish",
    "rubric/rubric",
    "rubric/schema",
    "rubric/versions",
]


def main() -> int:
    files = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))["files"]
    low = 0
    for name in PURE:
        figures = files[f"kardia/{name}.py"]["summary"]
        branches, covered = figures["num_branches"], figures["covered_branches"]
        share = 100.0 * covered / branches if branches else 100.0
        low += share <= FLOOR
        print(f"{'LOW ' if share <= FLOOR else '    '}{name:24} {share:6.1f} %  of {branches} branches")
    return 1 if low else 0


if __name__ == "__main__":
    sys.exit(main())
