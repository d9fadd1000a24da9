"""The calibration network on LLM-Rubric's real dialogues, held against the annotators' own means.

    python benchmarks/calibration.py --data PATH/llm-rubric [--write]

The data (Hashemi et al. 2024, microsoft/LLM-Rubric, MIT) are not part of kardia: get them, then name the folder by
--data, or the one that holds llm-rubric by $KARDIA_BENCH_DATA. 223 dialogues, each rated by one of 13 annotators from 1
to 4 on a question about the whole (Q0) and eight others, and a language model's distributions over the four answers to
all nine. What is predicted is the annotator's answer to Q0, by cross-validation over dialogues, twenty times with other
folds. No dialogue is read. `--write` puts the tables into benchmarks/README.md.
"""

from __future__ import annotations

import argparse
import csv
import os
import sys
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata
from tables import markdown_table, write_table

from kardia.fitting.calibration import Calibrator, annotator_means
from kardia.fitting.validation import chosen_strength, one_thread, out_of_fold
from kardia.fitting.weights import STRENGTHS, fit_linear

Array = NDArray[np.float64]
Index = NDArray[np.int64]

README = Path(__file__).with_name("README.md")
ANSWERS = "gpt-3.5-turbo-16k_real_evaluations_FIXED.tsv"
PEOPLE = "human_judges_real_convs_FIXED_ANON.tsv"
QUESTIONS = [f"Q{number}" for number in range(9)]
LEVELS = np.array([1.0, 2.0, 3.0, 4.0])
METHODS = (
    "the ratings' mean",
    "annotator's mean alone",
    "judge alone: expected Q0, as it is",
    "judge alone: ridge on the distributions",
    "judge alone: network, average annotator",
    "both: annotator's mean + ridge",
    "both: network with the annotator's parameters",
)
BASE = 1
"""What the increments are over."""


@dataclass(frozen=True)
class Data:
    """The judge's distributions (dialogues, 9 · 4), people's ratings of the whole, and who gave them."""

    x_ND: Array
    rating_N: Array
    annotator_N: Index

    @property
    def groups(self) -> list[str]:
        return [str(number) for number in range(len(self.rating_N))]


def find_data(given: str | None) -> Path | None:
    """The folder: as given, or under $KARDIA_BENCH_DATA; None where the two files are not in it."""
    if given is not None:
        path = Path(given)
    elif root := os.environ.get("KARDIA_BENCH_DATA"):
        path = Path(root) / "llm-rubric"
    else:
        return None
    return path if all((path / name).is_file() for name in (ANSWERS, PEOPLE)) else None


def read(folder: Path) -> Data:
    shares: dict[str, dict[str, list[float]]] = defaultdict(dict)
    for row in _rows(folder / ANSWERS):
        shares[row["text_id"]][row["criterion"]] = [float(row[f"answer{level}_prob"]) for level in range(1, 5)]
    people = _rows(folder / PEOPLE)
    x_ND = np.array([[share for one in QUESTIONS for share in shares[row["text_id"]][one]] for row in people])
    names = sorted({row["annotator_id"] for row in people})
    annotator_N = np.array([names.index(row["annotator_id"]) for row in people], dtype=np.int64)
    return Data(x_ND, np.array([float(row["Q0"]) for row in people]), annotator_N)


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream, delimiter="\t"))


def predictions(data: Data, repeat: int, folds: int) -> Array:
    """Every method's prediction for every dialogue by fits that have not seen it, (dialogues, methods)."""
    rows_N = np.arange(len(data.rating_N))
    network = Calibrator(data.x_ND, rows_N, data.rating_N, data.annotator_N, seed=repeat)

    def means(fit_N: Index, held_N: Index) -> Array:
        return annotator_means(data.rating_N, data.annotator_N, fit_N, held_N)

    def ridge(fit_N: Index, held_N: Index, strength: float, known: bool) -> Array:
        """Ridge on the distributions: of the rating, or of what it is above the annotator's mean."""
        base_fit_N = means(fit_N, fit_N) if known else 0.0
        base_N = means(fit_N, held_N) if known else 0.0
        target_N = (data.rating_N[fit_N] - base_fit_N) / 3
        weights_D, intercept = fit_linear(data.x_ND[fit_N], target_N, np.ones(len(fit_N)), strength, False)
        return base_N + 3 * (data.x_ND[held_N] @ weights_D + intercept)

    def chosen(fit_N: Index, known: bool) -> float:
        def loss(fit: Index, held: Index, strength: float) -> float:
            return float(((ridge(fit, held, strength, known) - data.rating_N[held]) ** 2).sum())

        return chosen_strength(loss, fit_N, data.groups, STRENGTHS, 5, repeat + 1)

    def predict(fit_N: Index, held_N: Index) -> Array:
        fitted = network.fit(fit_N)
        columns: list[Any] = [
            np.full(len(held_N), data.rating_N[fit_N].mean()),
            means(fit_N, held_N),
            data.x_ND[held_N, :4] @ LEVELS,
            ridge(fit_N, held_N, chosen(fit_N, False), False),
            network.predict(fitted, held_N, shared=True),
            ridge(fit_N, held_N, chosen(fit_N, True), True),
            network.predict(fitted, held_N),
        ]
        return np.stack(columns, axis=1)

    return out_of_fold(predict, data.groups, folds, repeat, (len(METHODS),))


