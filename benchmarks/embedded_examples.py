"""How far the embedded judge is right on the shipped rubrics' own examples: by its heads, and by comparison.

    python benchmarks/embedded_examples.py [RUBRIC …]

Its heads have not learnt from these examples. The comparison with examples, which answers where there is no head, is
fitted without a context (its ridge and temperature too), then judges the replies to that context. Printed per
criterion: examples n, accuracy of always saying the most frequent level, and of both the quadratic-weighted κ of the
likeliest level, Spearman's ρ of the expected value, and the accuracy. `--write` puts the table into
benchmarks/README.md.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr
from sklearn.metrics import cohen_kappa_score
from tables import markdown_table, write_table

from kardia.judge.comparison import fit
from kardia.judge.encoder import Encoder, find_encoder
from kardia.judge.examples import ExampleComparison
from kardia.judge.pair import Pair
from kardia.judge.profile import load_profile
from kardia.rubric.loading import load_rubric
from kardia.rubric.models import ChoiceScale, Criterion
from kardia.rubric.rubric import Rubric
from kardia.student.scorer import Scorer
from kardia.student.student import Student
from kardia.student.tasks import task_digest

RUBRICS = (
    "understanding",
    "emotion-inference",
    "supportiveness",
    "safety",
    "kardia-r1",
    "empathy-mechanisms",
    "anti-hacking",
)
README = Path(__file__).with_name("README.md")


Figures = tuple[float, float, float]


def compared(comparison: ExampleComparison, rubric: Rubric, criterion: Criterion) -> Figures:
    """(κ, ρ, accuracy) of the comparison, each context left out in turn."""
    shown = comparison.shown(rubric, criterion)
    names = list(dict.fromkeys(pair.context for pair in shown.pairs))
    features = comparison.features(list(shown.pairs))
    level = np.array(shown.levels)
    group = np.array([names.index(pair.context) for pair in shown.pairs])
    count = len(criterion.levels)
    ordered = not isinstance(criterion.scale, ChoiceScale)
    shares = np.zeros((len(level), count))
    for left_out in range(len(names)):
        rest, held = group != left_out, group == left_out
        if len(set(level[rest])) < 2:
            shares[held] = np.eye(count)[level[rest][0]]
            continue
        fitted = fit(features[rest], level[rest].tolist(), group[rest].tolist(), count, ordered=ordered)
        shares[held] = fitted.probabilities(features[held])
    return figures(criterion, level, shares)


def by_head(scorer: Scorer, comparison: ExampleComparison, rubric: Rubric, criterion: Criterion) -> Figures | None:
    """(κ, ρ, accuracy) of the head that the student has for the criterion's question; None where it has none."""
    task = scorer.student.by_digest.get(task_digest(criterion, rubric.target))
    if task is None:
        return None
    shown = comparison.shown(rubric, criterion)
    shares = shares_of(scorer, tuple(shown.pairs))[task.key]
    return figures(criterion, np.array(shown.levels), shares)


@lru_cache(maxsize=4)
def shares_of(scorer: Scorer, pairs: tuple[Pair, ...]) -> dict[str, NDArray[np.float64]]:
    """What all heads say: the criteria of a rubric mostly have the same examples, which are read once for all."""
    return scorer.probabilities([(pair.context, pair.text) for pair in pairs])


def figures(criterion: Criterion, level: NDArray[np.int64], shares: NDArray[np.float64]) -> Figures:
    values = np.array([criterion.value(name) for name in criterion.levels])
    said = shares.argmax(axis=1)
    kappa = cohen_kappa_score(level, said, weights="quadratic", labels=range(len(values)))
    rho = spearmanr(shares @ values, values[level]).statistic
    return float(kappa), float(rho), float((said == level).mean())


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rubrics", nargs="*", default=list(RUBRICS))
    parser.add_argument("--judge", default="embedded", help="a profile of the backend embedded, or a student's folder")
    parser.add_argument("--write", action="store_true", help="put the table into benchmarks/README.md")
    options = parser.parse_args()
    profile = load_profile(options.judge)
    least = profile.embedded.min_examples if profile.embedded else 6
    comparison = ExampleComparison(lambda: Encoder(find_encoder(profile), profile.embedded), least)
    scorer = None if profile.heads is None else Scorer(Student.load(profile.heads))
    lines: list[list[str]] = []
    found: list[tuple[float, ...]] = []
    for name in options.rubrics:
        rubric = load_rubric(name)
        for criterion in rubric.criteria:
            if comparison.too_little(rubric, criterion) is not None:
                lines.append([rubric.name, criterion.id, "too few", *[""] * 7])
                continue
            levels = comparison.shown(rubric, criterion).levels
            majority = max(Counter(levels).values()) / len(levels)
            beside = compared(comparison, rubric, criterion)
            heads = None if scorer is None else by_head(scorer, comparison, rubric, criterion)
            if heads is not None:
                found.append((majority, *heads, *beside))
            cells = [f"{number:.2f}" for number in (majority, *(heads or ()), *beside)]
            lines.append(
                [rubric.name, criterion.id, str(len(levels)), cells[0], *([""] * (7 - len(cells))), *cells[1:]]
            )
    if found:
        means = np.nanmean(np.array(found), axis=0)
        lines.append(["**mean**", "", "", *(f"**{number:.2f}**" for number in means)])
    sides = [f"{side}: {figure}" for side in ("heads", "comparison") for figure in ("κ", "ρ", "accuracy")]
    table = markdown_table(["rubric", "criterion", "n", "majority", *sides], lines, right=range(2, 10))
    print(table)
    if options.write:
        write_table(README, "embedded-examples", table)
    return 0


if __name__ == "__main__":
    sys.exit(main())
