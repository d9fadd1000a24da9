"""Intraclass correlations: published examples with intervals, second implementations, and what must hold of all."""

from __future__ import annotations

import math
import random
import warnings

import pytest

np = pytest.importorskip("numpy", reason="agreement needs kardia[agree]")

from hypothesis import given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

from kardia.agreement.icc import icc  # noqa: E402
from kardia.errors import InputError  # noqa: E402

from .others import somebodys  # noqa: E402
from .published import ANXIETY, JUDGES, WINES, units  # noqa: E402

FORMS = ["2,1", "3,1", "2,k", "3,k"]
tables = st.integers(2, 4).flatmap(lambda width: st.lists(st.tuples(*[st.integers(1, 5)] * width), max_size=12))


def test_shrout_and_fleiss():
    """1979, table 4: .29, .71, .62 and .91; their table 3: BMS 11.24, JMS 32.49, EMS 1.02."""
    assert [round(icc(JUDGES, form).value(), 2) for form in FORMS] == [0.29, 0.71, 0.62, 0.91]
    squares = icc(JUDGES, "2,1").mean_squares()
    assert (squares.n, squares.k) == (6, 4)
    assert [round(one, 2) for one in (squares.between, squares.raters, squares.error)] == [11.24, 32.49, 1.02]


@pytest.mark.parametrize(
    ("form", "value", "low", "high"),
    [("2,1", 0.728, 0.43, 0.93), ("3,1", 0.729, 0.43, 0.93), ("2,k", 0.914, 0.75, 0.98), ("3,k", 0.915, 0.75, 0.98)],
)
def test_the_wines(form, value, low, high):
    """pingouin's documentation of intraclass_corr."""
    found = icc(WINES, form).by_f()
    assert (round(found.value, 3), round(found.low, 2), round(found.high, 2), found.n) == (value, low, high, 8)


def test_the_r_packages():
    """irr: icc(anxiety, "twoway", "agreement") is 0.198, from −0.039 to 0.494. psych: ICC of Shrout and Fleiss's table
    has the intervals .019 to .76 for ICC2 and .34 to .95 for ICC3."""
    found = icc(units(ANXIETY), "2,1").by_f()
    assert [round(one, 3) for one in (found.value, found.low, found.high)] == [0.198, -0.039, 0.494]
    two, three = icc(JUDGES, "2,1").by_f(), icc(JUDGES, "3,1").by_f()
    assert (round(two.low, 3), round(two.high, 2)) == (0.019, 0.76)
    assert (round(three.low, 2), round(three.high, 2)) == (0.34, 0.95)


def naive_squares(table):
    """The analysis of variance in the words of the textbooks."""
    n, k = len(table), len(table[0])
    grand = math.fsum(map(math.fsum, table)) / (n * k)
    rows = [math.fsum(row) / k for row in table]
    columns = [math.fsum(column) / n for column in zip(*table, strict=True)]
    between = k * math.fsum((mean - grand) ** 2 for mean in rows) / (n - 1)
    raters = n * math.fsum((mean - grand) ** 2 for mean in columns) / (k - 1)
    rest = math.fsum((x - rows[i] - columns[j] + grand) ** 2 for i, row in enumerate(table) for j, x in enumerate(row))
    return n, k, between, raters, rest / ((n - 1) * (k - 1))


def naive_icc(table, form):
    n, k, bms, jms, ems = naive_squares(table)
    top, bottom = {
        "2,1": (bms - ems, bms + (k - 1) * ems + k * (jms - ems) / n),
        "3,1": (bms - ems, bms + (k - 1) * ems),
        "2,k": (bms - ems, bms + (jms - ems) / n),
        "3,k": (bms - ems, bms),
    }[form]
    return top / bottom if bottom > 1e-9 else None


@settings(deadline=None)
@given(tables, st.sampled_from(FORMS), st.sampled_from([1, 0.1, 1000]))
def test_icc_by_the_textbook(table, form, unit):
    found = icc([[rating * unit + unit for rating in row] for row in table], form)
    expected = naive_icc(table, form) if len(table) > 1 else None
    assert found.value() == (None if expected is None else pytest.approx(expected, rel=1e-9, abs=1e-9))


def test_no_interval_passes_by_its_value():
    found = icc([(1, 4), (4, 1), (4, 1), (5, 1)], "2,1").by_f()
    assert round(found.value, 2) == -0.87
    assert found.low is None
    assert "so little difference" in found.why


def test_a_variance_of_nothing_but_rounding():
    """BMS + (JMS − EMS) / n is 0 here, up to the last digit."""
    table = [(1, 1, 4), (1, 1, 5), (1, 4, 3), (1, 4, 5), (2, 4, 1), (5, 1, 1), (5, 1, 1)]
    assert "differ too little" in icc(table, "2,k").by_f().why


