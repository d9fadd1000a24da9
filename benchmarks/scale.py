"""Does a scorecard cost the same in a small file and in a large one, and does memory stay flat?

    python benchmarks/scale.py [--rows N …] [--engines E …] [--work FOLDER] [--write]

Files of so many made-up conversations of about 200 characters are scored by the command line with the fake judge and
the three criteria of `empathy-mechanisms`: what is measured is kardia itself. A *row's cost* is processor time, of all
processes of the run, beyond that of a run of one row, which is printed as *start*; small files are scored several times
in turn with the one-row file, and medians are taken. *Peak memory* is the most that all processes of the run held at a
time (proportional set size: what they share counts once), looked at four times a second. `local+ledger` stores every
judgment in a new ledger. Ray's own processes are part of the `ray` rows; it is started anew for each run, with two
workers. `--work` keeps the files and goes on with what is measured there already.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from tables import markdown_table, write_table

README = Path(__file__).with_name("README.md")
RUBRIC, CRITERIA = "empathy-mechanisms", 3
ENGINES = {
    "local": ["--ledger", "off"],
    "local+ledger": [],
    "ray": ["--ledger", "off", "--engine", "ray", "--workers", "2"],
}
MARK = "KARDIA_SCALE_RUN"
TICKS = os.sysconf("SC_CLK_TCK")
COST, MEMORY = 0.15, 0.20
"""By how much at most a row's cost and the peak memory may change from the smallest file to the largest."""
EVENTS = ("the bus drove past", "my sister did not call", "the exam went badly", "nobody came", "I slept at last")
REPLIES = ("That sounds lonely.", "What happened then?", "I am glad you told me.", "Try to think of something else.")


@dataclass(frozen=True)
class Run:
    """What a run took: seconds by the clock, seconds of processors, the most bytes at a time, and the ledger's size."""

    clock: float
    processor: float
    memory: int
    ledger: int


def conversations(rows: int, place: Path) -> Path:
    """A file of so many conversations; equal rows for equal numbers."""
    path = place / f"{rows}.jsonl"
    if not path.exists():
        draw = random.Random(7)
        with path.with_suffix(".making").open("w", encoding="utf-8") as out:
            for number in range(rows):
                told = f"Day {number}: {draw.choice(EVENTS)}, and I can not stop thinking about it."
                reply = f"{draw.choice(REPLIES)} {draw.choice(REPLIES)} ({draw.randrange(10**6)})"
                row = {"messages": [{"role": "user", "content": told}, {"role": "assistant", "content": reply}]}
                out.write(json.dumps({"id": f"row-{number}", **row}) + "\n")
        path.with_suffix(".making").rename(path)
    return path


class Watch(threading.Thread):
    """Looks at every process that carries the run's mark: its processor time, and what all of them hold."""

    def __init__(self, mark: str) -> None:
        super().__init__(daemon=True)
        self.mark = f"{MARK}={mark}".encode()
        self.spent: dict[tuple[int, int], float] = {}
        self.peak = 0
        self.over = threading.Event()

    def run(self) -> None:
        while not self.over.is_set():
            self.look()
            self.over.wait(0.25)

    def look(self) -> None:
        held = 0
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and int(entry.name) != os.getpid():
                try:
                    if self.mark not in (entry / "environ").read_bytes():
                        continue
                    fields = (entry / "stat").read_text().rpartition(")")[2].split()
                    self.spent[int(entry.name), int(fields[19])] = (int(fields[11]) + int(fields[12])) / TICKS
                    held += next(
                        int(line.split()[1]) * 1024
                        for line in (entry / "smaps_rollup").read_text().splitlines()
                        if line.startswith("Pss:")
                    )
                except (OSError, StopIteration):
                    pass  # it has ended meanwhile
        self.peak = max(self.peak, held)


