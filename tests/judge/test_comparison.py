import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kardia.judge.comparison import RIDGES, _groups, _left_out, _neighbourhood, fit, pair_features


def unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def pairs(count: int, seed: int = 0, dimensions: int = 12) -> np.ndarray:
    random = np.random.default_rng(seed)
    return pair_features(unit(random.normal(size=(count, dimensions))), unit(random.normal(size=(count, dimensions))))


def test_the_second_feature_is_at_right_angles_to_the_context() -> None:
    random = np.random.default_rng(1)
    reply, context = unit(random.normal(size=(5, 8))), unit(random.normal(size=(5, 8)))
    features = pair_features(reply, context)
    assert np.allclose((features[:, 1] * context).sum(axis=1), 0)
    assert np.allclose(np.linalg.norm(features[:, 1], axis=1), 1)


def test_without_a_context_both_features_are_the_reply() -> None:
    reply = unit(np.random.default_rng(2).normal(size=(3, 8)))
    features = pair_features(reply, np.zeros_like(reply))
    assert np.allclose(features[:, 0], features[:, 1])


def test_a_reply_that_repeats_its_context_has_nothing_beside_it() -> None:
    reply = unit(np.random.default_rng(3).normal(size=(3, 8)))
    assert np.all(pair_features(reply, reply)[:, 1] == 0)


@settings(deadline=None, max_examples=40)
@given(
    levels=st.lists(st.integers(0, 4), min_size=6, max_size=24).filter(lambda chosen: len(set(chosen)) > 1),
    contexts=st.integers(1, 8),
    ordered=st.booleans(),
    seed=st.integers(0, 99),
)
def test_probabilities_are_a_distribution_over_the_levels_shown(
    levels: list[int], contexts: int, ordered: bool, seed: int
) -> None:
    groups = [index % contexts for index in range(len(levels))]
    comparison = fit(pairs(len(levels), seed), levels, groups, 5, ordered=ordered)
    shares = comparison.probabilities(pairs(7, seed + 1))
    assert shares.shape == (7, 5)
    assert np.allclose(shares.sum(axis=1), 1)
    assert np.all(shares >= 0)
    assert np.all(shares[:, [level not in levels for level in range(5)]] == 0)


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 999))
def test_the_order_of_the_examples_does_not_matter(seed: int) -> None:
    random = np.random.default_rng(seed)
    level, group = np.array([0, 1, 2] * 4), np.repeat(np.arange(4), 3)
    features, order = pairs(12, seed), random.permutation(12)
    one = fit(features, level.tolist(), group.tolist(), 3, ordered=True)
    other = fit(features[order], level[order].tolist(), group[order].tolist(), 3, ordered=True)
    asked = pairs(5, seed + 1)
    assert np.allclose(one.probabilities(asked), other.probabilities(asked), atol=1e-6)


def test_leaving_a_context_out_in_closed_form_is_the_same_as_fitting_without_it() -> None:
    random = np.random.default_rng(4)
    design, targets = random.normal(size=(12, 20)), random.normal(size=(12, 3))
    group = np.repeat(np.arange(4), 3)
    left, singular, _ = np.linalg.svd(design, full_matrices=False)
    for ridge in RIDGES:
        shrink = singular**2 / (singular**2 + ridge)
        quick = _left_out(left, shrink, targets, left.T @ targets, _groups(group.tolist()))
        for held in range(4):
            rest = design[group != held]
            weights = np.linalg.solve(rest.T @ rest + ridge * np.eye(20), rest.T @ targets[group != held])
            assert np.allclose(quick[group == held], design[group == held] @ weights, atol=1e-6)


def test_it_learns_what_sets_levels_apart_and_not_what_sets_contexts_apart() -> None:
    random = np.random.default_rng(5)
    topic, manner = random.normal(size=(10, 16)), random.normal(size=(3, 16))
    level, group = np.tile([0, 1, 2], 8), np.repeat(np.arange(8), 3)

    def features(level: np.ndarray, group: np.ndarray) -> np.ndarray:
        noise = 0.1 * random.normal(size=(len(level), 16))
        return pair_features(unit(topic[group] + manner[level] + noise), unit(topic[group]))

    comparison = fit(features(level, group), level.tolist(), group.tolist(), 3, ordered=True)
    new = features(np.array([0, 1, 2, 0, 1, 2]), np.array([8, 8, 8, 9, 9, 9]))
    assert comparison.probabilities(new).argmax(axis=1).tolist() == [0, 1, 2, 0, 1, 2]
    assert (comparison.left_out_EL.argmax(axis=1) == level).mean() > 0.9


def test_noise_leaves_probabilities_near_the_shares_of_the_examples() -> None:
    level = [0] * 30 + [1] * 10
    comparison = fit(pairs(40, 6, 64), level, list(range(40)), 2, ordered=True)
    shares = comparison.probabilities(pairs(200, 7, 64))
    assert 0.1 < shares[:, 1].mean() < 0.5
    assert shares[:, 1].std() < 0.3


def test_fewer_than_three_contexts_leave_single_examples_out() -> None:
    assert [members.tolist() for members in _groups([0, 0, 1])] == [[0], [1], [2]]
    assert [members.tolist() for members in _groups([0, 2, 0, 1])] == [[0, 2], [3], [1]]


def test_equal_features_do_not_divide_by_zero() -> None:
    features = np.repeat(pairs(1), 6, axis=0)
    shares = fit(features, [0, 0, 0, 1, 1, 1], [0, 0, 1, 1, 2, 2], 2, ordered=False).probabilities(features)
    assert np.allclose(shares, 0.5)


def test_one_level_cannot_be_compared() -> None:
    with pytest.raises(ValueError, match="fewer than two levels"):
        fit(pairs(6), [1] * 6, list(range(6)), 3, ordered=True)


@given(st.integers(2, 101))
def test_neighbours_share_less_with_distance(levels: int) -> None:
    shares = _neighbourhood(levels)
    assert np.allclose(shares.sum(axis=1), 1)
    assert np.all(np.diff(shares[0]) < 0)
    assert np.all(shares.argmax(axis=1) == np.arange(levels))
