"""EPITOME: the embedded judge that has never seen it, and students that were trained on it.

    python benchmarks/epitome.py --data PATH/epitome/dev.jsonl [--judge PATH] [--write]
    python benchmarks/epitome.py --data PATH/epitome/train.jsonl PATH/epitome/dev.jsonl [--judge PATH] [--write]
    python benchmarks/epitome.py --data PATH/epitome/dev.jsonl --train --work FOLDER [--write]

EPITOME (Sharma et al. 2020, behavioral-data/Empathy-Mental-Health; academic use) is not part of kardia: get the data,
then name the file by `--data`, or the folder that holds epitome/dev.jsonl by $KARDIA_BENCH_DATA. One JSON object a
line: `seeker_post`, `response_post`, and `emotional_reactions`, `interpretations`, `explorations` as 0, 1 or 2.

The first line measures a judge with the rubric `empathy-mechanisms` on that file, beside rules that look for words and
a classifier of what the rules find, which learns from train.jsonl in the same folder where there is one. The second
measures on both files together a judge that has learnt from neither, without that classifier. The third puts
train.jsonl and dev.jsonl together and trains students by `kardia distill` in cross-validation over posts, beside TF-IDF
and a logistic regression in the same folds. A run that was stopped goes on with the same command and --work. No post is
printed or kept. `--write` puts the table into benchmarks/README.md.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from epitome_baselines import baselines
from epitome_common import (
    MECHANISMS,
    Figures,
    Resamples,
    Row,
    beside,
    counted,
    figures,
    find_data,
    judged,
    read_rows,
    truth,
)
from epitome_training import RARITY, RECIPE, Plan, cross_validate, sample, training_table
from numpy.typing import NDArray
from tables import markdown_table, write_table

from kardia.errors import InputError, KardiaError

README = Path(__file__).with_name("README.md")
MEAN = "mean of the three"


@dataclass(frozen=True, eq=False)
class Measured:
    """How good levels are: on the rows themselves, and κ in each resample of them."""

    coverage: float
    figures: Figures
    kappa_S: NDArray[np.float64]


def judge_table(
    rows: Sequence[Row], said: dict[str, list[int | None]], train: Sequence[Row] | None, name: str, samples: int
) -> str:
    """A line for the judge and one for each baseline, per mechanism, and then their means over the mechanisms, of the
    baselines that each mechanism has."""
    resamples = Resamples.drawn([row.group for row in rows], samples)
    lines: list[list[str]] = []
    judges: list[Measured] = []
    kinds: dict[str, list[Measured]] = {}
    for mechanism in MECHANISMS:
        observed = truth(rows, mechanism)
        share = sum(level is not None for level in said[mechanism]) / len(rows)
        judge = _measured(observed, counted(said[mechanism]), resamples, share)
        judges.append(judge)
        lines.append(_line(mechanism, name, judge))
        for baseline in baselines(rows, train, mechanism):
            other = _measured(observed, baseline.levels, resamples)
            lines.append(_line(mechanism, baseline.name, other, judge))
            if baseline.kind is not None:
                kinds.setdefault(baseline.kind, []).append(other)
    lines.append(_line(MEAN, name, _mean(judges)))
    lines += [_line(MEAN, kind, _mean(each), _mean(judges)) for kind, each in kinds.items()]
    head = ["mechanism", "levels from", "coverage", "κ (quadratic)", "macro-F1", "accuracy", "Δκ of the judge", "95 %"]
    return markdown_table(head, lines, right=range(2, 8))


def _measured(observed: Sequence[int], said: Sequence[int], resamples: Resamples, coverage: float = 1.0) -> Measured:
    return Measured(coverage, figures(observed, said), resamples.kappas(observed, said))


def _mean(each: Sequence[Measured]) -> Measured:
    """Of the mechanisms, also within each resample: they are measured on the same resamples."""
    whole = np.mean([(one.figures.kappa, one.figures.macro_f1, one.figures.accuracy) for one in each], axis=0)
    kappa, macro_f1, accuracy = whole.tolist()
    coverage = sum(one.coverage for one in each) / len(each)
    return Measured(coverage, Figures(kappa, macro_f1, accuracy), np.mean([one.kappa_S for one in each], axis=0))


def _line(mechanism: str, name: str, found: Measured, judge: Measured | None = None) -> list[str]:
    """The table's cells; those of a baseline end with what the judge has before it."""
    numbers = (found.coverage, found.figures.kappa, found.figures.macro_f1, found.figures.accuracy)
    gain = ["", ""]
    if judge is not None:
        gains_S = judge.kappa_S - found.kappa_S
        low, high = np.percentile(gains_S, [2.5, 97.5])
        gain = [f"{gains_S.mean():+.3f}", f"{low:+.3f} … {high:+.3f}"]
    return [mechanism, name, *(f"{number:.3f}" for number in numbers), *gain]


