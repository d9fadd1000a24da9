"""Which of two replies is better, by a judge and by people: pairwise accuracy, and what becomes of ties.

`half`: of the pairs on which people prefer one, the share on which the judge prefers the same, a tie of the judge
counting ½: the area under the curve (Hanley and McNeil 1982, W) and the concordance index (Harrell et al. 1982).
`decided`: of the pairs on which both prefer one, the share of the same: (1 + γ) / 2 of Goodman and Kruskal (1954, γ).
`match`: of all pairs, the share with the same answer, a tie being one: (C + T_both) / all (Deutsch, Foster and Freitag
2023, acc_eq).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

from kardia.agreement.measure import Measure, Sums, ratio
from kardia.agreement.ratings import Column, codes, numbers, paired
from kardia.errors import InputError

if TYPE_CHECKING:
    from kardia.agreement.ratings import Flags

__all__ = ["PREFERENCES", "Ties", "preference_accuracy", "preferences"]

PREFERENCES = ("first", "tie", "second")
"""Which is better, in their order on a line."""

Ties = Literal["half", "decided", "match"]


def preference_accuracy(judge: Column, people: Column, ties: Ties = "half") -> Measure:
    """The share of pairs on which a judge prefers what people prefer, in [0, 1].

    Args:
        judge, people: for each pair `first`, `second`, `tie`, or None where nobody said.
        ties: how they count, as above. The three are different figures: say which one it is.

    Raises:
        InputError: for other answers and other ties than these.
    """
    import numpy as np

    if ties not in get_args(Ties):
        raise InputError(f"ties count as half, decided or match, not {ties!r}")
    code_P2 = codes(paired(judge, people), PREFERENCES).reshape(-1, 2)
    judge_P, people_P = code_P2[:, 0], code_P2[:, 1]
    tie = PREFERENCES.index("tie")
    counts_P: Flags = np.asarray((code_P2 >= 0).all(axis=1))
    if ties != "match":
        counts_P &= people_P != tie
    if ties == "decided":
        counts_P &= judge_P != tie
    right_P = (judge_P == people_P) + (0.5 * ((judge_P == tie) & (people_P != tie)) if ties == "half" else 0.0)
    return Sums(
        np.column_stack([right_P * counts_P, counts_P]).astype(np.float64),
        lambda sums_SD: ratio(sums_SD[:, 0], sums_SD[:, 1]),
        n=int(counts_P.sum()),
        counts_U=counts_P,
        why={
            "half": "there is no pair on which people prefer one and the judge says something",
            "decided": "there is no pair on which both prefer one",
            "match": "there is no pair on which both say something",
        }[ties],
    )


def preferences(first: Column, second: Column, margin: float = 0.0) -> list[str | None]:
    """Which of two replies a scorer prefers, by the scores it gives them.

    Args:
        first, second: the scores of the first and the second reply of each pair; None where there is none.
        margin: scores that differ by no more than this are a tie.

    Raises:
        InputError: for scores that are no numbers, and for a margin below 0.
    """
    if not margin >= 0:
        raise InputError(f"scores differ by 0 or more, so that a margin of {margin} says nothing")
    found: list[str | None] = []
    for one, other in numbers(paired(first, second)).reshape(-1, 2).tolist():
        if one != one or other != other:
            found.append(None)
        elif abs(one - other) <= margin:
            found.append("tie")
        else:
            found.append("first" if one > other else "second")
    return found
