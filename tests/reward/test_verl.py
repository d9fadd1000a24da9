"""verl's contract: what its reward loop does with `compute_score`, as recorded from 0.9.1 and with the installed one.

`recorded` re-enacts verl's calling code; `installed` runs verl's own, without a Ray cluster, wherever verl is
installed: its version stands in the test's id.
"""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
import inspect
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from types import SimpleNamespace

import marked
import numpy as np
import pytest
import tiny

from kardia.errors import InputError, JudgeUnreachable
from kardia.reward import verl as adapter
from kardia.reward.single import UnscoredError

PROMPT = [{"role": "user", "content": "My dog died this morning."}]
FAKE = {"reward": "supportiveness@1", "judge": "fake", "ledger": "off", "on_unscored": "raise"}

try:
    INSTALLED = f"installed {version('verl')}"
except PackageNotFoundError:
    INSTALLED = "installed: no"


OTHERS_WARNINGS = pytest.mark.filterwarnings("ignore")  # verl's and Ray's are not ours to answer for


@pytest.fixture(params=["recorded 0.9.1", pytest.param(INSTALLED, marks=OTHERS_WARNINGS)])
def trainer(request, tmp_path, monkeypatch):
    """Loads a reward function as verl does, and has it score samples as verl does."""
    if request.param.startswith("recorded"):
        return Recorded()
    pytest.importorskip("verl", reason="verl is not installed: its own code does not run here")
    return Installed(tmp_path, monkeypatch)


def sample(solution, ground_truth="sadness", **extra_info):
    return SimpleNamespace(solution=solution, ground_truth=ground_truth, extra_info=extra_info, raw_prompt=PROMPT)


class Recorded:
    """verl 0.9.1: `trainer.ppo.reward.get_custom_reward_fn`, `experimental.reward_loop`: its managers `naive` and
    `rate_limited`, `RewardLoopWorker.compute_score_batch`, and how `RewardLoopManager` collates."""

    def run(self, samples, kwargs, *, path="pkg://kardia.reward.verl", manager="naive"):
        raw = _load(path)
        wrapped = _merging_async if inspect.iscoroutinefunction(raw) else _merging
        score = partial(wrapped, raw, dict(kwargs))
        assert inspect.iscoroutinefunction(score), "verl would run it in a thread and take the coroutine for a score"
        outputs = asyncio.run(self._batch(score, samples, getattr(self, manager)))
        infos = [output["reward_extra_info"] for output in outputs]
        extra = {key: np.array([info[key] for info in infos]) for key in infos[0]}
        return np.array([output["reward_score"] for output in outputs], dtype=np.float32), extra

    async def _batch(self, score, samples, manager):
        return await asyncio.gather(*(asyncio.create_task(manager(score, item)) for item in samples))

    async def naive(self, score, item):
        extra_info = item.extra_info
        extra_info.update({"raw_prompt": item.raw_prompt, "turn_scores": [], "tool_rewards": []}.items())
        extra_info["num_turns"] = 2
        extra_info["rollout_reward_scores"] = {}
        solution = await asyncio.get_running_loop().run_in_executor(None, lambda: item.solution)
        result = await score(
            data_source="made", solution_str=solution, ground_truth=item.ground_truth, extra_info=extra_info
        )
        return {"reward_score": result["score"], "reward_extra_info": dict(result)}

    async def rate_limited(self, score, item):
        try:
            return await asyncio.wait_for(self.naive(score, item), timeout=300)
        except Exception as problem:
            return {"reward_score": 0.0, "reward_extra_info": {"error": str(problem), "acc": 0.0}}


