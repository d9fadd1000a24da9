"""Outputs and levels."""

from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kardia.student.ordinal import level_weights, losses, outputs_of, probabilities, slots_of, threshold_targets
from kardia.student.tasks import Task

np = pytest.importorskip("numpy", reason="students need kardia[local]")

FIVE = Task("five", (1, 2, 3, 4, 5), True, "")
TWO = Task("two", ("no", "yes"), True, "")
THREE = Task("three", ("a", "b", "c"), False, "")

numbers = st.floats(-30, 30)
temperatures = st.floats(0.2, 5)


def sigma(z):
    return 1 / (1 + math.exp(-z))


@given(st.lists(st.lists(numbers, min_size=4, max_size=4), min_size=1, max_size=5), temperatures)
def test_thresholds_give_a_distribution_whose_mean_is_the_sum_of_logistic_units(rows, temperature):
    shares = probabilities(FIVE, np.asarray(rows), temperature)
    assert shares.shape == (len(rows), 5)
    assert shares.min() >= 0
    assert shares.sum(1) == pytest.approx(np.ones(len(rows)))
    for row, own in zip(rows, shares, strict=True):
        mean = sum(place * share for place, share in enumerate(own))
        assert mean == pytest.approx(sum(sigma(z / temperature) for z in row))
        above = [own[place + 1 :].sum() for place in range(4)]
        assert all(a >= b - 1e-12 for a, b in itertools.pairwise(above))


@given(st.lists(numbers, min_size=4, max_size=4, unique=True))
def test_thresholds_in_order_are_left_as_they_are(row):
    falling = sorted(row, reverse=True)
    shares = probabilities(FIVE, np.asarray([falling]))[0]
    assert [shares[place + 1 :].sum() for place in range(4)] == pytest.approx([sigma(z) for z in falling], abs=1e-12)


@given(st.lists(numbers, min_size=3, max_size=3), temperatures)
def test_options_are_a_softmax(row, temperature):
    shares = probabilities(THREE, np.asarray([row]), temperature)[0]
    raw = [math.exp((z - max(row)) / temperature) for z in row]
    assert shares == pytest.approx([x / sum(raw) for x in raw])


def test_a_binary_scale_is_a_logistic_regression():
    assert probabilities(TWO, np.asarray([[0.0], [2.0]]))[:, 1] == pytest.approx([0.5, sigma(2.0)])
    assert np.isfinite(probabilities(TWO, np.asarray([[1e4], [-1e4]]))).all()


def test_targets_of_thresholds():
    assert threshold_targets(FIVE, (0.0, 0.0, 1.0, 0.0, 0.0)) == (1.0, 1.0, 0.0, 0.0)
    assert threshold_targets(FIVE, (0.25, 0.25, 0.0, 0.0, 0.5)) == (0.75, 0.5, 0.5, 0.5)
    assert threshold_targets(TWO, (0.25, 0.75)) == (0.75,)
    assert threshold_targets(THREE, (0.2, 0.3, 0.5)) == (0.2, 0.3, 0.5)


@given(st.lists(st.integers(0, 2), min_size=1, max_size=30), st.floats(0, 1))
def test_rare_levels_weigh_more_and_the_mean_stays_1(levels, power):
    targets = [[1.0 if level == place else 0.0 for place in range(3)] for level in levels]
    weights = level_weights(targets, power)
    assert sum(weights[level] for level in levels) / len(levels) == pytest.approx(1.0)
    shares = [levels.count(place) for place in range(3)]
    for a in range(3):
        for b in range(3):
            if 0 < shares[a] < shares[b]:
                assert weights[a] >= weights[b]
    if power == 0:
        assert weights == pytest.approx((1.0, 1.0, 1.0))


def test_the_loss_is_the_mean_over_the_labels_that_are_there():
    torch = pytest.importorskip("torch")
    slots = slots_of([FIVE, TWO, THREE])
    assert [(slot.start, slot.place.stop) for slot in slots] == [(0, 4), (4, 5), (5, 8)]
    assert outputs_of([FIVE, TWO, THREE]) == 8
    torch.manual_seed(0)
    logits = torch.randn(2, 8)
    targets = torch.tensor([[1.0, 1.0, 0.0, 0.0, 0.3, 0.0, 1.0, 0.0], [float("nan")] * 4 + [1.0] + [0.0] * 3])
    targets = torch.nan_to_num(targets, nan=0.5)  # what stands where there is no label does not matter
    weights = torch.tensor([[1.0, 2.0, 1.0], [0.0, 1.0, 0.0]])

    def bce(z, t):
        return -(t * math.log(sigma(z)) + (1 - t) * math.log(1 - sigma(z)))

    z = logits.tolist()
    five = sum(bce(z[0][k], t) for k, t in enumerate((1.0, 1.0, 0.0, 0.0))) / 4
    three = -math.log(math.exp(z[0][6]) / sum(math.exp(each) for each in z[0][5:]))
    wanted = (five + 2 * bce(z[0][4], 0.3) + three + bce(z[1][4], 1.0)) / 5
    assert float(losses(slots, logits, targets, weights)) == pytest.approx(wanted, rel=1e-5)
    other = targets.clone()
    other[1, :4] = 0.9
    assert float(losses(slots, logits, other, weights)) == pytest.approx(wanted, rel=1e-5)
    assert float(losses(slots, logits, targets, weights * 0)) == 0.0


def test_soft_targets_are_learnt():
    """The least loss is where P(y > k) is the targets'."""
    torch = pytest.importorskip("torch")
    slots = slots_of([FIVE])
    target = (0.1, 0.2, 0.3, 0.15, 0.25)
    goal = torch.tensor([threshold_targets(FIVE, target)])
    logits = torch.zeros(1, 4, requires_grad=True)
    optimizer = torch.optim.LBFGS([logits], max_iter=100)

    def closure():
        optimizer.zero_grad()
        loss = losses(slots, logits, goal, torch.ones(1, 1))
        loss.backward()
        return loss

    optimizer.step(closure)
    assert probabilities(FIVE, logits.detach().numpy())[0] == pytest.approx(target, abs=1e-3)
