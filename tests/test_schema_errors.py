"""pydantic's findings become one sentence with a path in the author's own data."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from kardia.errors import RubricError
from kardia.rubric.loading import rubric_keys
from kardia.rubric.models import RubricFile
from kardia.schema_errors import dotted, faults_of, model_keys, raise_first
from kardia.yamlfile import parse_yaml

TEXT = """\
name: base
version: 1.0.0
title: Base
criteria:
  - id: tone
    question: Which tone?
    scale: {type: choice, options: {warm: {value: 1}, cold: 0}}
  - id: follows
    question: How far does it follow?
    scale: {levels: {1: Not., 2: It does.}}
    only_if_levels: {tone: [warm]}
examples:
  - {context: [{role: user, content: Hello}], reply: Hi, levels: {tone: warm}}
"""


def faults(*swaps: tuple[str, str]) -> list[tuple[str, str]]:
    text = TEXT
    for old, new in swaps:
        assert old in text
        text = text.replace(old, new)
    data = parse_yaml(text).data
    with pytest.raises(ValidationError) as caught:
        RubricFile.model_validate(data)
    return [(dotted(path), message) for path, message in faults_of(caught.value, data, rubric_keys())]


def test_the_base_is_sound() -> None:
    RubricFile.model_validate(parse_yaml(TEXT).data)


TABLE = [
    ("title: Base", "titel: Base", "titel", "is not a key that belongs here; did you mean 'title'?"),
    ("title: Base", "title: Base\nqqqqq: 1", "qqqqq", "is not a key that belongs here"),
    ("title: Base\n", "", "title", "is missing"),
    ("title: Base", "title:", "title", "has no value (is the text cut off, or commented out by ` #`?)"),
    ("title: Base", "title: ' '", "title", "must not be empty, not ' '"),
    ("title: Base", "title: 7", "title", "input should be a valid string, not 7"),
    ("version: 1.0.0", "version: 1.0", "version", "input should be a valid string, not 1.0"),
    ("version: 1.0.0", "version: '1'", "version", "must be a semantic version such as 1.0.0 or 1.1.0-draft.1, not '1'"),
    ("name: base", "name: My Base", "name", "must be lower-case letters, digits, - and _, not 'My Base'"),
    ("id: tone", "id: 1 tone", "criteria.0.id", "must be a letter, then letters, digits, _ and -, not '1 tone'"),
    ("type: choice", "type: scala", "criteria.0.scale", "has the type {"),
    (
        "{value: 1}",
        "{value: 2}",
        "criteria.0.scale.options.warm.value",
        "input should be less than or equal to 1, not 2",
    ),
    ("cold: 0", "cold: lots", "criteria.0.scale.options.cold", "input should be a valid"),
    ("cold: 0", "not relevant: 0", "criteria.0.scale.options", "'not relevant' is allowed by the criterion's"),
    ("1: Not.", "1: ", "criteria.1.scale.levels.1", "has no value"),
    ("1: Not.", "low: Not.", "criteria.1.scale.levels.low", "input should be a valid integer, not 'low'"),
    ("1: Not., ", "", "criteria.1.scale.levels", "at least 2 items"),
    ("role: user", "role: friend", "examples.0.context.0.role", "input should be 'system', 'developer'"),
    ("reply: Hi", "reply: [Hi]", "examples.0.reply", "input should be a valid string, not ['Hi']"),
    ("levels: {tone: warm}", "levels: {}", "examples.0.levels", "at least 1 item"),
    ("levels: {tone: warm}", "levels: {tone: 1.5}", "examples.0.levels.tone", "input should be a valid"),
]


@pytest.mark.parametrize(("old", "new", "path", "message"), TABLE)
def test_sentences(old: str, new: str, path: str, message: str) -> None:
    found = faults((old, new))
    assert path in [where for where, _ in found]
    assert any(where == path and message in text for where, text in found), found
    assert not any("\n" in text or "pydantic" in text or "http" in text for _, text in found)


def test_long_values_are_cut() -> None:
    ((_, message),) = faults(("reply: Hi", f"reply: [{'x' * 200}]"))
    assert message.endswith("…")
    assert len(message) < 110


def raised(text: str) -> RubricError:
    document = parse_yaml(text, "base.yaml")
    try:
        RubricFile.model_validate(document.data)
    except ValidationError as problem:
        with pytest.raises(RubricError) as caught:
            raise_first(faults_of(problem, document.data, rubric_keys()), document, RubricError)
        return caught.value
    raise AssertionError("the text is valid")


def test_the_first_in_the_file_is_raised_with_its_place() -> None:
    problem = raised(TEXT.replace("reply: Hi", "rely: Hi").replace("id: follows", "idd: follows"))
    assert str(problem).startswith("base.yaml:8: criteria.1")
    assert "(and 3 more)" in str(problem)
    assert raised(TEXT.replace("1: Not.", "1: 5")).line == 10


def test_no_fault_raises_nothing() -> None:
    raise_first([], parse_yaml("a: b"), RubricError)


def test_a_fault_of_the_whole_file_has_no_key() -> None:
    with pytest.raises(RubricError) as caught:
        raise_first([((), "is empty of sense")], parse_yaml("# note\na: b", "x.yaml"), RubricError)
    assert (caught.value.line, caught.value.key) == (2, None)


def test_the_keys_of_a_model() -> None:
    keys = model_keys(RubricFile)
    assert {"title", "criteria", "else_score", "as", "levels", "at_least", "slope", "role"} <= keys
    assert "as_" not in keys


def test_data_of_the_wrong_shape_altogether() -> None:
    data: Any = {
        "name": "a",
        "version": "1.0.0",
        "title": "A",
        "criteria": {"id": "x"},
        "examples": "none",
        "include": [3],
    }
    with pytest.raises(ValidationError) as caught:
        RubricFile.model_validate(data)
    found = {dotted(path): message for path, message in faults_of(caught.value, data)}
    assert set(found) == {"criteria", "examples", "include.0"}
    assert found["examples"] == "input should be a valid list, not 'none'"
