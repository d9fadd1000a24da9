"""kardia's engine beside others, all against one local server.

    python benchmarks/engine.py [--write]          about three quarters of an hour
    python benchmarks/engine.py --quick            a few minutes, to see that everything runs

A client is measured in a process of its own, one client after the other, and that round by round, so that whatever
else the machine does hits all of them. What is measured is what comes after a warm-up of 200 judgments, or of twice as
many as run at a time: judgments a second, CPU time, and the most memory that the process held. The seconds from the
start of the process to the first judgment are measured on their own. Libraries that are no part of kardia's environment
get one each, under the cache folder; one that cannot be installed is left out, with the reason. `--write` puts the
tables into benchmarks/README.md.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import platform
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

from server import LocalServer
from tables import markdown_table, write_table

README = Path(__file__).with_name("README.md")
CLIENTS = Path(__file__).with_name("clients")
RUBRIC = "supportiveness@1"
PLAIN = "aiohttp, plain loop"
GEVAL = {
    "type": "object",
    "properties": {"reason": {"type": "string"}, "score": {"type": "integer", "minimum": 0, "maximum": 10}},
}
WORDS = """
    since the letter came nobody at home speaks of it and every morning feels a little longer than the one before
    while the work goes on as if I had never been away so I smile and say that all is well when it is not
"""


@dataclass(frozen=True)
class Client:
    """One line of the table.

    Attributes:
        name: as the table has it.
        script: in benchmarks/clients.
        extra: `NAME=VALUE` items; `{folder}` is a fresh folder.
        needs: what is installed for it in an environment of its own; None: it runs in kardia's.
        slow: whether it gets fewer seconds, since they buy no more certainty.
        assumed: the schema by which the server answers where a request brings none.
    """

    name: str
    script: str
    extra: tuple[str, ...] = ()
    needs: str | None = None
    assumed: dict[str, Any] | None = None
    slow: bool = False


def _kardia(backend: str, ledger: str) -> Client:
    where = "off" if ledger == "off" else "{folder}/ledger.sqlite3"
    extra = (f"rubric={RUBRIC}", f"backend={backend}", f"ledger={where}")
    return Client(f"kardia {backend}, ledger {ledger}", "kardia_judge.py", extra)


ALL = (
    Client(PLAIN, "plain.py"),
    Client("aiohttp, plain loop on uvloop", "plain.py", ("uvloop=1",)),
    _kardia("http", "off"),
    _kardia("http", "on"),
    Client("openai SDK", "openai_sdk.py", slow=True),
    _kardia("openai", "off"),
    _kardia("openai", "on"),
    Client("autorubric", "autorubric_judge.py", needs="autorubric==1.6.1", slow=True),
    Client("verifiers", "verifiers_judge.py", needs="verifiers==0.4.0", slow=True),
    Client("deepeval", "deepeval_judge.py", needs="deepeval==4.3.1", assumed=GEVAL, slow=True),
)


@dataclass
class Plan:
    """What is measured, and how much of it."""

    rounds: int
    judgments: int
    warm_up: int
    seconds: float
    slow_seconds: float
    at_a_time: list[int]
    latency_ms: list[float]
    cache: Path
    folder: Path
    clients: list[Client] = field(default_factory=list)
    pythons: dict[str, Path] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)

    def warm_up_for(self, concurrency: int) -> int:
        """Enough for every connection to have been opened."""
        return max(self.warm_up, 2 * concurrency)


def make_work(path: Path, conversations: int) -> None:
    """Writes what the clients judge: made-up conversations, and kardia's prompts for them, cut where they differ."""
    from kardia.judge.chat import chat_body
    from kardia.judge.profile import JudgeProfile
    from kardia.plan import Planner
    from kardia.reading.rows import conversation_from_row
    from kardia.rubric.loading import load_rubric

    rubric = load_rubric(RUBRIC)
    profile = JudgeProfile.model_validate(
        {"name": "bench", "backend": "http", "model": "judge", "base_url": "http://127.0.0.1:1/v1"}
    )
    planner = Planner(rubric, profile)
    rows = [conversation(number) for number in range(conversations)]
    criteria: list[dict[str, Any]] = []
    system, body = "", {}
    for number, row in enumerate(rows):
        requests = planner.plan(conversation_from_row(row, row["id"])).requests
        users = [request.messages[1].content for request in requests]
        row["beginning"] = _beginning(users)
        endings = [user[len(row["beginning"]) :] for user in users]
        if number == 0:
            bodies = [chat_body(profile, request) for request in requests]
            system = requests[0].messages[0].content
            body = {key: value for key, value in bodies[0].items() if key not in ("messages", "response_format")}
            for request, ending in zip(requests, endings, strict=True):
                criterion = request.criteria[0]
                described = [f"{level}: {criterion.scale.describe(level) or ''}".strip() for level in criterion.levels]
                text, levels = criterion.question.strip(), list(criterion.levels)
                criteria.append(
                    {"id": criterion.id, "ending": ending, "text": text, "levels": levels, "descriptions": described}
                    | {"schema": request.schema}
                )
        assert endings == [criterion["ending"] for criterion in criteria], "a prompt ends by its conversation"
    work = {"body": body, "system": system, "criteria": criteria, "conversations": rows}
    path.write_text(json.dumps(work), encoding="utf-8")
    _check(json.loads(path.read_text(encoding="utf-8")), bodies)


