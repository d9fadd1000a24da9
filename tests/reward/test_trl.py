"""The reward in TRL's own GRPOTrainer. These hold for TRL 1.16."""

from __future__ import annotations

import functools
import json
import math
import os
import re
import socket
import string
import subprocess
import sys
from pathlib import Path

import marked
import pytest
import tiny

import kardia
from kardia.errors import JudgeUnreachable
from kardia.judge.backends.fake import fake_level
from reward import ranks

torch = pytest.importorskip("torch", reason="training needs kardia[train]")
pytest.importorskip("trl", reason="TRL is not installed")
pytest.importorskip("datasets")

pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.usefixtures("one_thread")]  # of TRL: theirs to mend

HERE = Path(__file__).resolve().parent
DOCS = HERE.parents[1] / "docs" / "rewards.md"
PROMPTS = [[{"role": "user", "content": text}] for text in ("my dog died", "i failed")]
QUICK = {
    "max_steps": 2,
    "per_device_train_batch_size": 4,
    "num_generations": 4,
    "max_completion_length": 8,
    "use_cpu": True,
    "bf16": False,
    "report_to": [],
    "logging_steps": 1,
    "save_strategy": "no",
    "disable_tqdm": True,
    "seed": 1,
}


@pytest.fixture(scope="session")
def policy(tmp_path_factory):
    return tiny.qwen(tmp_path_factory.mktemp("policy"), with_head=True)


def letters(folder):
    """Keeps a random policy to letters, so that what it writes is text of a kind."""
    from kardia.student.backbone import load_tokenizer

    tokenizer = load_tokenizer(folder)
    allowed = {tokenizer.convert_tokens_to_ids(each) for each in [*string.ascii_lowercase, "Ġ"]}
    return {"suppress_tokens": [each for each in range(len(tokenizer)) if each not in allowed]}


def trained(policy, folder, functions, columns=None, **options):
    """Two steps; the trainer, and for each step what it gave as advantages."""
    from datasets import Dataset
    from trl import GRPOConfig, GRPOTrainer

    steps = []

    class Watched(GRPOTrainer):
        def _generate_and_score_completions(self, inputs):
            output = super()._generate_and_score_completions(inputs)
            rewards = {name: list(values) for name, values in self._logs["rewards"].items()}
            texts = [message[0]["content"] for message in self._logs["completion"]]
            steps.append({"advantages": output["advantages"].tolist(), "rewards": rewards, "texts": texts})
            return output

    rows = [{"prompt": prompt, **(columns or {})} for prompt in PROMPTS]
    trainer = Watched(
        model=str(policy),
        reward_funcs=functions,
        train_dataset=Dataset.from_list(rows),
        args=GRPOConfig(output_dir=str(folder), generation_kwargs=letters(policy), **{**QUICK, **options}),
    )
    trainer.train()
    assert trainer.state.global_step == 2
    assert len(steps) == 2
    return trainer, steps


def failing_once():
    """A judge by hash that has no answer for the first completion of a step: two steps, two of them."""
    told: dict[str, bool] = {}

    def script(request):
        text = request.target.text
        if told.setdefault(text, len(told) % 4 == 0):
            return kardia.AnswerError("killed for a test")
        return {"reason": "Hm.", "evidence": [], "level": fake_level(request.criteria[0], text)}

    return kardia.FakeJudge(script)


def without(rewards):
    """Advantages of one group, computed without those that have no reward."""
    known = torch.tensor([value for value in rewards if value == value])
    shared = (known - known.mean()) / (known.std() + 1e-4)
    return shared.tolist()


