"""Judging by words alone: how often which words stand in a reply, and one ridge regression for each criterion. Pure.

A model is one JSON file, which `training/words.py` fits with scikit-learn; this module applies it without. A reply is
read as

- its terms: words and pairs of neighbouring words, each weighing (1 + ln count) · idf, the whole of unit length (it is
  the TF-IDF of scikit-learn's `TfidfVectorizer(sublinear_tf=True)`);
- five figures of the pair, each as (figure − mean) / scale, within ±3: the cosine between the terms of context and
  reply, the share of the reply's content words that stand in the context, the share of the context's that stand in the
  reply, ln(1 + words of the reply), and whether the reply has a question mark. A content word is one that is not
  `common`.

What is predicted is a place on a criterion's scale: 0 is its first level, 1 the next.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from operator import mul
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, StrictInt, StrictStr, ValidationError, field_validator, model_validator

from kardia.errors import ProfileError
from kardia.judge.pair import unreadable
from kardia.pretrained import file_digest
from kardia.rubric.models import Level
from kardia.schema_errors import dotted, faults_of, model_keys
from kardia.strict import Strict

__all__ = [
    "BOUND",
    "FIGURES",
    "MIN_KNOWN",
    "WORD",
    "Features",
    "FittedTask",
    "Reader",
    "Reading",
    "Standard",
    "WordsModel",
    "features",
    "figures",
    "level_shares",
    "plain",
    "predict",
    "read_words",
    "silence",
    "words_digest",
]

FIGURES = ("cosine", "of_reply", "of_context", "length", "question")
"""The figures of a pair, in the order of a task's `figures`."""

WORD = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)*")
"""A word of a text as `plain` gives it: letters, with apostrophes between them."""

BOUND = 3.0
"""Standardised figures go no further: a line that was fitted to ordinary replies says nothing of extraordinary ones,
and a list of the context's own words would be the best reply of all."""

MIN_KNOWN = 0.4
"""Of a reply's words, the share that the model must know. Replies in another language that is written in Latin letters
stay below; of English ones in training/embedded/, three in a thousand do."""

DECIMALS = 6

Number = Annotated[float, Field(strict=True, ge=-1e6, le=1e6)]
Positive = Annotated[float, Field(strict=True, ge=1e-6, le=1e6)]


class Standard(Strict):
    """What is taken off a figure, and what the rest is divided by."""

    mean: Number
    scale: Positive


class FittedTask(Strict):
    """One criterion: place on the scale = intercept + unit · Σ weight·term + Σ figure weight · figure."""

    key: StrictStr
    """A name for people, such as `understanding.grasps_situation`."""
    digest: StrictStr
    """What is asked: see `kardia.student.tasks.task_digest`. It answers this question and no other."""
    levels: Annotated[list[StrictInt | StrictStr], Field(min_length=2)]
    """In the scale's order."""
    alpha: Positive
    """The strength of the ridge that it was fitted with; no prediction depends on it."""
    intercept: Number
    figures: Annotated[list[Number], Field(min_length=len(FIGURES), max_length=len(FIGURES))]
    unit: Positive
    """What a weight of 1 stands for: weights are whole numbers in the shipped file, to keep it small."""
    weights: list[Number]
    """One a term, in the vocabulary's order."""

    @field_validator("digest")
    @classmethod
    def _is_digest(cls, digest: str) -> str:
        if not re.fullmatch(r"sha256:[0-9a-f]{64}", digest):
            raise ValueError("is no digest: expected sha256: and 64 hex digits")
        return digest

    @field_validator("levels")
    @classmethod
    def _are_different(cls, levels: list[int | str]) -> list[int | str]:
        if len(set(levels)) < len(levels):
            raise ValueError("names a level twice")
        return levels


class WordsModel(Strict):
    """The file."""

    format: Literal["kardia-words/1"]
    made: dict[StrictStr, Any] = Field(default_factory=dict)
    """Facts about the fit. No prediction depends on them."""
    vocabulary: Annotated[dict[StrictStr, Annotated[float, Field(strict=True, ge=0, le=1e3)]], Field(min_length=1)]
    """Term → its inverse document frequency. A pair of words is written with a space between."""
    common: list[StrictStr]
    """Words so common that they say nothing of what a text is about."""
    figures: dict[StrictStr, Standard]
    tasks: Annotated[list[FittedTask], Field(min_length=1)]

    @field_validator("figures")
    @classmethod
    def _are_all_there(cls, figures: dict[str, Standard]) -> dict[str, Standard]:
        if set(figures) != set(FIGURES):
            raise ValueError(f"must hold {', '.join(FIGURES)}, and nothing else")
        return figures

    @model_validator(mode="after")
    def _fits_together(self) -> WordsModel:
        for place, task in enumerate(self.tasks):
            if len(task.weights) != len(self.vocabulary):
                raise ValueError(
                    f"the task {task.key} has {len(task.weights)} weights for {len(self.vocabulary)} terms: one of its "
                    "tasks is of another vocabulary"
                )
            if any(task.digest == other.digest for other in self.tasks[:place]):
                raise ValueError(f"the question of the task {task.key} stands in it twice")
        return self


@dataclass(frozen=True, slots=True)
class Reading:
    """A text as the model sees it.

    Attributes:
        words: how many it has.
        known: the share of them that are in the vocabulary, in [0, 1]; 0 where it has none.
        content: its words that are not common.
        terms: place in the vocabulary → weight; of unit length, or empty.
        asks: whether it has a question mark.
    """

    words: int
    known: float
    content: frozenset[str]
    terms: Mapping[int, float]
    asks: bool


