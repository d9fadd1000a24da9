"""Which examples of two rubrics are the same, which were edited, and which came or went."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from typing import Any, Literal

from kardia.rubric.diff_text import short, words_of
from kardia.rubric.models import Example
from kardia.rubric.rubric import Rubric

__all__ = ["ExampleChange", "example_changes"]

ExampleChange = tuple[str, Any, Any, Literal["patch", "minor"]]
"""Where, before, after, impact."""

_SIMILAR = 0.6


def example_changes(a: Rubric, b: Rubric, renamed: Mapping[str, str]) -> list[ExampleChange]:
    """What happened to the examples, from `a` to `b`.

    Args:
        renamed: old full id → new full id of criteria that were renamed. Levels of criteria that only one of the two
            has are left out: they came or went with the criterion.
    """
    common = {renamed.get(key, key) for key in a.by_id} & set(b.by_id)
    waiting: dict[tuple[str, str], list[Example]] = {}
    for example in b.examples:
        waiting.setdefault(_key(example), []).append(example)
    changes: list[ExampleChange] = []
    gone: list[Example] = []
    for example in a.examples:
        same = waiting.get(_key(example))
        if same:
            changes += _edits(example, same.pop(0), renamed, common)
        else:
            gone.append(example)
    new = [example for rest in waiting.values() for example in rest]
    for example in gone:
        partner = _closest(example, new)
        if partner is None:
            levels = _levels(example, renamed, common)
            if levels:
                changes.append((_where(example), {"levels": levels}, None, "minor"))
            continue
        new = [other for other in new if other is not partner]
        before: dict[str, Any] = {"context": _context(example), "reply": example.reply}
        after: dict[str, Any] = {"context": _context(partner), "reply": partner.reply}
        moved = [key for key in before if before[key] != after[key]]
        changes.append((_where(partner), {k: before[k] for k in moved}, {k: after[k] for k in moved}, "minor"))
        changes += _edits(example, partner, renamed, common, texts=False)
    for example in new:
        levels = _levels(example, {}, common)
        if levels:
            changes.append((_where(example), None, {"levels": levels}, "minor"))
    return changes


def _context(example: Example) -> str:
    if isinstance(example.context, str):
        return example.context
    return "\n".join(f"{message.role}: {message.content}" for message in example.context)


def _key(example: Example) -> tuple[str, str]:
    return words_of(_context(example)), words_of(example.reply)


def _where(example: Example) -> str:
    return f"example {short(example.reply, 50)}"


def _levels(example: Example, renamed: Mapping[str, str], common: set[str]) -> dict[str, Any]:
    named = {renamed.get(key, key): level for key, level in example.levels.items()}
    return {key: level for key, level in sorted(named.items()) if key in common}


def _edits(
    a: Example, b: Example, renamed: Mapping[str, str], common: set[str], *, texts: bool = True
) -> Iterator[ExampleChange]:
    before, after = _levels(a, renamed, common), _levels(b, {}, common)
    if before != after:
        moved = [key for key in sorted({*before, *after}) if before.get(key) != after.get(key)]
        old = {key: before[key] for key in moved if key in before}
        new = {key: after[key] for key in moved if key in after}
        yield f"{_where(b)}.levels", old, new, "minor"
    if a.metadata != b.metadata:
        yield f"{_where(b)}.metadata", a.metadata, b.metadata, "minor"
    if texts and (_context(a), a.reply) != (_context(b), b.reply):
        yield f"{_where(b)} (spacing, case or punctuation)", a.reply, b.reply, "patch"
    if a.why != b.why:
        yield f"{_where(b)}.why", a.why, b.why, "patch"


def _closest(example: Example, among: list[Example]) -> Example | None:
    """The example that this one became: the same context with a similar reply, or the same reply after another
    context."""
    context, reply = _key(example)
    best, best_ratio = None, _SIMILAR
    for other in among:
        other_context, other_reply = _key(other)
        if other_reply == reply:
            return other
        if other_context != context:
            continue
        ratio = difflib.SequenceMatcher(None, reply, other_reply, autojunk=False).ratio()
        if ratio > best_ratio:
            best, best_ratio = other, ratio
    return best
