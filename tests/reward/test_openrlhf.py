"""OpenRLHF's contract: what its rollout executor does with a `reward_func`, as recorded from 0.11.2 and as installed.

`recorded` re-enacts OpenRLHF's calling code; `installed` runs its own, without vLLM, Ray or a GPU, wherever OpenRLHF is
installed: its version stands in the test's id.
"""

from __future__ import annotations

import asyncio
import importlib.util
import json
import logging
import threading
from importlib.machinery import ModuleSpec
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import MagicMock

import marked
import pytest
import tiny
from hypothesis import given
from hypothesis import strategies as st

from kardia.errors import InputError, JudgeUnreachable
from kardia.reward import openrlhf as adapter
from kardia.reward.single import UnscoredError

torch = pytest.importorskip("torch", reason="OpenRLHF's contract is in tensors")

PROMPT = "<|im_start|>user\nMy dog died.<|im_end|>\n<|im_start|>assistant\n"
OTHERS_WARNINGS = pytest.mark.filterwarnings("ignore")  # OpenRLHF's are not ours to answer for

try:
    INSTALLED = f"installed {version('openrlhf')}"
except PackageNotFoundError:
    INSTALLED = "installed: no"


class Recorded:
    """OpenRLHF 0.11.2: `utils.agent.SingleTurnAgentExecutor`, which takes a Python file for its reward, and
    `SamplesGenerator._process_response_into_experience`."""

    log = "recorded"

    def load(self, path):
        spec = importlib.util.spec_from_file_location("reward_func", path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)  # which puts it into no list of modules
        self.reward_func = module.reward_func

    async def rollouts(self, completions, labels):
        return await asyncio.gather(
            *(self._execute(text, label) for text, label in zip(completions, labels, strict=True))
        )

    async def _execute(self, text, label):
        told = {"reward": None, "scores": None, "extra_logs": {}}
        try:
            query = f"{PROMPT}{text}<|im_end|>"
            (info,) = await asyncio.gather(asyncio.to_thread(self.reward_func, [query], [PROMPT], [label]))
            score = info.get("scores") if info.get("scores") is not None else info.get("rewards")
            told.update(reward=info.get("rewards"), scores=score, extra_logs=info.get("extra_logs") or {})
        except Exception as problem:
            logging.getLogger(self.log).info(f"Failed to fetch reward from remote RM: {problem}")
        info = {}
        if told["reward"] is not None:
            info["reward"] = torch.tensor([told["reward"]])
        for key, value in told["extra_logs"].items():
            info[key] = torch.tensor([value.flatten()[0].item() if isinstance(value, torch.Tensor) else value])
        rewards, scores = (None if told[key] is None else torch.tensor([told[key]]) for key in ("reward", "scores"))
        return SimpleNamespace(rewards=rewards, scores=scores, info=info)


class Installed:
    """OpenRLHF's own executor, and what makes training samples of its results; what generates is a stand-in."""

    log = "openrlhf.utils.agent"

    def __init__(self, folder, monkeypatch):
        import sys

        # what needs a GPU: the engine, the processes of the models, and flash-attn
        parts = ("trainer.ray.vllm_engine", "trainer.ray.launcher", "models.ring_attn_utils")
        absent = [name for name in ("vllm", "ray", "deepspeed") if importlib.util.find_spec(name) is None]
        for name in (*absent, *(f"openrlhf.{part}" for part in parts)):
            monkeypatch.setitem(sys.modules, name, MagicMock(__spec__=ModuleSpec(name, None)))
        from openrlhf.trainer.ppo_utils import samples_generator
        from openrlhf.utils import agent

        monkeypatch.setattr(logging.getLogger(self.log), "propagate", True)
        self.agent, self.samples = agent, samples_generator
        self.tokenizer = tiny.byte_level(folder / "tokenizer", roberta=False)

    def load(self, path):
        self.executor = self.agent.SingleTurnAgentExecutor(str(path))

    async def rollouts(self, completions, labels):
        def engine(text):
            ids = self.tokenizer(text + "<|im_end|>")["input_ids"]
            output = SimpleNamespace(token_ids=ids, finish_reason="stop", logprobs=None)

            async def generate(*_, **__):
                return SimpleNamespace(outputs=[output])

            return SimpleNamespace(generate=generate)

        sampling = SimpleNamespace(max_tokens=400, logprobs=None)
        responses = await asyncio.gather(
            *(
                self.executor.execute(PROMPT, label, sampling, 1000, self.tokenizer, engine(text))
                for text, label in zip(completions, labels, strict=True)
            )
        )
        generator = self.samples.SamplesGenerator.__new__(self.samples.SamplesGenerator)
        return [generator._process_response_into_experience(response, max_len=1000) for response in responses]


