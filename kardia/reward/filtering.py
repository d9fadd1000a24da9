"""Scored groups → the prompts that are worth training on: those in a central band of a base policy's rewards. Pure.

A prompt to which every reply is good, or none, teaches little: its completions do not differ. Rubicon (arXiv
2508.12790) keeps the prompts whose base-policy reward lies in a central band of quantiles, and filters again between
stages of the training. That is published; no formula is, and all that follows is kardia's own.

What a judge could not score is unknown, not low: it counts nowhere.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from kardia.judgment import DIGITS
from kardia.reward.pairs import Group, Reply

__all__ = ["Band", "By", "Filtered", "Measured", "filter_groups", "prompt_rows", "quantile"]

By = Literal["mean", "best", "variance"]
"""By what prompts are ordered: the mean or the best of their rewards, or how far these are spread."""

_OWN = ("prompt", "id", "group")


@dataclass(frozen=True, slots=True)
class Band:
    """What is kept.

    Attributes:
        low, high: quantiles, of all prompts with enough scored replies; what lies at one of them is kept.
        by: of what.
        min_scored: a prompt with fewer scored replies is dropped: nothing is known of it.
        min_spread: so is one whose rewards have a smaller standard deviation; or none, where there are two or more.
        partial: whether scores count that an unscored criterion is missing from.
    """

    low: float = 0.2
    high: float = 0.8
    by: By = "mean"
    min_scored: int = 2
    min_spread: float = 0.0
    partial: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.low < self.high <= 1:
            raise ValueError(f"a band goes from a lower quantile to a higher one, not from {self.low} to {self.high}")
        if self.by not in get_args(By):
            raise ValueError(f"{self.by!r} is no order; there are {', '.join(get_args(By))}")
        if self.min_scored < 1:
            raise ValueError(f"a prompt needs one scored reply at least, not {self.min_scored}")
        if not self.min_spread >= 0:
            raise ValueError(f"a standard deviation is at least 0, not {self.min_spread}")


@dataclass(frozen=True, slots=True)
class Measured:
    """A prompt with what is known of it.

    Attributes:
        group: the prompt and its replies.
        n: how many of them count.
        mean, best: of their rewards.
        std: of their rewards, over their number; 0 where there is one.
    """

    group: Group
    n: int
    mean: float
    best: float
    std: float

    def value(self, by: By) -> float:
        """What it is ordered by."""
        return {"mean": self.mean, "best": self.best, "variance": round(self.std**2, 2 * DIGITS)}[by]


@dataclass(frozen=True, slots=True)
class Filtered:
    """What became of the prompts: each is in one of five places.

    Attributes:
        kept: in the band, in their order.
        below, above: outside.
        dead: within, but their rewards do not differ, or too little.
        few: too few scored replies.
        cuts: the values between which the band lies; None where no prompt has enough scored replies.
        unscored: replies without a score that counts.
    """

    kept: tuple[Measured, ...]
    below: tuple[Measured, ...]
    above: tuple[Measured, ...]
    dead: tuple[Measured, ...]
    few: tuple[Group, ...]
    cuts: tuple[float, float] | None
    unscored: int

    @property
    def measured(self) -> tuple[Measured, ...]:
        """All prompts with enough scored replies."""
        return (*self.kept, *self.below, *self.above, *self.dead)


def filter_groups(groups: Iterable[Group], band: Band | None = None) -> Filtered:
    """Keeps the prompts in the band.

    Args:
        groups: each with one prompt, and several replies of the policy that is to be trained.
        band: default: the middle three fifths by mean.
    """
    band = band or Band()
    few: list[Group] = []
    known: list[Measured] = []
    unscored = 0
    for group in groups:
        rewards = [reply.score for reply in group.replies if reply.score is not None and _counts(reply, band)]
        unscored += len(group.replies) - len(rewards)
        if len(rewards) < band.min_scored:
            few.append(group)
        else:
            known.append(_measured(group, rewards))
    if not known:
        return Filtered((), (), (), (), tuple(few), None, unscored)
    values = sorted(each.value(band.by) for each in known)
    cuts = quantile(values, band.low), quantile(values, band.high)
    places: dict[str, list[Measured]] = {name: [] for name in ("kept", "below", "above", "dead")}
    for each in known:
        places[_place(each, band, cuts)].append(each)
    return Filtered(
        **{name: tuple(found) for name, found in places.items()}, few=tuple(few), cuts=cuts, unscored=unscored
    )


def quantile(values: Sequence[float], share: float) -> float:
    """The value below which such a share lies, on a straight line between the two nearest, as numpy's default is.

    Args:
        values: at least one, in order.
        share: in [0, 1].

    >>> quantile([0.1, 0.2, 0.4], 0.5), round(quantile([0.1, 0.2, 0.4], 0.75), 6)
    (0.2, 0.3)
    """
    place = round(share * (len(values) - 1), 9)  # a value that lies at the quantile is that value
    under = math.floor(place)
    if under == place:
        return values[under]
    low, high = values[under], values[under + 1]
    return min(low + (high - low) * (place - under), high)


def prompt_rows(
    filtered: Filtered, metadata: Mapping[str, Mapping[str, Any]], origin: Mapping[str, str]
) -> Iterator[dict[str, Any]]:
    """Rows of the prompts that were kept: `prompt` (messages), `id` (that of the first reply), `group`, the metadata
    that all replies of the prompt share, `reward_mean`, `reward_std`, `reward_best` and `n`, and the origin.

    Args:
        filtered: the prompts.
        metadata: id of a reply → its row's metadata.
        origin: columns that say where the rewards are from.
    """
    for each in filtered.kept:
        group = each.group
        beside = [metadata.get(reply.id, {}) for reply in group.replies]
        shared = {
            name: value
            for name, value in beside[0].items()
            if name not in _OWN and all(name in other and other[name] == value for other in beside)
        }
        yield {
            "prompt": [message.to_json() for message in group.prompt],
            "id": group.replies[0].id,
            "group": group.name,
            **shared,
            "reward_mean": each.mean,
            "reward_std": each.std,
            "reward_best": each.best,
            "n": each.n,
            **origin,
        }


def _counts(reply: Reply, band: Band) -> bool:
    return reply.status == "scored" or (reply.status == "partial" and band.partial)


def _measured(group: Group, rewards: Sequence[float]) -> Measured:
    mean = math.fsum(rewards) / len(rewards)
    if min(rewards) == max(rewards):  # a mean that is rounded would say otherwise
        return Measured(group, len(rewards), rewards[0], rewards[0], 0.0)
    std = math.sqrt(math.fsum((reward - mean) ** 2 for reward in rewards) / len(rewards))
    return Measured(group, len(rewards), round(mean, DIGITS), max(rewards), round(std, DIGITS))


def _place(each: Measured, band: Band, cuts: tuple[float, float]) -> str:
    value = each.value(band.by)
    if value < cuts[0]:
        return "below"
    if value > cuts[1]:
        return "above"
    if each.n > 1 and (each.std == 0 or each.std < band.min_spread):
        return "dead"
    return "kept"
