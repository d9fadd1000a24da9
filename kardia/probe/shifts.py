"""What became of the scores: paired shifts with intervals. Pure, given what was judged."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from kardia.agreement.statistic import Statistic
from kardia.judgment import Scorecard
from kardia.policy.resampling import Resampling
from kardia.probe.catalogue import Probe
from kardia.probe.design import Case
from kardia.probe.tolerance import FINEST
from kardia.rubric.models import Level

__all__ = [
    "GOOD",
    "RESAMPLES",
    "Outcome",
    "ProbeResult",
    "Shift",
    "VariantResult",
    "flips",
    "measured",
    "outcome_of",
    "shares",
    "shift_of",
]

GOOD = 0.5
"""Where a fall is expected, only replies that scored this much count: what is at the bottom cannot fall."""
RESAMPLES = 2_000
EDGE = 1e-9
"""What is nearer to a bound than this is on it: scores are sums of rounded shares."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a scorecard says, without its texts.

    Attributes:
        score: in [0, 1], or None.
        values: criterion id → value, or None where it has none.
        levels: criterion id → level, or None.
        guarded: whether there is no score because the guard was to leave such a reply unscored.
    """

    score: float | None
    values: Mapping[str, float | None]
    levels: Mapping[str, Level | None]
    guarded: bool = False


@dataclass(frozen=True, slots=True)
class Shift:
    """One conversation's, before and after.

    Attributes:
        group, variant: as in `Case`.
        before: the score before; None where there was none.
        score: after less before; None where either is missing.
        values: criterion id → the same of its value.
        levels: the share of criteria whose level changed; None where none has a level both times.
        unscored: whether there is no score any more; None where there was none before.
        lost: 1 where there is no score any more, −1 where there is one only now, else 0; None where the guard took it.
    """

    group: Hashable
    variant: str
    before: float | None
    score: float | None
    values: Mapping[str, float | None]
    levels: float | None
    unscored: bool | None
    lost: int | None = 0

    @property
    def way(self) -> str:
        """The variant, wherever in the reply it was put: of `threat, after` it is `threat`."""
        return self.variant.partition(", ")[0]


@dataclass(frozen=True, slots=True)
class VariantResult:
    """A variant's share in a probe: how many shifts, their mean, and the share that rose; None where there is none."""

    name: str
    n: int
    shift: float | None
    rose: float | None

    def to_json(self) -> dict[str, Any]:
        return {"name": self.name, "n": self.n, "shift": self.shift, "rose": self.rose}


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """What one probe did to one judge's scores.

    Attributes:
        probe: its name.
        cases: pairs that were judged.
        groups: how many independent groups they come from.
        untouched: to how many conversations the probe does not apply.
        low: where a fall is expected: pairs that were left out because the reply scored less than 0.5 already.
        shift: the mean of the score after less the score before; None for `order`.
        moved: the share of pairs whose score moved by the tolerance or more; for `order`, of pairs of replies whose
            verdict turned with the order.
        rose: the share whose score rose by the tolerance or more.
        levels: the mean share of criteria whose level changed.
        unscored: the share of pairs that had a score before and have none after.
        criteria: criterion id → the mean shift of its value.
        variants: by the ways in which replies were changed.
        note: what there is to say beside the numbers; None: nothing.
    """

    probe: str
    cases: int
    groups: int
    untouched: int
    low: int
    shift: Statistic
    moved: Statistic
    rose: Statistic
    levels: Statistic
    unscored: Statistic
    criteria: Mapping[str, Statistic] = field(default_factory=dict)
    variants: tuple[VariantResult, ...] = ()
    note: str | None = None

    def to_json(self) -> dict[str, Any]:
        return {
            "probe": self.probe,
            "cases": self.cases,
            "groups": self.groups,
            "untouched": self.untouched,
            "low": self.low,
            "shift": self.shift.to_json(),
            "moved": self.moved.to_json(),
            "rose": self.rose.to_json(),
            "levels": self.levels.to_json(),
            "unscored": self.unscored.to_json(),
            "criteria": {key: statistic.to_json() for key, statistic in self.criteria.items()},
            "variants": [variant.to_json() for variant in self.variants],
            "note": self.note,
        }


def outcome_of(card: Scorecard) -> Outcome:
    """What of a scorecard is compared."""
    return Outcome(
        card.score,
        {key: judgment.value for key, judgment in card.criteria.items()},
        {key: judgment.level for key, judgment in card.criteria.items()},
        card.score is None and bool(card.guard and card.guard["mode"] == "unscore" and card.guard["findings"]),
    )


def shift_of(case: Case, before: Outcome, after: Outcome, fine: Collection[str] = ()) -> Shift:
    """The difference that a change made.

    Args:
        fine: criteria on whose scales levels lie so near together that another one is a change only from a tenth of the
            scale on.
    """
    both = [
        _differs(key, before, after, fine)
        for key, level in before.levels.items()
        if level is not None and after.levels.get(key) is not None
    ]
    return Shift(
        case.group,
        case.variant,
        before.score,
        _less(after.score, before.score),
        {key: _less(after.values.get(key), value) for key, value in before.values.items()},
        sum(both) / len(both) if both else None,
        None if before.score is None else after.score is None,
        None if before.guarded or after.guarded else (after.score is None) - (before.score is None),
    )


