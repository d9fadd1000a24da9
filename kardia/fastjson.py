"""JSON by a fast library, only where it is certain that the strict reading of `json` would give the same.

`orjson` keeps the last of two equal keys and turns whole numbers beyond 64 bits into floats; both are found out here.
What it refuses (half surrogate pairs, deep nesting, numbers beyond a float) is left to `json` as well, whose errors say
where and why.
"""

from __future__ import annotations

from typing import Any, Final

import orjson

__all__ = ["UNSURE", "read_json"]

UNSURE: Final = object()
"""What is read where the slower, strict way has to decide."""

_HUGE = 2.0**63
_MANY = 500
"""Containers in one value: with no more, it is not nested too deeply for `json` either."""


def read_json(text: str) -> Any:
    """The value of one JSON text, with each key once in its object and exact whole numbers; else `UNSURE`.

    Whether a key stands twice is counted: a text has one colon for each key, twins included, and the colons in its
    strings. Where that is just what the value has that was read, nothing was dropped.
    """
    try:
        value = orjson.loads(text)
    except ValueError:
        return UNSURE
    if type(value) is not dict and type(value) is not list:
        return value if type(value) is not float or -_HUGE < value < _HUGE else UNSURE
    keys = 0
    waiting = [value]
    for item in waiting:  # grows as it goes
        if type(item) is dict:
            keys += len(item)
        for inner in item.values() if type(item) is dict else item:
            kind = type(inner)
            if kind is str:
                continue
            if kind is dict or kind is list:
                waiting.append(inner)
            elif kind is float and not -_HUGE < inner < _HUGE:
                return UNSURE  # it may have been a whole number
    if len(waiting) > _MANY:
        return UNSURE
    colons = text.count(":")
    if colons == keys:
        return value
    if "\\" in text and "\\u003" in text:
        return UNSURE  # a colon may be spelt by its code: `text` does not have it, the value has
    try:
        written = orjson.dumps(value)
    except TypeError:  # it writes less deeply than it reads
        return UNSURE
    return value if written.count(b":") == colons else UNSURE
