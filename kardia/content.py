"""Finds the content that is not code: rubrics, judge profiles, templates, example conversations.

Looked up in this order: the working directory's `rubrics/` (or `judges/`), every folder of `$KARDIA_PATH`, and what is
shipped with kardia — beside the package in a checkout, inside it (`kardia/_content/`) in an installed wheel.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

__all__ = ["Kind", "folders", "shipped"]

Kind = Literal["rubrics", "judges", "training", "examples"]

_PACKAGE = Path(__file__).resolve().parent


def shipped(kind: Kind) -> Path:
    """The folder of what kardia ships of this kind: the same call in a checkout and in an installed wheel."""
    inside = _PACKAGE / "_content" / kind
    return inside if inside.is_dir() else _PACKAGE.parent / kind


def folders(kind: Kind) -> list[Path]:
    """The existing folders to look in, first come first served; one folder reached by two ways is listed once."""
    places = [Path.cwd() / kind]
    for entry in os.environ.get("KARDIA_PATH", "").split(os.pathsep):
        if entry:
            # unlike Path.expanduser, leaves an unknown ~user alone
            places.append(Path(os.path.expanduser(entry)) / kind)
    places.append(shipped(kind))
    found: dict[Path, Path] = {}
    for place in places:
        if place.is_dir():
            found.setdefault(place.resolve(), place)
    return list(found.values())
