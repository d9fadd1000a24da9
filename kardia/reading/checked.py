"""A source that is checked as a whole before anything is scored, then read a second time.

Memory does not grow with the texts: what is kept is 64 bits of a hash for each id, and two numbers for each row that
`skip_bad` leaves out. Where a hash comes a second time, the source is read again to see whether the id is the same.
"""

from __future__ import annotations

import shutil
import stat
import sys
import tempfile
import weakref
from array import array
from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import IO, Any, NamedTuple

from kardia.conversation import Conversation
from kardia.errors import ConversationError, InputError
from kardia.reading.files import RawRow, open_rows, open_stream, source_name, source_stem
from kardia.reading.idset import IdSet, id_hash
from kardia.reading.rows import conversation_from_row, row_id

__all__ = ["Source", "Survey", "read_conversations"]

MAX_KEYS = 1000
_CONFIRM = 100_000  # suspects that are looked up in one reading
_SHOWN_ID = 80


@dataclass(frozen=True, slots=True)
class Survey:
    """What the first pass saw.

    Attributes:
        rows, good, bad: how many rows there are, and how many of them can and cannot be used.
        metadata_keys: the metadata's keys, of all rows together; at most `MAX_KEYS` of them.
    """

    rows: int
    good: int
    bad: int
    metadata_keys: frozenset[str]


class _Repeat(NamedTuple):
    """A row whose id was seen before: its ordinal from 0, its line, the id, the line that had it first."""

    ordinal: int
    line: int
    id: str
    first_line: int


