"""The embedded judge with `empathy-mechanisms` on EPITOME, beside always answering the most frequent level.

    python benchmarks/epitome.py --data PATH/epitome/dev.jsonl [--write]

EPITOME (Sharma et al. 2020, behavioral-data/Empathy-Mental-Health; academic use) is not part of kardia: get the data,
then name the file by `--data`, or the folder that holds epitome/dev.jsonl by $KARDIA_BENCH_DATA. One JSON object a
line: `seeker_post`, `response_post`, and `emotional_reactions`, `interpretations`, `explorations` as 0, 1 or 2. The
judge sees nothing of the data but the pair that it judges: it compares with the rubric's own examples. No post is
printed. `--write` puts the table into benchmarks/README.md.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

from sklearn.metrics import accuracy_score, cohen_kappa_score, f1_score
from tables import markdown_table, write_table

from kardia.answer import from_distribution
from kardia.conversation import Conversation, Message
from kardia.judge.backends.embedded import EmbeddedJudge
from kardia.judge.profile import load_profile
from kardia.judge.protocol import Known, Request
from kardia.rubric.loading import load_rubric
from kardia.spans import target_of

README = Path(__file__).with_name("README.md")
LEVELS = [0, 1, 2]


def find_data(given: str | None) -> Path | None:
    """The data file: as given, or under $KARDIA_BENCH_DATA; None where there is none."""
    if given is not None:
        path = Path(given)
    elif root := os.environ.get("KARDIA_BENCH_DATA"):
        path = Path(root) / "epitome" / "dev.jsonl"
    else:
        return None
    return path if path.is_file() else None


async def judge_all(rows: list[dict[str, Any]], judge_name: str) -> dict[str, list[int | None]]:
    """Criterion id → the judge's level for each row, None where it abstained."""
    rubric = load_rubric("empathy-mechanisms")
    judge = EmbeddedJudge(load_profile(judge_name))
    requests = []
    for number, row in enumerate(rows):
        said = (Message("user", row["seeker_post"]), Message("assistant", row["response_post"]))
        conversation = Conversation(str(number), said)
        requests.append(
            Request(conversation, target_of(conversation, "reply"), rubric, rubric.criteria, "per_criterion")
        )
    found: dict[str, list[int | None]] = {criterion.id: [] for criterion in rubric.criteria}
    for start in range(0, len(requests), judge.batch_size):
        for answer in await judge.answer(requests[start : start + judge.batch_size]):
            assert isinstance(answer, Known)
            for criterion in rubric.criteria:
                shares = answer.opinions[criterion.id].probabilities
                level = None if shares is None else from_distribution(criterion, shares).level
                found[criterion.id].append(level if isinstance(level, int) else None)
    return found


def table_of(rows: list[dict[str, Any]], found: dict[str, list[int | None]]) -> str:
    """The table: a line for the judge and one for the most frequent level, per mechanism."""
    lines: list[list[str]] = []
    for mechanism, said in found.items():
        pairs = [(row[mechanism], level) for row, level in zip(rows, said, strict=True) if level is not None]
        truth, levels = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
        often = Counter(truth).most_common(1)[0][0]
        for name, guess in (("embedded", levels), (f"always {often}", [often] * len(truth))):
            kappa = cohen_kappa_score(truth, guess, weights="quadratic", labels=LEVELS)
            macro = f1_score(truth, guess, average="macro", labels=LEVELS, zero_division=0)
            coverage = len(pairs) / len(rows)
            numbers = (coverage, kappa, macro, accuracy_score(truth, guess))
            lines.append([mechanism, name, str(len(pairs)), *(f"{number:.3f}" for number in numbers)])
    head = ["mechanism", "judge", "n", "coverage", "κ (quadratic)", "macro-F1", "accuracy"]
    return markdown_table(head, lines, right=range(2, 7))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", help="epitome/dev.jsonl")
    parser.add_argument("--judge", default="embedded", help="a profile of the backend embedded")
    parser.add_argument("--write", action="store_true", help="put the table into benchmarks/README.md")
    options = parser.parse_args()
    data = find_data(options.data)
    if data is None:
        print(
            "There is no EPITOME file to measure on: name it by --data PATH/epitome/dev.jsonl, or set "
            "KARDIA_BENCH_DATA to the folder that holds epitome/dev.jsonl.",
            file=sys.stderr,
        )
        return 2
    rows = [json.loads(line) for line in data.read_text(encoding="utf-8").splitlines() if line.strip()]
    start = time.perf_counter()
    found = asyncio.run(judge_all(rows, options.judge))
    spent = time.perf_counter() - start
    print(f"{len(rows)} pairs in {spent:.1f} s, loading included", file=sys.stderr)
    table = table_of(rows, found)
    print(table)
    if options.write:
        write_table(README, "epitome", table)
    return 0


if __name__ == "__main__":
    sys.exit(main())
