"""Compares two resolved rubrics key by key: rubrics by name, items by id, texts by their words."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal

from kardia.rubric.diff_text import same_words, words_of
from kardia.rubric.models import ChoiceScale, Criterion, Level
from kardia.rubric.rubric import Group, Rubric

__all__ = ["ChangeKind", "Comparison", "Found", "Impact"]

Impact = Literal["patch", "minor", "major"]
ChangeKind = Literal[
    "added",
    "removed",
    "renamed",
    "reworded",
    "rescaled",
    "reweighted",
    "requirement",
    "direction",
    "condition",
    "reads",
    "not_relevant",
    "target",
    "metadata",
    "include",
    "example",
    "aggregation",
    "description",
    "title",
    "name",
    "order",
]
Found = tuple[ChangeKind, str, Any, Any, Impact]
"""Kind, where, before, after, impact."""

_Nodes = dict[str, tuple[Rubric, Group]]


class Comparison:
    """One walk over two rubrics.

    Attributes:
        found: every difference but those of examples.
        renamed: old full id → new full id.
        moved: full ids, old or new, whose values no longer mean the same.
    """

    def __init__(self) -> None:
        self.found: list[Found] = []
        self.renamed: dict[str, str] = {}
        self.moved: set[str] = set()

    def trees(self, a: Rubric, b: Rubric) -> None:
        """Compares the roots with each other, and each included rubric with its namesake."""
        if a.name != b.name:
            self.found.append(("name", "name", a.name, b.name, "patch"))
        left, right = _nodes(a, a.root), _nodes(b, b.root)
        pairs = [(left.pop(a.name), right.pop(b.name))]
        pairs += [(left[name], right[name]) for name in left if name in right]
        for (_, old), (_, new) in pairs:  # first, since conditions and examples are compared through it
            self._paths(old, new)
        for (old_rubric, old), (new_rubric, new) in pairs:
            self._names(old, new)
            self._rubric(old_rubric, new_rubric, old, new)

    def _paths(self, old: Group, new: Group) -> None:
        if old.path == new.path:
            return
        self.found.append(("include", f"include.{new.path}", f"ids {old.path}.…", f"ids {new.path}.…", "major"))
        for criterion in old.criteria:
            self.renamed[criterion.id] = f"{new.path}.{old.local(criterion.id)}"

    def _names(self, old: Group, new: Group) -> None:
        before = {old.local(criterion.id): criterion for criterion in old.criteria}
        after = {new.local(criterion.id): criterion for criterion in new.criteria}
        arrived = [criterion for key, criterion in after.items() if key not in before]
        for key, criterion in before.items():
            if key in after:
                continue
            heir = next((other for other in arrived if _same_task(criterion, other)), None)
            if heir is not None:
                arrived.remove(heir)
                self.renamed[criterion.id] = heir.id
                self.moved |= {criterion.id, heir.id}
                self.found.append(("renamed", heir.id, criterion.id, heir.id, "major"))

    def _rubric(self, a: Rubric, b: Rubric, old: Group, new: Group) -> None:
        prefix = f"{new.path}." if new.path else ""
        if a.title != b.title:
            self.found.append(("title", f"{prefix}title", a.title, b.title, "minor"))
        self._text("description", f"{prefix}description", a.file.description, b.file.description)
        for key in sorted({*a.file.metadata, *b.file.metadata}):
            self._declared(prefix, key, a.file.metadata, b.file.metadata)
        if a.target != b.target:
            self.found.append(("target", f"{prefix}target", a.target, b.target, "major"))
            self.moved |= {criterion.id for criterion in (*old.criteria, *new.criteria)}
        self._criteria(a, b, old, new)
        self._includes(a, b, prefix)
        self._weights(a, b, old, new, prefix)
        self._aggregate(a, b, prefix)

    def _text(
        self, kind: Literal["description", "metadata"], where: str, before: str | None, after: str | None
    ) -> None:
        if before != after:
            self.found.append((kind, where, before, after, "patch" if _same(before, after) else "minor"))

    def _declared(
        self, prefix: str, key: str, before: Mapping[str, str | None], after: Mapping[str, str | None]
    ) -> None:
        if key in before and key in after:
            self._text("metadata", f"{prefix}metadata.{key}", before[key] or "", after[key] or "")
        else:
            old = (before[key] or key) if key in before else None
            new = (after[key] or key) if key in after else None
            self.found.append(("metadata", f"{prefix}metadata.{key}", old, new, "minor"))

    def _criteria(self, a: Rubric, b: Rubric, old: Group, new: Group) -> None:
        after = {criterion.id: criterion for criterion in new.criteria}
        kept: list[str] = []
        for criterion in old.criteria:
            now = self.renamed.get(criterion.id, criterion.id)
            if now in after:
                kept.append(now)
                self._criterion(criterion, after[now], a.target, b.target)
            else:
                self.found.append(("removed", criterion.id, criterion.question, None, "major"))
        for criterion in new.criteria:
            if criterion.id not in kept:
                impact: Impact = "major" if criterion.weight > 0 or criterion.required is not None else "minor"
                self.found.append(("added", criterion.id, None, criterion.question, impact))
        if kept != [criterion.id for criterion in new.criteria if criterion.id in kept]:
            where = f"{new.path}.criteria" if new.path else "criteria"
            self.found.append(("order", where, None, None, "patch"))

    def _criterion(self, a: Criterion, b: Criterion, a_target: str, b_target: str) -> None:
        where = b.id
        self._wording(where, "question", a.question, b.question)
        self._wording(where, "guidance", a.guidance, b.guidance)
        same_scale = self._scale(a, b)
        if (a.not_relevant is None) != (b.not_relevant is None):
            self._meaning("not_relevant", where, "not_relevant", a.not_relevant, b.not_relevant)
        else:
            self._wording(where, "not_relevant", a.not_relevant, b.not_relevant)
        if a.scale.type == b.scale.type and a.good_end != b.good_end:
            self._meaning("direction", where, "good", a.good_end, b.good_end)
        if _needs(a, same_scale) != _needs(b, same_scale):
            self.found.append(("requirement", f"{where}.required", _dump(a.required), _dump(b.required), "major"))
        if a.reads != b.reads and (a.reads, b.reads) != (a_target, b_target):
            self._meaning("reads", where, "reads", a.reads, b.reads)
        if _only_if(a) != _only_if(b):
            self._meaning("condition", where, "only_if", a.only_if, b.only_if)
        if self._conditions(a, self.renamed) != self._conditions(b, {}):
            self._meaning("condition", where, "only_if_levels", list(a.conditions) or None, list(b.conditions) or None)

    def _meaning(self, kind: ChangeKind, where: str, key: str, before: Any, after: Any) -> None:
        self.found.append((kind, f"{where}.{key}", before, after, "major"))
        self.moved.add(where)

    def _wording(self, where: str, key: str, before: str | None, after: str | None) -> None:
        if before == after:
            return
        if _same(before, after):
            self.found.append(("reworded", f"{where}.{key}", before, after, "patch"))
        else:
            self._meaning("reworded", where, key, before, after)

    def _scale(self, a: Criterion, b: Criterion) -> bool:
        """Whether both have the same levels with the same worth; their texts are compared as words."""
        before, after = _levels(a), _levels(b)
        if before != after:
            self._meaning("rescaled", b.id, "scale", before, after)
        if a.scale.type == b.scale.type:
            for level in (level for level in a.levels if level in b.levels):
                self._wording(b.id, f"scale.{level}", a.scale.describe(level), b.scale.describe(level))
        return before == after

    @staticmethod
    def _conditions(criterion: Criterion, renamed: Mapping[str, str]) -> frozenset[Any]:
        return frozenset(
            frozenset((renamed.get(key, key), frozenset(map(repr, levels))) for key, levels in item.items())
            for item in criterion.conditions
        )

    def _includes(self, a: Rubric, b: Rubric, prefix: str) -> None:
        before = {part.rubric.name: part for part in a.parts}
        after = {part.rubric.name: part for part in b.parts}
        for name, part in before.items():
            if name not in after:
                where = f"{prefix}include.{part.as_}"
                self.found.append(("include", where, part.rubric.ref, None, _weighty(part.rubric, part.weight)))
        for name, part in after.items():
            where = f"{prefix}include.{part.as_}"
            was = before.get(name)
            if was is None:
                self.found.append(("include", where, None, part.rubric.ref, _weighty(part.rubric, part.weight)))
            elif was.rubric.version != part.rubric.version:
                # what moved inside is found by comparing the two; a new version number alone changes nothing
                self.found.append(("include", where, was.rubric.ref, part.rubric.ref, "patch"))
        if [name for name in before if name in after] != [name for name in after if name in before]:
            self.found.append(("order", f"{prefix}include", None, None, "patch"))

    def _weights(self, a: Rubric, b: Rubric, old: Group, new: Group, prefix: str) -> None:
        before = {self.renamed.get(one.id, one.id): one.weight for one in old.criteria}
        after = {one.id: one.weight for one in new.criteria}
        labels: dict[str, tuple[ChangeKind, str]] = {key: ("reweighted", f"{key}.weight") for key in after}
        before |= {f"include {part.rubric.name}": part.weight for part in a.parts}
        for part in b.parts:
            key = f"include {part.rubric.name}"
            after[key] = part.weight
            labels[key] = ("include", f"{prefix}include.{part.as_}.weight")
        common = {key: (before[key], after[key]) for key in after if key in before}
        impact: Impact = "major" if _shares_moved(list(common.values()), b.file.aggregate.method) else "patch"
        for key, (was, now) in common.items():
            if was != now:
                kind, where = labels[key]
                self.found.append((kind, where, was, now, impact))

    def _aggregate(self, a: Rubric, b: Rubric, prefix: str) -> None:
        before, after = _rule(a), _rule(b)
        for rule in (before, after):
            rule["interactions"] = sorted(rule["interactions"], key=lambda one: repr(sorted(one["when"].items())))
        for key in before:
            if before[key] != after[key]:
                where = f"{prefix}aggregate.{key}"
                self.found.append(("aggregation", where, before[key] or None, after[key] or None, "major"))


def _rule(rubric: Rubric) -> dict[str, Any]:
    """The aggregation as data; an artifact by its digest, wherever its file lies."""
    rule = rubric.file.aggregate.model_dump(mode="json", exclude={"sha256"})
    if rubric.learned is not None:
        rule["artifact"] = rubric.learned.digest
    return rule


def _nodes(rubric: Rubric, group: Group) -> _Nodes:
    found: _Nodes = {rubric.name: (rubric, group)}
    for part, (_, _, inner, counts) in zip(rubric.parts, group.parts, strict=True):
        if counts:
            found.update(_nodes(part.rubric, inner))
    return found


def _same(a: str | None, b: str | None) -> bool:
    return a is not None and b is not None and same_words(a, b)


def _same_task(a: Criterion, b: Criterion) -> bool:
    """Whether two criteria ask the same on the same scale, whatever they are called."""
    texts_a = [words_of(a.scale.describe(level) or "") for level in a.levels]
    texts_b = [words_of(b.scale.describe(level) or "") for level in b.levels]
    return same_words(a.question, b.question) and _levels(a) == _levels(b) and texts_a == texts_b


def _levels(criterion: Criterion) -> dict[Level, float] | list[Level]:
    if isinstance(criterion.scale, ChoiceScale):
        return {level: criterion.scale.worth(level) for level in criterion.levels}
    return list(criterion.levels)


def _needs(criterion: Criterion, by_levels: bool) -> Any:
    need = criterion.required
    if need is None or not by_levels:
        return _dump(need)
    return need.else_score, [level for level in criterion.levels if criterion.holds(level)]


def _dump(model: Any) -> Any:
    return None if model is None else model.model_dump(mode="json", exclude_none=True)


def _only_if(criterion: Criterion) -> Any:
    if criterion.only_if is None:
        return None
    return {key: frozenset(map(repr, values)) for key, values in criterion.only_if.items()}


def _weighty(rubric: Rubric, weight: float) -> Impact:
    return "major" if weight > 0 or any(one.required is not None for one in rubric.criteria) else "minor"


def _shares_moved(pairs: list[tuple[float, float]], method: str) -> bool:
    """Whether the items' shares in the result differ; a common factor leaves those of a mean as they are."""
    if any((was == 0) != (now == 0) for was, now in pairs):
        return True
    if method == "product":  # there a weight is an exponent
        return any(was != now for was, now in pairs)
    if method == "minimum":  # there a weight only says whether the item counts
        return False
    ratios = [now / was for was, now in pairs if was]
    return any(not math.isclose(ratio, ratios[0], rel_tol=1e-9) for ratio in ratios)
