"""The embedded judge: a small encoder on this machine. No prompt, no network.

Two ways to an answer. Where its folder of trained heads (`embedded.heads`, see `kardia.student`) holds one for exactly
the question that a criterion asks, the head says how likely each level is. For any other criterion — a rubric of one's
own, an edited question — (context, reply) is compared with that criterion's own examples, as
`kardia.judge.comparison` does it. It gives no reason and no evidence: it has none. Where neither can mean anything — no
head and too few examples, examples of one level only, a text without words or in a script that the encoder does not
read — it abstains and says so.
"""

from __future__ import annotations

import asyncio
import threading
from collections import OrderedDict
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kardia.errors import ProfileError
from kardia.judge.encoder import MAX_TOKENS, MAX_WINDOWS, Encoder, find_encoder
from kardia.judge.examples import LAYER, MAX_CONTEXT_CHARS, ExampleComparison
from kardia.judge.pair import Pair, pair_of, unreadable
from kardia.judge.profile import EmbeddedOptions, JudgeProfile
from kardia.judge.protocol import Known, Opinion, Request
from kardia.pretrained import encoder_digest
from kardia.rubric.models import Criterion
from kardia.rubric.rubric import Rubric, canonical_json
from kardia.student.backbone import weights_digest
from kardia.student.manifest import read_manifest, student_digest
from kardia.student.tasks import Task, task_digest
from kardia.version import __version__

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from kardia.student.scorer import Scorer

__all__ = ["EmbeddedJudge"]

DECIMALS = 6
"""Probabilities are rounded here, above the noise that the composition of a batch leaves in a vector."""
MAX_KEPT = 16_384
"""Pairs whose outputs are kept, the least recently used go first: requests of one pair need not come in one call."""
MAX_DIGESTS = 4096


