"""The training loop: transformers' Trainer over a student's network. torch is imported where it runs."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kardia.engine.halt import Halt
from kardia.errors import MissingExtra
from kardia.model.recipe import Recipe
from kardia.student.network import Network, collate
from kardia.student.ordinal import Slot, losses
from kardia.student.tokens import Coded

if TYPE_CHECKING:
    import torch

__all__ = ["SELECT", "Learnt", "Moment", "learn"]

TRAINED = "trained.safetensors"
SELECT = "eval_select"
"""What Trainer calls the number that a pass is selected by."""


@dataclass(frozen=True, slots=True)
class Moment:
    """Where a training is.

    Attributes:
        step, steps: steps that were made, and that there are at most.
        epoch: passes over the examples, with a fraction.
        loss: the last logged one, of the training part; None before there is one.
        select: the last result on the held-out part, larger is better; None before there is one.
    """

    step: int
    steps: int
    epoch: float
    loss: float | None
    select: float | None


@dataclass(frozen=True)
class Learnt:
    """The training part, as tensors.

    Attributes:
        coded: tokens of N pairs.
        targets_NO: what the outputs are trained towards.
        weights_NT: what each label counts; 0 where there is none.
    """

    coded: Sequence[Coded]
    targets_NO: torch.Tensor
    weights_NT: torch.Tensor


def learn(
    network: Network,
    learnt: Learnt,
    slots: Sequence[Slot],
    pad: int,
    recipe: Recipe,
    folder: Path,
    *,
    evaluate: Callable[[], dict[str, float]] | None = None,
    checkpoint: Path | None = None,
    notify: Callable[[Moment], None] | None = None,
    halt: Halt | None = None,
) -> list[dict[str, Any]]:
    """Trains a network in place, on one device.

    Args:
        pad: the token that fills up a batch.
        folder: gets the checkpoints: at every pass's end, and where it is halted.
        evaluate: `eval_loss` and `eval_select` on the held-out part, after every pass; the best pass is kept. None: the
            last one is.
        checkpoint: where to go on from.
        notify: called after every step.
        halt: once requested, the step under way is the last one, and a checkpoint is written.

    Returns:
        Trainer's log.

    Raises:
        MissingExtra: where accelerate is not installed, which Trainer needs.
    """
    try:
        import accelerate  # noqa: F401
    except ImportError:
        raise MissingExtra("local", "training a student") from None
    from transformers import EarlyStoppingCallback
    from transformers.trainer_callback import PrinterCallback

    callbacks = [_follower(notify, halt)]
    if evaluate is not None and recipe.patience:
        callbacks.append(EarlyStoppingCallback(early_stopping_patience=recipe.patience))
    args = _arguments(recipe, folder, evaluates=evaluate is not None)
    trainer = _trainer_class()(network, learnt, slots, pad, evaluate, args, _optimizer(network, recipe), callbacks)
    trainer.remove_callback(PrinterCallback)  # standard output is for results
    trainer.train(resume_from_checkpoint=None if checkpoint is None else str(checkpoint))
    log: list[dict[str, Any]] = trainer.state.log_history
    return log


class _Rows:
    """The numbers 0 to n − 1 as a data set: the collator looks the rest up."""

    def __init__(self, count: int) -> None:
        self.count = count

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> int:
        return index


class _LikeLengths:
    """Batches of like lengths in an order that the seed and the pass decide, so that a resumed training goes on as it
    would have."""

    def __init__(self, lengths: Sequence[int], batch_size: int, seed: int) -> None:
        self.lengths = list(lengths)
        self.batch_size = batch_size
        self.seed = seed
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self.lengths)

    def __iter__(self) -> Iterator[int]:
        import torch
        from transformers.trainer_pt_utils import get_length_grouped_indices

        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + self.epoch)
        most = max(1, min(50, len(self.lengths) // (self.batch_size * 4)))
        order = get_length_grouped_indices(self.lengths, self.batch_size, mega_batch_mult=most, generator=generator)
        batches = [order[start : start + self.batch_size] for start in range(0, len(order), self.batch_size)]
        last = [] if len(batches[-1]) == self.batch_size else batches.pop()
        # within a stretch they come in falling length: shuffled, so that length does not go in waves
        for place in torch.randperm(len(batches), generator=generator).tolist():
            yield from batches[place]
        yield from last


def _follower(notify: Callable[[Moment], None] | None, halt: Halt | None) -> Any:
    """Trainer's callback: tells how far it is, and stops where that is asked for."""
    from transformers import TrainerCallback

    class Follower(TrainerCallback):  # type: ignore[misc]  # transformers is not typed
        def on_step_end(self, args: Any, state: Any, control: Any, **rest: Any) -> None:
            self.tell(state)
            if halt is not None and halt.requested:
                control.should_save = control.should_training_stop = True

        def on_epoch_end(self, args: Any, state: Any, control: Any, **rest: Any) -> None:
            if halt is not None and halt.requested and abs(state.epoch - round(state.epoch)) > 1e-6:
                # not the end of a pass: a result here would count when it is resumed
                control.should_evaluate = control.should_save = False

        def on_evaluate(self, args: Any, state: Any, control: Any, **rest: Any) -> None:
            self.tell(state)

        def tell(self, state: Any) -> None:
            def last(key: str) -> float | None:
                return next((float(entry[key]) for entry in reversed(state.log_history) if key in entry), None)

            if notify is not None:
                epoch = float(state.epoch or 0.0)
                notify(Moment(state.global_step, state.max_steps, epoch, last("loss"), last(SELECT)))

    return Follower()


