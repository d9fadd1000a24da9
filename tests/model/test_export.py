"""A plain reward model that says what kardia says."""

from __future__ import annotations

import json
import shutil

import pytest
import tiny
from making import binary, choice, make, ordinal

import kardia
from kardia.conversation import Conversation, Message
from kardia.errors import InputError, ProfileError
from kardia.model.card import write_card
from kardia.model.export import check_export, export_reward, messages_of, student_scores
from kardia.model.reward import CardScore, RewardModel
from kardia.student.backbone import Backbone
from kardia.student.reading import Reading
from kardia.student.scorer import Scorer
from kardia.student.student import Lora, Student
from kardia.student.tasks import tasks_of

np = pytest.importorskip("numpy", reason="students need kardia[local]")
torch = pytest.importorskip("torch", reason="students need kardia[local]")

RUBRIC = make(ordinal("warmth", 1, 3, weight=2), binary("blames", good="no"), name="world")
VETO = make(ordinal("warmth", 1, 3), binary("blames", good="no", required={"else_score": 0.1}), name="world")
TASKS = tasks_of([tiny.rubric()])
LONG = "I lay awake again, and then? " * 100
CONVERSATIONS = [
    [{"role": "user", "content": "my dog died"}, {"role": "assistant", "content": "sorry, that hurts"}],
    [{"role": "assistant", "content": "your fault"}],
    [{"role": "user", "content": LONG}, {"role": "assistant", "content": "why"}],
    [{"role": "user", "content": "exam"}, {"role": "assistant", "content": LONG}],
    [
        {"role": "system", "content": "be kind"},
        {"role": "user", "content": " exam \n"},
        {"role": "assistant", "content": "<think>what now</think>tell me more"},
        {"role": "user", "content": "[SEP] <s> it hurts </s>"},
        {"role": "assistant", "content": "<think>hm [CLS]</think>\n\nsorry [SEP] 🥀 é"},
    ],
]


def made(folder, **more):
    student = Student.create(TASKS, Backbone(model=str(folder)), lora=Lora(rank=2), **more)
    torch.manual_seed(5)
    with torch.no_grad():
        for name, tensor in student.network.module.named_parameters():
            if "lora_B" in name or name.startswith("heads"):
                tensor.normal_(0, 0.4)
    student.temperatures = {TASKS[0].key: 0.7, TASKS[1].key: 1.9}
    student.network.module.eval()
    return student


def saved(student, folder):
    student.save(folder)
    write_card(student, {}, folder)
    return folder


def kardias(folder, rubric):
    """What `kardia.score` says with the student's folder as the judge."""
    judge = kardia.load_judge(str(folder))
    for number, messages in enumerate(CONVERSATIONS):
        conversation = Conversation(str(number), tuple(Message(each["role"], each["content"]) for each in messages))
        card = kardia.score(conversation, rubric, judge)
        assert card.score is not None, card
        yield card.score


@pytest.mark.parametrize("name", ["bert", "roberta"])
@pytest.mark.parametrize("pooling", ["mean", "cls"])
def test_it_says_kardias_own_score(name, pooling, request, tmp_path):
    folder = saved(made(request.getfixturevalue(name), pooling=pooling), tmp_path / "student")
    exported = export_reward(folder, RUBRIC, tmp_path / "reward")
    assert exported.form == "exact"
    assert exported.off < 1e-5
    assert "exactly" in exported.sentence
    rewards = RewardModel(tmp_path / "reward").rewards(CONVERSATIONS)
    wanted = list(kardias(folder, RUBRIC))
    assert rewards == pytest.approx(wanted, abs=1e-5)
    assert np.ptp(wanted) > 0.02
    assert RewardModel(tmp_path / "reward", batch_tokens=1).rewards(CONVERSATIONS) == pytest.approx(rewards, abs=1e-5)
    manifest = json.loads((tmp_path / "reward" / "kardia-reward.json").read_text())
    assert manifest["rubric"]["hash"] == RUBRIC.hash
    assert manifest["student"] == Student.load(folder).digest


def test_plain_transformers_load_it(bert, tmp_path):
    """As trainers do: no code of ours, no token added, nothing cut, types of tokens as the tokenizer gives them."""
    from transformers import AutoModelForSequenceClassification, AutoTokenizer, BertForSequenceClassification

    export_reward(made(bert), RUBRIC, tmp_path)
    model = AutoModelForSequenceClassification.from_pretrained(tmp_path, num_labels=1)
    assert type(model) is BertForSequenceClassification
    assert model.dtype == torch.float32
    assert not list(tmp_path.glob("*.py"))
    tokenizer = AutoTokenizer.from_pretrained(tmp_path)
    texts = [tokenizer.apply_chat_template(each, tokenize=False) for each in CONVERSATIONS]
    inputs = tokenizer(text=texts, return_tensors="pt", padding=True, padding_side="right", add_special_tokens=False)
    assert inputs["input_ids"].shape[1] > tiny.MAX_POSITIONS
    with torch.inference_mode():
        rewards = model.eval()(**inputs).logits[:, 0].tolist()
    assert rewards == pytest.approx(RewardModel(tmp_path).rewards(CONVERSATIONS), abs=1e-5)


