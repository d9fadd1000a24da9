"""κ, AC1, AC2 and shares of agreement: published examples, second implementations, and what must hold of all."""

from __future__ import annotations

import itertools
import math
import random
import warnings

import pytest

np = pytest.importorskip("numpy", reason="agreement needs kardia[agree]")

from hypothesis import given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

from kardia.agreement.kappa import cohen_kappa, gwet, shared  # noqa: E402
from kardia.errors import InputError  # noqa: E402

from .others import somebodys  # noqa: E402
from .published import (  # noqa: E402
    ABSTRACTORS,
    AGREED,
    ANXIETY,
    DIAGNOSES,
    DISORDERS,
    FOUR,
    FOUR_LEVELS,
    MAMMOGRAMS,
    RADIOLOGISTS,
    SCLEROSIS,
    SURGEONS,
    TWO_LEVELS,
    VIDEO,
    rated,
    scale,
    units,
)

WEIGHTS = ["identity", "linear", "quadratic"]
LEVELS = [1, 2, 3, 4]
columns = st.lists(st.tuples(*[st.sampled_from([*LEVELS, None])] * 2), max_size=40)
tables = st.integers(1, 5).flatmap(
    lambda width: st.lists(st.tuples(*[st.sampled_from([*LEVELS, None])] * width), max_size=25)
)


def kappa_of(counts, weights="identity"):
    return cohen_kappa(*rated(counts), scale(counts), weights).value()


def distance(one, other, weights, span):
    """1 − weight, of two numbers."""
    if weights == "identity":
        return float(one != other)
    return (abs(one - other) / span) ** (1 if weights == "linear" else 2)


# --- Cohen's κ


@pytest.mark.parametrize(
    ("counts", "weights", "value", "digits"),
    [
        (DISORDERS, "identity", 0.492, 3),  # Cohen 1968, table 1; the κ without weights
        (RADIOLOGISTS, "identity", 0.4728, 4),  # Altman 1991, page 405; Stata's manual, `kap rada radb`
        (RADIOLOGISTS, "linear", 0.57, 2),  # Altman 1991, page 407; Stata, `kap rada radb, wgt(w)`
        (MAMMOGRAMS, "identity", 0.3713, 4),  # vcdExtra's documentation of Kundel and Polansky 2003: Kappa(Mammograms)
        (MAMMOGRAMS, "linear", 0.5964, 4),  # likewise
        (SCLEROSIS, "identity", 0.2079, 4),  # vcd's documentation of Landis and Koch 1977, Winnipeg
        (SCLEROSIS, "linear", 0.3797, 4),  # likewise
        ([[0, 4, 1], [0, 8, 0], [0, 1, 5]], "identity", 0.4842, 4),  # SAS, PROC FREQ's simple kappa, in statsmodels
        ([[0, 4, 1], [0, 8, 0], [0, 1, 5]], "linear", 0.4701, 4),  # and its weighted kappa
        (ABSTRACTORS, "identity", 0.796, 3),  # irrCAC: kappa2.table(cont3x3abstractors)
        (ABSTRACTORS, "quadratic", 0.8921569, 7),  # irrCAC's vignette on weighting
    ],
)
def test_published_kappas(counts, weights, value, digits):
    assert round(kappa_of(counts, weights), digits) == value


def test_kappas_of_the_r_package_irr():
    """kappa2(anxiety[, 2:3]), with weights "unweighted", "equal" and "squared": the values in statsmodels' tests. irr
    takes observed levels by their places, hence words for them."""
    named = dict(zip((1, 2, 3, 4, 6), "abcde", strict=True))
    second, third = ([named[rating] for rating in column] for column in ANXIETY[1:])
    found = [cohen_kappa(second, third, list("abcde"), weights).value() for weights in WEIGHTS]
    assert found == pytest.approx([-0.006289308, 0.1459075, 0.2520325], abs=5e-8)


@settings(deadline=None)  # scikit-learn is imported in the first example
@given(columns, st.sampled_from(WEIGHTS))
def test_kappa_is_scikit_learns(pairs, weights):
    metrics = pytest.importorskip("sklearn.metrics", reason="compared with scikit-learn")
    first, second = [a for a, _ in pairs], [b for _, b in pairs]
    found = cohen_kappa(first, second, LEVELS, weights).value()
    both = [(a, b) for a, b in pairs if a is not None and b is not None]
    if found is None:
        assert len({level for pair in both for level in pair}) < 2
    else:
        theirs = metrics.cohen_kappa_score(
            *zip(*both, strict=True), labels=LEVELS, weights=None if weights == "identity" else weights
        )
        assert found == pytest.approx(theirs, abs=1e-9)


