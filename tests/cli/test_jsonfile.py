"""Where results go: that is looked at before anything is read, in every command and in the same words."""

from __future__ import annotations

import importlib.util
import json
import stat

import pytest

from kardia.cli.jsonfile import check_json_file, write_json_file
from kardia.errors import OutputError

from .command import kardia

pytest.importorskip("scipy", reason="most of these commands need kardia[agree]")

COMMANDS = {
    "agree": ("agree", "a.jsonl", "b.csv"),
    "calibrate": ("calibrate", "a.jsonl", "b.csv"),
    "compare": ("compare", "a.jsonl", "b.csv"),
    "diagnose": ("diagnose", "a.jsonl", "--labels", "b.csv"),
    "probe": ("probe", "a.jsonl", "-r", "b.csv"),
    "fit weights": ("fit", "weights", "a.jsonl", "--ratings", "b.csv", "-r", "safety", "--range", "1:5"),
    "fit calibration": ("fit", "calibration", "a.jsonl", "--ratings", "b.csv", "-r", "safety", "--range", "1:5"),
    "fit gating": ("fit", "gating", "a.jsonl", "--pairs", "b.csv", "--conversations", "c.jsonl", "-r", "safety"),
    "report": ("report", "a.jsonl", "--data", "b.csv"),
}
"""None of their inputs is what it should be: what is said of the output is said before."""


def told(name, output, place):
    if name.startswith("fit") and not all(map(importlib.util.find_spec, ("threadpoolctl", "torch", "transformers"))):
        pytest.skip("fitting needs kardia[local]")
    done = kardia(*COMMANDS[name], "-o", output, cwd=place)
    assert (done.returncode, done.stdout) == (2, "")
    return done.stderr


@pytest.mark.parametrize("name", COMMANDS)
def test_an_output_that_cannot_be_is_refused_first(tmp_path, name):
    assert told(name, "no/where.json", tmp_path) == "kardia: no/where.json: there is no folder 'no'\n"
    (tmp_path / "folder").mkdir()
    assert told(name, "folder", tmp_path) == "kardia: folder: is a directory; name a file\n"
    assert " goes to a file: name one with -o\n" in told(name, "-", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


@pytest.mark.parametrize("name", COMMANDS)
def test_an_input_is_never_replaced(tmp_path, name):
    for source in ("a.jsonl", "b.csv"):
        (tmp_path / source).write_text("mine\n")
        (tmp_path / f"link-{source}").symlink_to(source)
        for output in (source, f"./{source}", f"link-{source}"):
            said = told(name, output, tmp_path)
            assert said.endswith(f"{source}: is an input; name another file\n")
            assert (tmp_path / source).read_text() == "mine\n"


def test_a_result_is_whole_and_its_owners_only(tmp_path):
    place = tmp_path / "r.json"
    check_json_file(place, "-", None, "none.jsonl")
    write_json_file(place, {"name": "schön 🌱", "file": "scores-\udcff.jsonl"})
    assert json.loads(place.read_text("utf-8")) == {"name": "schön 🌱", "file": "scores-\udcff.jsonl"}
    assert stat.S_IMODE(place.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [place]


def test_what_is_no_number_is_not_written(tmp_path):
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json_file(tmp_path / "r.json", {"value": float("nan")})
    assert list(tmp_path.iterdir()) == []


def test_without_an_output_there_is_nothing_to_do(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    check_json_file(None, "a.jsonl")
    write_json_file(None, {})
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(OutputError, match="JSON goes to a file"):
        check_json_file("-")
