"""`kardia.calibrate`: scorecards and labels → rules that correct a judge, and what they are worth on unseen replies."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from kardia.agreement.bootstrap import Bootstrap
from kardia.agreement.consensus import Rule as Consensus
from kardia.agreement.ratings import needs_numpy
from kardia.agreement.sheets import Rows
from kardia.calibration.applying import applied
from kardia.calibration.artifact import (
    Calibration,
    Isotonic,
    Made,
    OfJudge,
    OfRubric,
    Rule,
    Temperature,
    Threshold,
    Unchanged,
    calibration_text,
)
from kardia.calibration.cells import Cells, material_of
from kardia.calibration.figures import change_of, figures_of, measures_of
from kardia.calibration.fitting import Method, fitted, parameters
from kardia.errors import InputError
from kardia.files import write_text
from kardia.judgment import Judgment
from kardia.rubric.rubric import Rubric
from kardia.version import __version__

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]
    Index = NDArray[np.int64]

__all__ = ["Asked", "Calibrated", "calibrate"]

Asked = Literal["auto", "isotonic", "temperature", "threshold"]
RESAMPLES = 1_000

_CHANCE = 1.645
"""Standard errors by which a rule must be better than none: one-sided, chance alone does it once in twenty."""
_MODELS = {"isotonic": Isotonic, "temperature": Temperature, "threshold": Threshold, "none": Unchanged}


@dataclass(frozen=True, slots=True)
class Calibrated:
    """What came of it.

    Attributes:
        calibration: the artifact.
        notes: sentences on what was left out, and on rules that are of no use.
    """

    calibration: Calibration
    notes: tuple[str, ...]

    def write(self, path: str | Path) -> None:
        """Writes the artifact.

        Raises:
            OutputError: where it cannot be written.
        """
        write_text(Path(path), calibration_text(self.calibration))

    def to_json(self) -> dict[str, Any]:
        """The artifact as plain data."""
        return self.calibration.model_dump(mode="json")


def calibrate(
    scores: Rows,
    labels: Rows,
    *,
    rubric: str | Path | Rubric | None = None,
    criteria: Sequence[str] = (),
    method: Asked = "auto",
    rater: str | None = None,
    consensus: Consensus = "median",
    folds: int = 5,
    resamples: int = RESAMPLES,
    confidence: float = 0.95,
    seed: int = 7,
) -> Calibrated:
    """Fits a correction of a judge's values to what people said.

    Args:
        scores: scorecards of one rubric and one judge, without a calibration: a file (JSONL or Parquet), or objects.
        labels: what people said, as `kardia.agree` takes it.
        rubric: which one, where there are several; or its file.
        criteria: only these; default: all that are labelled and are no requirements.
        method: `isotonic`, `temperature` or `threshold`; `auto`: of isotonic, temperature and nothing the one with the
            least squared error on replies that it had not seen, and nothing where that may be chance.
        rater: the column that says who rated.
        consensus: what several people's levels are made into.
        folds: of the cross-validation; no group stands on both sides.
        resamples: of the intervals; 0: none.
        confidence: of the intervals.
        seed: of folds and intervals.

    Raises:
        InputError: with file, line and key; where there are too few labels for any criterion.
        MissingExtra: without numpy or scipy.
    """
    needs_numpy("calibration")
    if method not in get_args(Asked):
        raise InputError(f"the method is one of {', '.join(get_args(Asked))}, not {method!r}")
    if not 2 <= folds <= 50:
        raise InputError(f"a cross-validation has 2 to 50 folds, not {folds}")
    found = material_of(scores, labels, rubric=rubric, criteria=criteria, rater=rater, rule=consensus)
    notes = list(found.notes)
    left_out = dict(found.left_out)
    rules: dict[str, Rule] = {}
    for cells in found.cells:
        why = _unfit(method, cells)
        if why is not None:
            left_out[cells.key] = why
            continue
        work = _Work(cells, method, folds, seed)
        bootstrap = (
            Bootstrap(cells.groups, resamples=resamples, seed=seed, confidence=confidence) if resamples else None
        )
        rule = work.rule(bootstrap)
        rules[cells.key] = rule
        worse = rule.change.brier.value
        if worse is not None and worse > 0:
            notes.append(
                f"{cells.name}: on replies that it has not seen, {rule.method} makes the squared error larger "
                f"({_figure(rule.before.brier.value)} → {_figure(rule.after.brier.value)})"
            )
    if not rules:
        name, why = list(left_out.items())[-1]
        raise InputError(f"nothing can be calibrated: {name}: {why}")
    settings: dict[str, int | float | str | bool | None] = {
        "method": method,
        "folds": folds,
        "seed": seed,
        "consensus": consensus,
        "resamples": resamples,
        "confidence": confidence,
    }
    artifact = Calibration(
        kardia="calibration/1",
        rubric=OfRubric(name=found.rubric.name, version=found.rubric.version, hash=found.rubric.hash),
        judge=OfJudge(name=found.judge.name, hash=found.judge.hash, template=found.template),
        criteria=rules,
        left_out=left_out,
        made=Made(kardia=__version__, data=found.data, settings=settings),
    )
    return Calibrated(artifact, tuple(notes))


def _figure(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"


def _unfit(method: Asked, cells: Cells) -> str | None:
    """Why a method cannot be used; None where it can."""
    if method == "temperature" and cells.share_NL is None:
        return "a temperature is of probabilities, and the judge gives none"
    if method in ("isotonic", "threshold") and not cells.scale.ordered:
        return f"its options have no order, and {method} needs one"
    return None


class _Work:
    """One criterion."""

    def __init__(self, cells: Cells, method: Asked, folds: int, seed: int) -> None:
        self._cells = cells
        self._method = method
        self._folds = folds
        self._seed = seed
        candidates: list[Method] = ["none"]
        if cells.share_NL is not None:
            candidates.append("temperature")
        if cells.scale.ordered:
            candidates.append("isotonic")
        self._candidates = candidates

    def rule(self, bootstrap: Bootstrap | None) -> Rule:
        """The rule of all rows, with figures from rows that it had not seen."""
        import numpy as np

        cells = self._cells
        all_N = np.arange(len(cells.judgments))
        method = self._chosen(all_N)
        before = measures_of(cells, cells.judgments)
        after = before
        if method != "none":
            after = measures_of(cells, self._out_of_fold(all_N, self._chosen))
            was, now = before.brier.value(), after.brier.value()
            if self._method == "auto" and was is not None and now is not None and now >= was:
                method, after = "none", before  # with a choice in every fold, too, it has to be better
        made: Rule = _MODELS[method](
            **parameters(fitted(method, cells, all_N)),
            levels=list(cells.scale.levels),
            n=len(cells.judgments),
            groups=len(set(cells.groups)),
            before=figures_of(before, bootstrap),
            after=figures_of(after, bootstrap),
            change=change_of(before, after, bootstrap),
        )
        return made

    def _chosen(self, rows_N: Index) -> Method:
        """The method for these rows: as asked, or by cross-validation among them."""
        import numpy as np

        if self._method != "auto":
            return self._method
        cells = self._cells
        squares: dict[Method, Array] = {}
        for method in self._candidates:

            def chosen(rows_N: Index, method: Method = method) -> Method:
                return method

            judgments = self._out_of_fold(rows_N, chosen)
            value_R = np.asarray([judgment.value for judgment in judgments], dtype=np.float64)
            squares[method] = (value_R - cells.people_N[rows_N]) ** 2
        best = min(squares, key=lambda method: float(squares[method].mean()))
        gain_R = squares["none"] - squares[best]
        if float(gain_R.mean()) <= _CHANCE * _error(gain_R, [cells.groups[row] for row in rows_N.tolist()]):
            return "none"
        return best

    def _out_of_fold(self, rows_N: Index, choose: Any) -> list[Judgment]:
        """Each row's judgment by a rule that has seen nothing of its group."""
        from kardia.fitting.validation import folds_of, splits

        cells = self._cells
        found: list[Judgment] = [cells.judgments[row] for row in rows_N.tolist()]
        fold_R = folds_of([cells.groups[row] for row in rows_N.tolist()], self._folds, self._seed)
        for fit_R, held_R in splits(fold_R):
            seen_N = rows_N[fit_R]
            rule = fitted(choose(seen_N), cells, seen_N)
            for place in held_R.tolist():
                found[place] = applied(rule, cells.criterion, found[place])
        return found


def _error(each_R: Array, groups: Sequence[str]) -> float:
    """The standard error of a mean, groups being drawn and not rows."""
    mean = float(each_R.mean())
    sums: dict[str, float] = {}
    for one, group in zip(each_R.tolist(), groups, strict=True):
        sums[group] = sums.get(group, 0.0) + one - mean
    count = len(sums)
    if count < 2:
        return math.inf
    return math.sqrt(count / (count - 1) * math.fsum(one**2 for one in sums.values())) / len(each_R)