@dataclass(frozen=True, slots=True)
class Features:
    """A (context, reply) pair: the same for all criteria.

    Attributes:
        terms: places in the vocabulary with their weights, of the reply alone.
        figures: in the order of `FIGURES`, standardised.
    """

    terms: tuple[tuple[int, float], ...]
    figures: tuple[float, ...]


class Reader:
    """Reads texts.

    Args:
        vocabulary, common: as a model has them.
    """

    def __init__(self, vocabulary: Mapping[str, float], common: Iterable[str]) -> None:
        self._terms = {term: (place, idf) for place, (term, idf) in enumerate(vocabulary.items())}
        self._common = frozenset(common)

    def read(self, text: str) -> Reading:
        """A text's terms and words. Takes time in proportion to the text."""
        words = WORD.findall(plain(text))
        counts = Counter(words)
        known = sum(count for word, count in counts.items() if word in self._terms)
        counts.update(f"{first} {second}" for first, second in pairwise(words))
        terms: dict[int, float] = {}
        for term, count in counts.items():
            found = self._terms.get(term)
            if found is not None:
                terms[found[0]] = (1.0 + math.log(count)) * found[1]
        length = math.sqrt(math.fsum(weight * weight for weight in terms.values()))
        return Reading(
            words=len(words),
            known=known / len(words) if words else 0.0,
            content=frozenset(words) - self._common,
            terms={place: weight / length for place, weight in terms.items()} if length > 0 else {},
            asks="?" in text,
        )


def figures(context: Reading, reply: Reading) -> tuple[float, ...]:
    """The figures of a pair as they are, in the order of `FIGURES`."""
    both = len(context.content & reply.content)
    return (
        sum(weight * context.terms.get(place, 0.0) for place, weight in reply.terms.items()),
        both / len(reply.content) if reply.content else 0.0,
        both / len(context.content) if context.content else 0.0,
        math.log1p(reply.words),
        float(reply.asks),
    )


def features(model: WordsModel, context: Reading, reply: Reading) -> Features:
    """What a model predicts from: a pair's terms, and its figures standardised."""
    standards = zip(figures(context, reply), (model.figures[name] for name in FIGURES), strict=True)
    bounded = (min(max((value - each.mean) / each.scale, -BOUND), BOUND) for value, each in standards)
    return Features(tuple(reply.terms.items()), tuple(bounded))


def plain(text: str) -> str:
    """A text in lower case, with one kind of apostrophe."""
    return text.lower().replace("’", "'")


def silence(text: str, reading: Reading) -> str | None:
    """Why a reply is not judged, where it is not; None where it is."""
    if reading.known >= MIN_KNOWN:
        return None
    return unreadable(text, "the judge") or (
        "the judge knows too few of the judged text's words to say anything of it: it has learnt English"
    )


def predict(task: FittedTask, features: Features) -> float:
    """The place on a task's scale, in [0, number of levels − 1]."""
    weights = task.weights
    words = sum(weight * weights[place] for place, weight in features.terms)
    value: float = task.intercept + task.unit * words + sum(map(mul, task.figures, features.figures))
    return min(max(value, 0.0), len(task.levels) - 1.0)


def level_shares(levels: Sequence[Level], value: float) -> dict[Level, float]:
    """A place on a scale as shares of the two levels around it, so that their expectation is the place.

    They are no probabilities of being right: between two levels they are even, however sure the place is.

    Args:
        levels: at least 2, in the scale's order.
        value: in [0, number of levels − 1].

    Returns:
        level → share, of all levels; rounded, and summing to 1.
    """
    lower = min(int(value), len(levels) - 2)
    upper = round(value - lower, DECIMALS)
    shares: dict[Level, float] = dict.fromkeys(levels, 0.0)
    shares[levels[lower]], shares[levels[lower + 1]] = round(1.0 - upper, DECIMALS), upper
    return shares


def read_words(path: Path) -> WordsModel:
    """A model from its file.

    Raises:
        ProfileError: where it cannot be read or is not valid; with the file, and the line or key.
    """
    try:
        text = path.read_bytes().decode("utf-8")
        data = json.loads(text, object_pairs_hook=_no_twins, parse_constant=_no_constant)
    except OSError as problem:
        raise _unreadable(path, problem) from None
    except json.JSONDecodeError as problem:
        raise ProfileError(f"is not JSON ({problem.msg})", file=str(path), line=problem.lineno) from None
    except UnicodeDecodeError:
        raise ProfileError("is not UTF-8 text", file=str(path)) from None
    except (ValueError, RecursionError) as problem:
        raise ProfileError(f"is not JSON ({problem})", file=str(path)) from None
    if not isinstance(data, dict):
        raise ProfileError("is no model of words: expected a JSON object", file=str(path))
    try:
        return WordsModel.model_validate(data)
    except ValidationError as problem:
        where, message = faults_of(problem, data, model_keys(WordsModel))[0]
        raise ProfileError(message, file=str(path), key=dotted(where) or None) from None


def words_digest(path: Path) -> str:
    """The SHA-256 of a model's file.

    Raises:
        ProfileError: where it cannot be read.
    """
    try:
        return file_digest(path)
    except OSError as problem:
        raise _unreadable(path, problem) from None


def _unreadable(path: Path, problem: OSError) -> ProfileError:
    return ProfileError(f"cannot be read: {problem.strerror or problem}", file=str(path))


def _no_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"{next(key for key in keys if keys.count(key) > 1)!r} stands in one object twice")
    return found


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no number")
