"""Nobody ever sees half of a file."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from kardia.errors import OutputError
from kardia.files import partial_path, private_opener, write_text


def test_a_private_file_is_readable_by_its_owner_only(tmp_path):
    with open(tmp_path / "a", "w", opener=private_opener) as stream:
        stream.write("x")
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o600


def test_the_partial_file_lies_beside_its_output():
    assert partial_path(Path("a/out.jsonl")) == Path("a/out.jsonl.partial")


def test_text_is_written_as_utf8_and_folders_are_made(tmp_path):
    path = tmp_path / "new" / "folder" / "a.yaml"
    write_text(path, "schön 🌱\n")
    assert path.read_bytes() == "schön 🌱\n".encode()
    assert os.listdir(path.parent) == ["a.yaml"]


def test_a_file_is_replaced_whole(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_text("a much longer text than the new one")
    write_text(path, "new")
    assert path.read_text() == "new"


def test_a_folder_of_that_name_is_left_alone(tmp_path):
    (tmp_path / "a.yaml").mkdir()
    with pytest.raises(OutputError, match=r"a\.yaml: cannot be written"):
        write_text(tmp_path / "a.yaml", "text")
    assert os.listdir(tmp_path) == ["a.yaml"]


def test_a_file_where_a_folder_should_be(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutputError, match="cannot be written"):
        write_text(tmp_path / "file" / "a.yaml", "text")
    assert (tmp_path / "file").read_text() == "x"