@pytest.mark.parametrize("form", FORMS)
def test_icc_and_its_interval_are_pingouins(form):
    pingouin = somebodys("pingouin")
    pandas = somebodys("pandas")
    chance = np.random.default_rng(2)
    for n, k in ((8, 2), (20, 5)):
        x = chance.normal(size=(n, 1)) + 0.5 * chance.normal(size=k) + chance.normal(size=(n, k))
        long = pandas.DataFrame([(i, j, x[i, j]) for i in range(n) for j in range(k)], columns=["unit", "rater", "x"])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            pandas.set_option("display.precision", 15)
            with pingouin_digits(pingouin):
                theirs = pingouin.intraclass_corr(long, "unit", "rater", "x").set_index("Type")
        row = theirs.loc[f"ICC({'A' if form[0] == '2' else 'C'},{form[2]})"]
        found = icc(x.tolist(), form).by_f()
        assert found.value == pytest.approx(row["ICC"], abs=1e-9)
        assert (found.low, found.high) == pytest.approx(tuple(row["CI95"]), abs=1e-9)


class pingouin_digits:
    """pingouin rounds intervals to two digits unless it is told not to."""

    def __init__(self, pingouin):
        self.options = pingouin.options

    def __enter__(self):
        self.before = dict(self.options)
        for name in self.options:
            if name.startswith("round"):
                self.options[name] = None

    def __exit__(self, *_):
        self.options.update(self.before)


@given(tables, st.sampled_from(FORMS), st.integers(0, 999))
def test_what_holds_of_icc(table, form, seed):
    chance = random.Random(seed)
    found = icc(table, form).by_f()
    width = len(table[0]) if table else 0
    raters = chance.sample(range(width), width)
    mixed = icc([[row[rater] for rater in raters] for row in chance.sample(table, len(table))], form).by_f()
    if found.value is None:
        assert mixed.value is None
        assert found.why
        return
    assert mixed.value == pytest.approx(found.value, abs=1e-9)
    assert found.value <= 1 + 1e-9
    if found.low is None:
        assert found.why
    else:
        assert found.low <= found.value + 1e-9
        assert found.value <= found.high + 1e-9
        assert mixed.low == pytest.approx(found.low, abs=1e-9)
    if form[0] == "3":  # a rater who is stricter throughout is as consistent
        shifted = icc([(row[0] + 3, *row[1:]) for row in table], form).value()
        assert shifted == pytest.approx(found.value, abs=1e-9)


@given(st.lists(st.integers(1, 5), min_size=2, max_size=10), st.integers(2, 4), st.sampled_from(FORMS))
def test_perfect_agreement(ratings, width, form):
    found = icc([[rating] * width for rating in ratings], form).by_f()
    if len(set(ratings)) == 1:
        assert found.value is None
        assert "the same" in found.why
    else:
        assert (found.value, found.low, found.high) == pytest.approx((1, 1, 1))


@pytest.mark.parametrize("form", FORMS)
def test_icc_without_a_value(form):
    for table, why in (
        ([], "two raters"),
        ([[1], [2]], "two raters"),
        ([[1, 2]], "two units"),
        ([[1, 2], [None, 2], [2, None]], "two units"),
        ([[None, None]], "two units"),
        ([[0.1, 0.1, 0.1]] * 3, "the same"),
    ):
        found = icc(table, form).by_f()
        assert (found.value, found.low) == (None, None)
        assert why in found.why
        assert icc(table, form).mean_squares() is None or "the same" in why


def test_raters_who_tell_nothing_apart():
    """Each has one rating for all units: consistent raters cannot be told from any others, and do not agree."""
    table = [[1, 4]] * 5
    assert icc(table, "2,1").by_f().value == 0
    assert icc(table, "2,1").by_f().low is None
    assert "differ too little" in icc(table, "3,1").by_f().why
    # units do not differ at all: an interval would be this one value
    for form, value in (("2,1", -2), ("3,1", -1)):
        found = icc([[1, 2], [2, 1], [1, 2], [2, 1]], form).by_f()
        assert (found.value, found.low) == (pytest.approx(value), None)
        assert "so little difference" in found.why
    # they differ less than raters do about one and the same unit
    assert icc([[1, 2], [2, 1]], "3,1").value() == pytest.approx(-1)
    assert "differ too little" in icc([[1, 2], [2, 1]], "3,k").by_f().why


def test_the_interval_grows_with_confidence():
    narrow, wide = icc(WINES, "2,1").by_f(0.8), icc(WINES, "2,1").by_f(0.99)
    assert wide.low < narrow.low < narrow.value < narrow.high < wide.high


def test_units_that_not_all_rated_are_left_out():
    with_gaps = icc([*WINES, (None, 3, 3, 3)], "2,1").by_f()
    assert with_gaps == icc(WINES, "2,1").by_f()


def test_other_forms():
    with pytest.raises(InputError, match="not '1,1'"):
        icc(WINES, "1,1")
