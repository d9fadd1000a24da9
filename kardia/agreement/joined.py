"""Scorecards and labels, put together by conversation and criterion: one judge's column beside people's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from kardia.agreement.names import Asked, Names, near
from kardia.agreement.scale import Scale, scale_from_data, scale_of
from kardia.agreement.sheets import Card, Judge, Sheets
from kardia.agreement.voted import by_criterion, nothing_found, of_sheets
from kardia.agreement.votes import Choice, Rating, Vote, Votes
from kardia.errors import InputError
from kardia.rubric.models import Level

__all__ = ["Joined", "OneJudge", "Rated", "Scored", "join_labels"]

COUNTS = ("scored", "unscored", "abstained", "not_applicable", "without_card", "unlabelled")

_NAMED = 20_000
"""With more ids than this, none is looked for that is nearly the same."""

Cell = Level | float | None


@dataclass(frozen=True, slots=True)
class Rated:
    """One criterion: what a judge and people said of each unit.

    Attributes:
        asked: the criterion.
        name: what it is called here.
        scale: its levels.
        judge: one level a unit; None where the judge has none.
        covered: of each unit that people labelled, whether the judge scored it; None where it was not to.
        raters: who rated, by name.
        people: units × raters.
        counts: of labelled units, by what the judge did: `scored`, `unscored`, `abstained`, `not_applicable`, and
            `without_card`: no scorecard; `unlabelled`: scorecards that nobody labelled.
    """

    asked: Asked
    name: str
    scale: Scale
    judge: tuple[Level | None, ...]
    covered: tuple[bool | None, ...]
    raters: tuple[str, ...]
    people: tuple[tuple[Cell, ...], ...]
    counts: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Scored:
    """A rubric's score beside overall ratings; as in `Rated`."""

    ref: str
    judge: tuple[float | None, ...]
    covered: tuple[bool | None, ...]
    raters: tuple[str, ...]
    people: tuple[tuple[float | None, ...], ...]
    counts: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class OneJudge:
    """One judge beside people.

    Attributes:
        judge: who.
        units: ids of the conversations that somebody labelled, and the judge scored.
        groups: of each unit, for the bootstrap.
        criteria: those that people labelled.
        scores: where there are overall ratings.
        choices: pairs, with the judge's two scores by rubric.
        unlabelled: criteria with scores and without a label.
    """

    judge: Judge
    units: tuple[str, ...]
    groups: tuple[str, ...]
    criteria: tuple[Rated, ...]
    scores: tuple[Scored, ...]
    choices: Mapping[str, tuple[tuple[Choice, float | None, float | None], ...]]
    unlabelled: tuple[str, ...]


@dataclass(slots=True)
class Joined:
    """All judges of a file beside people.

    Attributes:
        judges: in the file's order.
        notes: sentences on what was left out, and why.
    """

    judges: list[OneJudge] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def join_labels(sheets: Sheets, votes: Votes, names: Names, unscored_as: Sequence[str] = ()) -> Joined:
    """Puts scorecards and labels together.

    Args:
        sheets: what judges said.
        votes: what people said.
        names: the criteria of the scorecards.
        unscored_as: the level that counts where a judge has none: for every criterion on whose scale it is, or as
            `criterion=level`.

    Raises:
        InputError: with file, line and key: a criterion whose name is nearly that of one there is, a level that is not
            on the scale, a second label of one rater; where no label is of what was scored.
    """
    found = Joined(notes=[rubric.why for rubric in sheets.rubrics.values() if rubric.why is not None])
    by_key = by_criterion(votes, names, found.notes)
    if votes.sheets is not None:
        by_key, ratings = of_sheets(votes.sheets, names, sheets, found.notes)
    else:
        ratings = votes.ratings
    if not by_key and not ratings and not votes.choices:
        raise InputError(nothing_found(votes, names), file=votes.file)
    ids = dict.fromkeys(own_id for cards in sheets.by_judge.values() for own in cards.values() for own_id in own)
    labelled = _labelled(found, votes.file, ids, by_key, ratings, votes.choices)
    scales = {key: _scale(sheets, names.asked[key], cells) for key, cells in by_key.items()}
    short = names.short
    people = {key: _people(votes.file, votes_of, scales[key], names.asked[key].key) for key, votes_of in by_key.items()}
    fill = _fill(unscored_as, names, scales)
    for judge, cards in sheets.by_judge.items():
        scored_by = dict.fromkeys(own_id for own in cards.values() for own_id in own)
        units = tuple(own_id for own_id in scored_by if own_id in labelled)
        rated = tuple(
            _rated(names.asked[key], short[key], scales[key], people[key], cards, units, fill.get(key), sheets.file)
            for key in by_key
            if names.asked[key].ref in cards
        )
        scored = tuple(made for ref in cards if (made := _scored(ref, cards[ref], units, ratings)) is not None)
        keys = {each.asked.key for each in rated}
        left = [short[key] for key, asked in names.asked.items() if asked.ref in cards and key not in keys]
        found.judges.append(
            OneJudge(
                judge,
                units,
                _groups(units, cards),
                rated,
                scored,
                {ref: _choices(votes.choices, own) for ref, own in cards.items()} if votes.choices else {},
                tuple(left),
            )
        )
    if sheets.passed_over:
        found.notes.append(f"{sheets.passed_over:,} scorecards are of other rubrics, and are left out")
    if sheets.own_criteria:
        found.notes.append(f"{sheets.own_criteria:,} judgments are of criteria that only their row has: left out")
    return found


