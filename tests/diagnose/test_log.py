"""What a training left behind, read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from kardia.diagnose.cards import read_scored
from kardia.diagnose.diagnosis import diagnose
from kardia.diagnose.log import read_log
from kardia.errors import InputError

from .planted import RUBRIC, World, cards, write

pytest.importorskip("scipy", reason="diagnosis needs kardia[agree]")


def completions(world: World) -> list[dict[str, Any]]:
    """As TRL logs them: messages, and the step."""
    return [
        {
            "step": reply.step * 10,
            "prompt": [{"role": "user", "content": f"prompt {reply.group}"}],
            "completion": [{"role": "assistant", "content": f"<think>So.</think>{reply.text}"}],
            "advantage": 0.1,
        }
        for reply in world.replies
    ]


def bare(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Cards that know neither their group nor their step."""
    return [{**row, "group": None, "metadata": {}} for row in rows]


def test_completions_say_the_step_and_the_group(tmp_path: Path) -> None:
    world = World(1)
    biased = cards(world, lambda reply, _: 1.5 * reply.step / 50)
    scored = read_scored(write(tmp_path / "scores.jsonl", bare(biased)))
    other = read_scored(write(tmp_path / "other.jsonl", bare(cards(world, seed=2, judge="other"))))
    log = read_log(write(tmp_path / "completions.jsonl", completions(world)))
    found = diagnose(scored, RUBRIC, against=other, log=log)
    assert found.facts["groups_of_several"] == 50
    assert "divergence" in {each.kind for each in found.findings}
    assert found.detail["steps"][-1]["to"] == 490.0
    alone = diagnose(scored, RUBRIC, against=other)
    assert alone.facts["groups_of_several"] == 0
    assert "steps" not in alone.detail


def test_a_folder_of_parquet_files(tmp_path: Path) -> None:
    pq = pytest.importorskip("pyarrow.parquet")
    import pyarrow as pa

    rows = completions(World(1, 4))
    for number in (0, 1):
        table = pa.Table.from_pylist(rows[8 * number : 8 * number + 8])
        pq.write_table(table, tmp_path / f"completions_{number:05d}.parquet")
    assert len(read_log(tmp_path).replies) == 16


def test_equal_replies_are_taken_in_their_order(tmp_path: Path) -> None:
    world = World(1, 2, 2)
    for reply in world.replies:
        reply.text = "I hear you."
    log = read_log(write(tmp_path / "log.jsonl", completions(world)))
    scored = read_scored(write(tmp_path / "scores.jsonl", bare(cards(world))))
    assert [place.step for place in log.place(scored.cards.values()).values()] == [0, 0, 10, 10]


def report(first: tuple[float, float], second: tuple[float, float], flat: float) -> dict[str, Any]:
    def told(ends: tuple[float, float]) -> dict[str, Any]:
        return {"mean": sum(ends) / 2, "low": ends[0], "high": ends[1], "n": 50}

    return {
        "figures": {},
        "changes": {"rubric": told(first), "second judge": told(second)},
        "curves": {"grpo": {"share of groups without any difference": [[1, flat], [2, None], [3, flat]]}},
    }


@pytest.mark.parametrize(
    ("first", "second", "flat", "kinds"),
    [
        ((0.05, 0.15), (-0.1, -0.02), 0.1, {"divergence"}),
        ((0.05, 0.15), (0.02, 0.12), 0.1, set()),
        ((-0.05, 0.05), (-0.2, -0.1), 0.8, {"flat_groups"}),
    ],
)
def test_a_report_of_a_training(tmp_path: Path, first: Any, second: Any, flat: float, kinds: set[str]) -> None:
    (tmp_path / "report.json").write_text(json.dumps(report(first, second, flat)))
    scored = read_scored(write(tmp_path / "scores.jsonl", cards(World(1, 10))))
    found = diagnose(scored, RUBRIC, log=read_log(tmp_path))
    assert {each.kind for each in found.findings} == kinds
    assert found.overall["training_flat"].value == pytest.approx(flat)


def test_what_is_no_log(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds neither a report"):
        read_log(tmp_path)
    (tmp_path / "report.json").write_text("{}")
    with pytest.raises(InputError, match="is no report of `kardia train`"):
        read_log(tmp_path / "report.json")
    write(tmp_path / "log.jsonl", [{"step": 1, "prompt": "a", "completion": "b"}, {"prompt": "a", "completion": "b"}])
    with pytest.raises(InputError, match=r"log.jsonl:2: step: is missing"):
        read_log(tmp_path / "log.jsonl")
    log = read_log(write(tmp_path / "strange.jsonl", [{"step": 1, "prompt": "a", "completion": "b"}]))
    scored = read_scored(write(tmp_path / "scores.jsonl", cards(World(1, 3))))
    assert "log" in diagnose(scored, RUBRIC, log=log).skipped
