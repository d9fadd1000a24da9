"""Krippendorff's α: his own examples, second implementations, and what must hold of all."""

from __future__ import annotations

import itertools
import math
import random

import pytest

np = pytest.importorskip("numpy", reason="agreement needs kardia[agree]")

from hypothesis import given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

from kardia.agreement.alpha import alpha  # noqa: E402
from kardia.errors import InputError  # noqa: E402

from .others import somebodys  # noqa: E402
from .published import FOUR, _, units  # noqa: E402

METRICS = ["nominal", "ordinal", "interval"]
VALUES = [1, 2, 3, 4, 6]
tables = st.integers(1, 5).flatmap(
    lambda width: st.lists(st.tuples(*[st.sampled_from([*VALUES, None])] * width), max_size=15)
)

# Wikipedia, "Krippendorff's alpha", a computational example: three coders, 15 units
CODERS = [
    (_, _, _, _, _, 3, 4, 1, 2, 1, 1, 3, 3, _, 3),
    (1, _, 2, 1, 3, 3, 4, 3, _, _, _, _, _, _, _),
    (_, _, 2, 1, 3, 4, 4, _, 2, 1, 1, 3, 3, _, 4),
]
# Hayes and Krippendorff 2007, table 1: 40 newspaper articles by five observers
ARTICLES = [
    [None if mark == "." else int(mark) for mark in row]
    for row in (
        "112.001122.01311211000201001111223222221",
        "1130000.21102311121000302102111122222221",
        "203000222100221123001.30.1012202.2232.21",
        ".13....0.10022...31.103021122..122...12.",
        "2..0001.2....3112..0.0..2.0..20.2.2222.1",
    )
]


def test_krippendorffs_examples_of_2011():
    """A: two observers, binary, α = .095. B: two observers, nominal, .692. C: four, with missing values, .743 nominal,
    .815 ordinal, .849 interval."""
    assert round(alpha(units(["0100000010", "1110010000"]), "nominal").value(), 3) == 0.095
    assert round(alpha(units(["aabbdcccedda", "babbbccceddd"]), "nominal").value(), 3) == 0.692
    found = [alpha(units(FOUR), metric).value() for metric in METRICS]
    assert [round(value, 3) for value in found] == [0.743, 0.815, 0.849]


def test_krippendorffs_examples_of_2018():
    """Content Analysis, fourth edition: page 306, three coders, .234; page 310, two coders, .760, or .759 where nothing
    is rounded on the way. Data and values as in the tests of the R package tidycomm."""
    three = ["010110001111", "010100001101", "011001001000"]
    assert round(alpha(units(three), "nominal").value(), 3) == 0.234
    assert round(alpha(units(["aacccccbbbbd", "acccccbbbbbd"]), "nominal").value(), 3) == 0.759


def test_hayes_and_krippendorffs_articles():
    """2007, page 87: nominal .4765, ordinal .7598, interval .7574, as their macro KALPHA prints them."""
    found = [alpha(units(ARTICLES), metric).value() for metric in METRICS]
    assert [round(value, 4) for value in found] == [0.4765, 0.7598, 0.7574]


def test_wikipedias_example():
    assert round(alpha(units(CODERS), "nominal").value(), 3) == 0.691
    assert round(alpha(units(CODERS), "interval").value(), 3) == 0.811


def naive_alpha(table, metric):
    """By coincidences, as Krippendorff 2011 writes it."""
    rows = [[rating for rating in row if rating is not None] for row in table]
    rows = [row for row in rows if len(row) > 1]
    values = sorted({rating for row in rows for rating in row})
    o = dict.fromkeys(itertools.product(values, repeat=2), 0.0)
    for row in rows:
        for pair in itertools.permutations(row, 2):
            o[pair] += 1 / (len(row) - 1)
    n_c = {c: math.fsum(o[c, k] for k in values) for c in values}
    n = math.fsum(n_c.values())

    def delta(c, k):
        if metric == "nominal":
            return float(c != k)
        if metric == "interval":
            return float((c - k) ** 2)
        between = math.fsum(n_c[g] for g in values if min(c, k) <= g <= max(c, k))
        return (between - (n_c[c] + n_c[k]) / 2) ** 2

    expected = math.fsum(n_c[c] * n_c[k] * delta(c, k) for c, k in o)
    if not expected:
        return None
    return 1 - (n - 1) * math.fsum(count * delta(*pair) for pair, count in o.items()) / expected


