"""Heads over levels: outputs → probabilities, targets → what the outputs are trained towards.

An ordered scale of L levels has L − 1 outputs z_k, each a logistic regression of its own of "above level k", with the
task's temperature T: P(y > k) = σ(z_k / T). Independent thresholds may cross where data are few; monotone rearrangement
(Chernozhukov, Fernández-Val and Galichon 2009, "Improving point and interval estimators of monotone functions by
rearrangement") puts them in order: they are sorted, largest first. Sorting never takes an estimate farther from a
monotone truth, and it keeps their sum: E[y] = Σ_k σ(z_k / T) holds exactly, so that a score of expected values is a sum
of logistic units. A binary scale is the case L = 2. A choice of three or more options has an output an option, by
softmax.

Soft targets are distributions over levels: threshold k is trained towards Σ_{l > k} target_l, by cross-entropy.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kardia.student.tasks import Task

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

__all__ = ["Slot", "level_weights", "losses", "outputs_of", "probabilities", "slots_of", "threshold_targets"]


@dataclass(frozen=True, slots=True)
class Slot:
    """A task and where its outputs stand among all tasks' outputs: `start` to `start + task.size`."""

    task: Task
    start: int

    @property
    def place(self) -> slice:
        return slice(self.start, self.start + self.task.size)


def slots_of(tasks: Sequence[Task]) -> tuple[Slot, ...]:
    """The tasks' outputs, one after the other."""
    slots: list[Slot] = []
    start = 0
    for task in tasks:
        slots.append(Slot(task, start))
        start += task.size
    return tuple(slots)


def outputs_of(tasks: Sequence[Task]) -> int:
    """How many outputs all tasks have together."""
    return sum(task.size for task in tasks)


def probabilities(task: Task, logits: Array, temperature: float = 1.0) -> Array:
    """Probabilities over a task's levels.

    Args:
        logits: the task's outputs, of shape (pairs, `task.size`).
        temperature: above 0; what the outputs are divided by.

    Returns:
        float64 of shape (pairs, levels), each row summing to 1.
    """
    import numpy as np

    z_BO = np.asarray(logits, dtype=np.float64) / temperature
    if not task.thresholds:
        e_BL = np.exp(z_BO - z_BO.max(axis=1, keepdims=True))
        return np.asarray(e_BL / e_BL.sum(axis=1, keepdims=True), dtype=np.float64)
    above_BK = np.exp(-np.logaddexp(0.0, -z_BO))
    if task.size > 1:
        above_BK = -np.sort(-above_BK, axis=1)
    edge_B1 = np.ones((len(z_BO), 1))
    edges_BE = np.concatenate([edge_B1, above_BK, edge_B1 * 0.0], axis=1)
    return np.asarray(edges_BE[:, :-1] - edges_BE[:, 1:], dtype=np.float64)


def threshold_targets(task: Task, target: Sequence[float]) -> tuple[float, ...]:
    """What a task's outputs are trained towards, in [0, 1]: P(y > k) for thresholds, P(y = l) for options.

    Args:
        target: a distribution over the task's levels.
    """
    if not task.thresholds:
        return tuple(target)
    return tuple(min(1.0, sum(target[k + 1 :])) for k in range(task.size))


def level_weights(targets: Sequence[Sequence[float]], power: float) -> tuple[float, ...]:
    """How much an example of each level counts, so that rare ones are not drowned: share ** −power, with mean 1 over
    the examples.

    Args:
        targets: distributions over the levels of one task, at least one.
        power: 0 counts all alike, 1 gives every level the same say; levels that nobody shows weigh 1.
    """
    levels = len(targets[0])
    shares = [sum(target[level] for target in targets) / len(targets) for level in range(levels)]
    raw = [share**-power if share > 0 else 0.0 for share in shares]
    mean = sum(share * weight for share, weight in zip(shares, raw, strict=True))
    return tuple(weight / mean if weight > 0 else 1.0 for weight in raw)


def losses(
    slots: Sequence[Slot], logits_BO: torch.Tensor, targets_BO: torch.Tensor, weights_BT: torch.Tensor
) -> torch.Tensor:
    """The loss of a batch: cross-entropy, averaged over the labels that are there, by weight.

    Args:
        logits_BO: all tasks' outputs.
        targets_BO: what they are trained towards, as `threshold_targets` gives it; anything where there is no label.
        weights_BT: what each label counts, one column a task; 0 where there is none.

    Returns:
        a scalar: Σ weight · loss / Σ weight, where a task's loss is the mean over its thresholds; 0 without labels.
    """
    import torch

    single = torch.nn.functional.binary_cross_entropy_with_logits(logits_BO, targets_BO, reduction="none")
    columns: list[torch.Tensor] = []
    for slot in slots:
        if slot.task.thresholds:
            columns.append(single[:, slot.place].mean(1))
        else:
            shares = torch.nn.functional.log_softmax(logits_BO[:, slot.place], dim=1)
            columns.append(-(targets_BO[:, slot.place] * shares).sum(1))
    losses_BT = torch.stack(columns, dim=1)
    return (losses_BT * weights_BT).sum() / weights_BT.sum().clamp_min(1e-9)
