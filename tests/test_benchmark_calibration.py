"""The calibration benchmark on made-up ratings: both tables, and what it says where there are no data."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("scipy", reason="fitting needs kardia[local]")

ROOT = Path(__file__).resolve().parents[1]
SCRIPT = ROOT / "benchmarks" / "calibration.py"


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(SCRIPT), "--data", str(folder), *arguments]
    path = os.pathsep.join(part for part in (str(ROOT), os.environ.get("PYTHONPATH", "")) if part)
    return subprocess.run(command, capture_output=True, text=True, timeout=120, env={**os.environ, "PYTHONPATH": path})


def write(folder: Path, dialogues: int = 60) -> None:
    """Annotators who differ, and a judge whose answers say something."""
    noise = random.Random(0)
    answers = ["text_id\tcriterion\tsample_llm\tanswer1_prob\tanswer2_prob\tanswer3_prob\tanswer4_prob"]
    people = ["dialogue_system\ttext_id\tQ0\tannotator_id"]
    for number in range(dialogues):
        merit = noise.random()
        for question in range(9):
            weights = [noise.random() + merit * level for level in range(4)]
            shares = [f"{weight / sum(weights):.6f}" for weight in weights]
            answers.append("\t".join([f"d{number}", f"Q{question}", "3", *shares]))
        annotator = number % 3
        rating = min(4, max(1, round(1 + annotator / 2 + 2 * merit + noise.gauss(0, 0.3))))
        people.append(f"0\td{number}\t{rating}\t{annotator}")
    (folder / "gpt-3.5-turbo-16k_real_evaluations_FIXED.tsv").write_text("\n".join(answers) + "\n")
    (folder / "human_judges_real_convs_FIXED_ANON.tsv").write_text("\n".join(people) + "\n")


@pytest.mark.slow
def test_both_tables(tmp_path):
    write(tmp_path)
    done = run(tmp_path, "--repeats", "2", "--folds", "4", "--samples", "20")
    assert done.returncode == 0, done.stderr
    methods, increments = done.stdout.split("\n\n")
    cells = {row.split("|")[1].strip(): [cell.strip() for cell in row.split("|")[2:-1]] for row in methods.splitlines()}
    assert cells["the ratings' mean"][0] == "–"
    both = cells["both: network with the annotator's parameters"]
    assert float(both[0]) > float(cells["annotator's mean alone"][0])
    assert len(increments.splitlines()) == 7
    assert "annotator's mean alone" not in increments
    assert run(tmp_path, "--repeats", "2", "--folds", "4", "--samples", "20").stdout == done.stdout


def test_no_data(tmp_path):
    done = run(tmp_path / "nowhere")
    assert done.returncode == 2
    assert "name the folder that holds" in done.stderr
    assert "Traceback" not in done.stderr
