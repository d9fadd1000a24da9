"""A student and its folder."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import pytest
import tiny

from kardia.errors import InputError, MissingExtra, OutputError, ProfileError
from kardia.student.backbone import Backbone, find_backbone, weights_digest
from kardia.student.reading import Reading
from kardia.student.scorer import Scorer
from kardia.student.student import Lora, Student, is_student, read_manifest, student_digest
from kardia.student.tasks import tasks_of

np = pytest.importorskip("numpy", reason="students need kardia[local]")
torch = pytest.importorskip("torch", reason="students need kardia[local]")

TASKS = tasks_of([tiny.rubric()])
PAIRS = [("my dog died", "sorry, that hurts"), ("", "why"), ("exam", "your fault " * 9)]
SMALL = Lora(rank=2, alpha=4.0)


def made(folder, **more):
    """A student whose adapter, where it has one, does something."""
    student = Student.create(TASKS, Backbone(model=str(folder)), seed=3, **more)
    torch.manual_seed(5)
    with torch.no_grad():
        for name, tensor in student.network.module.named_parameters():
            if "lora_B" in name or name.startswith("heads"):
                tensor.normal_(0, 0.3)
    student.temperatures = {TASKS[0].key: 1.7}
    return student


def probabilities(student):
    return Scorer(student).probabilities(PAIRS)


def largest(one, other):
    return max(float(np.abs(one[key] - other[key]).max()) for key in one)


KINDS = [
    ("bert", {"lora": SMALL}),
    ("bert", {"lora": SMALL, "pooling": "cls"}),
    ("bert", {"lora": SMALL, "pooling": "attention", "reply_only": True}),
    ("bert", {"freeze": True}),
    ("roberta", {}),
    ("qwen", {"lora": SMALL, "kind": "causal"}),
    ("qwen", {"kind": "causal", "pooling": "mean"}),
]


@pytest.mark.parametrize(
    ("name", "more"), KINDS, ids=lambda value: value if isinstance(value, str) else "-".join(value)
)
def test_a_folder_gives_the_student_back(name, more, request, tmp_path):
    student = made(request.getfixturevalue(name), **more)
    before = probabilities(student)
    student.save(tmp_path)
    again = Student.load(tmp_path)
    assert again.tasks == student.tasks
    assert again.temperatures[TASKS[0].key] == 1.7
    assert again.coder.reading == student.coder.reading
    assert largest(before, probabilities(again)) < 1e-6
    assert largest(before, probabilities(Student.load(tmp_path, merge=False))) < 1e-6
    # a student is a few files: the backbone is in it only where it was trained
    assert (tmp_path / "backbone").exists() == (not more.get("lora") and not more.get("freeze"))
    assert (tmp_path / "adapter").exists() == bool(more.get("lora"))
    assert is_student(tmp_path)
    if more.get("lora"):
        with pytest.raises(ProfileError, match="load it with merge=False"):
            again.save(tmp_path / "copy")
    Student.load(tmp_path, merge=False).save(tmp_path / "copy")
    assert largest(before, probabilities(Student.load(tmp_path / "copy"))) < 1e-6


@pytest.mark.parametrize("lora", [SMALL, None])
def test_half_the_size(bert, tmp_path, lora):
    student = made(bert, lora=lora)
    student.save(tmp_path / "whole")
    student.save(tmp_path / "half", half=True)
    name = "adapter/adapter_model.safetensors" if lora else "backbone/model.safetensors"
    sizes = [(tmp_path / each / name).stat().st_size for each in ("half", "whole")]
    assert sizes[0] < 0.75 * sizes[1]
    assert largest(probabilities(student), probabilities(Student.load(tmp_path / "half"))) < 5e-3


def test_no_path_of_this_machine_is_in_the_adapter(bert, tmp_path, monkeypatch):
    monkeypatch.chdir(bert.parent)
    student = Student.create(TASKS, Backbone(model=bert.name), lora=SMALL)
    student.save(tmp_path)
    config = json.loads((tmp_path / "adapter" / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == bert.name
    assert config["inference_mode"] is True
    assert sorted(path.name for path in (tmp_path / "adapter").iterdir()) == [
        "adapter_config.json",
        "adapter_model.safetensors",
    ]
    assert str(bert.parent) not in "".join(path.read_text() for path in tmp_path.rglob("*.json"))


def test_the_digest_hangs_on_what_decides(bert, tmp_path):
    student = made(bert, lora=SMALL)
    with pytest.raises(ProfileError, match="once it is saved"):
        _ = student.digest
    student.save(tmp_path / "a")
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    (tmp_path / "b" / "README.md").write_text("words")
    assert student.digest == student_digest(tmp_path / "b")
    student.temperatures[TASKS[0].key] = 2.0
    student.save(tmp_path / "b")
    assert student_digest(tmp_path / "b") != student_digest(tmp_path / "a")
    (tmp_path / "a" / "heads.safetensors").unlink()
    with pytest.raises(ProfileError, match="cannot be read"):
        student_digest(tmp_path / "a")


def test_what_stood_there_is_replaced_and_nothing_else_is(bert, tmp_path):
    made(bert, lora=SMALL).save(tmp_path / "student")
    (tmp_path / "student" / "notes.txt").write_text("mine")
    made(bert).save(tmp_path / "student")
    names = ["backbone", "heads.safetensors", "notes.txt", "student.json"]
    assert sorted(path.name for path in (tmp_path / "student").iterdir()) == names
    made(bert, freeze=True).save(tmp_path / "student")
    assert sorted(path.name for path in (tmp_path / "student").iterdir()) == names[1:]
    (tmp_path / "backbone").mkdir()
    with pytest.raises(OutputError, match=r"holds backbone without a student.json"):
        made(bert).save(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be written"):
        made(bert).save(tmp_path / "file" / "student")


def test_equal_seeds_give_equal_students(bert):
    one, other = (Student.create(TASKS, Backbone(model=str(bert)), lora=SMALL, seed=seed) for seed in (1, 1))
    third = Student.create(TASKS, Backbone(model=str(bert)), lora=SMALL, seed=2)
    assert torch.equal(one.network.heads["weight_OD"], other.network.heads["weight_OD"])
    assert not torch.equal(one.network.heads["weight_OD"], third.network.heads["weight_OD"])


def test_what_is_asked_finds_its_task(bert):
    student = made(bert, freeze=True)
    assert [student.by_digest[task.digest] for task in TASKS] == list(TASKS)
    assert "3 tasks" in repr(student)


def test_other_weights_below_are_refused(bert, tmp_path):
    made(bert, lora=SMALL).save(tmp_path / "student")
    shutil.copytree(bert, tmp_path / "other")
    manifest = json.loads((tmp_path / "student" / "student.json").read_text())
    assert manifest["backbone"]["sha256"] == weights_digest(bert)
    with pytest.raises(ProfileError, match="there is no folder"):
        Student.load(tmp_path / "student", backbone=str(tmp_path / "nowhere"))
    assert Student.load(tmp_path / "student", backbone=str(tmp_path / "other"))
    weights = tmp_path / "other" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-4] + b"\0\0\0\1")
    with pytest.raises(ProfileError, match="these weights are not those that the student stands on"):
        Student.load(tmp_path / "student", backbone=str(tmp_path / "other"))


def test_a_folder_that_is_no_student(bert, tmp_path):
    for meets in (Student.load, read_manifest, student_digest):
        for folder in (tmp_path, tmp_path / "nowhere"):
            with pytest.raises(ProfileError) as caught:
                meets(folder)
            assert str(caught.value) == f"{folder}: holds no student: student.json is not in it"
    made(bert, lora=SMALL).save(tmp_path)
    path = tmp_path / "student.json"
    whole = path.read_text()
    for key, value in (("format", "kardia-student/9"), ("pooling", "max"), ("colour", "red")):
        path.write_text(json.dumps({**json.loads(whole), key: value}))
        with pytest.raises(ProfileError, match=rf"student.json: {key}: "):
            read_manifest(tmp_path)
    path.write_text(whole)
    (tmp_path / "heads.safetensors").write_bytes(b"nonsense")
    with pytest.raises(ProfileError, match=r"heads.safetensors: cannot be read"):
        Student.load(tmp_path)
    made(bert, lora=SMALL).save(tmp_path)
    data = json.loads(whole)
    data["tasks"][0]["key"] = "world.another"
    path.write_text(json.dumps(data))
    with pytest.raises(ProfileError, match="does not hold the heads"):
        Student.load(tmp_path)
    (tmp_path / "adapter" / "adapter_config.json").unlink()
    with pytest.raises(ProfileError, match="holds no adapter"):
        Student.load(tmp_path)


def test_backbones_that_cannot_be(bert, tmp_path):
    with pytest.raises(ProfileError, match="there is no folder"):
        find_backbone(Backbone(model="./nowhere"))
    with pytest.raises(ProfileError, match=r"config.json is not in it"):
        find_backbone(Backbone(model=str(tmp_path)))
    with pytest.raises(MissingExtra, match="hf download some/model --revision abc does"):
        find_backbone(Backbone(model="some/model", revision="abc"))
    with pytest.raises(ProfileError, match="neither a folder nor the name"):
        find_backbone(Backbone(model="a/b/c/d"))
    shutil.copy(bert / "config.json", tmp_path)
    with pytest.raises(ProfileError, match="holds no weights"):
        weights_digest(tmp_path)
    with pytest.raises(ProfileError, match="cannot be loaded as a model"):
        Student.create(TASKS, Backbone(model=str(tmp_path)))
    with pytest.raises(InputError, match="at least one task"):
        Student.create([], Backbone(model=str(bert)))
    with pytest.raises(InputError, match="two tasks of a student have the same key"):
        Student.create([TASKS[0], TASKS[0]], Backbone(model=str(bert)))
    with pytest.raises(ProfileError, match=r"lora.targets"):
        Student.create(TASKS, Backbone(model=str(bert)), lora=Lora(targets=["nothing"]))


def test_a_backbone_without_a_table_of_positions_has_a_limit(qwen, bert):
    known = Student.create(TASKS, Backbone(model=str(qwen)), kind="causal", reading=Reading(max_tokens=9000))
    assert known.coder.reading.max_tokens == 2046
    assert Student.create(TASKS, Backbone(model=str(bert))).coder.reading.max_tokens == 2048


POOLINGS = [
    {"lora": SMALL, "pooling": "mean"},
    {"freeze": True, "pooling": "cls"},
    {"pooling": "attention", "reply_only": True},
]


@pytest.mark.parametrize("more", POOLINGS, ids=lambda more: more["pooling"])
@pytest.mark.parametrize("places", [(2, 0), (1,), (2, 1, 0)], ids=str)
def test_some_of_the_heads(bert, tmp_path, more, places):
    student = made(bert, **more)
    student.training = {"seed": 3}
    kept = [TASKS[place] for place in places]
    before = probabilities(student)
    state = {name: tensor.clone() for name, tensor in student.network.module.state_dict().items()}
    part = student.only(kept)
    assert part.tasks == tuple(kept)
    assert part.temperatures == {task.key: 1.7 if task is TASKS[0] else 1.0 for task in kept}
    assert (part.coder, part.training, part.weights) == (student.coder, student.training, student.weights)
    assert (part.network.pooling, part.network.reply_only) == (student.network.pooling, student.network.reply_only)
    after = probabilities(part)
    assert list(after) == [task.key for task in kept]
    assert largest(after, before) < 1e-6
    # saved and read again it is the same
    part.save(tmp_path)
    again = Student.load(tmp_path)
    assert (again.tasks, again.temperatures) == (part.tasks, part.temperatures)
    assert largest(after, probabilities(again)) < 1e-6
    # the one that it was taken from is as it was, whatever becomes of the part
    with torch.no_grad():
        for tensor in part.network.heads.values():
            tensor.fill_(9.0)
    part.temperatures[kept[0].key] = 5.0
    assert (student.tasks, student.temperatures, student.folder) == (TASKS, {TASKS[0].key: 1.7}, None)
    now = student.network.module.state_dict()
    assert list(now) == list(state)
    assert all(torch.equal(tensor, state[name]) for name, tensor in now.items())
    assert largest(before, probabilities(student)) == 0


def test_some_of_the_heads_share_the_backbone(bert, tmp_path):
    made(bert, lora=SMALL).save(tmp_path / "whole")
    student = Student.load(tmp_path / "whole", merge=False)
    part = student.only(TASKS[1:])
    assert part.network.backbone is student.network.backbone
    assert not part.network.module.training
    assert part.folder is None
    with pytest.raises(ProfileError, match="once it is saved"):
        _ = part.digest
    part.save(tmp_path / "part")
    assert part.digest != student.digest
    assert [taught.key for taught in read_manifest(tmp_path / "part").tasks] == [task.key for task in TASKS[1:]]
    student.network.module.train()
    assert student.only(TASKS).network.module.training


def test_some_of_the_heads_share_nothing_else_that_changes(bert):
    student = made(bert, freeze=True, dropout=0.4)
    student.training = {"seed": 3, "labels": {"world.tone": 9}}
    part = student.only(TASKS[1:])
    assert part.training == student.training
    assert part.network.dropout == student.network.dropout == 0.4
    part.training["labels"]["world.tone"] = 0
    part.training["seed"] = part.temperatures["world.tone"] = 8
    assert student.training == {"seed": 3, "labels": {"world.tone": 9}}
    assert student.temperatures == {TASKS[0].key: 1.7}


def test_heads_that_a_student_does_not_have(bert):
    student = made(bert, freeze=True)
    another = tasks_of([tiny.rubric()])[0]
    assert student.only([another]).tasks == (TASKS[0],)  # equal is as good as the same
    for wanted in ([], [replace(TASKS[0], digest="sha256:" + "0" * 64)], [TASKS[0], replace(TASKS[1], key="b.c")]):
        with pytest.raises(ProfileError, match="only heads that it has, and needs one"):
            student.only(wanted)
    with pytest.raises(ProfileError, match="only heads that it has"):
        student.only(TASKS[:1]).only(TASKS[1:2])
    for wanted in ([TASKS[1], TASKS[1]], [TASKS[0], TASKS[2], another]):
        with pytest.raises(ProfileError, match="can keep a head only once"):
            student.only(wanted)


def own(student, number):
    """The tensors of one task's head."""
    heads, place = student.network.heads, student.slots[number].place
    found = [heads["weight_OD"][place], heads["bias_O"][place]]
    return [*found, heads["query_TD"][number]] if "query_TD" in heads else found


