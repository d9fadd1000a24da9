"""The rules on requirements and conditions: what decides nothing, and what can never hold."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping

from kardia.rubric.lint_subject import Hit, Subject, rule
from kardia.rubric.models import NOT_RELEVANT, ChoiceScale, Criterion, Level, OrdinalScale
from kardia.spans import SPAN_NAMES
from kardia.yamlfile import YamlPath

__all__: list[str] = []

_MOST_BRANCHES = 512


@rule("KR401", "error")
def _requirement(subject: Subject) -> Iterator[Hit]:
    """A requirement that never fails or always fails decides nothing about a reply."""
    for path, criterion in subject.criteria:
        need = criterion.required
        if need is None:
            continue
        here: YamlPath = (*path, "required")
        bound = need.at_least if need.at_least is not None else need.at_most
        key: YamlPath = () if bound is None else ("at_least",) if need.at_least is not None else ("at_most",)
        holding = [level for level in criterion.levels if criterion.holds(level)]
        if isinstance(criterion.scale, OrdinalScale) and bound is not None and bound not in criterion.levels:
            always = "always" if not holding else "never"
            yield (
                (*here, *key),
                f"{bound} is not on the scale of {criterion.id}, so the requirement {always} fails",
                f"choose a level from {criterion.levels[0]} to {criterion.levels[-1]}",
            )
        elif len(holding) == len(criterion.levels):
            yield (
                (*here, *key),
                f"the requirement of {criterion.id} never fails: every level meets it",
                "ask for a better level, or delete `required`",
            )
        elif isinstance(criterion.scale, ChoiceScale) and not any(criterion.value(level) == 1 for level in holding):
            yield (
                here,
                f"no option of {criterion.id} is worth 1, so even the required one is not fully good",
                "give the option that meets the requirement the value 1",
            )


@rule("KR402", "error")
def _requirement_without_price(subject: Subject) -> Iterator[Hit]:
    """A requirement whose failure gives the full score rewards what it forbids."""
    for path, criterion in subject.criteria:
        if criterion.required is not None and criterion.required.else_score == 1:
            yield (
                (*path, "required", "else_score"),
                f"a card that fails {criterion.id} gets the full score 1.0",
                "lower `else_score`; 0 is usual",
            )


@rule("KR501", "error")
def _impossible(subject: Subject) -> Iterator[Hit]:
    """A condition can never hold: what it asks of other criteria excludes what those ask themselves."""
    known = {criterion.id: criterion for _, criterion in subject.all_criteria}
    for path, criterion in subject.criteria:
        if not criterion.conditions or _branches(criterion, known, ()) != []:
            continue
        what = "it and its requirement are never asked" if criterion.required is not None else "it is never asked"
        yield (
            (*path, "only_if_levels"),
            f"the condition of {criterion.id} can never hold, so {what}",
            "compare it with the conditions of the criteria it names, and drop what excludes each other",
        )


_Branch = dict[str, frozenset[str]]


def _branches(criterion: Criterion, known: Mapping[str, Criterion], trail: tuple[str, ...]) -> list[_Branch] | None:
    """The combinations of levels under which a criterion is asked; None where they cannot be listed."""
    if not criterion.conditions:
        return [{}]
    if criterion.id in trail:
        return None
    found: list[_Branch] = []
    for condition in criterion.conditions:
        branches: list[_Branch] = [{key: frozenset(map(repr, levels)) for key, levels in condition.items()}]
        for key in condition:
            parent = known.get(key)
            if parent is None:
                return None
            upper = _branches(parent, known, (*trail, criterion.id))
            if upper is None or len(upper) * len(branches) > _MOST_BRANCHES:
                return None
            branches = [both for one in branches for two in upper if (both := _meet(one, two)) is not None]
        found += branches
    return found


def _meet(a: _Branch, b: _Branch) -> _Branch | None:
    both = dict(a)
    for key, levels in b.items():
        both[key] = both.get(key, levels) & levels
        if not both[key]:
            return None
    return both


@rule("KR502", "warning")
def _always(subject: Subject) -> Iterator[Hit]:
    """A condition names every level of a criterion that is always asked, so it always holds."""
    known = {criterion.id: criterion for _, criterion in subject.all_criteria}
    for path, criterion in subject.criteria:
        total = next((item for item in criterion.conditions if _holds_always(item, known)), None)
        if total is not None:
            names = ", ".join(total)
            yield (
                (*path, "only_if_levels"),
                f"the condition of {criterion.id} lists every level of {names}, so it always holds",
                "delete the condition, or the levels at which the criterion does not apply",
            )


def _holds_always(condition: Mapping[str, list[Level]], known: Mapping[str, Criterion]) -> bool:
    return bool(condition) and all(_total(known.get(key), levels) for key, levels in condition.items())


def _total(parent: Criterion | None, levels: list[Level]) -> bool:
    if parent is None or parent.conditions or parent.only_if or not levels:
        return False
    wanted = {*parent.levels, *([NOT_RELEVANT] if parent.not_relevant else [])}
    return wanted <= set(levels)


@rule("KR504", "warning")
def _reads_nothing(subject: Subject) -> Iterator[Hit]:
    """A criterion reads a span that nobody writes: no known name, and in no example; every card would be unscored."""
    known = ("reply", "conversation", "thinking", *SPAN_NAMES)
    for path, criterion in subject.criteria:
        name = criterion.reads
        if name is None or name in known:
            continue
        if any(f"<{name}>" in one.reply or f"<|{name}_begin|>" in one.reply for one in subject.file.examples):
            continue
        close = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean {close[0]}? " if close else ""
        yield (
            (*path, "reads"),
            f"{criterion.id} reads the span {name}, which no example has",
            f"{hint}known are {', '.join(known)}; for a span of your own, show it in an example: <{name}>…</{name}>",
        )
