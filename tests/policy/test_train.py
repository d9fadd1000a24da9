"""Whole trainings of a tiny policy: TRL's own trainers, real steps."""

from __future__ import annotations

import json

import pytest

import kardia
from kardia.engine.halt import Halt
from kardia.errors import AnswerError, InputError, Interrupted, JudgeUnreachable
from kardia.policy.grpo import ROW, RowReward
from kardia.policy.measured import Measured, load_rows
from kardia.policy.prepared import prepare
from kardia.policy.recipes import load_recipe
from kardia.policy.run import load_report, train
from kardia.reward.reward import Reward

from . import made

torch = pytest.importorskip("torch", reason="policies need kardia[train]")
pytest.importorskip("trl", reason="policies need kardia[train]")
pytest.importorskip("peft", reason="policies need kardia[train]")
pytest.importorskip("datasets", reason="policies need kardia[train]")

pytestmark = pytest.mark.filterwarnings("ignore")  # of TRL and whatever it calls: theirs to mend

SPANS = ["emotion", "response"]
SAID = {"reason": "r", "evidence": [], "level": 3}


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def rows(tmp_path):
    return made.write(tmp_path / "rows.jsonl", made.plain_rows())


def weights(folder):
    from safetensors.torch import load_file

    [file] = folder.glob("*.safetensors")
    return load_file(file)


def test_supervised_training_grpo_and_the_report(rows, tmp_path):
    """A format is learnt until it is kept; GRPO goes on with a KL term; everything is measured and told."""
    judge = kardia.FakeJudge(lambda request: SAID)
    path = made.write(rows, [{**each, "response": "What would you say?"} for each in made.plain_rows()])
    terms = {
        "format": {"kind": "format", "spans": SPANS},
        "rubric": {"kind": "rubric", "rubric": "kardia-r1@1", "nothing_written": 0},
    }
    told = made.tiny(
        path,
        sft={"steps": 200, "lr": 0.02, "batch_size": 8, "until": {"every": 10, "samples": 4, "format": 0.75}},
        grpo={"temperature": 0.3, "beta": 0.05, "eval_steps": 2, "max_completion_length": 28, "save_steps": 1},
        evaluation={"base": True, "samples": 2},
        data={"system": "Answer so: {format}", "held_out": 0.25, "spans": SPANS},
        reward={"spec": {"name": "own", "terms": terms}},
    )
    other = kardia.FakeJudge(profile=kardia.JudgeProfile(name="other", backend="fake"))
    found = prepare(load_recipe(told), judge=judge, second_judge=other)
    seen = []
    report = train(found, tmp_path / "run", notify=seen.append)

    sft, grpo = report.stages["sft"], report.stages["grpo"]
    assert sft["reached"]
    assert sft["format"] >= 0.75
    assert sft["steps"] < 200
    assert grpo["steps"] == 2
    assert list(report.rows) == ["base", "before", "after"]
    assert [moment.step for moment in seen if moment.stage == "grpo" and moment.steps][-1] == 2
    measured = load_rows(tmp_path / "run" / "evaluation" / "after.jsonl", Measured)
    assert measured is not None
    assert len(measured) == 2 * 2
    assert {each.second for each in measured} != {None}
    assert report.figures["before"].means["format"].mean > report.figures["base"].means["format"].mean
    curves = report.to_json()["curves"]["grpo"]
    assert {"reward", "entropy", "KL from where it began", "unscored", "reward on held-out prompts"} <= set(curves)
    assert len(curves["reward"]) == 2
    assert report.stock is not None
    assert report.stock["text"]

    # the judge was shown what was said, and not what the policy was told beside
    assert judge.asked
    for request in judge.asked:
        assert [message.role for message in request.conversation.messages] == ["user", "assistant"]
    folder = tmp_path / "run"
    for name in (
        "report.md",
        "report.json",
        "grpo.svg",
        "sft.svg",
        "policy/tokenizer.json",
        "policy/model.safetensors",
    ):
        assert (folder / name).is_file(), name
    assert not list((folder / "sft").glob("checkpoint-*"))
    assert json.loads((folder / "report.json").read_text())["stages"]["grpo"]["steps"] == 2
    assert "none of them special" in (folder / "report.md").read_text()
    assert any(
        not torch.equal(old, weights(folder / "policy")[name]) for name, old in weights(folder / "start").items()
    )

    # once more: nothing is done again
    asked = len(judge.asked)
    again = train(found, folder)
    assert len(judge.asked) == asked
    assert again.to_json() == report.to_json()
    known = load_report(found, folder)
    assert known is not None
    assert known.to_json() == report.to_json()


def stopping(halt, stage, step):
    def notify(moment):
        if (moment.stage, moment.step) == (stage, step):
            halt.request()

    return notify


