"""Scorecards beside labels: every form of both, what is left out, and what is planted is found."""

from __future__ import annotations

import json
import math
import random
import statistics
from collections import Counter

import pytest

np = pytest.importorskip("numpy", reason="agreement needs kardia[agree]")
pytest.importorskip("scipy", reason="agreement needs kardia[agree]")

from hypothesis import given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402
from making import make, ordinal  # noqa: E402

import kardia  # noqa: E402
from kardia.agreement.figures import FIGURES  # noqa: E402
from kardia.errors import InputError  # noqa: E402

from .planted import RUBRIC, card, planted, wide, write_csv, write_jsonl  # noqa: E402


def agree(cards, labels, **more):
    more = {"rubric": RUBRIC, "resamples": 0, **more}
    return kardia.agree(cards, labels, **more)


def one(cards, labels, **more):
    (judge,) = agree(cards, labels, **more).judges
    return judge


def values(found):
    return {name: figure.value for name, figure in found.statistics.items()}


def is_finite(data):
    """No NaN and no infinity anywhere in a JSON value."""
    if isinstance(data, dict):
        return all(map(is_finite, data.values()))
    if isinstance(data, list):
        return all(map(is_finite, data))
    return not isinstance(data, float) or math.isfinite(data)


def test_by_hand():
    """Four units of one criterion; κ of the table by hand, as in Cohen 1960."""
    cards = [card("a", warm=1), card("b", warm=2), card("c", warm=2), card("d", warm=5), card("e", warm=4)]
    labels = [{"id": own, "criterion": "warm", "level": level} for own, level in zip("abcd", (1, 2, 3, 4), strict=True)]
    judge = one(cards, labels)
    found = judge["warm"]
    assert (found.n, found.kind, found.levels, found.scale_known) == (4, "ordinal", (1, 2, 3, 4, 5), True)
    assert values(found)["exact"] == 0.5
    assert values(found)["within_one"] == 1
    by_chance = (1 * 1 + 2 * 1) / 16
    assert values(found)["kappa"] == pytest.approx((0.5 - by_chance) / (1 - by_chance))
    assert values(found)["bias"] == pytest.approx(0)
    assert values(found)["spearman"] == pytest.approx(3 / math.sqrt(10))
    assert found.base_rate == 0.25
    assert found.confusion.counts[1] == (0, 1, 1, 0, 0)
    assert {name: count for name, count in found.counts.items() if count} == {"scored": 4, "unlabelled": 1}
    assert judge.unlabelled == ("cold", "blames", "tone")
    assert list(found.statistics) == list(FIGURES)
    assert judge.overall["exact"].statistic.value == 0.5


def test_what_is_planted_is_found():
    cards, labels = planted(bias=1)
    found = kardia.agree(cards, labels, rubric=RUBRIC, resamples=300)
    (judge,) = found.judges
    warm = judge["warm"].statistics
    assert warm["bias"].low < 0.8 < warm["bias"].high
    assert warm["generosity"].value == pytest.approx(warm["bias"].value / 4)
    assert judge["cold"].statistics["bias"].low < 0 < judge["cold"].statistics["bias"].high
    assert judge["cold"].statistics["weighted_kappa"].value > 0.8 > judge["warm"].statistics["exact"].value
    assert judge.groups == 40
    assert judge["tone"].statistics["bias"].why == "the options of a choice have no order"
    assert judge["tone"].statistics["weighted_kappa"] == judge["tone"].statistics["kappa"]
    assert judge["blames"].statistics["alpha"] == judge["blames"].statistics["alpha_nominal"]
    # the judge errs by nothing, and people do: better than a person, but where it is a level too high
    assert judge["cold"].beside_people.together.verdict() == "better"
    assert judge["warm"].beside_people.together.verdict() == "worse"
    mean = judge.beside_people
    parts = [each.beside_people.together.difference.value for each in judge.criteria]
    assert mean.difference.value == pytest.approx(statistics.fmean(parts))
    assert mean.difference.low < mean.difference.value < mean.difference.high
    assert json.loads(json.dumps(found.to_json(), allow_nan=False)) == found.to_json()


