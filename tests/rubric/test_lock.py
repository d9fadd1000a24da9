"""The lock is written sorted, in one step, and read strictly."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kardia.errors import RubricError
from kardia.rubric.lock import LOCK_NAME, Lock, LockEntry, entry_of, read_lock, write_lock
from kardia.rubric.rubric import Part

from .helpers import BASE, rubric, write

HASH = "sha256:" + "0" * 64


def test_no_file_is_an_empty_lock(tmp_path: Path) -> None:
    assert read_lock(tmp_path) == Lock()
    assert read_lock(tmp_path).entry("a", "1.0.0") is None


def test_there_and_back(tmp_path: Path) -> None:
    lock = Lock()
    lock.add("b", "1.0.0", LockEntry(hash=HASH))
    lock.add("a", "2.0.0", LockEntry(hash=HASH, includes={"b": "1.0.0"}))
    lock.add("a", "1.0.0", LockEntry(hash=HASH))
    write_lock(tmp_path, lock)
    assert read_lock(tmp_path) == lock
    data = json.loads((tmp_path / LOCK_NAME).read_text(encoding="utf-8"))
    assert list(data["rubrics"]) == ["a", "b"]
    assert list(data["rubrics"]["a"]) == ["1.0.0", "2.0.0"]
    assert [path.name for path in tmp_path.iterdir()] == [LOCK_NAME]


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{", '{"lock": 2}', '{"extra": 1}', '{"rubrics": {"a": {"1.0.0": {"hash": "md5"}}}}', "not json"],
)
def test_what_is_no_lock(tmp_path: Path, text: str) -> None:
    write(tmp_path / LOCK_NAME, text)
    with pytest.raises(RubricError, match="is not a lock that kardia wrote") as caught:
        read_lock(tmp_path)
    assert caught.value.file == str(tmp_path / LOCK_NAME)


def test_an_entry_names_every_include(tmp_path: Path) -> None:
    leaf = rubric(lambda d: d.update(name="leaf", version="1.2.3"))
    middle = rubric(lambda d: d.update(name="middle"), BASE, Part("leaf", 1.0, leaf))
    top = rubric(None, BASE, Part("middle", 1.0, middle), Part("leaf", 1.0, leaf))
    entry = entry_of(top)
    assert entry.includes == {"leaf": "1.2.3", "middle": "1.0.0"}
    assert entry.hash == top.hash
