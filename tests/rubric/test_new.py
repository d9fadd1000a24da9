"""The starter: clean, described, shown, and never over somebody's file."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kardia.errors import OutputError, RubricError
from kardia.rubric.lint import lint_file
from kardia.rubric.loading import load_rubric
from kardia.rubric.new import new_rubric
from kardia.rubric.schema import schema_text


def test_it_lints_clean_and_says_so_with_any_name(tmp_path: Path) -> None:
    for name in ("calm", "my-rubric", "two_words", "1", "007", "true", "no", "null", "1e5"):
        path = new_rubric(name, tmp_path)
        assert path == tmp_path / name / "1.0.0-draft.1.yaml"
        assert lint_file(path).findings == ()
        assert load_rubric(path).name == name


def test_what_it_holds(tmp_path: Path) -> None:
    path = new_rubric("calm-words", tmp_path)
    assert path.read_text(encoding="utf-8").startswith("# yaml-language-server: $schema=../rubric.schema.json\n")
    assert (tmp_path / "rubric.schema.json").read_text(encoding="utf-8") == schema_text()
    rubric = load_rubric(path)
    assert rubric.title == "Calm words"
    assert [criterion.scale.type for criterion in rubric.criteria] == ["ordinal", "binary"]
    assert len(rubric.examples) >= 8
    for criterion in rubric.criteria:
        shown = Counter(example.levels[criterion.id] for example in rubric.examples)
        assert set(shown) == set(criterion.levels)
        assert all(criterion.scale.describe(level) for level in criterion.levels)
        assert criterion.required is None


def test_a_schema_that_is_there_stays(tmp_path: Path) -> None:
    (tmp_path / "rubric.schema.json").write_text("{}", encoding="utf-8")
    new_rubric("calm", tmp_path)
    assert (tmp_path / "rubric.schema.json").read_text(encoding="utf-8") == "{}"


def test_a_name_that_is_taken(tmp_path: Path) -> None:
    new_rubric("calm", tmp_path)
    for name in ("calm", "safety"):  # safety is shipped
        with pytest.raises(RubricError, match="already"):
            new_rubric(name, tmp_path)
    assert not (tmp_path / "safety").exists()


@pytest.mark.parametrize(
    ("name", "hint"), [("My Rubric", "my-rubric"), ("", "my-rubric"), ("../up", "up"), ("a.b", "a-b")]
)
def test_a_name_that_is_none(tmp_path: Path, name: str, hint: str) -> None:
    with pytest.raises(RubricError, match=f"such as {hint}$"):
        new_rubric(name, tmp_path)
    assert list(tmp_path.iterdir()) == []


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25, deadline=None)
@given(st.text())
def test_nothing_is_written_outside_the_folder(tmp_path: Path, name: str) -> None:
    try:
        path = new_rubric(name, tmp_path / "in")
    except RubricError:
        return
    assert path.parent.parent == tmp_path / "in"


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(OutputError, match="cannot be written"):
        new_rubric("calm", tmp_path / "file")
