"""What a rubric file may hold, and what its levels are worth."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from kardia.rubric.models import BinaryScale, ChoiceScale, Criterion, OrdinalScale, RubricFile, Shaping

from .helpers import BASE, Data, changed


def criterion(**values: Any) -> Criterion:
    return Criterion.model_validate({"id": "a", "question": "What?", "scale": {"levels": {1: "x", 5: "y"}}, **values})


BINARY = {"type": "binary"}
CHOICE = {"type": "choice", "options": {"warm": 1, "plain": {"value": 0.5, "description": "Neither."}, "cold": 0}}


def test_an_ordinal_scale_runs_through_every_whole_number() -> None:
    one = criterion()
    assert one.levels == (1, 2, 3, 4, 5)
    assert [one.value(level) for level in one.levels] == [0.0, 0.25, 0.5, 0.75, 1.0]
    assert one.scale.describe(1) == "x"
    assert one.scale.describe(2) is None
    assert one.scale.describe("1") is None
    assert criterion(good="low").value(1) == 1.0
    assert one.good_end == "high"


def test_levels_are_sorted() -> None:
    scale = OrdinalScale.model_validate({"levels": {5: "b", -1: "a"}})
    assert list(scale.levels) == [-1, 5]


def test_a_binary_scale() -> None:
    one = criterion(scale=BINARY)
    assert one.levels == ("no", "yes")
    assert one.good_end == "yes"
    assert (one.value("no"), one.value("yes")) == (0.0, 1.0)
    assert criterion(scale=BINARY, good="no").value("no") == 1.0
    described = BinaryScale.model_validate({"type": "binary", "levels": {"no": "n", "yes": "y"}})
    assert (described.describe("no"), described.describe("maybe")) == ("n", None)


def test_a_choice_scale() -> None:
    one = criterion(scale=CHOICE)
    assert one.levels == ("warm", "plain", "cold")
    assert one.good_end is None
    assert [one.value(level) for level in one.levels] == [1.0, 0.5, 0.0]
    assert isinstance(one.scale, ChoiceScale)
    assert (one.scale.describe("plain"), one.scale.describe("warm"), one.scale.describe("x")) == (
        "Neither.",
        None,
        None,
    )


@pytest.mark.parametrize(("scale", "level"), [({}, 6), ({}, True), ({}, "1"), (BINARY, True), (CHOICE, "hot")])
def test_no_value_off_the_scale(scale: dict[str, Any], level: Any) -> None:
    with pytest.raises(KeyError):
        (criterion(scale=scale) if scale else criterion()).value(level)


@given(st.integers(-50, 50), st.integers(1, 100), st.sampled_from(["high", "low"]))
def test_values_lie_in_the_unit_interval_and_rise_toward_the_good_end(low: int, span: int, good: str) -> None:
    one = criterion(scale={"levels": {low: "x", low + span: "y"}}, good=good)
    values = [one.value(level) for level in one.levels]
    assert min(values) == 0.0
    assert max(values) == 1.0
    assert values == sorted(values, reverse=good == "low")


def test_requirements() -> None:
    assert criterion().holds(1)
    best = criterion(required={})
    assert [best.holds(level) for level in best.levels] == [False, False, False, False, True]
    assert [criterion(required={"at_least": 4}).holds(level) for level in (3, 4)] == [False, True]
    assert [criterion(good="low", required={"at_most": 2}).holds(level) for level in (2, 3)] == [True, False]
    assert [criterion(scale=BINARY, good="no", required={}).holds(level) for level in ("no", "yes")] == [True, False]
    assert [criterion(scale=CHOICE, required={}).holds(level) for level in ("warm", "cold")] == [True, False]


def test_conditions_may_be_written_short() -> None:
    one = criterion(only_if={"emotion": "grief"}, only_if_levels={"b": 3})
    assert one.only_if == {"emotion": ["grief"]}
    assert one.conditions == ({"b": [3]},)
    assert criterion(only_if_levels=[{"b": 1}, {"c": ["no"]}]).conditions == ({"b": [1]}, {"c": ["no"]})
    assert criterion().conditions == ()


def pick(data: Data, number: int) -> Data:
    return data["criteria"][number]


BAD: list[tuple[Callable[[Data], Any], str]] = [
    (lambda d: d.update(extra=1), "extra"),
    (lambda d: pick(d, 0).update(extra=1), "extra"),
    (lambda d: d.update(version="1"), "pattern"),
    (lambda d: d.update(version="01.0.0"), "pattern"),
    (lambda d: d.update(version=1.0), "string"),
    (lambda d: d.update(title="\n "), "pattern"),
    (lambda d: d.update(name="A"), "pattern"),
    (lambda d: pick(d, 0).update(id="1a"), "pattern"),
    (lambda d: pick(d, 0).update(weight=-1), "greater"),
    (lambda d: pick(d, 0).update(weight=float("inf")), "finite"),
    (lambda d: pick(d, 0).update(weight=float("nan")), "finite|greater"),
    (lambda d: pick(d, 0).update(weight="1"), "valid number"),
    (lambda d: pick(d, 0).update(weight=True), "valid number"),
    (lambda d: pick(d, 0)["scale"].update(levels={1: "x"}), "at least 2"),
    (lambda d: pick(d, 0)["scale"].update(levels={"1": "x", "2": "y"}), "integer"),
    (lambda d: pick(d, 0)["scale"].update(levels={0: "x", 101: "y"}), "more than 101"),
    (lambda d: pick(d, 0)["scale"].update(levels={True: "x", 2: "y"}), "integer"),
    (lambda d: pick(d, 0).update(scale="ordinal"), "tag|valid"),
    (lambda d: pick(d, 1)["scale"].update(levels={"maybe": "x"}), "'no' or 'yes'"),
    (lambda d: pick(d, 2)["scale"].update(options={"a": 1}), "at least 2"),
    (lambda d: pick(d, 2)["scale"].update(options={"a": 1, "not relevant": 0}), "not_relevant"),
    (lambda d: pick(d, 2)["scale"].update(options={"a": 1.5, "b": 0}), "less than or equal"),
    (lambda d: pick(d, 1).update(required={"else_score": -0.1}), "greater"),
    (lambda d: d.update(aggregate={"shaping": {}}), "exactly one"),
    (lambda d: d.update(aggregate={"shaping": {"power": 1, "points": [[0, 0], [1, 1]]}}), "exactly one"),
    (lambda d: d.update(aggregate={"shaping": {"power": 0}}), "greater"),
    (lambda d: d.update(aggregate={"interactions": [{"when": {"a": {}}, "add": 0.1}]}), "at least 2"),
    (lambda d: d["examples"][0].update(levels={}), "at least 1"),
    (lambda d: d["examples"][0].update(levels={"a": 1.5}), "integer"),
]


@pytest.mark.parametrize(("change", "message"), BAD)
def test_refused(change: Callable[[Data], Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        RubricFile.model_validate(changed(change, BASE))


@pytest.mark.parametrize(
    ("points", "message"),
    [
        ([[0, 0]], "x = 0 to x = 1"),
        ([[0.1, 0], [1, 1]], "x = 0 to x = 1"),
        ([[0, 0], [0.9, 1]], "x = 0 to x = 1"),
        ([[0, 0], [0.5, 0.1], [0.5, 0.2], [1, 1]], "rising x"),
        ([[0, 0.5], [1, 0.4]], "never fall"),
    ],
)
def test_shapes_refused(points: list[list[float]], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Shaping.model_validate({"points": points})


def test_shapes_taken() -> None:
    assert Shaping.model_validate({"points": [[0, 0], [0.5, 0.5], [1, 0.5]]}).points is not None
    assert Shaping.model_validate({"power": 2.0}).power == 2.0


def test_a_file_is_frozen_and_equal_to_its_copy() -> None:
    file = RubricFile.model_validate(BASE)
    assert file == RubricFile.model_validate(changed())
    with pytest.raises(ValidationError):
        file.name = "x"  # type: ignore[misc]
