"""A criterion is known by what it asks."""

from __future__ import annotations

import pytest
from making import binary, choice, criterion, make, ordinal

from kardia.errors import RubricError
from kardia.rubric.rubric import Part
from kardia.student.tasks import Task, task_digest, task_of, tasks_of


def digest(data, target="reply"):
    return task_digest(criterion(data), target)


def test_what_does_not_reach_the_judge_does_not_count():
    plain = digest(ordinal("warm"))
    assert plain.startswith("sha256:")
    renamed = {**ordinal("warm"), "id": "kind"}
    assert digest(renamed) == plain
    assert digest(ordinal("warm", weight=3, good="low", required={"at_most": 3})) == plain
    assert digest(ordinal("warm", only_if={"emotion": "sadness"}, only_if_levels={"other": [1]})) == plain
    assert digest(ordinal("warm", reads="reply")) == plain


@pytest.mark.parametrize(
    "changed",
    [
        {"question": "How warm is it, really?"},
        {"guidance": "Jokes are not warm."},
        {"reads": "conversation"},
        {"not_relevant": "Nothing was said."},
        {"scale": {"levels": {1: "warm at its lowest", 5: "warmer than ever"}}},
        {"scale": {"levels": {1: "warm at its lowest", 3: "between", 5: "warm at its highest"}}},
        {"scale": {"levels": {1: "warm at its lowest", 4: "warm at its highest"}}},
    ],
    ids=lambda changed: next(iter(changed)),
)
def test_what_reaches_the_judge_counts(changed):
    assert digest({**ordinal("warm"), **changed}) != digest(ordinal("warm"))


def test_the_value_of_an_option_does_not_count_and_its_order_does():
    def tone(**options):
        return {"id": "tone", "question": "Which tone?", "scale": {"type": "choice", "options": options}}

    assert digest(tone(warm=1.0, cold=0.0)) == digest(tone(warm=0.7, cold=0.2))
    assert digest(tone(warm=1.0, cold=0.0)) != digest(tone(cold=0.0, warm=1.0))
    described = tone(warm=1.0, cold={"value": 0.0, "description": "Like ice."})
    assert digest(described) != digest(tone(warm=1.0, cold=0.0))


def test_an_included_criterion_is_the_same_question():
    inner = make(ordinal("warm"), binary("blames"), name="inner")
    outer = make(ordinal("clear"), parts=(Part("in", 1.0, inner),), name="outer")
    assert outer.by_id["in.warm"].id == "in.warm"
    assert task_of(outer, outer.by_id["in.warm"]).digest == task_of(inner, inner.by_id["warm"]).digest
    keys = [task.key for task in tasks_of([inner, outer])]
    assert keys == ["inner.warm", "inner.blames", "outer.clear"]
    assert [task.key for task in tasks_of([outer, inner])] == ["outer.clear", "outer.in.warm", "outer.in.blames"]


def test_only_some():
    inner = make(ordinal("warm"), binary("blames"), name="inner")
    outer = make(parts=(Part("in", 1.0, inner),), name="outer")
    # under whichever name it is asked for
    assert [task.key for task in tasks_of([inner, outer], ["outer.in.blames"])] == ["inner.blames"]
    with pytest.raises(RubricError, match=r"has the criterion 'inner.cold'; they have inner.warm"):
        tasks_of([inner], ["inner.cold"])


def test_sizes():
    rubric = make(ordinal("warm"), binary("blames"), choice("tone"))
    sizes = {task.key: (task.size, task.thresholds, task.ordered) for task in tasks_of([rubric])}
    assert sizes == {"made.warm": (4, True, True), "made.blames": (1, True, True), "made.tone": (3, False, False)}
    assert Task("two", ("a", "b"), False, "").size == 1