@settings(deadline=None)
@given(columns, st.sampled_from(WEIGHTS), st.sampled_from([[1, 2, 3, 4], [0, 1, 4, 9]]))
def test_kappa_is_what_chance_pairs_leave(pairs, weights, worth):
    """1 − the mean distance of pairs over that of all pairs of one's rating with the other's, whichever the unit."""
    value = dict(zip(LEVELS, worth, strict=True))
    both = [(value[a], value[b]) for a, b in pairs if a is not None and b is not None]
    found = cohen_kappa(*([value.get(pair[side]) for pair in pairs] for side in (0, 1)), worth, weights)
    assert found.n == len(both)
    span = worth[-1] - worth[0]
    expected = math.fsum(distance(a, b, weights, span) for (a, _), (_, b) in itertools.product(both, both))
    if not expected:
        assert found.value() is None
        return
    observed = math.fsum(distance(a, b, weights, span) for a, b in both)
    assert found.value() == pytest.approx(1 - observed * len(both) / expected, abs=1e-9)


@given(columns, st.sampled_from(WEIGHTS))
def test_what_holds_of_kappa(pairs, weights):
    first, second = [a for a, _ in pairs], [b for _, b in pairs]
    found = cohen_kappa(first, second, LEVELS, weights).statistic()
    for other in (
        cohen_kappa(second, first, LEVELS, weights),
        cohen_kappa(first[::-1], second[::-1], LEVELS, weights),
        cohen_kappa(first, second, [*LEVELS, 9], weights),
    ):
        assert other.value() == (found.value if found.value is None else pytest.approx(found.value, abs=1e-9))
    if found.value is None:
        assert found.why
    else:
        assert -1 - 1e-9 <= found.value <= 1
    itself = cohen_kappa(first, first, LEVELS, weights)
    assert itself.value() == (1 if len({level for level in first if level is not None}) > 1 else None)


@pytest.mark.parametrize(
    ("first", "second", "n", "why"),
    [
        ([], [], 0, "no unit that both rated"),
        ([None, None], [None, 2], 0, "no unit that both rated"),
        ([1, None], [None, 2], 0, "no unit that both rated"),
        ([2, 2, None], [2, 2, 1], 2, "every unit the level 2"),
    ],
)
def test_kappa_without_a_value(first, second, n, why):
    found = cohen_kappa(first, second, LEVELS).statistic()
    assert (found.value, found.low, found.n) == (None, None, n)
    assert why in found.why


def test_a_constant_judge_is_no_better_than_chance():
    assert cohen_kappa([3, 3, 3, 3], [1, 2, 3, 4], LEVELS, "quadratic").value() == pytest.approx(0)
    assert cohen_kappa([3, 3], [1, 1], LEVELS).value() == 0


# --- Gwet


@pytest.mark.parametrize(
    ("weights", "value"),
    [("identity", 0.77544), ("linear", 0.859), ("quadratic", 0.914)],
)
def test_gwets_four_raters(weights, value):
    """Gwet 2014's cac.raw4raters; values of irrCAC's documentation and vignette (linear: of its Python port)."""
    found = gwet(units(FOUR), [1, 2, 3, 4, 5], weights).value()
    assert round(found, len(str(value)) - 2) == value


@pytest.mark.parametrize(
    ("counts", "weights", "value", "digits"),
    [
        (ABSTRACTORS, "identity", 0.8493305, 7),  # irrCAC: gwet.ac1.table(cont3x3abstractors)
        (ABSTRACTORS, "linear", 0.900, 3),  # irrCAC's Python port
        (ABSTRACTORS, "quadratic", 0.9402369, 7),  # irrCAC's vignette on weighting
        (DIAGNOSES, "identity", 0.456, 3),  # irrCAC's Python port, as the two below
        (DIAGNOSES, "linear", 0.377, 3),
        (DIAGNOSES, "quadratic", 0.299, 3),
    ],
)
def test_gwets_tables(counts, weights, value, digits):
    assert round(gwet(units(rated(counts)), scale(counts), weights).value(), digits) == value


