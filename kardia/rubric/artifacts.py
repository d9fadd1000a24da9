"""The artifact that a rubric's learned aggregation names: read, and held against the rubric."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

from kardia.artifact import Artifact, Calibration, Gating, Learned, parse_artifact, renormalises
from kardia.datafile import Malformed
from kardia.errors import RubricError
from kardia.rubric.rubric import Rubric
from kardia.yamlfile import YamlPath, read_text

__all__ = ["gate_fault", "read_artifact"]

Fault = tuple[YamlPath, str]

AT: YamlPath = ("aggregate", "artifact")


def read_artifact(rubric: Rubric, path: Path) -> tuple[Learned | None, Fault | None]:
    """The artifact that a rubric names, or what is wrong with it.

    Args:
        rubric: its file says `method: learned` and names an artifact; its includes are resolved.
        path: the rubric's file, beside which the artifact is looked for.
    """
    rule = rubric.file.aggregate
    named = rule.artifact or ""
    place = path.parent / named
    try:
        text = read_text(place, RubricError)
        digest = hashlib.sha256(place.read_bytes()).hexdigest()
    except RubricError as problem:
        return None, (AT, f"{place}: {problem.message}; `kardia fit` writes it, and its place is beside the rubric")
    if rule.sha256 is not None and digest != rule.sha256:
        message = f"is not that of {place}, whose sha256 is {digest}: restore the file, or correct the digest"
        return None, (("aggregate", "sha256"), message)
    try:
        artifact = parse_artifact(text)
    except Malformed as problem:
        return None, (AT, f"{place}: {problem}; `kardia fit` writes it anew")
    return Learned(artifact, "sha256:" + digest, str(place)), next(_faults(artifact, rubric, str(place)), None)


def _faults(artifact: Artifact, rubric: Rubric, file: str) -> Iterator[Fault]:
    bound = artifact.rubric
    if bound.name != rubric.name:
        yield AT, f"{file} was fitted for the rubric {bound.name}, not for {rubric.name}: name the one of this rubric"
    elif bound.hash != rubric.asked_hash:
        yield (
            AT,
            f"{file} was fitted for another version of {rubric.name} (content {bound.hash[7:19]}…, here "
            f"{rubric.asked_hash[7:19]}…): score with this one by another method, and fit again (kardia fit), or go "
            "back to the criteria, includes and examples that it was fitted for",
        )
    items = rubric.root.items
    inside = rubric.root.inside
    for item in artifact.inputs:
        if item.id not in inside and (isinstance(artifact, Calibration) or item.id not in items):
            yield AT, f"{file}: this rubric has no {item.id!r}; `kardia fit` writes the file anew"
        elif isinstance(artifact, Calibration) and tuple(item.levels) != inside[item.id].levels:  # type: ignore[union-attr]
            yield AT, f"{file}: the levels of {item.id!r} are not those of this rubric; `kardia fit` writes it anew"
    if rubric.file.aggregate.unscored == "renormalise" and not renormalises(artifact):
        yield (
            ("aggregate", "unscored"),
            f"is renormalise, which {_named(artifact)} cannot do: it needs all of its inputs; write `unscored: whole`",
        )


def _named(artifact: Artifact) -> str:
    return "a linear artifact with negative weights" if artifact.kind == "linear" else f"the kind {artifact.kind}"


def gate_fault(rubric: Rubric) -> str | None:
    """Why a gate within an included rubric cannot work here; None where nothing is wrong."""
    for part in rubric.parts:
        for inner in (part.rubric, *_below(part.rubric)):
            gated = inner.learned is not None and isinstance(inner.learned.artifact, Gating)
            if gated and inner.target != rubric.target:
                return (
                    f"{inner.ref} weighs its criteria by the prompt of a {inner.target}, and this rubric's target is "
                    f"the {rubric.target}; include one with the same target"
                )
    return None


def _below(rubric: Rubric) -> Iterator[Rubric]:
    for part in rubric.parts:
        yield part.rubric
        yield from _below(part.rubric)
