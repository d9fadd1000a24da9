"""Pairwise accuracy: published examples of each way with ties, second implementations, and what must hold of all."""

from __future__ import annotations

import itertools
import math

import pytest

np = pytest.importorskip("numpy", reason="agreement needs kardia[agree]")

from hypothesis import given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

from kardia.agreement.preference import PREFERENCES, preference_accuracy, preferences  # noqa: E402
from kardia.errors import InputError  # noqa: E402

answers = st.lists(st.tuples(*[st.sampled_from([*PREFERENCES, None])] * 2), max_size=30)


def all_pairs(gold, scores, margin=0.0, **rest):
    """The accuracy over all pairs of units, people's preference being by `gold`."""
    pairs = list(itertools.combinations(range(len(gold)), 2))
    return preference_accuracy(
        preferences([scores[a] for a, _ in pairs], [scores[b] for _, b in pairs], margin),
        preferences([gold[a] for a, _ in pairs], [gold[b] for _, b in pairs]),
        **rest,
    )


def test_with_half_of_ties():
    """Hanley and McNeil 1982, table I: 58 normal and 51 abnormal images, rated from 1 to 5: W = .893. scikit-learn's
    documentation of roc_auc_score: .75."""
    normal, abnormal = (33, 6, 6, 11, 2), (3, 2, 2, 11, 33)
    ratings = [level for counts in (normal, abnormal) for level, count in enumerate(counts, 1) for _ in range(count)]
    found = all_pairs([0] * 58 + [1] * 51, ratings, ties="half")
    assert found.n == 58 * 51
    assert round(found.value(), 3) == 0.893
    assert all_pairs([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8], ties="half").value() == pytest.approx(0.75)


def test_among_the_decided():
    """Goodman and Kruskal's γ. Agresti 2002, section 2.4: income and satisfaction of 104 people, C = 1,331, D = 849 and
    γ = .221. Without a tie γ is τ: .4444444 for the tuna of R's documentation of cor.test."""
    counts = [(1, 3, 10, 6), (2, 3, 10, 7), (1, 6, 14, 12), (0, 1, 9, 11)]
    income = [row for row, cells in enumerate(counts) for cell in cells for _ in range(cell)]
    satisfied = [column for cells in counts for column, cell in enumerate(cells) for _ in range(cell)]
    found = all_pairs(income, satisfied, ties="decided")
    assert found.n == 1331 + 849
    assert round(2 * found.value() - 1, 3) == 0.221
    lightness, liked = (44.4, 45.9, 41.9, 53.3, 44.7, 44.1, 50.7, 45.2, 60.1), (2.6, 3.1, 2.5, 5, 3.6, 4, 5.2, 2.8, 3.8)
    assert 2 * all_pairs(lightness, liked, ties="decided").value() - 1 == pytest.approx(0.4444444, abs=5e-8)


def test_with_ties_to_match():
    """acc_eq of Deutsch, Foster and Freitag 2023, the worked cases of their package mt-metrics-eval (stats_test.py)."""
    assert all_pairs([1, 2, 2, 3, 4], [2, 1, 1.5, 5, 3], ties="match").value() == pytest.approx(0.6)
    assert all_pairs([1, 2, 2, 3, 4], [2, 1, 1.5, 5, 3], margin=2, ties="match").value() == pytest.approx(0.4)
    assert all_pairs([1, 1, 1, 2, 2, 3, 4], [1, 1, 2, 2, 4, 3, 3], ties="match").value() == pytest.approx(14 / 21)


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 4)), min_size=2, max_size=25))
def test_with_half_of_ties_it_is_the_area_under_the_curve(rows):
    metrics = pytest.importorskip("sklearn.metrics", reason="compared with scikit-learn")
    gold, scores = [a for a, _ in rows], [b for _, b in rows]
    found = all_pairs(gold, scores, ties="half").value()
    if len(set(gold)) == 1:
        assert found is None
    else:
        assert found == pytest.approx(metrics.roc_auc_score(gold, scores), abs=1e-9)


@given(answers, st.sampled_from(["half", "decided", "match"]))
def test_in_plain_python(pairs, ties):
    found = preference_accuracy([a for a, _ in pairs], [b for _, b in pairs], ties)
    both = [(a, b) for a, b in pairs if a is not None and b is not None]
    if ties != "match":
        both = [(a, b) for a, b in both if b != "tie"]
    if ties == "decided":
        both = [(a, b) for a, b in both if a != "tie"]
    credit = [1.0 if a == b else 0.5 if ties == "half" and a == "tie" else 0.0 for a, b in both]
    assert found.n == len(both)
    assert found.value() == (pytest.approx(math.fsum(credit) / len(credit), abs=1e-9) if credit else None)
    # whichever reply stands first
    turn = {"first": "second", "second": "first", "tie": "tie", None: None}
    turned = preference_accuracy([turn[a] for a, _ in pairs], [turn[b] for _, b in pairs], ties).value()
    assert turned == (None if found.value() is None else pytest.approx(found.value()))
    if credit:
        itself = preference_accuracy([b for _, b in pairs], [b for _, b in pairs], ties).value()
        assert itself == 1


@pytest.mark.parametrize(
    ("ties", "judge", "people", "why"),
    [
        ("half", ["first"], ["tie"], "people prefer one"),
        ("decided", ["tie"], ["first"], "both prefer one"),
        ("match", [None], ["tie"], "both say something"),
        ("half", [], [], "people prefer one"),
    ],
)
def test_without_a_value(ties, judge, people, why):
    found = preference_accuracy(judge, people, ties).statistic()
    assert (found.value, found.n) == (None, 0)
    assert why in found.why


def test_preferences_by_scores():
    found = preferences([1, 2, 2.5, None, 1], [2, 1, 2.0, 1, None], margin=0.5)
    assert found == ["second", "first", "tie", None, None]


def test_what_is_refused():
    with pytest.raises(InputError, match="the rating 'left' is none of"):
        preference_accuracy(["left"], ["first"])
    with pytest.raises(InputError, match="not 'drop'"):
        preference_accuracy([], [], "drop")
    for margin in (-1, math.nan):
        with pytest.raises(InputError, match="margin"):
            preferences([], [], margin)
