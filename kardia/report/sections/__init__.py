"""What other commands found, read from their JSON and shown beside the scores."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from kardia.errors import InputError
from kardia.reading.jsontext import JsonFault, parse_json
from kardia.report.sections.agreement import agreement_section
from kardia.report.sections.blocks import Section
from kardia.report.sections.calibration import calibration_section
from kardia.report.sections.diagnosis import diagnosis_section
from kardia.report.sections.probes import probes_section

__all__ = ["read_sections"]

_READ: Mapping[str, tuple[str, Callable[[Mapping[str, Any]], Section]]] = {
    "agree": ("kardia agree --json", agreement_section),
    "probe": ("kardia probe --json", probes_section),
    "diagnose": ("kardia diagnose --json", diagnosis_section),
}


def read_sections(
    *,
    agree: str | Path | None = None,
    calibration: str | Path | None = None,
    probe: str | Path | None = None,
    diagnose: str | Path | None = None,
    bound: Sequence[tuple[str, str, str]] = (),
) -> list[Section]:
    """The sections of the files that are given, in the page's order.

    Args:
        agree, probe, diagnose: what these commands wrote with `--json`.
        calibration: the artifact that `kardia calibrate` wrote.
        bound: as `calibration_section` takes it.

    Raises:
        InputError: for a file that cannot be read, or is not what it should be.
    """
    given = {"agree": agree, "calibration": calibration, "probe": probe, "diagnose": diagnose}
    found: list[Section] = []
    for kind, path in given.items():
        if path is None:
            continue
        data = _object(path)
        what, make = ("kardia calibrate", None) if kind == "calibration" else _READ[kind]
        try:
            found.append(calibration_section(data, bound) if make is None else make(data))
        except (KeyError, TypeError, AttributeError, ValueError) as problem:
            missing = f" (it has no {problem})" if isinstance(problem, KeyError) else ""
            raise InputError(f"is not what `{what}` writes{missing}", file=str(path)) from None
    return found


def _object(path: str | Path) -> Mapping[str, Any]:
    try:
        data = parse_json(Path(path).read_text("utf-8"))
    except OSError as problem:
        raise InputError(f"cannot be read: {problem.strerror or problem}", file=str(path)) from None
    except (JsonFault, UnicodeDecodeError) as problem:
        raise InputError(f"is not JSON: {problem}", file=str(path)) from None
    if not isinstance(data, Mapping):
        raise InputError("is not an object of JSON", file=str(path))
    return data
