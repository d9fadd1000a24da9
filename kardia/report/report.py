"""Makes the report of a scored file."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kardia.errors import InputError, OutputError
from kardia.files import check_output, partial_path, private_opener
from kardia.report.asked import Asked, find_rubric, questions
from kardia.report.cards import Card, read_cards
from kardia.report.contexts import Contexts, read_contexts
from kardia.report.pack import Pack
from kardia.report.page import page
from kardia.report.sample import chosen
from kardia.report.tally import SeriesKey, SeriesTally, Tally
from kardia.rubric.rubric import Rubric
from kardia.version import __version__

__all__ = ["MOST", "Report", "make_report", "survey", "write_report"]

OWN_CRITERIA = 100
"""So many criteria of single rows have a column."""
MOST = 50_000
"""So many scorecards are listed; of more, a sample."""


@dataclass(frozen=True)
class Survey:
    """A first reading of a scored file.

    Attributes:
        file: as the user wrote it.
        tally: of all its cards.
        asked: of each series, its criteria.
        notes: sentences for whoever reads the report.
    """

    file: str
    tally: Tally
    asked: Mapping[SeriesKey, Sequence[Asked]]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Report:
    """What was written.

    Attributes:
        cards: scorecards in the file.
        listed: of them, in the report's list.
        without_context: listed cards whose conversation was not found in the data.
        size: bytes of the page.
        notes: sentences for whoever made it.
    """

    cards: int
    listed: int
    without_context: int
    size: int
    notes: tuple[str, ...] = field(default=())


def survey(scores: str | Path, rubrics: Sequence[Rubric] = ()) -> Survey:
    """Reads a scored file once, and counts.

    Raises:
        InputError: where it is no scored file, holds nothing, or cannot be read twice.
    """
    name = str(scores)
    if name == "-" or not Path(name).is_file():
        fault = "is read twice, and cannot be" if name == "-" or Path(name).exists() else "no such file"
        raise InputError(f"{fault}: name a file that `kardia score` wrote", file="stdin" if name == "-" else name)
    tally = Tally()
    for card in read_cards(scores):
        tally.add(card)
    if not tally.cards:
        raise InputError("holds no scorecards", file=name)
    asked: dict[SeriesKey, Sequence[Asked]] = {}
    notes: dict[str, None] = {}
    for key, series in tally.series.items():
        rubric, why = find_rubric(key.rubric, key.rubric_hash, rubrics)
        if why is not None:
            notes[why] = None
        own = {one: counted for one, counted in series.criteria.items() if rubric is None or one not in rubric.by_id}
        if len(own) > OWN_CRITERIA:
            most = sorted(own, key=lambda one: -own[one].statuses.total())[:OWN_CRITERIA]
            notes[
                f"{len(own):,} criteria are of single rows: the {OWN_CRITERIA} commonest can be filtered by, all of "
                "them are on their scorecards."
            ] = None
            own = {one: own[one] for one in own if one in set(most)}
        asked[key] = questions(rubric, {one: list(counted.levels) for one, counted in own.items()})
    return Survey(name, tally, asked, tuple(notes))


def write_report(
    scores: str | Path,
    output: str | Path,
    *,
    data: str | Path | Sequence[str | Path] | None = None,
    mapping: str | None = None,
    rubrics: Sequence[Rubric] = (),
    sections: Sequence[Mapping[str, Any]] = (),
    title: str | None = None,
    most: int = MOST,
    seed: int = 0,
    surveyed: Survey | None = None,
) -> Report:
    """Writes the report of a scored file, readable by its owner only. It appears under its name when it is complete.

    Args:
        scores: JSONL or Parquet, as `kardia score` writes it.
        output: the HTML file.
        data: the conversations that were scored, in one file or several; without them there are replies only.
        mapping: as `--map`: which columns of the data hold what.
        rubrics: where the scorecards' rubrics are not in the usual places.
        sections: what else is shown, as `kardia.report.given` reads it.
        title: of the page; default: the file's name.
        most: so many cards are listed; of more, a sample.
        seed: of the sample.
        surveyed: a survey of the file, where there is one already.

    Raises:
        InputError: where an input is not what it should be, or the output is one of the inputs.
        OutputError: where the report cannot be written.
    """
    target = Path(output)
    sources = [] if data is None else [data] if isinstance(data, (str, Path)) else data
    check_output(output, str(scores), *map(str, sources))
    found = surveyed or survey(scores, rubrics)
    pack, contexts, notes = _packed(found, scores, sources, mapping, most, seed)
    name = title or f"{Path(found.file).name}: scores"
    summary = _summary(found, pack, contexts, notes, sections, name)
    size = _write(target, page(name, summary, pack.index(), pack.chunks), str(output))
    return Report(found.tally.cards, len(pack), 0 if contexts is None else contexts.missing, size, notes)


def make_report(scores: str | Path, **options: Any) -> str:
    """The report as one text; takes what `write_report` takes, but for the output."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "report.html"
        write_report(scores, place, **options)
        return place.read_text("utf-8")


