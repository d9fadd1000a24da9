"""Does the chain from rubric to reward to a trained policy hold, in minutes, on two cores, three times out of three?

    python benchmarks/smoke.py [--seeds 1 2 3] [--runs FOLDER] [--write]

Runs `kardia train smoke` with each seed, one after the other, and prints what its reports say: the rubric's score on
held-out situations before and after GRPO with the paired 95 % interval, the same by the second judge, how many replies
keep the format, distinct-2 against that of supervised training, and what the best of the policy's own replies earns
when it answers everybody. Then it says in what each run falls short of what is asked; the exit code is 1 where one
does. A run that lies in the folder already is not made again, and one that was stopped goes on; how long it took is
then not known. Beside the minutes by the clock stand those of a core's time, which other work on the machine does not
change. `--write` puts the table into benchmarks/README.md.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tables import markdown_table, write_table

README = Path(__file__).with_name("README.md")
RECIPE = Path(__file__).parent.parent / "training" / "smoke.yaml"
GAIN, FALL, FORMAT, DISTINCT = 0.05, -0.02, 0.95, 0.8
NAMES = (
    "seed",
    "rubric",
    "change [95 %]",
    "second judge",
    "change [95 %] ",
    "format",
    "distinct-2",
    "stock reply / policy",
    "minutes (core's time)",
)


def trained(seed: int, folder: Path) -> Mapping[str, Any]:
    """The report of the run with a seed, which is made where it is not there."""
    place = folder / f"smoke-{seed}"
    clock = folder / f"smoke-{seed}.seconds"
    is_new = not place.exists()
    start, used = time.monotonic(), _used()
    command = [sys.executable, "-m", "kardia", "train", str(RECIPE), "--seed", str(seed), "-o", str(place)]
    ran = subprocess.run(command, check=False)
    if ran.returncode not in (0, 1) or not (place / "report.json").exists():
        sys.exit(f"the run with seed {seed} ended with {ran.returncode}")
    if is_new:
        clock.write_text(json.dumps([round(time.monotonic() - start), round(_used() - used)]))
    found: dict[str, Any] = json.loads((place / "report.json").read_text("utf-8"))
    seconds = json.loads(clock.read_text()) if clock.exists() else None
    return {**found, "minutes": seconds and [each / 60 for each in seconds]}


def _used() -> float:
    """Seconds of a core's time that ended children took."""
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    return spent.ru_utime + spent.ru_stime


def cells(seed: int, report: Mapping[str, Any]) -> list[str]:
    """A row of the table."""
    before, after = report["figures"]["before"]["means"], report["figures"]["after"]["means"]

    def moved(name: str) -> list[str]:
        change = report["changes"][name]
        return [
            f"{before[name]['mean']:.3f} → {after[name]['mean']:.3f}",
            f"{change['mean']:+.3f} [{change['low']:+.3f}, {change['high']:+.3f}]",
        ]

    return [
        str(seed),
        *moved("rubric"),
        *moved("second judge"),
        f"{before['format']['mean']:.0%} → {after['format']['mean']:.0%}",
        f"× {report['distinct_2_ratio']:.2f}",
        f"{report['stock']['mean']:.3f} / {report['stock']['policy']:.3f}",
        "–" if report["minutes"] is None else "{:.1f} ({:.1f})".format(*report["minutes"]),
    ]


def short_of(report: Mapping[str, Any]) -> list[str]:
    """In what a run falls short of what is asked; the time is printed and not asked for."""
    before, after = report["figures"]["before"]["means"], report["figures"]["after"]["means"]
    rubric, second = report["changes"]["rubric"], report["changes"]["second judge"]
    asked = {
        f"the rubric's gain is at least {GAIN}": rubric["mean"] >= GAIN,
        "the gain's interval is above 0": rubric["low"] > 0,
        f"the second judge's score falls by no more than {-FALL}": second["mean"] >= FALL,
        f"{FORMAT:.0%} keep the format before and after": min(before["format"]["mean"], after["format"]["mean"])
        >= FORMAT,
        f"distinct-2 is at least {DISTINCT} of what it was": report["distinct_2_ratio"] >= DISTINCT,
        "the best stock reply earns less than the policy": report["stock"]["mean"] < report["stock"]["policy"],
    }
    return [what for what, holds in asked.items() if not holds]


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--runs", type=Path, help="where the runs lie; default: a temporary folder")
    parser.add_argument("--write", action="store_true", help="put the table into benchmarks/README.md")
    told = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as temporary:
        reports = {seed: trained(seed, told.runs or Path(temporary)) for seed in told.seeds}
    table = markdown_table(list(NAMES), [cells(*each) for each in reports.items()])
    print(table)
    for seed, report in reports.items():
        print(f"seed {seed}, the best stock reply: {report['stock']['text']}")
        for what in short_of(report):
            print(f"seed {seed} falls short: {what}")
    if told.write:
        write_table(README, "smoke", table)
    return int(any(short_of(report) for report in reports.values()))


if __name__ == "__main__":
    sys.exit(main())
