"""The folder of a run's parts: a manifest that says what the run is, a journal of the shards that are done.

A part appears under its name when it is complete; the manifest (`manifest.json.partial` until then) when all are. A
shard is done where the journal has it and its part is there: the same command skips it.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kardia.cluster.order import LABELS, shown
from kardia.cluster.shard import Input, Shard
from kardia.errors import OutputError
from kardia.files import partial_path, private_opener, same_file, write_text
from kardia.summary import Summary

__all__ = ["Folder", "manifest_of"]

MANIFEST = "manifest.json"
JOURNAL = "shards.jsonl"
_OURS = re.compile(r"part-\d+-of-\d+\.(jsonl|parquet)(\..*)?|manifest\.json(\.partial)?|shards\.jsonl")
_PART = re.compile(r"part-\d+-of-\d+\.(jsonl|parquet)")
_NAMES = {
    **LABELS,
    "rubrics": "the rubrics",
    "templates": "the prompt templates",
    "inputs": "the input",
    "map": "--map",
    "limit": "--limit",
    "skip_bad": "--skip-bad",
    "text": "texts, see --no-text",
    "guard": "--guard",
    "format": "--format",
    "shard_rows": "--shard-rows",
}


def manifest_of(
    contents: Mapping[str, Any], inputs: Sequence[Input], shards: Sequence[Shard], settings: Mapping[str, Any]
) -> dict[str, Any]:
    """What a run is, as JSON has it: whatever decides what stands in its parts.

    Args:
        contents: see `kardia.cluster.order.contents`.
        settings: `map`, `limit`, `skip_bad`, `text`, `guard`, `format`, `shard_rows`.
    """
    return {
        **contents,
        "inputs": [{"file": one.path, "bytes": one.size, "sha256": one.sha256} for one in inputs],
        **settings,
        "shards": [
            {
                "part": shard.name,
                "file": inputs[shard.input].path,
                "start": shard.part.start,
                "rows": shard.part.rows - len(shard.left_out),
            }
            for shard in shards
        ],
    }


class Folder:
    """Where the parts go; opened before anything is scored.

    Args:
        path: as the user wrote it; made, readable by its owner only, where there is none.
        manifest: of this run.
        sources: the input files, which must not lie among the parts.
        fresh: whether what another run, or this one, left there is removed.

    Attributes:
        done: part → the figures of its cards.

    Raises:
        OutputError: where it cannot be used, or holds another run: then the message says what differs.
    """

    def __init__(self, path: str, manifest: Mapping[str, Any], sources: Sequence[str], *, fresh: bool = False) -> None:
        self.name = path
        self.path = Path(path)
        self.done: dict[str, Summary] = {}
        self._manifest = dict(manifest)
        try:
            self._open(sources, fresh)
        except OSError as problem:
            raise self._unwritable(problem) from None

    def record(self, shard: Shard, summary: Summary) -> None:
        """A shard is done, and its part is there."""
        line = json.dumps({"part": shard.name, "summary": summary.to_plain()}, ensure_ascii=False)
        try:
            with open(self.path / JOURNAL, "a", encoding="utf-8", opener=private_opener) as journal:
                journal.write(line + "\n")
        except OSError as problem:
            raise self._unwritable(problem) from None

    def finish(self) -> None:
        """Every shard is done: the manifest appears under its name."""
        self.clean()
        try:
            if partial_path(self.path / MANIFEST).exists():
                os.replace(partial_path(self.path / MANIFEST), self.path / MANIFEST)
        except OSError as problem:
            raise self._unwritable(problem) from None

    def clean(self) -> None:
        """Removes what actors that ended early left of their parts."""
        self._remove(_OURS, _PART)

    def _open(self, sources: Sequence[str], fresh: bool) -> None:
        if self.path.exists() and not self.path.is_dir():
            raise OutputError("is a file; the engine ray writes a folder of parts: name one", file=self.name)
        if not self.path.parent.is_dir():
            raise OutputError(f"there is no folder {str(self.path.parent)!r}", file=self.name)
        self.path.mkdir(mode=0o700, exist_ok=True)
        for found in self.path.iterdir():
            if _OURS.fullmatch(found.name) and any(same_file(found, source) for source in sources):
                raise OutputError("holds an input file where a part would lie; name another folder", file=self.name)
        if fresh:
            self._remove(_OURS)
        known = self._known()
        if known is not None:
            self._compare(known)
            self._read_journal()
        elif any(_PART.fullmatch(found.name) for found in self.path.iterdir()):
            raise OutputError(
                "holds parts, and no manifest says of which run; name another folder, or say --fresh to replace them",
                file=self.name,
            )
        self._remove(_OURS, _PART)
        if known is None or len(self.done) < len(self._manifest["shards"]):
            (self.path / MANIFEST).unlink(missing_ok=True)
            text = json.dumps(self._manifest, ensure_ascii=False, indent=2) + "\n"
            write_text(partial_path(self.path / MANIFEST), text, private=True)
        lines = [{"part": part, "summary": summary.to_plain()} for part, summary in self.done.items()]
        text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
        write_text(self.path / JOURNAL, text, private=True)

    def _known(self) -> dict[str, Any] | None:
        """The manifest that is there."""
        for place in (self.path / MANIFEST, partial_path(self.path / MANIFEST)):
            if place.exists():
                try:
                    found = json.loads(place.read_text("utf-8"))
                except ValueError:
                    found = None
                if not isinstance(found, dict):
                    raise OutputError("is not a manifest of kardia's; name another folder", file=str(place))
                return found
        return None

    def _compare(self, known: Mapping[str, Any]) -> None:
        for key, name in _NAMES.items():
            here, there = self._manifest[key], known.get(key)
            if key == "inputs":
                here, there = _told(here), _told(there)
            if here != there:
                raise OutputError(
                    f"holds another run ({name}: {shown(there)} there, {shown(here)} now); name another folder, or say "
                    "--fresh to begin it anew",
                    file=self.name,
                )

    def _read_journal(self) -> None:
        parts = {shard["part"] for shard in self._manifest["shards"]}
        journal = self.path / JOURNAL
        for line in journal.read_text("utf-8").splitlines() if journal.exists() else ():
            try:
                found = json.loads(line)
                part, summary = found["part"], Summary.from_plain(found["summary"])
            except (ValueError, KeyError, TypeError):
                continue  # cut short by a kill: the shard is scored again
            if part in parts and (self.path / part).is_file():
                self.done[part] = summary

    def _remove(self, these: re.Pattern[str], but: re.Pattern[str] | None = None) -> None:
        for found in self.path.iterdir():
            name = found.name
            if but is not None and (but.fullmatch(name) or not name.startswith("part-")):
                continue
            if these.fullmatch(name) and found.is_file():
                found.unlink(missing_ok=True)

    def _unwritable(self, problem: OSError) -> OutputError:
        return OutputError(f"cannot be written: {problem.strerror or problem}", file=self.name)


def _told(inputs: Any) -> list[str]:
    """Files by what counts: the name that ids are made of, and the content; they may lie elsewhere by now."""
    return [
        f"{Path(str(one.get('file'))).name} {one.get('bytes')} bytes {str(one.get('sha256'))[:12]}"
        for one in inputs or ()
        if isinstance(one, dict)
    ]
