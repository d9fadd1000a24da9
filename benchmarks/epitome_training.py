"""Students by `kardia distill` in cross-validation over posts, beside TF-IDF and a logistic regression.

Every fold is trained by the command itself. The test rows of a fold are in no file that it reads. How much the labels
of rare levels count is one number for all folds. Where several are given, it is chosen for each fold and mechanism by
training on three quarters of the fold's training rows and measuring on the rest, which `kardia distill` holds out
itself.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import random
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from epitome_baselines import word_counts
from epitome_common import MECHANISMS, RUBRIC, Figures, Row, counted, figures, judged, truth
from tables import markdown_table

from kardia.cli.app import app
from kardia.model.examples import Labelled, folds

RECIPE = ("start=embedded", "lora=null", "epochs=4", "patience=0")
"""The whole encoder is trained, from the embedded judge's weights: 1,900 short pairs are enough for that. The passes
were set before anything was measured here; the start was added after a run without it: the README has its figures."""
RARITY = 0.5
"""Labels count share ** −rarity. Set before the folds were measured, so nothing is chosen inside. A student of rarity 0
hardly ever writes the middle level of interpretations and explorations, which one row in thirty has."""
INNER_SHARE = 0.25
"""Of a fold's training rows that a choice is measured on."""
INSIDE = "chosen inside the folds"


@dataclass(frozen=True)
class Plan:
    """What is run.

    Attributes:
        settings: `--set` of `kardia distill`, the later ones win.
        rarities: to choose among; of a single one nothing is chosen.
        folds: how many parts the rows are split into.
        wanted: numbers of the folds that are run.
        work: where finished folds and interrupted trainings are kept.
    """

    settings: tuple[str, ...]
    rarities: tuple[float, ...]
    folds: int
    wanted: tuple[int, ...]
    seed: int
    work: Path

    def key(self, rows: Sequence[Row]) -> str:
        """What a fold's result depends on: other rows or options have other folders."""
        known = [[row.post, row.reply, row.levels] for row in rows]
        what = json.dumps([known, self.settings, self.rarities, self.folds, self.seed], sort_keys=True)
        return hashlib.sha256(what.encode("utf-8", "surrogatepass")).hexdigest()[:12]


def sample(rows: Sequence[Row], count: int | None, seed: int) -> list[Row]:
    """So many rows, or all of them, in the order that they have."""
    if count is None or count >= len(rows):
        return list(rows)
    return [rows[place] for place in sorted(random.Random(seed).sample(range(len(rows)), count))]


def cross_validate(rows: Sequence[Row], plan: Plan) -> list[dict[str, Any]]:
    """The results of the folds that are wanted; those that are in the work folder already are not run again.

    Raises:
        KardiaError: as `kardia distill` raises it, also where it is stopped. What was done is kept.
    """
    parts = folds([Labelled(row.post, row.reply, row.group, {}) for row in rows], plan.folds, plan.seed)
    place = plan.work / plan.key(rows)
    found = []
    for number in plan.wanted:
        result = place / f"fold-{number}.json"
        if not result.is_file():
            held = set(parts[number])
            train = [row for index, row in enumerate(rows) if index not in held]
            test = [rows[index] for index in parts[number]]
            _keep(result, _fold(train, test, number, plan, place / f"fold-{number}"))
            shutil.rmtree(place / f"fold-{number}", ignore_errors=True)
        found.append(json.loads(result.read_text(encoding="utf-8")))
    return found


def _fold(train: Sequence[Row], test: Sequence[Row], number: int, plan: Plan, folder: Path) -> dict[str, Any]:
    start = time.perf_counter()
    chosen = _chosen_rarities(train, number, plan, folder)
    rarity = [f"task_rarity.{RUBRIC}.{name}={chosen[name]:g}" for name in MECHANISMS]
    # all training rows are learnt from: there is no pass to select, and levels need no temperature
    student = folder / "student"
    _distill(train, student, [*plan.settings, "dev_share=0", *rarity], plan.seed)
    said = judged(test, str(student))
    counts = {name: word_counts(train, test, name) for name in MECHANISMS}
    _note(f"fold {number}: {len(train)} rows learnt, {len(test)} tested, {time.perf_counter() - start:.0f} s")
    return {
        "rarity": chosen,
        "tfidf": {name: choice for name, (_, choice) in counts.items()},
        "observed": {name: truth(test, name) for name in MECHANISMS},
        "student": {name: counted(said[name]) for name in MECHANISMS},
        "words": {name: levels for name, (levels, _) in counts.items()},
    }


