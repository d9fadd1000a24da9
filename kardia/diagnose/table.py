"""Scorecards as arrays: replies in rows, criteria in columns, and what differs within groups."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from kardia.agreement.bootstrap import Bootstrap
from kardia.agreement.measure import Measure, Sums, ratio
from kardia.diagnose.cards import Card, Scored
from kardia.reward.words import words

if TYPE_CHECKING:
    from kardia.agreement.ratings import Array, Flags, Index
    from kardia.rubric.rubric import Rubric

__all__ = ["RESAMPLES", "Table", "column", "correlation", "mean", "table_of", "within"]

RESAMPLES = 1_000
_NOTHING = "nothing differs within groups"


@dataclass(frozen=True)
class Table:
    """The cards of one rubric and one judge.

    Attributes:
        scored: the cards.
        rubric: the rubric that they are of; None where it could not be found.
        groups: the group of each card; its id where it has none.
        seed: of intervals, and of whatever is drawn.
    """

    scored: Scored
    rubric: Rubric | None
    groups: tuple[str, ...]
    seed: int = 7

    @cached_property
    def cards(self) -> tuple[Card, ...]:
        return tuple(self.scored.cards.values())

    @cached_property
    def criteria(self) -> tuple[str, ...]:
        return self.scored.common

    @cached_property
    def group_N(self) -> Index:
        """The number of each card's group."""
        import numpy as np

        numbers = {name: number for number, name in enumerate(dict.fromkeys(self.groups))}
        return np.asarray([numbers[name] for name in self.groups], dtype=np.int64)

    @cached_property
    def grouped(self) -> bool:
        """Whether there are groups: at least one of two replies or more."""
        return len(set(self.groups)) < len(self.groups)

    @cached_property
    def score_N(self) -> Array:
        return column([card.score for card in self.cards])

    @cached_property
    def free_N(self) -> Array:
        """Scores of the replies that no veto has put at its floor, NaN elsewhere."""
        return column([None if card.vetoed_by else card.score for card in self.cards])

    @cached_property
    def value_NC(self) -> Array:
        """Values, NaN where a criterion has none."""
        import numpy as np

        rows = [[_value(card, name) for name in self.criteria] for card in self.cards]
        return np.asarray(rows, dtype=np.float64).reshape(len(self.cards), len(self.criteria))

    @cached_property
    def words_N(self) -> Array:
        return column([None if card.text is None else float(len(words(card.text))) for card in self.cards])

    @cached_property
    def characters_N(self) -> Array:
        return column([None if card.text is None else float(len(card.text)) for card in self.cards])

    @cached_property
    def bootstrap(self) -> Bootstrap:
        """Intervals by drawing groups again."""
        return Bootstrap(self.groups, resamples=RESAMPLES, seed=self.seed)

    def count(self, counts_N: Flags) -> int:
        """How many groups have a reply that counts."""
        import numpy as np

        return len(np.unique(self.group_N[counts_N]))

    def centred(self, x_N: Array, keep_N: Flags) -> tuple[Array, Flags]:
        """`x` less its group's mean over what is kept, 0 elsewhere; and which replies are kept: those of groups with
        two or more. Without groups all replies are one."""
        import numpy as np

        group_N = self.group_N if self.grouped else np.zeros(len(x_N), dtype=np.int64)
        groups = int(group_N.max(initial=-1)) + 1
        n_G = np.bincount(group_N[keep_N], minlength=groups)
        keep_N = keep_N & (n_G[group_N] > 1)
        sum_G = np.bincount(group_N[keep_N], x_N[keep_N], minlength=groups)
        mean_G = sum_G / np.maximum(n_G, 1)
        found_N = np.zeros(len(x_N))
        found_N[keep_N] = x_N[keep_N] - mean_G[group_N[keep_N]]
        # what rounding leaves of nothing is nothing
        scale = np.abs(x_N[keep_N]).max(initial=0.0)
        found_N[np.abs(found_N) <= 1e-12 * scale] = 0.0
        return found_N, keep_N


def column(values: Sequence[float | None]) -> Array:
    """NaN where there is none."""
    import numpy as np

    return np.asarray([np.nan if value is None else value for value in values], dtype=np.float64)


