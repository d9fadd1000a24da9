"""From labelled pairs to a student in a folder: split, train, select, calibrate, measure, save.

A pure function of its arguments and the machine's arithmetic: on the CPU, with the same number of threads, equal
arguments give equal weights. Checkpoints lie in `checkpoints/` of the folder until the student is complete; an
interrupted training goes on from the last one as if it had not been.
"""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from operator import mul
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kardia.engine.halt import Halt
from kardia.errors import InputError, Interrupted, MissingExtra
from kardia.files import write_text
from kardia.model.calibration import fit_temperature
from kardia.model.card import write_card
from kardia.model.examples import Labelled, check_examples, components, data_hash, split
from kardia.model.loop import SELECT, Learnt, Moment, learn
from kardia.model.metrics import TaskMetrics, cross_entropy, task_metrics
from kardia.model.metrics import kappa as kappa_of
from kardia.model.recipe import Recipe
from kardia.model.start import begun, start_of
from kardia.pretrained import quiet
from kardia.student.manifest import check_place
from kardia.student.ordinal import level_weights, outputs_of, probabilities, slots_of, threshold_targets
from kardia.student.scorer import Scorer
from kardia.student.student import Student
from kardia.student.tasks import Task
from kardia.version import __version__

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

__all__ = ["Report", "train"]

CHECKPOINTS = "checkpoints"
BEGUN = "begun.json"
_DIGITS = 6


@dataclass(frozen=True)
class Report:
    """What a training came to.

    Attributes:
        folder: where the student is.
        metrics: task key → how good it is on the held-out part; tasks without a label there are not in it.
        facts: what the student's manifest says of its training.
        history: one entry a pass: `epoch`, `loss` and `select` on the held-out part, larger `select` is better.
    """

    folder: Path
    metrics: Mapping[str, TaskMetrics]
    facts: Mapping[str, Any]
    history: Sequence[Mapping[str, float]] = field(default=())


def train(
    examples: Sequence[Labelled],
    tasks: Sequence[Task],
    recipe: Recipe,
    folder: Path,
    *,
    dev: Sequence[Labelled] | None = None,
    notify: Callable[[Moment], None] | None = None,
    resume: bool = False,
    halt: Halt | None = None,
    facts: Mapping[str, Any] | None = None,
) -> Report:
    """Trains a student and writes its folder, with model card, metrics and judge profile.

    Args:
        examples: what it learns from; an example need not have a label of every task, nor every corpus every task.
        tasks: what it learns.
        recipe: how.
        folder: where it goes; what stands there is replaced once the training is complete.
        dev: what it is selected and calibrated on; None: `recipe.dev_share` of the examples' groups.
        notify: called after every step.
        resume: go on from the checkpoint that an interrupted training of the same data and recipe left in the folder,
            where there is one.
        halt: once requested, the step under way is the last one; what was learnt is kept for `resume`.
        facts: further facts for the manifest and the card, such as the rubrics' names and where the labels are from.

    Raises:
        InputError: where the examples do not fit the tasks, `dev` shares groups with them, what is to be resumed was
            another training, or the student to go on from is none, or lies in `folder`.
        OutputError: where the folder holds something else.
        ProfileError: where the backbone, or the student to go on from, cannot be used.
        MissingExtra: where torch, transformers, accelerate or peft are not installed.
        Interrupted: where it was halted.
    """
    check_place(folder)
    _check_device(recipe)
    start = start_of(recipe)
    if start is not None:
        start.check_apart(folder)
    check_examples([*examples, *(dev or ())], tasks)
    if dev is None:
        train_rows, dev_rows = split(examples, recipe.dev_share, recipe.seed)
        learning, held = [examples[row] for row in train_rows], [examples[row] for row in dev_rows]
    else:
        learning, held = list(examples), list(dev)
        _check_apart(learning, held)
    _check_shares(learning, tasks, recipe)
    student = begun(tasks, recipe, start)
    known = {
        **({} if start is None else {"start": start.digest}),
        "data": data_hash([*learning, *held]),
        "examples": len(learning),
        "dev": len(held),
        "labels": {task.key: sum(task.key in each.targets for each in learning) for task in tasks},
        "recipe": recipe.model_dump(mode="json", exclude_defaults=True),
        "seed": recipe.seed,
    }
    folder.mkdir(parents=True, exist_ok=True)
    asked: dict[str, Any] = {**known, "tasks": [task.digest for task in tasks]}
    if start is not None and "reading" in recipe.model_fields_set:
        # the recipe leaves out what is usual, and here usual is what the other student reads
        asked["reading"] = student.coder.reading.model_dump()
    checkpoint = _checkpoint(folder, asked, resume)
    skilled: AbstractSet[str] = set() if start is None else start.skilled(tasks)
    history = _run(
        student, learning, held, recipe, folder / CHECKPOINTS, skilled, checkpoint=checkpoint, notify=notify, halt=halt
    )
    if halt is not None and halt.requested:
        raise Interrupted(f"the training was stopped; what was learnt so far lies in {folder / CHECKPOINTS}")
    metrics = _calibrate(student, held, recipe)
    student.training = {
        **(facts or {}),
        **known,
        "history": history,
        "versions": _versions(student),
    }
    student.network.module.cpu()
    student.save(folder, half=recipe.half)
    write_card(student, metrics, folder)
    shutil.rmtree(folder / CHECKPOINTS, ignore_errors=True)
    return Report(folder, metrics, student.training, history)


