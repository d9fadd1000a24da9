"""`--set key.path=value`: single keys of a profile, a reward or a recipe, set from outside its file. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kardia.errors import ProfileError, YamlError
from kardia.yamlfile import parse_scalar

__all__ = ["apply_overrides", "has_place"]


def apply_overrides(data: dict[str, Any], overrides: Sequence[str]) -> dict[str, Any]:
    """The data with `a.b=value` items set; the input is left as it is."""
    result = dict(data)
    for item in overrides:
        key, equals, text = item.partition("=")
        steps = key.split(".")
        if not equals or not all(steps):
            raise ProfileError(f"{item!r} is not of the form key=value, such as sampling.temperature=1", file="--set")
        here: Any = result
        for step in steps[:-1]:
            place = _place(here, step, key)
            inner = here[place] if has_place(here, place) else None
            if inner is not None and not isinstance(inner, (dict, list)):
                raise ProfileError(f"{step!r} is a value, not a group of keys", file="--set", key=key)
            here[place] = list(inner) if isinstance(inner, list) else dict(inner or {})
            here = here[place]
        try:
            here[_place(here, steps[-1], key)] = parse_scalar(text)
        except YamlError as problem:
            raise ProfileError(problem.message, file="--set", key=key) from None
    return result


def _place(group: dict[str, Any] | list[Any], step: str, key: str) -> str | int:
    """A step of an override's key: a key, or a place in a list, from 0."""
    if isinstance(group, dict):
        return step
    if step.isdecimal() and int(step) < len(group):
        return int(step)
    raise ProfileError(f"{step!r} is no place in a list of {len(group)}, counted from 0", file="--set", key=key)


def has_place(group: Any, step: str | int) -> bool:
    """Whether there is something at a step of a key: under a key, or in a list."""
    return step in group if isinstance(group, dict) else isinstance(group, list) and isinstance(step, int)
