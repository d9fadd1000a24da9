"""`kardia serve` under load on loopback: is anything lost, mixed up, or let in that should not be?

    python benchmarks/serve.py --seconds 60 --clients 200 [--write]

A server in a process of its own, with the fake judge, and so many clients at once, each on connections of its own,
each with one request after the other: mostly completions to score, by kardia's contract and by OpenRLHF's; between them
wrong tokens, malformed and oversized bodies, and clients that leave before they are answered. The fake judge's levels
follow from the judged text alone, so that every level of every answer is checked, in its place. At the end the server
is asked to stop (SIGTERM) while the clients go on: what it had begun must be answered. Exit code 1 where anything was
wrong.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import re
import secrets
import signal
import statistics
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
from tables import markdown_table, write_table

from kardia.judge.backends.fake import fake_level
from kardia.rubric.loading import load_rubric

ROOT = Path(__file__).resolve().parents[1]
RUBRIC = "supportiveness@1"
MAX_BODY = 64 * 1024
TOKEN = "KARDIA_BENCHMARK_TOKEN"
KINDS = {"score": 68, "openrlhf": 20, "wrong token": 4, "malformed": 5, "too large": 1, "leaves": 2}
"""Kind of request → its share, in hundredths."""
MALFORMED: list[tuple[bytes, str, int]] = [
    (b"", "application/json", 400),
    (b"not json", "application/json", 400),
    (b'{"items": [', "application/json", 400),
    (b'{"items": []} {}', "application/json", 400),
    (b'{"items": NaN}', "application/json", 400),
    (b'{"items": [], "items": []}', "application/json", 400),
    (b"\xff\xfe", "application/json", 400),
    (b"[" * 5000, "application/json", 400),
    (b"[]", "application/json", 422),
    (b"{}", "application/json", 422),
    (b'{"items": {}}', "application/json", 422),
    (b'{"items": [], "more": 1}', "application/json", 422),
    (b'{"items": [{"prompt": "a"}]}', "application/json", 422),
    (b'{"items": [{"prompt": "a", "completion": 5}]}', "application/json", 422),
    (b'{"items": [{"prompt": "a", "completion": [{"role": "nobody", "content": "b"}]}]}', "application/json", 422),
    (b'{"items": [{"prompt": "\\ud800", "completion": "b"}]}', "application/json", 422),
    (b'{"items": []}', "text/plain", 415),
]
WORDS = [
    "hear",
    "sounds",
    "hard",
    "what",
    "happened",
    "fault",
    "time",
    "wonder",
    "tired",
    "with",
    "you",
    "brave",
    "say",
]
TAKEN_S = 0.25
"""A request that was sent so long before the server was asked to stop was begun by then."""


@dataclass
class Seen:
    """What the clients saw."""

    right: Counter[str] = field(default_factory=Counter)
    wrong: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    items: int = 0
    seconds: list[float] = field(default_factory=list)
    stopped_at: float = float("inf")
    not_taken: int = 0
    """Requests that a server which was stopping did not take any more."""
    finished: int = 0
    """Requests that were sent before it was asked to stop, and answered after."""

    def check(self, kind: str, what: str | None) -> None:
        if what is None:
            self.right[kind] += 1
        else:
            self.wrong[kind] += 1
            self.faults.append(f"{kind}: {what}")


@dataclass
class Client:
    """One client: one request after the other."""

    session: aiohttp.ClientSession
    url: str
    token: str
    random: random.Random
    seen: Seen
    criteria: list[Any]
    repeated: list[str]

    async def run(self, until: float) -> None:
        kinds, shares = list(KINDS), list(KINDS.values())
        while time.monotonic() < until and await self.one(self.random.choices(kinds, shares)[0]):
            pass

    async def one(self, kind: str) -> bool:
        """One request; whether the server still takes some."""
        begun = time.monotonic()
        try:
            fault = await getattr(self, f"_{kind.replace(' ', '_')}")()
        except (aiohttp.ClientError, asyncio.TimeoutError, OSError) as problem:
            fault = f"{type(problem).__name__}: {problem}"
            if begun > self.seen.stopped_at - TAKEN_S:
                self.seen.not_taken += 1
                return False
        self.seen.check(kind, fault)
        if kind in ("score", "openrlhf"):
            self.seen.seconds.append(time.monotonic() - begun)
        if begun < self.seen.stopped_at < time.monotonic() and fault is None:
            self.seen.finished += 1
        return True

    def _text(self) -> str:
        if self.random.random() < 0.2:  # what several clients ask for at the same time
            return self.random.choice(self.repeated)
        return " ".join(self.random.choices(WORDS, k=self.random.randint(4, 30))) + f" {self.random.getrandbits(40):x}"

    async def _post(self, path: str, body: Any, token: str | None = None) -> tuple[int, Any]:
        headers = {"authorization": f"Bearer {token or self.token}"}
        async with self.session.post(self.url + path, json=body, headers=headers) as answer:
            return answer.status, await answer.json()

    async def _score(self) -> str | None:
        texts = [self._text() for _ in range(self.random.choice((1, 1, 2, 4, 8, 16)))]
        items = [{"prompt": "I had a bad day.", "completion": text, "metadata": {"emotion": "sad"}} for text in texts]
        status, answer = await self._post("/score", {"items": items})
        if status != 200:
            return f"status {status}: {answer}"
        if not len(answer["rewards"]) == len(answer["details"]) == len(texts):
            return "another number of rewards"
        for text, reward, detail in zip(texts, answer["rewards"], answer["details"], strict=True):
            levels = {key: found["level"] for key, found in detail["criteria"]["rubric"].items()}
            if levels != {item.id: fake_level(item, text) for item in self.criteria} or reward != detail["value"]:
                return "another text's reward"
        self.seen.items += len(texts)
        return None

    async def _openrlhf(self) -> str | None:
        text, prompt = self._text(), "<|im_start|>user\nI had a bad day.<|im_end|>\n<|im_start|>assistant\n"
        body = {"query": [f"{prompt}{text}<|im_end|>"], "prompts": [prompt], "labels": ['{"emotion": "sad"}']}
        status, answer = await self._post(self.random.choice(("/", "/openrlhf")), body)
        if status != 200:
            return f"status {status}: {answer}"
        for item in self.criteria:
            value = answer["extra_logs"][f"criterion/rubric/{item.id}"]
            if value != [item.value(fake_level(item, text))]:
                return "another text's reward"
        self.seen.items += 1
        return None if len(answer["rewards"]) == 1 == len(answer["scores"]) else "another number of rewards"

    async def _wrong_token(self) -> str | None:
        status, answer = await self._post(
            "/score", {"items": []}, self.random.choice((self.token[:-1] + "~", "x", "a b"))
        )
        return None if status == 401 and answer["kind"] == "unauthorized" else f"status {status}: {answer}"

    async def _malformed(self) -> str | None:
        body, kind, expected = self.random.choice(MALFORMED)
        headers = {"authorization": f"Bearer {self.token}", "content-type": kind}
        async with self.session.post(self.url + "/score", data=body, headers=headers) as answer:
            told = await answer.json()
            good = answer.status == expected and told["error"] and "Traceback" not in told["error"]
            return None if good else f"{body[:40]!r}: status {answer.status}: {told}"

    async def _too_large(self) -> str | None:
        item = {"prompt": "a", "completion": "b" * self.random.randint(MAX_BODY, 4 * MAX_BODY)}
        status, answer = await self._post("/score", {"items": [item]})
        return None if status == 413 else f"status {status}: {answer}"

    async def _leaves(self) -> str | None:
        work = asyncio.ensure_future(self._score())
        await asyncio.sleep(self.random.uniform(0, 0.03))
        if work.done():
            return work.result()
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)
        return None


def start(token: str, max_queue: int) -> tuple[subprocess.Popen[str], str]:
    """The server and its URL."""
    command = [sys.executable, "-m", "kardia", "serve", "--rubric", RUBRIC, "--judge", "fake", "--port", "0"]
    command += ["--token-env", TOKEN, "--on-unscored", "raise", "--ledger", "off"]
    command += ["--max-body", str(MAX_BODY), "--max-queue", str(max_queue)]
    path = os.pathsep.join(part for part in (str(ROOT), os.environ.get("PYTHONPATH", "")) if part)
    environment = {**os.environ, "PYTHONPATH": path, TOKEN: token}
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment)
    assert process.stderr is not None
    line = process.stderr.readline()
    found = re.search(r"http://\S+", line)
    if found is None:
        raise SystemExit(f"the server did not start: {line}{process.stderr.read()}")
    return process, found[0]


async def load(
    url: str, token: str, arguments: argparse.Namespace, process: subprocess.Popen[str]
) -> tuple[Seen, float, str]:
    """Runs the clients; what they saw, how long it took, and what /metrics said before the end."""
    seen = Seen()
    criteria = list(load_rubric(RUBRIC).criteria)
    repeated = [f"I hear you, and I am with you {number}." for number in range(20)]
    timeout = aiohttp.ClientTimeout(total=180)
    sessions = [
        aiohttp.ClientSession(timeout=timeout, connector=aiohttp.TCPConnector(limit=2))
        for _ in range(arguments.clients)
    ]
    clients = [
        Client(session, url, token, random.Random(f"{arguments.seed} {number}"), seen, criteria, repeated)
        for number, session in enumerate(sessions)
    ]
    begun = time.monotonic()
    tasks = [asyncio.ensure_future(client.run(begun + arguments.seconds + 60)) for client in clients]
    await asyncio.sleep(arguments.seconds)
    elapsed = time.monotonic() - begun
    seen_by_then = len(seen.seconds), seen.items
    try:
        async with sessions[0].get(url + "/metrics", headers={"authorization": f"Bearer {token}"}) as answer:
            metrics = await answer.text()
        seen.stopped_at = time.monotonic()
        process.send_signal(signal.SIGTERM)
        await asyncio.gather(*tasks)
    finally:
        for session in sessions:
            await session.close()
    print(
        f"{arguments.clients} clients, {elapsed:.1f} s: {seen_by_then[0] / elapsed:,.0f} scored requests and "
        f"{seen_by_then[1] / elapsed:,.0f} completions a second"
    )
    return seen, elapsed, metrics


def quantile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(share * len(values)))] if values else float("nan")


def main(words: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--clients", type=int, default=200)
    parser.add_argument("--max-queue", type=int, default=10_000)
    parser.add_argument("--seed", default="7")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON, too")
    parser.add_argument("--write", action="store_true", help="put the table into benchmarks/README.md")
    arguments = parser.parse_args(words)
    token = secrets.token_hex(32)
    process, url = start(token, arguments.max_queue)
    try:
        seen, _, metrics = asyncio.run(load(url, token, arguments, process))
        code = process.wait(60)
    finally:
        process.kill()
    assert process.stderr is not None
    said = process.stderr.read()
    rows = [
        [kind, f"{seen.right[kind] + seen.wrong[kind]:,}", f"{seen.right[kind]:,}", f"{seen.wrong[kind]:,}"]
        for kind in KINDS
    ]
    table = markdown_table(["requests", "sent", "answered as they should be", "not"], rows, {1, 2, 3})
    print(table)
    waits = (
        f"seconds to an answer: median {statistics.median(seen.seconds or [0]):.3f}, "
        f"95 % {quantile(seen.seconds, 0.95):.3f}, 99 % {quantile(seen.seconds, 0.99):.3f}, "
        f"most {max(seen.seconds, default=0):.3f}"
    )
    print(waits)
    counted = {
        name: float(found[1])
        for name in ("kardia_items_total", "kardia_shared_total", "kardia_unscored_total", "kardia_batch_items_count")
        if (found := re.search(rf"^{name} (\S+)", metrics, re.MULTILINE))
    }
    print(", ".join(f"{name} {value:,.0f}" for name, value in counted.items()))
    ended = (
        f"after SIGTERM: {seen.finished:,} requests that were under way were answered, {seen.not_taken:,} that came "
        f"too late were not taken; exit code {code}"
    )
    print(ended)
    if arguments.write:
        load_told = f"{arguments.clients} clients, {arguments.seconds:.0f} seconds"
        write_table(Path(__file__).with_name("README.md"), "serve", f"{table}\n\n{load_told}; {waits}; {ended}.")
    for fault in seen.faults[:10]:
        print("WRONG", fault[:300])
    noise = [line for line in said.splitlines() if "stopping" not in line]
    for line in noise[:10]:
        print("STDERR", line[:300])
    if arguments.json:
        print(json.dumps({"right": seen.right, "wrong": seen.wrong, "code": code, "items": seen.items, "noise": noise}))
    return int(bool(seen.faults or noise or code or not seen.items))


if __name__ == "__main__":
    sys.exit(main())