def same(one, other):
    return all(map(torch.equal, one, other))


NEXT = (replace(TASKS[2], key="mine.tone"), replace(TASKS[0], digest="sha256:" + "0" * 64), TASKS[1])
"""Another order: one that is called otherwise, one that asks something else, one as it was."""


@pytest.mark.parametrize("more", POOLINGS, ids=lambda more: more["pooling"])
def test_going_on_with_the_heads_that_ask_the_same(bert, tmp_path, more):
    old = made(bert, reading=Reading(context_chars=50, reply_chars=60), **more)
    old.save(tmp_path)
    student, again, other = (
        Student.following(tmp_path, NEXT, whole=old.weights == "backbone", seed=seed, dropout=0.2) for seed in (1, 1, 2)
    )
    assert (student.tasks, student.temperatures, student.training, student.folder) == (NEXT, {}, {}, None)
    assert same(own(student, 0), own(old, 2))
    assert same(own(student, 2), own(old, 1))
    # the one in the middle is new: as the seed says, and as small as first weights are
    assert same(own(student, 1), own(again, 1))
    assert not torch.equal(own(student, 1)[0], own(other, 1)[0])
    assert own(student, 1)[0].abs().max() < 0.15
    assert not own(student, 1)[1].any()
    assert (student.weights, student.backbone, student.coder.reading) == (old.weights, old.backbone, old.coder.reading)
    assert (student.network.pooling, student.network.reply_only) == (old.network.pooling, old.network.reply_only)
    assert student.network.dropout == 0.2
    assert not student.network.module.training
    found, before = Scorer(student).logits(PAIRS), Scorer(old).logits(PAIRS)
    new, known = ([slot.place for slot in each.slots] for each in (student, old))
    for place, origin in ((0, 2), (2, 1)):
        assert np.abs(found[:, new[place]] - before[:, known[origin]]).max() < 1e-5
    read = Student.following(tmp_path, NEXT, whole=old.weights == "backbone", reading=Reading(reply_chars=70))
    assert read.coder.reading.reply_chars == 70


