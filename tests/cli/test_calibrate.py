"""`kardia calibrate`, and scoring with what it wrote."""

from __future__ import annotations

import csv
import importlib.util
import json
from pathlib import Path

import pytest

pytest.importorskip("numpy", reason="calibration needs kardia[agree]")
pytest.importorskip("scipy", reason="calibration needs kardia[agree]")

from .command import PLAIN, WARM, kardia, read_cards, write_rows

LISTENS = """\
  - id: listens
    question: Does the reply listen?
    scale: {type: binary}
"""
RUBRIC = PLAIN + WARM + LISTENS


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """60 replies scored by the fake judge; to people each is one level less warm than it says."""
    folder = tmp_path_factory.mktemp("calibrate")
    (folder / "plain.yaml").write_text(RUBRIC)
    rows = [
        {"id": f"r{number}", "context": "I failed an exam.", "response": f"That hurts, {number}.", "group": number // 3}
        for number in range(60)
    ]
    write_rows(folder / "talks.jsonl", rows)
    for form in ("jsonl", "parquet") if importlib.util.find_spec("pyarrow") else ("jsonl",):
        done = kardia(*score(f"scores.{form}", "--format", form), cwd=folder)
        assert done.returncode == 0, done.stderr
    cards = read_cards((folder / "scores.jsonl").read_text("utf-8"))
    with (folder / "labels.csv").open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(("id", "warm"))
        writer.writerows((card["id"], max(1, card["criteria"]["warm"]["level"] - 1)) for card in cards)
    done = kardia("calibrate", "scores.jsonl", "labels.csv", *OPTIONS, "-o", "calibration.json", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert done.stderr == (
        "kardia: the calibration is in calibration.json; it holds for plain@1.0.0 and the judge fake as they are now\n"
    )
    (folder / "table.txt").write_text(done.stdout, "utf-8")
    return folder


OPTIONS = ("--rubric", "plain.yaml", "--resamples", "100")


def score(output, *arguments):
    return ("score", "talks.jsonl", "-r", "plain.yaml", "-j", "fake", "-o", output, *arguments)


def test_the_table(place):
    lines = (place / "table.txt").read_text("utf-8").splitlines()
    assert lines[0] == "plain@1.0.0 · judge fake"
    assert max(map(len, lines[:8])) <= 100
    (row,) = [line for line in lines if line.strip().startswith("warm ")]
    assert row.split()[:3] == ["warm", "isotonic", "60"]
    assert "beyond chance" in lines[-1]


def test_parquet_gives_the_same(place):
    if not (place / "scores.parquet").exists():
        pytest.skip("Parquet needs kardia[parquet]")
    done = kardia("calibrate", "scores.parquet", "labels.csv", *OPTIONS, "--json", cwd=place)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == json.loads((place / "calibration.json").read_text("utf-8"))


def test_scoring_with_it(place):
    done = kardia(*score("calibrated.jsonl", "--calibration", "calibration.json", "--strict"), cwd=place)
    assert done.returncode == 0, done.stderr
    with (place / "labels.csv").open(encoding="utf-8", newline="") as stream:
        labels = {row["id"]: int(row["warm"]) for row in csv.DictReader(stream)}
    cards = read_cards((place / "calibrated.jsonl").read_text("utf-8"))
    for card in cards:
        assert card["criteria"]["warm"]["level"] == labels[card["id"]]
        assert card["criteria"]["warm"]["uncalibrated"]["level"] in (labels[card["id"]], labels[card["id"]] + 1)
        assert card["provenance"]["calibration"]["applied"] is True
    done = kardia("agree", "calibrated.jsonl", "labels.csv", *OPTIONS, "--json", cwd=place)
    (judge,) = json.loads(done.stdout)["judges"]
    assert judge["criteria"][0]["statistics"]["exact"]["value"] == 1
    done = kardia("calibrate", "calibrated.jsonl", "labels.csv", *OPTIONS, cwd=place)
    assert done.returncode == 2
    assert "score again without it" in done.stderr


def test_parquet_holds_what_the_judge_said(place):
    if not (place / "scores.parquet").exists():
        pytest.skip("Parquet needs kardia[parquet]")
    import pyarrow.parquet as pq

    done = kardia(*score("c.parquet", "--format", "parquet", "--calibration", "calibration.json"), cwd=place)
    assert done.returncode == 0, done.stderr
    warm = dict(pq.read_table(place / "c.parquet").to_pylist()[0]["criteria"])["warm"]
    assert int(warm["uncalibrated"]["level"]) in (int(warm["level"]), int(warm["level"]) + 1)


def test_a_stale_one_is_said_and_with_strict_refused(place):
    stale = ("--calibration", "calibration.json", "--set", "sampling.temperature=0.5")
    done = kardia(*score("stale.jsonl", *stale), cwd=place)
    assert done.returncode == 0
    assert done.stderr.count("the calibration is stale, for it was made for the judge fake, which has changed") == 1
    card = read_cards((place / "stale.jsonl").read_text("utf-8"))[0]
    raw = read_cards((place / "scores.jsonl").read_text("utf-8"))[0]
    assert card["criteria"] == raw["criteria"]
    assert card["provenance"]["calibration"]["applied"] is False
    done = kardia(*score("dry.jsonl", *stale, "--dry-run"), cwd=place)
    assert done.stderr.count("the calibration is stale") == 1
    done = kardia(*score("refused.jsonl", *stale, "--strict"), cwd=place)
    assert done.returncode == 2
    assert "the calibration is stale" in done.stderr
    assert not (place / "refused.jsonl").exists()


def test_one_that_is_not_there_stops_the_run(place):
    done = kardia(*score("x.jsonl", "--calibration", "none.json"), cwd=place)
    assert done.returncode == 2
    assert "none.json: there is no such calibration" in done.stderr


def test_the_report_shows_it(place):
    assert kardia(*score("calibrated.jsonl", "--calibration", "calibration.json"), cwd=place).returncode == 0
    for scores in ("scores.jsonl", "calibrated.jsonl"):
        done = kardia("report", scores, "--calibration", "calibration.json", "-r", "plain.yaml", cwd=place)
        assert done.returncode == 0, done.stderr
        page = (place / "report.html").read_text("utf-8")
        assert "Reliability of warm" in page
        assert "is stale" not in page


def test_plots(place):
    pytest.importorskip("matplotlib")
    done = kardia("calibrate", "scores.jsonl", "labels.csv", *OPTIONS, "--plots", "plots", cwd=place)
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in (place / "plots").iterdir()) == [
        "calibration-1-reliability-of-warm.png",
        "calibration-1-reliability-of-warm.svg",
    ]
    assert "nothing was written" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("scores.jsonl", "few.csv"), "too few"),
        (("scores.jsonl", "labels.csv", "-c", "listens"), "nobody labelled"),
        (("scores.jsonl", "labels.csv", "-c", "wram"), "did you mean 'warm'"),
        (("scores.jsonl", "labels.csv", "--method", "temperature"), "the judge gives none"),
        (("scores.jsonl", "labels.csv", "-o", "scores.jsonl"), "is an input"),
        (("-", "-"), "stdin cannot hold both"),
    ],
)
def test_what_cannot_be_done_is_said(place, arguments, why):
    lines = (place / "labels.csv").read_text("utf-8").splitlines()
    (place / "few.csv").write_text("\n".join(lines[:20]) + "\n")
    done = kardia("calibrate", *arguments, *OPTIONS, cwd=place)
    assert done.returncode == 2
    assert why in done.stderr
    assert done.stdout == ""
