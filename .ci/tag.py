"""Is the checkout what its tag says? Run by the release workflow before anything is built.

    python .ci/tag.py v0.1.0

The tag is `v` and the version in kardia/version.py, and CHANGELOG.md has a dated section of it, before any other.
"""

from __future__ import annotations

import re
import sys

from closure import ROOT

from kardia.version import __version__

_SECTION = re.compile(r"^## (?P<name>\S+)(?: – (?P<day>\d{4}-\d{2}-\d{2}))?$", re.MULTILINE)


def sections(changelog: str) -> list[tuple[str, str | None]]:
    """The changelog's sections from the top: a version, or "Unreleased", and its day where it has one."""
    return [(found["name"], found["day"]) for found in _SECTION.finditer(changelog)]


def problems(tag: str, version: str, changelog: str) -> list[str]:
    """What stands against releasing this version under this tag, a sentence each."""
    found = []
    if tag != f"v{version}":
        found.append(f"the tag is {tag}, and kardia/version.py says {version}: the tag should be v{version}")
    dated = [(name, day) for name, day in sections(changelog) if name != "Unreleased"]
    if not dated or dated[0][0] != version:
        found.append(f"CHANGELOG.md: the newest section is not {version}")
    elif dated[0][1] is None:
        found.append(f"CHANGELOG.md: {version} has no date: ## {version} – YYYY-MM-DD")
    return found


def main(arguments: list[str] | None = None) -> int:
    """Exit code 1 where something stands against it."""
    (tag,) = sys.argv[1:] if arguments is None else arguments
    found = problems(tag, __version__, (ROOT / "CHANGELOG.md").read_text("utf-8"))
    for sentence in found:
        print(sentence, file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
