"""What the commands of `kardia ledger` do and print."""

from __future__ import annotations

import io
import json
import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import IO, Any

import typer

from kardia.cli.terminal import note, print_json, stdout, table
from kardia.engine.asked import in_words
from kardia.engine.place import Address, ledger_place, store_of
from kardia.engine.store import Misplaced, Row, Store, StoreError
from kardia.errors import InputError, OutputError
from kardia.files import partial_path, private_opener, same_file

__all__ = ["export_view", "forget_view", "info_view", "prune_view", "verify_view"]

_DAY_S = 86400


@contextmanager
def _existing(where: str | None) -> Iterator[Store]:
    """The store of a ledger that is there; none is made."""
    place, _ = ledger_place(where)
    if place is None:
        raise InputError("there is no ledger, since it is switched off ($KARDIA_LEDGER); name one with --ledger FILE")
    if isinstance(place, Path) and not place.exists():
        raise InputError("there is no ledger yet; the first `kardia score` makes it", file=str(place))
    if isinstance(place, Path) and not place.is_file():
        raise InputError("is not a file; name a ledger with --ledger FILE", file=str(place))
    try:
        yield store_of(place)
    except StoreError as problem:
        raise InputError(str(problem)) from None


@dataclass
class _Facts:
    rows: int = 0
    unscored: int = 0
    damaged: int = 0
    usage: dict[str, int] = field(default_factory=lambda: {"requests": 0, "input_tokens": 0, "output_tokens": 0})
    oldest: int | None = None
    newest: int | None = None
    groups: dict[tuple[str, str, str], list[int]] = field(default_factory=dict)
    """Judge, model, rubric → rows, unscored ones."""

    def add(self, row: Row) -> None:
        self.rows += 1
        said = in_words(row.entry.payload) if row.sound else None
        if said is None:
            self.damaged += 1
            return
        entry = row.entry
        self.unscored += entry.unscored
        for name in self.usage:
            self.usage[name] += said["usage"][name]
        self.oldest = row.created if self.oldest is None else min(self.oldest, row.created)
        self.newest = row.created if self.newest is None else max(self.newest, row.created)
        group = self.groups.setdefault((entry.judge, entry.model, entry.rubric), [0, 0])
        group[0] += 1
        group[1] += entry.unscored


def info_view(where: str | None, as_json: bool) -> None:
    facts = _Facts()
    with _existing(where) as store:
        for row in store.rows():
            facts.add(row)
        size, aside = store.size(), store.aside()
    groups = [
        {"judge": judge, "model": model, "rubric": rubric, "answers": rows, "unscored": unscored}
        for (judge, model, rubric), (rows, unscored) in sorted(facts.groups.items())
    ]
    if as_json:
        print_json(
            {
                "path": store.place,
                "bytes": size,
                "answers": facts.rows,
                "unscored": facts.unscored,
                "damaged": facts.damaged,
                **facts.usage,
                "oldest": _moment(facts.oldest),
                "newest": _moment(facts.newest),
                "groups": groups,
                "moved_aside": aside,
            }
        )
        return
    made = table(None, ("ledger", store.place))
    made.add_row("size", _bytes(size))
    made.add_row("answers", f"{facts.rows:,}")
    made.add_row("with an unscored criterion", f"{facts.unscored:,}")
    if facts.damaged:
        made.add_row("damaged", f"{facts.damaged:,} (kardia ledger verify says more)")
    used = facts.usage
    made.add_row(
        "what they took",
        f"{used['requests']:,} requests, {used['input_tokens']:,} tokens in, {used['output_tokens']:,} out",
    )
    made.add_row("oldest", _moment(facts.oldest) or "–")
    made.add_row("newest", _moment(facts.newest) or "–")
    for name in aside:
        made.add_row("moved aside", name)
    stdout().print(made)
    if groups:
        columns = ("judge", "model", "rubric", "answers", "unscored")
        listed = table(None, columns, columns[3:])
        for group in groups:
            listed.add_row(*(f"{group[name]:,}" if name in columns[3:] else str(group[name]) for name in columns))
        stdout().print(listed)


def prune_view(
    where: str | None, older_than: float | None, judge: str | None, unscored: bool, everything: bool, as_json: bool
) -> None:
    some = older_than is not None or judge is not None or unscored
    if some == everything:
        raise InputError("say which answers: --older-than DAYS, --judge NAME, --unscored, or --all alone")
    before = None if older_than is None else int(time.time() - older_than * _DAY_S)
    with _existing(where) as store:
        gone = store.prune(before=before, judge=judge, unscored=unscored)
        size = store.size()
    if as_json:
        print_json({"deleted": gone, "bytes": size})
    else:
        typer.echo(f"{_answers(gone)} deleted; the ledger takes {_bytes(size)} now")


