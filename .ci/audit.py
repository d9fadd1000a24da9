"""Asks an advisory service about every version in constraints.txt, by pip-audit.

    python .ci/audit.py [option of pip-audit …]

An advisory that .ci/audit.yaml accepts is left out until its day; after that it counts again. A package that the
service does not know is a failure too: pip-audit by itself would pass over it and say that nothing was found.
"""

from __future__ import annotations

import datetime
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from closure import ROOT, pins
from packaging.utils import canonicalize_name

from kardia.yamlfile import load_yaml

EXCEPTIONS = ROOT / ".ci" / "audit.yaml"
_ID = re.compile(r"(GHSA(-[0-9a-z]{4}){3}|PYSEC-\d{4}-\d+|CVE-\d{4}-\d{4,})\Z")
_KEYS = {"id", "package", "because", "until"}


@dataclass(frozen=True)
class Accepted:
    """An advisory that is accepted until a day, and why."""

    id: str
    package: str
    because: str
    until: datetime.date


def exceptions(rows: Sequence[Any]) -> list[Accepted]:
    """The rows of audit.yaml, checked.

    Raises:
        ValueError: where a row has other keys, no advisory's id, no reason, no day, or a package that is not pinned.
    """
    found = []
    for row in rows:
        if not isinstance(row, dict) or set(row) != _KEYS:
            raise ValueError(f".ci/audit.yaml: {row!r} needs exactly {', '.join(sorted(_KEYS))}")
        if not _ID.match(str(row["id"])):
            raise ValueError(f".ci/audit.yaml: {row['id']!r} is no advisory's id")
        if canonicalize_name(str(row["package"])) not in pins():
            raise ValueError(f".ci/audit.yaml: {row['package']!r} is not in constraints.txt; the exception can go")
        if not str(row["because"] or "").strip():
            raise ValueError(f".ci/audit.yaml: {row['id']} has no reason")
        until = datetime.date.fromisoformat(str(row["until"]))
        found.append(Accepted(str(row["id"]), str(row["package"]), str(row["because"]), until))
    return found


def command(accepted: Sequence[Accepted], today: datetime.date) -> list[str]:
    """pip-audit over constraints.txt, without the advisories that are accepted today."""
    words = [sys.executable, "-m", "pip_audit", "--strict", "--no-deps", "--disable-pip"]
    words += ["--progress-spinner", "off", "--requirement", str(ROOT / "constraints.txt")]
    for one in accepted:
        if one.until >= today:
            words += ["--ignore-vuln", one.id]
    return words


def main(arguments: list[str] | None = None) -> int:
    """pip-audit's exit code: 1 where an advisory is open or a package could not be looked up."""
    accepted = exceptions(load_yaml(EXCEPTIONS).data["exceptions"])
    today = datetime.date.today()
    for one in accepted:
        state = "accepted until" if one.until >= today else "was accepted until"
        print(f"{one.id} ({one.package}) {state} {one.until}: {one.because}")
    return subprocess.run([*command(accepted, today), *(sys.argv[1:] if arguments is None else arguments)]).returncode


if __name__ == "__main__":
    sys.exit(main())
