"""Scorecards out: JSONL or Parquet, readable by their owner only, under their name once they are complete."""

from __future__ import annotations

import json
import math
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Protocol

import orjson

from kardia.errors import MissingExtra, OutputError
from kardia.files import check_place, partial_path, private_opener, same_file, utf8_stdout
from kardia.judgment import Scorecard

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Output", "open_output", "rejected_path"]

ROWS_A_BATCH = 1000
BUFFER = 128 * 1024
MAX_KNOWN = 64

# what `json` does not know is left to it to refuse, or to write
_AS_JSON_DOES = orjson.OPT_PASSTHROUGH_DATACLASS | orjson.OPT_PASSTHROUGH_DATETIME | orjson.OPT_PASSTHROUGH_SUBCLASS


class Output(Protocol):
    """Where scorecards go. `finish` makes the file appear; without it, what was written stays as `<name>.partial`."""

    def write(self, card: Scorecard) -> None: ...

    def finish(self) -> None: ...

    def abandon(self) -> Path | None:
        """Closes the file unfinished; where what was written lies, if anywhere."""
        ...


def open_output(path: str | None, form: str, *sources: str) -> Output:
    """Opens an output, before anything is scored.

    Args:
        path: a file; None or `-`: standard output.
        form: `jsonl` or `parquet`.
        sources: the input files, which an output must not replace.

    Raises:
        OutputError: where it cannot be written.
        MissingExtra: for parquet without pyarrow.
    """
    if path is None or path == "-":
        if form == "parquet":
            raise OutputError("parquet goes to a file: name one with -o")
        utf8_stdout()
        return _Lines(None, text=sys.stdout)
    target = Path(path)
    try:
        _check(target, path, sources)
        partial = partial_path(target)
        partial.unlink(missing_ok=True)
        if form == "parquet":
            return _Parquet(target, open(partial, "wb", opener=private_opener))
        return _Lines(target, open(partial, "wb", buffering=BUFFER, opener=private_opener))
    except OSError as problem:
        raise OutputError(f"cannot be written: {problem.strerror or problem}", file=path) from None


def _check(target: Path, path: str, sources: Sequence[str]) -> None:
    if any(same_file(target, source) for source in sources) and not target.is_dir():
        raise OutputError("is the input itself; name another file", file=path)
    check_place(target, path)
    for source in sources:
        if same_file(partial_path(target), source):
            raise OutputError(f"would overwrite the input {source}; name another file", file=path)
        if same_file(rejected_path(path), source):
            raise OutputError(f"would overwrite the input {source} with its list of bad rows; name another", file=path)


def rejected_path(output: str) -> Path:
    """Where the bad rows of a run with `--skip-bad` are listed."""
    return Path(f"{output}.rejected.jsonl")


class _Lines:
    """JSON lines: to a file as bytes, to standard output as text, for that is what it may be replaced by."""

    def __init__(self, target: Path | None, binary: IO[bytes] | None = None, *, text: IO[str] | None = None) -> None:
        self.target = target
        self.stream: Any = binary if text is None else text
        self._as_text = text is not None
        self._provenance: dict[str, tuple[dict[str, Any], orjson.Fragment | None]] = {}

    def write(self, card: Scorecard) -> None:
        line = self._line(card)
        try:
            self.stream.write(line.decode() if self._as_text else line)
        except BrokenPipeError:
            raise
        except OSError as problem:
            raise OutputError(f"cannot be written: {problem.strerror or problem}", file=self._name) from None

    def _line(self, card: Scorecard) -> bytes:
        data = card.to_json()
        provenance = data.pop("provenance")  # the last key, and the same in many cards
        known = self._provenance.get(card.rubric)
        if known is None or known[0] != provenance:
            if len(self._provenance) >= MAX_KNOWN:
                self._provenance.clear()
            known = self._provenance[card.rubric] = (provenance, _fragment(provenance))
        if known[1] is not None and _has_only_numbers(card, data):
            data["provenance"] = known[1]
            try:
                return orjson.dumps(data, option=_AS_JSON_DOES | orjson.OPT_APPEND_NEWLINE)
            except TypeError:
                pass  # what it does not write, `json` may: half a surrogate pair, or a number beyond 64 bits
        data["provenance"] = provenance
        text = json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
        return text.encode("utf-8", "backslashreplace") + b"\n"  # half a pair becomes its escape, which is JSON too

    def finish(self) -> None:
        try:
            if self.target is None:
                self.stream.flush()
                return
            self.stream.close()
            os.replace(partial_path(self.target), self.target)
        except BrokenPipeError:
            raise
        except OSError as problem:
            raise OutputError(f"cannot be written: {problem.strerror or problem}", file=self._name) from None

    def abandon(self) -> Path | None:
        if self.target is None:
            return None
        try:
            self.stream.close()
        except OSError:
            pass  # a full disk; what could be written is there
        return _kept(self.target)

    @property
    def _name(self) -> str:
        return str(self.target) if self.target is not None else "standard output"


def _fragment(data: dict[str, Any]) -> orjson.Fragment | None:
    try:
        return orjson.Fragment(orjson.dumps(data, option=_AS_JSON_DOES)) if _is_finite(data) else None
    except TypeError:
        return None