@pytest.fixture(params=["recorded 0.11.2", pytest.param(INSTALLED, marks=OTHERS_WARNINGS)])
def trainer(request, tmp_path, monkeypatch):
    if request.param.startswith("recorded"):
        return Recorded()
    pytest.importorskip("openrlhf", reason="OpenRLHF is not installed: its own code does not run here")
    return Installed(tmp_path, monkeypatch)


def own_file(folder, **options):
    return marked.own_file(folder / "my_reward.py", "openrlhf", "reward_function", "reward_func", **options)


async def run(trainer, path, completions, labels=None):
    trainer.load(str(path))
    return await trainer.rollouts(completions, labels or [""] * len(completions))


async def test_a_file_of_ones_own(trainer, tmp_path):
    found = await run(trainer, own_file(tmp_path, on_unscored="raise"), ["Kind.", "COLD", "BLAMES you"])
    assert [item.rewards.item() for item in found] == pytest.approx([1.0, 2 / 3, 0.0])
    assert all(item.rewards.shape == item.scores.shape == (1,) for item in found)
    assert [item.scores.item() for item in found] == [item.rewards.item() for item in found]
    assert [item.info["vetoed"].item() for item in found] == [0.0, 0.0, 1.0]
    assert found[1].info["criterion/rubric/warmth"].item() == 0.0


async def test_this_module_itself_by_environment_variables(trainer, monkeypatch):
    for name, value in {"REWARD": "supportiveness@1", "JUDGE": "fake", "ON_UNSCORED": "raise"}.items():
        monkeypatch.setenv(f"KARDIA_{name}", value)
    found = await run(trainer, Path(adapter.__file__), ["I'm so sorry.", "I'm so sorry.", "Tell me more."])
    assert found[0].rewards.item() == found[1].rewards.item()
    assert "criterion/rubric/warmth" in found[0].info


async def test_samples_of_many_threads_reach_the_judge_at_once_and_equal_ones_once(trainer, tmp_path, monkeypatch):
    sizes = marked.batch_sizes(monkeypatch)
    path = own_file(tmp_path, on_unscored="raise", wait_ms=300)
    await run(trainer, path, ["Kind.", "Kind.", "COLD", "Warm.", "Kind."])
    assert sizes == [3]


async def test_the_same_names_for_every_sample(trainer, tmp_path):
    found = await run(trainer, own_file(tmp_path, on_unscored=0.25), ["Kind.", "UNJUDGED", "BLAMES you"])
    assert [item.rewards.item() for item in found] == [1.0, 0.25, 0.0]
    assert len({tuple(item.info) for item in found}) == 1
    assert [item.info["unscored"].item() for item in found] == [0.0, 1.0, 0.0]
    assert found[1].info["term/rubric"].item() == found[1].info["criterion/rubric/warmth"].item() == -1.0


async def test_what_raises_is_only_logged_and_leaves_the_reward_missing(trainer, tmp_path, caplog):
    with caplog.at_level(logging.INFO, trainer.log):
        found = await run(trainer, own_file(tmp_path, on_unscored="raise"), ["Kind.", "UNJUDGED"])
    assert found[0].rewards.item() == 1.0
    assert found[1].rewards is None
    assert found[1].scores is None
    assert "reward" not in found[1].info
    assert "a completion has no reward: rubric: made@1.0.0: warmth is unscored" in caplog.text


