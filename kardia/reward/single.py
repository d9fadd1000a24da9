"""A reward for trainers that hand over one completion at a time, and have no word for "there is no reward"."""

from __future__ import annotations

import asyncio
import logging
import math
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import orjson
from pydantic import Field, StrictStr, ValidationError

from kardia.engine import loop
from kardia.errors import InputError, JudgeError
from kardia.judge import default_judge
from kardia.judgment import Scorecard
from kardia.reward.batcher import Batcher
from kardia.reward.completion import Completion
from kardia.reward.expression import RewardValue
from kardia.reward.reward import Judged, Reward, RubricReward
from kardia.reward.term import is_relative
from kardia.schema_errors import dotted, faults_of
from kardia.strict import Strict

__all__ = ["MISSING", "Scored", "SingleReward", "UnscoredError", "plain", "scored_at", "single_reward"]

MISSING = -1.0
"""What stands for a number that there is not, where a trainer wants the same numbers of every sample: below every term
and criterion, so that nobody takes it for a judgment."""

_log = logging.getLogger("kardia")


class UnscoredError(JudgeError):
    """A completion has no reward, and nobody said which number to take in its place."""


class _Options(Strict):
    reward: Any = None
    """A preset's name, `rubric@version`, a file, or plain data as in such a file."""
    rubric: Any = None
    """Instead of `reward`: a rubric's name or path, whose score is the reward."""
    judge: Any = None
    """A profile's name or path; default: `$KARDIA_JUDGE`, else `embedded`."""
    on_unscored: Any = None
    """raise, or the number that a completion without a reward gets."""
    missing: float = MISSING
    """What stands for a term's or criterion's number that there is not."""
    overrides: tuple[StrictStr, ...] = ()
    """`key.path=value` items that replace what the declaration says."""
    partial: bool = False
    """With `rubric`: whether a card counts that was scored in part."""
    ledger: Any = None
    """Where answers are kept: a path, or `off`."""
    on_unreachable: Literal["raise", "none"] = "raise"
    """Whether a judge that cannot be reached raises, or leaves completions without a reward."""
    wait_ms: Annotated[float, Field(ge=0, le=10_000)] = 5.0
    """How long it is waited for further completions before those that are there are judged."""
    batch: Annotated[int, Field(ge=1)] = 256
    """How many completions are judged together at most."""


@dataclass(frozen=True, slots=True)
class Scored:
    """What is known of one completion.

    Attributes:
        value: its reward, or why there is none, and what its terms say.
        cards: name of each term that has scorecards → the completion's; None where there is none.
        numbers: for the trainer's log: `unscored` and `vetoed` (0 or 1), `term/<name>` and `criterion/<term>/<id>`;
            always the same names, None where there is no number.
    """

    value: RewardValue
    cards: Mapping[str, Scorecard | None]
    numbers: Mapping[str, float | None]

    def filled(self, missing: float) -> dict[str, float]:
        """The numbers, with this one where there is none."""
        return {name: missing if number is None else number for name, number in self.numbers.items()}


class SingleReward:
    """A reward that takes completions one at a time, from any thread or event loop, and judges together what arrives
    together; equal completions under way are judged once.

    Args:
        reward: what it computes. It must not compare the completions of a prompt with each other: nobody knows here
            when all of them have come.
        trainer: what to call the trainer in messages.
        on_unscored: None: a completion without a reward raises; a number: it counts as that.
        missing: what stands in `Scored.filled` for numbers that there are not.
        wait_ms: how long it is waited for further completions.
        batch: how many are judged together at most.

    Raises:
        InputError: where a term needs all completions of a prompt.
    """

    def __init__(
        self,
        reward: Reward,
        trainer: str,
        *,
        on_unscored: float | None,
        missing: float = MISSING,
        wait_ms: float = 5.0,
        batch: int = 256,
    ) -> None:
        for name, term in reward.spec.terms.items():
            if any(is_relative(need) for need in term.needs()):
                raise InputError(
                    f"is measured on the other completions of its batch, too, and {trainer} hands them over one at a "
                    "time; take a reward without it",
                    key=f"terms.{name}",
                )
        self.reward = reward
        self.trainer = trainer
        self.on_unscored = on_unscored
        self.missing = missing
        self._batcher: Batcher[Completion, Scored] = Batcher(
            self._judged, lambda item: f"{item.conversation.id}{item.truncated}", wait_s=wait_ms / 1000, most=batch
        )

    def submit(self, completion: Completion) -> Future[Scored]:
        """What will be known of it. The future raises what the judge raises."""
        return self._batcher.submit(completion)

    def score(self, completion: Completion) -> Scored:
        """`submit`, waited for."""
        return self.submit(completion).result()

    async def ascore(self, completion: Completion) -> Scored:
        """`submit`, awaited on the caller's loop."""
        return await asyncio.wrap_future(self.submit(completion))

    def number(self, scored: Scored) -> float:
        """The reward, or the number that was said to stand for none.

        Raises:
            UnscoredError: where none was.
        """
        if scored.value.value is not None:
            return scored.value.value
        if self.on_unscored is None:
            raise UnscoredError(
                f"a completion has no reward: {scored.value.why}. {self.trainer} has no word for that; to go on with a "
                "number in its place, say on_unscored=NUMBER"
            )
        return self.on_unscored

    def _judged(self, completions: list[Completion]) -> list[Scored]:
        judged = loop.run(self.reward.ajudge(completions))
        without = [value.why for value in judged.values if value.value is None]
        if without and self.on_unscored is not None:
            _log.warning(
                "%s: %d of %d completions have no reward and count as %g; the first: %s",
                self.reward.__name__,
                len(without),
                len(completions),
                self.on_unscored,
                without[0],
            )
        return [scored_at(self.reward, judged, place) for place in range(len(completions))]


