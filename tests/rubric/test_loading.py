"""From a reference to a rubric, and everything that can be wrong on the way."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kardia.errors import InputError, RubricError, YamlError
from kardia.rubric.loading import allowed, instance_criteria, load_rubric, load_rubric_file, looks_like_path
from kardia.rubric.lock import Lock, LockEntry, entry_of, write_lock
from kardia.rubric.publish import lock_missing
from kardia.rubric.rubric import Rubric, canonical_json, content_hash

from .helpers import rubric, write, yaml_text


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """`rubrics/` of the working directory."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rubrics").mkdir()
    return tmp_path / "rubrics"


def put(folder: Path, name: str, version: str = "1.0.0", include: str = "", **more: str) -> Path:
    extra = f"include: {include}\n" if include else ""
    return write(folder / name / f"{version}.yaml", yaml_text(name, version, extra=extra, **more))


def ids(reference: str | Path) -> list[str]:
    return [criterion.id for criterion in load_rubric(reference).criteria]


def test_by_name_by_version_by_path(folder: Path, tmp_path: Path) -> None:
    path = put(folder, "calm")
    put(folder, "calm", "1.1.0")
    assert load_rubric("calm").ref == "calm@1.1.0"
    assert load_rubric("calm@1.0.0").ref == "calm@1.0.0"
    assert load_rubric(path) == load_rubric(str(path))
    assert load_rubric("rubrics/calm/1.0.0.yaml").ref == "calm@1.0.0"
    free = write(tmp_path / "house", yaml_text("anything", "3.0.0"))
    assert load_rubric("house").ref == "anything@3.0.0"
    loaded = load_rubric(free)
    assert load_rubric(loaded) is loaded


@pytest.mark.parametrize(
    ("text", "path"),
    [("a", False), ("a@1", False), ("a.yaml", True), ("a/b", True), ("./a", True), ("a\\b", True), ("a.yml", True)],
)
def test_what_looks_like_a_path(text: str, path: bool) -> None:
    assert looks_like_path(text) is path


def test_an_impossible_file_name_is_no_path() -> None:
    with pytest.raises(RubricError, match="is not a rubric"):
        load_rubric("a" * 5000 + "\0")


def test_a_place_that_says_something_else(folder: Path) -> None:
    write(folder / "calm/1.0.0.yaml", yaml_text("calm", "1.0.1"))
    with pytest.raises(RubricError, match=r"says calm@1\.0\.1, but its place says calm@1\.0\.0"):
        load_rubric("calm")


