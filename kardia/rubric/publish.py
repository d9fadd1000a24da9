"""From release to draft and from draft to release. A release never changes; the lock holds what it is.

Both write a new file and leave the author's text as it is: only the version's line changes, comments stay.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from semver import Version

from kardia.content import shipped
from kardia.errors import InputError, RubricError
from kardia.files import write_text
from kardia.rubric.diff import Bump, bumped, diff, suffices
from kardia.rubric.lint import lint_file
from kardia.rubric.lint_history import earlier_release, home, releases
from kardia.rubric.loading import load_rubric, load_rubric_file, looks_like_path, resolve
from kardia.rubric.lock import entry_of, lock_gaps, read_lock, write_lock
from kardia.rubric.models import RubricFile
from kardia.rubric.rubric import Rubric
from kardia.rubric.versions import candidates, is_draft, parse_reference, pick
from kardia.yamlfile import Document, parse_yaml, read_text

__all__ = ["bump", "check_lock", "lock_missing", "publish"]

Part = Literal["major", "minor", "patch"]


def bump(reference: str | Path, part: Part | None = None) -> Path:
    """Makes the draft in which the next version is written.

    From a release: writes `<next>-draft.1.yaml` beside it, with the same text. From a draft: where its version
    promises less than its changes since the newest release below it require, moves it to the draft of the required
    version; otherwise leaves it alone.

    Args:
        reference: a name (its newest release), a name with a version, or a path.
        part: which step to take. Default: from a release `minor`, from a draft what its changes require.

    Returns:
        The path of the draft.

    Raises:
        RubricError: where there is no such rubric, it is not valid, or `part` is a smaller step than a draft's
            changes require.
    """
    path = _find(reference)
    document, file = load_rubric_file(path)
    if not is_draft(file.version):
        core = _stepped(file.version, part or "minor")
        target = _free(_own_place(path, file.name), core, 1)
        write_text(target, _with_version(document, f"{core}-draft.{_number(target.stem)}"))
        return target
    before = earlier_release(path, bumped(file.version, "patch"))  # a release of the draft's own number counts too
    if before is None:
        return path
    base = load_rubric(before)
    needed = diff(base, load_rubric(path)).required_bump
    if part is not None and needed != "none" and not suffices(base.version, _stepped(base.version, part), needed):
        raise RubricError(
            _too_small(base, needed, part, path), file=str(path), line=document.line(("version",)), key="version"
        )
    if part is not None:
        core = _stepped(base.version, part)
    elif suffices(base.version, file.version, needed):
        return path
    else:
        core = _core(base.version, needed)
    if core == str(Version.parse(file.version).finalize_version()):
        return path
    target = _free(path, core, _number(file.version) + 1)
    write_text(target, _with_version(document, f"{core}-draft.{_number(target.stem)}"))
    path.unlink()
    return target


def publish(reference: str | Path) -> Path:
    """Makes a release of a draft: checks it, writes `<version>.yaml`, locks it, removes the draft.

    An interrupted publish can be repeated: the release is written first, the draft removed last.

    Returns:
        The path of the release.

    Raises:
        RubricError: where it is no draft, does not lie at `<folder>/<name>/<version>.yaml`, has an error that lint
            finds, includes a draft, takes too small a step from the release before it, or the release exists with
            other content.
    """
    path = _find(reference, drafts=True)
    document, file = load_rubric_file(path)
    if not is_draft(file.version):
        raise RubricError(
            f"{file.name}@{file.version} is a release; make a draft of it first (kardia rubric bump {file.name})",
            file=str(path),
        )
    folder = home(path, file)
    if folder is None:
        raise RubricError(
            f"a rubric is published from its place: move the file to rubrics/{file.name}/{file.version}.yaml",
            file=str(path),
        )
    _refuse_lint_errors(path)
    draft = load_rubric(path)
    _refuse_drafts_within(draft, path)
    version = str(Version.parse(file.version).finalize_version())
    before = earlier_release(path, version)
    if before is not None:
        base = load_rubric(before)
        needed = diff(base, draft).required_bump
        if not suffices(base.version, version, needed):
            line = document.line(("version",))
            raise RubricError(_too_small(base, needed, version, path), file=str(path), line=line, key="version")
    target = path.with_name(f"{version}.yaml")
    text = _with_version(document, version)
    if target.exists() and read_text(target, RubricError) != text:
        raise RubricError(
            f"{file.name}@{version} is released already, with other content; take the next version "
            f"(kardia rubric bump {path})",
            file=str(path),
        )
    release = _resolved(text, target)
    write_text(target, text)
    lock = read_lock(folder)
    lock.add(file.name, version, entry_of(release))
    write_lock(folder, lock)
    path.unlink()
    return target


def check_lock(folder: Path) -> list[str]:
    """What does not agree with the lock of a rubrics folder, one sentence a release; empty where all is as released."""
    found = lock_gaps(folder)
    for name, versions in sorted(read_lock(folder).rubrics.items()):
        for version, entry in sorted(versions.items()):
            path = folder / name / f"{version}.yaml"
            if not path.exists():
                continue
            try:
                rubric = load_rubric(path)
            except InputError as problem:
                found.append(str(problem))
                continue
            if rubric.hash != entry.hash:
                found.append(
                    f"{path}: holds {rubric.ref}, not the {name}@{version} that was released: restore the file"
                )
    return found


def lock_missing(folder: Path) -> list[str]:
    """Locks every valid release in a rubrics folder that the lock does not hold yet; entries that exist are never
    touched.

    Returns:
        The `name@version` of each release that was added.

    Raises:
        InputError: where a release is not a valid rubric, or includes a draft; nothing is written then.
    """
    lock = read_lock(folder)
    added: list[str] = []
    for place in sorted(one for one in folder.iterdir() if one.is_dir()):
        for version, path in releases(place):
            if lock.entry(place.name, str(version)) is not None:
                continue
            rubric = load_rubric(path)
            if (rubric.name, rubric.version) != (place.name, str(version)):
                raise RubricError(f"says {rubric.ref}, but its place says {place.name}@{version}", file=str(path))
            _refuse_drafts_within(rubric, path)
            lock.add(rubric.name, rubric.version, entry_of(rubric))
            added.append(rubric.ref)
    if added:
        write_lock(folder, lock)
    return added


def _find(reference: str | Path, *, drafts: bool = False) -> Path:
    """The file that is meant; with `drafts`, a bare name means its newest draft where that is newer than its
    releases."""
    if isinstance(reference, Path) or looks_like_path(reference):
        return Path(reference)
    wanted = parse_reference(reference)
    known = candidates(wanted.name) if drafts and wanted.range is None else []
    newest = max((one.version for one in known), default=None)
    if newest is not None and is_draft(newest):
        return next(one.path for one in known if one.version == newest)
    return pick(wanted)[0].path


def _own_place(path: Path, name: str) -> Path:
    """Where the draft of a release belongs: beside it, or in ./rubrics for what came with kardia."""
    mine = Path.cwd() / "rubrics" / name
    if path.resolve().is_relative_to(shipped("rubrics").resolve()) and mine.resolve() != path.resolve().parent:
        return mine / path.name
    return path


def _stepped(version: str, part: Part) -> str:
    """The step an author asks for by name: `major` is 1.0.0 also below it."""
    return str(Version.parse(version).bump_major()) if part == "major" else bumped(version, part)


def _core(version: str, step: Bump) -> str:
    return version if step == "none" else bumped(version, step)


def _number(version: str) -> int:
    """The N of `1.1.0-draft.N`; 0 where a draft is called otherwise."""
    last = (Version.parse(version).prerelease or "").rsplit(".", 1)[-1]
    return int(last) if last.isdigit() else 0


def _free(path: Path, core: str, number: int) -> Path:
    while (target := path.with_name(f"{core}-draft.{number}.yaml")).exists():
        number += 1
    return target


def _with_version(document: Document, version: str) -> str:
    """The file's text with another version in the version's line, and nothing else changed."""
    lines = document.text.splitlines(keepends=True)
    number = document.value_lines[("version",)] - 1
    old = str(document.data["version"])
    before, key, after = lines[number].partition("version") if "version" in lines[number] else ("", "", lines[number])
    lines[number] = before + key + after.replace(old, version, 1)
    text = "".join(lines)
    if parse_yaml(text, document.file).data != {**document.data, "version": version}:
        raise RubricError(
            "the version's line cannot be rewritten; write it as `version: 1.0.0` in a line of its own",
            file=document.file,
            line=number + 1,
            key="version",
        )
    return text


def _resolved(text: str, path: Path) -> Rubric:
    document = parse_yaml(text, str(path))
    return resolve(RubricFile.model_validate(document.data), document, path)


def _refuse_lint_errors(path: Path) -> None:
    errors = lint_file(path).errors
    if errors:
        first = errors[0]
        more = f" (and {len(errors) - 1} more; see kardia rubric lint {path})" if len(errors) > 1 else ""
        raise RubricError(
            f"cannot be published: {first.message} — {first.mend} [{first.rule}]{more}",
            file=first.file,
            line=first.line,
            key=first.key,
        )


def _refuse_drafts_within(rubric: Rubric, path: Path) -> None:
    for part in rubric.parts:
        if is_draft(part.rubric.version):
            raise RubricError(
                f"includes the draft {part.rubric.ref}; publish that one first", file=str(path), key="include"
            )
        _refuse_drafts_within(part.rubric, path)


def _too_small(base: Rubric, needed: Bump, given: str, draft: Path) -> str:
    return (
        f"the changes since {base.ref} require a {needed} version, {_core(base.version, needed)} or later; {given} "
        f"promises less (kardia rubric diff {base.ref} {draft} shows them; kardia rubric bump {draft} moves the draft)"
    )
