"""`kardia train`, as a user runs it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from .command import KARDIA, kardia, surroundings, write_rows

RECIPE = """\
name: tiny
device: cpu
model:
  config: {model_type: qwen2, hidden_size: 32, intermediate_size: 64, num_hidden_layers: 1, num_attention_heads: 2,
           num_key_value_heads: 1}
  tokenizer: {train: {vocab_size: 400}}
data:
  prompts: rows.jsonl
  system: null
grpo:
  steps: 20
  num_generations: 2
  prompts_per_step: 2
  max_completion_length: 12
  save_steps: 2
reward:
  spec: kardia-r1
  judge: fake
evaluation:
  prompts: 1
  constant: null
"""
needs_training = pytest.mark.skipif(
    any(__import__("importlib.util").util.find_spec(name) is None for name in ("torch", "trl", "peft", "datasets")),
    reason="policies need kardia[train]",
)


@pytest.fixture
def place(tmp_path):
    (tmp_path / "tiny.yaml").write_text(RECIPE)
    rows = [
        {
            "id": f"p{number}",
            "prompt": f"It is day {number} and I have not slept since the letter came",
            "emotion": "sad",
        }
        for number in range(10)
    ]
    write_rows(tmp_path / "rows.jsonl", rows)
    return tmp_path


def test_help(tmp_path):
    done = kardia("train", "--help", cwd=tmp_path, COLUMNS="200")
    assert done.returncode == 0
    assert "Example:  kardia train" in done.stdout
    assert "train" in kardia("--help", cwd=tmp_path, COLUMNS="200").stdout


def test_a_dry_run_says_what_would_run_and_loads_nothing_heavy(place):
    code = (
        "import sys; sys.argv[1:] = ['train', 'tiny.yaml', '--dry-run', '--set', 'evaluation.second_judge=openai']\n"
        "from kardia.cli import main\n"
        "try:\n    main()\nfinally:\n"
        "    print([name for name in ('torch', 'transformers', 'numpy', 'datasets', 'trl') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=place, capture_output=True, text=True, timeout=60, env=surroundings()
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"
    for wanted in (
        "tiny: 9 prompts to train on, 1 held out; everything goes into runs/tiny-7",
        "grpo: 20 steps of 2 prompts with 2 completions each (80 completions)",
        "judge fake (fake): at most 420 requests",
        "judge openai: the texts would go to api.openai.com",
        "no model was loaded, and nothing was sent",
    ):
        assert wanted in done.stderr
    assert not (place / "runs").exists()
    plan = json.loads(kardia("train", "tiny.yaml", "--dry-run", "--json", "--seed", 3, cwd=place).stdout)
    assert plan["folder"] == "runs/tiny-3"
    assert [each["stage"] for each in plan["stages"]] == ["before", "grpo", "after", "report"]


@pytest.mark.parametrize(
    ("old", "new", "arguments", "said"),
    [
        ("steps: 20", "stepz: 20", [], "tiny.yaml:11: grpo.stepz: is not a key that belongs here"),
        ("rows.jsonl", "others.jsonl", [], "data.prompts: others.jsonl: neither beside the recipe"),
        ("steps: 20", "steps: 20", ["--set", "grpo.lr=7"], "--set: grpo.lr: input should be less than"),
        ("steps: 20", "trl: {top_kk: 3}", [], "grpo.trl.top_kk: "),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_loaded(place, old, new, arguments, said):
    if "trl:" in new:
        pytest.importorskip("trl")
    (place / "tiny.yaml").write_text(RECIPE.replace(old, new))
    done = kardia("train", "tiny.yaml", *arguments, cwd=place)
    assert done.returncode == 2
    assert said in done.stderr
    assert not (place / "runs").exists()


def test_a_recipe_that_there_is_not(tmp_path):
    done = kardia("train", "kardia-r1-qwen", cwd=tmp_path)
    assert (done.returncode, "did you mean 'kardia-r1-qwen2.5-7b'?" in done.stderr) == (2, True)
    done = kardia("train", "emprl", cwd=tmp_path)
    assert (done.returncode, "data.prompts: is not set" in done.stderr) == (2, True)


@needs_training
def test_killed_interrupted_and_complete(place):
    """kill -9 in the middle of GRPO, then Ctrl-C, then to the end: one training, and one report of all of it."""
    checkpoints = place / "runs" / "tiny-7" / "grpo"
    killed = _until(place, checkpoints, 2, signal.SIGKILL)
    assert killed[0] == -signal.SIGKILL
    reached = _latest(checkpoints)
    assert reached >= 2
    code, told = _until(place, checkpoints, reached + 2, signal.SIGINT)
    assert code == 130
    assert "stopping: the step under way is finished" in told
    assert "the same command goes on from there" in told
    assert _latest(checkpoints) < 20

    done = kardia("train", "tiny.yaml", "--json", cwd=place)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["stages"]["grpo"]["steps"] == 20
    assert report["stages"]["grpo"]["resumed"] >= reached + 2
    assert [step for step, _ in report["curves"]["grpo"]["reward"]] == list(range(1, 21))
    assert {"before", "after"} == set(report["figures"])
    for name in ("report.md", "report.json", "grpo.svg", "policy/model.safetensors", "evaluation/after.jsonl"):
        assert (place / "runs" / "tiny-7" / name).is_file()

    again = kardia("train", "tiny.yaml", cwd=place)
    assert again.returncode == 0
    assert "is complete; --fresh begins anew" in again.stderr
    assert "the report in runs/tiny-7/report.md" in again.stdout
    other = kardia("train", "tiny.yaml", "--set", "grpo.lr=1e-5", cwd=place)
    assert (other.returncode, "another training was begun here" in other.stderr) == (2, True)


def _latest(folder):
    """The last checkpoint that is whole."""
    found = [int(state.parent.name.rpartition("-")[2]) for state in folder.glob("checkpoint-*/trainer_state.json")]
    return max(found, default=0)


def _until(place, folder, step, number):
    """Runs it until a checkpoint is there, and sends a signal: the exit code, and what it said."""
    with subprocess.Popen(
        [*KARDIA, "train", "tiny.yaml"],
        cwd=place,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env=surroundings(OMP_NUM_THREADS="1"),
    ) as running:
        for _ in range(2400):
            if _latest(folder) >= step or running.poll() is not None:
                break
            time.sleep(0.05)
        running.send_signal(number)
        _, told = running.communicate(timeout=60)
    return running.returncode, told


@needs_training
def test_two_processes_train_one_policy(place):
    """What `accelerate launch` starts: each rank does its share, the first one writes."""
    launch = [sys.executable, "-m", "accelerate.commands.accelerate_cli", "launch", "--cpu", "--num_processes", "2"]
    launch += ["--num_machines", "1", "--mixed_precision", "no", "--dynamo_backend", "no", "--main_process_port", "0"]
    command = ["-m", "kardia", "train", "tiny.yaml", "--json", "--set", "grpo.steps=2", "--set", "evaluation.samples=2"]
    done = subprocess.run(
        [*launch, *command],
        cwd=place,
        capture_output=True,
        text=True,
        timeout=240,
        env={**surroundings(OMP_NUM_THREADS="1"), "MASTER_ADDR": "127.0.0.1"},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    report = json.loads(done.stdout[done.stdout.index("{") :])
    assert report["stages"]["grpo"]["steps"] == 2
    assert report["figures"]["after"]["replies"] == 2
    assert (place / "runs" / "tiny-7" / "policy" / "model.safetensors").is_file()
    assert os.stat(place / "runs" / "tiny-7").st_mode & 0o077 == 0