def _check_device(recipe: Recipe) -> None:
    if recipe.device != "cuda":
        return
    try:
        import torch
    except ImportError:
        raise MissingExtra("local", "training a student") from None
    if not torch.cuda.is_available():
        raise InputError("there is no GPU here; device: cpu or auto", key="device")


def _check_shares(learning: Sequence[Labelled], tasks: Sequence[Task], recipe: Recipe) -> None:
    """Whether every task is still learnt once some examples are held out, and every weight is a task's."""
    known = [task.key for task in tasks]
    for name, keys in (("task_weights", recipe.task_weights), ("task_rarity", recipe.task_rarity)):
        for key in keys:
            if key not in known:
                raise InputError(f"{key!r} is no task; there are {', '.join(known)}", key=name)
    try:
        check_examples(learning, tasks)
    except InputError as problem:
        raise InputError(f"once some examples are held out, {problem.message}") from None


def _check_apart(learning: Sequence[Labelled], held: Sequence[Labelled]) -> None:
    """Selecting on what was learnt would keep the most overfitted pass."""
    border = len(learning)
    for component in components([*learning, *held]):
        if min(component) < border <= max(component):
            shared = held[max(component) - border]
            raise InputError(
                f"the example {shared.id or shared.group!r} of the held-out part shares its group or its context with "
                "one that is learnt from; split by conversation"
            )


def _checkpoint(folder: Path, asked: Mapping[str, Any], resume: bool) -> Path | None:
    """The checkpoint to go on from; where there is none to, whatever lies there is removed."""
    place = folder / CHECKPOINTS
    text = json.dumps(asked, ensure_ascii=False, sort_keys=True, indent=1) + "\n"
    found = sorted(
        (path for path in place.glob("checkpoint-*") if (path / "trainer_state.json").is_file()),
        key=lambda path: int(path.name.rpartition("-")[2]),
    )
    if resume and found:
        before = place / BEGUN
        if not before.is_file() or before.read_text(encoding="utf-8") != text:
            other = "had other examples, tasks or options" + (", or another start" if "start" in asked else "")
            raise InputError(
                f"what was begun here {other}, and cannot be resumed with these; use the same, or leave --resume out",
                file=str(folder),
            )
        return found[-1]
    shutil.rmtree(place, ignore_errors=True)
    write_text(place / BEGUN, text)
    return None


def _run(
    student: Student,
    learning: Sequence[Labelled],
    held: Sequence[Labelled],
    recipe: Recipe,
    folder: Path,
    skilled: AbstractSet[str],
    **more: Any,
) -> list[dict[str, float]]:
    """Trains the student in place; one entry a pass."""
    learnt = _learnt(student, learning, recipe)
    _start_biases(student, learnt, skilled)
    pairs = [(each.context, each.reply) for each in held]

    def evaluate() -> dict[str, float]:
        logits_NO = Scorer(student, device=recipe.device).logits(pairs)
        return _selected(student, logits_NO, held, recipe.select)

    with quiet(warnings=False):
        log = learn(
            student.network,
            learnt,
            student.slots,
            student.coder.pad,
            recipe,
            folder,
            evaluate=evaluate if held else None,
            **more,
        )
    return [
        {
            "epoch": round(float(entry["epoch"]), 3),
            "loss": round(float(entry["eval_loss"]), _DIGITS),
            "select": round(float(entry[SELECT]), _DIGITS),
        }
        for entry in log
        if SELECT in entry
    ]


