"""Strict JSON, and arrays that are read element by element."""

from __future__ import annotations

import io
import json
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kardia.reading import jsontext
from kardia.reading.jsontext import JsonFault, array_elements, is_utf8, parse_json

SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
JSON = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4))


class Dripping(io.StringIO):
    """Gives a few characters a time, so that every value is cut somewhere."""

    def read(self, size: int | None = -1, /) -> str:
        return super().read(3)


def elements(text: str, stream: type[io.StringIO] = io.StringIO) -> list[tuple[int, int, object, str | None]]:
    return [tuple(element) for element in array_elements(stream(text))]


@given(JSON)
def test_reads_what_json_writes(value):
    assert parse_json(json.dumps(value)) == value


@settings(max_examples=200)
@given(st.lists(JSON, max_size=5), st.sampled_from([None, 1]), st.booleans(), st.sampled_from([io.StringIO, Dripping]))
def test_an_array_gives_its_elements_however_it_is_cut(values, indent, ascii_only, stream):
    text = "\n " + json.dumps(values, indent=indent, ensure_ascii=ascii_only) + "\n"
    if not is_utf8(text):
        return
    found = elements(text, stream)
    assert [element[2] for element in found] == values
    assert [element[1] for element in found] == list(range(1, len(values) + 1))
    assert all(element[3] is None for element in found)


@pytest.mark.parametrize(
    ("text", "message", "line"),
    [
        ('{"a": 1, "b": 2, "a": 3}', "has the key 'a' twice in one object", 1),
        ('{"a": NaN}', "holds NaN, which is not JSON; write null or a number", 1),
        ("[-Infinity]", "holds -Infinity, which is not JSON; write null or a number", 1),
        ('{"a": }', "is not JSON: expecting value, at character 7", 1),
        ('{"a":\n"b', "is not JSON: unterminated string, at character 1", 2),
        ("", "is not JSON: expecting value, at character 1", 1),
        ("{} {}", "is not JSON: extra data, at character 4", 1),
        ("[" * 100_000, "is nested too deeply", 1),
        ("9" * 5000, "cannot be read: Exceeds the limit", 1),
    ],
)
def test_what_is_not_json_is_a_sentence(text, message, line):
    with pytest.raises(JsonFault) as caught:
        parse_json(text)
    assert str(caught.value).startswith(message)
    assert caught.value.line == line


def test_numbers_of_many_digits_are_exact():
    assert parse_json("123456789012345678901234567890") == 123456789012345678901234567890


@pytest.mark.parametrize("stream", [io.StringIO, Dripping])
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[]", []),
        (
            '[{"a": 1},\n{"a": }\n, {"a": 3}]',
            [(1, 1, {"a": 1}, None), (2, 2, None, "expecting value"), (3, 3, {"a": 3}, None)],
        ),
        ('[{"a": 1, "a": 2}, 3]', [(1, 1, None, "has the key 'a' twice"), (1, 2, 3, None)]),
        ('[{"a": 1} {"b": [2, "]"]}, 4]', [(1, 1, None, "extra data"), (1, 2, 4, None)]),
        ("[1,,2]", [(1, 1, 1, None), (1, 2, None, "is empty: there is a comma too many"), (1, 3, 2, None)]),
        ("[1,\n]", [(1, 1, 1, None), (2, 2, None, "is empty: there is a comma too many")]),
        ("[1]\n2", [(1, 1, 1, None), (2, 2, None, "stands after the end of the array")]),
        ('[1, {"a": 2', [(1, 1, 1, None), (1, 2, None, "does not end: the file stops inside the array")]),
        ("[1", [(1, 1, None, "does not end")]),
        ("[", [(1, 1, None, "does not end")]),
        ("[1, ", [(1, 1, 1, None), (1, 2, None, "does not end")]),
        ('[{"a":\n\n x}, 1]', [(3, 1, None, "expecting value"), (3, 2, 1, None)]),
        ("[}, 1]", [(1, 1, None, "expecting value"), (1, 2, 1, None)]),
    ],
)
def test_a_malformed_element_does_not_stop_the_reading(text, expected, stream):
    found = elements(text, stream)
    assert [(line, number, value) for line, number, value, _ in found] == [item[:3] for item in expected]
    for (*_, fault), (*_, message) in zip(found, expected, strict=True):
        assert (fault is None) if message is None else (message in fault)


def test_an_element_that_is_not_utf8_is_a_fault_of_its_own():
    text = b'["good", "ba\xffd", "\xc3\xa9", {"broken\xff"}]'.decode(errors="surrogateescape")
    assert [element[2] for element in elements(text)] == ["good", None, "é", None]
    assert elements(text)[1][3] == elements(text)[3][3] == "is not UTF-8 text; save it as UTF-8"


def test_an_element_without_end_does_not_fill_the_memory(monkeypatch):
    monkeypatch.setattr(jsontext, "MAX_ROW", 1000)
    found = elements('[1, "' + "x" * 5_000_000)
    assert found[0][2] == 1
    assert found[1][3] == "does not end within 1,000 characters"


def test_memory_does_not_grow_with_the_array():
    class Endless(io.StringIO):
        left = 20_000

        def read(self, size: int | None = -1, /) -> str:
            self.left -= 1
            return "" if self.left < 0 else '[{"a": "' * (self.left == 19_999) + "x" * 500 + '"}, {"a": "'

    tracemalloc.start()
    try:
        count = sum(1 for _ in array_elements(Endless()))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert count == 20_001
    assert peak < 1_000_000
