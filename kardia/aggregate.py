"""Judgments → one number in [0, 1], as the rubric declares it. Small pure functions.

For one rubric: each item's value, saturated; combined by the method; interactions added; clipped to [0, 1]; shaped.
An included rubric is one item, with the score that its own rule gives. Then the requirements of the whole tree:
where one failed, the score is its `else_score` (the lowest, of several) whatever the rest says. What is unscored or
abstained is never a number. Where the method is `learned`, `kardia.learned` combines.

Veto, saturation, pairwise interaction and shaping are the mechanisms of Rubicon (arXiv 2508.12790), which publishes
no equations: the formulas are kardia's own. The weighted mean is the explicit aggregation of Rubrics as Rewards
(arXiv 2507.17746).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from operator import mul

from kardia.artifact import Calibration, Gating, Learned, Linear
from kardia.byobject import by_object
from kardia.judgment import CardStatus, Judgment
from kardia.learned import Beside, calibration_score, gating_score, level_shares, linear_score, ordinal_score
from kardia.rubric.models import Aggregate, Band, Criterion, Interaction, Level, Saturation, Shaping
from kardia.rubric.rubric import Group, Rubric

__all__ = [
    "Inputs",
    "Outcome",
    "aggregate",
    "apply_conditions",
    "inputs_of",
    "interact",
    "minimum",
    "product",
    "saturate",
    "shape",
    "weighted_mean",
]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a rubric makes of its judgments.

    Attributes:
        score: in [0, 1], or None.
        status: `scored`, `partial` or `unscored`, as on the scorecard.
        vetoed_by: ids of the requirements that failed, in the rubric's order.
        parts: path of each included rubric → its own score, or None.
        why: why there is no score; None where there is one.
    """

    score: float | None
    status: CardStatus
    vetoed_by: tuple[str, ...] = ()
    parts: Mapping[str, float | None] | None = None
    why: str | None = None


def weighted_mean(values: Sequence[float], weights: Sequence[float]) -> float:
    """Σ w·v / Σ w. Values in [0, 1], weights ≥ 0 and not all 0."""
    if len(values) != len(weights):
        raise ValueError(f"{len(values)} values with {len(weights)} weights")
    _, power = math.frexp(max(weights))
    if abs(power) > _ORDINARY:
        weights = [math.ldexp(w, -power) for w in weights]  # exact; the sum of huge weights would overflow
    return _clip(math.fsum(map(mul, weights, values)) / math.fsum(weights))


def product(values: Sequence[float], weights: Sequence[float]) -> float:
    """Π v^w: every item must hold; a weight above 1 sharpens one, a weight below 1 softens it."""
    # sorted, so that the order of the criteria does not show in the last bits
    factors = sorted(v**w for w, v in zip(weights, values, strict=True) if w > 0)
    return _clip(math.prod(factors))


def minimum(values: Sequence[float], weights: Sequence[float]) -> float:
    """The lowest value among those with a weight above 0."""
    return _clip(min(v for w, v in zip(weights, values, strict=True) if w > 0))


_OPEN = frozenset(("unscored", "abstained"))
_ORDINARY = 500
"""Powers of two within which neither a sum nor a product of weights and values leaves the range of a float."""
_METHODS = {"weighted_mean": weighted_mean, "product": product, "minimum": minimum}


def saturate(value: float, rule: Saturation) -> float:
    """Diminishing returns past `above`: g(v) / g(1) with g(v) = v up to `above`, then above + slope·(v − above).

    Maps [0, 1] onto [0, 1], never falling.
    """

    def bent(v: float) -> float:
        return v if v <= rule.above else rule.above + rule.slope * (v - rule.above)

    top = bent(1.0)
    return _clip(bent(value) / top) if top > 0 else value  # above 0 with slope 0: nothing is left to bend


def interact(values: Mapping[str, float], rules: Sequence[Interaction]) -> float:
    """The sum of the bonuses and penalties whose two items both lie in their bands; items without a value never do."""
    return math.fsum(
        rule.add
        for rule in rules
        if all(key in values and _inside(values[key], band) for key, band in rule.when.items())
    )


def _inside(value: float, band: Band) -> bool:
    low = 0.0 if band.at_least is None else band.at_least
    high = 1.0 if band.at_most is None else band.at_most
    return low - 1e-12 <= value <= high + 1e-12


def shape(score: float, rule: Shaping | None) -> float:
    """A monotone map of [0, 1] into [0, 1]: a power, or straight lines through points."""
    if rule is None:
        return score
    if rule.power is not None:
        return _clip(score**rule.power)
    points = rule.points or []
    for (x0, y0), (x1, y1) in itertools.pairwise(points):
        if score <= x1:
            return _clip(y0 + (y1 - y0) * (score - x0) / (x1 - x0))
    return _clip(points[-1][1])


