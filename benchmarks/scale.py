"""Does a scorecard cost the same in a small file and in a large one, and does memory stay flat?

    python benchmarks/scale.py [--rows N …] [--engines E …] [--work FOLDER] [--write]

Files of so many made-up conversations of about 200 characters are scored by the command line with the fake judge and
the three criteria of `empathy-mechanisms`: what is measured is kardia itself. Each run is a process of its own, which
scores two rows first, so that all is loaded. *A row's cost* is the processor time of the run after that, less that of
another run of two rows: of the process and, for `ray`, of its two workers while they score. What Ray itself takes is in
the clock's column, with all that a run does once. *Peak memory* is
the most that all processes of the run held at a time, Ray's too (proportional set size: what they share counts once),
looked at four times a second. Runs of all sizes take turns, since machines have slow minutes; smaller files have more
of them, and medians are shown. `local+ledger` stores every judgment in a new ledger. `ray` has one cluster on this
machine for all its runs, and gives a worker at most 2,000 rows at a time. `--work` keeps the files and what was
measured, and goes on from there.
"""

from __future__ import annotations

import argparse
import io
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
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tables import markdown_table, write_table

README = Path(__file__).with_name("README.md")
RUBRIC, CRITERIA = "empathy-mechanisms", 3
WORKERS, SHARD = 2, 2000
ENGINES = {
    "local": ["--ledger", "off"],
    "local+ledger": [],
    "ray": ["--ledger", "off", "--engine", "ray", "--workers", str(WORKERS), "--ray-address", "auto"],
}
FEW = 2
"""Rows that are scored first: one for each worker."""
ROUNDS = 3
TURNS = {1_000: 7, 10_000: 3, 100_000: 1}
"""How often files of at most so many rows are scored in a round; larger ones in the first one alone."""
MARK = "KARDIA_SCALE_RUN"
TOLD = "KARDIA_SCALE_TOLD"
COST, MEMORY = 0.15, 0.20
"""By how much at most a row's cost and the peak memory may change from the smallest file to the largest."""
EVENTS = ("the bus drove past", "my sister did not call", "the exam went badly", "nobody came", "I slept at last")
REPLIES = ("That sounds lonely.", "What happened then?", "I am glad you told me.", "Try to think of something else.")


@dataclass(frozen=True)
class Run:
    """What a run took: seconds by the clock, seconds of processors beyond those for the few rows, the most bytes at a
    time, and the ledger's size."""

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


# ---------------------------------------------------------------- in the process that scores


def inside(engine: str, data: Path, few: Path, scratch: Path) -> None:
    """Scores the few rows twice, then the file; prints what the latter took, and what it took beyond the few."""
    if engine == "ray":
        _time_workers()
    with data.open(encoding="utf-8") as lines:
        rows = sum(1 for _ in lines)
    _timed(engine, few, scratch, FEW)
    _, least = _timed(engine, few, scratch, FEW)
    clock, processor = _timed(engine, data, scratch, rows)
    print(json.dumps({"clock": clock, "processor": processor - least}))


def _timed(engine: str, data: Path, scratch: Path, rows: int) -> tuple[float, float]:
    output = scratch / uuid.uuid4().hex
    clock, processor = time.monotonic(), time.process_time()
    _score(engine, data, output, rows)
    clock, processor = time.monotonic() - clock, time.process_time() - processor
    for told in scratch.glob("worker-*"):
        processor += sum(map(float, told.read_text().split()))
        told.unlink()
    return clock, processor