def _load(path):
    if path.startswith("pkg://"):
        return importlib.import_module(path.removeprefix("pkg://")).compute_score
    spec = importlib.util.spec_from_file_location("custom_module_1", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.compute_score


def _merging(raw, extra, *args, **kwargs):
    return raw(*args, **{**kwargs, **extra})


async def _merging_async(raw, extra, *args, **kwargs):
    return await raw(*args, **{**kwargs, **extra})


class Installed:
    """verl's own loading, managers, workers and collation; plain calls stand for Ray's, which carry between
    processes."""

    def __init__(self, folder, monkeypatch):
        self.folder = folder / "tokenizer"
        self.tokenizer = tiny.byte_level(self.folder, roberta=False)
        self.monkeypatch = monkeypatch

    def worker(self, kwargs, *, path="pkg://kardia.reward.verl", manager="naive"):
        from omegaconf import OmegaConf
        from verl.experimental.reward_loop.reward_loop import RewardLoopWorker
        from verl.experimental.reward_loop.reward_manager.limited import RateLimitedRewardManager

        self.monkeypatch.setattr(RateLimitedRewardManager, "_class_initialized", False)
        config = OmegaConf.create(
            {
                "actor_rollout_ref": {"model": {"path": str(self.folder), "tokenizer_path": None}},
                "reward": {
                    "num_workers": 1,
                    "max_concurrent": 64,
                    "custom_reward_function": {"path": path, "name": "compute_score", "reward_kwargs": dict(kwargs)},
                    "reward_manager": {"source": "register", "name": manager},
                    "reward_model": {"enable": False},
                },
            }
        )
        return RewardLoopWorker(config)

    def data(self, samples):
        import torch
        from verl import DataProto

        width = 16 + max(len(item.solution.encode()) for item in samples)
        rows = [self.tokenizer(item.solution + "<|im_end|>")["input_ids"] for item in samples]
        responses = torch.tensor([row + [self.tokenizer.pad_token_id] * (width - len(row)) for row in rows])
        lengths = torch.tensor([[len(row)] for row in rows])
        prompts = torch.zeros((len(samples), 4), dtype=torch.long)
        mask = torch.cat([torch.ones_like(prompts), (torch.arange(width)[None] < lengths).long()], dim=1)
        columns = {
            "data_source": ["made"] * len(samples),
            "reward_model": [{"style": "rule", "ground_truth": item.ground_truth} for item in samples],
            "extra_info": [item.extra_info for item in samples],
            "tool_extra_fields": [
                {"raw_prompt": item.raw_prompt, "turn_scores": [], "tool_rewards": []} for item in samples
            ],
            "__num_turns__": [2] * len(samples),
        }
        arrays = {}
        for name, values in columns.items():
            arrays[name] = np.empty(len(values), dtype=object)
            arrays[name][:] = values
        return DataProto.from_dict(
            tensors={"prompts": prompts, "responses": responses, "attention_mask": mask}, non_tensors=arrays
        )

    def run(self, samples, kwargs, **rest):
        from verl.experimental.reward_loop import reward_loop

        async def build():
            return self.worker(kwargs, **rest)

        loop = asyncio.new_event_loop()
        try:
            worker = loop.run_until_complete(build())
            remote = SimpleNamespace(remote=lambda chunk: loop.run_until_complete(worker.compute_score_batch(chunk)))
            manager = SimpleNamespace(
                reward_model_manager=None,
                reward_loop_workers=[SimpleNamespace(compute_score_batch=remote)],
                reward_manager_cls=type(worker.reward_manager),
            )
            self.monkeypatch.setattr(reward_loop.ray, "get", lambda outputs: outputs)
            result = reward_loop.RewardLoopManager.compute_rm_score(manager, self.data(samples))
        finally:
            loop.run_until_complete(loop.shutdown_default_executor())
            loop.close()
        extra = {key: result.non_tensor_batch[key] for key in result.meta_info["reward_extra_keys"]}
        return result.batch["rm_scores"].sum(-1).numpy(), extra


def own_file(folder, **options):
    return str(marked.own_file(folder / "my_reward.py", "verl", "score_function", "compute_score", **options))


def test_configured_by_reward_kwargs_alone(trainer):
    shared = {"split": "train", "index": 7}  # verl repeats a row by reference
    samples = [sample(f"I'm so sorry. {number % 3}") for number in range(8)]
    for item in samples:
        item.extra_info = shared
    scores, extra = trainer.run(samples, FAKE)
    assert len(scores) == 8
    assert scores[0] == scores[3] == scores[6]
    np.testing.assert_allclose(extra["score"], scores, rtol=1e-6)
    assert set(extra["unscored"]) == {0.0}
    assert {"score", "unscored", "vetoed", "term/rubric", "criterion/rubric/warmth"} <= set(extra)
    assert all(values.dtype == np.float64 for values in extra.values())


def test_a_whole_group_reaches_the_judge_at_once_and_equal_samples_once(trainer, monkeypatch):
    sizes = marked.batch_sizes(monkeypatch)
    trainer.run([sample(f"Reply {number % 10}.") for number in range(16)], {**FAKE, "wait_ms": 300})
    assert sizes == [10]


def test_the_keys_are_those_of_the_first_sample_whatever_becomes_of_it(trainer, tmp_path):
    texts = ["UNJUDGED", "Kind.", "BLAMES you", "COLD"]
    for order in (texts, texts[::-1]):
        scores, extra = trainer.run([sample(text) for text in order], {}, path=own_file(tmp_path, on_unscored=0.25))
        found = dict(zip(order, scores, strict=True))
        assert found == pytest.approx({"UNJUDGED": 0.25, "Kind.": 1.0, "BLAMES you": 0.0, "COLD": 2 / 3})
        place = order.index("UNJUDGED")
        assert extra["unscored"].sum() == extra["unscored"][place] == 1.0
        assert extra["vetoed"].sum() == extra["vetoed"][order.index("BLAMES you")] == 1.0
        assert extra["term/rubric"][place] == extra["criterion/rubric/warmth"][place] == -1.0


def test_raise_reaches_whoever_trains(trainer, tmp_path):
    with pytest.raises(UnscoredError, match=r"no reward: .*warmth is unscored: for a test"):
        trainer.run([sample("Kind."), sample("UNJUDGED")], {}, path=own_file(tmp_path, on_unscored="raise"))


def test_a_judge_that_is_gone_stops_the_training(trainer, tmp_path):
    with pytest.raises(JudgeUnreachable, match="nobody is there"):
        trainer.run([sample("GONE")], {}, path=own_file(tmp_path, on_unscored=0.25))


def test_verls_manager_rate_limited_turns_any_error_into_a_zero(trainer, tmp_path):
    """Why the documentation says to leave that manager alone: kardia cannot keep it from doing this."""
    path = own_file(tmp_path, on_unscored="raise")
    scores, extra = trainer.run([sample("UNJUDGED")], {}, path=path, manager="rate_limited")
    assert scores == [0.0]
    assert "no reward" in extra["error"][0]
    with pytest.raises(KeyError):
        trainer.run([sample("Kind."), sample("UNJUDGED")], {}, path=path, manager="rate_limited")


def test_what_is_wrong_with_a_file_is_said_when_it_is_loaded(trainer, tmp_path):
    with pytest.raises((InputError, RuntimeError)) as caught:
        trainer.run([sample("Kind.")], {}, path=own_file(tmp_path))
    assert "on_unscored: is missing" in str(caught.value.__cause__ or caught.value)


async def called(**changes):
    call = {
        "data_source": "made",
        "solution_str": "I'm so sorry.",
        "ground_truth": "sadness",
        "extra_info": {"raw_prompt": PROMPT},
    }
    return await adapter.compute_score(**{**call, **FAKE, **changes})


async def test_without_on_unscored_nothing_is_scored():
    with pytest.raises(InputError, match=r"reward_kwargs: on_unscored: is missing: verl has no word .* no default"):
        await called(on_unscored=None)


async def test_without_a_prompt_it_is_said_where_it_belongs():
    for extra_info in (None, {}, {"prompt": None, "split": "train"}):
        with pytest.raises(InputError, match="extra_info: the sample has no prompt"):
            await called(extra_info=extra_info)


def read(solution="I'm so sorry.", ground_truth=None, field=None, **extra_info):
    return adapter._completion(solution, ground_truth, extra_info, field)


def test_the_prompt_is_the_rows_own_or_else_verls():
    as_text = read(prompt="My dog died this morning.")
    assert [message.content for message in as_text.conversation.messages] == [PROMPT[0]["content"], "I'm so sorry."]
    assert read(raw_prompt=np.array(PROMPT, dtype=object)).conversation == read(raw_prompt=PROMPT).conversation
    both = read(prompt=[{"role": "user", "content": "Mine."}], raw_prompt=PROMPT)
    assert both.conversation.messages[0].content == "Mine."


def test_the_rest_of_extra_info_is_metadata_but_for_verls_own():
    row = {"split": "train", "index": np.int64(3), "emotion": "sadness", "profile": {"age": 40, "job": None}}
    verls = {"num_turns": 2, "rollout_reward_scores": {}, "min_global_steps": 4, "teacher_logprobs": np.ones(3)}
    completion = read(raw_prompt=PROMPT, **row, **verls)
    assert completion.metadata == {"split": "train", "index": 3, "emotion": "sadness", "profile": {"age": 40}}
    assert completion.group == read(raw_prompt=PROMPT, **row, min_global_steps=9).group


def test_ground_truth_is_read_only_where_it_was_said_what_it_is():
    assert "sadness" not in dict(read(prompt="Hi.", ground_truth="sadness").metadata).values()
    assert read(prompt="Hi.", ground_truth="sadness", field="emotion").metadata == {"emotion": "sadness"}
    assert read(prompt="Hi.", ground_truth=np.array(["x"]), field="reference_levels").metadata == {
        "reference_levels": ["x"]
    }


async def test_ground_truth_reaches_the_terms():
    spec = {"name": "emotion", "terms": {"emotion": {"kind": "emotion_match"}}}
    text = "<emotion>sad</emotion>"
    found = await called(
        reward=spec, solution_str=text, ground_truth="sad", ground_truth_field="emotion", extra_info={"prompt": "Hi."}
    )
    assert found == {"score": 1.0, "unscored": 0.0, "vetoed": 0.0, "term/emotion": 1.0}
    with pytest.raises(UnscoredError, match="emotion"):
        await called(reward=spec, solution_str=text, ground_truth="sad", extra_info={"prompt": "Hi."})


# what only verl itself can show


@pytest.fixture
def installed(tmp_path, monkeypatch):
    pytest.importorskip("verl", reason="verl is not installed: its own code does not run here")
    return Installed(tmp_path, monkeypatch)


@OTHERS_WARNINGS
async def test_its_trainer_leaves_a_sample_that_raises_out_of_its_group(installed, tmp_path, monkeypatch):
    """verl's V1 trainer, the default since 0.9: each completion of a prompt is a session; one that fails is logged, and
    the others of its group are trained on."""
    pytest.importorskip("transfer_queue", reason="verl's V1 trainer needs TransferQueue")
    from verl.trainer.ppo.v1 import agent_loop_tq

    worker = installed.worker({}, path=own_file(tmp_path, on_unscored="raise"))
    texts = ["Kind.", "UNJUDGED", "COLD", "Kind. Warm."]
    scored, tags = {}, []

    async def session(*_, session_id, **__):
        result = await worker.compute_score(installed.data([sample(texts[session_id])]))
        scored[texts[session_id]] = result["reward_score"]

    async def put(*, key, partition_id, tag):
        tags.append((key, tag["status"]))

    monkeypatch.setattr(agent_loop_tq.tq, "async_kv_put", put)
    rollout = SimpleNamespace(n=4, val_kwargs=SimpleNamespace(n=1))
    config = SimpleNamespace(actor_rollout_ref=SimpleNamespace(rollout=rollout))
    run_prompt = agent_loop_tq.AgentLoopWorkerTQ.__ray_metadata__.modified_class._run_prompt
    await run_prompt(
        SimpleNamespace(config=config, _run_agent_loop=session), {"uid": "p1"}, {}, trajectory={"validate": False}
    )
    assert scored == pytest.approx({"Kind.": 1.0, "COLD": 2 / 3, "Kind. Warm.": 1.0})
    assert tags == [("p1", "running"), ("p1", "failure")]


@OTHERS_WARNINGS
def test_its_advantages_with_a_sample_left_out_and_with_a_number(installed):
    """What the choice means: left out, the others' advantages are as if it had never been; with a number it has an
    advantage of its own, and moves theirs."""
    torch = pytest.importorskip("torch")
    from verl.trainer.ppo.core_algos import compute_grpo_outcome_advantage

    def advantages(scores):
        rewards = torch.tensor(scores)[:, None]
        index = np.array(["p1"] * len(scores), dtype=object)
        return compute_grpo_outcome_advantage(rewards, torch.ones_like(rewards), index)[0][:, 0]

    judged = [1.0, 2 / 3, 0.0]
    with_number = advantages([*judged, 0.0])
    assert not torch.allclose(with_number[:3], advantages(judged))
    assert with_number[3] < -0.1
    mean = sum(judged) / 3
    assert abs(advantages([*judged, mean])[3]) < 1e-5


@OTHERS_WARNINGS
def test_its_validation_takes_the_numbers(installed):
    from verl.trainer.ppo.metric_utils import process_validation_metrics

    _, extra = installed.run([sample("Kind. 1"), sample("Kind. 2")], FAKE)
    infos = {"reward": [0.5, 0.6], **{key: values.tolist() for key, values in extra.items()}}
    metrics = process_validation_metrics(["made", "made"], ["u1", "u1"], infos)
    assert "mean@2" in metrics["made"]["criterion/rubric/warmth"]