def test_generosity_is_kinder_whatever_end_is_good():
    cards = [card(str(number), cold=1, warm=5, blames="no", tone="warm") for number in range(6)]
    labels = [{"id": str(number), "cold": 3, "warm": 3, "blames": "yes", "tone": "neutral"} for number in range(6)]
    judge = one(cards, labels)
    assert {each.name: each.statistics["generosity"].value for each in judge.criteria} == {
        "warm": 0.5,
        "cold": 0.5,
        "blames": 1.0,
        "tone": 0.5,
    }
    assert values(judge["cold"])["bias"] == -2
    assert judge.overall["generosity"].statistic.value == 0.625
    assert "different numbers of levels" in judge.overall["bias"].statistic.why


@pytest.fixture(scope="module")
def forms(tmp_path_factory):
    """One set of labels in every form."""
    folder = tmp_path_factory.mktemp("forms")
    cards, labels = planted(40, raters="ABC")
    labels = [label for number, label in enumerate(labels) if number % 7]
    (folder / "planted.yaml").write_text(_yaml())
    found = {
        "long.csv": write_csv(folder / "long.csv", labels),
        "wide.csv": write_csv(folder / "wide.csv", wide(labels)),
        "long.jsonl": write_jsonl(folder / "long.jsonl", labels),
        "wide.jsonl": write_jsonl(folder / "wide.jsonl", wide(labels)),
        "levels.jsonl": write_jsonl(folder / "levels.jsonl", _nested(wide(labels))),
    }
    return folder, cards, labels, found


def _nested(rows):
    return [
        {
            "id": row["id"],
            "annotator": row["rater"],
            "levels": {f"planted.{key}": value for key, value in row.items() if key not in ("id", "rater")},
        }
        for row in rows
    ]


def _yaml():
    return json.dumps(RUBRIC.canonical())


def test_every_form_of_labels_says_the_same(forms):
    _, cards, labels, files = forms
    expected = agree(cards, labels, resamples=20).to_json()["judges"]
    assert all(each["raters"] == ["A", "B", "C"] for each in expected[0]["criteria"])
    for name, path in files.items():
        assert agree(cards, path, resamples=20).to_json()["judges"] == expected, name


def test_parquet_says_the_same(forms):
    pyarrow = pytest.importorskip("pyarrow", reason="Parquet needs kardia[parquet]")
    from pyarrow import parquet

    folder, cards, labels, _ = forms
    text = [{**label, "level": str(label["level"])} for label in labels]
    parquet.write_table(pyarrow.Table.from_pylist(text), folder / "labels.parquet")
    rows = [
        {
            **row,
            "criteria": [
                (key, {"status": one["status"], "level": None if one["level"] is None else str(one["level"])})
                for key, one in row["criteria"].items()
            ],
            "provenance": json.dumps(row["provenance"]),
        }
        for row in cards
    ]
    judgment = pyarrow.struct([("status", pyarrow.string()), ("level", pyarrow.string())])
    schema = pyarrow.schema(
        [
            *((name, pyarrow.string()) for name in ("id", "group", "rubric", "judge", "provenance")),
            ("score", pyarrow.float64()),
            ("criteria", pyarrow.map_(pyarrow.string(), judgment)),
        ]
    )
    parquet.write_table(pyarrow.Table.from_pylist(rows, schema=schema), folder / "cards.parquet")
    found = agree(folder / "cards.parquet", folder / "labels.parquet")
    assert found.to_json()["judges"] == agree(cards, labels).to_json()["judges"]


