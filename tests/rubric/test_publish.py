"""bump and publish: only the version's line changes, nothing is lost, and a step must be large enough."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kardia.errors import InputError, RubricError
from kardia.rubric.loading import load_rubric
from kardia.rubric.lock import read_lock
from kardia.rubric.new import new_rubric
from kardia.rubric.publish import _with_version, bump, check_lock, lock_missing, publish
from kardia.yamlfile import parse_yaml

from .helpers import write, yaml_text


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "rubrics"


@pytest.fixture
def release(folder: Path) -> Path:
    """starter@1.0.0, published."""
    return publish(new_rubric("starter", folder))


def swap(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def test_publish_makes_a_locked_release(folder: Path) -> None:
    draft = new_rubric("starter", folder)
    text = draft.read_text(encoding="utf-8")
    path = publish("starter@1.0.0-draft.1")
    assert path.name == "1.0.0.yaml"
    assert not draft.exists()
    assert path.read_text(encoding="utf-8") == text.replace("version: 1.0.0-draft.1", "version: 1.0.0")
    entry = read_lock(folder).entry("starter", "1.0.0")
    assert entry is not None
    assert entry.hash == load_rubric("starter").hash
    assert check_lock(folder) == []


def test_a_bare_name_publishes_its_newest_draft(release: Path) -> None:
    bump("starter")
    assert publish("starter").name == "1.1.0.yaml"


def test_a_release_is_not_published_again(release: Path) -> None:
    for reference in ("starter", "starter@1.0.0", release, str(release)):
        with pytest.raises(RubricError, match="is a release"):
            publish(reference)


def test_bump_from_a_release_copies_the_text(release: Path) -> None:
    path = bump("starter")
    assert path == release.with_name("1.1.0-draft.1.yaml") or path.resolve() == release.with_name("1.1.0-draft.1.yaml")
    expected = release.read_text(encoding="utf-8").replace("version: 1.0.0", "version: 1.1.0-draft.1")
    assert path.read_text(encoding="utf-8") == expected
    assert bump("starter").name == "1.1.0-draft.2.yaml"
    assert load_rubric(bump("starter")).version == "1.1.0-draft.3"
    assert bump(release, "patch").name == "1.0.1-draft.1.yaml"
    assert bump(str(release), "major").name == "2.0.0-draft.1.yaml"


def test_bump_below_one(folder: Path) -> None:
    path = write(folder / "old/0.3.1.yaml", yaml_text("old", "0.3.1"))
    assert bump(path, "major").name == "1.0.0-draft.1.yaml"
    assert bump(path).name == "0.4.0-draft.1.yaml"


def test_bump_moves_a_draft_that_promises_too_little(release: Path) -> None:
    draft = bump("starter", "patch")
    assert bump(draft) == draft  # nothing changed yet
    swap(draft, "Turns away from what was told: changes", "Turns away from what was told; changes")
    assert bump(draft) == draft
    swap(draft, "weight: 2", "weight: 5")
    moved = bump(draft)
    assert moved.name == "2.0.0-draft.2.yaml"
    assert not draft.exists()
    assert load_rubric(moved).version == "2.0.0-draft.2"
    assert bump(moved) == moved
    assert publish(moved).name == "2.0.0.yaml"


def test_bump_of_a_draft_with_a_step_named(release: Path) -> None:
    draft = bump("starter", "patch")
    assert bump(draft, "patch") == draft
    moved = bump(draft, "minor")
    assert moved.name == "1.1.0-draft.2.yaml"
    swap(moved, "weight: 2", "weight: 5")
    with pytest.raises(RubricError, match=r"require a major version, 2\.0\.0 or later") as caught:
        bump(moved, "minor")
    assert caught.value.line == 9
    assert bump(moved, "major").name == "2.0.0-draft.3.yaml"


def test_bump_of_the_first_draft_leaves_it(folder: Path) -> None:
    draft = new_rubric("starter", folder)
    assert bump(draft) == draft


def test_bump_of_a_draft_whose_number_was_released(release: Path) -> None:
    draft = write(
        release.with_name("1.0.0-draft.2.yaml"),
        release.read_text(encoding="utf-8")
        .replace("version: 1.0.0", "version: 1.0.0-draft.2")
        .replace("weight: 2", "weight: 4"),
    )
    with pytest.raises(RubricError, match="released already, with other content"):
        publish(draft)
    assert bump(draft).name == "2.0.0-draft.3.yaml"


def test_a_draft_not_named_by_number(release: Path) -> None:
    text = release.read_text(encoding="utf-8").replace("weight: 2", "weight: 4")
    path = write(release.with_name("1.0.1-rc.yaml"), text.replace("version: 1.0.0", "version: 1.0.1-rc"))
    assert bump(path).name == "2.0.0-draft.1.yaml"


def test_publish_refuses_too_small_a_step(release: Path) -> None:
    draft = bump("starter", "patch")
    swap(draft, "weight: 2", "weight: 5")
    with pytest.raises(RubricError, match=r"require a major version, 2\.0\.0 or later; 1\.0\.1 promises less"):
        publish(draft)
    assert draft.exists()
    assert not release.with_name("1.0.1.yaml").exists()


def test_publish_refuses_what_lint_calls_an_error(folder: Path) -> None:
    draft = new_rubric("starter", folder)
    swap(draft, "    weight: 1\n", "    weight: 1\n    required: {else_score: 1}\n")
    with pytest.raises(RubricError, match="KR402") as caught:
        publish(draft)
    assert caught.value.line is not None
    swap(draft, "    weight: 2\n", "    required: {at_least: 1}\n")
    with pytest.raises(RubricError, match="1 more"):
        publish(draft)


def test_publish_refuses_a_file_elsewhere(folder: Path, tmp_path: Path) -> None:
    draft = new_rubric("starter", folder)
    with pytest.raises(RubricError, match="move the file to rubrics/starter"):
        publish(draft.rename(tmp_path / "mine.yaml"))


def test_publish_refuses_a_draft_inside(folder: Path) -> None:
    write(folder / "leaf/1.0.0-draft.1.yaml", yaml_text("leaf", "1.0.0-draft.1"))
    write(
        folder / "inner/1.0.0.yaml",
        yaml_text("inner", "1.0.0", extra="include:\n  - {rubric: leaf@1.0.0-draft.1, weight: 1}\n"),
    )
    outer = write(
        folder / "outer/1.0.0-draft.1.yaml",
        yaml_text("outer", "1.0.0-draft.1", extra="include:\n  - rubric: inner@1\n"),
    )
    with pytest.raises(RubricError, match=r"includes the draft leaf@1\.0\.0-draft\.1"):
        publish(outer)
    publish("leaf")
    swap(folder / "inner/1.0.0.yaml", "leaf@1.0.0-draft.1", "leaf@^1")
    assert publish(outer).exists()
    entry = read_lock(folder).entry("outer", "1.0.0")
    assert entry is not None
    assert entry.includes == {"inner": "1.0.0", "leaf": "1.0.0"}


def test_a_newer_include_does_not_move_a_release(folder: Path) -> None:
    publish(write(folder / "inner/1.0.0-draft.1.yaml", yaml_text("inner", "1.0.0-draft.1")))
    publish(
        write(
            folder / "outer/1.0.0-draft.1.yaml",
            yaml_text("outer", "1.0.0-draft.1", extra="include: [{rubric: inner@^1}]\n"),
        )
    )
    before = load_rubric("outer").hash
    newer = bump("inner")
    swap(newer, "title: inner", "title: Inner")
    publish(newer)
    assert load_rubric("outer").hash == before
    assert load_rubric("outer").parts[0].rubric.version == "1.0.0"
    assert check_lock(folder) == []


def test_an_interrupted_publish_can_be_repeated(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    draft = new_rubric("starter", folder)

    def broken(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("kardia.rubric.publish.write_lock", broken)
        with pytest.raises(KeyboardInterrupt):
            publish(draft)
    assert draft.exists()
    assert read_lock(folder).entry("starter", "1.0.0") is None
    text = draft.read_text(encoding="utf-8")
    release = publish(draft)
    assert read_lock(folder).entry("starter", "1.0.0") is not None
    draft.write_text(text, encoding="utf-8")  # the draft was not removed
    assert publish(draft) == release
    assert not draft.exists()
    assert check_lock(folder) == []


def test_the_lock_notices(release: Path, folder: Path) -> None:
    text = release.read_text(encoding="utf-8")
    swap(release, "weight: 2", "weight: 3")
    (sentence,) = check_lock(folder)
    assert "has changed" in sentence
    release.write_text(text.replace("version: 1.0.0", "version: 1.0.9"), encoding="utf-8")
    (sentence,) = check_lock(folder)
    assert "not the starter@1.0.0" in sentence
    release.unlink()
    (sentence,) = check_lock(folder)
    assert "gone" in sentence
    assert check_lock(folder.parent) == []


def test_releases_written_by_hand_can_be_locked(folder: Path) -> None:
    write(folder / "one/1.0.0.yaml", yaml_text("one", "1.0.0"))
    write(folder / "two/1.0.0.yaml", yaml_text("two", "1.0.0", extra="include: [{rubric: one@1}]\n"))
    write(folder / "two/1.1.0-draft.1.yaml", yaml_text("two", "1.1.0-draft.1"))
    assert lock_missing(folder) == ["one@1.0.0", "two@1.0.0"]
    assert lock_missing(folder) == []
    assert check_lock(folder) == []
    write(folder / "three/1.0.0.yaml", yaml_text("four", "1.0.0"))
    with pytest.raises(RubricError, match="its place says three"):
        lock_missing(folder)


def test_comments_quotes_and_line_ends_stay(folder: Path) -> None:
    text = "# note\r\nname: x\r\nversion: '1.0.0'  # 1.0.0 is the first\r\ntitle: x 1.0.0\r\n"
    document = parse_yaml(text)
    assert _with_version(document, "1.1.0-draft.1") == text.replace("'1.0.0'", "'1.1.0-draft.1'")
    flow = parse_yaml("{name: x, version: 1.0.0, title: y}")
    assert _with_version(flow, "2.0.0") == "{name: x, version: 2.0.0, title: y}"
    below = parse_yaml("name: x\nversion:\n  1.0.0\n")
    assert _with_version(below, "2.0.0") == "name: x\nversion:\n  2.0.0\n"
    with pytest.raises(RubricError, match="line of its own"):
        _with_version(parse_yaml('name: x\nversion: "1.\\x30.0"\n'), "2.0.0")


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(["1.0.0", "0.1.0", "10.2.33"]), st.text("abc: \n#-", max_size=20))
def test_nothing_but_the_version_changes(version: str, comment: str) -> None:
    note = "\n".join(f"# {line}" for line in comment.splitlines())
    text = f"{note}\nname: version\nversion: {version} {'# ' + version}\ntitle: {version} version\n"
    new = _with_version(parse_yaml(text), "9.9.9-draft.9")
    assert parse_yaml(new).data == {"name": "version", "version": "9.9.9-draft.9", "title": f"{version} version"}
    assert new.replace("9.9.9-draft.9", version, 1) == text


@pytest.mark.parametrize("reference", ["nobody", "nobody@1", "No Name", "./nobody.yaml"])
def test_what_is_not_there(reference: str) -> None:
    for action in (bump, publish):
        with pytest.raises(InputError):
            action(reference)  # type: ignore[operator]
