"""Two scored files side by side, joined by conversation and criterion."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from kardia.agreement.bootstrap import Bootstrap
from kardia.agreement.ratings import needs_numpy
from kardia.compare.change import Change, Moved, change_of, moved_of
from kardia.diagnose.cards import Card, Scored
from kardia.errors import InputError
from kardia.version import __version__

__all__ = ["TOP", "Comparison", "compare", "paired"]

TOP = 10
GAPS = 20


@dataclass(frozen=True, slots=True)
class Comparison:
    """B against A: of one rubric, or of two versions of one.

    Attributes:
        first, second: where the numbers are from.
        both: conversations in both files; `groups` among them.
        only_first, only_second: ids in one file alone.
        same_text: conversations in which both judged the same text; None where the cards hold no texts.
        score: of the card.
        criteria: those that both sides have.
        criteria_first, criteria_second: those of one side alone. Criteria on few cards (`Scored.common`) are in none.
        vetoes: requirement → conversations in which it newly fires, and no longer fires.
        moved: the conversations whose score moved most.
        gaps: those that have a score on one side alone, the first ones.
    """

    first: Mapping[str, str]
    second: Mapping[str, str]
    both: int
    groups: int
    only_first: tuple[str, ...]
    only_second: tuple[str, ...]
    same_text: int | None
    score: Change
    criteria: Mapping[str, Change]
    criteria_first: tuple[str, ...]
    criteria_second: tuple[str, ...]
    vetoes: Mapping[str, tuple[int, int]]
    moved: tuple[Moved, ...]
    gaps: tuple[Moved, ...]

    def to_json(self) -> dict[str, Any]:
        """Everything, as plain data. Reasons are in it, which may quote the judged texts."""
        return {
            "format": "kardia-comparison/1",
            "kardia": __version__,
            "first": dict(self.first),
            "second": dict(self.second),
            "both": self.both,
            "groups": self.groups,
            "only_first": list(self.only_first),
            "only_second": list(self.only_second),
            "same_text": self.same_text,
            "score": self.score.to_json(),
            "criteria": {name: change.to_json() for name, change in self.criteria.items()},
            "criteria_first": list(self.criteria_first),
            "criteria_second": list(self.criteria_second),
            "vetoes": {name: {"newly": new, "no_longer": gone} for name, (new, gone) in self.vetoes.items()},
            "moved": [each.to_json() for each in self.moved],
            "gaps": [each.to_json() for each in self.gaps],
        }


def paired(first: Mapping[str, Scored], second: Mapping[str, Scored]) -> Iterator[tuple[Scored, Scored]]:
    """The rubrics of two files that belong together: the same version, else another version of the same name, else the
    only one of each file.

    Args:
        first, second: `name@version` → cards, of a file each.

    Raises:
        InputError: where none belong together.
    """
    count = 0
    for ref, one in first.items():
        other = second.get(ref)
        if other is None:
            named = [each for each in second.values() if each.rubric_name == one.rubric_name]
            other = named[0] if len(named) == 1 and named[0].rubric not in first else None
        if other is not None:
            count += 1
            yield one, other
    if count:
        return
    if len(first) == len(second) == 1:
        yield next(iter(first.values())), next(iter(second.values()))
        return
    file = next(iter(second.values())).file
    raise InputError(
        f"holds scorecards of {', '.join(second)}, and the other file those of {', '.join(first)}: nothing to compare",
        file=file,
    )


def compare(first: Scored, second: Scored, *, top: int = TOP, seed: int = 7) -> Comparison:
    """Measures what changed from A to B.

    Args:
        first, second: A and B.
        top: how many conversations are told that moved most.
        seed: equal seeds give equal intervals.

    Raises:
        InputError: where they have no conversation in common.
        MissingExtra: without numpy and scipy.
    """
    needs_numpy("comparing scored files")
    shared = [(card, second.cards[key]) for key, card in first.cards.items() if key in second.cards]
    if not shared:
        raise InputError(
            f"has no conversation in common with {first.file}: ids are what both are joined by", file=second.file
        )
    groups = [_group(one, other) for one, other in shared]
    bootstrap = Bootstrap(groups, seed=seed)
    own, others = first.common, second.common
    criteria = {name: _of_criterion(name, shared, bootstrap) for name in own if name in set(others)}
    texts = [one.text == other.text for one, other in shared if one.text is not None and other.text is not None]
    moved = [moved_of(one, other) for one, other in shared]
    known = [(each, abs(gap)) for each in moved if (gap := each.difference) is not None and abs(gap) > 0]
    known.sort(key=lambda pair: -pair[1])
    return Comparison(
        first=first.source(),
        second=second.source(),
        both=len(shared),
        groups=len(set(groups)),
        only_first=tuple(key for key in first.cards if key not in second.cards),
        only_second=tuple(key for key in second.cards if key not in first.cards),
        same_text=sum(texts) if texts else None,
        score=change_of(
            [one.score for one, _ in shared], [other.score for _, other in shared], [True] * len(shared), bootstrap
        ),
        criteria=criteria,
        criteria_first=tuple(name for name in own if name not in criteria),
        criteria_second=tuple(name for name in others if name not in criteria),
        vetoes=_vetoes(shared),
        moved=tuple(each for each, _ in known[:top]),
        gaps=tuple(each for each in moved if (each.first is None) != (each.second is None))[:GAPS],
    )


def _of_criterion(name: str, shared: list[tuple[Card, Card]], bootstrap: Bootstrap) -> Change:
    marks = [(one.marks.get(name), other.marks.get(name)) for one, other in shared]
    return change_of(
        [None if one is None else one.value for one, _ in marks],
        [None if other is None else other.value for _, other in marks],
        [all(each is not None and each.status != "not_applicable" for each in pair) for pair in marks],
        bootstrap,
    )


def _group(one: Card, other: Card) -> str:
    group = one.group if one.group is not None else other.group
    return f"id {one.id}" if group is None else f"group {group}"


def _vetoes(shared: list[tuple[Card, Card]]) -> dict[str, tuple[int, int]]:
    names = dict.fromkeys(name for pair in shared for card in pair for name in card.vetoed_by)
    return {
        name: (
            sum(name in other.vetoed_by and name not in one.vetoed_by for one, other in shared),
            sum(name in one.vetoed_by and name not in other.vetoed_by for one, other in shared),
        )
        for name in names
    }
