"""Holm's correction of the p values of many tests (Holm 1979, Scandinavian Journal of Statistics 6, 65–70). Pure.

Of m tests the smallest p is multiplied by m, the next by m − 1, and so on, and no corrected p is below the one before
it. Whatever is at most α is a finding: the chance that any of them is false is at most α, however the tests hang
together. Tests may have weights (Holm's own section on them): then p/w is what is ordered, and multiplied by the sum of
the weights that are left.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

__all__ = ["holm"]


def holm(p_values: Sequence[float], weights: Sequence[float] | None = None) -> list[float]:
    """Holm's corrected p values.

    Args:
        p_values: of all tests of one family, each in [0, 1].
        weights: of each test, above 0: the more a test weighs, the less its p is multiplied. None: they are equal.

    Returns:
        in the order given, each in [0, 1]; empty where there are none.

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    shares = [1.0] * len(p_values) if weights is None else list(weights)
    ratios = [p / share for p, share in zip(p_values, shares, strict=True)]
    order = sorted(range(len(p_values)), key=ratios.__getitem__)
    left = list(accumulate(shares[place] for place in reversed(order)))
    corrected = [1.0] * len(p_values)
    least = 0.0
    for rank, place in enumerate(order):
        least = max(least, min(1.0, ratios[place] * left[-1 - rank]))
        corrected[place] = least
    return corrected
