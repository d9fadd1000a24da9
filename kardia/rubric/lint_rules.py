"""What a good reviewer of rubrics asks, as rules on a file that has the right shape.

A rule is a generator over a `Subject`; it yields hits — where, what is wrong, how to mend it. Its docstring is its
documentation.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator

from kardia.rubric.lint_subject import Hit, Subject, rule
from kardia.rubric.lint_text import alike, differ_in_degree_only, double_barrelled, is_label, overlap
from kardia.rubric.models import BinaryScale, ChoiceScale, Criterion, Level, OrdinalScale, RubricFile
from kardia.yamlfile import YamlPath

__all__ = ["SUPPLIED"]

SUPPLIED = frozenset({"profile", "situation", "emotion", "reference", "group"})
"""Metadata that the conversation format names itself."""

ENOUGH_EXAMPLES = 6
SAME_QUESTION = 0.8  # share of content words
SAME_MEANING = 0.90  # cosine of embeddings
LEAST_SHARE = 0.01


@rule("KR101", "warning")
def _double_barrelled(subject: Subject) -> Iterator[Hit]:
    """A question asks two things at once: a judge cannot answer when one holds and the other does not."""
    for path, criterion in subject.criteria:
        joined = double_barrelled(criterion.question, alternatives=not isinstance(criterion.scale, BinaryScale))
        if joined is not None:
            yield (
                (*path, "question"),
                f"asks two things at once: {joined}",
                "make two criteria of it, each asking one thing",
            )


@rule("KR102", "warning")
def _same_question(subject: Subject) -> Iterator[Hit]:
    """Two criteria ask the same: what they measure counts double."""
    pairs = [
        (one, two)
        for one, two in itertools.combinations(subject.all_criteria, 2)
        if _same_ground(one[1], two[1]) and not (one[0] == two[0] and one[0][0] == "include")
    ]
    vectors = _vectors(subject)
    for (path_a, a), (path_b, b) in pairs:
        cosine = _cosine(vectors[a.id], vectors[b.id]) if vectors else 0.0
        same_words = overlap(a.question, b.question) >= SAME_QUESTION
        if same_words or cosine >= SAME_MEANING:
            how = "in nearly the same words" if same_words else f"in other words (similarity {cosine:.2f})"
            path = path_b if path_b[0] == "include" else (*path_b, "question")
            if path_b[0] == "include" and path_a[0] == "criteria":
                path = (*path_a, "question")
            yield path, f"{a.id} and {b.id} ask the same {how}", "delete one, or say in both questions how they differ"


def _same_ground(a: Criterion, b: Criterion) -> bool:
    """Whether both are asked about the same text under the same condition; branches may repeat a question."""
    return (a.reads or "reply", a.only_if, a.only_if_levels) == (b.reads or "reply", b.only_if, b.only_if_levels)


def _vectors(subject: Subject) -> dict[str, list[float]]:
    if subject.embed is None:
        return {}
    criteria = [criterion for _, criterion in subject.all_criteria]
    vectors = subject.embed([criterion.question for criterion in criteria])
    return {criterion.id: list(vector) for criterion, vector in zip(criteria, vectors, strict=True)}


def _cosine(a: list[float], b: list[float]) -> float:
    length = math.sqrt(math.fsum(x * x for x in a)) * math.sqrt(math.fsum(y * y for y in b))
    return math.fsum(x * y for x, y in zip(a, b, strict=True)) / length if length > 0 else 0.0


def _texts(criterion: Criterion) -> list[tuple[YamlPath, Level, str]]:
    """Each described level: where in the criterion its text stands, the level, the text."""
    found: list[tuple[YamlPath, Level, str]] = []
    for level in criterion.levels:
        text = criterion.scale.describe(level)
        if text is not None:
            option = isinstance(criterion.scale, ChoiceScale)
            place = ("scale", "options", level, "description") if option else ("scale", "levels", level)
            found.append((place, level, text))
    return found


@rule("KR201", "warning")
def _levels_differ(subject: Subject) -> Iterator[Hit]:
    """Two levels have the same text, or differ in an adverb of degree only: two careful people would not agree."""
    for path, criterion in subject.criteria:
        for (_, first, a), (place, second, b) in itertools.combinations(_texts(criterion), 2):
            if is_label(a, first) or is_label(b, second):
                continue  # that is KR202's finding
            if differ_in_degree_only(a, b):
                yield (
                    (*path, *place),
                    f"levels {first} and {second} of {criterion.id} do not differ, or in degree only",
                    "say what can be seen in a reply at the one level and not at the other",
                )
            elif alike(a, b):
                yield (
                    (*path, *place),
                    f"levels {first} and {second} of {criterion.id} have nearly the same text",
                    "begin each text with what sets its level apart",
                )


@rule("KR202", "warning")
def _levels_described(subject: Subject) -> Iterator[Hit]:
    """A level's text only repeats its number or is a bare grade (`good`): everybody fills it differently."""
    for path, criterion in subject.criteria:
        for place, level, text in _texts(criterion):
            if is_label(text, level):
                yield (
                    (*path, *place),
                    f"the text of level {level} of {criterion.id} is a label (“{text.strip()}”), not a description",
                    "describe what a reply at this level does",
                )


