"""A calibration artifact as a section: which criteria it corrects, and how far its values could be believed before
and after."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from kardia.report.sections.blocks import Block, Section, facts, figure, lines, table, text

__all__ = ["calibration_section"]

_BINS = ("reliability", "bins")
_ERRORS = ("ece", "expected_calibration_error")


def calibration_section(data: Mapping[str, Any], bound: Sequence[tuple[str, str, str]]) -> Section:
    """A calibration as a section.

    Args:
        data: the artifact: `rubric` and `judge` with a `hash` each, and `criteria`: id → what was fitted. Where a
            criterion has `reliability` (or `bins`), a list of `predicted`, `observed` and `n`, it is drawn; where it
            has `ece`, or `before` and `after` with one each, it is a column; likewise `kappa` and `bias` of both.
        bound: of each series in the report: what is `name@version` of its rubric, the rubric's hash, the judge's hash.
    """
    blocks: list[Block] = list(_staleness(data, bound))
    criteria = data.get("criteria")
    if isinstance(criteria, Mapping) and criteria:
        blocks += _criteria(criteria)
    left_out = data.get("left_out")
    if isinstance(left_out, Mapping):
        blocks += [text(f"{key} is left as it is: {why}.") for key, why in left_out.items()]
    own = ("criteria", "made", "left_out")
    rest = {key: value for key, value in data.items() if key not in own and _is_small(value)}
    blocks.append(facts({**rest, **(data["made"] if isinstance(data.get("made"), Mapping) else {})}))
    return {"id": "calibration", "nav": "Calibration", "title": "Calibration", "blocks": blocks}


def _staleness(data: Mapping[str, Any], bound: Sequence[tuple[str, str, str]]) -> Iterator[Block]:
    """Whether it is bound to what made these scores; a calibration of something else says nothing about them."""
    for key, place in (("rubric", 1), ("judge", 2)):
        told = data.get(key)
        known = told.get("hash") if isinstance(told, Mapping) else data.get(f"{key}_hash")
        if known and known not in {one[place] for one in bound}:
            yield {
                "type": "finding",
                "text": f"The calibration is stale: it is bound to another {key} than the one that made these scores.",
                "todo": "Calibrate again with this rubric and this judge.",
                "warn": True,
            }


def _criteria(criteria: Mapping[str, Any]) -> Iterator[Block]:
    errors = {
        key: (_error(one.get("before", one)), _error(one.get("after")))
        for key, one in criteria.items()
        if isinstance(one, Mapping)
    }
    if any(before or after for before, after in errors.values()):
        yield table(
            "Expected calibration error by criterion",
            ("criterion", "method", "n", "before", "after"),
            [
                (key, criteria[key].get("method"), criteria[key].get("n"), before, after)
                for key, (before, after) in errors.items()
            ],
            left=2,
        )
    levels = [(key, one["before"], one["after"]) for key, one in criteria.items() if _has_levels(one)]
    if levels:
        yield table(
            "What it does to levels and to the mean, on replies that it had not seen",
            ("criterion", "κ before", "κ after", "bias before", "bias after"),
            [
                (key, *(figure(side[name]) for name in ("kappa", "bias") for side in (before, after)))
                for key, before, after in levels
            ],
        )
    for key, one in criteria.items():
        if not isinstance(one, Mapping):
            continue
        curves = {name: _bins(one.get(name, one if name == "before" else None)) for name in ("before", "after")}
        drawn = {name: points for name, points in curves.items() if points}
        if drawn:
            yield lines(
                f"Reliability of {key}",
                {name: [[predicted, observed] for predicted, observed, _ in points] for name, points in drawn.items()},
                x="the judge's value",
                y="what people said",
                diagonal=True,
            )
            yield table(
                f"Reliability of {key}, as a table",
                ("", "the judge's value", "what people said", "n"),
                [
                    (name, f"{predicted:.2f}", f"{observed:.2f}", n)
                    for name, points in drawn.items()
                    for predicted, observed, n in points
                ],
                closed=True,
            )
    if not any(before or after for before, after in errors.values()):
        yield text(f"It corrects {', '.join(criteria)}.")


def _has_levels(one: Any) -> bool:
    sides = [one.get("before"), one.get("after")] if isinstance(one, Mapping) else []
    return bool(sides) and all(
        isinstance(side, Mapping) and isinstance(side.get("kappa"), Mapping) and isinstance(side.get("bias"), Mapping)
        for side in sides
    )


def _error(one: Any) -> str | None:
    if not isinstance(one, Mapping):
        return None
    found = next((one[key] for key in _ERRORS if one.get(key) is not None), None)
    if isinstance(found, Mapping) and "value" in found:
        return figure({"low": None, "high": None, **found}, 3)
    return f"{found:.3f}" if isinstance(found, (int, float)) else None


def _bins(one: Any) -> list[tuple[float, float, int]]:
    if not isinstance(one, Mapping):
        return []
    found: list[Any] = next((one[key] for key in _BINS if isinstance(one.get(key), list)), [])
    rows: list[tuple[float, float, int]] = []
    for row in found:
        if isinstance(row, Mapping):
            predicted, observed = row.get("predicted"), row.get("observed")
            if isinstance(predicted, (int, float)) and isinstance(observed, (int, float)):
                rows.append((float(predicted), float(observed), int(row.get("n", 0))))
    return rows


def _is_small(value: Any) -> bool:
    return isinstance(value, (str, int, float, bool)) or (isinstance(value, Mapping) and len(value) <= 6)
