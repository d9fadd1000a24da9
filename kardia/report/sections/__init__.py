"""What other commands found, read from their JSON and shown beside the scores."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from kardia.calibration.artifact import parse_calibration
from kardia.datafile import Malformed
from kardia.errors import InputError
from kardia.reading.jsontext import JsonFault, parse_json
from kardia.report.sections.agreement import agreement_section
from kardia.report.sections.blocks import Section
from kardia.report.sections.bound import Bound
from kardia.report.sections.calibration import calibration_section
from kardia.report.sections.comparison import comparison_section
from kardia.report.sections.diagnosis import diagnosis_section
from kardia.report.sections.probes import probes_section

__all__ = ["read_sections"]

_READ: Mapping[str, tuple[str, Callable[[Mapping[str, Any], Bound | None], Section]]] = {
    "agree": ("kardia agree --json", agreement_section),
    "probe": ("kardia probe --json", probes_section),
    "diagnose": ("kardia diagnose --json", diagnosis_section),
    "compare": ("kardia compare --json", comparison_section),
}


def read_sections(
    *,
    agree: str | Path | None = None,
    calibration: str | Path | None = None,
    probe: str | Path | None = None,
    diagnose: str | Path | None = None,
    compare: str | Path | None = None,
    bound: Bound | None = None,
) -> list[Section]:
    """The sections of the files that are given, in the page's order.

    Args:
        agree, probe, diagnose, compare: what these commands wrote with `--json`.
        calibration: the artifact that `kardia calibrate` wrote.
        bound: what made the scores of the report; a file that is of something else is shown, and says so.

    Raises:
        InputError: for a file that cannot be read, or is not what it should be.
    """
    given = {"agree": agree, "calibration": calibration, "probe": probe, "diagnose": diagnose, "compare": compare}
    found: list[Section] = []
    for kind, path in given.items():
        if path is not None:
            found.append(_calibration(path, bound) if kind == "calibration" else _section(kind, path, bound))
    return found


def _calibration(path: str | Path, bound: Bound | None) -> Section:
    try:
        return calibration_section(parse_calibration(_text(path)), bound)
    except Malformed as problem:
        raise InputError(f"is not what `kardia calibrate` writes: {problem}", file=str(path)) from None


def _section(kind: str, path: str | Path, bound: Bound | None) -> Section:
    what, make = _READ[kind]
    try:
        data = parse_json(_text(path))
    except JsonFault as problem:
        raise InputError(f"is not JSON: {problem}", file=str(path)) from None
    if not isinstance(data, Mapping):
        raise InputError("is not an object of JSON", file=str(path))
    try:
        return make(data, bound)
    except (KeyError, IndexError, TypeError, AttributeError, ValueError) as problem:
        missing = f" (it has no {problem})" if isinstance(problem, KeyError) else ""
        raise InputError(f"is not what `{what}` writes{missing}", file=str(path)) from None


def _text(path: str | Path) -> str:
    try:
        return Path(path).read_text("utf-8")
    except OSError as problem:
        raise InputError(f"cannot be read: {problem.strerror or problem}", file=str(path)) from None
    except UnicodeDecodeError as problem:
        raise InputError(f"is not JSON: {problem}", file=str(path)) from None
