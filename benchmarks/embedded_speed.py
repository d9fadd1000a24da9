"""Pairs a second of the embedded judge, beside a plain loop of forward passes over the same texts.

    python benchmarks/embedded_speed.py [--pairs 1024] [--batch-size 32] [--judge PATH] [--write]

The plain loop is what one writes with transformers: the pairs in their order, tokenised and padded in batches, one
forward pass a batch, the same weights (adapter merged) and heads. The judge is asked as an engine asks it, through
`EmbeddedJudge.answer`, opinions and all. Both run in turns, and the best of each counts. Printed besides: how far a
pair's probabilities move with the batch that it is in. The texts are those of training/embedded/.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from tables import markdown_table, write_table

from kardia.conversation import Conversation, Message
from kardia.judge.backends.embedded import EmbeddedJudge
from kardia.judge.pair import pair_of
from kardia.judge.profile import load_profile
from kardia.judge.protocol import Known, Request
from kardia.rubric.loading import load_rubric
from kardia.spans import target_of
from kardia.student.student import Student

README = Path(__file__).with_name("README.md")
TEXTS = Path(__file__).parent.parent / "training" / "embedded" / "conversations.jsonl"


def conversations(count: int) -> list[Conversation]:
    """The first `count` conversations, spread over the file."""
    lines = TEXTS.read_text(encoding="utf-8").splitlines()
    found = []
    for line in lines[:: max(1, len(lines) // count)][:count]:
        row = json.loads(line)
        said = tuple(Message(message["role"], message["content"]) for message in row["messages"])
        found.append(Conversation(row["id"], said))
    return found


def requests_of(rows: Sequence[Conversation], rubric_name: str) -> list[Request]:
    """One request a conversation, with all criteria."""
    rubric = load_rubric(rubric_name)
    targets = [target_of(row, "reply") for row in rows]
    return [
        Request(row, target, rubric, rubric.criteria, "per_criterion")
        for row, target in zip(rows, targets, strict=True)
    ]


def plain(student: Student, pairs: Sequence[tuple[str, str]], batch_size: int) -> None:
    """The loop that one would write."""
    network, tokenizer = student.network, student.coder.tokenizer
    with torch.inference_mode():
        for start in range(0, len(pairs), batch_size):
            batch = list(pairs[start : start + batch_size])
            made = tokenizer(
                [context for context, _ in batch],
                [reply for _, reply in batch],
                padding=True,
                truncation=True,
                max_length=512,
                return_tensors="pt",
            )
            network.outputs(made["input_ids"], made["attention_mask"], made["token_type_ids"]).numpy()


def timed(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def probabilities(judge: EmbeddedJudge, requests: Sequence[Request]) -> list[float]:
    """All probabilities, one after the other."""
    found: list[float] = []
    for answer in asyncio.run(judge.answer(requests)):
        assert isinstance(answer, Known)
        for opinion in answer.opinions.values():
            found.extend((opinion.probabilities or {}).values())
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=1024)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--judge", default="embedded")
    parser.add_argument("--rubric", default="supportiveness")
    parser.add_argument("--write", action="store_true", help="put the table into benchmarks/README.md")
    options = parser.parse_args()
    profile = load_profile(options.judge)
    if profile.heads is None:
        print(f"the judge {options.judge} has no trained heads to run", file=sys.stderr)
        return 2
    rows = conversations(options.pairs)
    requests = requests_of(rows, options.rubric)
    student = Student.load(profile.heads)
    pairs = [(pair.context, pair.text) for row in rows for pair in [pair_of(row, target_of(row, "reply"))]]
    asyncio.run(EmbeddedJudge(profile).answer(requests[:8]))  # imports and first loads count for nobody
    plain(student, pairs[:32], options.batch_size)
    spent: dict[str, list[float]] = {"plain loop": [], "embedded judge": []}
    for _ in range(options.rounds):
        spent["plain loop"].append(timed(lambda: plain(student, pairs, options.batch_size)))
        judge = EmbeddedJudge(profile)  # a new one: it keeps what it has judged
        asyncio.run(judge.answer(requests[:1]))
        spent["embedded judge"].append(timed(lambda: asyncio.run(judge.answer(requests))))  # noqa: B023
    together = probabilities(EmbeddedJudge(profile), requests[:128])
    judge = EmbeddedJudge(profile)
    alone = [value for request in requests[:128] for value in probabilities(judge, [request])]
    apart = max(abs(one - other) for one, other in zip(together, alone, strict=True))
    base = min(spent["plain loop"])
    lines = [
        [name, f"{min(times):.1f}", f"{len(rows) / min(times):.0f}", f"{base / min(times):.2f}"]
        for name, times in spent.items()
    ]
    table = markdown_table(["", "seconds", "pairs/s", "ratio"], lines, right=range(1, 4))
    table += (
        f"\n\n{len(rows)} pairs, batches of {options.batch_size} in the plain loop, {options.rubric} "
        f"({len(requests[0].criteria)} criteria). The same pair alone and among others: at most {apart:.1e} apart "
        "in a probability."
    )
    print(table)
    if options.write:
        write_table(README, "embedded-speed", table)
    return 0


if __name__ == "__main__":
    sys.exit(main())
