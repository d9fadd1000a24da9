"""Scorecards out: JSONL or Parquet, readable by their owner only, under their name once they are complete."""

from __future__ import annotations

import io
import json
import os
import sys
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Protocol

from kardia.errors import MissingExtra, OutputError
from kardia.files import partial_path, private_opener
from kardia.judgment import Scorecard

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Output", "open_output", "rejected_path"]

ROWS_A_BATCH = 1000


class Output(Protocol):
    """Where scorecards go. `finish` makes the file appear; without it, what was written stays as `<name>.partial`."""

    def write(self, card: Scorecard) -> None: ...

    def finish(self) -> None: ...

    def abandon(self) -> Path | None:
        """Closes the file unfinished; where what was written lies, if anywhere."""
        ...


def open_output(path: str | None, form: str, source: str | None = None) -> Output:
    """Opens an output, before anything is scored.

    Args:
        path: a file; None or `-`: standard output.
        form: `jsonl` or `parquet`.
        source: the input file, which an output must not replace.

    Raises:
        OutputError: where it cannot be written.
        MissingExtra: for parquet without pyarrow.
    """
    if path is None or path == "-":
        if form == "parquet":
            raise OutputError("parquet goes to a file: name one with -o")
        if isinstance(sys.stdout, io.TextIOWrapper):  # JSON is UTF-8, whatever the terminal's code page
            sys.stdout.reconfigure(encoding="utf-8", errors="backslashreplace")
        return _Lines(None, sys.stdout)
    target = Path(path)
    try:
        _check(target, path, source)
        partial = partial_path(target)
        partial.unlink(missing_ok=True)
        if form == "parquet":
            return _Parquet(target, open(partial, "wb", opener=private_opener))
        # half a surrogate pair becomes its escape, which is JSON too
        return _Lines(
            target,
            open(partial, "w", encoding="utf-8", errors="backslashreplace", newline="\n", opener=private_opener),
        )
    except OSError as problem:
        raise OutputError(f"cannot be written: {problem.strerror or problem}", file=path) from None


def _check(target: Path, path: str, source: str | None) -> None:
    if target.is_dir():
        raise OutputError("is a directory; name a file", file=path)
    if _same(target, source):
        raise OutputError("is the input itself; name another file", file=path)
    if not target.parent.is_dir():
        raise OutputError(f"there is no folder {str(target.parent)!r}", file=path)
    if target.exists() and not target.is_file():
        raise OutputError("is not a file; for standard output leave -o out", file=path)
    if target.exists() and not os.access(target, os.W_OK):
        raise OutputError("cannot be written: it is read-only", file=path)
    if _same(partial_path(target), source):
        raise OutputError(f"would overwrite the input {source}; name another file", file=path)
    if _same(rejected_path(path), source):
        raise OutputError(f"would overwrite the input {source} with its list of bad rows; name another", file=path)


def rejected_path(output: str) -> Path:
    """Where the bad rows of a run with `--skip-bad` are listed."""
    return Path(f"{output}.rejected.jsonl")


def _same(path: Path, source: str | None) -> bool:
    if source is None or source == "-" or not path.exists() or not os.path.exists(source):
        return False
    return os.path.samefile(path, source)


class _Lines:
    def __init__(self, target: Path | None, stream: IO[str]) -> None:
        self.target = target
        self.stream = stream

    def write(self, card: Scorecard) -> None:
        line = json.dumps(card.to_json(), ensure_ascii=False, separators=(", ", ": "), allow_nan=False) + "\n"
        try:
            self.stream.write(line)
        except BrokenPipeError:
            raise
        except OSError as problem:
            raise OutputError(f"cannot be written: {problem.strerror or problem}", file=self._name) from None

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


def _kept(target: Path) -> Path | None:
    partial = partial_path(target)
    if partial.exists() and partial.stat().st_size > 0:
        return partial
    partial.unlink(missing_ok=True)
    return None


class _Parquet:
    """The same as the lines: `criteria` is a map from id to a struct; levels, which may be words or numbers, are
    text; free-form objects (metadata, usage, provenance) are JSON text."""

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
            ("criteria", pa.map_(text, judgment)),
            ("usage", text),
            ("provenance", text),
        ]
    )


def _row(card: Scorecard) -> dict[str, Any]:
    row = card.to_json()
    criteria: list[tuple[str, dict[str, Any]]] = []
    for key, judgment in row["criteria"].items():
        shares = judgment["probabilities"]
        samples = judgment["samples"]
        criteria.append(
            (
                key,
                {
                    **judgment,
                    "level": _text(judgment["level"]),
                    "probabilities": None if shares is None else list(shares.items()),
                    "samples": None if samples is None else [_text(item) for item in samples],
                },
            )
        )
    row["criteria"] = criteria
    row["group"] = _text(row["group"])
    for key in ("metadata", "usage", "provenance"):
        row[key] = None if row[key] is None else json.dumps(row[key], ensure_ascii=False, allow_nan=False)
    return row


def _text(value: Any) -> str | None:
    return None if value is None else str(value)
