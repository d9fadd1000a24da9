"""A rubric with its includes resolved: what is asked, and how it adds up.

An included rubric keeps its own aggregation and counts as one weighted item; its criteria's ids are prefixed with
its `as` (`safety.demeans`). A rubric that is reached by two ways (a diamond) is asked once and counts once: where it
is met first, in the order of the file, depth first.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from kardia.rubric.models import Aggregate, Criterion, Example, RubricFile

if TYPE_CHECKING:
    from kardia.artifact import Learned

__all__ = ["Group", "Part", "Rubric", "canonical_json", "content_hash"]


def canonical_json(data: Any) -> str:
    """JSON with sorted keys, no spaces and no escapes: equal data, equal text."""
    return json.dumps(data, sort_keys=True, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def content_hash(data: Any) -> str:
    """`sha256:` and the hex digest of the canonical JSON."""
    return "sha256:" + hashlib.sha256(canonical_json(data).encode()).hexdigest()


@dataclass(frozen=True)
class Part:
    """One include, resolved. `as_` is its prefix within the parent."""

    as_: str
    weight: float
    rubric: Rubric


@dataclass(frozen=True)
class Group:
    """One rubric within the resolved tree, as the aggregation sees it.

    Attributes:
        path: its prefix, without the dot; empty for the root.
        criteria: its own criteria, with full ids.
        parts: (as, weight, group, counts); `counts` is false for a rubric that was met before.
        learned: what `method: learned` applies.
    """

    path: str
    aggregate: Aggregate
    criteria: tuple[Criterion, ...]
    parts: tuple[tuple[str, float, Group, bool], ...]
    learned: Learned | None = None

    def local(self, full_id: str) -> str:
        """A criterion's id as this group's own rules name it."""
        return full_id[len(self.path) + 1 :] if self.path else full_id

    @cached_property
    def items(self) -> dict[str, float]:
        """What this rubric's own rule puts together, with its weight: criteria by local id, includes by their `as`."""
        own = {self.local(criterion.id): criterion.weight for criterion in self.criteria}
        return own | {as_: weight for as_, weight, _, _ in self.parts}

    @cached_property
    def inside(self) -> dict[str, Criterion]:
        """Every criterion that this rubric brings, its includes' too, by its id as seen from here."""
        found = {self.local(criterion.id): criterion for criterion in self.criteria}
        for as_, _, inner, _ in self.parts:
            found.update({f"{as_}.{key}": criterion for key, criterion in inner.inside.items()})
        return found


