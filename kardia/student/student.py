"""A student: a backbone, optionally with a LoRA adapter, and a head for each task; in memory and as a folder.

    student.json          the manifest: backbone, tasks with their temperatures, what is read, how it was trained
    heads.safetensors     the heads
    adapter/              the LoRA adapter, as peft writes it; or
    backbone/             a backbone that was trained as a whole, with its tokenizer

Raises, throughout: MissingExtra where torch, transformers or peft are not installed.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from kardia.errors import MissingExtra, OutputError, ProfileError
from kardia.files import write_text
from kardia.pretrained import quiet
from kardia.student.backbone import Backbone, find_backbone, load_model, load_tokenizer, weights_digest
from kardia.student.heads import copy_heads, load_heads, origins_of, save_heads
from kardia.student.lora import adapted, save_adapter, with_adapter
from kardia.student.manifest import (
    ADAPTER,
    BACKBONE,
    HEADS,
    MANIFEST,
    Lora,
    Manifest,
    Taught,
    check_place,
    is_student,
    read_manifest,
    student_digest,
)
from kardia.student.network import Network, plain, positions_of
from kardia.student.ordinal import Slot, slots_of
from kardia.student.reading import Reading
from kardia.student.tasks import Task
from kardia.student.tokens import Coder

__all__ = [
    "MANIFEST",
    "Lora",
    "Manifest",
    "Student",
    "Taught",
    "check_place",
    "is_student",
    "read_manifest",
    "student_digest",
]


@dataclass
class Student:
    """A student in memory.

    Attributes:
        tasks: what it says something about, in the order of its outputs.
        network: token ids → outputs; in float32, on the CPU until moved.
        coder: pairs → token ids.
        backbone: what it stands on.
        weights: what beside the heads was trained.
        temperatures: task key → temperature; 1 where there is none.
        training: facts for the manifest.
        folder: where it was loaded from.
    """

    tasks: tuple[Task, ...]
    network: Network
    coder: Coder
    backbone: Backbone
    weights: Literal["adapter", "backbone", "frozen"]
    temperatures: dict[str, float] = field(default_factory=dict)
    training: dict[str, Any] = field(default_factory=dict)
    folder: Path | None = None

    def __repr__(self) -> str:
        return f"Student({self.backbone.model!r}, {len(self.tasks)} tasks, {self.weights})"

    @property
    def slots(self) -> tuple[Slot, ...]:
        return slots_of(self.tasks)

    @property
    def by_digest(self) -> dict[str, Task]:
        """What is asked (see `task_digest`) → the task that was trained for it."""
        return {task.digest: task for task in self.tasks}

    @classmethod
    def create(
        cls,
        tasks: Sequence[Task],
        backbone: Backbone,
        *,
        kind: Literal["encoder", "causal"] = "encoder",
        pooling: Literal["mean", "cls", "attention", "last"] | None = None,
        reply_only: bool = False,
        lora: Lora | None = None,
        freeze: bool = False,
        reading: Reading | None = None,
        dropout: float = 0.0,
        seed: int = 0,
    ) -> Student:
        """An untrained student.

        Args:
            tasks: at least one.
            pooling: default: `mean` for an encoder, `last` for a causal model.
            lora: the adapter; None: the backbone is trained as a whole, or with `freeze` not at all.
            dropout: on the pooled state while training.
            seed: of the heads' and the adapter's first weights.

        Raises:
            ProfileError: where there are no tasks, two have the same key, or the backbone cannot be used.
        """
        _check_tasks(tasks)
        torch = _torch()
        folder = find_backbone(backbone)
        model = load_model(folder, torch.float32)
        reading = _bounded(reading or Reading(), model)
        weights: Literal["adapter", "backbone", "frozen"] = "backbone"
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            if lora is not None:
                weights, model = "adapter", adapted(model, lora, backbone)
            elif freeze:
                weights = "frozen"
                model.requires_grad_(False)
            pooling = pooling or ("mean" if kind == "encoder" else "last")
            network = Network(model, tasks, pooling, reply_only, dropout)
        known = Backbone(model=backbone.model, revision=backbone.revision, sha256=weights_digest(folder))
        coder = Coder(load_tokenizer(folder), kind, reading)
        network.module.eval()
        return cls(tuple(tasks), network, coder, known, weights)

    @classmethod
    def following(
        cls,
        folder: str | Path,
        tasks: Sequence[Task],
        *,
        whole: bool = False,
        reading: Reading | None = None,
        dropout: float = 0.0,
        seed: int = 0,
    ) -> Student:
        """A student that goes on from another: its backbone and adapter, its heads for the tasks that ask the same, and
        untrained heads for the rest. Its temperatures are left behind: they belong to what they were fitted on.

        Args:
            folder: the other student's.
            tasks: at least one.
            whole: fold the adapter into the backbone, and train that as a whole; else what was trained is trained on,
                and a backbone that was frozen stays so.
            reading: default: as the other reads.
            dropout: on the pooled state while training.
            seed: of the new heads' first weights.

        Raises:
            ProfileError: as `create` and `load` do; and where a backbone that was trained as a whole should go on
                otherwise.
        """
        _check_tasks(tasks)
        torch = _torch()
        if read_manifest(Path(folder)).weights == "backbone" and not whole:
            raise ProfileError("its backbone was trained as a whole, and can only go on as a whole", file=str(folder))
        old = cls.load(folder, merge=whole)
        weights = "backbone" if whole else old.weights
        model = old.network.backbone
        if weights != "adapter":  # of an adapter's model peft has said what is trained
            model.requires_grad_(whole)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            network = Network(model, tasks, old.network.pooling, old.network.reply_only, dropout)
        copy_heads(old.network, old.tasks, network, tasks, origins_of(tasks, old.tasks))
        coder = Coder(old.coder.tokenizer, old.coder.kind, _bounded(reading or old.coder.reading, model))
        network.module.eval()
        return cls(tuple(tasks), network, coder, old.backbone, weights)

    @classmethod
    def load(cls, folder: str | Path, *, backbone: str | None = None, merge: bool = True) -> Student:
        """A student from its folder.

        Args:
            backbone: a folder that holds the backbone, where it is not where the manifest says.
            merge: fold the adapter into the backbone, which makes it as fast as one without.

        Raises:
            ProfileError: where the folder holds no student, or one that does not fit its backbone.
        """
        torch = _torch()
        folder = Path(folder)
        manifest = read_manifest(folder)
        base = manifest.backbone if backbone is None else manifest.backbone.model_copy(update={"model": backbone})
        place = folder / BACKBONE if manifest.weights == "backbone" else find_backbone(base)
        model = load_model(place, torch.float32)
        if manifest.weights == "adapter":
            model = with_adapter(model, folder / ADAPTER, merge)
        tasks = tuple(taught.task for taught in manifest.tasks)
        network = Network(model, tasks, manifest.pooling, manifest.reply_only)
        load_heads(network, tasks, folder / HEADS)
        coder = Coder(load_tokenizer(place), manifest.kind, manifest.reading)
        temperatures = {taught.key: taught.temperature for taught in manifest.tasks}
        network.module.eval()
        if merge:
            network.module.requires_grad_(False)
        return cls(
            tasks, network, coder, manifest.backbone, manifest.weights, temperatures, dict(manifest.training), folder
        )

    def only(self, tasks: Sequence[Task]) -> Student:
        """The same student with some of its heads; backbone and adapter are shared, not copied.

        Args:
            tasks: some of its own, in the order that they shall have.

        Raises:
            ProfileError: where there are none, one is not its own, or one is named twice.
        """
        kept = tuple(tasks)
        if not kept or any(task not in self.tasks for task in kept):
            raise ProfileError("a student can keep only heads that it has, and needs one")
        if len(set(kept)) < len(kept):
            raise ProfileError("a student can keep a head only once: name each task one time")
        old = self.network
        network = Network(old.backbone, kept, old.pooling, old.reply_only, old.dropout)
        copy_heads(old, self.tasks, network, kept, [self.tasks.index(task) for task in kept])
        network.module.train(old.module.training)
        temperatures = {task.key: self.temperatures.get(task.key, 1.0) for task in kept}
        facts = deepcopy(self.training)
        return replace(self, tasks=kept, network=network, temperatures=temperatures, training=facts, folder=None)

    def manifest(self) -> Manifest:
        """What `save` writes as `student.json`."""
        taught = [
            Taught(
                key=task.key,
                levels=list(task.levels),
                ordered=task.ordered,
                digest=task.digest,
                temperature=self.temperatures.get(task.key, 1.0),
            )
            for task in self.tasks
        ]
        return Manifest(
            kind=self.coder.kind,
            backbone=self.backbone,
            weights=self.weights,
            pooling=self.network.pooling,
            reply_only=self.network.reply_only,
            reading=self.coder.reading,
            tasks=taught,
            training=self.training,
        )

    def save(self, folder: str | Path, *, half: bool = False) -> None:
        """Writes the folder; it is made where there is none.

        Args:
            half: heads and adapter (or backbone) in float16: half the size.

        Raises:
            OutputError: where the folder cannot be written, or holds something else.
            ProfileError: where the adapter was folded into the backbone when it was loaded.
        """
        if self.weights == "adapter" and not hasattr(self.network.backbone, "peft_config"):
            raise ProfileError("its adapter is folded into the backbone; load it with merge=False to save it again")
        torch = _torch()
        folder = Path(folder)
        check_place(folder)
        staged = folder / f".{MANIFEST}.{os.getpid()}"
        try:
            staged.mkdir(parents=True, exist_ok=True)
            dtype = torch.float16 if half else torch.float32
            save_heads(self.network, self.tasks, staged / HEADS, dtype)
            model = self.network.backbone
            if self.weights == "adapter":
                save_adapter(model, staged / ADAPTER, dtype)
            elif self.weights == "backbone":
                state = {name: tensor.detach().to("cpu", dtype) for name, tensor in model.state_dict().items()}
                with quiet(warnings=False):
                    model.save_pretrained(staged / BACKBONE, state_dict=state)
                self.coder.tokenizer.save_pretrained(staged / BACKBONE)
            data = self.manifest().model_dump(mode="json", exclude_none=True)
            write_text(staged / MANIFEST, json.dumps(data, ensure_ascii=False, indent=2) + "\n")
            for part in (MANIFEST, HEADS, ADAPTER, BACKBONE):
                _replace(staged / part, folder / part)
        except OSError as problem:
            raise OutputError(f"cannot be written: {problem.strerror or problem}", file=str(folder)) from None
        finally:
            shutil.rmtree(staged, ignore_errors=True)
        self.folder = folder

    @property
    def digest(self) -> str:
        """The SHA-256 of the folder's files that decide what the student says; a part of the judge's identity.

        Raises:
            ProfileError: for a student that is in no folder.
        """
        if self.folder is None:
            raise ProfileError("a student has a digest once it is saved")
        return student_digest(self.folder)


def _replace(new: Path, old: Path) -> None:
    """Moves a file or folder to where another may stand; where there is no new one, the old one goes."""
    if old.is_dir():
        shutil.rmtree(old)
    elif not new.exists():
        old.unlink(missing_ok=True)
    if new.exists():
        os.replace(new, old)


def _check_tasks(tasks: Sequence[Task]) -> None:
    if not tasks:
        raise ProfileError("a student needs at least one task")
    if len({task.key for task in tasks}) < len(tasks):
        raise ProfileError("two tasks of a student have the same key")


def _torch() -> Any:
    try:
        import torch
        import transformers  # noqa: F401  (asked for here, so that what is missing is said at once)
    except ImportError:
        raise MissingExtra("local", "a student") from None
    return torch


def _bounded(reading: Reading, model: Any) -> Reading:
    """No more tokens than the backbone has positions for, where it cannot go beyond them."""
    below = plain(model)
    limit = getattr(below.config, "max_position_embeddings", None)
    if positions_of(below)[0] is not None or not isinstance(limit, int) or limit - 2 >= reading.max_tokens:
        return reading
    return reading.model_copy(update={"max_tokens": limit - 2})  # two: where a table begins behind the padding's
