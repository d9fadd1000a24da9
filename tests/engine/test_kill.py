"""The engine as a whole, against a server in a process of its own: faults, kills, several processes, threads, forks."""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from making import benchmark_server

import kardia
from kardia.engine.sqlite import SQLite
from kardia.judge import JudgeProfile, build_judge

from .ledgers import ROOT, in_child

pytestmark = pytest.mark.usefixtures("own_ledgers")
posix = pytest.mark.skipif(os.name == "nt", reason="POSIX")
NAME = "understanding"  # four criteria
FAULTS = {"429": 0.05, "500": 0.02, "garbage": 0.02, "reset": 0.01, "truncated": 0.01, "stall": 0.005}
WORDS = ["lost", "since", "she", "left", "nobody", "notices", "how", "hard", "each", "morning", "is", "for", "me"]


bench = benchmark_server()
RUBRIC = kardia.load_rubric(NAME)


@pytest.fixture(scope="module")
def process() -> Iterator[Any]:
    with bench.LocalServer() as started:
        yield started


@pytest.fixture
def server(process: Any) -> Any:
    """The module's server, as if it had just started."""
    process.configure(**vars(bench.Settings()))
    process.reset()
    return process


def rows(count: int, start: int = 0) -> list[dict[str, Any]]:
    """Conversations, each of its own."""
    made = []
    for number in range(start, start + count):
        chance = random.Random(number)
        said, reply = (" ".join(chance.choices(WORDS, k=20)) for _ in range(2))
        made.append({"id": f"c{number}", "context": said, "response": f"That sounds hard, {number}. {reply}"})
    return made


def profile(server: Any, **limits: Any) -> JudgeProfile:
    data = {"name": "local", "backend": "http", "model": "judge", "base_url": server.url, "limits": limits}
    return JudgeProfile.model_validate(data)


def levels(cards: list[Any]) -> list[tuple[str, dict[str, Any]]]:
    return [(card.id, {key: item.level for key, item in card.criteria.items()}) for card in cards]


def written(path: Path, made: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in made))
    return path


def command(source: Path, judge: Path, output: Path, ledger: Path) -> list[str]:
    return [
        *(sys.executable, "-m", "kardia", "score", str(source), "--rubric", NAME),
        *("--judge", str(judge), "-o", str(output), "--ledger", str(ledger)),
    ]


def begun(*arguments: Path) -> subprocess.Popen[str]:
    path = os.pathsep.join(part for part in (str(ROOT), os.environ.get("PYTHONPATH", "")) if part)
    environment = {**os.environ, "PYTHONPATH": path}
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
    return subprocess.Popen(command(*arguments), text=True, env=environment, **quiet)


def ended(run: subprocess.Popen[str]) -> None:
    said = run.communicate(timeout=120)[1]
    assert run.returncode == 0, said


def test_faults_cost_a_few_requests_and_no_judgment(tmp_path: Path, server: Any) -> None:
    made = rows(100)
    judge = profile(server, timeout_s=2.5)
    server.configure(latency_ms=5)
    calm = list(kardia.score_many(made, RUBRIC, judge, ledger="off"))
    assert server.stats()["requests"] == 400
    server.reset()
    # which requests fail follows from their bodies and the seed: with this one every kind comes
    server.configure(faults=FAULTS, retry_after=0.1, seed=3)
    rough = list(kardia.score_many(made, RUBRIC, judge, ledger=tmp_path / "ledger.db"))
    stats = server.stats()
    assert set(stats["faults"]) == set(FAULTS)
    assert levels(rough) == levels(calm)
    assert {item.status for card in rough for item in card.criteria.values()} == {"scored"}
    assert stats["questions"] == 400
    assert stats["repeated_after_answer"] == 0
    assert 400 + sum(stats["faults"].values()) <= stats["requests"] <= 1.25 * 400
    # every request is on somebody's bill
    assert sum(card.usage["requests"] for card in rough) == stats["requests"]


@posix
def test_after_three_kills_the_file_is_the_same_and_little_was_asked_twice(tmp_path: Path, server: Any) -> None:
    concurrency, most = 16, 64 + 16
    server.configure(latency_ms=40, jitter_ms=20)
    source = written(tmp_path / "in.jsonl", rows(100))
    judge = tmp_path / "judge.json.yaml"
    judge.write_text(json.dumps(profile(server, concurrency=concurrency).model_dump(exclude_defaults=True)))
    whole, out, ledger = (tmp_path / name for name in ("whole.jsonl", "out.jsonl", "ledger.db"))
    ended(begun(source, judge, whole, tmp_path / "other.db"))
    server.reset()
    again = []
    for more in (150, 100, 100):
        wanted = server.stats()["requests"] + more
        run = begun(source, judge, out, ledger)
        while server.stats()["requests"] < wanted:
            assert run.poll() is None, run.communicate()
        run.send_signal(signal.SIGKILL)
        run.communicate()
        assert not out.exists()
        while server.stats()["in_flight"]:
            time.sleep(0.01)
        again.append(server.stats()["repeated_after_answer"])
    store = SQLite(ledger)
    stored = sum(1 for _ in store.rows())
    store.close()
    before = server.stats()["requests"]
    ended(begun(source, judge, out, ledger))
    assert out.read_bytes() == whole.read_bytes()
    assert server.stats()["requests"] - before == 400 - stored  # nothing that was committed
    again.append(server.stats()["repeated_after_answer"])
    each = [later - sooner for sooner, later in pairwise(again)]
    assert again[0] == 0
    assert max(each) <= most
    assert server.stats()["questions"] == 400


