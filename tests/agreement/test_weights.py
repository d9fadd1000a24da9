"""Weights, as Gwet's R package irrCAC prints them, and what must hold of all."""

from __future__ import annotations

import pytest

np = pytest.importorskip("numpy", reason="agreement needs kardia[agree]")

from hypothesis import given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

from kardia.agreement.weights import agreement_weights  # noqa: E402
from kardia.errors import InputError  # noqa: E402


def test_of_three_levels():
    """irrCAC's vignette on weighting: identity.weights(1:3), linear.weights(1:3), quadratic.weights(1:3)."""
    assert agreement_weights([1, 2, 3], "identity").tolist() == np.eye(3).tolist()
    assert agreement_weights([1, 2, 3], "linear").tolist() == [[1, 0.5, 0], [0.5, 1, 0.5], [0, 0.5, 1]]
    assert agreement_weights([1, 2, 3], "quadratic").tolist() == [[1, 0.75, 0], [0.75, 1, 0.75], [0, 0.75, 1]]


def test_numbers_say_how_far_they_are_apart():
    assert agreement_weights([1, 2, 5], "linear")[0].tolist() == [1.0, 0.75, 0.0]
    assert agreement_weights(["low", "some", "high"], "linear")[0].tolist() == [1.0, 0.5, 0.0]
    assert agreement_weights([7], "quadratic").tolist() == [[1.0]]


def test_other_weights():
    with pytest.raises(InputError, match="not 'cubic'"):
        agreement_weights([1, 2], "cubic")


@settings(deadline=None)
@given(st.lists(st.integers(-20, 20), min_size=1, max_size=7, unique=True), st.sampled_from(["linear", "quadratic"]))
def test_they_are_symmetric_and_lie_between_none_and_full(levels, kind):
    found = agreement_weights(levels, kind)
    assert (found == found.T).all()
    assert (np.diag(found) == 1).all()
    assert ((found >= 0) & (found <= 1)).all()
    # neither a shift nor another unit changes anything
    assert found == pytest.approx(agreement_weights([3 * level + 5 for level in levels], kind), abs=1e-12)
