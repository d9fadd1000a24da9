"""What is lost when an endpoint fails, a process is killed, or two processes share one endpoint.

    python benchmarks/chaos.py faults [--judgments 2000]
    python benchmarks/chaos.py kills [--judgments 2000] [--kills 20]
    python benchmarks/chaos.py pace [--seconds 75]

Everything goes through the command line (`kardia score`), in processes of their own, against benchmarks/server.py.
`--write` puts the table into benchmarks/README.md. Exit code 1 where a bound does not hold.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
from server import LocalServer
from tables import markdown_table, write_table

RUBRIC = "understanding"  # four criteria
CRITERIA = 4
FAULTS = {"429": 0.05, "500": 0.02, "garbage": 0.02, "reset": 0.01, "truncated": 0.01, "stall": 0.005}
README = Path(__file__).parent / "README.md"
WORDS = ["lost", "since", "she", "left", "nobody", "notices", "how", "hard", "each", "morning", "is", "for", "me"]


def conversations(path: Path, count: int, start: int = 0) -> None:
    """Writes made-up conversations, each of its own."""
    chance = random.Random(start)
    with path.open("w", encoding="utf-8") as stream:
        for number in range(start, start + count):
            said = " ".join(chance.choices(WORDS, k=40))
            reply = f"That sounds hard, {number}. " + " ".join(chance.choices(WORDS, k=30))
            messages = [{"role": "user", "content": said}, {"role": "assistant", "content": reply}]
            stream.write(json.dumps({"id": f"c{number}", "messages": messages}) + "\n")


def profile(folder: Path, url: str, **limits: Any) -> Path:
    """A judge profile for the server. JSON is YAML."""
    path = folder / "judge.yaml"
    data = {"name": "local", "backend": "http", "model": "judge", "base_url": url, "limits": limits}
    path.write_text(json.dumps(data), encoding="utf-8")
    return path


def command(source: Path, judge: Path, output: Path, ledger: Path | str) -> list[str]:
    return [
        *(sys.executable, "-m", "kardia", "score", str(source), "--rubric", RUBRIC),
        *("--judge", str(judge), "-o", str(output), "--ledger", str(ledger)),
    ]


def score(*arguments: Any) -> None:
    done = subprocess.run(command(*arguments), capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"kardia score ended with {done.returncode}: {done.stderr}")


def cards(path: Path, *, usage: bool = True) -> list[dict[str, Any]]:
    found = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    if not usage:
        for card in found:
            card.pop("usage")
    return found


def faults(judgments: int) -> list[tuple[str, str, bool]]:
    """A run against a faulty server, compared with one against the same server without faults."""
    with tempfile.TemporaryDirectory() as name, LocalServer(latency_ms=20, stall_s=30) as server:
        folder = Path(name)
        source = folder / "in.jsonl"
        conversations(source, judgments // CRITERIA)
        judge = profile(folder, server.url, timeout_s=3)
        score(source, judge, folder / "clean.jsonl", folder / "clean.sqlite3")
        clean = server.stats()["requests"]
        server.reset()
        server.configure(faults=FAULTS, retry_after=0.2)
        score(source, judge, folder / "faulty.jsonl", folder / "faulty.sqlite3")
        stats = server.stats()
        calm, rough = (cards(folder / f"{kind}.jsonl", usage=False) for kind in ("clean", "faulty"))
    asked = len(calm) * CRITERIA
    scored = sum(one["status"] == "scored" for card in rough for one in card["criteria"].values())
    wrong = sum(
        rough_one["level"] != calm_card["criteria"][key]["level"]
        for calm_card, rough_card in zip(calm, rough, strict=True)
        for key, rough_one in rough_card["criteria"].items()
    )
    each = stats["requests"] / asked
    return [
        ("judgments", f"{asked:,}", True),
        ("requests without faults", f"{clean:,}", clean == asked),
        ("faults served", f"{sum(stats['faults'].values()):,}", True),
        ("lost", f"{asked - scored:,}", scored == asked),
        ("wrong", f"{wrong:,}", wrong == 0),
        ("requests a judgment (at most 1.25)", f"{each:.3f}", each <= 1.25),
    ]


def kills(judgments: int, times: int, seed: int = 1) -> list[tuple[str, str, bool]]:
    """A run that is killed at random moments, and resumed each time."""
    chance = random.Random(seed)
    with tempfile.TemporaryDirectory() as name, LocalServer(latency_ms=150, jitter_ms=50) as server:
        folder = Path(name)
        source = folder / "in.jsonl"
        conversations(source, judgments // CRITERIA)
        judge = profile(folder, server.url)
        score(source, judge, folder / "whole.jsonl", folder / "whole.sqlite3")
        server.reset()
        repeated: list[int] = []
        reached = 0
        for _ in range(times):
            before = server.stats()
            process = subprocess.Popen(
                command(source, judge, folder / "out.jsonl", folder / "ledger.sqlite3"),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            wanted = before["requests"] + chance.randint(1, max(2, 2 * judgments // times))
            deadline = time.monotonic() + 60
            while server.stats()["requests"] < wanted and process.poll() is None and time.monotonic() < deadline:
                time.sleep(0.01)
            time.sleep(chance.uniform(0, 0.1))
            if process.poll() is None:
                reached += 1
            process.send_signal(signal.SIGKILL)
            process.wait()
            time.sleep(0.4)  # the server has seen the last of its requests
            repeated.append(server.stats()["repeated"])
        score(source, judge, folder / "out.jsonl", folder / "ledger.sqlite3")
        repeated.append(server.stats()["repeated"])
        equal = (folder / "out.jsonl").read_bytes() == (folder / "whole.jsonl").read_bytes()
        mode = oct((folder / "ledger.sqlite3").stat().st_mode & 0o777)
    # a request that a kill lost is repeated by a later run: what came after the first kill, by kill
    each = [later - sooner for sooner, later in pairwise(repeated)]
    return [
        ("judgments", f"{judgments:,}", True),
        ("kills, of which in the middle of the run", f"{times}, {reached}", reached > 0),
        ("the file equals the uninterrupted one", "yes" if equal else "no", equal),
        ("repeated requests, all kills", f"{repeated[-1]:,}", repeated[-1] <= 128 * reached),
        ("repeated requests after one kill, at most (128)", f"{max(each):,}", max(each) <= 128),
        ("mode of the ledger", mode, mode == "0o600"),
    ]


def pace(seconds: float) -> list[tuple[str, str, bool]]:
    """Two processes with one ledger and one limit of 600 requests a minute, on overlapping files."""
    share = int(600 * seconds / 60 / CRITERIA)
    with tempfile.TemporaryDirectory() as name, LocalServer(latency_ms=50) as server:
        folder = Path(name)
        judge = profile(folder, server.url, requests_per_minute=600)
        sources = [folder / "a.jsonl", folder / "b.jsonl"]
        conversations(sources[0], share)
        lines = sources[0].read_text().splitlines(keepends=True)
        sources[1].write_text("".join(reversed(lines)))  # the same rows, from the other end
        started = time.monotonic()
        runs = [
            subprocess.Popen(
                command(source, judge, folder / f"{source.stem}.out", folder / "ledger.sqlite3"),
                stderr=subprocess.DEVNULL,
            )
            for source in sources
        ]
        codes = [run.wait() for run in runs]
        took = time.monotonic() - started
        stats = server.stats()
        scored = [{card["id"]: card["score"] for card in cards(folder / f"{source.stem}.out")} for source in sources]
    minute = stats["most_in_a_minute"]
    asked = share * CRITERIA
    return [
        ("judgments wanted by each of two", f"{asked:,}", codes == [0, 0]),
        ("seconds", f"{took:.0f}", True),
        ("requests in all", f"{stats['requests']:,}", stats["requests"] <= 1.1 * asked),
        ("most in any 60 seconds (at most 600)", f"{minute:,}", minute <= 600),
        ("equal scores", "yes" if scored[0] == scored[1] else "no", scored[0] == scored[1]),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("faults", "kills", "pace"))
    parser.add_argument("--judgments", type=int, default=2000)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=75.0)
    parser.add_argument("--write", action="store_true", help="into benchmarks/README.md")
    arguments = parser.parse_args()
    os.environ["KARDIA_LEDGER"] = "off"  # nobody's own ledger, whatever happens
    if arguments.what == "faults":
        rows = faults(arguments.judgments)
    elif arguments.what == "kills":
        rows = kills(arguments.judgments, arguments.kills)
    else:
        rows = pace(arguments.seconds)
    table = markdown_table(("what", "figure"), [(name, figure) for name, figure, _ in rows], right={1})
    print(table)
    if arguments.write:
        write_table(README, f"chaos-{arguments.what}", table)
    missed = [name for name, _, holds in rows if not holds]
    if missed:
        raise SystemExit(f"does not hold: {', '.join(missed)}")


if __name__ == "__main__":
    main()
