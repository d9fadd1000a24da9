"""An exported reward model in TRL's GRPOTrainer, given as a path."""

from __future__ import annotations

import string

import pytest
import tiny
from making import binary, make, ordinal

import kardia
from kardia.conversation import Conversation, Message
from kardia.model.card import write_card
from kardia.model.export import export_reward
from kardia.student.backbone import Backbone, load_tokenizer
from kardia.student.student import Lora, Student
from kardia.student.tasks import tasks_of

torch = pytest.importorskip("torch", reason="students need kardia[local]")
pytest.importorskip("trl", reason="TRL is not installed")

RUBRIC = make(ordinal("warmth", 1, 3, weight=2), binary("blames", good="no"), name="world")
LONG = "and then i lay awake again. " * 60
PROMPTS = [
    [{"role": "user", "content": "my dog died"}],
    [{"role": "user", "content": LONG}],
    [
        {"role": "system", "content": "be kind"},
        {"role": "user", "content": "exam"},
        {"role": "assistant", "content": "tell me more"},
        {"role": "user", "content": "[SEP] it hurts"},
    ],
]


@pytest.fixture
def student(bert, tmp_path):
    made = Student.create(tasks_of([RUBRIC]), Backbone(model=str(bert)), lora=Lora(rank=2))
    torch.manual_seed(5)
    with torch.no_grad():
        for name, tensor in made.network.module.named_parameters():
            if "lora_B" in name or name.startswith("heads"):
                tensor.normal_(0, 0.5)
    made.temperatures = {"world.warmth": 1.3}
    made.save(tmp_path / "student")
    write_card(made, {}, tmp_path / "student")
    return tmp_path / "student"


@pytest.mark.filterwarnings("ignore")  # of TRL and whatever it calls: theirs to mend
def test_three_steps_with_kardias_own_rewards(student, tmp_path):
    from datasets import Dataset
    from trl import GRPOConfig, GRPOTrainer

    export_reward(student, RUBRIC, tmp_path / "reward")
    policy = tiny.qwen(tmp_path / "policy", with_head=True)
    tokenizer = load_tokenizer(policy)
    letters = {tokenizer.convert_tokens_to_ids(each) for each in [*string.ascii_lowercase, "Ġ"]}
    assert len(tokenizer(LONG)["input_ids"]) > 700
    assert len(load_tokenizer(tmp_path / "reward")(LONG)["input_ids"]) > 700
    seen: list[list[dict[str, str]]] = []
    said: list[float] = []

    def spy(prompts, completions, **rest):
        seen.extend([*prompt, *completion] for prompt, completion in zip(prompts, completions, strict=True))
        return [None] * len(prompts)

    trainer = GRPOTrainer(
        model=str(policy),
        reward_funcs=[str(tmp_path / "reward"), spy],
        train_dataset=Dataset.from_list([{"prompt": prompt} for prompt in PROMPTS]),
        args=GRPOConfig(
            output_dir=str(tmp_path / "out"),
            max_steps=3,
            per_device_train_batch_size=2,
            num_generations=2,
            max_completion_length=12,
            generation_kwargs={"suppress_tokens": [each for each in range(len(tokenizer)) if each not in letters]},
            use_cpu=True,
            bf16=False,
            report_to=[],
            logging_steps=1,
            save_strategy="no",
            disable_tqdm=True,
        ),
    )
    trainer.reward_funcs[0].register_forward_hook(lambda module, given, out: said.extend(out.logits[:, 0].tolist()))
    before = {name: tensor.clone() for name, tensor in trainer.model.named_parameters()}
    trainer.train()

    assert trainer.state.global_step == 3
    assert any(not torch.equal(before[name], tensor) for name, tensor in trainer.model.named_parameters())
    assert {len(messages) for messages in seen} == {2, 5}
    assert any(len(messages[0]["content"]) > 700 for messages in seen)
    assert len(said) == len(seen) == 6
    judge = kardia.load_judge(str(student))
    wanted = []
    for number, messages in enumerate(seen):
        conversation = Conversation(str(number), tuple(Message(each["role"], each["content"]) for each in messages))
        wanted.append(kardia.score(conversation, RUBRIC, judge).score)
    assert said == pytest.approx(wanted, abs=1e-4)
    assert max(wanted) - min(wanted) > 1e-3
    logged = [entry["rewards/reward/mean"] for entry in trainer.state.log_history if "rewards/reward/mean" in entry]
    assert logged == pytest.approx([sum(said[start : start + 2]) / 2 for start in (0, 2, 4)], abs=1e-4)
