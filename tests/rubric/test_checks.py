"""What one key says about another: each fault with its path."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from kardia.rubric.checks import criterion_faults, file_faults, on_scale, scale_text
from kardia.rubric.models import Criterion, RubricFile
from kardia.schema_errors import dotted

from .helpers import BASE, Data, changed, rubric


def faults(change: Callable[[Data], Any], included: Any = None, items: Any = None) -> list[tuple[str, str]]:
    file = RubricFile.model_validate(changed(change, BASE))
    return [(dotted(path), message) for path, message in file_faults(file, included or {}, items or {})]


def test_the_base_is_sound() -> None:
    assert faults(lambda d: None) == []


def crit(number: int, **values: Any) -> Callable[[Data], Any]:
    return lambda d: d["criteria"][number].update(values)


def rule(**values: Any) -> Callable[[Data], Any]:
    return lambda d: d.update(aggregate=values)


TABLE: list[tuple[Callable[[Data], Any], str, str]] = [
    (crit(0, good="yes"), "criteria.0.good", "must be high or low on this scale, not 'yes'"),
    (crit(1, good="high"), "criteria.1.good", "must be yes or no on this scale, not 'high'"),
    (crit(2, good="high"), "criteria.2.good", "does not belong to a choice scale"),
    (lambda d: d["criteria"][1]["scale"]["levels"].pop("no"), "criteria.1.scale.levels", "only one of no and yes"),
    (crit(1, required={"at_least": 1}), "criteria.1.required.at_least", "belongs to an ordinal scale"),
    (crit(0, required={"at_most": 2}), "criteria.0.required.at_most", "use at_least"),
    (crit(0, good="low", required={"at_least": 2}), "criteria.0.required.at_least", "use at_most"),
    (crit(0, required={"at_least": 9}), "criteria.0.required.at_least", "not on the scale (1, 2, 3)"),
    (crit(1, id="tone"), "criteria.2.id", "'tone' is used twice"),
    (crit(0, id="reply"), "criteria.0.id", "a word of the rubric format"),
    (crit(2, only_if_levels={}), "criteria.2.only_if_levels", "names no criterion"),
    (crit(2, only_if_levels=[{"takes_up": 1}, {}]), "criteria.2.only_if_levels.1", "names no criterion"),
    (crit(2, only_if_levels={"takes_up": []}), "criteria.2.only_if_levels.takes_up", "lists no level"),
    (crit(2, only_if_levels={"nobody": 1}), "criteria.2.only_if_levels.nobody", "there is no criterion 'nobody'"),
    (crit(2, only_if_levels={"takes_up": 7}), "criteria.2.only_if_levels.takes_up", "7 is not on the scale"),
    (crit(2, only_if_levels={"tone": "warm"}), "criteria.2.only_if_levels", "depends on itself"),
    (crit(2, only_if={"emotion": []}), "criteria.2.only_if.emotion", "lists no value"),
    (rule(saturation={"x": {"above": 0, "slope": 1}}), "aggregate.saturation.x", "there is no item 'x'"),
    (
        rule(interactions=[{"when": {"x": {"at_least": 0}, "tone": {"at_most": 1}}, "add": 0}]),
        "aggregate.interactions.0.when.x",
        "there are: blames, takes_up, tone",
    ),
    (
        rule(interactions=[{"when": {"blames": {}, "tone": {"at_most": 1}}, "add": 0}]),
        "aggregate.interactions.0.when.blames",
        "wants `at_least`",
    ),
    (
        rule(interactions=[{"when": {"blames": {"at_least": 0.6, "at_most": 0.5}, "tone": {"at_most": 1}}, "add": 0}]),
        "aggregate.interactions.0.when.blames",
        "can never hold",
    ),
    (lambda d: d["examples"][0]["levels"].update(nobody=1), "examples.0.levels.nobody", "there is no criterion"),
    (lambda d: d["examples"][0]["levels"].update(takes_up=4), "examples.0.levels.takes_up", "4 is not on the scale"),
    (lambda d: d["examples"][0]["levels"].update(takes_up="3"), "examples.0.levels.takes_up", "'3' is not on"),
    (lambda d: d["examples"][0]["levels"].update(takes_up="not relevant"), "examples.0.levels.takes_up", "not on"),
]


@pytest.mark.parametrize(("change", "path", "message"), TABLE)
def test_one_fault(change: Callable[[Data], Any], path: str, message: str) -> None:
    found = [fault for fault in faults(change) if fault[0] == path]
    assert len(found) == 1
    assert message in found[0][1]


def test_not_relevant_is_a_level_where_it_is_allowed() -> None:
    assert faults(lambda d: d["examples"][0]["levels"].update(blames="not relevant")) == []
    assert faults(crit(2, only_if_levels={"blames": "not relevant"})) == []


def test_circles_of_conditions() -> None:
    def circle(data: Data) -> None:
        data["criteria"][0]["only_if_levels"] = {"tone": "warm"}

    assert {path for path, _ in faults(circle)} == {"criteria.0.only_if_levels", "criteria.2.only_if_levels"}

    def tail(data: Data) -> None:  # a criterion that leads into a circle is not in it
        circle(data)
        data["criteria"][1]["only_if_levels"] = {"tone": "warm", "takes_up": 1}

    assert {path for path, _ in faults(tail)} == {"criteria.0.only_if_levels", "criteria.2.only_if_levels"}


def test_the_conversation_is_judged_as_a_whole() -> None:
    def whole(data: Data) -> None:
        data["target"] = "conversation"
        data["criteria"][0]["reads"] = "conversation"
        data["criteria"][1]["reads"] = "reply"

    assert [path for path, _ in faults(whole)] == ["criteria.1.reads"]


def test_nothing_to_judge_and_nothing_to_average() -> None:
    def empty(data: Data) -> None:
        data["criteria"] = []
        data["examples"] = []

    assert faults(empty) == [("", "has neither criteria nor includes: there is nothing to judge")]
    assert [path for path, _ in faults(empty, items={"inner": 0.0})] == ["include"]

    def weightless(data: Data) -> None:
        for criterion in data["criteria"]:
            criterion["weight"] = 0

    assert [path for path, _ in faults(weightless)] == ["criteria"]
    assert faults(weightless, items={"inner": 1.0}) == []


def test_included_criteria_may_be_named() -> None:
    inner = {
        "inner.safe": Criterion.model_validate(
            {"id": "inner.safe".replace(".", "_"), "question": "Safe?", "scale": {"type": "binary"}}
        )
    }
    found = faults(crit(2, only_if_levels={"inner.safe": "yes"}), inner, {"inner": 1.0})
    assert found == []
    found = faults(crit(2, only_if_levels={"inner.safe": "maybe"}), inner, {"inner": 1.0})
    assert [path for path, _ in found] == ["criteria.2.only_if_levels.inner.safe"]
    assert faults(crit(0, id="inner"), {}, {"inner": 1.0})[0][1].startswith("'inner' is used twice")


def test_levels_and_their_types() -> None:
    ordinal, binary, _ = rubric().file.criteria
    assert on_scale(ordinal, 1)
    assert not on_scale(ordinal, True)
    assert not on_scale(ordinal, "1")
    assert not on_scale(ordinal, 1.0)
    assert on_scale(binary, "no")
    assert scale_text(binary) == "no, yes"
    assert list(criterion_faults(ordinal, ())) == []
