"""Intervals: against scipy, against the same draws in plain Python, and whether they hold what they promise."""

from __future__ import annotations

import itertools
import math
import statistics

import pytest

np = pytest.importorskip("numpy", reason="agreement needs kardia[agree]")

from hypothesis import given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

from kardia.agreement.alpha import alpha  # noqa: E402
from kardia.agreement.bootstrap import Bootstrap  # noqa: E402
from kardia.agreement.correlation import bias, concordance, kendall, pearson, spearman  # noqa: E402
from kardia.agreement.icc import icc  # noqa: E402
from kardia.agreement.kappa import cohen_kappa, gwet, shared  # noqa: E402
from kardia.agreement.measure import Sums  # noqa: E402
from kardia.errors import InputError  # noqa: E402

from .published import LAW  # noqa: E402

LEVELS = [1, 2, 3, 4, 5]
MADE = {
    "kappa": lambda a, b: cohen_kappa(a, b, LEVELS),
    "quadratic kappa": lambda a, b: cohen_kappa(a, b, LEVELS, "quadratic"),
    "AC2": lambda a, b: gwet(list(zip(a, b, strict=True)), LEVELS, "linear"),
    "within one": lambda a, b: shared(list(zip(a, b, strict=True)), LEVELS, within=1),
    "nominal alpha": lambda a, b: alpha(list(zip(a, b, strict=True)), "nominal"),
    "ordinal alpha": lambda a, b: alpha(list(zip(a, b, strict=True)), "ordinal"),
    "interval alpha": lambda a, b: alpha(list(zip(a, b, strict=True)), "interval"),
    "ICC(2,1)": lambda a, b: icc(list(zip(a, b, strict=True)), "2,1"),
    "ICC(3,k)": lambda a, b: icc(list(zip(a, b, strict=True)), "3,k"),
    "Pearson": pearson,
    "Spearman": spearman,
    "Kendall": kendall,
    "concordance": concordance,
    "bias": bias,
}


def ratings(size, seed, missing=0.0):
    chance = np.random.default_rng(seed)
    first = chance.integers(1, 6, size)
    second = np.clip(first + chance.integers(-2, 3, size), 1, 5)
    columns = [[None if chance.random() < missing else int(one) for one in column] for column in (first, second)]
    return columns[0], columns[1]


def by_hand(make, groups, resamples, seed):
    """The statistic's value in each resample, from units that are really put together anew."""
    names = list(dict.fromkeys(groups))
    inside = {name: [unit for unit, group in enumerate(groups) if group == name] for name in names}
    numbers = np.random.default_rng(seed).integers(0, len(names), (resamples, len(names)))
    return [make([unit for number in row for unit in inside[names[number]]]) for row in numbers.tolist()]


@pytest.mark.parametrize("name", MADE)
def test_percentiles_of_units_put_together_anew(name):
    """Whatever is added up cleverly gives what computing on the drawn units gives."""
    first, second = ratings(24, 1)
    groups = [f"conversation {unit // 2}" for unit in range(20)] + ["last"] * 4
    make = MADE[name]
    drawn = by_hand(lambda units: make([first[u] for u in units], [second[u] for u in units]).value(), groups, 60, 5)
    known = [value for value in drawn if value is not None]
    found = Bootstrap(groups, resamples=60, seed=5, confidence=0.9).statistic(make(first, second))
    assert found.value == make(first, second).value()
    assert (found.low, found.high) == pytest.approx(tuple(np.quantile(known, (0.05, 0.95))), abs=1e-9)
    assert found.left_out == len(drawn) - len(known)