@settings(max_examples=15, deadline=None)
@given(st.randoms(use_true_random=False), st.sets(st.integers(0, 59)), st.sets(st.integers(0, 9)))
def test_joins(chance, dropped, unscored):
    """Whatever is missing on either side, and in whatever order it comes, the pairs are those that are there."""
    cards, labels = planted(10, raters="AB", seed=5)
    labels = [label for number, label in enumerate(labels) if number not in dropped]
    for number in unscored:
        cards[number]["criteria"]["warm"] = {"status": "unscored", "level": None}
    cards = [each for each in cards if each["id"] not in ("c3", "c7")]
    warm = {each["id"]: each["criteria"]["warm"]["level"] for each in cards}
    said = {}
    for label in labels:
        if label["criterion"] == "warm":
            said.setdefault(label["id"], []).append(label["level"])
    shuffled = chance.sample(labels, len(labels))
    judge = one(cards, shuffled)
    found = judge["warm"] if said else None
    pairs = [(warm[own], given) for own, given in said.items() if warm.get(own) is not None]
    if found is not None:
        assert found.n == len(pairs)
        assert found.counts["without_card"] == len(said.keys() & {"c3", "c7"})
        assert found.counts.get("unscored", 0) == sum(own in warm and warm[own] is None for own in said)
        assert sum(found.counts.values()) == len(said.keys() | warm.keys())
        if pairs:
            gaps = [level - statistics.fmean(given) for level, given in pairs]
            assert values(found)["bias"] == pytest.approx(statistics.fmean(gaps))
        assert found.people.n == sum(len(given) for _, given in pairs)
    assert agree(cards, labels).to_json()["judges"] == agree(cards, shuffled).to_json()["judges"]
    assert is_finite(agree(cards, labels, resamples=10).to_json())


def test_what_is_unscored_is_left_out_and_counted_unless_it_is_to_count():
    cards = [
        card("a", warm=4, blames="no"),
        card("b", blames="no"),
        card("c", warm="abstained", blames="no"),
        card("d", warm="not_applicable", blames="no"),
    ]
    labels = [{"id": own, "warm": 4, "blames": "no"} for own in "abcd"]
    found = one(cards, labels)["warm"]
    assert found.n == 1
    assert found.coverage.value == pytest.approx(1 / 3)
    assert {name for name, count in found.counts.items() if count == 1} == {
        "scored",
        "unscored",
        "abstained",
        "not_applicable",
    }
    filled = one(cards, labels, unscored_as=["1"])["warm"]
    assert filled.n == 3
    assert values(filled)["bias"] == pytest.approx(-2)
    assert filled.coverage.value == pytest.approx(1 / 3)
    assert one(cards, labels, unscored_as=["warm=1"])["warm"].n == 3
    for wrong, words in (
        (["7"], "is a level of none"),
        (["warn=1"], "did you mean 'warm'"),
        (["blames=1.5"], "is a level of none"),
    ):
        with pytest.raises(InputError, match=words) as problem:
            agree(cards, labels, unscored_as=wrong)
        assert problem.value.file == "--unscored-as"


DEGENERATE = {
    "one class": ([1, 1, 1], [[1], [1], [1]]),
    "a constant judge": ([3, 3, 3], [[1], [3], [5]]),
    "constant people": ([1, 3, 5], [[3], [3], [3]]),
    "one unit": ([2], [[2]]),
    "nothing by the judge": ([None, None], [[1], [2]]),
    "one rater and another of one": ([1, 2], [[1, None], [2, 3]]),
    "two who never meet": ([1, 2], [[1, None], [None, 2]]),
}


@pytest.mark.parametrize("name", DEGENERATE)
def test_degenerate_data_have_a_defined_answer_and_a_reason(name):
    judge, people = DEGENERATE[name]
    cards = [card(str(number), warm=level) for number, level in enumerate(judge)]
    labels = [
        {"id": str(number), "rater": f"r{place}", "warm": level}
        for number, row in enumerate(people)
        for place, level in enumerate(row)
    ]
    found = agree(cards, labels, resamples=50)
    assert is_finite(found.to_json())
    figures = {"coverage": found.judges[0]["warm"].coverage, **found.judges[0]["warm"].statistics}
    figures |= {f"mean {name}": mean.statistic for name, mean in found.judges[0].overall.items()}
    for figure in figures.values():
        assert (figure.value is None) <= bool(figure.why)
    if name == "one class":
        assert figures["exact"].value == 1
        assert "chance explains all agreement" in figures["kappa"].why
        assert figures["mean kappa"].why == "no criterion has this figure"
    if name == "two who never meet":
        assert found.judges[0]["warm"].beside_people.together.difference.value is None
        assert found.judges[0].beside_people is None
    assert "_repr" not in found._repr_html_()