def test_a_training_that_was_stopped_goes_on_as_if_it_had_not_been(rows, tmp_path):
    told = made.tiny(rows, grpo={"steps": 8, "save_steps": 100}, sft={"steps": 3}, evaluation={"prompts": 1})
    found = prepare(load_recipe(told, ["evaluation.constant=null"]))
    whole = train(found, tmp_path / "whole")
    for stage, step in (("sft", 2), ("grpo", 7)):  # in the second pass over the prompts, too
        halt = Halt()
        with pytest.raises(Interrupted):
            train(found, tmp_path / "cut", notify=stopping(halt, stage, step), halt=halt)
        assert [path.name for path in (tmp_path / "cut" / stage).glob("checkpoint-*")] == [f"checkpoint-{step}"]
    cut = train(found, tmp_path / "cut")
    assert cut.stages["grpo"]["resumed"] == 7
    assert cut.history["grpo"][:8] == [
        {**entry, "step_time": other.get("step_time")} | _times(other)
        for entry, other in zip(whole.history["grpo"][:8], cut.history["grpo"][:8], strict=True)
    ]
    for name, tensor in weights(tmp_path / "whole" / "policy").items():
        assert torch.equal(tensor, weights(tmp_path / "cut" / "policy")[name])
    assert cut.rows == whole.rows


def _times(entry):
    return {key: value for key, value in entry.items() if "time" in key or "seconds" in key or "profiling" in key}


def test_an_adapter_is_trained_through_both_stages(rows, tmp_path):
    told = made.tiny(
        rows, lora={"rank": 2}, grpo={"beta": 0.1, "lr": 0.01, "save_steps": 1, "steps": 3}, evaluation=None
    )
    found = prepare(load_recipe(told))
    halt = Halt()
    with pytest.raises(Interrupted):
        train(found, tmp_path / "run", notify=stopping(halt, "grpo", 1), halt=halt)
    report = train(found, tmp_path / "run")
    assert report.stages["grpo"]["resumed"] == 1
    folder = tmp_path / "run" / "policy"
    assert json.loads((folder / "adapter_config.json").read_text())["r"] == 2
    assert not (folder / "ref").exists()
    taught, reinforced = weights(tmp_path / "run" / "sft" / "policy"), weights(folder)
    assert taught.keys() == reinforced.keys()
    assert any(not torch.equal(taught[name], reinforced[name]) for name in taught)
    kl = [entry["kl"] for entry in report.history["grpo"] if "kl" in entry]
    assert kl[0] == pytest.approx(0.0, abs=1e-5)  # the reference is the policy as supervised training left it
    assert kl[-1] > 1e-5
    assert report.rows == {}


TINY = {
    "kardia-r1-qwen2.5-7b": {"model_type": "qwen2", **made.SIZES},
    "kardia-r1-gemma-2b-lora": {"model_type": "gemma", **made.SIZES, "head_dim": 16},
    "emprl": {"model_type": "qwen2", **made.SIZES},
    "rlver": {"model_type": "qwen2", **made.SIZES},
    "smoke": {"model_type": "llama", **made.SIZES},
}
JUDGE = {"emprl": "embedded", "rlver": "embedded", "smoke": "embedded"}


@pytest.mark.encoder
@pytest.mark.parametrize("name", TINY)
def test_every_recipe_runs_a_step(name, tmp_path):
    data = made.kardiabench_rows(12) if name.startswith("kardia-r1") else made.plain_rows(12)
    rows = made.write(tmp_path / "rows.jsonl", data)
    overrides = [f"model.config.{key}={value}" for key, value in TINY[name].items()]
    overrides += ["model.name_or_path=null", "model.tokenizer.train.vocab_size=500", "device=cpu"]
    overrides += ["grpo.steps=1", "grpo.num_generations=2", "grpo.prompts_per_step=2", "grpo.micro_batch=4"]
    overrides += ["grpo.max_completion_length=16", "evaluation.prompts=1", "evaluation.max_new_tokens=4"]
    overrides += ["model.dtype=float32"]
    if name == "rlver":
        overrides += ["environment.held_out=0.01", "environment.seeds=1", "grpo.max_completion_length=48"]
    else:
        overrides += [
            f"data.prompts={rows}",
            "data.held_out=0.1",
            "sft.steps=1",
            "sft.batch_size=2",
            "sft.micro_batch=2",
        ]
        overrides += [f"reward.judge={JUDGE.get(name, 'fake')}", "evaluation.constant=null"]
    found = prepare(load_recipe(name, overrides))
    report = train(found, tmp_path / "run")
    assert report.stages["grpo"]["steps"] == 1
    rewards = [entry["reward"] for entry in report.history["grpo"] if "reward" in entry]
    assert len(rewards) == 1
    assert rewards[0] is not None
    assert {"before", "after"} <= set(report.rows)
    measured = report.rows["after"]
    assert measured[0].score is not None
    adapter = tmp_path / "run" / "policy" / "adapter_config.json"
    assert adapter.is_file() == (found.recipe.lora is not None)
    if name == "rlver":
        assert measured[0].seeker is not None
        talks = (tmp_path / "run" / "evaluation" / "after.talks.jsonl").read_text()
        assert "think" in json.loads(talks.splitlines()[0])["messages"][0]["content"]


