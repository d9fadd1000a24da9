"""Correlations and bias: published examples, second implementations, and what must hold of all."""

from __future__ import annotations

import itertools
import math
import statistics

import pytest

np = pytest.importorskip("numpy", reason="agreement needs kardia[agree]")

from hypothesis import given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

from kardia.agreement import alpha as alphas  # noqa: E402
from kardia.agreement import correlation  # noqa: E402
from kardia.agreement.alpha import alpha  # noqa: E402
from kardia.agreement.correlation import bias, concordance, kendall, pearson, spearman  # noqa: E402
from kardia.agreement.kappa import cohen_kappa  # noqa: E402
from kardia.agreement.measure import Sums, Weighed  # noqa: E402

from .published import ABSTRACTORS, LAW, SCLEROSIS, SMALL, WRIGHT, rated, scale  # noqa: E402

columns = st.lists(st.tuples(*[st.sampled_from([1, 2, 3, 4, 6, 7.5, None])] * 2), max_size=30)

# Hollander and Wolfe 1973, page 187, example of R's cor.test: canned tuna's lightness and how people liked it
TUNA = ((44.4, 45.9, 41.9, 53.3, 44.7, 44.1, 50.7, 45.2, 60.1), (2.6, 3.1, 2.5, 5.0, 3.6, 4.0, 5.2, 2.8, 3.8))
# Siegel 1956, chapter 9: authoritarianism and striving for status of twelve students, and how often they yielded
AUTHORITARIAN = (82, 98, 87, 40, 116, 113, 111, 83, 85, 126, 106, 117)
STRIVING = (42, 46, 39, 37, 65, 88, 86, 56, 62, 92, 54, 81)
YIELDING = (0, 0, 1, 1, 3, 4, 5, 6, 7, 8, 8, 12)
# Student 1908, from Cushny and Peebles 1905: additional hours of sleep with two drugs
SLEEP = ((0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0), (1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4))


def test_published_pearsons():
    """R's documentation of cor.test for the tuna: 0.5711816; Bland and Altman 1986: r = 0.94; Efron and Tibshirani
    1993, section 3.3, for the law schools: 0.776."""
    assert round(pearson(*TUNA).value(), 7) == 0.5711816
    assert round(pearson(*LAW).value(), 3) == 0.776
    assert round(pearson(WRIGHT, SMALL).value(), 2) == 0.94


def test_published_spearmans():
    """Kendall 1948, chapter 1: ranks in mathematics and music, ρ = −0.103. Siegel 1956, chapter 9: r_s = .82.
    Wikipedia, "Spearman's rank correlation coefficient": IQ and hours of television, −29/165."""
    mathematics, music = (7, 4, 3, 10, 6, 2, 9, 8, 1, 5), (5, 7, 3, 10, 1, 9, 6, 2, 8, 4)
    assert round(spearman(mathematics, music).value(), 3) == -0.103
    assert round(spearman(AUTHORITARIAN, STRIVING).value(), 2) == 0.82
    quotient = (106, 100, 86, 101, 99, 103, 97, 113, 112, 110)
    assert spearman(quotient, (7, 27, 2, 50, 28, 29, 20, 12, 6, 17)).value() == pytest.approx(-29 / 165)


def test_published_kendalls():
    """R's documentation of cor.test for the tuna: 0.4444444. Siegel 1956, chapter 9: .67, and with ties .39. Kendall
    1945 (1948, chapter 3), two rankings with ties: τ-b = 33 / √(41 · 36) = 0.859. mt-metrics-eval, stats_test.py: τ-b
    0.316227766."""
    assert round(kendall(*TUNA).value(), 7) == 0.4444444
    assert round(kendall(AUTHORITARIAN, STRIVING).value(), 2) == 0.67
    assert round(kendall(YIELDING, STRIVING).value(), 2) == 0.39
    one, other = (1, 2.5, 2.5, 4.5, 4.5, 6.5, 6.5, 8, 9.5, 9.5), (1, 2, 4.5, 4.5, 4.5, 4.5, 8, 8, 8, 10)
    assert round(kendall(one, other).value(), 3) == 0.859
    assert kendall(one, other).value() == pytest.approx(33 / math.sqrt(41 * 36))
    assert round(kendall([1, 2, 2, 3, 4], [2, 1, 1.5, 5, 3]).value(), 9) == 0.316227766


def test_published_biases():
    """Bland and Altman 1986: a mean difference of −2.1 l/min; Student 1908: 1.58 hours."""
    assert round(bias(WRIGHT, SMALL).value(), 1) == -2.1
    assert round(bias(*reversed(SLEEP)).value(), 2) == 1.58


