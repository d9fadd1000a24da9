"""What lies beside a student."""

from __future__ import annotations

import json

import pytest
import tiny

from kardia.judge.profile import load_profile
from kardia.model.card import card_text, profile_text, write_card
from kardia.model.metrics import TaskMetrics
from kardia.student.backbone import Backbone
from kardia.student.student import Lora, Student
from kardia.student.tasks import tasks_of

TASKS = tasks_of([tiny.rubric()])
FOUND = TaskMetrics(40, 0.61234, 0.7, 0.8, 0.55, 0.4, 0.2, 0.05, 1.3)
BLANK = TaskMetrics(3, None, 1.0, 1.0, 1.0, 0.1, 0.0, 0.0, 1.0)


@pytest.fixture
def student(bert):
    made = Student.create(TASKS, Backbone(model=str(bert)), lora=Lora(rank=2))
    made.training = {
        "data": "sha256:0",
        "labels": {"world.warmth": 200},
        "recipe": {"epochs": 3},
        "history": [{"epoch": 1.0, "loss": 0.5, "select": 0.25}],
    }
    return made


def test_the_card_says_how_good_it_is(student, tmp_path):
    folder = tmp_path / "my student"
    student.save(folder)
    write_card(student, {"world.warmth": FOUND, "world.blames": BLANK}, folder)
    text = (folder / "README.md").read_text("utf-8")
    assert text.startswith("# my student\n")
    assert "| `world.warmth` | 40 | 0.612 | 0.700 | 0.800 | 0.550 | 0.200 | 0.050 |" in text
    assert "| `world.blames` | 3 | – | 1.000 |" in text
    assert "| `world.tone` | – | – |" in text
    assert "| 1 | 0.500 | 0.250 |" in text
    assert "with a LoRA adapter" in text
    assert "- data: sha256:0" in text
    assert "`world.warmth` 200" in text
    assert "no clinical instrument" in text
    assert json.loads((folder / "metrics.json").read_text())["world.warmth"]["kappa"] == 0.6123


def test_the_folder_is_a_judge(student, tmp_path, bert):
    folder = tmp_path / "-my student, 2nd-"
    student.save(folder)
    write_card(student, {}, folder)
    profile = load_profile(folder)
    assert profile.name == "my-student-2nd"
    assert profile.backend == "embedded"
    assert profile.embedded.heads == "."
    assert profile.model == str(bert)
    assert profile.sha256 == student.backbone.sha256
    assert "was not measured" in (folder / "README.md").read_text("utf-8")


def test_a_causal_student_leaves_the_comparison_to_the_encoder(qwen):
    made = Student.create(TASKS, Backbone(model=str(qwen)), kind="causal", freeze=True)
    assert "model:" not in profile_text(made.manifest(), "…")
    assert profile_text(made.manifest(), "…").startswith('name: "student"\n')
    assert "frozen" in card_text(made.manifest(), {}, "x")