def _packed(
    found: Survey, scores: str | Path, data: Sequence[str | Path], mapping: str | None, most: int, seed: int
) -> tuple[Pack, Contexts | None, tuple[str, ...]]:
    places = chosen(found.tally.strata, most, seed)
    listed = None if places is None else set(places)

    def cards() -> Iterator[Card]:
        for place, card in enumerate(read_cards(scores)):
            if listed is None or place in listed:
                yield card

    contexts = None
    if data:
        wanted = None if listed is None else {card.id for card in cards()}
        contexts = read_contexts(data, mapping, wanted)
    pack = Pack(found.asked)
    for card in cards():
        pack.add(card, None if contexts is None else contexts.of(card, found.file))
    notes = list(found.notes)
    if listed is not None:
        notes.append(
            f"The list holds a sample of {len(pack):,} of {found.tally.cards:,} scorecards, in which each rubric and "
            f"status has its share (seed {seed}). All figures above it are of all scorecards."
        )
    if contexts is not None and contexts.missing:
        if contexts.missing == len(pack):
            named = ", ".join(map(str, data))
            raise InputError(f"holds none of the conversations of {found.file}: name what was scored", file=named)
        notes.append(f"Of {contexts.missing:,} scorecards the conversation was not found: only the reply is shown.")
    return pack, contexts, tuple(notes)


def _summary(
    found: Survey,
    pack: Pack,
    contexts: Contexts | None,
    notes: Sequence[str],
    sections: Sequence[Mapping[str, Any]],
    title: str,
) -> dict[str, Any]:
    return {
        "title": title,
        "file": Path(found.file).name,
        "kardia": __version__,
        "cards": found.tally.cards,
        "conversations": found.tally.conversations,
        "listed": len(pack),
        "contexts": contexts is not None,
        "notes": list(notes),
        "series": [_series(key, found.tally.series[key], found.asked[key]) for key in found.tally.series],
        "sections": list(sections),
    }


def _series(key: SeriesKey, tally: SeriesTally, asked: Sequence[Asked]) -> dict[str, Any]:
    nothing = {"seen": {}, "statuses": {}, "vetoes": 0, "n": 0, "mean": None, "spread": None}
    return {
        "rubric": key.rubric,
        "rubric_hash": key.rubric_hash,
        "judge": key.judge,
        "judge_hash": key.judge_hash,
        **tally.to_json(),
        "criteria": [
            {**one.to_json(), **(tally.criteria[one.id].to_json() if one.id in tally.criteria else nothing)}
            for one in asked
        ],
        "provenance": _origins(tally),
    }


def _origins(tally: SeriesTally) -> list[dict[str, Any]]:
    return [{**json.loads(told), "cards": n} for told, n in list(tally.provenance.items())[:5]]


def _write(target: Path, pieces: Iterator[str], path: str) -> int:
    partial = partial_path(target)
    try:
        partial.unlink(missing_ok=True)
        size = 0
        with open(partial, "wb", opener=private_opener) as stream:
            for piece in pieces:
                size += stream.write(piece.encode("utf-8", "backslashreplace"))
        os.replace(partial, target)
    except OSError as problem:
        raise OutputError(f"cannot be written: {problem.strerror or problem}", file=path) from None
    return size
