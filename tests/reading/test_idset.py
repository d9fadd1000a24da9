"""The set of hashes behaves like a set."""

from __future__ import annotations

import sys
import tempfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kardia.errors import InputError
from kardia.reading.idset import IdSet, SeenIds, id_hash

NUMBERS = st.integers(1, 2**64 - 1) | st.integers(1, 30).map(lambda number: number << 40)  # the latter share their slot


@given(st.lists(NUMBERS, max_size=200))
def test_adding_tells_whether_a_number_is_new(numbers):
    held, known = IdSet(), set()
    for number in numbers:
        assert held.add(number) is (number not in known)
        known.add(number)
    assert len(held) == len(known)


def test_it_grows_and_stays_small():
    held = IdSet()
    numbers = [id_hash(f"conversation-{index}") for index in range(50_000)]
    assert all(held.add(number) for number in numbers)
    assert not any(held.add(number) for number in numbers)
    assert len(held) == 50_000
    assert sys.getsizeof(held._slots) <= 24 * 50_000


def test_a_hash_is_never_the_mark_of_an_empty_slot():
    assert 0 < id_hash("") < 2**64
    assert id_hash("é") != id_hash("e")


@given(st.lists(NUMBERS, max_size=60), st.integers(1, 20))
def test_every_repeat_is_told_once_at_once_or_in_the_end(numbers, held):
    with SeenIds(held) as seen:
        told = [number for number in numbers if not seen.add(number)]
        told += seen.repeats()
    known, again = set(), []
    for number in numbers:
        again += [number] if number in known else []
        known.add(number)
    assert sorted(told) == sorted(again)


def test_many_ids_lie_in_files_that_go(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with SeenIds(100) as seen:
        assert all(seen.add(id_hash(f"conversation-{index}")) for index in range(1000))
        assert seen.add(id_hash("conversation-7"))
        written = sum(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file())
        assert written >= 8 * 900
        assert sum(map(len, seen._waiting)) < 100
        assert list(seen.repeats()) == [id_hash("conversation-7")]
    assert not list(tmp_path.iterdir())


def test_a_place_that_cannot_be_written_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    with SeenIds(2) as seen:
        assert seen.add(1)
        with pytest.raises(InputError, match=f"{tmp_path / 'gone'}: ids cannot be compared in temporary files: No"):
            seen.add(2)
