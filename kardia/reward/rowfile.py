"""Rows for a trainer: what TRL's DPOTrainer and SFTTrainer take, as JSONL or Parquet.

A file is readable by its owner only, and appears under its name once it is complete.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Literal

from kardia.errors import MissingExtra, OutputError
from kardia.files import check_place, partial_path, private_opener, same_file, utf8_stdout
from kardia.reward.pairs import Pairing, Picked
from kardia.reward.scored import Scores

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Form", "completion_rows", "origin_of", "preference_rows", "write_rows"]

Form = Literal["jsonl", "parquet"]

_BATCH = 1000
_MESSAGES = frozenset(("prompt", "chosen", "rejected", "completion"))
_NUMBERS = frozenset(("score", "score_chosen", "score_rejected", "margin"))


def preference_rows(pairing: Pairing, scores: Scores) -> Iterator[dict[str, Any]]:
    """Conversational preference rows: `prompt`, `chosen` and `rejected`, and beside them where they come from."""
    for group, pair in pairing.pairs:
        yield {
            "prompt": [message.to_json() for message in group.prompt],
            "chosen": _written(pair.chosen.text),
            "rejected": _written(pair.rejected.text),
            "score_chosen": pair.chosen.score,
            "score_rejected": pair.rejected.score,
            "margin": pair.margin,
            "chosen_id": pair.chosen.id,
            "rejected_id": pair.rejected.id,
            "group": group.name,
            **origin_of(scores),
        }


def completion_rows(picked: Picked, scores: Scores) -> Iterator[dict[str, Any]]:
    """Conversational rows of a prompt and its completion: the best of each group."""
    for best in picked.best:
        yield {
            "prompt": [message.to_json() for message in best.group.prompt],
            "completion": _written(best.reply.text),
            "score": best.reply.score,
            "id": best.reply.id,
            "group": best.group.name,
            **origin_of(scores),
        }


def _written(text: str) -> list[dict[str, str]]:
    return [{"role": "assistant", "content": text}]


def origin_of(scores: Scores) -> dict[str, str]:
    """By which rubric and judge: names and hashes, as columns of a row."""
    return {
        "rubric": scores.rubric,
        "rubric_hash": scores.rubric_hash,
        "judge": scores.judge,
        "judge_hash": scores.judge_hash,
    }


def write_rows(rows: Iterable[Mapping[str, Any]], path: str | None, form: Form, sources: Iterable[str] = ()) -> None:
    """Writes rows.

    Args:
        rows: all with the same columns.
        path: a file; None or `-`: standard output.
        form: Parquet goes to a file only.
        sources: input files, which an output must not replace.

    Raises:
        OutputError: where it cannot be written; an earlier file is then as it was.
        MissingExtra: for Parquet without pyarrow.
    """
    if path is None or path == "-":
        if form == "parquet":
            raise OutputError("parquet goes to a file: name one with -o")
        utf8_stdout()
        try:
            for row in rows:
                sys.stdout.write(_line(row))
        except BrokenPipeError:
            raise
        except OSError as problem:
            raise OutputError(f"cannot be written: {problem.strerror or problem}", file="standard output") from None
        return
    target = Path(path)
    try:
        _check(target, path, sources)
        partial = partial_path(target)
        partial.unlink(missing_ok=True)
        try:
            with open(partial, "wb", opener=private_opener) as stream:
                (_write_parquet if form == "parquet" else _write_lines)(rows, stream)
            os.replace(partial, target)
        finally:
            partial.unlink(missing_ok=True)
    except BrokenPipeError:
        raise
    except OSError as problem:
        raise OutputError(f"cannot be written: {problem.strerror or problem}", file=path) from None


def _check(target: Path, path: str, sources: Iterable[str]) -> None:
    check_place(target, path)
    for source in sources:
        if same_file(target, source) or same_file(partial_path(target), source):
            raise OutputError(f"would overwrite the input {source}; name another file", file=path)


def _line(row: Mapping[str, Any]) -> str:
    return json.dumps(row, ensure_ascii=False, separators=(",", ":"), allow_nan=False) + "\n"


def _write_lines(rows: Iterable[Mapping[str, Any]], stream: IO[bytes]) -> None:
    for row in rows:
        stream.write(_line(row).encode("utf-8", "backslashreplace"))  # half a surrogate pair becomes its escape


def _write_parquet(rows: Iterable[Mapping[str, Any]], stream: IO[bytes]) -> None:
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ModuleNotFoundError:
        raise MissingExtra("parquet", "writing Parquet") from None
    waiting = iter(rows)
    batch = list(islice(waiting, _BATCH))
    schema = _schema(pa, batch[0] if batch else ())
    with pq.ParquetWriter(stream, schema, compression="zstd") as writer:
        while batch:
            writer.write_table(pa.Table.from_pylist(batch, schema=schema))
            batch = list(islice(waiting, _BATCH))


def _schema(pa: Any, columns: Iterable[str]) -> pa.Schema:
    messages = pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())]))
    kinds = {**dict.fromkeys(_MESSAGES, messages), **dict.fromkeys(_NUMBERS, pa.float64())}
    return pa.schema([(column, kinds.get(column, pa.string())) for column in columns])