@dataclass(frozen=True)
class Rubric:
    """A rubric ready for use; see `kardia.load_rubric`.

    Attributes:
        file: the rubric as written.
        parts: its includes, resolved.
        source: where it was read from, for messages.
    """

    file: RubricFile
    parts: tuple[Part, ...] = ()
    source: str | None = None
    instance: bool = field(default=False, compare=False)
    """Whether criteria of one row were added (`with_instance`)."""
    learned: Learned | None = None
    """The artifact of `aggregate: {method: learned}`."""

    @property
    def name(self) -> str:
        return self.file.name

    @property
    def version(self) -> str:
        return self.file.version

    @property
    def title(self) -> str:
        return self.file.title

    @property
    def target(self) -> str:
        """`reply` or `conversation`."""
        return self.file.target

    @property
    def ref(self) -> str:
        """`name@version`."""
        return f"{self.name}@{self.version}"

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        from kardia.report.notebook import rubric_html

        return rubric_html(self)

    def __repr__(self) -> str:
        return f"Rubric({self.ref!r}, {len(self.criteria)} criteria)"

    @cached_property
    def hash(self) -> str:
        """The content hash: over the canonical JSON after includes are resolved."""
        return content_hash(_ordered(self.canonical()))

    @cached_property
    def asked_hash(self) -> str:
        """The hash of the content without its version and its own aggregation: what an artifact is fitted for.

        What the included rubrics make of their criteria is a part of it.
        """
        asked = {key: value for key, value in self.canonical().items() if key not in ("version", "aggregate")}
        return content_hash(_ordered(asked))

    def canonical(self) -> dict[str, Any]:
        """The content as plain data, defaults left out, so that a new optional key does not move old hashes.

        An artifact stands there by its digest, wherever its file lies.
        """
        data = self.file.model_dump(mode="json", by_alias=True, exclude_defaults=True, exclude={"include"})
        if self.learned is not None:
            rule = {key: value for key, value in data["aggregate"].items() if key not in ("artifact", "sha256")}
            data["aggregate"] = {**rule, "artifact": self.learned.digest}
        if self.parts:
            data["include"] = [
                {"as": part.as_, "weight": part.weight, "rubric": part.rubric.canonical()} for part in self.parts
            ]
        return data

    @cached_property
    def root(self) -> Group:
        """The tree of aggregation."""
        return self._group("", "", {})

    @cached_property
    def criteria(self) -> tuple[Criterion, ...]:
        """Every criterion, each once, with full ids: the rubric's own first, then its includes' in their order."""
        return tuple(_criteria(self.root))

    @cached_property
    def by_id(self) -> dict[str, Criterion]:
        return {criterion.id: criterion for criterion in self.criteria}

    @cached_property
    def artifacts(self) -> dict[str, Learned]:
        """Name of each rubric of the tree whose aggregation is learned → its artifact."""
        found = {} if self.learned is None else {self.name: self.learned}
        for part in self.parts:
            found.update(part.rubric.artifacts)
        return found

    @cached_property
    def examples(self) -> tuple[Example, ...]:
        """Every example, each once, with full ids in its levels."""
        return tuple(self._collect("", {}))

    @cached_property
    def metadata(self) -> dict[str, str]:
        """What the judge is shown as background, the includes' included: name → what it is."""
        merged = {name: text or "" for name, text in self.file.metadata.items()}
        for part in self.parts:
            for name, text in part.rubric.metadata.items():
                merged.setdefault(name, text)
        return merged

    def examples_of(self, criterion_id: str) -> tuple[Example, ...]:
        """The examples that show a level of this criterion."""
        return self._examples_by_criterion.get(criterion_id, ())

    @cached_property
    def _examples_by_criterion(self) -> dict[str, tuple[Example, ...]]:
        found: dict[str, list[Example]] = {}
        for example in self.examples:
            for criterion_id in example.levels:
                found.setdefault(criterion_id, []).append(example)
        return {key: tuple(value) for key, value in found.items()}

    def without_context_of(self, example: Example) -> Rubric:
        """The same rubric, not knowing any example with this one's context: for trying it honestly.

        Examples come as contrast sets, several replies to one context; to know the others would be to know the context.
        """
        copy = Rubric(self.file, self.parts, self.source, self.instance, self.learned)
        copy.__dict__["examples"] = tuple(other for other in self.examples if other.context != example.context)
        return copy

    def with_instance(self, criteria: Sequence[Criterion]) -> Rubric:
        """The rubric with one row's own criteria added to it; their ids must be new."""
        file = self.file.model_copy(update={"criteria": [*self.file.criteria, *criteria]})
        made = Rubric(file, self.parts, self.source, True, self.learned)
        # they bring no examples: what is known of those here, for `without_context_of` not all, holds there
        made.__dict__["examples"] = self.examples
        made.__dict__["_examples_by_criterion"] = self._examples_by_criterion
        return made

    def _own(self, prefix: str, renamed: dict[str, str]) -> tuple[Criterion, ...]:
        default = "conversation" if self.file.target == "conversation" else "reply"
        full: list[Criterion] = []
        for criterion in self.file.criteria:
            update: dict[str, Any] = {"id": prefix + criterion.id}
            if criterion.reads is None:
                update["reads"] = default
            if criterion.conditions:
                update["only_if_levels"] = [
                    {_full(key, prefix, renamed): levels for key, levels in item.items()}
                    for item in criterion.conditions
                ]
            full.append(criterion.model_copy(update=update))
        return tuple(full)

    def _group(self, path: str, prefix: str, seen: dict[str, str]) -> Group:
        parts: list[tuple[str, float, Group, bool]] = []
        renamed: dict[str, str] = {}
        for part in self.parts:
            first = seen.get(part.rubric.ref)
            here = prefix + part.as_
            if first is None:
                seen[part.rubric.ref] = here
            elif first != here:
                renamed[here] = first
            at = first or here
            parts.append((part.as_, part.weight, part.rubric._group(at, at + ".", seen), first is None))
        return Group(path, self.file.aggregate, self._own(prefix, renamed), tuple(parts), self.learned)

    def _collect(self, prefix: str, seen: dict[str, str]) -> list[Example]:
        renamed: dict[str, str] = {}
        inner: list[Example] = []
        for part in self.parts:  # in `_group`'s order, so that both agree on where a rubric is met first
            here = prefix + part.as_
            if part.rubric.ref in seen:
                renamed[here] = seen[part.rubric.ref]
            else:
                seen[part.rubric.ref] = here
                inner += part.rubric._collect(here + ".", seen)
        own: list[Example] = []
        for example in self.file.examples:
            levels = {_full(key, prefix, renamed): level for key, level in example.levels.items()}
            own.append(example.model_copy(update={"levels": levels}))
        return own + inner


def _ordered(data: dict[str, Any]) -> dict[str, Any]:
    """Canonical JSON sorts keys; where their order reaches the judge, as a list, it must count."""
    result = dict(data)
    if "metadata" in data:
        result["metadata"] = list(data["metadata"].items())
    result["criteria"] = [
        {**criterion, "scale": {**criterion["scale"], "options": list(criterion["scale"]["options"].items())}}
        if "options" in criterion["scale"]
        else criterion
        for criterion in data.get("criteria", ())
    ]
    if "include" in data:
        result["include"] = [{**item, "rubric": _ordered(item["rubric"])} for item in data["include"]]
    return result


def _full(local_id: str, prefix: str, renamed: dict[str, str]) -> str:
    full = prefix + local_id
    for here, first in renamed.items():
        if full.startswith(here + "."):
            return first + full[len(here) :]
    return full


def _criteria(group: Group) -> Iterator[Criterion]:
    yield from group.criteria
    for _, _, part, counts in group.parts:
        if counts:
            yield from _criteria(part)
