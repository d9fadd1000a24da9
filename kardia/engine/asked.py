"""What came of one request, who finds that out, and the same as bytes, which is how the ledger keeps it.

The bytes are JSON: `[1, [requests, attempts, input tokens, output tokens], [[status, level, reason, evidence,
probabilities, error], …]]`, one list a criterion of the request, in its order; probabilities as `[level, share, level,
share, …]`; where the judge was not shown all messages, the number of those left out comes last. Neither values nor
costs are kept: those follow from the rubric and from the price, which may change while the question does not.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from operator import mul
from typing import Any, Protocol, get_args

import orjson

from kardia.answer import level_values
from kardia.judge.profile import Price
from kardia.judge.protocol import Request, Usage
from kardia.judgment import Judgment, Status

__all__ = ["Asked", "Asks", "decode", "encode", "in_words"]

FORMAT = 1
_STATUSES = frozenset(get_args(Status))


@dataclass(frozen=True, slots=True)
class Asked:
    """What came of one request: a judgment for each of its criteria, and what it took."""

    judgments: tuple[Judgment, ...]
    usage: Usage
    shares: tuple[Usage, ...] | None = None

    def each(self) -> tuple[Usage, ...]:
        """What each judgment took, in their order."""
        return self.shares or self.usage.shared_out(len(self.judgments))


class Asks(Protocol):
    """Whoever answers requests: a desk, or several behind one."""

    batch_size: int

    def known(self, requests: Sequence[Request]) -> list[Asked | None]: ...

    async def ask(self, request: Request) -> Asked: ...

    async def ask_all(self, requests: Sequence[Request]) -> list[Asked]: ...

    async def ask_batch(self, requests: Sequence[Request]) -> list[Asked]: ...

    def stop(self, *, hard: bool = False) -> None: ...

    async def settle(self) -> None: ...


def encode(asked: Asked) -> bytes:
    """What came of a request, as bytes for the ledger."""
    usage = asked.usage
    rows = [
        (
            judgment.status,
            judgment.level,
            judgment.reason,
            judgment.evidence,
            None
            if judgment.probabilities is None
            else [part for pair in judgment.probabilities.items() for part in pair],
            judgment.error,
            *((judgment.dropped,) if judgment.dropped else ()),
        )
        for judgment in asked.judgments
    ]
    data = (FORMAT, (usage.requests, usage.attempts, usage.input_tokens, usage.output_tokens), rows)
    try:
        return orjson.dumps(data)
    except TypeError:
        # half surrogate pairs in a quotation, or a level of more than 64 bits; the space says who reads them
        return b" " + json.dumps(data).encode()


def decode(payload: bytes, request: Request, price: Price) -> Asked | None:
    """What came of the same request before.

    Args:
        payload: what `encode` made.
        request: whose criteria give the judgments their ids and values.
        price: what the tokens cost now.

    Returns:
        None where the bytes cannot be read, or do not fit the request's criteria: it must be asked again.
    """
    read = _read(payload)
    if read is None or len(read[1]) != len(request.criteria):
        return None
    (requests, attempts, input_tokens, output_tokens), rows = read
    judgments = []
    for criterion, (status, level, reason, evidence, shares, error, *more) in zip(request.criteria, rows, strict=True):
        values = level_values(criterion)
        if level is not None and level not in values:
            return None
        value = None if level is None else values[level]
        probabilities = None
        if shares is not None:
            names, portions = shares[::2], shares[1::2]
            probabilities = dict(zip(names, portions, strict=True))
            if not probabilities.keys() <= values.keys():
                return None
            if value is not None:
                value = min(max(math.fsum(map(mul, portions, map(values.__getitem__, names))), 0.0), 1.0)
        dropped = more[0] if more else 0
        judgments.append(
            Judgment(
                criterion.id, status, level, value, reason, tuple(evidence), probabilities, None, error, None, dropped
            )
        )
    cost = price.cost(input_tokens, output_tokens)
    return Asked(tuple(judgments), Usage(requests, input_tokens, output_tokens, cost, attempts))


def in_words(payload: bytes) -> dict[str, Any] | None:
    """The same as plain data for people: `judgments` (without ids) and `usage`; None where it cannot be read."""
    read = _read(payload)
    if read is None:
        return None
    (requests, attempts, input_tokens, output_tokens), rows = read
    judgments = [
        {
            "status": status,
            "level": level,
            "reason": reason,
            "evidence": evidence,
            "probabilities": None if shares is None else dict(zip(map(str, shares[::2]), shares[1::2], strict=True)),
            "error": error,
            **({"dropped_messages": more[0]} if more else {}),
        }
        for status, level, reason, evidence, shares, error, *more in rows
    ]
    usage = {
        "requests": requests,
        "attempts": attempts,
        "input_tokens": input_tokens,
        "output_tokens": output_tokens,
    }
    return {"judgments": judgments, "usage": usage}


def _read(payload: bytes) -> tuple[list[int], list[list[Any]]] | None:
    """The counts and rows, of which every type is what it must be; whether levels are on a scale is not looked at."""
    try:
        data = json.loads(payload) if payload[:1] == b" " else orjson.loads(payload)
        form, counts, rows = data
        if form != FORMAT or type(counts) is not list or len(counts) != 4 or type(rows) is not list:
            return None
        for count in counts:
            if type(count) is not int or count < 0:
                return None
        for status, level, reason, evidence, shares, error, *more in rows:
            if (
                type(status) is not str
                or status not in _STATUSES
                or (status == "scored") != (level is not None)
                or (level is not None and type(level) is not int and type(level) is not str)
                or (reason is not None and type(reason) is not str)
                or (error is not None and type(error) is not str)
                or type(evidence) is not list
                or (more and (len(more) > 1 or type(more[0]) is not int or more[0] < 1))
            ):
                return None
            for item in evidence:
                if type(item) is not str:
                    return None
            if shares is not None and not _are_shares(shares):
                return None
    except (ValueError, TypeError, RecursionError):
        return None
    return counts, rows


def _are_shares(shares: Any) -> bool:
    if type(shares) is not list or len(shares) % 2:
        return False
    for level in shares[::2]:
        if type(level) is not int and type(level) is not str:
            return False
    for share in shares[1::2]:  # noqa: SIM110 - a generator takes three times as long, and this is done for every row
        if type(share) is not float or not 0.0 <= share <= 1.0:
            return False
    return True
