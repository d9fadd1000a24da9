"""What both halves of the EPITOME benchmark share: the rows, what a judge says of them, how good that is."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import accuracy_score, cohen_kappa_score, f1_score

from kardia.answer import from_distribution
from kardia.conversation import Conversation, Message
from kardia.errors import InputError
from kardia.judge.backends.embedded import EmbeddedJudge
from kardia.judge.profile import load_profile
from kardia.judge.protocol import Known, Request
from kardia.rubric.loading import load_rubric
from kardia.spans import target_of

RUBRIC = "empathy-mechanisms"
MECHANISMS = ("emotional_reactions", "interpretations", "explorations")
LEVELS = (0, 1, 2)


@dataclass(frozen=True)
class Row:
    """A post, a reply to it, and the annotators' level for each mechanism."""

    post: str
    reply: str
    levels: dict[str, int]

    @property
    def group(self) -> str:
        """Equal for all replies to one post."""
        return " ".join(self.post.split())


@dataclass(frozen=True)
class Figures:
    """How far levels are those of the annotators."""

    kappa: float
    macro_f1: float
    accuracy: float


def find_data(given: Sequence[str]) -> list[Path]:
    """The files that are given, each once and a folder's dev.jsonl for a folder, or dev.jsonl under $KARDIA_BENCH_DATA.

    Raises:
        InputError: none is given, or one is not there.
    """
    root = os.environ.get("KARDIA_BENCH_DATA")
    named = [Path(one) for one in given] or ([Path(root) / "epitome"] if root else [])
    files = {path.resolve(): path for path in (one / "dev.jsonl" if one.is_dir() else one for one in named)}
    missing = next((path for path in files.values() if not path.is_file()), None)
    if missing is not None or not files:
        raise InputError(
            "there is no EPITOME file to measure on: name it by --data PATH/epitome/dev.jsonl, or set "
            "KARDIA_BENCH_DATA to the folder that holds epitome/dev.jsonl",
            file=None if missing is None else str(missing),
        )
    return list(files.values())


def beside(data: Path) -> Path | None:
    """train.jsonl in the folder of dev.jsonl; None where there is none."""
    path = data.with_name("train.jsonl")
    return path if path.is_file() and path.resolve() != data.resolve() else None


def read_rows(path: Path) -> list[Row]:
    found = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    return [Row(one["seeker_post"], one["response_post"], {name: one[name] for name in MECHANISMS}) for one in found]


def truth(rows: Sequence[Row], mechanism: str) -> list[int]:
    return [row.levels[mechanism] for row in rows]


def judged(rows: Sequence[Row], judge_name: str) -> dict[str, list[int | None]]:
    """Mechanism → the level that a judge of the backend `embedded` writes for each row; None where it abstains."""
    return asyncio.run(_judged(rows, judge_name))


async def _judged(rows: Sequence[Row], judge_name: str) -> dict[str, list[int | None]]:
    rubric = load_rubric(RUBRIC)
    judge = EmbeddedJudge(load_profile(judge_name))
    requests = []
    for number, row in enumerate(rows):
        conversation = Conversation(str(number), (Message("user", row.post), Message("assistant", row.reply)))
        requests.append(
            Request(conversation, target_of(conversation, "reply"), rubric, rubric.criteria, "per_criterion")
        )
    found: dict[str, list[int | None]] = {name: [] for name in MECHANISMS}
    for start in range(0, len(requests), judge.batch_size):
        for answer in await judge.answer(requests[start : start + judge.batch_size]):
            if not isinstance(answer, Known):
                raise answer
            for criterion in rubric.criteria:
                shares = answer.opinions[criterion.id].probabilities
                level = None if shares is None else from_distribution(criterion, shares).level
                found[criterion.id].append(level if isinstance(level, int) else None)
    return found


def counted(levels: Sequence[int | None]) -> list[int]:
    """What is unscored counts as level 0."""
    return [0 if level is None else level for level in levels]


def figures(observed: Sequence[int], said: Sequence[int]) -> Figures:
    """Quadratic-weighted κ, macro-F1 over the three levels, accuracy. κ is 0 where both know one level only."""
    known = len({*observed, *said}) > 1
    kappa = cohen_kappa_score(observed, said, weights="quadratic", labels=LEVELS) if known else 0.0
    macro = f1_score(observed, said, average="macro", labels=LEVELS, zero_division=0)
    return Figures(float(kappa), float(macro), float(accuracy_score(observed, said)))


@dataclass(frozen=True, eq=False)
class Resamples:
    """Groups drawn with replacement, all their rows with them: the same draws for whatever is measured in them.

    Attributes:
        group_N: the number of each row's group.
        times_SG: how often each group is in each resample.
    """

    group_N: NDArray[np.int64]
    times_SG: NDArray[np.int64]

    @classmethod
    def drawn(cls, groups: Sequence[str], samples: int, seed: int = 0) -> Resamples:
        names = {group: place for place, group in enumerate(dict.fromkeys(groups))}
        shares_G = np.full(len(names), 1 / len(names))
        times_SG = np.random.default_rng(seed).multinomial(len(names), shares_G, size=samples)
        return cls(np.array([names[group] for group in groups]), times_SG)

    def kappas(self, observed: Sequence[int], said: Sequence[int]) -> NDArray[np.float64]:
        """The quadratic-weighted κ in each resample."""
        samples, groups = self.times_SG.shape
        cells_GC = np.zeros((groups, len(LEVELS) ** 2))
        np.add.at(cells_GC, (self.group_N, np.array(observed) * len(LEVELS) + np.array(said)), 1)
        return _kappas((self.times_SG @ cells_GC).reshape(samples, len(LEVELS), len(LEVELS)))


def _kappas(table_SLL: NDArray[np.float64]) -> NDArray[np.float64]:
    """κ of confusion tables: 1 − Σ w O / Σ w E; 0 where nothing but one level stands on both sides."""
    level_L = np.arange(len(LEVELS))
    weight_LL = (level_L[:, None] - level_L) ** 2
    expected_SLL = table_SLL.sum(2)[:, :, None] * table_SLL.sum(1)[:, None] / table_SLL.sum((1, 2))[:, None, None]
    wrong_S, chance_S = (weight_LL * table_SLL).sum((1, 2)), (weight_LL * expected_SLL).sum((1, 2))
    return np.where(chance_S > 0, 1 - wrong_S / np.where(chance_S > 0, chance_S, 1), 0.0)
