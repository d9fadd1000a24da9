"""A judge that is asked the same again: equal questions, and answers of their own in the ledger."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kardia.judge.ensemble import EnsembleJudge
from kardia.judge.protocol import Answer, Judge, Request

__all__ = ["asked_again"]


def asked_again(judge: Judge, round_: int = 1) -> Judge:
    """The same judge under another name in the ledger, so that it is asked anew, once, and not overwritten.

    What is sent is the same to the last byte. Each round has its own place in the ledger: the first answers stay, and a
    run that is broken off goes on where it was.

    Args:
        judge: any; of an ensemble each member.
        round_: 1 for the second time, 2 for the third, …
    """
    if isinstance(judge, EnsembleJudge):
        return EnsembleJudge(judge.profile, [asked_again(member.judge, round_) for member in judge.members])
    return _Again(judge, round_)


class _Again:
    """Passes everything on, but for its identity."""

    def __init__(self, judge: Judge, round_: int) -> None:
        self._judge = judge
        identity: str | None = getattr(judge, "identity", None)
        self.identity = None if identity is None else f"{identity}\0asked again {round_}"
        self.profile = judge.profile
        self.reads_prompts = judge.reads_prompts
        self.batch_size = judge.batch_size

    def __getattr__(self, name: str) -> Any:
        if name == "_judge":  # a copy that is being unpickled has nothing yet
            raise AttributeError(name)
        return getattr(self._judge, name)

    def __repr__(self) -> str:
        return f"asked_again({self._judge!r})"

    async def answer(self, requests: Sequence[Request]) -> Sequence[Answer | Exception]:
        return await self._judge.answer(requests)

    async def aclose(self) -> None:
        """Closes nothing: the judge is its owner's."""
