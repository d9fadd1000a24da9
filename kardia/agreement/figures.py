"""Every figure of agreement between a judge's column and people's, as measures of the same units. Pure.

What is about levels takes the consensus level, what is about numbers the mean of people's ratings. Where a figure
makes no sense on a scale there is the reason instead.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Literal

from kardia.agreement.alpha import alpha
from kardia.agreement.bootstrap import Bootstrap
from kardia.agreement.consensus import Consensus
from kardia.agreement.correlation import bias, concordance, kendall, pearson, spearman
from kardia.agreement.icc import Form, icc
from kardia.agreement.kappa import cohen_kappa, gwet, shared
from kardia.agreement.leave_one_out import Reference
from kardia.agreement.measure import Measure, Sums, ratio
from kardia.agreement.ratings import Column, Table, paired
from kardia.agreement.scale import Scale
from kardia.agreement.statistic import Statistic
from kardia.rubric.models import Level

__all__ = [
    "FIGURES",
    "Figure",
    "all_found",
    "beside_people",
    "figures",
    "found_in",
    "number_figures",
    "of_people",
    "positions",
    "share",
]

Figure = Measure | str
"""A measure, or why there is none."""

FIGURES = (
    "exact",
    "within_one",
    "kappa",
    "kappa_linear",
    "kappa_quadratic",
    "weighted_kappa",
    "alpha_nominal",
    "alpha_ordinal",
    "alpha_interval",
    "alpha",
    "ac1",
    "ac2",
    "icc_2_1",
    "icc_3_1",
    "icc_2_k",
    "icc_3_k",
    "spearman",
    "kendall",
    "pearson",
    "concordance",
    "bias",
    "generosity",
)
"""In the order of tables. `weighted_kappa` is quadratic κ, on options plain κ; `alpha` is ordinal α on an ordinal
scale, else nominal α; `bias` is in levels, `generosity` in shares of the scale, above 0 where the judge is kinder."""

_FORMS: tuple[tuple[str, Form], ...] = (
    ("icc_2_1", "2,1"),
    ("icc_3_1", "3,1"),
    ("icc_2_k", "2,k"),
    ("icc_3_k", "3,k"),
)
_NO_ORDER = "the options of a choice have no order"
_TWO = "on a scale of two levels, all ratings are within one"
_NAMES = ("the judge", "the mean of people's ratings")
_NO_GOOD_END = "the rubric is not known, and so is not which end of the scale is good"


def figures(judge: Sequence[Level | None], people: Consensus, scale: Scale) -> dict[str, Figure]:
    """The figures of one criterion, by the names in `FIGURES`."""
    levels = scale.levels
    # a unit that only one of both rated has no part in what agreement by chance would be
    table = [pair if None not in pair else (None, None) for pair in paired(judge, people.levels)]
    found: dict[str, Figure] = {
        "exact": shared(table, levels),
        "kappa": cohen_kappa(judge, people.levels, levels),
        "alpha_nominal": alpha(table, "nominal", levels),
        "ac1": gwet(table, levels),
    }
    if not scale.ordered:
        found["generosity"] = _generosity(judge, people, scale)
        found |= {"weighted_kappa": found["kappa"], "alpha": found["alpha_nominal"]}
        return {name: found.get(name, _NO_ORDER) for name in FIGURES}
    numbers = [None if level is None else scale.position(level) for level in judge]
    found |= {
        "within_one": shared(table, levels, within=1) if len(levels) > 2 else _TWO,
        "kappa_linear": cohen_kappa(judge, people.levels, levels, "linear"),
        "kappa_quadratic": cohen_kappa(judge, people.levels, levels, "quadratic"),
        "alpha_ordinal": alpha(table, "ordinal", levels),
        "alpha_interval": alpha(table, "interval", levels),
        "ac2": gwet(table, levels, "quadratic"),
        "generosity": _generosity(judge, people, scale),
        **number_figures(numbers, people.numbers),
    }
    found["weighted_kappa"] = found["kappa_quadratic"]
    found["alpha"] = found["alpha_ordinal" if scale.kind == "ordinal" else "alpha_nominal"]
    return {name: found[name] for name in FIGURES}


def number_figures(first: Column, second: Column) -> dict[str, Figure]:
    """The figures of a judge's and people's numbers on one scale."""
    table = paired(first, second)
    return {
        **{name: icc(table, form) for name, form in _FORMS},
        "spearman": spearman(first, second, names=_NAMES),
        "kendall": kendall(first, second, names=_NAMES),
        "pearson": pearson(first, second, names=_NAMES),
        "concordance": concordance(first, second),
        "bias": bias(first, second),
    }


def of_people(people: Sequence[Sequence[Level | float | None]], scale: Scale) -> dict[str, Figure]:
    """How far people agree among themselves: of any number of raters, with missing ratings."""
    levels = scale.levels
    table = [[scale.nearest(one) if isinstance(one, float) else one for one in row] for row in people]
    found: dict[str, Figure] = {
        "exact": shared(table, levels),
        "within_one": _NO_ORDER if not scale.ordered else shared(table, levels, within=1) if len(levels) > 2 else _TWO,
        "alpha_nominal": alpha(table, "nominal", levels),
        "ac1": gwet(table, levels),
    }
    if scale.ordered:
        numbers = positions(people, scale)
        found |= {
            "alpha_ordinal": alpha(table, "ordinal", levels),
            "alpha_interval": alpha(table, "interval", levels),
            "ac2": gwet(table, levels, "quadratic"),
            **{name: icc(numbers, form) for name, form in _FORMS},
        }
    found["alpha"] = found["alpha_ordinal" if scale.kind == "ordinal" else "alpha_nominal"]
    return {name: found[name] for name in FIGURES if name in found}


def positions(people: Sequence[Sequence[Level | float | None]], scale: Scale) -> list[list[float | None]]:
    """Ratings on an ordered scale as numbers."""

    def one(rating: Level | float | None) -> float | None:
        return rating if rating is None or isinstance(rating, float) else scale.position(rating)

    return [[one(rating) for rating in row] for row in people]


def beside_people(
    judge: Sequence[Level | None], people: Sequence[Sequence[Level | float | None]], scale: Scale
) -> tuple[Literal["concordance", "kappa"], Reference, Column, Table, Callable[[Column, Column], Measure]]:
    """How a judge is set beside single people on this scale.

    Returns:
        the measure's name; what the others' ratings are made into; the judge's column and people's table for it; the
        measure. On an ordered scale it is Lin's concordance with the others' mean, which is quadratic κ of numbers; on
        options, κ with what most of the others say.
    """
    if scale.ordered:
        numbers = [None if level is None else scale.position(level) for level in judge]
        return "concordance", "mean", numbers, positions(people, scale), concordance
    levels = scale.levels
    options = [[None if isinstance(one, float) else one for one in row] for row in people]  # options are no floats
    return "kappa", "majority", judge, options, lambda one, other: cohen_kappa(one, other, levels)


def share(covered: Sequence[bool | None]) -> Measure:
    """The share of units that are true, of those that are not None."""
    import numpy as np

    wanted_U = np.asarray([each is not None for each in covered], dtype=bool)
    parts_UD = np.asarray([[each is True, each is not None] for each in covered], dtype=np.float64).reshape(-1, 2)
    return Sums(
        parts_UD,
        lambda sums_SD: ratio(sums_SD[:, 0], sums_SD[:, 1]),
        n=int(wanted_U.sum()),
        counts_U=wanted_U,
        why="there is no unit that people labelled and the judge was to score",
    )


def found_in(figure: Figure, bootstrap: Bootstrap | None) -> Statistic:
    """A figure as a statistic, with its interval where one is drawn."""
    if isinstance(figure, str):
        return Statistic(None, None, None, 0, figure)
    return figure.statistic() if bootstrap is None else bootstrap.statistic(figure)


def all_found(measures: Mapping[str, Figure], bootstrap: Bootstrap | None) -> dict[str, Statistic]:
    """Every figure as a statistic; one that goes by two names is drawn once."""
    known: dict[int, Statistic] = {}
    found: dict[str, Statistic] = {}
    for name, figure in measures.items():
        if id(figure) not in known:
            known[id(figure)] = found_in(figure, bootstrap)
        found[name] = known[id(figure)]
    return found


def _generosity(judge: Sequence[Level | None], people: Consensus, scale: Scale) -> Figure:
    if not scale.values:
        return _NO_GOOD_END
    first = [None if level is None else scale.values[level] for level in judge]
    if not scale.ordered:
        return bias(first, [None if level is None else scale.values[level] for level in people.levels])
    low, high = scale.values[scale.levels[0]], scale.values[scale.levels[-1]]
    start, width = scale.position(scale.levels[0]), scale.width
    return bias(first, [None if one is None else low + (one - start) / width * (high - low) for one in people.numbers])
