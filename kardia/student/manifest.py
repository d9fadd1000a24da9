"""A student's manifest, `student.json`, and what can be said of its folder without torch."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, StrictBool, StrictInt, StrictStr, ValidationError

from kardia.errors import OutputError, ProfileError
from kardia.strict import Strict
from kardia.student.backbone import Backbone
from kardia.student.reading import Reading
from kardia.student.tasks import Task

__all__ = [
    "ADAPTER",
    "BACKBONE",
    "HEADS",
    "MANIFEST",
    "Lora",
    "Manifest",
    "Taught",
    "check_place",
    "is_student",
    "read_manifest",
    "student_digest",
]

MANIFEST = "student.json"
HEADS = "heads.safetensors"
ADAPTER = "adapter"
BACKBONE = "backbone"


class Lora(Strict):
    """A low-rank adapter (peft)."""

    rank: Annotated[StrictInt, Field(ge=1, le=512)] = 16
    alpha: Annotated[float, Field(gt=0)] = 32.0
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    targets: StrictStr | list[StrictStr] = "all-linear"
    """Names of the layers that are adapted, as peft takes them."""


class Taught(Strict):
    """A task as the manifest has it."""

    key: StrictStr
    levels: list[StrictInt | StrictStr]
    ordered: StrictBool
    digest: StrictStr
    temperature: Annotated[float, Field(gt=0)] = 1.0
    """What its outputs are divided by, so that its probabilities are right on the part that it was not trained on."""

    @property
    def task(self) -> Task:
        return Task(self.key, tuple(self.levels), self.ordered, self.digest)


class Manifest(Strict):
    """`student.json`."""

    format: Literal["kardia-student/1"] = "kardia-student/1"
    kind: Literal["encoder", "causal"] = "encoder"
    backbone: Backbone
    weights: Literal["adapter", "backbone", "frozen"]
    """What beside the heads was trained: an adapter, the whole backbone, or nothing."""
    pooling: Literal["mean", "cls", "attention", "last"] = "mean"
    reply_only: StrictBool = False
    """With the pooling `attention`: only the reply's tokens are pooled."""
    reading: Reading = Field(default_factory=Reading)
    tasks: list[Taught]
    training: dict[StrictStr, Any] = Field(default_factory=dict)
    """Facts about the training: data and its hash, seed, steps, versions."""


def is_student(folder: Path) -> bool:
    """Whether a folder holds a student."""
    return (folder / MANIFEST).is_file()


def check_place(folder: Path) -> None:
    """Whether a student may be written here: what stands there is replaced, so it must be a student.

    Raises:
        OutputError: where something else of the names that a student's parts have stands in the folder.
    """
    if is_student(folder):
        return
    for part in (HEADS, ADAPTER, BACKBONE):
        if (folder / part).exists():
            raise OutputError(
                f"holds {part} without a {MANIFEST}: that is no student's; take another folder", file=str(folder)
            )


def read_manifest(folder: Path) -> Manifest:
    """A student's manifest, without torch.

    Raises:
        ProfileError: where there is none, or it is not valid.
    """
    path = folder / MANIFEST
    try:
        return Manifest.model_validate_json(path.read_bytes())
    except OSError:
        raise _no_student(folder) from None
    except ValidationError as problem:
        fault = problem.errors()[0]
        key = ".".join(str(step) for step in fault["loc"]) or None
        raise ProfileError(fault["msg"], file=str(path), key=key) from None


def student_digest(folder: Path) -> str:
    """The SHA-256 over a student's files, without torch; the backbone beneath an adapter counts by its digest in the
    manifest.

    Raises:
        ProfileError: where there is no student, or one of its files cannot be read.
    """
    if not is_student(folder):
        raise _no_student(folder)
    files = [folder / MANIFEST, folder / HEADS]
    files += [path for part in (ADAPTER, BACKBONE) for path in sorted((folder / part).glob("*")) if path.is_file()]
    hasher = hashlib.sha256()
    for path in files:
        try:
            content = hashlib.sha256(path.read_bytes()).hexdigest()
        except OSError as problem:
            raise ProfileError(f"cannot be read: {problem.strerror or problem}", file=str(path)) from None
        hasher.update(f"{path.relative_to(folder).as_posix()} {content}\n".encode())
    return hasher.hexdigest()


def _no_student(folder: Path) -> ProfileError:
    return ProfileError(f"holds no student: {MANIFEST} is not in it", file=str(folder))
