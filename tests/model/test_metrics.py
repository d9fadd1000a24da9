"""The figures, held against scikit-learn's."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kardia.model.metrics import (
    accuracy,
    calibration_error,
    cross_entropy,
    kappa,
    macro_f1,
    majority_share,
    task_metrics,
)

pairs = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=2, max_size=60)


@settings(deadline=None)  # scikit-learn is imported in the first example
@given(pairs)
def test_kappa_and_f1_are_scikit_learns(found):
    metrics = pytest.importorskip("sklearn.metrics", reason="compared with scikit-learn")
    truth, said = [a for a, _ in found], [b for _, b in found]
    for quadratic in (True, False):
        own = kappa(truth, said, quadratic=quadratic)
        if own is None:
            assert len({*truth, *said}) == 1
        else:
            weights = "quadratic" if quadratic else None
            assert own == pytest.approx(metrics.cohen_kappa_score(truth, said, labels=range(4), weights=weights))
    assert macro_f1(truth, said) == pytest.approx(metrics.f1_score(truth, said, average="macro", zero_division=0))
    assert accuracy(truth, said) == pytest.approx(metrics.accuracy_score(truth, said))


def test_the_majority():
    assert majority_share([0, 1, 1, 2]) == 0.5


def test_calibration():
    assert calibration_error([1.0, 1.0, 0.5, 0.5], [True, True, True, False]) == pytest.approx(0.0)
    assert calibration_error([0.95] * 4, [True, False, False, False]) == pytest.approx(0.7)
    # two bins: |1 − .9| · ½ + |0 − .4| · ½
    assert calibration_error([0.9, 0.4], [True, False]) == pytest.approx(0.25)


def test_cross_entropy_of_soft_targets():
    assert cross_entropy([(0.5, 0.5)], [(0.25, 0.75)]) == pytest.approx(-(math.log(0.25) + math.log(0.75)) / 2)
    assert cross_entropy([(1.0, 0.0)], [(0.0, 1.0)]) == pytest.approx(-math.log(1e-6))


def test_a_task():
    targets = [(1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.4, 0.6), (0.0, 0.0, 1.0)]
    shares = [(0.8, 0.1, 0.1), (0.2, 0.6, 0.2), (0.1, 0.8, 0.1), (0.1, 0.2, 0.7)]
    found = task_metrics(targets, shares, shares, ordered=True, temperature=1.5)
    assert (found.n, found.accuracy, found.majority, found.temperature) == (4, 0.75, 0.5, 1.5)
    assert found.kappa == pytest.approx(kappa([0, 1, 2, 2], [0, 1, 1, 2]))
    assert found.ece_before == found.ece_after
    assert found.to_json()["accuracy"] == 0.75
    constant = task_metrics(targets[:1], shares[:1], shares[:1], ordered=True, temperature=1.0)
    assert constant.kappa is None
    assert constant.to_json()["kappa"] is None
