"""The JSON Schema of the rubric format: what an editor completes and checks while an author types.

Generated from `kardia.rubric.models`; `rubrics/rubric.schema.json` is its text. What crosses keys (ids that must exist,
levels that must be on a scale) is beyond JSON Schema and is checked when a rubric is loaded.
"""

from __future__ import annotations

import json
from typing import Any

from kardia.rubric.models import RubricFile

__all__ = ["SCHEMA_NAME", "rubric_schema", "schema_text"]

SCHEMA_NAME = "rubric.schema.json"

_TYPES = {"binary": "BinaryScale", "choice": "ChoiceScale"}


def rubric_schema() -> dict[str, Any]:
    """The schema as data, JSON Schema 2020-12.

    A YAML mapping with whole-number keys is an object with digit strings as keys there, so an ordinal scale's levels
    are described by a pattern of keys.
    """
    schema = RubricFile.model_json_schema(by_alias=True)
    definitions = schema["$defs"]
    levels = definitions["OrdinalScale"]["properties"]["levels"]
    levels["patternProperties"] = {r"^[-+]?\d+$": levels.pop("additionalProperties")}
    levels["additionalProperties"] = False
    criterion = definitions["Criterion"]["properties"]
    criterion["scale"] = _scale(criterion["scale"].get("description"))
    _let_scalars_stand_for_lists(criterion["only_if"])
    _let_scalars_stand_for_lists(criterion["only_if_levels"])
    for definition in (schema, *definitions.values()):
        _drop_null(definition.get("properties", {}))
    _drop_titles(schema)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "urn:kardia:rubric",
        "title": "A kardia rubric",
        **schema,
    }


def schema_text() -> str:
    """The schema as the text of `rubrics/rubric.schema.json`."""
    return json.dumps(rubric_schema(), indent=2, ensure_ascii=False) + "\n"


def _scale(description: str | None) -> dict[str, Any]:
    # if/then/else rather than oneOf: an editor then names the one fault of the scale that is meant, not those of all
    # three
    chosen: dict[str, Any] = {"$ref": "#/$defs/OrdinalScale"}
    for name, definition in reversed(_TYPES.items()):
        chosen = {
            "if": {"properties": {"type": {"const": name}}, "required": ["type"]},
            "then": {"$ref": f"#/$defs/{definition}"},
            "else": chosen,
        }
    chosen["type"] = "object"
    if description:
        chosen["description"] = description
    return chosen


def _let_scalars_stand_for_lists(schema: dict[str, Any]) -> None:
    """`only_if: {emotion: grief}` means `{emotion: [grief]}`: each map's values may be written either way."""
    for part in [*schema.get("anyOf", []), *(one["items"] for one in schema.get("anyOf", []) if "items" in one)]:
        listed = part.get("additionalProperties")
        if isinstance(listed, dict) and listed.get("type") == "array":
            part["additionalProperties"] = {"anyOf": [listed, listed["items"]]}


def _drop_null(properties: dict[str, Any]) -> None:
    """An optional key is left out, not empty: an editor marks `description:` without a text."""
    for name, part in properties.items():
        if "default" in part and part["default"] is None:
            kept = [one for one in part["anyOf"] if one != {"type": "null"}]
            rest = {key: value for key, value in part.items() if key not in ("anyOf", "default")}
            properties[name] = {**rest, **kept[0]} if len(kept) == 1 else {**rest, "anyOf": kept}


def _drop_titles(node: Any) -> None:
    """pydantic titles every key with its own name; an editor would show it as if it said something."""
    if isinstance(node, dict):
        if isinstance(node.get("title"), str):
            del node["title"]
        for value in node.values():
            _drop_titles(value)
    elif isinstance(node, list):
        for value in node:
            _drop_titles(value)