def _trainer_class() -> Any:
    """Trainer with the masked loss of all tasks, checkpoints of what is trained alone, and an evaluation that is
    given."""
    import torch
    from safetensors.torch import load_file, save_file
    from transformers import Trainer

    class StudentTrainer(Trainer):  # type: ignore[misc]  # transformers is not typed
        def __init__(
            self,
            network: Network,
            learnt: Learnt,
            slots: Sequence[Slot],
            pad: int,
            measure: Callable[[], dict[str, float]] | None,
            args: Any,
            optimizer: Any,
            callbacks: list[Any],
        ) -> None:
            def batch(rows: list[int]) -> dict[str, torch.Tensor]:
                made = collate([learnt.coded[row] for row in rows], pad)
                return {**made, "targets": learnt.targets_NO[rows], "weights": learnt.weights_NT[rows]}

            self._network, self._learnt, self._slots, self._measure = network, learnt, slots, measure
            rows = _Rows(len(learnt.coded))
            super().__init__(
                model=network.module,
                args=args,
                data_collator=batch,
                train_dataset=rows,
                eval_dataset=None if measure is None else rows,  # wanted, and never read: `evaluate` is ours
                optimizers=(optimizer, None),
                callbacks=callbacks,
            )

        def _get_train_sampler(self, train_dataset: Any = None) -> Any:
            lengths = [len(each.ids) for each in self._learnt.coded]
            return _LikeLengths(lengths, self.args.per_device_train_batch_size, self.args.data_seed)

        def compute_loss(
            self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, **rest: Any
        ) -> torch.Tensor:
            targets, weights = inputs.pop("targets"), inputs.pop("weights")
            with self.accelerator.autocast():
                outputs = self._network.outputs(**inputs)
            return losses(self._slots, outputs.float(), targets, weights)

        def evaluate(self, eval_dataset: Any = None, ignore_keys: Any = None, metric_key_prefix: str = "eval") -> Any:
            assert self._measure is not None
            found = self._measure()
            self.model.train()
            self.log(found)
            self.control: Any = self.callback_handler.on_evaluate(self.args, self.state, self.control, found)
            return found

        def _save(self, output_dir: str | None = None, state_dict: Any = None) -> None:
            folder = Path(output_dir or self.args.output_dir)
            folder.mkdir(parents=True, exist_ok=True)
            trained = {name: tensor.detach().cpu().contiguous() for name, tensor in self._network.trained()}
            save_file(trained, folder / TRAINED)

        def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
            self._take(resume_from_checkpoint)

        def _load_best_model(self) -> None:
            self._take(self.state.best_model_checkpoint)

        def _take(self, checkpoint: str) -> None:
            tensors = load_file(os.path.join(checkpoint, TRAINED))
            with torch.no_grad():
                for name, parameter in self._network.trained():
                    parameter.copy_(tensors[name])

    return StudentTrainer


def _arguments(recipe: Recipe, folder: Path, *, evaluates: bool) -> Any:
    import torch
    from transformers import TrainingArguments

    cpu = recipe.device == "cpu" or (recipe.device == "auto" and not torch.cuda.is_available())
    args = TrainingArguments(
        output_dir=str(folder),
        num_train_epochs=recipe.epochs,
        max_steps=recipe.max_steps or -1,
        per_device_train_batch_size=recipe.batch_size,
        gradient_accumulation_steps=recipe.accumulate,
        learning_rate=recipe.backbone_lr,
        lr_scheduler_type="linear",
        warmup_steps=recipe.warmup,
        max_grad_norm=1.0,
        eval_strategy="epoch" if evaluates else "no",
        save_strategy="epoch",
        save_total_limit=2,  # the best and the last
        load_best_model_at_end=evaluates,
        metric_for_best_model=SELECT if evaluates else None,
        greater_is_better=True if evaluates else None,
        logging_strategy="steps",
        logging_steps=10,
        seed=recipe.seed,
        data_seed=recipe.seed,
        use_cpu=cpu,
        bf16=recipe.dtype == "bfloat16",
        disable_tqdm=True,
        report_to=[],
        remove_unused_columns=False,
        dataloader_num_workers=0,
        dataloader_pin_memory=not cpu,
    )
    args._n_gpu = min(1, args.n_gpu)  # Trainer would spread each batch over all that there are
    return args


def _optimizer(network: Network, recipe: Recipe) -> torch.optim.Optimizer:
    """AdamW with a learning rate for the backbone or its adapter and one for the heads; vectors are not decayed."""
    import torch

    groups: list[dict[str, Any]] = []
    for module, rate in ((network.backbone, recipe.backbone_lr), (network.heads, recipe.head_lr)):
        trained = [tensor for tensor in module.parameters() if tensor.requires_grad]
        for decayed in (True, False):
            chosen = [tensor for tensor in trained if (tensor.ndim > 1) == decayed]
            if chosen:
                decay = recipe.weight_decay if decayed else 0.0
                groups.append({"params": chosen, "lr": rate, "weight_decay": decay})
    return torch.optim.AdamW(groups)
