"""Ratings at the door: what is a level, what is missing, what is refused."""

from __future__ import annotations

import importlib.util
import math

import pytest

np = pytest.importorskip("numpy", reason="agreement needs kardia[agree]")

from kardia.agreement.ratings import codes, needs_numpy, numbers, paired, places, positions  # noqa: E402
from kardia.errors import InputError, MissingExtra  # noqa: E402


def test_codes():
    assert codes([("no", None), ("yes", "no")], ["no", "yes"]).tolist() == [[0, -1], [1, 0]]
    assert codes([(np.int64(3), 3.0)], [1, 3]).tolist() == [[1, 1]]
    assert codes([], [1]).shape == (0, 0)
    assert codes([[], []], [1]).shape == (2, 0)


def test_numbers():
    found = numbers([(1, None), (2.5, 3)])
    assert found[0, 0] == 1.0
    assert math.isnan(found[0, 1])
    assert found[1].tolist() == [2.5, 3.0]


def test_levels_that_are_numbers_stand_for_themselves():
    assert positions([1, 2, 5]).tolist() == [1.0, 2.0, 5.0]
    assert positions(["no", "yes"]).tolist() == [0.0, 1.0]
    assert positions(["a", 2, "c"]).tolist() == [0.0, 1.0, 2.0]


@pytest.mark.parametrize("bad", ["high", math.nan, math.inf, [1]])
def test_what_is_no_number(bad):
    with pytest.raises(InputError, match="missing rating is None"):
        numbers([(1, bad)])


def test_what_does_not_fit():
    with pytest.raises(InputError, match="the rating 7 is none of the levels 1, 2"):
        codes([(1, 7)], [1, 2])
    with pytest.raises(InputError, match="not 1 here and 2 there"):
        codes([(1, 1), (1,)], [1, 2])
    with pytest.raises(InputError, match="not 2 here and 3 there"):
        numbers([(1, 1), (1, 2, 3)])
    with pytest.raises(InputError, match="not 2 and 1"):
        paired([1, 2], [1])
    for scale in ([], [1, 1], ["a", "b", "a"]):
        with pytest.raises(InputError, match="each of them once"):
            places(scale)


def test_without_numpy(monkeypatch):
    needs_numpy("counting")
    known = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "scipy" else known(name))
    with pytest.raises(MissingExtra, match=r"^counting needs .*pip install 'kardia\[agree\]'"):
        needs_numpy("counting")
