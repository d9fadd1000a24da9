"""How often chance in the judge decides the sign of an advantage. Pure.

Where the judge gives several samples, or probabilities of its levels, they say how else it might have answered. Each
criterion is drawn again, many times, and the rubric makes scores of what was drawn; how much a reply's advantage (its
score less its group's mean) varies over the draws is its noise, σ². Of k samples, k − 1 are drawn with replacement: the
variance of their mean is then without bias (Rao and Wu 1988). With V for the mean square of the recorded advantages,
two scorings would correlate by ρ = 1 − σ²/V within groups; a judge that gives the expectation of its probabilities,
which has no noise of its own, by ρ = V/(V + σ²) if it were to answer with one level each. Two scorings that correlate
by ρ disagree on the sign of a share arccos(ρ)/π of the advantages, were they normally distributed (Sheppard 1899).

A second scoring of the same replies by the same judge says it without a model: how often the two disagree on the sign.
What is drawn, and the bounds, are kardia's own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from kardia.aggregate import aggregate, apply_conditions
from kardia.agreement.measure import Sums, ratio
from kardia.diagnose.cards import Card, Mark
from kardia.diagnose.finding import Finding, Record
from kardia.diagnose.table import Table, column, mean, within
from kardia.judgment import Judgment

if TYPE_CHECKING:
    from kardia.agreement.ratings import Array, Flags
    from kardia.rubric.models import Criterion, Level
    from kardia.rubric.rubric import Rubric

__all__ = ["check_noise", "check_second"]

DRAWS = 40
MOST = 16_000
"""So many cards are drawn at most, over all draws; groups beyond are left out, by chance."""
BOUND, LEAST = 0.2, 0.3
"""Of disagreements between two scorings, which chance alone has at one half."""
STRONG = 0.4
_EVEN = 1e-9


def check_noise(table: Table, record: Record) -> None:
    """Flips of the sign of the advantage, from the judge's own samples or probabilities."""
    import numpy as np

    if not any(_is_uncertain(mark) for card in table.cards for mark in card.marks.values()):
        record.skipped["noise"] = (
            "the judge says one level each: how sure it is is not known; ask for samples (--set sampling.samples=5), "
            "or score once more (--fresh) and give that file with --against"
        )
        return
    if table.rubric is None:
        record.skipped["noise"] = (
            f"the rubric {table.scored.rubric} was not found as it was: name it with --rubric to draw levels again"
        )
        return
    for place, name in enumerate(table.criteria):
        _of_criterion(table, record, place, table.rubric.by_id.get(name))
    if not table.grouped:
        return
    chosen_N = _chosen(table)
    drawn = _drawn(table, table.rubric, chosen_N)
    if drawn is None:
        record.skipped["noise"] = "the rubric's aggregation needs more than levels: scores cannot be drawn again"
        return
    score_N = np.where(chosen_N, table.free_N, np.nan)  # a floor far below is not normally distributed
    known_N: Flags = np.isfinite(score_N) & np.isfinite(drawn).all(axis=0)
    advantage_N, kept_N = table.centred(np.nan_to_num(score_N), known_N)
    noise_N = np.stack([table.centred(np.nan_to_num(row_N), known_N)[0] for row_N in drawn]).var(axis=0, ddof=1)
    sampled = any(mark.samples and len(mark.samples) > 1 for card in table.cards for mark in card.marks.values())
    parts_ND = np.where(kept_N[:, None], np.column_stack([noise_N, advantage_N**2]), 0.0)

    def measure(of: Callable[[Array], Array]) -> Sums:
        why = "within groups scores do not differ"
        return Sums(parts_ND, of, n=int(kept_N.sum()), counts_U=kept_N, why=why)

    def disagreement(sums_SD: Array) -> Array:
        noise_S = ratio(sums_SD[:, 0], sums_SD[:, 1])
        # more noise than there is variance is an estimate's own noise: then all is chance
        rho_S = np.clip(1.0 - noise_S, 0.0, 1.0) if sampled else 1.0 / (1.0 + noise_S)
        return np.asarray(np.arccos(rho_S) / np.pi)

    record.overall["noise"] = told = table.bootstrap.statistic(
        measure(lambda sums_SD: ratio(sums_SD[:, 0], sums_SD[:, 1]))
    )
    record.overall["flips"] = flips = table.bootstrap.statistic(measure(disagreement))
    if flips.value is None or told.value is None:
        return
    asked = (
        "Asked twice, the judge"
        if sampled
        else "Were it to answer with one level each, by its probabilities, the judge"
    )
    advice = (
        "Average more samples of each judgment (sampling.samples), use a panel, or write replies that differ more; "
        "criteria with much noise are worth less weight."
        if sampled
        else "Keep to the expectation of its probabilities, as these scores do, and do not sample its levels; a "
        "criterion with much noise is one that the judge cannot tell."
    )
    record.claim(
        Finding(
            "noise",
            None,
            {"flips": flips, "noise": told},
            flips.n,
            ("high" if flips.value >= STRONG else "medium") if sampled else "low",
            f"{asked} would disagree with itself on the sign of {flips.value:.0%} of the advantages.",
            advice,
        ),
        flips,
        BOUND,
        LEAST,
        table.count(kept_N),
    )