def apply_conditions(rubric: Rubric, judgments: Mapping[str, Judgment]) -> dict[str, Judgment]:
    """Masks what `only_if_levels` rules out, after judging.

    A criterion applies where any of its alternatives holds; an alternative holds where each named criterion is
    scored at one of the named levels. Where that hangs on a criterion that is unscored or abstained, so is this one.
    """
    if not [criterion for criterion in rubric.criteria if criterion.only_if_levels]:
        return {criterion.id: judgments[criterion.id] for criterion in rubric.criteria}
    settled: dict[str, Judgment] = {}

    def settle(criterion: Criterion) -> Judgment:
        known = settled.get(criterion.id)
        if known is not None:
            return known
        own = judgments[criterion.id]
        # a judge's own "not relevant" (it has a reason) counts only where its branch is reached
        if criterion.conditions and (own.status != "not_applicable" or own.reason is not None):
            own = _masked(criterion, own, {key: settle(rubric.by_id[key]) for key in _named(criterion)})
        settled[criterion.id] = own
        return own

    return {criterion.id: settle(criterion) for criterion in rubric.criteria}


def _named(criterion: Criterion) -> set[str]:
    return {key for condition in criterion.conditions for key in condition}


def _masked(criterion: Criterion, own: Judgment, parents: Mapping[str, Judgment]) -> Judgment:
    blocked: Judgment | None = None
    for condition in criterion.conditions:
        open_ = [parents[key] for key in condition if parents[key].status in ("unscored", "abstained")]
        closed = [key for key, levels in condition.items() if not _at(parents[key], levels)]
        if not closed:
            return own
        if open_ and {parent.criterion for parent in open_} == set(closed):
            blocked = open_[0]  # only what nobody knows keeps this alternative from holding
    if blocked is not None:
        why = f"applies only at certain levels of {blocked.criterion}, which is {blocked.status}"
        return Judgment(criterion.id, blocked.status, error=why)
    return Judgment(
        criterion.id, "not_applicable", error=f"not at these levels of {', '.join(sorted(_named(criterion)))}"
    )


def _at(parent: Judgment, levels: Sequence[object]) -> bool:
    if parent.status == "not_applicable":
        # `not relevant` is a judge's answer that a branch may ask for; a masked criterion has none
        return parent.reason is not None and "not relevant" in levels
    return parent.status == "scored" and parent.level in levels


def aggregate(rubric: Rubric, judgments: Mapping[str, Judgment], beside: Beside | None = None) -> Outcome:
    """What the rubric makes of one judgment for each of its criteria (conditions already applied).

    Args:
        rubric: whose criteria they are.
        judgments: full id → judgment.
        beside: what a gating network reads; needed where there is one (`Rubric.artifacts`).

    Raises:
        KeyError: where a criterion has no judgment at all.
        ValueError: where a gating network is not given the prompt's vector and the text's length.
    """
    missing = not _OPEN.isdisjoint([judgment.status for judgment in judgments.values()])
    failed: list[str] = []
    floors: list[float] = []
    open_needs: list[str] = []
    for criterion in rubric.criteria:
        required = criterion.required
        if required is None:
            continue
        judgment = judgments[criterion.id]
        if judgment.status == "not_applicable":
            continue
        if judgment.level is None:
            open_needs.append(criterion.id)
        elif not _holds(criterion, judgment.level):
            failed.append(criterion.id)
            floors.append(required.else_score)
    parts: dict[str, float | None] = {}
    score, why = _score(rubric.root, judgments, parts, beside)
    if failed:
        return Outcome(min(floors), "partial" if missing else "scored", tuple(failed), parts)
    if open_needs:
        return Outcome(None, "unscored", (), parts, f"the requirement {open_needs[0]} is not scored")
    if score is None:
        return Outcome(None, "unscored", (), parts, why or "no criterion applies")
    return Outcome(score, "partial" if missing else "scored", (), parts)


@dataclass(slots=True)
class _Items:
    """What one rubric's own rule puts together.

    Attributes:
        values: item → value, where it has one.
        weights: item → weight; 0 for an include that is counted elsewhere.
        gaps: what is unscored or abstained and counts here: full ids of criteria, paths of includes.
        open: the same by the items' own names, those that are counted elsewhere too.
        floors: scores of the requirements that failed.
    """

    values: dict[str, float] = field(default_factory=dict)
    weights: dict[str, float] = field(default_factory=dict)
    gaps: list[str] = field(default_factory=list)
    open: list[str] = field(default_factory=list)
    floors: list[float] = field(default_factory=list)


def _score(
    group: Group, judgments: Mapping[str, Judgment], parts: dict[str, float | None], beside: Beside | None
) -> tuple[float | None, str | None]:
    """One rubric's own score, requirements of its own included; or why there is none ("" where nothing applies)."""
    items = _items(group, judgments, parts, beside)
    gaps, weights = items.gaps, items.weights
    if items.floors:
        return min(items.floors), None
    if gaps and group.aggregate.unscored == "whole":
        return None, f"{gaps[0]} is not scored"
    if group.learned is not None:
        return _learned(group, group.learned, judgments, items, beside)
    keys = [key for key, weight in weights.items() if weight > 0]
    if not keys:
        return None, f"{gaps[0]} is not scored" if gaps else ""
    return _combine(group.aggregate, items.values, weights, keys), None


