"""What kardia and its extras bring along: the distributions that each requires, directly or through others."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Iterable
from functools import cache
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib  # pytest brings it along there

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
BASE = ""
"""Stands for kardia without an extra."""
TOOLS = frozenset({"dev", "docs", "release"})
"""Extras for who works on kardia: no user gets them."""


@cache
def project() -> Any:
    """The table [project] of pyproject.toml; an installed kardia may be older than the checkout."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]


def extras() -> list[str]:
    """kardia's extras that users install, in order of name."""
    return sorted(set(project()["optional-dependencies"]) - TOOLS)


def required(name: str, wanted: frozenset[str]) -> list[Requirement]:
    """What a distribution with the extras `wanted` requires on this Python and system.

    Raises:
        PackageNotFoundError: where it is not installed.
    """
    if name != "kardia":
        return _of_others(name, wanted)
    optional = project()["optional-dependencies"]
    return _applying([*project()["dependencies"], *(line for extra in wanted for line in optional[extra])], wanted)


@cache
def _of_others(name: str, wanted: frozenset[str]) -> list[Requirement]:
    return _applying(distribution(name).requires or (), wanted)


def _applying(lines: Iterable[str], wanted: frozenset[str]) -> list[Requirement]:
    environments = [{"extra": extra} for extra in ("", *wanted)]
    found = [Requirement(line) for line in lines]
    return [one for one in found if one.marker is None or any(one.marker.evaluate(each) for each in environments)]


def reached(extra: str) -> tuple[set[str], set[str]]:
    """The installed distributions that kardia with one extra requires, without itself; and the ones that are missing.

    Of a missing one nobody can say what it requires in turn.
    """
    found: set[str] = set()
    missing: set[str] = set()
    wanted = frozenset({extra} - {BASE})
    done = {("kardia", wanted)}
    queue = deque(done)
    while queue:
        name, extras_of_it = queue.popleft()
        try:
            requirements = required(name, extras_of_it)
        except PackageNotFoundError:
            missing.add(name)
            continue
        found.add(name)
        for one in requirements:
            step = (canonicalize_name(one.name), frozenset(one.extras))
            if step not in done:
                done.add(step)
                queue.append(step)
    return found - {"kardia"}, missing


def pulled() -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    """Installed and missing distributions by name, each with the extras that pull it; `[BASE]` for kardia itself."""
    installed: dict[str, list[str]] = {}
    missing: dict[str, list[str]] = {}
    for extra in (BASE, *extras()):
        for names, table in zip(reached(extra), (installed, missing), strict=True):
            for name in names:
                if table.get(name) != [BASE]:
                    table.setdefault(name, []).append(extra)
    return dict(sorted(installed.items())), dict(sorted(missing.items()))


def pins() -> dict[str, str]:
    """constraints.txt: the version of each distribution by its canonical name, whatever its marker says."""
    lines = (ROOT / "constraints.txt").read_text("utf-8").splitlines()
    requirements = [Requirement(line) for line in lines if line and not line.startswith("#")]
    return {canonicalize_name(one.name): str(one.specifier).removeprefix("==") for one in requirements}
