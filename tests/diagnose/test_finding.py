"""How a claim becomes a finding."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kardia.agreement.statistic import Statistic
from kardia.diagnose.finding import ALPHA, KINDS, Claim, Finding, Record, confirmed, listed, share, tail

stats = pytest.importorskip("scipy.stats", reason="diagnosis needs kardia[agree]")


def finding(kind: Any = "length", criterion: str | None = None, severity: Any = "medium") -> Finding:
    return Finding(kind, criterion, {}, 10, severity, "It is so.", "Do this.")


def record(*claims: Claim) -> Record:
    made = Record()
    made.claims += claims
    return made


@given(st.integers(1, 300), st.data())
@settings(max_examples=30, deadline=None)
def test_a_share_has_wilson_s_interval(n: int, data: st.DataObject) -> None:
    count = data.draw(st.integers(0, n))
    told, other = share(count, n), stats.binomtest(count, n).proportion_ci(method="wilson")
    assert (told.low, told.high) == pytest.approx((other.low, other.high), abs=1e-9)


def test_a_share_of_nothing_says_why() -> None:
    assert share(0, 0, "there is none") == Statistic(None, None, None, 0, "there is none")


def test_holm_goes_on_until_one_fails() -> None:
    ps = [ALPHA / 3.01, ALPHA / 2.01, ALPHA * 1.01]
    claims = [Claim(finding(criterion=f"c{place}"), p, True) for place, p in enumerate(ps)]
    assert [each.criterion for each in confirmed(record(*claims))] == ["c0", "c1"]
    # the second fails, and takes the third with it
    claims = [Claim(finding(criterion=f"c{place}"), p, True) for place, p in enumerate([0.0, ALPHA * 0.6, ALPHA * 0.7])]
    assert [each.criterion for each in confirmed(record(*claims))] == ["c0"]


def test_a_small_effect_is_no_finding_however_certain() -> None:
    assert confirmed(record(Claim(finding(), 0.0, False))) == ()


def test_a_claim_about_the_score_takes_in_those_about_criteria() -> None:
    claims = [Claim(finding(criterion=name), 0.0, True) for name in (None, "a", "b")]
    claims.append(Claim(finding("noise", "a"), 0.0, True))
    found = confirmed(record(*claims))
    assert [(each.kind, each.criterion, each.criteria) for each in found] == [
        ("length", None, ("a", "b")),
        ("noise", "a", ()),
    ]


def test_what_is_taken_in_does_not_become_harmless() -> None:
    claims = [Claim(finding(), 0.0, True), Claim(finding(criterion="a", severity="high"), 0.0, True)]
    assert [(each.severity, each.criteria) for each in confirmed(record(*claims))] == [("high", ("a",))]


def test_many_criteria_take_nothing_from_the_score() -> None:
    """Each kind weighs the same, once over all and once by criterion."""
    many = [Claim(finding("redundant", f"c{place}"), 1.0, True) for place in range(500)]
    whole = Claim(finding("length"), ALPHA / 2.01, True)
    assert [each.kind for each in confirmed(record(*many, whole))] == ["length"]
    # too generous and too strict are one question, whichever way the answers fall: each of two has half of its weight
    for p, holds in ((ALPHA / 4.01, True), (ALPHA / 3.9, False)):
        off = [Claim(finding("generous", "a"), p, True), Claim(finding("strict", "b"), 1.0, True)]
        assert bool(confirmed(record(*off, *many))) is holds


def test_the_weightiest_come_first() -> None:
    made = record(Claim(finding(severity="low"), 0.0, True))
    made.certain += [finding("constant", "a", "high"), finding("unscored", "b", "medium")]
    assert [each.severity for each in confirmed(made)] == ["high", "medium", "low"]


def test_a_tail_is_of_the_bound_s_near_side() -> None:
    certain, at_it, inside = (Statistic(value, value - 0.1, value + 0.1, 50) for value in (0.6, 0.2, 0.0))
    assert [tail(each, 0.2, 30) for each in (certain, at_it)] == pytest.approx([0.0, 1.0], abs=1e-6)
    assert tail(inside, 0.2, 30) == 1.0
    assert tail(Statistic(-0.6, -0.7, -0.5, 50), 0.2, 30) == tail(certain, 0.2, 30)
    assert tail(certain, 0.2, 4) is None
    assert tail(Statistic(0.6, None, None, 50), 0.2, 30) is None
    assert tail(Statistic(1.0, 1.0, 1.0, 50), 0.2, 30) == 0.0
    assert tail(Statistic(0.1, 0.1, 0.1, 50), 0.2, 30) == 1.0


def test_fewer_groups_are_less_certain() -> None:
    told = Statistic(0.4, 0.2, 0.6, 50)
    ps = [tail(told, 0.1, groups) for groups in (5, 20, 100)]
    assert ps == sorted(ps, reverse=True)


def test_every_kind_is_explained() -> None:
    assert all(KINDS.values())
    assert listed(["a"]) == "a"
    assert listed(["a", "b", "c"]) == "a, b and c"
