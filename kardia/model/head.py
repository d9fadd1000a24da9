"""The last two layers of an exported reward model: constant + out · tanh(hidden · state + bias)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kardia.model.examples import Labelled, split
from kardia.model.linear import LogisticSum
from kardia.model.reward import CardScore
from kardia.student.network import collate, pooled
from kardia.student.scorer import Scorer, batches
from kardia.student.student import Student

if TYPE_CHECKING:
    import torch

__all__ = ["Head", "exact_head", "fitted_head"]

_STEPS = 1500
_BATCH = 256


@dataclass(frozen=True)
class Head:
    """A hidden layer as wide as the backbone, and one output.

    Attributes:
        hidden_HD, hidden_H: the hidden layer's weights and biases.
        out_H, constant: the output's.
    """

    hidden_HD: torch.Tensor
    hidden_H: torch.Tensor
    out_H: torch.Tensor
    constant: float

    def __call__(self, states_ND: torch.Tensor) -> torch.Tensor:
        import torch

        return self.constant + torch.tanh(states_ND @ self.hidden_HD.T + self.hidden_H) @ self.out_H

    def of(self, student: Student, pairs: Sequence[tuple[str, str]]) -> list[float]:
        """What it says of pairs."""
        values: list[float] = self(_states(student, pairs)).tolist()
        return values


def exact_head(student: Student, weighted: LogisticSum) -> Head:
    """The head that computes a weighted sum of the student's logistic units, of which σ(z) = ½ + ½ tanh(z / 2)."""
    import torch

    heads = student.network.heads
    outputs, size = heads["weight_OD"].shape
    hidden_HD, hidden_H, out_H = torch.zeros(size, size), torch.zeros(size), torch.zeros(size)
    scale_O = torch.ones(outputs)
    for slot in student.slots:
        scale_O[slot.place] = 0.5 / student.temperatures.get(slot.task.key, 1.0)
    weights_O = torch.tensor(weighted.weights_O, dtype=torch.float64)
    hidden_HD[:outputs] = heads["weight_OD"].detach() * scale_O[:, None]
    hidden_H[:outputs] = heads["bias_O"].detach() * scale_O
    out_H[:outputs] = (weights_O / 2).float()
    return Head(hidden_HD, hidden_H, out_H, weighted.constant + float(weights_O.sum()) / 2)


def fitted_head(
    student: Student, score: CardScore, start: Head, pairs: Sequence[tuple[str, str]], seed: int
) -> tuple[Head, tuple[float, float]]:
    """A head fitted to the student's own scores, beginning with the nearest weighted sum.

    Args:
        pairs: distinct texts; a fifth of them, by context, is held out to stop on and to measure.

    Returns:
        the head; its mean difference and its correlation on the held-out texts.
    """
    import torch

    learning, held = split([Labelled(context, reply, context or reply, {}) for context, reply in pairs], 0.2, seed)
    shares = Scorer(student).probabilities(pairs)
    rows = [{key: values[row].tolist() for key, values in shares.items()} for row in range(len(pairs))]
    scores_N = torch.tensor([score(row) for row in rows])
    states_ND = _states(student, pairs)
    generator = torch.Generator().manual_seed(seed)
    free = start.out_H == 0  # units that the weighted sum leaves over
    spread = torch.randn(start.hidden_HD.shape, generator=generator) / states_ND.shape[1] ** 0.5
    parameters = [
        torch.where(free[:, None], spread, start.hidden_HD),
        start.hidden_H.clone(),
        start.out_H.clone(),
        torch.tensor(start.constant),
    ]
    for tensor in parameters:
        tensor.requires_grad_(True)
    optimizer = torch.optim.AdamW(parameters, lr=2e-3, weight_decay=1e-3)
    fall = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.01, _STEPS)
    best, best_off = _head_of(parameters), float("inf")
    for step in range(_STEPS + 1):
        if step % 50 == 0:
            here = _head_of(parameters)
            off = float((here(states_ND[held]) - scores_N[held]).square().mean())
            if off < best_off:
                best, best_off = here, off
        chosen = torch.tensor(learning)[torch.randint(len(learning), (_BATCH,), generator=generator)]
        hidden = torch.tanh(states_ND[chosen] @ parameters[0].T + parameters[1])
        loss = (hidden @ parameters[2] + parameters[3] - scores_N[chosen]).square().mean()
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        fall.step()
    said, wanted = best(states_ND[held]), scores_N[held]
    together = torch.corrcoef(torch.stack([said, wanted]))[0, 1] if len(held) > 2 else torch.tensor(0.0)
    return best, (float((said - wanted).abs().mean()), float(torch.nan_to_num(together)))


def _head_of(parameters: Sequence[torch.Tensor]) -> Head:
    hidden_HD, hidden_H, out_H, constant = (tensor.detach().clone() for tensor in parameters)
    return Head(hidden_HD, hidden_H, out_H, float(constant))


def _states(student: Student, pairs: Sequence[tuple[str, str]]) -> torch.Tensor:
    """The pooled state of each pair, of shape (pairs, dimensions)."""
    import torch

    coded = student.coder.code(pairs)
    network = student.network
    network.module.eval()
    size = network.heads["weight_OD"].shape[1]
    found_ND = torch.zeros(len(pairs), size)
    with torch.no_grad():
        for rows in batches([len(each.ids) for each in coded], 1024):
            batch = collate([coded[row] for row in rows], student.coder.pad)
            states_BSD = network.states(batch["input_ids"], batch["attention_mask"])
            found_ND[rows] = pooled(states_BSD, batch["attention_mask"], network.pooling)
    return found_ND
