"""`kardia compare`, as a user runs it."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest
from diagnose.planted import World, cards, write

from .command import kardia

pytest.importorskip("scipy", reason="comparing needs kardia[agree]")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A judge as it was, one that has become stricter, and one whose reason would like to command the terminal."""
    folder = tmp_path_factory.mktemp("compare")
    world = World(1)
    write(folder / "a.jsonl", cards(world))
    stricter = cards(world, lambda _, name: -0.6 * (name == "warm"))
    for row in stricter:
        row["criteria"]["warm"]["reason"] = "Cold.\x1b[2J[bold]\nReally " + "cold " * 200
    write(folder / "b.jsonl", stricter)
    return folder


def test_what_fell_and_why(place: Path) -> None:
    done = kardia("compare", "a.jsonl", "b.jsonl", "--top", "2", "-o", "c.json", cwd=place)
    assert done.returncode == 0, done.stderr
    assert "200 conversations in 50 groups, the same replies" in done.stdout
    assert "B scores lower than A: -0.0" in done.stdout
    assert "\n2. " in done.stdout
    assert "\n3. " not in done.stdout
    # what a judge says is data
    assert "\x1b" not in done.stdout
    assert "[bold]" in done.stdout
    assert stat.S_IMODE((place / "c.json").stat().st_mode) == 0o600
    (told,) = json.loads((place / "c.json").read_text())["comparisons"]
    assert told["format"] == "kardia-comparison/1"
    assert len(told["moved"]) == 2
    assert told["moved"][0]["criteria"][0]["second"]["reason"].startswith("Cold.\x1b")
    as_json = kardia("compare", "a.jsonl", "b.jsonl", "--top", "2", "--json", cwd=place)
    assert json.loads(as_json.stdout)["comparisons"] == [told]


@pytest.mark.parametrize(
    ("gates", "code", "says"),
    [
        (("--max-drop", "0.2"), 0, ""),
        (("--max-drop", "0.01"), 1, "the score of made@1.0.0 changed by -0.0"),
        (("--max-drop", "0.0", "--by-interval"), 1, "and may by"),
        (("--max-criterion-drop", "0.05"), 1, "warm of made@1.0.0 changed by -0.1"),
        (("--max-criterion-drop", "0.05", "--criterion", "apt"), 0, ""),
        (("--max-unscored", "0"), 0, ""),
    ],
)
def test_limits(place: Path, gates: tuple[str, ...], code: int, says: str) -> None:
    done = kardia("compare", "a.jsonl", "b.jsonl", "--top", "0", *gates, cwd=place)
    assert done.returncode == code, done.stderr
    assert says in done.stderr


def test_a_limit_that_cannot_be_held_is_missed(place: Path) -> None:
    rows = [json.loads(line) for line in (place / "a.jsonl").read_text().splitlines()]
    write(place / "gone.jsonl", [{**row, "status": "unscored", "score": None, "vetoed_by": []} for row in rows])
    done = kardia("compare", "a.jsonl", "gone.jsonl", "--max-drop", "0.5", "--max-unscored", "0.1", cwd=place)
    assert done.returncode == 1
    assert "the score of made@1.0.0 cannot be compared" in done.stderr
    assert "200 of 200 conversations that A scored have no score in B" in done.stderr


def test_wrong_input(place: Path) -> None:
    for arguments, says in (
        (("a.jsonl", "none.jsonl"), "none.jsonl: no such file"),
        (("-", "-"), "stdin cannot hold both"),
        (("a.jsonl", "b.jsonl", "--criterion", "warmth"), "'warmth' is no criterion of both files; there are warm"),
        (("a.jsonl", "b.jsonl", "-o", "b.jsonl"), "b.jsonl: is an input"),
        (("a.jsonl", "b.jsonl", "-r", "safety"), "holds no scorecard of safety"),
    ):
        done = kardia("compare", *arguments, cwd=place)
        assert done.returncode == 2, arguments
        assert says in done.stderr
        assert "Traceback" not in done.stderr
