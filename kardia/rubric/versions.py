"""Names, versions and ranges: which file a reference means."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from pathlib import Path

from semver import Version

from kardia.content import folders
from kardia.errors import RubricError

__all__ = [
    "Candidate",
    "Reference",
    "candidates",
    "is_draft",
    "is_meant",
    "matches",
    "names",
    "parse_reference",
    "pick",
]

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]*\Z")
_RANGE = re.compile(r"([\^~]?)(\d+)(?:\.(\d+))?(?:\.(\d+))?\Z")


@dataclass(frozen=True)
class Reference:
    """`name`, `name@1`, `name@^1.2`, `name@~1.2.3`, `name@1.2.0` or `name@1.2.0-draft.1`."""

    name: str
    range: str | None = None

    def __str__(self) -> str:
        return f"{self.name}@{self.range}" if self.range else self.name


@dataclass(frozen=True)
class Candidate:
    """A rubric file under its name and version."""

    name: str
    version: Version
    path: Path


def parse_reference(text: str) -> Reference:
    """Reads a reference by name.

    Raises:
        RubricError: where it is none.
    """
    name, at, wanted = text.partition("@")
    if not _NAME.match(name) or (at and not _valid_range(wanted)):
        raise RubricError(
            f"{text!r} is not a rubric: write a name (safety), a name with a version (safety@1, safety@1.0.0), or the "
            "path of a .yaml file"
        )
    return Reference(name, wanted or None)


def _valid_range(text: str) -> bool:
    return bool(_RANGE.match(text)) or Version.is_valid(text)


def is_meant(ref: str, asked: Reference) -> bool:
    """Whether a rubric that scored (`name@version`) is one that was asked for.

    It has an exact version; without one being asked for, a draft will do too.
    """
    name, _, version = ref.partition("@")
    if name != asked.name or not Version.is_valid(version):
        return False
    return asked.range is None or matches(Version.parse(version), asked.range)


def is_draft(version: Version | str) -> bool:
    """A version with a pre-release part is a draft."""
    return Version.parse(str(version)).prerelease is not None


def matches(version: Version, wanted: str | None) -> bool:
    """Whether a version lies in a range.

    `None` takes every release; `1` and `^1` the same major; `1.2` the same minor; `^1.2` the same major from 1.2.0
    on; `~1.2.3` the same minor from 1.2.3 on; a full version itself alone. Drafts match only their full version.
    """
    if wanted is not None and Version.is_valid(wanted):
        return version == Version.parse(wanted)
    if version.prerelease is not None:
        return False
    if wanted is None:
        return True
    found = _RANGE.match(wanted)
    if found is None:
        return False
    sign, major, minor, patch = found.group(1), *(None if part is None else int(part) for part in found.groups()[1:])
    if version.major != major:
        return False
    floor = (major, minor or 0, patch or 0)
    if (version.major, version.minor, version.patch) < floor:
        return False
    if sign == "^" or minor is None:
        # as in npm: below 1.0.0 a minor version may break
        return major != 0 or minor is None or version.minor == minor
    return version.minor == minor


def candidates(name: str | None = None) -> list[Candidate]:
    """Every rubric file in the lookup folders, in lookup order; of one name where it is given."""
    found: list[Candidate] = []
    for folder in folders("rubrics"):
        homes = [folder / name] if name is not None else sorted(folder.iterdir())
        for home in homes:
            if not home.is_dir():
                continue
            for path in sorted(home.iterdir()):
                if path.suffix in (".yaml", ".yml") and Version.is_valid(path.stem):
                    found.append(Candidate(home.name, Version.parse(path.stem), path))
    return found


def names() -> list[str]:
    """The names of all rubrics that can be found."""
    return sorted({candidate.name for candidate in candidates()})


def pick(reference: Reference) -> list[Candidate]:
    """The files of the newest version that the reference allows: several where several folders hold it.

    Raises:
        RubricError: where nobody has such a rubric, with what there is.
    """
    known = candidates(reference.name)
    if not known:
        where = ", ".join(str(folder) for folder in folders("rubrics"))
        there = ", ".join(names()) or "none"
        close = difflib.get_close_matches(reference.name, names(), n=1)
        hint = f" (did you mean {close[0]!r}?)" if close else ""
        raise RubricError(f"there is no rubric {reference.name!r}{hint} in {where}; there are: {there}")
    fitting = [candidate for candidate in known if matches(candidate.version, reference.range)]
    if not fitting:
        versions = sorted({candidate.version for candidate in known})
        there = ", ".join(str(version) for version in versions)
        if all(is_draft(version) for version in versions):
            raise RubricError(
                f"{reference.name} has no release yet, only drafts ({there}); name one: {reference.name}@{versions[-1]}"
            )
        raise RubricError(f"there is no {reference}; {reference.name} has the versions {there}")
    newest = max(candidate.version for candidate in fitting)
    return [candidate for candidate in fitting if candidate.version == newest]
