"""Runs a student over many pairs: probabilities over every task's levels.

Pairs are sorted by length and put into batches of about equally many tokens, so that little is padding; one forward
pass serves all tasks; equal pairs are computed once. What is in a batch beside a pair changes its probabilities by less
than 1e-5.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from kardia.errors import ProfileError
from kardia.student.network import collate
from kardia.student.ordinal import outputs_of, probabilities
from kardia.student.student import Student

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

__all__ = ["Scorer", "batches"]

BATCH_TOKENS = {"cpu": 1024, "cuda": 32_768}
"""Tokens of one forward pass, padding included. On a CPU more only leave its caches; a GPU wants many."""


class Scorer:
    """A student that answers. Not thread-safe.

    Args:
        student: a student, or its folder.
        device: `cpu`, `cuda`, `cuda:1`, … or `auto`: the GPU where there is one.
        batch_tokens: tokens in one forward pass, padding included; a longer pair has a pass of its own. None: what
            suits the device.

    Raises:
        MissingExtra: where torch, transformers or peft are not installed.
        ProfileError: where the folder holds no student, or the device is not there.
    """

    def __init__(self, student: Student | str | Path, *, device: str = "cpu", batch_tokens: int | None = None) -> None:
        self.student = student if isinstance(student, Student) else Student.load(student)
        import torch

        chosen = device if device != "auto" else "cuda" if torch.cuda.is_available() else "cpu"
        try:
            self.device = torch.device(chosen)
            self.student.network.module.to(self.device)
        except (RuntimeError, AssertionError) as problem:  # torch without CUDA asserts
            raise ProfileError(f"is not there: {str(problem).splitlines()[0]}", key="device") from None
        self.batch_tokens = batch_tokens or BATCH_TOKENS.get(self.device.type, 4096)

    def __repr__(self) -> str:
        return f"Scorer({self.student!r}, {self.device})"

    def probabilities(self, pairs: Sequence[tuple[str, str]]) -> dict[str, Array]:
        """Probabilities over the levels of every task.

        Args:
            pairs: (context, reply) texts; an empty context is one.

        Returns:
            task key → float64 of shape (pairs, levels), rows in the order of the pairs, each summing to 1.
        """
        logits_NO = self.logits(pairs)
        temperatures = self.student.temperatures
        return {
            slot.task.key: probabilities(slot.task, logits_NO[:, slot.place], temperatures.get(slot.task.key, 1.0))
            for slot in self.student.slots
        }

    def logits(self, pairs: Sequence[tuple[str, str]]) -> Array:
        """All tasks' outputs, before the temperature: float64 of shape (pairs, outputs)."""
        import numpy as np
        import torch

        wanted = {pair: place for place, pair in enumerate(dict.fromkeys(pairs))}
        coded = self.student.coder.code(list(wanted))
        unique = {each: place for place, each in enumerate(dict.fromkeys(coded))}  # cut to the same, or spelt alike
        inputs = list(unique)
        found_UO = np.zeros((len(inputs), outputs_of(self.student.tasks)))
        network = self.student.network
        network.module.eval()
        with torch.inference_mode():
            for rows in batches([len(each.ids) for each in inputs], self.batch_tokens):
                batch = collate([inputs[row] for row in rows], self.student.coder.pad)
                out = network.outputs(**{name: tensor.to(self.device) for name, tensor in batch.items()})
                found_UO[rows] = out.float().cpu().numpy()
        places: list[int] = [unique[coded[wanted[pair]]] for pair in pairs]
        return np.asarray(found_UO[places], dtype=np.float64)


def batches(lengths: Sequence[int], most: int) -> Iterator[list[int]]:
    """Rows put into batches of like lengths, the longest first.

    Args:
        lengths: of each row, in tokens.
        most: tokens of a batch, padding included; a longer row is a batch of its own.
    """
    order = sorted(range(len(lengths)), key=lambda row: -lengths[row])
    batch: list[int] = []
    for row in order:
        if batch and (len(batch) + 1) * lengths[batch[0]] > most:
            yield batch
            batch = []
        batch.append(row)
    if batch:
        yield batch