def test_published_concordances():
    """Steichen and Cox 1998, Stata's concord, for the peak flows: ρ_c = 0.943. Of levels it is quadratic κ: irrCAC's
    0.8921569 of the abstractors."""
    assert round(concordance(WRIGHT, SMALL).value(), 3) == 0.943
    assert round(concordance(*rated(ABSTRACTORS)).value(), 7) == 0.8921569


# --- second implementations


def known(pairs):
    return [(float(a), float(b)) for a, b in pairs if a is not None and b is not None]


def mid_ranks(values):
    return [sum(other < value for other in values) + (1 + values.count(value)) / 2 for value in values]


def naive_pearson(pairs):
    if len(pairs) < 2 or any(len(set(side)) == 1 for side in zip(*pairs, strict=True)):
        return None
    return statistics.correlation(*zip(*pairs, strict=True))


def naive_spearman(pairs):
    return naive_pearson(list(zip(*map(mid_ranks, zip(*pairs, strict=True)), strict=True)))


def naive_kendall(pairs):
    signs = [((a > c) - (a < c), (b > d) - (b < d)) for (a, b), (c, d) in itertools.combinations(pairs, 2)]
    one, other = sum(a != 0 for a, _ in signs), sum(b != 0 for _, b in signs)
    return sum(a * b for a, b in signs) / math.sqrt(one * other) if one and other else None


def naive_concordance(pairs):
    if len(pairs) < 2:
        return None
    (x, y), n = zip(*pairs, strict=True), len(pairs)
    mx, my = statistics.fmean(x), statistics.fmean(y)
    bottom = statistics.pvariance(x) + statistics.pvariance(y) + (mx - my) ** 2
    return 2 * math.fsum((a - mx) * (b - my) for a, b in pairs) / n / bottom if bottom > 1e-12 else None


def naive_bias(pairs):
    return math.fsum(a - b for a, b in pairs) / len(pairs) if pairs else None


NAIVE = [
    (pearson, naive_pearson),
    (spearman, naive_spearman),
    (kendall, naive_kendall),
    (concordance, naive_concordance),
    (bias, naive_bias),
]


@pytest.mark.parametrize(("made", "naive"), NAIVE)
@settings(deadline=None)
@given(columns)
def test_in_plain_python(made, naive, pairs):
    found = made([a for a, _ in pairs], [b for _, b in pairs])
    expected = naive(known(pairs))
    assert found.value() == (None if expected is None else pytest.approx(expected, abs=1e-9))
    assert found.n == len(known(pairs))


@pytest.mark.parametrize("many", [False, True])
def test_like_scipy(many, monkeypatch):
    stats = pytest.importorskip("scipy.stats")
    if many:  # as where both sides have hundreds of different numbers
        monkeypatch.setattr(correlation, "_CELLS", -1_000_000)
    chance = np.random.default_rng(3)
    for size in (3, 50, 400):
        x = chance.normal(size=size).round(1)
        y = (x + chance.normal(size=size)).round(chance.integers(0, 3)) + 100.0
        for made, theirs in ((pearson, stats.pearsonr), (spearman, stats.spearmanr), (kendall, stats.kendalltau)):
            assert made(x.tolist(), y.tolist()).value() == pytest.approx(theirs(x, y).statistic, abs=1e-9)


def test_kendall_by_pairs_and_by_table(monkeypatch):
    """Both ways of counting, on units that come more than once or not at all."""
    chance = np.random.default_rng(4)
    x, y = chance.integers(0, 9, (2, 40)).tolist()
    times = chance.integers(0, 4, 40).astype(float)
    at_once = kendall(x, y)
    monkeypatch.setattr(correlation, "FEW", 0)
    by_table = kendall(x, y).of(times)
    assert at_once.of((times @ at_once.parts_UD)[None])[0] == pytest.approx(by_table, abs=1e-12)
    monkeypatch.setattr(correlation, "_CELLS", -1_000_000)
    by_pairs = kendall(x, y)
    assert by_pairs.of(times) == pytest.approx(by_table, abs=1e-9)
    drawn = [(a, b) for a, b, count in zip(x, y, times, strict=True) for _ in range(int(count))]
    assert by_table == pytest.approx(naive_kendall(drawn), abs=1e-9)
    assert math.isnan(by_pairs.of(np.zeros(40)))
    assert math.isnan(by_pairs.of(np.eye(40)[0] * 2))


