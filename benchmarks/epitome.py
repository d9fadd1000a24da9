"""EPITOME: the embedded judge that has never seen it, and students that were trained on it.

    python benchmarks/epitome.py --data PATH/epitome/dev.jsonl [--judge PATH] [--write]
    python benchmarks/epitome.py --data PATH/epitome/dev.jsonl --train --work FOLDER [--write]

EPITOME (Sharma et al. 2020, behavioral-data/Empathy-Mental-Health; academic use) is not part of kardia: get the data,
then name the file by `--data`, or the folder that holds epitome/dev.jsonl by $KARDIA_BENCH_DATA. One JSON object a
line: `seeker_post`, `response_post`, and `emotional_reactions`, `interpretations`, `explorations` as 0, 1 or 2.

The first line measures a judge with the rubric `empathy-mechanisms` on that file, beside rules that look for words and
a classifier of what the rules find, which learns from train.jsonl in the same folder where there is one. The second
puts train.jsonl and dev.jsonl together and trains students by `kardia distill` in cross-validation over posts, beside
TF-IDF and a logistic regression in the same folds. A run that was stopped goes on with the same command and --work. No
post is printed or kept. `--write` puts the table into benchmarks/README.md.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from epitome_baselines import OWN_LIFE, RULES, commonest, regexes_and_length, rule
from epitome_common import (
    MECHANISMS,
    Row,
    beside,
    counted,
    figures,
    find_data,
    judged,
    kappa_gains,
    read_rows,
    truth,
)
from epitome_training import RARITIES, RECIPE, Plan, cross_validate, sample, training_table
from tables import markdown_table, write_table

from kardia.errors import KardiaError

README = Path(__file__).with_name("README.md")


def baselines(rows: Sequence[Row], train: Sequence[Row] | None, mechanism: str) -> dict[str, list[int]]:
    """Name → levels for each row."""
    often = commonest(rows, mechanism)
    found = {f"always {often}": [often] * len(rows)}
    for name, pattern, level in [RULES[mechanism], *([OWN_LIFE] if mechanism == "interpretations" else [])]:
        found[f"{name}: {level}"] = rule(rows, pattern, level)
    if train is not None:
        levels, chosen = regexes_and_length(train, rows, mechanism)
        found[f"three rules + length, fitted: {chosen}"] = levels
    return found


def judge_table(
    rows: Sequence[Row], said: dict[str, list[int | None]], train: Sequence[Row] | None, name: str, samples: int
) -> str:
    """A line for the judge and one for each baseline, per mechanism."""
    groups = [row.group for row in rows]
    lines: list[list[str]] = []
    for mechanism in MECHANISMS:
        observed, levels = truth(rows, mechanism), counted(said[mechanism])
        coverage = sum(level is not None for level in said[mechanism]) / len(rows)
        lines.append([mechanism, name, f"{coverage:.3f}", *_cells(observed, levels), "", ""])
        for baseline, others in baselines(rows, train, mechanism).items():
            gains_S = kappa_gains(observed, levels, others, groups, samples)
            low, high = np.percentile(gains_S, [2.5, 97.5])
            gain = [f"{gains_S.mean():+.3f}", f"{low:+.3f} … {high:+.3f}"]
            lines.append([mechanism, baseline, "1.000", *_cells(observed, others), *gain])
    head = ["mechanism", "levels from", "coverage", "κ (quadratic)", "macro-F1", "accuracy", "Δκ of the judge", "95 %"]
    return markdown_table(head, lines, right=range(2, 8))


def _cells(observed: Sequence[int], said: Sequence[int]) -> list[str]:
    found = figures(observed, said)
    return [f"{number:.3f}" for number in (found.kappa, found.macro_f1, found.accuracy)]


def measure(data: Path, options: argparse.Namespace) -> int:
    """The judge on dev.jsonl."""
    rows = sample(read_rows(data), options.rows, options.seed)
    learnt = beside(data)
    if learnt is None:
        print("there is no train.jsonl beside it: the classifier of rules and length is left out", file=sys.stderr)
    start = time.perf_counter()
    said = judged(rows, options.judge)
    print(f"{len(rows)} pairs in {time.perf_counter() - start:.1f} s, loading included", file=sys.stderr)
    train = None if learnt is None else read_rows(learnt)
    table = judge_table(rows, said, train, Path(options.judge).name.removesuffix(".yaml"), options.samples)
    print(table)
    if options.write:
        write_table(README, "epitome", table)
    return 0


def train(data: Path, options: argparse.Namespace) -> int:
    """Students in cross-validation."""
    learnt = beside(data)
    if learnt is None:
        print(f"{data.with_name('train.jsonl')} is not there: it belongs beside dev.jsonl", file=sys.stderr)
        return 2
    rows = sample([*read_rows(learnt), *read_rows(data)], options.rows, options.seed)
    wanted = tuple(options.folds_to_run or range(options.folds))
    with tempfile.TemporaryDirectory() as temporary:
        plan = Plan(
            settings=(*RECIPE, *options.set),
            rarities=tuple(options.rarities),
            folds=options.folds,
            wanted=wanted,
            seed=options.seed,
            work=Path(options.work or temporary),
        )
        results = cross_validate(rows, plan)
    table = training_table(results)
    print(table)
    if options.write:
        write_table(README, "epitome-train", table)
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", help="epitome/dev.jsonl")
    parser.add_argument("--judge", default="embedded", help="a profile of the backend embedded, or a student's folder")
    parser.add_argument("--samples", type=int, default=2000, help="of the bootstrap over posts")
    parser.add_argument("--rows", type=int, help="only so many rows: to see that it works")
    parser.add_argument("--seed", type=int, default=7, help="of the folds and of the training")
    parser.add_argument("--threads", type=int, help="that torch may use")
    parser.add_argument("--write", action="store_true", help="put the table into benchmarks/README.md")
    group = parser.add_argument_group("with --train")
    group.add_argument("--train", action="store_true", help="students in cross-validation")
    group.add_argument("--work", help="a folder that keeps what is done; default: a temporary one")
    group.add_argument("--folds", type=int, default=5)
    group.add_argument("--folds-to-run", type=int, nargs="+", metavar="N", help="their numbers, from 0; default: all")
    group.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="as for kardia distill")
    group.add_argument(
        "--rarities", type=float, nargs="+", default=list(RARITIES), help="one: it is used as it is; several: tried"
    )
    options = parser.parse_args(arguments)
    if options.train and any(not 0 <= number < options.folds for number in options.folds_to_run or ()):
        parser.error(f"--folds-to-run has numbers from 0 to {options.folds - 1}")
    partial = options.rows is not None or (options.train and options.folds_to_run is not None)
    if options.write and partial:
        parser.error("--write is for all rows and all folds")
    data = find_data(options.data)
    if data is None:
        print(
            "There is no EPITOME file to measure on: name it by --data PATH/epitome/dev.jsonl, or set "
            "KARDIA_BENCH_DATA to the folder that holds epitome/dev.jsonl.",
            file=sys.stderr,
        )
        return 2
    if options.threads is not None:
        import torch

        torch.set_num_threads(options.threads)
    try:
        return train(data, options) if options.train else measure(data, options)
    except KardiaError as problem:
        print(problem, file=sys.stderr)
        return problem.exit_code


if __name__ == "__main__":
    sys.exit(main())
