"""Cutting a file into parts of consecutive rows that can each be read on their own: lines of JSONL by their bytes, rows
of Parquet by their numbers. A part's rows are those that `open_rows` gives at the same place, numbers included."""

from __future__ import annotations

import codecs
import hashlib
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from kardia.errors import ConversationError, MissingExtra
from kardia.reading.files import RawRow, format_of, line_rows, parquet_rows, source_name

__all__ = ["Part", "check_parts", "cut", "read_part"]

READ = "JSONL (.jsonl, .ndjson) and Parquet (.parquet), not compressed"
_CHUNK = 1 << 20
_TOLD = 1 << 16
"""Bytes of a line by which it is told whether it is blank."""


@dataclass(frozen=True, slots=True)
class Part:
    """Consecutive rows of a file.

    Attributes:
        start: which row it begins with, from 0.
        rows: how many there are.
        offset, length: where it lies in a JSONL file, in bytes; 0 for Parquet.
        before: how many lines stand before it in a JSONL file; 0 for Parquet.
    """

    start: int
    rows: int
    offset: int = 0
    length: int = 0
    before: int = 0


def check_parts(path: str) -> None:
    """Whether a file is of a kind that can be cut.

    Raises:
        ConversationError: where it is of another; the sentence says of which it should be.
    """
    place, name = Path(path), source_name(path)
    known = None if place.suffix.lower() == ".gz" else format_of(place)
    if path == "-" or known not in ("jsonl", "parquet"):
        raise ConversationError(f"cannot be cut into shards: the engine ray reads {READ}", file=name)
    try:
        if not place.is_file():
            missing = "no such file" if not place.exists() else "is not a file that can be read twice"
            raise ConversationError(missing, file=name)
        if known == "jsonl":
            with place.open("rb") as stream:
                if stream.read(4096).removeprefix(codecs.BOM_UTF8).lstrip().startswith(b"["):
                    raise ConversationError(f"holds a JSON array, and the engine ray reads {READ}", file=name)
    except OSError as problem:
        raise ConversationError(f"cannot be read: {problem.strerror or problem}", file=name) from None


def cut(path: str, rows: int, limit: int | None = None) -> tuple[list[Part], int, str]:
    """Cuts a file that `check_parts` let pass; reads it once, whatever its length in little memory.

    Args:
        rows: how many rows a part has; the last one of a file may have fewer.
        limit: only the first rows.

    Returns:
        the parts, in order; the file's size in bytes; and its SHA-256, both of the whole file.

    Raises:
        ConversationError: where it cannot be read.
        MissingExtra: Parquet without pyarrow.
    """
    try:
        if format_of(Path(path)) == "parquet":
            parts = _ranges(0, _parquet_length(path), rows, limit)
            digest, size = hashlib.sha256(), 0
            with open(path, "rb") as stream:
                while chunk := stream.read(_CHUNK):
                    digest.update(chunk)
                    size += len(chunk)
            return parts, size, digest.hexdigest()
        return _cut_lines(path, rows, limit)
    except OSError as problem:
        raise ConversationError(f"cannot be read: {problem.strerror or problem}", file=path) from None


def read_part(path: str, part: Part, size: int) -> Iterator[RawRow]:
    """The rows of a part.

    Args:
        size: the file's, as `cut` told it.

    Raises:
        ConversationError: where the file cannot be read, or has changed since.
    """
    try:
        if Path(path).stat().st_size != size:
            raise ConversationError("has changed since it was checked", file=path)
        if format_of(Path(path)) == "parquet":
            yield from parquet_rows(Path(path), path, part.start, part.start + part.rows)
            return
        with open(path, "rb") as stream:
            stream.seek(part.offset)
            window = io.BufferedReader(_Window(stream, part.length))
            # a byte order mark is one at the beginning of the file only
            encoding = "utf-8" if part.offset else "utf-8-sig"
            with io.TextIOWrapper(window, encoding=encoding, errors="surrogateescape") as text:
                yield from line_rows(text, before=part.before)
    except OSError as problem:
        raise ConversationError(f"cannot be read: {problem.strerror or problem}", file=path) from None


class _Window(io.RawIOBase):
    """So many bytes of a stream, from where it stands."""

    def __init__(self, stream: IO[bytes], length: int) -> None:
        self._stream = stream
        self._left = length

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        found = self._stream.read(min(len(buffer), self._left))
        buffer[: len(found)] = found
        self._left -= len(found)
        return len(found)


def _parquet_length(path: str) -> int:
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        raise MissingExtra("parquet", "reading Parquet") from None
    try:
        return int(pq.read_metadata(path).num_rows)
    except (pa.ArrowInvalid, pa.ArrowException) as problem:
        raise ConversationError(f"is not a Parquet file that can be read: {problem}", file=path) from None


def _ranges(start: int, length: int, rows: int, limit: int | None) -> list[Part]:
    stop = length if limit is None else min(length, limit)
    return [Part(begin, min(rows, stop - begin)) for begin in range(start, stop, rows)]


def _cut_lines(path: str, rows: int, limit: int | None) -> tuple[list[Part], int, str]:
    digest = hashlib.sha256()
    parts: list[Part] = []
    count = offset = line = 0  # of whole lines: rows seen, bytes, lines
    begin: tuple[int, int, int] | None = None  # the part under way: its first row, byte, and the lines before it

    def close(end: int) -> None:
        nonlocal begin
        if begin is not None:
            start, place, before = begin
            parts.append(Part(start, count - start, place, end - place, before))
            begin = None

    with open(path, "rb") as stream:
        for text, length in _lines(stream, digest):
            if not _is_blank(text, offset == 0):
                if begin is not None and count - begin[0] == rows:
                    close(offset)
                if limit is not None and count == limit:
                    close(offset)
                elif begin is None:
                    begin = (count, offset, line)
                if begin is not None:
                    count += 1
            offset += length
            line += 1
        close(offset)
    return parts, offset, digest.hexdigest()


def _lines(stream: IO[bytes], digest: Any) -> Iterator[tuple[bytes, int]]:
    """Each line from its first character that is no white space on, as much of it as tells whether it is blank, and its
    length in bytes. A line ends where it does for a text file: at \\n, at \\r\\n, and at \\r."""
    kept, length = b"", 0
    held = b""  # a \\r at the end of a chunk, which \\n may follow
    while chunk := stream.read(_CHUNK):
        digest.update(chunk)
        chunk, held = held + chunk, b""
        if chunk.endswith(b"\r"):
            chunk, held = chunk[:-1], b"\r"
        for piece in chunk.splitlines(keepends=True):
            if not kept:
                kept = piece.lstrip()[:_TOLD]
            elif len(kept) < _TOLD and kept[:1] != b"{":
                kept += piece[: _TOLD - len(kept)]
            length += len(piece)
            if piece.endswith((b"\n", b"\r")):
                yield kept, length
                kept, length = b"", 0
    if length or held:
        yield kept, length + len(held)


def _is_blank(line: bytes, first: bool) -> bool:
    """Whether a line is blank as text, where there is more white space than in ASCII."""
    if not line or line[:1] == b"{":
        return not line
    text = line.decode("utf-8-sig" if first else "utf-8", "surrogateescape")
    return not text or text.isspace()