@pytest.mark.parametrize("name", ["quadratic kappa", "ordinal alpha", "Pearson", "within one", "bias"])
def test_corrected_ends_by_hand(name):
    """Efron and Tibshirani 1993, chapter 14, in plain Python."""
    first, second = ratings(30, 2)
    groups = [unit // 3 for unit in range(30)]

    def make(units):
        return MADE[name]([first[u] for u in units], [second[u] for u in units]).value()

    value = make(range(30))
    drawn = by_hand(make, groups, 400, 9)
    without = [make([unit for unit in range(30) if groups[unit] != group]) for group in range(10)]
    normal = statistics.NormalDist()
    below = sum(one < value - 1e-12 for one in drawn) + 0.5 * sum(abs(one - value) <= 1e-12 for one in drawn)
    z0 = normal.inv_cdf(below / len(drawn))
    mean = statistics.fmean(without)
    a = sum((mean - one) ** 3 for one in without) / (6 * sum((mean - one) ** 2 for one in without) ** 1.5)
    ends = [normal.cdf(z0 + (z0 + normal.inv_cdf(p)) / (1 - a * (z0 + normal.inv_cdf(p)))) for p in (0.025, 0.975)]
    found = Bootstrap(groups, resamples=400, seed=9, method="bca").statistic(MADE[name](first, second))
    assert (found.low, found.high) == pytest.approx(tuple(np.quantile(drawn, ends)), abs=1e-9)


@pytest.mark.parametrize("method", ["percentile", "bca"])
def test_like_scipy_where_each_unit_is_a_group(method):
    stats = pytest.importorskip("scipy.stats")
    chance = np.random.default_rng(3)
    x = chance.normal(size=60)
    y = x + chance.normal(size=60) ** 2
    theirs = stats.bootstrap(
        (x, y),
        lambda a, b, axis: stats.pearsonr(a, b, axis=axis).statistic,
        paired=True,
        vectorized=True,
        method={"percentile": "percentile", "bca": "BCa"}[method],
        n_resamples=20_000,
        rng=np.random.default_rng(1),
    )
    found = Bootstrap(range(60), resamples=20_000, method=method).statistic(pearson(x.tolist(), y.tolist()))
    near = 0.06 * theirs.standard_error
    assert found.low == pytest.approx(theirs.confidence_interval.low, abs=near)
    assert found.high == pytest.approx(theirs.confidence_interval.high, abs=near)


def test_efron_and_tibshiranis_examples():
    """1993, table 14.2: the variance of 26 children's spatial test A, 171.5; of 2,000 resamples 90 % are from 100.8 to
    233.9 by percentiles, and from 115.8 to 259.6 by BCa. Chapter 13: the mean of seven mice's days, 90 % of 1,000
    resamples from 49.7 to 126.7. Theirs are random too: near is within a tenth of the standard error."""
    a = np.array([48, 36, 20, 29, 42, 42, 20, 42, 22, 41, 45, 14, 6, 0, 33, 28, 34, 4, 32, 24, 47, 41, 24, 26, 30, 41])
    variance = Sums(
        np.column_stack([np.ones(26), a, a**2]).astype(float),
        lambda sums_SD: sums_SD[:, 2] / sums_SD[:, 0] - (sums_SD[:, 1] / sums_SD[:, 0]) ** 2,
        n=26,
        counts_U=np.ones(26, dtype=bool),
        why="never",
    )
    for method, low, high in (("percentile", 100.8, 233.9), ("bca", 115.8, 259.6)):
        found = Bootstrap(range(26), resamples=20_000, confidence=0.9, method=method).statistic(variance)
        assert round(found.value, 1) == 171.5
        assert (found.low, found.high) == pytest.approx((low, high), abs=4.2)
    mice = bias([94, 197, 16, 38, 99, 141, 23], [0] * 7)
    found = Bootstrap(range(7), resamples=20_000, confidence=0.9).statistic(mice)
    assert (found.low, found.high) == pytest.approx((49.7, 126.7), abs=2.5)


@pytest.mark.parametrize(("method", "low", "high"), [("percentile", 28.86, 84.21), ("bca", 32.31, 91.43)])
def test_like_r(method, low, high):
    """boot.ci of the mean of sixteen numbers, a million resamples, 95 %: in the tests of scipy's bootstrap, which takes
    them as they are to 0.5 %. Each number twice, as one group: that is the same, for groups are what is drawn."""
    x = [10, 12, 12.5, 12.5, 13.9, 15, 21, 22, 23, 34, 50, 81, 89, 121, 134, 213]
    twice = bias([one for one in x for _ in range(2)], [0.0] * 32)
    found = Bootstrap([unit // 2 for unit in range(32)], resamples=200_000, method=method).statistic(twice)
    assert (found.low, found.high) == pytest.approx((low, high), rel=0.01)
    alone = Bootstrap(range(32), resamples=20_000, method=method).statistic(twice)
    assert alone.high - alone.low < 0.8 * (high - low)


def test_the_law_schools():
    """Matlab's bootci of the correlation, percentiles, 95 %: 0.46 to 0.96, as in the tests of pingouin's
    compute_bootci."""
    found = Bootstrap(range(15), resamples=50_000).statistic(pearson(*LAW))
    assert round(found.value, 7) == 0.7763745
    assert (found.low, found.high) == pytest.approx((0.46, 0.96), abs=0.01)


def test_all_draws_of_three_groups():
    """27 draws; the lowest and the highest mean come of one draw each, a share of 1/27 and more than 2.5 %."""
    first, groups = [0.0, 1.0, 1.0, 0.25], ["a", "a", "b", "c"]
    inside = {"a": [0.0, 1.0], "b": [1.0], "c": [0.25]}
    means = [
        statistics.fmean(value for name in drawn for value in inside[name])
        for drawn in itertools.product("abc", repeat=3)
    ]
    found = Bootstrap(groups).statistic(bias(first, [0.0] * 4))
    assert (found.low, found.high) == pytest.approx((min(means), max(means)))


def test_it_holds_what_it_promises():
    """95 % intervals of a bias, units in a group being much alike: near 95 % hold the truth, where units on their own
    would promise far too much."""
    chance = np.random.default_rng(8)
    groups = [unit // 5 for unit in range(200)]
    held = {"groups": 0, "units": 0}
    for _ in range(200):
        apart = np.repeat(chance.normal(0.3, 1, 40), 5) + chance.normal(0, 0.5, 200)
        measure = bias(apart.tolist(), [0.0] * 200)
        for name, own in (("groups", groups), ("units", list(range(200)))):
            found = Bootstrap(own, resamples=300).statistic(measure)
            held[name] += found.low <= 0.3 <= found.high
    assert 178 <= held["groups"] <= 200
    assert held["units"] < 150


def test_a_difference_is_of_the_same_draws():
    first, second = ratings(40, 4)
    third = [one if unit % 3 else second[unit] for unit, one in enumerate(first)]
    groups = [unit // 4 for unit in range(40)]
    one, other = pearson(first, second), pearson(first, third)

    def make(units):
        columns = [[column[u] for u in units] for column in (first, second, third)]
        return pearson(columns[0], columns[1]).value() - pearson(columns[0], columns[2]).value()

    for method in ("percentile", "bca"):
        found = Bootstrap(groups, resamples=80, seed=6, method=method).difference(one, other)
        assert found.value == pytest.approx(one.value() - other.value())
        if method == "percentile":
            drawn = by_hand(make, groups, 80, 6)
            assert (found.low, found.high) == pytest.approx(tuple(np.quantile(drawn, (0.025, 0.975))), abs=1e-9)
    itself = Bootstrap(groups).difference(one, one)
    assert (itself.value, itself.low, itself.high) == (0, 0, 0)


def test_resamples_without_a_value_are_left_out_and_counted():
    """One unit of six breaks the constancy: (5/6)⁶ of all draws do without it."""
    measure = cohen_kappa([1, 1, 1, 1, 1, 2], [1, 1, 1, 1, 1, 2], LEVELS)
    found = Bootstrap(range(6), resamples=2000).statistic(measure)
    assert found.left_out == pytest.approx(2000 * (5 / 6) ** 6, abs=80)
    assert (found.value, found.low, found.high, found.why) == (1, 1, 1, None)


def test_where_most_resamples_have_no_value():
    """The first varies by one group only and the second by another: three of five draws do without one of the two."""
    first, second = [2, 1, 1, 1, 1, 1], [1, 2, 1, 1, 1, 1]
    for made in (pearson, kendall):
        found = Bootstrap(range(6), resamples=500).statistic(made(first, second))
        assert found.value == pytest.approx(-0.2)
        assert found.low is None
        assert 250 < found.left_out < 400
        assert f"{found.left_out} of 500 resamples have no value" in found.why


def test_groups_with_nothing_to_say_are_not_drawn():
    """Of two groups that count, every second draw has but one."""
    found = Bootstrap(["a", "b", "c", "d"], resamples=500).statistic(kendall([1, 2, None, None], [1, 2, 3, 4]))
    assert found.left_out == pytest.approx(250, abs=60)


@pytest.mark.parametrize("name", MADE)
@pytest.mark.parametrize("method", ["percentile", "bca"])
def test_degenerate_inputs_have_no_interval_and_say_why(name, method):
    for first, second in (([], []), ([None, None], [1, 2]), ([3, 3, 3], [3, 3, 3]), ([2], [3]), ([1, 2], [2, 1])):
        measure = MADE[name](first, second)
        for groups in (range(len(first)), ["one"] * len(first)):
            found = Bootstrap(groups, resamples=50, method=method).statistic(measure)
            assert (found.value is None) == (measure.value() is None)
            if found.low is None:
                assert found.why
            else:
                assert len(set(groups)) > 1
                assert math.isfinite(found.low)


def test_one_group():
    found = Bootstrap(["a"] * 4).statistic(bias([1, 2, 3, 4], [1, 1, 1, 1]))
    assert (found.value, found.low, found.high) == (1.5, None, None)
    assert "one group" in found.why
    # a group without a rating is no second one
    assert "one group" in Bootstrap(["a", "a", "b"]).statistic(bias([1, 2, None], [1, 1, 1])).why


def test_the_corrected_ends_of_what_cannot_be_better():
    """All resamples at or below the value, all groups alike, or all but a few: there is always an interval."""
    agreed = cohen_kappa([1, 2, 3, 4, 5], [1, 2, 3, 4, 5], LEVELS, "quadratic")
    found = Bootstrap(range(5), method="bca").statistic(agreed)
    assert (found.low, found.high) == pytest.approx((1, 1))
    level = bias([1.0] * 6, [0.0] * 6)
    assert Bootstrap(range(6), method="bca").statistic(level).low == pytest.approx(1)
    odd = bias([100.0] + [0.0] * 30, [0.0] * 31)
    found = Bootstrap(range(31), method="bca").statistic(odd)
    assert 0 <= found.low <= found.value <= found.high


def test_the_corrected_ends_where_all_resamples_are_below():
    """The share of groups that were drawn is 1 for all and less in any draw."""
    drawn = Sums(
        np.eye(40),
        lambda sums_SD: (sums_SD > 0).mean(axis=1),
        n=40,
        counts_U=np.ones(40, dtype=bool),
        why="never",
    )
    found = Bootstrap(range(40), method="bca").statistic(drawn)
    assert 0.6 < found.low <= found.high < 1


def test_seeds():
    measure = pearson(*ratings(50, 6))
    one, same, other = (Bootstrap(range(50), seed=seed).statistic(measure) for seed in (1, 1, 2))
    assert one == same
    assert one != other
    # in blocks or at once, and whatever the groups are called
    named = Bootstrap([f"c{unit}" for unit in range(50)], seed=1).statistic(measure)
    assert named == one


def test_blocks(monkeypatch):
    from kardia.agreement import bootstrap

    measures = [MADE["quadratic kappa"](*ratings(50, 7)), MADE["Spearman"](*ratings(50, 7))]
    whole = [Bootstrap(range(50), resamples=100).statistic(measure) for measure in measures]
    monkeypatch.setattr(bootstrap, "_CELLS", 350)
    parts = [Bootstrap(range(50), resamples=100).statistic(measure) for measure in measures]
    for one, other in zip(whole, parts, strict=True):
        assert (one.low, one.high) == pytest.approx((other.low, other.high), abs=1e-12)


def test_rows_of_the_same_units():
    """A unit that comes twice is drawn twice or not at all."""
    x, groups = [1.0, 2.0, 4.0, 8.0], ["a", "b", "c", "d"]
    once = Bootstrap(groups, resamples=200).statistic(bias(x, [0.0] * 4))
    twice = Bootstrap(groups, resamples=200).rows([0, 1, 2, 3, 0, 1, 2, 3]).statistic(bias(x * 2, [0.0] * 8))
    assert (twice.low, twice.high) == pytest.approx((once.low, once.high))


def test_what_is_refused():
    with pytest.raises(InputError, match="3 units have a group, but 2 have ratings"):
        Bootstrap(["a", "b", "c"]).statistic(bias([1, 2], [2, 3]))
    for rest, match in (
        ({"resamples": 3}, "10 resamples"),
        ({"confidence": 1.0}, "between 0 and 1"),
        ({"method": "t"}, "not 't'"),
    ):
        with pytest.raises(InputError, match=match):
            Bootstrap(["a"], **rest)


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.tuples(*[st.sampled_from([1, 2, 3, None])] * 2, st.integers(0, 5)), max_size=15),
    st.sampled_from(list(MADE)),
    st.sampled_from(["percentile", "bca"]),
)
def test_never_nan(rows, name, method):
    measure = MADE[name]([a for a, _, _ in rows], [b for _, b, _ in rows])
    found = Bootstrap([group for _, _, group in rows], resamples=40, method=method).statistic(measure)
    assert (found.low is None) == (found.high is None)
    if found.low is None:
        assert found.why
    else:
        assert found.low <= found.high


def test_sums_of_measures():
    """A mean of differences is the difference of means, resample by resample; a difference is a sum of two."""
    first, second = ratings(60, 1)
    third, fourth = ratings(60, 2)
    groups = [unit // 2 for unit in range(60)]
    bootstrap = Bootstrap(groups, resamples=200)
    one, other = bias(first, second), bias(third, fourth)
    joined = bias([*map(float, first)], second)
    assert bootstrap.total([one, other], [1.0, -1.0]) == bootstrap.difference(one, other)
    assert bootstrap.total([joined], [1.0]) == bootstrap.statistic(joined)
    mean = bootstrap.total([one, other], [0.5, 0.5])
    gaps = [(a - b + c - d) / 2 for a, b, c, d in zip(first, second, third, fourth, strict=True)]
    by_unit = bootstrap.statistic(bias(gaps, [0.0] * 60))
    assert (mean.value, mean.low, mean.high) == pytest.approx((by_unit.value, by_unit.low, by_unit.high))
    constant = pearson([1] * 60, first)
    assert bootstrap.total([one, constant], [0.5, 0.5]).why == constant.why
    with pytest.raises(InputError, match="a sum takes a weight for each measure, not 1 for 2"):
        bootstrap.total([one, other], [1.0])


def test_what_was_drawn_once_is_the_same_the_next_time():
    """Draws are kept: neither their order nor what else was drawn in between makes a difference."""
    first, second = ratings(40, 1, missing=0.2)
    third, fourth = ratings(40, 2, missing=0.2)
    groups = [unit // 2 for unit in range(40)]
    measures = [kendall(first, second), bias(third, fourth), cohen_kappa(first, third, LEVELS)]
    shared_one = Bootstrap(groups, resamples=50)
    fresh = [Bootstrap(groups, resamples=50).statistic(measure) for measure in measures]
    for _ in range(2):
        assert [shared_one.statistic(measure) for measure in measures] == fresh
        assert [shared_one.statistic(measure) for measure in reversed(measures)] == fresh[::-1]
        other = shared_one.of(groups[:20])
        other.statistic(bias(first[:20], second[:20]))
