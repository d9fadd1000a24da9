"""Where a training begins: with an untrained student, or with one that goes on from another."""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path

from kardia.errors import InputError
from kardia.judge.profile import load_profile, profile_names
from kardia.model.recipe import Recipe
from kardia.student.backbone import Backbone, default_backbone
from kardia.student.heads import origins_of
from kardia.student.manifest import MANIFEST, Manifest, is_student, read_manifest, student_digest
from kardia.student.student import Student
from kardia.student.tasks import Task

__all__ = ["Start", "begun", "build_of", "start_of"]


@dataclass(frozen=True, slots=True)
class Start:
    """The student that a training goes on from.

    Attributes:
        folder: where it is.
        manifest: what it says of itself.
        digest: of all its files.
    """

    folder: Path
    manifest: Manifest
    digest: str

    def skilled(self, tasks: Sequence[Task]) -> AbstractSet[str]:
        """The keys of the tasks whose heads it brings, trained."""
        origins = origins_of(tasks, [taught.task for taught in self.manifest.tasks])
        return {task.key for task, origin in zip(tasks, origins, strict=True) if origin is not None}

    def check_apart(self, folder: Path) -> None:
        """Whether the new student goes elsewhere: the same command would mean another thing every time.

        Raises:
            InputError: where it would replace the one that it goes on from.
        """
        if folder.resolve() == self.folder.resolve():
            raise InputError(
                f"a student cannot go on from {self.folder} and be written there too; take another folder for it",
                key="start",
            )


def start_of(recipe: Recipe) -> Start | None:
    """The student that a recipe goes on from; None where it begins with an untrained one. Needs no torch.

    Raises:
        InputError: where what it names is neither a student nor a judge with trained heads, or it cannot go on as the
            recipe says.
        ProfileError: where the student's folder is not whole.
    """
    if recipe.start is None:
        return None
    folder = _folder(recipe.start)
    manifest = read_manifest(folder)
    if manifest.weights == "backbone" and recipe.lora is not None:
        raise InputError(
            f"the backbone of {recipe.start} was trained as a whole, and can only go on so: say `lora: null` too "
            "(--set lora=null)",
            key="start",
        )
    return Start(folder, manifest, student_digest(folder))


def _folder(reference: str) -> Path:
    folder = Path(reference).expanduser()
    if is_student(folder):
        return folder
    named = reference in profile_names()
    if not named and not folder.is_file() and not (folder / "judge.yaml").is_file():
        raise InputError(
            f"there is no student {reference!r} to go on from: expected a folder with a {MANIFEST}, or a judge with "
            "trained heads, such as embedded",
            key="start",
        )
    heads = load_profile(reference if named else folder).heads
    if heads is None:
        raise InputError(f"the judge {reference!r} has no trained heads to go on from", key="start")
    return heads


def build_of(recipe: Recipe) -> tuple[str, str | None]:
    """The kind of the student that a recipe trains, and its pooling; None: the kind's usual one.

    Raises:
        InputError, ProfileError: as `start_of`.
    """
    start = start_of(recipe)
    return (recipe.kind, recipe.pooling) if start is None else (start.manifest.kind, start.manifest.pooling)


def begun(tasks: Sequence[Task], recipe: Recipe, start: Start | None) -> Student:
    """The student before its first step.

    Raises:
        ProfileError: where its backbone cannot be used.
        MissingExtra: where torch, transformers or peft are not installed.
    """
    if start is None:
        return Student.create(
            tasks,
            _backbone_of(recipe),
            kind=recipe.kind,
            pooling=recipe.pooling,
            reply_only=recipe.reply_only,
            lora=recipe.lora,
            freeze=recipe.freeze,
            reading=recipe.reading,
            dropout=recipe.dropout,
            seed=recipe.seed,
        )
    return Student.following(
        start.folder,
        tasks,
        whole=recipe.lora is None,
        reading=start.manifest.reading.model_copy(update=recipe.reading.model_dump(exclude_unset=True)),
        dropout=recipe.dropout,
        seed=recipe.seed,
    )


def _backbone_of(recipe: Recipe) -> Backbone:
    if recipe.backbone is None:
        return default_backbone()
    return Backbone(model=recipe.backbone, revision=recipe.revision, sha256=recipe.sha256)
