"""What other commands wrote, as sections: from their real results."""

from __future__ import annotations

import copy
import json

import pytest

from kardia.errors import InputError
from kardia.report import plots
from kardia.report.plots import write_plots
from kardia.report.report import survey
from kardia.report.sections import read_sections
from kardia.report.sections.blocks import figure, interval_row, intervals, lines, number, sentence, table
from kardia.report.sections.bound import Bound
from kardia.report.tally import Tally

from .cardfile import HASHES, RUBRIC, calibration, card, judgment, mixed, write

pytest.importorskip("scipy")
KEY = RUBRIC.criteria[0].id
HERE = Bound(frozenset([HASHES["rubric"]]), frozenset([HASHES["judge"]]))
ELSEWHERE = Bound(frozenset([HASHES["rubric"]]), frozenset(["sha256:other"]))


def blocks(section, kind):
    """Those of a kind, however deep they lie."""
    found = []
    for block in section["blocks"]:
        found += [block] if block["type"] == kind else []
        found += blocks(block, kind) if "blocks" in block else []
    return found


def told(files, name):
    return json.loads(files[name].read_text("utf-8"))


def saved(tmp_path, data):
    path = tmp_path / "x.json"
    path.write_text(json.dumps(data), "utf-8")
    return path


def test_agreement(files):
    (section,) = read_sections(agree=files["agree"])
    (judge,) = told(files, "agree")["judges"]
    (criterion,) = judge["criteria"]
    kappa = criterion["statistics"]["weighted_kappa"]
    (chart,) = blocks(section, "intervals")
    assert [row["value"] for row in chart["rows"]] == [kappa["value"]]
    first = blocks(section, "table")[0]
    assert first["rows"][0][:2] == [KEY, criterion["n"]]
    captions = " ".join(one["caption"] for one in blocks(section, "table"))
    assert "Every figure" in captions
    assert "a person, each beside the other people" in captions
    assert f"Weighted κ with people is {figure(kappa)}" in section["gist"]
    (levels,) = [one for one in blocks(section, "table") if one["shaded"]]
    assert [row[1:] for row in levels["rows"]] == criterion["confusion"]["counts"]
    (uncounted,) = [one for one in blocks(section, "table") if one["caption"].startswith("Labelled")]
    assert uncounted["rows"][0][:2] == [KEY, criterion["counts"]["unscored"]]


def test_agreement_says_where_a_judge_is_worse_than_a_person(files, tmp_path):
    data = told(files, "agree")
    criterion = data["judges"][0]["criteria"][0]
    less = copy.deepcopy(criterion)
    less["name"] = "worse"
    less["statistics"]["weighted_kappa"] |= {"value": -0.5, "low": -0.6, "high": -0.4}
    less["statistics"]["spearman"] |= {"value": None, "low": None, "high": None, "why": "one level was given"}
    for one, ends in ((criterion, (0.05, 0.4)), (less, (-0.4, -0.05))):
        one["beside_people"]["together"]["difference"] |= {"low": ends[0], "high": ends[1]}
    data["judges"][0]["criteria"].append(less)
    together = data["judges"][0]["beside_people"]
    together["judge"]["value"], together["person"]["value"] = 0.4, 0.6
    together["difference"] |= {"low": -0.3, "high": -0.1}
    (section,) = read_sections(agree=saved(tmp_path, data))
    (chart,) = blocks(section, "intervals")
    assert [(row["name"], row["warn"]) for row in chart["rows"]] == [
        (KEY, False),
        ("worse", True),
        ("mean of criteria", False),
    ]
    said = " ".join(one["text"] for one in blocks(section, "text"))
    assert "It is worse than a person on worse" in said
    assert f"It is better than a person on {KEY}" in said
    assert "reaches 0.40 where a person reaches 0.60: on the mean of the criteria the judge agrees" in section["gist"]
    assert "lowest on worse, −0.50" in section["gist"]
    (why,) = [one for one in blocks(section, "table") if one["caption"].startswith("Why")]
    assert ["worse", "one level was given"] in why["rows"]
    (beside,) = [one for one in blocks(section, "table") if "beside the other people" in one["caption"]]
    assert [row[5] for row in beside["rows"]] == ["better", "worse", "worse"]


