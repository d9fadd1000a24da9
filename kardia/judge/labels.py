"""What stands for a criterion's levels where a judge answers by a single token. Pure."""

from __future__ import annotations

from kardia.rubric.models import BinaryScale, Criterion, Level, OrdinalScale

__all__ = ["level_labels"]

_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def level_labels(criterion: Criterion) -> dict[str, Level]:
    """What a judge writes for each level in `logprob` mode: single tokens everywhere — digits, no/yes, or letters.

    Raises:
        ValueError: for more than 26 levels.
    """
    levels = criterion.levels
    if isinstance(criterion.scale, BinaryScale):
        return {str(level): level for level in levels}
    if isinstance(criterion.scale, OrdinalScale) and all(isinstance(n, int) and 0 <= n <= 9 for n in levels):
        return {str(level): level for level in levels}
    if len(levels) > len(_LETTERS):
        raise ValueError(f"{criterion.id} has {len(levels)} levels; logprob mode has letters for {len(_LETTERS)}")
    return dict(zip(_LETTERS, levels, strict=False))