async def test_labels_become_metadata(trainer, tmp_path):
    spec = {"name": "emotion", "terms": {"emotion": {"kind": "emotion_match"}}}
    path = tmp_path / "my_reward.py"
    path.write_text(
        "from kardia.reward.openrlhf import reward_function\n"
        f"reward_func = reward_function({spec!r}, judge='fake', label_field='emotion', on_unscored=-2)\n",
        "utf-8",
    )
    text = "<emotion>sad</emotion>"
    labels = ["sad", '{"emotion": "sad"}', {"emotion": "lonely"}, ""]
    found = await run(trainer, path, [text] * 4, labels)
    assert [item.rewards.item() for item in found] == [1.0, 1.0, 0.0, -2.0]


# what only OpenRLHF itself can show


@OTHERS_WARNINGS
@pytest.mark.parametrize("micro_batch", [1, 2, 4])
@pytest.mark.parametrize("place", range(4))
async def test_a_missing_reward_ends_its_training_and_is_never_a_zero(tmp_path, monkeypatch, micro_batch, place):
    pytest.importorskip("openrlhf", reason="OpenRLHF is not installed: its own code does not run here")
    trainer = Installed(tmp_path, monkeypatch)
    texts = ["Kind.", "COLD", "UNCLEAR", "Warm."]
    texts[place] = "UNJUDGED"
    rollouts = await run(trainer, own_file(tmp_path, on_unscored="raise"), texts)
    kind, message = (ValueError, "reward_model_group is required") if place == 0 else (AttributeError, "'NoneType'")
    with pytest.raises(kind, match=message):
        _advantages(rollouts, monkeypatch, micro_batch)


@OTHERS_WARNINGS
async def test_a_number_takes_part_in_its_groups_baseline(tmp_path, monkeypatch):
    pytest.importorskip("openrlhf", reason="OpenRLHF is not installed: its own code does not run here")
    trainer = Installed(tmp_path, monkeypatch)
    rollouts = await run(trainer, own_file(tmp_path, on_unscored=0.0), ["Kind.", "COLD", "UNCLEAR", "UNJUDGED"])
    found = _advantages(rollouts, monkeypatch, 2)
    rewards = torch.tensor([1.0, 2 / 3, 2 / 3, 0.0])
    assert torch.allclose(found, (rewards - rewards.mean()) / rewards.std(), atol=1e-4)


def _advantages(rollouts, monkeypatch, micro_batch):
    """The advantage of each rollout of one prompt, by OpenRLHF's `RemoteExperienceMaker`; its models answer zeros."""
    from openrlhf.trainer.ppo_utils import experience_maker

    monkeypatch.setattr(experience_maker, "ray", SimpleNamespace(get=lambda each: each, put=lambda each: each))
    space = SimpleNamespace
    args = space(
        train=space(
            dynamic_batch_enable=False, colocate_all=False, colocate_actor_ref=False, colocate_critic_reward=False
        ),
        rollout=space(micro_batch_size=micro_batch, n_samples_per_prompt=4, max_new_tokens=400),
        ds=space(ring_attn_size=1, tensor_parallel_size=1),
        algo=space(kl=space(use_loss=False), advantage=space(estimator="group_norm", gamma=1.0, lambd=1.0)),
        reward=space(clip_range=None, overlong_buffer_len=None, stop_properly_penalty_coef=None),
        data=space(max_len=1000),
    )
    zeros = space(
        async_run_method_batch=lambda *, action_mask, **_: [[torch.zeros(mask.shape) for mask in action_mask]]
    )
    maker = experience_maker.RemoteExperienceMaker(
        zeros, None, None, None, space(value=0.0), space(args=args), space(pad_token_id=1)
    )
    experiences = maker.make_experience_batch(rollouts)
    # every token that was generated has the same
    return torch.cat([(item.advantages * item.action_mask).sum(-1) / item.action_mask.sum(-1) for item in experiences])


# the adapter's own


def scored(query, prompt=PROMPT, label=None, **options):
    given = {"rubric": marked.rubric(), "judge": marked.judge(), "ledger": "off", "on_unscored": "raise", **options}
    return adapter.reward_function(**given)([query], [prompt], [label])


def test_a_query_must_begin_with_its_prompt():
    with pytest.raises(InputError, match="queries: a query does not begin with its prompt"):
        scored("died.<|im_end|>\n<|im_start|>assistant\nKind.")