def scored(engine: str, data: Path) -> Run:
    """One run of the command line, from its start to its end."""
    with tempfile.TemporaryDirectory(dir=data.parent) as scratch:
        ledger = Path(scratch) / "ledger.sqlite3"
        mark = uuid.uuid4().hex
        environment = {**os.environ, MARK: mark, "KARDIA_LEDGER": str(ledger), "OMP_NUM_THREADS": "1"}
        command = [sys.executable, "-m", "kardia", "score", str(data), "--rubric", RUBRIC, "--judge", "fake"]
        command += [*ENGINES[engine], "-o", str(Path(scratch) / "out.jsonl")]
        watch = Watch(mark)
        watch.start()
        start = time.monotonic()
        process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
        assert process.stderr is not None
        said = process.stderr.read()
        _, status, usage = os.wait4(process.pid, 0)
        clock = time.monotonic() - start
        watch.over.set()
        watch.join()
        if status:
            sys.exit(f"{' '.join(command)} ended with {status}:\n{said[-2000:]}")
        own = usage.ru_utime + usage.ru_stime  # with the children that it waited for; Ray's are not among them
        others = sum(seconds for (pid, _), seconds in watch.spent.items() if pid != process.pid)
        size = ledger.stat().st_size if ledger.exists() else 0
        return Run(clock, own + others, watch.peak, size)


def measured(engine: str, rows: int, place: Path) -> list[Run]:
    """The runs of a size; what was measured before is read."""
    kept = place / f"{engine}-{rows}.json"
    if kept.exists():
        return [Run(**each) for each in json.loads(kept.read_text())]
    data, one = conversations(rows, place), conversations(1, place)
    times = 1 if rows >= 100_000 else 3 if rows >= 10_000 else 9
    runs, starts = [], []
    for _ in range(times):
        runs.append(scored(engine, data))
        starts.append(scored(engine, one))
    kept.write_text(json.dumps([asdict(each) for each in runs]))
    begun = place / f"{engine}-1.json"
    before = json.loads(begun.read_text()) if begun.exists() else []
    begun.write_text(json.dumps(before + [asdict(each) for each in starts]))
    return runs


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[1_000, 10_000, 100_000, 1_000_000])
    parser.add_argument("--engines", nargs="+", choices=ENGINES, default=list(ENGINES))
    parser.add_argument("--work", type=Path, help="where the files lie; default: a temporary folder")
    parser.add_argument("--write", action="store_true", help="put the table into benchmarks/README.md")
    told = parser.parse_args(arguments)
    place = told.work or Path(tempfile.mkdtemp())
    place.mkdir(parents=True, exist_ok=True)
    lines, said, short = [], [], False
    for engine in told.engines:
        found = {rows: measured(engine, rows, place) for rows in sorted(told.rows)}
        begun = [Run(**each) for each in json.loads((place / f"{engine}-1.json").read_text())]
        start, start_clock = (statistics.median(getattr(run, name) for run in begun) for name in ("processor", "clock"))
        costs, peaks = [], []
        for rows, runs in found.items():
            spent = statistics.median(run.processor for run in runs) - start
            clock = statistics.median(run.clock for run in runs)
            costs.append(spent / (rows - 1))
            peaks.append(max(run.memory for run in runs))
            rate = (rows - 1) / (clock - start_clock)
            lines.append(
                [
                    engine,
                    f"{rows:,}",
                    f"{start:.1f}",
                    f"{costs[-1] * 1e6:.0f}",
                    f"{clock:.1f}",
                    f"{rate:,.0f}",
                    f"{peaks[-1] / 2**20:,.0f}",
                    f"{runs[0].ledger / rows:,.0f}" if runs[0].ledger else "–",
                ]
            )
        cost, memory = (max(each) / min(each) - 1 for each in (costs, peaks))
        short = short or cost >= COST or memory >= MEMORY
        said.append(f"{engine}: a row's cost changes by {cost:.1%} (asked: under {COST:.0%}), ")
        said[-1] += f"peak memory by {memory:.1%} (under {MEMORY:.0%})."
    names = (
        "engine",
        "rows",
        "start, s",
        "a row's cost, µs",
        "clock, s",
        "rows/s",
        "peak memory, MiB",
        "ledger, B/row",
    )
    head = f"{CRITERIA} judgments a row; the largest over the smallest of each column, less 1, stands below."
    table = "\n".join((head, "", markdown_table(list(names), lines), "", *(f"- {line}" for line in said)))
    print(table)
    if told.work is None:
        shutil.rmtree(place)
    if told.write:
        write_table(README, "scale", table)
    return int(short)


if __name__ == "__main__":
    sys.exit(main())