def export_view(where: str | None, output: str | None) -> int:
    """How many damaged answers were left out."""
    damaged = 0
    with _existing(where) as store, _writing(output, store.place) as stream:
        for row in store.rows():
            said = in_words(row.entry.payload) if row.sound else None
            if said is None:
                damaged += 1
                continue
            stream.write(json.dumps(_line(row, said), ensure_ascii=False) + "\n")
    if damaged:
        note(f"{_answers(damaged)} damaged and left out; kardia ledger verify says more")
    return damaged


def verify_view(where: str | None, mend: bool, as_json: bool) -> bool:
    """Whether all was whole."""
    faults: list[str] = []
    rows = damaged = 0
    with _existing(where) as store:
        try:
            faults += store.faults()
            for row in store.rows():
                rows += 1
                damaged += not row.sound or in_words(row.entry.payload) is None
        except Misplaced:
            raise  # nothing is wrong with it but that it is no ledger
        except StoreError as problem:
            faults.append(str(problem))
        if faults and mend:
            store.mend()
    if as_json:
        print_json({"path": store.place, "answers": rows, "damaged": damaged, "faults": faults})
    elif not faults and not damaged:
        typer.echo(f"{_answers(rows)}, all of them whole")
    else:
        for fault in faults:
            typer.echo(fault)
        if damaged:
            typer.echo(
                f"{damaged:,} of {_answers(rows)} damaged: they are not used, and the next run asks for them again"
            )
        if faults:
            tables = isinstance(ledger_place(where)[0], Address)
            remedy = f": --mend moves {'them' if tables else 'it'} aside and keeps what is whole"
            typer.echo(f"{'its tables are' if tables else 'the file itself is'} damaged" + ("" if mend else remedy))
    return not faults and not damaged


def forget_view(where: str | None, ids: Sequence[str], as_json: bool) -> int:
    """How many answers were deleted."""
    with _existing(where) as store:
        counts, aside = store.forget(ids), store.aside()
    if as_json:
        print_json(dict(zip(ids, counts, strict=True)))
    else:
        for name, count in zip(ids, counts, strict=True):
            typer.echo(f"{name}: {_answers(count) if count else 'nothing'} {'forgotten' if count else 'is stored'}")
    for name in aside:
        note(f"{name} was moved aside as damaged and is left as it is; it may quote the conversation: delete it")
    return sum(counts)


@contextmanager
def _writing(output: str | None, ledger: str) -> Iterator[IO[str]]:
    """Where lines go: stdout, or a file that appears once it is complete."""
    if output is None or output == "-":
        if isinstance(sys.stdout, io.TextIOWrapper):  # JSON is UTF-8, whatever the terminal's code page
            sys.stdout.reconfigure(encoding="utf-8", errors="backslashreplace")
        yield sys.stdout
        return
    target = Path(output)
    if same_file(target, ledger):
        raise OutputError("is the ledger itself; name another file", file=output)
    partial = partial_path(target)
    try:
        partial.unlink(missing_ok=True)
        with open(
            partial, "w", encoding="utf-8", errors="backslashreplace", newline="\n", opener=private_opener
        ) as stream:
            yield stream
        os.replace(partial, target)
    except OSError as problem:
        raise OutputError(f"cannot be written: {problem.strerror or problem}", file=output) from None


def _line(row: Row, said: dict[str, Any]) -> dict[str, Any]:
    entry = row.entry
    names = entry.criteria if len(entry.criteria) == len(said["judgments"]) else (None,) * len(said["judgments"])
    return {
        "key": entry.key.hex(),
        "conversation": entry.conversation,
        "judge": entry.judge,
        "model": entry.model,
        "rubric": entry.rubric,
        "criteria": list(entry.criteria),
        "judgments": [{"criterion": name, **one} for name, one in zip(names, said["judgments"], strict=True)],
        "usage": said["usage"],
        "created": _moment(row.created),
    }


def _moment(seconds: int | None) -> str | None:
    if seconds is None:
        return None
    try:
        return datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (ValueError, OverflowError, OSError):
        return None  # a flipped byte: no moment at all


def _answers(count: int) -> str:
    return "1 answer" if count == 1 else f"{count:,} answers"


def _bytes(count: int) -> str:
    size, units = float(count), ["B", "kB", "MB", "GB"]
    while size >= 1000 and len(units) > 1:
        size /= 1000
        units.pop(0)
    return f"{count:,} B" if units[0] == "B" else f"{size:,.1f} {units[0]}"
