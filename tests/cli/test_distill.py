"""`kardia distill`, as a user runs it."""

from __future__ import annotations

import json
import signal
import subprocess
import time

import pytest

from kardia.student.manifest import student_digest

from .command import KARDIA, kardia, read_cards, surroundings, write_rows

pytest.importorskip("torch", reason="students need kardia[local]")
pytest.importorskip("transformers", reason="students need kardia[local]")
pytest.importorskip("peft", reason="students need kardia[local]")
pytest.importorskip("accelerate", reason="training needs kardia[local]")
pytest.importorskip("scipy", reason="temperatures need kardia[local]")

RUBRIC = """\
name: small
version: 1.0.0
title: Small
criteria:
  - id: warmth
    question: How warm is it?
    scale:
      levels:
        1: Cold.
        3: Warm.
    weight: 2
  - id: blames
    question: Does it blame?
    scale: {type: binary}
    good: no
  - id: unlabelled
    question: Is it never labelled?
    scale: {type: binary}
aggregate: {method: weighted_mean, unscored: renormalise}
"""
REPLIES = [("sorry that hurts", 3, "no"), ("tell me more", 2, "no"), ("your fault", 1, "yes")]
QUICK = [part for item in ("epochs=3", "batch_size=4", "lr=0.003", "dropout=0") for part in ("--set", item)]
QUICK += ["--set", "dev_share=0.25", "--set", "device=cpu", "--set", "lora.rank=4"]


@pytest.fixture(scope="module")
def backbone(tmp_path_factory):
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    folder = tmp_path_factory.mktemp("backbone")
    words = sorted({word for reply, *_ in REPLIES for word in reply.split()} | {"dog", "exam", "died"})
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *words, *"abcdefghijklmnopqrstuvwxyz0123456789"]
    inner = Tokenizer(models.WordPiece({piece: number for number, piece in enumerate(pieces)}, unk_token="[UNK]"))
    inner.normalizer = normalizers.BertNormalizer()
    inner.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    inner.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    names = {f"{name}_token": f"[{name.upper()}]" for name in ("pad", "unk", "cls", "sep", "mask")}
    PreTrainedTokenizerFast(tokenizer_object=inner, **names).save_pretrained(folder)
    size = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    BertModel(BertConfig(vocab_size=len(pieces), initializer_range=0.2, **size)).save_pretrained(folder)
    return folder


@pytest.fixture
def place(tmp_path):
    rows, table = [], ["id,warmth,blames"]
    for number in range(8):
        for which, (reply, warmth, blames) in enumerate(REPLIES):
            rows.append({"id": f"{number}-{which}", "context": f"dog {number}", "response": reply})
            table.append(f"{number}-{which},{warmth},{blames}")
    rows.append({"id": "spare", "context": "exam", "response": "sorry"})
    write_rows(tmp_path / "rows.jsonl", rows)
    (tmp_path / "labels.csv").write_text("\n".join(table) + "\n")
    (tmp_path / "small.yaml").write_text(RUBRIC)
    return tmp_path


def distill(place, backbone, *more, **environment):
    given = [
        "rows.jsonl",
        "--labels",
        "labels.csv",
        "--rubric",
        "./small.yaml",
        "--backbone",
        backbone,
        "-o",
        "student",
    ]
    return kardia("distill", *given, *QUICK, *more, cwd=place, OMP_NUM_THREADS="1", **environment)


def test_from_labels_to_a_judge_and_a_reward_model(place, backbone):
    done = distill(place, backbone, "--export", "reward", "--seed", "3")
    assert done.returncode == 0, done.stderr
    assert "student · student" in done.stdout
    assert "small.warmth" in done.stdout
    assert "small.blames" in done.stdout
    assert "18 examples were learnt from and 6 held out; 48 labels in all. Use it with --judge student/" in done.stdout
    assert "the score of small@1.0.0 exactly" in done.stdout
    assert done.stderr.splitlines() == [
        "kardia: 1 of 25 conversations have no label, and are left out",
        "kardia: small.unlabelled is left out: no labels",
    ]
    assert sorted(path.name for path in (place / "student").iterdir()) == [
        "README.md",
        "adapter",
        "heads.safetensors",
        "judge.yaml",
        "metrics.json",
        "student.json",
    ]
    facts = json.loads((place / "student" / "student.json").read_text())["training"]
    assert (facts["conversations"], facts["labelled by"], facts["seed"]) == ("rows.jsonl", ["labels.csv"], 3)
    assert list(facts["rubrics"]) == ["small@1.0.0"]

    scored = kardia("score", "rows.jsonl", "-r", "./small.yaml", "--judge", "student", cwd=place, OMP_NUM_THREADS="1")
    assert scored.returncode == 0, scored.stderr
    cards = read_cards(scored.stdout)
    assert len(cards) == 25
    criteria = cards[0]["criteria"]
    assert set(criteria["warmth"]["probabilities"]) == {"1", "2", "3"}
    assert criteria["unlabelled"]["status"] == "abstained"
    assert cards[0]["judge"] == "student"

    # scorecards teach as people do
    (place / "scores.jsonl").write_text(scored.stdout)
    again = distill(place, backbone, "--labels", "scores.jsonl", "--json", "--set", "max_steps=1", "--set", "lora=null")
    assert again.returncode == 0, again.stderr
    told = json.loads(again.stdout)
    assert told["training"]["examples"] + told["training"]["dev"] == 25
    assert told["training"]["labelled by"] == ["labels.csv", "scores.jsonl"]
    assert told["left_out"] == {"small.unlabelled": "no labels"}
    assert set(told["metrics"]["small.warmth"]) >= {"n", "kappa", "macro_f1", "accuracy", "majority", "ece_after"}
    assert told["export"] is None
    assert (place / "student" / "backbone").is_dir()
    assert not (place / "student" / "adapter").exists()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (["--labels", "typo.csv"], "typo.csv: no such file"),
        (["--labels", "wrong.csv"], "wrong.csv:3: warmth: '9' is no level of small.warmth; its scale has 1, 2, 3"),
        (["--labels", "strange.csv"], "strange.csv:2: id: no conversation has the id 'nobody'"),
        (["--labels", "labels2.csv", "--rubric", "nowhere"], "nowhere"),
        (["--set", "epoch=3"], "--set: epoch: is not a key that belongs here; did you mean 'epochs'?"),
        (["--kind", "causal", "--set", "pooling=cls"], "a causal model's first token has read nothing"),
        (["--export", "reward", "--set", "pooling=attention"], "the pooling attention is no plain reward model"),
        (["--backbone", "./nowhere"], "there is no folder ./nowhere"),
        (["--set", "start=embedded"], "`start` is another student, which has backbone, lora settled: leave that out"),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_trained(place, backbone, change, said):
    (place / "wrong.csv").write_text("id,warmth\n0-0,3\n0-1,9\n")
    (place / "strange.csv").write_text("id,warmth\nnobody,3\n")
    done = distill(place, backbone, *change)
    assert done.returncode == 2
    assert said in done.stderr
    assert done.stdout == ""
    assert not (place / "student").exists()


