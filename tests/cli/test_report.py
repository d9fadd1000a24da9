"""`kardia report`, and `kardia score --report`."""

from __future__ import annotations

import pytest

from .command import ROWS, kardia, write_rows


@pytest.fixture
def scored(tmp_path):
    write_rows(tmp_path / "rows.jsonl", ROWS)
    done = kardia("score", "rows.jsonl", "-r", "supportiveness", "-j", "fake", "-o", "s.jsonl", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    return tmp_path


def test_a_report(scored):
    done = kardia("report", "s.jsonl", "--data", "rows.jsonl", "--title", "First", cwd=scored)
    assert (done.returncode, done.stdout) == (0, "")
    assert "3 scorecards are in report.html" in done.stderr
    html = (scored / "report.html").read_text("utf-8")
    assert "<title>First</title>" in html
    assert '"contexts":true' in html


def test_with_a_score(tmp_path):
    write_rows(tmp_path / "rows.jsonl", ROWS)
    command = ("score", "rows.jsonl", "-r", "supportiveness", "-j", "fake", "-o", "s.jsonl", "--report", "r.html")
    done = kardia(*command, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "3 scorecards are in r.html" in done.stderr
    assert '"contexts":true' in (tmp_path / "r.html").read_text("utf-8")
    done = kardia(*command, "--no-text", cwd=tmp_path)
    assert '"contexts":false' in (tmp_path / "r.html").read_text("utf-8")


@pytest.mark.parametrize(
    ("more", "why"),
    [
        (("--report", "r.html"), "name one with -o"),
        (("-o", "s.jsonl", "--report", "rows.jsonl"), "is an input; name another file"),
        (("-o", "s.jsonl", "--report", "s.jsonl"), "name another file"),
        (("-o", "s.jsonl", "--report", "none/r.html"), "no folder"),
    ],
)
def test_what_cannot_be_made_is_said_before_anything_is_scored(tmp_path, more, why):
    write_rows(tmp_path / "rows.jsonl", ROWS)
    done = kardia("score", "rows.jsonl", "-r", "supportiveness", "-j", "fake", *more, cwd=tmp_path)
    assert done.returncode == 2
    assert why in done.stderr
    assert not (tmp_path / "s.jsonl").exists()


def test_what_others_found_is_shown(scored):
    (scored / "probe.json").write_text('{"judges": 3}', "utf-8")
    done = kardia("report", "s.jsonl", "--probe", "probe.json", cwd=scored)
    assert done.returncode == 2
    assert "is not what `kardia probe --json` writes" in done.stderr
    assert not (scored / "report.html").exists()
    (scored / "agree.json").write_text("[]", "utf-8")
    assert kardia("report", "s.jsonl", "--agree", "agree.json", cwd=scored).returncode == 2
    (scored / "calibration.json").write_text('{"kardia": "calibration/9"}', "utf-8")
    done = kardia("report", "s.jsonl", "--calibration", "calibration.json", cwd=scored)
    assert done.returncode == 2
    assert "is not what `kardia calibrate` writes" in done.stderr


def test_a_comparison_is_shown(scored):
    pytest.importorskip("scipy")
    others = {"other.jsonl": ("supportiveness", "--set", "sampling.temperature=1"), "third.jsonl": ("safety",)}
    for name, options in others.items():
        done = kardia("score", "rows.jsonl", "-j", "fake", "-o", name, "-r", *options, cwd=scored)
        assert done.returncode == 0, done.stderr
    assert kardia("compare", "s.jsonl", "other.jsonl", "-o", "compare.json", cwd=scored).returncode == 0
    done = kardia("report", "s.jsonl", "--compare", "compare.json", cwd=scored)
    assert done.returncode == 0, done.stderr
    html = (scored / "report.html").read_text("utf-8")
    assert "The scores of this report are A's." in html
    assert "B less A" in html
    # of other scores it is shown, and said to be of others
    done = kardia("report", "third.jsonl", "--compare", "compare.json", cwd=scored)
    assert done.returncode == 0, done.stderr
    assert "Neither A nor B was made by the rubric" in (scored / "report.html").read_text("utf-8")
    done = kardia("report", "s.jsonl", "--compare", "compare.json", "-o", "compare.json", cwd=scored)
    assert done.returncode == 2
    assert "is an input; name another file" in done.stderr


def test_plots(scored):
    pytest.importorskip("matplotlib")
    done = kardia("report", "s.jsonl", "--plots", "plots", cwd=scored)
    assert done.returncode == 0, done.stderr
    assert {path.name for path in (scored / "plots").iterdir()} == {
        "levels.png",
        "levels.svg",
        "scores.png",
        "scores.svg",
    }


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("none.jsonl",), "no such file"),
        (("rows.jsonl",), "is no scorecard of"),
        (("s.jsonl", "-o", "s.jsonl"), "is an input; name another file"),
        (("s.jsonl", "-o", "-"), "goes to a file"),
        (("s.jsonl", "--data", "none.jsonl"), "no such file"),
        (("s.jsonl", "-r", "none.yaml"), "none.yaml"),
    ],
)
def test_what_is_wrong(scored, arguments, why):
    done = kardia("report", *arguments, cwd=scored)
    assert done.returncode == 2
    assert why in done.stderr
    assert "Traceback" not in done.stderr
