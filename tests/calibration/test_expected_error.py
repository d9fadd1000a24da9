"""Expected calibration error, of values and of a student's confidence: published examples, and in plain Python."""

from __future__ import annotations

import itertools
import math

import pytest

pytest.importorskip("numpy", reason="calibration needs kardia[agree]")
pytest.importorskip("scipy", reason="calibration needs kardia[agree]")

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from kardia.agreement.correlation import bias
from kardia.calibration.artifact import Bin
from kardia.calibration.figures import Measures, expected_error, figures_of, reliability
from kardia.model.metrics import calibration_error

# Kumar, Liang and Ma 2019, their package uncertainty-calibration, `test_1d_ece_em`: probabilities, whether they came
# true, bins of equal counts, the error
EQUAL_COUNTS = [
    ([0.1], [1], 1, 0.9),
    ([0.1], [0], 1, 0.1),
    ([0.1, 0.7], [0, 1], 1, 0.1),
    ([0.7, 0.1], [1, 0], 1, 0.1),
    ([0.1, 0.7, 0.4], [0, 0, 0], 1, 0.4),
    ([0.1, 0.9], [0, 1], 1, 0.0),
    ([0.1, 0.7], [0, 1], 2, 0.2),
    ([0.1, 0.1, 0.7], [0, 1, 1], 2, 0.4 * 2 / 3 + 0.3 * 1 / 3),
    ([0.1, 0.1, 0.1, 0.1, 0.7], [0, 1, 0, 0, 1], 2, 0.15 * 4 / 5 + 0.3 * 1 / 5),
    ([0.1, 0.7, 0.5, 0.9], [0, 1, 0, 1], 2, 0.25),
    ([0.1, 0.7, 0.5, 0.9], [0, 1, 0, 1], 4, 0.25),
    ([0.6, 0.7, 0.8, 0.9], [0, 0, 1, 1], 2, 0.4),
    ([0.1, 0.7, 0.5, 0.9], [0, 1, 1, 1], 2, 0.2),
    ([0.1, 0.7, 0.5, 0.9], [0, 1, 1, 1], 4, 0.25),
]
# torchmetrics' documentation of BinaryCalibrationError: two bins, l1, 0.2900
TORCHMETRICS = ([0.25, 0.25, 0.55, 0.75, 0.75], [0, 0, 1, 1, 1])
# Pavlovic 2023, "Expected Calibration Error: a step-by-step visual explanation": three bins, 0.23778. Her figure is the
# confidence beside whether the answer, which is yes from .5 on, is right
PAVLOVIC = ([0.22, 0.64, 0.92, 0.42, 0.51, 0.15, 0.70, 0.37, 0.83], [0, 1, 0, 0, 0, 1, 1, 0, 1])


def r_uniform(seed: int, size: int):
    """What R's `set.seed(seed); runif(size)` gives: the Mersenne twister, with R's way of starting it."""
    state, states = seed, []
    for _ in range(50 + 1 + 624):  # the first 50 are stirring, and the next one is overwritten
        state = (69069 * state + 1) % 2**32
        states.append(state)
    twister = np.random.RandomState()
    twister.set_state(("MT19937", np.array(states[51:], dtype=np.uint32), 624))
    return twister.randint(0, 2**32, size, dtype=np.uint32) * 2.3283064365386963e-10


@pytest.fixture(scope="module")
def rhealth():
    """The example of the R package RHealth: set.seed(1); p <- runif(1e4); y <- rbinom(1e4, 1, 0.4)."""
    drawn = r_uniform(1, 20_000)
    assert [round(float(one), 4) for one in drawn[:3]] == [0.2655, 0.3721, 0.5729]  # as everywhere in R's manuals
    return drawn[:10_000], (drawn[10_000:] >= 0.6).astype(float)  # rbinom by inversion


def error(values, people, bins):
    return expected_error(reliability(np.asarray(values, dtype=float), np.asarray(people, dtype=float), bins))


@pytest.mark.parametrize(("probabilities", "truth", "bins", "expected"), EQUAL_COUNTS)
def test_published_errors_of_bins_of_equal_counts(probabilities, truth, bins, expected):
    """Each unit is there twenty times: a bin here holds ten replies or more."""
    assert error(probabilities * 20, truth * 20, bins) == pytest.approx(expected, abs=1e-9)


def test_rhealths_adaptive_error(rhealth):
    """ece_confidence_binary(p, y, adaptive = TRUE), 20 bins: 0.261506."""
    assert [one.n for one in reliability(*rhealth, 20)] == [500] * 20
    assert round(error(*rhealth, 20), 6) == 0.261506


def test_published_errors_whose_bins_are_these():
    """Bins of equal width that are those of equal counts here, and bins as they were published."""
    assert error(TORCHMETRICS[0] * 12, TORCHMETRICS[1] * 12, 3) == pytest.approx(0.29, abs=1e-9)
    bins = [(2, 0.185, 0.5), (4, 0.485, 0.75), (3, 0.816667, 0.666667)]
    made = [Bin(n=n, predicted=predicted, observed=observed) for n, predicted, observed in bins]
    assert round(expected_error(made), 5) == 0.23778


