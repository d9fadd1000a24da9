"""Data on which figures are not defined: through `kardia.agree`, every figure is a number, or says why it is none."""

from __future__ import annotations

import json
import math

import pytest

np = pytest.importorskip("numpy", reason="agreement needs kardia[agree]")
pytest.importorskip("scipy", reason="agreement needs kardia[agree]")

import kardia  # noqa: E402
from kardia.agreement.figures import FIGURES  # noqa: E402
from kardia.errors import InputError  # noqa: E402

from .planted import RUBRIC, card  # noqa: E402

HIGH = {"warm": 5, "cold": 3, "blames": "yes", "tone": "warm"}
LOW = {"warm": 1, "cold": 1, "blames": "no", "tone": "cold"}
NONE = dict.fromkeys(HIGH)
MIXED = [
    {"warm": 1 + n % 5, "cold": 5 - n % 5, "blames": ("no", "yes")[n % 2], "tone": ("warm", "neutral", "cold")[n % 3]}
    for n in range(6)
]


def cards(rows, score=lambda number: 0.5):
    return [card(f"c{n}", group=f"g{n // 2}", score=score(n), **row) for n, row in enumerate(rows)]


def labels(rows, raters="A", overall=lambda number: 3):
    return [
        {"id": f"c{n}", "rater": rater, "overall": overall(n), **row} for n, row in enumerate(rows) for rater in raters
    ]


def by_another_judge(rows):
    judge = {"name": "other", "hash": "sha256:other"}
    return [each | {"judge": "other", "provenance": each["provenance"] | {"judge": judge}} for each in cards(rows)]


def varied(number):
    return 1 + number % 5


CASES = {
    "one class": (cards([HIGH] * 6), labels([HIGH] * 6)),
    "one class, two raters": (cards([HIGH] * 6), labels([HIGH] * 6, "AB")),
    "a constant judge": (cards([HIGH] * 6), labels(MIXED, overall=varied)),
    "a constant judge, two raters": (cards([HIGH] * 6), labels(MIXED, "AB", overall=varied)),
    "constant people": (cards(MIXED, lambda n: n / 6), labels([HIGH] * 6)),
    "constant people, two raters": (cards(MIXED, lambda n: n / 6), labels([HIGH] * 6, "AB")),
    "two constants": (cards([HIGH] * 6), labels([LOW] * 6)),
    "nothing by the judge": (cards([NONE] * 6, lambda n: None), labels(MIXED)),
    "nothing by the judge, two raters": (cards([NONE] * 6, lambda n: None), labels(MIXED, "AB")),
    "all abstained": (cards([dict.fromkeys(HIGH, "abstained")] * 6), labels(MIXED)),
    "nothing applies": (cards([dict.fromkeys(HIGH, "not_applicable")] * 6), labels(MIXED)),
    "one row": (cards([HIGH]), labels([HIGH])),
    "one row, two raters": (cards([HIGH]), labels([LOW], "AB")),
    "two who never meet": (cards(MIXED[:2]), [{"id": "c0", "rater": "A", **LOW}, {"id": "c1", "rater": "B", **HIGH}]),
    "a judge beside itself": (cards([HIGH] * 6), by_another_judge([HIGH] * 6)),
    "pairs, the judge tied": (cards([HIGH] * 6), [{"chosen": "c0", "rejected": "c2"}]),
    "pairs, people tied": (cards(MIXED, lambda n: n / 6), [{"id_a": "c0", "id_b": "c2", "preferred": "tie"}]),
    "pairs without scores": (cards(MIXED, lambda n: None), [{"chosen": "c0", "rejected": "c2"}]),
}


