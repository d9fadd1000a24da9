"""What is unscored, why, and whether it has to do with length or with the prompt. Pure."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING

from kardia.agreement.statistic import Statistic
from kardia.diagnose.finding import Finding, Record, share
from kardia.diagnose.table import Table

if TYPE_CHECKING:
    from kardia.agreement.ratings import Array

__all__ = ["check_gaps"]

FEW, MANY = 0.05, 0.2
"""Shares that the near end of the interval must pass."""
BOUND, LEAST = 0.05, 0.2
REASONS = 5
_NUMBER = re.compile(r"\d+(?:\.\d+)?")
_LONGEST = 160


def check_gaps(table: Table, record: Record) -> None:
    """Judgments that were wanted and could not be had, by criterion and by reason; abstentions are counted beside."""
    import numpy as np

    reasons: dict[str, Counter[str]] = {}
    missing_N = np.zeros(len(table.cards), dtype=bool)
    for name in table.criteria:
        marks = [card.marks.get(name) for card in table.cards]
        wanted = [mark for mark in marks if mark is not None and mark.status != "not_applicable"]
        gone = [mark for mark in wanted if mark.status == "unscored"]
        missing_N |= np.asarray([mark is not None and mark.status == "unscored" for mark in marks], dtype=bool)
        figures = record.of(name)
        figures["unscored"] = told = share(len(gone), len(wanted), "no reply has this criterion")
        figures["abstained"] = share(
            sum(mark.status == "abstained" for mark in wanted), len(wanted), "no reply has this criterion"
        )
        if not gone:
            continue
        reasons[name] = Counter(_plain(mark.error) for mark in gone)
        if told.low is not None and told.low > FEW:
            often = reasons[name].most_common(1)[0]
            record.certain.append(
                Finding(
                    "unscored",
                    name,
                    {"unscored": told},
                    len(wanted),
                    "high" if told.low > MANY else "medium",
                    f"{name} is unscored in {told.value:.0%} of {len(wanted):,} replies; the commonest reason "
                    f"({often[1]:,} times): {often[0]}",
                    "Such replies have no reward, and what is left over may be other replies than these. Look at the "
                    "reason first: `kardia judge check`, more room for the answer, or another template.",
                )
            )
    record.overall["unscored"] = share(sum(card.score is None for card in table.cards), len(table.cards))
    record.detail["unscored"] = {
        "reasons": {
            name: [{"reason": reason, "count": count} for reason, count in counts.most_common(REASONS)]
            for name, counts in reasons.items()
        },
        "groups": _whole_groups(table, missing_N),
    }
    if missing_N.any() and not missing_N.all() and np.isfinite(table.words_N).any():
        _by_length(table, record, missing_N.astype(np.float64))


def _whole_groups(table: Table, missing_N: Array) -> dict[str, int]:
    """In how many groups, of two replies or more, something is unscored in a reply, and in every reply."""
    import numpy as np

    groups = int(table.group_N.max(initial=-1)) + 1
    n_G = np.bincount(table.group_N, minlength=groups)
    gone_G = np.bincount(table.group_N, missing_N.astype(np.float64), minlength=groups)
    several_G = n_G > 1
    return {
        "groups": int(several_G.sum()),
        "some": int((several_G & (gone_G > 0)).sum()),
        "all": int((several_G & (gone_G == n_G)).sum()),
    }


def _by_length(table: Table, record: Record, missing_N: Array) -> None:
    from scipy.stats import rankdata

    from kardia.agreement.correlation import pearson

    # between groups as well: a long prompt's replies may all be too long
    ranks_N = rankdata(table.words_N, nan_policy="omit")
    measure = pearson(
        [float(value) for value in missing_N], [None if value != value else float(value) for value in ranks_N]
    )
    told: Statistic = table.bootstrap.statistic(measure)
    record.overall["unscored_words"] = told
    if told.value is None:
        return
    word = "longer" if told.value > 0 else "shorter"
    record.claim(
        Finding(
            "unscored_by_length",
            None,
            {"unscored_words": told},
            told.n,
            "medium",
            f"The {word} a reply, the likelier it is unscored (ρ = {told.value:+.2f}): what has a score is "
            "a selection.",
            "Give the judge more room (context, limits.timeout_s, sampling.max_tokens), so that all lengths are judged."
            if told.value > 0
            else "Look at short replies that are unscored: an empty one needs a level of its own in the rubric.",
        ),
        told,
        BOUND,
        LEAST,
        table.count(measure.counts_U),
    )


def _plain(error: str | None) -> str:
    """Errors that differ in numbers alone are one reason."""
    return _NUMBER.sub("#", " ".join((error or "no reason is given").split()))[:_LONGEST]
