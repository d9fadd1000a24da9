"""The stratified sample."""

from __future__ import annotations

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from kardia.report.sample import chosen

STRATA = st.lists(st.sampled_from("abc"), min_size=1, max_size=60)


@settings(max_examples=60, deadline=None)
@given(STRATA, st.integers(1, 70), st.integers(0, 3))
def test_every_stratum_has_its_share(strata, most, seed):
    found = chosen(strata, most, seed)
    if len(strata) <= most:
        assert found is None
        return
    assert len(found) == most == len(set(found))
    assert found == sorted(found) == chosen(strata, most, seed)
    whole, taken = Counter(strata), Counter(strata[place] for place in found)
    for stratum, size in whole.items():
        assert taken[stratum] <= size
        if most >= len(whole):
            assert taken[stratum] >= 1
        assert abs(taken[stratum] - size * most / len(strata)) < len(whole) + 1


def test_another_seed_takes_others():
    assert chosen("a" * 1000, 10, 0) != chosen("a" * 1000, 10, 1)


def test_the_rare_kind_is_there():
    assert 500 in chosen(["a"] * 500 + ["b"] + ["a"] * 500, 10)
