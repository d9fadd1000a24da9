"""From a reference to a rubric: finds the file, reads it, checks it, resolves its includes, holds it against the
lock."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from kardia.errors import RubricError
from kardia.rubric.artifacts import gate_fault, read_artifact
from kardia.rubric.checks import criterion_faults, file_faults, null_faults
from kardia.rubric.lock import LOCK_NAME, read_lock
from kardia.rubric.models import Criterion, RubricFile
from kardia.rubric.rubric import Part, Rubric
from kardia.rubric.versions import Reference, is_draft, is_meant, matches, parse_reference, pick
from kardia.schema_errors import Fault, faults_of, model_keys, raise_first
from kardia.yamlfile import Document, YamlPath, load_yaml

__all__ = [
    "instance_criteria",
    "load_rubric",
    "load_rubric_file",
    "load_unlearned",
    "looks_like_path",
    "resolve",
    "rubric_keys",
    "wanted_rubric",
]


@lru_cache(maxsize=1)
def rubric_keys() -> frozenset[str]:
    """Every key of the rubric format, for "did you mean"."""
    return frozenset(model_keys(RubricFile))


def looks_like_path(reference: str) -> bool:
    """Whether a reference is a path rather than a name."""
    return reference.endswith((".yaml", ".yml")) or "/" in reference or "\\" in reference or reference.startswith(".")


def load_rubric(reference: str | Path | Rubric) -> Rubric:
    """Loads a rubric by name (`safety`, `safety@1`, `safety@1.0.0`) or path.

    A name means its newest release; drafts are had by their full version or by path. Names are looked up in
    `./rubrics`, in `$KARDIA_PATH` and among what is shipped.

    Raises:
        RubricError: where there is no such rubric, where the file is not a valid rubric (with file, line and key),
            where two different files claim one name and version, or where a released file has changed.
        YamlError: where the file is not YAML 1.2.

    >>> load_rubric("safety@1").name
    'safety'
    """
    if isinstance(reference, Rubric):
        return reference
    if isinstance(reference, Path) or looks_like_path(reference) or _is_file(reference):
        return _load_path(Path(reference), (), {})
    return _load_reference(parse_reference(reference), (), {})


def load_unlearned(reference: str | Path) -> Rubric:
    """`load_rubric`, but without the rubric's own artifact: what one is fitted for, whether or not it has one.

    A learned aggregation becomes the weighted mean; those of its includes stay.
    """
    if isinstance(reference, Path) or looks_like_path(reference) or _is_file(reference):
        path = Path(reference)
    else:
        path = pick(parse_reference(reference))[0].path
    document, file = load_rubric_file(path)
    if file.aggregate.method != "learned":
        return load_rubric(reference)
    plain = {"method": "weighted_mean", "artifact": None, "sha256": None}
    file = file.model_copy(update={"aggregate": file.aggregate.model_copy(update=plain)})
    return _resolve(file, document, path, (str(path.resolve()),), {}, locked=False)


def wanted_rubric(reference: str | None) -> Callable[[str], bool]:
    """Whether a card's rubric (`name@version`) is what was asked for: a name, name@version or path; None: any.

    Raises:
        RubricError: where it is none of these.
    """
    if reference is None:
        return lambda ref: True
    try:
        asked = parse_reference(reference)
    except RubricError:
        exact = load_unlearned(reference).ref  # a path; what else it may be is said there
        return lambda ref: ref == exact
    return lambda ref: is_meant(ref, asked)


def _is_file(text: str) -> bool:
    try:
        return Path(text).is_file()
    except (OSError, ValueError):
        return False


def _load_reference(reference: Reference, trail: tuple[str, ...], pins: Mapping[str, str]) -> Rubric:
    exact = pins.get(reference.name)
    if exact is not None:
        reference = Reference(reference.name, exact)
    found = pick(reference)
    first = found[0]
    rubric = _load_path(first.path, trail, pins)
    if (rubric.name, rubric.version) != (first.name, str(first.version)):
        raise RubricError(
            f"says {rubric.ref}, but its place says {first.name}@{first.version}", file=str(first.path), line=1
        )
    for other in found[1:]:
        # the same text may name two artifacts
        same = rubric.learned is None and other.path.read_bytes() == first.path.read_bytes()
        if not same and _load_path(other.path, trail, pins).hash != rubric.hash:
            raise RubricError(f"{rubric.ref} stands with different content in {first.path} and {other.path}")
    return rubric


def _load_path(path: Path, trail: tuple[str, ...], pins: Mapping[str, str]) -> Rubric:
    document, file = load_rubric_file(path)
    here = str(path.resolve())
    if here in trail:
        chain = " → ".join(Path(step).parent.name + "/" + Path(step).name for step in (*trail, here))
        raise RubricError(f"includes itself: {chain}", file=str(path), line=document.line(("include",)))
    return _resolve(file, document, path, (*trail, here), pins)


def load_rubric_file(path: Path) -> tuple[Document, RubricFile]:
    """Reads one rubric file on its own, includes unresolved."""
    document = load_yaml(path)
    if not isinstance(document.data, dict):
        raise RubricError("is not a rubric: expected keys such as name, version, criteria", file=str(path), line=1)
    try:
        file = RubricFile.model_validate(document.data)
    except ValidationError as problem:
        raise_first(faults_of(problem, document.data, rubric_keys()), document, RubricError)
        raise
    raise_first(list(null_faults(document.data)), document, RubricError)
    return document, file


def resolve(file: RubricFile, document: Document, path: Path) -> Rubric:
    """Resolves a file's includes and checks it as a whole; the lock is held against it."""
    return _resolve(file, document, path, (str(path.resolve()),), {})


