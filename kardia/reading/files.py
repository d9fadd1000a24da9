"""Rows of a file, one at a time: JSONL, a JSON array, CSV, TSV, Parquet, or a `datasets` name.

A row that cannot be read is a `RawRow` with an error, so that the caller decides whether it stops the run; what
concerns the whole file is a `ConversationError`.
"""

from __future__ import annotations

import codecs
import csv
import datetime
import decimal
import gzip
import io
import math
import re
import sys
import uuid
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import IO, Any, NamedTuple, TextIO, cast

from kardia.errors import ConversationError, MissingExtra
from kardia.fastjson import read_json
from kardia.reading.jsontext import MAX_ROW, NOT_UTF8, JsonFault, array_elements, is_utf8, parse_json

__all__ = ["RawRow", "format_of", "line_rows", "open_rows", "open_stream", "parquet_rows", "source_name", "source_stem"]

SUPPORTED = ".jsonl, .ndjson, .json, .csv, .tsv (each also with .gz), .parquet"

_TEXT_FORMATS = {".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "json", ".csv": "csv", ".tsv": "tsv"}
_DATASET = re.compile(r"(?P<name>[\w-][\w.-]*(?:/[\w-][\w.-]*)?)(?::(?P<split>[\w.\[\]%:-]+))?")
_BATCH = 256


class RawRow(NamedTuple):
    """One row as it stands in the file.

    Attributes:
        line: the line that it begins in, from 1; the row's number where a format has no lines.
        row: column → value; None where the row cannot be read.
        error: why it cannot, as a sentence that follows on file and line.
        number: what stands for the line in the id of a row without one: the line in JSONL, CSV and TSV, else the row's
            number.
        cells: whether every value is a text cell (CSV, TSV).
    """

    line: int
    row: Mapping[str, Any] | None
    error: str | None
    number: int
    cells: bool = False


def source_name(source: str | Path) -> str:
    """What an error message calls the source."""
    return "stdin" if str(source) == "-" else str(source)


def source_stem(source: str | Path) -> str:
    """What stands before the line in the id of a row without one: the file's name without its format."""
    text = str(source)
    if text == "-":
        return "stdin"
    path = Path(text)
    if path.suffix.lower() == ".gz":
        path = path.with_suffix("")
    return path.stem if path.suffix.lower() in (*_TEXT_FORMATS, ".parquet") else path.name


def open_rows(source: str | Path) -> Iterator[RawRow]:
    """The rows of a source, streamed.

    Args:
        source: a path, `-` for stdin (JSONL, or a JSON array), or a `datasets` name: `org/name`, `org/name:split` or
            `name:split`, where no such file exists.

    Raises:
        ConversationError: at once or while reading: no such file, a directory, an unknown format, unreadable bytes.
        MissingExtra: Parquet without pyarrow, a `datasets` name without datasets.
    """
    name = source_name(source)
    if str(source) == "-":
        return open_stream(sys.stdin.buffer, name)
    path = Path(source)
    try:
        if path.is_dir():
            raise ConversationError("is a directory; a file was expected", file=name)
        known = format_of(path)
        if not path.exists():
            found = _DATASET.fullmatch(source) if known is None and isinstance(source, str) else None
            if found is not None and ("/" in name or found["split"]):
                return _guarded(name, _dataset_rows(found["name"], found["split"], name))
            raise ConversationError("no such file", file=name)
        if known == "parquet":
            return _guarded(name, parquet_rows(path, name))
    except OSError as problem:
        raise ConversationError(f"cannot be read: {problem.strerror or problem}", file=name) from None
    except ValueError:  # a NUL in the path
        raise ConversationError("no such file", file=name) from None
    return _guarded(name, _stream_rows(lambda: _unzipped(path), name, known))


def open_stream(stream: IO[bytes], name: str) -> Iterator[RawRow]:
    """The rows of an open stream of bytes: JSONL, or a JSON array where it begins with `[`. Closes the stream."""
    return _guarded(name, _stream_rows(lambda: stream, name, "jsonl"))


def format_of(path: Path) -> str | None:
    """`jsonl`, `json`, `csv`, `tsv` or `parquet`, by the file's name; None for another name."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes[-1:] == [".gz"]:
        suffixes.pop()
    elif suffixes[-1:] == [".parquet"]:
        return "parquet"
    return _TEXT_FORMATS.get(suffixes[-1]) if suffixes else None


def _unzipped(path: Path) -> IO[bytes]:
    return cast("IO[bytes]", gzip.open(path, "rb")) if path.suffix.lower() == ".gz" else path.open("rb")


def _guarded(name: str, rows: Iterator[RawRow]) -> Iterator[RawRow]:
    try:
        yield from rows
    except (OSError, EOFError, zlib.error) as problem:
        reason = (problem.strerror if isinstance(problem, OSError) else None) or problem
        raise ConversationError(f"cannot be read: {reason}", file=name) from None


def _stream_rows(opened: Callable[[], IO[bytes]], name: str, known: str | None) -> Iterator[RawRow]:
    with closing(opened()) as stream:
        # a file of an unknown name is looked into; JSON of either shape tells itself by its first character
        first = cast("io.BufferedReader", stream).peek(4096)[:4096].removeprefix(codecs.BOM_UTF8).lstrip()[:1]
        if known in ("csv", "tsv"):
            with _decoded(stream, newline="") as text:
                yield from _table_rows(text, name, "," if known == "csv" else "\t")
        elif first == b"[":
            with _decoded(stream) as text:
                for line, number, value, fault in array_elements(text):
                    yield _row_of(line, number, value, fault)
        elif known or first in (b"{", b""):
            with _decoded(stream) as text:
                yield from line_rows(text, known == "json")
        else:
            raise ConversationError(f"has a format that is not known; supported are {SUPPORTED}", file=name)


def _decoded(stream: IO[bytes], newline: str | None = None) -> TextIO:
    """Text of which each row can be asked whether it was UTF-8: a strict decoder would name a block, not a line."""
    return io.TextIOWrapper(stream, encoding="utf-8-sig", errors="surrogateescape", newline=newline)


def _row_of(line: int, number: int, value: Any, fault: str | None) -> RawRow:
    if fault is None and not isinstance(value, dict):
        fault = f"is {_kind(value)}; each row must be an object such as " + '{"messages": […]}'
    return RawRow(line, None if fault else value, fault, number)


def _kind(value: Any) -> str:
    if value is None:
        return "null"
    return "a list" if isinstance(value, list) else "text" if isinstance(value, str) else "a single value"


def line_rows(text: TextIO, whole: bool = False, before: int = 0) -> Iterator[RawRow]:
    """JSONL, decoded with `surrogateescape`.

    Args:
        whole: whether an object that is spread over lines is one row.
        before: how many lines of the file stand before the text.
    """
    number = before
    while line := text.readline(MAX_ROW + 1):
        number += 1
        if line.isspace():
            continue
        if whole:
            whole = False
            if not line.rstrip().endswith("}"):
                yield _object_row(line + text.read(MAX_ROW), number)
                return
        if len(line) > MAX_ROW:
            while line and not line.endswith("\n"):
                line = text.readline(_BATCH * 1024)
            yield RawRow(number, None, f"does not end within {MAX_ROW:,} characters", number)
            continue
        value = read_json(line)
        if type(value) is dict:
            yield RawRow(number, value, None, number)
        else:
            yield _line_row(line, number)


def _line_row(line: str, number: int) -> RawRow:
    """The slow way, which knows what is wrong."""
    if not is_utf8(line):
        return RawRow(number, None, NOT_UTF8, number)
    try:
        return _row_of(number, number, parse_json(line.rstrip("\n")), None)
    except JsonFault as problem:
        return RawRow(number, None, str(problem), number)


def _object_row(text: str, line: int) -> RawRow:
    if len(text) > MAX_ROW:
        return RawRow(line, None, f"does not end within {MAX_ROW:,} characters", 1)
    if not is_utf8(text):
        return RawRow(line, None, NOT_UTF8, 1)
    try:
        return _row_of(line, 1, parse_json(text), None)
    except JsonFault as problem:
        return RawRow(line + problem.line - 1, None, str(problem), 1)


def _table_rows(text: TextIO, name: str, delimiter: str) -> Iterator[RawRow]:
    limit = csv.field_size_limit()
    if limit < MAX_ROW:
        csv.field_size_limit(MAX_ROW)  # a long conversation in one cell is no mistake
    reader = csv.reader(text, delimiter=delimiter, strict=True)
    columns: list[str] | None = None
    while True:
        line = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as problem:
            if columns is None:
                raise ConversationError(f"has a header that is not CSV: {problem}", file=name, line=line) from None
            yield RawRow(line, None, f"is not CSV: {problem} (are quotes doubled and closed?)", line, True)
            continue
        if not cells:
            continue
        if columns is None:
            columns = _header(cells, name, line, delimiter)
            continue
        if not all(map(is_utf8, cells)):
            yield RawRow(line, None, NOT_UTF8, line, True)
        elif len(cells) != len(columns):
            message = f"has {len(cells)} cells where the header has {len(columns)} (are quotes doubled and closed?)"
            yield RawRow(line, None, message, line, True)
        else:
            row = {column: cell or None for column, cell in zip(columns, cells, strict=True) if column}
            yield RawRow(line, row, None, line, True)


def _header(cells: list[str], name: str, line: int, delimiter: str) -> list[str]:
    columns = [cell.strip() for cell in cells]
    if not all(map(is_utf8, columns)):
        raise ConversationError(NOT_UTF8, file=name, line=line)
    if len(columns) == 1 and delimiter == "," and ";" in columns[0]:
        raise ConversationError("separates its columns with semicolons; save it with commas", file=name, line=line)
    for index, column in enumerate(columns):
        if column in columns[:index]:
            raise ConversationError(f"has the column {column!r} twice", file=name, line=line)
        if not column and index:  # the first may be nameless: so pandas writes its index, which is left out
            raise ConversationError(f"has no name for column {index + 1}", file=name, line=line)
    return columns


def parquet_rows(path: Path, name: str, start: int = 0, stop: int | None = None) -> Iterator[RawRow]:
    """The rows of a Parquet file from `start` to before `stop`, counted from 0.

    Raises:
        ConversationError: where it is no Parquet file.
        MissingExtra: without pyarrow.
    """
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        raise MissingExtra("parquet", "reading Parquet") from None
    try:
        with pq.ParquetFile(path) as file:
            names = file.schema_arrow.names
            for column in names:
                if names.count(column) > 1:
                    raise ConversationError(f"has the column {column!r} twice", file=name)
            groups, passed = _row_groups(file, start, stop)
            batches: Iterable[Any] = file.iter_batches(batch_size=_BATCH, row_groups=groups)
            wanted = _between(batches, start - passed, None if stop is None else stop - passed)
            yield from _cell_rows((row for batch in wanted for row in batch.to_pylist()), start)
    except (pa.ArrowInvalid, pa.ArrowException) as problem:
        raise ConversationError(f"is not a Parquet file that can be read: {_first_line(problem)}", file=name) from None


def _row_groups(file: Any, start: int, stop: int | None) -> tuple[list[int], int]:
    """Which row groups hold these rows, and how many rows stand before the first of them."""
    groups: list[int] = []
    end = passed = 0
    for group in range(file.num_row_groups):
        begin, end = end, end + file.metadata.row_group(group).num_rows
        if end <= start:
            passed = end
        elif stop is None or begin < stop:
            groups.append(group)
    return groups, passed


def _between(batches: Iterable[Any], start: int, stop: int | None) -> Iterator[Any]:
    """Of the rows that these batches hold, those from `start` to before `stop`."""
    end = 0
    for batch in batches:
        begin, end = end, end + batch.num_rows
        if stop is not None and begin >= stop:
            return
        if end > start:
            first = max(0, start - begin)
            yield batch.slice(first, None if stop is None else min(end, stop) - begin - first)


def _dataset_rows(dataset: str, split: str | None, name: str) -> Iterator[RawRow]:
    try:
        import datasets
    except ImportError:
        raise MissingExtra("datasets", f"no such file: {name}; reading it as the name of a dataset") from None
    failed = f"is neither a file nor a dataset that can be read ({SUPPORTED}, or org/name:split)"
    found = _dataset_call(name, failed, lambda: datasets.load_dataset(dataset, split=split, streaming=True))
    if isinstance(found, dict):
        if len(found) != 1:
            raise ConversationError(f"has the splits {', '.join(map(str, found))}; say {dataset}:<split>", file=name)
        found = next(iter(found.values()))
    rows = iter(found)
    end = object()
    yield from _cell_rows(iter(lambda: _dataset_call(name, failed, lambda: next(rows, end)), end))


def _dataset_call(name: str, failed: str, call: Callable[[], Any]) -> Any:
    try:
        return call()
    except Exception as problem:  # the hub, the network, and every format that datasets reads have errors of their own
        raise ConversationError(f"{failed}: {_first_line(problem)}", file=name) from None


def _cell_rows(rows: Iterable[Mapping[str, Any]], before: int = 0) -> Iterator[RawRow]:
    for number, row in enumerate(rows, start=before + 1):
        yield RawRow(number, {column: _cell(value) for column, value in row.items()}, None, number)


def _cell(value: Any) -> Any:
    """A table's value as JSON has it: missing numbers are null, times are text."""
    if value is None or isinstance(value, (str, bool, int)):
        return value
    if isinstance(value, float):
        return None if math.isnan(value) else value
    if isinstance(value, Mapping):
        return {key: _cell(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_cell(inner) for inner in value]
    if isinstance(value, (datetime.date, datetime.time)):
        return value.isoformat()
    if isinstance(value, bytes):
        try:
            return value.decode()  # older writers leave text columns without their mark
        except UnicodeDecodeError:
            return value
    return str(value) if isinstance(value, (decimal.Decimal, uuid.UUID)) else value


def _first_line(problem: BaseException) -> str:
    text = str(problem).strip() or type(problem).__name__
    return text.splitlines()[0][:300]
