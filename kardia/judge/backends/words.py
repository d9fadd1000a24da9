"""The judge of words: a linear model over the words of a reply. No network, nothing to install, and no understanding.

It answers the questions that its model was fitted for (`words.model`, see `kardia.judge.words` and
`training/words.py`), recognised by what is asked, and abstains from all others. It is the cheapest fitted judge there
is: a baseline that a better one must beat, and a second opinion on a policy that was trained towards another judge.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import cached_property
from typing import Any

from kardia.byobject import by_object
from kardia.errors import ProfileError
from kardia.judge.pair import Pair, pair_of
from kardia.judge.profile import JudgeProfile
from kardia.judge.protocol import Known, Opinion, Request
from kardia.judge.words import (
    Features,
    FittedTask,
    Reader,
    Reading,
    WordsModel,
    features,
    level_shares,
    predict,
    read_words,
    silence,
    words_digest,
)
from kardia.rubric.rubric import Rubric, canonical_json
from kardia.student.tasks import task_digest
from kardia.version import __version__

__all__ = ["WordsJudge"]

UNASKED = "the model of words was not fitted for this question, in these words and with these levels"


class WordsJudge:
    """The `words` backend.

    Its model is read when the first request is answered.

    Args:
        profile: of the backend `words`.

    Raises (from `answer` and `identity`):
        ProfileError: where the model cannot be read.
    """

    reads_prompts = False
    batch_size = 1024

    def __init__(self, profile: JudgeProfile) -> None:
        if profile.words_model is None:
            raise ProfileError("has no `words.model`", file=profile.name, key="words")
        self.profile = profile
        self._file = profile.words_model

    def __repr__(self) -> str:
        return f"WordsJudge({self.profile.name!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        return WordsJudge, (self.profile,)

    @cached_property
    def identity(self) -> str:
        """What determines its answers beside the request: the model, and kardia's version."""
        return canonical_json({"backend": "words", "model": words_digest(self._file), "kardia": __version__})

    async def answer(self, requests: Sequence[Request]) -> list[Known | Exception]:
        """An opinion for every criterion of every request, without words. Runs in a worker thread."""
        return await asyncio.to_thread(self._answer, list(requests))

    async def aclose(self) -> None:
        """Nothing is open; the model stays loaded."""

    @cached_property
    def _loaded(self) -> tuple[WordsModel, Reader, dict[str, FittedTask]]:
        """The model, what reads texts for it, and what is asked → what was fitted for it."""
        model = read_words(self._file)
        return model, Reader(model.vocabulary, model.common), {task.digest: task for task in model.tasks}

    def _answer(self, requests: list[Request]) -> list[Known | Exception]:
        model, reader, tasks = self._loaded
        desk = _Desk(model, reader)
        answers: list[Known | Exception] = []
        for request in requests:
            digests = _digests(request.rubric)
            opinions: dict[str, Opinion] = {}
            for criterion in request.criteria:
                task = tasks.get(digests[criterion.id])
                silent = desk.silence(request.target.text) or (UNASKED if task is None else None)
                if silent is not None or task is None:
                    opinions[criterion.id] = Opinion(abstained=silent)
                    continue
                shares = level_shares(task.levels, predict(task, desk.features(request)))
                opinions[criterion.id] = Opinion(shares)
            answers.append(Known(opinions))
        return answers


class _Desk:
    """What was read for one call: a text once, a pair once for all criteria."""

    def __init__(self, model: WordsModel, reader: Reader) -> None:
        self._model, self._reader = model, reader
        self._readings: dict[str, Reading] = {}
        self._silences: dict[str, str | None] = {}
        self._features: dict[Pair, Features] = {}

    def silence(self, text: str) -> str | None:
        """Why a text is not judged; None where it is."""
        if text not in self._silences:
            self._silences[text] = silence(text, self._read(text))
        return self._silences[text]

    def features(self, request: Request) -> Features:
        pair = pair_of(request.conversation, request.target)
        found = self._features.get(pair)
        if found is None:
            found = features(self._model, self._read(pair.context), self._read(pair.text))
            self._features[pair] = found
        return found

    def _read(self, text: str) -> Reading:
        found = self._readings.get(text)
        if found is None:
            found = self._readings[text] = self._reader.read(text)
        return found


@by_object(most=256)
def _digests(rubric: Rubric) -> dict[str, str]:
    """Criterion id → what is asked."""
    return {criterion.id: task_digest(criterion, rubric.target) for criterion in rubric.criteria}