def _score(engine: str, data: Path, output: Path, rows: int) -> None:
    from kardia.cli import main

    sys.argv = [
        "kardia",
        "score",
        str(data),
        "--rubric",
        RUBRIC,
        "--judge",
        "fake",
        *ENGINES[engine],
        "-o",
        str(output),
    ]
    if engine == "ray":
        sys.argv += ["--shard-rows", str(min(SHARD, max(1, rows // WORKERS)))]
    said = io.StringIO()
    try:
        with redirect_stderr(said):
            main()
    except SystemExit as status:
        if status.code:
            sys.exit(f"{' '.join(sys.argv)} ended with {status.code}:\n{said.getvalue()[-2000:]}")


def _time_workers() -> None:
    """Has every worker write what its processor took for a shard, once its judge is loaded."""
    import kardia.cluster.run as engine
    from kardia.cluster.worker import ScoreShard

    class Timed(ScoreShard):
        def __call__(self, table: Any) -> Any:
            self._loaded = self._loaded or self._load()
            start = time.process_time()
            result = super().__call__(table)
            with open(os.path.join(os.environ[TOLD], f"worker-{os.getpid()}"), "a") as told:
                told.write(f"{time.process_time() - start}\n")
            return result

    engine.ScoreShard = Timed  # type: ignore[attr-defined]


# ---------------------------------------------------------------- in the process that watches


class Watch(threading.Thread):
    """Looks at every process that carries the run's mark: how much all of them hold."""

    def __init__(self, mark: str) -> None:
        super().__init__(daemon=True)
        self.mark = f"{MARK}={mark}".encode()
        self.peak = 0
        self.over = threading.Event()

    def run(self) -> None:
        while not self.over.wait(0.25):
            self.look()

    def look(self) -> None:
        held = 0
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and int(entry.name) != os.getpid():
                try:
                    if self.mark in (entry / "environ").read_bytes():
                        held += next(
                            int(line.split()[1]) * 1024
                            for line in (entry / "smaps_rollup").read_text().splitlines()
                            if line.startswith("Pss:")
                        )
                except (OSError, StopIteration):
                    pass  # it has ended meanwhile
        self.peak = max(self.peak, held)


@contextmanager
def cluster(engine: str, told: Path) -> Iterator[str]:
    """The mark of the processes that are to be watched; those of a cluster, where the engine takes one."""
    mark = uuid.uuid4().hex
    if engine != "ray":
        yield mark
        return
    ray = str(Path(sys.executable).with_name("ray"))
    environment = {**os.environ, MARK: mark, TOLD: str(told), "OMP_NUM_THREADS": "1", "RAY_USAGE_STATS_ENABLED": "0"}
    start = [ray, "start", "--head", f"--num-cpus={WORKERS}", "--include-dashboard=false", "--disable-usage-stats"]
    subprocess.run(start, env=environment, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield mark
    finally:
        subprocess.run([ray, "stop"], check=True, stdout=subprocess.DEVNULL)


def scored(engine: str, rows: int, place: Path, mark: str) -> Run:
    """One run, in a process of its own."""
    data, few = conversations(rows, place), conversations(FEW, place)
    scratch = place / "scratch"
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir()
    ledger = scratch / "ledger.sqlite3"
    environment = {**os.environ, MARK: mark, TOLD: str(scratch), "KARDIA_LEDGER": str(ledger), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, __file__, "--inside", engine, str(data), str(few), str(scratch)]
    watch = Watch(mark)
    watch.start()
    process = subprocess.run(command, env=environment, capture_output=True, text=True)
    watch.over.set()
    watch.join()
    if process.returncode:
        sys.exit(process.stderr[-2000:])
    took = json.loads(process.stdout.splitlines()[-1])
    size = ledger.stat().st_size if ledger.exists() else 0
    shutil.rmtree(scratch)
    return Run(took["clock"], took["processor"], watch.peak, size)


def measured(engine: str, sizes: Sequence[int], place: Path) -> dict[int, list[Run]]:
    """The runs of each size; what was measured before is read."""
    kept = place / f"{engine}.json"
    known: dict[str, list[dict[str, Any]]] = json.loads(kept.read_text()) if kept.exists() else {}
    left = []
    for turn in range(ROUNDS):
        for rows in sizes:
            often = next((times for most, times in TURNS.items() if rows <= most), int(turn == 0))
            left += [rows] * min(often, max(0, (turn + 1) * often - len(known.get(str(rows), []))))
    if left:
        with cluster(engine, place / "scratch") as mark:
            for rows in left:
                known.setdefault(str(rows), []).append(asdict(scored(engine, rows, place, mark)))
                kept.write_text(json.dumps(known))
    return {rows: [Run(**each) for each in known[str(rows)]] for rows in sizes}


def compared(engine: str, found: dict[int, list[Run]]) -> tuple[list[list[str]], str, bool]:
    """The table's lines, a sentence, and whether something changes by more than is asked."""
    lines, costs, peaks = [], [], []
    for rows, runs in found.items():
        each = [run.processor / (rows - FEW) * 1e6 for run in runs]
        clock = statistics.median(run.clock for run in runs)
        costs.append(statistics.median(each))
        peaks.append(statistics.median(run.memory for run in runs))
        lines.append(
            [
                engine,
                f"{rows:,}",
                f"{len(runs)}",
                f"{costs[-1]:.0f}",
                f"{min(each):.0f} to {max(each):.0f}",
                f"{clock:.1f}",
                f"{rows / clock:,.0f}",
                f"{peaks[-1] / 2**20:,.0f}",
                f"{runs[0].ledger / rows:,.0f}" if runs[0].ledger else "–",
            ]
        )
    cost, memory = (max(each) / min(each) - 1 for each in (costs, peaks))
    said = f"- {engine}: a row's cost changes by {cost:.1%} (asked: under {COST:.0%}), "
    said += f"peak memory by {memory:.1%} (under {MEMORY:.0%})."
    return lines, said, cost >= COST or memory >= MEMORY


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[1_000, 10_000, 100_000, 1_000_000])
    parser.add_argument("--engines", nargs="+", choices=ENGINES, default=list(ENGINES))
    parser.add_argument("--work", type=Path, help="where the files lie; default: a temporary folder")
    parser.add_argument("--write", action="store_true", help="put the table into benchmarks/README.md")
    parser.add_argument("--inside", nargs=4, metavar=("ENGINE", "FILE", "FEW", "FOLDER"), help=argparse.SUPPRESS)
    told = parser.parse_args(arguments)
    if told.inside:
        engine, *places = told.inside
        inside(engine, *map(Path, places))
        return 0
    place = told.work or Path(tempfile.mkdtemp())
    place.mkdir(parents=True, exist_ok=True)
    lines, said, short = [], [], False
    for engine in told.engines:
        some, sentence, failed = compared(engine, measured(engine, sorted(told.rows), place.resolve()))
        lines += some
        said.append(sentence)
        short = short or failed
    names = ["engine", "rows", "runs", "a row's cost, µs", "of all runs", "clock, s", "rows/s", "peak memory, MiB"]
    head = f"{CRITERIA} judgments a row; the largest over the smallest of a column, less 1, stands below."
    table = "\n".join((head, "", markdown_table([*names, "ledger, B/row"], lines), "", *said))
    print(table)
    if told.work is None:
        shutil.rmtree(place)
    if told.write:
        write_table(README, "scale", table)
    return int(short)


if __name__ == "__main__":
    sys.exit(main())