def scored_at(reward: Reward, judged: Judged, place: int) -> Scored:
    """What a batch's judging says of the completion at that place."""
    value = judged.values[place]
    cards = {name: listed[place] for name, listed in judged.cards.items()}
    vetoed = bool(value.vetoed_by) or any(card is not None and bool(card.vetoed_by) for card in cards.values())
    numbers: dict[str, float | None] = {"unscored": float(value.value is None), "vetoed": float(vetoed)}
    for name in reward.spec.terms:
        told = value.terms.get(name)
        numbers[f"term/{name}"] = None if told is None else told.value
    for term, ids in reward.log.criteria.items():
        card = cards.get(term)
        for criterion in ids:
            judgment = None if card is None else card.criteria.get(criterion)
            numbers[f"criterion/{term}/{criterion}"] = None if judgment is None else judgment.value
    return Scored(value, cards, numbers)


_known: dict[tuple[str, bytes, str], SingleReward] = {}
_lock = threading.Lock()


def single_reward(trainer: str, options: Mapping[str, Any], where: str) -> SingleReward:
    """The reward of a trainer's configuration; the same one for equal options, in this process.

    Args:
        trainer: what to call the trainer in messages.
        options: `reward` or `rubric`, `on_unscored` ("raise", or a number: there is no default), and if need be
            `judge`, `missing`, `overrides`, `partial`, `ledger`, `on_unreachable`, `wait_ms`, `batch`.
        where: what the options are called there.

    Raises:
        InputError: where an option is missing, unknown or wrong, or what it names is.
    """
    data = {name: plain(value) for name, value in options.items() if value is not None}
    # a judge or a rubric that is built already is told by its identity; the reward holds it, so that it stays the same
    written = orjson.dumps(data, default=_identity, option=orjson.OPT_SORT_KEYS | orjson.OPT_PASSTHROUGH_DATACLASS)
    key = trainer, written, default_judge()
    with _lock:
        known = _known.get(key)
        if known is None:
            known = _known[key] = _made(trainer, data, where)
    return known


def _identity(value: object) -> str:
    return f"{type(value).__qualname__} {id(value)}"


def _made(trainer: str, data: dict[str, Any], where: str) -> SingleReward:
    try:
        options = _Options.model_validate(data)
    except ValidationError as problem:
        path, message = faults_of(problem, data, _Options.model_fields)[0]
        raise InputError(message, file=where, key=dotted(path) or None) from None
    on_unscored = _on_unscored(options.on_unscored, trainer, where)
    common: dict[str, Any] = {"ledger": options.ledger, "on_unreachable": options.on_unreachable}
    if (options.reward is None) == (options.rubric is None):
        raise InputError("expected either reward (a preset, `rubric@version` or a file) or rubric", file=where)
    rubric = options.rubric
    if rubric is None and isinstance(options.reward, str) and _names_a_rubric(options.reward):
        rubric = options.reward
    if rubric is not None:
        if options.overrides:
            raise InputError(
                "replace keys of a reward's declaration; a rubric alone has none", file=where, key="overrides"
            )
        reward: Reward = RubricReward(rubric, options.judge, partial=options.partial, **common)
    else:
        if options.partial:
            raise InputError("goes with a rubric; in a reward, say it in its rubric term", file=where, key="partial")
        reward = Reward(options.reward, options.judge, overrides=options.overrides, **common)
    return SingleReward(
        reward,
        trainer,
        on_unscored=on_unscored,
        missing=options.missing,
        wait_ms=options.wait_ms,
        batch=options.batch,
    )


def _names_a_rubric(reference: str) -> bool:
    """`name@version`; presets have no versions, and paths an ending."""
    return "@" in reference and Path(reference).suffix not in (".yaml", ".yml")


def _on_unscored(value: Any, trainer: str, where: str) -> float | None:
    """None for "raise", else the number."""
    if value is None:
        raise InputError(
            f"is missing: {trainer} has no word for a completion that could not be judged. Say raise, or the number "
            "that it is to count as; there is no default, since a failed judge is not a low score",
            file=where,
            key="on_unscored",
        )
    if value == "raise":
        return None
    try:
        number = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise InputError(f"is {value!r}; expected raise or a number", file=where, key="on_unscored")
    return number


def plain(value: Any) -> Any:
    """Nested data of a trainer's own kinds (OmegaConf's, numpy's) as Python's."""
    if isinstance(value, Mapping):
        return {str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, (str, bytes, Path)):
        return value
    if isinstance(value, Sequence):
        return [plain(inner) for inner in value]
    if hasattr(value, "tolist") and not isinstance(value, type):
        return plain(value.tolist())
    return value
