"""Comparison with a rubric's own examples: a criterion's levels are read off the examples that are nearest.

What an encoder makes of texts comes from `kardia.judge.encoder`, what the comparison is from `kardia.judge.comparison`;
here stands which examples show a criterion, and what has been fitted for it already.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from kardia.judge.comparison import Comparison, fit, pair_features
from kardia.judge.encoder import Encoder
from kardia.judge.pair import Pair, pair_of_example
from kardia.rubric.models import ChoiceScale, Criterion
from kardia.rubric.rubric import Rubric

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["LAYER", "MAX_CONTEXT_CHARS", "ExampleComparison", "Shown"]

LAYER = 4
"""The layer whose tokens are pooled. The sentence encoder was trained to put texts of one topic side by side, and its
last layer does; how something is said stands clearer in the middle (measured: benchmarks/README.md)."""
MAX_CONTEXT_CHARS = 1000
"""How much of the context's end is read: what the reply answers."""
MAX_RUBRICS = 64
MAX_FITS = 1024


@dataclass(frozen=True, slots=True)
class Shown:
    """One criterion's examples: the pairs, with the index of each one's level."""

    pairs: tuple[Pair, ...]
    levels: tuple[int, ...]


_Key = tuple[Shown, tuple[Any, ...]]


@dataclass(slots=True)
class _Known:
    """What is remembered of one rubric. It holds the rubric itself, so that its `id` stays its own."""

    rubric: Rubric
    shown: dict[str, Shown] = field(default_factory=dict)


class ExampleComparison:
    """Judges pairs by the examples of a criterion. Not thread-safe.

    Args:
        encoder: called when the first pair is compared.
        min_examples: with fewer examples of a criterion there is nothing to compare with.
    """

    def __init__(self, encoder: Callable[[], Encoder], min_examples: int) -> None:
        self._find = encoder
        self._encoder: Encoder | None = None
        self._min_examples = min_examples
        self._rubrics: OrderedDict[int, _Known] = OrderedDict()
        self._fits: OrderedDict[_Key, Comparison] = OrderedDict()

    def shown(self, rubric: Rubric, criterion: Criterion) -> Shown:
        """The examples that show a level of a criterion."""
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
            shown = known.shown[criterion.id] = Shown(
                tuple(pair_of_example(example, criterion, rubric.target) for example, _ in told),
                tuple(places[level] for _, level in told),
            )
        return shown

    def too_little(self, rubric: Rubric, criterion: Criterion) -> str | None:
        """Why there is nothing to compare with, as a sentence; None where there is enough."""
        shown = self.shown(rubric, criterion)
        count = len(shown.levels)
        if count < self._min_examples:
            few = f"{count} examples show" if count > 1 else "one example shows" if count else "no example shows"
            return (
                f"{few} a level of this criterion; the embedded judge compares with examples and wants at least "
                f"{self._min_examples}"
            )
        if len(set(shown.levels)) < 2:
            level = criterion.levels[shown.levels[0]]
            return f"all examples of this criterion show the level {level}: there is nothing to tell apart"
        return None

    def compare(self, asked: Sequence[tuple[Rubric, Criterion, Pair]]) -> list[NDArray[np.float64]]:
        """Probabilities over the levels of each one's criterion, in the order asked.

        Args:
            asked: criteria for which `too_little` gives None.
        """
        by_key: dict[_Key, list[int]] = {}
        for number, (rubric, criterion, _) in enumerate(asked):
            by_key.setdefault((self.shown(rubric, criterion), _scale_of(criterion)), []).append(number)
        self._fit([key for key in by_key if key not in self._fits])
        unique = {pair: row for row, pair in enumerate(dict.fromkeys(pair for _, _, pair in asked))}
        features_TBD = self.features(list(unique))
        found: dict[int, NDArray[np.float64]] = {}
        for key, numbers in by_key.items():
            self._fits.move_to_end(key)
            shares_TL = self._fits[key].probabilities(features_TBD[[unique[asked[number][2]] for number in numbers]])
            found.update(zip(numbers, shares_TL, strict=True))
        while len(self._fits) > MAX_FITS:
            self._fits.popitem(last=False)
        return [found[number] for number in range(len(asked))]

    def _fit(self, keys: list[_Key]) -> None:
        # apart from the requests' texts, so that a fit does not depend on what it is asked about first
        unique = {
            pair: row for row, pair in enumerate(dict.fromkeys(pair for shown, _ in keys for pair in shown.pairs))
        }
        if not unique:
            return
        features_EBD = self.features(list(unique))
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

    def features(self, pairs: list[Pair]) -> NDArray[np.float64]:
        """What pairs are compared by: see `kardia.judge.comparison.pair_features`."""
        if self._encoder is None:
            self._encoder = self._find()  # says what is missing, where numpy is missing too
        import numpy as np

        layer = min(LAYER, self._encoder.layers)
        texts = [pair.text for pair in pairs] + [pair.context[-MAX_CONTEXT_CHARS:] for pair in pairs]
        vectors = self._encoder.encode(texts, layer=layer).astype(np.float64)
        context_TD = vectors[len(pairs) :]
        context_TD[[not pair.context for pair in pairs]] = 0.0
        return pair_features(vectors[: len(pairs)], context_TD)


def _scale_of(criterion: Criterion) -> tuple[Any, ...]:
    return not isinstance(criterion.scale, ChoiceScale), criterion.levels
