"""Going on from another student."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import pytest
import tiny

from kardia.engine.halt import Halt
from kardia.errors import InputError, Interrupted, ProfileError
from kardia.model.calibration import fit_temperature
from kardia.model.examples import level_target
from kardia.model.recipe import Recipe, recipe_with
from kardia.model.start import build_of, start_of
from kardia.model.training import train
from kardia.student.manifest import read_manifest, student_digest
from kardia.student.scorer import Scorer
from kardia.student.student import Student
from kardia.student.tasks import tasks_of

np = pytest.importorskip("numpy", reason="students need kardia[local]")
torch = pytest.importorskip("torch", reason="students need kardia[local]")
pytest.importorskip("accelerate", reason="training needs kardia[local]")

TASKS = tasks_of([tiny.rubric()])
WORLD = tiny.world()
UNSEEN = [(context, reply) for reply, *_ in tiny.REPLIES for context in ("exam", "it hurts")]
HARDLY = ("max_steps=1", "lr=1e-9", "head_lr=1e-9", "weight_decay=0", "half=false")


def first_recipe(backbone, *more):
    reading = ("reading.context_chars=300", "reading.reply_chars=400")
    return recipe_with([*tiny.QUICK, "lora.rank=4", *reading, *more], backbone=str(backbone))


def further(folder, *more):
    return recipe_with([*tiny.QUICK, *more], start=str(folder))


def logits(folder):
    return Scorer(folder).logits(UNSEEN)


@pytest.fixture(scope="module")
def first(bert, tmp_path_factory):
    """The folder of a student with an adapter."""
    folder = tmp_path_factory.mktemp("first") / "student"
    train(WORLD, TASKS, first_recipe(bert, "epochs=6"), folder)
    return folder


@pytest.fixture(scope="module")
def frozen(bert, tmp_path_factory):
    folder = tmp_path_factory.mktemp("frozen") / "student"
    train(WORLD, TASKS, recipe_with([*tiny.QUICK, "lora=null", "freeze=true"], backbone=str(bert)), folder)
    return folder


@pytest.mark.parametrize(("more", "place"), [((), "adapter"), (("lora=null",), "backbone")], ids=["adapter", "whole"])
def test_it_begins_where_the_other_ended(first, tmp_path, more, place):
    report = train(WORLD, TASKS, further(first, *HARDLY, *more), tmp_path)
    assert np.abs(logits(tmp_path) - logits(first)).max() < 1e-3
    assert report.facts["start"] == student_digest(first)
    assert report.facts["recipe"]["start"] == str(first)
    assert ("peft" in report.facts["versions"]) == (place == "adapter")
    manifest, before = read_manifest(tmp_path), read_manifest(first)
    assert manifest.training == json.loads(json.dumps(report.facts))
    assert manifest.weights == place
    assert (manifest.backbone, manifest.reading) == (before.backbone, before.reading)
    assert [name for name in ("adapter", "backbone") if (tmp_path / name).exists()] == [place]
    card = (tmp_path / "README.md").read_text("utf-8")
    assert f"- goes on from: student, the student of sha256 {student_digest(first)}\n" in card
    assert "What student had learnt from may be among it" in card
    assert "goes on from" not in (first / "README.md").read_text("utf-8")


def test_the_whole_is_trained_and_then_goes_on_as_a_whole(first, tmp_path):
    train(WORLD, TASKS, further(first, "max_steps=3", "lora=null", "half=false"), tmp_path / "whole")
    merged, trained = (Student.load(folder).network.backbone.state_dict() for folder in (first, tmp_path / "whole"))
    assert merged.keys() == trained.keys()
    moved = [name for name in merged if not torch.equal(merged[name], trained[name])]
    assert {"embeddings.word_embeddings.weight", "encoder.layer.0.attention.self.query.weight"} <= set(moved)
    with pytest.raises(InputError, match=r"start: the backbone of .*whole was trained as a whole.*--set lora=null"):
        train(WORLD, TASKS, further(tmp_path / "whole", *HARDLY), tmp_path / "next")
    assert not (tmp_path / "next").exists()
    train(WORLD, TASKS, further(tmp_path / "whole", *HARDLY, "lora=null"), tmp_path / "next")
    assert np.abs(logits(tmp_path / "next") - logits(tmp_path / "whole")).max() < 1e-3
    shutil.rmtree(tmp_path / "whole")  # it stands on its own
    assert Student.load(tmp_path / "next").weights == "backbone"


def test_a_frozen_backbone_stays_frozen(frozen, tmp_path):
    learning, held = WORLD[:48], WORLD[48:]
    report = train(learning, TASKS, further(frozen, "epochs=2", "lr=0.1", "half=false"), tmp_path, dev=held)
    manifest = read_manifest(tmp_path)
    assert manifest.weights == "frozen"
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_dir()) == []
    assert "peft" not in report.facts["versions"]
    assert np.abs(logits(tmp_path) - logits(frozen)).max() > 1e-3
    # what was measured, was measured on the backbone as it lies on the disk
    student = Student.load(tmp_path)
    found = Scorer(student).logits([(each.context, each.reply) for each in held])
    for slot, taught in zip(student.slots, manifest.tasks, strict=True):
        targets = np.asarray([each.targets[taught.key] for each in held])
        fitted = fit_temperature(slot.task, found[:, slot.place], targets)
        assert taught.temperature == pytest.approx(fitted, rel=1e-2)


def test_known_heads_go_on_and_new_ones_begin_with_the_shares(first, tmp_path):
    """No bias that was learnt is put back to what is common here; that of a new task is."""
    known, new = replace(TASKS[1], key="mine.blames"), replace(TASKS[1], key="mine.other", digest="mine:1")
    share = [level_target(known, level) for level in ("yes", "no", "no", "no", "no", "no")]
    rows = [
        replace(each, targets={"mine.blames": share[place % 6], "mine.other": share[place % 6]})
        for place, each in enumerate(WORLD)
    ]
    train(rows, [known, new], further(first, *HARDLY), tmp_path)
    blames, other = Student.load(tmp_path).network.heads["bias_O"].tolist()
    old = Student.load(first)
    place = next(slot.place for slot in old.slots if slot.task.digest == known.digest)
    assert blames == pytest.approx(old.network.heads["bias_O"][place].item(), abs=1e-6)
    assert other == pytest.approx(np.log((1 / 6) / (5 / 6)), abs=0.05)
    assert [taught.key for taught in read_manifest(tmp_path).tasks] == ["mine.blames", "mine.other"]


def test_what_it_reads_can_be_changed_a_part_at_a_time(first, tmp_path):
    train(WORLD, TASKS, further(first, *HARDLY, "reading.reply_chars=99"), tmp_path)
    reading = read_manifest(tmp_path).reading
    assert (reading.context_chars, reading.reply_chars) == (300, 99)


def test_a_training_that_was_stopped_goes_on_from_the_same_start_only(first, tmp_path):
    start, parts = tmp_path / "start", tmp_path / "parts"
    shutil.copytree(first, start)
    how = further(start)
    whole = train(WORLD, TASKS, how, tmp_path / "whole")
    halt = Halt()

    def stop(moment):
        if moment.step == 3:
            halt.request()

    with pytest.raises(Interrupted):
        train(WORLD, TASKS, how, parts, notify=stop, halt=halt)
    # what is read counts, though what is usual is not in the recipe that is kept
    usual = Recipe().reading.context_chars
    with pytest.raises(InputError, match="other examples, tasks or options, or another start, and cannot be resumed"):
        train(WORLD, TASKS, further(start, f"reading.context_chars={usual}"), parts, resume=True)
    manifest = json.loads((start / "student.json").read_text())
    (start / "student.json").write_text(json.dumps({**manifest, "training": {}}))
    with pytest.raises(InputError, match="or another start, and cannot be resumed"):
        train(WORLD, TASKS, how, parts, resume=True)
    shutil.copy(first / "student.json", start)
    report = train(WORLD, TASKS, how, parts, resume=True)
    assert report.facts == whole.facts
    assert np.array_equal(logits(parts), logits(tmp_path / "whole"))


def test_it_is_not_written_over_what_it_goes_on_from(first, tmp_path, monkeypatch):
    before = student_digest(first)
    (tmp_path / "link").symlink_to(first)
    monkeypatch.chdir(first)
    for start, folder in ((first, first), (first / "judge.yaml", first), (".", tmp_path / "link")):
        with pytest.raises(InputError, match="and be written there too; take another folder"):
            train(WORLD, TASKS, further(start), folder)
    assert student_digest(first) == before
    assert not (first / "checkpoints").exists()


def test_by_the_judge_that_has_it(first, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(first.parent))
    (tmp_path / "judges").mkdir()
    text = f"name: mine\nbackend: embedded\nembedded: {{heads: {json.dumps(str(first))}}}\n"
    (tmp_path / "judges" / "mine.yaml").write_text(text)
    shutil.copytree(first, tmp_path / "near")
    for name in ("mine", "judges/mine.yaml", str(first / "judge.yaml"), str(first), "near", "~/student"):
        found = start_of(Recipe(start=name))
        assert found.digest == student_digest(first)
        assert found.skilled(TASKS) == {task.key for task in TASKS}
    assert start_of(Recipe(start="mine")).folder == first
    assert start_of(Recipe()) is None


@pytest.mark.parametrize(
    ("start", "said"),
    [
        ("nowhere", "there is no student 'nowhere' to go on from: expected a folder with a student.json, or a judge"),
        ("./empty", "there is no student './empty' to go on from"),
        ("nowhere/mine.yaml", "there is no student 'nowhere/mine.yaml' to go on from"),
        ("fake", "the judge 'fake' has no trained heads to go on from"),
        ("hollow.yaml", "holds no student: student.json is not in it"),
        ("broken.yaml", "backend: is missing"),
        ("part", "heads.safetensors: cannot be read"),
    ],
)
def test_what_is_no_start(first, tmp_path, monkeypatch, start, said):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "hollow.yaml").write_text("name: hollow\nbackend: embedded\nembedded: {heads: empty}\n")
    (tmp_path / "broken.yaml").write_text("name: broken\n")
    (tmp_path / "part").mkdir()
    shutil.copy(first / "student.json", tmp_path / "part")
    with pytest.raises(InputError) as caught:
        train(WORLD, TASKS, further(start), tmp_path / "student")
    assert said in str(caught.value)
    assert not (tmp_path / "student").exists()


def test_a_backbone_that_is_gone(bert, tmp_path):
    shutil.copytree(bert, tmp_path / "backbone")
    train(WORLD, TASKS, first_recipe(tmp_path / "backbone", "max_steps=1"), tmp_path / "first")
    shutil.rmtree(tmp_path / "backbone")
    with pytest.raises(ProfileError, match="there is no folder"):
        train(WORLD, TASKS, further(tmp_path / "first"), tmp_path / "second")
    assert not (tmp_path / "second").exists()


def test_what_the_export_is_asked_for(first, bert, tmp_path):
    assert build_of(further(first)) == ("encoder", "mean")
    assert build_of(first_recipe(bert)) == ("encoder", None)
    student = Student.create(TASKS, read_manifest(first).backbone, pooling="attention", freeze=True)
    student.save(tmp_path)
    assert build_of(further(tmp_path)) == ("encoder", "attention")


@pytest.mark.parametrize(
    ("override", "settled"),
    [
        ("backbone=./other", "backbone"),
        ("revision=abc", "revision"),
        ("kind=causal", "kind"),
        ("freeze=true", "freeze"),
        ("pooling=cls", "pooling"),
        ("lora.rank=8", "lora"),
    ],
)
def test_what_the_other_student_has_settled(override, settled):
    with pytest.raises(InputError, match=rf"`start` is another student, which has {settled} settled: leave that out"):
        recipe_with([override, "start=embedded"])


def test_recipes_that_go_on():
    both = ["start=embedded", "pooling=cls", "lora.alpha=1"]
    with pytest.raises(InputError, match=r"has pooling, lora settled.*`lora: null`, which trains its whole backbone"):
        recipe_with(both)
    assert recipe_with(["start=embedded", "lora=null"]).backbone_lr == 1e-4
    assert recipe_with(["start=embedded", "reading.reply_chars=99"]).backbone_lr == 1e-3
    whole = recipe_with(["start=embedded", "lora=null", "epochs=2"])
    assert Recipe.model_validate(whole.model_dump()) == whole
    assert recipe_with(["start=null", "pooling=cls"]).start is None
