"""What of a completion is judged, and by which rubric."""

from __future__ import annotations

import pytest
from making import make, ordinal

from kardia.conversation import Message
from kardia.reward.completion import completion_of
from kardia.reward.questions import Question, Questions, text_of
from kardia.reward.term import Cards, RowCards

RUBRIC = make(ordinal("warmth"))
CRITERIA = [{"question": "Does it name the loss?"}]


def questions(own_columns=()):
    return Questions(lambda reference: reference, own_columns)


def completed(text="I'm so sorry.", **columns):
    return completion_of("My dog died.", text, columns)


def test_a_completion_as_it_is():
    item = completed(emotion="sad")
    assert questions().question(Cards(RUBRIC), item) == Question(item.conversation, RUBRIC)


def test_the_reference_in_its_place():
    need = Cards(RUBRIC, None, "reference")
    one, other = (completed(text, reference="He was family.") for text in ("Oh.", "Yes."))
    found = questions().question(need, one)
    assert found.conversation.messages == (Message("user", "My dog died."), Message("assistant", "He was family."))
    assert questions().question(need, other).conversation.id == found.conversation.id, "asked about once"
    assert questions().question(need, completed()) == "the row has no `reference` reply"
    assert questions().question(need, completed(reference=" ")) == "the row has no `reference` reply"


def test_the_reference_answers_the_prompt_not_the_completions_own_turns():
    written = [
        {"role": "assistant", "content": "What happened?"},
        {"role": "user", "content": "He was old."},
        {"role": "assistant", "content": "Fifteen years is a life."},
    ]
    long = completion_of("My dog died.", written, {"reference": "He was family."})
    short = completed(reference="He was family.")
    need = Cards(RUBRIC, None, "reference")
    assert questions().question(need, long) == questions().question(need, short)


def test_a_reply_elsewhere_goes_to_the_next_prompt_of_the_batch():
    need = Cards(RUBRIC, None, "elsewhere")
    written = [("a", "1"), ("b", "2"), ("a", "3"), ("c", "4"), ("c", "4")]
    batch = [completion_of(prompt, text, {"emotion": f"of {prompt}", "rubric": CRITERIA}) for prompt, text in written]
    asked = Questions(lambda reference: reference, (), batch)
    found = [asked.question(need, item).conversation for item in batch]
    assert [tuple(each.content for each in one.messages) for one in found] == [
        ("b", "1"),
        ("c", "2"),
        ("b", "3"),
        ("a", "4"),
        ("a", "4"),
    ]
    assert [one.metadata for one in found] == [{"emotion": f"of {prompt}"} for prompt in "bcbaa"]
    assert len({one.id for one in found}) == 4
    assert found[3].id == found[4].id
    assert asked.question(need, completed()) == questions().question(need, completed())
    assert "one prompt only" in questions().question(need, completed())


def test_the_other_prompts_are_looked_for_once_and_only_where_they_are_needed():
    class Batch(list):
        reads = 0

        def __iter__(self):
            self.reads += 1
            return super().__iter__()

    batch = Batch([completed(), completion_of("I failed.", "Oh.", {})])
    first = batch[0]
    asked = Questions(lambda reference: reference, (), batch)
    asked.question(Cards(RUBRIC), first)
    assert batch.reads == 0
    for _ in range(2):
        assert asked.question(Cards(RUBRIC, None, "elsewhere"), first).conversation.messages[0].content == "I failed."
    assert batch.reads == 1


def test_only_the_last_of_a_completions_turns_goes_elsewhere():
    written = [
        {"role": "assistant", "content": "What happened?"},
        {"role": "user", "content": "He was old."},
        {"role": "assistant", "content": "Fifteen years is a life."},
    ]
    batch = [completion_of("My dog died.", written, {}), completion_of("I failed.", written, {})]
    found = Questions(lambda reference: reference, (), batch).question(Cards(RUBRIC, None, "elsewhere"), batch[0])
    assert [each.content for each in found.conversation.messages] == ["I failed.", "Fifteen years is a life."]


def test_references_of_rows_in_one_group_stay_apart():
    need = Cards(RUBRIC, None, "reference")
    found = {questions().question(need, completed(reference=each, group="a")).conversation.id for each in "xyx"}
    assert len(found) == 2


def test_a_rows_criteria_are_added_to_the_rubric():
    item = completed(rubric=CRITERIA)
    assert questions().question(Cards(RUBRIC), item) == Question(item.conversation, RUBRIC)
    wrong = questions().question(Cards(RUBRIC), completed(rubric=[{"question": ""}]))
    assert wrong.startswith("the row's own criteria cannot be added to made@1.0.0: metadata.rubric.0.question")


def test_but_not_where_a_term_reads_them_for_itself():
    item = completed(rubric=CRITERIA, emotion="sad")
    by_rubric = questions({"rubric"}).question(Cards(RUBRIC), item)
    assert by_rubric.conversation.metadata == {"emotion": "sad"}
    by_row = questions({"rubric"}).question(RowCards("explicit"), item)
    assert by_row.conversation.metadata == {"emotion": "sad"}
    assert by_row.conversation.id != by_rubric.conversation.id
    assert [each.question for each in by_row.rubric.criteria] == [
        "Does the reply meet this criterion? Does it name the loss?"
    ]


def test_a_column_of_another_name_goes_beside_the_rows_rubric():
    item = completed(rubric=CRITERIA, criteria=["Is kind."])
    asked = questions({"criteria"})
    assert asked.question(Cards(RUBRIC), item).conversation is item.conversation
    own = asked.question(RowCards("implicit", "criteria"), item)
    assert own.conversation.metadata == {}


def test_equal_criteria_are_read_once():
    asked = questions()
    made = [asked.question(RowCards("explicit"), completed(text, rubric=CRITERIA)) for text in ("a", "b")]
    assert made[0].rubric is made[1].rubric
    other = asked.question(RowCards("implicit"), completed("a", rubric=CRITERIA))
    assert other.rubric is not made[0].rubric


@pytest.mark.parametrize(
    ("column", "why"),
    [
        (None, "the row has no criteria of its own under `own`"),
        ("x", "the row's criteria cannot be read: own: is text"),
    ],
)
def test_a_row_without_criteria(column, why):
    found = questions().question(RowCards("explicit", "own"), completed(own=column))
    assert found.startswith(why)


def test_texts():
    text = "<think>Hm.</think><emotion>sad</emotion><plan>Listen.</plan><response>I'm so sorry.</response>"
    item = completed(text, reference="<response>He was family.</response>", emotion="lonely")
    assert text_of(item, "reply") == "I'm so sorry."
    assert text_of(item, "reference") == "He was family."
    assert text_of(item, "gold") == "lonely"
    assert text_of(item, "span:emotion") == "sad"
    assert text_of(item, "span:plan") == "Listen."
    assert text_of(item, "span:other") == ""
    assert [text_of(completed(emotion=3), what) for what in ("reference", "gold")] == [None, None]