class Source:
    """A conversations file, or stdin, or a dataset.

    Args:
        path: as `open_rows` takes it. What can be read only once (`-`, a pipe) is first copied to a temporary file that
            only its owner can read and that goes when the source is closed.
        mapping: field ← column, as `parse_map` gives it.
        skip_bad: leave bad rows out instead of raising.
        limit: read and check only the first rows.
        check: a further test of each conversation, which raises an `InputError` for a bad one.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        mapping: Mapping[str, str] | None = None,
        skip_bad: bool = False,
        limit: int | None = None,
        check: Callable[[Conversation], None] | None = None,
    ) -> None:
        self.path = path
        self.name = source_name(path)
        self.stem = source_stem(path)
        self._mapping = dict(mapping or {})
        self._skip_bad = skip_bad
        self._limit = limit
        self._check = check
        self._spool: Path | None = None
        self._forget: Callable[[], object] | None = None
        self._survey: Survey | None = None
        self._bad = array("Q")  # the ordinals of the rows that are left out, ascending
        self._first_lines = array("Q")  # for each of them, where its id stood first; 0 where something else is wrong

    def __enter__(self) -> Source:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Removes the temporary copy, where there is one."""
        if self._forget is not None:
            self._forget()
            self._spool = self._forget = None

    def check(self) -> Survey:
        """Reads every row once; later calls give the same survey.

        Raises:
            ConversationError: for the first bad row with file, line and key, unless `skip_bad`; always for a source
                that holds no usable conversation, or cannot be read at all.
        """
        if self._survey is not None:
            return self._survey
        self._bad, self._first_lines = array("Q"), array("Q")
        seen = IdSet()
        suspects = array("Q")
        keys: set[str] = set()
        rows = 0
        first_fault: ConversationError | None = None
        for raw in self._rows():
            rows += 1
            try:
                conversation = self._conversation(raw)
            except ConversationError as problem:
                if not self._skip_bad:
                    raise
                first_fault = first_fault or problem
                self._bad.append(rows - 1)
                self._first_lines.append(0)
                continue
            number = id_hash(conversation.id)
            if not seen.add(number):
                if self._skip_bad:
                    suspects.append(number)
                else:
                    self._raise_repeat(number, rows)
            if len(keys) < MAX_KEYS:
                keys.update(conversation.metadata)
        if rows == 0:
            raise ConversationError("holds no conversations", file=self.name)
        self._confirm(suspects)
        good = rows - len(self._bad)
        if good == 0 and first_fault is not None:
            raise ConversationError(f"none of its {rows} rows can be used; the first: {first_fault}", file=self.name)
        self._survey = Survey(rows, good, len(self._bad), frozenset(sorted(keys)[:MAX_KEYS]))
        return self._survey

    def conversations(self) -> Iterator[Conversation]:
        """The good rows in order, read anew; each call begins at the start.

        Raises:
            ConversationError: as `check`, which runs first where it has not; or where the file has changed since.
        """
        self.check()
        bad = iter(self._bad)
        skip = next(bad, None)
        for ordinal, raw in enumerate(self._rows()):
            if ordinal == skip:
                skip = next(bad, None)
                continue
            try:
                yield _convert(raw, self.stem, self._mapping)
            except InputError as problem:
                message = f"{problem.message} (the file has changed since it was checked)"
                raise ConversationError(message, file=self.name, line=raw.line, key=problem.key) from None

    def rejected(self) -> Iterator[dict[str, Any]]:
        """The rows that `skip_bad` left out, in order, as `{line, id, reason}`: nothing of their texts."""
        bad = zip(self._bad, self._first_lines, strict=True)
        ordinal, first_line = next(bad, (None, 0))
        if ordinal is None:
            return
        for here, raw in enumerate(self._rows()):
            if here != ordinal:
                continue
            yield self._rejection(raw, first_line)
            ordinal, first_line = next(bad, (None, 0))
            if ordinal is None:
                return

    def _rejection(self, raw: RawRow, first_line: int) -> dict[str, Any]:
        if first_line:
            conversation = self._conversation(raw)
            return {"line": raw.line, "id": conversation.id, "reason": _repeated(conversation.id, first_line)}
        stated = None if raw.row is None else row_id(raw.row, self._mapping)
        try:
            self._conversation(raw)
        except ConversationError as problem:
            reason = f"{problem.key}: {problem.message}" if problem.key else problem.message
        else:
            reason = "cannot be used (the file has changed since it was checked)"
        return {"line": raw.line, "id": stated, "reason": reason}

    def _rows(self) -> Iterator[RawRow]:
        return islice(self._open(), self._limit)

    def _open(self) -> Iterator[RawRow]:
        if self._spool is None:
            stream = self._once_only()
            if stream is None:
                return open_rows(self.path)
            self._keep(stream)
        assert self._spool is not None
        return open_stream(self._spool.open("rb"), self.name)

    def _keep(self, stream: IO[bytes]) -> None:
        """Copies the stream to a file that its owner alone can read; it goes at `close`, or with the source."""
        try:
            with nullcontext(stream) if stream is sys.stdin.buffer else stream:
                handle, name = tempfile.mkstemp(prefix="kardia-")
                self._forget = weakref.finalize(self, Path(name).unlink, missing_ok=True)
                with open(handle, "wb") as copy:
                    shutil.copyfileobj(stream, copy)
        except OSError as problem:
            reason = problem.strerror or problem
            raise ConversationError(f"cannot be kept for a second reading: {reason}", file=self.name) from None
        self._spool = Path(name)

    def _once_only(self) -> IO[bytes] | None:
        """The stream of a source that can be read only once."""
        if str(self.path) == "-":
            return sys.stdin.buffer
        try:
            mode = Path(self.path).stat().st_mode
            if stat.S_ISFIFO(mode) or stat.S_ISCHR(mode) or stat.S_ISSOCK(mode):
                return Path(self.path).open("rb")
        except (OSError, ValueError):
            pass  # open_rows says what is wrong
        return None

    def _conversation(self, raw: RawRow) -> Conversation:
        try:
            conversation = _convert(raw, self.stem, self._mapping)
            if self._check is not None:
                self._check(conversation)
        except InputError as problem:
            raise ConversationError(problem.message, file=self.name, line=raw.line, key=problem.key) from None
        return conversation

    def _raise_repeat(self, number: int, rows: int) -> None:
        for repeat in self._repeats({number}, rows):
            raise ConversationError(
                _repeated(repeat.id, repeat.first_line),
                file=self.name,
                line=repeat.line,
                key=self._mapping.get("id", "id"),
            )

    def _confirm(self, suspects: array[int]) -> None:
        """Adds the rows that repeat an id to the bad ones; a mere collision of hashes is none."""
        if not suspects:
            return
        found: list[tuple[int, int]] = list(zip(self._bad, self._first_lines, strict=True))
        hashes = sorted(set(suspects))
        for start in range(0, len(hashes), _CONFIRM):
            chosen = set(hashes[start : start + _CONFIRM])
            found.extend((repeat.ordinal, repeat.first_line) for repeat in self._repeats(chosen, None))
        found.sort()
        self._bad = array("Q", (ordinal for ordinal, _ in found))
        self._first_lines = array("Q", (line for _, line in found))

    def _repeats(self, hashes: set[int], rows: int | None) -> Iterator[_Repeat]:
        """The rows among the first `rows` whose id has one of these hashes and really stood before."""
        first_lines: dict[str, int] = {}
        for ordinal, raw in enumerate(islice(self._rows(), rows)):
            try:
                conversation = self._conversation(raw)
            except ConversationError:
                continue
            if id_hash(conversation.id) in hashes:
                if conversation.id in first_lines:
                    yield _Repeat(ordinal, raw.line, conversation.id, first_lines[conversation.id])
                else:
                    first_lines[conversation.id] = raw.line


def read_conversations(
    path: str | Path, *, mapping: Mapping[str, str] | None = None, skip_bad: bool = False, limit: int | None = None
) -> Iterator[Conversation]:
    """The conversations of a source, one at a time, after a first pass over the whole of it.

    Args:
        path: a JSONL, JSON, CSV, TSV or Parquet file, `-` for stdin, or a `datasets` name.
        mapping: field ← column, such as `{"reply": "answer", "context": "question"}`.
        skip_bad: leave bad rows out instead of raising.
        limit: read only the first rows.

    Raises:
        ConversationError: for the first bad row, with file, line and key, before anything is yielded.
    """
    with Source(path, mapping=mapping, skip_bad=skip_bad, limit=limit) as source:
        yield from source.conversations()


def _convert(raw: RawRow, stem: str, mapping: Mapping[str, str]) -> Conversation:
    if raw.row is None:
        raise ConversationError(raw.error or "cannot be read")
    return conversation_from_row(raw.row, f"{stem}:{raw.number}", mapping, cells=raw.cells)


def _repeated(own_id: str, first_line: int) -> str:
    shown = own_id if len(own_id) <= _SHOWN_ID else own_id[: _SHOWN_ID - 1] + "…"
    return f"the id {shown!r} was seen before, in line {first_line}"