def within(
    table: Table, first_N: Array, other_N: Array, *, given_N: Array | None = None, ranks: bool = True
) -> Measure:
    """How far two columns go together within groups, in [−1, 1], over the replies that have both.

    With ranks: each column becomes its mid-ranks over the whole file, the group's mean is taken off, and Pearson's r is
    taken of the rest: Spearman's correlation, given the group (ranks are not per group, where two replies would leave
    only a sign). With `given`: partial, that column held equal as well.
    """
    import numpy as np
    from scipy.stats import rankdata

    given = () if given_N is None else (given_N,)
    keep_N: Flags = np.isfinite(first_N) & np.isfinite(other_N)
    for each_N in given:
        keep_N = keep_N & np.isfinite(each_N)
    parts: list[Array] = []
    kept_N = keep_N
    for each_N in (first_N, other_N, *given):
        x_N = np.where(keep_N, each_N, 0.0)
        if ranks:
            x_N[keep_N] = rankdata(x_N[keep_N])
        found_N, kept_N = table.centred(x_N, keep_N)
        parts.append(found_N)
    x_N, y_N = parts[:2]
    sums = [x_N**2, y_N**2, x_N * y_N]
    if len(parts) > 2:
        z_N = parts[2]
        sums += [z_N**2, x_N * z_N, y_N * z_N]
    counts = int(kept_N.sum())
    return Sums(np.column_stack(sums), correlation, n=counts, counts_U=kept_N, why=_NOTHING)


def correlation(sums_SD: Array) -> Array:
    """r of Σx², Σy², Σxy; where Σz², Σxz, Σyz follow, the partial one: (r_xy − r_xz r_yz) / √((1 − r_xz²)(1 − r_yz²)).
    With a z that does not differ it is r itself."""
    import numpy as np

    def of(across_S: Array, one_S: Array, two_S: Array) -> Array:
        return np.asarray(np.clip(ratio(across_S, np.sqrt(one_S * two_S)), -1.0, 1.0))

    xx_S, yy_S, xy_S = sums_SD[:, :3].T
    plain_S = of(xy_S, xx_S, yy_S)
    if sums_SD.shape[1] == 3:
        return plain_S
    zz_S, xz_S, yz_S = sums_SD[:, 3:].T
    r_xz_S, r_yz_S = (np.nan_to_num(of(across, own, zz_S)) for across, own in ((xz_S, xx_S), (yz_S, yy_S)))
    rest_S = np.sqrt(np.clip((1 - r_xz_S**2) * (1 - r_yz_S**2), 0.0, None))
    # a column that z explains whole leaves nothing to correlate
    rest_S = np.where(rest_S > 1e-9, rest_S, 0.0)
    return np.asarray(np.clip(ratio(plain_S - r_xz_S * r_yz_S, rest_S), -1.0, 1.0))


def mean(x_N: Array, why: str = "there is nothing to average") -> Measure:
    """The mean of what there is."""
    import numpy as np

    known_N: Flags = np.isfinite(x_N)
    parts_ND = np.column_stack([np.where(known_N, x_N, 0.0), known_N]).astype(np.float64)
    return Sums(
        parts_ND, lambda sums_SD: ratio(sums_SD[:, 0], sums_SD[:, 1]), n=int(known_N.sum()), counts_U=known_N, why=why
    )


def _value(card: Card, name: str) -> float:
    mark = card.marks.get(name)
    return float("nan") if mark is None or mark.value is None else mark.value


def table_of(scored: Scored, rubric: Rubric | None, *, groups: Mapping[str, str] | None = None, seed: int = 7) -> Table:
    """The table of some cards.

    Args:
        groups: id → group, for cards that say none.
    """
    known = groups or {}
    names = [
        f"group {card.group}"
        if card.group is not None
        else f"given {known[card.id]}"
        if card.id in known
        else f"id {card.id}"
        for card in scored.cards.values()
    ]
    # criteria of a row's own are another rubric: replies are compared with those that were judged alike
    names = [
        name if card.instance is None else f"{name} {card.instance}"
        for name, card in zip(names, scored.cards.values(), strict=True)
    ]
    return Table(scored, rubric, tuple(names), seed)
