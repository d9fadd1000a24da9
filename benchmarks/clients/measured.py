"""What every client of the benchmark shares: the work that it is given, the pool that does it, and the clock.

Only the standard library: the clients run in environments of their own. A client is a script; its last line on stdout
is a JSON object with what was measured.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

Level = int | str | None


@dataclass
class Work:
    """What is judged.

    Attributes:
        body: what all requests have in common: model and sampling.
        system: the system message.
        criteria: for each criterion `id`, `ending` (the end of the user message), `text` (the criterion in one
            sentence), `levels`, `descriptions` and `schema`.
        conversations: for each one `id`, `messages`, and `beginning` (of the user message).
    """

    body: dict[str, Any]
    system: str
    criteria: list[dict[str, Any]]
    conversations: list[dict[str, Any]]

    def messages(self, conversation: int, criterion: int) -> list[dict[str, str]]:
        """The rendered prompt: what kardia sends, to the byte."""
        user = self.conversations[conversation]["beginning"] + self.criteria[criterion]["ending"]
        return [{"role": "system", "content": self.system}, {"role": "user", "content": user}]

    def context(self, conversation: int) -> str:
        """What was said before the reply."""
        said = self.conversations[conversation]["messages"][:-1]
        return "\n".join(f"{message['role']}: {message['content']}" for message in said)

    def reply(self, conversation: int) -> str:
        text: str = self.conversations[conversation]["messages"][-1]["content"]
        return text

    def request(self, conversation: int, criterion: int) -> dict[str, Any]:
        """The whole body, as kardia sends it."""
        schema = {"name": "verdict", "strict": True, "schema": self.criteria[criterion]["schema"]}
        return {
            "model": self.body["model"],
            "messages": self.messages(conversation, criterion),
            **{key: value for key, value in self.body.items() if key != "model"},
            "response_format": {"type": "json_schema", "json_schema": schema},
        }


@dataclass
class Measured:
    """One measurement: a warm-up that is not counted, then as many judgments as were asked for or the time allows.

    Attributes:
        levels: what was judged, after the warm-up.
        lost: judgments that were asked for and did not come.
        warmed: judgments of the warm-up.
    """

    url: str
    concurrency: int
    warm_up: int
    judgments: int
    seconds: float
    started: float
    work: Work
    extra: dict[str, str]
    levels: list[Level] = field(default_factory=list)
    lost: int = 0
    warmed: int = 0
    _first: float | None = None
    _clock: tuple[float, float] | None = None

    @classmethod
    def from_command_line(cls) -> Measured:
        parser = argparse.ArgumentParser()
        parser.add_argument("--url", required=True)
        parser.add_argument("--concurrency", type=int, required=True)
        parser.add_argument("--warm-up", type=int, required=True, help="judgments that are not counted")
        parser.add_argument("--judgments", type=int, required=True)
        parser.add_argument("--seconds", type=float, required=True, help="no judgment is begun after so long")
        parser.add_argument("--started", type=float, required=True, help="when this process was started (Unix time)")
        parser.add_argument("--work", type=Path, required=True)
        parser.add_argument("--extra", action="append", default=[], metavar="NAME=VALUE")
        given = vars(parser.parse_args())
        work = Work(**json.loads(given.pop("work").read_text(encoding="utf-8")))
        extra = dict(item.split("=", 1) for item in given.pop("extra"))
        return cls(**given, work=work, extra=extra)

    @property
    def warm_conversations(self) -> int:
        """How many conversations the warm-up takes, from the front."""
        return -(-self.warm_up // len(self.work.criteria))

    def pairs(self, start: int, count: int) -> Iterator[tuple[int, int]]:
        """So many pairs of a conversation and a criterion, from a conversation on."""
        many = len(self.work.criteria)
        for number in range(count):
            yield start + number // many, number % many

    def in_time(self, items: Iterable[Any]) -> Iterator[Any]:
        """The items, as long as there is time."""
        assert self._clock is not None
        end = self._clock[0] + self.seconds
        for item in items:
            if time.perf_counter() > end:
                return
            yield item

    def first(self) -> None:
        """The first judgment is there."""
        if self._first is None:
            self._first = time.time() - self.started

    def start(self) -> None:
        self.warmed = len(self.levels) + self.lost
        self.levels.clear()
        self.lost = 0
        self._clock = (time.perf_counter(), time.process_time())

    def add(self, levels: Iterable[Level]) -> None:
        self.first()
        for level in levels:
            if level is None:
                self.lost += 1
            else:
                self.levels.append(level)

    def report(self, *packages: str) -> None:
        """Stops the clock, and prints what was measured."""
        assert self._clock is not None
        assert self._first is not None
        seconds = time.perf_counter() - self._clock[0]
        cpu = time.process_time() - self._clock[1]
        if not self.levels:
            sys.exit("not one judgment came")
        result = {
            "judgments": len(self.levels),
            "lost": self.lost,
            "warmed": self.warmed,
            "seconds": seconds,
            "cpu_s": cpu,
            "peak_bytes": peak_bytes(),
            "start_up_s": self._first,
            "versions": {name: metadata.version(name) for name in packages},
        }
        print(json.dumps(result))

    async def pooled(
        self, ask: Callable[[Any], Awaitable[Iterable[Level]]], items: Iterable[Any], workers: int
    ) -> None:
        """So many workers, each taking the next item when it is done with the last; a failure is a lost judgment."""
        queue = iter(items)

        async def work() -> None:
            for item in queue:
                self.add(await ask(item))

        await asyncio.gather(*(work() for _ in range(workers)))

    async def run_pairs(self, ask: Callable[[tuple[int, int]], Awaitable[Level]]) -> None:
        """Warm-up and measurement of a client that is asked one judgment at a time."""

        async def one(pair: tuple[int, int]) -> tuple[Level]:
            try:
                return (await ask(pair),)
            except Exception as problem:
                complain(problem)
                return (None,)

        await self.pooled(one, self.pairs(0, self.warm_up), self.concurrency)
        self.start()
        pairs = self.pairs(self.warm_conversations, self.judgments)
        await self.pooled(one, self.in_time(pairs), self.concurrency)


_complained = False


def complain(problem: BaseException) -> None:
    """Says on stderr why a judgment was lost; once."""
    global _complained
    if not _complained:
        _complained = True
        print(f"a judgment was lost: {problem!r}"[:600], file=sys.stderr)


def peak_bytes() -> int:
    """The most memory that this process held; `ru_maxrss` would count what the process that started it held."""
    try:
        status = Path("/proc/self/status").read_text()
        return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM"))
    except (OSError, StopIteration):
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
