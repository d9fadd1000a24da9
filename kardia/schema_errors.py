"""pydantic's findings as one sentence with file, line and key."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from typing import Any

from pydantic import BaseModel, ValidationError

from kardia.errors import InputError
from kardia.yamlfile import Document, YamlPath

__all__ = ["dotted", "faults_of", "raise_first"]

Fault = tuple[YamlPath, str]


def dotted(path: YamlPath) -> str:
    """`("criteria", 0, "scale")` → `criteria.0.scale`."""
    return ".".join(str(part) for part in path)


def faults_of(error: ValidationError, data: Any, known: Iterable[str] = ()) -> list[Fault]:
    """Each finding as (path in the data, sentence).

    Args:
        error: what pydantic found.
        data: what it was given: union tags, which pydantic puts into its locations, are dropped by walking it.
        known: names of keys, for "did you mean".
    """
    names = sorted(set(known))
    found: list[Fault] = []
    for item in error.errors(include_url=False):
        path = _walk(item["loc"], data)
        found.append((path, _sentence(item, path, names)))
    return found


def raise_first(faults: Sequence[Fault], document: Document, kind: type[InputError]) -> None:
    """Raises the first fault, in the file's order, with its place; does nothing where there is none."""
    if not faults:
        return
    ordered = sorted(faults, key=lambda fault: document.line(fault[0]) or 0)
    path, message = ordered[0]
    if len(faults) > 1:
        message += f" (and {len(faults) - 1} more)"
    raise kind(message, file=document.file, line=document.line(path), key=dotted(path) or None)


def model_keys(model: type[BaseModel]) -> set[str]:
    """Every key that a model and the models inside it take."""
    schema = model.model_json_schema()
    keys = set(schema.get("properties", {}))
    for part in schema.get("$defs", {}).values():
        keys |= set(part.get("properties", {}))
    return keys


def _walk(loc: tuple[int | str, ...], data: Any) -> YamlPath:
    path: list[int | str] = []
    here = data
    for position, part in enumerate(loc):
        last = position == len(loc) - 1
        if isinstance(here, dict):
            key = _key(here, part)
            if key is not None:
                path.append(key)
                here = here[key]
            elif last and part != "[key]":
                path.append(part)  # a missing key: named, though it has no line of its own
        elif isinstance(here, list) and isinstance(part, int) and part < len(here):
            path.append(part)
            here = here[part]
    return tuple(path)


def _key(mapping: dict[Any, Any], part: int | str) -> int | str | None:
    for key in mapping:
        if key == part or str(key) == str(part):
            return key  # type: ignore[no-any-return]
    return None


def _sentence(item: Any, path: YamlPath, names: list[str]) -> str:
    kind = item["type"]
    given = item.get("input")
    if kind == "extra_forbidden":
        close = _closest(str(path[-1]) if path else "", names)
        hint = f"; did you mean {close!r}?" if close else ""
        return f"is not a key that belongs here{hint}"
    if kind == "missing":
        return "is missing"
    if given is None and kind != "value_error":
        return "has no value (is the text cut off, or commented out by ` #`?)"
    if kind == "value_error":
        return str(item["msg"]).removeprefix("Value error, ")
    if kind == "union_tag_invalid":
        return f"has the type {_short(given)}; expected ordinal, binary or choice"
    if kind == "string_pattern_mismatch":
        return _pattern(path, given)
    message = str(item["msg"])
    return f"{message[0].lower()}{message[1:]}, not {_short(given)}"


def _closest(given: str, names: list[str]) -> str | None:
    """The key that was probably meant: the same letters in another order, else the likest."""
    close = difflib.get_close_matches(given, names, n=5)
    swapped = [name for name in close if sorted(name) == sorted(given)]
    return next(iter(swapped or close), None)


def _pattern(path: YamlPath, given: Any) -> str:
    key = path[-1] if path else ""
    if key == "version":
        return f"must be a semantic version such as 1.0.0 or 1.1.0-draft.1, not {_short(given)}"
    if key == "name":
        return f"must be lower-case letters, digits, - and _, not {_short(given)}"
    if key in ("id", "as", "reads"):
        return f"must be a letter, then letters, digits, _ and -, not {_short(given)}"
    return f"must not be empty, not {_short(given)}"


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "…"
