"""The set of hashes behaves like a set."""

from __future__ import annotations

import sys

from hypothesis import given
from hypothesis import strategies as st

from kardia.reading.idset import IdSet, id_hash

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
