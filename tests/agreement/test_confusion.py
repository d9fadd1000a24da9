"""Base rates and confusion tables."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kardia.agreement.confusion import base_rates, confusion
from kardia.errors import InputError

from .published import ANXIETY, DISORDERS, FOUR, RADIOLOGISTS, rated, scale, units

LEVELS = ["no", "unsure", "yes"]


def test_the_published_tables():
    """Cohen 1968, table 1: margins .60, .30, .10 and .50, .30, .20 of 200; Boyd et al. 1982: 85 xeromammograms."""
    for counts in (DISORDERS, RADIOLOGISTS):
        found = confusion(*rated(counts), scale(counts))
        assert [list(row) for row in found.counts] == counts
        assert found.n == sum(map(sum, counts))
    first, second = rated(DISORDERS)
    assert base_rates(units([first]), [1, 2, 3]).shares == (0.6, 0.3, 0.1)
    assert base_rates(units([second]), [1, 2, 3]).shares == (0.5, 0.3, 0.2)


def test_the_marginals_of_krippendorffs_example():
    """Krippendorff 2011, example C: of 40 pairable values 9, 13, 10, 5 and 3; unit 12 is a fourth 3 that is single."""
    assert base_rates(units(FOUR), [1, 2, 3, 4, 5]).counts == (9, 13, 11, 5, 3)


def test_who_always_says_the_commonest():
    found = base_rates(units(ANXIETY), range(1, 7))
    assert found.n == 60
    assert sum(found.shares) == pytest.approx(1)
    assert found.commonest == max(found.shares)
    assert found.to_json()["counts"] == list(found.counts)


def test_what_is_missing_is_in_no_cell():
    found = confusion(["no", None, "yes", "yes"], ["no", "no", None, "unsure"], LEVELS)
    assert found.counts == ((1, 0, 0), (0, 0, 0), (0, 1, 0))
    assert found.to_json() == {"levels": LEVELS, "counts": [[1, 0, 0], [0, 0, 0], [0, 1, 0]], "n": 2}


def test_nothing():
    empty = base_rates([[None, None]], LEVELS)
    assert (empty.counts, empty.n, empty.shares, empty.commonest) == ((0, 0, 0), 0, None, None)
    assert confusion([], [], LEVELS).n == 0


def test_no_level():
    with pytest.raises(InputError, match="the rating 'maybe' is none of the levels 'no', 'unsure', 'yes'"):
        base_rates([["maybe"]], LEVELS)
    with pytest.raises(InputError, match="maybe"):
        confusion(["maybe"], [None], LEVELS)
    with pytest.raises(InputError, match="not 1 and 0"):
        confusion(["no"], [], LEVELS)


@given(st.lists(st.tuples(*[st.sampled_from([*LEVELS, None])] * 2)))
def test_rows_and_columns(pairs):
    first, second = [a for a, _ in pairs], [b for _, b in pairs]
    found = confusion(first, second, LEVELS)
    both = [pair for pair in pairs if None not in pair]
    assert found.n == len(both)
    assert tuple(map(sum, found.counts)) == base_rates([[a] for a, _ in both], LEVELS).counts
    assert tuple(map(sum, zip(*found.counts, strict=True))) == base_rates([[b] for _, b in both], LEVELS).counts
    assert confusion(second, first, LEVELS).counts == tuple(zip(*found.counts, strict=True))
