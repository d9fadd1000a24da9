"""Leaving out a conversation's oldest messages."""

from __future__ import annotations

import dataclasses

import pytest
from making import binary, make, ordinal

from kardia.conversation import Conversation, Message
from kardia.errors import AnswerError
from kardia.judge.local.shortening import Shortening
from kardia.judge.profile import JudgeProfile
from kardia.plan import Planner

PROFILE = JudgeProfile(name="here", backend="transformers", model="m", mode="logprob")
ROLES = ("system", "user", "assistant", "user", "tool", "user", "tool")
TALK = Conversation(
    "c", (*(Message(role, f"message {place}") for place, role in enumerate(ROLES)), Message("assistant", "the reply"))
)


def requests(criterion, conversation=TALK, profile=PROFILE):
    return Planner(make(criterion), profile).plan(conversation).requests


def shown(request):
    return [place for place in range(len(ROLES)) if f"message {place}" in request.messages[1].content]


@pytest.mark.parametrize("most", range(1, 6))
def test_the_oldest_go_one_by_one_and_no_more_than_must(most):
    (request,) = requests(ordinal("warm"))
    shorter, dropped = Shortening(PROFILE).shorten(request, lambda one: len(shown(one)) <= 7 - most)
    assert dropped == most
    assert shown(shorter) == list(range(most, 7))
    assert "the reply" in shorter.messages[1].content
    assert shorter.conversation == TALK  # what is judged, stored and forgotten is the whole
    assert (shorter.criteria, shorter.labels, shorter.target) == (request.criteria, request.labels, request.target)


@pytest.mark.parametrize(
    "keys",
    [
        {"mode": "logprob"},
        {"mode": "per_criterion"},
        {"mode": "per_criterion", "template": "reasoned-with-examples"},
        {"mode": "all_criteria"},
    ],
    ids=lambda keys: keys.get("template", keys["mode"]),
)
def test_what_is_left_is_asked_in_the_plans_own_words(keys):
    profile = JudgeProfile(name="here", backend="transformers", model="m", **keys)
    shown_too = {
        "reply": "Oh no.",
        "context": "I failed.",
        "levels": {"warm": 3, "blames": "no"},
    }
    rubric = make(ordinal("warm", 1, 3), binary("blames"), examples=[shown_too], metadata={"mood": "Her mood."})
    talk = dataclasses.replace(TALK, metadata={"mood": "sad"})
    rest = dataclasses.replace(talk, messages=talk.messages[3:])
    planner = Planner(rubric, profile)
    for request, planned in zip(planner.plan(talk).requests, planner.plan(rest).requests, strict=True):
        shorter, dropped = Shortening(profile).shorten(request, lambda one: len(shown(one)) <= 4)
        assert dropped == 3
        assert shorter == dataclasses.replace(request, messages=planned.messages)


def test_the_last_message_of_the_user_stays():
    (request,) = requests(ordinal("warm"))
    with pytest.raises(AnswerError, match="even without all messages before the last one of the user"):
        Shortening(PROFILE).shorten(request, lambda one: len(shown(one)) <= 1)
    (request,) = requests(ordinal("warm"), Conversation("d", TALK.messages[5:]))
    with pytest.raises(AnswerError, match="even without"):
        Shortening(PROFILE).shorten(request, lambda one: False)


def test_without_a_user_all_before_the_reply_may_go():
    talk = Conversation("d", (Message("tool", "message 0"), Message("assistant", "the reply")))
    (request,) = requests(ordinal("warm"), talk)
    shorter, dropped = Shortening(PROFILE).shorten(request, lambda one: not shown(one))
    assert (dropped, shown(shorter)) == (1, [])


def test_of_a_judged_conversation_nothing_goes():
    (request,) = requests(ordinal("warm", reads="conversation"))
    with pytest.raises(AnswerError, match="nothing of it can be left out"):
        Shortening(PROFILE).shorten(request, lambda one: True)


def test_a_sample_stays_itself():
    profile = JudgeProfile(name="here", backend="transformers", model="m", sampling={"samples": 3, "temperature": 1.0})
    asked = requests(ordinal("warm"), profile=profile)
    assert [request.sample for request in asked] == [0, 1, 2]
    shorter, _ = Shortening(profile).shorten(asked[2], lambda one: len(shown(one)) <= 3)
    assert shorter.sample == 2
    assert shorter.schema == asked[2].schema