def test_diagnosis(files):
    (section,) = read_sections(diagnose=files["diagnose"])
    findings = told(files, "diagnose")["findings"]
    found = blocks(section, "finding")
    assert findings
    shown = [(block["severity"], block["todo"], one) for block in found for one in block["items"]]
    assert sorted(shown) == sorted((each["severity"], sentence(each["advice"]), each["sentence"]) for each in findings)
    matters = [(block["title"], block["todo"], block["severity"]) for block in found]
    assert len(matters) == len(set(matters))
    assert section["gist"].startswith(f"{len(findings)} finding")
    assert blocks(section, "table")


def test_probes(files):
    (section,) = read_sections(probe=files["probe"])
    judge = told(files, "probe")["judges"][0]
    assert [row["name"] for row in blocks(section, "intervals")[0]["rows"]] == ["padding", "one_token"]
    assert len(blocks(section, "finding")) == len(judge["findings"])
    assert f"of {judge['attack_success']['n']} attacks succeed" in section["gist"]
    main = blocks(section, "table")[0]
    assert [row[2] for row in main["rows"]] == [one["cases"] - one["low"] for one in judge["results"]]


def test_findings_of_probes_are_sentences(files, tmp_path):
    data = told(files, "probe")
    second = copy.deepcopy(data["judges"][0])
    second["judge"], second["provenance"]["hash"] = "second", HASHES["judge"]
    one = {"probe": "padding", "kind": "rises", "severity": "high", "sentence": "the score rises", "advice": "say so"}
    second["findings"] = [one]
    data["judges"].append(second)
    data["rubric"]["hash"] = HASHES["rubric"]
    (section,) = read_sections(probe=saved(tmp_path, data), bound=HERE)
    assert [block["text"] for block in blocks(section, "heading")] == [
        "Judge fake, which did not make these scores",
        "Judge second",
    ]
    found = [block for block in blocks(section, "finding") if block["title"] == "padding"][-1]
    assert (found["items"], found["todo"], found["severity"]) == (["The score rises."], "Say so.", "high")
    marked = [row["name"] for row in blocks(section, "intervals")[1]["rows"] if row["warn"]]
    assert marked == ["padding"]
    assert section["gist"].startswith("second: 1 certain fault: padding.")  # of the judge of these scores alone


def test_comparison(files):
    (section,) = read_sections(compare=files["compare"], bound=HERE)
    (compared,) = told(files, "compare")["comparisons"]
    assert not blocks(section, "finding")
    assert (
        "The scores of this report are A's. They have 39 conversations in common" in blocks(section, "text")[0]["text"]
    )
    score = compared["score"]["difference"]
    assert f"B scores higher than A, by {figure(score, 3, signed=True)}" in section["gist"]
    (chart,) = blocks(section, "intervals")
    assert [row["value"] for row in chart["rows"]] == [
        score["value"],
        *(one["difference"]["value"] for one in compared["criteria"].values()),
    ]
    means = blocks(section, "table")[0]
    assert means["rows"][0][:4] == ["score", score["n"], number(compared["score"]["first"], 3), means["rows"][0][3]]
    assert [row[0] for row in means["rows"]] == ["score", *compared["criteria"]]
    (moved,) = blocks(section, "sides")
    assert [item["id"] for item in moved["items"]] == [one["id"] for one in compared["moved"]]
    for item, one in zip(moved["items"], compared["moved"], strict=True):
        assert [row["criterion"] for row in item["rows"]] == [each["criterion"] for each in one["criteria"]]
        for row, each in zip(item["rows"], one["criteria"], strict=True):
            assert row["sides"][1] == {"level": each["second"]["level"], "words": each["second"]["reason"]}
    assert any("Only in A: 1 conversation: talk-00039" in one["text"] for one in blocks(section, "text"))


