"""What the embedded judge was taught on: how much, how far two labellings agree, and whether texts repeat.

    python benchmarks/embedded_data.py [--write]

Reads training/embedded/. Two tables: the texts (contexts, replies, languages, lengths, near-duplicates), and for each
criterion the labels, the share of the most frequent level, and how far the two blind labellings agree (exactly, and by
quadratic-weighted κ). A near-duplicate is a pair of replies that share more than half of their four-word sequences, or
whose sentence embeddings have a cosine above 0.95; replies of fewer than six words are not looked at. `--write` puts
the tables into benchmarks/README.md. Exit code 1: there are near-duplicates.
"""

from __future__ import annotations

import argparse
import csv
import json
import re
import statistics
import sys
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
from sklearn.metrics import cohen_kappa_score
from tables import markdown_table, write_table

from kardia.judge.encoder import Encoder, find_encoder
from kardia.judge.profile import load_profile
from kardia.rubric.loading import load_rubric

README = Path(__file__).with_name("README.md")
FOLDER = Path(__file__).parent.parent / "training" / "embedded"
SHORT = 6
SHARED = 0.5
COSINE = 0.95


def read() -> tuple[list[dict[str, str]], dict[str, dict[str, dict[str, str]]]]:
    """The conversations, flattened, and rater → id → criterion → level."""
    rows = []
    for line in (FOLDER / "conversations.jsonl").read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        rows.append(
            {
                "id": row["id"],
                "group": row["metadata"]["group"],
                "language": row["metadata"]["language"],
                "reply": row["messages"][-1]["content"],
            }
        )
    labels: dict[str, dict[str, dict[str, str]]] = defaultdict(dict)
    with (FOLDER / "labels.csv").open(encoding="utf-8", newline="") as stream:
        for line in csv.DictReader(stream):
            own_id, rater = line.pop("id"), line.pop("rater")
            labels[rater][own_id] = line
    return rows, labels


def duplicates(rows: list[dict[str, str]]) -> list[tuple[str, str, str]]:
    """Pairs of near-duplicate replies, and by which measure."""
    long = [row for row in rows if len(row["reply"].split()) >= SHORT]
    found = []
    grams = []
    where: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for number, row in enumerate(long):
        words = re.findall(r"\w+", row["reply"].lower())
        own = {tuple(words[place : place + 4]) for place in range(len(words) - 3)}
        shared = Counter(other for gram in own for other in where[gram])
        for other, count in shared.items():
            if count > SHARED * min(len(own), len(grams[other])):
                found.append((long[other]["id"], row["id"], "words"))
        grams.append(own)
        for gram in own:
            where[gram].append(number)
    encoder = Encoder(find_encoder(load_profile("embedded")))
    vectors_TD = encoder.encode([row["reply"] for row in long])
    near_TT = np.triu(vectors_TD @ vectors_TD.T, 1) > COSINE
    found += [(long[one]["id"], long[other]["id"], "meaning") for one, other in np.argwhere(near_TT)]
    return found


def levels_of(criterion_key: str) -> list[str]:
    rubric, criterion = criterion_key.split(".")
    return [str(level) for level in load_rubric(rubric).by_id[criterion].levels]


def agreement(labels: dict[str, dict[str, dict[str, str]]]) -> tuple[str, float]:
    """The table of the criteria, and the mean κ."""
    first, second = labels["first"], labels["second"]
    keys = list(next(iter(first.values())))
    lines, kappas = [], []
    for key in keys:
        order = {level: place for place, level in enumerate(levels_of(key))}
        given = [order[line[key]] for line in first.values() if line[key]]
        both = [
            (order[line[key]], order[second[own_id][key]])
            for own_id, line in first.items()
            if line[key] and own_id in second and second[own_id][key]
        ]
        one, other = np.array(both).T
        kappa = cohen_kappa_score(one, other, weights="quadratic", labels=range(len(order)))
        kappas.append(kappa)
        often = Counter(given).most_common(1)[0][1] / len(given)
        lines.append(
            [key, f"{len(given):,}", f"{len(both):,}", f"{often:.2f}", f"{(one == other).mean():.2f}", f"{kappa:.2f}"]
        )
    head = ["criterion", "labels", "twice", "majority", "exact", "κ (quadratic)"]
    return markdown_table(head, lines, right=range(1, 6)), float(np.mean(kappas))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="put the tables into benchmarks/README.md")
    options = parser.parse_args()
    rows, labels = read()
    words = [len(row["reply"].split()) for row in rows]
    languages = Counter(row["language"] for row in rows)
    twice = duplicates(rows)
    facts = [
        ["contexts", f"{len({row['group'] for row in rows}):,}"],
        ["replies", f"{len(rows):,}"],
        ["labelled twice, blind", f"{len(labels['first'].keys() & labels['second'].keys()):,}"],
        ["not in English", f"{len(rows) - languages['en']:,} in {len(languages) - 1} languages"],
        ["words of a reply", f"{min(words)} to {max(words)}, median {statistics.median(words):.0f}"],
        ["near-duplicates", f"{len(twice)}"],
    ]
    table, mean = agreement(labels)
    text = f"{markdown_table(['', ''], facts, right=[1])}\n\n{table}\n\nMean κ of the two labellings: {mean:.2f}."
    print(text)
    for one, other, how in twice:
        print(f"{one} and {other} are alike in {how}", file=sys.stderr)
    if options.write:
        write_table(README, "embedded-data", text)
    return 1 if twice else 0


if __name__ == "__main__":
    sys.exit(main())
