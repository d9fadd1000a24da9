"""`kardia agree`, from a scored file and labels to tables, JSON and exit codes."""

from __future__ import annotations

import csv
import importlib.util
import json
import stat
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("numpy", reason="agreement needs kardia[agree]")
pytest.importorskip("scipy", reason="agreement needs kardia[agree]")

from .command import DEMEANS, PLAIN, WARM, kardia, read_cards, write_rows
from .test_help import HEAVY, imported, through_main

TAKES_UP = """\
  - id: takes_up_what_the_person_said
    question: How much of what the person said is taken up?
    scale: {levels: {1: Nothing of it., 5: All of it.}}
"""
RUBRIC = PLAIN + WARM + TAKES_UP + DEMEANS


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """24 replies scored by the fake judge; two people who say what it says, but A not of warm in every third."""
    folder = tmp_path_factory.mktemp("agree")
    (folder / "plain.yaml").write_text(RUBRIC)
    rows = [
        {"id": f"r{number}", "context": "I failed an exam.", "response": f"That hurts, {number}.", "group": number // 2}
        for number in range(24)
    ]
    write_rows(folder / "talks.jsonl", rows)
    for form in ("jsonl", "parquet") if importlib.util.find_spec("pyarrow") else ("jsonl",):
        done = kardia(
            *("score", "talks.jsonl", "-r", "plain.yaml", "-j", "fake", "-o", f"scores.{form}", "--format", form),
            cwd=folder,
        )
        assert done.returncode == 0, done.stderr
    labels: list[dict[str, Any]] = []
    for number, card in enumerate(read_cards((folder / "scores.jsonl").read_text("utf-8"))):
        for rater in "AB":
            levels = {key: judgment["level"] for key, judgment in card["criteria"].items()}
            if rater == "A" and number % 3 == 0:
                levels["warm"] = 6 - levels["warm"]
            labels.append({"id": card["id"], "rater": rater, **levels})
    with (folder / "labels.csv").open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, list(labels[0]))
        writer.writeheader()
        writer.writerows(labels)
    return folder


def agree(place: Path, *arguments: object, scores: str = "scores.jsonl", labels: str = "labels.csv"):
    more = () if "--resamples" in arguments else ("--resamples", "100")
    return kardia("agree", scores, labels, "--rubric", "plain.yaml", *arguments, *more, cwd=place)


def test_the_table(place):
    done = agree(place)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[0] == "judge fake · plain@1.0.0 · 24 labelled conversations in 12 groups"
    header = next(line for line in lines if "criterion" in line)
    assert header.split()[:5] == ["criterion", "n", "cover", "exact", "base"]
    told = json.loads(agree(place, "--json").stdout)
    (judge,) = told["judges"]
    row = next(line.split() for line in lines if line.split()[:1] == ["demeans"])
    demeans = next(each for each in judge["criteria"] if each["name"] == "demeans")
    assert row[1:5] == ["24", "1.00", "1.00", f"{demeans['base_rates']['people']['commonest']:.2f}"]
    start = lines.index(header)
    end = next(number for number, line in enumerate(lines) if "mean of criteria" in line)
    table = lines[start : end + 1]
    assert max(map(len, table)) <= 100
    assert "On the mean of the criteria the judge" in done.stdout


def test_json_is_the_same_on_stdout_and_in_a_file_and_from_parquet(place):
    done = agree(place, "--json")
    told = json.loads(done.stdout)
    assert (done.returncode, done.stderr) == (0, "")
    assert list(told) == ["kind", "scores", "labels", "settings", "judges", "notes", "gates"]
    assert (told["kind"], told["gates"]) == ("agreement", None)
    both = agree(place, "-o", "agree.json")
    assert json.loads((place / "agree.json").read_text("utf-8")) == told
    assert both.stdout.startswith("judge fake")
    assert stat.S_IMODE((place / "agree.json").stat().st_mode) == 0o600
    quiet = agree(place, "-o", "agree.json", "--json")
    assert (quiet.returncode, quiet.stdout) == (0, "")
    if (place / "scores.parquet").exists():
        other = json.loads(agree(place, "--json", scores="scores.parquet").stdout)
        assert other["judges"] == told["judges"]
    refused = agree(place, "-o", "labels.csv")
    assert refused.returncode == 2
    assert "labels.csv: is an input; name another file" in refused.stderr


