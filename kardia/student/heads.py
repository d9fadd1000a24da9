"""A student's heads as tensors by task: saved, loaded, handed on to another network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from kardia.errors import ProfileError
from kardia.student.manifest import MANIFEST
from kardia.student.network import Network
from kardia.student.ordinal import slots_of
from kardia.student.tasks import Task

if TYPE_CHECKING:
    import torch

__all__ = ["copy_heads", "load_heads", "origins_of", "save_heads"]


def save_heads(network: Network, tasks: Sequence[Task], path: Path, dtype: torch.dtype) -> None:
    """Writes the heads so that they can be told apart in the file: `<task key>.weight`, `.bias` and, with the pooling
    `attention`, `.query`."""
    from safetensors.torch import save_file

    tensors = {
        f"{task.key}.{name}": tensor.to("cpu", dtype).clone().contiguous()
        for task, head in zip(tasks, _heads(network, tasks), strict=True)
        for name, tensor in head.items()
    }
    save_file(tensors, path)


def load_heads(network: Network, tasks: Sequence[Task], path: Path) -> None:
    """Reads what `save_heads` wrote into a network of these tasks.

    Raises:
        ProfileError: where the file cannot be read, or does not hold heads of these tasks.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        tensors = load_file(path)
        for task, head in zip(tasks, _heads(network, tasks), strict=True):
            for name, own in head.items():
                own.copy_(tensors[f"{task.key}.{name}"])
    except (OSError, SafetensorError) as problem:
        raise ProfileError(f"cannot be read: {problem}", file=str(path)) from None
    except (KeyError, RuntimeError) as problem:
        first = str(problem).splitlines()[0]
        raise ProfileError(f"does not hold the heads of {MANIFEST}: {first}", file=str(path)) from None


def origins_of(tasks: Sequence[Task], old: Sequence[Task]) -> list[int | None]:
    """For each task the number of the old one that asks the same on the same scale, whatever it is called; None where
    there is none."""
    known: dict[Task, int] = {}
    for number, task in enumerate(old):
        known.setdefault(replace(task, key=""), number)
    return [known.get(replace(task, key="")) for task in tasks]


def copy_heads(
    old: Network, old_tasks: Sequence[Task], new: Network, tasks: Sequence[Task], origins: Sequence[int | None]
) -> None:
    """Copies heads from one network to another of the same pooling and size.

    Args:
        origins: for each of the new network's tasks the number of the old one whose head it gets; None: it keeps its
            own.
    """
    known = _heads(old, old_tasks)
    for origin, head in zip(origins, _heads(new, tasks), strict=True):
        if origin is not None:
            for name, own in head.items():
                own.copy_(known[origin][name])


def _heads(network: Network, tasks: Sequence[Task]) -> list[dict[str, torch.Tensor]]:
    """Each task's own part of the heads; what is written into it is in the network."""
    heads = {name: tensor.detach() for name, tensor in network.heads.items()}
    found: list[dict[str, torch.Tensor]] = []
    for number, slot in enumerate(slots_of(tasks)):
        head = {"weight": heads["weight_OD"][slot.place], "bias": heads["bias_O"][slot.place]}
        if network.pooling == "attention":
            head["query"] = heads["query_TD"][number]
        found.append(head)
    return found
