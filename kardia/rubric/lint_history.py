"""The rules on a file among its other versions: ids, the lock, the place."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from pathlib import Path

from semver import Version

from kardia.errors import InputError
from kardia.rubric.diff_text import words_of
from kardia.rubric.lint_subject import Hit
from kardia.rubric.lint_text import overlap
from kardia.rubric.loading import load_rubric_file
from kardia.rubric.lock import LOCK_NAME, read_lock
from kardia.rubric.models import RubricFile
from kardia.rubric.versions import is_draft

__all__ = ["changed_ids", "earlier_release", "home", "misplaced", "overtaken", "releases", "unlocked"]

_SIMILAR_WORDS = 0.6
_SIMILAR_TEXT = 0.8


def home(path: Path, file: RubricFile) -> Path | None:
    """The rubrics folder in which a file lies under its name and version; None where it lies elsewhere."""
    where = path.resolve()
    return where.parent.parent if where.parent.name == file.name and where.stem == file.version else None


def releases(folder: Path) -> list[tuple[Version, Path]]:
    """The releases in one rubric's folder, oldest first."""
    found = [
        (Version.parse(path.stem), path)
        for path in folder.iterdir()
        if path.suffix in (".yaml", ".yml") and Version.is_valid(path.stem) and not is_draft(path.stem)
    ]
    return sorted(found, key=lambda one: one[0])


def earlier_release(path: Path, version: str) -> Path | None:
    """The newest release below this version that lies beside the file."""
    below = [other for known, other in releases(path.resolve().parent) if known < Version.parse(version)]
    return below[-1] if below else None


def changed_ids(path: Path, file: RubricFile) -> Iterator[Hit]:
    """KR701: an id disappeared since the last release while a new one asks nearly the same."""
    before_path = earlier_release(path, file.version)
    if before_path is None:
        return
    try:
        before = load_rubric_file(before_path)[1]
    except InputError:
        return  # that file's own fault; lint it to see it
    if before.name != file.name:
        return
    now = {criterion.id for criterion in file.criteria}
    old = {criterion.id for criterion in before.criteria}
    gone = [criterion for criterion in before.criteria if criterion.id not in now]
    for number, criterion in enumerate(file.criteria):
        if criterion.id in old:
            continue
        for lost in gone:
            if _similar(lost.question, criterion.question):
                yield (
                    ("criteria", number, "id"),
                    f"{lost.id} of {before.version} seems to be called {criterion.id} now; scores under the old id "
                    "have no successor",
                    f"keep the id {lost.id}, unless the criterion means something else now",
                )
                break


def _similar(a: str, b: str) -> bool:
    matcher = difflib.SequenceMatcher(None, words_of(a), words_of(b), autojunk=False)
    return overlap(a, b) >= _SIMILAR_WORDS or matcher.ratio() >= _SIMILAR_TEXT


def unlocked(path: Path, file: RubricFile) -> Iterator[Hit]:
    """KR902: a release that the lock does not know can change without anybody noticing."""
    folder = home(path, file)
    if folder is None or is_draft(file.version) or read_lock(folder).entry(file.name, file.version) is not None:
        return
    draft = f"{file.version}-draft.1"
    publish = f"kardia rubric publish {file.name}@{draft}"
    yield (
        ("version",),
        f"{file.name}@{file.version} is a release that {LOCK_NAME} does not hold",
        f"rename the file to {draft}.yaml, write that version in it, and make it a release: {publish}",
    )


def overtaken(path: Path, file: RubricFile) -> Iterator[Hit]:
    """KR903: a draft that is older than a release beside it."""
    if not is_draft(file.version) or home(path, file) is None:
        return
    newer = [str(version) for version, _ in releases(path.resolve().parent) if version > Version.parse(file.version)]
    if newer:
        yield (
            ("version",),
            f"this draft is older than the release {newer[-1]}",
            f"take what is new in it over into kardia rubric bump {file.name}, or delete it",
        )


def misplaced(path: Path, file: RubricFile) -> Iterator[Hit]:
    """KR904: the file's place says another name or version than the file."""
    where = path.resolve()
    if not Version.is_valid(where.stem):
        return
    if where.stem != file.version:
        yield (
            ("version",),
            f"says {file.version}, but the file is called {where.name}",
            f"rename the file to {file.version}.yaml, or correct the version",
        )
    if where.parent.name != file.name:
        yield (
            ("name",),
            f"says {file.name}, but the file's folder is called {where.parent.name}",
            f"move the file to {file.name}/{where.name}, or correct the name",
        )
