"""JSON files that kardia writes and reads back, such as the artifacts of `kardia fit` and `kardia calibrate`. Pure.

They are data, and nothing else: under `kardia` the format's name, and no key that the format does not have.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, StrictStr, ValidationError

__all__ = ["Data", "Digest", "Fraction", "Malformed", "Name", "parse_data", "validated"]

T = TypeVar("T")

Name = Annotated[StrictStr, Field(min_length=1, max_length=400)]
Digest = Annotated[StrictStr, Field(pattern=r"^sha256:[0-9a-f]{64}$")]
Fraction = Annotated[float, Field(ge=0, le=1)]


class Malformed(ValueError):
    """A text that is no file of its format; the message says where and why."""


class Data(BaseModel):
    """Plain data without further keys, of exactly the types that are named, which nobody changes."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, allow_inf_nan=False, use_attribute_docstrings=True
    )


def parse_data(text: str, form: str, what: str) -> dict[str, Any]:
    """The JSON object of a file, whose `kardia` names the format.

    Args:
        text: the file's.
        form: the format's name, such as `calibration/1`.
        what: what the file should be, for messages: "calibration".

    Raises:
        Malformed: with the line where the text is not JSON; where it is of another format, or of none.
    """
    try:
        data = json.loads(text, parse_constant=_no_constant)
    except json.JSONDecodeError as problem:
        raise Malformed(f"line {problem.lineno}: is not JSON ({problem.msg})") from None
    except (ValueError, RecursionError) as problem:
        raise Malformed(f"is not JSON ({problem})") from None
    if not isinstance(data, dict) or data.get("kardia") != form:
        said = data.get("kardia") if isinstance(data, dict) else None
        hint = f'its "kardia" is {said!r}' if said is not None else 'it has no "kardia"'
        raise Malformed(f"is no {what} that this kardia can read: {hint}; expected {form!r}")
    return data


def validated(read: Callable[[dict[str, Any]], T], data: dict[str, Any], tags: int = 0) -> T:
    """What a model makes of the data.

    Args:
        read: the model's validation.
        data: as `parse_data` gives it.
        tags: how many names pydantic puts before the first key: 1 where the whole is a union told apart by its kind.

    Raises:
        Malformed: with the key.
    """
    try:
        return read(data)
    except ValidationError as problem:
        first = problem.errors(include_url=False, include_input=False)[0]
        key = ".".join(str(part) for part in first["loc"][tags:])
        message = str(first["msg"]).removeprefix("Value error, ")
        message = message[0].lower() + message[1:]
        raise Malformed(f"{key}: {message}" if key else message) from None


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no number")
