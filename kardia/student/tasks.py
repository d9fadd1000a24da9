"""What a student learns: one task a criterion, recognised by what is asked and not by its name.

A head that was trained for a criterion serves the same question in another rubric, included or renamed, and stops
serving where the wording changes: it is found by the digest of what a judge is asked.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from kardia.errors import RubricError
from kardia.rubric.models import ChoiceScale, Criterion, Level
from kardia.rubric.rubric import Rubric, content_hash

__all__ = ["Task", "key_of", "task_digest", "task_of", "tasks_of"]


@dataclass(frozen=True, slots=True)
class Task:
    """One criterion, as a student learns it.

    Attributes:
        key: `<rubric>.<criterion id>`, such as `supportiveness.warmth`; a name for people, unique in a student.
        levels: as written in the scale, in its order.
        ordered: whether the order means something; false for a choice.
        digest: what is asked, as `task_digest` gives it.
    """

    key: str
    levels: tuple[Level, ...]
    ordered: bool
    digest: str

    @property
    def size(self) -> int:
        """How many outputs a head has: one for each threshold between levels; for a choice among three or more, one
        for each option."""
        return len(self.levels) - 1 if self.thresholds else len(self.levels)

    @property
    def thresholds(self) -> bool:
        """Whether the head's outputs are thresholds; of two options, too, one is the other's complement."""
        return self.ordered or len(self.levels) == 2


def task_digest(criterion: Criterion, target: str) -> str:
    """The content hash of what a judge is asked: question, guidance, scale, when the answer may be `not relevant`, and
    what is read. Id, weight, the good end, requirements, conditions and the values of options do not count.

    Args:
        criterion: as written, or with a resolved rubric's full id.
        target: the rubric's target, `reply` or `conversation`.

    Returns:
        `sha256:` and 64 hex digits.
    """
    default = "conversation" if target == "conversation" else "reply"
    scale = criterion.scale
    asked: dict[str, Any] = {
        "question": criterion.question.strip(),
        "guidance": (criterion.guidance or "").strip(),
        # a list: the order of options reaches the judge
        "levels": [[level, (scale.describe(level) or "").strip()] for level in scale.names],
        "type": scale.type,
        "not_relevant": (criterion.not_relevant or "").strip(),
        "reads": criterion.reads or default,
        # what the target is shows only where a rubric judges whole conversations by their last reply
        "target": default,
    }
    return content_hash(asked)


def key_of(rubric: Rubric, criterion: Criterion) -> str:
    """`<rubric>.<criterion id>`; where the rubric includes others, the id has their prefixes."""
    return f"{rubric.name}.{criterion.id}"


def task_of(rubric: Rubric, criterion: Criterion) -> Task:
    """The task of one of a rubric's criteria."""
    return Task(
        key_of(rubric, criterion),
        criterion.levels,
        not isinstance(criterion.scale, ChoiceScale),
        task_digest(criterion, rubric.target),
    )


def tasks_of(rubrics: Sequence[Rubric], only: Iterable[str] | None = None) -> tuple[Task, ...]:
    """The tasks of several rubrics, each question once: under the name that it has first.

    Args:
        rubrics: in the order that names the tasks.
        only: keys to keep; None: all.

    Raises:
        RubricError: where `only` names a criterion that none of the rubrics has.
    """
    found: dict[str, Task] = {}
    names: dict[str, str] = {}
    for rubric in rubrics:
        for criterion in rubric.criteria:
            task = task_of(rubric, criterion)
            names.setdefault(task.key, task.digest)
            found.setdefault(task.digest, task)
    if only is None:
        return tuple(found.values())
    wanted = list(only)
    for key in wanted:
        if key not in names:
            raise RubricError(f"none of the rubrics has the criterion {key!r}; they have {', '.join(names)}")
    digests = {names[key] for key in wanted}
    return tuple(task for task in found.values() if task.digest in digests)