def test_two_places(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = put(folder, "calm")
    other = write(tmp_path / "other/rubrics/calm/1.0.0.yaml", "# another note\n" + path.read_text(encoding="utf-8"))
    monkeypatch.setenv("KARDIA_PATH", str(tmp_path / "other"))
    assert load_rubric("calm").source == "rubrics/calm/1.0.0.yaml" or load_rubric("calm").source == str(path)
    other.write_text(other.read_text(encoding="utf-8").replace("title: calm", "title: Calm"), encoding="utf-8")
    with pytest.raises(RubricError, match="stands with different content in"):
        load_rubric("calm")
    other.unlink()
    assert load_rubric("calm").title == "calm"


def test_files_that_are_none(tmp_path: Path) -> None:
    for text in ("- a\n", "text\n"):
        with pytest.raises(RubricError, match="is not a rubric: expected keys") as caught:
            load_rubric(write(tmp_path / "x.yaml", text))
        assert caught.value.line == 1
    for path in (tmp_path, tmp_path / "none.yaml", write(tmp_path / "empty.yaml", "")):
        with pytest.raises(YamlError):
            load_rubric(path)
    with pytest.raises(RubricError, match=r"criteria\.0\.question: is missing") as caught:
        load_rubric_file(write(tmp_path / "y.yaml", yaml_text("y", "1.0.0").replace("question", "# question")))
    assert caught.value.line == 5


def test_a_fault_across_keys_has_its_line(tmp_path: Path) -> None:
    path = write(tmp_path / "x.yaml", yaml_text("x", "1.0.0").replace("good: no", "good: high"))
    with pytest.raises(RubricError) as caught:
        load_rubric(path)
    assert (caught.value.line, caught.value.key) == (8, "criteria.0.good")


def test_includes(folder: Path) -> None:
    put(folder, "leaf")
    put(folder, "mid", include="[{rubric: leaf@1}]")
    top = put(folder, "top", include="[{rubric: mid@^1, as: m, weight: 2}, {rubric: leaf}]")
    assert ids("top") == ["blames", "m.blames", "m.leaf.blames"]  # the diamond counts once, where it is met first
    loaded = load_rubric("top")
    assert [(part.as_, part.weight, part.rubric.ref) for part in loaded.parts] == [
        ("m", 2.0, "mid@1.0.0"),
        ("leaf", 1.0, "leaf@1.0.0"),
    ]
    assert [(as_, counts) for as_, _, _, counts in loaded.root.parts] == [("m", True), ("leaf", False)]
    assert repr(loaded) == "Rubric('top@1.0.0', 3 criteria)"
    assert load_rubric(top).hash == loaded.hash


def test_an_include_by_path(folder: Path, tmp_path: Path) -> None:
    write(tmp_path / "house.yaml", yaml_text("house", "1.0.0"))
    path = write(tmp_path / "mine.yaml", yaml_text("mine", "1.0.0", extra="include: [{rubric: ./house.yaml}]\n"))
    assert ids(path) == ["blames", "house.blames"]
    (tmp_path / "house.yaml").unlink()
    with pytest.raises(RubricError, match="there is no file") as caught:
        load_rubric(path)
    assert (caught.value.file, caught.value.line) == (str(path), 4)


@pytest.mark.parametrize(
    ("include", "message"),
    [
        ("[{rubric: nobody}]", "there is no rubric 'nobody'"),
        ("[{rubric: leaf@3}]", "there is no leaf@3"),
        ("[{rubric: 'leaf@^1 '}]", "is not a rubric"),
        ("[{rubric: leaf}, {rubric: leaf@1.1.0, as: b}]", "leaf@1.1.0 is included twice"),
        ("[{rubric: leaf}, {rubric: other, as: leaf}]", "'leaf' is included twice; give one of them another `as`"),
        ("[{rubric: leaf@1.0.0}, {rubric: uses}]", "brings leaf@1.1.0 beside leaf@1.0.0"),
        ("[{rubric: leaf, as: blames}]", "'blames' is used twice"),
        ("[{rubric: leaf, weight: -1}]", "greater than or equal to 0"),
        ("[{rubric: top}]", "includes itself: top/1.0.0.yaml → top/1.0.0.yaml"),
        ("[{rubric: circle}]", "includes itself: .* → circle/1.0.0.yaml → "),
    ],
)
def test_includes_that_do_not_work(folder: Path, include: str, message: str) -> None:
    put(folder, "leaf")
    put(folder, "leaf", "1.1.0")
    put(folder, "other")
    put(folder, "uses", include="[{rubric: leaf}]")
    put(folder, "circle", include="[{rubric: top}]")
    path = put(folder, "top", include=include)
    with pytest.raises(InputError, match=message) as caught:
        load_rubric(path)
    assert caught.value.file is not None
    assert caught.value.line is not None


def test_one_version_with_two_contents_in_one_tree(folder: Path, tmp_path: Path) -> None:
    put(folder, "leaf")
    write(tmp_path / "leaf.yaml", yaml_text("leaf", "1.0.0", "Does it listen?"))
    put(folder, "uses", include="[{rubric: leaf}]")
    path = write(
        tmp_path / "top.yaml",
        yaml_text("top", "1.0.0", extra="include: [{rubric: ./leaf.yaml, as: l}, {rubric: uses}]\n"),
    )
    with pytest.raises(RubricError, match=r"leaf@1\.0\.0 stands with different content in"):
        load_rubric(path)


def test_the_lock_pins_includes_and_content(folder: Path) -> None:
    put(folder, "leaf")
    put(folder, "mid", include="[{rubric: leaf@^1}]")
    put(folder, "top", include="[{rubric: mid@^1}]")
    lock = Lock()
    for name in ("leaf", "mid", "top"):
        lock.add(name, "1.0.0", entry_of(load_rubric(name)))
    write_lock(folder, lock)
    before = load_rubric("top").hash
    put(folder, "leaf", "1.1.0")
    assert load_rubric("top").hash == before
    put(folder, "mid", "1.0.0", include="[{rubric: leaf@^1}]", question="Is it kind?")
    for reference in ("mid", "top"):
        with pytest.raises(RubricError, match=r"mid@1\.0\.0 is released and its content has changed since"):
            load_rubric(reference)
    write(folder / "rubrics.lock", "{")
    with pytest.raises(RubricError, match="not a lock"):
        load_rubric("leaf")


def test_a_lock_does_not_hold_drafts(folder: Path) -> None:
    lock = Lock()
    lock.add("calm", "1.0.0-draft.1", LockEntry(hash="sha256:" + "0" * 64))
    write_lock(folder, lock)
    put(folder, "calm", "1.0.0-draft.1")
    assert load_rubric("calm@1.0.0-draft.1").name == "calm"


def test_ranges_of_includes() -> None:
    assert allowed("leaf@^1", "1.2.0")
    assert not allowed("leaf@^1", "2.0.0")
    assert allowed("./leaf.yaml", "9.0.0")


INSTANCE: list[Any] = [{"question": "Does it mention the exam?"}]


def test_instance_criteria() -> None:
    (one,) = instance_criteria(INSTANCE, rubric())
    assert (one.id, one.levels) == ("instance_1", ("no", "yes"))
    (one,) = instance_criteria({"criteria": INSTANCE}, rubric())
    assert one.id == "instance_1"
    data = [
        {"id": "exam", "question": "How?", "weight": None, "scale": {"levels": {"1": "Not.", "-1": "x", "3": None}}},
        {
            "question": "Which?",
            "scale": {"type": "choice", "options": {"a": 1, "b": 0}},
            "only_if_levels": {"exam": [1]},
        },
        {"question": "Is it?", "only_if_levels": {"takes_up": [1]}},
    ]
    criteria = instance_criteria(data, rubric())
    assert [one.id for one in criteria] == ["exam", "instance_2", "instance_3"]
    assert criteria[0].levels == (-1, 0, 1)
    grown = rubric().with_instance(criteria)
    assert grown.instance
    assert [one.id for one in grown.criteria][-3:] == ["exam", "instance_2", "instance_3"]


@pytest.mark.parametrize(
    ("data", "key", "message"),
    [
        (None, "metadata.rubric", "expected a list"),
        ("text", "metadata.rubric", "expected a list"),
        ([], "metadata.rubric", "expected a list"),
        ({"criteria": []}, "metadata.rubric", "expected a list"),
        ({"other": 1}, "metadata.rubric", "expected a list"),
        (["text"], "metadata.rubric.0", "valid dictionary|instance of Criterion"),
        ([{}], "metadata.rubric.0.question", "is missing"),
        ([{"question": "A?", "wieght": 2}], "metadata.rubric.0.wieght", "did you mean 'weight'"),
        ([{"question": "A?", "good": "high"}], "metadata.rubric.0.good", "must be yes or no"),
        ([{"question": "A?", "id": "tone"}], "metadata.rubric.0.id", "is taken"),
        ([{"question": "A?", "id": "x"}, {"question": "B?", "id": "x"}], "metadata.rubric.1.id", "is taken"),
        ([{"question": "A?", "only_if_levels": {"no_one": 1}}], None, "there is no criterion 'no_one'"),
        ([{"question": "A?", "scale": {"levels": {"²": "a", "--1": "b"}}}], None, "valid integer"),
        ([{"question": "A?", "scale": {"levels": {"9" * 5000: "a", "1": "b"}}}], None, "valid integer"),
    ],
)
def test_instance_criteria_refused(data: Any, key: str | None, message: str) -> None:
    with pytest.raises(RubricError, match=message) as caught:
        instance_criteria(data, rubric())
    assert caught.value.key is not None
    assert key is None or caught.value.key == key


def test_the_hash_is_of_the_content() -> None:
    assert rubric().hash == rubric().hash
    assert rubric(lambda d: d.update(title="x")).hash != rubric().hash
    assert rubric(lambda d: d["criteria"][0].update(weight=2.0, good=None)).hash == rubric().hash
    deep = rubric(lambda d: d["examples"][0].update(metadata={"a": {1: "x", "b": 2}}))
    assert deep.hash.startswith("sha256:")
    assert canonical_json({"b": 1, "a": "é"}) == '{"a":"é","b":1}'
    assert content_hash({"a": 1, "b": 2}) == content_hash({"b": 2, "a": 1})


def test_a_rubric_knows_its_examples_and_metadata(folder: Path) -> None:
    base = rubric()
    assert [len(base.examples_of(key)) for key in ("takes_up", "tone", "nobody")] == [2, 1, 0]
    first = base.examples[0]
    assert len(base.without_context_of(first).examples) == 1
    grown = base.without_context_of(first).with_instance([base.criteria[0].model_copy(update={"id": "own"})])
    assert len(grown.examples) == 1  # what was left out does not come back with a row's own criteria
    assert len(grown.examples_of(base.criteria[0].id)) == 1
    assert len(base.examples) == 2
    assert base.metadata == {"profile": "Who the person is."}
    put(folder, "leaf")
    top = put(folder, "top", include="[{rubric: leaf}]")
    text = (
        top.read_text(encoding="utf-8")
        + "metadata: {profile: Mine.}\nexamples:\n  - {reply: x, levels: {leaf.blames: no}}\n"
    )
    top.write_text(text, encoding="utf-8")
    leaf = folder / "leaf/1.0.0.yaml"
    more = "metadata: {profile: Theirs., mood: }\nexamples:\n  - {reply: y, levels: {blames: yes}}\n"
    leaf.write_text(leaf.read_text(encoding="utf-8") + more, encoding="utf-8")
    loaded = load_rubric("top")
    assert isinstance(loaded, Rubric)
    assert loaded.metadata == {"profile": "Mine.", "mood": ""}
    assert [example.levels for example in loaded.examples] == [{"leaf.blames": "no"}, {"leaf.blames": "yes"}]
    assert set(loaded.by_id) == {"blames", "leaf.blames"}
    assert (loaded.title, loaded.target) == ("top", "reply")


def test_conditions_within_a_diamond_name_where_it_counts(folder: Path) -> None:
    put(folder, "leaf")
    put(folder, "one", include="[{rubric: leaf}]")
    two = put(folder, "two", include="[{rubric: leaf}]")
    more = "    only_if_levels: {leaf.blames: [no]}\nexamples:\n  - {reply: x, levels: {leaf.blames: no}}\n"
    two.write_text(two.read_text(encoding="utf-8") + more, encoding="utf-8")
    put(folder, "top", include="[{rubric: one}, {rubric: two}]")
    loaded = load_rubric("top")
    assert list(loaded.by_id) == ["blames", "one.blames", "one.leaf.blames", "two.blames"]
    assert loaded.by_id["two.blames"].conditions == ({"one.leaf.blames": ["no"]},)
    assert loaded.examples[0].levels == {"one.leaf.blames": "no"}


def test_a_moved_release_is_found_by_whatever_way_it_is_reached(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(folder / "old/1.0.0.yaml", yaml_text("old", "1.0.0"))
    assert lock_missing(folder) == ["old@1.0.0"]
    path.write_text(path.read_text().replace("blame the person", "blame them"))
    link = folder.parent / "elsewhere"
    link.symlink_to(path.parent)
    monkeypatch.chdir(path.parent)
    for way in (path, Path("1.0.0.yaml"), link / "1.0.0.yaml"):
        with pytest.raises(RubricError, match="has changed since"):
            load_rubric(way)


@pytest.mark.parametrize("key", ["required:", "only_if:", "good:", "reads:", "guidance:"])
def test_a_key_that_lost_its_value_is_no_missing_key(tmp_path: Path, key: str) -> None:
    text = yaml_text("old", "1.0.0").replace("    good: no\n", f"    {key}   # {{else_score: 0}}\n")
    path = write(tmp_path / "r.yaml", text)
    with pytest.raises(RubricError, match="has no value") as caught:
        load_rubric(path)
    assert caught.value.line == len(text.splitlines())


def test_the_order_of_options_is_content() -> None:
    def choices(options: dict[str, float]) -> Rubric:
        return rubric(
            lambda d: d["criteria"].append(
                {"id": "mood", "question": "Which mood?", "scale": {"type": "choice", "options": options}}
            )
        )

    assert choices({"a": 1.0, "b": 0.0}).hash != choices({"b": 0.0, "a": 1.0}).hash
