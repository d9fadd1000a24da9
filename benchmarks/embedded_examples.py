"""How far the comparison with examples is right on the shipped rubrics' own examples, each context left out in turn.

    python benchmarks/embedded_examples.py [--layer 4] [RUBRIC …]

For every criterion: the comparison is fitted without a context (its ridge and temperature too), then judges the replies
to that context. Printed per criterion: examples n, quadratic-weighted κ of the likeliest level, Spearman's ρ of the
expected value, and accuracy beside the share of the most frequent level. `--write` puts the table into
benchmarks/README.md.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
from scipy.stats import spearmanr
from sklearn.metrics import cohen_kappa_score
from tables import markdown_table, write_table

from kardia.judge import examples
from kardia.judge.comparison import fit
from kardia.judge.encoder import Encoder, find_encoder
from kardia.judge.examples import ExampleComparison
from kardia.judge.profile import load_profile
from kardia.rubric.loading import load_rubric
from kardia.rubric.models import ChoiceScale, Criterion
from kardia.rubric.rubric import Rubric

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


def measure(
    comparison: ExampleComparison, rubric: Rubric, criterion: Criterion
) -> tuple[int, float, float, float, float] | None:
    """(n, κ, ρ, accuracy, majority share) of one criterion; None where there is too little to compare with."""
    shown = comparison.shown(rubric, criterion)
    if comparison.too_little(rubric, criterion) is not None:
        return None
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
    values = np.array([criterion.value(name) for name in criterion.levels])
    said = shares.argmax(axis=1)
    kappa = cohen_kappa_score(level, said, weights="quadratic", labels=range(count))
    rho = spearmanr(shares @ values, values[level]).statistic
    return len(level), kappa, rho, float((said == level).mean()), float(np.bincount(level).max() / len(level))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rubrics", nargs="*", default=list(RUBRICS))
    parser.add_argument("--layer", type=int, default=examples.LAYER, help="the layer that is pooled")
    parser.add_argument("--write", action="store_true", help="put the table into benchmarks/README.md")
    options = parser.parse_args()
    examples.LAYER = options.layer
    profile = load_profile("embedded")
    least = profile.embedded.min_examples if profile.embedded else 6
    comparison = ExampleComparison(lambda: Encoder(find_encoder(profile), profile.embedded), least)
    rows: list[list[str]] = []
    figures: list[tuple[float, ...]] = []
    for name in options.rubrics:
        rubric = load_rubric(name)
        for criterion in rubric.criteria:
            found = measure(comparison, rubric, criterion)
            if found is None:
                rows.append([rubric.name, criterion.id, "abstains", "", "", "", ""])
                continue
            figures.append(found)
            rows.append([rubric.name, criterion.id, str(found[0]), *(f"{number:.3f}" for number in found[1:])])
    mean = np.nanmean(np.array(figures)[:, 1:], axis=0)
    rows.append(["**mean**", "", "", *(f"**{number:.3f}**" for number in mean)])
    table = markdown_table(["rubric", "criterion", "n", "κ", "ρ", "accuracy", "majority"], rows, right=range(2, 7))
    print(table)
    if options.write:
        write_table(README, "embedded-examples", table)
    return 0


if __name__ == "__main__":
    sys.exit(main())
