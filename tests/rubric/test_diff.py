"""Every kind of change, its impact, and what stays comparable."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kardia.rubric.diff import Change, RubricDiff, bumped, diff, suffices
from kardia.rubric.diff_text import same_words, short, words_of
from kardia.rubric.loading import load_rubric
from kardia.rubric.rubric import Part

from .helpers import BASE, Data, changed, rubric


def compare(change: Callable[[Data], Any]) -> RubricDiff:
    return diff(rubric(), rubric(change))


def kinds(found: RubricDiff) -> list[tuple[str, str, str]]:
    return [(change.kind, change.where, change.impact) for change in found.changes]


def crit(number: int, **values: Any) -> Callable[[Data], Any]:
    return lambda data: data["criteria"][number].update(values)


def drop(number: int, key: str) -> Callable[[Data], Any]:
    return lambda data: data["criteria"][number].pop(key)


NEW = {"id": "asks", "question": "Does the reply ask anything?", "scale": {"type": "binary"}}

ONE_CHANGE = [
    (lambda d: d.update(title="Other"), ("title", "title", "minor")),
    (lambda d: d.update(name="other"), ("name", "name", "patch")),
    (lambda d: d.update(description="Something else."), ("description", "description", "minor")),
    (lambda d: d.update(description="what the BASE is about"), ("description", "description", "patch")),
    (lambda d: d.pop("description"), ("description", "description", "minor")),
    (lambda d: d["metadata"].update(situation="What happened."), ("metadata", "metadata.situation", "minor")),
    (lambda d: d["metadata"].update(situation=None), ("metadata", "metadata.situation", "minor")),
    (lambda d: d["metadata"].clear(), ("metadata", "metadata.profile", "minor")),
    (lambda d: d["metadata"].update(profile="Their life."), ("metadata", "metadata.profile", "minor")),
    (lambda d: d["metadata"].update(profile="who the person is"), ("metadata", "metadata.profile", "patch")),
    (lambda d: d["metadata"].update(profile=None), ("metadata", "metadata.profile", "minor")),
    (crit(0, question="How far does it follow?"), ("reworded", "takes_up.question", "major")),
    (crit(0, question="how far does the reply  take up what was told"), ("reworded", "takes_up.question", "patch")),
    (crit(0, guidance="Length counts."), ("reworded", "takes_up.guidance", "major")),
    (drop(0, "guidance"), ("reworded", "takes_up.guidance", "major")),
    (crit(1, not_relevant="Where all went well."), ("reworded", "blames.not_relevant", "major")),
    (drop(1, "not_relevant"), ("not_relevant", "blames.not_relevant", "major")),
    (crit(0, weight=3), ("reweighted", "takes_up.weight", "major")),
    (crit(0, weight=0), ("reweighted", "takes_up.weight", "major")),
    (crit(0, good="low"), ("direction", "takes_up.good", "major")),
    (crit(0, reads="thinking"), ("reads", "takes_up.reads", "major")),
    (crit(1, required={"else_score": 0.5}), ("requirement", "blames.required", "major")),
    (drop(1, "required"), ("requirement", "blames.required", "major")),
    (crit(0, required={"at_least": 2}), ("requirement", "takes_up.required", "major")),
    (crit(2, only_if={"emotion": ["joy"]}), ("condition", "tone.only_if", "major")),
    (drop(2, "only_if"), ("condition", "tone.only_if", "major")),
    (crit(2, only_if_levels={"takes_up": [3]}), ("condition", "tone.only_if_levels", "major")),
    (drop(2, "only_if_levels"), ("condition", "tone.only_if_levels", "major")),
    (lambda d: d["criteria"].append(NEW), ("added", "asks", "major")),
    (lambda d: d["criteria"].append({**NEW, "weight": 0}), ("added", "asks", "minor")),
    (lambda d: d["criteria"].append({**NEW, "weight": 0, "required": {}}), ("added", "asks", "major")),
    (lambda d: d["criteria"].reverse(), ("order", "criteria", "patch")),
    (lambda d: d["examples"].reverse(), ("order", "the file", "patch")),
    (lambda d: d.update(aggregate={"method": "minimum"}), ("aggregation", "aggregate.method", "major")),
    (lambda d: d.update(aggregate={"unscored": "renormalise"}), ("aggregation", "aggregate.unscored", "major")),
    (lambda d: d.update(aggregate={"shaping": {"power": 2}}), ("aggregation", "aggregate.shaping", "major")),
    (
        lambda d: d.update(aggregate={"saturation": {"tone": {"above": 0.5, "slope": 0.5}}}),
        ("aggregation", "aggregate.saturation", "major"),
    ),
    (
        lambda d: d.update(
            aggregate={"interactions": [{"when": {"tone": {"at_least": 1}, "blames": {"at_least": 1}}, "add": 0.1}]}
        ),
        ("aggregation", "aggregate.interactions", "major"),
    ),
]


@pytest.mark.parametrize(("change", "expected"), ONE_CHANGE)
def test_one_change_is_one_change(change: Callable[[Data], Any], expected: tuple[str, str, str]) -> None:
    found = compare(change)
    assert kinds(found) == [expected]
    assert found.required_bump == expected[2]
    assert found.comparable == (expected[2] != "major")
    assert found.sentences()[0].startswith(f"{expected[2]}: ")
    json.dumps(found.to_json())


def levels(data: Data) -> Data:
    return data["criteria"][0]["scale"]["levels"]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda d: levels(d).update({2: "Names the topic."}), ("reworded", "takes_up.scale.2", "major")),
        (lambda d: levels(d).update({2: "answers the subject"}), ("reworded", "takes_up.scale.2", "patch")),
        (lambda d: levels(d).pop(2), ("reworded", "takes_up.scale.2", "major")),
        (lambda d: levels(d).update({4: "More."}), ("rescaled", "takes_up.scale", "major")),
        (
            lambda d: d["criteria"][2]["scale"]["options"].update(cold=0.1),
            ("rescaled", "tone.scale", "major"),
        ),
        (
            lambda d: d["criteria"][2]["scale"]["options"]["warm"].update(description="Soft words."),
            ("reworded", "tone.scale.warm", "major"),
        ),
        (
            lambda d: d["criteria"][1]["scale"]["levels"].update(no="Silent."),
            ("reworded", "blames.scale.no", "major"),
        ),
    ],
)
def test_scales(change: Callable[[Data], Any], expected: tuple[str, str, str]) -> None:
    found = compare(change)
    assert kinds(found) == [expected]
    name = expected[1].split(".")[0]
    assert (name in found.incomparable_criteria) == (expected[2] == "major")


def test_another_scale_type_is_rescaled_and_nothing_else() -> None:
    found = diff(
        rubric(lambda d: d["criteria"].pop()),
        rubric(lambda d: (d["criteria"].pop(), d["criteria"][0].update(scale={"type": "binary"}), d.pop("examples"))),
    )
    assert ("rescaled", "takes_up.scale", "major") in kinds(found)
    assert not [change for change in found.changes if change.kind in ("direction", "reworded")]


def test_a_rescaled_requirement_is_compared_as_written() -> None:
    def before(data: Data) -> None:
        data["criteria"][0]["required"] = {"at_least": 2}

    def after(data: Data) -> None:
        before(data)
        levels(data)[4] = "More."

    assert kinds(diff(rubric(before), rubric(after))) == [("rescaled", "takes_up.scale", "major")]


def test_a_requirement_said_otherwise_is_the_same() -> None:
    found = diff(rubric(crit(0, required={})), rubric(crit(0, required={"at_least": 3})))
    assert kinds(found) == [("order", "the file", "patch")]


def test_equal_rubrics_have_no_difference() -> None:
    found = diff(rubric(), rubric())
    assert found.changes == ()
    assert found.required_bump == "none"
    assert found.comparable
    assert found.comparable_criteria == ("takes_up", "blames", "tone")
    assert found.sentences() == ["base@1.0.0 and base@1.0.0 have the same content."]


def test_a_version_alone_changes_nothing() -> None:
    assert compare(lambda d: d.update(version="2.0.0")).changes == ()


def test_removed() -> None:
    found = compare(lambda d: (d["criteria"].pop(2), d["examples"][1]["levels"].pop("tone")))
    assert kinds(found) == [("removed", "tone", "major")]
    assert found.comparable_criteria == ("takes_up", "blames")
    assert found.incomparable_criteria == ("tone",)
    assert "tone was removed" in found.sentences()[0]
    assert "Still comparable criterion by criterion: takes_up, blames." in found.sentences()


def test_renamed() -> None:
    def rename(data: Data) -> None:
        data["criteria"][1]["id"] = "lays_fault"
        for example in data["examples"]:
            example["levels"]["lays_fault"] = example["levels"].pop("blames")

    found = compare(rename)
    assert kinds(found) == [("renamed", "lays_fault", "major")]
    assert set(found.incomparable_criteria) == {"blames", "lays_fault"}
    assert "have no successor" in found.sentences()[0]


def test_a_renamed_parent_leaves_the_condition_alone() -> None:
    def rename(data: Data) -> None:
        data["criteria"][0]["id"] = "follows"
        data["criteria"][2]["only_if_levels"] = {"follows": [2, 3]}
        for example in data["examples"]:
            example["levels"]["follows"] = example["levels"].pop("takes_up")

    assert kinds(compare(rename)) == [("renamed", "follows", "major")]


def test_another_scale_is_no_renaming() -> None:
    found = compare(
        lambda d: (
            d["criteria"][2].update(id="mood"),
            d["criteria"][2].update(scale={"type": "binary"}),
            d["examples"][1]["levels"].pop("tone"),
        )
    )
    assert [change.kind for change in found.changes] == ["removed", "added"]


def test_target() -> None:
    found = compare(lambda d: d.update(target="conversation"))
    assert kinds(found) == [("target", "target", "major")]
    assert found.comparable_criteria == ()


def test_weights_scaled_together_keep_the_mean() -> None:
    def twice(data: Data) -> None:
        for criterion in data["criteria"]:
            criterion["weight"] = criterion.get("weight", 1) * 2

    found = compare(twice)
    assert {change.impact for change in found.changes} == {"patch"}
    as_product = lambda d: d.update(aggregate={"method": "product"})  # noqa: E731
    assert diff(rubric(as_product), rubric(lambda d: (as_product(d), twice(d)))).required_bump == "major"


def test_weights_under_minimum_say_only_whether_an_item_counts() -> None:
    low: Data = changed(lambda d: d.update(aggregate={"method": "minimum"}))
    assert diff(rubric(data=low), rubric(crit(0, weight=7), low)).required_bump == "patch"
    assert diff(rubric(data=low), rubric(crit(0, weight=0), low)).required_bump == "major"


def test_reweighting_leaves_the_criterion_comparable() -> None:
    found = compare(crit(0, weight=9))
    assert not found.comparable
    assert "takes_up" in found.comparable_criteria


def example(number: int, **values: Any) -> Callable[[Data], Any]:
    return lambda data: data["examples"][number].update(values)


@pytest.mark.parametrize(
    ("change", "impacts"),
    [
        (example(0, levels={"takes_up": 2, "blames": "no"}), ["minor"]),
        (example(0, levels={"takes_up": 3}), ["minor"]),
        (example(0, why="The mornings."), ["patch"]),
        (example(1, metadata={}), ["minor"]),
        (example(0, reply="he was there every morning, and today he is not"), ["patch"]),
        (example(0, reply="He was there every morning, and now he is not."), ["minor"]),
        (example(0, context="Our dog died."), ["minor"]),
        (example(0, context="Our dog died.", reply="Something else altogether: take a walk."), ["minor", "minor"]),
        (example(1, reply="A walk helps."), ["minor", "minor"]),
        (lambda d: d["examples"].pop(), ["minor"]),
        (lambda d: d["examples"].append({"reply": "Oh no.", "levels": {"takes_up": 1}}), ["minor"]),
        (lambda d: d["examples"].append({"reply": "Oh 🙂.", "levels": {"takes_up": 1}}), ["minor"]),
    ],
)
def test_examples(change: Callable[[Data], Any], impacts: list[str]) -> None:
    found = compare(change)
    assert [one.kind for one in found.changes] == ["example"] * len(impacts)
    assert [one.impact for one in found.changes] == impacts
    assert found.comparable


def test_the_closest_reply_is_the_edited_one() -> None:
    def edit(data: Data) -> None:
        kept = data["examples"][0]
        data["examples"][0] = {**kept, "reply": "Something far away from the first text."}
        data["examples"].append({**kept, "reply": "He was there every morning, and now he is not here."})

    found = compare(edit)
    edited = [one for one in found.changes if one.before and one.after]
    assert [one.after["reply"] for one in edited] == ["He was there every morning, and now he is not here."]


def test_examples_of_a_criterion_that_came_or_went_are_not_told_twice() -> None:
    def grow(data: Data) -> None:
        data["criteria"].append(NEW)
        data["examples"][0]["levels"]["asks"] = "no"
        data["examples"].append({"reply": "Why?", "levels": {"asks": "yes"}})

    assert [one.kind for one in compare(grow).changes] == ["added"]
    back = diff(rubric(grow), rubric())
    assert [one.kind for one in back.changes] == ["removed"]


def test_many_examples_become_one_sentence() -> None:
    more = [{"context": str(n), "reply": f"Reply {n}", "levels": {"takes_up": 1}} for n in range(6)]
    lines = compare(lambda d: d["examples"].extend(more)).sentences()
    assert lines[0] == "minor: examples: 6 added"
    assert lines[-3:] == [
        "Card scores of the two remain comparable.",
        "A judge that compares with the examples, such as embedded, may score differently.",
        "This requires at least a minor version.",
    ]
    assert (
        compare(lambda d: d.update(aggregate={"method": "minimum"})).sentences()[-1] == "This requires a major version."
    )


INNER: Data = {
    "name": "inner",
    "version": "1.0.0",
    "title": "Inner",
    "criteria": [{"id": "safe", "question": "Is the reply safe?", "scale": {"type": "binary"}, "required": {}}],
    "examples": [{"reply": "Stay with me.", "levels": {"safe": "yes"}}],
}
PLAIN: Data = {
    "name": "plain",
    "version": "1.0.0",
    "title": "Plain",
    "criteria": [{"id": "kind", "question": "Is the reply kind?", "scale": {"type": "binary"}}],
}


def part(data: Data = INNER, as_: str = "inner", weight: float = 1.0, change: Any = None, *parts: Part) -> Part:
    return Part(as_, weight, rubric(change, data, *parts))


def test_an_include_added_or_removed() -> None:
    found = diff(rubric(), rubric(None, BASE, part()))
    assert kinds(found) == [("include", "include.inner", "major")]
    assert found.incomparable_criteria == ("inner.safe",)
    assert kinds(diff(rubric(None, BASE, part()), rubric())) == [("include", "include.inner", "major")]
    idle = diff(rubric(), rubric(None, BASE, part(PLAIN, "plain", 0.0)))
    assert kinds(idle) == [("include", "include.plain", "minor")]
    veto = diff(rubric(), rubric(None, BASE, part(weight=0.0)))
    assert veto.required_bump == "major"


def test_an_include_that_moved_counts_by_its_content() -> None:
    same = diff(rubric(None, BASE, part()), rubric(None, BASE, part(change=lambda d: d.update(version="1.0.1"))))
    assert kinds(same) == [("include", "include.inner", "patch")]
    other = part(change=lambda d: (d.update(version="2.0.0"), d["criteria"][0].update(question="Is it harmless?")))
    found = diff(rubric(None, BASE, part()), rubric(None, BASE, other))
    assert ("reworded", "inner.safe.question", "major") in kinds(found)
    assert "inner.safe" in found.incomparable_criteria
    assert "takes_up" in found.comparable_criteria


def test_an_include_reweighted_or_called_otherwise() -> None:
    found = diff(rubric(None, BASE, part()), rubric(None, BASE, part(weight=3.0)))
    assert kinds(found) == [("include", "include.inner.weight", "major")]
    found = diff(rubric(None, BASE, part()), rubric(None, BASE, part(as_="guard")))
    assert kinds(found) == [("include", "include.guard", "major")]
    assert {"inner.safe", "guard.safe"} <= set(found.incomparable_criteria)


def test_the_order_of_includes_is_a_patch() -> None:
    a = rubric(None, BASE, part(), part(PLAIN, "plain"))
    b = rubric(None, BASE, part(PLAIN, "plain"), part())
    assert kinds(diff(a, b)) == [("order", "include", "patch")]


def test_a_diamond_is_compared_once() -> None:
    middle = {**PLAIN, "name": "middle"}

    def tree(change: Any = None) -> Any:
        inner = part(change=change)
        return rubric(None, BASE, Part("middle", 1.0, rubric(None, middle, inner)), inner)

    found = diff(tree(), tree(lambda d: d["criteria"][0].update(question="Is it harmless?")))
    assert [one.kind for one in found.changes] == ["reworded"]


def test_shipped_rubrics_equal_themselves() -> None:
    shipped = load_rubric("emotional-support")
    assert diff(shipped, shipped).changes == ()


@pytest.mark.parametrize(
    ("a", "b", "step", "enough"),
    [
        ("1.2.3", "1.2.4", "patch", True),
        ("1.2.3", "1.2.3", "patch", False),
        ("1.2.3", "1.2.3", "none", True),
        ("1.2.3", "1.2.2", "none", False),
        ("1.2.3", "1.2.9", "minor", False),
        ("1.2.3", "1.3.0", "minor", True),
        ("1.2.3", "1.9.9", "major", False),
        ("1.2.3", "2.0.0", "major", True),
        ("1.2.3", "2.0.0-draft.1", "major", True),
        ("1.2.3", "1.3.0-draft.4", "major", False),
        ("0.2.3", "0.3.0", "major", True),
        ("0.2.3", "0.2.4", "major", False),
        ("1.1.0-draft.1", "1.1.0", "major", True),
        ("1.1.0-draft.2", "1.1.0-draft.1", "patch", False),
        ("1.1.0-draft.2", "1.1.0-draft.2", "none", True),
    ],
)
def test_which_version_is_step_enough(a: str, b: str, step: Any, enough: bool) -> None:
    assert suffices(a, b, step) is enough
    change = Change("title", "title", "a", "b", "patch")
    impacts = {"none": (), "patch": (change,)}
    if step in impacts:
        assert RubricDiff("a", "b", impacts[step], (), ()).satisfied_by(a, b) is enough


@given(st.tuples(*[st.integers(0, 30)] * 3), st.sampled_from(["patch", "minor", "major"]))
def test_a_step_is_always_enough_for_itself(core: tuple[int, int, int], step: Any) -> None:
    version = ".".join(map(str, core))
    assert suffices(version, bumped(version, step), step)
    assert not suffices(version, version, step)


@given(st.text())
def test_words_do_not_depend_on_case_spacing_or_full_stops(text: str) -> None:
    assert words_of(words_of(text)) == words_of(text)
    assert same_words(text, f"  {text} . ")


def test_symbols_and_negations_are_words() -> None:
    assert not same_words("a 🙂", "a 😢")
    assert not same_words("is safe", "is not safe")
    assert same_words("Is it “safe”?", "is it safe")


def test_quoting() -> None:
    assert short("a\n b") == "“a b”"
    assert short("x" * 200).endswith("…”")
    assert short({"levels": {"a": 1}, "reply": "b", "n": 1}) == "levels: a: 1, reply: “b”, n: 1"
    assert short([1, {"a": 2}]) == "1, a: 2"
    assert short(1.5) == "1.5"
    assert len(short(list(range(100)))) == 90


def test_a_new_and_a_lost_key_are_said_as_such() -> None:
    assert "new: " in compare(crit(2, guidance="Judge the words.")).sentences()[0]
    assert "gone: " in compare(drop(0, "guidance")).sentences()[0]
    assert "only spacing" in compare(crit(0, guidance="length does not count")).sentences()[0]
    assert "the order changed" in compare(lambda d: d["criteria"].reverse()).sentences()[0]
