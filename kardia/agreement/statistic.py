"""What a statistic came out as: a number or the reason why there is none, and how sure it is."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

__all__ = ["Statistic"]


@dataclass(frozen=True, slots=True)
class Statistic:
    """A figure and its interval. Never NaN and never infinite.

    Attributes:
        value: None where the statistic is not defined.
        low, high: the ends of its interval; both None where there is none.
        n: how many units count towards it.
        why: a sentence: why there is no value, or why an interval that was asked for is not there. Else None.
        left_out: resamples for the interval in which the statistic was not defined, and which it does without.
    """

    value: float | None
    low: float | None
    high: float | None
    n: int
    why: str | None = None
    left_out: int = 0

    def __post_init__(self) -> None:
        if any(one is not None and not math.isfinite(one) for one in (self.value, self.low, self.high)):
            raise ValueError("a statistic holds finite numbers; where there is none it holds None and says why")
        if (self.low is None) != (self.high is None) or (self.value is None and self.low is not None):
            raise ValueError("an interval has two ends, and belongs to a value")
        if self.value is None and not self.why:
            raise ValueError("a statistic without a value says why")

    def to_json(self) -> dict[str, Any]:
        return {
            "value": self.value,
            "low": self.low,
            "high": self.high,
            "n": self.n,
            "why": self.why,
            "left_out": self.left_out,
        }