def test_gwets_six_raters():
    """irrCAC's vignette: gwet.ac1.dist(distrib.6raters, quadratic) = 0.4837438; diagnoses of Fleiss 1971 by how many of
    six psychiatrists gave them."""
    counts = [
        (0, 0, 0, 6, 0),
        (0, 3, 0, 0, 3),
        (0, 1, 4, 0, 1),
        (0, 0, 0, 0, 6),
        (0, 3, 0, 3, 0),
        (2, 0, 4, 0, 0),
        (0, 0, 4, 0, 2),
        (2, 0, 3, 1, 0),
        (2, 0, 0, 4, 0),
        (0, 0, 0, 0, 6),
        (1, 0, 0, 5, 0),
        (1, 1, 0, 4, 0),
        (0, 3, 3, 0, 0),
        (1, 0, 0, 5, 0),
        (0, 2, 0, 3, 1),
    ]
    table = [[level for level, count in enumerate(row) for _ in range(count)] for row in counts]
    assert gwet(table, range(5), "quadratic").value() == pytest.approx(0.4837438, abs=5e-8)


def naive_gwet(table, levels, weights):
    """By pairs of raters, in the words of the formula."""
    span = levels[-1] - levels[0]
    w = {(a, b): 1 - distance(a, b, weights, span) for a in levels for b in levels}
    said = [[rating for rating in row if rating is not None] for row in table]
    shares = [
        math.fsum(w[pair] for pair in itertools.permutations(row, 2)) / (len(row) * (len(row) - 1))
        for row in said
        if len(row) > 1
    ]
    if not shares:
        return None
    rows = [row for row in said if row]
    pi = [math.fsum(row.count(level) / len(row) for row in rows) / len(rows) for level in levels]
    chance = math.fsum(w.values()) / (len(levels) * (len(levels) - 1)) * math.fsum(p * (1 - p) for p in pi)
    agreement = math.fsum(shares) / len(shares)
    return (agreement - chance) / (1 - chance)


@settings(deadline=None)
@given(tables, st.sampled_from(WEIGHTS), st.sampled_from([[1, 2, 3, 4], [1, 2, 3, 4, 7]]))
def test_gwet_by_pairs(table, weights, levels):
    found = gwet(table, levels, weights)
    expected = naive_gwet(table, levels, weights)
    assert found.value() == (None if expected is None else pytest.approx(expected, abs=1e-9))
    assert found.n == sum(sum(rating is not None for rating in row) > 1 for row in table)


@pytest.mark.parametrize("weights", WEIGHTS)
def test_gwet_is_irrcacs(weights):
    raw = somebodys("irrCAC.raw")
    pandas = somebodys("pandas")
    chance = np.random.default_rng(5)
    for width in (2, 3, 6):
        x = np.clip(chance.integers(1, 5, (40, 1)) + chance.integers(-1, 2, (40, width)), 1, 5).astype(float)
        x[chance.random(x.shape) < 0.2] = np.nan
        table = [[None if math.isnan(rating) else int(rating) for rating in row] for row in x.tolist()]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            theirs = raw.CAC(
                pandas.DataFrame(x), weights=weights, categories=[1.0, 2.0, 3.0, 4.0, 5.0], digits=12
            ).gwet()["est"]["coefficient_value"]
        assert gwet(table, [1, 2, 3, 4, 5], weights).value() == pytest.approx(theirs, abs=1e-9)


@given(tables, st.sampled_from(WEIGHTS), st.integers(0, 999))
def test_what_holds_of_gwet(table, weights, seed):
    chance = random.Random(seed)
    found = gwet(table, LEVELS, weights).statistic()
    mixed = [chance.sample(row, len(row)) for row in chance.sample(table, len(table))]
    other = gwet(mixed, LEVELS, weights).value()
    if found.value is None:
        assert other is None
        assert found.why
    else:
        assert other == pytest.approx(found.value, abs=1e-9)
        # with weights it can lie below −1: chance expects at most Σw / q² ≤ 0.723 here, and −0.723 / 0.277 is −2.6
        assert (-1 if weights == "identity" else -2.62) - 1e-9 <= found.value <= 1 + 1e-9
        agreed = [[next((rating for rating in row if rating is not None), None)] * 2 for row in table]
        assert gwet(agreed, LEVELS, weights).value() == pytest.approx(1)