@settings(deadline=None)
@given(tables, st.sampled_from(METRICS))
def test_alpha_by_coincidences(table, metric):
    found = alpha(table, metric)
    expected = naive_alpha(table, metric)
    assert found.value() == (None if expected is None else pytest.approx(expected, abs=1e-9))
    assert found.n == sum(sum(rating is not None for rating in row) > 1 for row in table)


@pytest.mark.parametrize("metric", METRICS)
def test_alpha_is_the_krippendorff_packages(metric):
    theirs = somebodys("krippendorff")
    chance = np.random.default_rng(11)
    for width, levels in ((2, 2), (3, 5), (7, 12)):
        x = chance.integers(0, levels, (60, 1)) + chance.integers(0, 3, (60, width)) * 1.0
        x[chance.random(x.shape) < 0.3] = np.nan
        table = [[None if math.isnan(rating) else rating for rating in row] for row in x.tolist()]
        expected = theirs.alpha(reliability_data=x.T, level_of_measurement=metric)
        assert alpha(table, metric).value() == pytest.approx(expected, abs=1e-9)


@given(tables, st.sampled_from(METRICS), st.integers(0, 999))
def test_what_holds_of_alpha(table, metric, seed):
    chance = random.Random(seed)
    found = alpha(table, metric).statistic()
    mixed = [chance.sample(row, len(row)) for row in chance.sample(table, len(table))]
    other = alpha(mixed, metric).value()
    single = alpha([*table, *([(1, *[None] * (len(table[0]) - 1))] if table else [])], metric).value()
    if found.value is None:
        assert other is None
        assert found.why
        return
    assert other == pytest.approx(found.value, abs=1e-9)
    assert single == pytest.approx(found.value, abs=1e-9)  # a rating that stands alone changes nothing
    assert -1 - 1e-9 <= found.value <= 1 + 1e-9
    agreed = [[next((rating for rating in row if rating is not None), None)] * 2 for row in table]
    if len({row[0] for row in agreed} - {None}) > 1:
        assert alpha(agreed, metric).value() == pytest.approx(1)


@given(tables)
def test_which_differences_count(table):
    """Nominal α knows only what is equal, ordinal what comes first, interval how far apart it is."""
    renamed = [[None if rating is None else -((rating * 7) % 11) for rating in row] for row in table]
    stretched = [[None if rating is None else rating**3 for rating in row] for row in table]
    moved = [[None if rating is None else 5 - 2 * rating for rating in row] for row in table]
    for other, metrics in ((renamed, METRICS[:1]), (stretched, METRICS[:2]), (moved, METRICS)):
        for metric in metrics:
            one, two = alpha(table, metric).value(), alpha(other, metric).value()
            assert two == (None if one is None else pytest.approx(one, abs=1e-9))


def test_words_in_their_order():
    words = {1: "low", 2: "some", 3: "much", 4: "most", 5: "all"}
    table = [[words.get(rating) for rating in row] for row in units(FOUR)]
    for metric in METRICS:
        found = alpha(table, metric, list(words.values())).value()
        assert found == pytest.approx(alpha(units(FOUR), metric).value(), abs=1e-12)
    assert alpha(table, "nominal").value() == pytest.approx(alpha(units(FOUR), "nominal").value(), abs=1e-12)
    with pytest.raises(InputError, match="not a number"):
        alpha(table, "ordinal")
    with pytest.raises(InputError, match="not 'ratio'"):
        alpha(table, "ratio")


@pytest.mark.parametrize("metric", METRICS)
def test_alpha_without_a_value(metric):
    for nothing in ([], [[]], [[1], [2]], [[None, None]], [[1, None], [None, 2]]):
        found = alpha(nothing, metric).statistic()
        assert (found.value, found.n) == (None, 0)
        assert "two ratings" in found.why
    for rating in (2, 0.1):  # whose mean is not itself, to the last digit
        found = alpha([[rating] * 3, [rating, rating, None]], metric).statistic()
        assert (found.value, found.n) == (None, 2)
        assert "the same" in found.why
