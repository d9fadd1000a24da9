"""Whether longer replies get higher scores than they should. Pure.

Within groups, where replies answer the same prompt. What a label explains is taken out where there are labels: people,
too, may find longer replies better. Without them a correlation is only a reason to look. Vetoed replies are left out of
the score's correlation: their score is a floor, whatever their length.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kardia.agreement.measure import Measure, Sums, ratio
from kardia.diagnose.finding import Finding, Record
from kardia.diagnose.table import Table, within

if TYPE_CHECKING:
    from kardia.agreement.ratings import Array, Index

__all__ = ["check_length"]

BOUND, LEAST = 0.05, 0.25
"""A correlation of which it is certain that it is beyond the first, and which is the second or more, is a finding."""
STRONG = 0.5
MIN_LABELLED = 20


def check_length(table: Table, record: Record, label_N: Array | None = None, label_NC: Array | None = None) -> None:
    """Correlations of the score and of each criterion with the length of the reply.

    Args:
        label_N: what people say of each reply, NaN where nobody does: the mean over criteria, in [0, 1].
        label_NC: the same by criterion.
    """
    import numpy as np

    if not np.isfinite(table.words_N).any():
        record.skipped["length"] = "the cards hold no texts (--no-text): the length of replies is not known"
        return
    figures = record.overall
    figures["long_gain"] = table.bootstrap.statistic(_gain(table))
    _one(table, record, None, table.free_N, label_N)
    figures["characters"] = table.bootstrap.statistic(within(table, table.free_N, table.characters_N))
    for place, name in enumerate(table.criteria):
        x_N = table.value_NC[:, place]
        own_N = None if label_NC is None else label_NC[:, place]
        # where nobody labelled this criterion, what they say of the others stands for it
        _one(table, record, name, x_N, own_N if own_N is not None and np.isfinite(own_N).any() else label_N)
        figures = record.of(name)
        figures["characters"] = table.bootstrap.statistic(within(table, x_N, table.characters_N))
        # of all criteria that go with quality, which goes with length beyond that?
        figures["words_beyond_rest"] = table.bootstrap.statistic(
            within(table, x_N, table.words_N, given_N=_rest(table, place))
        )


def _one(table: Table, record: Record, name: str | None, x_N: Array, label_N: Array | None) -> None:
    import numpy as np

    figures = record.of(name)
    raw = within(table, x_N, table.words_N)
    figures["words"] = told = table.bootstrap.statistic(raw)
    measure, beyond = raw, ""
    if label_N is not None and int(np.isfinite(label_N[np.isfinite(x_N)]).sum()) >= MIN_LABELLED:
        measure = within(table, x_N, table.words_N, given_N=label_N)
        told = table.bootstrap.statistic(measure)
        if told.value is not None:
            figures["words_beyond_labels"] = told
            beyond = ", beyond what people's labels explain"
        else:
            measure, told = raw, figures["words"]
    if told.value is None:
        return
    what = "The score" if name is None else name
    where = "within groups" if table.grouped else "over all replies"
    direction = "rises" if told.value > 0 else "falls"
    gain = ""
    if name is None and (found := figures["long_gain"].value) is not None:
        gain = f"; the longer half of a group has {found:+.2f} against the shorter"
    check = "" if beyond else "See whether people agree that length is quality here (--labels). If not: "
    record.claim(
        Finding(
            "length",
            name,
            {"words_beyond_labels" if beyond else "words": told},
            told.n,
            "high" if abs(told.value) >= STRONG else "medium",
            f"{what} {direction} with the number of words {where} (ρ = {told.value:+.2f}{beyond}{gain}).",
            f"{check}say in the criteria that length does not count, or add a length penalty as a reward term; then "
            "score and diagnose again.",
        ),
        told,
        BOUND,
        LEAST,
        table.count(measure.counts_U),
    )


def _rest(table: Table, place: int) -> Array:
    """The mean of the other criteria; NaN where there is none."""
    import numpy as np

    others_ND = np.delete(table.value_NC, place, axis=1)
    n_N = np.isfinite(others_ND).sum(axis=1)
    return ratio(np.nansum(others_ND, axis=1), n_N.astype(np.float64))


def _gain(table: Table) -> Measure:
    """The mean score of the longer half of each group less that of the shorter, in [−1, 1]; the middle one is neither.
    The group's mean is taken off the scores first."""
    import numpy as np

    known_N = np.isfinite(table.free_N) & np.isfinite(table.words_N)
    score_N, kept_N = table.centred(np.nan_to_num(table.free_N), known_N)
    side_N = np.zeros(len(score_N))
    group_N = table.group_N if table.grouped else np.zeros(len(score_N), dtype=np.int64)
    order = np.flatnonzero(kept_N)
    for members in np.split(order[np.argsort(group_N[order], kind="stable")], _cuts(np.sort(group_N[order]))):
        if len(members):
            side_N[members] = np.sign(table.words_N[members] - np.median(table.words_N[members]))
    parts_ND = np.column_stack([score_N * (side_N > 0), side_N > 0, score_N * (side_N < 0), side_N < 0])

    def of(sums_SD: Array) -> Array:
        return ratio(sums_SD[:, 0], sums_SD[:, 1]) - ratio(sums_SD[:, 2], sums_SD[:, 3])

    counts_N = side_N != 0
    why = "within groups all replies are equally long"
    return Sums(parts_ND.astype(np.float64), of, n=int(counts_N.sum()), counts_U=counts_N, why=why)


def _cuts(sorted_N: Index) -> Index:
    """Where a new group begins."""
    import numpy as np

    return np.asarray(np.flatnonzero(np.diff(sorted_N)) + 1, dtype=np.int64)