@pytest.mark.parametrize("table", [[], [[]], [[1], [2]], [[None, None]], [[1, None], [None, 2]]])
def test_gwet_without_a_value(table):
    found = gwet(table, LEVELS).statistic()
    assert (found.value, found.n) == (None, 0)
    assert "two ratings" in found.why


def test_gwet_where_there_is_one_level():
    """All of one level is agreement where there was a choice, and nothing where there was none."""
    assert gwet([[2, 2], [2, 2]], LEVELS).value() == pytest.approx(1)
    assert "one level" in gwet([[2, 2], [2, 2]], [2]).statistic().why


# --- shares


@pytest.mark.parametrize(
    ("columns", "levels", "value", "digits"),
    [
        (FOUR, [1, 2, 3, 4, 5], 0.8181818, 7),  # irrCAC's vignette: pa.coeff.raw(cac.raw4raters)
        (rated(RADIOLOGISTS), [1, 2, 3, 4], 0.6353, 4),  # Stata's manual, kap rada radb: 63.53 %
        (AGREED[:2], [1, 2, 3], 0.7, 7),  # DescTools' documentation: Agree(cbind(rtr1, rtr2))
        (TWO_LEVELS, [0, 1], 0.6333333, 7),  # Agree's documentation: agreement(table)
        (rated(SURGEONS), [1, 2, 3, 4, 5], 0.4333333, 7),  # its article on polytomous outcomes: agreement(data1)
    ],
)
def test_published_exact_agreement(columns, levels, value, digits):
    assert round(shared(units(columns), levels).value(), digits) == value


@pytest.mark.parametrize(
    ("columns", "levels", "value", "digits"),
    [
        (AGREED[:2], [1, 2, 3], 0.97, 7),  # DescTools' documentation: Agree(cbind(rtr1, rtr2), 1)
        (FOUR_LEVELS, [0, 1, 2, 3], 0.9222222, 7),  # Agree's documentation: weighted.agreement(table)
        (rated(SURGEONS), [1, 2, 3, 4, 5], 0.93, 7),  # its article on polytomous outcomes: weighted.agreement(data1)
    ],
)
def test_published_agreement_within_one(columns, levels, value, digits):
    assert round(shared(units(columns), levels, within=1).value(), digits) == value


def test_published_agreement_of_all_raters():
    """irr's documentation: agree(video) is 35 %, agree(video, 1) is 90 %. DescTools': Agree of three raters is 0.6."""
    for within, value in ((0, 0.35), (1, 0.90)):
        found = shared(units(VIDEO), [1, 2, 3, 4, 5, 6], within=within, of="all").value()
        assert found == pytest.approx(value)
    assert shared(units(AGREED), [1, 2, 3], of="all").value() == pytest.approx(0.6)


def test_neighbours_are_by_place():
    assert shared([(1, 3), (1, 5), (5, 3)], [1, 3, 5], within=1).value() == pytest.approx(2 / 3)
    assert shared([("no", "yes")], ["no", "yes"], within=1).value() == 1


@given(tables, st.integers(0, 4))
def test_shares_by_pairs(table, within):
    said = [[rating for rating in row if rating is not None] for row in table]
    rows = [row for row in said if len(row) > 1]
    by_pairs, by_all = (shared(table, LEVELS, within=within, of=of) for of in ("pairs", "all"))
    assert by_pairs.n == by_all.n == len(rows)
    if not rows:
        assert by_pairs.value() is None
        assert by_all.value() is None
        return
    near = [[abs(a - b) <= within for a, b in itertools.combinations(row, 2)] for row in rows]
    assert by_pairs.value() == pytest.approx(math.fsum(sum(one) / len(one) for one in near) / len(near), abs=1e-9)
    assert by_all.value() == pytest.approx(sum(map(all, near)) / len(near), abs=1e-9)
    assert by_all.value() <= by_pairs.value() + 1e-12
    if within >= 3:
        assert by_pairs.value() == 1


def test_shares_of_nothing():
    for table in ([], [[]], [[1]], [[None, 2]]):
        assert "two ratings" in shared(table, LEVELS).statistic().why
    with pytest.raises(InputError, match="not -1"):
        shared([], LEVELS, within=-1)
