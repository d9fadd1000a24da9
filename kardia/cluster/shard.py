"""Shards: consecutive rows of one input file, each with the part of the output that they become."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kardia.errors import ConversationError
from kardia.reading import Source
from kardia.reading.files import source_stem
from kardia.reading.parts import Part, check_parts, cut

__all__ = ["Input", "Shard", "check_inputs", "cut_inputs", "part_name"]


@dataclass(frozen=True, slots=True)
class Input:
    """An input file as it was when it was cut.

    Attributes:
        path: as the user wrote it.
        size: in bytes.
        sha256: of its bytes.
    """

    path: str
    size: int
    sha256: str

    @property
    def stem(self) -> str:
        """What stands before the line in the id of a row without one."""
        return source_stem(self.path)


@dataclass(frozen=True, slots=True)
class Shard:
    """What one actor scores at a time.

    Attributes:
        number: from 0.
        name: the part of the output.
        input: which input file, from 0.
        part: which rows of it.
        left_out: which rows of the part `--skip-bad` leaves out, from 0.
    """

    number: int
    name: str
    input: int
    part: Part
    left_out: tuple[int, ...] = ()


def check_inputs(paths: Sequence[str]) -> None:
    """Whether all files can be cut, before any of them is read.

    Raises:
        ConversationError: for the first that cannot.
    """
    for path in paths:
        check_parts(path)


def cut_inputs(
    paths: Sequence[str], source: Source, rows: int, limit: int | None, form: str
) -> tuple[list[Input], list[Shard]]:
    """Cuts the files of a source that was checked.

    Args:
        rows: in a shard; a shard never reaches over the end of a file.
        limit: only the first rows, of all files together.
        form: of the output.

    Raises:
        ConversationError: where one cannot be read, or has changed since it was checked.
    """
    inputs: list[Input] = []
    found: list[tuple[int, Part, tuple[int, ...]]] = []
    before = 0
    for place, path in enumerate(paths):
        parts, size, digest = cut(path, rows, None if limit is None else limit - before)
        inputs.append(Input(path, size, digest))
        for part in parts:
            start = before + part.start
            bad = source.bad_rows(start, start + part.rows)
            found.append((place, part, tuple(ordinal - start for ordinal in bad)))
        before += sum(part.rows for part in parts)
    if before != source.check().rows:
        raise ConversationError("has changed since it was checked", file=source.name)
    count = len(found)
    return inputs, [Shard(number, part_name(number, count, form), *item) for number, item in enumerate(found)]


def part_name(number: int, count: int, form: str) -> str:
    """Parts in the order of their names are in the order of the input."""
    width = max(5, len(str(count)))
    return f"part-{number:0{width}}-of-{count:0{width}}.{form}"