def test_published_errors_of_confidence(rhealth):
    """Bins of equal width. RHealth: ece_confidence_binary(p, y), 20 bins: 0.2618338."""
    values, came_true = TORCHMETRICS
    assert calibration_error(values, [bool(one) for one in came_true], 2) == pytest.approx(0.29, abs=1e-9)
    values, truth = PAVLOVIC
    right = [(value > 0.5) == bool(one) for value, one in zip(values, truth, strict=True)]
    assert round(calibration_error(values, right, 3), 5) == 0.23778
    p, y = rhealth
    assert round(calibration_error(p.tolist(), (y == 1).tolist(), 20), 7) == 0.2618338
    # Kumar, Liang and Ma 2019, `test_missing_class_binary_ece`
    assert calibration_error([0.9, 0.1, 0.3], [False] * 3, 1) == pytest.approx(1.3 / 3, abs=1e-9)
    assert calibration_error([0.9, 0.1, 0.3], [True] * 3, 1) == pytest.approx(1.7 / 3, abs=1e-9)


def naive_error(rows, wanted):
    """In plain Python: cut where so many are full, but never between equal values."""
    rows = sorted(rows, key=lambda row: row[0])
    cuts = {0, len(rows)}
    for number in range(1, wanted):
        cut = round(number * len(rows) / wanted)
        while 0 < cut < len(rows) and rows[cut][0] == rows[cut - 1][0]:
            cut += 1
        cuts.add(cut)
    total = 0.0
    for start, end in itertools.pairwise(sorted(cuts)):
        inside = rows[start:end]
        total += abs(math.fsum(value for value, _ in inside) - math.fsum(said for _, said in inside))
    return total / len(rows)


pairs = st.lists(st.tuples(st.integers(0, 997), st.integers(0, 7)), min_size=1, max_size=150)


@settings(deadline=None)
@given(pairs, st.integers(1, 12), st.sampled_from([997, 9]))
def test_in_plain_python(rows, bins, steps):
    """`steps`: few different values, so that equal ones have to stay together, or many."""
    rows = [(value % (steps + 1) / steps, said / 7) for value, said in rows]
    found = error([value for value, _ in rows], [said for _, said in rows], bins)
    assert found == pytest.approx(naive_error(rows, max(1, min(bins, len(rows) // 10))), abs=1e-9)
    assert 0 <= found <= 1


@settings(deadline=None)
@given(pairs, st.integers(1, 12))
def test_confidence_in_plain_python(rows, bins):
    rows = [(value / 997, said > 3) for value, said in rows]
    found = calibration_error([value for value, _ in rows], [right for _, right in rows], bins)
    expected = math.fsum(
        abs(math.fsum(value - right for value, right in rows if min(bins - 1, math.floor(value * bins)) == place))
        for place in range(bins)
    )
    assert found == pytest.approx(expected / len(rows), abs=1e-9)


def test_bins_hold_about_as_many_and_keep_equal_values_together():
    bins = reliability(
        np.asarray([0.0] * 37 + [0.5] * 13 + [1.0] * 50), np.asarray([0.1] * 37 + [0.5] * 13 + [0.8] * 50)
    )
    assert [one.n for one in bins] == [37, 13, 50]
    assert [one.predicted for one in bins] == pytest.approx([0.0, 0.5, 1.0])
    assert [one.observed for one in bins] == pytest.approx([0.1, 0.5, 0.8])
    assert expected_error(bins) == pytest.approx(0.37 * 0.1 + 0.5 * 0.2)
    assert [one.n for one in reliability(np.linspace(0, 1, 100), np.linspace(0, 1, 100))] == [10] * 10
    assert [one.n for one in reliability(np.linspace(0, 1, 19), np.linspace(0, 1, 19))] == [19]


def test_one_value_and_one_reply():
    assert error([0.7] * 40, [0.5] * 40, 10) == pytest.approx(0.2)
    assert len(reliability(np.full(40, 0.7), np.full(40, 0.5))) == 1
    assert error([1.0], [0.25], 10) == 0.75


def figures(values, people):
    """The artifact's figures; those that are not about bins are of no account here."""
    rest = bias([], [])
    bins = reliability(np.asarray(values, dtype=float), np.asarray(people, dtype=float))
    return figures_of(Measures(bins, rest, "there are no probabilities", rest, rest), None)


def test_of_no_reply_there_is_none_and_the_reason():
    assert reliability(np.zeros(0), np.zeros(0)) == []
    assert expected_error([]) is None
    found = figures([], [])
    assert (found.ece.value, found.ece.n, found.bins) == (None, 0, [])
    assert "there is no reply" in found.ece.why


def test_the_artifact_holds_six_digits():
    found = figures([1 / 3] * 10 + [2 / 3] * 10, [0.0] * 10 + [1.0] * 10)
    assert (found.ece.value, found.ece.n, found.ece.low) == (0.333333, 20, None)
    assert found.ece.why.startswith("there is no interval")
    assert [(one.predicted, one.observed, one.n) for one in found.bins] == [(0.333333, 0.0, 10), (0.666667, 1.0, 10)]
