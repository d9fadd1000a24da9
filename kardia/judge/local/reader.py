"""Reads token sequences with a causal language model: log-probabilities, and caches to generate from.

Sequences are read as a tree (`kardia.judge.local.tree`): every token that several have in common is computed once. A
model that does not attend through transformers' `AttentionInterface`, or mixes tokens outside of attention, is found
out by a small trial when it is loaded, and reads each sequence on its own.
"""

from __future__ import annotations

import inspect
import random
import warnings
from collections.abc import Callable, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from kardia.judge.local.attention import NAME, Rows, Stack, TreePass, register, runs_of
from kardia.judge.local.labels import Reading
from kardia.judge.local.plain import read_plainly
from kardia.judge.local.tree import Piece, chunked, grow

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor

__all__ = ["Reader", "Stopped"]

CHUNKS = {"cpu": 2048}
"""Tokens in one forward pass, by device: what keeps it busy, and on a CPU what its caches hold."""
CHUNK = 16_384
AREAS = {"cpu": 256 * 1024}
"""Pairs of a query and a key under one mask, by device: siblings together waste some, apart they are many calls."""
AREA = 4 * 1024 * 1024
LEAST_CHUNK = 64
MOST_WANTED = 512
"""Tokens of one forward pass whose logits over the vocabulary are held at a time."""
_WINDOWED = frozenset(("full_attention", "sliding_attention"))


class Stopped(Exception):
    """Reading was called off between two forward passes."""