def measure(files: Sequence[Path], options: argparse.Namespace) -> int:
    """The judge on the rows of all these files."""
    rows = sample([row for file in files for row in read_rows(file)], options.rows, options.seed)
    learnt = to_learn_from(files)
    start = time.perf_counter()
    said = judged(rows, options.judge)
    print(f"{len(rows)} pairs in {time.perf_counter() - start:.1f} s, loading included", file=sys.stderr)
    train = None if learnt is None else read_rows(learnt)
    table = judge_table(rows, said, train, Path(options.judge).name.removesuffix(".yaml"), options.samples)
    print(table)
    if options.write:
        write_table(README, options.name, table)
    return 0


def to_learn_from(files: Sequence[Path]) -> Path | None:
    """The train.jsonl beside these files; None, which is said, where there is none or it is one of them."""
    left_out = "the classifier of rules and length is left out"
    if {file.resolve() for file in files} & {file.with_name("train.jsonl").resolve() for file in files}:
        print(f"train.jsonl is itself measured: {left_out}", file=sys.stderr)
        return None
    learnt = next((found for found in map(beside, files) if found is not None), None)
    if learnt is None:
        print(f"there is no train.jsonl beside it: {left_out}", file=sys.stderr)
    return learnt


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
    table = training_table(results, plan.rarities)
    print(table)
    if options.write:
        write_table(README, options.name, table)
    return 0


def _check_markers(name: str) -> None:
    text = README.read_text(encoding="utf-8")
    if not all(f"<!-- {mark} -->" in text for mark in (name, f"/{name}")):
        raise InputError(f"there are no lines <!-- {name} --> and <!-- /{name} --> to write between", file=str(README))


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--data", nargs="+", action="extend", default=[], metavar="FILE", help="epitome/dev.jsonl, or several files"
    )
    parser.add_argument("--judge", default="embedded", help="a profile of the backend embedded, or a student's folder")
    parser.add_argument("--samples", type=int, default=2000, help="of the bootstrap over posts")
    parser.add_argument("--rows", type=int, help="only so many rows: to see that it works")
    parser.add_argument("--seed", type=int, default=7, help="of the folds and of the training")
    parser.add_argument("--threads", type=int, help="that torch may use")
    parser.add_argument("--write", action="store_true", help="put the table into benchmarks/README.md")
    parser.add_argument(
        "--name",
        help="what the table's markers there are called; default: epitome, epitome-all for several files, "
        "epitome-train with --train",
    )
    group = parser.add_argument_group("with --train")
    group.add_argument("--train", action="store_true", help="students in cross-validation")
    group.add_argument("--work", help="a folder that keeps what is done; default: a temporary one")
    group.add_argument("--folds", type=int, default=5)
    group.add_argument("--folds-to-run", type=int, nargs="+", metavar="N", help="their numbers, from 0; default: all")
    group.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="as for kardia distill")
    group.add_argument(
        "--rarities",
        type=float,
        nargs="+",
        default=[RARITY],
        help="one: it is used as it is; several: each fold chooses among them; default: %(default)s",
    )
    options = parser.parse_args(arguments)
    if options.train and any(not 0 <= number < options.folds for number in options.folds_to_run or ()):
        parser.error(f"--folds-to-run has numbers from 0 to {options.folds - 1}")
    partial = options.rows is not None or (options.train and options.folds_to_run is not None)
    if options.write and partial:
        parser.error("--write is for all rows and all folds")
    if options.threads is not None:
        import torch

        torch.set_num_threads(options.threads)
    try:
        files = find_data(options.data)
        if options.train and len(files) > 1:
            parser.error("--train takes dev.jsonl alone as --data, and reads the train.jsonl beside it")
        several = "epitome-all" if len(files) > 1 else "epitome"
        options.name = options.name or ("epitome-train" if options.train else several)
        if options.write:
            _check_markers(options.name)  # now, not when everything has been computed
        return train(files[0], options) if options.train else measure(files, options)
    except KardiaError as problem:
        print(problem, file=sys.stderr)
        return problem.exit_code


if __name__ == "__main__":
    sys.exit(main())
