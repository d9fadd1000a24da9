"""Checks the licences of what kardia's extras bring along, and writes docs/licences.md.

    python .ci/licences.py            is every licence allowed, and the page as it would be written?
    python .ci/licences.py --write    write the page

What is allowed, and every exception with its reason, stands in .ci/licences.yaml. pip-licenses reads the metadata.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from typing import Any

from closure import BASE, ROOT, pins, pulled
from packaging.utils import canonicalize_name

from kardia.yamlfile import load_yaml

PAGE = ROOT / "docs" / "licences.md"
POLICY = ROOT / ".ci" / "licences.yaml"
_WORDS = re.compile(r"\b(?:AND|OR|WITH)\b|[();]")

_HEAD = """\
# Licences of what kardia needs

kardia is under Apache-2.0; what of others ships inside it is in [THIRD_PARTY.md](../THIRD_PARTY.md). Below is what
`pip` installs beside it, by each package's own metadata: the base, and what each extra brings along, with the versions
of `constraints.txt`, on Linux. `make licences` writes this page; a test fails where a licence is not among those that
`.ci/licences.yaml` allows. This is a list, not legal advice.
"""


@dataclass(frozen=True)
class Package:
    """A distribution, its licence in SPDX's words, and the extras that pull it; `(BASE,)` for kardia itself."""

    name: str
    licence: str
    pulled_by: tuple[str, ...]


@cache
def policy() -> Any:
    """.ci/licences.yaml."""
    return load_yaml(POLICY).data


def stated() -> dict[str, str]:
    """What the metadata of every installed distribution say of its licence, by canonical name."""
    command = [sys.executable, "-m", "piplicenses", "--from=mixed", "--format=json", "--with-system"]
    done = subprocess.run(command, check=True, capture_output=True, encoding="utf-8", timeout=300)
    return {canonicalize_name(row["Name"]): row["License"] for row in json.loads(done.stdout)}


def _entry(table: str, name: str) -> Mapping[str, str] | None:
    entries: Mapping[str, Mapping[str, str]] = policy()[table]
    return next((entry for pattern, entry in entries.items() if fnmatchcase(name, pattern)), None)


def spdx(name: str, text: str | None) -> str:
    """A package's licence in SPDX's words: as declared in the policy, else by what its metadata say.

    Args:
        text: what the metadata say; None where the package is not installed.
    """
    declared = _entry("declared", name)
    if declared is not None:
        return declared["licence"]
    if text is None:
        return "unknown"
    names = policy()["names"]
    return "; ".join(names.get(part.strip(), part.strip()) for part in text.split(";"))


def refused(package: Package) -> str | None:
    """Why a package's licence is not accepted, as a sentence; None where it is.

    Each licence of an expression has to be allowed, also where one of several may be chosen: then nobody has to choose.
    """
    exception = _entry("exceptions", package.name)
    if exception is not None:
        if exception.get("licence", package.licence) == package.licence:
            return None
        return f"{package.name}: accepted under {exception['licence']}, but its metadata now say {package.licence!r}"
    parts = [part.strip() for part in _WORDS.split(package.licence)]
    unknown = [part for part in parts if part and part not in policy()["allowed"]]
    if unknown:
        return f"{package.name}: {', '.join(unknown)[:200]!r} is not among the licences that .ci/licences.yaml allows"
    return None


def packages() -> list[Package]:
    """All that kardia and its extras bring along here, in order of name."""
    texts = stated()
    installed, missing = pulled()
    found = {**installed, **missing}
    return [Package(name, spdx(name, texts.get(name)), tuple(found[name])) for name in sorted(found)]


def unlisted(name: str) -> bool:
    """Whether only some builds or systems have it, so that the page leaves it out."""
    return any(fnmatchcase(name, pattern) for pattern in policy()["unlisted"])


def page(found: Iterable[Package]) -> str:
    """docs/licences.md."""
    versions = pins()
    rows = []
    for one in found:
        if not unlisted(one.name):
            needed_by = ", ".join(extra or "kardia" for extra in one.pulled_by)
            rows.append(f"| {one.name} | {versions.get(one.name, '–')} | {one.licence} | {needed_by} |")
    exceptions = [
        f"- `{name}` ({entry.get('licence', 'its own terms')}): {entry['because']}."
        for name, entry in policy()["exceptions"].items()
    ]
    declared = [f"- `{name}` ({entry['licence']}): {entry['because']}." for name, entry in policy()["declared"].items()]
    lines = [
        _HEAD,
        "| package | version | licence | needed by |",
        "| --- | --- | --- | --- |",
        *rows,
        "",
        "## Exceptions",
        "",
        *exceptions,
        "",
        "## Stated by hand",
        "",
        *declared,
    ]
    return "\n".join(lines) + "\n"


def main(arguments: list[str] | None = None) -> int:
    """Exit code 1 where a licence is refused, or the page is not as it would be written."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="write docs/licences.md")
    options = parser.parse_args(arguments)
    found = packages()
    problems = [sentence for sentence in map(refused, found) if sentence]
    text = page(found)
    if options.write:
        PAGE.write_text(text, "utf-8")
    elif not PAGE.is_file() or PAGE.read_text("utf-8") != text:
        problems.append("docs/licences.md is not what is installed here: make licences")
    for sentence in problems:
        print(sentence, file=sys.stderr)
    base = sum(one.pulled_by == (BASE,) for one in found)
    print(f"{len(found)} packages, {base} of them without any extra; {len(problems)} to look at")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
