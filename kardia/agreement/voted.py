"""Labels by the criteria that they are of, from plain rows and from scorecards alike."""

from __future__ import annotations

from collections import Counter

from kardia.agreement.names import Names, near
from kardia.agreement.sheets import Sheets
from kardia.agreement.votes import Rating, Vote, Votes
from kardia.errors import InputError
from kardia.model.labels import CRITERION, LEVEL

__all__ = ["by_criterion", "nothing_found", "of_sheets"]


def by_criterion(votes: Votes, names: Names, notes: list[str]) -> dict[str, list[Vote]]:
    """Criterion key → its votes, in the order of the criteria."""
    keys: dict[str, tuple[str, ...]] = {}
    by_key: dict[str, list[Vote]] = {}
    unknown: dict[str, int] = {}
    for vote in votes.votes:
        if vote.criterion not in keys:
            keys[vote.criterion] = _keys(vote, names, votes)
        if not keys[vote.criterion]:
            unknown[vote.criterion] = unknown.get(vote.criterion, 0) + 1
        for key in keys[vote.criterion]:
            by_key.setdefault(key, []).append(vote)
    columns = [repr(name) for name in unknown if name in votes.wide]
    if columns:
        what = "columns are no criteria" if len(columns) > 1 else "column is no criterion"
        notes.append(f"{votes.file}: {len(columns)} {what} of the scorecards: {', '.join(columns)} (left out)")
    for name, count in unknown.items():
        if name not in votes.wide:
            notes.append(f"{votes.file}: {count:,} labels of {name!r} have no scores, and are left out")
    return {key: by_key[key] for key in names.asked if key in by_key}


def _keys(vote: Vote, names: Names, votes: Votes) -> tuple[str, ...]:
    # in a long row the name stands in another column than what was said
    column = CRITERION if vote.column == LEVEL and vote.criterion != LEVEL else vote.column
    try:
        found = names.keys(vote.criterion)
    except InputError as problem:
        raise InputError(problem.message, file=votes.file, line=vote.line, key=column) from None
    hint = "" if found else near(vote.criterion, names.known)
    if hint:
        raise InputError(
            f"the scorecards have no criterion {vote.criterion!r}{hint}", file=votes.file, line=vote.line, key=column
        )
    return found


def of_sheets(
    labels: Sheets, names: Names, sheets: Sheets, notes: list[str]
) -> tuple[dict[str, list[Vote]], list[Rating]]:
    """Scorecards as labels: every judge is a rater, and joins by the name of the rubric and the criterion's id."""
    by_name = {ref.partition("@")[0]: ref for ref in sheets.rubrics}
    by_key: dict[str, list[Vote]] = {}
    ratings: list[Rating] = []
    twice = Counter(judge.name for judge in labels.by_judge)
    others: dict[str, None] = {}
    for judge, cards in labels.by_judge.items():
        rater = judge.name if twice[judge.name] == 1 else f"{judge.name} {judge.hash.removeprefix('sha256:')[:8]}"
        for ref, own in cards.items():
            mine = by_name.get(ref.partition("@")[0])
            if mine is None:
                others.setdefault(ref)
                continue
            if mine != ref or labels.rubrics[ref].hash != sheets.rubrics[mine].hash:
                note = f"the labels are by {ref} and the scores by {mine}, of different content: joined by criterion"
                if note not in notes:
                    notes.append(note)
            for card in own.values():
                if card.score is not None:
                    ratings.append(Rating(card.id, rater, card.score, mine))
                for own_id, (status, level) in card.criteria.items():
                    key = f"{mine.partition('@')[0]}.{own_id}"
                    if status == "scored" and key in names.asked:
                        column = f"criteria.{own_id}.level"
                        by_key.setdefault(key, []).append(Vote(card.id, own_id, rater, level, column, card.line))
    if others:
        notes.append(f"{labels.file}: scorecards of {', '.join(others)} have no scores, and are left out")
    return {key: by_key[key] for key in names.asked if key in by_key}, ratings


def nothing_found(votes: Votes, names: Names) -> str:
    """Why there is nothing to compare: labels of other things, or none at all."""
    if votes.sheets is not None:
        return f"holds no level of a criterion of the scorecards, which have {', '.join(names.short.values())}"
    empty = [column for column in votes.wide if column in names.known]
    if empty:
        return f"holds no label: {', '.join(empty)} {'are' if len(empty) > 1 else 'is'} empty in every row"
    if votes.wide:
        there = ", ".join(votes.wide)
        return f"has no column of a criterion; there are {there}, and the scorecards have {', '.join(names.asked)}"
    if not votes.votes:
        return "holds no label: no row says a level, or which of two is better"
    return f"holds no label of a criterion of the scorecards, which have {', '.join(names.short.values())}"