@pytest.mark.parametrize(
    ("more", "whole", "wanted"),
    [
        ({"lora": SMALL}, False, "lora_"),
        ({"freeze": True}, False, None),
        ({"lora": SMALL}, True, ""),
        ({"freeze": True}, True, ""),
        ({}, True, ""),
    ],
    ids=["adapter", "frozen", "adapter-whole", "frozen-whole", "whole"],
)
def test_going_on_trains_what_was_trained_or_the_whole(bert, tmp_path, more, whole, wanted):
    old = made(bert, **more)
    old.save(tmp_path / "old")
    student = Student.following(tmp_path / "old", TASKS, whole=whole)
    assert student.weights == ("backbone" if whole else old.weights)
    parts = dict(student.network.module.named_parameters())
    named = {name for name in parts if name.startswith("heads.") or (wanted is not None and wanted in name)}
    assert {name for name, _ in student.network.trained()} == named
    assert whole == (named == set(parts))
    if whole:  # as many as in a backbone that is trained from the beginning: the adapter is folded in
        assert len(parts) == len(dict(made(bert).network.module.named_parameters()))
    # what is learnt now is in the folder
    with torch.no_grad():
        for _, tensor in student.network.trained():
            tensor.add_(torch.full_like(tensor, 0.05))
    student.save(tmp_path / "new")
    kinds = {"adapter": ["adapter"], "backbone": ["backbone"], "frozen": []}[student.weights]
    assert [name for name in ("adapter", "backbone") if (tmp_path / "new" / name).exists()] == kinds
    loaded = Student.load(tmp_path / "new")
    assert np.abs(Scorer(loaded).logits(PAIRS) - Scorer(student).logits(PAIRS)).max() < 1e-4
    assert largest(probabilities(loaded), probabilities(old)) > 1e-3
    assert loaded.backbone == old.backbone


def test_a_student_that_cannot_go_on_so(bert, tmp_path):
    made(bert).save(tmp_path)
    with pytest.raises(ProfileError, match="was trained as a whole, and can only go on as a whole"):
        Student.following(tmp_path, TASKS)
    with pytest.raises(ProfileError, match="at least one task"):
        Student.following(tmp_path, [], whole=True)
    with pytest.raises(ProfileError, match="holds no student"):
        Student.following(tmp_path / "nowhere", TASKS)


def test_a_head_of_another_scale_is_another(bert, tmp_path):
    """Tasks of one's own name their digests themselves: an equal one with other levels must not fit by chance."""
    old = made(bert, freeze=True)
    old.save(tmp_path)
    longer = replace(TASKS[1], levels=("no", "perhaps", "yes"))
    student = Student.following(tmp_path, [longer, TASKS[0]])
    assert not own(student, 0)[1].any()
    assert same(own(student, 1), own(old, 0))
