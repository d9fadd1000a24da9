"""Artifacts: what is written is what is read, and nothing else is."""

from __future__ import annotations

import json
from typing import Any

import pytest
from learning import calibration, gating, linear, ordinal

from kardia.artifact import RatingScale, artifact_text, parse_artifact
from kardia.datafile import Malformed

SCALE = RatingScale(low=1.0, high=4.0, ratings=[1.0, 2.0, 4.0])
ALL = [
    linear({"warm": 0.5, "safety.demeans": -0.25}, 0.125),
    ordinal({"warm": 1.5}, [-1.0, 2.0], SCALE),
    gating({"warm": 0.05, "clear": 0.0}, [([[1.0, 2.0], [0.5, 0.0]], [0.0, 1.0]), ([[1.0, 0.0], [0.0, 1.0]], [0, 0])]),
    calibration({"warm": (1, 2, 3), "tone": ("cold", "kind")}, [([[0.1] * 5], [0.0], [1.0], [-1.0, 1.0])] * 2, SCALE),
]


@pytest.mark.parametrize("artifact", ALL, ids=lambda one: one.kind)
def test_what_is_written_is_read(artifact):
    text = artifact_text(artifact)
    assert parse_artifact(text) == artifact
    assert artifact_text(parse_artifact(text)) == text
    assert json.loads(text)["kardia"] == "aggregate/1"
    assert text.endswith("}\n")


def test_whole_numbers_are_numbers():
    data = json.loads(artifact_text(ALL[0]))
    data["intercept"] = 0
    assert parse_artifact(json.dumps(data)).intercept == 0.0


def changed(artifact: Any, **keys: Any) -> str:
    data = json.loads(artifact_text(artifact))
    for path, value in keys.items():
        *steps, last = [int(step) if step.isdigit() else step for step in path.split("__")]
        here = data
        for step in steps:
            here = here[step]
        here[last] = value
    return json.dumps(data)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "line 1: is not JSON"),
        ('{\n "kardia": "aggregate/1",\n oops}', "line 3: is not JSON"),
        ("[]", 'it has no "kardia"'),
        ("{}", 'it has no "kardia"'),
        ('{"kardia": "aggregate/2"}', "its \"kardia\" is 'aggregate/2'; expected 'aggregate/1'"),
        ('{"kardia": "aggregate/1", "kind": "oracle"}', "kind: is 'oracle'; expected one of linear"),
        ('{"kardia": "aggregate/1"}', "kind: is None"),
        ('{"kardia": "aggregate/1", "kind": "linear", "intercept": NaN}', "NaN is no number"),
        ("[" * 100_000, "is not JSON"),
        (changed(ALL[0], extra=1), "extra: "),
        (changed(ALL[0], intercept="0.5"), "intercept: "),
        (changed(ALL[0], intercept=-7.5).replace("-7.5", "1e999"), "intercept: input should be a finite number"),
        (changed(ALL[0], inputs=[]), "inputs: "),
        (changed(ALL[0], inputs__0__fill=1.5), "inputs.0.fill: "),
        (changed(ALL[0], inputs__1__id="warm"), "an id stands twice"),
        (changed(ALL[0], rubric__hash="abc"), "rubric.hash: "),
        (changed(ALL[1], thresholds=[2.0, -1.0]), "`thresholds` must rise"),
        (changed(ALL[1], thresholds=[2.0]), "`thresholds` must rise"),
        (changed(ALL[1], scale__ratings=[2.0, 1.0, 4.0]), "scale: `ratings` must rise"),
        (changed(ALL[1], scale__ratings=[1.0, 1.0, 4.0]), "scale: `ratings` must rise"),
        (changed(ALL[1], scale__low=1.5), "scale: `ratings` must rise"),
        (changed(ALL[2], layers__0__weights=[[1.0], [2.0]]), "`layers` do not lead"),
        (changed(ALL[2], layers__1__bias=[0.0]), "layers.1: `weights` must be rows"),
        (changed(ALL[2], layers__0__weights=[[1.0, 2.0], [1.0]]), "layers.0: `weights` must be rows"),
        (changed(ALL[2], verbosity__span=0.0), "verbosity.span: "),
        (changed(ALL[2], encoder__dimensions=3), "`layers` do not lead"),
        (changed(ALL[3], inputs__0__fill=[1.0]), "inputs.0: `fill`"),
        (changed(ALL[3], networks__1__out=[1.0, 1.0]), "does not lead from the levels"),
        (changed(ALL[3], networks__0__hidden__weights=[[0.1] * 4]), "does not lead from the levels"),
        (changed(ALL[3], networks__0__thresholds=[1.0, -1.0]), "`thresholds` must rise"),
    ],
)
def test_anything_else_is_refused_with_its_place(text, says):
    with pytest.raises(Malformed) as problem:
        parse_artifact(text)
    assert says in str(problem.value)
    assert "\n" not in str(problem.value)