def _beginning(texts: Sequence[str]) -> str:
    """What all texts begin with."""
    first, last = min(texts), max(texts)
    same = next((place for place, pair in enumerate(zip(first, last, strict=False)) if pair[0] != pair[1]), len(first))
    return first[:same]


def _check(work: dict[str, Any], bodies: list[dict[str, Any]]) -> None:
    """The bodies that the clients put together are kardia's."""
    spec = importlib.util.spec_from_file_location("measured", CLIENTS / "measured.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["measured"] = module
    spec.loader.exec_module(module)
    held = module.Work(**work)
    for number, body in enumerate(bodies):
        assert json.dumps(held.request(0, number)) == json.dumps(body), "the bodies differ from kardia's"


def conversation(number: int) -> dict[str, Any]:
    drawn, words = random.Random(number), WORDS.split()
    sizes = (("user", 60), ("assistant", 40), ("user", 30), ("assistant", 60))
    messages = [{"role": role, "content": " ".join(drawn.choices(words, k=size))} for role, size in sizes]
    return {"id": f"made-up-{number}", "messages": messages}


def python_for(client: Client, plan: Plan) -> Path:
    """The interpreter that a client runs in, its environment made where there is none yet.

    Raises:
        RuntimeError: where it cannot be made; says why.
    """
    if client.needs is None:
        return Path(sys.executable)
    folder = plan.cache / client.needs
    python, ready = folder / "bin" / "python", folder / ".ready"
    if ready.exists():
        return python
    print(f"installing {client.needs} in {folder}", file=sys.stderr)
    shutil.rmtree(folder, ignore_errors=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    for command in (
        [sys.executable, "-m", "venv", str(folder)],
        [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", client.needs],
    ):
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            said = (done.stderr or done.stdout).strip().splitlines()
            raise RuntimeError(f"{client.needs} does not install: {said[-1] if said else 'no word why'}")
    ready.touch()
    return python


def measure(client: Client, server: LocalServer, plan: Plan, concurrency: int, latency_ms: float) -> dict[str, Any]:
    """One measurement in a fresh process.

    Raises:
        RuntimeError: where the client fails; with the end of what it said.
    """
    more = {} if client.assumed is None else {"assumed": client.assumed}
    server.configure(latency_ms=latency_ms, **more)
    server.reset()
    folder = Path(tempfile.mkdtemp(dir=plan.folder))
    command = [str(plan.pythons[client.name]), str(CLIENTS / client.script), "--url", server.url]
    command += [
        "--concurrency",
        str(concurrency),
        "--warm-up",
        str(plan.warm_up_for(concurrency)),
        "--judgments",
        str(plan.judgments),
    ]
    seconds = min(plan.seconds, plan.slow_seconds) if client.slow else plan.seconds
    command += ["--seconds", str(seconds), "--work", str(plan.folder / "work.json")]
    for item in client.extra:
        command += ["--extra", item.format(folder=folder)]
    command += ["--started", repr(time.time())]
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            env=_surroundings(),
            capture_output=True,
            text=True,
            timeout=3 * plan.seconds + 180,
        )
    except subprocess.TimeoutExpired:
        raise RuntimeError("it did not end in time") from None
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    if done.returncode:
        said = done.stderr.strip().splitlines()
        raise RuntimeError(said[-1] if said else f"exit code {done.returncode}")
    if done.stderr.strip():
        print("    " + done.stderr.strip().splitlines()[-1][:300], file=sys.stderr)
    result: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    stats = server.stats()
    asked = result["judgments"] + result["lost"] + result["warmed"]
    result.update(
        rate=result["judgments"] / result["seconds"],
        cpu_per_1000=1000 * result["cpu_s"] / result["judgments"],
        requests_a_judgment=stats["requests"] / asked,
        connections=stats["connections"],
        peak_in_flight=stats["peak"],
        server_cpu_per_1000=1000 * stats["cpu_s"] / stats["requests"],
    )
    return result


def _surroundings() -> dict[str, str]:
    """The environment of the clients: nobody's keys, proxies or ledger, and nothing that calls home."""
    prefixes = ("OPENAI_", "KARDIA_", "PRIME_", "DEEPEVAL_")
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(prefixes) and not name.lower().endswith("_proxy")
    }
    quiet = {"DEEPEVAL_TELEMETRY_OPT_OUT": "1", "DEEPEVAL_DISABLE_DOTENV": "1", "LITELLM_LOCAL_MODEL_COST_MAP": "True"}
    return {**kept, **quiet, "KARDIA_LEDGER": "off", "HF_HUB_OFFLINE": "1"}


Results = dict[tuple[float, int, str], list[dict[str, Any]]]


def measure_all(plan: Plan, server: LocalServer) -> Results:
    """Every client in every setting, round by round. The plain loop comes first: the others are measured by it."""
    results: Results = {}
    settings = list(product(plan.latency_ms, plan.at_a_time))
    for turn in range(plan.rounds):
        for latency_ms, concurrency in settings:
            for client in plan.clients:
                where = (latency_ms, concurrency, client.name)
                label = f"{turn + 1}/{plan.rounds}  {latency_ms:g} ms  {concurrency:>3}  {client.name:<30}"
                try:
                    found = measure(client, server, plan, concurrency, latency_ms)
                except RuntimeError as problem:
                    print(f"{label} failed: {problem}", file=sys.stderr)
                    plan.left_out[f"{client.name} at {latency_ms:g} ms and {concurrency}"] = str(problem)
                    continue
                plain = results.get((latency_ms, concurrency, PLAIN), [])
                beside = plain[turn] if len(plain) > turn else found if client.name == PLAIN else None
                found["of_plain"] = found["rate"] / beside["rate"] if beside else None
                found["cpu_of_plain"] = found["cpu_per_1000"] / beside["cpu_per_1000"] if beside else None
                results.setdefault(where, []).append(found)
                share = f"{found['of_plain']:.2f}" if beside else "–"
                print(
                    f"{label}{found['rate']:>7.0f}/s  {share} of plain  {found['cpu_per_1000']:.3f} CPU-s/1000  "
                    f"{found['peak_bytes'] / 2**20:.0f} MiB  peak {found['peak_in_flight']}",
                    file=sys.stderr,
                )
    return results


def spread(values: Sequence[float | None], shown: Callable[[float], str]) -> str:
    """The median with its range; the median alone where there is one value."""
    known = [value for value in values if value is not None]
    if not known:
        return "–"
    middle = shown(statistics.median(known))
    return middle if len(known) == 1 else f"{middle} [{shown(min(known))}–{shown(max(known))}]"


def speed_table(results: Results) -> str:
    rows: list[list[str]] = []
    for (latency_ms, concurrency, name), found in results.items():

        def cell(key: str, shown: str, scale: float = 1.0, found: list[dict[str, Any]] = found) -> str:
            values = [None if item[key] is None else item[key] / scale for item in found]
            return spread(values, lambda value: format(value, shown))

        rows.append(
            [
                f"{latency_ms:g} ms",
                str(concurrency),
                name,
                f"{statistics.median(item['judgments'] for item in found):,.0f}",
                cell("rate", ",.0f"),
                cell("of_plain", ".2f"),
                cell("cpu_per_1000", ".2f"),
                cell("cpu_of_plain", ".1f"),
                cell("peak_bytes", ".0f", 2**20),
                f"{sum(item['lost'] for item in found):,}",
                f"{statistics.median(item['requests_a_judgment'] for item in found):.2f}",
            ]
        )
    head = ["latency", "at a time", "client", "n", "judgments/s", "of plain", "CPU-s per 1,000", "of plain’s CPU"]
    head += ["peak MiB", "lost", "requests a judgment"]
    return markdown_table(head, rows, right=(0, 1, *range(3, len(head))))


def start_table(results: Results) -> str:
    """Start-up where the latency is least, over all its rounds and concurrencies."""
    least = min(latency for latency, _, _ in results)
    rows: list[list[str]] = []
    for name in dict.fromkeys(name for _, _, name in results):
        found = [item for where, items in results.items() if where[0] == least and where[2] == name for item in items]
        if found:
            versions = ", ".join(f"{package} {version}" for package, version in found[0]["versions"].items())
            rows.append([name, versions, spread([item["start_up_s"] for item in found], lambda value: f"{value:.2f}")])
    return markdown_table(["client", "versions", "seconds to the first judgment"], rows, right=(2,))


def _many(count: int, what: str) -> str:
    return f"{count} {what}" + ("" if count == 1 else "s")


def report(plan: Plan, results: Results) -> str:
    loads = [item["server_cpu_per_1000"] for items in results.values() for item in items]
    uvloop = "uvloop" if importlib.util.find_spec("uvloop") else "asyncio"
    machine = f"{os.cpu_count()} cores, Python {platform.python_version()}, {platform.system()} {platform.machine()}"
    lines = [
        f"{machine}; {_many(plan.rounds, 'round')}, {plan.judgments:,} judgments a run or as many as {plan.seconds:g} "
        f"seconds allow ({plan.slow_seconds:g} for the slow ones). The server ({uvloop}, a process of its own on the "
        f"same machine) used "
        f"{statistics.median(loads):.3f} CPU-seconds per 1,000 requests.",
        "",
        speed_table(results),
        "",
        start_table(results),
    ]
    lines += [f"\nLeft out: {name}: {why}." for name, why in plan.left_out.items()]
    return "\n".join(lines)


def available(plan: Plan, only: Sequence[str]) -> Iterator[Client]:
    """The clients that are wanted and can run; the plain loop always, since the others are measured by it."""
    for client in ALL:
        if only and client.name != PLAIN and not any(name in client.name for name in only):
            continue
        if "uvloop=1" in client.extra and importlib.util.find_spec("uvloop") is None:
            plan.left_out[client.name] = "uvloop is not installed"
            continue
        try:
            plan.pythons[client.name] = python_for(client, plan)
        except RuntimeError as problem:
            print(f"left out: {problem}", file=sys.stderr)
            plan.left_out[client.name] = str(problem)
            continue
        yield client


def main() -> int:
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=form)
    parser.add_argument("--quick", action="store_true", help="one round of few judgments: whether everything runs")
    parser.add_argument("--only", action="append", default=[], help="clients whose name holds this; repeatable")
    parser.add_argument("--rounds", type=int, help="default: 3")
    parser.add_argument("--judgments", type=int, help="a run; default: 20,000")
    parser.add_argument("--warm-up", type=int, default=200, help="judgments that are not counted")
    parser.add_argument("--seconds", type=float, help="a run begins no judgment after so long; default: 60")
    parser.add_argument("--slow-seconds", type=float, default=20.0, help="likewise of the slow clients; default: 20")
    parser.add_argument("--concurrency", type=int, nargs="+", help="default: 64 256")
    parser.add_argument("--latency-ms", type=float, nargs="+", help="default: 50 0")
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    parser.add_argument("--cache", type=Path, default=home / "kardia" / "benchmarks", help="environments are kept here")
    parser.add_argument("--folder", type=Path, help="ledgers are written below this; default: the temporary folder")
    parser.add_argument("--json", type=Path, help="also write every single measurement here")
    parser.add_argument("--write", action="store_true", help="put the tables into benchmarks/README.md")
    options = parser.parse_args()
    quick = options.quick
    with tempfile.TemporaryDirectory(dir=options.folder) as folder, LocalServer() as server:
        plan = Plan(
            rounds=options.rounds or (1 if quick else 3),
            judgments=options.judgments or (600 if quick else 20_000),
            warm_up=options.warm_up,
            seconds=options.seconds or (5 if quick else 60),
            slow_seconds=options.slow_seconds,
            at_a_time=options.concurrency or ([64] if quick else [64, 256]),
            latency_ms=options.latency_ms or [50, 0],
            cache=options.cache,
            folder=Path(folder),
        )
        plan.clients = list(available(plan, options.only))
        most = plan.warm_up_for(max(plan.at_a_time)) + plan.judgments
        make_work(plan.folder / "work.json", most // 6 + 3)
        results = measure_all(plan, server)
    if options.json is not None:
        raw = [{"latency_ms": a, "at_a_time": b, "client": c, "runs": runs} for (a, b, c), runs in results.items()]
        options.json.write_text(json.dumps(raw, indent=1) + "\n", encoding="utf-8")
    text = report(plan, results)
    print(text)
    if options.write:
        write_table(README, "engine", text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
