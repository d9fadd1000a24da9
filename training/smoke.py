"""Writes what the recipe `smoke` learns from, out of the situations of training/smoke/situations.jsonl.

    python training/smoke.py [-o FOLDER]

Three files. `prompts.jsonl` and `held_out.jsonl` share the situations out; no demonstration is made of a held-out one.
`demonstrations.jsonl.gz` holds replies in the format of four spans: the good ones, and one that says back what was said
and goes on as the fair one does. Each is there several times over with words exchanged: a word that both the person
and the reply say becomes another one in both. Whoever learns from that cannot learn by heart which words a reply has,
and learns to take them from the person. Equal input gives equal bytes.
"""

from __future__ import annotations

import argparse
import gzip
import json
import random
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent / "smoke"
HELD_OUT = 100
"""Situations that nothing is learnt from."""
EXCHANGED = 3
"""Times that each good reply is there again with words exchanged."""
SHARE = 0.7
"""Of the words that could be exchanged, those that are."""
COMMON = 150
"""The most frequent words of all texts stay: they are grammar."""
SEED = 20
_WORD = re.compile(r"[a-z']+")
_NEIGHBOURS = re.compile(r"(?=\b([a-z']+) ([a-z']+)(?: ([a-z']+))?)")
_BEFORE_THINGS = frozenset(("a", "an", "the", "my", "your", "his", "her", "our", "their", "this", "that"))
_YOU = {
    **dict.fromkeys(("i", "me", "we", "us"), "you"),
    **dict.fromkeys(("my", "our"), "your"),
    **dict.fromkeys(("mine", "ours"), "yours"),
    **{"i'm": "you're", "i've": "you've", "i'll": "you'll", "i'd": "you'd", "am": "are", "myself": "yourself"},
}


def said_back(text: str) -> str:
    """What was said as `I`, as `you`."""
    turned = _WORD.sub(lambda found: _YOU.get(found[0], found[0]), text)
    return re.sub(r"\byou was\b", "you were", turned)


def words_of(text: str) -> list[str]:
    return _WORD.findall(text)


class Exchange:
    """Exchanges words that a person and a reply share for words of their kind: things for things, deeds for deeds.

    Args:
        situations: whose words may be put in.
    """

    def __init__(self, situations: Iterable[Mapping[str, Any]], seed: int) -> None:
        texts = [text for row in situations for text in (row["c"], row["u"], row["r"], *row["good"], *row["fair"])]
        counts = Counter(word for text in texts for word in words_of(text))
        common = {word for word, _ in counts.most_common(COMMON)}
        things: set[str] = set()
        for before, word, after in _NEIGHBOURS.findall("\n".join(texts)):
            if before in _BEFORE_THINGS and (not after or after in common):
                things.add(word)
        self._kinds = {word: _kind(word, things) for word in counts if len(word) > 2 and word not in common}
        pools: dict[str, list[str]] = {}
        for word in sorted(self._kinds):
            pools.setdefault(self._kinds[word], []).append(word)
        self._pools = pools
        self._random = random.Random(seed)

    def __call__(self, *texts: str) -> tuple[str, ...]:
        """The texts with some of the first one's words exchanged in all of them, the same way."""
        others = {word for text in texts[1:] for word in words_of(text)}
        shared = [word for word in dict.fromkeys(words_of(texts[0])) if self._kinds.get(word) and word in others]
        new = {
            word: self._random.choice(self._pools[self._kinds[word]])
            for word in shared
            if self._random.random() < SHARE
        }
        return tuple(_WORD.sub(lambda found: new.get(found[0], found[0]), text) for text in texts)


def _kind(word: str, things: set[str]) -> str:
    """A word's kind, as far as its look and its neighbours tell; empty where they do not."""
    if word in things:
        return "things" if word.endswith("s") else "thing"
    return next((ending for ending in ("ing", "ed") if word.endswith(ending)), "")


def demonstrations(situations: list[dict[str, Any]]) -> Iterable[dict[str, Any]]:
    """The rows that are learnt from, each reply first as it is."""
    exchange = Exchange(situations, SEED)
    for each in situations:
        plain = f"so {said_back(each['c']).rstrip('.')}. {each['fair'][0]}"
        for number, reply in enumerate((*each["good"], plain)):
            for turn in range(1 + EXCHANGED):
                told = (each["c"], reply, each["u"], each["r"])
                said, answer, understanding, reasoning = told if turn == 0 else exchange(*told)
                yield {
                    "id": f"{each['id']}-{number}-{turn}",
                    "messages": [{"role": "user", "content": said}, {"role": "assistant", "content": answer}],
                    "understanding": understanding,
                    "reasoning": reasoning,
                    "emotion": each["e"],
                }


def prompts(situations: Iterable[Mapping[str, Any]]) -> Iterable[dict[str, Any]]:
    """The rows that are answered."""
    for each in situations:
        yield {"id": each["id"], "messages": [{"role": "user", "content": each["c"]}], "emotion": each["e"]}


def shared_out(situations: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """What is trained on, and what is held out: every n-th, so that every writer's are on both sides."""
    every = len(situations) // HELD_OUT
    held = [each for place, each in enumerate(situations) if place % every == 0][:HELD_OUT]
    names = {each["id"] for each in held}
    return [each for each in situations if each["id"] not in names], held


def _lines(rows: Iterable[Mapping[str, Any]]) -> bytes:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()


def files(source: Path) -> dict[str, bytes]:
    """File name → what it holds."""
    read = [json.loads(line) for line in source.read_text("utf-8").splitlines()]
    situations = [{"id": f"s{number:03}", **each} for number, each in enumerate(read, start=1)]
    train, held = shared_out(situations)
    return {
        "prompts.jsonl": _lines(prompts(train)),
        "held_out.jsonl": _lines(prompts(held)),
        "demonstrations.jsonl.gz": gzip.compress(_lines(demonstrations(train)), mtime=0),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="Writes what the recipe `smoke` learns from.")
    parser.add_argument("-o", "--output", type=Path, default=HERE, help="default: training/smoke/")
    told = parser.parse_args()
    told.output.mkdir(parents=True, exist_ok=True)
    for name, content in files(HERE / "situations.jsonl").items():
        (told.output / name).write_bytes(content)
        print(f"{told.output / name}: {len(content):,} bytes")


if __name__ == "__main__":
    main()
