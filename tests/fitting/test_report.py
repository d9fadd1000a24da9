"""What is handed back: numbers short enough to be the same everywhere, and lines that load when pasted."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from learning import bound, calibration, linear
from making import make, ordinal

from kardia.artifact import RatingScale, artifact_text
from kardia.fitting.report import short, yaml_lines
from kardia.rubric.loading import load_rubric
from kardia.rubric.rubric import Rubric

DIGEST = "a" * 64
NETWORK = ([[0.0] * 5], [0.0], [1.0], [0.0])
SCALE = RatingScale(low=0.0, high=1.0, ratings=[0.0, 1.0])


@pytest.mark.parametrize(
    ("number", "shown"), [(0.123456789, "0.123457"), (-0.0, "0.0"), (1e-12, "1e-12"), (123456.789, "123457.0")]
)
def test_six_digits(number, shown):
    assert repr(short(number)) == shown


def test_where_the_artifact_lies(tmp_path):
    rubric = Rubric(make(ordinal("warm")).file, source=str(tmp_path / "rubrics" / "calm.yaml"))
    artifact = linear({"warm": 1.0})
    for path, named in (
        (tmp_path / "rubrics" / "weights.json", "weights.json"),
        (tmp_path / "rubrics" / "sub" / "my weights.json", "'sub/my weights.json'"),
        (tmp_path / "elsewhere" / "it's.json", "'it''s.json'"),
    ):
        text = yaml_lines(artifact, path, DIGEST, rubric)
        assert text == f"aggregate:\n  method: learned\n  artifact: {named}\n  sha256: {DIGEST}\n"
    assert "artifact: weights.json" in yaml_lines(artifact, Path("x/weights.json"), DIGEST, make(ordinal("warm")))


def test_what_is_kept_of_the_rubrics_own_aggregation():
    rubric = make(ordinal("warm"), aggregate={"unscored": "renormalise"})
    assert "unscored: renormalise" in yaml_lines(linear({"warm": 1.0}), Path("w.json"), DIGEST, rubric)
    assert "unscored" not in yaml_lines(linear({"warm": -1.0}), Path("w.json"), DIGEST, rubric)
    network = calibration({"warm": (1, 2, 3, 4, 5)}, [NETWORK], SCALE)
    assert "unscored" not in yaml_lines(network, Path("w.json"), DIGEST, rubric)


def test_pasted_lines_load(tmp_path):
    text = "name: calm\nversion: 1.0.0\ntitle: Calm\ncriteria:\n"
    text += "  - {id: blames, question: Does it blame?, scale: {type: binary}}\n"
    path = tmp_path / "calm.yaml"
    path.write_text(text)
    artifact = linear({"blames": 1.0}, rubric=bound(load_rubric(path)))
    weights = tmp_path / "my weights.json"
    weights.write_text(artifact_text(artifact))
    digest = hashlib.sha256(weights.read_bytes()).hexdigest()
    path.write_text(text + yaml_lines(artifact, weights, digest, load_rubric(path)))
    assert load_rubric(path).learned.artifact == artifact
