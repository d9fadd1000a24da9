"""The tree of token sequences: every prefix once, everything a piece stands on kept."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from kardia.judge.local.tree import chunked, common, grow

tokens = st.lists(st.integers(0, 2), min_size=1, max_size=9).map(tuple)
many = st.lists(tokens, min_size=1, max_size=12)


def prefixes(sequences):
    return {each[:length] for each in sequences for length in range(1, len(each) + 1)}


def walk(pieces, path):
    """Every computed token's path, by its number, along a stack that holds only what is kept."""
    stack = list(path)
    paths = []
    for piece in pieces:
        assert len(stack) >= piece.depth, "a piece stands on what was not kept"
        assert piece.tokens
        before = tuple(stack[: piece.depth])
        paths += [before + piece.tokens[: place + 1] for place in range(len(piece.tokens))]
        stack = [*before, *piece.tokens[: piece.keep]]
    return paths, tuple(stack)


@given(many, tokens | st.just(()), st.data())
def test_every_prefix_is_computed_once_and_stands_on_its_own_path(sequences, path, data):
    fresh = [data.draw(st.integers(0, len(each))) for each in sequences]
    tree = grow(sequences, path, fresh)
    paths, left = walk(tree.pieces, path[: tree.known])
    assert left == tree.path
    known = {path[:length] for length in range(1, tree.known + 1)}
    assert sorted(paths) == sorted(prefixes(sequences) - known)
    assert tree.size == len(paths)
    for row, sequence in enumerate(sequences):
        assert all(
            tree.known <= start or sequence[: tree.known] != path[: tree.known] for start in fresh[row : row + 1]
        )
        for place in range(fresh[row], len(sequence)):
            assert paths[tree.number(row, place)] == sequence[: place + 1]


@given(many, st.integers(1, 5), st.integers(1, 3))
def test_chunks_are_the_same_tree(sequences, size, most_wanted):
    tree = grow(sequences)
    whole, _ = walk(tree.pieces, ())
    wanted = sorted({tree.number(row, len(each) - 1) for row, each in enumerate(sequences)})
    chunks = chunked(tree.pieces, size, wanted, most_wanted)
    cut, left = walk([piece for chunk in chunks for piece in chunk], ())
    assert cut == whole
    assert left == tree.path
    number = 0
    for chunk in chunks:
        held = sum(len(piece.tokens) for piece in chunk)
        assert 0 < held <= size
        here = [each for each in wanted if number <= each < number + held]
        assert len(here) <= most_wanted or len(chunk) == 1
        number += held


@given(tokens, tokens)
def test_common(first, second):
    length = common(first, second)
    assert first[:length] == second[:length]
    assert length == min(len(first), len(second)) or first[length] != second[length]


def test_the_known_path_is_used_as_far_as_nothing_on_it_is_asked():
    sequence = (1, 2, 3, 4)
    tree = grow([(*sequence, 5), (*sequence, 6)], path=(1, 2, 3, 9), fresh=[4, 4])
    assert (tree.known, tree.size) == (3, 3)
    assert grow([sequence], path=sequence, fresh=[2]).size == 2
    assert grow([sequence], path=sequence, fresh=[4]).size == 0
    # the one that asks earliest decides, since both run along the same tokens
    assert grow([sequence, sequence], path=sequence, fresh=[3, 1]).known == 1


def test_branches_come_as_they_appear_so_that_the_last_one_is_gone_on_from():
    head = (7, 7)
    sequences = [(*head, 3, 1), (*head, 2, 1), (*head, 3, 0), (*head, 1, 1)]
    assert grow(sequences).path == (*head, 1, 1)
    # but first what goes on from the path that is at hand
    tree = grow(sequences, path=(*head, 1, 5), fresh=[4] * 4)
    assert tree.known == 3
    assert [piece.depth for piece in tree.pieces] == [3, 2, 3, 2]


def test_one_that_ends_on_the_known_path_cuts_nothing_off_it():
    tree = grow([(1,), (1, 1), (0,)], path=(1, 1), fresh=[1, 2, 0])
    assert (tree.known, tree.size) == (2, 1)


def test_nothing_is_nothing():
    assert grow([]).size == 0
    assert chunked(grow([]).pieces, 10) == []
