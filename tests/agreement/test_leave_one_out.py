"""A judge beside people: by hand, on a published table, and on judges that are better, worse and alike by making."""

from __future__ import annotations

import json
import statistics
from collections import Counter

import pytest

np = pytest.importorskip("numpy", reason="agreement needs kardia[agree]")

from hypothesis import given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

from kardia.agreement.bootstrap import Bootstrap  # noqa: E402
from kardia.agreement.correlation import bias, concordance, pearson  # noqa: E402
from kardia.agreement.kappa import cohen_kappa  # noqa: E402
from kardia.agreement.leave_one_out import Beside, against_others, leave_one_out  # noqa: E402
from kardia.agreement.statistic import Statistic  # noqa: E402
from kardia.errors import InputError  # noqa: E402

from .published import ANXIETY, WINES, units  # noqa: E402

LEVELS = [1, 2, 3, 4, 5, 6]


def kappa(first, second):
    return cohen_kappa(first, second, LEVELS)


def test_kappas_of_the_r_package_irr():
    """irr: kappa2(anxiety[, 1:2]) is 0.119 and kappa2(anxiety[, 2:3]) is −0.00629: with two people, the other one is
    the reference."""
    first, second, third = ANXIETY
    found = leave_one_out(third, units([first, second]), kappa, reference="majority")
    assert round(found.raters[0].person.value, 3) == 0.119
    assert found.raters[0].judge.value == pytest.approx(-0.006289308, abs=5e-8)
    assert found.raters[1].person.value == pytest.approx(found.raters[0].person.value)
    assert found.raters[0].difference.value == pytest.approx(-0.006289308 - 0.119, abs=5e-4)
    assert [one.rater for one in found.raters] == ["1", "2"]
    assert found.together.person.n == 40


def test_the_wines_by_hand():
    """Each of three against the mean of two; the fourth as the judge, against the same means."""
    people, judge = [row[:3] for row in WINES], [row[3] for row in WINES]
    found = leave_one_out(judge, people, pearson, names=["A", "B", "C"])
    stacked = ([], [], [])
    for place, one in enumerate(found.raters):
        others = [statistics.fmean(row[:place] + row[place + 1 :]) for row in people]
        own = [row[place] for row in people]
        assert one.rater == "ABC"[place]
        assert one.person.value == pytest.approx(statistics.correlation(own, others), abs=1e-9)
        assert one.judge.value == pytest.approx(statistics.correlation(judge, others), abs=1e-9)
        assert one.difference.value == pytest.approx(one.judge.value - one.person.value, abs=1e-9)
        assert one.person.n == one.judge.n == 8
        for column, values in zip(stacked, (own, judge, others), strict=True):
            column.extend(values)
    assert found.together.person.value == pytest.approx(statistics.correlation(stacked[0], stacked[2]), abs=1e-9)
    assert found.together.judge.value == pytest.approx(statistics.correlation(stacked[1], stacked[2]), abs=1e-9)
    assert found.together.rater is None
    assert found.together.difference.low is None


def naive_rows(judge, people, reference):
    for unit, row in enumerate(people):
        for place, said in enumerate(row):
            others = [one for other, one in enumerate(row) if other != place and one is not None]
            if judge[unit] is None or said is None or not others:
                continue
            if reference == "each":
                references = others
            elif reference == "majority":
                most = Counter(others).most_common()
                references = [level for level, count in most if count == most[0][1]]
                references = references if len(references) == 1 else []
            else:
                references = [statistics.fmean(others) if reference == "mean" else statistics.median(others)]
            for one in references:
                yield said, judge[unit], one


rated = st.lists(
    st.tuples(st.sampled_from([*LEVELS, None]), st.tuples(*[st.sampled_from([*LEVELS, None])] * 3)), max_size=20
)


@settings(deadline=None)
@given(rated, st.sampled_from(["mean", "median", "majority", "each"]))
def test_by_hand_with_missing_ratings(rows, reference):
    judge, people = [one for one, _ in rows], [row for _, row in rows]
    found = leave_one_out(judge, people, concordance, reference=reference).together
    expected = list(naive_rows(judge, people, reference))
    assert found.person.n == found.judge.n == len(expected)
    for one, side in ((found.person, 0), (found.judge, 1)):
        value = concordance([row[side] for row in expected], [row[2] for row in expected]).value()
        assert one.value == (None if value is None else pytest.approx(value, abs=1e-9))
        if one.value is None:
            assert one.why