@settings(max_examples=60)
@given(st.lists(st.tuples(st.tuples(*[st.sampled_from([1, 2, 3, 4, None])] * 3), st.integers(0, 3)), max_size=25))
def test_few_different_ratings_are_counted_at_once(rows):
    """Rank figures of tables of few levels are summed by pattern: the same as one by one, whatever is drawn."""
    table, times = [row for row, _ in rows], np.asarray([count for _, count in rows], dtype=float)
    columns = [[row[place] for row in table] for place in (0, 1)]
    for make in (lambda: spearman(*columns), lambda: kendall(*columns), lambda: alpha(table, "ordinal")):
        with pytest.MonkeyPatch.context() as patch:
            for module in (correlation, alphas):
                patch.setattr(module, "FEW", 0)
            one_by_one = make()
        at_once = make()
        assert isinstance(one_by_one, Weighed)
        assert at_once.statistic().to_json() == pytest.approx(one_by_one.statistic().to_json(), abs=1e-12)
        if isinstance(at_once, Sums):
            found, expected = at_once.of((times @ at_once.parts_UD)[None])[0], one_by_one.of(times)
            assert found == pytest.approx(expected, abs=1e-12, nan_ok=True)


@given(st.lists(st.tuples(*[st.sampled_from([1, 2, 3, 4, None])] * 2), min_size=2, max_size=30))
def test_concordance_is_quadratic_kappa(pairs):
    first, second = [a for a, _ in pairs], [b for _, b in pairs]
    kappa = cohen_kappa(first, second, [1, 2, 3, 4], "quadratic")
    if kappa.n > 1:
        expected = kappa.value()
        assert concordance(first, second).value() == (None if expected is None else pytest.approx(expected, abs=1e-9))


def test_concordance_is_quadratic_kappa_of_published_tables():
    """Landis and Koch 1977, quadratic weights: .525 (vcd's Kappa with Fleiss-Cohen weights)."""
    assert round(concordance(*rated(SCLEROSIS)).value(), 3) == 0.525
    assert round(cohen_kappa(*rated(SCLEROSIS), scale(SCLEROSIS), "quadratic").value(), 3) == 0.525


# --- what must hold of all


@given(columns)
def test_what_holds_of_correlations(pairs):
    first, second = [a for a, _ in pairs], [b for _, b in pairs]
    for made in (pearson, spearman, kendall, concordance):
        found = made(first, second).statistic()
        back = made(second[::-1], first[::-1]).value()
        if found.value is None:
            assert back is None
            assert found.why
            continue
        assert back == pytest.approx(found.value, abs=1e-9)
        assert -1 <= found.value <= 1
        both = known(pairs)
        if made is not concordance:
            turned = made([a for a, _ in both], [-3 * b + 1 for _, b in both]).value()
            assert turned == pytest.approx(-found.value, abs=1e-9)
        else:
            assert abs(found.value) <= abs(pearson(first, second).value() or 0) + 1e-9
        if len({a for a, _ in both}) > 1:
            assert made(first, first).value() == pytest.approx(1)
    backward = bias(second, first).value()
    assert bias(first, second).value() == (None if backward is None else pytest.approx(-backward))


@pytest.mark.parametrize("made", [pearson, spearman, kendall, concordance])
def test_without_a_value(made):
    for first, second in (([], []), ([1], [2]), ([None, 1], [1, None]), ([None], [None])):
        found = made(first, second).statistic()
        assert found.value is None
        assert "fewer than two" in found.why
    found = made([0.1] * 3, [0.1] * 3).statistic()  # whose mean is not itself, to the last digit
    assert found.value is None
    assert "the same number" in found.why


@pytest.mark.parametrize("made", [pearson, spearman, kendall])
def test_a_constant_judge_has_no_correlation(made):
    assert "the first of both" in made([0.3] * 4, [1, 2, 3, 4]).statistic().why
    assert "the second of both" in made([1, 2, 3, 4], [0.7] * 4).statistic().why
    assert made([0.3] * 4, [0.7] * 4).statistic().why == "each of both gives every unit the same number"
    named = made([0.3] * 4, [1, 2, 3, 4], names=("the judge", "people")).statistic()
    assert named.why == "the judge gives every unit the same number"


def test_a_constant_judge_has_no_concordance_but_a_bias():
    for constant in (0.1, 0.3, 5.0, 0.7):  # never −0.00, of which rounding would be the cause
        for varied in ([1, 2, 3, 4], [0.1, 0.2, 0.3, 0.7], [3, 1, 4, 1]):
            found = concordance([constant] * 4, varied).value()
            assert math.copysign(1.0, found) == 1.0
            assert found == 0
    assert concordance([1, 1], [2, 2]).value() == 0
    assert bias([2, 2], [2, 2]).value() == 0
    assert "no unit that both rated" in bias([None], [1]).statistic().why


def test_far_from_zero():
    """Numbers that are large beside their differences."""
    first, second = [1e6 + one for one in (1, 2, 3, 5)], [1e6 + one for one in (2, 1, 4, 4)]
    for made in (pearson, concordance):
        near = made((1, 2, 3, 5), (2, 1, 4, 4)).value()
        assert made(first, second).value() == pytest.approx(near, abs=1e-9)
