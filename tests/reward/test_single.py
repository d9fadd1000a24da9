"""A reward for trainers that hand over one completion at a time: options, numbers, and no number for nothing."""

from __future__ import annotations

import asyncio
import logging
import pickle

import marked
import pytest

from kardia.errors import InputError, JudgeUnreachable
from kardia.reward.completion import completion_of
from kardia.reward.reward import Reward, RubricReward
from kardia.reward.single import MISSING, SingleReward, UnscoredError, plain, single_reward

PROMPT = "My dog died this morning."


def completion(text, **metadata):
    return completion_of(PROMPT, text, metadata)


def single(**options):
    judge = options.pop("judge", None) or marked.judge()
    return single_reward(
        "Trainer",
        {"rubric": marked.rubric(), "judge": judge, "ledger": "off", "on_unscored": "raise", **options},
        "here",
    )


def test_a_score_and_its_numbers():
    scored = single().score(completion("I'm so sorry."))
    assert scored.value.value == 1.0
    assert scored.numbers == {
        "unscored": 0.0,
        "vetoed": 0.0,
        "term/rubric": 1.0,
        "criterion/rubric/warmth": 1.0,
        "criterion/rubric/clear": 1.0,
        "criterion/rubric/blames": 1.0,
    }


def test_the_names_are_the_same_whatever_happens():
    reward = single(on_unscored=0.5)
    listed = [reward.score(completion(text)) for text in ("Kind.", "COLD", "BLAMES you", "UNJUDGED")]
    assert [reward.number(item) for item in listed] == [1.0, 2 / 3, 0.0, 0.5]
    assert len({tuple(item.numbers) for item in listed}) == 1
    assert [item.numbers["unscored"] for item in listed] == [0.0, 0.0, 0.0, 1.0]
    assert [item.numbers["vetoed"] for item in listed] == [0.0, 0.0, 1.0, 0.0]
    without = listed[3]
    assert without.numbers["criterion/rubric/warmth"] is None
    assert without.filled(MISSING)["criterion/rubric/warmth"] == -1.0
    assert without.filled(0.25)["term/rubric"] == 0.25
    assert without.value.why is not None


def test_a_completion_that_arrives_in_a_crowd_is_judged_with_it(monkeypatch):
    sizes = marked.batch_sizes(monkeypatch)
    judge = marked.judge()
    reward = single(judge=judge, wait_ms=100)

    async def crowd():
        return await asyncio.gather(*(reward.ascore(completion(f"Reply {number % 8}.")) for number in range(24)))

    assert len({item.value.value for item in asyncio.run(crowd())}) == 1
    assert sizes == [8], "equal ones once, all of them in one batch"
    assert len(judge.asked) == 8 * 3


def test_it_serves_one_event_loop_after_another():
    reward = single()
    values = [asyncio.run(reward.ascore(completion(f"Reply {number}."))).value.value for number in range(3)]
    assert values == [1.0, 1.0, 1.0]


def test_without_a_reward_it_raises_or_gives_the_number_that_was_said(caplog):
    raises, counts = single(), single(on_unscored="-0.25")
    with pytest.raises(UnscoredError, match=r"no reward: rubric: .*warmth is unscored.*on_unscored=NUMBER"):
        raises.number(raises.score(completion("UNJUDGED")))
    with caplog.at_level(logging.WARNING, "kardia"):
        assert counts.number(counts.score(completion("UNJUDGED"))) == -0.25
    assert "1 of 1 completions have no reward and count as -0.25" in caplog.text


def test_the_error_can_cross_processes():
    error = pickle.loads(pickle.dumps(UnscoredError("a completion has no reward")))
    assert isinstance(error, UnscoredError)
    assert str(error) == "a completion has no reward"


def test_a_judge_that_is_gone_stops_everything_whatever_stands_for_unscored():
    reward = single(on_unscored=0.5)
    with pytest.raises(JudgeUnreachable, match="nobody is there"):
        reward.score(completion("GONE"))


def test_unless_it_was_said_that_training_goes_on():
    reward = single(on_unscored=0.5, on_unreachable="none")
    assert reward.number(reward.score(completion("GONE"))) == 0.5


def test_there_is_no_default_for_unscored():
    with pytest.raises(InputError, match=r"here: on_unscored: is missing: Trainer has no word .* there is no default"):
        single_reward("Trainer", {"rubric": "supportiveness@1", "judge": "fake"}, "here")


