"""Fits the judge of words, and measures it on texts that it has not seen.

    python training/words.py [--write]

A quarter of a minute on one core, with scikit-learn. `--write` writes judges/words/model.json and the table in the
README there. Equal data give equal bytes on one machine; on another, sums may be taken in another order.

It is fitted on half of the contexts of training/embedded/, English ones alone, and measured on the other half. A hash
of a context's group decides on which side it is, so that further texts move none; what `training/embedded.py` makes of
good replies (put under another context, scrambled, cut off, looped) is made within each half.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import json
import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import correlation, fmean
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, hstack
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import Ridge

from kardia.files import write_text
from kardia.judge.pair import pair_of_example
from kardia.judge.words import (
    BOUND,
    FIGURES,
    WORD,
    Features,
    FittedTask,
    Reader,
    WordsModel,
    features,
    figures,
    plain,
    predict,
    silence,
)
from kardia.model.examples import Labelled, components, folds
from kardia.model.labels import Questions
from kardia.model.metrics import kappa
from kardia.rubric.loading import load_rubric
from kardia.rubric.models import NOT_RELEVANT
from kardia.student.tasks import Task

HERE = Path(__file__).parent
OUTPUT = HERE.parent / "judges" / "words"
LANGUAGE = "en"
LEAST_REPLIES = 7
"""In fewer replies of the half, a term is left out."""
COMMON = 4.0
"""A word of a smaller inverse document frequency, in about one reply of twenty or more, is `common`."""
ALPHAS = (0.5, 1.0, 2.0, 4.0, 8.0)
"""Strengths of the ridge that are tried."""
FOLDS = 4
SEED = 7
"""Of how groups of texts are put into folds."""
MOVED = "-misplaced"
"""What the ids of replies under another context end in."""
GRASPS = "understanding.grasps_situation"
STEPS = 127
"""A task's largest weight is so many units; weights are rounded to whole ones."""