def _labelled(
    found: Joined,
    file: str,
    ids: Mapping[str, None],
    by_key: Mapping[str, Sequence[Vote]],
    ratings: Sequence[Rating],
    choices: Sequence[Choice],
) -> Mapping[str, None]:
    """The conversations with a label. Says which of them have no scorecard, and the other way round.

    Raises:
        InputError: where none has one.
    """
    labelled = dict.fromkeys(vote.id for each in by_key.values() for vote in each)
    labelled.update(dict.fromkeys(rating.id for rating in ratings))
    labelled.update(dict.fromkeys(own for choice in choices for own in (choice.first, choice.second)))
    missing = [own for own in labelled if own not in ids]
    hint = near(missing[0], tuple(ids), 0.8) if missing and len(ids) <= _NAMED else ""
    if len(missing) == len(labelled):
        raise InputError(
            f"none of its {len(labelled):,} conversations has a scorecard; the first is {missing[0]!r}{hint}", file=file
        )
    if missing:
        what = "conversations with labels have" if len(missing) > 1 else "conversation with labels has"
        first = f"the first is {missing[0]!r}" if len(missing) > 1 else f"it is {missing[0]!r}"
        found.notes.append(f"{len(missing):,} {what} no scorecard; {first}{hint}")
    without = sum(own not in labelled for own in ids)
    if without:
        what = "conversations have" if without > 1 else "conversation has"
        found.notes.append(f"{without:,} scored {what} no label")
    return labelled


def _scale(sheets: Sheets, asked: Asked, votes: Sequence[Vote]) -> Scale:
    if asked.criterion is not None:
        return scale_of(asked.criterion)
    said: list[Any] = []
    for cards in sheets.by_judge.values():
        said += [card.criteria[asked.id][1] for card in cards.get(asked.ref, {}).values() if asked.id in card.criteria]
    said += [vote.value for vote in votes]
    scale = scale_from_data(said)
    assert scale is not None  # a vote says something
    return scale


def _people(
    file: str, votes: Sequence[Vote], scale: Scale, key: str
) -> tuple[dict[str, dict[str, Cell]], dict[str, None]]:
    """Conversation id → rater → rating; and the raters."""
    found: dict[str, dict[str, Cell]] = {}
    lines: dict[tuple[str, str], int] = {}
    raters: dict[str, None] = {}
    for vote in votes:
        try:
            said = scale.read(vote.value, vote.column, key)
        except InputError as problem:
            raise InputError(problem.message, file=file, line=vote.line, key=problem.key) from None
        if said is None:
            continue
        place = (vote.id, vote.rater)
        if place in lines:
            by = f" by {vote.rater}" if vote.rater else ""
            more = "" if vote.rater else "; with several raters, a column `rater` says whose it is"
            raise InputError(
                f"is a second label{by} of {key} for the id {vote.id!r}, after that in line {lines[place]}{more}",
                file=file,
                line=vote.line,
                key=vote.column,
            )
        lines[place] = vote.line
        raters.setdefault(vote.rater)
        found.setdefault(vote.id, {})[vote.rater] = said
    return found, dict.fromkeys(sorted(raters))


