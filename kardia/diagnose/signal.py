"""Which criteria carry a signal: one level throughout, always at an end, or equal within groups. Pure.

GRPO's advantage is a reply's score less its group's mean: what is equal in all replies of a group adds nothing to it,
however much it differs between prompts.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from kardia.agreement.measure import Sums, centred_square, ratio
from kardia.agreement.statistic import Statistic
from kardia.diagnose.finding import Finding, Record, share
from kardia.diagnose.table import Table

if TYPE_CHECKING:
    from kardia.agreement.ratings import Array, Flags

__all__ = ["check_signal"]

MIN_CARDS = 10
"""With fewer scored replies, one level throughout may be chance."""
MIN_GROUPS = 5
FLAT = 0.01
"""Values that differ by less, of the scale's length, are equal."""
NEAR = 0.05
"""How near to the end of the scale a value is at its end."""
ALIKE, ALIKE_OF_TWO = 0.95, 0.97
"""So many replies at one level are as good as all, where the near end of the interval bears it out."""
CONSTANT, CONSTANT_OF_TWO, ENDED, ENDED_OF_TWO, DEAD, FLAT_SCORES = 0.8, 0.9, 0.8, 0.95, 0.8, 0.5
"""Bounds that the near end of a share's interval must pass. What has two levels only may be rare by its nature."""


def check_signal(table: Table, record: Record) -> None:
    """Constant criteria, criteria at an end of their scale, and dead ones; each criterion is at most one of them."""
    import numpy as np

    inner_C = _within_squares(table)
    total = float(inner_C.sum())
    for place, name in enumerate(table.criteria):
        x_N = table.value_NC[:, place]
        figures = record.of(name)
        figures.update(_levels(table, name, x_N))
        figures["within"] = _within_share(table, x_N)
        figures["carried"] = (
            Statistic(float(inner_C[place]) / total, None, None, int(np.isfinite(x_N).sum()))
            if total > 0
            else Statistic(None, None, None, 0, "no criterion differs within groups")
        )
        figures["flat"] = _flat(table, x_N)
        finding = _finding(table, name, figures)
        if finding is not None:
            record.certain.append(finding)
    record.overall["flat"] = flat = _flat(table, table.score_N)
    if not table.grouped:
        record.skipped["groups"] = (
            "no group has two replies: what differs within groups is not known; score several replies to each prompt, "
            "with the same `group` in their rows"
        )
    elif flat.n >= MIN_GROUPS and flat.low is not None and flat.low > FLAT_SCORES:
        record.certain.append(
            Finding(
                "flat_groups",
                None,
                {"flat": flat},
                flat.n,
                "medium",
                f"In {flat.value:.0%} of {flat.n:,} groups all replies have the same score: they teach nothing.",
                "Leave such prompts out (`kardia filter`), write more or warmer samples to each, or use scales that "
                "tell replies apart.",
            )
        )


def _within_squares(table: Table) -> Array:
    """Σ of squares within groups, by criterion."""
    import numpy as np

    found = [table.centred(np.nan_to_num(x_N), np.isfinite(x_N))[0] for x_N in table.value_NC.T]
    return np.asarray([float((x_N**2).sum()) for x_N in found])


def _levels(table: Table, name: str, x_N: Array) -> dict[str, Statistic]:
    """Share of the commonest level, and of the ends."""
    import numpy as np

    counts = Counter(
        mark.level for card in table.cards if (mark := card.marks.get(name)) is not None and mark.level is not None
    )
    n = sum(counts.values())
    known_N = x_N[np.isfinite(x_N)]
    return {
        "commonest": share(max(counts.values(), default=0), n),
        "top": share(int((known_N >= 1 - NEAR).sum()), n),
        "bottom": share(int((known_N <= NEAR).sum()), n),
    }