def test_going_on_from_another_student(place, backbone):
    first = distill(place, backbone, "--set", "max_steps=1")
    assert first.returncode == 0, first.stderr
    given = ["rows.jsonl", "--labels", "labels.csv", "-r", "./small.yaml", "-o", "second", "--json"]
    given += [part for item in ("max_steps=1", "dev_share=0.25", "device=cpu") for part in ("--set", item)]
    for start, *more, said in (
        ("nowhere", "start: there is no student 'nowhere' to go on from: expected a folder with a student.json, or a"),
        ("fake", "start: the judge 'fake' has no trained heads to go on from"),
        ("student", "-o", "./student", "start: a student cannot go on from student and be written there too"),
    ):
        done = kardia("distill", *given, "--set", f"start={start}", *more, cwd=place, OMP_NUM_THREADS="1")
        assert (done.returncode, done.stdout) == (2, "")
        assert said in done.stderr
        assert not (place / "second").exists()
    before = (place / "student" / "heads.safetensors").read_bytes()
    done = kardia("distill", *given, "--set", "start=student/", cwd=place, OMP_NUM_THREADS="1")
    assert done.returncode == 0, done.stderr
    facts = json.loads(done.stdout)["training"]
    assert facts["start"] == student_digest(place / "student")
    assert facts["recipe"]["start"] == "student/"
    assert "- goes on from: student, the student of sha256 " in (place / "second" / "README.md").read_text("utf-8")
    assert (place / "student" / "heads.safetensors").read_bytes() == before


def test_labels_in_the_rows_themselves(place):
    write_rows(place / "own.jsonl", [{"context": "dog", "response": "sorry", "metadata": {"remark": "none"}}])
    done = kardia("distill", "own.jsonl", "-r", "./small.yaml", "-o", "student", cwd=place)
    assert (done.returncode, done.stdout) == (2, "")
    assert "own.jsonl: there is nothing to learn from: the metadata holds no labels" in done.stderr
    rows = [{"context": f"c{n}", "response": "sorry", "metadata": {"labels": {"blames": "no"}}} for n in range(3)]
    write_rows(place / "own.jsonl", rows)
    done = kardia("distill", "own.jsonl", "-r", "./small.yaml", "-o", "student", cwd=place)
    assert done.returncode == 2
    assert "small.blames is left out: only the level no is labelled" in done.stderr
    assert "no criterion has enough labels" in done.stderr


def test_ctrl_c_keeps_what_was_learnt(place, backbone):
    given = ["rows.jsonl", "--labels", "labels.csv", "-r", "./small.yaml", "--backbone", str(backbone), "-o", "student"]
    command = [*KARDIA, "distill", *given, *QUICK, "--set", "epochs=100000", "--set", "patience=0"]
    process = subprocess.Popen(
        command,
        cwd=place,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=surroundings(OMP_NUM_THREADS="1"),
    )
    try:
        for _ in range(1800):
            if list((place / "student").glob("checkpoints/checkpoint-*/trainer_state.json")):
                break
            assert process.poll() is None, process.communicate()
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()  # where it goes on all the same; nothing for one that has ended
    assert process.returncode == 130, err
    assert out == ""
    assert "the step under way is finished, and a checkpoint written" in err
    assert "the same command with --resume goes on from the last checkpoint in student" in err
    assert not (place / "student" / "student.json").exists()


def test_help(tmp_path):
    done = kardia("distill", "--help", cwd=tmp_path, COLUMNS="200")
    assert done.returncode == 0
    assert "Example:  kardia distill conversations.jsonl --labels scores.jsonl" in done.stdout