def replies(seed, judge_noise):
    """120 replies of 40 conversations with a true quality; three people and a judge see it with more or less noise."""
    chance = np.random.default_rng(seed)
    truth = np.repeat(chance.normal(0, 1, 40), 3) + chance.normal(0, 0.7, 120)
    people = truth[:, None] + chance.normal(0, 0.8, (120, 3))
    judge = truth + chance.normal(0, judge_noise, 120) if judge_noise is not None else chance.normal(0, 1, 120)
    return judge.tolist(), people.tolist(), Bootstrap([unit // 3 for unit in range(120)], resamples=300)


@pytest.mark.parametrize(
    ("judge_noise", "verdict", "most"),
    [(0.2, "better", 20), (None, "worse", 20), (0.8, "better", 2), (0.8, "worse", 2)],
)
def test_judges_made_better_worse_and_alike(judge_noise, verdict, most):
    said = []
    for seed in range(20):
        judge, people, bootstrap = replies(seed, judge_noise)
        said.append(leave_one_out(judge, people, pearson, bootstrap=bootstrap).together.verdict())
    if most == 20:
        assert said.count(verdict) >= 19
    else:
        assert said.count(verdict) <= most


def test_a_difference_has_the_interval_of_the_pair():
    judge, people, bootstrap = replies(1, 0.8)
    found = leave_one_out(judge, people, pearson, bootstrap=bootstrap)
    for one in (found.together, *found.raters):
        apart = (one.judge.high - one.judge.low) + (one.person.high - one.person.low)
        assert one.difference.low < one.difference.value < one.difference.high
        assert one.difference.high - one.difference.low < apart
    assert json.loads(json.dumps(found.to_json(), allow_nan=False))["together"]["person"]["n"] == 360


def beside(low, high):
    nothing = Statistic(0.5, None, None, 9)
    return Beside(None, nothing, nothing, Statistic(0.0, low, high, 9))


def test_verdicts():
    assert beside(0.01, 0.1).verdict() == "better"
    assert beside(-0.04, 0.1).verdict() == "open"
    assert beside(-0.04, 0.1).verdict(0.05) == "as good"
    assert beside(-0.2, -0.01).verdict(0.05) == "worse"
    assert beside(-0.04, -0.01).verdict(0.05) == "as good"
    assert beside(-0.2, 0.3).verdict(0.05) == "open"
    assert beside(None, None).verdict(0.05) == "open"
    with pytest.raises(InputError, match=r"not by -0\.1"):
        beside(0.1, 0.2).verdict(-0.1)


def test_nobody_to_compare_with():
    alone = leave_one_out([1, 2, 3], [[1], [2], [3]], pearson, bootstrap=Bootstrap("abc"))
    for one in (alone.together, *alone.raters):
        for found in (one.person, one.judge, one.difference):
            assert found.value is None
            assert "two people" in found.why
        assert one.verdict(0.1) == "open"
    nobody = leave_one_out([], [], pearson)
    assert nobody.raters == ()
    assert "two people" in nobody.together.difference.why
    apart = leave_one_out([1, 2], [[1, None], [None, 2]], pearson)
    assert "there is no unit" in apart.raters[0].person.why
    assert "a person and others" in apart.together.person.why
    split = leave_one_out([1, 2], [[1, 2, 3], [1, 2, 3]], kappa, reference="majority")
    assert split.together.person.n == 0


def test_constant_scores():
    """A judge who always says the same has no correlation, and the comparison says so; κ and bias have a value."""
    people = [row[:3] for row in WINES]
    found = leave_one_out([4] * 8, people, pearson, bootstrap=Bootstrap(range(8))).together
    assert found.judge.value is None
    assert found.difference.value is None
    assert "the first of both" in found.difference.why
    assert found.person.low is not None
    assert leave_one_out([4] * 8, people, bias).together.judge.value is not None


def test_what_is_refused():
    with pytest.raises(InputError, match="1 units and people 2"):
        leave_one_out([1], [[1, 2], [1, 2]], pearson)
    with pytest.raises(InputError, match="a place for each person"):
        leave_one_out([1, 2], [[1, 2], [1]], pearson)
    with pytest.raises(InputError, match="1 names for 2 people"):
        leave_one_out([1], [[1, 2]], pearson, names=["A"])
    with pytest.raises(InputError, match="not 'best'"):
        leave_one_out([1], [[1, 2]], pearson, reference="best")
    with pytest.raises(InputError, match="not a number"):
        leave_one_out(["no"], [["no", "yes"]], kappa, reference="mean")
    with pytest.raises(InputError, match=r"1\.5 is none of the levels"):
        leave_one_out([1], [[1, 1, 2]], kappa, reference="mean")


def test_measures_of_units_are_those_of_all_people_together():
    """They serve sums over criteria: their value and their resamples are those of `together`."""
    chance = np.random.default_rng(11)
    people = [[None if one == 6 else one for one in row] for row in chance.integers(1, 7, (40, 3)).tolist()]
    judge = chance.integers(1, 7, 40).tolist()
    for measure, reference in ((concordance, "mean"), (kappa, "majority")):
        bootstrap = Bootstrap([f"g{unit // 2}" for unit in range(40)], resamples=100)
        together = leave_one_out(judge, people, measure, reference=reference, bootstrap=bootstrap).together
        of_judge, of_people = against_others(judge, people, measure, reference)
        assert bootstrap.statistic(of_judge).to_json() | {"n": 0} == pytest.approx(together.judge.to_json() | {"n": 0})
        found = bootstrap.total([of_judge, of_people], [1.0, -1.0])
        assert found.to_json() | {"n": 0} == pytest.approx(together.difference.to_json() | {"n": 0})
        assert found.n <= 40
    assert against_others(judge, [[one] for one, *_ in people], concordance) is None