def statistics_in(data, path=""):
    """Every figure of a JSON value, with its place; fails where there is NaN or an infinity."""
    if isinstance(data, dict):
        if data.keys() >= {"value", "low", "high", "n", "why"}:
            yield path, data
        for key, each in data.items():
            yield from statistics_in(each, f"{path}.{key}")
    elif isinstance(data, list):
        for place, each in enumerate(data):
            yield from statistics_in(each, f"{path}[{place}]")
    else:
        assert not isinstance(data, float) or math.isfinite(data), path


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("resamples", [0, 30])
@pytest.mark.parametrize("span", [None, (1, 5)])
def test_every_figure_is_a_number_or_says_why_not(name, resamples, span):
    scores, said = CASES[name]
    found = kardia.agree(scores, said, rubric=RUBRIC, resamples=resamples, span=span)
    figures = dict(statistics_in(json.loads(json.dumps(found.to_json(), allow_nan=False))))
    assert len(figures) > (2 if name.startswith("pairs") else len(FIGURES))
    for path, figure in figures.items():
        if figure["value"] is None:
            assert figure["why"], path
            assert figure["low"] is figure["high"] is None, path
        elif figure["low"] is None and resamples:
            assert figure["why"], path
    assert "nan" not in found._repr_html_().lower()


def test_which_figures_there_are():
    """A figure that could be given is: a reason is no way out."""

    def of(name, criterion="warm"):
        scores, said = CASES[name]
        (judge,) = kardia.agree(scores, said, rubric=RUBRIC, resamples=0).judges
        return {key for key, figure in judge[criterion].statistics.items() if figure.value is not None}

    correlations = {"spearman", "kendall", "pearson"}
    intraclass = {"icc_2_1", "icc_3_1", "icc_2_k", "icc_3_k"}
    chance = {"kappa", "kappa_linear", "kappa_quadratic", "weighted_kappa"}
    alphas = {"alpha_nominal", "alpha_ordinal", "alpha_interval", "alpha"}
    assert of("one class") == set(FIGURES) - correlations - intraclass - chance - alphas - {"concordance"}
    assert of("one row") == of("one class")
    assert of("a constant judge") == of("constant people") == set(FIGURES) - correlations
    assert of("two constants") == set(FIGURES) - correlations - {"icc_3_1", "icc_3_k"}
    assert of("one class", "tone") == {"exact", "ac1", "generosity"}
    for name in ("nothing by the judge", "all abstained", "nothing applies"):
        assert of(name) == set()


def test_the_reason_says_whose_numbers_do_not_differ():
    def why(name):
        (judge,) = kardia.agree(*CASES[name], rubric=RUBRIC, resamples=0, span=(1, 5)).judges
        found = {judge["warm"].statistics[key].why for key in ("spearman", "kendall", "pearson")}
        found |= {score.statistics[key].why for score in judge.scores for key in ("spearman", "kendall", "pearson")}
        return found

    assert why("a constant judge") == {"the judge gives every unit the same number"}
    assert why("constant people") == {"the mean of people's ratings gives every unit the same number"}
    assert why("two constants") == {"each of both gives every unit the same number"}


@pytest.mark.parametrize("name", ["one class, two raters", "a constant judge", "nothing applies", "one row"])
def test_no_figure_is_nan_without_a_reason_in_pandas(name):
    pytest.importorskip("pandas")
    frame = kardia.agree(*CASES[name], rubric=RUBRIC, resamples=30).to_pandas()
    frame = frame[frame["what"].isin(["criterion", "mean"])]
    assert frame["kappa"].isna().any() or name == "a constant judge"
    for key in (*FIGURES, "coverage"):
        for place in (key, f"{key}_low"):
            reasons = frame.loc[frame[place].isna(), f"{key}_why"]
            assert all(isinstance(why, str) and why for why in reasons), place


EMPTY = [
    ([{"id": "a", "warm": None, "cold": ""}, {"id": "b", "warm": float("nan")}], "warm, cold are empty in every row"),
    ([{"id": "a", "warm": None, "remark": "late"}], "holds no label: warm is empty in every row"),
    ([{"id": "a", "criterion": "warm", "level": ""}], "no row says a level, or which of two is better"),
    ([{"id_a": "a", "id_b": "b", "preferred": None}], "no row says a level, or which of two is better"),
    ([], "holds no labels"),
]


@pytest.mark.parametrize(("said", "words"), EMPTY, ids=range(len(EMPTY)))
def test_no_label_at_all(said, words):
    with pytest.raises(InputError, match=words):
        kardia.agree([card("a", warm=1), card("b", warm=2)], said, rubric=RUBRIC)


def test_no_scorecard_at_all():
    with pytest.raises(InputError, match="holds no scorecards"):
        kardia.agree([], labels([HIGH]), rubric=RUBRIC)
