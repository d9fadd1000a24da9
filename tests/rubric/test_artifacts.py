"""A rubric that names an artifact: what belongs together, and what is refused at the door."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import pytest
from learning import bound, calibration, gating, linear, ordinal

from kardia.artifact import Artifact, RatingScale, artifact_text
from kardia.errors import RubricError
from kardia.rubric.diff import diff
from kardia.rubric.lint import lint_file
from kardia.rubric.loading import instance_criteria, load_rubric, load_unlearned
from kardia.rubric.publish import check_lock, publish
from kardia.rubric.rubric import Rubric

from .helpers import write

SCALE = RatingScale(low=1.0, high=5.0, ratings=[1.0, 5.0])
LEARNED = "{method: learned, artifact: weights.json}"


def text(aggregate: str = LEARNED, version: str = "1.0.0", **more: str) -> str:
    lines = {
        "name": "calm",
        "version": version,
        "title": "Calm",
        "include": "[]",
        "target": "reply",
        "warm": "How warm is the reply?",
        **more,
    }
    return f"""\
name: {lines["name"]}
version: {lines["version"]}
title: {lines["title"]}
target: {lines["target"]}
include: {lines["include"]}
criteria:
  - id: warm
    question: {lines["warm"]}
    scale:
      levels:
        1: Names nothing that the person said.
        3: Names what the person feels, and why.
  - id: blames
    question: Does the reply blame the person?
    scale: {{type: binary}}
    good: no