def test_consensus_of_several_people():
    cards = [card("a", warm=2, blames="yes"), card("b", warm=3, blames="no")]
    rows = [("a", 1, "yes"), ("a", 2, "yes"), ("a", 5, "no"), ("b", 2, "no"), ("b", 3, "yes")]
    labels = [
        {"id": own, "rater": f"r{number}", "warm": warm, "blames": blames}
        for number, (own, warm, blames) in enumerate(rows)
    ]
    judge = one(cards, labels)
    assert judge["warm"].confusion.counts[1][1] == 1  # the median of 1, 2 and 5
    assert judge["warm"].confusion.counts[2][2] == 1  # between 2 and 3: to the even place
    assert judge["warm"].between == 1
    assert (judge["blames"].n, judge["blames"].split) == (1, 1)
    assert values(judge["warm"])["bias"] == pytest.approx(statistics.fmean([2 - 8 / 3, 3 - 2.5]))
    majority = one(cards, labels, consensus="majority")["warm"]
    assert (majority.n, majority.split) == (0, 2)


def test_numbers_between_levels():
    """A column of means, as some data sets give it."""
    cards = [card("a", warm=4, blames="no"), card("b", warm=2, blames="yes"), card("c", warm=1, blames="no")]
    labels = [{"id": "a", "warm": 3.5, "blames": 0.25}, {"id": "b", "warm": 2.25, "blames": 0.5}, {"id": "c"}]
    judge = one(cards, labels)
    assert values(judge["warm"])["bias"] == pytest.approx((0.5 - 0.25) / 2)
    assert judge["warm"].confusion.counts[1][1] == 1
    assert (judge["blames"].n, judge["blames"].split) == (1, 1)
    with pytest.raises(InputError, match=r"5\.5 is no level of planted\.warm; its scale has 1, 2, 3, 4, 5"):
        one(cards, [{"id": "a", "warm": 5.5}])


def test_a_judge_beside_another_judge():
    cards, _ = planted(30)
    others = [json.loads(json.dumps(each)) for each in cards]
    for number, each in enumerate(others):
        each["judge"] = each["provenance"]["judge"]["name"] = "other"
        each["provenance"]["judge"]["hash"] = "sha256:other"
        if number % 5 == 0:
            each["criteria"]["blames"]["level"] = "no"
    judge = one(cards, others)
    assert judge["warm"].raters == ("other",)
    assert values(judge["warm"])["exact"] == 1
    assert values(judge["blames"])["exact"] < 1
    assert judge.scores[0].statistics["concordance"].value == 1
    third = [{**each, "judge": "third"} for each in others]
    both = agree([*cards, *third], others)
    assert [each.judge for each in both.judges] == ["j", "third"]
    assert values(both.judges[1]["blames"])["exact"] == 1


def test_an_overall_rating():
    cards, _ = planted(30)
    chance = random.Random(1)
    labels = [
        {
            "id": each["id"],
            "rater": rater,
            "overall": 1 + round(4 * each["score"]) - (rater == "B") * chance.randint(0, 1),
        }
        for each in cards
        for rater in "AB"
    ]
    labels = [{**row, "overall": max(row["overall"], 1)} for row in labels]
    (score,) = one(cards, labels).scores
    assert (score.n, score.raters) == (30, ("A", "B"))
    assert 0.8 < score.statistics["spearman"].value < 1
    assert "--range" in score.statistics["bias"].why
    (ranged,) = one(cards, labels, span=(1, 5)).scores
    means = {
        each["id"]: statistics.fmean(row["overall"] for row in labels if row["id"] == each["id"]) for each in cards
    }
    gaps = [each["score"] - (means[each["id"]] - 1) / 4 for each in cards]
    assert ranged.statistics["bias"].value == pytest.approx(statistics.fmean(gaps))
    assert (score.measure, ranged.measure) == ("pearson", "concordance")
    with pytest.raises(InputError, match="the overall rating 1 is none from 2 to 5"):
        one(cards, labels, span=(2, 5))
    renamed = [{"id": row["id"], "who": row["rater"], "stars": row["overall"]} for row in labels]
    (other,) = one(cards, renamed, overall="stars", rater="who").scores
    assert other == score


