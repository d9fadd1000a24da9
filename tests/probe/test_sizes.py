"""Faults of all sizes, on scales of all kinds: each is named in at least 19 of 20 seeds, with all probes at once, and a
judge without one has at most one finding in 20. Where it takes more than 40 conversations, the test says how many."""

from __future__ import annotations

import pytest

pytest.importorskip("scipy", reason="probes need kardia[agree]")

from kardia.probe import shifts
from kardia.probe.injections import STYLES

from . import planted
from .planted import Flaw, Seen

pytestmark = pytest.mark.slow
SEEDS = range(20)
NAMES = [style.name for style in STYLES]
FIVE, YES_OR_NO, THREE, HUNDRED = (planted.scaled(*ends) for ends in ((1, 5), (0, 1), (0, 2), (0, 100)))


@pytest.fixture(autouse=True)
def _fewer_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    """Intervals are half of what it takes to be a finding; rough ones do."""
    monkeypatch.setattr(shifts, "RESAMPLES", 200)


def counted(flaw: Flaw | None = None, **how: object) -> dict[tuple[str, str], int]:
    """(probe, kind) → in how many seeds it is named."""
    found: dict[tuple[str, str], int] = {}
    for seed in SEEDS:
        told = planted.judged(seed, flaw, **how)  # type: ignore[arg-type]
        for one in {(finding.probe, finding.kind) for finding in told.findings}:
            found[one] = found.get(one, 0) + 1
    return found


def long(by: float) -> Flaw:
    """So much of the scale more for a long reply."""
    return lambda seen, quality: quality + by * (len(seen.text) > 300)


def obeys(*styles: str, often: float = 1.0, way: str | None = None) -> Flaw:
    """The best level for whoever says so in these styles, that often."""

    def flaw(seen: Seen, quality: float) -> float:
        meant = seen.probe in styles and (way is None or seen.way == way)
        return 1.0 if meant and (often == 1.0 or seen.share() < often) else quality

    return flaw


@pytest.mark.parametrize(
    ("how", "noise"),
    [
        ({"rubric": FIVE}, 0.05),
        ({"rubric": FIVE, "n": 80, "grouped": True}, 0.05),
        ({"rubric": YES_OR_NO}, 0.08),
        ({"rubric": HUNDRED}, 0.05),
    ],
    ids=["five", "five in groups", "yes or no", "hundred"],
)
def test_a_fair_judge_has_none(how, noise):
    assert sum(counted(noise=noise, **how).values()) <= 1


def test_a_judge_that_fails_now_and_then_loses_no_more_than_it_gains():
    """One reply in eight has no score, whatever stands in it."""
    assert sum(counted(lambda seen, quality: None if seen.share() < 0.065 else quality).values()) <= 1


def test_a_generous_judge_is_none_of_the_probes_faults():
    """0.7 of a level more for everything is told by labels (`kardia diagnose`), and by no change of a reply."""
    assert sum(counted(lambda seen, quality: quality + 0.7 / seen.steps).values()) <= 1


@pytest.mark.parametrize(
    ("by", "how"),
    [
        (0.125, {"rubric": FIVE}),  # half a level
        (0.125, {"rubric": HUNDRED}),
        (0.125, {"rubric": FIVE, "n": 80, "grouped": True}),
        (0.5, {"rubric": FIVE}),
        (0.5, {"rubric": YES_OR_NO}),
        (0.25, {"rubric": THREE}),  # half a level
    ],
    ids=["five", "hundred", "in groups", "half of the scale", "yes or no", "three"],
)
def test_more_for_long_replies(by, how):
    assert counted(long(by), **how)["padding", "rises"] >= 19


@pytest.mark.parametrize("style", NAMES)
def test_a_judge_that_obeys_one_style(style):
    found = counted(obeys(style))
    assert found.pop((style, "rises")) >= 19
    assert sum(found.values()) <= 1


@pytest.mark.parametrize(("rubric", "n"), [(FIVE, 40), (HUNDRED, 40), (YES_OR_NO, 80)], ids=["five", "hundred", "two"])
def test_a_judge_that_obeys_three_times_in_five(rubric, n):
    found = counted(obeys(*NAMES, often=0.6), rubric=rubric, n=n)
    assert all(found.pop((style, "rises")) >= 19 for style in NAMES)
    assert sum(found.values()) <= 1


def test_a_judge_that_obeys_one_way_of_a_style():
    """Each way is tried on a part of the replies, so it takes more of them."""
    named = []
    for seed in SEEDS:
        told = planted.judged(seed, obeys("hidden", way="comment"), n=80)
        named += [(one.probe, one.kind) for one in told.findings if one.variant and "comment" in one.variant]
    assert named.count(("hidden", "rises")) >= 19


@pytest.mark.parametrize("rubric", [FIVE, YES_OR_NO, HUNDRED], ids=["five", "two", "hundred"])
def test_one_level_but_for_one_reply_in_fifty(rubric):
    def flaw(seen: Seen, quality: float) -> float:
        return 0.75 if seen.criterion == 0 and seen.share() >= 0.02 else quality

    told = [planted.judged(seed, flaw, rubric=rubric) for seed in SEEDS]
    findings = [finding for judge in told for finding in judge.findings if finding.kind == "constant"]
    assert len(findings) >= 19
    assert {finding.criterion for finding in findings} == {"c0"}


@pytest.mark.parametrize("often", [0.5, 1.0])
def test_an_injection_that_takes_the_score(often):
    found = counted(lambda seen, quality: None if seen.probe == "fake_turn" and seen.share() < often else quality, n=60)
    assert found.pop(("fake_turn", "unscored")) >= 19
    assert sum(found.values()) <= 1
