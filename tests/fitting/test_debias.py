"""Length debiasing: the smallest λ of ArmoRM's grid that leaves no rank correlation with the length."""

from __future__ import annotations

import pytest

from kardia.fitting.debias import LAMBDAS, MOST, debias_of, spearman, verbosity_of

np = pytest.importorskip("numpy", reason="fitting needs kardia[local]")
pytest.importorskip("scipy", reason="fitting needs kardia[local]")


def test_the_grid():
    assert LAMBDAS[:5] == (0.0, 0.01, 0.025, 0.05, 0.075)
    assert (LAMBDAS[-1], len(LAMBDAS)) == (0.95, 40)
    assert list(LAMBDAS) == sorted(set(LAMBDAS))


@pytest.mark.parametrize("share", [-0.1, 0.1, 0.3, 0.6])
def test_the_smallest_that_suffices(share):
    random = np.random.default_rng(0)
    verbosity_N = random.normal(0, 0.3, 400)
    value_N = np.clip(0.5 + share * verbosity_N + random.normal(0, 0.1, 400), 0, 1)
    found = debias_of(value_N, verbosity_N)
    assert spearman(value_N - found * verbosity_N, verbosity_N) <= MOST
    smaller = [one for one in LAMBDAS if one < found]
    assert all(spearman(value_N - one * verbosity_N, verbosity_N) > MOST for one in smaller)
    assert (found == 0) == (share < 0)


def test_what_likes_short_texts_is_left_alone():
    verbosity_N = np.linspace(-1, 1, 50)
    assert debias_of(0.5 - 0.4 * verbosity_N, verbosity_N) == 0.0


def test_where_nothing_suffices():
    verbosity_N = np.linspace(-0.05, 0.05, 50)
    assert debias_of(0.5 + 9 * verbosity_N, verbosity_N) == 1.0


def test_what_is_not_applicable_says_nothing():
    verbosity_N = np.linspace(-1, 1, 60)
    value_N = 0.5 + 0.2 * np.sin(np.arange(60))
    value_N[::2] = np.nan
    assert debias_of(value_N, verbosity_N) == debias_of(value_N[1::2], verbosity_N[1::2])
    assert debias_of(np.full(60, np.nan), verbosity_N) == 0.0
    assert debias_of(np.full(60, 0.7), verbosity_N) == 0.0


def test_the_scale_of_lengths():
    characters_N = np.exp(np.linspace(2, 6, 1001)) - 1
    scale = verbosity_of(characters_N)
    assert scale.mean == pytest.approx(4.0, abs=1e-4)
    assert scale.span == pytest.approx(3.6, abs=1e-3)
    assert verbosity_of(np.full(20, 80.0)).span == 1.0
