"""Phrases: what people say to a judge and to nobody else, found in time that grows with the text and no faster.

A phrase is a row of steps, each a pattern, that follow each other within one sentence and within reach; or that stand
in one sentence in whatever order. Steps are looked up one by one and joined by their places. The words alone are
everyday words of emotional support ("ignore what he said", "the judge", "I'd rate that"); it is the row that is not.

Patterns are folded like the text (see `kardia.guard.text`), so that they have neither capital letters nor accents.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

from kardia.guard.text import fold

__all__ = ["ANY_ORDER", "Phrase", "Phrasebook", "phrase_of", "phrases_of"]

_SENTENCE_END = re.compile(r"[.!?](?=[\s\"')\]]|$)|[。।؟]|;\s|\n\s*\n")
_TOKEN = re.compile(r"\w+")
_SPACE = re.compile(r"\\s(?![?+*{])| (?![?+*{])")
_MOST = 3
ANY_ORDER = -1
"""As a reach: the steps stand in one sentence, in any order."""
_NEAR = 24
_SENTENCE = 240
"""Characters before and after the first step that are looked at as its sentence."""


@dataclass(frozen=True)
class Phrase:
    """One way to speak to a judge.

    Attributes:
        language: its code.
        needs: groups of words; without one of each group in the text the phrase cannot occur.
        reach: how many characters may stand between two steps; `ANY_ORDER`: they need only share a sentence.
        steps: patterns, folded; a space in them stands for any white space.
        unless: a pattern that must not stand in it, nor just before or after.
    """

    language: str
    needs: tuple[frozenset[str], ...]
    reach: int
    steps: tuple[str, ...]
    unless: str | None = None

    @cached_property
    def patterns(self) -> tuple[re.Pattern[str], ...]:
        """The steps, compiled when they are first needed."""
        return tuple(_compiled(step) for step in self.steps)

    @cached_property
    def _never(self) -> re.Pattern[str] | None:
        return None if self.unless is None else _compiled(self.unless)

    def places(self, text: str) -> Iterator[tuple[int, int]]:
        """Where it stands in a folded text: start, end; at most three places."""
        for start, end in self._found(text):
            if self._never is None or self._never.search(text, max(start - _NEAR, 0), end + _NEAR) is None:
                yield start, end

    def _found(self, text: str) -> Iterator[tuple[int, int]]:
        first, *others = self.patterns
        if self.reach == ANY_ORDER:
            yield from _together(first, others, text)
            return
        chains = [found.span() for found in first.finditer(text)]
        for pattern in others:
            if not chains:
                return
            ends = [end for _, end in chains]
            longer: list[tuple[int, int]] = []
            for found in pattern.finditer(text):
                # of all that end before it, the last is the nearest, so it alone needs a look
                at = bisect_right(ends, found.start()) - 1
                if at < 0 or found.start() - ends[at] > self.reach:
                    continue
                if _SENTENCE_END.search(text, max(ends[at] - 1, 0), found.start()) is None:
                    longer.append((chains[at][0], found.end()))
            chains = longer
        yield from chains[:_MOST]


def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(_SPACE.sub(r"\\s{1,4}", pattern), re.MULTILINE)


def _together(first: re.Pattern[str], others: list[re.Pattern[str]], text: str) -> Iterator[tuple[int, int]]:
    reached = named = 0
    for found in first.finditer(text):
        if found.start() < reached:
            continue  # its sentence has been looked at
        low = max(found.start() - _SENTENCE, reached)
        high = found.end() + _SENTENCE
        for end in _SENTENCE_END.finditer(text, low, found.start()):
            low = end.end()
        end_after = _SENTENCE_END.search(text, found.end(), high)
        high = min(len(text), high) if end_after is None else end_after.end()
        reached = high
        places = [found.span()]
        for pattern in others:
            match = pattern.search(text, low, high)
            if match is None:
                break
            places.append(match.span())
        else:
            yield min(start for start, _ in places), max(end for _, end in places)
            named += 1
            if named == _MOST:
                return


def phrase_of(
    language: str, needs: tuple[str, ...], reach: int, steps: tuple[str, ...], unless: str | None = None
) -> Phrase:
    """A phrase from words and patterns as people write them.

    Args:
        language: its code.
        needs: groups of words with spaces between; `_` is a space within a word, `*` at its end is dropped.
        reach: as in `Phrase`.
        steps, unless: patterns.
    """
    groups = (frozenset(word.rstrip("*").replace("_", " ") for word in fold(group).split()) for group in needs)
    never = None if unless is None else fold(unless)
    return Phrase(language, tuple(groups), reach, tuple(fold(step) for step in steps), never)


def phrases_of(language: str, *rows: tuple[str, int, tuple[str, ...]], **names: str) -> list[Phrase]:
    """The phrases of one language.

    Args:
        language: its code.
        rows: needs, reach and steps of each. Needs are words with `&` between the groups; `_` is a space.
        names: what `{name}` in a step stands for.
    """
    found = []
    for needs, reach, steps in rows:
        written = []
        for step in steps:
            for name, pattern in names.items():
                step = step.replace("{" + name + "}", pattern)
            written.append(step)
        found.append(phrase_of(language, tuple(needs.split("&")), reach, tuple(written)))
    return found


class Phrasebook:
    """Many phrases, so ordered that an ordinary text is done with after a look for a few words.

    Each phrase is filed under the words of its smallest group of needs. In a text of plain letters these are looked up
    by the beginnings of the text's words; in any other, where words may not stand apart, each is looked for.
    """

    def __init__(self, phrases: Iterable[Phrase]) -> None:
        self._under: dict[str, list[Phrase]] = {}
        for phrase in phrases:
            for word in min(phrase.needs, key=lambda words: (len(words), sorted(words))):
                self._under.setdefault(word, []).append(phrase)
        self._begins: dict[str, list[tuple[str, str]]] = {}
        for word in sorted(self._under):
            if word.isascii():
                begin = word.split()[0]
                self._begins.setdefault(begin[:2], []).append((begin, word))

    def places(self, text: str) -> Iterator[tuple[int, int]]:
        """Where any of the phrases stands in a folded text: start, end."""
        tried: set[int] = set()
        for word in self._plain_words(text) if text.isascii() else self._under:
            if word not in text:
                continue
            for phrase in self._under[word]:
                if id(phrase) in tried:
                    continue
                tried.add(id(phrase))
                if all(any(need in text for need in group) for group in phrase.needs):
                    yield from phrase.places(text)

    def _plain_words(self, text: str) -> Iterator[str]:
        for token in sorted(set(_TOKEN.findall(text))):
            for begin, word in self._begins.get(token[:2], ()):
                if token.startswith(begin):
                    yield word
