"""Which scorecards of a large run a report lists: a sample with every kind in its share. Pure."""

from __future__ import annotations

import random
from collections.abc import Hashable, Sequence

__all__ = ["chosen"]


def chosen(strata: Sequence[Hashable], most: int, seed: int = 0) -> list[int] | None:
    """The places of a stratified sample, ascending; None where all of them may stay.

    Each stratum gets its share of `most` by largest remainders, and at least one place where there are enough places.

    Args:
        strata: of each item, which stratum it is in.
        most: how many items there may be, 1 or more.
        seed: of the choice within a stratum.

    >>> chosen("aaaaaaaab", 3)
    [6, 7, 8]
    """
    if len(strata) <= most:
        return None
    places: dict[Hashable, list[int]] = {}
    for place, stratum in enumerate(strata):
        places.setdefault(stratum, []).append(place)
    sizes = _shares([len(each) for each in places.values()], most)
    random_ = random.Random(seed)
    found = [one for each, size in zip(places.values(), sizes, strict=True) for one in random_.sample(each, size)]
    return sorted(found)


def _shares(sizes: Sequence[int], most: int) -> list[int]:
    """`most` dealt out in proportion to the sizes, of which no stratum gets more than it has."""
    total = sum(sizes)
    exact = [size * most / total for size in sizes]
    dealt = [int(share) for share in exact]
    order = sorted(range(len(sizes)), key=lambda place: dealt[place] - exact[place])
    for place in order[: most - sum(dealt)]:
        dealt[place] += 1
    if most >= len(sizes):
        for place, size in enumerate(dealt):
            if not size:  # a rare kind is what one looks for: it takes a place from the commonest
                dealt[dealt.index(max(dealt))] -= 1
                dealt[place] = 1
    return dealt