def _chosen_rarities(train: Sequence[Row], number: int, plan: Plan, folder: Path) -> dict[str, float]:
    """Mechanism → the rarity of the highest macro-F1 on a part of the training rows, the smaller one of equals."""
    if len(plan.rarities) == 1:
        return dict.fromkeys(MECHANISMS, plan.rarities[0])
    merits: dict[float, dict[str, float]] = {}
    for rarity in sorted(plan.rarities):
        result, student = folder / f"rarity-{rarity:g}.json", folder / f"rarity-{rarity:g}"
        if not result.is_file():
            _distill(train, student, [*plan.settings, f"dev_share={INNER_SHARE}", f"rarity={rarity:g}"], plan.seed)
            _keep(result, json.loads((student / "metrics.json").read_text(encoding="utf-8")))
            shutil.rmtree(student, ignore_errors=True)
        metrics = json.loads(result.read_text(encoding="utf-8"))
        merits[rarity] = {name: metrics[f"{RUBRIC}.{name}"]["macro_f1"] for name in MECHANISMS}
        told = ", ".join(f"{name} {merits[rarity][name]:.3f}" for name in MECHANISMS)
        _note(f"fold {number}, rarity {rarity:g}, macro-F1 on the inner part: {told}")
    return {name: max(merits, key=lambda rarity: merits[rarity][name]) for name in MECHANISMS}


def _distill(rows: Sequence[Row], student: Path, settings: Sequence[str], seed: int) -> None:
    """Runs `kardia distill` on these rows; goes on where an earlier run was stopped."""
    with tempfile.TemporaryDirectory() as place:
        file = Path(place) / "rows.jsonl"
        with file.open("w", encoding="utf-8") as stream:
            for number, row in enumerate(rows):
                said = [{"role": "user", "content": row.post}, {"role": "assistant", "content": row.reply}]
                made = {"id": str(number), "group": row.group, "messages": said, "metadata": {"labels": row.levels}}
                stream.write(json.dumps(made) + "\n")
        command = ["distill", str(file), "--rubric", RUBRIC, "--output", str(student), "--seed", str(seed)]
        command += ["--resume", "--json", *(part for setting in settings for part in ("--set", setting))]
        with contextlib.redirect_stdout(io.StringIO()):  # it prints metrics; those that count are in the folder
            app(command, prog_name="kardia", standalone_mode=False)


def training_table(results: Sequence[dict[str, Any]], rarities: Sequence[float]) -> str:
    """Three lines a mechanism: the student, TF-IDF, the difference in the same folds; mean ± standard deviation.

    Args:
        rarities: of the plan: whether a rarity was chosen cannot be told from what it is.
    """
    lines: list[list[str]] = []
    by = "fixed" if len(rarities) == 1 else INSIDE
    for name in MECHANISMS:
        both = {
            side: [figures(result["observed"][name], result[side][name]) for result in results]
            for side in ("student", "words")
        }
        each = [f"{result['rarity'][name]:g}" for result in results]
        used = " ".join(each if len(set(each)) > 1 else each[:1])
        lines.append([name, "kardia distill", *_cells(both["student"]), f"rarity {used}; {by}"])
        choices = ", ".join(dict.fromkeys(result["tfidf"][name] for result in results))
        lines.append([name, "TF-IDF + logistic regression", *_cells(both["words"]), f"{choices}; {INSIDE}"])
        gains = [
            Figures(a.kappa - b.kappa, a.macro_f1 - b.macro_f1, a.accuracy - b.accuracy)
            for a, b in zip(both["student"], both["words"], strict=True)
        ]
        lines.append([name, "difference", *_cells(gains, "+"), ""])
    head = ["mechanism", "model", "macro-F1", "κ (quadratic)", "accuracy", "settings"]
    return markdown_table(head, lines, right=range(2, 5))


def _cells(each: Sequence[Figures], sign: str = "") -> list[str]:
    columns = ([one.macro_f1 for one in each], [one.kappa for one in each], [one.accuracy for one in each])
    return [
        f"{statistics.fmean(column):{sign}.3f}" + (f" ± {statistics.stdev(column):.3f}" if len(column) > 1 else "")
        for column in columns
    ]


def _keep(path: Path, data: Any) -> None:
    """Written as a whole or not at all: a kill in the middle leaves nothing that looks finished."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    part.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")
    part.replace(path)


def _note(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
