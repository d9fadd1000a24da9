"""The cumulative link: probabilities that sum to 1, gradients that are those of the function."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kardia.fitting import links

np = pytest.importorskip("numpy", reason="fitting needs kardia[local]")
pytest.importorskip("scipy", reason="fitting needs kardia[local]")

FREE = st.lists(st.floats(-4, 2), min_size=1, max_size=5)


@given(FREE, st.floats(-6, 6))
def test_probabilities(free, eta):
    thresholds_T = links.as_thresholds(np.array(free))
    assert (np.diff(thresholds_T) > 0).all()
    levels = len(free) + 1
    losses_L, *_ = links.log_loss(np.full(levels, eta), thresholds_T, np.arange(levels))
    shares_L = np.exp(-losses_L)
    assert shares_L.sum() == pytest.approx(1.0)
    ratings_L = np.arange(levels) * 2.0 + 1
    assert links.expected(np.array([eta]), thresholds_T, ratings_L)[0] == pytest.approx(shares_L @ ratings_L)


@given(FREE)
def test_there_and_back(free):
    again = links.as_thresholds(links.as_free(links.as_thresholds(np.array(free))))
    assert again == pytest.approx(links.as_thresholds(np.array(free)))


def test_gradients():
    from scipy.optimize import check_grad

    random = np.random.default_rng(0)
    eta_N, level_N, weight_N = random.normal(size=40), random.integers(0, 4, 40), random.uniform(size=40)

    def value(free):
        thresholds_T = links.as_thresholds(free[40:])
        return float(links.log_loss(free[:40], thresholds_T, level_N)[0] @ weight_N)

    def slope(free):
        thresholds_T = links.as_thresholds(free[40:])
        _, by_eta_N, above_N, below_N = links.log_loss(free[:40], thresholds_T, level_N)
        by_T = links.gathered(above_N * weight_N, below_N * weight_N, level_N, 3)
        return np.concatenate([by_eta_N * weight_N, links.free_gradient(free[40:], by_T)])

    assert check_grad(value, slope, np.concatenate([eta_N, [-1.0, 0.3, -0.5]])) < 1e-5


def test_the_start_gives_every_level_its_share():
    level_N = np.array([0] * 10 + [1] * 70 + [2] * 20)
    losses_L, *_ = links.log_loss(np.zeros(3), links.start(level_N, 3), np.arange(3))
    assert np.exp(-losses_L) == pytest.approx(np.array([10.5, 70.5, 20.5]) / 101.5)


def test_far_out_nothing_overflows():
    losses_N, by_eta_N, *_ = links.log_loss(np.array([1e3, -1e3]), np.array([0.0, 1.0]), np.array([0, 2]))
    assert np.isfinite(losses_N).all()
    assert np.isfinite(by_eta_N).all()
