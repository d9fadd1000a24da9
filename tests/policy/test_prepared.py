"""The door: what is read and checked before a model is loaded; and what is counted there."""

from __future__ import annotations

import pytest

import kardia
from kardia.errors import InputError, MissingExtra
from kardia.policy.estimate import estimate
from kardia.policy.prepared import prepare
from kardia.policy.recipes import load_recipe

from . import made


@pytest.fixture
def rows(tmp_path):
    return made.write(tmp_path / "rows.jsonl", made.plain_rows())


def refused(*arguments, **named):
    with pytest.raises(InputError) as caught:
        made.prepared(*arguments, **named)
    return caught.value


def test_prompts_demonstrations_and_what_is_held_out(rows):
    found = made.prepared(rows, "data.held_out=0.25")
    assert (len(found.train), len(found.held_out), len(found.demonstrations)) == (9, 3, 9)
    assert {each.prompt.id for each in found.demonstrations} == {each.id for each in found.train}
    assert found.rubric is not None
    assert found.rubric.name == "kardia-r1"
    assert (found.sft_steps, found.grpo_steps) == (2, 2)
    assert found.notes == ()


def test_the_digest_is_of_everything_that_matters(rows, tmp_path):
    first = made.prepared(rows).digest
    assert made.prepared(rows).digest == first
    assert made.prepared(rows, description="other words").digest == first
    for change in ("grpo.lr=1e-5", "seed=8", "reward.judge=embedded"):
        assert made.prepared(rows, change).digest != first
    rows.write_text(rows.read_text().replace("Day 3", "Day three"))
    assert made.prepared(rows).digest != first


def test_a_held_out_file(rows, tmp_path):
    held = made.write(tmp_path / "held.jsonl", [{**each, "id": f"h{each['id']}"} for each in made.plain_rows(3)])
    found = made.prepared(rows, data={"held_out": str(held)})
    assert (len(found.train), len(found.held_out)) == (9, 3)
    assert "3 of 12 prompts begin as held-out ones do" in found.notes[0]


def test_files_are_looked_for_beside_the_recipe(rows, tmp_path, monkeypatch):
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    text = "name: own\nmodel: {name_or_path: x/y}\ndata: {prompts: rows.jsonl}\ngrpo: {}\nreward: {spec: kardia-r1}\n"
    (tmp_path / "own.yaml").write_text(text)
    assert len(prepare(load_recipe(tmp_path / "own.yaml"), dry=True).train) == 11
    (tmp_path / "own.yaml").write_text(text.replace("rows", "nothing"))
    with pytest.raises(InputError, match=r"data.prompts: nothing.jsonl: neither beside the recipe nor"):
        prepare(load_recipe(tmp_path / "own.yaml"), dry=True)


def test_several_files_may_have_the_same_ids(tmp_path, rows):
    other = made.write(tmp_path / "more.jsonl", [{"id": "p1", "prompt": "another day of it", "emotion": "sad"}])
    found = made.prepared(None, data={"prompts": [str(rows), str(other)]}, sft=None)
    assert len({each.id for each in (*found.train, *found.held_out)}) == 13


@pytest.mark.parametrize(
    ("change", "key", "said"),
    [
        ({"data": {"prompts": None}}, "data.prompts", "is not set"),
        ({"grpo": {"prompts_per_step": 50}}, "grpo.prompts_per_step", "there are 11"),
        ({"grpo": {"trl": {"top_kk": 1}}}, "grpo.trl.top_kk", "top_k"),
        ({"evaluation": {"second_judge": "fake"}}, "evaluation.second_judge", "trained towards"),
        ({"reward": {"judge": "nobody"}}, None, "no judge 'nobody'"),
        ({"data": {"prompts": "nothing.jsonl"}}, "data.prompts", "nothing.jsonl"),
    ],
)
def test_what_is_wrong(rows, change, key, said):
    if key == "grpo.trl.top_kk":
        pytest.importorskip("trl")
    problem = refused(rows, **change)
    assert problem.key == key
    assert said in str(problem)


def test_what_the_reward_needs_must_be_in_the_rows(tmp_path):
    rows = made.plain_rows()
    del rows[4]["emotion"]
    rows[7]["emotion"] = "hungry"
    path = made.write(tmp_path / "rows.jsonl", rows)
    problem = refused(path, sft=None)
    assert (problem.file, problem.line) == (str(path), 5)
    assert "the row has no `emotion` (and 1 more of 11)" in problem.message
    found = made.prepared(path, "data.skip_incomplete=true")
    assert len(found.train) + len(found.held_out) == 10
    assert "2 prompts lack something" in found.notes[0]
    assert len(made.prepared(path, sft=None, reward={"overrides": ["terms.emotion.weight=0"]}).train) == 11


@pytest.mark.parametrize(
    ("terms", "said"),
    [
        ({"a": {"kind": "semantic"}}, "no `reference`"),
        ({"a": {"kind": "level_alignment"}}, "no `reference`"),
        ({"a": {"kind": "rar"}}, "no criteria of its own"),
        ({"a": {"kind": "column", "column": "grade"}}, "no number in `grade`"),
        ({"a": {"kind": "consistency"}}, "likelihoods"),
    ],
)
def test_every_term_says_what_it_needs(tmp_path, terms, said):
    rows = made.write(tmp_path / "rows.jsonl", [{"id": str(n), "prompt": f"day {n} of it"} for n in range(8)])
    problem = refused(rows, sft=None, reward={"spec": {"name": "own", "terms": terms}})
    assert said in str(problem)