def test_the_lines_of_the_documentation(policy, tmp_path, monkeypatch):
    """Exactly the lines that the page shows; what they name is a tiny policy and a few prompts, and the settings that
    they leave to TRL are those of a test."""
    import datasets
    import trl

    block = next(block for block in re.findall(r"^```py\n(.*?)^```", DOCS.read_text("utf-8"), re.M | re.S))
    lines = [line for line in block.splitlines() if line.strip()]
    assert len(lines) == 10
    monkeypatch.chdir(tmp_path)
    named = re.search(r'model="([^"]+)"', block)[1]
    Path(named).parent.mkdir(parents=True)
    Path(named).symlink_to(policy)
    rows = [{"prompt": prompt, "emotion": "sad"} for prompt in PROMPTS]
    Path("prompts.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    quick = {**QUICK, "generation_kwargs": letters(policy)}
    monkeypatch.setattr(trl, "GRPOConfig", functools.partial(trl.GRPOConfig, **quick))
    names: dict[str, object] = {}
    exec(compile(block, str(DOCS), "exec"), names)
    trainer = names["trainer"]
    assert trainer.state.global_step == 2
    logged = [entry for entry in trainer.state.log_history if "reward" in entry]
    assert len(logged) == 2
    name = "emotional-support-1.0.0_embedded"
    for entry in logged:
        assert 0 <= entry[f"rewards/{name}/mean"] <= 1
        assert entry[f"{name}/unscored"] < 1
        assert any(key.startswith(f"{name}/rubric/") for key in entry)
    readme = (HERE.parents[1] / "README.md").read_text("utf-8")
    if "GRPOTrainer(" in readme:
        assert block in readme, "the README shows the same lines"


def test_a_judge_that_dies_for_one_completion_moves_nobody(policy, tmp_path):
    reward = kardia.load_reward("kardia-r1", failing_once(), name="r1", ledger="off")
    trainer, steps = trained(policy, tmp_path, reward, {"emotion": "sad"})
    killed = 0
    for step in steps:
        rewards, advantages = step["rewards"]["r1"], step["advantages"]
        peers = [place for place, value in enumerate(rewards) if not math.isnan(value)]
        killed += len(rewards) - len(peers)
        assert 1 <= len(peers) < len(rewards)
        assert all(advantages[place] == 0.0 for place in range(len(rewards)) if place not in peers), "exactly 0"
        assert [advantages[place] for place in peers] == pytest.approx(without(rewards), abs=1e-5)
        assert any(advantages[place] != 0.0 for place in peers)
    assert killed >= 2
    shares = [entry["r1/unscored"] for entry in trainer.state.log_history if "r1/unscored" in entry]
    assert shares == [pytest.approx(sum(map(math.isnan, step["rewards"]["r1"])) / 4) for step in steps]
    assert not any(isinstance(value, float) and math.isnan(value) for value in trainer.state.log_history[0].values())


def test_why_a_preset_is_one_callable(policy, tmp_path):
    """TRL sums several functions with what is missing skipped: beside another reward, None is a zero."""
    judge = failing_once()
    rubric = kardia.RubricReward("supportiveness@1", judge, name="rubric", ledger="off")

    def formatted(prompts, **rest):
        return [1.0] * len(prompts)

    _, steps = trained(policy, tmp_path, [formatted, rubric])
    for step in steps:
        missing = [place for place, value in enumerate(step["rewards"]["rubric"]) if math.isnan(value)]
        assert missing
        assert all(step["advantages"][place] < 0 for place in missing)


def test_a_judge_that_is_gone_stops_the_training_or_does_not(policy, tmp_path):
    def gone(request):
        return JudgeUnreachable("the judge made-up does not answer")

    reward = kardia.RubricReward("supportiveness@1", kardia.FakeJudge(gone), ledger="off")
    with pytest.raises(JudgeUnreachable, match="the judge made-up does not answer"):
        trained(policy, tmp_path / "raise", reward)
    reward = kardia.RubricReward("supportiveness@1", kardia.FakeJudge(gone), on_unreachable="none", ledger="off")
    trainer, steps = trained(policy, tmp_path / "none", reward)
    assert [step["advantages"] for step in steps] == [[0.0] * 4] * 2
    name = reward.__name__
    logged = [entry for entry in trainer.state.log_history if f"{name}/unscored" in entry]
    assert [entry[f"{name}/unscored"] for entry in logged] == [1.0, 1.0]
    assert (
        list(trainer._logs["extra"][f"{name}/why"])
        == ["rubric: the judge was not there: the judge made-up does not answer"] * 4
    )


@pytest.mark.parametrize("how", ["sum_then_normalize", "normalize_then_sum"])
def test_a_function_for_each_criterion(policy, tmp_path, how):
    judge = failing_once()
    reward = kardia.RubricReward(marked.rubric(), judge, name="made", ledger="off")
    functions = reward.per_criterion()
    _, steps = trained(
        policy,
        tmp_path,
        functions,
        multi_objective_aggregation=how,
        reward_weights=[1.0, 0.5, 2.0],
        scale_rewards="group",
    )
    asked = {request.target.text for request in judge.asked}
    assert len(judge.asked) == len(asked) * 3, "each completion once for all functions"
    for step in steps:
        assert list(step["rewards"]) == ["made.warmth", "made.clear", "made.blames"]
        missing = [tuple(map(math.isnan, values)) for values in zip(*step["rewards"].values(), strict=True)]
        assert set(missing) == {(True,) * 3, (False,) * 3}, "None together"
        killed = [place for place, each in enumerate(missing) if each[0]]
        assert all(step["advantages"][place] == 0.0 for place in killed)
        assert any(value != 0.0 for value in step["advantages"])


def test_the_trainer_awaits_it(policy, tmp_path):
    reward = kardia.RubricReward("supportiveness@1", failing_once(), name="awaited", ledger="off")
    trainer, steps = trained(policy, tmp_path, reward.asynchronous())
    for step in steps:
        rewards = step["rewards"]["awaited"]
        peers = [place for place, value in enumerate(rewards) if not math.isnan(value)]
        assert 1 <= len(peers) < 4
        assert [step["advantages"][place] for place in peers] == pytest.approx(without(rewards), abs=1e-5)
    assert "awaited/rubric/warmth" in trainer.state.log_history[0]


def test_completions_that_were_cut_off(policy, tmp_path):
    reward = kardia.RubricReward(
        "supportiveness@1", "fake", name="cut", ledger="off", on_truncated="none", eos_token_ids=0
    )
    trainer, steps = trained(policy, tmp_path, reward)
    assert [step["advantages"] for step in steps] == [[0.0] * 4] * 2, "this policy never ends"
    assert set(trainer._logs["extra"]["cut/why"]) == {"it was cut off at the limit"}


@pytest.mark.slow
def test_two_ranks_give_the_rewards_of_one(policy, tmp_path):
    (tmp_path / "policy").symlink_to(policy)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    # `accelerate launch --cpu` starts one process, whatever the number; torch's own launcher starts two of accelerate's
    options = ["--nproc_per_node", "2", "--master_addr", "127.0.0.1", "--master_port", str(port)]
    done = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", *options, str(HERE / "ranks.py"), str(tmp_path)],
        env={
            **os.environ,
            "ACCELERATE_USE_CPU": "true",
            "OMP_NUM_THREADS": "1",
            "PYTHONPATH": os.pathsep.join(sys.path),
        },
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    told = [json.loads((tmp_path / f"rank{number}.json").read_text()) for number in range(2)]
    assert [each["ranks"] for each in told] == [2, 2]
    assert told[0]["rewards"] == told[1]["rewards"]
    assert len(told[0]["rewards"]) == 4
    alone = ranks.reward()(prompts=told[0]["prompts"], completions=told[0]["completions"])
    assert [None if value is None else pytest.approx(value, abs=1e-6) for value in alone] == told[0]["rewards"]
    keys = [names for each in told for names in each["keys"]]
    assert len(keys) == 4
    assert all(names == keys[0] for names in keys), "the same keys in the same order on every rank and in every step"
    assert told[0]["logged"][0] == sorted(set(keys[0]) - {key for key in keys[0] if key.endswith(("/why", "/reasons"))})
