"""What several people say together, and what a cell says on a scale."""

from __future__ import annotations

import statistics

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from making import binary, choice, criterion, ordinal

from kardia.agreement.consensus import consensus
from kardia.agreement.names import Names
from kardia.agreement.scale import Scale, scale_from_data, scale_of
from kardia.agreement.sheets import Card, Judge, RubricOf, Sheets
from kardia.errors import InputError

WARM, BLAMES, TONE = (scale_of(criterion(made)) for made in (ordinal("warm"), binary("blames"), choice("tone")))


@pytest.mark.parametrize(
    ("scale", "said", "level"),
    [
        (WARM, (1, 2, 5), 2),
        (WARM, (1, 5), 3),
        (WARM, (2, 3), 3),
        (WARM, (3, 4), 3),
        (WARM, (4, 5), 5),
        (WARM, (3.4,), 3),
        (WARM, (None, None), None),
        (BLAMES, ("no", "yes", "yes"), "yes"),
        (BLAMES, ("no", "yes"), None),
        (BLAMES, (0.4,), "no"),
        (BLAMES, (0.5,), None),
        (BLAMES, ("no", 0.9), "no"),
        (TONE, ("warm", "cold", "cold"), "cold"),
        (TONE, ("warm", "cold", None), None),
    ],
)
def test_the_level_of_several_people(scale, said, level):
    found = consensus([said], scale)
    assert found.levels == (level,)
    assert found.split == (level is None and any(one is not None for one in said))


@settings(max_examples=50)
@given(st.lists(st.integers(1, 5), min_size=1, max_size=7))
def test_the_median_is_near_the_ratings_and_does_not_depend_on_their_order(said):
    found = consensus([said], WARM)
    assert consensus([sorted(said)], WARM) == found
    assert abs(found.levels[0] - statistics.median(said)) <= 0.5
    assert found.numbers[0] == pytest.approx(statistics.fmean(said))
    mirrored = consensus([[6 - one for one in said]], WARM)
    assert mirrored.levels[0] == 6 - found.levels[0]
    majority = consensus([said], WARM, "majority").levels[0]
    counts = {level: said.count(level) for level in said}
    most = [level for level, count in counts.items() if count == max(counts.values())]
    assert majority == (most[0] if len(most) == 1 else None)


@pytest.mark.parametrize(
    ("scale", "value", "read"),
    [
        (WARM, 4, 4),
        (WARM, "4", 4),
        (WARM, 4.0, 4),
        (WARM, "3.5", 3.5),
        (WARM, "n/a", None),
        (WARM, None, None),
        (BLAMES, "Yes", "yes"),
        (BLAMES, False, "no"),
        (BLAMES, 0.25, 0.25),
        (TONE, "WARM", "warm"),
        (TONE, "", None),
    ],
)
def test_what_a_cell_says(scale, value, read):
    assert scale.read(value, "column", "key") == read


@pytest.mark.parametrize(
    ("scale", "value"), [(WARM, 0), (WARM, 5.5), (WARM, "good"), (BLAMES, 2), (TONE, 1), (TONE, "x")]
)
def test_what_is_not_on_the_scale(scale, value):
    with pytest.raises(InputError, match="is no level of key; its scale has") as problem:
        scale.read(value, "column", "key")
    assert problem.value.key == "column"


def test_scales_of_what_was_said():
    assert scale_from_data([2, "4", 3.5, None]) == Scale("ordinal", (2, 3, 4), known=False)
    assert scale_from_data(["yes", True, ""]) == Scale("binary", ("no", "yes"), known=False)
    assert scale_from_data(["warm", "Cold", "WARM"]) == Scale("choice", ("Cold", "warm"), known=False)
    assert scale_from_data([1, 5_000]).kind == "choice"
    assert scale_from_data(["n/a", None]) is None
    assert (WARM.width, BLAMES.position("yes"), WARM.values[5]) == (4, 1, 1.0)


def test_the_last_part_of_a_name_is_enough_where_it_is_clear():
    sheets = Sheets("f")
    sheets.rubrics["r@1.0.0"] = RubricOf("r@1.0.0", "h")
    said = {"a.warm": ("scored", 1), "b.clear": ("scored", 1), "c.clear": ("scored", 1)}
    sheets.by_judge[Judge("j", "h")] = {"r@1.0.0": {"x": Card("x", None, 1, None, said)}}
    names = Names(sheets)
    assert names.keys("warm") == names.keys("a.warm") == names.keys("r.a.warm") == ("r.a.warm",)
    assert names.keys("nothing") == ()
    with pytest.raises(InputError, match=r"say which, r\.b\.clear or r\.c\.clear"):
        names.keys("clear")
    with pytest.raises(InputError, match=r"r@1\.0\.0 has no criterion 'xyz'; it has a\.warm, b\.clear, c\.clear"):
        names.one("xyz")
