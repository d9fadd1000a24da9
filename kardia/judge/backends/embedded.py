"""The embedded judge: compares (context, reply) with each criterion's own examples. No prompt, no network, no training.

A small sentence encoder turns texts into vectors on this machine; `kardia.judge.comparison` turns them into
probabilities over a criterion's levels. It gives no reason and no evidence: it has none. Where a comparison cannot mean
anything — too few examples, examples of one level only, a text without words or in a script that the encoder does not
read — it abstains and says so.
"""

from __future__ import annotations

import asyncio
import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from kardia.conversation import Conversation, Message
from kardia.judge.comparison import Comparison, fit, pair_features
from kardia.judge.encoder import MAX_TOKENS, MAX_WINDOWS, Encoder, encoder_digest, find_encoder
from kardia.judge.profile import EmbeddedOptions, JudgeProfile
from kardia.judge.protocol import Known, Opinion, Request
from kardia.rubric.models import ChoiceScale, Criterion, Example
from kardia.rubric.rubric import Rubric, canonical_json
from kardia.spans import context_of, target_of
from kardia.version import __version__

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["EmbeddedJudge", "Pair"]

LAYER = 4
"""The layer whose tokens are pooled. The sentence encoder was trained to put texts of one topic side by side, and its
last layer does; how something is said stands clearer in the middle (measured: benchmarks/README.md)."""
MAX_CONTEXT_CHARS = 1000
"""How much of the context's end is read: what the reply answers."""
DECIMALS = 4
"""Probabilities are rounded here, above the noise that the composition of a batch leaves in a vector."""
MAX_RUBRICS = 64
MAX_FITS = 1024


@dataclass(frozen=True, slots=True)
class Pair:
    """What is compared: a judged text and what came before it (empty: nothing)."""

    context: str
    text: str


@dataclass(frozen=True, slots=True)
class _Shown:
    """One criterion's examples: the pairs, with the index of each one's level."""

    pairs: tuple[Pair, ...]
    levels: tuple[int, ...]


@dataclass(slots=True)
class _Known:
    """What is remembered of one rubric. It holds the rubric itself, so that its `id` stays its own."""

    rubric: Rubric
    shown: dict[str, _Shown] = field(default_factory=dict)


class EmbeddedJudge:
    """The `embedded` backend.

    The encoder is found, verified and loaded when the first request is answered.

    Args:
        profile: of the backend `embedded`.

    Raises (from `answer`):
        MissingExtra: where torch, transformers or the encoder are not installed.
        ProfileError: where the encoder is not the one that the profile names.
    """

    reads_prompts = False
    batch_size = 512

    def __init__(self, profile: JudgeProfile) -> None:
        self.profile = profile
        self._options = profile.embedded or EmbeddedOptions()
        self._encoder: Encoder | None = None
        self._rubrics: OrderedDict[int, _Known] = OrderedDict()
        self._fits: OrderedDict[tuple[_Shown, tuple[Any, ...]], Comparison] = OrderedDict()
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        return f"EmbeddedJudge({self.profile.name!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        return EmbeddedJudge, (self.profile,)

    @cached_property
    def identity(self) -> str:
        """What determines its answers beside the request: the encoder's files as they lie here, how much is read and
        compared, and kardia's version, which stands for the comparison itself.

        Raises:
            MissingExtra, ProfileError: as `answer` does; torch is not needed.
        """
        known = {
            "backend": "embedded",
            "encoder": encoder_digest(find_encoder(self.profile)),
            "min_examples": self._options.min_examples,
            "reads": [LAYER, MAX_CONTEXT_CHARS, MAX_TOKENS, MAX_WINDOWS, DECIMALS],
            "kardia": __version__,
        }
        return canonical_json(known)

    async def answer(self, requests: Sequence[Request]) -> list[Known | Exception]:
        """An opinion for every criterion of every request, without words. Runs in a worker thread."""
        return await asyncio.to_thread(self._answer, list(requests))

    async def aclose(self) -> None:
        """Nothing is open; the encoder stays loaded."""

    def _answer(self, requests: list[Request]) -> list[Known | Exception]:
        with self._lock:
            opinions: list[dict[str, Opinion]] = [{} for _ in requests]
            asked: dict[tuple[_Shown, tuple[Any, ...]], list[tuple[int, Criterion]]] = {}
            pairs: dict[int, Pair] = {}
            silences: dict[str, str | None] = {}
            for number, request in enumerate(requests):
                text = request.target.text
                if text not in silences:
                    silences[text] = _nothing_to_compare(text)
                silent = silences[text]
                for criterion in request.criteria:
                    shown = self._shown(request.rubric, criterion)
                    why = silent or self._too_little(shown, criterion)
                    if why is not None:
                        opinions[number][criterion.id] = Opinion(abstained=why)
                        continue
                    pairs.setdefault(number, _pair_of(request))
                    asked.setdefault((shown, _scale_of(criterion)), []).append((number, criterion))
            if asked:
                self._compare(asked, pairs, opinions)
            return [Known(each) for each in opinions]

    def _compare(
        self,
        asked: dict[tuple[_Shown, tuple[Any, ...]], list[tuple[int, Criterion]]],
        pairs: dict[int, Pair],
        opinions: list[dict[str, Opinion]],
    ) -> None:
        self._fit([key for key in asked if key not in self._fits])
        unique = {pair: row for row, pair in enumerate(dict.fromkeys(pairs.values()))}
        features_TBD = self._features(list(unique))
        for key, questions in asked.items():
            self._fits.move_to_end(key)
            rows = [unique[pairs[number]] for number, _ in questions]
            shares_TL = self._fits[key].probabilities(features_TBD[rows])
            for (number, criterion), shares in zip(questions, shares_TL, strict=True):
                opinions[number][criterion.id] = Opinion(dict(zip(criterion.levels, _rounded(shares), strict=True)))
        while len(self._fits) > MAX_FITS:
            self._fits.popitem(last=False)

    def _fit(self, keys: list[tuple[_Shown, tuple[Any, ...]]]) -> None:
        # apart from the requests' texts, so that a fit does not depend on what it is asked about first
        unique = {
            pair: row for row, pair in enumerate(dict.fromkeys(pair for shown, _ in keys for pair in shown.pairs))
        }
        if not unique:
            return
        features_EBD = self._features(list(unique))
        for key in keys:
            shown, (ordered, levels) = key
            contexts = {context: number for number, context in enumerate(dict.fromkeys(p.context for p in shown.pairs))}
            self._fits[key] = fit(
                features_EBD[[unique[pair] for pair in shown.pairs]],
                shown.levels,
                [contexts[pair.context] for pair in shown.pairs],
                len(levels),
                ordered=ordered,
            )

    def _features(self, pairs: list[Pair]) -> NDArray[np.float64]:
        import numpy as np

        if self._encoder is None:
            self._encoder = Encoder(find_encoder(self.profile), self._options)
        layer = min(LAYER, self._encoder.layers)
        texts = [pair.text for pair in pairs] + [pair.context for pair in pairs]
        vectors = self._encoder.encode(texts, layer=layer).astype(np.float64)
        context_TD = vectors[len(pairs) :]
        context_TD[[not pair.context for pair in pairs]] = 0.0
        return pair_features(vectors[: len(pairs)], context_TD)

    def _shown(self, rubric: Rubric, criterion: Criterion) -> _Shown:
        known = self._rubrics.get(id(rubric))
        if known is None:
            known = self._rubrics[id(rubric)] = _Known(rubric)
            while len(self._rubrics) > MAX_RUBRICS:
                self._rubrics.popitem(last=False)
        shown = known.shown.get(criterion.id)
        if shown is None:
            places = {level: place for place, level in enumerate(criterion.levels)}
            told = [(example, example.levels[criterion.id]) for example in rubric.examples_of(criterion.id)]
            told = [(example, level) for example, level in told if level in places]  # `not relevant` is no level
            shown = known.shown[criterion.id] = _Shown(
                tuple(_pair_of_example(example, criterion, rubric.target) for example, _ in told),
                tuple(places[level] for _, level in told),
            )
        return shown

    def _too_little(self, shown: _Shown, criterion: Criterion) -> str | None:
        count = len(shown.levels)
        if count < self._options.min_examples:
            few = f"{count} examples show" if count > 1 else "one example shows" if count else "no example shows"
            return (
                f"{few} a level of this criterion; the embedded judge compares with examples and wants at least "
                f"{self._options.min_examples}"
            )
        if len(set(shown.levels)) < 2:
            level = criterion.levels[shown.levels[0]]
            return f"all examples of this criterion show the level {level}: there is nothing to tell apart"
        return None


