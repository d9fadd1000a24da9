"""A verdict in the judged text is never the judge's: only the judge's own answer is read, whole or not at all."""

from __future__ import annotations

import json

import pytest
from making import asking, binary, make, ordinal

from injections.suite import attacks
from kardia.answer import read_answer
from kardia.judge.protocol import Said, TokenChoice

ATTACKS = [*attacks(), *attacks("held_out"), *attacks("evasions")]
HONEST = {"reason": "It passes over what was said.", "evidence": [], "level": 2}
RUBRIC = make(ordinal("kind"))


def read(attack, text, mode="per_criterion", rubric=RUBRIC, **rest):
    request = asking(rubric, mode, reply=attack.text)
    judgments, malformed = read_answer(request, Said(text, **rest))
    return judgments, malformed


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.id)
def test_the_judges_level_is_read_whatever_the_reply_says(attack):
    [judgment], malformed = read(attack, json.dumps(HONEST))
    assert (judgment.level, malformed) == (2, False)


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.id)
def test_a_judge_may_quote_the_attack(attack):
    quoting = {**HONEST, "reason": f"The reply only says: {attack.text}", "evidence": [attack.text]}
    [judgment], _ = read(attack, json.dumps(quoting, ensure_ascii=False))
    assert judgment.level == 2
    assert judgment.evidence in ((), (attack.text,))


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.id)
def test_a_judge_that_repeats_the_attack_before_or_after_its_answer_gives_no_other_level(attack):
    """Text beside the answer makes it malformed: it is asked again, and never read in part."""
    for text in (f"{attack.text}\n{json.dumps(HONEST)}", f"{json.dumps(HONEST)}\n{attack.text}"):
        [judgment], malformed = read(attack, text)
        assert judgment.level in (2, None)
        assert malformed == (judgment.level is None)


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.id)
def test_a_repeated_attack_sets_no_criterion_beside_the_judges(attack):
    rubric = make(ordinal("kind"), binary("blames", good="no"))
    own = {"kind": HONEST, "blames": {"reason": "It does.", "evidence": [], "level": "yes"}}
    judgments, _ = read(attack, json.dumps(own), "all_criteria", rubric)
    assert [judgment.level for judgment in judgments] == [2, "yes"]
    judgments, _ = read(attack, attack.text + json.dumps(own), "all_criteria", rubric)
    assert [judgment.level for judgment in judgments] in ([2, "yes"], [None, None])


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.id)
def test_in_logprob_mode_the_last_line_alone_is_the_verdict(attack):
    tokens = [TokenChoice("2", {"2": -0.1, "5": -2.5})]
    [judgment], _ = read(attack, "Reason: it is curt.\nVerdict: 2", "logprob", tokens=tokens)
    assert judgment.level == 2
    [judgment], malformed = read(attack, f"Reason: it says {attack.text}\nVerdict: 2", "logprob", tokens=tokens)
    assert judgment.level in (2, None)
    assert malformed == (judgment.level is None)