def test_preferences():
    scores = {"a": 0.9, "b": 0.2, "c": 0.5, "d": 0.5, "e": None}
    cards = [card(own, score=score, group=own if own in "de" else "g") for own, score in scores.items()]
    chosen = [{"chosen": "a", "rejected": "b"}, {"chosen": "b", "rejected": "c"}, {"chosen": "c", "rejected": "d"}]
    (found,) = one(cards, [*chosen, {"chosen": "e", "rejected": "a"}]).preferences
    assert (found.pairs, found.unscored, found.ties, found.people_ties) == (4, 1, 1, 0)
    assert found.statistics["accuracy"].value == pytest.approx(0.5)
    assert found.statistics["decided"].value == 0.5
    assert found.coverage.value == 0.75
    rows = [
        {"id_a": "a", "id_b": "b", "preferred": "a"},
        {"id_a": "b", "id_b": "c", "preferred": 1},
        {"id_a": "d", "id_b": "c", "preferred": "B"},
        {"id_a": "a", "id_b": "d", "preferred": "tie"},
        {"id_a": "a", "id_b": "e", "preferred": None},
    ]
    (other,) = one(cards, rows).preferences
    assert (other.pairs, other.people_ties, other.ties) == (4, 1, 1)
    assert other.statistics["accuracy"] == found.statistics["accuracy"]
    assert other.statistics["match"].value == 0.25
    (wide_tie,) = one(cards, chosen, tie=0.35).preferences
    assert wide_tie.ties == 2
    assert (
        agree(cards, chosen, resamples=20)
        .judges[0]
        .preferences[0]
        .statistics["accuracy"]
        .why.startswith("there is no interval: all units are of one group")
    )


WRONG = [
    ([{"id": "a", "criterion": "warn", "level": 1}], "no criterion 'warn'; did you mean 'warm'", "criterion"),
    ([{"id": "a", "warmm": 1}], "no criterion 'warmm'; did you mean 'warm'", "warmm"),
    ([{"id": "a", "warm": 9}], r"9 is no level of planted\.warm; its scale has 1, 2, 3, 4, 5", "warm"),
    ([{"id": "a", "warm": 1}, {"id": "a", "warm": 2}], "second label of planted.warm .* line 1; with several", "warm"),
    ([{"id": "a", "warm": 1, "rater": "A"}, {"id": "a", "warm": 2, "rater": "A"}], "label by A of planted", "warm"),
    ([{"warm": 1}], "is missing: a label says which conversation", "id"),
    ([{"id": True, "warm": 1}], "must be the id of a conversation", "id"),
    ([{"id": "a", "criterion": "warm"}], "is missing: beside 'criterion'", "level"),
    ([{"id": "a", "rating": "good"}], "'good' is no number", "rating"),
    ([{"id": "a", "rating": 1}, {"id": "a", "rating": 1}], "second overall rating", "rating"),
    ([{"chosen": "a", "rejected": "a"}], "compares 'a' with itself", "rejected"),
    ([{"chosen": "a", "rejected": "b"}, {"chosen": "b", "rejected": "a"}], "second comparison", "rejected"),
    ([{"chosen": [], "rejected": "b"}], "must be the id", "chosen"),
    ([{"id_a": "a", "id_b": "b"}], "is missing: it says which", "preferred"),
    ([{"id_a": "a", "id_b": "b", "preferred": "x"}], "'x' is neither a, b, tie", "preferred"),
    ([], "holds no labels", None),
    ([{"id": "a", "note": "x"}], "has no column of a criterion; there are note", None),
    ([{"id": "a", "criterion": "other", "level": 1}], "holds no label of a criterion", None),
    ([{"id": "conversation-9", "warm": 1}], "none of its 1 conversations .* mean 'conversation-1'", None),
]


@pytest.mark.parametrize(("labels", "words", "key"), WRONG, ids=range(len(WRONG)))
def test_what_is_wrong_with_labels_is_said_with_its_place(tmp_path, labels, words, key):
    cards = [card("a", warm=1), card("b", warm=2), card("conversation-1", warm=3)]
    path = write_jsonl(tmp_path / "labels.jsonl", labels)
    with pytest.raises(InputError, match=words) as problem:
        agree(cards, path)
    assert problem.value.file == str(path)
    assert problem.value.key == key
    assert problem.value.line == (len(labels) if key else None)


