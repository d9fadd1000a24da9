"""Panels and cascades as judges: built, pickled, closed, and told apart in a scorecard."""

from __future__ import annotations

import json
import pickle

import pytest

import kardia
from kardia.errors import ProfileError
from kardia.judge import build_judge, load_judge, load_profile
from kardia.judge.ensemble import EnsembleJudge, asked_profiles, asks_at_most, judge_provenance, members_of
from kardia.judge.profile import JudgeProfile
from kardia.judge.protocol import Judge

SURE = "name: sure\nbackend: fake\nmode: logprob\n"
SAMPLED = "name: sampled\nbackend: fake\nmode: all_criteria\nsampling: {samples: 3, combine: majority}\n"
PANEL = (
    "name: both\nbackend: panel\npanel: {judges: [{judge: fake}, {judge: sampled.yaml, weight: 2}], combine: median}\n"
)
CASCADE = "name: steps\nbackend: cascade\ncascade: {first: sure.yaml, then: both.yaml}\n"


@pytest.fixture
def room(tmp_path):
    for name, text in {"sure": SURE, "sampled": SAMPLED, "both": PANEL, "steps": CASCADE}.items():
        (tmp_path / f"{name}.yaml").write_text(text)
    return tmp_path


def fake(name, **rest):
    return kardia.FakeJudge(profile=JudgeProfile(name=name, backend="fake", **rest))


def panel_of(*names):
    judges = [{"judge": name} for name in names]
    return JudgeProfile.model_validate({"name": "p", "backend": "panel", "panel": {"judges": judges}})


def test_a_panel_is_built_with_its_members(room):
    judge = load_judge(room / "both.yaml")
    assert isinstance(judge, EnsembleJudge)
    assert isinstance(judge, Judge)
    assert [(member.judge.profile.name, member.weight) for member in judge.members] == [("fake", 1.0), ("sampled", 2.0)]
    assert (judge.reads_prompts, judge.batch_size, judge.identity) == (False, 1, None)
    assert judge.profile == load_profile(room / "both.yaml")
    assert "both" in repr(judge)
    assert "sampled" in repr(judge)


def test_an_ensemble_within_another(room):
    judge = load_judge(room / "steps.yaml")
    assert [type(member.judge).__name__ for member in judge.members] == ["FakeJudge", "EnsembleJudge"]
    assert [profile.name for profile in members_of(judge)] == ["sure", "fake", "sampled"]
    assert asked_profiles(judge) == members_of(judge.profile)
    assert asks_at_most(judge)
    assert not asks_at_most(load_profile(room / "both.yaml"))
    single = load_profile("fake")
    assert (members_of(single), asked_profiles(single), asks_at_most(single)) == ((), (single,), False)


def test_a_key_of_a_member_that_is_not_set(room):
    (room / "keyed.yaml").write_text("name: keyed\nbackend: panel\npanel: {judges: [{judge: openai}, {judge: fake}]}\n")
    assert load_profile(room / "keyed.yaml").members[0].name == "openai"
    with pytest.raises(ProfileError, match="the judge openai takes its key from the environment variable"):
        load_judge(room / "keyed.yaml")


def test_members_of_ones_own():
    """A profile names judges; objects take their place, and the profile and its hash follow them."""
    judge = EnsembleJudge(panel_of("fake", "embedded"), [fake("one"), fake("two")])
    assert [profile.name for profile in judge.profile.members] == ["one", "two"]
    other = EnsembleJudge(panel_of("fake", "embedded"), [fake("one"), fake("three")])
    assert other.profile.hash != judge.profile.hash
    for members, words in [
        ([fake("one")], "p asks 2 judges, not 1"),
        ([fake("one"), fake("one")], "panel.judges.1.judge: the judge one is named twice"),
        ([fake("one"), fake("two", mode="groupwise")], "compares replies"),
    ]:
        with pytest.raises(ProfileError, match=words):
            EnsembleJudge(panel_of("fake", "embedded"), members)
    with pytest.raises(ProfileError, match="fake: backend: the backend fake asks nobody else"):
        EnsembleJudge(load_profile("fake"), [])


@pytest.mark.parametrize("name", ["both.yaml", "steps.yaml"])
def test_it_pickles_whole(room, name):
    judge = load_judge(room / name)
    packed = pickle.dumps(judge)
    for path in room.iterdir():
        path.unlink()
    again = pickle.loads(packed)
    assert again.profile == judge.profile
    assert again.profile.hash == judge.profile.hash
    assert [repr(member.judge) for member in again.members] == [repr(member.judge) for member in judge.members]


async def test_closing_closes_every_member_once():
    class Closing(kardia.FakeJudge):
        closed = 0

        async def aclose(self):
            self.closed += 1

    one, two = (Closing(profile=JudgeProfile(name=name, backend="fake")) for name in ("one", "two"))
    judge = EnsembleJudge(panel_of("fake", "embedded"), [one, two])
    await judge.aclose()
    assert (one.closed, two.closed) == (1, 1)


async def test_it_answers_nothing_itself(room):
    judge = build_judge(load_profile(room / "both.yaml"))
    with pytest.raises(ProfileError, match="both is a panel and answers nothing itself"):
        await judge.answer([])


def test_where_a_number_came_from(room):
    told = judge_provenance(load_profile(room / "steps.yaml"))
    assert json.loads(json.dumps(told)) == told
    assert list(told) == ["name", "backend", "model", "mode", "hash", "unsure_below", "members"]
    assert (told["name"], told["backend"], told["mode"], told["unsure_below"]) == ("steps", "cascade", None, 0.8)
    first, then = told["members"]
    assert (first["name"], first["mode"], first["template"]["name"]) == ("sure", "logprob", "logprob")
    assert "weight" not in first
    assert (then["name"], then["combine"]) == ("both", "median")
    assert [(member["name"], member["weight"]) for member in then["members"]] == [("fake", 1.0), ("sampled", 2.0)]
    sampled = then["members"][1]
    assert sampled["hash"] == load_profile(room / "sampled.yaml").hash
    assert sampled["template"]["hash"].startswith("sha256:")
    assert (sampled["sampling"]["samples"], sampled["sampling"]["combine"]) == (3, "majority")
    single = load_profile("fake")
    assert judge_provenance(single) == {
        "name": "fake",
        "backend": "fake",
        "model": None,
        "mode": "per_criterion",
        "hash": single.hash,
    }


def test_a_judge_that_reads_nothing_has_no_template(room):
    (room / "near.yaml").write_text("name: near\nbackend: cascade\ncascade: {first: embedded, then: fake}\n")
    first, then = judge_provenance(load_profile(room / "near.yaml"))["members"]
    assert first["template"] is None
    assert then["template"]["name"] == "reasoned"
