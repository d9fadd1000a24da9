"""Training: it learns, it repeats itself, it goes on where it stopped."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import tiny

from kardia.engine.halt import Halt
from kardia.errors import InputError, Interrupted
from kardia.model.examples import level_target
from kardia.model.recipe import Recipe, recipe_with
from kardia.model.training import train
from kardia.student.scorer import Scorer
from kardia.student.student import Student
from kardia.student.tasks import tasks_of

np = pytest.importorskip("numpy", reason="students need kardia[local]")
pytest.importorskip("torch", reason="students need kardia[local]")
pytest.importorskip("accelerate", reason="training needs kardia[local]")

TASKS = tasks_of([tiny.rubric()])
WORLD = tiny.world()
UNSEEN = [(context, reply) for reply, *_ in tiny.REPLIES for context in ("exam", "my dog", "it hurts", "the 7")]
LEVELS = {
    "world.warmth": [warmth - 1 for _, warmth, _, _ in tiny.REPLIES for _ in range(4)],
    "world.blames": [int(blames == "yes") for _, _, blames, _ in tiny.REPLIES for _ in range(4)],
    "world.tone": [("warm", "neutral", "cold").index(tone) for _, _, _, tone in tiny.REPLIES for _ in range(4)],
}


def recipe(backbone, *more, lora="lora.rank=4"):
    return recipe_with([*tiny.QUICK, lora, *more], backbone=str(backbone))


def answers(folder):
    return Scorer(folder).probabilities(UNSEEN)


def tensors(folder):
    from safetensors.numpy import load_file

    return {
        f"{path.name}:{name}": tensor
        for path in sorted(folder.rglob("*.safetensors"))
        for name, tensor in load_file(path).items()
    }


def same(one, other):
    assert one.keys() == other.keys()
    return all(np.array_equal(one[name], other[name]) for name in one)


@pytest.fixture(scope="module")
def learnt(bert, tmp_path_factory):
    folder = tmp_path_factory.mktemp("learnt") / "student"
    return train(WORLD, TASKS, recipe(bert, "epochs=12"), folder)


def test_it_learns(learnt):
    found = answers(learnt.folder)
    for key, levels in LEVELS.items():
        assert np.mean(found[key].argmax(1) == levels) > 0.75


def test_it_says_how_good_it_is_and_where_it_comes_from(learnt):
    assert set(learnt.metrics) == {task.key for task in TASKS}
    assert learnt.metrics["world.warmth"].kappa > 0.8
    assert learnt.facts["examples"] + learnt.facts["dev"] == len(WORLD)
    assert 0 < learnt.facts["dev"] <= 0.25 * len(WORLD)
    assert learnt.facts["labels"]["world.tone"] == learnt.facts["examples"]
    assert learnt.facts["data"].startswith("sha256:")
    assert learnt.facts["seed"] == 7
    assert learnt.facts["recipe"]["epochs"] == 12
    assert set(learnt.facts["versions"]) == {"kardia", "torch", "transformers", "accelerate", "peft"}
    assert [entry["epoch"] for entry in learnt.history] == list(range(1, 13))
    manifest = json.loads((learnt.folder / "student.json").read_text())
    assert manifest["training"] == json.loads(json.dumps(learnt.facts))
    assert not (learnt.folder / "checkpoints").exists()


@pytest.mark.parametrize(
    ("name", "more"),
    [
        ("bert", {"lora": "lora=null"}),
        ("qwen", {}),
    ],
)
def test_other_students_learn_too(name, more, request, tmp_path):
    options = ["kind=causal"] if name == "qwen" else []
    report = train(WORLD, TASKS, recipe(request.getfixturevalue(name), "epochs=4", *options, **more), tmp_path)
    assert report.metrics["world.warmth"].accuracy > report.metrics["world.warmth"].majority
    assert Student.load(tmp_path).coder.kind == ("causal" if name == "qwen" else "encoder")


def test_heads_alone_can_be_trained(bert, tmp_path):
    train(WORLD, TASKS, recipe(bert, "freeze=true", "pooling=attention", lora="lora=null"), tmp_path)
    assert sorted(path.name for path in tmp_path.glob("*.safetensors")) == ["heads.safetensors"]
    assert not (tmp_path / "backbone").exists()
    assert answers(tmp_path)["world.warmth"].shape == (24, 3)


def test_equal_trainings_give_equal_weights(bert, tmp_path):
    for name, seed, order in (("a", 7, 1), ("b", 7, 1), ("c", 8, 1)):
        train(WORLD[::order], TASKS, recipe(bert, f"seed={seed}"), tmp_path / name)
    a, b, c = (tensors(tmp_path / name) for name in "abc")
    assert same(a, b)
    assert not same(a, c)


@pytest.mark.parametrize("step", [3, 6, 8])
def test_a_training_that_was_stopped_goes_on_as_if_it_had_not_been(bert, tmp_path, step):
    """6 steps are a pass: within one, at its end, within the next."""
    how = recipe(bert, "epochs=3")
    whole = train(WORLD, TASKS, how, tmp_path / "whole")
    halt = Halt()
    moments = []

    def stop(moment):
        moments.append(moment)
        if moment.step == step:
            halt.request()

    with pytest.raises(Interrupted, match="what was learnt so far lies in"):
        train(WORLD, TASKS, how, tmp_path / "parts", notify=stop, halt=halt)
    assert moments[-1].step == step
    assert not (tmp_path / "parts" / "student.json").exists()
    parts = train(WORLD, TASKS, how, tmp_path / "parts", resume=True, notify=moments.append)
    assert moments[-1].step == moments[-1].steps
    assert same(tensors(tmp_path / "whole"), tensors(tmp_path / "parts"))
    assert parts.history == whole.history
    assert parts.facts == whole.facts


def test_another_training_cannot_be_resumed(bert, tmp_path):
    halt = Halt()
    halt.request()
    with pytest.raises(Interrupted):
        train(WORLD, TASKS, recipe(bert), tmp_path, halt=halt)
    with pytest.raises(InputError, match="other examples, tasks or options"):
        train(WORLD, TASKS, recipe(bert, "lr=0.02"), tmp_path, resume=True)
    with pytest.raises(InputError, match="other examples, tasks or options"):
        train(WORLD[:-1], TASKS, recipe(bert), tmp_path, resume=True)
    # without resume what lies there is left behind; with nothing to resume it begins
    report = train(WORLD, TASKS, recipe(bert, "max_steps=2"), tmp_path)
    assert len(report.history) == 1
    assert train(WORLD, TASKS, recipe(bert, "max_steps=2"), tmp_path / "new", resume=True).history == report.history


def test_a_missing_label_is_no_label(bert, tmp_path):
    """Examples of another corpus have other tasks; what they lack neither teaches nor counts."""
    parts = [
        replace(each, targets={key: value for key, value in each.targets.items() if (key == "world.tone") == even})
        for number, each in enumerate(WORLD)
        for even in [number // 6 % 2 == 0]
    ]
    report = train(parts, TASKS, recipe(bert, "epochs=12"), tmp_path)
    labels = report.facts["labels"]
    assert labels["world.tone"] + labels["world.warmth"] == report.facts["examples"]
    found = answers(tmp_path)
    for key in ("world.warmth", "world.blames"):
        assert np.mean(found[key].argmax(1) == LEVELS[key]) > 0.75


def test_the_best_pass_is_kept_and_patience_ends(bert, tmp_path):
    told = []
    report = train(WORLD, TASKS, recipe(bert, "epochs=30", "patience=2"), tmp_path, notify=told.append)
    selects = [entry["select"] for entry in report.history]
    best = selects.index(max(selects))
    assert len(selects) == best + 3 < 30
    assert told[-1].steps > told[-1].step
    assert told[-1].select == pytest.approx(selects[-1], abs=1e-5)
    kappas = [each.kappa for each in report.metrics.values()]
    assert sum(kappas) / len(kappas) == pytest.approx(max(selects), abs=1e-5)


def test_selecting_by_loss(bert, tmp_path):
    report = train(WORLD, TASKS, recipe(bert, "select=loss"), tmp_path)
    assert [entry["select"] for entry in report.history] == [-entry["loss"] for entry in report.history]


def test_a_part_of_ones_own(bert, tmp_path):
    how = recipe(
        bert, "rarity=0.5", "task_weights.world.tone=2", "task_rarity.world.tone=1", "task_rarity.world.blames=0"
    )
    assert (how.task_weights, how.task_rarity) == ({"world.tone": 2}, {"world.tone": 1, "world.blames": 0})
    report = train(WORLD[:48], TASKS, how, tmp_path, dev=WORLD[48:])
    assert (report.facts["examples"], report.facts["dev"]) == (48, 12)
    with pytest.raises(InputError, match="shares its group or its context"):
        train(WORLD[:50], TASKS, recipe(bert), tmp_path, dev=WORLD[50:])


def test_coarse_numbers_are_good_enough_to_train_with(bert, tmp_path):
    report = train(WORLD, TASKS, recipe(bert, "epochs=12", "dtype=bfloat16"), tmp_path)
    assert report.metrics["world.warmth"].kappa > 0.5


def test_a_device_that_is_not_there(bert, tmp_path):
    import torch

    if torch.cuda.is_available():
        pytest.skip("there is a GPU here")
    with pytest.raises(InputError, match="device: there is no GPU here"):
        train(WORLD, TASKS, recipe(bert, "device=cuda"), tmp_path)


def test_nothing_held_out(bert, tmp_path):
    report = train(WORLD, TASKS, recipe(bert, "dev_share=0"), tmp_path)
    assert (report.metrics, list(report.history), report.facts["dev"]) == ({}, [], 0)
    assert "was not measured" in (tmp_path / "README.md").read_text()


def test_one_level_teaches_nothing(bert, tmp_path):
    flat = [replace(each, targets={"world.warmth": level_target(TASKS[0], 2)}) for each in WORLD]
    with pytest.raises(InputError, match="only labels of one level"):
        train(flat, TASKS[:1], recipe(bert), tmp_path)
    assert not any(tmp_path.iterdir())


def test_what_is_held_out_must_leave_something(bert, tmp_path):
    """One conversation alone shows a second level, and it is held out."""
    from kardia.model.examples import split

    held = {WORLD[row].group for row in split(WORLD, 0.15, 7)[1]}
    few = [
        replace(each, targets={"world.blames": level_target(TASKS[1], "yes" if each.group in held else "no")})
        for each in WORLD
    ]
    with pytest.raises(
        InputError, match="once some examples are held out, there are only labels of one level of world"
    ):
        train(few, TASKS[1:2], recipe(bert), tmp_path)
    with pytest.raises(InputError, match=r"'world.warm' is no task; there are world.warmth"):
        train(WORLD, TASKS, recipe(bert, "task_rarity.world.warm=0.5"), tmp_path)


def test_recipes():
    assert Recipe().backbone_lr == 1e-3
    assert recipe_with(["lora=null"]).backbone_lr == 1e-4
    assert recipe_with(["lora.rank=4", "reading.reply_chars=99"]).reading.reply_chars == 99
    assert recipe_with(["seed=3"], seed=4).seed == 3
    for override, said in (
        ("lora.rang=4", "lora.rang: is not a key that belongs here; did you mean 'rank'"),
        ("epochs=none", "epochs: "),
        ("epochs=0", "epochs: "),
        ("freeze=true", "`freeze: true` goes with `lora: null`"),
        ("pooling=last", "is for a causal model"),
        ("reply_only=true", "goes with the pooling `attention`"),
        ("nonsense", "is not of the form key=value"),
    ):
        with pytest.raises(InputError, match=said):
            recipe_with([override])
    with pytest.raises(InputError, match="a causal model's first token"):
        recipe_with(["pooling=cls"], kind="causal")
