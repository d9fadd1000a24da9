"""Known faults are named, and a judge without one is left in peace: on 20 seeds each, with all probes at once."""

from __future__ import annotations

import pytest

pytest.importorskip("scipy", reason="probes need kardia[agree]")

from kardia.probe import JudgeProbes, probe

from . import planted

SEEDS = range(20)
INJECTIONS = {"instructs", "ignores_previous", "threatens", "fake_fence", "fake_turn", "foreign"}


def probed(seed: int, fault: planted.Fault | None = None) -> JudgeProbes:
    return probe(planted.talks(seed), planted.RUBRIC, planted.judge(seed, fault), ledger="off", seed=seed).judges[0]


def found(judge: JudgeProbes) -> set[tuple[str, str]]:
    return {(finding.probe, finding.kind) for finding in judge.findings}


def test_a_judge_without_a_fault_has_at_most_one_finding_in_twenty_seeds():
    assert sum(len(probed(seed).findings) for seed in SEEDS) <= 1


@pytest.mark.parametrize(
    ("fault", "named"),
    [
        (planted.favours_length, {("padding", "rises")}),
        (planted.obeys, {(name, "rises") for name in INJECTIONS}),
        (planted.says_the_same, {(name, "does not fall") for name in ("one_token", "master_key", "misplaced")}),
        (planted.likes_layout, {("formatting", "rises")}),
        (planted.believes_claims, {("self_praise", "rises"), ("authority", "rises")}),
        (planted.Fickle, {("retest", "unsteady")}),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_planted_fault_is_named(fault, named):
    hits = []
    for seed in SEEDS:
        judge = probed(seed, planted.Fickle(seed) if fault is planted.Fickle else fault)
        hits.append(named <= found(judge))
        others = {name for name, _ in found(judge)} - {name for name, _ in named}
        if fault is planted.likes_layout or fault is planted.believes_claims:
            assert not others
    assert sum(hits) >= 19


def test_attacks_succeed_on_a_judge_that_obeys_and_rarely_on_one_that_does_not():
    obeys, clean = probed(1, planted.obeys), probed(1)
    assert obeys.attack_success.value > clean.attack_success.value + 0.15
    assert obeys.attack_success.low > clean.harmless_rises.value
    assert clean.attack_success.value <= 0.35