def test_whatever_a_text_is_made_of_there_are_positions_for_it(bert, roberta, tmp_path):
    worst = [[{"role": "user", "content": "🥀" * 900}, {"role": "assistant", "content": "한" * 1300}]]
    for backbone in (bert, roberta):
        export_reward(made(backbone), RUBRIC, tmp_path / backbone.name)
        assert np.isfinite(RewardModel(tmp_path / backbone.name).rewards(worst)).all()


def test_what_is_no_sum_is_fitted(bert, tmp_path):
    student = made(bert)
    words = [word for word in tiny.WORDS if word.isalpha()]
    pairs = [(f"{one} {two}", f"{two} {one} {two}") for one in words for two in words]
    with torch.no_grad():  # apart from one another, and the veto for about every second text
        logits = torch.tensor(Scorer(student).logits(pairs))
        spread = (5 / logits.std(0)).float()
        student.network.heads["weight_OD"] *= spread[:, None]
        student.network.heads["bias_O"] -= logits.median(0).values.float()
        student.network.heads["bias_O"] *= spread
    score = CardScore(VETO, student.tasks)
    wanted = student_scores(student, score, pairs)
    assert np.std(wanted) > 0.05
    with pytest.raises(InputError, match="must be fitted on texts: at least 50, not 0"):
        export_reward(student, VETO, tmp_path)
    exported = export_reward(student, VETO, tmp_path, pairs=pairs)
    assert exported.form == "fitted"
    assert "fitted to the score of world@1.0.0" in exported.sentence
    rewards = RewardModel(tmp_path).rewards([messages_of(pair) for pair in pairs])
    off = np.abs(np.asarray(rewards) - wanted)
    # better than always saying the mean, and as near as it says
    assert off.mean() < 0.7 * np.abs(np.asarray(wanted) - np.mean(wanted)).mean()
    assert exported.correlation > 0.5
    assert export_reward(student, VETO, tmp_path / "again", pairs=pairs).off == exported.off


def test_students_that_cannot_be_exported(bert, qwen, tmp_path):
    with pytest.raises(ProfileError, match="kind causal with the pooling last"):
        export_reward(Student.create(TASKS, Backbone(model=str(qwen)), kind="causal", freeze=True), RUBRIC, tmp_path)
    with pytest.raises(ProfileError, match="the pooling attention"):
        export_reward(Student.create(TASKS, Backbone(model=str(bert)), pooling="attention"), RUBRIC, tmp_path)
    many = make(*(ordinal(f"c{number}", 0, 20) for number in range(2)), name="many")
    with pytest.raises(ProfileError, match="more outputs than its backbone has dimensions"):
        export_reward(Student.create(tasks_of([many]), Backbone(model=str(bert))), many, tmp_path)
    with pytest.raises(InputError, match="has a head for no criterion"):
        export_reward(made(bert), make(choice("else")), tmp_path)
    assert not any(tmp_path.iterdir())


def test_what_cannot_be_exported_is_known_before_it_is_trained():
    check_export("encoder", None, RUBRIC, TASKS, 0)
    check_export("encoder", "cls", VETO, TASKS, 50)
    with pytest.raises(InputError, match="at least 50, not 49"):
        check_export("encoder", None, VETO, TASKS, 49)
    with pytest.raises(ProfileError, match="kind causal with the pooling last"):
        check_export("causal", None, RUBRIC, TASKS, 50)
    with pytest.raises(InputError, match="has a head for no criterion"):
        check_export("encoder", None, make(choice("else")), TASKS, 50)


def test_a_tokenizer_that_joins_what_a_separator_parts_is_refused(bert, tmp_path, monkeypatch):
    shutil.copytree(bert, tmp_path / "odd")
    path = tmp_path / "odd" / "tokenizer.json"
    data = json.loads(path.read_text())
    for token in data["added_tokens"]:
        token["normalized"] = token["rstrip"] = token["lstrip"] = True
    data["normalizer"] = {"type": "Prepend", "prepend": "w"}
    path.write_text(json.dumps(data))
    with pytest.raises(ProfileError, match="splits a text in another way beside a separator"):
        export_reward(Student.create(TASKS, Backbone(model=str(tmp_path / "odd"))), RUBRIC, tmp_path / "reward")


def test_a_reading_of_ones_own(bert, tmp_path):
    reading = Reading(context_chars=0, reply_chars=20)
    folder = saved(made(bert, reading=reading), tmp_path / "student")
    export_reward(folder, RUBRIC, tmp_path / "reward")
    rewards = RewardModel(tmp_path / "reward").rewards(CONVERSATIONS)
    assert rewards == pytest.approx(list(kardias(folder, RUBRIC)), abs=1e-5)


def test_a_folder_that_is_no_reward_model(bert):
    with pytest.raises(ProfileError, match="has no chat template"):
        RewardModel(bert)