def test_a_rows_own_criteria_must_go_with_the_rubric(tmp_path):
    rows = [{**each, "rubric": [{"question": "Is the brother named?"}]} for each in made.plain_rows()]
    path = made.write(tmp_path / "rows.jsonl", rows)
    assert len(made.prepared(path).train) == 11
    rows[2]["rubric"] = [{"quest": "?"}]
    problem = refused(made.write(path, rows))
    assert problem.line == 3
    assert "own criteria do not go with the rubric" in problem.message


def test_demonstrations_without_the_format_stop_it_or_are_left_out(tmp_path):
    rows = made.plain_rows()
    del rows[3]["understanding"]
    path = made.write(tmp_path / "rows.jsonl", rows)
    problem = refused(path)
    assert problem.line == 4
    assert "does not keep the format" in problem.message
    found = made.prepared(path, "data.skip_incomplete=true")
    assert len(found.demonstrations) == len(found.train) - 1


def test_demonstrations_of_their_own_file_and_supervised_training_alone(tmp_path):
    easy = made.write(tmp_path / "easy.jsonl", made.kardiabench_rows(4))
    found = made.prepared(
        None, grpo=None, reward=None, evaluation=None, sft={"demonstrations": str(easy), "format": "kardiabench"}
    )
    assert (len(found.demonstrations), found.train, found.grpo_steps) == (8, (), 0)
    measured = made.prepared(None, grpo=None, reward=None, sft={"demonstrations": str(easy), "format": "kardiabench"})
    assert "nothing will be measured" in measured.notes[0]
    assert [each.name for each in estimate(measured).stages] == ["sft", "report"]


def test_a_model_that_is_not_here_stops_a_training_and_not_its_plan(rows):
    pretrained = {"config": None, "tokenizer": None, "name_or_path": "nobody/nothing"}
    told = {key: value for key, value in made.tiny(rows)["model"].items() if key not in pretrained}
    recipe = load_recipe({**made.tiny(rows), "model": {**told, "name_or_path": "nobody/nothing", "revision": "abc"}})
    plan = prepare(recipe, dry=True)
    assert "`hf download nobody/nothing --revision abc` brings it" in plan.notes[0]
    with pytest.raises(MissingExtra):
        prepare(recipe)


def test_judges_can_be_objects(rows):
    judge = kardia.FakeJudge(lambda request: {"reason": "r", "evidence": [], "level": 3})
    found = prepare(load_recipe(made.tiny(rows)), judge=judge, dry=True)
    assert found.judges.reward is judge
    assert found.judges.evaluation is judge


def test_requests_are_counted_as_they_would_be_asked(rows):
    found = made.prepared(
        rows, "evaluation.second_judge=openai", evaluation={"constant": {"candidates": 3, "prompts": 1}}
    )
    plan = estimate(found)
    assert [(each.name, each.completions) for each in plan.stages] == [
        ("sft", 0),
        ("before", 1),
        ("grpo", 8),
        ("after", 1),
        ("stock", 0),
        ("report", 0),
    ]
    asked = {each.judge.name: each for each in plan.asked.values()}
    # five criteria a completion: 8 in GRPO, 2 measured by reward and by rubric, 3 stock replies
    assert asked["fake"].requests == 5 * (8 + 2 + 2 + 3)
    assert asked["openai"].requests == 5 * 2
    assert asked["openai"].judge.destination == "api.openai.com"
    assert asked["openai"].input_tokens > asked["openai"].requests * 100
    assert asked["openai"].output_tokens == asked["openai"].requests * 512


def test_prices_rows_own_criteria_references_and_ranks(tmp_path):
    (tmp_path / "priced.yaml").write_text(
        "name: priced\nbackend: http\nmodel: m\nbase_url: http://10.0.0.1:1/v1\nsampling: {max_tokens: 100}\n"
        "price: {input_per_million: 1, output_per_million: 10}\n"
    )
    rows = [{**each, "rubric": ["a?", "b?"]} for each in made.plain_rows()]
    path = made.write(tmp_path / "rows.jsonl", rows)
    terms = {
        "own": {"kind": "rar"},
        "like": {"kind": "level_alignment"},
        "rank": {"kind": "group_rank", "rubric": "safety@1"},
        "here": {"kind": "specificity", "rubric": "empathy-mechanisms@1"},
    }
    found = made.prepared(
        path,
        sft=None,
        evaluation=None,
        reward={"spec": {"name": "x", "terms": terms}, "judge": str(tmp_path / "priced.yaml")},
    )
    [asked] = estimate(found).asked.values()
    # 8 completions of 4 prompts: two own criteria each, three mechanisms of each, here and elsewhere, and of each
    # reference, two orders
    assert asked.requests == 8 * 2 + 8 * 3 + 8 * 3 + 4 * 3 + 4 * 2
    assert asked.cost == pytest.approx((round(asked.input_tokens) * 1 + asked.requests * 100 * 10) / 1e6)
    assert estimate(found).cost == asked.cost
    assert asked.judge.destination == "10.0.0.1:1"


def test_seekers_are_counted_by_turns():
    recipe = load_recipe("rlver", ["grpo.steps=2", "model.name_or_path=x/y"])
    found = prepare(recipe, dry=True)
    assert found.cast is not None
    assert not {each.name for each in found.cast.train} & {each.name for each in found.cast.held_out}
    plan = estimate(found)
    [asked] = plan.asked.values()
    assert found.rubric is not None
    criteria = len(found.rubric.criteria)
    talks = next(each.completions for each in plan.stages if each.name == "before")
    assert asked.requests == criteria * (2 * 8 * 8 * 8 + 2 * talks * 10 + 2 * talks)
    played = prepare(
        load_recipe("rlver", ["environment.seeker=planned", "environment.judge=openai", "evaluation.judge=embedded"]),
        dry=True,
    )
    assert {each.judge.name for each in estimate(played).asked.values()} == {"openai", "embedded"}