def test_what_is_left_out_is_said():
    cards = [card("exam-good", warm=1), card("b", warm=2), card("c", warm=2)]
    labels = [
        {"id": "exam-god", "criterion": "warm", "level": 1},
        {"id": "b", "criterion": "warm", "level": 1},
        {"id": "b", "criterion": "elsewhere", "level": "x"},
    ]
    found = agree(cards, labels)
    assert found.notes == (
        "the labels: 1 labels of 'elsewhere' have no scores, and are left out",
        "1 conversation with labels has no scorecard; it is 'exam-god'; did you mean 'exam-good'?",
        "2 scored conversations have no label",
    )
    noted = agree(cards, [{"id": "b", "warm": 1, "remark": "fine"}])
    assert "the labels: 1 column is no criterion of the scorecards: 'remark' (left out)" in noted.notes


def test_several_rubrics_and_judges():
    other = make(ordinal("warm", 1, 3), ordinal("clear"), name="other")
    cards = [card("a", warm=1), card("b", warm=5), card("a", other, warm=3, clear=2), card("b", other, warm=1, clear=2)]
    cards += [card("a", judge="k", warm=2), card("b", judge="k", warm=2)]
    with pytest.raises(InputError, match=r"several rubrics: say which, other\.warm or planted\.warm"):
        agree(cards, [{"id": "a", "warm": 1}], rubric=[RUBRIC, other])
    labels = [{"id": "a", "planted.warm": 1, "other.warm": 3, "clear": 2}, {"id": "b", "planted.warm": 5}]
    found = agree(cards, labels, rubric=[RUBRIC, other])
    assert [judge.judge for judge in found.judges] == ["j", "k"]
    assert [each.name for each in found.judges[0].criteria] == ["planted.warm", "other.warm", "clear"]
    assert [each.name for each in found.judges[1].criteria] == ["planted.warm"]
    assert found.judges[0]["other.warm"].levels == (1, 2, 3)
    alone = agree(cards, [{"id": "a", "warm": 1}], rubric=RUBRIC)
    assert [each.name for each in alone.judges[0].criteria] == ["warm"]
    assert "2 scorecards are of other rubrics, and are left out" in alone.notes
    with pytest.raises(InputError, match=r"holds no scorecard of other@1\.0\.0; it holds those of planted@1\.0\.0"):
        agree([card("a", warm=1)], [{"id": "a", "warm": 1}], rubric=other)


def test_one_question_of_two_rubrics_has_one_name():
    twin = make(ordinal("warm"), name="twin")
    cards = [card("a", warm=1), card("a", twin, warm=2)]
    found = one(cards, [{"id": "a", "warm": 1}], rubric=[RUBRIC, twin])
    assert [each.key for each in found.criteria] == ["planted.warm", "twin.warm"]


def test_a_rubric_that_is_not_there():
    """Levels are then those that were given, and it is said."""
    cards = [card("a", warm=2, blames="no", tone="warm"), card("b", warm=4, blames="yes", tone="cold")]
    labels = [
        {"id": "a", "warm": 1, "blames": "no", "tone": "Warm"},
        {"id": "b", "warm": 4, "blames": "no", "tone": "x"},
    ]
    found = kardia.agree(cards, labels, resamples=0)
    (judge,) = found.judges
    assert found.notes[0].startswith("the rubric planted@1.0.0 cannot be found here: levels are those")
    assert [(each.kind, each.levels, each.scale_known) for each in judge.criteria] == [
        ("ordinal", (1, 2, 3, 4), False),
        ("binary", ("no", "yes"), False),
        ("choice", ("cold", "warm", "x"), False),
    ]
    assert judge["tone"].statistics["exact"].value == 0.5
    assert "which end of the scale is good" in judge["warm"].statistics["generosity"].why
    changed = [card("a", digest="sha256:old", warm=1), card("b", digest="sha256:old", warm=2)]
    stated = agree(changed, [{"id": "a", "warm": 1}])
    assert (
        stated.notes[0]
        == "the content of planted@1.0.0 has changed since it scored; its scales are taken as they are now"
    )
    assert stated.judges[0]["warm"].levels == (1, 2, 3, 4, 5)


