"""Attention over a token tree: one packed forward pass over a chunk of it, with the path's keys and values on a stack.

Everything in a causal language model but attention treats each token on its own, so a chunk of the tree goes through
the model as one row without padding. Attention is transformers' own interface, `AttentionInterface`: in it, each piece
sees the stack up to its depth, and itself causally; siblings go together, under a mask. Keys and values of a piece stay
on the stack as long as a later piece stands on them. So every token is computed once, however the tree is cut.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from kardia.judge.local.tree import Piece

if TYPE_CHECKING:
    import torch
    from torch import Tensor

__all__ = ["NAME", "Rows", "Run", "Stack", "TreePass", "register", "runs_of"]

NAME = "kardia_tree"
"""Under which transformers knows the attention."""
STEP = 256
"""Tokens by which the stack grows."""
QUERY_BLOCK = 1024
"""Queries at a time where scores are written out."""


@dataclass(frozen=True, slots=True)
class Run:
    """Neighbouring pieces of one chunk that see the same part of the stack: siblings.

    Attributes:
        depth: how much of the stack they see.
        start, stop: where they stand in the chunk.
        parts: each one's start and stop in the chunk.
        keep: how many tokens of the last one go on the stack.
        rows: rows of a `Rows` whose sequence ends with this run's one piece.
    """

    depth: int
    start: int
    stop: int
    parts: tuple[tuple[int, int], ...]
    keep: int
    rows: tuple[int, ...] = ()


def runs_of(pieces: Sequence[Piece], area: int, rows: Sequence[tuple[int, ...]] | None = None) -> tuple[Run, ...]:
    """The runs of one chunk.

    Args:
        pieces: of the chunk.
        area: about how many pairs of a query and a key one run may have, before siblings are taken apart.
        rows: for each piece, the rows that end with it; where they are given, every piece is a run.
    """
    runs: list[Run] = []
    start = 0
    for number, piece in enumerate(pieces):
        stop = start + len(piece.tokens)
        before = runs[-1] if runs else None
        wide = before is not None and (stop - before.start) * (piece.depth + stop - before.start) > area
        if before is not None and rows is None and before.depth == piece.depth and not wide:
            runs[-1] = Run(piece.depth, before.start, stop, (*before.parts, (start, stop)), piece.keep)
        else:
            ending = () if rows is None else rows[number]
            runs.append(Run(piece.depth, start, stop, ((start, stop),), piece.keep, ending))
        start = stop
    return tuple(runs)


@dataclass
class Stack:
    """The keys and values of one path, by layer; what lies beyond the path means nothing."""

    layers: dict[int, tuple[Tensor, Tensor]] = field(default_factory=dict)

    def room(self, layer: int, key: Tensor, value: Tensor, length: int) -> tuple[Tensor, Tensor]:
        """A layer's keys and values, of shape (1, heads, at least `length`, dimensions)."""
        known = self.layers.get(layer)
        if known is not None and known[0].shape[2] >= length:
            return known
        size = -(-length // STEP) * STEP
        new = tuple(like.new_empty(1, like.shape[1], size, like.shape[3]) for like in (key, value))
        if known is not None:
            for ours, theirs in zip(new, known, strict=True):
                ours[:, :, : theirs.shape[2]] = theirs
        self.layers[layer] = new[0], new[1]
        return self.layers[layer]


@dataclass
class Rows:
    """The keys and values of whole sequences, side by side with their ends flush: what generation goes on from.

    Attributes:
        lengths: of each sequence, in tokens.
        layers: by layer, keys and values of shape (sequences, heads, longest, dimensions).
    """

    lengths: tuple[int, ...]
    layers: dict[int, tuple[Tensor, Tensor]] = field(default_factory=dict)

    def fill(self, layer: int, row: int, key: Tensor, value: Tensor) -> None:
        """Takes a path's keys and values, of shape (1, heads, length, dimensions), as a row's own."""
        if layer not in self.layers:
            count, longest = len(self.lengths), max(self.lengths)
            self.layers[layer] = (
                key.new_zeros(count, key.shape[1], longest, key.shape[3]),
                value.new_zeros(count, value.shape[1], longest, value.shape[3]),
            )
        for whole, path in zip(self.layers[layer], (key, value), strict=True):
            whole[row, :, whole.shape[2] - path.shape[2] :] = path[0]


class TreePass:
    """One forward pass over a chunk.

    Args:
        runs: of the chunk.
        stack: where the path's keys and values are; it is written.
        rows: where whole sequences' keys and values are wanted.

    Attributes:
        seen: for each layer that attended, the sliding window that it asked for, or None.
    """

    def __init__(self, runs: Sequence[Run], stack: Stack, rows: Rows | None = None) -> None:
        self.runs = runs
        self.stack = stack
        self.rows = rows
        self.seen: dict[int, int | None] = {}
        self._masks: dict[tuple[int, int | None], Tensor] = {}
        self._deepest = max(run.depth + run.stop - run.start for run in runs)

    @contextmanager
    def active(self) -> Iterator[None]:
        """While it is, the attention `NAME` is this pass's."""
        token = _active.set(self)
        try:
            yield
        finally:
            _active.reset(token)

    def attend(self, layer: int, query: Tensor, key: Tensor, value: Tensor, how: _How) -> Tensor:
        """Attention of one layer.

        Args:
            layer: its number.
            query: of shape (1, heads, tokens, dimensions), as key and value are, of which there may be fewer heads.

        Returns:
            of shape (1, tokens, heads, dimensions).
        """
        self.seen[layer] = how.window
        out = query.new_empty(1, query.shape[2], query.shape[1], value.shape[3])
        keys, values = self.stack.room(layer, key, value, self._deepest)
        for number, run in enumerate(self.runs):
            here, end = slice(run.start, run.stop), run.depth + run.stop - run.start
            simple = run.depth == 0 and len(run.parts) == 1 and (how.window is None or end <= how.window)
            if not simple or self.rows is not None:
                keys[:, :, run.depth : end] = key[:, :, here]
                values[:, :, run.depth : end] = value[:, :, here]
            if simple:
                seen = how.attend(query[:, :, here], key[:, :, here], value[:, :, here], None)
            else:
                mask = self._mask(number, how.window, query.device)
                first = end - mask.shape[-1]
                seen = how.attend(query[:, :, here], keys[:, :, first:end], values[:, :, first:end], mask)
            out[:, here] = seen.transpose(1, 2)
            if run.keep and (simple or len(run.parts) > 1):
                last = run.parts[-1][0]
                kept = slice(last, last + run.keep)
                keys[:, :, run.depth : run.depth + run.keep] = key[:, :, kept]
                values[:, :, run.depth : run.depth + run.keep] = value[:, :, kept]
            if self.rows is not None:
                for row in run.rows:
                    self.rows.fill(layer, row, keys[:, :, :end], values[:, :, :end])
        return out

    def _mask(self, number: int, window: int | None, device: torch.device) -> Tensor:
        """What a run's tokens see of the stack's end and of themselves: bool, of shape (tokens, keys)."""
        known = self._masks.get((number, window))
        if known is None:
            known = self._masks[number, window] = _mask(self.runs[number], window, device)
        return known


_active: ContextVar[TreePass | None] = ContextVar("kardia_tree_pass", default=None)


def _mask(run: Run, window: int | None, device: torch.device) -> Tensor:
    import torch

    # with a sliding window a token at place p sees the places from p - window + 1 on
    first = 0 if window is None else max(0, run.depth - window + 1)
    size = run.stop - run.start
    mask = torch.zeros(size, run.depth - first + size, dtype=torch.bool, device=device)
    before = run.depth - first
    mask[:, :before] = True
    for start, stop in run.parts:
        inside = slice(start - run.start, stop - run.start)
        seen = torch.ones(stop - start, stop - start, dtype=torch.bool, device=device).tril_()
        mask[inside, before + inside.start : before + inside.stop] = seen
        if window is not None and before + stop - start > window:
            place = torch.arange(run.depth, run.depth + stop - start, device=device)
            past = torch.arange(first, run.depth, device=device)
            mask[inside, :before] = place[:, None] - past[None, :] < window
            mask[inside, before + inside.start : before + inside.stop] &= place[:, None] - place[None, :] < window
    return mask


@dataclass(frozen=True, slots=True)
class _How:
    """How a layer attends: its scale, its sliding window, a cap on scores (Gemma 2), sinks (GPT-OSS)."""

    scaling: float | None
    window: int | None
    softcap: float | None
    sinks: Tensor | None

    def attend(self, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None) -> Tensor:
        """Attention under a mask of shape (queries, keys); without one it is causal."""
        import torch.nn.functional as functional

        groups = query.shape[1] // key.shape[1]
        written_out = self.softcap is not None or self.sinks is not None
        if groups > 1 and (written_out or query.device.type != "cpu"):
            # under a mask, only the CPU's kernel takes fewer heads of keys than of queries
            key, value = (each.repeat_interleave(groups, 1) for each in (key, value))
            groups = 1
        if written_out:
            blocks = range(0, query.shape[2], QUERY_BLOCK)
            return _cat([self._written_out(query, key, value, mask, start) for start in blocks])
        return functional.scaled_dot_product_attention(
            query, key, value, attn_mask=mask, is_causal=mask is None, scale=self.scaling, enable_gqa=groups > 1
        )

    def _written_out(self, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, start: int) -> Tensor:
        """The same for one block of queries, for what the fused kernels do not know."""
        import torch

        block = query[:, :, start : start + QUERY_BLOCK]
        scale = query.shape[-1] ** -0.5 if self.scaling is None else self.scaling
        scores = block @ key.transpose(2, 3) * scale
        if self.softcap is not None:
            scores = torch.tanh(scores / self.softcap) * self.softcap
        if mask is None:
            places = torch.arange(key.shape[2], device=key.device)
            seen = places[None, :] <= places[start : start + QUERY_BLOCK, None]
        else:
            seen = mask[start : start + QUERY_BLOCK]
        scores = scores.masked_fill(~seen, -torch.inf)
        if self.sinks is not None:
            sinks = self.sinks.reshape(1, -1, 1, 1).expand(*scores.shape[:3], 1)
            scores = torch.cat([scores, sinks.to(scores.dtype)], dim=-1)
        shares = torch.softmax(scores, dim=-1, dtype=torch.float32).to(value.dtype)
        return shares[..., : key.shape[2]] @ value


def _cat(blocks: Sequence[Tensor]) -> Tensor:
    import torch

    return blocks[0] if len(blocks) == 1 else torch.cat(list(blocks), dim=2)


def register() -> None:
    """Makes the attention known to transformers, under `NAME`."""
    from transformers import AttentionInterface

    AttentionInterface.register(NAME, _tree_attention)


def _tree_attention(
    module: Any,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    dropout: float = 0.0,
    sliding_window: int | None = None,
    softcap: float | None = None,
    s_aux: Tensor | None = None,
    **_: Any,
) -> tuple[Tensor, None]:
    """What transformers calls; `attention_mask` and `dropout` are None and 0 in a pass of ours."""
    active = _active.get()
    if active is None:
        raise RuntimeError(f"the attention {NAME} is used outside of a pass over a tree")
    how = _How(scaling, sliding_window, softcap, s_aux)
    return active.attend(int(module.layer_idx), query, key, value, how), None
