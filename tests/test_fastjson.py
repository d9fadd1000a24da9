"""What the fast reading of JSON gives is what the strict one gives; where that is not certain, it gives nothing."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from kardia.fastjson import UNSURE, read_json


class Twins(ValueError):
    pass


def strict(text: str) -> Any:
    """As `json` reads it, with every key once; None where it is refused."""

    def pairs(found: list[tuple[str, Any]]) -> dict[str, Any]:
        if len(dict(found)) < len(found):
            raise Twins
        return dict(found)

    def constant(name: str) -> Any:
        raise Twins

    try:
        return ("read", json.JSONDecoder(object_pairs_hook=pairs, parse_constant=constant).decode(text))
    except (ValueError, RecursionError):
        return None


def shown(value: Any) -> str:
    """Equal only where types and the signs of noughts are equal too."""
    return repr(value)


TEXTS = st.text(st.one_of(st.sampled_from(':":\\,{}[]u003aA '), st.characters()), max_size=8)
NUMBERS = st.one_of(
    st.integers(),
    st.integers(-(2**64), 2**65),
    st.sampled_from([2**63, 2**63 - 1, -(2**63), -(2**63) - 1, 2**64 - 1, 2**64, 10**18, 10**30]),
    st.floats(allow_nan=False, allow_infinity=False),
)
LEAVES = st.one_of(st.none(), st.booleans(), NUMBERS, TEXTS)
VALUES = st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4))


@st.composite
def written(draw: st.DrawFn) -> str:
    """A value as JSON in one of many ways: spaced or not, escaped or not, with a key twice or not."""
    value = draw(VALUES)
    twins = draw(st.sampled_from([0, 0, 1, 2]))
    escapes = draw(st.booleans())
    gap = draw(st.sampled_from(["", "", " ", "\t", " \r\n "]))
    left = [twins]

    def spelt(text: str) -> str:
        plain = json.dumps(text, ensure_ascii=draw(st.booleans()))
        if escapes and draw(st.booleans()):
            plain = plain.replace(":", draw(st.sampled_from(["\\u003a", "\\u003A"])))
        return plain

    def out(item: Any) -> str:
        if isinstance(item, str):
            return spelt(item)
        if isinstance(item, list):
            return "[" + f",{gap}".join(map(out, item)) + "]"
        if isinstance(item, dict):
            pairs = [f"{spelt(key)}{gap}:{gap}{out(inner)}" for key, inner in item.items()]
            if pairs and left[0] and draw(st.booleans()):
                left[0] -= 1
                key = draw(st.sampled_from(list(item)))
                pairs.insert(draw(st.integers(0, len(pairs))), f"{spelt(key)}:{out(draw(LEAVES))}")
            return "{" + f"{gap},".join(pairs) + "}"
        return json.dumps(item)

    return draw(st.sampled_from(["", " ", "\n"])) + out(value) + draw(st.sampled_from(["", "\n", " x", ","]))


@given(
    st.one_of(written(), st.text(st.sampled_from('{}[]",:\\u03a0123456789.eE+- \ntrufalsn\ufeff\ud800é'), max_size=25))
)
@example('{"a": 1, "a": 1}')
@example('{"a": ":", "b": 1, "b": ":"}')
@example('{"a": "\\u003a", "a": 1}')
@example('{"a": "\\u003A\\u003a", "b": 1, "b": 2, "b": 3}')
@example('{"a": {"b": 1, "b": {}}, "c": "x: y"}')
@example('[{"a": 1, "a": ":"}, ":"]')
@example("18446744073709551616")
@example('{"id": 123456789012345678901234567890}')
@example("-0")
@example("-0.0")
@example("1E400")
@example("9" * 400)
@example("9" * 5000)
@example("NaN")
@example("[Infinity]")
@example("\ufeff{}")
@example('"\\ud800"')
@example('"\\ud83d\\ude00"')
@example("")
def test_it_reads_what_the_strict_reading_reads(text: str) -> None:
    value = read_json(text)
    if value is not UNSURE:
        known = strict(text)
        assert known is not None, "refused by the strict reading"
        assert shown(value) == shown(known[1])


ORDINARY = [
    '{"id": "c1", "messages": [{"role": "user", "content": "Hi: there"}], "metadata": {"n": 1, "x": 0.5}}',
    '{"reason":"Warm: it \\"names\\" the feeling.","evidence":["so sorry"],"level":4}',
    '{"a": [1, 2.5, -3, null, true, "é"], "b": {}, "c": []}\n',
    "[]",
    "7",
    '"text"',
    '{"text": "a \\u00e9 and a \\n"}',
]


@pytest.mark.parametrize("text", ORDINARY)
def test_ordinary_json_is_read(text: str) -> None:
    assert shown(read_json(text)) == shown(json.loads(text))


@pytest.mark.parametrize(
    "text",
    [
        '{"a": 1, "a": 2}',
        '{"a": {"b": 1, "b": 1}}',
        '[{"x": ":"}, {"y": 1, "y": 1}]',
        '{"a": "x", "a": ":"}',
        '{"a": 18446744073709551616}',
        '{"a": -9223372036854775809}',
        "[" * 600 + "]" * 600,
        '{"a": "\\udc00"}',
        "{",
    ],
)
def test_what_is_in_doubt_is_left_to_the_strict_reading(text: str) -> None:
    assert read_json(text) is UNSURE