def embedded() -> ModuleType:
    """training/embedded.py, which knows the data."""
    spec = importlib.util.spec_from_file_location("training_embedded", HERE / "embedded.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def questions_of(launcher: ModuleType) -> Questions:
    """What the labels of training/embedded/ answer."""
    return Questions([load_rubric(name) for name in launcher.RUBRICS])


def halves(launcher: ModuleType, questions: Questions) -> tuple[list[Labelled], list[Labelled]]:
    """The examples to fit on, and those to measure on; no group and no context is in both."""
    conversations = launcher.own_conversations()
    english = {each.id for each in conversations if each.metadata["language"] == LANGUAGE}
    examples = [each for each in launcher.labelled(conversations, questions) if each.id in english]
    parts: tuple[list[int], list[int]] = ([], [])
    for component in components(examples):
        parts[side(min(examples[index].group for index in component))].extend(component)
    plain_ones = launcher.plain_ones(conversations)
    first, second = ([examples[index] for index in sorted(part)] for part in parts)
    return (
        [*first, *launcher.made_worse(first, plain_ones, questions)],
        [*second, *launcher.made_worse(second, plain_ones, questions)],
    )


def side(group: str) -> int:
    """The half that a group belongs to: 0 to fit on, 1 to measure on."""
    return hashlib.sha256(f"kardia-words\0{group}".encode()).digest()[0] % 2


def is_worse(example: Labelled) -> bool:
    """Whether it is a reply that was made worse."""
    return example.weight < 1


def place_of(target: Sequence[float]) -> float:
    """The mean place on the scale of what the labels say."""
    return sum(share * place for place, share in enumerate(target))


def fit(examples: Sequence[Labelled], tasks: Sequence[Task]) -> dict[str, Any]:
    """A model, as its file has it.

    Args:
        examples: what is learnt from, with those that were made worse; terms are counted in the others.
        tasks: what is learnt; each is ordered.
    """
    vectorizer = TfidfVectorizer(
        preprocessor=plain, token_pattern=WORD.pattern, ngram_range=(1, 2), sublinear_tf=True, min_df=LEAST_REPLIES
    )
    vectorizer.fit([example.reply for example in examples if not is_worse(example)])
    vectorizer.idf_ = np.round(vectorizer.idf_, 3)
    vocabulary = dict(zip(vectorizer.get_feature_names_out().tolist(), vectorizer.idf_.tolist(), strict=True))
    common = [term for term, idf in vocabulary.items() if " " not in term and idf < COMMON]
    reader = Reader(vocabulary, common)
    raw_NF = np.array([figures(reader.read(each.context), reader.read(each.reply)) for each in examples])
    means_F, scales_F = np.round(raw_NF.mean(axis=0), 4), np.round(raw_NF.std(axis=0), 4)
    figures_NF = np.clip((raw_NF - means_F) / scales_F, -BOUND, BOUND)
    inputs_NT = csr_matrix(hstack([vectorizer.transform([example.reply for example in examples]), figures_NF]))
    fold_N = np.empty(len(examples), dtype=np.int64)
    for number, part in enumerate(folds(examples, FOLDS, SEED)):
        fold_N[part] = number
    return {
        "format": "kardia-words/1",
        "made": {
            "data": "training/embedded",
            "contexts": len({example.group for example in examples}),
            "replies": sum(not is_worse(example) for example in examples),
            "replies_made_worse": sum(map(is_worse, examples)),
        },
        "vocabulary": vocabulary,
        "common": common,
        "figures": {
            name: {"mean": float(mean), "scale": float(scale)}
            for name, mean, scale in zip(FIGURES, means_F, scales_F, strict=True)
        },
        "tasks": [fit_task(task, examples, inputs_NT, fold_N) for task in tasks],
    }


def fit_task(
    task: Task, examples: Sequence[Labelled], inputs_NT: csr_matrix, fold_N: NDArray[np.int64]
) -> dict[str, Any]:
    """One ridge regression, its strength chosen by the error on folds that keep groups together."""
    assert task.ordered
    rows = np.array([row for row, example in enumerate(examples) if task.key in example.targets])
    wanted = np.array([place_of(examples[row].targets[task.key]) for row in rows])
    counts = np.array([examples[row].weight for row in rows])
    inputs, fold = inputs_NT[rows], fold_N[rows]

    def error(alpha: float) -> float:
        total = 0.0
        for number in range(FOLDS):
            kept, held = fold != number, fold == number
            ridge = _ridge(alpha, 1e-6).fit(inputs[kept], wanted[kept], sample_weight=counts[kept])
            total += float(np.sum(counts[held] * (ridge.predict(inputs[held]) - wanted[held]) ** 2))
        return total

    alpha = min(ALPHAS, key=error)
    ridge = _ridge(alpha, 1e-8).fit(inputs, wanted, sample_weight=counts)
    weights, of_figures = ridge.coef_[: -len(FIGURES)], ridge.coef_[-len(FIGURES) :]
    unit = float(f"{np.abs(weights).max() / STEPS:.4g}")
    return {
        "key": task.key,
        "digest": task.digest,
        "levels": list(task.levels),
        "alpha": alpha,
        "intercept": round(float(ridge.intercept_), 4),
        "figures": [round(float(weight), 4) for weight in of_figures],
        "unit": unit,
        "weights": np.rint(weights / unit).astype(int).tolist(),
    }


def _ridge(alpha: float, tolerance: float) -> Ridge:
    return Ridge(alpha=alpha, solver="sparse_cg", tol=tolerance, max_iter=10_000)


def model_text(data: dict[str, Any]) -> str:
    """A model as the text of its file: a line for each key and each task."""

    def compact(value: Any) -> str:
        return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))

    lines = [f"{compact(key)}: {compact(value)}" for key, value in data.items() if key != "tasks"]
    tasks = ",\n".join(map(compact, data["tasks"]))
    return "{\n" + ",\n".join(lines) + f',\n"tasks": [\n{tasks}\n]\n}}\n'


@dataclass(frozen=True, slots=True)
class Measured:
    """How far a task is right on texts that the model has not seen.

    Attributes:
        key: the task.
        labels: replies of the other half that people wrote and labelled, and that the judge does not abstain from.
        r: Pearson's r of the prediction and the mean label.
        kappa: quadratic-weighted κ of the rounded prediction and the mean label; None where neither varies.
        length: the r of the reply's length alone and the mean label.
        examples: κ of the rounded prediction and the level on the rubric's own examples; None as above.
    """

    key: str
    labels: int
    r: float
    kappa: float | None
    length: float
    examples: float | None


class Judged:
    """What a model says of examples; each text is read once.

    Args:
        model: who says it.
    """

    def __init__(self, model: WordsModel) -> None:
        self.model = model
        self._reader = Reader(model.vocabulary, model.common)

    def seen(self, context: str, reply: str) -> Features | None:
        """A pair's features; None where the judge abstains."""
        reading = self._reader.read(reply)
        if silence(reply, reading) is not None:
            return None
        return features(self.model, self._reader.read(context), reading)


