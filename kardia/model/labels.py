"""Labels: from scorecards, plain files or the conversations' own metadata to examples that a student learns from.

Three shapes of a file are told apart by their columns, each in any format that conversations have (JSONL, CSV,
Parquet …):

- scorecards, as `kardia score` writes them: `id`, `rubric`, `criteria`. Scored criteria count, by their probabilities
  where the judge gave some; each judge is a rater.
- long: `id`, `criterion`, `level` and, with several people, `rater`.
- wide: `id`, a column for each criterion (or one column `levels` with all of them) and, with several people, `rater`.

A criterion is called by its key (`supportiveness.warmth`) or, where only one rubric has it, by its id. Several raters
of one criterion become one soft target, the mean of theirs. A missing label is no label: it is masked.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kardia.conversation import Conversation
from kardia.errors import InputError
from kardia.judge.pair import Pair, pair_of
from kardia.model.cells import distribution_in, mapping, target_in
from kardia.model.examples import Labelled
from kardia.reading.fields import METADATA_FIELDS
from kardia.reading.files import RawRow, open_rows, source_name
from kardia.rubric.models import Criterion
from kardia.rubric.rubric import Rubric
from kardia.spans import target_of
from kardia.student.tasks import Task, key_of, task_of

__all__ = ["Joined", "Labelled", "Labels", "Questions", "join", "usable"]

ID, CRITERION, LEVEL, LEVELS = "id", "criterion", "level", "levels"
RATER = ("rater", "annotator")

MIN_LABELS = 10
"""With fewer a criterion is not learnt: some are held out, and the rest say nothing."""

_Vote = tuple[str, tuple[float, ...], str]
"""Task key, target, and the column that it stands in."""


@dataclass(frozen=True, slots=True)
class _Question:
    task: Task
    criterion: Criterion
    rubric: Rubric


class Questions:
    """The criteria of some rubrics, each question once, and how people call them."""

    def __init__(self, rubrics: Sequence[Rubric]) -> None:
        self.rubrics = {rubric.name: rubric for rubric in rubrics}
        self.by_key: dict[str, _Question] = {}
        self._names: dict[str, str] = {}
        digests: dict[str, str] = {}
        short: dict[str, set[str]] = {}
        for rubric in rubrics:
            for criterion in rubric.criteria:
                task = task_of(rubric, criterion)
                key = digests.setdefault(task.digest, task.key)
                if key == task.key:
                    self.by_key[key] = _Question(task, criterion, rubric)
                self._names[key_of(rubric, criterion)] = key
                short.setdefault(criterion.id, set()).add(key)
        self._short = short

    @property
    def tasks(self) -> tuple[Task, ...]:
        """The tasks, in the rubrics' order."""
        return tuple(question.task for question in self.by_key.values())

    def task(self, name: str) -> Task:
        """The task that a criterion's key or id names.

        Raises:
            InputError: where there is none, or more than one.
        """
        if name in self._names:
            return self.by_key[self._names[name]].task
        found = self._short.get(name, set())
        if len(found) == 1:
            return self.by_key[next(iter(found))].task
        if found:
            raise InputError(f"{name!r} is a criterion of several rubrics: say which, {' or '.join(sorted(found))}")
        close = difflib.get_close_matches(name, [*self._names, *self._short], n=1, cutoff=0.7)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        raise InputError(f"none of the rubrics {', '.join(self.rubrics)} has a criterion {name!r}{hint}")

    def is_known(self, name: str) -> bool:
        return name in self._names or name in self._short