def _items(
    group: Group, judgments: Mapping[str, Judgment], parts: dict[str, float | None], beside: Beside | None
) -> _Items:
    items = _Items()
    for criterion in group.criteria:
        key = criterion.id
        judgment = judgments[key]
        if judgment.status == "not_applicable":
            continue
        local = group.local(key) if group.path else key
        if judgment.value is None or judgment.level is None:
            items.gaps.append(key)
            items.open.append(local)
            continue
        items.values[local] = judgment.value
        items.weights[local] = criterion.weight
        if criterion.required is not None and not _holds(criterion, judgment.level):
            items.floors.append(criterion.required.else_score)
    for as_, weight, inner, counts in group.parts:
        score, why = _score(inner, judgments, parts, beside)
        parts[inner.path] = score
        if score is None:
            if why:
                items.open.append(as_)
                if counts:
                    items.gaps.append(inner.path)
            continue
        items.values[as_] = score
        items.weights[as_] = weight if counts else 0.0
    return items


def _combine(rule: Aggregate, values: Mapping[str, float], weights: Mapping[str, float], keys: Sequence[str]) -> float:
    saturation, interactions = rule.saturation, rule.interactions
    bent = values
    if saturation:
        bent = {key: saturate(v, saturation[key]) if key in saturation else v for key, v in values.items()}
    score = _METHODS[rule.method]([bent[key] for key in keys], [weights[key] for key in keys])
    if interactions:
        score = _clip(score + interact(values, interactions))
    return shape(score, rule.shaping)


@dataclass(frozen=True, slots=True)
class Inputs:
    """What a learned aggregation is fitted to, and applied to, in one card.

    Attributes:
        values: id → value in [0, 1], where it applies and is scored.
        shares: id of a criterion → its answer's distribution over the levels, in the scale's order.
        gone: ids that are unscored or abstained.
    """

    values: Mapping[str, float]
    shares: Mapping[str, tuple[float, ...]]
    gone: tuple[str, ...]


def inputs_of(rubric: Rubric, ids: Collection[str], judgments: Mapping[str, Judgment]) -> Inputs:
    """The inputs that a rubric's own rule would be given for one card, whatever its method.

    Args:
        rubric: whose items, or criteria further inside, the ids name.
        ids: as an artifact's `inputs` have them.
        judgments: full id → judgment, conditions applied.
    """
    return _inputs(rubric.root, ids, judgments, _items(rubric.root, judgments, {}, None))


def _inputs(group: Group, ids: Collection[str], judgments: Mapping[str, Judgment], items: _Items) -> Inputs:
    values: dict[str, float] = {}
    shares: dict[str, tuple[float, ...]] = {}
    gone: list[str] = []
    for key in ids:
        criterion = group.inside.get(key)
        if criterion is None:
            if key in items.values:
                values[key] = items.values[key]
            elif key in items.open:
                gone.append(key)
            continue
        judgment = judgments[criterion.id]
        if judgment.status == "not_applicable":
            continue
        if judgment.value is None:
            gone.append(key)
            continue
        values[key] = judgment.value
        shares[key] = level_shares(criterion.levels, judgment)
    return Inputs(values, shares, tuple(gone))


def _learned(
    group: Group, learned: Learned, judgments: Mapping[str, Judgment], items: _Items, beside: Beside | None
) -> tuple[float | None, str | None]:
    artifact, rule = learned.artifact, group.aggregate
    inputs = _inputs(group, [item.id for item in artifact.inputs], judgments, items)
    gone = inputs.gone
    if gone and rule.unscored == "whole":
        return None, f"{gone[0]} is not scored"
    if not inputs.values:
        return None, f"{gone[0]} is not scored" if gone else ""
    score: float | None
    if isinstance(artifact, Linear):
        score = linear_score(artifact, inputs.values, gone)
    elif isinstance(artifact, Gating):
        vector = None if beside is None else beside.vectors.get(artifact.encoder.sha256)
        if beside is None or vector is None or beside.characters is None:
            raise ValueError(
                f"{learned.file} weighs criteria by the prompt: hand over its vector and the text's length"
            )
        score = gating_score(artifact, inputs.values, vector, beside.characters)
    elif isinstance(artifact, Calibration):
        score = calibration_score(artifact, inputs.shares)
    else:
        score = ordinal_score(artifact, inputs.values)
    if score is None:
        return None, f"{gone[0]} is not scored"
    if rule.interactions:
        score = _clip(score + interact(items.values, rule.interactions))
    return shape(score, rule.shaping), None


@by_object(most=4096)
def _holding(criterion: Criterion) -> dict[Level, bool]:
    return {level: criterion.holds(level) for level in criterion.levels}


def _holds(criterion: Criterion, level: Level) -> bool:
    known = _holding(criterion).get(level)
    return criterion.holds(level) if known is None else known


def _clip(number: float) -> float:
    return 0.0 if number < 0.0 else 1.0 if number > 1.0 else number