def measure(model: WordsModel, examples: Sequence[Labelled], questions: Questions) -> list[Measured]:
    """Every task, on the half that the model was not fitted on and on the rubrics' own examples."""
    judged, length = Judged(model), FIGURES.index("length")
    found = [(example, judged.seen(example.context, example.reply)) for example in examples if not is_worse(example)]
    rows = []
    for task in model.tasks:
        known = [(seen, example.targets[task.key]) for example, seen in found if seen and task.key in example.targets]
        truth = [place_of(target) for _, target in known]
        said = [predict(task, seen) for seen, _ in known]
        lengths = [seen.figures[length] for seen, _ in known]
        rows.append(
            Measured(
                task.key,
                len(known),
                correlation(truth, said),
                agreement(truth, said),
                correlation(truth, lengths),
                agreement(*zip(*on_examples(judged, task, questions), strict=True)),
            )
        )
    return rows


def agreement(truth: Sequence[float], said: Sequence[float]) -> float | None:
    """κ of places, of which `truth` are whole ones and halves; `said` are rounded to whole ones."""
    # the mean of two labels is a half at times; doubling both sides changes nothing else
    return kappa([round(2 * place) for place in truth], [2 * math.floor(place + 0.5) for place in said])


def on_examples(judged: Judged, task: FittedTask, questions: Questions) -> list[tuple[float, float]]:
    """The level and the prediction, as places, of a rubric's own examples that the judge does not abstain from."""
    question = questions.by_key[task.key]
    places = []
    for example in question.rubric.examples_of(question.criterion.id):
        level = example.levels[question.criterion.id]
        pair = pair_of_example(example, question.criterion, question.rubric.target)
        seen = judged.seen(pair.context, pair.text)
        if level != NOT_RELEVANT and seen is not None:
            places.append((float(task.levels.index(level)), predict(task, seen)))
    return places


def moved(model: WordsModel, examples: Sequence[Labelled], key: str) -> tuple[int, float, float]:
    """What a reply that speaks of one situation loses under the words of another: how many, and the mean level by the
    model in its own place and there."""
    judged, task = Judged(model), next(task for task in model.tasks if task.key == key)
    own = {example.id: example for example in examples}
    there = [example for example in examples if example.id.endswith(MOVED)]
    means = []
    for part in ([own[example.id.removesuffix(MOVED)] for example in there], there):
        seen = (judged.seen(example.context, example.reply) for example in part)
        means.append(float(task.levels[0]) + fmean(predict(task, each) for each in seen if each is not None))
    return len(there), means[0], means[1]


def table(rows: Sequence[Measured], moves: tuple[int, float, float]) -> str:
    """The figures as Markdown."""

    def written(value: float | None) -> str:
        return "–" if value is None else f"{value:.2f}"

    lines = [
        "| criterion | labels | r | κ | r of the length alone | κ on the rubric's examples |",
        "| --- | --: | --: | --: | --: | --: |",
    ]
    lines += [
        f"| `{row.key}` | {row.labels:,} | {row.r:.2f} | {written(row.kappa)} | {row.length:.2f} | "
        f"{written(row.examples)} |"
        for row in rows
    ]
    columns = ([row.r for row in rows], [row.kappa or 0.0 for row in rows], [abs(row.length) for row in rows])
    means = [f"{fmean(column):.2f}" for column in (*columns, [row.examples or 0.0 for row in rows])]
    lines.append(f"| mean (of the length: of its size) | | {' | '.join(means)} |")
    count, here, there = moves
    lines += [
        "",
        f"{count} replies that speak of one situation are at level {here:.2f} of `{GRASPS}` by this judge where",
        f"they belong, and at {there:.2f} under another person's words, where they are at level 1.",
    ]
    return "\n".join(lines)


def write_table(readme: Path, text: str) -> None:
    """Replaces what stands between `<!-- figures -->` and `<!-- /figures -->`."""
    start, end = "<!-- figures -->\n", "\n<!-- /figures -->"
    before, found, rest = readme.read_text(encoding="utf-8").partition(start)
    _, closed, after = rest.partition(end)
    if not found or not closed:
        raise SystemExit(f"{readme} has no lines {start.strip()} and {end.strip()}")
    write_text(readme, before + start + text + end + after)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="write the model, and the table of its card")
    parser.add_argument("-o", "--output", type=Path, default=OUTPUT, help="the folder of both")
    options = parser.parse_args()
    launcher = embedded()
    questions = questions_of(launcher)
    known, unseen = halves(launcher, questions)
    data = fit(known, questions.tasks)
    model = WordsModel.model_validate(data)
    measured = table(measure(model, unseen, questions), moved(model, unseen, GRASPS))
    print(measured)
    text = model_text(data)
    print(f"\n{len(model.vocabulary):,} terms, {len(text.encode()):,} bytes; fitted on {data['made']}")
    if options.write:
        write_text(options.output / "model.json", text)
        write_table(options.output / "README.md", measured)
    return 0


if __name__ == "__main__":
    sys.exit(main())
