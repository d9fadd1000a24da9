"""Several judgments of one criterion as one: a judge's samples, or the voices of a panel. Pure.

Both follow one rule: some of the scored judgments are chosen, and their values and probabilities are averaged, by
weight. Which ones is what `How` says; the value is therefore always the expectation of the probabilities.

| how        | the level                                                  | averaged is                  |
| ---------- | ---------------------------------------------------------- | ---------------------------- |
| `mean`     | the middle one on an ordinal scale, else the most frequent | all                          |
| `median`   | the middle one, levels ordered by their value              | the middle one, or two       |
| `majority` | the most frequent one                                      | those that gave this level   |

Of two middle levels, and of equally frequent ones, the less good one is taken, as everywhere. A judgment without
probabilities counts as certain of its level. Frequent and middle are by weight; samples all weigh the same.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, Literal, TypeVar

from kardia.judgment import RAW_MARK, Judgment, Status
from kardia.rubric.models import Criterion, Level, OrdinalScale

__all__ = ["How", "Voice", "because", "combine_panel", "combine_samples"]

How = Literal["mean", "median", "majority"]
_Heard = list[tuple[Judgment, float]]
"""Scored judgments with their weights."""
T = TypeVar("T")

_EPS = 1e-9  # weights such as 0.1 + 0.2 and 0.3 are equal


@dataclass(frozen=True, slots=True)
class Voice:
    """One member's judgment in a panel.

    Attributes:
        name: the member's, for the reasons why there is no level.
        weight: above 0.
        judgment: its own samples already combined.
    """

    name: str
    weight: float
    judgment: Judgment


def combine_samples(criterion: Criterion, samples: Sequence[Judgment], how: How = "mean") -> Judgment:
    """Several samples of one judgment as one; a single one is itself.

    The reason and the evidence are those of the first sample at the level. Where fewer than half of the samples are
    scored, the whole is what the first failed sample says.
    """
    if len(samples) == 1:
        return samples[0]
    heard = [(sample, 1.0) for sample in samples if sample.status == "scored"]
    if not heard or 2 * len(heard) < len(samples):
        return next(sample for sample in samples if sample.status != "scored")
    return _combined(criterion, heard, tuple(sample.level for sample in samples), None, how)


def combine_panel(criterion: Criterion, voices: Sequence[Voice], how: How = "mean") -> Judgment:
    """The members' judgments of one criterion as the panel's.

    A member without a level is left out. Where more than half of the weight finds the criterion not applicable, or
    abstains, so does the panel; otherwise, where less than half of the weight is scored, it is unscored, with each
    member's reason. The reason and the evidence are those of a member that gave the combined level: the weightiest
    one, the first of equals. `samples` and `weights` hold the members' levels and weights, in their order.
    """
    whole = math.fsum(voice.weight for voice in voices)
    for status in ("not_applicable", "abstained"):
        agreeing = [voice for voice in voices if voice.judgment.status == status]
        if 2 * math.fsum(voice.weight for voice in agreeing) > whole * (1 + _EPS):
            return _silent(criterion, status, agreeing)
    scored = [voice for voice in voices if voice.judgment.status == "scored"]
    if not scored or 2 * math.fsum(voice.weight for voice in scored) < whole * (1 - _EPS):
        return _silent(criterion, "unscored", [voice for voice in voices if voice.judgment.status != "scored"])
    # the weightiest first, so that it is the one whose words are kept; `sorted` leaves equals in their order
    heard = [(voice.judgment, voice.weight) for voice in sorted(scored, key=lambda voice: -voice.weight)]
    levels = tuple(voice.judgment.level for voice in voices)
    return _combined(criterion, heard, levels, tuple(voice.weight for voice in voices), how)


def because(reasons: Sequence[tuple[str, Judgment]]) -> str:
    """Why several judges gave no level, as one error: name by name, and what they said at its end."""
    why: list[str] = []
    said: list[str] = []
    for name, judgment in reasons:
        reason, mark, raw = (judgment.error or judgment.status.replace("_", " ")).partition(RAW_MARK)
        why.append(f"{name}: {reason}")
        if mark:
            said.append(f"{name}: {raw}")
    return "; ".join(why) + (RAW_MARK + " | ".join(said) if said else "")


def _silent(criterion: Criterion, status: Status, voices: Sequence[Voice]) -> Judgment:
    loudest = max(voices, key=lambda voice: voice.weight)
    reason = loudest.judgment.reason if status == "not_applicable" else None
    error = because([(voice.name, voice.judgment) for voice in voices])
    return Judgment(criterion.id, status, reason=reason, error=error)


def _combined(
    criterion: Criterion,
    heard: _Heard,
    levels: tuple[Level | None, ...],
    weights: tuple[float, ...] | None,
    how: How,
) -> Judgment:
    """The module's rule; `heard` is in the order in which words are preferred."""
    place = {level: number for number, level in enumerate(criterion.levels)}
    ballots = [(judgment.level, weight) for judgment, weight in heard if judgment.level is not None]

    def goodness(level: Level) -> tuple[float, int]:
        """From the least good level upwards; of options that are worth the same, the earlier one counts as less."""
        return criterion.value(level), place[level]

    def rank(judgment: Judgment) -> tuple[float, ...]:
        """By value; further by all that the result could show, so that it does not depend on the order."""
        shares = _shares(criterion, judgment)
        return judgment.value or 0.0, *(shares.get(level, 0.0) for level in criterion.levels)

    if how == "median" or (how == "mean" and isinstance(criterion.scale, OrdinalScale)):
        level = _middle(ballots, goodness)[0]
    else:
        level = _most_frequent(ballots, goodness)
    chosen = heard
    if how == "majority":
        chosen = [(judgment, weight) for judgment, weight in heard if judgment.level == level]
    elif how == "median":
        chosen = [(judgment, 1.0) for judgment in _middle(heard, rank)]
    weight_of_all = math.fsum(weight for _, weight in chosen)
    values = [judgment.value or 0.0 for judgment, _ in chosen]
    value = math.fsum(weight * (judgment.value or 0.0) for judgment, weight in chosen) / weight_of_all
    shares = [(_shares(criterion, judgment), weight) for judgment, weight in chosen]
    probabilities = {
        name: math.fsum(weight * share.get(name, 0.0) for share, weight in shares) / weight_of_all
        for name in criterion.levels
    }
    speaker = next(judgment for judgment, _ in heard if judgment.level == level)
    return Judgment(
        criterion.id,
        "scored",
        level,
        min(max(value, min(values)), max(values)),  # rounding must not leave the range
        speaker.reason,
        speaker.evidence,
        probabilities,
        levels,
        weights=weights,
        dropped=max(judgment.dropped for judgment, _ in heard),
    )