def check_second(table: Table, record: Record, second: Mapping[str, Card]) -> None:
    """Disagreement on the sign of the advantage between two scorings by one judge.

    Args:
        second: id → the card of the second scoring.
    """
    import numpy as np

    other_N = column([None if (card := second.get(own.id)) is None else card.score for own in table.cards])
    both_N: Flags = np.isfinite(table.score_N) & np.isfinite(other_N)
    if both_N.any() and (table.score_N[both_N] == other_N[both_N]).all():
        record.skipped["second scoring"] = (
            "both scorings are equal to the last digit: the second may come from the ledger (--fresh asks again)"
        )
    if not table.grouped:
        return
    first_N, kept_N = table.centred(np.nan_to_num(table.score_N), both_N)
    second_N, _ = table.centred(np.nan_to_num(other_N), both_N)
    even_N = (np.abs(first_N) <= _EVEN) | (np.abs(second_N) <= _EVEN)
    counts_N = kept_N & ~((np.abs(first_N) <= _EVEN) & (np.abs(second_N) <= _EVEN))
    differs_N = np.where(even_N, 0.5, np.sign(first_N) != np.sign(second_N))
    told = table.bootstrap.statistic(mean(np.where(counts_N, differs_N, np.nan), "no advantage differs from 0"))
    record.overall["sign_differs"] = told
    record.overall["retest"] = table.bootstrap.statistic(within(table, table.score_N, other_N, ranks=False))
    if told.value is None:
        return
    record.claim(
        Finding(
            "noise",
            None,
            {"sign_differs": told, "retest": record.overall["retest"]},
            told.n,
            "high" if told.value >= STRONG else "medium",
            f"Two scorings by one judge disagree on the sign of {told.value:.0%} of the advantages.",
            "Average more samples of each judgment (sampling.samples), use a panel, or write replies that differ more.",
        ),
        told,
        BOUND,
        LEAST,
        table.count(counts_N),
    )


def _is_uncertain(mark: Mark) -> bool:
    return mark.probabilities is not None or (mark.samples is not None and len(mark.samples) > 1)


def _spread(mark: Mark, worth: Mapping[str, float]) -> float | None:
    """The variance of the value that the judge would give if asked again; None where nothing says."""
    if mark.value is None or not _is_uncertain(mark):
        return None
    if mark.samples is not None and len(mark.samples) > 1:
        values = [worth[level] for level in mark.samples if level in worth]
        if len(values) < 2:
            return None
        middle = sum(values) / len(values)
        return sum((value - middle) ** 2 for value in values) / (len(values) - 1) / len(values)
    assert mark.probabilities is not None
    known = [(worth[level], share) for level, share in mark.probabilities.items() if level in worth]
    whole = sum(share for _, share in known)
    if not whole:
        return None
    middle = sum(value * share for value, share in known) / whole
    return sum(share * (value - middle) ** 2 for value, share in known) / whole


