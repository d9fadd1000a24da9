"""Scorecards and labels → what a calibration is fitted to: for each criterion, judgments beside what people said."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from kardia.agreement.consensus import Rule, consensus
from kardia.agreement.joined import Rated, join_labels
from kardia.agreement.names import Names
from kardia.agreement.scale import Scale
from kardia.agreement.sheets import Judge, Rows, Sheets, read_named, rows_of, sheets_in
from kardia.agreement.votes import read_votes
from kardia.errors import InputError
from kardia.judgment import Judgment
from kardia.model.cells import mapping, number_in
from kardia.reading.jsontext import JsonFault, parse_json
from kardia.rubric.models import Criterion, Level
from kardia.rubric.rubric import Rubric

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]
    Index = NDArray[np.int64]

__all__ = ["FEWEST", "FEWEST_GROUPS", "Cells", "Material", "material_of"]

FEWEST = 30
"""Replies with a label and a judgment below which a criterion is not calibrated."""
FEWEST_GROUPS = 10
"""And groups of replies: so that each fold holds some out."""


@dataclass(frozen=True, slots=True)
class Cells:
    """One criterion of N replies, on a scale of L levels.

    Attributes:
        key: its full id.
        name: what it is called here.
        criterion: of the rubric.
        scale: its levels.
        judgments: what the judge said; scored, all of them.
        groups: of each reply.
        value_N: the judge's value.
        share_NL: its probabilities; None where it gives none.
        people_N: the mean of people's values.
        target_NL: people's ratings as shares of the levels.
        levels: people's consensus; None where they are split.
        place_N: its place from the least good level up; −1 where there is none.
        worth_L: the levels' values, ascending.
    """

    key: str
    name: str
    criterion: Criterion
    scale: Scale
    judgments: tuple[Judgment, ...]
    groups: tuple[str, ...]
    value_N: Array
    share_NL: Array | None
    people_N: Array
    target_NL: Array
    levels: tuple[Level | None, ...]
    place_N: Index
    worth_L: tuple[float, ...]


@dataclass(slots=True)
class Material:
    """All that a calibration is made of.

    Attributes:
        rubric: the one that scored.
        judge: who judged.
        template: the hash of the words in which it was asked.
        cells: criteria that can be calibrated.
        left_out: criterion → why not.
        notes: sentences on what was left out.
        data: `sha256:` over what was seen.
    """

    rubric: Rubric
    judge: Judge
    template: str | None
    cells: list[Cells] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    data: str = ""


def material_of(
    scores: Rows,
    labels: Rows,
    *,
    rubric: str | Any | None = None,
    criteria: Sequence[str] = (),
    rater: str | None = None,
    rule: Rule = "median",
) -> Material:
    """Reads scorecards and labels.

    Args:
        scores, labels: as `kardia.agree` takes them; of one rubric and one judge.
        rubric: which one, where the scorecards are of several; or its file.
        criteria: only these; a requirement is calibrated only where it is named.
        rater: the column that says who rated.
        rule: what several people's levels are made into.

    Raises:
        InputError: with file, line and key; where the rubric is not to be had as it scored, where the scorecards are of
            several judges or calibrated already, where there are too few labels.
    """
    file, rows = rows_of(scores, "the scorecards")
    kept = list(rows)
    named = read_named(() if rubric is None else (rubric,))
    sheets = sheets_in(file, kept, named)
    judge, found = _one(sheets)
    ref = found.ref
    raws = {
        str(raw.row["id"]): raw.row for raw in kept if raw.row is not None and raw.row.get("rubric") == ref
    }  # `sheets_in` has seen that they are whole
    template = _template(file, raws)
    names = Names(sheets)
    votes = read_votes(labels, rater=rater, named=named, criteria=frozenset(names.known))
    joined = join_labels(sheets, votes, names)
    (one,) = joined.judges
    made = Material(found, judge, template, notes=list(joined.notes))
    wanted = {key for name in criteria for key in names.one(name)}
    seen: list[Any] = []
    for rated in one.criteria:
        if wanted and rated.asked.key not in wanted:
            continue
        criterion = rated.asked.criterion
        assert criterion is not None  # the rubric is known
        if criterion.required is not None and not wanted:
            made.left_out[rated.asked.id] = (
                f"it is a requirement, and a corrected level can lift a veto: --criterion {rated.name} calibrates it "
                "all the same"
            )
            continue
        cells = _cells(rated, criterion, one.units, one.groups, raws, rule)
        why = _too_little(cells)
        if why is not None:
            made.left_out[rated.asked.id] = why
            continue
        made.cells.append(cells)
        rows_seen = zip(cells.value_N.tolist(), cells.target_NL.tolist(), cells.groups, strict=True)
        seen.append([cells.key, [list(row) for row in rows_seen]])
    if not one.criteria:
        raise InputError("holds no label of a criterion", file=votes.file)
    if wanted - {rated.asked.key for rated in one.criteria}:
        missing = sorted(wanted - {rated.asked.key for rated in one.criteria})
        raise InputError(f"nobody labelled {missing[0]}", file=votes.file)
    if not made.cells:
        (name, why), *more = made.left_out.items()
        others = f" ({len(more):,} more cannot be calibrated either)" if more else ""
        raise InputError(f"nothing can be calibrated: {name}: {why}{others}", file=votes.file)
    made.data = "sha256:" + hashlib.sha256(json.dumps(seen, ensure_ascii=False).encode()).hexdigest()
    return made


def _one(sheets: Sheets) -> tuple[Judge, Rubric]:
    """The judge and the rubric of the scorecards.

    Raises:
        InputError: for several, and for a rubric that is not here as it scored.
    """
    if len(sheets.rubrics) > 1:
        raise InputError(
            f"holds scorecards of {' and '.join(sheets.rubrics)}: say which with --rubric", file=sheets.file
        )
    if len(sheets.by_judge) > 1:
        judges = " and ".join(f"{judge.name} ({judge.hash[7:15]})" for judge in sheets.by_judge)
        raise InputError(f"holds scorecards of the judges {judges}: give each a file of its own", file=sheets.file)
    (rubric,) = sheets.rubrics.values()
    if rubric.found is None or rubric.why is not None or rubric.found.hash != rubric.hash:
        why = (rubric.why or "the rubric cannot be found here").partition(":")[0].partition(";")[0]
        raise InputError(
            f"{why}, and a calibration is bound to it: name its file with --rubric, or score again",
            file=sheets.file,
        )
    (judge,) = sheets.by_judge
    return judge, rubric.found


def _template(file: str, raws: Mapping[str, Mapping[str, Any]]) -> str | None:
    """The hash of the template that all were asked in.

    Raises:
        InputError: for several, and for scorecards that are calibrated.
    """
    found: dict[str | None, None] = {}
    for row in raws.values():
        provenance = row.get("provenance")
        if isinstance(provenance, str):
            try:
                provenance = parse_json(provenance)
            except JsonFault:  # `sheets_in` has read it
                provenance = None
        told = provenance if isinstance(provenance, Mapping) else {}
        if told.get("calibration") is not None:
            raise InputError(
                "these scorecards are by a judge with a calibration, and a second one on top of it would hold for "
                "neither: score again without it; the ledger has the judge's answers",
                file=file,
                key="provenance.calibration",
            )
        template = told.get("template")
        found[str(template["hash"]) if isinstance(template, Mapping) and "hash" in template else None] = None
    if len(found) > 1:
        raise InputError(
            "the judge was asked in different words for some of these scorecards: score all of them again",
            file=file,
            key="provenance.template",
        )
    return next(iter(found), None)


def _cells(
    rated: Rated,
    criterion: Criterion,
    units: Sequence[str],
    groups: Sequence[str],
    raws: Mapping[str, Mapping[str, Any]],
    rule: Rule,
) -> Cells:
    import numpy as np

    scale = rated.scale
    together = consensus(rated.people, scale, rule)
    judgments: list[Judgment] = []
    rows: list[int] = []
    for place, level in enumerate(rated.judge):
        if level is None or all(rating is None for rating in rated.people[place]):
            continue
        judgment = _judgment(criterion, level, _said(raws[units[place]], rated.asked.id))
        if judgment is not None:
            judgments.append(judgment)
            rows.append(place)
    order = sorted(scale.levels, key=lambda level: scale.values[level])
    targets = [[_shares(rating, scale) for rating in rated.people[row] if rating is not None] for row in rows]
    target_NL = np.asarray([np.mean(each, axis=0) for each in targets], dtype=np.float64).reshape(-1, len(scale.levels))
    value_L = np.asarray([scale.values[level] for level in scale.levels], dtype=np.float64)
    shares = [judgment.probabilities for judgment in judgments]
    share_NL = None
    if shares and all(one is not None for one in shares):
        share_NL = np.asarray([[one[level] for level in scale.levels] for one in shares if one is not None])
    levels = tuple(together.levels[row] for row in rows)
    return Cells(
        rated.asked.id,
        rated.name,
        criterion,
        scale,
        tuple(judgments),
        tuple(groups[row] for row in rows),
        np.asarray([judgment.value for judgment in judgments], dtype=np.float64),
        share_NL,
        np.asarray(target_NL @ value_L, dtype=np.float64),
        target_NL,
        levels,
        np.asarray([-1 if level is None else order.index(level) for level in levels], dtype=np.int64),
        tuple(scale.values[level] for level in order),
    )


def _said(row: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    criteria = mapping(row.get("criteria")) or {}
    found = criteria.get(key)
    return found if isinstance(found, Mapping) else {}


def _judgment(criterion: Criterion, level: Level, said: Mapping[str, Any]) -> Judgment | None:
    """A judgment of a scorecard; None where it has no value in [0, 1]."""
    value = said.get("value")
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= 1:
        return None
    given = mapping(said.get("probabilities"))
    probabilities: dict[Level, float] | None = None
    if given is not None:
        by_text = {str(name): number_in(share) or 0.0 for name, share in given.items()}
        probabilities = {name: by_text.get(str(name), 0.0) for name in criterion.levels}
        total = math.fsum(probabilities.values())
        probabilities = {name: share / total for name, share in probabilities.items()} if total > 0 else None
    return Judgment(criterion.id, "scored", level, float(value), probabilities=probabilities)


def _shares(rating: Level | float, scale: Scale) -> list[float]:
    """A rating as shares of the levels: one between two levels is shared among them."""
    found = [0.0] * len(scale.levels)
    if not isinstance(rating, float):
        found[scale.levels.index(rating)] = 1.0
        return found
    place = rating - scale.position(scale.levels[0])
    low = min(int(place), len(found) - 2)
    found[low + 1] = place - low
    found[low] = 1.0 - found[low + 1]
    return found


def _too_little(cells: Cells) -> str | None:
    """Why a criterion cannot be calibrated; None where it can."""
    import numpy as np

    n, groups = len(cells.judgments), len(set(cells.groups))
    if n < FEWEST or groups < FEWEST_GROUPS:
        return (
            f"{n:,} labelled replies with a judgment, of {groups:,} groups, are too few: it takes {FEWEST} of "
            f"{FEWEST_GROUPS} groups, and a few hundred serve better"
        )
    if np.ptp(cells.people_N) == 0:
        return "people gave every reply the same level, so there is nothing to learn from"
    if not cells.scale.ordered and cells.share_NL is None:
        return "its options have no order and the judge gives no probabilities: there is nothing to correct"
    return None
