"""The temperature."""

from __future__ import annotations

import pytest

from kardia.model.calibration import MIN_LABELS, fit_temperature
from kardia.student.ordinal import probabilities
from kardia.student.tasks import Task

np = pytest.importorskip("numpy", reason="students need kardia[local]")
pytest.importorskip("scipy", reason="temperatures need kardia[local]")

TASKS = [
    Task("five", (1, 2, 3, 4, 5), True, ""),
    Task("two", ("no", "yes"), True, ""),
    Task("three", ("a", "b", "c"), False, ""),
]


def drawn(task, temperature, count, seed=0):
    """Outputs, and levels drawn from what they mean at a temperature."""
    random = np.random.default_rng(seed)
    logits = (
        -np.sort(-random.normal(0, 3, (count, task.size)), axis=1)
        if task.thresholds
        else random.normal(0, 3, (count, task.size))
    )
    shares = probabilities(task, logits, temperature)
    levels = [random.choice(len(task.levels), p=row / row.sum()) for row in shares]
    return logits, np.eye(len(task.levels))[levels]


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.key)
@pytest.mark.parametrize("true", [0.6, 1.0, 2.5])
def test_it_is_found(task, true):
    assert fit_temperature(task, *drawn(task, true, 4000)) == pytest.approx(true, rel=0.12)


def test_few_labels_prove_little():
    logits, targets = drawn(TASKS[1], 1.0, MIN_LABELS - 1)
    assert fit_temperature(TASKS[1], logits, targets) == 1.0
    # twenty labels that all contradict: pulled towards 1, and far from the bound for one of two thousand
    logits, targets = np.full((20, 1), 4.0), np.tile([1.0, 0.0], (20, 1))
    targets[:10] = [0.0, 1.0]
    few = fit_temperature(TASKS[1], logits, targets)
    more = fit_temperature(TASKS[1], np.tile(logits, (100, 1)), np.tile(targets, (100, 1)))
    assert 1.0 < few < more