def _of_criterion(table: Table, record: Record, place: int, criterion: Criterion | None) -> None:
    """Noise in a criterion's value, as a share of what it differs within groups."""
    import numpy as np

    if criterion is None:
        return
    name, worth = criterion.id, {str(level): criterion.value(level) for level in criterion.levels}
    noise_N = column([None if (mark := card.marks.get(name)) is None else _spread(mark, worth) for card in table.cards])
    x_N = np.where(np.isfinite(noise_N), table.value_NC[:, place], np.nan)
    inner_N, kept_N = table.centred(np.nan_to_num(x_N), np.isfinite(x_N))
    parts_ND = np.where(kept_N[:, None], np.column_stack([np.nan_to_num(noise_N), inner_N**2]), 0.0)
    measure = Sums(
        parts_ND,
        lambda sums_SD: ratio(sums_SD[:, 0], sums_SD[:, 1]),
        n=int(kept_N.sum()),
        counts_U=kept_N,
        why="nothing differs within groups, or the judge does not say how sure it is",
    )
    record.of(name)["noise"] = table.bootstrap.statistic(measure)


def _chosen(table: Table) -> Any:
    """The cards of as many groups as can be drawn, (N,)."""
    import numpy as np

    groups = np.random.default_rng(table.seed).permutation(int(table.group_N.max()) + 1)
    n_G = np.bincount(table.group_N)
    fitting = np.cumsum(n_G[groups]) * DRAWS <= MOST
    fitting[0] = True
    return np.isin(table.group_N, groups[fitting])


def _drawn(table: Table, rubric: Rubric, chosen_N: Array) -> Array | None:
    """Scores of judgments that were drawn again, (draws, N); NaN where a card was not drawn, or has no score. None
    where the rubric's rule needs more than levels."""
    import numpy as np

    generator = np.random.default_rng(table.seed)
    found_DN = np.full((DRAWS, len(table.cards)), np.nan)
    known: dict[Any, float | None] = {}
    for place, card in enumerate(table.cards):
        # criteria of a row's own are not in the rubric
        if not chosen_N[place] or card.score is None or card.instance is not None:
            continue
        options = {criterion.id: _draws(criterion, card, generator) for criterion in rubric.criteria}
        for draw in range(DRAWS):
            key = tuple((name, drawn[draw % len(drawn)]) for name, drawn in options.items())
            if key not in known:
                judgments = {name: _judgment(name, *one) for name, one in key}
                try:
                    known[key] = aggregate(rubric, apply_conditions(rubric, judgments)).score
                except (ValueError, KeyError):
                    return None
            score = known[key]
            found_DN[draw, place] = np.nan if score is None else score
    return found_DN


_Drawn = tuple[str, "Level | None", "float | None"]
"""Status, level, value."""


def _draws(criterion: Criterion, card: Card, generator: Any) -> list[_Drawn]:
    """What a criterion comes out as in each draw; one for all of them where it is certain."""
    import numpy as np

    mark = card.marks.get(criterion.id)
    if mark is None:
        return [("not_applicable", None, None)]
    levels = {str(level): level for level in criterion.levels}
    if mark.status != "scored" or mark.level not in levels:
        return [(mark.status if mark.status != "scored" else "unscored", None, None)]
    if not _is_uncertain(mark):
        return [("scored", levels[mark.level], mark.value)]
    worth = [criterion.value(level) for level in criterion.levels]
    if mark.samples is not None and len(mark.samples) > 1:
        values = [criterion.value(levels[one]) for one in mark.samples if one in levels]
        if len(values) < 2:
            return [("scored", levels[mark.level], mark.value)]
        value_D = generator.choice(values, (DRAWS, len(values) - 1)).mean(axis=1)
        nearest_D = np.abs(value_D[:, None] - np.asarray(worth)).argmin(axis=1)
        return [("scored", criterion.levels[one], float(value)) for one, value in zip(nearest_D, value_D, strict=True)]
    assert mark.probabilities is not None
    shares = [mark.probabilities.get(name, 0.0) for name in levels]
    whole = sum(shares)
    if not whole:
        return [("scored", levels[mark.level], mark.value)]
    drawn_D = generator.choice(len(levels), DRAWS, p=[one / whole for one in shares])
    return [("scored", criterion.levels[one], worth[one]) for one in drawn_D]


def _judgment(name: str, status: Any, level: Level | None, value: float | None) -> Judgment:
    return Judgment(name, status, level, value)