def figures(predicted_RNM: Array, observed_N: Array) -> Array:
    """Pearson's r, Spearman's ρ and the root mean square error of each repeat and method, (repeats, methods, 3)."""
    predicted_RMN = predicted_RNM.transpose(0, 2, 1)
    rmse_RM = np.sqrt(((predicted_RMN - observed_N) ** 2).mean(-1))
    rho_RM = _correlation(rankdata(predicted_RMN, axis=-1), rankdata(observed_N))
    return np.stack([_correlation(predicted_RMN, observed_N), rho_RM, rmse_RM], axis=-1)


def _correlation(a_RMN: Array, b_N: Array) -> Array:
    a_RMN = a_RMN - a_RMN.mean(-1, keepdims=True)
    b_N = b_N - b_N.mean()
    norm_RM = np.sqrt((a_RMN**2).sum(-1) * (b_N @ b_N))
    return np.where(norm_RM > 1e-9, (a_RMN @ b_N) / np.maximum(norm_RM, 1e-9), np.nan)


def bootstrap(predicted_RNM: Array, observed_N: Array, samples: int, seed: int = 0) -> Array:
    """The increments over `BASE`, averaged over the repeats, in resampled dialogues: (samples, methods, 3)."""
    random = np.random.default_rng(seed)
    found = []
    for _ in range(samples):
        drawn_N = random.integers(0, len(observed_N), len(observed_N))
        each = figures(predicted_RNM[:, drawn_N], observed_N[drawn_N])
        found.append((each - each[:, BASE : BASE + 1]).mean(0))
    return np.array(found)


def methods_table(each_RMF: Array) -> str:
    lines: list[list[str]] = []
    for place, name in enumerate(METHODS):
        mean, spread = each_RMF[:, place].mean(0), each_RMF[:, place].std(0)
        # a mean that is the same for everybody varies with the folds only: its correlation says nothing
        shown = ["–", "–", f"{mean[2]:.3f}"] if not place else [f"{one:.3f}" for one in mean]
        lines.append([name, shown[0], f"{spread[0]:.3f}" if place else "–", shown[1], shown[2]])
    return markdown_table(["predicted from", "r", "± over repeats", "ρ", "RMSE"], lines, right=(1, 2, 3, 4))


def increments_table(each_RMF: Array, drawn_SMF: Array) -> str:
    gain_RMF = each_RMF - each_RMF[:, BASE : BASE + 1]
    lines: list[list[str]] = []
    for place in range(BASE + 1, len(METHODS)):
        row = [METHODS[place]]
        for figure in (0, 1, 2):
            low, high = np.percentile(drawn_SMF[:, place, figure], [2.5, 97.5])
            worst, best = gain_RMF[:, place, figure].min(), gain_RMF[:, place, figure].max()
            row += [
                f"{gain_RMF[:, place, figure].mean():+.3f}",
                f"{worst:+.3f} … {best:+.3f}",
                f"{low:+.3f} … {high:+.3f}",
            ]
        lines.append(row)
    head = ["predicted from"]
    for name in ("r", "ρ", "RMSE"):
        head += [f"Δ {name}", "over repeats", "95 % over dialogues"]
    return markdown_table(head, lines, right=range(1, 10))


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", help="the folder llm-rubric")
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--folds", type=int, default=10)
    parser.add_argument("--samples", type=int, default=1000, help="of the bootstrap over dialogues")
    parser.add_argument("--write", action="store_true", help="put the tables into benchmarks/README.md")
    options = parser.parse_args(arguments)
    folder = find_data(options.data)
    if folder is None:
        print(
            f"There is nothing to measure on: name the folder that holds {ANSWERS} and {PEOPLE} by --data, or set "
            "KARDIA_BENCH_DATA to the folder that holds llm-rubric.",
            file=sys.stderr,
        )
        return 2
    data = read(folder)
    start = time.perf_counter()
    with one_thread():
        predicted_RNM = np.array([predictions(data, repeat, options.folds) for repeat in range(options.repeats)])
    each_RMF = figures(predicted_RNM, data.rating_N)
    drawn_SMF = bootstrap(predicted_RNM, data.rating_N, options.samples)
    print(f"{options.repeats} repeats in {time.perf_counter() - start:.0f} s", file=sys.stderr)
    tables = {
        "calibration": methods_table(each_RMF),
        "calibration-increments": increments_table(each_RMF, drawn_SMF),
    }
    print("\n\n".join(tables.values()))
    if options.write:
        for name, table in tables.items():
            write_table(README, name, table)
    return 0


if __name__ == "__main__":
    sys.exit(main())