def _resolve(
    file: RubricFile,
    document: Document,
    path: Path,
    trail: tuple[str, ...],
    pins: Mapping[str, str],
    *,
    locked: bool = True,
) -> Rubric:
    place = path.resolve()  # a release is held to its lock by whatever way it is reached
    folder = place.parent.parent if place.parent.name == file.name and place.stem == file.version else None
    entry = None
    if folder is not None and not is_draft(file.version) and (folder / LOCK_NAME).exists():
        entry = read_lock(folder).entry(file.name, file.version)
    if entry is not None:
        pins = {**pins, **entry.includes}
    parts: list[Part] = []
    faults: list[Fault] = []
    for number, include in enumerate(file.include):
        at: YamlPath = ("include", number, "rubric")
        included = _load_include(include.rubric, path, document, at, trail, pins)
        as_ = include.as_ or included.name.replace(".", "_")
        if as_ in {part.as_ for part in parts}:
            faults.append((("include", number), f"{as_!r} is included twice; give one of them another `as`"))
        if included.ref in {part.rubric.ref for part in parts}:
            faults.append((at, f"{included.ref} is included twice"))
        parts.append(Part(as_, include.weight, included))
    rubric = Rubric(file, tuple(parts), str(path))
    faults += _conflicts(rubric)
    included_criteria = {criterion.id: criterion for part in parts for criterion in _prefixed(part)}
    faults += file_faults(file, included_criteria, {part.as_: part.weight for part in parts})
    if (gate := gate_fault(rubric)) is not None:
        faults.append((("include",), gate))
    raise_first(faults, document, RubricError)
    if file.aggregate.method == "learned":
        learned, fault = read_artifact(rubric, path)
        raise_first([] if fault is None else [fault], document, RubricError)
        rubric = replace(rubric, learned=learned)
    if locked and entry is not None and rubric.hash != entry.hash:
        raise RubricError(
            f"{rubric.ref} is released and its content has changed since (the lock has {entry.hash[7:19]}…, the file "
            f"{rubric.hash[7:19]}…): restore the file from a backup or version control, "
            f"and make changes in a draft (kardia rubric bump {rubric.name})",
            file=str(path),
        )
    return rubric


def _prefixed(part: Part) -> list[Criterion]:
    return [criterion.model_copy(update={"id": f"{part.as_}.{criterion.id}"}) for criterion in part.rubric.criteria]


def _load_include(
    reference: str, path: Path, document: Document, at: YamlPath, trail: tuple[str, ...], pins: Mapping[str, str]
) -> Rubric:
    try:
        if looks_like_path(reference):
            if not (path.parent / reference).exists():
                raise RubricError(f"there is no file {path.parent / reference}")
            return _load_path(path.parent / reference, trail, pins)
        return _load_reference(parse_reference(reference), trail, pins)
    except RubricError as problem:
        if problem.file is not None:
            raise
        raise RubricError(
            problem.message, file=document.file, line=document.line(at), key=".".join(str(part) for part in at)
        ) from None


