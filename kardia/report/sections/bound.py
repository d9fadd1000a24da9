"""Whether what a section says is of the scores beside which it stands."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from kardia.report.sections.blocks import Block, finding, text
from kardia.report.tally import Tally

__all__ = ["Bound"]


@dataclass(frozen=True, slots=True)
class Bound:
    """What made the scores of a report, as content hashes.

    Attributes:
        rubrics: the rubrics'.
        judges: the judges', as they scored.
        asked: of those with a calibration, the judge's without it.
    """

    rubrics: frozenset[str]
    judges: frozenset[str]
    asked: frozenset[str] = frozenset()

    @classmethod
    def of(cls, tally: Tally) -> Bound:
        told = [
            json.loads(one).get("calibration") or {} for series in tally.series.values() for one in series.provenance
        ]
        return cls(
            frozenset(key.rubric_hash for key in tally.series),
            frozenset(key.judge_hash for key in tally.series),
            frozenset(one["judge_hash"] for one in told if one.get("judge_hash")),
        )

    @staticmethod
    def gist(remarks: Sequence[Block], gist: str) -> str:
        """What a section comes to, after what has to be said first."""
        return " ".join([*(item for one in remarks if one["type"] == "finding" for item in one["items"]), gist])

    def knows(self, judge: str) -> bool:
        """Whether a judge made some of the scores, with or without its calibration."""
        return judge in self.judges or judge in self.asked

    def remarks(self, what: str, rubrics: Iterable[str], judges: Iterable[str], again: str) -> Iterator[Block]:
        """What is to be said where a result is of something else.

        Args:
            what: the result, as a sentence begins with it.
            rubrics, judges: the hashes that it is of: one of each has to be known.
            again: what to do.
        """
        of = list(judges)
        if not self.rubrics.intersection(rubrics):
            yield finding([f"{what} is of another rubric than the one that made these scores."], again, "high")
        elif not any(map(self.knows, of)):
            yield finding([f"{what} is of another judge than the one that made these scores."], again, "high")
        elif not self.judges.intersection(of):
            yield text(f"{what} is of the judge's own answers. The scores here are after its calibration.")
