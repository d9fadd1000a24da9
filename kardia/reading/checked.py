"""A source that is checked as a whole before anything is scored, then read a second time.

Memory does not grow with the rows: of each id 64 bits of a hash are kept, in temporary files where there are many; and
three numbers for each row that `skip_bad` leaves out. Where a hash comes a second time, the source is read again to see
whether the id is the same.
"""

from __future__ import annotations

import shutil
import stat
import sys
import tempfile
import weakref
from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import IO, Any, NamedTuple

from kardia.conversation import Conversation
from kardia.errors import ConversationError, InputError
from kardia.reading.files import RawRow, open_rows, open_stream, source_name, source_stem
from kardia.reading.idset import SeenIds, id_hash
from kardia.reading.rows import conversation_from_row, row_id

__all__ = ["Source", "Survey", "checked_conversation", "read_conversations"]

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


class _File:
    """One of a source's files.

    Attributes:
        place: which one, from 0.
        spool: the temporary copy of what can be read only once.
    """

    __slots__ = ("name", "path", "place", "spool", "stem")

    def __init__(self, place: int, path: str | Path) -> None:
        self.place = place
        self.path = path
        self.name = source_name(path)
        self.stem = source_stem(path)
        self.spool: Path | None = None


class _Repeat(NamedTuple):
    """A row whose id was seen before: its ordinal from 0, its file and line, the id, and the file and line that had it
    first."""

    ordinal: int
    file: _File
    line: int
    id: str
    first: tuple[_File, int]