@pytest.mark.parametrize("said", ["", "zero", "nan", True, False, float("inf"), [0.5]])
def test_it_is_raise_or_a_number(said):
    with pytest.raises(InputError, match="expected raise or a number"):
        single(on_unscored=said)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"reward": "kardia-r1"}, "either reward .* or rubric"),
        ({"rubric": None}, "either reward .* or rubric"),
        ({"judg": "fake"}, "judg.*did you mean"),
        ({"wait_ms": -1}, "here: wait_ms"),
        ({"on_unreachable": "zero"}, "here: on_unreachable"),
        ({"overrides": ["terms.rubric.weight=2"]}, "a rubric alone has none"),
        ({"rubric": None, "reward": "kardia-r1", "partial": True}, "goes with a rubric"),
        ({"rubric": None, "reward": "kardia-r2"}, "no reward called 'kardia-r2'"),
        ({"rubric": "no-such-rubric"}, "no-such-rubric"),
    ],
)
def test_what_is_wrong_with_the_options_is_said(options, message):
    with pytest.raises(InputError, match=message):
        single(**options)


def test_a_reward_is_named_in_several_ways(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("name: mine\nterms:\n  format: {kind: format}\n", "utf-8")
    common = {"judge": "fake", "on_unscored": "raise"}

    def named(**options):
        return single_reward("Trainer", {**common, **options}, "here").reward

    assert isinstance(named(reward="supportiveness@1"), RubricReward)
    assert isinstance(named(rubric="supportiveness"), RubricReward)
    assert named(reward="kardia-r1").spec.name == "kardia-r1"
    assert named(reward="kardia-r1@1").spec.name == "kardia-r1-1.0.0"
    assert named(reward=str(path)).spec.name == "mine"
    assert named(reward={"name": "made", "terms": {"format": {"kind": "format"}}}).spec.name == "made"
    changed = named(reward="kardia-r1", overrides=["terms.rubric.rubric=supportiveness@1"])
    assert changed.spec.terms["rubric"].rubric == "supportiveness@1"


def test_equal_options_are_one_reward_in_this_process():
    one = {"reward": "supportiveness@1", "judge": "fake", "on_unscored": 0}
    assert single_reward("Trainer", one, "here") is single_reward("Trainer", dict(reversed(one.items())), "there")
    assert single_reward("Trainer", one, "here") is not single_reward("Trainer", {**one, "on_unscored": 1}, "here")
    judge, rubric = marked.judge(), marked.rubric()
    built = {"rubric": rubric, "judge": judge, "on_unscored": 0}
    assert single_reward("Trainer", built, "here") is single_reward("Trainer", built, "here")
    assert single_reward("Trainer", built, "here") is not single_reward(
        "Trainer", {**built, "judge": marked.judge()}, "h"
    )


def test_the_judge_of_the_environment_is_part_of_the_options(monkeypatch):
    options = {"reward": "supportiveness@1", "on_unscored": 0}
    monkeypatch.setenv("KARDIA_JUDGE", "fake")
    one = single_reward("Trainer", options, "here")
    monkeypatch.setenv("KARDIA_JUDGE", "embedded")
    assert single_reward("Trainer", options, "here").reward.__name__ != one.reward.__name__


@pytest.mark.parametrize("kind", ["group_rank", "specificity"])
def test_terms_that_are_measured_on_a_batch_are_refused(kind):
    spec = {"name": "ranks", "terms": {"order": {"kind": kind, "rubric": "supportiveness@1"}}}
    with pytest.raises(
        InputError, match=r"terms\.order: is measured on the other completions.*Trainer hands them over one at a time"
    ):
        single(rubric=None, reward=spec)
    with pytest.raises(InputError, match="one at a time"):
        SingleReward(
            Reward({"name": "c", "terms": {"bonus": {"kind": "consistency"}}}, likelihoods=lambda _: []),
            "Trainer",
            on_unscored=0.0,
        )


def test_plain_data_of_numpys_kinds():
    numpy = pytest.importorskip("numpy")
    rows = numpy.array([{"role": "user", "content": "Hi."}], dtype=object)
    assert plain({"a": rows, "b": numpy.float64(0.5), "c": (1, "x"), 3: None}) == {
        "a": [{"role": "user", "content": "Hi."}],
        "b": 0.5,
        "c": [1, "x"],
        "3": None,
    }
