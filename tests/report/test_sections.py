"""What other commands wrote, as sections: from their real results."""

from __future__ import annotations

import json

import pytest

import kardia
from kardia.errors import InputError
from kardia.report import plots
from kardia.report.plots import write_plots
from kardia.report.report import make_report, survey
from kardia.report.sections import read_sections
from kardia.report.sections.blocks import figure, interval_row, intervals, lines, table

from .cardfile import HASHES, RUBRIC, card, judgment, mixed, write

pytest.importorskip("scipy")
KEY = RUBRIC.criteria[0].id


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Scores, and what agree, diagnose and probe say of them."""
    folder = tmp_path_factory.mktemp("sections")
    scores = write(folder / "s.jsonl", mixed(40))
    labels = folder / "labels.csv"
    given = [f"talk-{at:05d},{KEY},{who},{1 + (at + (who == 'bo')) % 4}" for at in range(40) for who in ("ann", "bo")]
    labels.write_text("\n".join(["id,criterion,rater,level", *given]) + "\n", "utf-8")
    agreement = kardia.agree(scores, labels, resamples=50)
    from kardia.diagnose.cards import read_scored
    from kardia.diagnose.diagnosis import diagnose
    from kardia.probe.running import probe

    rows = [{"id": str(at), "context": f"I failed {at}.", "response": f"That hurts {at}. I'm here."} for at in range(4)]
    found = {
        "agree": agreement,
        "diagnose": diagnose(read_scored(scores), RUBRIC),
        "probe": probe(rows, "supportiveness", "fake", probes=["padding", "one_token"], ledger="off"),
    }
    paths = {}
    for name, result in found.items():
        paths[name] = folder / f"{name}.json"
        paths[name].write_text(json.dumps(result.to_json(), allow_nan=False), "utf-8")
    return {"scores": scores, **paths}


def blocks(section, kind):
    return [block for block in section["blocks"] if block["type"] == kind]


def test_agreement(files):
    (section,) = read_sections(agree=files["agree"])
    told = json.loads(files["agree"].read_text("utf-8"))["judges"][0]["criteria"][0]
    (chart,) = blocks(section, "intervals")
    assert chart["rows"][0]["value"] == told["statistics"]["weighted_kappa"]["value"]
    first = blocks(section, "table")[0]
    assert first["rows"][0][:2] == [KEY, told["n"]]
    captions = " ".join(one["caption"] for one in blocks(section, "table"))
    assert "Every figure" in captions
    assert "a person, each beside the other people" in captions
    assert "judge's levels in rows" in captions


def test_diagnosis(files):
    (section,) = read_sections(diagnose=files["diagnose"])
    told = json.loads(files["diagnose"].read_text("utf-8"))
    assert len(blocks(section, "finding")) == len(told["findings"])
    for block, each in zip(blocks(section, "finding"), told["findings"], strict=True):
        assert (block["text"], block["todo"]) == (each["sentence"], each["advice"])
    assert blocks(section, "table")


def test_probes(files):
    (section,) = read_sections(probe=files["probe"])
    told = json.loads(files["probe"].read_text("utf-8"))["judges"][0]
    assert [row["name"] for row in blocks(section, "intervals")[0]["rows"]] == ["padding", "one_token"]
    assert len(blocks(section, "finding")) == len(told["findings"])
    assert any("Attack success rate" in one["text"] for one in blocks(section, "text"))


def test_calibration(tmp_path):
    bins = [{"predicted": 0.2, "observed": 0.3, "n": 10}, {"predicted": 0.8, "observed": 0.7, "n": 12}]
    one = {"method": "isotonic", "n": 22, "before": {"ece": 0.1, "bins": bins}, "after": {"ece": 0.02}}
    made = {"rubric": {"hash": HASHES["rubric"]}, "judge": {"hash": HASHES["judge"]}, "criteria": {KEY: one}}
    path = tmp_path / "c.json"
    path.write_text(json.dumps(made), "utf-8")
    (section,) = read_sections(calibration=path, bound=[(RUBRIC.ref, HASHES["rubric"], HASHES["judge"])])
    assert not blocks(section, "finding")
    assert blocks(section, "table")[0]["rows"] == [[KEY, "isotonic", 22, "0.100", "0.020"]]
    assert blocks(section, "lines")[0]["series"] == {"before": [[0.2, 0.3], [0.8, 0.7]]}
    (section,) = read_sections(calibration=path, bound=[(RUBRIC.ref, HASHES["rubric"], "sha256:other")])
    (stale,) = blocks(section, "finding")
    assert "another judge" in stale["text"]


@pytest.mark.parametrize("kind", ["agree", "probe", "diagnose"])
@pytest.mark.parametrize("text", ["{}", "[]", "nonsense", '{"judges": [{}], "notes": [], "findings": [3]}'])
def test_another_file_is_refused(tmp_path, kind, text):
    path = tmp_path / "x.json"
    path.write_text(text, "utf-8")
    with pytest.raises(InputError) as caught:
        read_sections(**{kind: path})
    assert caught.value.file == str(path)


def test_all_of_it_opens(page, files, tmp_path):
    sections = read_sections(**{key: path for key, path in files.items() if key != "scores"})
    target = tmp_path / "r.html"
    target.write_text(make_report(files["scores"], sections=sections), "utf-8")
    page.open(target)
    assert [link.text for link in page.all("#nav a")][2:-1] == ["Agreement", "Probes", "Diagnostics"]
    assert len(page.all("#sections > section")) == 3
    canvases = page.all("#sections canvas")
    assert len(canvases) >= 2
    for canvas in canvases:
        page.js("arguments[0].scrollIntoView()", canvas)
        page.until(lambda canvas=canvas: page.js("return Boolean(Chart.getChart(arguments[0]))", canvas))


def test_a_figure():
    assert figure({"value": -0.001, "low": -0.25, "high": 0.1}) == "0.00 [−0.25, 0.10]"
    assert figure({"value": None, "low": None, "high": None}) is None
    assert figure(None) is None


def test_plots_are_drawn_twice(tmp_path, monkeypatch):
    pytest.importorskip("matplotlib")
    monkeypatch.setattr(plots, "DOTS", 40)
    odd = card("c2", criteria={"$x_1$ <b>": judgment("yes", 1.0)}, rubric="odd@1.0.0")
    scores = write(tmp_path / "s.jsonl", [*mixed(20), odd])
    rows = [interval_row("a", {"value": 0.5, "low": 0.4, "high": 0.6}, warn=True)]
    none = interval_row("b", {"value": None, "low": None, "high": None})
    made = [
        {
            "id": "odd",
            "blocks": [
                intervals("A & B", [*rows, none], zero=0),
                intervals("nothing", [none]),
                lines("C", {"one": [[0, 1], [1, 2]], "two": [[0, 2]]}),
                lines("D", {"one": [[0, 1]]}, diagonal=True),
                table("t", ("a",), []),
            ],
        }
    ]
    names = write_plots(survey(scores), made, tmp_path / "new" / "plots")
    assert names == ["scores-1", "levels-1", "scores-2", "levels-2", "odd-1-a-b", "odd-2-c", "odd-3-d"]
    first = {path.name: path.read_bytes() for path in (tmp_path / "new" / "plots").iterdir()}
    assert len(first) == 2 * len(names)
    assert all(one.startswith(b"\x89PNG" if name.endswith("png") else b"<?xml") for name, one in first.items())
    assert b"$x_1$ &lt;b&gt;" in first["levels-2.svg"]
    write_plots(survey(scores), made, tmp_path / "again")
    assert {path.name: path.read_bytes() for path in (tmp_path / "again").iterdir()} == first