def _conflicts(rubric: Rubric) -> list[Fault]:
    """One name in two versions, or one version with two contents, within one tree."""
    seen: dict[str, Rubric] = {rubric.name: rubric}
    faults: list[Fault] = []

    def visit(node: Rubric, number: int) -> None:
        known = seen.setdefault(node.name, node)
        if known.version != node.version:
            message = f"brings {node.ref} beside {known.ref}; one rubric needs one version of it"
            faults.append((("include", number), message))
        elif known is not node and known.hash != node.hash:
            message = f"{node.ref} stands with different content in {known.source} and {node.source}"
            faults.append((("include", number), message))
        for part in node.parts:
            visit(part.rubric, number)

    for number, part in enumerate(rubric.parts):
        visit(part.rubric, number)
    return faults


_INSTANCE = TypeAdapter(list[Criterion])


def instance_criteria(data: Any, rubric: Rubric) -> tuple[Criterion, ...]:
    """The criteria that a row carries for itself (`metadata.rubric`), checked against the rubric they are added to.

    Args:
        data: a list of criteria as a rubric's YAML has them, or a mapping with the key `criteria`; a missing id becomes
            `instance_1`, `instance_2`, …; a missing scale is binary.
        rubric: what they are added to.

    Raises:
        RubricError: with the key, where they are not criteria or clash with the rubric's own.
    """
    if rubric.learned is not None:
        raise RubricError(
            f"{rubric.ref} has learned how its criteria combine, and knows no weight for further ones; leave these out",
            key="metadata.rubric",
        )
    if isinstance(data, Mapping) and set(data) == {"criteria"}:
        data = data["criteria"]
    if not isinstance(data, Sequence) or isinstance(data, (str, bytes)) or not data:
        raise RubricError("expected a list of criteria", key="metadata.rubric")
    filled = [
        {"id": f"instance_{number}", "scale": {"type": "binary"}, **_int_levels(item)}
        if isinstance(item, Mapping)
        else item
        for number, item in enumerate(data, 1)
    ]
    try:
        criteria = _INSTANCE.validate_python(filled)
    except ValidationError as problem:
        path, message = faults_of(problem, filled, rubric_keys())[0]
        raise RubricError(message, key=".".join(["metadata", "rubric", *map(str, path)])) from None
    taken = set(rubric.by_id)
    for number, criterion in enumerate(criteria):
        for path, message in criterion_faults(criterion, ("metadata", "rubric", number)):
            raise RubricError(message, key=".".join(map(str, path)))
        if criterion.id in taken:
            raise RubricError(f"the id {criterion.id!r} is taken", key=f"metadata.rubric.{number}.id")
        taken.add(criterion.id)
    file = rubric.file.model_copy(update={"criteria": [*rubric.file.criteria, *criteria]})
    included = {criterion.id: criterion for part in rubric.parts for criterion in _prefixed(part)}
    for path, message in file_faults(file, included, {part.as_: part.weight for part in rubric.parts}):
        raise RubricError(message, key="metadata.rubric." + ".".join(map(str, path)))
    return tuple(criteria)


def _int_levels(item: Mapping[str, Any]) -> dict[str, Any]:
    """JSON has no whole-number keys: `{"levels": {"1": …}}` means the level 1."""
    result = dict(item)
    scale = result.get("scale")
    if (
        isinstance(scale, Mapping)
        and isinstance(scale.get("levels"), Mapping)
        and scale.get("type", "ordinal") == "ordinal"
    ):
        levels = {int(key) if _whole(key) else key: text for key, text in scale["levels"].items() if text is not None}
        result["scale"] = {**scale, "levels": levels}
    return {key: value for key, value in result.items() if value is not None}


def _whole(key: Any) -> bool:
    return isinstance(key, str) and re.fullmatch(r"-?[0-9]{1,9}", key) is not None


def allowed(reference: str, version: str) -> bool:
    """Whether an include's range would take this version."""
    from semver import Version

    return looks_like_path(reference) or matches(Version.parse(version), parse_reference(reference).range)
