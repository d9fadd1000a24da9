"""JSON as rows need it: strict, and an array of any length read element by element."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, NamedTuple, TextIO

from kardia.fastjson import UNSURE, read_json

__all__ = ["MAX_ROW", "Element", "JsonFault", "array_elements", "is_utf8", "parse_json"]

MAX_ROW = 64 * 1024 * 1024
"""Characters in one row; a file whose rows have no end must not fill the memory."""

NOT_UTF8 = "is not UTF-8 text; save it as UTF-8"

_CHUNK = 256 * 1024
_SPACE = re.compile(r"[ \t\n\r]*")
_MARK = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"|["{}\[\],]', re.DOTALL)


class JsonFault(ValueError):
    """Why a text is not a JSON value, as a sentence that follows on "the row"; `line` counts from 1 within the text."""

    def __init__(self, message: str, line: int = 1) -> None:
        super().__init__(message)
        self.line = line


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise JsonFault(f"has the key {key!a} twice in one object")
            seen.add(key)
    return result


def _constant(name: str) -> Any:
    raise JsonFault(f"holds {name}, which is not JSON; write null or a number")


_DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_constant)


def parse_json(text: str) -> Any:
    """One JSON value. Refuses what JSON does not have (NaN, Infinity) and keys that stand twice in one object.

    Raises:
        JsonFault: with the reason, and the line of it.
    """
    value = read_json(text)
    if value is not UNSURE:
        return value
    try:
        return _DECODER.decode(text)
    except json.JSONDecodeError as problem:
        message = f"{problem.msg[0].lower()}{problem.msg[1:]}".removesuffix(" at").removesuffix(" starting")
        raise JsonFault(f"is not JSON: {message}, at character {problem.colno}", problem.lineno) from None
    except JsonFault:
        raise
    except RecursionError:
        raise JsonFault("is nested too deeply") from None
    except ValueError as problem:  # an integer beyond Python's limit on digits
        raise JsonFault(f"cannot be read: {problem}") from None


def is_utf8(text: str) -> bool:
    """Whether text can be written as UTF-8; of text decoded with `surrogateescape`: whether it was UTF-8 throughout."""
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


class Element(NamedTuple):
    """One element of an array: the line it begins in, its number from 1, and its value or what is wrong with it."""

    line: int
    number: int
    value: Any
    fault: str | None


def array_elements(text: TextIO) -> Iterator[Element]:
    """The elements of the JSON array in `text` (decoded with `surrogateescape`), one at a time.

    A malformed element is a fault of its own, and reading goes on after the comma that ends it. Memory: one element, at
    most `MAX_ROW` characters, and a chunk.
    """
    return _Array(text).elements()


class _Array:
    def __init__(self, text: TextIO) -> None:
        self.text = text
        self.buffer = ""
        self.pos = 0
        self.line = 1
        self.ended = False
        self.dirty = False  # whether bytes that are not UTF-8 came by; only then is every element looked at

    def elements(self) -> Iterator[Element]:
        self.next_mark()
        self.pos += 1  # the opening bracket, which the caller has seen
        number = 1
        if self.next_mark() == "]":
            self.pos += 1
        else:
            closing = ","
            while closing == ",":
                self.next_mark()
                line = self.line
                value, fault, ends = self.element()
                yield Element(line + ends, number, value, fault)
                if self.pos >= len(self.buffer):
                    return  # nothing can be found after an element without an end
                number += 1
                closing = self.buffer[self.pos]
                self.pos += 1
        if self.next_mark():
            yield Element(self.line, number, None, "stands after the end of the array")

    def more(self) -> bool:
        """Reads on, in steps that double with what is waiting, so that a long element is not scanned too often."""
        rest = self.buffer[self.pos :]
        chunk = self.text.read(max(_CHUNK, len(rest)))
        self.ended = not chunk
        self.dirty = self.dirty or not is_utf8(chunk)
        self.buffer, self.pos = rest + chunk, 0
        return not self.ended

    def advance(self, end: int) -> None:
        self.line += self.buffer.count("\n", self.pos, end)
        self.pos = end

    def next_mark(self) -> str:
        """The next character that is not white space; an empty string at the end of the file."""
        while True:
            self.advance(_SPACE.match(self.buffer, self.pos).end())  # type: ignore[union-attr]  # matches an empty text
            if self.pos < len(self.buffer):
                return self.buffer[self.pos]
            if not self.more():
                return ""

    def element(self) -> tuple[Any, str | None, int]:
        """Value, fault, and the line of the fault within the element; leaves `pos` at the comma or bracket after it."""
        while True:
            start = self.pos
            try:
                value, end = _DECODER.raw_decode(self.buffer, start)
            except (ValueError, RecursionError):
                pass  # cut off by the buffer's end, or malformed: the scan below tells
            else:
                end = _SPACE.match(self.buffer, end).end()  # type: ignore[union-attr]
                if self.buffer[end : end + 1] in (",", "]"):
                    self.advance(end)
                    if self.dirty and not is_utf8(self.buffer[start:end]):
                        return None, NOT_UTF8, 0
                    return value, None, 0
            found = self.scan()
            if found is not None:
                piece = self.buffer[start:found]
                self.advance(found)
                return self.parse(piece)
            if len(self.buffer) - start > MAX_ROW:
                self.pos = len(self.buffer)
                return None, f"does not end within {MAX_ROW:,} characters", 0
            if not self.more():
                self.pos = len(self.buffer)
                return None, "does not end: the file stops inside the array (is it cut off?)", 0

    def parse(self, piece: str) -> tuple[Any, str | None, int]:
        if not piece.strip():
            return None, "is empty: there is a comma too many", 0
        if not is_utf8(piece):
            return None, NOT_UTF8, 0
        try:
            return parse_json(piece), None, 0
        except JsonFault as problem:
            return None, str(problem), problem.line - 1

    def scan(self) -> int | None:
        """Where the element at `pos` ends: the comma or bracket after it, or None where the buffer ends first."""
        depth = 0
        for found in _MARK.finditer(self.buffer, self.pos):
            mark = found.group()
            if mark == '"':
                return None  # a string without its end
            if depth == 0 and mark in (",", "]"):
                return found.start()
            if mark in ("{", "["):
                depth += 1
            elif mark in ("}", "]"):
                depth = max(0, depth - 1)
        return None