aggregate: {aggregate}
"""


def plain(**more: str) -> Rubric:
    """The rubric without an artifact, from nowhere."""
    from kardia.rubric.models import RubricFile
    from kardia.yamlfile import parse_yaml

    return Rubric(RubricFile.model_validate(parse_yaml(text("{}", **more)).data))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def put(folder: Path, artifact: Artifact | None = None, name: str = "weights.json") -> str:
    """Writes an artifact that fits, or the one that is given; hands back its digest."""
    made = artifact or linear({"warm": 0.5, "blames": 0.25}, rubric=bound(plain()))
    write(folder / name, artifact_text(made))
    return hashlib.sha256((folder / name).read_bytes()).hexdigest()


def refused(path: Path, key: str | None, *words: str) -> None:
    with pytest.raises(RubricError) as problem:
        load_rubric(path)
    assert problem.value.key == key
    assert problem.value.file == str(path)
    assert problem.value.line is not None
    for word in words:
        assert word in problem.value.message


def test_an_artifact_beside_the_rubric(folder: Path) -> None:
    digest = put(folder)
    rubric = load_rubric(write(folder / "calm.yaml", text()))
    assert rubric.learned is not None
    assert rubric.learned.digest == f"sha256:{digest}"
    assert rubric.learned.artifact.kind == "linear"
    assert rubric.artifacts == {"calm": rubric.learned}
    assert rubric.root.learned is rubric.learned


def test_the_digest_is_part_of_the_content_and_the_place_is_not(folder: Path) -> None:
    digest = put(folder)
    first = load_rubric(write(folder / "calm.yaml", text())).hash
    put(folder, name="sub/other.json")
    moved = text(f"{{method: learned, artifact: sub/other.json, sha256: {digest}}}")
    assert load_rubric(write(folder / "moved.yaml", moved)).hash == first
    put(folder, linear({"warm": 0.5, "blames": 0.2}, rubric=bound(plain())))
    assert load_rubric(folder / "calm.yaml").hash != first


def test_version_and_aggregation_are_free(folder: Path) -> None:
    put(folder)
    for aggregate, version in (
        (LEARNED, "2.0.0"),
        ("{method: learned, artifact: weights.json, shaping: {power: 2.0}}", "1.0.0"),
    ):
        assert load_rubric(write(folder / "calm.yaml", text(aggregate, version))).learned is not None


@pytest.mark.parametrize(
    "more",
    [
        {"warm": "How friendly is the reply?"},
        {"title": "Calmness"},
        {"target": "conversation"},
    ],
)
def test_another_content_is_refused(folder: Path, more: dict[str, str]) -> None:
    put(folder)
    path = write(folder / "calm.yaml", text(**more))
    refused(path, "aggregate.artifact", "was fitted for another version of calm", "kardia fit")


def test_another_rubric_is_refused(folder: Path) -> None:
    put(folder)
    path = write(folder / "cold.yaml", text(name="cold"))
    refused(path, "aggregate.artifact", "was fitted for the rubric calm, not for cold")


def test_no_file(folder: Path) -> None:
    path = write(folder / "calm.yaml", text())
    refused(path, "aggregate.artifact", "no such file", "kardia fit")
    (folder / "weights.json").mkdir()
    refused(path, "aggregate.artifact", "is a directory")


def test_a_malformed_file(folder: Path) -> None:
    write(folder / "weights.json", "{\n oops")
    path = write(folder / "calm.yaml", text())
    refused(path, "aggregate.artifact", "weights.json: line 2: is not JSON")
    data = json.loads(artifact_text(linear({"warm": 0.5}, rubric=bound(plain()))))
    data["inputs"][0]["weight"] = "much"
    write(folder / "weights.json", json.dumps(data))
    refused(path, "aggregate.artifact", "inputs.0.weight: ")


def test_another_digest(folder: Path) -> None:
    put(folder)
    path = write(folder / "calm.yaml", text("{method: learned, artifact: weights.json, sha256: " + "a" * 64 + "}"))
    refused(path, "aggregate.sha256", "restore the file, or correct the digest")
    path = write(folder / "calm.yaml", text("{method: learned, artifact: weights.json, sha256: abc}"))
    refused(path, "aggregate.sha256", "64 lower-case hexadecimal digits")


def test_inputs_that_the_rubric_does_not_have(folder: Path) -> None:
    path = write(folder / "calm.yaml", text())
    put(folder, linear({"warm": 0.5, "kind": 0.5}, rubric=bound(plain())))
    refused(path, "aggregate.artifact", "this rubric has no 'kind'")
    network = ([[0.0] * 4], [0.0], [1.0], [0.0])
    put(folder, calibration({"warm": (1, 2), "blames": ("no", "yes")}, [network], SCALE, bound(plain())))
    refused(path, "aggregate.artifact", "the levels of 'warm' are not those")


@pytest.mark.parametrize(
    ("aggregate", "key", "words"),
    [
        ("{method: learned}", "aggregate.method", "needs `artifact`"),
        ("{artifact: weights.json}", "aggregate.artifact", "belongs to `method: learned`, not to weighted_mean"),
        ("{method: minimum, sha256: " + "a" * 64 + "}", "aggregate.sha256", "belongs to `method: learned`"),
        (
            "{method: learned, artifact: weights.json, saturation: {warm: {above: 0.5, slope: 0.1}}}",
            "aggregate.saturation",
            "cannot stand with `method: learned`",
        ),
    ],
)
def test_what_does_not_go_together(folder: Path, aggregate: str, key: str, words: str) -> None:
    put(folder)
    refused(write(folder / "calm.yaml", text(aggregate)), key, words)


def test_only_weights_that_can_be_shared_out_renormalise(folder: Path) -> None:
    path = write(folder / "calm.yaml", text("{method: learned, artifact: weights.json, unscored: renormalise}"))
    put(folder)
    assert load_rubric(path).learned is not None
    put(folder, gating({"warm": 0.0, "blames": 0.0}, [([[0.0, 0.0]] * 2, [0.0, 0.0])], rubric=bound(plain())))
    assert load_rubric(path).learned is not None
    put(folder, linear({"warm": 0.5, "blames": -0.1}, rubric=bound(plain())))
    refused(path, "aggregate.unscored", "a linear artifact with negative weights cannot do", "unscored: whole")
    put(folder, ordinal({"warm": 0.5}, [0.0], SCALE, bound(plain())))
    refused(path, "aggregate.unscored", "the kind ordinal cannot do")


def test_what_an_include_makes_of_its_criteria_is_content(folder: Path) -> None:
    put(folder)
    inner = write(folder / "calm.yaml", text())
    outer = text("{}", name="outer", include="[{rubric: ./calm.yaml, as: calm}]")
    before = load_rubric(write(folder / "outer.yaml", outer))
    assert before.artifacts == {"calm": load_rubric(inner).learned}
    put(folder, linear({"warm": 0.4}, rubric=bound(plain())))
    after = load_rubric(folder / "outer.yaml")
    assert before.hash != after.hash
    assert before.asked_hash != after.asked_hash


def test_a_gate_needs_the_target_it_was_fitted_for(folder: Path) -> None:
    put(folder, gating({"warm": 0.0, "blames": 0.0}, [([[0.0, 0.0]] * 2, [0.0, 0.0])], rubric=bound(plain())))
    write(folder / "calm.yaml", text())
    include = "[{rubric: ./calm.yaml, as: calm}]"
    assert load_rubric(write(folder / "outer.yaml", text("{}", name="outer", include=include))).artifacts
    path = write(folder / "outer.yaml", text("{}", name="outer", include=include, target="conversation"))
    refused(path, "include", "include one with the same target")


def test_criteria_of_a_row_have_no_learned_weight(folder: Path) -> None:
    put(folder)
    rubric = load_rubric(write(folder / "calm.yaml", text()))
    with pytest.raises(RubricError, match="knows no weight for further ones"):
        instance_criteria([{"question": "Is it short?"}], rubric)


def test_to_fit_anew_the_old_artifact_need_not_be_there(folder: Path) -> None:
    put(folder)
    path = write(folder / "calm.yaml", text())
    bare = load_unlearned(path)
    assert (bare.learned, bare.file.aggregate.method) == (None, "weighted_mean")
    assert bare.asked_hash == load_rubric(path).asked_hash
    (folder / "weights.json").unlink()
    assert load_unlearned(path).asked_hash == bare.asked_hash
    other = write(folder / "plain.yaml", text("{unscored: renormalise}"))
    assert load_unlearned(other) == load_rubric(other)


def test_lint_says_where(folder: Path) -> None:
    path = write(folder / "calm.yaml", text())
    found = [one for one in lint_file(path).findings if one.severity == "error"]
    assert [(one.rule, one.key) for one in found] == [("schema", "aggregate.artifact")]
    assert found[0].line == text().splitlines().index(f"aggregate: {LEARNED}") + 1
    put(folder)
    assert not lint_file(path).errors


def test_diff_compares_artifacts_and_not_their_places(folder: Path) -> None:
    put(folder)
    one = load_rubric(write(folder / "one.yaml", text()))
    put(folder, name="moved.json")
    two = load_rubric(write(folder / "two.yaml", text("{method: learned, artifact: moved.json}")))
    assert not diff(one, two).changes
    put(folder, linear({"warm": 0.1}, rubric=bound(plain())), "other.json")
    three = load_rubric(write(folder / "three.yaml", text("{method: learned, artifact: other.json}")))
    (change,) = diff(one, three).changes
    assert (change.where, change.impact) == ("aggregate.artifact", "major")
    assert change.after == three.learned.digest


def test_a_release_is_held_to_its_artifact(folder: Path) -> None:
    place = folder / "rubrics" / "calm"
    put(place)
    draft = write(place / "1.0.0-draft.1.yaml", text(version="1.0.0-draft.1"))
    release = publish(draft)
    assert load_rubric("calm").learned is not None
    assert not check_lock(folder / "rubrics")
    put(place, linear({"warm": 0.1}, rubric=bound(plain())))
    with pytest.raises(RubricError, match="its content has changed since"):
        load_rubric("calm")
    assert check_lock(folder / "rubrics")
    assert [one.rule for one in lint_file(release).errors] == ["KR901"]
    (place / "weights.json").unlink()
    assert [one.key for one in lint_file(release).errors] == ["aggregate.artifact"]


def test_equal_files_with_different_artifacts_are_different(
    folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    place = folder / "rubrics" / "calm"
    put(place)
    write(place / "1.0.0.yaml", text())
    elsewhere = tmp_path / "elsewhere"
    shutil.copytree(folder / "rubrics", elsewhere / "rubrics")
    monkeypatch.setenv("KARDIA_PATH", str(elsewhere))
    assert load_rubric("calm").learned is not None
    put(elsewhere / "rubrics" / "calm", linear({"warm": 0.1}, rubric=bound(plain())))
    with pytest.raises(RubricError, match="stands with different content"):
        load_rubric("calm")