def _differs(key: str, before: Outcome, after: Outcome, fine: Collection[str]) -> bool:
    if before.levels[key] == after.levels[key]:
        return False
    step = _less(after.values.get(key), before.values.get(key))
    return key not in fine or step is None or abs(step) >= FINEST - EDGE


def _less(after: float | None, before: float | None) -> float | None:
    return None if after is None or before is None else after - before


def measured(
    probe: Probe,
    shifts: Sequence[Shift],
    *,
    tolerance: float,
    untouched: int = 0,
    seed: int = 7,
    note: str | None = None,
) -> ProbeResult:
    """A probe's shifts in figures, each with its 95 % interval over groups.

    Args:
        probe: whose they are.
        shifts: one a case.
        tolerance: what counts as a move, in units of the score.
        untouched: to how many conversations the probe does not apply.
        seed: of the intervals.
        note: what there is to say of it.
    """
    cases = len(shifts)
    counted = [shift for shift in shifts if probe.expects != "fall" or shift.before is None or shift.before >= GOOD]
    ids = list(dict.fromkeys(key for shift in counted for key in shift.values))
    columns: dict[str, list[float | None]] = {
        "shift": [shift.score for shift in counted],
        "moved": [_flag(shift.score, abs, tolerance) for shift in counted],
        "rose": [_flag(shift.score, float, tolerance) for shift in counted],
        "levels": [shift.levels for shift in counted],
        "unscored": [None if shift.unscored is None else float(shift.unscored) for shift in counted],
        **{f"criterion {key}": [shift.values.get(key) for shift in counted] for key in ids},
    }
    found = shares([shift.group for shift in counted], columns, seed=seed, proportions=("moved", "rose", "unscored"))
    return ProbeResult(
        probe.name,
        cases,
        len({shift.group for shift in counted}),
        untouched,
        cases - len(counted),
        found["shift"],
        found["moved"],
        found["rose"],
        found["levels"],
        found["unscored"],
        {key: found[f"criterion {key}"] for key in ids},
        _variants(counted, tolerance),
        note,
    )


def flips(probe: Probe, turned: Sequence[tuple[Hashable, bool | None]], *, seed: int, note: str | None) -> ProbeResult:
    """The result of `order`.

    Args:
        probe: `order`.
        turned: of each pair of replies its group, and whether the verdict turned with the order; None where there is
            no verdict.
        seed: of the intervals.
        note: what there is to say of it.
    """
    columns: dict[str, list[float | None]] = {
        "moved": [None if one is None else float(one) for _, one in turned],
        "unscored": [float(one is None) for _, one in turned],
    }
    groups = [group for group, _ in turned]
    found = shares(groups, columns, seed=seed, proportions=("moved", "unscored"))
    none = Statistic(None, None, None, 0, "verdicts on pairs have no score")
    return ProbeResult(
        probe.name,
        len(turned),
        len(set(groups)),
        0,
        0,
        none,
        found["moved"],
        none,
        none,
        found["unscored"],
        note=note,
    )


def _flag(shift: float | None, size: Any, tolerance: float) -> float | None:
    return None if shift is None else float(size(shift) >= tolerance - EDGE)


def _variants(shifts: Sequence[Shift], tolerance: float) -> tuple[VariantResult, ...]:
    by_name: dict[str, list[float]] = defaultdict(list)
    for shift in shifts:
        known = by_name[shift.variant]
        if shift.score is not None:
            known.append(shift.score)
    return tuple(
        VariantResult(
            name,
            len(known),
            sum(known) / len(known) if known else None,
            sum(one >= tolerance - EDGE for one in known) / len(known) if known else None,
        )
        for name, known in sorted(by_name.items())
    )


def shares(
    groups: Sequence[Hashable],
    columns: Mapping[str, Sequence[float | None]],
    *,
    seed: int = 7,
    proportions: Sequence[str] = (),
) -> dict[str, Statistic]:
    """The mean of each column with its 95 % interval, by drawing groups again; None where nothing is known.

    Where all of a proportion's values are alike, drawing again shows no spread; its interval is then Clopper and
    Pearson's (1934) for as many independent trials as there are groups: from 0 to 1 − 0.025^(1/G), or from 0.025^(1/G)
    to 1.

    Args:
        groups: of each row.
        columns: name → one value a row, None where there is none.
        seed: of the draws.
        proportions: columns of zeros and ones.
    """
    names = {group: str(number) for number, group in enumerate(dict.fromkeys(groups))}
    drawn = Resampling([names[group] for group in groups], resamples=RESAMPLES, seed=seed).means(columns)
    found: dict[str, Statistic] = {}
    for name, interval in drawn.items():
        if interval.mean is None:
            found[name] = Statistic(None, None, None, 0, "nothing was scored both before and after")
        elif interval.low is None or interval.high is None:
            why = "there is no interval: all values are of one group, which says nothing of the spread"
            found[name] = Statistic(interval.mean, None, None, interval.n, why)
        else:
            low, high = interval.low, interval.high
            if name in proportions and interval.mean in (0.0, 1.0):
                inside = {group for group, value in zip(groups, columns[name], strict=True) if value is not None}
                far = 0.025 ** (1 / len(inside))
                low, high = (0.0, 1.0 - far) if interval.mean == 0.0 else (far, 1.0)
            found[name] = Statistic(interval.mean, low, high, interval.n)
    return found
