"""A calibration as a section: which criteria it corrects, and how far its values could be believed before and after."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from kardia.calibration.artifact import Calibration, Figure, Figures, Rule
from kardia.report.sections.blocks import (
    Block,
    Section,
    counted,
    facts,
    figure,
    finding,
    fold,
    grid,
    lines,
    number,
    table,
    text,
)
from kardia.report.sections.bound import Bound

__all__ = ["calibration_section"]

_SIDES = ("before", "after")
_UNCHANGED = "none"


def calibration_section(found: Calibration, bound: Bound | None = None) -> Section:
    """A calibration as a section.

    Args:
        found: what `kardia calibrate` made.
        bound: what made the scores beside it.
    """
    blocks: list[Block] = [] if bound is None else list(_staleness(found, bound))
    stale = bool(blocks)
    changed = {key: rule for key, rule in found.criteria.items() if rule.method != _UNCHANGED}
    same = {key: rule for key, rule in found.criteria.items() if rule.method == _UNCHANGED}
    gist = _gist(changed, len(found.criteria))
    blocks.append(text(gist))
    blocks.append(_errors({**changed, **same}))
    if changed:
        blocks.append(_levels("What it does to levels and to the mean, on replies that it had not seen", changed))
    blocks.append(
        text(
            "In the diagrams a point stands for replies with like values, a larger one for more of them. On the dotted "
            "line the judge's value is what people said."
        )
    )
    if changed:
        blocks.append(grid(_reliability(key, rule) for key, rule in changed.items()))
    if same:
        label = "Reliability of the criteria that stay as they are"
        blocks.append(fold(label, [grid(_reliability(key, rule) for key, rule in same.items())]))
    if found.left_out:
        columns = ("criterion", "why it is left as it is")
        blocks.append(table("Criteria without a calibration", columns, list(found.left_out.items()), left=2))
    made = found.made
    origin = {"rubric": found.rubric.model_dump(), "judge": found.judge.model_dump(), **made.model_dump()}
    blocks.append(facts("Where the calibration comes from", origin))
    return {
        "id": "calibration",
        "nav": "Calibration",
        "title": "Calibration",
        "gist": "It is stale: it was made for another rubric or another judge." if stale else gist,
        "blocks": blocks,
    }


def _gist(changed: Mapping[str, Rule], n: int) -> str:
    of = counted(n, "criterion", "criteria")
    if not changed:
        return f"It corrects none of {of}: nothing that was tried is better by more than chance."
    names = ", ".join(changed)
    return f"It corrects {len(changed):,} of {of}: {names}."


def _staleness(found: Calibration, bound: Bound) -> Iterator[Block]:
    """Whether it is bound to what made these scores; a calibration of something else says nothing about them."""
    fits = {"rubric": found.rubric.hash in bound.rubrics, "judge": bound.knows(found.judge.hash)}
    for key, known in fits.items():
        if not known:
            sentence = f"The calibration is stale: it is bound to another {key} than the one that made these scores."
            yield finding([sentence], "Calibrate again with this rubric and this judge.", "high")


def _errors(criteria: Mapping[str, Rule]) -> Block:
    return table(
        "Expected calibration error (ECE) by criterion, on replies that the correction had not seen",
        ("criterion", "correction", "n", "ECE before", "ECE after", "squared error", "changes by"),
        [
            (
                key,
                "stays as it is" if rule.method == _UNCHANGED else rule.method,
                rule.n,
                _told(rule.before.ece, 3),
                *(
                    ("", _told(rule.before.brier, 3), "")
                    if rule.method == _UNCHANGED
                    else (
                        _told(rule.after.ece, 3),
                        _told(rule.before.brier, 3),
                        figure(rule.change.brier.model_dump(), 3, signed=True),
                    )
                ),
            )
            for key, rule in criteria.items()
        ],
        left=2,
    )


def _told(told: Figure, digits: int) -> str | None:
    return number(told.value, digits)


def _levels(caption: str, criteria: Mapping[str, Rule]) -> Block:
    return table(
        caption,
        ("criterion", "κ before", "κ after", "bias before", "bias after"),
        [
            (
                key,
                *(figure(side.kappa.model_dump()) for side in (rule.before, rule.after)),
                *(figure(side.bias.model_dump(), signed=True) for side in (rule.before, rule.after)),
            )
            for key, rule in criteria.items()
        ],
    )


def _reliability(key: str, rule: Rule) -> Block:
    """What people said of replies with like values; where nothing is corrected, there is one curve."""
    known: dict[str, Figures] = dict(zip(_SIDES, (rule.before, rule.after), strict=True))
    if rule.method == _UNCHANGED:
        known = {"as it is": rule.before}
    drawn = {name: [(one.predicted, one.observed, one.n) for one in side.bins] for name, side in known.items()}
    beside = table(
        f"Reliability of {key}, as a table",
        ("", "the judge's value", "what people said", "n"),
        [(name, number(at), number(said), n) for name, points in drawn.items() for at, said, n in points],
        closed=True,
    )
    return lines(
        f"Reliability of {key}", drawn, beside=beside, x="the judge's value", y="what people said", diagonal=True
    )
