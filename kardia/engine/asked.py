"""What came of one request."""

from __future__ import annotations

from dataclasses import dataclass

from kardia.judge.protocol import Usage
from kardia.judgment import Judgment

__all__ = ["Asked"]


@dataclass(frozen=True, slots=True)
class Asked:
    """What came of one request: a judgment for each of its criteria, and what it took."""

    judgments: tuple[Judgment, ...]
    usage: Usage