def _within_share(table: Table, x_N: Array) -> Statistic:
    """What of a criterion's variance lies within groups, in [0, 1]."""
    import numpy as np

    known_N: Flags = np.isfinite(x_N)
    inner_N, kept_N = table.centred(np.nan_to_num(x_N), known_N)
    x_N = np.where(kept_N, x_N, 0.0)
    parts_ND = np.column_stack([inner_N**2, x_N, x_N**2, kept_N]).astype(np.float64)

    def of(sums_SD: Array) -> Array:
        whole_S = centred_square(sums_SD[:, 2], sums_SD[:, 1], sums_SD[:, 3])
        return np.minimum(ratio(sums_SD[:, 0], whole_S), 1.0)

    measure = Sums(parts_ND, of, n=int(kept_N.sum()), counts_U=kept_N, why="the criterion does not differ")
    if not table.grouped:
        return Statistic(None, None, None, measure.n, "no group has two replies")
    return table.bootstrap.statistic(measure)


def _flat(table: Table, x_N: Array) -> Statistic:
    """The share of groups, of those with two scored replies or more, in which all are equal."""
    import numpy as np

    if not table.grouped:
        return Statistic(None, None, None, 0, "no group has two replies")
    known_N = np.isfinite(x_N)
    groups = int(table.group_N.max()) + 1
    high_G, low_G = np.full(groups, -np.inf), np.full(groups, np.inf)
    np.maximum.at(high_G, table.group_N[known_N], x_N[known_N])
    np.minimum.at(low_G, table.group_N[known_N], x_N[known_N])
    several_G = np.bincount(table.group_N[known_N], minlength=groups) > 1
    spread_G = high_G[several_G] - low_G[several_G]
    return share(int((spread_G < FLAT).sum()), len(spread_G), "no group has two scored replies")


def _finding(table: Table, name: str, figures: dict[str, Statistic]) -> Finding | None:
    commonest, top, bottom, flat = (figures[key] for key in ("commonest", "top", "bottom", "flat"))
    n = commonest.n
    criterion = None if table.rubric is None else table.rubric.by_id.get(name)
    # a requirement is there to hold: that it nearly always does is said by the vetoes
    needed = (criterion is not None and criterion.required is not None) or any(
        name in card.vetoed_by for card in table.cards
    )
    if n < MIN_CARDS or commonest.value is None or commonest.low is None or needed:
        return None
    of_two = len(criterion.levels) == 2 if criterion is not None else _seen(table, name) <= {"no", "yes"}
    alike, certain = (ALIKE_OF_TWO, CONSTANT_OF_TWO) if of_two else (ALIKE, CONSTANT)
    if commonest.value == 1.0 or (commonest.value >= alike and commonest.low > certain):
        level = Counter(mark.level for card in table.cards if (mark := card.marks.get(name)) and mark.level).most_common
        told = f"in all {n:,} replies" if commonest.value == 1.0 else f"in {commonest.value:.1%} of {n:,} replies"
        return Finding(
            "constant",
            name,
            {"commonest": commonest},
            n,
            "high",
            f"{name} has the level {level(1)[0][0]} {told}: it carries next to no signal.",
            "Look at replies that differ in it. If people tell them apart, describe the levels more sharply or ask "
            "another judge; if nobody does, take the criterion out.",
        )
    bound = ENDED_OF_TWO if of_two else ENDED
    for kind, end, word in (("ceiling", top, "best"), ("floor", bottom, "worst")):
        if end.low is not None and end.low > bound:
            return Finding(
                "ceiling" if kind == "ceiling" else "floor",
                name,
                {kind: end},
                n,
                "medium",
                f"{name} is at its {word} end in {end.value:.0%} of {n:,} replies: there is little left to learn from.",
                "Make the levels near that end finer, or give the criterion less weight than what still differs.",
            )
    if flat.n >= MIN_GROUPS and flat.low is not None and flat.low > DEAD:
        return Finding(
            "dead",
            name,
            {"flat": flat, "within": figures["within"]},
            flat.n,
            "medium",
            f"{name} is equal for all replies in {flat.value:.0%} of {flat.n:,} groups: it differs between prompts, "
            "and adds next to nothing to an advantage.",
            "Ask about the reply rather than about the situation, or sample replies that differ more.",
        )
    return None


def _seen(table: Table, name: str) -> set[str]:
    return {mark.level for card in table.cards if (mark := card.marks.get(name)) is not None and mark.level is not None}
