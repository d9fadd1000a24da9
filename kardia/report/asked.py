"""What the criteria of a scored file ask, in the rubric's words, where the rubric is at hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kardia.errors import KardiaError, RubricError
from kardia.rubric.loading import load_rubric
from kardia.rubric.rubric import Rubric

__all__ = ["Asked", "find_rubric", "level_order", "loaded", "questions"]


@dataclass(frozen=True, slots=True)
class Asked:
    """One criterion.

    Attributes:
        id: its full id.
        levels: all of them, in the scale's order.
        described: level → what a reply at this level looks like; not every level need have a text.
        values: level → what it is worth, in [0, 1].
        question: what the judge was asked; None where the rubric is not at hand.
        required: whether it is a veto.
    """

    id: str
    levels: tuple[str, ...]
    described: Mapping[str, str]
    values: Mapping[str, float]
    question: str | None = None
    required: bool = False

    def to_json(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "levels": list(self.levels),
            "described": dict(self.described),
            "values": dict(self.values),
            "question": self.question,
            "required": self.required,
        }


def loaded(references: Sequence[str]) -> list[Rubric]:
    """The rubrics that somebody named, loaded.

    Raises:
        RubricError: where one is none.
    """
    return [load_rubric(reference) for reference in references]


def find_rubric(ref: str, content_hash: str, known: Sequence[Rubric]) -> tuple[Rubric | None, str | None]:
    """The rubric of scorecards, with just the content that they were scored by.

    Args:
        ref: `name@version`.
        content_hash: its hash in the scorecards' provenance.
        known: rubrics that somebody named: they are looked at first.

    Returns:
        The rubric; or None, and a sentence that says why.
    """
    for rubric in known:
        if rubric.ref == ref and rubric.hash == content_hash:
            return rubric, None
    try:
        found = load_rubric(ref)
    except KardiaError as problem:
        why = problem.message if isinstance(problem, RubricError) else str(problem)
        return None, f"The words of {ref} are not at hand ({why}): name its file with --rubric to see its questions."
    if found.hash != content_hash:
        return None, (
            f"The {ref} that is found here has another content than the one that scored: its questions are not shown."
        )
    return found, None


def questions(rubric: Rubric | None, seen: Mapping[str, Sequence[str]]) -> list[Asked]:
    """Every criterion of a series: the rubric's, and those that only the cards have.

    Args:
        rubric: where it is at hand.
        seen: criterion → the levels that occurred.
    """
    found: list[Asked] = []
    if rubric is not None:
        for criterion in rubric.criteria:
            levels = tuple(map(str, criterion.levels))
            texts = {str(level): criterion.scale.describe(level) for level in criterion.levels}
            described = {level: text.strip() for level, text in texts.items() if text}
            values = {str(level): criterion.value(level) for level in criterion.levels}
            question = criterion.question.strip()
            found.append(Asked(criterion.id, levels, described, values, question, criterion.required is not None))
    known = {one.id for one in found}
    for key, levels_seen in seen.items():
        if key not in known:
            found.append(Asked(key, level_order(levels_seen), {}, {}))
    return found


def level_order(levels: Sequence[str]) -> tuple[str, ...]:
    """Levels of an unknown scale in the order that a reader expects: numbers by size, else by name."""

    def place(level: str) -> tuple[int, float, str]:
        try:
            return (0, float(int(level)), level)
        except ValueError:
            return (1, 0.0, level)

    return tuple(sorted(set(levels), key=place))
