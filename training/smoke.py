"""Writes what the recipe `smoke` learns from, out of training/smoke/topics.jsonl and plain.json.

    python training/smoke.py [-o FOLDER]

Three files. `prompts.jsonl` and `held_out.jsonl` share each topic's situations out; no demonstration is made of a
held-out one. `demonstrations.jsonl.gz` holds replies in the format of four spans. Half of them are good ones: a topic's
opening and one of its questions, any of which go together and fit every situation of the topic. The others are of a
few that would do for anybody: there must be something to get better at. Equal input gives equal bytes.
"""

from __future__ import annotations

import argparse
import gzip
import json
import random
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent / "smoke"
EVERY = 4
"""Every n-th situation of a topic is held out."""
GOOD, PLAIN = 3, 3
"""Good and plain replies that are shown to each situation."""
SEED = 20


def shared_out(topic: Mapping[str, Any]) -> tuple[list[Mapping[str, Any]], list[Mapping[str, Any]]]:
    """A topic's situations, each with an id: what is trained on, and what is held out."""
    rows = [{"id": f"{topic['topic']}-{number:02}", **row} for number, row in enumerate(topic["situations"])]
    return [row for place, row in enumerate(rows) if place % EVERY], rows[::EVERY]


def prompts(situations: Iterable[Mapping[str, Any]]) -> Iterable[dict[str, Any]]:
    """The rows that are answered."""
    for each in situations:
        yield {"id": each["id"], "messages": [{"role": "user", "content": each["c"]}], "emotion": each["e"]}


def demonstrations(
    topics: Iterable[Mapping[str, Any]], anybody: Mapping[str, Sequence[str]]
) -> Iterable[dict[str, Any]]:
    """The rows that are learnt from.

    Args:
        anybody: how a topic is felt → replies that would do for anybody.
    """
    draw = random.Random(SEED)
    for topic in topics:
        for each in shared_out(topic)[0]:
            good = zip(draw.sample(topic["openings"], GOOD), draw.sample(topic["questions"], GOOD), strict=True)
            plain = draw.sample(anybody[topic["felt"]], PLAIN)
            for number, reply in enumerate([*map(" ".join, good), *plain]):
                yield {
                    "id": f"{each['id']}-{number}",
                    "messages": [{"role": "user", "content": each["c"]}, {"role": "assistant", "content": reply}],
                    "understanding": draw.choice(topic["understanding"]),
                    "reasoning": draw.choice(topic["reasoning"]),
                    "emotion": each["e"],
                }


def files(source: Path) -> dict[str, bytes]:
    """File name → what it holds.

    Args:
        source: the folder of topics.jsonl and plain.json.
    """
    topics = [json.loads(line) for line in (source / "topics.jsonl").read_text("utf-8").splitlines()]
    anybody = json.loads((source / "plain.json").read_text("utf-8"))
    train, held = ([row for topic in topics for row in shared_out(topic)[part]] for part in (0, 1))
    return {
        "prompts.jsonl": _lines(prompts(train)),
        "held_out.jsonl": _lines(prompts(held)),
        "demonstrations.jsonl.gz": gzip.compress(_lines(demonstrations(topics, anybody)), mtime=0),
    }


def _lines(rows: Iterable[Mapping[str, Any]]) -> bytes:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()


def main() -> None:
    parser = argparse.ArgumentParser(description="Writes what the recipe `smoke` learns from.")
    parser.add_argument("-o", "--output", type=Path, default=HERE, help="default: training/smoke/")
    told = parser.parse_args()
    told.output.mkdir(parents=True, exist_ok=True)
    for name, content in files(HERE).items():
        (told.output / name).write_bytes(content)
        print(f"{told.output / name}: {len(content):,} bytes")


if __name__ == "__main__":
    main()
