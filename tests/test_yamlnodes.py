"""The quick reading of YAML is the careful one, or none."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kardia import yamlfile
from kardia.errors import YamlError
from kardia.yamlfile import parse_yaml
from kardia.yamlnodes import MAX_DEPTH, quick_nodes

ROOT = Path(__file__).resolve().parents[1]
SHIPPED = sorted(
    file for room in ("rubrics", "judges", "training", "examples") for file in (ROOT / room).rglob("*.yaml")
)
PIECES = (
    *("a", "b: ", "- ", "- a: 1\n  b: 2\n", "k:\n- a\n- b\n", "x: y", ":", "? ", "?", ": ", "a:b", ":a", "a:"),
    *("\n", "\n  ", "\n    ", "\n\n", "\r\n", "\r", " ", "  ", "\t", "\xa0", "\u200b", "\u2028", "\x85", "\ufeff"),
    *("'", '"', "''", '"a\\\n b"', "\\n", "\\/", "\\x41", "\\u00e9", "é", "🙂", "long " * 5),
    *("|", "|-", "|+", "|2", ">", ">-", "> ", "k: |\n  l\n\n  m\n", "k: >\n  l\n   m\n\n  n\n"),
    *("[", "]", "{", "}", ",", "#", "# c\n", " # c", "a #b", "a# b", "&a ", "*a", "!", "!!str ", "%", "@", "`"),
    *("~", "null", "yes", "1", "1.5", "---", "--- ", "...", "<<: ", "http://x"),
)


def careful(text: str) -> Any:
    """What ruamel.yaml makes of `text`; the error's type where it makes nothing of it."""
    return read(text, None)


def read(text: str, nodes: Any) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(yamlfile, "quick_nodes", lambda text: nodes)
        try:
            found = parse_yaml(text)
        except YamlError as problem:
            return str(problem)
    return repr(found.data), found.key_lines, found.value_lines, found.plain


def assert_same(text: str) -> None:
    nodes = quick_nodes(text)
    if nodes is not None:
        assert read(text, nodes) == careful(text)


@pytest.mark.parametrize("file", SHIPPED, ids=lambda file: str(file.relative_to(ROOT)))
def test_what_is_shipped_is_read_quickly_and_the_same(file: Path) -> None:
    text = file.read_text("utf-8")
    assert quick_nodes(text) is not None
    assert_same(text)


@settings(deadline=None, max_examples=400)
@given(st.lists(st.sampled_from(PIECES), max_size=14).map("".join))
def test_any_pieces(text: str) -> None:
    assert_same(text)


@settings(deadline=None, max_examples=200)
@given(st.sampled_from([file for file in SHIPPED if file.stat().st_size < 4000]), st.data())
def test_shipped_files_with_a_piece_changed(file: Path, data: st.DataObject) -> None:
    text = file.read_text("utf-8")
    start = data.draw(st.integers(0, len(text) - 1))
    text = text[start : start + data.draw(st.integers(20, 400))]
    place = data.draw(st.integers(0, len(text)))
    assert_same(text[:place] + data.draw(st.sampled_from(PIECES)) + text[place + data.draw(st.integers(0, 3)) :])


@pytest.mark.parametrize(
    "text",
    [
        "a: &x 1\nb: *x\n",
        "a: !!str 1\n",
        "a: ! 1\n",
        "%YAML 1.1\n---\na: 1\n",
        "---\na: 1\n",
        "a: 1\n---\nb: 2\n",
        "a: 1\n...\n",
        "a: |#c\n",
        "a: |\n\n  b\n",
        "a: b\x85c\n",
        "a: b\u2028c\n",
        "a:\tb\n",
        "a: 1\rb: 2\n",
        "a: b: c\n",
        "just words\n",
        "|\n# c\n",
        "",
        "# c\n",
        "[" * (MAX_DEPTH + 2) + "]" * (MAX_DEPTH + 2),
        "- " * 100_000,
        "[" * 1_000_000,
        "a: \ud800\n",
        "a: \x00\n",
    ],
)
def test_the_rest_is_left_to_ruamel(text: str) -> None:
    assert quick_nodes(text) is None


def test_a_value_that_was_left_out_stands_where_its_key_does() -> None:
    for text in ("a:\nb: 1\n", "a: &x\nb: 1\n"):
        assert parse_yaml(text).value_lines[("a",)] == 1


def test_without_libyaml(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "yaml", None)
    assert quick_nodes("a: 1\n") is None
    assert parse_yaml("a: 1\n").data == {"a": 1}
