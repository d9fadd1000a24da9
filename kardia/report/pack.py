"""The scorecards of a report as its page holds them: one index by columns, and the texts in compressed chunks.

The index is all that the page needs to list, filter and sort; a chunk is inflated when a card in it is opened or
searched. A column that has one character a card is a string: `statuses` "012", and of each criterion its level (the
level's place in the scale, from `LEVEL_0` on) or why there is none.
"""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from kardia.cardrow import CARD_STATUSES, STATUSES
from kardia.conversation import Message
from kardia.report.asked import Asked
from kardia.report.cards import Card, Said
from kardia.report.tally import SeriesKey

__all__ = ["CHUNK", "EXCERPT", "LEVEL_0", "Pack", "packed", "safe_json"]

CHUNK = 256 * 1024
"""About so many bytes of JSON are one chunk: a few milliseconds to inflate."""
CARDS_A_CHUNK = 200
EXCERPT = 110
LEVEL_0 = 48
_ABSENT = " "
_WITHOUT = {"unscored": "!", "abstained": '"', "not_applicable": "#"}
_LEVEL = 5
"""gzip's: beyond it, a tenth is won for twice the time."""


def safe_json(data: Any) -> str:
    """JSON that may stand in a `<script>` element: nothing in it ends the element or opens a comment."""
    return _json(data).decode("ascii").replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def packed(data: Any) -> str:
    """Data as the page inflates it: JSON, gzip, base64. The same data, the same text."""
    return base64.b64encode(gzip.compress(_dumped(data), _LEVEL, mtime=0)).decode("ascii")


def _dumped(data: Any) -> bytes:
    try:
        return orjson.dumps(data)
    except TypeError:
        return _json(data)  # half a surrogate pair, or a number beyond 64 bits


def _json(data: Any) -> bytes:
    return json.dumps(data, ensure_ascii=True, separators=(",", ":"), allow_nan=False).encode("ascii")


class Pack:
    """Takes cards one at a time, and keeps nothing of them but columns and compressed chunks.

    Args:
        series: each series with what its criteria ask, in the order of the page.
    """

    def __init__(self, series: Mapping[SeriesKey, Sequence[Asked]]) -> None:
        self._place = {key: place for place, key in enumerate(series)}
        self._criteria = [[one.id for one in asked] for asked in series.values()]
        self._codes = [
            {one.id: {level: chr(LEVEL_0 + at) for at, level in enumerate(one.levels)} for one in asked}
            for asked in series.values()
        ]
        self._number = [{key: place for place, key in enumerate(keys)} for keys in self._criteria]
        self._levels: list[list[list[str]]] = [[[] for _ in keys] for keys in self._criteria]
        self._ids: list[str] = []
        self._excerpts: list[str] = []
        self._groups: list[str | None] = []
        self._series: list[int] = []
        self._statuses: list[str] = []
        self._scores: list[float | None] = []
        self._vetoes: list[list[int] | None] = []
        self._flags: list[str] = []
        self._lengths: list[int] = []
        self._provenance: dict[str, int] = {}
        self._starts: list[int] = []
        self._waiting: list[bytes] = []
        self._weight = 0
        self.chunks: list[str] = []

    def __len__(self) -> int:
        return len(self._ids)

    def add(self, card: Card, messages: Sequence[Message] | None) -> None:
        """One card, and its conversation where that is at hand."""
        place = self._place[SeriesKey.of(card)]
        number, codes = self._number[place], self._codes[place]
        for at, key in enumerate(self._criteria[place]):
            said = card.criteria.get(key)
            self._levels[place][at].append(_ABSENT if said is None else _code(said, codes[key]))
        for other, columns in enumerate(self._levels):
            if other != place:
                for column in columns:
                    column.append(_ABSENT)
        text = card.text or ""
        self._ids.append(card.id)
        self._excerpts.append(" ".join(text[: 2 * EXCERPT].split())[:EXCERPT])
        self._groups.append(card.group)
        self._series.append(place)
        self._statuses.append(str(CARD_STATUSES.index(card.status)))
        self._scores.append(card.score)
        self._vetoes.append([number[key] for key in card.vetoed_by if key in number] if card.vetoed_by else None)
        self._flags.append("1" if card.guard and card.guard.get("findings") else "0")
        self._lengths.append(len(text))
        self._keep(self._record(card, messages, number))

    def _record(self, card: Card, messages: Sequence[Message] | None, number: Mapping[str, int]) -> dict[str, Any]:
        told = json.dumps(card.provenance, sort_keys=True)
        origin = self._provenance.setdefault(told, len(self._provenance))
        record: dict[str, Any] = {"t": card.text, "k": card.kind, "p": origin}
        if messages is not None:
            at = len(messages) if card.kind == "conversation" or card.message is None else card.message
            record["c"] = [[one.role, one.content] for one in messages[:at]]
            record["a"] = [[one.role, one.content] for one in messages[at + 1 :]]
            if at < len(messages) and messages[at].content != card.text:
                record["w"] = messages[at].content
        for key, value in (("d", card.metadata), ("g", card.guard), ("u", card.usage)):
            if value:
                record[key] = dict(value)
        record["v"] = list(card.vetoed_by)
        record["j"] = [[number.get(key), key, *_told(said)] for key, said in card.criteria.items()]
        return record

    def _keep(self, record: dict[str, Any]) -> None:
        data = _dumped(record)
        if not self._waiting:
            self._starts.append(len(self._ids) - 1)
        self._waiting.append(data)
        self._weight += len(data)
        if self._weight >= CHUNK or len(self._waiting) >= CARDS_A_CHUNK:
            self._flush()

    def _flush(self) -> None:
        if self._waiting:
            raw = b"[" + b",\n".join(self._waiting) + b"]"  # a record a line: searched without being parsed
            self.chunks.append(base64.b64encode(gzip.compress(raw, _LEVEL, mtime=0)).decode("ascii"))
            self._waiting, self._weight = [], 0

    def index(self) -> dict[str, Any]:
        """The columns; after it, nothing is added."""
        self._flush()
        return {
            "n": len(self),
            "ids": self._ids,
            "excerpts": self._excerpts,
            "groups": self._groups if any(one is not None for one in self._groups) else None,
            "series": self._series if len(self._place) > 1 else None,
            "statuses": "".join(self._statuses),
            "scores": self._scores,
            "vetoes": {str(at): found for at, found in enumerate(self._vetoes) if found is not None},
            "flags": "".join(self._flags),
            "lengths": self._lengths,
            "levels": [["".join(column) for column in columns] for columns in self._levels],
            "starts": self._starts,
            "provenance": [json.loads(told) for told in self._provenance],
        }


def _code(said: Said, codes: Mapping[str, str]) -> str:
    if said.level is None:
        return _WITHOUT[said.status]
    return codes.get(said.level, _ABSENT)  # a level that is none of its scale's is seen when the card is opened


def _told(said: Said) -> list[Any]:
    """Status, level, value, reason, evidence, probabilities, samples, error, dropped: without empty ones at the end."""
    told: list[Any] = [
        STATUSES.index(said.status),
        said.level,
        said.value,
        said.reason,
        list(said.evidence),
        None if said.probabilities is None else dict(said.probabilities),
        None if said.samples is None else list(said.samples),
        said.error,
        said.dropped,
    ]
    while told and not told[-1]:
        told.pop()
    return told
