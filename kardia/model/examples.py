"""What a student learns from: pairs with targets; splits in which no conversation stands on both sides. Pure."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from kardia.errors import InputError
from kardia.rubric.rubric import canonical_json
from kardia.student.tasks import Task

__all__ = ["Labelled", "check_examples", "components", "data_hash", "folds", "level_target", "split"]


@dataclass(frozen=True, slots=True)
class Labelled:
    """One (context, reply) pair with what is known of it.

    Attributes:
        context: what came before the reply; may be empty.
        reply: the judged text.
        group: examples of one group stay on one side of a split; so do examples of equal contexts, whatever this says.
        targets: task key → distribution over the task's levels, summing to 1; a task that is not there is not known.
        weight: what each of its labels counts.
        id: the conversation's id.
    """

    context: str
    reply: str
    group: str
    targets: Mapping[str, tuple[float, ...]]
    weight: float = 1.0
    id: str = ""


def level_target(task: Task, level: object) -> tuple[float, ...]:
    """The target that is one level and no other.

    Raises:
        KeyError: where the level is not on the task's scale.
    """
    if isinstance(level, bool) or level not in task.levels:
        raise KeyError(level)
    return tuple(1.0 if level == other else 0.0 for other in task.levels)


def check_examples(examples: Sequence[Labelled], tasks: Sequence[Task]) -> None:
    """Whether a student can learn these tasks from these examples.

    Raises:
        InputError: where a target names no task, or is no distribution over its levels; where a task has no label, or
            only labels of one level.
    """
    sizes = {task.key: len(task.levels) for task in tasks}
    seen: dict[str, list[float]] = {task.key: [0.0] * len(task.levels) for task in tasks}
    for example in examples:
        if not example.weight > 0:
            raise InputError(f"the example {example.id!r} has the weight {example.weight}; a weight is above 0")
        for key, target in example.targets.items():
            if key not in sizes:
                raise InputError(f"the example {example.id!r} has a label of {key!r}, which is no task")
            if len(target) != sizes[key] or min(target) < 0 or not math.isclose(sum(target), 1.0, abs_tol=1e-6):
                raise InputError(f"the example {example.id!r} has a label of {key} that is no distribution over levels")
            for place, share in enumerate(target):
                seen[key][place] += share
    for task in tasks:
        shown = sum(share > 0 for share in seen[task.key])
        if shown < 2:
            found = "is no label" if shown == 0 else "are only labels of one level"
            raise InputError(f"there {found} of {task.key} to learn from; leave it out, or label more")


def components(examples: Sequence[Labelled]) -> list[list[int]]:
    """Examples that must stay together: those of one group, and those of equal contexts (of equal replies, where there
    is no context).

    Returns:
        indices, in an order that depends on the texts and groups alone.
    """
    parent = list(range(len(examples)))

    def root(index: int) -> int:
        while parent[index] != index:
            parent[index] = parent[parent[index]]
            index = parent[index]
        return index

    first: dict[tuple[str, str], int] = {}
    for index, example in enumerate(examples):
        context = " ".join(example.context.split())
        text = ("context", context) if context else ("reply", " ".join(example.reply.split()))
        for key in (("group", example.group), text):
            known = first.setdefault(key, index)
            parent[root(index)] = root(known)
    found: dict[int, list[int]] = {}
    for index in range(len(examples)):
        found.setdefault(root(index), []).append(index)
    return list(found.values())


def folds(examples: Sequence[Labelled], count: int, seed: int) -> list[list[int]]:
    """Indices in `count` parts of about equal size; what must stay together does.

    Args:
        count: at least 2.

    Raises:
        InputError: where there are fewer groups than parts.
    """
    whole = _shuffled(examples, seed)
    if len(whole) < count:
        raise InputError(f"{len(whole)} groups of examples cannot be split into {count} parts")
    parts: list[list[int]] = [[] for _ in range(count)]
    for component in whole:
        min(parts, key=len).extend(component)
    return [sorted(part) for part in parts]


def split(examples: Sequence[Labelled], share: float, seed: int) -> tuple[list[int], list[int]]:
    """Indices to train on, and indices to select and calibrate on; what must stay together does.

    Args:
        share: of the examples that the second part gets, in [0, 1).

    Raises:
        InputError: where there are too few groups to leave something on both sides.
    """
    if share <= 0:
        return list(range(len(examples))), []
    whole = _shuffled(examples, seed)
    wanted = share * len(examples)
    dev: list[int] = []
    for place, component in enumerate(whole):
        # not past the share by more than half a group, and never everything
        enough = dev and len(dev) + len(component) / 2 > wanted
        if enough or place == len(whole) - 1:
            break
        dev += component
    if not dev:
        raise InputError(
            "all examples belong to one group: there is nothing to select and calibrate on; set dev_share=0"
        )
    held = set(dev)
    return [index for index in range(len(examples)) if index not in held], sorted(dev)


def _shuffled(examples: Sequence[Labelled], seed: int) -> list[list[int]]:
    """The components in an order that a seed decides, and the order of the examples does not."""

    def rank(component: Iterable[int]) -> str:
        name = min(f"{examples[index].group}\0{examples[index].context}" for index in component)
        return hashlib.sha256(f"{seed}\0{name}".encode("utf-8", "surrogatepass")).hexdigest()

    return sorted(components(examples), key=rank)


def data_hash(examples: Sequence[Labelled]) -> str:
    """`sha256:` and the hex digest of what is learnt from: texts, targets, weights and groups, whatever their order."""
    rows = sorted(
        canonical_json([each.context, each.reply, each.group, dict(each.targets), each.weight]) for each in examples
    )
    hasher = hashlib.sha256()
    for row in rows:
        hasher.update(row.encode("utf-8", "surrogatepass") + b"\n")
    return "sha256:" + hasher.hexdigest()
