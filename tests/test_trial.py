"""A rubric on its own examples: what was expected against what came, and no example judged by itself."""

from __future__ import annotations

import pytest
from making import binary, choice, make, ordinal

from kardia.conversation import Message
from kardia.errors import AnswerError, ProfileError
from kardia.fence import fence
from kardia.judge.backends.fake import FakeJudge
from kardia.judge.profile import JudgeProfile
from kardia.judge.protocol import Known, Opinion
from kardia.rubric.models import Example
from kardia.rubric.rubric import Part
from kardia.trial import conversation_of, try_rubric

EXAMPLES = [
    {
        "context": "My dog died.",
        "reply": "I'm so sorry.",
        "levels": {"kind": 5, "tone": "warm"},
        "metadata": {"emotion": "grief"},
    },
    {"context": "My dog died.", "reply": "Dogs die.", "levels": {"kind": 1, "tone": "cold"}},
    {"context": "I passed!", "reply": "Good for you.", "levels": {"kind": 4}},
]
RUBRIC = make(ordinal("kind"), choice("tone"), binary("unshown"), examples=EXAMPLES)


def says(**levels):
    return FakeJudge(lambda request: {"reason": "So.", "evidence": [], "level": levels[request.criteria[0].id]})


def test_an_example_becomes_a_conversation():
    made = conversation_of(Example.model_validate(EXAMPLES[0]), 3)
    assert (made.id, made.messages[1], dict(made.metadata)) == (
        "example:3",
        Message("assistant", "I'm so sorry."),
        {"emotion": "grief"},
    )
    assert made.messages[0] == Message("user", "My dog died.")
    bare = conversation_of(Example.model_validate({"reply": " Hi. ", "levels": {"kind": 1}}), 1)
    assert bare.messages == (Message("assistant", "Hi."),)
    talk = [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Hi."}]
    longer = conversation_of(Example.model_validate({"context": talk, "reply": "Hi.", "levels": {"kind": 1}}), 1)
    assert [message.role for message in longer.messages] == ["system", "user", "assistant"]


def test_expected_against_got():
    trial = try_rubric(RUBRIC, says(kind=5, tone="neutral", unshown="yes"))
    assert [(row.example, row.criterion, row.expected, row.judgment.level, row.distance) for row in trial.rows] == [
        (1, "kind", 5, 5, 0.0),
        (1, "tone", "warm", "neutral", 0.5),
        (2, "kind", 1, 5, 1.0),
        (2, "tone", "cold", "neutral", 0.5),
        (3, "kind", 4, 5, 0.25),
    ]
    assert trial.figures("kind") == {
        "count": 3,
        "scored": 3,
        "unscored": 0,
        "abstained": 0,
        "exact": pytest.approx(1 / 3),
        "distance": pytest.approx(1.25 / 3),
    }
    assert trial.figures("tone")["exact"] == 0
    assert trial.exact == 1 / 5
    data = trial.to_json()
    assert (data["rubric"], list(data["criteria"])) == ("made@1.0.0", ["kind", "tone"])
    assert data["rows"][0] == {
        "example": 1,
        "criterion": "kind",
        "expected": 5,
        "got": 5,
        "status": "scored",
        "reason": "So.",
        "error": None,
    }


def test_what_has_no_number_is_in_no_figure():
    def answer(request):
        if "sorry" in request.target.text:
            return AnswerError("too long")
        return Known({item.id: Opinion(abstained="few") for item in request.criteria})

    trial = try_rubric(RUBRIC, FakeJudge(answer))
    assert trial.figures("kind") == {
        "count": 3,
        "scored": 0,
        "unscored": 1,
        "abstained": 2,
        "exact": None,
        "distance": None,
    }
    assert trial.exact is None
    assert trial.to_json()["rows"][0]["error"] == "too long"


def test_not_relevant_can_be_expected():
    examples = [
        {"reply": "Hi.", "levels": {"kind": "not relevant"}},
        {"reply": "Ho.", "levels": {"kind": "not relevant"}},
    ]
    rubric = make(ordinal("kind", not_relevant="Where nothing is said."), examples=examples)
    judge = FakeJudge([{"reason": "a", "level": "not relevant"}, {"reason": "a", "level": 3}])
    rows = try_rubric(rubric, judge).rows
    assert [(row.judgment.status, row.distance) for row in rows] == [("not_applicable", None), ("scored", None)]


def test_no_example_is_shown_when_it_is_judged_itself():
    profile = JudgeProfile(name="fake", backend="fake", template="reasoned-with-examples")
    judge = FakeJudge(lambda request: {"reason": "a", "level": request.criteria[0].levels[0]}, profile=profile)
    try_rubric(RUBRIC, judge)
    kind = [request for request in judge.asked if request.criteria[0].id == "kind"]
    assert len(kind) == 3
    assert [len(request.rubric.examples) for request in kind] == [1, 1, 2]  # two share a context, and go together
    for request, example in zip(kind, RUBRIC.examples, strict=True):
        assert example.context not in [other.context for other in request.rubric.examples]
        assert request.messages[1].content.count(fence("reply", example.reply)) == 1  # as the target alone
        for other in request.rubric.examples:
            assert fence("reply", other.reply) in request.messages[1].content
    assert len(RUBRIC.examples) == 3


def test_examples_of_includes_are_tried_under_their_full_ids():
    outer = make(binary("plain"), parts=(Part("in", 1.0, RUBRIC),), name="outer")
    trial = try_rubric(outer, "fake")
    assert {row.criterion for row in trial.rows} == {"in.kind", "in.tone"}
    assert all(row.judgment.status == "scored" for row in trial.rows)


def test_a_wrong_judge_is_found_before_anything_is_asked():
    with pytest.raises(ProfileError, match="compares replies"):
        try_rubric(RUBRIC, JudgeProfile(name="fake", backend="fake", mode="pairwise"))


def test_a_rubric_without_examples_has_no_figures():
    trial = try_rubric(make(ordinal("kind")), "fake")
    assert (trial.rows, trial.exact, trial.to_json()["criteria"]) == ([], None, {})
