"""What changed between two versions of a rubric, and what that does to scores.

Three impacts, after semantic versioning:

- major: cards of the two are not comparable — something is asked, scaled, weighed, required or put together
  differently;
- minor: a score means what it meant, yet the judge sees something else and may answer a little differently —
  examples, the description, declared metadata — or a criterion was added that counts for nothing;
- patch: neither the judge's task nor the arithmetic moved — spacing, case and punctuation, an example's
  `why`, order.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from semver import Version

from kardia.rubric.diff_examples import example_changes
from kardia.rubric.diff_text import short
from kardia.rubric.diff_tree import ChangeKind, Comparison, Impact
from kardia.rubric.rubric import Rubric

__all__ = ["Bump", "Change", "ChangeKind", "RubricDiff", "bumped", "diff", "suffices"]

Bump = Literal["none", "patch", "minor", "major"]

_RANK: dict[str, int] = {"none": 0, "patch": 1, "minor": 2, "major": 3}


@dataclass(frozen=True, slots=True)
class Change:
    """One difference.

    Attributes:
        kind: what sort of difference it is.
        where: a criterion's full id, with the key (`blames.question`), or a key of the rubric (`aggregate.method`).
        before: what the first rubric has, as plain data; None where it has nothing.
        after: what the second has.
        impact: `patch`, `minor` or `major`.
    """

    kind: ChangeKind
    where: str
    before: Any
    after: Any
    impact: Impact

    def sentence(self) -> str:
        """The change for people."""
        if self.kind == "added":
            return f"{self.where} was added: {short(self.after)}"
        if self.kind == "removed":
            return f"{self.where} was removed: {short(self.before)}"
        if self.kind == "renamed":
            return (
                f"{self.before} is now called {self.after}; scores under the old id have no successor, "
                "so keep the old id unless the meaning changed"
            )
        if self.kind == "order":
            return f"{self.where}: the order changed"
        if self.before is None:
            return f"{self.where}: new: {short(self.after)}"
        if self.after is None:
            return f"{self.where}: gone: {short(self.before)}"
        if self.kind == "reworded" and self.impact == "patch":
            return f"{self.where}: only spacing, case or punctuation changed"
        return f"{self.where}: {short(self.before)} → {short(self.after)}"

    def to_json(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "where": self.where,
            "before": self.before,
            "after": self.after,
            "impact": self.impact,
        }


@dataclass(frozen=True, slots=True)
class RubricDiff:
    """The difference of two rubrics, from `a` to `b`.

    Attributes:
        a: the first's `name@version`.
        b: the second's.
        changes: every difference, the criteria's in the order of the first rubric.
        comparable_criteria: full ids whose scores mean the same in both.
        incomparable_criteria: the other ids of either.
    """

    a: str
    b: str
    changes: tuple[Change, ...]
    comparable_criteria: tuple[str, ...]
    incomparable_criteria: tuple[str, ...]

    @property
    def comparable(self) -> bool:
        """Whether a card's score under the one may be held against one under the other."""
        return self.required_bump != "major"

    @property
    def required_bump(self) -> Bump:
        """The smallest version step from `a` that says truly what changed."""
        found: Bump = "none"
        for change in self.changes:
            if _RANK[change.impact] > _RANK[found]:
                found = change.impact
        return found

    def satisfied_by(self, a_version: str, b_version: str) -> bool:
        """Whether going from `a_version` to `b_version` is step enough for these changes; see `suffices`."""
        return suffices(a_version, b_version, self.required_bump)

    def to_json(self) -> dict[str, Any]:
        """Plain data, for machines."""
        return {
            "a": self.a,
            "b": self.b,
            "comparable": self.comparable,
            "required_bump": self.required_bump,
            "comparable_criteria": list(self.comparable_criteria),
            "incomparable_criteria": list(self.incomparable_criteria),
            "changes": [change.to_json() for change in self.changes],
        }

    def sentences(self) -> list[str]:
        """The difference for people: the gravest first, then what follows from it."""
        if not self.changes:
            return [f"{self.a} and {self.b} have the same content."]
        lines: list[str] = []
        for impact in ("major", "minor", "patch"):
            group = [change for change in self.changes if change.impact == impact]
            examples = [change for change in group if change.kind == "example"]
            lines += [f"{impact}: {change.sentence()}" for change in group if change.kind != "example"]
            lines += _example_lines(impact, examples)
        if self.comparable:
            lines.append("Card scores of the two remain comparable.")
            if any(change.kind == "example" for change in self.changes):
                lines.append("A judge that compares with the examples, such as embedded, may score differently.")
        else:
            lines.append("Card scores of the two are not comparable.")
            if self.comparable_criteria:
                lines.append(f"Still comparable criterion by criterion: {', '.join(self.comparable_criteria)}.")
        step = self.required_bump
        lines.append(f"This requires {'at least ' if step != 'major' else ''}a {step} version.")
        return lines


def _example_lines(impact: str, changes: list[Change]) -> list[str]:
    if len(changes) <= 4:
        return [f"{impact}: {change.sentence()}" for change in changes]
    added = sum(change.before is None for change in changes)
    removed = sum(change.after is None for change in changes)
    rest = len(changes) - added - removed
    parts = [f"{count} {word}" for count, word in ((added, "added"), (removed, "removed"), (rest, "changed")) if count]
    return [f"{impact}: examples: {', '.join(parts)}"]


def suffices(a_version: str, b_version: str, step: Bump) -> bool:
    """Whether the step from one version to another is at least `step`.

    A draft counts as the release it prepares. From a draft every later version suffices, since nobody was promised
    anything about it. Below 1.0.0 a minor version may break, as `safety@^0.2` has it.
    """
    a, b = Version.parse(a_version), Version.parse(b_version)
    if a.prerelease is not None:
        return b > a or (step == "none" and b == a)
    core = b.finalize_version()
    if step == "none":
        return core >= a
    return core >= Version.parse(bumped(a_version, step))


def bumped(version: str, step: Literal["patch", "minor", "major"]) -> str:
    """The release that lies one step above a release: 1.2.3 → 1.2.4, 1.3.0 or 2.0.0; below 1.0.0 a major step is
    minor."""
    known = Version.parse(version).finalize_version()
    if step == "major":
        return str(known.bump_major() if known.major else known.bump_minor())
    return str(known.bump_minor() if step == "minor" else known.bump_patch())


def diff(a: Rubric, b: Rubric) -> RubricDiff:
    """Compares two rubrics, their includes included; ids are full ids (`safety.demeans`).

    Rubrics within the two trees are compared where they have the same name, wherever in the tree they are included.
    """
    work = Comparison()
    work.trees(a, b)
    changes = [Change(*found) for found in work.found]
    changes += [Change("example", *found) for found in example_changes(a, b, work.renamed)]
    if not changes and {**a.canonical(), "version": ""} != {**b.canonical(), "version": ""}:
        changes.append(Change("order", "the file", None, None, "patch"))
    comparable = tuple(key for key in a.by_id if key in b.by_id and key not in work.moved)
    others = tuple(dict.fromkeys(key for key in (*a.by_id, *b.by_id) if key not in comparable))
    return RubricDiff(a.ref, b.ref, tuple(changes), comparable, others)