@dataclass
class Labels:
    """What raters said: conversation id → task key → rater → distribution over levels.

    Attributes:
        rows: rows that were read.
        passed_over: scorecards of rubrics that were not asked for.
    """

    questions: Questions
    said: dict[str, dict[str, dict[str, tuple[float, ...]]]] = field(default_factory=dict)
    rows: int = 0
    passed_over: int = 0

    def read(self, path: str | Path, ids: Iterable[str] | None = None) -> None:
        """Adds the labels of a file.

        Args:
            ids: the conversations that there are; None: any id will do.

        Raises:
            InputError: for a row that cannot be read, an id that no conversation has, a criterion that no rubric has, a
                level off the scale, or a second label by the same rater; with file, line and key.
        """
        name = source_name(path)
        known = None if ids is None else frozenset(ids)
        count = 0
        for raw in open_rows(path):
            try:
                self._read_row(raw, name, known)
            except InputError as problem:
                raise InputError(problem.message, file=name, line=raw.line, key=problem.key) from None
            count += 1
        if not count:
            raise InputError("holds no labels", file=name)
        self.rows += count

    def of(self, conversation: Conversation) -> dict[str, tuple[float, ...]]:
        """Task key → the mean of what the raters of a conversation said."""
        found = self.said.get(conversation.id, {})
        return {key: _mean(list(votes.values())) for key, votes in found.items()}

    def _read_row(self, raw: RawRow, name: str, known: frozenset[str] | None) -> None:
        if raw.row is None:
            raise InputError(raw.error or "cannot be read")
        row = raw.row
        own_id = _id_of(row)
        criteria = mapping(row.get("criteria"))
        if criteria is not None and "rubric" in row:
            votes, rater = list(self._of_scorecard(row, criteria)), f"judge {row.get('judge')}"
        else:
            rater = next((str(row[column]) for column in RATER if row.get(column) is not None), "")
            votes = list(self._of_plain(row))
        if votes and known is not None and own_id not in known:
            raise InputError(f"no conversation has the id {own_id!r}", key=ID)
        for key, target, column in votes:
            mine = self.said.setdefault(own_id, {}).setdefault(key, {})
            if f"{name}\0{rater}" in mine:
                hint = f"by {rater} " if rater else ""
                more = "" if rater else "; with several raters, a column `rater` says whose it is"
                raise InputError(f"is a second label {hint}of {key} for the id {own_id!r}{more}", key=column)
            mine[f"{name}\0{rater}"] = target

    def _of_scorecard(self, row: Mapping[str, Any], criteria: Mapping[str, Any]) -> Iterator[_Vote]:
        rubric_name, _, number = str(row["rubric"]).partition("@")
        rubric = self.questions.rubrics.get(rubric_name)
        if rubric is None:
            self.passed_over += 1
            return
        _check_version(row, rubric, number)
        for criterion_id, judgment in criteria.items():
            column = f"criteria.{criterion_id}"
            if not isinstance(judgment, Mapping) or judgment.get("status") != "scored":
                continue
            if criterion_id not in rubric.by_id:
                continue  # a criterion of one row alone
            task = self.questions.task(f"{rubric.name}.{criterion_id}")
            shares = mapping(judgment.get("probabilities"))
            if shares:
                yield task.key, distribution_in(task, shares, column), column
            else:
                yield from _vote(task, judgment.get("level"), f"{column}.level")

    def _of_plain(self, row: Mapping[str, Any]) -> Iterator[_Vote]:
        if CRITERION in row and LEVEL in row:
            yield from _vote(self._task(str(row[CRITERION]), CRITERION), row[LEVEL], LEVEL)
            return
        levels = mapping(row.get(LEVELS)) or {}
        named = [(f"{LEVELS}.{key}", str(key), value) for key, value in levels.items()]
        named += [(column, column, value) for column, value in row.items() if column not in (ID, LEVELS, *RATER)]
        if not named:
            raise InputError(
                "has no labels: expected the columns id, criterion, level, or id and a column for each criterion"
            )
        for column, criterion, value in named:
            yield from _vote(self._task(criterion, column), value, column)

    def _task(self, name: str, column: str) -> Task:
        try:
            return self.questions.task(name)
        except InputError as problem:
            raise InputError(problem.message, key=column) from None


def own_labels(conversation: Conversation, questions: Questions) -> dict[str, tuple[float, ...]]:
    """Labels in a conversation's own metadata: `labels`, criterion → level, and columns that are called as a criterion
    (but for those that mean something else in a conversation, such as `emotion`).

    Raises:
        InputError: for an unknown criterion in `labels`, or a level off the scale; with the key.
    """
    found: dict[str, tuple[float, ...]] = {}
    inside = mapping(conversation.metadata.get("labels")) or {}
    named = [(f"labels.{name}", str(name), value) for name, value in inside.items()]
    named += [
        (name, name, value)
        for name, value in conversation.metadata.items()
        if questions.is_known(name) and name not in METADATA_FIELDS
    ]
    for column, name, value in named:
        try:
            task = questions.task(name)
        except InputError as problem:
            raise InputError(problem.message, key=column) from None
        found.update({key: target for key, target, _ in _vote(task, value, column)})
    return found


