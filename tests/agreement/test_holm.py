"""Holm's correction: worked examples, and two other ways to the same numbers."""

from __future__ import annotations

from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kardia.agreement.holm import holm

P = st.floats(0, 1) | st.sampled_from([0.0, 0.001, 0.01, 0.05, 1.0])
FEW = st.lists(P, max_size=8)
MANY = st.lists(P, max_size=60)


def test_by_hand() -> None:
    # in order: 4 · 0.005, 3 · 0.01, 2 · 0.03, and 1 · 0.04, which the one before it lifts to 0.06
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02], abs=1e-12)
    # nothing is above 1, and equal p values are corrected alike
    assert holm([0.5, 0.5, 0.5]) == [1.0, 1.0, 1.0]
    assert holm([0.2]) == [0.2]
    assert holm([]) == []
    # with weights: p/w in order is 0.01, 0.02, 0.12; times the weights left, 3.5, 1.5 and 0.5
    assert holm([0.02, 0.02, 0.06], [2.0, 1.0, 0.5]) == pytest.approx([0.035, 0.035, 0.06], abs=1e-12)


def test_published() -> None:
    # the example of pingouin's `holm` (its documentation prints them rounded)
    assert holm([0.50, 0.003, 0.32, 0.054, 0.0003]) == pytest.approx([0.64, 0.012, 0.64, 0.162, 0.0015], abs=1e-9)
    # the example of `Holm` in the R package HDLSSkST: what it rejects below 5 % (0.01 comes to 5 % itself)
    corrected = holm([0.50, 0.01, 0.001, 0.69, 0.02, 0.05, 0.0025])
    assert [round(p, 12) < 0.05 for p in corrected] == [False, False, True, False, False, False, True]


def closed(p_values: list[float], weights: list[float] | None = None) -> list[float]:
    """The closure of Bonferroni's test: one is rejected where each set that holds it is."""
    shares = [1.0] * len(p_values) if weights is None else weights
    places = range(len(p_values))
    found = [0.0] * len(p_values)
    for size in range(1, len(p_values) + 1):
        for family in combinations(places, size):
            whole = sum(shares[place] for place in family)
            p = min(1.0, whole * min(p_values[place] / shares[place] for place in family))
            for place in family:
                found[place] = max(found[place], p)
    return found


@given(FEW)
@settings(max_examples=60, deadline=None)
def test_it_is_the_closure_of_bonferroni_s(p_values: list[float]) -> None:
    assert holm(p_values) == pytest.approx(closed(p_values), abs=1e-12)


@given(st.lists(st.tuples(P, st.sampled_from([0.2, 0.5, 1.0, 3.0])), max_size=7))
@settings(max_examples=60, deadline=None)
def test_weights_are_those_of_bonferroni_s_parts(tests: list[tuple[float, float]]) -> None:
    p_values, weights = [p for p, _ in tests], [weight for _, weight in tests]
    assert holm(p_values, weights) == pytest.approx(closed(p_values, weights), abs=1e-12)
    assert holm(p_values, [2.0] * len(p_values)) == pytest.approx(holm(p_values), abs=1e-12)


@given(MANY, st.sampled_from([0.01, 0.05, 0.2]))
@settings(max_examples=100, deadline=None)
def test_it_rejects_step_by_step_as_published(p_values: list[float], alpha: float) -> None:
    rejected: list[float] = []
    for rank, p in enumerate(sorted(p_values)):
        if p * (len(p_values) - rank) > alpha:
            break
        rejected.append(p)
    assert sorted(p for p, corrected in zip(p_values, holm(p_values), strict=True) if corrected <= alpha) == rejected


@given(MANY)
def test_no_correction_makes_a_p_smaller_or_changes_the_order(p_values: list[float]) -> None:
    corrected = holm(p_values)
    assert all(p - 1e-15 <= one <= 1.0 for p, one in zip(p_values, corrected, strict=True))
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    assert [corrected[place] for place in order] == sorted(corrected)
