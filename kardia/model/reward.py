"""One number for a reply: the score that a student's probabilities make by a rubric, and the plain reward model that
`kardia.model.export` writes, run by kardia itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kardia.aggregate import aggregate, apply_conditions
from kardia.answer import from_distribution
from kardia.errors import InputError, ProfileError
from kardia.judgment import Judgment
from kardia.pretrained import quiet
from kardia.rubric.rubric import Rubric
from kardia.student.backbone import load_tokenizer
from kardia.student.scorer import batches
from kardia.student.tasks import Task, task_digest

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

__all__ = ["CardScore", "RewardModel"]


class CardScore:
    """What a rubric makes of a student's probabilities, for replies whose rows carry no metadata.

    Args:
        rubric: the rubric; its criteria read the reply.
        tasks: what the student says something about.

    Raises:
        InputError: where the rubric has no score by this student: a criterion reads something else than the reply, has
            no head while the rubric wants all scored, or the aggregation needs the prompt's vector.
    """

    def __init__(self, rubric: Rubric, tasks: Sequence[Task]) -> None:
        self.rubric = rubric
        heads = {task.digest: task for task in tasks}
        self.asked: dict[str, Task] = {}
        """Criterion id → the task that answers it."""
        self._settled: dict[str, Judgment] = {}
        for criterion in rubric.criteria:
            if criterion.reads not in (None, "reply"):
                raise InputError(
                    f"{criterion.id} reads {criterion.reads}; a reward model reads the reply and what came before it"
                )
            task = heads.get(task_digest(criterion, rubric.target))
            if criterion.only_if is not None:
                why = "a reward model is given no metadata"
                self._settled[criterion.id] = Judgment(criterion.id, "not_applicable", error=why)
            elif task is None:
                self._settled[criterion.id] = Judgment(
                    criterion.id, "abstained", error="the student has no head for it"
                )
            else:
                self.asked[criterion.id] = task
        if not self.asked:
            raise InputError(f"the student has a head for no criterion of {rubric.ref}")
        sharp = {task.key: [1.0] + [0.0] * (len(task.levels) - 1) for task in self.asked.values()}
        try:
            outcome = self._outcome(sharp)
        except ValueError:
            raise InputError(
                f"{rubric.ref} weighs its criteria by the prompt, which no plain reward model can"
            ) from None
        if outcome.score is None:
            raise InputError(f"{rubric.ref} has no score by this student: {outcome.why}")

    def __call__(self, shares: Mapping[str, Sequence[float]]) -> float:
        """The score in [0, 1] of one reply.

        Args:
            shares: task key → probabilities over its levels.
        """
        score: float | None = self._outcome(shares).score
        assert score is not None  # what has one has one for all: nothing is unscored by the texts
        return score

    def _outcome(self, shares: Mapping[str, Sequence[float]]) -> Any:
        judgments: dict[str, Judgment] = {}
        for criterion in self.rubric.criteria:
            settled = self._settled.get(criterion.id)
            if settled is None:
                task = self.asked[criterion.id]
                settled = from_distribution(criterion, dict(zip(task.levels, shares[task.key], strict=True)))
            judgments[criterion.id] = settled
        return aggregate(self.rubric, apply_conditions(self.rubric, judgments))


class RewardModel:
    """A plain reward model that `kardia distill --export` wrote, as kardia itself runs it: the same text, the same
    tokens, the same weights as any trainer that loads the folder.

    Args:
        folder: as `--export` wrote it.
        device: `cpu`, `cuda`, …
        batch_tokens: tokens in one forward pass, padding included.

    Raises:
        MissingExtra: where torch or transformers are not installed.
        ProfileError: where the folder holds no such model.
    """

    def __init__(self, folder: str | Path, *, device: str = "cpu", batch_tokens: int = 1024) -> None:
        self.tokenizer = load_tokenizer(Path(folder))
        if not self.tokenizer.chat_template:
            raise ProfileError("holds no reward model: its tokenizer has no chat template", file=str(folder))
        from transformers import AutoModelForSequenceClassification

        with quiet(warnings=False):
            try:
                model = AutoModelForSequenceClassification.from_pretrained(
                    str(folder), num_labels=1, local_files_only=True
                )
            except (OSError, ValueError) as problem:
                raise ProfileError(f"cannot be loaded: {str(problem).splitlines()[0]}", file=str(folder)) from None
        self.model = model.eval().to(device)
        self.batch_tokens = batch_tokens

    def rewards(self, conversations: Sequence[Sequence[Mapping[str, str]]]) -> list[float]:
        """A reward for each conversation's last message.

        Args:
            conversations: messages with `role` and `content`; the last one is the reply.

        Returns:
            floats, in their order; a score in [0, 1], but for the fit where it is fitted.
        """
        import torch

        texts = [self.tokenizer.apply_chat_template(list(each), tokenize=False) for each in conversations]
        found = self.tokenizer(texts, add_special_tokens=False, return_token_type_ids=False, verbose=False)["input_ids"]
        values = [0.0] * len(texts)
        with torch.inference_mode():
            for rows in batches([len(ids) for ids in found], self.batch_tokens):
                padded = self.tokenizer.pad(
                    {"input_ids": [found[row] for row in rows]}, return_tensors="pt", padding_side="right"
                ).to(self.model.device)
                logits = self.model(input_ids=padded["input_ids"], attention_mask=padded["attention_mask"]).logits
                for row, value in zip(rows, logits[:, 0].float().cpu().tolist(), strict=True):
                    values[row] = value
        return values
