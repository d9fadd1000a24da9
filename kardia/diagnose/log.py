"""What a training left behind: its report, or the completions that the trainer logged."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kardia.agreement.statistic import Statistic
from kardia.cardrow import is_number
from kardia.conversation import Conversation, Message
from kardia.diagnose.cards import STEP, Card
from kardia.diagnose.finding import Finding, Record
from kardia.errors import InputError
from kardia.reading.files import open_rows, source_name
from kardia.reading.jsontext import JsonFault, parse_json
from kardia.spans import target_of

__all__ = ["Log", "Placed", "check_report", "read_log"]

REPORT = "report.json"
_FLAT = "share of groups without any difference"
FLAT = 0.5
"""Beyond this mean share of groups without a difference, most of the training's work was in vain."""


@dataclass(frozen=True, slots=True)
class Placed:
    """Where a reply stood in training: its step, and its prompt as one text."""

    step: float
    prompt: str


@dataclass(slots=True)
class Log:
    """What was read.

    Attributes:
        source: the file or folder.
        report: what `kardia train` reports; None where these are completions.
        replies: reply → where it stood, in the order of the log; a reply can come several times.
    """

    source: str
    report: Mapping[str, Any] | None = None
    replies: dict[str, list[Placed]] = field(default_factory=lambda: defaultdict(list))

    def place(self, cards: Iterable[Card]) -> dict[str, Placed]:
        """Card id → where its reply stood. Equal replies are taken in their order."""
        left = {text: list(places) for text, places in self.replies.items()}
        found: dict[str, Placed] = {}
        for card in cards:
            places = left.get(card.text or "")
            if card.text is not None and places:
                found[card.id] = places.pop(0)
        return found


def read_log(path: str | Path) -> Log:
    """Reads `report.json` of `kardia train` (or its folder), or what TRL logs as completions: a file with the columns
    `step`, `prompt` and `completion`, or the folder of such files.

    Raises:
        InputError: with file, line and key, where it is neither.
    """
    place = Path(path)
    if place.is_dir():
        if (place / REPORT).is_file():
            return _report(place / REPORT)
        files = sorted(place.glob("completions_*.parquet"))
        if not files:
            raise InputError(f"holds neither a {REPORT} of `kardia train` nor completions_*.parquet", file=str(path))
        log = Log(str(path))
        for file in files:
            _read_completions(log, file)
        return log
    if place.name == REPORT:
        return _report(place)
    log = Log(source_name(path))
    _read_completions(log, path)
    return log


def _report(place: Path) -> Log:
    try:
        data = parse_json(place.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, JsonFault) as problem:
        raise InputError(f"cannot be read: {problem}", file=str(place)) from None
    if not isinstance(data, Mapping) or not isinstance(data.get("figures"), Mapping) or "curves" not in data:
        raise InputError("is no report of `kardia train`", file=str(place))
    return Log(str(place), data)


def _read_completions(log: Log, path: str | Path) -> None:
    name = source_name(path)
    for raw in open_rows(path):
        row = raw.row
        if row is None:
            raise InputError(raw.error or "cannot be read", file=name, line=raw.line)
        step = row.get(STEP)
        for key, right in (
            (STEP, is_number(step)),
            ("prompt", row.get("prompt") is not None),
            ("completion", row.get("completion") is not None),
        ):
            if not right:
                raise InputError(
                    "is missing: expected what the trainer logs (step, prompt, completion), or a report of "
                    "`kardia train`",
                    file=name,
                    line=raw.line,
                    key=key,
                )
        log.replies[_judged(row["completion"])].append(Placed(float(step or 0), _text(row["prompt"])))


def _text(said: Any) -> str:
    """A prompt as one text; messages one after the other."""
    if isinstance(said, str):
        return said
    parts = said if isinstance(said, list) else [said]
    return "\0".join(
        f"{part.get('role')}: {part.get('content')}" if isinstance(part, Mapping) else str(part) for part in parts
    )


def _judged(completion: Any) -> str:
    """The reply as a judge reads it: without thinking and tags."""
    if isinstance(completion, list):
        said = [part.get("content") for part in completion if isinstance(part, Mapping)]
        completion = next((text for text in reversed(said) if isinstance(text, str)), "")
    return target_of(Conversation("-", (Message("assistant", str(completion)),)), "reply").text


def check_report(record: Record, report: Mapping[str, Any]) -> None:
    """What the report of a training says of its judges: whether the held-out score rose with the training judge alone,
    and how many groups taught nothing."""
    changes = report.get("changes")
    first, second = (
        _interval(changes.get(key)) if isinstance(changes, Mapping) else None for key in ("rubric", "second judge")
    )
    if first is not None and second is not None:
        record.overall["training_change"], record.overall["training_change_second"] = first, second
        if first.low is not None and second.high is not None and first.low > 0 and first.low > second.high:
            record.certain.append(
                Finding(
                    "divergence",
                    None,
                    {"training_change": first, "training_change_second": second},
                    first.n,
                    "high" if second.high < 0 else "medium",
                    f"On held-out prompts the score rose by {first.value:+.3f} with the training judge and by "
                    f"{second.value:+.3f} with the second one: the policy may have found what its judge likes.",
                    "Read replies with a high score from after the training (`kardia compare`). Train less long or "
                    "with more KL, or take a panel as the judge.",
                )
            )
    curves = report.get("curves")
    grpo = curves.get("grpo") if isinstance(curves, Mapping) else None
    points = grpo.get(_FLAT) if isinstance(grpo, Mapping) else None
    values = [float(point[1]) for point in points or () if point[1] is not None]
    if values:
        share = sum(values) / len(values)
        record.overall["training_flat"] = told = Statistic(share, None, None, len(values))
        if share > FLAT:
            record.certain.append(
                Finding(
                    "flat_groups",
                    None,
                    {"training_flat": told},
                    len(values),
                    "medium",
                    f"Over {len(values):,} logged steps {share:.0%} of the groups had no difference in reward.",
                    "Leave prompts out that are always or never solved (`kardia filter`), or write more and warmer "
                    "completions to each.",
                )
            )


def _interval(data: Any) -> Statistic | None:
    if not isinstance(data, Mapping) or not is_number(data.get("mean")):
        return None
    low, high = data.get("low"), data.get("high")
    if low is None or high is None:
        return Statistic(float(data["mean"]), None, None, int(data.get("n", 0)))
    return Statistic(float(data["mean"]), float(low), float(high), int(data.get("n", 0)))
