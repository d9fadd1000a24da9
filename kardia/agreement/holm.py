"""Holm's correction of the p values of many tests (Holm 1979, Scandinavian Journal of Statistics 6, 65–70). Pure.

Of m tests the smallest p is multiplied by m, the next by m − 1, and so on, and no corrected p is below the one before
it. Whatever is at most α is a finding: the chance that any of them is false is at most α, however the tests hang
together.
"""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["holm"]


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's corrected p values.

    Args:
        p_values: of all tests of one family, each in [0, 1].

    Returns:
        in the order given, each in [0, 1]; empty where there are none.

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    corrected = [1.0] * len(p_values)
    least = 0.0
    for rank, place in enumerate(order):
        least = max(least, min(1.0, p_values[place] * (len(order) - rank)))
        corrected[place] = least
    return corrected
