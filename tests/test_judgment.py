"""Judgments and scorecards: a level and a value together, or neither."""

from __future__ import annotations

import json

import pytest

from kardia.judgment import Judgment, Scorecard


@pytest.mark.parametrize(
    ("status", "level", "value"),
    [
        ("scored", None, None),
        ("scored", 3, None),
        ("scored", None, 0.5),
        ("unscored", 3, 0.5),
        ("abstained", "no", 0.0),
    ],
)
def test_a_number_without_a_level_cannot_be_made(status, level, value):
    with pytest.raises(ValueError, match="exactly when it is scored"):
        Judgment("a", status, level, value)


def test_a_judgment_as_json():
    judgment = Judgment("a", "scored", 2, 1 / 3, "because", ("x", "y"), {1: 2 / 3, 2: 1 / 3}, (2, None, 1))
    assert judgment.to_json() == {
        "status": "scored",
        "level": 2,
        "value": 0.333333,
        "reason": "because",
        "evidence": ["x", "y"],
        "probabilities": {"1": 0.666667, "2": 0.333333},
        "samples": [2, None, 1],
        "error": None,
    }


def test_a_judgment_without_a_number_has_none_in_json():
    data = Judgment("a", "unscored", error="no answer").to_json()
    assert data["error"] == "no answer"
    assert data["level"] is data["value"] is data["probabilities"] is data["samples"] is None


def card(**rest):
    fields = {
        "id": "c1",
        "target": {"kind": "reply", "message": 1, "text": "Hi."},
        "group": "g",
        "metadata": {"emotion": "joy"},
        "rubric": "made@1.0.0",
        "judge": "fake",
        "status": "scored",
        "score": 2 / 3,
        "vetoed_by": (),
        "criteria": {"b": Judgment("b", "scored", "no", 0.0), "a": Judgment("a", "abstained", error="few")},
        "usage": {"requests": 1},
        "provenance": {"kardia": "0"},
    }
    return Scorecard(**{**fields, **rest})


def test_a_scorecard_as_json_keeps_the_documented_order():
    data = card().to_json()
    assert list(data) == [
        "id",
        "target",
        "group",
        "metadata",
        "rubric",
        "judge",
        "status",
        "score",
        "vetoed_by",
        "criteria",
        "usage",
        "provenance",
    ]
    assert list(data["criteria"]) == ["b", "a"]
    assert data["score"] == 0.666667
    json.dumps(data, allow_nan=False)


def test_a_scorecard_without_text_or_score():
    data = card(metadata=None, score=None, status="unscored", group=None).to_json()
    assert data["metadata"] is data["score"] is data["group"] is None


def test_a_guard_stands_after_the_vetoes_where_there_is_one():
    assert "guard" not in card().to_json()
    found = card(guard={"found": ["x"]}).to_json()
    assert list(found)[8:11] == ["vetoed_by", "guard", "criteria"]
    assert found["guard"] == {"found": ["x"]}


def test_what_is_made_of_a_card_is_no_part_of_it():
    made = card()
    data = made.to_json()
    data["usage"]["requests"] = data["target"]["text"] = data["provenance"]["kardia"] = data["metadata"]["x"] = None
    data["criteria"]["b"]["level"] = None
    assert made == card()


def test_entropy_says_how_undecided_the_probabilities_are():
    def entropy(*shares):
        return Judgment("a", "scored", 1, 0.5, probabilities=dict(enumerate(shares, 1))).entropy

    assert entropy(1.0, 0.0, 0.0) == 0.0
    assert entropy(0.25, 0.25, 0.25, 0.25) == pytest.approx(1.0)
    assert 0.0 < entropy(0.9, 0.1) < entropy(0.6, 0.4) < 1.0
    assert Judgment("a", "scored", 1, 0.5).entropy is None


def test_left_out_messages_stand_on_the_card_where_there_are_some():
    judgment = Judgment("a", "scored", 1, 0.5, "Mine.", dropped=2)
    assert judgment.to_json()["dropped_messages"] == 2
    assert judgment.without_text().dropped == 2
    assert "dropped_messages" not in Judgment("a", "scored", 1, 0.5).to_json()