def _has_only_numbers(card: Scorecard, data: dict[str, Any]) -> bool:
    """Whether no number of the card is NaN or infinite: `json` would say so, `orjson` would write null."""
    total = data["score"] or 0.0  # one that is no number makes the sum none
    for judgment in card.criteria.values():
        if judgment.value is not None:
            total += judgment.value
        if judgment.probabilities is not None:
            total += sum(judgment.probabilities.values())
        if type(judgment.level) is float or (judgment.samples is not None and not _is_finite(judgment.samples)):
            return False
    if not math.isfinite(total):
        return False
    guard, metadata = data.get("guard"), data["metadata"]
    return (
        _is_finite(data["usage"])
        and _is_finite(data["target"])
        and (not metadata or _is_finite(metadata))
        and (not guard or _is_finite(guard))
    )


def _is_finite(data: Any) -> bool:
    for value in data.values() if type(data) is dict else data:
        kind = type(value)
        if kind is str or kind is int or value is None:
            continue
        if kind is float:
            if not math.isfinite(value):
                return False
        elif (kind is dict or kind is list or kind is tuple) and not _is_finite(value):
            return False
    return True


def _kept(target: Path) -> Path | None:
    partial = partial_path(target)
    if partial.exists() and partial.stat().st_size > 0:
        return partial
    partial.unlink(missing_ok=True)
    return None


class _Parquet:
    """The same as the lines: `criteria` is a map from id to a struct; levels, which may be words or numbers, are
    text; free-form objects (metadata, guard, usage, provenance) are JSON text."""

    def __init__(self, target: Path, stream: IO[bytes]) -> None:
        try:
            import pyarrow as pa
            import pyarrow.parquet as pq
        except ModuleNotFoundError:
            stream.close()
            partial_path(target).unlink(missing_ok=True)
            raise MissingExtra("parquet", "writing Parquet") from None
        self.target = target
        self.stream = stream
        self.schema = _schema(pa)
        self.writer = pq.ParquetWriter(stream, self.schema, compression="zstd")
        self.rows: list[dict[str, Any]] = []
        self.count = 0

    def write(self, card: Scorecard) -> None:
        self.rows.append(_row(card))
        self.count += 1
        if len(self.rows) >= ROWS_A_BATCH:
            self._flush()

    def _flush(self) -> None:
        import pyarrow as pa

        try:
            if self.rows:
                self.writer.write_table(pa.Table.from_pylist(self.rows, schema=self.schema))
        except OSError as problem:
            raise OutputError(f"cannot be written: {problem.strerror or problem}", file=str(self.target)) from None
        self.rows = []

    def finish(self) -> None:
        self._flush()
        try:
            self.writer.close()
            self.stream.close()
            os.replace(partial_path(self.target), self.target)
        except OSError as problem:
            raise OutputError(f"cannot be written: {problem.strerror or problem}", file=str(self.target)) from None

    def abandon(self) -> Path | None:
        try:
            self._flush()
            self.writer.close()  # with its footer, what was scored can be read
            self.stream.close()
        except (OSError, OutputError):
            pass
        if not self.count:
            partial_path(self.target).unlink(missing_ok=True)
        return _kept(self.target)


def _schema(pa: Any) -> pa.Schema:
    text = pa.string()
    judgment = pa.struct(
        [
            ("status", text),
            ("level", text),
            ("value", pa.float64()),
            ("reason", text),
            ("evidence", pa.list_(text)),
            ("probabilities", pa.map_(text, pa.float64())),
            ("samples", pa.list_(text)),
            ("error", text),
            ("dropped_messages", pa.int64()),
            (
                "uncalibrated",
                pa.struct([("level", text), ("value", pa.float64()), ("probabilities", pa.map_(text, pa.float64()))]),
            ),
        ]
    )
    return pa.schema(
        [
            ("id", text),
            ("target", pa.struct([("kind", text), ("message", pa.int64()), ("text", text)])),
            ("group", text),
            ("metadata", text),
            ("rubric", text),
            ("judge", text),
            ("status", text),
            ("score", pa.float64()),
            ("vetoed_by", pa.list_(text)),
            ("guard", text),
            ("criteria", pa.map_(text, judgment)),
            ("usage", text),
            ("provenance", text),
        ]
    )


def _row(card: Scorecard) -> dict[str, Any]:
    row = card.to_json()
    criteria: list[tuple[str, dict[str, Any]]] = []
    for key, judgment in row["criteria"].items():
        samples, said = judgment["samples"], judgment.get("uncalibrated")
        criteria.append(
            (
                key,
                {
                    **_levels(judgment),
                    "samples": None if samples is None else [_text(item) for item in samples],
                    "uncalibrated": None if said is None else _levels(said),
                },
            )
        )
    row["criteria"] = criteria
    row["group"] = _text(row["group"])
    for key in ("metadata", "guard", "usage", "provenance"):
        value = row.get(key)
        row[key] = None if value is None else json.dumps(value, ensure_ascii=False, allow_nan=False)
    return row


def _levels(judgment: Mapping[str, Any]) -> dict[str, Any]:
    """A judgment with its level as text and its probabilities as pairs."""
    shares = judgment["probabilities"]
    pairs = None if shares is None else list(shares.items())
    return {**judgment, "level": _text(judgment["level"]), "probabilities": pairs}


def _text(value: Any) -> str | None:
    return None if value is None else str(value)
