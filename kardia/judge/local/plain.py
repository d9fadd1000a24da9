"""Reads token sequences without sharing anything: padded batches, as everybody does it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from kardia.judge.local.labels import Reading

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["padded", "read_plainly"]


def read_plainly(
    model: Any, readings: Sequence[Reading], most: int, before: Callable[[], object] = bool
) -> list[tuple[float, ...]]:
    """The log-probability of every ask of every reading, in their order.

    Args:
        model: a causal language model of transformers.
        readings: any number; those of like length share a batch.
        most: about how many tokens a batch may have, padding included; a longer reading is one of its own.
        before: called before each forward pass.
    """
    import torch

    found: list[tuple[float, ...]] = [()] * len(readings)
    keeps = "logits_to_keep" in inspect.signature(model.forward).parameters
    order = sorted(range(len(readings)), key=lambda place: len(readings[place].tokens))
    while order:
        longest = len(readings[order[-1]].tokens)
        size = max(1, most // longest)
        batch, order = order[-size:], order[:-size]
        ids, mask, positions = padded([readings[place].tokens for place in batch], model.device)
        kept = longest - min(longest - len(readings[place].tokens) + readings[place].fresh for place in batch)
        before()
        with torch.inference_mode():
            logits = model(
                input_ids=ids,
                attention_mask=mask,
                position_ids=positions,
                use_cache=False,
                **({"logits_to_keep": kept} if keeps else {}),
            ).logits[:, -kept:]
            shares = torch.log_softmax(logits.float(), dim=-1)
        asked = [
            (row, at - len(readings[place].tokens), token)
            for row, place in enumerate(batch)
            for at, token in readings[place].asks
        ]
        rows, places, tokens = (torch.tensor(each, device=model.device) for each in zip(*asked, strict=True))
        told = iter(shares[rows, places, tokens].tolist())
        for place in batch:
            found[place] = tuple(next(told) for _ in readings[place].asks)
    return found


def padded(sequences: Sequence[tuple[int, ...]], device: Any) -> tuple[Tensor, Tensor, Tensor]:
    """Sequences as one batch, padded on their left: ids, mask and positions, each of shape (sequences, longest)."""
    import torch

    longest = max(map(len, sequences))
    ids = torch.zeros(len(sequences), longest, dtype=torch.long)
    mask = torch.zeros_like(ids)
    for row, tokens in enumerate(sequences):
        ids[row, longest - len(tokens) :] = torch.tensor(tokens)
        mask[row, longest - len(tokens) :] = 1
    positions = (mask.cumsum(1) - 1).clamp(min=0)
    return ids.to(device), mask.to(device), positions.to(device)