def _learnt(student: Student, examples: Sequence[Labelled], recipe: Recipe) -> Learnt:
    import torch

    targets_NO = torch.zeros((len(examples), outputs_of(student.tasks)))
    weights_NT = torch.zeros((len(examples), len(student.tasks)))
    for column, slot in enumerate(student.slots):
        key = slot.task.key
        rows = [row for row, example in enumerate(examples) if key in example.targets]
        if not rows:
            continue
        targets = [examples[row].targets[key] for row in rows]
        rare = level_weights(targets, recipe.task_rarity.get(key, recipe.rarity))
        counts = [
            math.fsum(map(mul, target, rare)) * examples[row].weight for row, target in zip(rows, targets, strict=True)
        ]
        targets_NO[rows, slot.place] = torch.tensor([threshold_targets(slot.task, target) for target in targets])
        weights_NT[rows, column] = torch.tensor(counts) * recipe.task_weights.get(key, 1.0)
    return Learnt(student.coder.code([(each.context, each.reply) for each in examples]), targets_NO, weights_NT)


def _start_biases(student: Student, learnt: Learnt, skilled: AbstractSet[str]) -> None:
    """New heads begin by saying the levels' shares: the first steps need not find them. `skilled`: the keys of tasks
    whose heads were trained before."""
    import torch

    bias_O = student.network.heads["bias_O"]
    with torch.no_grad():
        for column, slot in enumerate(student.slots):
            known = learnt.weights_NT[:, column] > 0
            if slot.task.key in skilled or not bool(known.any()):
                continue
            shares = learnt.targets_NO[known][:, slot.place].mean(0).clamp(0.01, 0.99)
            bias_O[slot.place] = torch.logit(shares) if slot.task.thresholds else shares.log()


def _selected(student: Student, logits_NO: Array, held: Sequence[Labelled], by: str) -> dict[str, float]:
    """The mean loss over tasks, and what a pass is selected by."""
    kappas: list[float] = []
    found: list[float] = []
    for slot in student.slots:
        rows = [row for row, each in enumerate(held) if slot.task.key in each.targets]
        if not rows:
            continue
        targets = [held[row].targets[slot.task.key] for row in rows]
        shares = probabilities(slot.task, logits_NO[rows][:, slot.place])
        found.append(cross_entropy(targets, shares.tolist()))
        truth = [max(range(len(target)), key=target.__getitem__) for target in targets]
        value = kappa_of(truth, shares.argmax(1).tolist(), quadratic=slot.task.ordered)
        if value is not None:
            kappas.append(value)
    loss = math.fsum(found) / len(found) if found else 0.0
    select = math.fsum(kappas) / len(kappas) if kappas and by == "kappa" else -loss
    return {"eval_loss": loss, "eval_select": select}


def _calibrate(student: Student, held: Sequence[Labelled], recipe: Recipe) -> dict[str, TaskMetrics]:
    """Fits each task's temperature on the held-out part, and measures there."""
    if not held:
        return {}
    import numpy as np

    scorer = Scorer(student, device=recipe.device)
    logits_NO = scorer.logits([(each.context, each.reply) for each in held])
    metrics: dict[str, TaskMetrics] = {}
    for slot in slots_of(student.tasks):
        task = slot.task
        rows = [row for row, each in enumerate(held) if task.key in each.targets]
        if not rows:
            continue
        own_NO = logits_NO[rows][:, slot.place]
        targets = [held[row].targets[task.key] for row in rows]
        temperature = fit_temperature(task, own_NO, np.asarray(targets))
        student.temperatures[task.key] = temperature
        metrics[task.key] = task_metrics(
            targets,
            probabilities(task, own_NO).tolist(),
            probabilities(task, own_NO, temperature).tolist(),
            ordered=task.ordered,
            temperature=temperature,
        )
    return metrics


def _versions(student: Student) -> dict[str, str]:
    found = {"kardia": __version__}
    for name in ("torch", "transformers", "accelerate", *(("peft",) if student.weights == "adapter" else ())):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            pass  # a build without metadata: what is not known is not said
    return found
