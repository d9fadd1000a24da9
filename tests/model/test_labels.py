"""Labels of every shape, and what is wrong with them."""

from __future__ import annotations

import json

import pytest
from making import binary, choice, make, ordinal

from kardia.conversation import Conversation, Message
from kardia.errors import InputError
from kardia.model.labels import Labels, Questions, join, usable
from kardia.rubric.rubric import Part

RUBRIC = make(ordinal("warm"), binary("blames"), choice("tone"), name="one")
OTHER = make(ordinal("clear", 0, 2), ordinal("warm", 1, 3), name="other")
QUESTIONS = Questions([RUBRIC, OTHER])


def write(path, *rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return path


def read(path, *rows, ids=None, questions=QUESTIONS):
    labels = Labels(questions)
    labels.read(write(path, *rows) if rows else path, ids)
    return labels


def of(labels, own_id="a"):
    return labels.of(Conversation(own_id, (Message("assistant", "r"),)))


def conversation(own_id, reply="Oh.", context="My dog died.", **metadata):
    return Conversation(own_id, (Message("user", context), Message("assistant", reply)), metadata)


@pytest.fixture
def file(tmp_path):
    return tmp_path / "labels.jsonl"


def card(own_id, criteria, rubric=RUBRIC, judge="j", **more):
    found = {
        key: {"status": "scored", "level": None, "probabilities": None, **value} for key, value in criteria.items()
    }
    provenance = {"rubric": {"name": rubric.name, "version": rubric.version, "hash": rubric.hash}}
    return {"id": own_id, "rubric": rubric.ref, "judge": judge, "criteria": found, "provenance": provenance, **more}


def test_long(file):
    found = of(
        read(file, {"id": "a", "criterion": "blames", "level": "no"}, {"id": "a", "criterion": "one.warm", "level": 4})
    )
    assert found == {"one.blames": (1.0, 0.0), "one.warm": (0.0, 0.0, 0.0, 1.0, 0.0)}


def test_long_in_csv_with_raters_who_are_averaged(tmp_path):
    path = tmp_path / "labels.csv"
    path.write_text(
        "id,criterion,level,rater\na,one.warm,4,ann\na,one.warm,5,bob\na,tone,warm,ann\na,tone,,bob\n7,blames,yes,ann\n"
    )
    labels = read(path)
    assert of(labels) == {"one.warm": (0.0, 0.0, 0.0, 0.5, 0.5), "one.tone": (1.0, 0.0, 0.0)}
    assert of(labels, "7") == {"one.blames": (0.0, 1.0)}
    assert labels.rows == 5


def test_wide(tmp_path, file):
    path = tmp_path / "labels.csv"
    path.write_text("id,one.warm,blames,clear\na,3.5,,2\nb,1,TRUE,0.25\n")
    labels = read(path)
    assert of(labels) == {"one.warm": (0.0, 0.0, 0.5, 0.5, 0.0), "other.clear": (0.0, 0.0, 1.0)}
    assert of(labels, "b")["other.clear"] == (0.75, 0.25, 0.0)
    assert of(labels, "b")["one.blames"] == (0.0, 1.0)
    nested = read(file, {"id": "a", "levels": {"blames": True, "tone": "Cold"}})
    assert of(nested) == {"one.blames": (0.0, 1.0), "one.tone": (0.0, 0.0, 1.0)}


def test_a_mean_of_yes_and_no(file):
    assert of(read(file, {"id": "a", "blames": 0.25}))["one.blames"] == (0.75, 0.25)
    assert of(read(file, {"id": "a", "blames": 1}))["one.blames"] == (0.0, 1.0)


def test_parquet(tmp_path):
    pyarrow = pytest.importorskip("pyarrow", reason="Parquet needs kardia[parquet]")
    from pyarrow import parquet

    path = tmp_path / "labels.parquet"
    parquet.write_table(pyarrow.table({"id": ["a", "b"], "blames": ["yes", None], "one.warm": [None, 2.0]}), path)
    labels = read(path)
    assert of(labels) == {"one.blames": (0.0, 1.0)}
    assert of(labels, "b") == {"one.warm": (0.0, 1.0, 0.0, 0.0, 0.0)}


def test_scorecards(file):
    shares = {"1": 0.1, "2": 0.2, "3": 0.3, "4": 0.4, "5": 0.0}
    labels = read(
        file,
        card("a", {"warm": {"level": 4, "probabilities": shares}, "blames": {"level": "no"}}),
        card("a", {"warm": {"level": 4}}, judge="k"),
        card(
            "b",
            {"warm": {"status": "unscored"}, "blames": {"status": "abstained"}, "tone": {"status": "not_applicable"}},
        ),
        card("b", {"its_own": {"level": "yes"}}, judge="k"),
        card("a", {"x": {"level": 1}}, make(ordinal("x"), name="third")),
    )
    assert of(labels)["one.blames"] == (1.0, 0.0)
    assert of(labels)["one.warm"] == pytest.approx((0.05, 0.1, 0.15, 0.7, 0.0))
    assert of(labels, "b") == {}
    assert labels.passed_over == 1


def test_several_files_are_raters(tmp_path):
    labels = Labels(QUESTIONS)
    labels.read(write(tmp_path / "people.jsonl", {"id": "a", "blames": "yes"}))
    labels.read(write(tmp_path / "judge.jsonl", card("a", {"blames": {"level": "no"}})))
    assert of(labels)["one.blames"] == (0.5, 0.5)


WRONG = [
    ({"id": "a", "criterion": "warm", "level": 4}, "criterion: 'warm' is a criterion of several rubrics: say which"),
    ({"id": "a", "criterion": "blame", "level": "no"}, "criterion: none of the rubrics .* did you mean 'blames'"),
    ({"id": "a", "blames": "perhaps"}, "blames: 'perhaps' is no level of one.blames; its scale has no, yes"),
    ({"id": "a", "one.warm": 6}, "one.warm: 6 is no level of one.warm; its scale has 1, 2, 3, 4, 5"),
    ({"id": "a", "one.warm": 5.5}, "one.warm: 5.5 is no level"),
    ({"id": "a", "one.warm": True}, "one.warm: True is no level"),
    ({"id": "a", "tone": 0.5}, "tone: 0.5 is no level"),
    ({"id": "a", "remark": "nice"}, "remark: none of the rubrics"),
    ({"id": "a"}, "has no labels: expected the columns id, criterion, level"),
    ({"criterion": "blames", "level": "no"}, "id: is missing"),
    ({"id": "z", "blames": "no"}, "id: no conversation has the id 'z'"),
    (card("a", {"warm": {"level": 9}}), "criteria.warm.level: 9 is no level"),
    (card("a", {"warm": {"level": 1, "probabilities": {"1": 0.5}}}), "criteria.warm.probabilities: sum to 0.500"),
    (card("a", {"warm": {"level": 1, "probabilities": {"9": 1.0}}}), "criteria.warm.probabilities: 9: 1.0 is no prob"),
    (
        {**card("a", {"warm": {"level": 1}}), "rubric": "one@2.0.0"},
        "rubric: is a scorecard of one@2.0.0, .*; use --rubric one@2.0.0",
    ),
    (
        card("a", {"warm": {"level": 1}}, make(ordinal("warm"), name="one")),
        "provenance.rubric.hash: .* content has changed since",
    ),
]


@pytest.mark.parametrize(("row", "said"), WRONG, ids=lambda value: value if isinstance(value, str) else "")
def test_what_is_wrong_says_file_line_and_key(file, row, said):
    with pytest.raises(InputError, match=rf"labels.jsonl:2: {said}"):
        read(file, {"id": "a", "tone": "warm"}, row, ids={"a"})


def test_a_second_label(file):
    row = {"id": "a", "blames": "no"}
    with pytest.raises(InputError, match=r":2: blames: is a second label of one.blames .* a column `rater`"):
        read(file, row, row)
    with pytest.raises(InputError, match=r":2: blames: is a second label by ann"):
        read(file, {**row, "rater": "ann"}, {**row, "annotator": "ann"})
    with pytest.raises(InputError, match="a second label by judge j"):
        read(file, card("a", {"blames": {"level": "no"}}), card("a", {"blames": {"level": "yes"}}))


def test_files_that_hold_nothing(tmp_path, file):
    with pytest.raises(InputError, match="holds no labels"):
        read(write(file))
    with pytest.raises(InputError, match="no such file"):
        read(tmp_path / "nowhere.csv")
    file.write_text("{broken\n")
    with pytest.raises(InputError, match=r"labels.jsonl:1: "):
        read(file)


def test_an_option_may_be_called_none(file):
    options = {"type": "choice", "options": {"none": 0.0, "some": 1.0}}
    questions = Questions([make({"id": "humour", "question": "Which humour?", "scale": options})])
    assert of(read(file, {"id": "a", "humour": "None"}, questions=questions)) == {"made.humour": (1.0, 0.0)}


def test_one_question_of_two_rubrics_is_one_task(file):
    outer = make(parts=(Part("in", 1.0, RUBRIC),), name="outer")
    questions = Questions([outer, RUBRIC])
    assert [task.key for task in questions.tasks] == ["outer.in.warm", "outer.in.blames", "outer.in.tone"]
    rows = [{"id": "a", "outer.in.warm": 1}, {"id": "a", "rater": "x", "one.warm": 1}, {"id": "a", "in.tone": "warm"}]
    assert sorted(of(read(file, *rows, questions=questions))) == ["outer.in.tone", "outer.in.warm"]


def test_labels_meet_their_conversations(file):
    rows = [conversation("a", group="g"), conversation("b", "Well."), conversation("c")]
    labels = read(file, {"id": "a", "blames": "no", "one.warm": 5}, {"id": "b", "blames": "yes"})
    joined = join(rows, QUESTIONS, labels)
    assert [(each.id, each.context, each.reply, each.group) for each in joined.examples] == [
        ("a", "My dog died.", "Oh.", "g"),
        ("b", "My dog died.", "Well.", "My dog died."),
    ]
    assert (joined.conversations, joined.labels, joined.unlabelled, joined.unread) == (3, 3, 1, 0)
    with pytest.raises(InputError, match="none of the labels"):
        join([conversation("z")], QUESTIONS, labels)


def test_each_text_that_is_read_is_an_example(file):
    rubric = make(ordinal("warm"), ordinal("fits", reads="conversation"), ordinal("honest", reads="thinking"))
    labels = read(file, {"id": "a", "warm": 1, "fits": 2, "honest": 3}, questions=Questions([rubric]))
    joined = join([conversation("a", "<think>hm</think>Oh.")], labels.questions, labels)
    assert [(each.context, each.reply, list(each.targets)) for each in joined.examples] == [
        ("My dog died.", "Oh.", ["made.warm"]),
        ("", "[1 user]\nMy dog died.\n\n[2 assistant]\nOh.", ["made.fits"]),
        ("My dog died.", "hm", ["made.honest"]),
    ]
    assert len({each.group for each in joined.examples}) <= 2
    assert join([conversation("a")], labels.questions, labels).unread == 1


def test_labels_in_the_metadata():
    rows = [conversation("a", labels={"one.warm": 2}, blames="no", remark="x"), conversation("b", tone="warm")]
    joined = join(rows, QUESTIONS, None)
    assert [dict(each.targets) for each in joined.examples] == [
        {"one.warm": (0.0, 1.0, 0.0, 0.0, 0.0), "one.blames": (1.0, 0.0)},
        {"one.tone": (1.0, 0.0, 0.0)},
    ]
    with pytest.raises(
        InputError,
        match=r"labels.nonsense: none of the rubrics one, other has a criterion 'nonsense' .in the conversation 'a'",
    ):
        join([conversation("a", labels={"nonsense": 1})], QUESTIONS, None)
    with pytest.raises(InputError, match="the metadata holds no labels"):
        join([conversation("a")], QUESTIONS, None)


def test_a_column_that_means_something_else_is_no_label():
    questions = Questions([make(choice("emotion"), binary("blames"))])
    joined = join([conversation("a", emotion="sadness", blames="yes")], questions, None)
    assert [list(each.targets) for each in joined.examples] == [["made.blames"]]


def test_what_can_be_learnt(file):
    rows = [{"id": f"{n}", "blames": "no", "one.warm": 2 + n % 2, "tone": "warm" if n else "cold"} for n in range(10)]
    labels = read(file, *rows[:9], {**rows[9], "tone": None})
    joined = join([conversation(f"{n}") for n in range(10)], QUESTIONS, labels)
    kept, left = usable(joined.examples, QUESTIONS.tasks)
    assert [task.key for task in kept] == ["one.warm"]
    assert left == {
        "one.blames": "only the level no is labelled",
        "one.tone": "only 9 labels, of at least 10",
        "other.clear": "no labels",
        "other.warm": "no labels",
    }
