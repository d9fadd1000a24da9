"""How many answers a second a ledger stores and finds: in an SQLite file, and in a PostgreSQL database.

    python benchmarks/ledger_stores.py [--write]          about three minutes
    python benchmarks/ledger_stores.py --quick            a few seconds, to see that everything runs

A PostgreSQL server is started from the system's packages, on this machine, with its safety on: a commit is on the disk
before it is answered. (An SQLite ledger survives a kill in any case, and a power cut but for the last seconds.) Answers
are of the usual size and in groups of 64, as a run commits and looks them up; one alone shows what a round trip takes.
Stores take turns, in an order that changes. `--write` puts the table into benchmarks/README.md.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import random
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

from engine import README, spread
from tables import markdown_table, write_table

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from kardia.engine.place import ledger_place, store_of  # noqa: E402
from kardia.engine.store import Entry, Store  # noqa: E402

GROUP = 64
REASON = "The reply names the feeling, says why it makes sense, and leaves the next step to the person. " * 3


def entry(number: int) -> Entry:
    key = hashlib.blake2b(str(number).encode(), digest_size=20).digest()
    payload = f'[1,[1,1,900,90],[["scored",{number % 5 + 1},"{REASON}{number}",["makes sense"],null,null]]]'.encode()
    return Entry(key, f"conversation-{number // 6}", "judge", "model", "rubric@1.0.0", ("kind",), False, payload)


def groups(entries: list[Entry], size: int) -> list[list[Entry]]:
    return [entries[start : start + size] for start in range(0, len(entries), size)]


def a_second(count: int, work: Callable[[], None]) -> float:
    start = time.perf_counter()
    work()
    return count / (time.perf_counter() - start)


def measure(where: str, answers: int, alone: int) -> dict[str, float]:
    """Answers a second, for each thing that is done with a new ledger."""
    store, entries = opened(where), [entry(number) for number in range(answers)]
    now = int(time.time())
    rates: dict[str, float] = {}

    def put(size: int, chosen: list[Entry]) -> None:
        for group in groups(chosen, size):
            store.put(group, [], now)

    def get(size: int, chosen: list[Entry]) -> None:
        for group in groups(chosen, size):
            if len(store.get([one.key for one in group])) != len(group):
                raise SystemExit(f"{store.place} does not hold what was put in")

    mixed = random.Random(1).sample(entries, len(entries))
    rates["stored, 64 at a time"] = a_second(answers, lambda: put(GROUP, entries))
    rates["stored again, 64 at a time"] = a_second(answers, lambda: put(GROUP, mixed))
    rates["found, 64 at a time"] = a_second(answers, lambda: get(GROUP, mixed))
    rates["found, one at a time"] = a_second(alone, lambda: get(1, mixed[:alone]))
    more = [entry(number) for number in range(answers, answers + alone)]
    rates["stored, one at a time"] = a_second(alone, lambda: put(1, more))
    others = [entry(number) for number in range(2 * answers, 3 * answers)]
    rates["stored by four at once, 64 at a time"] = a_second(answers, lambda: four(where, others))
    rates["read in order"] = a_second(2 * answers + alone, lambda: all_of(store, 2 * answers + alone))
    store.close()
    return rates


def opened(where: str) -> Store:
    place, _ = ledger_place(where)
    assert place is not None
    return store_of(place)


def four(where: str, entries: list[Entry]) -> None:
    """Four writers with connections of their own, as four processes would be."""

    def work(own: list[list[Entry]]) -> None:
        store = opened(where)
        for group in own:
            store.put(group, [], 1)
        store.close()

    parts = groups(entries, GROUP)
    threads = [threading.Thread(target=work, args=(parts[number::4],)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def all_of(store: Store, count: int) -> None:
    if sum(row.sound for row in store.rows()) != count:
        raise SystemExit(f"{store.place} does not hold what was put in")


def table(answers: int, alone: int, rounds: int) -> str:
    from postgresql import Server, programs

    where = programs()
    if where is None:
        raise SystemExit("there is no PostgreSQL server (initdb, postgres): apt-get install postgresql")
    found: dict[str, dict[str, list[float]]] = {"SQLite": {}, "PostgreSQL": {}}
    server = Server(where)
    try:
        server.start(safe=True)
        for turn in range(rounds):
            for name in sorted(found, reverse=bool(turn % 2)):
                with tempfile.TemporaryDirectory() as folder:
                    place = f"{folder}/ledger.sqlite3" if name == "SQLite" else server.database()
                    for what, rate in measure(place, answers, alone).items():
                        found[name].setdefault(what, []).append(rate)
                    print(f"round {turn + 1} of {rounds}, {name}: done", file=sys.stderr)
        ((version,),) = server.execute("postgres", "SHOW server_version")
    finally:
        server.remove()

    def shown(rates: list[float]) -> str:
        return spread(rates, lambda value: f"{value:,.0f}")

    lines = [
        [what, shown(found["SQLite"][what]), shown(rates), f"{max(rates) / max(found['SQLite'][what]):.2f}"]
        for what, rates in found["PostgreSQL"].items()
    ]
    head = ["answers a second", "SQLite", f"PostgreSQL {version.split()[0]}", "of SQLite’s, best of each"]
    made = markdown_table(head, lines, right=(1, 2, 3))
    return f"{answers:,} answers; {os.cpu_count()} cores, which server and client share\n\n{made}"


def main() -> int:
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=form)
    parser.add_argument("--quick", action="store_true", help="few answers: whether everything runs")
    parser.add_argument("--answers", type=int, help="in groups; default: 20,000")
    parser.add_argument("--rounds", type=int, help="default: 3")
    parser.add_argument("--write", action="store_true", help="put the table into benchmarks/README.md")
    options = parser.parse_args()
    answers = options.answers or (1_280 if options.quick else 20_000)
    text = table(answers, answers // 20, options.rounds or (1 if options.quick else 3))
    print(text)
    if options.write:
        write_table(README, "ledger_stores", text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