def test_several_queries_in_one_call():
    reward_func = adapter.reward_function(rubric=marked.rubric(), judge=marked.judge(), ledger="off", on_unscored=0)
    found = reward_func([f"{PROMPT}Kind.", f"{PROMPT}COLD", f"{PROMPT}UNJUDGED"], [PROMPT] * 3)
    assert found["rewards"].tolist() == pytest.approx([1.0, 2 / 3, 0.0])
    assert found["rewards"].dtype == torch.float32
    assert found["extra_logs"]["unscored"].tolist() == [0.0, 0.0, 1.0]
    with pytest.raises(InputError, match="2 queries for 1 prompts"):
        reward_func([PROMPT, PROMPT], [PROMPT])


def test_an_error_of_the_judge_is_raised_from_threads_too():
    reward_func = adapter.reward_function(rubric=marked.rubric(), judge=marked.judge(), ledger="off", on_unscored=0)
    problems = []

    def ask(text):
        try:
            reward_func([PROMPT + text], [PROMPT], [""])
        except Exception as problem:
            problems.append(problem)

    threads = [threading.Thread(target=ask, args=(f"GONE {number}",)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [type(problem) for problem in problems] == [JudgeUnreachable] * 4


def test_raise():
    with pytest.raises(UnscoredError, match="no reward"):
        scored(f"{PROMPT}UNJUDGED")


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("Kind.", "Kind."),
        ("Kind.<|im_end|>", "Kind."),
        ("Kind.<|im_end|>\n<|endoftext|>", "Kind."),
        ("Kind.</s></s>", "Kind."),
        ("Kind. ", "Kind. "),
        ("I write <|im_end|> and go on.", "I write <|im_end|> and go on."),
        ("<|im_end|>", ""),
    ],
)
def test_marks_at_the_end_are_taken_off(text, left):
    completion = adapter.completion_of_query(PROMPT + text, PROMPT, None, None, adapter.ENDS)
    assert completion.text == left


@given(st.text(), st.lists(st.sampled_from([*adapter.ENDS, "\n", " "])))
def test_only_marks_and_the_white_space_around_them_are_taken_off(text, tail):
    completion = adapter.completion_of_query(PROMPT + text + "".join(tail), PROMPT, None)
    assert (text + "".join(tail)).startswith(completion.text)
    kept = text.rstrip()
    if not kept.endswith(adapter.ENDS):
        assert completion.text.rstrip() == kept


def test_a_label_may_bring_the_prompt_as_messages():
    messages = [{"role": "user", "content": "My dog died."}]
    label = json.dumps({"prompt": messages, "emotion": "sadness"})
    completion = adapter.completion_of_query(f"{PROMPT}Kind.", PROMPT, label, None, adapter.ENDS)
    assert [(each.role, each.content) for each in completion.conversation.messages] == [
        ("user", "My dog died."),
        ("assistant", "Kind."),
    ]
    assert completion.metadata == {"emotion": "sadness"}


@pytest.mark.parametrize("label", [None, "", "sadness", "{not json", 3])
def test_plain_labels_are_read_only_where_it_was_said_what_they_are(label):
    assert adapter.completion_of_query(PROMPT, PROMPT, label, None, ()).metadata == {}
    named = adapter.completion_of_query(PROMPT, PROMPT, label, "emotion", ()).metadata
    assert named == ({} if label in (None, "") else {"emotion": label})


def test_what_is_missing_is_said(monkeypatch):
    for name in ("REWARD", "RUBRIC", "ON_UNSCORED"):
        monkeypatch.delenv(f"KARDIA_{name}", raising=False)
    with pytest.raises(InputError, match="environment: KARDIA_REWARD: is not set"):
        adapter.reward_func([PROMPT], [PROMPT], [""])
    monkeypatch.setenv("KARDIA_RUBRIC", "supportiveness")
    with pytest.raises(InputError, match="environment: KARDIA_ON_UNSCORED: is not set"):
        adapter.reward_func([PROMPT], [PROMPT], [""])
    with pytest.raises(InputError, match="on_unscored: is missing: OpenRLHF has no word"):
        adapter.reward_function("supportiveness@1", judge="fake")