def test_gates(place):
    (judge,) = json.loads(agree(place, "--json", "--resamples", "0").stdout)["judges"]
    kappa = {each["name"]: each["statistics"]["weighted_kappa"]["value"] for each in judge["criteria"]}
    assert kappa["warm"] < 0.95 < kappa["demeans"]
    done = agree(place, "--min-kappa", "0.95", "--max-bias", "4")
    assert done.returncode == 1
    assert done.stderr == f"kardia: missed: warm: weighted κ is {kappa['warm']:.3f}, below 0.95 (--min-kappa)\n"
    assert agree(place, "--min-kappa", "0.95", "--criterion", "demeans").returncode == 0
    bound = f"{kappa['warm'] - 0.01:.4f}"
    assert agree(place, "--min-kappa", bound).returncode == 0
    by_interval = agree(place, "--min-kappa", bound, "--by-interval", "--json")
    assert by_interval.returncode == 1
    assert "the lower end of the interval of its weighted κ" in by_interval.stderr
    gates = json.loads(by_interval.stdout)["gates"]
    assert (gates["bounds"], gates["by_interval"]) == ({"--min-kappa": float(bound)}, True)
    assert [each["name"] for each in gates["missed"]] == ["warm"]


def test_all_figures_and_confusion(place):
    done = agree(place, "--all", "--confusion", "-c", "warm")
    assert done.returncode == 0
    for words in ("Cohen's κ", "κ, quadratic weights", "ICC(3,k)", "Gwet's AC2", "Kendall's τ-b", "warm: people"):
        assert words in done.stdout
    assert "judge \\ people" in done.stdout
    assert "score of" not in done.stdout


def test_pairs_and_ratings(place):
    cards = read_cards((place / "scores.jsonl").read_text("utf-8"))
    ranked = sorted(cards, key=lambda card: card["score"])
    pairs = [{"chosen": ranked[-1 - number]["id"], "rejected": ranked[number]["id"]} for number in range(4)]
    write_rows(place / "pairs.jsonl", pairs)
    done = agree(place, "--min-accuracy", "0.9", labels="pairs.jsonl")
    assert done.returncode == 0, done.stderr
    assert "Pairs by plain@1.0.0: 4, of which 0 have no two scores" in done.stdout
    assert "16 scored conversations have no label" in done.stderr
    write_rows(place / "ratings.jsonl", [{"id": card["id"], "stars": 1 + 4 * card["score"]} for card in cards])
    done = agree(place, "--overall", "stars", "--range", "1:5", labels="ratings.jsonl")
    assert done.returncode == 0, done.stderr
    row = next(line for line in done.stdout.splitlines() if line.strip().startswith("plain@1.0.0"))
    assert row.split() == ["plain@1.0.0", "24", "1.00", "1.00", "[1.00,", "1.00]", "1.00", "1.00", "+0.00"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--by-interval"], "--by-interval: goes with a threshold"),
        (["--range", "5:1"], "--range: '5:1' is no range"),
        (["-c", "warn"], "no criterion 'warn'; did you mean 'warm'?"),
        (["--overall", "stars"], "labels.csv: has no column 'stars' (--overall); there are: id, rater, warm"),
        (["--rater", "who"], "labels.csv: has no column 'who' (--rater)"),
        (["--unscored-as", "9"], "--unscored-as: '9' is a level of none"),
        (["--min-alpha", "2"], "less than or equal to 1"),
    ],
)
def test_what_is_wrong_is_a_sentence(place, arguments, words):
    done = agree(place, *arguments, "--resamples", "50")
    assert (done.returncode, done.stdout) == (2, "")
    assert words in done.stderr


def test_files_that_are_not_there_or_no_scorecards(place):
    for scores, labels in (("none.jsonl", "labels.csv"), ("scores.jsonl", "none.csv"), ("labels.csv", "labels.csv")):
        done = agree(place, scores=scores, labels=labels)
        assert done.returncode == 2
        assert done.stderr.count("\n") == 1
    done = agree(place, scores="-", labels="-")
    assert "stdin cannot hold both" in done.stderr


def test_labels_from_stdin(place):
    text = (place / "scores.jsonl").read_text("utf-8")
    done = kardia("agree", "scores.jsonl", "-", "-r", "plain.yaml", "--resamples", "0", cwd=place, stdin=text)
    assert done.returncode == 0, done.stderr
    assert "mean of criteria" in done.stdout


def test_the_help_imports_nothing_heavy(tmp_path):
    assert imported(through_main("agree", "--help"), tmp_path).isdisjoint(HEAVY)


def test_every_dash_has_its_reason(place):
    """A score beside constant ratings, and pairs on which people prefer none."""
    write_rows(place / "same.jsonl", [{"id": f"r{number}", "overall": 3} for number in range(24)])
    done = agree(place, labels="same.jsonl")
    assert "score of plain@1.0.0: the mean of people's ratings gives every unit the same number." in done.stdout
    write_rows(place / "ties.jsonl", [{"id_a": "r0", "id_b": "r2", "preferred": "tie"}])
    done = agree(place, labels="ties.jsonl")
    assert "pairs, without ties: there is no pair on which both prefer one." in done.stdout