class Reader:
    """Reads with one model. Not thread-safe.

    Args:
        model: a causal language model of transformers, in evaluation mode.
        most: the most tokens in one forward pass; None: what suits the device.

    Attributes:
        shares: whether sequences share what they have in common.
        computed: tokens computed so far.
        chunk: the most tokens in one forward pass, as it stands now.
    """

    def __init__(self, model: Any, most: int | None = None) -> None:
        self.model = model
        self.device = model.device
        kind = self.device.type
        self.chunk = min(CHUNKS.get(kind, CHUNK), most or CHUNK)
        self.most = most or CHUNK
        self.computed = 0
        self._area = AREAS.get(kind, AREA)
        self._path: tuple[int, ...] = ()
        self._stack = Stack()
        self._seen: dict[int, int | None] = {}
        self._keeps = "logits_to_keep" in inspect.signature(model.forward).parameters
        self._steady = _steady_up_to(model.config)
        register()
        self.shares = False
        why = _unfit(model.config) or self._trial()
        self.shares = why is None
        if why is not None:
            warnings.warn(
                f"{type(model).__name__} {why}: what requests have in common is computed for each of them again",
                RuntimeWarning,
                stacklevel=2,
            )

    def __repr__(self) -> str:
        return f"Reader({type(self.model).__name__}, {self.device}, shares={self.shares})"

    def read(self, readings: Sequence[Reading], stop: Callable[[], bool] = bool) -> list[tuple[float, ...]]:
        """The log-probability of every ask of every reading, in their order.

        Args:
            readings: any number.
            stop: asked before each forward pass.

        Raises:
            Stopped: where `stop` says so.
            RuntimeError: out of memory, among others; see `relieve`.
        """
        import torch

        found: dict[int, tuple[float, ...]] = {}
        short = [place for place, each in enumerate(readings) if self.shares and len(each.tokens) <= self._steady]
        rest = [
            place for place in range(len(readings)) if not self.shares or len(readings[place].tokens) > self._steady
        ]
        with torch.inference_mode():
            if short:
                found.update(zip(short, self._read_tree([readings[place] for place in short], stop), strict=True))
            if rest:
                told = self._read_plainly([readings[place] for place in rest], stop)
                found.update(zip(rest, told, strict=True))
        return [found[place] for place in range(len(readings))]

    def fill(self, sequences: Sequence[tuple[int, ...]], stop: Callable[[], bool] = bool) -> Rows | None:
        """The keys and values of these sequences, their ends flush; None where the model cannot share.

        Args:
            sequences: equal ones may stand there several times.
            stop: as in `read`.
        """
        import torch

        if not self.shares or max(map(len, sequences)) > self._steady:
            return None
        self.forget()
        tree = grow(sequences)
        rows = Rows(tuple(len(sequence) for sequence in sequences))
        ending: dict[int, list[int]] = {}
        for row, sequence in enumerate(sequences):
            ending.setdefault(tree.number(row, len(sequence) - 1), []).append(row)
        with torch.inference_mode(), self._attending():
            number = 0
            for chunk in chunked(tree.pieces, self.chunk):
                ends = [number := number + len(piece.tokens) for piece in chunk]
                here = [tuple(ending.get(end - 1, ())) for end in ends]
                self._forward(chunk, [], stop, rows, here)
        self.forget()
        return rows

    def relieve(self) -> bool:
        """After memory ran out: lets go of what is kept, and halves what is computed at a time, where that goes."""
        self.forget()
        if self.device.type == "cuda":
            import torch

            torch.cuda.empty_cache()
        if self.chunk <= LEAST_CHUNK:
            return False
        self.chunk = max(LEAST_CHUNK, self.chunk // 2)
        return True

    def forget(self) -> None:
        """Lets go of the path's keys and values, which later readings could go on from."""
        self._path = ()
        self._stack = Stack()

    def _read_tree(self, readings: Sequence[Reading], stop: Callable[[], bool]) -> list[tuple[float, ...]]:
        path, self._path = self._path, ()  # it is at hand again once all of this has gone well
        tree = grow([each.tokens for each in readings], path, [each.fresh for each in readings])
        asked = [[(tree.number(row, place), token) for place, token in each.asks] for row, each in enumerate(readings)]
        wanted = sorted({number for each in asked for number, _ in each})
        tokens: dict[int, list[int]] = {}
        for each in asked:
            for number, token in each:
                tokens.setdefault(number, []).append(token)
        found: dict[tuple[int, int], float] = {}
        number = 0
        with self._attending():
            for chunk in chunked(tree.pieces, self.chunk, wanted, MOST_WANTED):
                stop_at = number + sum(len(piece.tokens) for piece in chunk)
                here = [each for each in wanted if number <= each < stop_at]
                logits = self._forward(chunk, [each - number for each in here], stop)
                pairs = [(row, token) for row, each in enumerate(here) for token in tokens[each]]
                for (row, token), told in zip(pairs, _log_probabilities(logits, pairs), strict=True):
                    found[here[row], token] = told
                number = stop_at
        self._path = tree.path
        return [tuple(found[each] for each in asks) for asks in asked]

    def _forward(
        self,
        chunk: Sequence[Piece],
        wanted: Sequence[int],
        stop: Callable[[], bool],
        rows: Rows | None = None,
        ending: Sequence[tuple[int, ...]] | None = None,
    ) -> Tensor:
        """One forward pass; the logits at the wanted places, of shape (wanted, vocabulary)."""
        import torch

        if stop():
            raise Stopped
        ids = [token for piece in chunk for token in piece.tokens]
        places = [piece.depth + at for piece in chunk for at in range(len(piece.tokens))]
        one = TreePass(runs_of(chunk, self._area, ending), self._stack, rows)
        keep = torch.tensor(wanted or [len(ids) - 1], device=self.device)
        with one.active():
            out = self.model(
                input_ids=torch.tensor([ids], device=self.device),
                position_ids=torch.tensor([places], device=self.device),
                use_cache=False,
                **({"logits_to_keep": keep} if self._keeps else {}),
            )
        self._seen = one.seen
        self.computed += len(ids)
        logits: Tensor = out.logits[0] if self._keeps else out.logits[0, keep]
        return logits

    def _read_plainly(self, readings: Sequence[Reading], stop: Callable[[], bool]) -> list[tuple[float, ...]]:
        def checked() -> None:
            if stop():
                raise Stopped

        # beyond what is steady, a sequence's numbers depend on the longest one beside it
        alone = any(len(each.tokens) > self._steady for each in readings)
        found = read_plainly(self.model, readings, 1 if alone else self.chunk, checked)
        self.computed += sum(len(each.tokens) for each in readings)
        return found

    @contextmanager
    def _attending(self) -> Iterator[None]:
        """While it lasts, the model attends over the tree."""
        with ExitStack() as undo:
            for config in reversed(_configs(self.model.config)):  # the outermost sets those within it, so it goes first
                undo.callback(setattr, config, "_attn_implementation", config._attn_implementation)
            self.model.set_attn_implementation(NAME)
            yield

    def _trial(self) -> str | None:
        """Why this model cannot share, found out by a few tokens; None where it can."""
        import torch

        chance = random.Random(0)
        most = min(self.model.config.get_text_config().vocab_size, 1000)
        stem, *twigs = ([chance.randrange(most) for _ in range(length)] for length in (9, 5, 4, 3, 6))
        sequences = [(*stem, *twigs[0], *twigs[2]), (*stem, *twigs[0], *twigs[3]), (*stem, *twigs[1])]
        asks = tuple((0, token) for token in chance.sample(range(most), min(most, 64)))
        readings = [Reading(each, tuple((len(each) - 1, token) for _, token in asks)) for each in sequences]
        chunk, self.chunk = self.chunk, 8  # so that the stack is used, too
        try:
            with torch.inference_mode():
                ours = torch.tensor(self._read_tree(readings, bool))
                alone = torch.tensor([self._read_plainly([each], bool)[0] for each in readings])
        except (RuntimeError, ValueError, TypeError, KeyError, AttributeError, IndexError) as problem:
            return f"cannot read a tree of tokens ({str(problem).splitlines()[0] if str(problem) else problem!r})"
        finally:
            self.chunk, self.computed = chunk, 0
            self.forget()
        if not self._seen:
            return "does not attend through transformers' AttentionInterface"
        if _slides(self.model.config) and not any(self._seen.values()):
            return "does not say how far its sliding window reaches"
        exact = next(self.model.parameters()).dtype == torch.float32
        if not torch.allclose(ours, alone, rtol=0, atol=(1e-3 if exact else 0.2) * max(1.0, float(alone.std()))):
            return "reads a tree of tokens differently"
        return None


def _log_probabilities(logits: Tensor, pairs: Sequence[tuple[int, int]]) -> list[float]:
    """Of (row, token) pairs."""
    import torch

    if not pairs:
        return []
    rows, tokens = (torch.tensor(each, device=logits.device) for each in zip(*pairs, strict=True))
    logits = logits.float()
    told: list[float] = (logits[rows, tokens] - torch.logsumexp(logits, dim=-1)[rows]).tolist()
    return told


def _configs(config: Any) -> list[Any]:
    """A model's configuration and those within it."""
    inner = [getattr(config, name) for name in getattr(config, "sub_configs", {}) if getattr(config, name, None)]
    return [config, *(each for part in inner for each in _configs(part))]


def _unfit(config: Any) -> str | None:
    """Why a model of this configuration cannot share, where that is known before anything is computed."""
    kinds = set(getattr(config.get_text_config(), "layer_types", None) or ())
    if not kinds <= _WINDOWED:
        return f"has layers of the kind {', '.join(sorted(kinds - _WINDOWED))}"
    if getattr(config, "is_encoder_decoder", False):
        return "has an encoder of its own"
    return None


def _slides(config: Any) -> bool:
    text = config.get_text_config()
    kinds = getattr(text, "layer_types", None)
    return "sliding_attention" in kinds if kinds else bool(getattr(text, "sliding_window", None))


def _steady_up_to(config: Any) -> float:
    """The length up to which a token's position means the same in every sequence: some rotary embeddings are stretched
    as a whole once a sequence is longer than they were trained for."""
    text = config.get_text_config()
    rope = getattr(text, "rope_parameters", None) or {}
    found = [each for each in (rope, *rope.values()) if isinstance(each, dict)]
    limits = [
        each.get("original_max_position_embeddings")
        or getattr(text, "original_max_position_embeddings", None)
        or text.max_position_embeddings
        for each in found
        if each.get("rope_type") in ("dynamic", "longrope")
    ]
    return min(limits, default=float("inf"))