class Source:
    """A conversations file, or stdin, or a dataset; or several of them, one after the other, whose ids are unique
    over all.

    Args:
        path: as `open_rows` takes it, or several such. What can be read only once (`-`, a pipe) is first copied to a
            temporary file that only its owner can read and that goes when the source is closed.
        mapping: field ← column, as `parse_map` gives it.
        skip_bad: leave bad rows out instead of raising.
        limit: read and check only the first rows, of all files together.
        check: a further test of each conversation, which raises an `InputError` for a bad one.
    """

    def __init__(
        self,
        path: str | Path | Sequence[str | Path],
        *,
        mapping: Mapping[str, str] | None = None,
        skip_bad: bool = False,
        limit: int | None = None,
        check: Callable[[Conversation], None] | None = None,
    ) -> None:
        paths = [path] if isinstance(path, (str, Path)) else list(path)
        self._files = [_File(place, each) for place, each in enumerate(paths)]
        self.name = ", ".join(file.name for file in self._files)
        if sum(str(each) == "-" for each in paths) > 1:
            raise ConversationError("can be read only once; name it once", file="stdin")
        self._mapping = dict(mapping or {})
        self._skip_bad = skip_bad
        self._limit = limit
        self._check = check
        self._forget: list[Callable[[], object]] = []
        self._survey: Survey | None = None
        self._bad = array("Q")  # the ordinals of the rows that are left out, ascending
        # for each of them, where its id stood first, line and file; line 0 where something else is wrong
        self._first_lines = array("Q")
        self._first_files = array("L")

    def __enter__(self) -> Source:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Removes the temporary copy, where there is one."""
        for forget in self._forget:
            forget()
        self._forget.clear()
        for file in self._files:
            file.spool = None

    def check(self) -> Survey:
        """Reads every row once; later calls give the same survey.

        Raises:
            ConversationError: for the first bad row with file, line and key, unless `skip_bad`; always for a source
                that holds no usable conversation, or cannot be read at all.
        """
        if self._survey is not None:
            return self._survey
        self._bad, self._first_lines, self._first_files = array("Q"), array("Q"), array("L")
        with SeenIds() as seen:
            self._survey = self._read_through(seen)
        return self._survey

    def _read_through(self, seen: SeenIds) -> Survey:
        suspects = array("Q")
        keys: set[str] = set()
        rows = 0
        first_fault: ConversationError | None = None
        for file, raw in self._rows():
            rows += 1
            try:
                conversation = self._conversation(file, raw)
            except ConversationError as problem:
                if not self._skip_bad:
                    self._raise_repeats(set(seen.repeats()), rows)  # an earlier row's fault comes first
                    raise
                first_fault = first_fault or problem
                self._bad.append(rows - 1)
                self._first_lines.append(0)
                self._first_files.append(0)
                continue
            number = id_hash(conversation.id)
            if not seen.add(number):
                if self._skip_bad:
                    suspects.append(number)
                else:
                    self._raise_repeats({number}, rows)
            if len(keys) < MAX_KEYS:
                keys.update(conversation.metadata)
        if rows == 0:
            raise ConversationError("holds no conversations", file=self.name)
        suspects.extend(seen.repeats())
        if self._skip_bad:
            self._confirm(suspects)
        else:
            self._raise_repeats(set(suspects), rows)
        good = rows - len(self._bad)
        if good == 0 and first_fault is not None:
            raise ConversationError(f"none of its {rows} rows can be used; the first: {first_fault}", file=self.name)
        return Survey(rows, good, len(self._bad), frozenset(sorted(keys)[:MAX_KEYS]))

    def conversations(self) -> Iterator[Conversation]:
        """The good rows in order, read anew; each call begins at the start.

        Raises:
            ConversationError: as `check`, which runs first where it has not; or where the file has changed since.
        """
        self.check()
        bad = iter(self._bad)
        skip = next(bad, None)
        for ordinal, (file, raw) in enumerate(self._rows()):
            if ordinal == skip:
                skip = next(bad, None)
                continue
            yield checked_conversation(raw, file.stem, self._mapping, file.name)

    def bad_rows(self, start: int, stop: int) -> tuple[int, ...]:
        """Which rows from `start` to before `stop`, counted from 0 over all files, `skip_bad` leaves out."""
        return tuple(self._bad[bisect_left(self._bad, start) : bisect_left(self._bad, stop)])

    def rejected(self) -> Iterator[dict[str, Any]]:
        """The rows that `skip_bad` left out, in order, as `{line, id, reason}`: nothing of their texts. Where there
        are several files, `file` comes first."""
        bad = zip(self._bad, self._first_lines, self._first_files, strict=True)
        ordinal, first_line, place = next(bad, (None, 0, 0))
        if ordinal is None:
            return
        for here, (file, raw) in enumerate(self._rows()):
            if here != ordinal:
                continue
            named = {"file": file.name} if len(self._files) > 1 else {}
            yield {**named, **self._rejection(file, raw, (self._files[place], first_line))}
            ordinal, first_line, place = next(bad, (None, 0, 0))
            if ordinal is None:
                return

    def _rejection(self, file: _File, raw: RawRow, first: tuple[_File, int]) -> dict[str, Any]:
        if first[1]:
            conversation = self._conversation(file, raw)
            return {"line": raw.line, "id": conversation.id, "reason": _repeated(conversation.id, file, first)}
        stated = None if raw.row is None else row_id(raw.row, self._mapping)
        try:
            self._conversation(file, raw)
        except ConversationError as problem:
            reason = f"{problem.key}: {problem.message}" if problem.key else problem.message
        else:
            reason = "cannot be used (the file has changed since it was checked)"
        return {"line": raw.line, "id": stated, "reason": reason}

    def _rows(self) -> Iterator[tuple[_File, RawRow]]:
        return islice(((file, raw) for file in self._files for raw in self._open(file)), self._limit)

    def _open(self, file: _File) -> Iterator[RawRow]:
        if file.spool is None:
            stream = self._once_only(file)
            if stream is None:
                return open_rows(file.path)
            self._keep(file, stream)
        assert file.spool is not None
        return open_stream(file.spool.open("rb"), file.name)

    def _keep(self, file: _File, stream: IO[bytes]) -> None:
        """Copies the stream to a file that its owner alone can read; it goes at `close`, or with the source."""
        try:
            with nullcontext(stream) if stream is sys.stdin.buffer else stream:
                handle, name = tempfile.mkstemp(prefix="kardia-")
                self._forget.append(weakref.finalize(self, Path(name).unlink, missing_ok=True))
                with open(handle, "wb") as copy:
                    shutil.copyfileobj(stream, copy)
        except OSError as problem:
            reason = problem.strerror or problem
            raise ConversationError(f"cannot be kept for a second reading: {reason}", file=file.name) from None
        file.spool = Path(name)

    def _once_only(self, file: _File) -> IO[bytes] | None:
        """The stream of a file that can be read only once."""
        if str(file.path) == "-":
            return sys.stdin.buffer
        try:
            mode = Path(file.path).stat().st_mode
            if stat.S_ISFIFO(mode) or stat.S_ISCHR(mode) or stat.S_ISSOCK(mode):
                return Path(file.path).open("rb")
        except (OSError, ValueError):
            pass  # open_rows says what is wrong
        return None

    def _conversation(self, file: _File, raw: RawRow) -> Conversation:
        try:
            conversation = _convert(raw, file.stem, self._mapping)
            if self._check is not None:
                self._check(conversation)
        except InputError as problem:
            raise ConversationError(problem.message, file=file.name, line=raw.line, key=problem.key) from None
        return conversation

    def _raise_repeats(self, hashes: set[int], rows: int) -> None:
        for repeat in self._repeats(hashes, rows) if hashes else ():
            raise ConversationError(
                _repeated(repeat.id, repeat.file, repeat.first),
                file=repeat.file.name,
                line=repeat.line,
                key=self._mapping.get("id", "id"),
            )

    def _confirm(self, suspects: array[int]) -> None:
        """Adds the rows that repeat an id to the bad ones; a mere collision of hashes is none."""
        if not suspects:
            return
        found: list[tuple[int, int, int]] = list(zip(self._bad, self._first_lines, self._first_files, strict=True))
        hashes = sorted(set(suspects))
        for start in range(0, len(hashes), _CONFIRM):
            chosen = set(hashes[start : start + _CONFIRM])
            found.extend((one.ordinal, one.first[1], one.first[0].place) for one in self._repeats(chosen, None))
        found.sort()
        self._bad = array("Q", (ordinal for ordinal, _, _ in found))
        self._first_lines = array("Q", (line for _, line, _ in found))
        self._first_files = array("L", (place for _, _, place in found))

    def _repeats(self, hashes: set[int], rows: int | None) -> Iterator[_Repeat]:
        """The rows among the first `rows` whose id has one of these hashes and really stood before."""
        first: dict[str, tuple[_File, int]] = {}
        for ordinal, (file, raw) in enumerate(islice(self._rows(), rows)):
            try:
                conversation = self._conversation(file, raw)
            except ConversationError:
                continue
            if id_hash(conversation.id) in hashes:
                if conversation.id in first:
                    yield _Repeat(ordinal, file, raw.line, conversation.id, first[conversation.id])
                else:
                    first[conversation.id] = (file, raw.line)


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


def checked_conversation(raw: RawRow, stem: str, mapping: Mapping[str, str], name: str) -> Conversation:
    """The conversation of a row that was found good before.

    Raises:
        ConversationError: where it is good no longer: the file has changed.
    """
    try:
        return _convert(raw, stem, mapping)
    except InputError as problem:
        message = f"{problem.message} (the file has changed since it was checked)"
        raise ConversationError(message, file=name, line=raw.line, key=problem.key) from None


def _repeated(own_id: str, file: _File, first: tuple[_File, int]) -> str:
    shown = own_id if len(own_id) <= _SHOWN_ID else own_id[: _SHOWN_ID - 1] + "…"
    there, line = first
    place = f"line {line}" if there is file else f"{there.name}:{line}"
    return f"the id {shown!r} was seen before, in {place}"
