"""References, ranges, and which file they mean."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from semver import Version

from kardia.content import shipped
from kardia.errors import RubricError
from kardia.rubric.versions import Reference, candidates, is_draft, is_meant, matches, names, parse_reference, pick

from .helpers import write, yaml_text


@pytest.mark.parametrize(
    "text", ["safety", "a_b-c", "safety@1", "safety@^1.2", "safety@~1.2.3", "safety@1.0.0-draft.1"]
)
def test_references(text: str) -> None:
    assert str(parse_reference(text)) == text


@pytest.mark.parametrize(
    "text", ["", "Safety", "-a", "a b", "safety@", "safety@x", "safety@>=1", "a@1.2.3.4", "@1", "a@1@2"]
)
def test_no_references(text: str) -> None:
    with pytest.raises(RubricError, match="is not a rubric"):
        parse_reference(text)


@pytest.mark.parametrize(
    ("wanted", "yes", "no"),
    [
        (None, ["0.1.0", "1.0.0", "2.3.4"], ["1.0.0-draft.1"]),
        ("1", ["1.0.0", "1.9.9"], ["0.9.0", "2.0.0", "1.1.0-draft.1"]),
        ("^1", ["1.0.0", "1.9.9"], ["2.0.0"]),
        ("0", ["0.1.0", "0.9.9"], ["1.0.0"]),
        ("^0", ["0.1.0", "0.9.9"], ["1.0.0"]),
        ("1.2", ["1.2.0", "1.2.9"], ["1.3.0", "1.1.9"]),
        ("^1.2", ["1.2.0", "1.3.0"], ["1.1.9", "2.0.0"]),
        ("~1.2.3", ["1.2.3", "1.2.9"], ["1.2.2", "1.3.0"]),
        ("~1", ["1.0.0", "1.5.0"], ["2.0.0"]),
        ("^0.2.1", ["0.2.1", "0.2.9"], ["0.2.0", "0.3.0"]),
        ("1.2.3", ["1.2.3"], ["1.2.4"]),
        ("1.2.3-draft.1", ["1.2.3-draft.1"], ["1.2.3", "1.2.3-draft.2"]),
        ("nonsense", [], ["1.0.0"]),
    ],
)
def test_ranges(wanted: str | None, yes: list[str], no: list[str]) -> None:
    assert [version for version in yes if not matches(Version.parse(version), wanted)] == []
    assert [version for version in no if matches(Version.parse(version), wanted)] == []


CORE = st.tuples(*[st.integers(0, 5)] * 3)


@given(CORE, CORE)
def test_a_caret_never_crosses_what_may_break(floor: tuple[int, int, int], core: tuple[int, int, int]) -> None:
    wanted = "^" + ".".join(map(str, floor))
    if matches(Version(*core), wanted):
        assert core >= floor
        assert core[0] == floor[0]
        assert floor[0] > 0 or core[1] == floor[1]


def test_drafts() -> None:
    assert is_draft("1.0.0-draft.1")
    assert not is_draft(Version(1, 0, 0))


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with a rubric in three versions, and what is not one."""
    monkeypatch.chdir(tmp_path)
    for version in ("1.0.0", "1.10.0", "1.2.0", "2.0.0-draft.1"):
        write(tmp_path / f"rubrics/calm/{version}.yaml", yaml_text("calm", version))
    write(tmp_path / "rubrics/calm/notes.yaml", "x")
    write(tmp_path / "rubrics/calm/1.0.0.txt", "x")
    write(tmp_path / "rubrics/fresh/1.0.0-draft.1.yaml", yaml_text("fresh", "1.0.0-draft.1"))
    write(tmp_path / "rubrics/stray.yaml", "x")
    return tmp_path


def test_candidates_and_names(home: Path) -> None:
    assert [str(one.version) for one in candidates("calm")] == ["1.0.0", "1.10.0", "1.2.0", "2.0.0-draft.1"]
    assert {"calm", "fresh", "safety"} <= set(names())
    assert candidates("nobody") == []
    assert len(candidates()) >= 5 + len(list(shipped("rubrics").glob("*/*.yaml")))


@pytest.mark.parametrize(
    ("text", "version"),
    [("calm", "1.10.0"), ("calm@1", "1.10.0"), ("calm@1.2", "1.2.0"), ("calm@2.0.0-draft.1", "2.0.0-draft.1")],
)
def test_the_newest_that_fits(home: Path, text: str, version: str) -> None:
    (one,) = pick(parse_reference(text))
    assert str(one.version) == version
    assert one.path.name == f"{version}.yaml"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nobody", "there is no rubric 'nobody' in .*; there are: .*calm"),
        ("calm@3", "there is no calm@3; calm has the versions 1.0.0, 1.2.0, 1.10.0, 2.0.0-draft.1"),
        ("fresh", "has no release yet, only drafts .*name one: fresh@1.0.0-draft.1"),
    ],
)
def test_what_is_not_there(home: Path, text: str, message: str) -> None:
    with pytest.raises(RubricError, match=message):
        pick(parse_reference(text))


def test_several_folders(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = home / "other"
    write(other / "rubrics/calm/1.10.0.yaml", yaml_text("calm", "1.10.0"))
    monkeypatch.setenv("KARDIA_PATH", str(other))
    assert [one.path.parent.parent.parent for one in pick(Reference("calm"))] == [home, other]


@pytest.mark.parametrize(
    ("ref", "asked", "meant"),
    [
        ("warmth@1.2.0", "warmth", True),
        ("warmth@1.2.0", "warmth@1", True),
        ("warmth@1.2.0", "warmth@1.2.0", True),
        ("warmth@1.2.0", "warmth@2", False),
        ("warmth@1.2.0", "warm", False),
        ("warmth@2.0.0-draft", "warmth", True),
        ("warmth", "warmth", False),
        ("warmth@new", "warmth", False),
    ],
)
def test_which_rubric_that_scored_is_meant(ref: str, asked: str, meant: bool) -> None:
    assert is_meant(ref, parse_reference(asked)) is meant