def _fill(unscored_as: Sequence[str], names: Names, scales: Mapping[str, Scale]) -> dict[str, Level]:
    """Criterion key → the level that counts where a judge has none."""
    found: dict[str, Level] = {}
    for text in unscored_as:
        name, equals, value = text.rpartition("=")
        try:
            keys = [key for key in names.one(name.strip()) if key in scales] if equals else list(scales)
        except InputError as problem:
            raise InputError(problem.message, file="--unscored-as") from None
        read: dict[str, Level] = {}
        for key in keys:
            try:
                read[key] = scales[key].level(value, "", key)
            except InputError:
                continue
        if not read:
            raise InputError(f"{value!r} is a level of none of the labelled criteria", file="--unscored-as")
        found.update(read)
    return found


def _groups(units: Sequence[str], cards: Mapping[str, Mapping[str, Card]]) -> tuple[str, ...]:
    group: dict[str, str] = {}
    for own in cards.values():
        for card in own.values():
            if card.group is not None:
                group.setdefault(card.id, f"group {card.group}")
    return tuple(group.get(own_id, f"id {own_id}") for own_id in units)


def _rated(
    asked: Asked,
    name: str,
    scale: Scale,
    people: tuple[Mapping[str, Mapping[str, Cell]], Mapping[str, None]],
    cards: Mapping[str, Mapping[str, Card]],
    units: Sequence[str],
    fill: Level | None,
    file: str,
) -> Rated:
    said, raters = people
    mine = cards[asked.ref]
    counts = dict.fromkeys(COUNTS, 0)
    counts["without_card"] = sum(own_id not in mine for own_id in said)
    counts["unlabelled"] = sum(own_id not in said for own_id in mine)
    judge: list[Level | None] = []
    covered: list[bool | None] = []
    for own_id in units:
        card = mine.get(own_id)
        level: Level | None = None
        if card is None or own_id not in said:
            judge.append(level)
            covered.append(None)
            continue
        status, value = card.criteria.get(asked.id, ("not_applicable", None))
        counts[status] += 1
        if value is not None:
            try:
                level = scale.level(value, f"criteria.{asked.id}.level", asked.key)
            except InputError as problem:
                raise InputError(problem.message, file=file, line=card.line, key=problem.key) from None
        elif status in ("unscored", "abstained"):
            level = fill
        covered.append(None if status == "not_applicable" else status == "scored")
        judge.append(level)
    table = tuple(tuple(said.get(own_id, {}).get(rater) for rater in raters) for own_id in units)
    return Rated(asked, name, scale, tuple(judge), tuple(covered), tuple(raters), table, counts)


def _scored(ref: str, cards: Mapping[str, Card], units: Sequence[str], ratings: Sequence[Rating]) -> Scored | None:
    said: dict[str, dict[str, float]] = {}
    raters: dict[str, None] = {}
    for rating in ratings:
        if rating.ref in (None, ref):
            said.setdefault(rating.id, {})[rating.rater] = rating.value
            raters.setdefault(rating.rater)
    raters = dict.fromkeys(sorted(raters))
    if not said:
        return None
    counts = dict.fromkeys(COUNTS, 0)
    counts["without_card"] = sum(own_id not in cards for own_id in said)
    counts["unlabelled"] = sum(own_id not in said for own_id in cards)
    covered: list[bool | None] = []
    judge: list[float | None] = []
    for own_id in units:
        card = cards.get(own_id)
        score = None if card is None else card.score
        judge.append(score)
        covered.append(score is not None if card is not None and own_id in said else None)
        if card is not None and own_id in said:
            counts["unscored" if score is None else "scored"] += 1
    table = tuple(tuple(said.get(own_id, {}).get(rater) for rater in raters) for own_id in units)
    return Scored(ref, tuple(judge), tuple(covered), tuple(raters), table, counts)


def _choices(
    choices: Sequence[Choice], cards: Mapping[str, Card]
) -> tuple[tuple[Choice, float | None, float | None], ...]:
    """Each pair with the scores of both, None where there is none."""

    def score(own_id: str) -> float | None:
        card = cards.get(own_id)
        return None if card is None else card.score

    return tuple((choice, score(choice.first), score(choice.second)) for choice in choices)