def _scale_of(criterion: Criterion) -> tuple[Any, ...]:
    return not isinstance(criterion.scale, ChoiceScale), criterion.levels


def _pair_of(request: Request) -> Pair:
    whole = request.target.kind == "conversation" and request.target.message is None
    return Pair("" if whole else _context(request.conversation), request.target.text)


def _pair_of_example(example: Example, criterion: Criterion, target: str) -> Pair:
    """An example as the judge would meet it in a row: taken apart by the same code."""
    said = (
        ([Message("user", example.context)] if example.context.strip() else [])
        if isinstance(example.context, str)
        else [Message(message.role, message.content) for message in example.context]
    )
    conversation = Conversation("example", (*said, Message("assistant", example.reply)))
    found = target_of(conversation, criterion.reads or target, target)
    # an example of a span may give the span's text alone
    text = example.reply if found.missing is not None else found.text
    return Pair("" if found.message is None else _context(conversation), text)


def _context(conversation: Conversation) -> str:
    said = [message.content.strip() for message in context_of(conversation) if message.role in ("user", "assistant")]
    return "\n".join(part for part in said if part)[-MAX_CONTEXT_CHARS:]


def _nothing_to_compare(text: str) -> str | None:
    """Why a text cannot be compared by an encoder that has learnt English, where it cannot."""
    letters = [character for character in text if character.isalpha()]
    if not letters:
        return "the judged text has no words that could be compared"
    if sum(_is_latin(character) for character in letters) * 2 < len(letters):
        return "the judged text is mostly not in Latin script, and the embedded judge's encoder has learnt English"
    return None


def _is_latin(character: str) -> bool:
    code = ord(character)
    # up to the end of Latin Extended-B, Latin Extended Additional, full-width and mathematical letters
    return code < 0x250 or 0x1E00 <= code < 0x1F00 or 0xFF21 <= code <= 0xFF5A or 0x1D400 <= code < 0x1D6A8


def _rounded(shares: NDArray[np.float64]) -> list[float]:
    """Rounded shares that still sum to 1: the largest takes up the difference."""
    rounded = [round(float(share), DECIMALS) for share in shares]
    largest = rounded.index(max(rounded))
    rounded[largest] = round(rounded[largest] + 1.0 - sum(rounded), DECIMALS)
    return rounded
