"""Where rubrics, profiles and templates are looked up."""

from __future__ import annotations

import os

from kardia import content
from kardia.content import folders, shipped


def test_what_is_shipped_is_there():
    assert (shipped("judges") / "fake.yaml").is_file()
    assert (shipped("rubrics") / "safety").is_dir()


def test_a_wheel_carries_its_content_inside(monkeypatch, tmp_path):
    monkeypatch.setattr(content, "_PACKAGE", tmp_path / "kardia")
    assert shipped("rubrics") == tmp_path / "rubrics"
    (tmp_path / "kardia" / "_content" / "rubrics").mkdir(parents=True)
    assert shipped("rubrics") == tmp_path / "kardia" / "_content" / "rubrics"


def test_the_working_directory_comes_first_then_the_path_then_what_is_shipped(monkeypatch, tmp_path):
    for name in ("here", "one", "two"):
        (tmp_path / name / "judges").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "here")
    path = os.pathsep.join([str(tmp_path / "one"), "", str(tmp_path / "none"), str(tmp_path / "two")])
    monkeypatch.setenv("KARDIA_PATH", path)
    expected = [tmp_path / "here" / "judges", tmp_path / "one" / "judges", tmp_path / "two" / "judges"]
    assert folders("judges") == [*expected, shipped("judges")]


def test_one_folder_by_two_ways_is_listed_once(monkeypatch, tmp_path):
    (tmp_path / "judges").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KARDIA_PATH", os.pathsep.join([str(tmp_path), str(tmp_path / "judges" / "..")]))
    assert [place.resolve() for place in folders("judges")] == [tmp_path / "judges", shipped("judges").resolve()]


def test_an_unknown_user_in_the_path_is_no_folder(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KARDIA_PATH", "~nobody-of-this-name/kardia")
    assert folders("judges") == [shipped("judges")]


def test_the_home_folder_may_be_meant(monkeypatch, tmp_path):
    (tmp_path / "mine" / "judges").mkdir(parents=True)
    (tmp_path / "cwd").mkdir()
    monkeypatch.chdir(tmp_path / "cwd")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("KARDIA_PATH", "~/mine")
    assert folders("judges")[0] == tmp_path / "mine" / "judges"