@rule("KR203", "warning")
def _anchors(subject: Subject) -> Iterator[Hit]:
    """A level between the lowest and the highest has no description: judges guess what it means."""
    for path, criterion in subject.criteria:
        if isinstance(criterion.scale, OrdinalScale):
            missing = [level for level in criterion.levels if criterion.scale.describe(level) is None]
            if missing:
                yield (
                    (*path, "scale", "levels"),
                    f"{criterion.id} does not describe {_count('level', missing)}",
                    "describe every level, or use fewer",
                )


def _count(word: str, levels: list[Level], most: int = 6) -> str:
    shown = ", ".join(str(level) for level in levels[:most]) + (", …" if len(levels) > most else "")
    return f"{word} {shown}" if len(levels) == 1 else f"{word}s {shown}"


@rule("KR301", "warning")
def _weight_zero(subject: Subject) -> Iterator[Hit]:
    """An item has weight 0, is not required and no other rule hangs on it: it costs a request and changes nothing."""
    used = {key for _, criterion in subject.criteria for item in criterion.conditions for key in item}
    used |= {key for interaction in subject.file.aggregate.interactions for key in interaction.when}
    for path, criterion in subject.criteria:
        if criterion.weight == 0 and criterion.required is None and criterion.id not in used:
            yield (
                (*path, "weight"),
                f"{criterion.id} has weight 0, is not required, and nothing depends on it",
                "give it a weight or a requirement, or delete it",
            )
    for number, part in enumerate(subject.rubric.parts if subject.rubric is not None else ()):
        needed = any(criterion.required is not None for criterion in part.rubric.criteria)
        named = part.as_ in used or any(key.startswith(f"{part.as_}.") for key in used)
        if part.weight == 0 and not needed and not named:
            yield (
                ("include", number, "weight"),
                f"{part.as_} has weight 0 and no requirement, and nothing depends on it",
                "give it a weight, or delete the include",
            )


@rule("KR302", "warning")
def _weight_without_effect(subject: Subject) -> Iterator[Hit]:
    """A weight cannot matter: the lowest item decides whatever its weight, or there is only one item."""
    items: list[tuple[YamlPath, str, float]] = [
        ((*path, "weight"), criterion.id, criterion.weight) for path, criterion in subject.criteria
    ]
    items += [
        (("include", number, "weight"), include.as_ or include.rubric, include.weight)
        for number, include in enumerate(subject.file.include)
    ]
    method = subject.file.aggregate.method
    for path, name, weight in items:
        if weight in (0, 1):
            continue
        if method == "minimum":
            yield (
                path,
                f"the weight of {name} has no effect: under `method: minimum` the lowest value counts",
                "delete the weight, or aggregate with `method: weighted_mean`",
            )
        elif method == "weighted_mean" and len(items) == 1:
            yield path, f"the weight of {name} has no effect: it is the only item", "delete the weight"


