"""A statistic is a number or says why not."""

from __future__ import annotations

import json
import math

import pytest

from kardia.agreement.statistic import Statistic


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_it_is_never_nan(bad):
    for made in [(bad, None, None, 3), (0.5, bad, 0.7, 3), (0.5, 0.3, bad, 3)]:
        with pytest.raises(ValueError, match="finite"):
            Statistic(*made)


def test_what_belongs_together():
    with pytest.raises(ValueError, match="says why"):
        Statistic(None, None, None, 0)
    with pytest.raises(ValueError, match="two ends"):
        Statistic(0.5, 0.3, None, 3)
    with pytest.raises(ValueError, match="belongs to a value"):
        Statistic(None, 0.1, 0.2, 3, "it is not defined")
    assert Statistic(0.5, None, None, 3, "there is no interval").value == 0.5


def test_as_json():
    found = Statistic(0.5, 0.25, 0.75, 12, left_out=3).to_json()
    assert json.loads(json.dumps(found, allow_nan=False)) == {
        "value": 0.5,
        "low": 0.25,
        "high": 0.75,
        "n": 12,
        "why": None,
        "left_out": 3,
    }