class EmbeddedJudge:
    """The `embedded` backend.

    The encoder is found, verified and loaded when the first request is answered.

    Args:
        profile: of the backend `embedded`.

    Raises (from `answer`):
        MissingExtra: where torch, transformers or the encoder are not installed.
        ProfileError: where the encoder is not the one that the profile names, or the heads cannot be loaded.
    """

    reads_prompts = False
    batch_size = 1024

    def __init__(self, profile: JudgeProfile) -> None:
        self.profile = profile
        self._options = profile.embedded or EmbeddedOptions()
        self._examples = ExampleComparison(self._load_encoder, self._options.min_examples)
        self._scorer: Scorer | None = None
        self._tasks: dict[str, Task] | None = None
        self._digests: OrderedDict[int, tuple[Rubric, dict[str, str]]] = OrderedDict()
        self._kept: OrderedDict[Pair, NDArray[np.float64]] = OrderedDict()
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        return f"EmbeddedJudge({self.profile.name!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        return EmbeddedJudge, (self.profile,)

    @cached_property
    def identity(self) -> str:
        """What determines its answers beside the request: the encoder's files as they lie here, the heads, how much is
        read and compared, and kardia's version, which stands for the comparison itself.

        Raises:
            MissingExtra, ProfileError: as `answer` does; torch is not needed.
        """
        known: dict[str, Any] = {
            "backend": "embedded",
            "encoder": encoder_digest(find_encoder(self.profile)),
            "min_examples": self._options.min_examples,
            "reads": [LAYER, MAX_CONTEXT_CHARS, MAX_TOKENS, MAX_WINDOWS, DECIMALS],
            "kardia": __version__,
        }
        if self.profile.heads is not None:
            known["heads"] = student_digest(self.profile.heads)
        return canonical_json(known)

    async def answer(self, requests: Sequence[Request]) -> list[Known | Exception]:
        """An opinion for every criterion of every request, without words. Runs in a worker thread."""
        return await asyncio.to_thread(self._answer, list(requests))

    async def aclose(self) -> None:
        """Nothing is open; the encoder stays loaded."""

    def head_of(self, rubric: Rubric, criterion: Criterion) -> Task | None:
        """The task whose head answers a criterion; None where it is compared with examples. torch is not needed."""
        heads = self._heads()
        return heads.get(self._digest(rubric, criterion)) if heads else None

    def _answer(self, requests: list[Request]) -> list[Known | Exception]:
        with self._lock:
            opinions: list[dict[str, Opinion]] = [{} for _ in requests]
            trained: list[tuple[int, Criterion, Task, Pair]] = []
            shown: list[tuple[int, Criterion, Pair]] = []
            silences: dict[str, str | None] = {}
            for number, request in enumerate(requests):
                text = request.target.text
                if text not in silences:
                    silences[text] = unreadable(text)
                silent = silences[text]
                pair: Pair | None = None
                for criterion in request.criteria:
                    task = None if silent else self.head_of(request.rubric, criterion)
                    why = silent or (None if task else self._examples.too_little(request.rubric, criterion))
                    if why is not None:
                        opinions[number][criterion.id] = Opinion(abstained=why)
                        continue
                    pair = pair or pair_of(request.conversation, request.target)
                    if task is not None:
                        trained.append((number, criterion, task, pair))
                    else:
                        shown.append((number, criterion, pair))
            if trained:
                self._score(trained, opinions)
            if shown:
                asked = [(requests[number].rubric, criterion, pair) for number, criterion, pair in shown]
                for (number, criterion, _), shares in zip(shown, self._examples.compare(asked), strict=True):
                    opinions[number][criterion.id] = _opinion(criterion, shares)
            return [Known(each) for each in opinions]

    def _score(
        self, asked: Sequence[tuple[int, Criterion, Task, Pair]], opinions: Sequence[dict[str, Opinion]]
    ) -> None:
        """What the heads say. One forward pass of a pair serves all criteria, also those that are asked later."""
        from kardia.student.ordinal import probabilities

        scorer = self._load_scorer()
        pairs = list(dict.fromkeys(pair for *_, pair in asked))
        new = [pair for pair in pairs if pair not in self._kept]
        if new:
            self._kept.update(zip(new, scorer.logits([(pair.context, pair.text) for pair in new]), strict=True))
        by_task: dict[Task, list[tuple[int, Criterion, Pair]]] = {}
        for number, criterion, task, pair in asked:
            by_task.setdefault(task, []).append((number, criterion, pair))
        slots = {slot.task: slot for slot in scorer.student.slots}
        import numpy as np

        for task, questions in by_task.items():
            logits_NO = np.stack([self._kept[pair][slots[task].place] for *_, pair in questions])
            shares_NL = probabilities(task, logits_NO, scorer.student.temperatures.get(task.key, 1.0))
            for (number, criterion, _), shares in zip(questions, shares_NL, strict=True):
                opinions[number][criterion.id] = _opinion(criterion, shares)
        for pair in pairs:
            self._kept.move_to_end(pair)
        while len(self._kept) > MAX_KEPT:
            self._kept.popitem(last=False)

    def _heads(self) -> dict[str, Task]:
        """What is asked → the task that was trained for it; read from the manifest."""
        if self._tasks is None:
            self._tasks = {}
            if self.profile.heads is not None:
                self._tasks = {taught.digest: taught.task for taught in read_manifest(self.profile.heads).tasks}
        return self._tasks

    def _digest(self, rubric: Rubric, criterion: Criterion) -> str:
        known = self._digests.get(id(rubric))
        if known is None:
            known = self._digests[id(rubric)] = (rubric, {})  # holds the rubric itself, so that its `id` stays its own
            while len(self._digests) > MAX_DIGESTS:
                self._digests.popitem(last=False)
        digest = known[1].get(criterion.id)
        if digest is None:
            digest = known[1][criterion.id] = task_digest(criterion, rubric.target)
        return digest

    def _load_encoder(self) -> Encoder:
        return Encoder(find_encoder(self.profile), self._options)

    def _load_scorer(self) -> Scorer:
        if self._scorer is None:
            from kardia.student.scorer import Scorer
            from kardia.student.student import Student

            assert self.profile.heads is not None
            student = Student.load(self.profile.heads, backbone=self._backbone(self.profile.heads))
            self._scorer = Scorer(student, device=self._options.device)
        return self._scorer

    def _backbone(self, heads: Path) -> str | None:
        """The encoder's folder, where the profile names it otherwise than the heads' manifest does."""
        manifest = read_manifest(heads)
        if manifest.weights == "backbone" or self.profile.model in (None, manifest.backbone.model):
            return None
        folder = find_encoder(self.profile)
        if weights_digest(folder) != manifest.backbone.sha256:
            raise ProfileError(
                f"is not the encoder that the heads in {heads} were trained on ({manifest.backbone.model}); name that "
                "one, or have it compared with examples alone: --set embedded.heads=null",
                file=str(folder),
                key="model",
            )
        return str(folder)


def _opinion(criterion: Criterion, shares: NDArray[np.float64]) -> Opinion:
    return Opinion(dict(zip(criterion.levels, _rounded(shares), strict=True)))


def _rounded(shares: NDArray[np.float64]) -> list[float]:
    """Rounded shares that still sum to 1: the largest takes up the difference."""
    rounded = [round(float(share), DECIMALS) for share in shares]
    largest = rounded.index(max(rounded))
    rounded[largest] = round(rounded[largest] + 1.0 - sum(rounded), DECIMALS)
    return rounded
