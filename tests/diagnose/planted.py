"""Judges whose faults are known: cards of made-up replies, whose true quality nobody but the test knows."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from making import binary, make, ordinal

from kardia.aggregate import aggregate
from kardia.judgment import Judgment, Scorecard
from kardia.rubric.rubric import Rubric

ORDINALS = ("warm", "clear", "apt", "honest")
DEMEANS = binary("demeans", good="no", required={"else_score": 0})
RUBRIC = make(*(ordinal(name) for name in ORDINALS), DEMEANS)
WORDS = ("today", "sounds", "hard", "and", "you", "are", "not", "alone", "with", "it")


@dataclass
class Reply:
    """A reply, and what is true of it: latent levels, around 3."""

    id: str
    group: str | None
    step: int
    text: str
    quality: Mapping[str, float]
    demeans: bool
    long: bool = False


@dataclass
class World:
    """Replies of some groups, by a seed."""

    seed: int
    groups: int = 50
    size: int = 4
    replies: list[Reply] = field(default_factory=list)

    def __post_init__(self) -> None:
        rng = random.Random(self.seed)
        for group in range(self.groups):
            base = rng.gauss(0, 0.5)
            for place in range(self.size):
                own = rng.gauss(0, 0.7)
                count = max(3, round(rng.lognormvariate(3.4, 0.4)))
                quality = {name: 3 + base + own + rng.gauss(0, 0.7) for name in ORDINALS}
                text = f"{group} {place} " + " ".join(rng.choices(WORDS, k=count))
                self.replies.append(Reply(f"{group}-{place}", f"g{group}", group, text, quality, rng.random() < 0.08))
        middle = sorted(len(reply.text.split()) for reply in self.replies)[len(self.replies) // 2]
        for reply in self.replies:
            reply.long = len(reply.text.split()) > middle


Bias = Callable[[Reply, str], float]
"""What a judge adds to the level of a criterion, in levels of five."""


def levels(world: World, seed: int, bias: Bias, noise: float, rubric: Rubric = RUBRIC) -> list[dict[str, Any]]:
    """What somebody says of each reply: the truth, with noise and a bias, on the scales that there are."""
    rng = random.Random(f"{world.seed} {seed}")
    return [
        {
            name: _level(rubric.by_id[name].levels, reply.quality[name] + rng.gauss(0, noise) + bias(reply, name))
            for name in ORDINALS
        }
        for reply in world.replies
    ]


def _level(scale: Sequence[Any], latent: float) -> Any:
    steps = len(scale) - 1
    return scale[min(steps, max(0, round((latent - 1) / 4 * steps)))]


def fair(_: Reply, __: str) -> float:
    return 0.0


def cards(
    world: World,
    bias: Bias = fair,
    *,
    seed: int = 1,
    noise: float = 0.4,
    judge: str = "judge",
    rubric: Rubric = RUBRIC,
    change: Callable[[Reply, dict[str, Judgment]], None] | None = None,
) -> list[dict[str, Any]]:
    """A judge's cards, as `kardia score` writes them.

    Args:
        change: what else is done to the judgments of a reply, before they are aggregated.
    """
    found: list[dict[str, Any]] = []
    for reply, said in zip(world.replies, levels(world, seed, bias, noise, rubric), strict=True):
        judgments: dict[str, Judgment] = {}
        for criterion in rubric.criteria:
            level = said.get(criterion.id, "yes" if reply.demeans else "no")
            judgments[criterion.id] = Judgment(criterion.id, "scored", level, criterion.value(level), f"{level}.")
        if change is not None:
            change(reply, judgments)
        outcome = aggregate(rubric, judgments)
        card = Scorecard(
            id=reply.id,
            target={"kind": "reply", "message": 1, "text": reply.text},
            group=reply.group,
            metadata={"step": reply.step},
            rubric=rubric.ref,
            judge=judge,
            status=outcome.status,
            score=outcome.score,
            vetoed_by=outcome.vetoed_by,
            criteria=judgments,
            provenance={
                "rubric": {"name": rubric.name, "version": rubric.version, "hash": rubric.hash},
                "instance": None,
                "judge": {"name": judge, "hash": f"sha256:{judge}"},
            },
        )
        found.append(card.to_json())
    return found


def write(path: Path, rows: Sequence[Mapping[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def write_labels(path: Path, world: World, *, seed: int = 99, noise: float = 0.4, rubric: Rubric = RUBRIC) -> Path:
    """What a person says of every reply: a wide file."""
    said = levels(world, seed, fair, noise, rubric)
    return write(path, [{"id": reply.id, **each} for reply, each in zip(world.replies, said, strict=True)])