def _middle(items: Sequence[tuple[T, float]], key: Callable[[T], Any]) -> tuple[T, T]:
    """The weighted median from below and from above: they differ where exactly half of the weight is on either side."""
    ranked = sorted(items, key=lambda item: key(item[0]))
    half = math.fsum(weight for _, weight in ranked) / 2
    passed = list(accumulate(weight for _, weight in ranked))
    lower = next(item for (item, _), so_far in zip(ranked, passed, strict=True) if so_far >= half * (1 - _EPS))
    upper = next(item for (item, _), so_far in zip(ranked, passed, strict=True) if so_far > half * (1 + _EPS))
    return lower, upper


def _most_frequent(ballots: Sequence[tuple[Level, float]], goodness: Callable[[Level], Any]) -> Level:
    weights: dict[Level, list[float]] = {}
    for level, weight in ballots:
        weights.setdefault(level, []).append(weight)
    counts = {level: math.fsum(each) for level, each in weights.items()}
    most = max(counts.values()) * (1 - _EPS)
    return min((level for level, count in counts.items() if count >= most), key=goodness)


def _shares(criterion: Criterion, judgment: Judgment) -> Mapping[Level, float]:
    if judgment.probabilities is not None:
        return judgment.probabilities
    return {name: 1.0 if name == judgment.level else 0.0 for name in criterion.levels}