@posix
def test_two_processes_share_one_ledger_and_one_pace(tmp_path: Path, server: Any) -> None:
    server.configure(latency_ms=20)
    made = rows(12)
    judge = tmp_path / "judge.yaml"
    judge.write_text(json.dumps(profile(server, requests_per_minute=1200).model_dump(exclude_defaults=True)))
    sources = [written(tmp_path / "a.jsonl", made), written(tmp_path / "b.jsonl", made[::-1])]
    outs = [source.with_suffix(".out") for source in sources]
    runs = [begun(source, judge, out, tmp_path / "ledger.db") for source, out in zip(sources, outs, strict=True)]
    for run in runs:
        ended(run)
    one, other = (out.read_text().splitlines() for out in outs)
    assert one == other[::-1]
    stats = server.stats()
    assert stats["questions"] == 48
    assert stats["requests"] <= 60  # of 96, had each asked for itself
    # 20 a second are allowed to both together; a machine that stands still lets some arrive at once
    assert stats["most_in_a_second"] <= 30


# in one program


def asks(server: Any, work: Any) -> int:
    """How many requests came of it."""
    before = server.stats()["requests"]
    work()
    return int(server.stats()["requests"]) - before


@posix
def test_a_fork_after_use(tmp_path: Path, server: Any) -> None:
    judge = build_judge(profile(server))
    first, second, third = rows(3)

    def score(row: dict[str, Any]) -> str:
        return json.dumps(kardia.score(row, RUBRIC, judge, ledger=tmp_path / "ledger.db").to_json())

    told: list[str] = []
    assert asks(server, lambda: told.append(score(first))) == 4
    assert asks(server, lambda: told.append(in_child(lambda: score(first) + "\n" + score(second)))) == 4
    of_first, of_second = told[1].splitlines()
    assert of_first == told[0]
    assert asks(server, lambda: told.append(score(second))) == 0
    assert told[2] == of_second
    assert asks(server, lambda: told.append(score(third))) == 4


def _spawned(row: dict[str, Any], judge: Any, ledger: str) -> str:
    return json.dumps(kardia.score(row, RUBRIC, judge, ledger=ledger).to_json())


def test_a_spawned_child(tmp_path: Path, server: Any) -> None:
    judge = build_judge(profile(server))  # travels to the child
    first, second = rows(2)
    path = str(tmp_path / "ledger.db")
    here = _spawned(first, judge, path)
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert asks(server, lambda: pool.apply(_spawned, (second, judge, path))) == 4
        there = []
        assert asks(server, lambda: there.append(pool.apply(_spawned, (first, judge, path)))) == 0
        assert there == [here]
        pool.close()
        pool.join()
    assert asks(server, lambda: _spawned(second, judge, path)) == 0


def test_eight_threads_and_one_judge(tmp_path: Path, server: Any) -> None:
    server.configure(latency_ms=10)
    judge = build_judge(profile(server, concurrency=8))
    made = rows(40)
    found: dict[int, list[Any]] = {}

    def work(number: int) -> None:
        mine = [made[place % 40] for place in range(5 * number, 5 * number + 10)]  # half of it is the next one's, too
        found[number] = [kardia.score(row, RUBRIC, judge, ledger=tmp_path / "ledger.db") for row in mine]

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [len(found[number]) for number in range(8)] == [10] * 8
    for number in range(8):
        assert levels(found[number][5:]) == levels(found[(number + 1) % 8][:5])
    stats = server.stats()
    assert stats["requests"] == stats["questions"] == 160
    assert 1 < stats["peak"] <= 8


async def test_a_loop_that_runs_already(tmp_path: Path, server: Any) -> None:
    """As in a notebook: both ways side by side, on two loops, with one ledger."""
    judge = build_judge(profile(server))
    made, path = rows(6), tmp_path / "ledger.db"
    plain = list(kardia.score_many(made[:4], RUBRIC, judge, ledger=path))
    awaited = [card async for card in kardia.ascore_many(made, RUBRIC, judge, ledger=path)]
    again = list(kardia.score_many(made, RUBRIC, judge, ledger=path))
    assert levels(again) == levels(awaited)
    assert levels(awaited)[:4] == levels(plain)
    assert server.stats()["requests"] == 24
    await judge.aclose()


@pytest.mark.parametrize("shared", [True, False], ids=["one judge", "a judge each"])
async def test_what_is_gathered_keeps_to_the_limit(server: Any, shared: bool) -> None:
    """Two hundred that know nothing of each other are together as many as the profile allows."""
    server.configure(latency_ms=5)
    limits = profile(server, concurrency=4)
    judge = build_judge(limits) if shared else limits
    made = rows(200)
    cards = await asyncio.gather(*(kardia.ascore(row, RUBRIC, judge, ledger="off") for row in made))
    assert [card.id for card in cards] == [row["id"] for row in made]
    stats = server.stats()
    assert stats["requests"] == stats["questions"] == 800
    assert stats["peak"] == 4
    if shared:
        await judge.aclose()
