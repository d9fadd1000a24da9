"""Token sequences as a tree: what they have in common stands there once. Pure.

The tree is laid out depth first, as *pieces*: tokens that follow one another on one branch. Because of that order, all
that a piece's tokens can see lies on one path: the first `depth` tokens of the path that led to the piece before it,
and the piece itself. So the keys and values of a whole tree fit into a stack as deep as its longest sequence.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

__all__ = ["Piece", "Tree", "chunked", "common", "grow"]

Tokens = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Piece:
    """Tokens that follow one another on one branch.

    Attributes:
        depth: how many tokens stand before the first one on its path from the root.
        tokens: at least one.
        keep: how many of them lie on the path of a later piece, or on the tree's last path.
    """

    depth: int
    tokens: Tokens
    keep: int


@dataclass(frozen=True, slots=True)
class Tree:
    """A laid-out tree.

    Attributes:
        pieces: depth first; a token's number is its place in all of them, one after the other.
        known: how many tokens of the path that was at hand are used; they have no numbers.
        path: the path that is at hand when the last piece is done.
        spans: for each sequence, where it runs: (depth, depth after the end, number of the first token).
    """

    pieces: tuple[Piece, ...]
    known: int
    path: Tokens
    spans: tuple[tuple[tuple[int, int, int], ...], ...]

    @property
    def size(self) -> int:
        """How many tokens there are to compute."""
        return sum(len(piece.tokens) for piece in self.pieces)

    def number(self, sequence: int, place: int) -> int:
        """The number of a sequence's token.

        Raises:
            IndexError: where it is no token of the sequence, or was at hand and is not computed.
        """
        for start, stop, first in self.spans[sequence]:
            if start <= place < stop:
                return first + place - start
        raise IndexError(f"token {place} of sequence {sequence} is not computed")


def common(first: Sequence[int], second: Sequence[int]) -> int:
    """How many tokens two sequences of one type begin with alike."""
    equal, differ = 0, min(len(first), len(second))
    if first[:differ] == second[:differ]:
        return differ
    while differ - equal > 1:
        middle = (equal + differ) // 2
        if first[equal:middle] == second[equal:middle]:
            equal = middle
        else:
            differ = middle
    return equal


def grow(sequences: Sequence[Tokens], path: Tokens = (), fresh: Sequence[int] | None = None) -> Tree:
    """Lays out the tree of these sequences.

    Args:
        sequences: none of them empty; equal ones are one.
        path: tokens that were computed before, and whose keys and values are still at hand.
        fresh: for each sequence, the place from which on its tokens are wanted anew even where the path holds them;
            default: its end.
    """
    fresh = [len(sequence) for sequence in sequences] if fresh is None else fresh
    shared = [common(path, sequence) for sequence in sequences]
    reach = max((min(both) for both in zip(shared, fresh, strict=True)), default=0)
    known = min([reach, *(start for here, start in zip(shared, fresh, strict=True) if here > start)])
    order = _depth_first(sequences, [min(here, known) for here in shared])
    pieces: list[tuple[int, Tokens]] = []
    spans: list[tuple[tuple[int, int, int], ...]] = [()] * len(sequences)
    before, number = path[:known], 0
    running: list[tuple[int, int, int]] = []
    for place in order:
        sequence = sequences[place]
        depth = common(before, sequence)
        own = [(start, min(stop, depth), first) for start, stop, first in running if start < depth]
        if depth < len(sequence):
            pieces.append((depth, sequence[depth:]))
            own.append((depth, len(sequence), number))
            number += len(sequence) - depth
            before, running = sequence, own
        # else it ends on the path as it stands, which may go on beyond it: what comes next may need the rest
        spans[place] = tuple(own)
    return Tree(tuple(_with_keep(pieces, len(before))), known, before, tuple(spans))


def _depth_first(sequences: Sequence[Tokens], known: Sequence[int]) -> list[int]:
    """The sequences' places in the order of the tree: each one's path begins with the longest part of the path before
    that is of any use. Within that, branches come as they first appear, so that the last one is the likeliest to be
    gone on from.

    Args:
        sequences: any.
        known: how much of the known path each begins with; the known path comes before all branches.
    """
    order: list[int] = []
    groups = [sorted(range(len(sequences)), key=lambda place: sequences[place])] if sequences else []
    while groups:
        group = groups.pop()
        last = sequences[group[-1]]
        depth = common(sequences[group[0]], last)  # they are sorted: all of them have this much in common
        if depth == len(last):
            order += group
            continue
        branches: dict[int | None, list[int]] = {}
        for place in group:
            tokens = sequences[place]
            branches.setdefault(tokens[depth] if len(tokens) > depth else None, []).append(place)

        def rank(branch: tuple[int | None, list[int]], depth: int = depth) -> tuple[bool, bool, int]:
            token, places = branch
            return token is not None, known[places[0]] <= depth, min(places)

        groups += [places for _, places in sorted(branches.items(), key=rank, reverse=True)]
    return order


def _with_keep(pieces: Sequence[tuple[int, Tokens]], last: int) -> Iterable[Piece]:
    """The pieces, with how much of each a later one's path needs.

    Args:
        pieces: (depth, tokens).
        last: the length of the tree's last path.
    """
    keep = [0] * len(pieces)
    open_: list[int] = []
    for number, (depth, _) in enumerate(pieces):
        while open_ and pieces[open_[-1]][0] >= depth:
            open_.pop()
        for place in open_:
            keep[place] = max(keep[place], min(depth - pieces[place][0], len(pieces[place][1])))
        open_.append(number)
    for place in open_:
        keep[place] = max(keep[place], min(last - pieces[place][0], len(pieces[place][1])))
    return [Piece(depth, tokens, kept) for (depth, tokens), kept in zip(pieces, keep, strict=True)]


def chunked(
    pieces: Sequence[Piece], size: int, wanted: Sequence[int] = (), most_wanted: int | None = None
) -> list[tuple[Piece, ...]]:
    """The pieces in chunks that are computed at a time, in their order; a piece that is too long is cut.

    Args:
        pieces: of a tree.
        size: the most tokens of a chunk, at least 1.
        wanted: numbers of tokens, rising, of which a chunk is to have no more than `most_wanted`.
    """
    chunks: list[tuple[Piece, ...]] = []
    chunk: list[Piece] = []
    held = asked = number = next_wanted = 0
    for piece in _cut(pieces, size):
        length, here = len(piece.tokens), 0
        while next_wanted < len(wanted) and wanted[next_wanted] < number + length:
            next_wanted, here = next_wanted + 1, here + 1
        if chunk and (held + length > size or (most_wanted is not None and asked + here > most_wanted)):
            chunks.append(tuple(chunk))
            chunk, held, asked = [], 0, 0
        chunk.append(piece)
        held, asked, number = held + length, asked + here, number + length
    if chunk:
        chunks.append(tuple(chunk))
    return chunks


def _cut(pieces: Sequence[Piece], size: int) -> Iterable[Piece]:
    for piece in pieces:
        for start in range(0, len(piece.tokens), size):
            part = piece.tokens[start : start + size]
            last = start + size >= len(piece.tokens)
            # the rest of a piece stands on what was cut off before it
            keep = len(part) if not last else max(0, piece.keep - start)
            yield Piece(piece.depth + start, part, keep)
