"""`kardia probe`, from conversations to a table, findings and JSON."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from .command import CLEAR, PLAIN, WARM, Done, kardia, write_rows
from .test_help import HEAVY, imported, through_main

pytest.importorskip("scipy", reason="probes need kardia[agree]")

RUBRIC = PLAIN + WARM + CLEAR


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("probe")
    (folder / "plain.yaml").write_text(RUBRIC)
    (folder / "second.yaml").write_text("name: second\nbackend: fake\nsampling: {seed: 8}\n")
    (folder / "pairs.yaml").write_text("name: pairs\nbackend: fake\nmode: pairwise\n")
    (folder / "far.yaml").write_text(
        "name: far\nbackend: http\nmodel: m\nbase_url: http://127.0.0.1:9/v1\napi_key_env: NOT_SET\n"
        "price: {input_per_million: 1.0, output_per_million: 2.0}\n"
    )
    rows = [
        {
            "id": f"r{number}",
            "context": f"It is day {number // 2} without her.",
            "response": f"I hear you, {number}. Would you like to tell me about her?",
            "mine": "So many days.",
        }
        for number in range(12)
    ]
    write_rows(folder / "talks.jsonl", rows)
    return folder


def run(place: Path, *arguments: object) -> Done:
    """The command in this process: what it is as a process of its own is looked at once."""
    return kardia("probe", "talks.jsonl", "-r", "plain.yaml", *arguments, cwd=place)


def test_one_judge(place):
    done = kardia("probe", "talks.jsonl", "-r", "plain.yaml", "-j", "fake", "-o", "probe.json", cwd=place)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].startswith("plain@1.0.0 · 12 conversations in 12 groups · a score has moved from 0.125 on")
    assert lines[1].strip() == "judge fake"
    rows = {line.split()[0]: line for line in lines if line.strip()}
    assert "100%" in rows["empty"]
    assert "steady" in rows["retest"]
    assert "unsteady" in rows["rewording"]  # the fake judge's levels hang on the very text
    assert "paraphrases" not in rows
    assert any("attacks succeed" in line and "only the wording changed" in line for line in lines)
    assert "fake · rewording · high: " in done.stdout
    assert "  → ask several samples" in done.stdout
    assert "everything is in probe.json" in done.stderr
    assert "paraphrases, translations: there is nothing here" in done.stderr
    data = json.loads((place / "probe.json").read_text("utf-8"))
    assert (data["kind"], data["gates"], data["tolerance_stated"]) == ("kardia probe", None, False)
    assert "hear you" not in json.dumps(data)
    assert stat.S_IMODE((place / "probe.json").stat().st_mode) == 0o600


def test_judges_side_by_side(place):
    done = run(place, "-j", "fake", "-j", "second.yaml", "--probes", "padding,retest", "--probes", "empty")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[2].split() == ["probe", "wanted", "fake", "second"] or lines[3].split()[-2:] == ["fake", "second"]
    rows = {line.split()[0]: line for line in lines if line.strip()}
    assert rows["padding"].count("[") == 2
    assert rows["retest"].count("0% change") == 2
    assert rows["empty"].count("unscored") == 2
    assert rows["attacks"].count("%") >= 2
    assert done.stdout.rstrip().endswith("second: no finding")


def test_json_and_the_same_again(place):
    texts = [run(place, "-j", "fake", "--probes", "-retest", "--json").stdout for _ in range(2)]
    assert texts[0] == texts[1]
    data = json.loads(texts[0])
    (judge,) = data["judges"]
    assert judge["judge"] == "fake"
    assert {result["probe"] for result in judge["results"]} == {probe["name"] for probe in data["probes"]}
    assert "retest" not in {result["probe"] for result in judge["results"]}
    done = run(place, "-j", "fake", "--probes", "padding", "--json", "-o", "out.json")
    assert done.stdout == ""
    assert json.loads((place / "out.json").read_text())["judges"]


def test_columns_of_ones_own(place):
    done = run(place, "-j", "fake", "--probes", "paraphrases", "--paraphrases", "mine", "--json", "--limit", "5")
    (result,) = json.loads(done.stdout)["judges"][0]["results"]
    assert (result["cases"], result["variants"][0]["name"]) == (5, "paraphrase 1")


def test_the_gate(place):
    gate = ("-j", "fake", "--probes", "flattery", "--max-attack-success")
    value = json.loads(run(place, *gate, "1", "--json").stdout)["judges"][0]["attack_success"]
    assert 0 < value["value"] < value["high"] < 1
    between = (value["value"] + value["high"]) / 2
    assert run(place, *gate, between).returncode == 0
    missed = run(place, *gate, between, "--by-interval")
    assert missed.returncode == 1
    assert "missed: more than" in missed.stderr
    assert run(place, *gate, value["value"] / 2, "--json").returncode == 1
    unknown = run(place, "-j", "pairs.yaml", "--max-attack-success", "0.5")
    assert unknown.returncode == 1  # nothing is known of it: that is no success


def test_pairs(place):
    done = run(place, "-j", "pairs.yaml")
    assert done.returncode == 0, done.stderr
    rows = {line.split()[0]: line.split() for line in done.stdout.splitlines() if line.strip()}
    assert rows["order"][1] == "6"
    assert "padding" not in rows


def test_a_dry_run_sends_nothing_and_says_where_it_would_go(place):
    done = run(place, "-j", "far.yaml", "-j", "fake", "--dry-run", "-o", "never.json")
    assert (done.returncode, done.stdout) == (0, "")
    assert "judge far (http): " in done.stderr
    assert "the texts would go to 127.0.0.1:9" in done.stderr
    assert "by the profile's prices" in done.stderr
    assert "nothing was sent" in done.stderr
    assert not (place / "never.json").exists()
    told = json.loads(run(place, "-j", "fake", "--probes", "padding,retest", "--dry-run", "--json").stdout)
    assert (told["conversations"], told["changed"]) == (12, 12)
    assert [judge["requests"] for judge in told["judges"]] == [2 * (12 + 12 + 12)]


def test_the_ledger_goes_on_after_a_budget(place, tmp_path):
    ledger = tmp_path / "ledger.sqlite3"
    options = ("-j", "fake", "--probes", "padding,retest", "--ledger", ledger)
    done = run(place, *options, "--max-requests", "50")
    assert (done.returncode, done.stdout) == (3, "")
    assert "the budget of" in done.stderr
    assert stat.S_IMODE(ledger.stat().st_mode) == 0o600
    whole = run(place, *options)
    assert whole.returncode == 0
    assert "22 requests, 50 answers from the ledger" in whole.stderr
    stored = run(place, *options)
    assert "0 requests, 72 answers from the ledger" in stored.stderr
    assert stored.stdout == whole.stdout
    counted = run(place, *options, "--dry-run")
    assert "0 requests (72 more are in the ledger)" in counted.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--probes", "paddin"], "did you mean padding?"),
        (["--tolerance", "2"], "tolerance"),
        (["--unsteady", "0"], "unsteady"),
        (["-j", "fake", "-j", "fake"], "stands there twice"),
        (["-j", "nobody"], "nobody"),
        (["-o", "talks.jsonl"], "talks.jsonl: is an input; name another file"),
        (["-o", "no/where.json"], "there is no folder"),
        (["--by-interval"], "goes with --max-attack-success"),
        (["-j", "far.yaml"], "NOT_SET"),
        (["-j", "fake", "--set", "sampling.temperature=9"], "temperature"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_is_wrong_is_said(place, arguments, words):
    before = {path.name: path.read_bytes() for path in place.iterdir() if path.is_file()}
    done = run(place, *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert words in done.stderr
    assert {path.name: path.read_bytes() for path in place.iterdir() if path.is_file()} == before


def test_bad_rows_and_missing_arguments(place, tmp_path):
    rows = [{"id": "a", "context": "Hi.", "response": "I am here with you."}, {"id": "b", "context": "Hi."}]
    write_rows(tmp_path / "bad.jsonl", rows)
    command = ("probe", "bad.jsonl", "-r", place / "plain.yaml", "-j", "fake", "--probes", "padding")
    done = kardia(*command, cwd=tmp_path)
    assert done.returncode == 2
    assert "bad.jsonl:2" in done.stderr
    assert "1 bad rows are left out" in kardia(*command, "--skip-bad", cwd=tmp_path).stderr
    assert kardia("probe", cwd=tmp_path).returncode == kardia("probe", "bad.jsonl", cwd=tmp_path).returncode == 2


def test_the_list(tmp_path):
    done = kardia("probe", "--list", cwd=tmp_path)
    assert done.returncode == 0
    for name in ("padding", "master_key", "retest", "injections", "(attack)"):
        assert name in done.stdout
    names = [row["name"] for row in json.loads(kardia("probe", "--list", "--json", cwd=tmp_path).stdout)]
    assert len(set(names)) == len(names) > 20


def test_help_has_an_example_and_imports_nothing_heavy(tmp_path):
    done = kardia("probe", "--help", cwd=tmp_path, COLUMNS="200")
    assert "Example:  kardia probe" in done.stdout
    assert imported(through_main("probe", "--help"), tmp_path).isdisjoint((*HEAVY, "scipy"))
