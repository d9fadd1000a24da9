"""YAML 1.2 as an author means it, with lines; and everything that is refused says why."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kardia.errors import RubricError, YamlError
from kardia.yamlfile import MAX_BYTES, load_yaml, parse_scalar, parse_yaml, read_text


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("yes", "yes"),
        ("no", "no"),
        ("on", "on"),
        ("true", True),
        ("False", False),
        ("null", None),
        ("~", None),
        ("", None),
        ("010", 10),
        ("-3", -3),
        ("+5", 5),
        ("1e3", 1000.0),
        (".5", 0.5),
        ("1.", 1.0),
        ("0x1F", "0x1F"),
        ("1_000", "1_000"),
        ("1:30", "1:30"),
        ("2020-01-01", "2020-01-01"),
        ("'yes'", "yes"),
        ("'5'", "5"),
        ('"a\\tb"', "a\tb"),
        ("🙂 שלום", "🙂 שלום"),
        ("[1, {b: no}]", [1, {"b": "no"}]),
    ],
)
def test_scalars_mean_what_they_look_like(text: str, value: Any) -> None:
    assert parse_yaml(f"a: {text}\n").data == {"a": value}


def test_scalars_on_their_own() -> None:
    assert parse_scalar("0.5") == 0.5
    assert parse_scalar("null") is None
    assert parse_scalar("warm") == "warm"
    with pytest.raises(YamlError, match="not a finite"):
        parse_scalar(".inf")


def test_keys() -> None:
    assert parse_yaml("1: a\n'1': b\n~: c\ntrue: d\n1.5: e\nno: f\n").data == {
        1: "a",
        "1": "b",
        "~": "c",
        "true": "d",
        "1.5": "e",
        "no": "f",
    }


def test_blocks_and_anchors() -> None:
    assert parse_yaml("a: |\n  one\n  # two\nb: &x [1]\nc: *x\n").data == {"a": "one\n# two\n", "b": [1], "c": [1]}
    assert parse_yaml("%YAML 1.1\n---\na: yes\n").data == {"a": "yes"}
    assert parse_yaml("a: b\r\nc: d\r\n").data == {"a": "b", "c": "d"}


def test_lines_and_plainness() -> None:
    document = parse_yaml("# note\na:\n  - x\n  - b: 'y'\n    c: |\n      z\n")
    assert document.line(("a",)) == 2
    assert document.line(("a", 0)) == 3
    assert document.line(("a", 1, "b")) == 4
    assert document.line(("a", 1, "c")) == 5
    assert document.line(("a", 1, "missing", 3)) == 4  # the deepest that is there
    assert document.line(()) == 2
    assert document.plain == {("a", 0)}


BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{b}: &{b} [{', '.join(['*' + a] * 9)}]\n" for a, b in zip("abcdefg", "bcdefgh", strict=True)
)

REFUSED = [
    ("", 1, "is empty"),
    ("# only a note\n", 1, "is empty"),
    ("a: b\n\tc: d\n", 2, "a tab is used for indentation"),
    ("a:\n\t- b\n", 2, "a tab is used for indentation"),
    ("a: One: two\n", 1, "a colon followed by a space makes a key here"),
    ("a: *nobody\n", 1, "begins with `[*]` needs quotes"),
    ("a: [1,\nb: c\n", 3, "is not valid YAML here"),
    ("a: 'x\n", 2, "is not valid YAML here"),
    ("a: 1\n---\nb: 2\n", 2, "another document"),
    ("a: 1\nb: 2\na: 3\n", 3, r"the key 'a' stands here a second time \(first in line 1\)"),
    ("x:\n  1: a\n  01: b\n", 3, "the key 1 stands here a second time"),
    ("a: !!python/object:os.system x\n", 1, "has the tag tag:yaml.org,2002:python/object:os.system"),
    ("a: !mine x\n", 1, "only plain data is read"),
    ("? [a]\n: b\n", 1, "a key must be a word or a number"),
    ("b: &b {x: 1}\na:\n  <<: *b\n", 3, "merge keys"),
    ("a: .nan\n", 1, "not a finite number"),
    ("a: 1e999\n", 1, "is not finite"),
    ("a: " + "9" * 40 + "\n", 1, "is too long"),
    ("a: &x [*x]\n", 1, "when its anchors are expanded"),
    (BOMB, 1, "when its anchors are expanded"),
    ("[" * 80 + "]" * 80, 1, "60 levels"),
    ("[" * 20_000, None, "nested too deeply"),
    ("a: b\nc: \x00\n", 2, r"does not allow \(U\+0000\)"),
    ('a: b\nc: "\\ud800"\n', 2, "surrogate"),
    ('"\\udfff": b\n', 1, "surrogate"),
]


@pytest.mark.parametrize(("text", "line", "message"), REFUSED)
def test_refused(text: str, line: int | None, message: str) -> None:
    with pytest.raises(YamlError, match=message) as caught:
        parse_yaml(text, "file.yaml")
    assert caught.value.file == "file.yaml"
    assert caught.value.line == line
    assert "\n" not in str(caught.value)


def test_a_duplicate_names_the_key() -> None:
    with pytest.raises(YamlError) as caught:
        parse_yaml("a:\n  - b: 1\n    b: 2\n")
    assert caught.value.key == "a.0.b"


def test_files(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_bytes(b"\xef\xbb\xbfa: \xc3\xa9\n")
    assert load_yaml(path).data == {"a": "é"}
    path.write_bytes(b"a: b\nc: \xe9\n")
    with pytest.raises(YamlError, match="not UTF-8") as caught:
        load_yaml(path)
    assert caught.value.line == 2
    path.write_bytes(b"#" * (MAX_BYTES + 1))
    with pytest.raises(YamlError, match="at most 8,388,608 are read"):
        load_yaml(path)
    with pytest.raises(YamlError, match="is a directory"):
        load_yaml(tmp_path)
    with pytest.raises(YamlError, match="no such file"):
        load_yaml(tmp_path / "b.yaml")
    with pytest.raises(RubricError, match="no such file"):
        read_text(tmp_path / "b.yaml", RubricError)
    with pytest.raises(YamlError, match="cannot be read"):
        load_yaml(tmp_path / "a.yaml" / "b.yaml")


LEAF = st.none() | st.booleans() | st.integers(-(10**20), 10**20) | st.floats(allow_nan=False, allow_infinity=False)
WORDS = st.text(
    st.characters(blacklist_categories=["Cs", "Cc", "Co", "Cn"], blacklist_characters="\ufeff\u2028\u2029\x85")
)
DATA = st.recursive(
    LEAF | WORDS,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(WORDS.filter(lambda key: key != "<<"), inner, max_size=4)
    ),
    max_leaves=12,
)


@settings(deadline=None)  # the first example imports ruamel.yaml
@given(DATA)
def test_json_is_yaml(data: Any) -> None:
    import json

    assert parse_yaml(json.dumps({"data": data}, ensure_ascii=False)).data == {"data": data}


@settings(deadline=None)
@given(st.text(max_size=60))
def test_any_text_is_read_or_refused_with_a_sentence(text: str) -> None:
    try:
        document = parse_yaml(text)
    except YamlError as problem:
        assert problem.message  # noqa: PT017
    else:
        assert document.line(()) is not None