@pytest.mark.parametrize(
    ("change", "words", "key"),
    [
        ({"id": None}, "is no scorecard", "id"),
        ({"criteria": "x"}, "is no scorecard", "criteria"),
        ({"provenance": "{"}, "is no scorecard", "provenance"),
        ({"provenance": {}}, "does not say by what", "provenance.rubric"),
        ({"score": 2}, r"is no score in \[0, 1\]", "score"),
        ({"criteria": {"warm": {"status": "scored", "level": None}}}, "is no judgment", "criteria.warm"),
        ({"criteria": {"warm": {"status": "scored", "level": 9}}}, "9 is no level", "criteria.warm.level"),
        ({"criteria": {"warm": {"status": "scored", "level": 2.5}}}, "2.5 is no level", "criteria.warm.level"),
        ({"id": "a"}, "was there before, in line 1, by the same rubric and judge", "id"),
        ({"rubric": "planted@2.0.0"}, "planted@1.0.0 and planted@2.0.0: say which with --rubric", "rubric"),
    ],
)
def test_what_is_wrong_with_scorecards_is_said_with_its_place(tmp_path, change, words, key):
    path = write_jsonl(tmp_path / "cards.jsonl", [card("a", warm=1), {**card("b", warm=1), **change}])
    with pytest.raises(InputError, match=words) as problem:
        kardia.agree(path, [{"id": own, "warm": 1} for own in "ab"], rubric=() if key == "rubric" else RUBRIC)
    assert (problem.value.file, problem.value.line, problem.value.key) == (str(path), 2, key)


def test_a_real_scored_file(tmp_path):
    """The fake judge's cards, as objects and as a file, beside people who agree with it on two of three levels."""
    conversations = [
        {"id": f"t{n}", "context": f"It is {n} o'clock.", "response": f"So it is, {n}."} for n in range(30)
    ]
    cards = list(kardia.score_many(conversations, "supportiveness", "fake", ledger="off"))
    path = write_jsonl(tmp_path / "cards.jsonl", [each.to_json() for each in cards])
    rubric = kardia.load_rubric("supportiveness")
    labels = []
    for number, each in enumerate(cards):
        row = {"id": each.id}
        for criterion in rubric.criteria:
            level = each.criteria[criterion.id].level
            away = next(other for other in criterion.levels if other != level)
            row[criterion.id] = level if number % 3 else away
        labels.append(row)
    found = kardia.agree(cards, labels, resamples=20)
    assert found.notes == ()
    assert found.to_json()["judges"] == kardia.agree(path, labels, resamples=20).to_json()["judges"]
    (judge,) = found.judges
    assert [each.name for each in judge.criteria] == [criterion.id for criterion in rubric.criteria]
    assert all(each.statistics["exact"].value == pytest.approx(2 / 3) for each in judge.criteria)
    counts = Counter(len(each.raters) for each in judge.criteria)
    assert counts == {1: len(rubric.criteria)}


def test_as_pandas_and_in_a_notebook():
    cards, labels = planted(20)
    found = agree(cards, [*labels, {"id": "c0", "criterion": "overall", "level": 3}], resamples=20)
    html = found._repr_html_()
    assert html.startswith("<table>")
    assert html.count("<tr>") == 1 + 4 + 1 + 1
    cards[0]["judge"] = "<script>"
    assert "<script>" not in agree(cards, labels)._repr_html_()
    pandas = pytest.importorskip("pandas")
    frame = found.to_pandas()
    assert isinstance(frame, pandas.DataFrame)
    assert list(frame["what"]) == ["criterion"] * 4 + ["mean", "score"]
    row = frame[frame["name"] == "warm"].iloc[0]
    warm = found.judges[0]["warm"].statistics["kappa"]
    assert (row["kappa"], row["kappa_low"], row["kappa_high"]) == (warm.value, warm.low, warm.high)


def test_without_pandas_there_is_a_sentence(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pandas", None)
    cards, labels = planted(5)
    with pytest.raises(InputError, match="pip install pandas"):
        agree(cards, labels).to_pandas()