def test_a_comparison_of_other_scores_says_so(files, tmp_path):
    (section,) = read_sections(compare=files["compare"], bound=ELSEWHERE)
    (found,) = blocks(section, "finding")
    assert "Neither A nor B" in found["items"][0]
    data = told(files, "compare")
    again = copy.deepcopy(data["comparisons"][0])
    again["first"]["rubric"] = again["second"]["rubric"] = "odd@1.0.0"
    again["score"]["difference"] |= {"value": None, "low": None, "high": None, "why": "nothing is scored"}
    again |= {"vetoes": {"safe": {"newly": 2, "no_longer": 0}}, "criteria_second": ["new"], "same_text": None}
    again["gaps"] = [{**again["moved"][0], "id": "gap", "second": None, "difference": None, "same_text": False}]
    again["gaps"][0]["criteria"] = [{**again["moved"][0]["criteria"][0], "first": None}]
    data["comparisons"].append(again)
    (section,) = read_sections(compare=saved(tmp_path, data), bound=HERE)
    assert len(blocks(section, "heading")) == 2
    said = [one["text"] for one in blocks(section, "text")]
    assert "Nothing can be said of the score: nothing is scored." in said
    assert "Only in B: the criteria new." in said
    (vetoes,) = [one for one in blocks(section, "table") if one["caption"].startswith("Vetoes of odd")]
    assert vetoes["rows"] == [["safe", 2, 0]]
    gap = blocks(section, "sides")[-1]["items"][0]
    assert gap["title"].endswith("→ no score")
    assert gap["notes"] == ["another reply"]
    assert gap["rows"][0]["sides"][0] is None


def test_calibration(tmp_path):
    path = saved(tmp_path, calibration())
    (section,) = read_sections(calibration=path, bound=HERE)
    assert not blocks(section, "finding")
    assert section["gist"] == f"It corrects 1 of 2 criteria: {KEY}."
    errors, levels = blocks(section, "table")[:2]
    assert errors["rows"] == [
        [KEY, "isotonic", 40, "0.100", "0.020", "0.050", "−0.020 [−0.030,\u00a0−0.010]"],
        ["same", "stays as it is", 40, "0.100", "", "0.050", ""],
    ]
    assert levels["rows"] == [[KEY, "0.60", "0.70", "+0.10", "0.00"]]
    corrected, same = blocks(section, "lines")
    assert corrected["series"] == {"before": [[0.2, 0.3, 10], [0.8, 0.7, 30]], "after": [[0.3, 0.3, 40]]}
    assert same["series"] == {"as it is": [[0.2, 0.3, 10], [0.8, 0.7, 30]]}
    assert corrected["beside"]["rows"][0] == ["before", "0.20", "0.30", 10]
    assert blocks(section, "fold")[0]["blocks"][0]["blocks"] == [same]
    assert any(["demeans", "it is a requirement"] in one["rows"] for one in blocks(section, "table"))


def test_a_calibration_of_something_else_is_stale(tmp_path):
    path = saved(tmp_path, calibration())
    (section,) = read_sections(calibration=path, bound=ELSEWHERE)
    (stale,) = blocks(section, "finding")
    assert "another judge" in stale["items"][0]
    assert "stale" in section["gist"]
    (section,) = read_sections(calibration=path, bound=Bound(frozenset(["sha256:x"]), HERE.judges))
    (stale,) = blocks(section, "finding")
    assert "another rubric" in stale["items"][0]
    only = calibration()
    del only["criteria"][KEY], only["left_out"]["demeans"]
    (section,) = read_sections(calibration=saved(tmp_path, only))
    assert section["gist"].startswith("It corrects none of 1 criterion")