@rule("KR303", "warning")
def _weight_too_small(subject: Subject) -> Iterator[Hit]:
    """An item has less than 1 % of the weight: it costs a request and never shows."""
    if subject.file.aggregate.method != "weighted_mean":
        return
    items: list[tuple[YamlPath, str, float, bool]] = [
        ((*path, "weight"), criterion.id, criterion.weight, criterion.required is not None)
        for path, criterion in subject.criteria
    ]
    items += [
        (("include", number, "weight"), include.as_ or include.rubric, include.weight, False)
        for number, include in enumerate(subject.file.include)
    ]
    total = math.fsum(weight for _, _, weight, _ in items)
    for path, name, weight, required in items:
        if 0 < weight < LEAST_SHARE * total and not required:
            yield (
                path,
                f"{name} has {weight / total:.2%} of the weight, too little to show in a score",
                "raise the weight, or delete the item",
            )


@rule("KR503", "warning")
def _metadata(subject: Subject) -> Iterator[Hit]:
    """A condition or a declaration names metadata that no row is known to carry: the criterion would never be asked."""
    known = set(SUPPLIED) | set(subject.file.metadata)
    if subject.rubric is not None:
        known |= set(subject.rubric.metadata)
    for example in subject.file.examples:
        known |= set(example.metadata)
    named = [((*path, "only_if", key), key) for path, criterion in subject.criteria for key in criterion.only_if or ()]
    if subject.data_keys is not None:
        there = ", ".join(sorted(subject.data_keys)) or "none"
        for path, key in [*named, *((("metadata", key), key) for key in subject.file.metadata)]:
            if key not in subject.data_keys:
                yield (
                    path,
                    f"the data has no metadata {key!r}; it has: {there}",
                    "correct the name, or add it to the data",
                )
        return
    for path, key in named:
        if key not in known:
            usual = ", ".join(sorted(SUPPLIED))
            yield (
                path,
                f"nobody is known to supply the metadata {key!r}",
                f"correct the name (usual ones: {usual}), or declare it: `metadata: {{{key}: what it is}}`",
            )


@rule("KR601", "warning")
def _examples(subject: Subject) -> Iterator[Hit]:
    """A criterion has fewer than six examples: the embedded judge abstains there, and people see too little of it."""
    shown = _shown(subject.file)
    for path, criterion in subject.criteria:
        count = sum(shown.get(criterion.id, {}).values())
        if count < ENOUGH_EXAMPLES:
            have = {0: "no example", 1: "only one example"}.get(count, f"only {count} examples")
            yield (
                (*path, "id"),
                f"{criterion.id} is shown by {have}; the embedded judge needs {ENOUGH_EXAMPLES} and abstains",
                f"add examples with `levels: {{{criterion.id}: …}}`; one example may serve several criteria",
            )


@rule("KR602", "warning")
def _levels_shown(subject: Subject) -> Iterator[Hit]:
    """No example shows a certain level."""
    shown = _shown(subject.file)
    for path, criterion in subject.criteria:
        seen = shown.get(criterion.id, {})
        wanted = [
            level
            for level in criterion.levels
            if not isinstance(criterion.scale, OrdinalScale) or criterion.scale.describe(level) is not None
        ]
        missing = [level for level in wanted if level not in seen]
        if seen and missing:
            yield (
                (*path, "scale"),
                f"no example shows {_count('level', missing)} of {criterion.id}",
                "add an example for each",
            )


def _shown(file: RubricFile) -> dict[str, dict[Level, int]]:
    found: dict[str, dict[Level, int]] = {}
    for example in file.examples:
        for key, level in example.levels.items():
            counts = found.setdefault(key, {})
            counts[level] = counts.get(level, 0) + 1
    return found
