"""A batch of completions → what is known of each.

On the server's own event loop: the engine gives way between two conversations, and models compute in threads of their
own. A second thread that is busy with Python would have the server wait for its turn at every read and write.
"""

from __future__ import annotations

import logging
import math
import os
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path

from kardia.engine import loop
from kardia.errors import InputError, JudgeError, JudgeUnreachable, KardiaError
from kardia.judge import Judge
from kardia.judge.ensemble import asked_profiles
from kardia.judge.profile import ENDPOINTS
from kardia.plan import Planner
from kardia.reward.completion import Completion, completion_of
from kardia.reward.reward import Judged, Reward
from kardia.reward.single import Scored, scored_at
from kardia.reward.term import Cards, Vectors, is_relative

__all__ = ["Judging", "log_fault"]

MANY_BATCHES = 64
"""Batches under way at a time where the judges are endpoints: their own limits keep the pace."""
FEW_BATCHES = 2
"""And where one computes here: one is computed, the next is prepared, and what comes meanwhile becomes one batch."""

SAID_S = 60.0
"""That the judge cannot be reached is logged once in so many seconds."""

_log = logging.getLogger("kardia")


class Judging:
    """A reward, as the service asks it.

    Args:
        reward: what is computed; made with `on_unreachable="none"`, it says what it knows when the judge goes away.
        tell: called with whatever was judged.

    Attributes:
        relative: whether a completion's reward hangs on the others of its request.
    """

    def __init__(self, reward: Reward, tell: Callable[[Judged], None] = lambda judged: None) -> None:
        needs = [need for term in reward.spec.terms.values() for need in term.needs()]
        self.reward = reward
        self.tell = tell
        self.relative = any(is_relative(need) for need in needs)
        self._cards = [need for need in needs if isinstance(need, Cards)]
        self._encodes = any(isinstance(need, Vectors) for need in needs)
        self._named: list[str | None] = list(
            dict.fromkeys(getattr(need, "judge", None) for need in needs if hasattr(need, "judge"))
        )
        self._said = -math.inf

    @property
    def at_once(self) -> int:
        """How many batches may be under way at a time."""
        return FEW_BATCHES if any(judge.batch_size > 1 for judge in self._judges()) else MANY_BATCHES

    def prepare(self) -> None:
        """Builds the judges and their questions, so that what is wrong with them shows before anybody waits; a model
        that runs here is loaded and judges a made-up reply. No endpoint is asked anything.

        Raises:
            KardiaError: what is wrong with a judge.
        """
        judges = self._judges()
        for need in self._cards:
            judge = self.reward.source.judge_of(need.judge)
            Planner(self.reward.source.rubric_of(need.rubric), judge.profile, prompts=judge.reads_prompts)
        local = all(item.backend not in ENDPOINTS for judge in judges for item in asked_profiles(judge.profile))
        if (judges or self._encodes) and local:
            metadata = {"emotion": "sad", "reference": "I'm so sorry.", "group": "kardia-trial"}
            trial = completion_of("My dog died this morning.", "I'm so sorry. He was family.", metadata)
            loop.run(self.reward.ajudge([trial]))

    async def __call__(self, completions: Sequence[Completion]) -> list[Scored | Exception]:
        """What is known of each, or what it ended with; a `JudgeError` where the judge could not be asked."""
        try:
            judged = await self.reward.ajudge(completions)
        except JudgeError as problem:
            self._log_down(problem)
            return [problem] * len(completions)
        except Exception as problem:
            if isinstance(problem, KardiaError) and not isinstance(problem, InputError):
                return [problem] * len(completions)  # the machine's, and everybody's
            if len(completions) == 1 or self.relative:
                if not isinstance(problem, KardiaError):
                    log_fault(problem)
                return [problem] * len(completions)
            # one of them is to blame: the others must not suffer for it
            half = len(completions) // 2
            return [*await self(completions[:half]), *await self(completions[half:])]
        self.tell(judged)
        known = [scored_at(self.reward, judged, place) for place in range(len(completions))]
        if judged.down is None:
            return list(known)
        down = judged.down
        self._log_down(down)
        return [item if item.value.value is not None else down for item in known]

    async def close(self) -> None:
        """Closes the judges' connections."""
        await self.reward.source.aclose()

    def _judges(self) -> list[Judge]:
        return [self.reward.source.judge_of(name) for name in self._named]

    def _log_down(self, problem: JudgeError) -> None:
        now = time.monotonic()
        if now >= self._said + SAID_S:
            self._said = now
            # an endpoint's own words come after the first colon, and may quote what was judged
            what = str(problem).split(": ")[0] if isinstance(problem, JudgeUnreachable) else type(problem).__name__
            _log.error("%s: requests that need it are answered 503, with the reason", what)


def log_fault(problem: BaseException) -> None:
    """Says that something is wrong with kardia, and where; not with which words, which may quote what was judged."""
    if os.environ.get("KARDIA_DEBUG"):
        traceback.print_exception(type(problem), problem, problem.__traceback__)
    frames = traceback.extract_tb(problem.__traceback__)
    where = f" in {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    _log.error("a request met a fault (%s%s); KARDIA_DEBUG=1 shows all of it", type(problem).__name__, where)
