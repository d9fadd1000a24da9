"""`kardia diagnose`, as a user runs it."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest
from diagnose.planted import ORDINALS, World, cards, write, write_labels

from .command import kardia

pytest.importorskip("scipy", reason="diagnosis needs kardia[agree]")


def criteria() -> str:
    lines = [
        f"  - {{id: {name}, question: How {name} is it?, "
        f"scale: {{levels: {{1: {name} at its lowest, 5: {name} at its highest}}}}}}"
        for name in ORDINALS
    ]
    veto = "  - {id: demeans, question: Is it demeans?, scale: {type: binary}, good: no, required: {else_score: 0}}"
    return "\n".join(["name: made", "version: 1.0.0", "title: Made", "criteria:", *lines, veto]) + "\n"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a judge that likes long replies said, what people say, and a second judge."""
    folder = tmp_path_factory.mktemp("diagnose")
    world = World(1)
    write(folder / "scores.jsonl", cards(world, lambda reply, _: 2.0 * reply.long))
    write(folder / "clean.jsonl", cards(world))
    write(folder / "other.jsonl", cards(world, seed=2, judge="other"))
    write_labels(folder / "labels.jsonl", world)
    (folder / "made.yaml").write_text(criteria())
    return folder


def test_a_finding_in_a_sentence_and_as_json(place: Path) -> None:
    done = kardia("diagnose", "scores.jsonl", "-r", "made.yaml", "--labels", "labels.jsonl", "-o", "d.json", cwd=place)
    assert done.returncode == 0, done.stderr
    assert "high: The score rises with the number of words within groups" in done.stdout
    assert "→" in done.stdout
    told = json.loads((place / "d.json").read_text())
    assert told["format"] == "kardia-diagnosis/1"
    assert "length" in {finding["kind"] for finding in told["findings"]}
    assert stat.S_IMODE((place / "d.json").stat().st_mode) == 0o600
    as_json = kardia("diagnose", "scores.jsonl", "-r", "made.yaml", "--labels", "labels.jsonl", "--json", cwd=place)
    assert json.loads(as_json.stdout) == told


def test_a_clean_judge_and_a_reference(place: Path) -> None:
    done = kardia("diagnose", "clean.jsonl", "-r", "made.yaml", "--against", "other.jsonl", cwd=place)
    assert done.returncode == 0, done.stderr
    assert "No finding." in done.stdout
    assert "over reference" in done.stdout
    assert "rise over the reference" in done.stdout
    assert "not looked at: noise" in done.stderr


def test_a_stated_threshold_is_an_exit_code(place: Path) -> None:
    assert kardia("diagnose", "scores.jsonl", "--fail-on", "high", cwd=place).returncode == 1
    assert kardia("diagnose", "clean.jsonl", "--fail-on", "low", cwd=place).returncode == 0


def test_what_cannot_be_read(place: Path) -> None:
    for arguments, says in (
        (("none.jsonl",), "none.jsonl: no such file"),
        (("labels.jsonl",), "labels.jsonl:1: target: is no scorecard"),
        (("scores.jsonl", "-r", "safety"), "holds no scorecard of safety"),
        (("scores.jsonl", "--labels", "labels.jsonl"), "--rubric"),
        (("scores.jsonl", "--log", "labels.jsonl"), "labels.jsonl:1: step: is missing"),
        (("scores.jsonl", "-o", "scores.jsonl"), "scores.jsonl: is an input"),
    ):
        done = kardia("diagnose", *arguments, cwd=place)
        assert done.returncode == 2, arguments
        assert says in done.stderr
        assert "Traceback" not in done.stderr
