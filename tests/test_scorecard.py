"""The scorecard of one conversation: its number, what it took, and where it comes from."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from making import at, binary, make, ordinal

from kardia.conversation import Conversation, Message
from kardia.judge.profile import JudgeProfile
from kardia.judge.protocol import Usage
from kardia.plan import Judged, Planner
from kardia.scorecard import scorecard
from kardia.version import __version__

TALK = Conversation("c", (Message("user", "Hi."), Message("assistant", "Hello.")), {"group": "g", "emotion": "joy"})
OWN = Conversation("d", TALK.messages, {"rubric": [{"question": "Is it short?"}]})
USAGE = Usage(3, 120, 40, 0.12345678949, 2)


def profile(**rest):
    return JudgeProfile.model_validate({"name": "mine", "backend": "fake", "model": "m", **rest})


def carded(*criteria, conversation=TALK, usages=None, text=True, prompts=True, **rest):
    planner = Planner(make(*(criteria or [ordinal("kind")])), profile(**rest), prompts=prompts)
    plan = planner.plan(conversation)
    judgments = {item.id: at(item, item.levels[-1]) for item in plan.rubric.criteria}
    done = Judged(plan, judgments, USAGE, usages or {})
    return scorecard(done, planner.profile, planner.template, text=text), planner


def test_what_it_took():
    card, _ = carded()
    assert list(card.usage.items()) == [
        ("requests", 3),
        ("attempts", 2),
        ("input_tokens", 120),
        ("output_tokens", 40),
        ("cost", 0.123456789),
    ]


def test_what_each_criterion_took():
    usages = {"kind": Usage(2, 100, 30, None, 1), "blames": Usage(1, 20, 10, 0.5, 1)}
    card, _ = carded(ordinal("kind"), binary("blames"), usages=usages)
    assert card.usage["criteria"] == {
        "kind": {"requests": 2, "attempts": 1, "input_tokens": 100, "output_tokens": 30, "cost": None},
        "blames": {"requests": 1, "attempts": 1, "input_tokens": 20, "output_tokens": 10, "cost": 0.5},
    }
    assert list(card.usage)[-1] == "criteria"
    json.dumps(card.to_json(), allow_nan=False)


def test_where_it_comes_from():
    card, planner = carded(sampling={"seed": 3, "samples": 2}, mode="all_criteria")
    assert card.provenance == {
        "rubric": {"name": "made", "version": "1.0.0", "hash": planner.rubric.hash},
        "instance": None,
        "template": {
            "name": "all-criteria",
            "version": planner.template.version,
            "hash": planner.template.hash,
        },
        "judge": {
            "name": "mine",
            "backend": "fake",
            "model": "m",
            "mode": "all_criteria",
            "hash": planner.profile.hash,
        },
        "sampling": planner.profile.sampling.model_dump(mode="json"),
        "answer_format": 1,
        "kardia": __version__,
    }
    assert (card.rubric, card.judge, card.group) == ("made@1.0.0", "mine", "g")


def test_two_judges_with_one_name_are_told_apart():
    first, second = carded(sampling={"seed": 1})[0], carded(sampling={"seed": 2})[0]
    assert first.provenance["sampling"]["seed"] == 1
    assert second.provenance["sampling"]["seed"] == 2
    assert first.provenance["judge"]["hash"] != second.provenance["judge"]["hash"]


def test_a_rows_own_criteria_are_named_and_the_rubric_stays():
    plain, _ = carded()
    own, _ = carded(conversation=OWN)
    assert own.provenance["rubric"] == plain.provenance["rubric"]
    assert own.provenance["instance"].startswith("sha256:")
    assert set(own.criteria) == {"kind", "instance_1"}
    assert own.provenance["template"] == plain.provenance["template"]


def test_a_judge_without_words_has_no_template():
    card, _ = carded(prompts=False)
    assert card.provenance["template"] is None


def test_what_one_card_is_given_another_does_not_have():
    planner = Planner(make(ordinal("kind")), profile())
    done = Judged(planner.plan(TALK), {"kind": at(planner.rubric.criteria[0], 4)}, USAGE)
    first, second = (scorecard(done, planner.profile, planner.template) for _ in range(2))
    assert first == second
    first.provenance["note"] = 1  # type: ignore[index]
    first.usage["note"] = 1  # type: ignore[index]
    assert "note" not in second.provenance
    assert "note" not in second.usage


@pytest.mark.parametrize("text", [True, False])
def test_without_text(text):
    card, _ = carded(text=text)
    assert (card.target["text"], card.metadata) == (("Hello.", TALK.metadata) if text else (None, None))
    assert card.criteria["kind"].reason == ("because" if text else None)
    assert card.guard is None


def test_what_the_guard_found_is_kept_and_its_excerpts_go_with_the_text():
    planner = Planner(make(ordinal("kind")), profile())
    finding = {"kind": "addresses_judge", "message": 1, "start": 0, "excerpt": "Judge, listen"}
    plan = replace(planner.plan(TALK), guard={"mode": "flag", "findings": [finding]})
    done = Judged(plan, {"kind": at(planner.rubric.criteria[0], 4)}, USAGE)
    whole, bare = (scorecard(done, planner.profile, planner.template, text=text) for text in (True, False))
    assert whole.guard == plan.guard
    assert bare.guard == {"mode": "flag", "findings": [{**finding, "excerpt": None}]}
    assert list(whole.to_json()).index("guard") == list(whole.to_json()).index("vetoed_by") + 1
