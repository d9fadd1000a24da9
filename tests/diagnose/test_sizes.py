"""Faults of other sizes, on other scales, with groups and without: each is named in at least 19 of 20 seeds, and a fair
judge has at most one false finding in 20."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from making import binary, make, ordinal

from kardia.diagnose import table
from kardia.diagnose.cards import read_scored
from kardia.diagnose.diagnosis import Diagnosis, diagnose
from kardia.judgment import Judgment
from kardia.rubric.rubric import Rubric

from .planted import DEMEANS, ORDINALS, RUBRIC, Bias, Reply, World, cards, fair, write, write_labels

pytest.importorskip("scipy", reason="diagnosis needs kardia[agree]")

pytestmark = pytest.mark.slow
SEEDS = 20
YES_OR_NO = make(*(binary(name) for name in ORDINALS), DEMEANS)
THREE, HUNDRED = (make(*(ordinal(name, 0, high) for name in ORDINALS), DEMEANS) for high in (2, 100))
SCALES = pytest.mark.parametrize("rubric", [YES_OR_NO, THREE, RUBRIC, HUNDRED], ids=["two", "three", "five", "hundred"])


@pytest.fixture(autouse=True)
def _fewer_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table, "RESAMPLES", 300)


def found(
    place: Path, bias: Bias = fair, *, rubric: Rubric = RUBRIC, groups: int = 25, size: int = 4, constant: float = 0.0
) -> list[set[tuple[str, str | None]]]:
    """The findings of each seed, with labels.

    Args:
        size: replies a group; of one there are no groups.
        constant: in what share of the replies `apt` has one level.
    """
    return [kinds(diagnosed(place, seed, bias, rubric, World(seed, groups, size), constant)) for seed in range(SEEDS)]


def diagnosed(place: Path, seed: int, bias: Bias, rubric: Rubric, world: World, constant: float) -> Diagnosis:
    if len(world.replies) == world.groups:
        for reply in world.replies:
            reply.group = None
    apt = rubric.by_id["apt"]
    level = apt.levels[3 * len(apt.levels) // 4]

    def change(reply: Reply, judgments: dict[str, Judgment]) -> None:
        if random.Random(f"{seed} {reply.id}").random() < constant:
            judgments["apt"] = Judgment("apt", "scored", level, apt.value(level))

    rows = cards(world, bias, rubric=rubric, change=change)
    labels = write_labels(place / "labels.jsonl", world, rubric=rubric)
    return diagnose(read_scored(write(place / "scores.jsonl", rows)), rubric, labels=labels)


def kinds(told: Diagnosis) -> set[tuple[str, str | None]]:
    return {(finding.kind, finding.criterion) for finding in told.findings}


@SCALES
def test_a_fair_judge_is_clean(tmp_path: Path, rubric: Rubric) -> None:
    assert sum(map(len, found(tmp_path, rubric=rubric))) <= 1


def test_a_fair_judge_of_few_single_replies_is_clean(tmp_path: Path) -> None:
    assert sum(map(len, found(tmp_path, groups=40, size=1))) <= 1


@SCALES
def test_too_generous_on_any_scale(tmp_path: Path, rubric: Rubric) -> None:
    told = found(tmp_path, lambda _, __: 0.7, rubric=rubric)
    assert sum(("generous", None) in each for each in told) >= 19


def test_too_generous_by_40_single_replies(tmp_path: Path) -> None:
    told = found(tmp_path, lambda _, __: 0.7, groups=40, size=1)
    assert sum(("generous", None) in each for each in told) >= 19


@pytest.mark.parametrize(("groups", "size"), [(40, 4), (140, 1)], ids=["in groups", "single"])
def test_half_a_level_for_long_replies(tmp_path: Path, groups: int, size: int) -> None:
    told = found(tmp_path, lambda reply, _: 0.5 * reply.long, groups=groups, size=size)
    assert sum(("length", None) in each for each in told) >= 19


@SCALES
def test_one_level_but_for_one_reply_in_fifty(tmp_path: Path, rubric: Rubric) -> None:
    told = found(tmp_path, rubric=rubric, constant=0.98)
    assert sum(("constant", "apt") in each for each in told) >= 19


def test_a_criterion_that_tells_replies_apart_is_not_constant(tmp_path: Path) -> None:
    """Eight in ten at one level are no finding of this kind."""
    assert not any(("constant", "apt") in each for each in found(tmp_path, constant=0.75))
