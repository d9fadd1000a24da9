"""Terms as they are written: each is its own declaration, and survives being written down and read again."""

from __future__ import annotations

import json
import pickle

import pytest
from pydantic import ValidationError

from kardia.reward.terms.column import ColumnTerm
from kardia.reward.terms.emotion import EmotionTerm
from kardia.reward.terms.format import FormatTerm
from kardia.reward.terms.guard import GuardTerm
from kardia.reward.terms.length import LengthTerm
from kardia.reward.terms.repetition import RepetitionTerm
from kardia.reward.terms.specificity import SpecificityTerm

TERMS = [
    ColumnTerm(column="final_emotion", scale=(0, 100)),
    EmotionTerm(labels=("sad", "lonely"), graded="family", weight=2),
    FormatTerm(spans=("emotion", "response"), tags="bar"),
    GuardTerm(spans=("plan",), required={"else_reward": -1}),
    LengthTerm(at_least=3, at_most=10, slope=2.5, only_if={"format": {"at_least": 1}}),
    RepetitionTerm(of="context", n=4, free=0.1),
    SpecificityTerm(rubric="understanding@1", judge="fake", nothing_written=0),
]
KINDS = ["column", "emotion_match", "format", "guard", "length", "repetition", "specificity"]


@pytest.mark.parametrize(("term", "kind"), list(zip(TERMS, KINDS, strict=True)), ids=KINDS)
def test_a_term_is_plain_data(term, kind):
    assert term.kind == kind
    assert type(term).model_validate(json.loads(term.model_dump_json())) == term
    assert pickle.loads(pickle.dumps(term)) == term
    assert term.measure([], {need: [] for need in term.needs()}) == []
    with pytest.raises(ValidationError, match="Extra inputs"):
        type(term).model_validate({**term.model_dump(), "nonsense": 1})


@pytest.mark.parametrize("term", TERMS, ids=KINDS)
def test_every_parameter_says_what_it_does(term):
    for name, field in type(term).model_fields.items():
        assert name == "kind" or len(field.description or "") > 15, name
