"""The published schema is current, takes what the loader takes, and refuses what it refuses."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from kardia.content import shipped
from kardia.rubric.models import RubricFile
from kardia.rubric.new import new_rubric
from kardia.rubric.schema import SCHEMA_NAME, rubric_schema, schema_text
from kardia.yamlfile import load_yaml

from .helpers import BASE, Data, changed

SCHEMA = rubric_schema()
VALIDATOR = Draft202012Validator(SCHEMA)


def as_json(value: Any) -> Any:
    """Whole-number keys as JSON has them."""
    if isinstance(value, dict):
        return {str(key): as_json(item) for key, item in value.items()}
    return [as_json(item) for item in value] if isinstance(value, list) else value


def accepts(data: Data) -> bool:
    return bool(VALIDATOR.is_valid(as_json(data)))


def test_the_published_file_is_current() -> None:
    text = (shipped("rubrics") / SCHEMA_NAME).read_text(encoding="utf-8")
    assert text == schema_text(), (
        "write rubrics/rubric.schema.json anew: kardia rubric schema > rubrics/rubric.schema.json"
    )


def test_it_is_a_schema() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    assert SCHEMA["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert {"$id", "title", "description"} <= set(SCHEMA)


def test_every_key_of_an_author_is_explained() -> None:
    for name in ("Criterion", "Example", "Include", "Required", "Interaction"):
        for key, part in SCHEMA["$defs"][name]["properties"].items():
            assert "description" in part or "$ref" in part, f"{name}.{key}"
    for key, part in SCHEMA["properties"].items():
        assert "description" in part or "$ref" in part, key


@pytest.mark.parametrize("path", sorted(shipped("rubrics").glob("*/*.yaml")), ids=lambda path: path.parent.name)
def test_shipped_rubrics_validate(path: Path) -> None:
    assert [error.message for error in VALIDATOR.iter_errors(as_json(load_yaml(path).data))] == []


def test_the_starter_validates(tmp_path: Path) -> None:
    assert accepts(load_yaml(new_rubric("calm", tmp_path)).data)


def scale(data: Data, number: int = 0) -> Data:
    return data["criteria"][number]["scale"]


GOOD: list[Callable[[Data], Any]] = [
    lambda d: None,
    lambda d: scale(d).update(type="ordinal"),
    lambda d: scale(d)["levels"].update({-1: "Lower."}),
    lambda d: scale(d, 1).pop("levels"),
    lambda d: d["criteria"][2].update(only_if={"emotion": "grief"}),
    lambda d: d["criteria"][2].update(only_if_levels={"takes_up": 3}),
    lambda d: d["criteria"][2].update(only_if_levels=[{"takes_up": 3}, {"takes_up": [1]}]),
    lambda d: d["metadata"].update(situation=None),
    lambda d: d.update(include=[{"rubric": "safety@^1", "as": "safety", "weight": 1}]),
    lambda d: d.update(aggregate={"shaping": {"points": [[0, 0], [1, 1]]}}),
]
BAD: list[Callable[[Data], Any]] = [
    lambda d: d.update(titel="x"),
    lambda d: d.pop("name"),
    lambda d: d.update(name="Not A Name"),
    lambda d: d.update(version="1.0"),
    lambda d: d.update(title=" "),
    lambda d: d.update(target="both"),
    lambda d: d["criteria"][0].update(wieght=1),
    lambda d: d["criteria"][0].update(weight=-1),
    lambda d: d["criteria"][0].update(weight="2"),
    lambda d: d["criteria"][0].update(id="a.b"),
    lambda d: d["criteria"][0].update(question={"a": "b"}),
    lambda d: d["criteria"][0].update(good="best"),
    lambda d: d["criteria"][0].pop("scale"),
    lambda d: scale(d).update(type="binary"),
    lambda d: scale(d).update(type="other"),
    lambda d: scale(d).update(options={"a": 1, "b": 0}),
    lambda d: scale(d)["levels"].update(high="x"),
    lambda d: scale(d)["levels"].update({2: None}),
    lambda d: d["criteria"][0].update(scale={"levels": {1: "one"}}),
    lambda d: scale(d, 1)["levels"].update(maybe="x"),
    lambda d: scale(d, 2)["options"].update(warm=2),
    lambda d: scale(d, 2)["options"].update(warm={"description": "x"}),
    lambda d: scale(d, 2).pop("options"),
    lambda d: d["criteria"][1].update(required={"else_score": 2}),
    lambda d: d["criteria"][2].update(only_if={"emotion": {"a": 1}}),
    lambda d: d["examples"][0].pop("levels"),
    lambda d: d["examples"][0].update(label=1),
    lambda d: d["examples"][1]["context"][0].update(role="friend"),
    lambda d: d.update(aggregate={"method": "mode"}),
    lambda d: d.update(include=[{"rubrik": "safety"}]),
]


@pytest.mark.parametrize("change", GOOD)
def test_it_takes_what_the_loader_takes(change: Callable[[Data], Any]) -> None:
    data = changed(change, BASE)
    RubricFile.model_validate(data)
    assert accepts(data)


@pytest.mark.parametrize("change", BAD)
def test_it_refuses_what_the_loader_refuses(change: Callable[[Data], Any]) -> None:
    data = changed(change, BASE)
    with pytest.raises(ValueError, match="validation error"):
        RubricFile.model_validate(data)
    assert not accepts(data)


def test_an_empty_text_is_marked_in_the_editor() -> None:
    data = changed(lambda d: d.update(description=None))
    RubricFile.model_validate(data)
    assert not accepts(data)
