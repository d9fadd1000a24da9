"""Planted faults are named in at least 19 of 20 seeds; a clean judge has at most one false finding in 20."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kardia.combine import combine_samples
from kardia.diagnose.cards import read_scored
from kardia.diagnose.diagnosis import Diagnosis, diagnose
from kardia.judgment import Judgment

from .planted import ORDINALS, RUBRIC, Bias, Reply, World, cards, fair, write, write_labels

pytest.importorskip("scipy", reason="diagnosis needs kardia[agree]")

SEEDS = 20
Change = Callable[[Reply, dict[str, Judgment]], None]


def diagnosed(
    place: Path, seed: int, bias: Bias = fair, *, labels: bool = False, groups: int = 30, **more: Any
) -> Diagnosis:
    world = World(seed, groups)
    scored = read_scored(write(place / "scores.jsonl", cards(world, bias, **more)))
    return diagnose(scored, RUBRIC, labels=write_labels(place / "labels.jsonl", world) if labels else None)


def kinds(found: Diagnosis) -> set[tuple[str, str | None]]:
    return {(finding.kind, finding.criterion) for finding in found.findings}


def test_a_clean_judge_is_clean(tmp_path: Path) -> None:
    """With all there is to look at: labels, a second judge, and training steps."""
    wrong = 0
    for seed in range(SEEDS):
        world = World(seed)
        scored = read_scored(write(tmp_path / "scores.jsonl", cards(world)))
        other = read_scored(write(tmp_path / "other.jsonl", cards(world, seed=2, judge="other")))
        labels = write_labels(tmp_path / "labels.jsonl", world)
        wrong += len(diagnose(scored, RUBRIC, against=other, labels=labels).findings)
    assert wrong <= 1


def test_a_clean_judge_of_long_good_replies_is_clean(tmp_path: Path) -> None:
    """People find longer replies better as well: no fault of the judge's."""
    wrong = 0
    for seed in range(SEEDS):
        world = World(seed)
        for reply in world.replies:
            reply.quality = {name: level + 0.6 * reply.long for name, level in reply.quality.items()}
        scored = read_scored(write(tmp_path / "scores.jsonl", cards(world)))
        wrong += len(diagnose(scored, RUBRIC, labels=write_labels(tmp_path / "labels.jsonl", world)).findings)
    assert wrong <= 1


@pytest.mark.parametrize("labels", [False, True], ids=["alone", "with labels"])
def test_half_of_the_scale_for_long_replies(tmp_path: Path, labels: bool) -> None:
    found = [diagnosed(tmp_path, seed, lambda reply, _: 2.0 * reply.long, labels=labels) for seed in range(SEEDS)]
    assert sum(("length", None) in kinds(each) for each in found) >= 19
    assert all(finding.numbers for each in found for finding in each.findings)


def test_half_a_level_for_long_replies(tmp_path: Path) -> None:
    """So little takes labels to be seen."""
    found = [
        diagnosed(tmp_path, seed, lambda reply, _: 0.5 * reply.long, labels=True, groups=60) for seed in range(SEEDS)
    ]
    assert sum(("length", None) in kinds(each) for each in found) >= 19


def test_one_level_throughout(tmp_path: Path) -> None:
    def constant(_: Reply, judgments: dict[str, Judgment]) -> None:
        judgments["apt"] = Judgment("apt", "scored", 4, 0.75, "Apt.")

    found = [kinds(diagnosed(tmp_path, seed, change=constant)) for seed in range(SEEDS)]
    assert sum(("constant", "apt") in each for each in found) >= 19
    assert sum(len(each) for each in found) <= SEEDS + 1  # and nothing else


def test_too_generous(tmp_path: Path) -> None:
    found = [diagnosed(tmp_path, seed, lambda _, __: 0.7, labels=True) for seed in range(SEEDS)]
    assert sum(("generous", None) in kinds(each) for each in found) >= 19
    told = [finding.numbers["over_labels_levels"].value for each in found for finding in each.findings]
    assert all(value is not None and 0.5 < value < 0.8 for value in told)


def test_too_strict_on_one_criterion(tmp_path: Path) -> None:
    found = [diagnosed(tmp_path, seed, lambda _, name: -0.8 * (name == "warm"), labels=True) for seed in range(SEEDS)]
    assert sum(("strict", "warm") in kinds(each) for each in found) >= 19


def sampled(noise: float, count: int = 3) -> Change:
    """A judge that is asked several times, and each time says what it says by chance."""

    def change(reply: Reply, judgments: dict[str, Judgment]) -> None:
        rng = random.Random(reply.id)
        for name in ORDINALS:
            criterion = RUBRIC.by_id[name]
            said = [min(5, max(1, round(reply.quality[name] + rng.gauss(0, noise)))) for _ in range(count)]
            single = [Judgment(name, "scored", level, criterion.value(level)) for level in said]
            judgments[name] = combine_samples(criterion, single)

    return change


def test_noise_decides(tmp_path: Path) -> None:
    loud = [kinds(diagnosed(tmp_path, seed, groups=16, change=sampled(8.0))) for seed in range(SEEDS)]
    assert sum(("noise", None) in each for each in loud) >= 19
    quiet = [kinds(diagnosed(tmp_path, seed, groups=16, change=sampled(0.3))) for seed in range(SEEDS // 2)]
    assert not any(quiet)


@pytest.mark.parametrize(("noise", "seeds", "least"), [(8.0, SEEDS, 19), (0.3, 8, 0)], ids=["loud", "quiet"])
def test_a_second_scoring_disagrees(tmp_path: Path, noise: float, seeds: int, least: int) -> None:
    named = 0
    for seed in range(seeds):
        world = World(seed, 80)
        one, other = (
            read_scored(write(tmp_path / "scores.jsonl", cards(world, seed=by, noise=noise))) for by in (1, 2)
        )
        named += ("noise", None) in kinds(diagnose(one, RUBRIC, against=other))
    assert named >= least
    assert least or not named


def test_the_training_judge_parts_from_its_reference(tmp_path: Path) -> None:
    """Step by step the policy learns what its judge alone likes."""
    named = 0
    for seed in range(SEEDS):
        world = World(seed)
        learnt = cards(world, lambda reply, _: 1.2 * reply.step / 50)
        scored = read_scored(write(tmp_path / "scores.jsonl", learnt))
        other = read_scored(write(tmp_path / "other.jsonl", cards(world, seed=2, judge="other")))
        found = diagnose(scored, RUBRIC, against=other)
        named += ("divergence", None) in kinds(found)
        assert len(found.detail["steps"]) == 40
    assert named >= 19


def test_two_criteria_that_are_one(tmp_path: Path) -> None:
    def copied(_: Reply, judgments: dict[str, Judgment]) -> None:
        judgments["clear"] = Judgment("clear", "scored", judgments["warm"].level, judgments["warm"].value)

    found = [diagnosed(tmp_path, seed, change=copied) for seed in range(SEEDS)]
    assert sum(("redundant", "warm") in kinds(each) for each in found) >= 19
    assert all(finding.criteria == ("clear",) for each in found for finding in each.findings)


def test_one_impression_under_many_names(tmp_path: Path) -> None:
    def halo(_: Reply, judgments: dict[str, Judgment]) -> None:
        for name in ORDINALS:
            judgments[name] = Judgment(name, "scored", judgments["warm"].level, judgments["warm"].value)

    named = sum(("few_directions", None) in kinds(diagnosed(tmp_path, seed, change=halo)) for seed in range(5))
    assert named == 5
