"""What the judge and its students are held against: rules that look for words, and models that count them."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from epitome_common import Row, figures, truth
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, hstack
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

Array = NDArray[np.float64]

RULES: dict[str, tuple[str, re.Pattern[str], int]] = {
    "emotional_reactions": (
        "sympathy words",
        re.compile(
            r"\b(?:sorry|hugs?|proud of you|here for you|hope (?:you|it|things|everything)|wish (?:you|i could))\b",
            re.I,
        ),
        2,
    ),
    "interpretations": (
        "“I was”, “been there”, …",
        re.compile(r"\b(?:i (?:was|had|did|felt|went|used to)|i['’]?ve|been there|me too)\b", re.I),
        2,
    ),
    "explorations": ("a question mark", re.compile(r"\?"), 2),
}
"""Mechanism → what is looked for, and the level that it is taken for: whichever has the higher κ on train.jsonl. Where
it is not found, the level is 0."""
OWN_LIFE = (
    "“my”, “I feel”, “same”, … too",
    re.compile(r"\b(?:i (?:was|had|have|used to|felt|feel|went)|i['’]?ve|been there|me too|same|my|myself)\b", re.I),
    2,
)
"""A wider rule for interpretations: annotators took whatever tells of the replier's own life for understanding."""
ALWAYS, ALONE, FITTED = "always the most frequent level", "three rules alone", "three rules + length, fitted"
"""What is there for every mechanism, so that it has a mean of the three."""
STRENGTHS = (1.0, 3.0)
"""C of the logistic regression, the inverse of its L2 penalty."""


@dataclass(frozen=True)
class Baseline:
    """What a judge is held against.

    Attributes:
        name: in the lines of a mechanism.
        levels: one for each row.
        kind: ALWAYS, ALONE or FITTED; None for what other mechanisms do not have.
    """

    name: str
    levels: list[int]
    kind: str | None


def baselines(rows: Sequence[Row], train: Sequence[Row] | None, mechanism: str) -> list[Baseline]:
    """Those of one mechanism; what is fitted is left out where there is nothing to fit it on."""
    often = commonest(rows, mechanism)
    name, pattern, level = RULES[mechanism]
    found = [
        Baseline(f"always {often}", [often] * len(rows), ALWAYS),
        Baseline(f"{name}: {level}", rule(rows, pattern, level), ALONE),
    ]
    if mechanism == "interpretations":
        name, pattern, level = OWN_LIFE
        found.append(Baseline(f"{name}: {level}", rule(rows, pattern, level), None))
    if train is not None:
        levels, chosen = regexes_and_length(train, rows, mechanism)
        found.append(Baseline(f"{FITTED}: {chosen}", levels, FITTED))
    return found


def rule(rows: Sequence[Row], pattern: re.Pattern[str], level: int) -> list[int]:
    """The level where a reply has the pattern, 0 where it does not."""
    return [level if pattern.search(row.reply) else 0 for row in rows]


def commonest(rows: Sequence[Row], mechanism: str) -> int:
    """The most frequent level."""
    return Counter(truth(rows, mechanism)).most_common(1)[0][0]


def regexes_and_length(train: Sequence[Row], rows: Sequence[Row], mechanism: str) -> tuple[list[int], str]:
    """Three flags and the log of the reply's words, put together by what is best in cross-validation on `train`: a
    logistic regression or a shallow tree, with and without weights for rare levels.

    Returns:
        levels for `rows`, and the name of what was chosen, by κ.
    """
    x_ND, y_N = _flags(train), np.array(truth(train, mechanism))

    def merit(choice: tuple[str, str | None]) -> float:
        said_N = np.zeros_like(y_N)
        for fit, held in grouped(train, 5):
            said_N[held] = _small(*choice).fit(x_ND[fit], y_N[fit]).predict(x_ND[held])
        return figures(y_N.tolist(), said_N.tolist()).kappa

    kind, weight = max(itertools.product(("logistic", "tree"), (None, "balanced")), key=merit)
    said = _small(kind, weight).fit(x_ND, y_N).predict(_flags(rows)).tolist()
    return said, kind if weight is None else f"{weight} {kind}"


def _small(kind: str, weight: str | None) -> Any:
    if kind == "tree":
        return DecisionTreeClassifier(max_depth=3, min_samples_leaf=10, class_weight=weight, random_state=0)
    return make_pipeline(StandardScaler(), LogisticRegression(class_weight=weight, max_iter=1000))


def _flags(rows: Sequence[Row]) -> Array:
    flags = [[bool(pattern.search(row.reply)) for _, pattern, _ in RULES.values()] for row in rows]
    return np.column_stack([np.array(flags, dtype=float), [np.log1p(len(row.reply.split())) for row in rows]])


def word_counts(train: Sequence[Row], rows: Sequence[Row], mechanism: str) -> tuple[list[int], str]:
    """TF-IDF of single words and pairs of words, of reply and post apart, the reply's length and its question marks,
    and a logistic regression whose penalty and weights are what is best in cross-validation on `train`.

    Returns:
        levels for `rows`, and what was chosen, by macro-F1.
    """
    y_N = np.array(truth(train, mechanism))
    choices = [(strength, weight) for strength in STRENGTHS for weight in (None, "balanced")]
    said_CN = np.zeros((len(choices), len(y_N)), dtype=y_N.dtype)
    for fit, held in grouped(train, 3):
        x_fit, x_held = _words([train[row] for row in fit], [train[row] for row in held])
        for place, choice in enumerate(choices):
            said_CN[place, held] = _logistic(*choice).fit(x_fit, y_N[fit]).predict(x_held)
    merits = [figures(y_N.tolist(), said_N.tolist()).macro_f1 for said_N in said_CN]
    strength, weight = choices[int(np.argmax(merits))]
    x_fit, x_held = _words(train, rows)
    said = _logistic(strength, weight).fit(x_fit, y_N).predict(x_held).tolist()
    return said, f"C={strength:g}{'' if weight is None else ' ' + weight}"


def _logistic(strength: float, weight: str | None) -> LogisticRegression:
    return LogisticRegression(C=strength, class_weight=weight, max_iter=2000)


def _words(train: Sequence[Row], rows: Sequence[Row]) -> tuple[csr_matrix, csr_matrix]:
    """Features of both, by the words of the first."""
    parts: list[tuple[Any, Any]] = []
    for read in (lambda row: row.reply, lambda row: row.post):
        counter = TfidfVectorizer(ngram_range=(1, 2), min_df=2, sublinear_tf=True, token_pattern=r"(?u)\b\w+\b")
        parts.append(
            (counter.fit_transform([read(row) for row in train]), counter.transform([read(row) for row in rows]))
        )
    parts.append((_lengths(train), _lengths(rows)))
    return hstack([fit for fit, _ in parts]).tocsr(), hstack([held for _, held in parts]).tocsr()


def _lengths(rows: Sequence[Row]) -> csr_matrix:
    return csr_matrix([[np.log1p(len(row.reply.split())), np.log1p(row.reply.count("?"))] for row in rows])


def grouped(rows: Sequence[Row], count: int) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Folds in which no post stands on both sides."""
    names = {group: place for place, group in enumerate(dict.fromkeys(row.group for row in rows))}
    yield from GroupKFold(count).split(rows, groups=[names[row.group] for row in rows])
