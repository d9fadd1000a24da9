"""A student's score by a rubric, and what a rubric's score is made of."""

from __future__ import annotations

import pytest
from making import binary, choice, make, ordinal

from kardia.errors import InputError
from kardia.model.linear import logistic_sum, task_weights
from kardia.model.reward import CardScore
from kardia.rubric.rubric import Part
from kardia.student.ordinal import slots_of
from kardia.student.tasks import tasks_of

np = pytest.importorskip("numpy", reason="students need kardia[local]")


def card_score(rubric, tasks=None):
    return CardScore(rubric, tasks or tasks_of([rubric]))


def sum_of(rubric, tasks=None):
    tasks = tasks or tasks_of([rubric])
    return logistic_sum(CardScore(rubric, tasks), slots_of(tasks))


def test_a_score_is_the_rubrics():
    rubric = make(ordinal("warm", 1, 3, weight=3), binary("blames", good="no"))
    score = card_score(rubric)
    assert score({"made.warm": [0.0, 0.5, 0.5], "made.blames": [0.8, 0.2]}) == pytest.approx((3 * 0.75 + 0.8) / 4)


def test_a_weighted_mean_is_a_sum_of_logistic_units():
    inner = make(ordinal("warm", 1, 5, weight=2), binary("blames", good="no"), name="inner")
    outer = make(ordinal("clear", 1, 3, good="low", weight=3), parts=(Part("in", 1.0, inner),), name="outer")
    tasks = tasks_of([make(ordinal("other"), name="apart"), outer])
    found = sum_of(outer, tasks)
    assert found.exact
    weights = task_weights(found, slots_of(tasks))
    wanted = {"apart.other": 0.0, "outer.clear": -0.75, "outer.in.warm": 0.25 * 4 / 6 * 1, "outer.in.blames": -0.25 / 3}
    wanted["outer.in.warm"] = 0.25 * 2 / 3
    assert weights == pytest.approx(wanted, abs=1e-9)
    assert found.constant == pytest.approx(0.75 + 0.25 / 3)


@pytest.mark.parametrize(
    "rubric",
    [
        make(ordinal("warm"), binary("blames", good="no", required={"else_score": 0})),
        make(ordinal("warm"), ordinal("clear"), aggregate={"method": "minimum"}),
        make(ordinal("warm"), ordinal("clear"), aggregate={"method": "product"}),
        make(ordinal("warm"), ordinal("clear"), aggregate={"shaping": {"power": 2.0}}),
        make(ordinal("warm"), ordinal("clear"), aggregate={"saturation": {"warm": {"above": 0.5, "slope": 0.2}}}),
        make(ordinal("warm"), ordinal("clear", only_if_levels={"warm": [1, 2]})),
        make(ordinal("warm"), choice("tone")),
        make(
            ordinal("warm"),
            ordinal("clear"),
            aggregate={"interactions": [{"when": {"warm": {"at_least": 0.7}, "clear": {"at_most": 0.3}}, "add": -0.2}]},
        ),
    ],
    ids=["veto", "minimum", "product", "shaping", "saturation", "condition", "choice", "interaction"],
)
def test_what_is_no_sum(rubric):
    assert not sum_of(rubric).exact


def test_a_choice_of_two_is_a_sum():
    two = {"id": "tone", "question": "Which?", "scale": {"type": "choice", "options": {"warm": 0.9, "cold": 0.1}}}
    assert sum_of(make(ordinal("warm"), two)).exact


def test_what_has_no_head():
    whole, kept = make(ordinal("warm"), ordinal("clear")), tasks_of([make(ordinal("warm"))])
    with pytest.raises(InputError, match="has no score by this student: clear is not scored"):
        card_score(whole, kept)
    some = make(ordinal("warm"), ordinal("clear"), aggregate={"unscored": "renormalise"})
    assert card_score(some, kept)({"made.warm": [0.0, 0.0, 0.0, 1.0, 0.0]}) == 0.75
    with pytest.raises(InputError, match="has a head for no criterion of made"):
        card_score(make(ordinal("cold")), kept)


def test_what_a_reward_model_is_not_shown():
    with pytest.raises(InputError, match="clear reads conversation"):
        card_score(make(ordinal("warm"), ordinal("clear", reads="conversation")))
    # a row without metadata meets no condition on it
    rubric = make(ordinal("warm"), ordinal("clear", only_if={"emotion": "sadness"}))
    assert card_score(rubric)({"made.warm": [0.0] * 4 + [1.0], "made.clear": [1.0] + [0.0] * 4}) == 1.0