@dataclass(frozen=True)
class Joined:
    """Conversations with their labels.

    Attributes:
        examples: one for each text of a conversation that criteria with labels read.
        conversations: how many were read.
        labels: how many labels there are, after raters were averaged.
        unlabelled: conversations without a label.
        unread: labels of criteria that read a part which the reply does not have.
    """

    examples: tuple[Labelled, ...]
    conversations: int
    labels: int
    unlabelled: int
    unread: int


def join(conversations: Iterable[Conversation], questions: Questions, labels: Labels | None) -> Joined:
    """Puts labels and texts together.

    Args:
        labels: None: those in the conversations' metadata.

    Raises:
        InputError: where no conversation has a label, or the metadata's labels are wrong.
    """
    examples: list[Labelled] = []
    count = total = unlabelled = unread = 0
    for conversation in conversations:
        count += 1
        if labels is None:
            try:
                targets = own_labels(conversation, questions)
            except InputError as problem:
                raise InputError(
                    f"{problem.message} (in the conversation {conversation.id!r})", key=problem.key
                ) from None
        else:
            targets = labels.of(conversation)
        if not targets:
            unlabelled += 1
            continue
        texts: dict[Pair, dict[str, tuple[float, ...]]] = {}
        for key, target in targets.items():
            question = questions.by_key[key]
            judged = target_of(conversation, question.criterion.reads or "reply", question.rubric.target)
            if judged.missing is not None:
                unread += 1
                continue
            texts.setdefault(pair_of(conversation, judged), {})[key] = target
            total += 1
        group = str(conversation.group) if conversation.group is not None else None
        for pair, own in texts.items():
            own_group = group or pair.context or conversation.id
            examples.append(Labelled(pair.context, pair.text, own_group, own, 1.0, conversation.id))
    if not examples:
        where = "none of the labels is of one of these conversations" if labels else "the metadata holds no labels"
        raise InputError(f"there is nothing to learn from: {where}")
    return Joined(tuple(examples), count, total, unlabelled, unread)


def usable(examples: Sequence[Labelled], tasks: Sequence[Task]) -> tuple[tuple[Task, ...], dict[str, str]]:
    """The tasks that can be learnt, and why the others cannot.

    Returns:
        tasks with at least `MIN_LABELS` labels of two levels or more; key → a few words.
    """
    kept: list[Task] = []
    left: dict[str, str] = {}
    for task in tasks:
        targets = [example.targets[task.key] for example in examples if task.key in example.targets]
        levels = [level for place, level in enumerate(task.levels) if any(target[place] > 0 for target in targets)]
        if not targets:
            left[task.key] = "no labels"
        elif len(levels) < 2:
            left[task.key] = f"only the level {levels[0]} is labelled"
        elif len(targets) < MIN_LABELS:
            left[task.key] = f"only {len(targets)} labels, of at least {MIN_LABELS}"
        else:
            kept.append(task)
    return tuple(kept), left


def _vote(task: Task, value: Any, column: str) -> Iterator[_Vote]:
    target = target_in(task, value, column)
    if target is not None:
        yield task.key, target, column


def _id_of(row: Mapping[str, Any]) -> str:
    value = row.get(ID)
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        raise InputError("is missing: a label says which conversation it is of", key=ID)
    return str(value)


def _check_version(row: Mapping[str, Any], rubric: Rubric, number: str) -> None:
    """Levels of another version may mean something else."""
    if number != rubric.version:
        raise InputError(
            f"is a scorecard of {row['rubric']}, and the rubric here is {rubric.ref}; use --rubric {row['rubric']}",
            key="rubric",
        )
    provenance = row.get("provenance")
    stated = provenance.get("rubric", {}).get("hash") if isinstance(provenance, Mapping) else None
    if stated is not None and stated != rubric.hash:
        raise InputError(
            f"is a scorecard of another {rubric.ref}: the rubric's content has changed since; score again",
            key="provenance.rubric.hash",
        )


def _mean(targets: Sequence[tuple[float, ...]]) -> tuple[float, ...]:
    return tuple(math.fsum(column) / len(targets) for column in zip(*targets, strict=True))
