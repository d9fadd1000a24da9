"""What a rerun costs when the ledger holds everything, and whether memory grows with the file.

    python benchmarks/cached.py [--write]          about ten minutes
    python benchmarks/cached.py --quick            a minute, to see that everything runs

The judge is `fake`, so that what is measured is kardia. `kardia score` is run on the command line, in a process of its
own each time, and measured whole: start-up, the reading and checking of the file, and the writing of the scorecards.
Beside it stands a bare loop that looks the same rows up in the same SQLite file by their keys, one at a time, and
writes them as JSON lines; of it, only the loop is measured. `--write` puts the tables into benchmarks/README.md.
"""

from __future__ import annotations

import argparse
import filecmp
import json
import os
import resource
import sqlite3
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from engine import README, RUBRIC, conversation, spread
from tables import markdown_table, write_table

CRITERIA = 6
COLUMNS = "key, conversation, judge, model, rubric, criteria, unscored, payload"


@dataclass(frozen=True)
class Ran:
    """A process that ended: how long it took, and the most memory that it held."""

    seconds: float
    peak_bytes: int


def run(command: Sequence[str], folder: Path) -> Ran:
    """Runs a command to its end; what it says on stderr is shown only if it fails.

    Raises:
        SystemExit: where it fails.
    """
    surroundings = {name: value for name, value in os.environ.items() if not name.startswith("KARDIA_")}
    said = folder / "stderr.txt"
    with open(said, "wb") as errors:
        actions = [(os.POSIX_SPAWN_DUP2, errors.fileno(), 2)]
        start = time.perf_counter()
        child = os.posix_spawn(command[0], list(command), surroundings, file_actions=actions)
        _, status, used = os.wait4(child, 0)
        seconds = time.perf_counter() - start
    if os.waitstatus_to_exitcode(status):
        raise SystemExit(f"{' '.join(command)} failed:\n{said.read_text(encoding='utf-8', errors='replace')[-2000:]}")
    return Ran(seconds, _bytes(used))


def _bytes(used: resource.struct_rusage) -> int:
    return used.ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def score(file: Path, ledger: str, out: Path) -> Ran:
    """`kardia score` with the judge `fake`."""
    command = [sys.executable, "-m", "kardia", "score", str(file), "--rubric", RUBRIC, "--judge", "fake"]
    return run([*command, "--ledger", ledger, "-o", str(out)], out.parent)


def write_conversations(file: Path, count: int) -> None:
    with open(file, "w", encoding="utf-8") as stream:
        for number in range(count):
            stream.write(json.dumps(conversation(number)) + "\n")


def bare_loop(ledger: str, out: str) -> float:
    """Looks every row of the ledger up by its key and writes it as a JSON line; the seconds that the loop took."""
    with closing(sqlite3.connect(ledger)) as database, open(out, "w", encoding="utf-8") as stream:
        keys = [row[0] for row in database.execute("SELECT key FROM judgments ORDER BY id")]
        select = f"SELECT {COLUMNS} FROM judgments WHERE key = ?"
        start = time.perf_counter()
        for key in keys:
            found, *columns, payload = database.execute(select, (key,)).fetchone()
            stream.write(json.dumps([found.hex(), *columns, payload.decode()]) + "\n")
        stream.flush()
        return time.perf_counter() - start


def held(ledger: Path) -> int:
    with closing(sqlite3.connect(ledger)) as database:
        return int(database.execute("SELECT count(*) FROM judgments").fetchone()[0])


def cached_table(judgments: int, rounds: int, folder: Path) -> str:
    """Reruns beside the bare loop, round by round."""
    file, ledger, first = folder / "conversations.jsonl", folder / "ledger.sqlite3", folder / "first.jsonl"
    write_conversations(file, judgments // CRITERIA)
    cold = score(file, str(ledger), first)
    rows = held(ledger)
    if rows != judgments // CRITERIA * CRITERIA:
        raise SystemExit(f"the ledger holds {rows:,} of {judgments:,} judgments")
    bare: list[float] = []
    again: list[float] = []
    out = folder / "again.jsonl"
    for _ in range(rounds):
        measured = folder / "bare.json"
        run([sys.executable, __file__, "--bare", str(ledger), str(measured)], folder)
        bare.append(float(json.loads(measured.read_text())))
        again.append(score(file, str(ledger), out).seconds)
        if held(ledger) != rows or not filecmp.cmp(out, first, shallow=False):
            raise SystemExit("the rerun's scorecards, or its ledger, are not those of the first run")
    ratios = [one / other for one, other in zip(again, bare, strict=True)]

    def line(what: str, seconds: Sequence[float], ratio: Sequence[float]) -> list[str]:
        shown = [spread(seconds, lambda value: f"{value:.1f}"), spread(ratio, lambda value: f"{value:.1f}")]
        return [what, f"{rows:,}", *shown]

    lines = [
        line("bare loop: rows by key, as JSON lines", bare, [1.0]),
        line("`kardia score`, everything in the ledger", again, ratios),
        line("`kardia score`, nothing in the ledger yet", [cold.seconds], []),
    ]
    return markdown_table(["what", "judgments", "seconds", "of the bare loop"], lines, right=(1, 2, 3))


def memory_table(sizes: Sequence[int], folder: Path) -> str:
    """The most memory that scoring takes, for files of several sizes."""
    lines: list[list[str]] = []
    for ledger in ("off", "on"):
        least: int | None = None
        for size in sizes:
            file, out, path = folder / "memory.jsonl", folder / "memory.out.jsonl", folder / f"memory-{size}.sqlite3"
            write_conversations(file, size)
            peak = score(file, "off" if ledger == "off" else str(path), out).peak_bytes
            if peak <= _bytes(resource.getrusage(resource.RUSAGE_SELF)):  # a child's figure begins with its parent's
                raise SystemExit("this process holds more memory than the one that it measures")
            least = peak if least is None else least
            for left in (file, out, *folder.glob("memory-*")):
                left.unlink()
            lines.append([f"{size:,}", ledger, f"{peak / 2**20:.0f}", f"{peak / least:.2f}"])
            print(f"{size:,} conversations, ledger {ledger}: {peak / 2**20:.0f} MiB", file=sys.stderr)
    head = ["conversations", "ledger", "peak MiB", f"of {sizes[0]:,}’s"]
    return markdown_table(head, lines, right=(0, 2, 3))


def main() -> int:
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=form)
    parser.add_argument("--quick", action="store_true", help="few judgments: whether everything runs")
    parser.add_argument("--rounds", type=int, help="reruns and bare loops; default: 3")
    parser.add_argument("--judgments", type=int, help="in the ledger; default: 200,000")
    parser.add_argument("--conversations", type=int, nargs=2, help="for memory; default: 2000 200000")
    parser.add_argument("--folder", type=Path, help="files are written below this; default: the temporary folder")
    parser.add_argument("--write", action="store_true", help="put the tables into benchmarks/README.md")
    parser.add_argument("--bare", nargs=2, metavar=("LEDGER", "RESULT"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.bare:
        ledger, result = options.bare
        Path(result).write_text(json.dumps(bare_loop(ledger, result + "l")))
        return 0
    quick = options.quick
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        cached = cached_table(options.judgments or (6_000 if quick else 200_000), options.rounds or 3, folder)
        print(cached, file=sys.stderr)
        memory = memory_table(options.conversations or ([500, 5_000] if quick else [2_000, 200_000]), folder)
    text = f"{cached}\n\n{memory}"
    print(text)
    if options.write:
        write_table(README, "cached", text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
