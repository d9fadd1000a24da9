"""Folds that keep conversations together, and figures as scipy has them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kardia.errors import InputError, MissingExtra
from kardia.fitting.validation import (
    agreement,
    chosen_strength,
    folds_of,
    needs,
    one_thread,
    out_of_fold,
    splits,
)

np = pytest.importorskip("numpy", reason="fitting needs kardia[local]")
pytest.importorskip("scipy", reason="fitting needs kardia[local]")

GROUPS = st.lists(st.sampled_from("abcdefgh"), min_size=2, max_size=60).filter(lambda each: len(set(each)) > 1)


@given(GROUPS, st.integers(2, 10), st.integers(0, 5))
def test_no_group_stands_on_both_sides(groups, folds, seed):
    fold_N = folds_of(groups, folds, seed)
    assert (fold_N == folds_of(groups, folds, seed)).all()
    assert len(set(fold_N.tolist())) == min(folds, len(set(groups)))
    held_out = []
    for fit, held in splits(fold_N):
        assert not {groups[row] for row in fit} & {groups[row] for row in held}
        assert len(fit)
        held_out += held.tolist()
    assert sorted(held_out) == list(range(len(groups)))


@given(st.integers(10, 100), st.integers(2, 10))
def test_folds_of_single_rows_are_even(rows, folds):
    counts = np.bincount(folds_of([str(row) for row in range(rows)], folds, 0))
    assert counts.max() - counts.min() <= 1


def test_another_seed_deals_otherwise():
    groups = [str(row) for row in range(50)]
    assert (folds_of(groups, 5, 0) != folds_of(groups, 5, 1)).any()


def test_one_group_cannot_be_parted():
    with pytest.raises(InputError, match="belongs to one group"):
        folds_of(["a"] * 20, 5, 0)


def test_the_strength_with_the_least_loss():
    rows = np.arange(20)
    groups = [str(row) for row in rows]

    def loss(fit, held, strength):
        return len(held) * (strength - 0.1) ** 2

    assert chosen_strength(loss, rows, groups, (0.01, 0.1, 1.0), 5, 0) == 0.1
    assert chosen_strength(lambda *_: 1.0, rows, groups, (0.01, 0.1, 1.0), 5, 0) == 1.0  # of equals the greatest
    assert chosen_strength(lambda *_: 1 / 0, rows, groups, (0.5,), 5, 0) == 0.5


def test_the_strength_is_chosen_by_the_given_rows_only():
    seen = set()

    def loss(fit, held, strength):
        seen.update(fit.tolist(), held.tolist())
        return 0.0

    chosen_strength(loss, np.array([3, 5, 7, 11]), [str(row) for row in range(20)], (1.0, 2.0), 2, 0)
    assert seen == {3, 5, 7, 11}


def test_predictions_come_from_fits_that_have_not_seen_them():
    groups = [str(row // 2) for row in range(12)]
    found = out_of_fold(lambda fit, held: np.stack([held, [len(fit)] * len(held)], 1), groups, 3, 0, (2,))
    assert found[:, 0].tolist() == list(range(12))
    assert set(found[:, 1].tolist()) == {8.0}


def test_agreement():
    found = agreement(np.array([1.0, 2.0, 3.0, 5.0]), np.array([1.0, 3.0, 2.0, 4.0]))
    assert found.spearman == pytest.approx(0.8)
    assert found.pearson == pytest.approx(np.corrcoef([1, 2, 3, 5], [1, 3, 2, 4])[0, 1])
    assert (found.rmse, found.mae, found.n) == (pytest.approx(0.75**0.5), 0.75, 4)
    flat = agreement(np.full(5, 2.0), np.arange(5.0))
    assert (flat.pearson, flat.spearman) == (None, None)
    assert flat.to_json()["rmse"] == pytest.approx(2**0.5)


def test_what_is_not_installed():
    needs("numpy")
    with pytest.raises(MissingExtra, match=r"pip install 'kardia\[local\]'"):
        needs("numpy", "no_such_package")


def test_one_thread_is_given_back():
    from threadpoolctl import threadpool_info

    before = [pool["num_threads"] for pool in threadpool_info()]
    with one_thread():
        assert {pool["num_threads"] for pool in threadpool_info()} == {1}
    assert [pool["num_threads"] for pool in threadpool_info()] == before