def test_what_made_the_scores(tmp_path):
    """With a calibration, the judge behind it is known too."""
    made = card("c2")
    under = {"calibration": {"applied": True, "judge_hash": "sha256:under"}}
    made["provenance"] = {**made["provenance"], **under, "judge": {"name": "j", "hash": "sha256:over"}}
    from kardia.report.cards import read_cards

    tally = Tally()
    for one in read_cards(write(tmp_path / "s.jsonl", [card("c1"), made])):
        tally.add(one)
    bound = Bound.of(tally)
    assert bound == Bound(HERE.rubrics, HERE.judges | {"sha256:over"}, frozenset(["sha256:under"]))
    (text,) = bound.remarks("The agreement", HERE.rubrics, ["sha256:under"], "Again.")
    assert "before" not in text["text"]
    assert text["text"].endswith("The scores here are after its calibration.")
    assert list(bound.remarks("The agreement", HERE.rubrics, ["sha256:over", "sha256:who"], "Again.")) == []


@pytest.mark.parametrize(("kind", "what"), [("agree", "agreement"), ("probe", "probes"), ("diagnose", "diagnosis")])
def test_what_is_of_another_judge_or_rubric_says_so(files, kind, what):
    (section,) = read_sections(**{kind: files[kind]}, bound=Bound(frozenset(["sha256:x"]), HERE.judges))
    first = section["blocks"][0]
    assert (first["type"], first["severity"]) == ("finding", "high")
    assert what in first["items"][0]
    assert "another rubric" in first["items"][0]
    assert section["gist"].startswith(first["items"][0])
    (section,) = read_sections(**{kind: files[kind]}, bound=ELSEWHERE)
    assert "another judge" in section["gist"]


@pytest.mark.parametrize("kind", ["agree", "probe", "diagnose", "compare", "calibration"])
@pytest.mark.parametrize("text", ["{}", "[]", "nonsense", '{"judges": [{}], "notes": [], "findings": [3]}'])
def test_another_file_is_refused(tmp_path, kind, text):
    path = tmp_path / "x.json"
    path.write_text(text, "utf-8")
    with pytest.raises(InputError) as caught:
        read_sections(**{kind: path})
    assert caught.value.file == str(path)


def test_a_figure():
    assert figure({"value": -0.001, "low": -0.25, "high": 0.1}) == "0.00 [−0.25,\u00a00.10]"
    assert figure({"value": 0.001, "low": -0.25, "high": 0.1}, signed=True) == "0.00 [−0.25,\u00a0+0.10]"
    assert figure({"value": None, "low": None, "high": None}) is None
    assert figure(None) is None


def test_plots_are_drawn_twice(tmp_path, monkeypatch):
    pytest.importorskip("matplotlib")
    monkeypatch.setattr(plots, "DOTS", 40)
    odd = card("c2", criteria={"$x_1$ <b>": judgment("yes", 1.0)}, rubric="odd@1.0.0")
    scores = write(tmp_path / "s.jsonl", [*mixed(20), odd])
    rows = [interval_row("a", {"value": 0.5, "low": 0.4, "high": 0.6}, warn=True)]
    none = interval_row("b", {"value": None, "low": None, "high": None})
    beside = table("t", ("a",), [])
    made = [
        {
            "id": "odd",
            "blocks": [
                intervals("A & κ", [*rows, none], zero=0, marked="worse"),
                intervals("nothing", [none]),
                lines("C", {"one": [[0, 1], [1, 2]], "two": [[0, 2]]}, beside=beside),
                {"type": "fold", "blocks": [lines("D", {"one": [[0, 1, 9]]}, beside=beside, diagonal=True)]},
                beside,
            ],
        }
    ]
    names = write_plots(survey(scores), made, tmp_path / "new" / "plots")
    assert names == ["scores-1", "levels-1", "scores-2", "levels-2", "odd-1-a-kappa", "odd-2-c", "odd-3-d"]
    first = {path.name: path.read_bytes() for path in (tmp_path / "new" / "plots").iterdir()}
    assert len(first) == 2 * len(names)
    assert all(one.startswith(b"\x89PNG" if name.endswith("png") else b"<?xml") for name, one in first.items())
    assert b"$x_1$ &lt;b&gt;" in first["levels-2.svg"]
    assert b">worse</text>" in first["odd-1-a-kappa.svg"]
    write_plots(survey(scores), made, tmp_path / "again")
    assert {path.name: path.read_bytes() for path in (tmp_path / "again").iterdir()} == first