class Dying:
    """A judge who is there, then is not, then is again."""

    def __init__(self, gone):
        self.profile = kardia.load_judge("fake").profile
        self.reads_prompts, self.batch_size, self.identity = True, 1, None
        self.gone, self.calls = gone, 0

    async def answer(self, requests):
        answers = []
        for request in requests:
            self.calls += 1
            if self.calls in self.gone:
                raise JudgeUnreachable("nobody is there")
            answers += await kardia.FakeJudge(lambda request: SAID).answer([request])
        return answers

    async def aclose(self):
        return None


def grpo_alone(rows, **more):
    return made.tiny(rows, sft=None, evaluation=None, grpo={"steps": 3, "save_steps": 1, "prompts_per_step": 1}, **more)


def test_a_judge_who_is_gone_stops_it_and_it_goes_on_later(rows, tmp_path):
    judge = Dying(range(11, 10_000))  # five criteria of two completions: the second step
    found = prepare(load_recipe(grpo_alone(rows)), judge=judge)
    with pytest.raises(JudgeUnreachable, match="nobody is there"):
        train(found, tmp_path / "run")
    judge.gone = ()
    report = train(found, tmp_path / "run")
    assert (report.stages["grpo"]["resumed"], report.stages["grpo"]["steps"]) == (1, 3)
    assert report.unscored == 0


def test_or_training_goes_on_without_those_rewards(rows, tmp_path):
    judge = Dying({11})
    found = prepare(load_recipe(grpo_alone(rows, reward={"on_unreachable": "none"})), judge=judge)
    report = train(found, tmp_path / "run")
    assert report.stages["grpo"]["steps"] == 3
    unscored = [
        entry["kardia-r1_fake/unscored"] for entry in report.history["grpo"] if "kardia-r1_fake/unscored" in entry
    ]
    assert unscored == [0, 1, 0]
    assert report.unscored == pytest.approx(sum(unscored) / 3)
    assert "had no reward" in (tmp_path / "run" / "report.md").read_text()


def test_a_reply_that_cannot_be_judged_is_not_measured_as_bad(rows, tmp_path):
    judge = kardia.FakeJudge(lambda request: AnswerError("cannot say"))
    told = made.tiny(rows, sft=None, grpo={"steps": 1, "prompts_per_step": 1}, evaluation={"prompts": 1})
    report = train(prepare(load_recipe(told), judge=judge), tmp_path / "run")
    [row] = report.rows["after"]
    assert (row.score, row.reward) == (None, None)
    assert "cannot say" in (row.why or "")
    assert report.figures["after"].means["unscored"].mean == 1.0
    assert "rubric" not in report.figures["after"].means
    assert report.stock is None


def test_what_trl_refuses_is_an_input_error(rows, tmp_path):
    wrong = {"vllm_importance_sampling_clip_min": 5.0, "vllm_importance_sampling_clip_max": 3.0}
    found = made.prepared(rows, sft=None, evaluation=None, grpo={"trl": wrong})
    with pytest.raises(InputError, match="grpo: TRL refuses this: vllm_importance_sampling_clip_min"):
        train(found, tmp_path / "run")


def test_too_long_prompts_and_demonstrations_are_left_out(tmp_path):
    rows = made.plain_rows()
    rows[2]["context"] += " and on" * 200
    rows[5]["context"] += " and on" * 200
    path = made.write(tmp_path / "rows.jsonl", rows)
    told = made.tiny(path, data={"max_prompt_tokens": 100}, sft={"max_length": 150}, evaluation=None, grpo={"steps": 1})
    report = train(prepare(load_recipe(told)), tmp_path / "run")
    assert report.stages["sft"]["too_long"] == report.stages["grpo"]["too_long"] > 0
    short = made.prepared(path, data={"max_prompt_tokens": 5}, sft=None, evaluation=None, dry=False)
    with pytest.raises(InputError, match=r"data.max_prompt_tokens: only 0 prompts are short enough"):
        train(short, tmp_path / "short")


def test_supervised_training_alone(rows, tmp_path):
    told = made.tiny(None, grpo=None, reward=None, sft={"demonstrations": str(rows)}, lora={"rank": 2})
    report = train(prepare(load_recipe(told)), tmp_path / "run")
    assert list(report.stages) == ["sft"]
    assert report.rows == {}
    assert (tmp_path / "run" / "policy" / "adapter_model.safetensors").is_file()


def test_a_row_reward_hands_over_the_rows_own_conversation():
    class Spy(Reward):
        def __call__(self, prompts, completions, completion_ids=None, *, metadata=(), **rest):
            self.seen = (prompts, completions, metadata, sorted(rest))
            return [0.5]

    spy = Spy("kardia-r1", "fake", ledger="off")
    wrapped = RowReward(spy)
    own = {"messages": [{"role": "user", "content": "hi"}], "metadata": {"emotion": "sad"}}
    told = [{"role": "system", "content": "format"}, *own["messages"]]
    found = wrapped([told], ["x"], [[1]], **{ROW: [json.dumps(own)]}, trainer_state=None, log_metric=None)
    assert found == [0.5]
    assert spy.seen == ([own["messages"]], ["x"], [own["metadata"]], ["log_extra", "log_metric"])
    assert wrapped.__name__ == "kardia-r1_fake"
