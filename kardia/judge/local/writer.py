"""Writes answers with a causal language model: within a JSON Schema, several at a time.

Prompts are read as a tree, so that what they share is computed once; then all rows are continued together, by
transformers' `generate`. llguidance keeps each row within its schema. A row samples with numbers of its own, from the
profile's seed and its prompt: what it writes does not depend on who is beside it, but for the noise of a batch.
"""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kardia.errors import AnswerError, MissingExtra
from kardia.judge.local.plain import padded
from kardia.judge.local.reader import Reader, Stopped
from kardia.judge.profile import Sampling

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["DEFAULT_TOKENS", "Prompt", "Writer", "Written", "bounded"]

DEFAULT_TOKENS = 512
"""The longest answer where the profile does not say."""
MOST_EVIDENCE = 3
MAX_GRAMMARS = 256


@dataclass(frozen=True, slots=True)
class Prompt:
    """What is continued.

    Attributes:
        tokens: the prompt, from its first token to the one after which the answer begins.
        schema: the JSON Schema of the answer.
        sample: the sample's number.
    """

    tokens: tuple[int, ...]
    schema: Mapping[str, Any]
    sample: int = 0


@dataclass(frozen=True, slots=True)
class Written:
    """An answer.

    Attributes:
        text: of the answer, without what ends the turn.
        tokens: how many were written.
        truncated: whether it ended at the limit.
    """

    text: str
    tokens: int
    truncated: bool


def bounded(schema: Mapping[str, Any], most: int) -> dict[str, Any]:
    """The schema with bounds on its free texts, so that a model that rambles still comes to its verdict.

    Half of the tokens are left to the reasons, a quarter to quotations, at two characters a token, which is less than
    nearly every text has. A reason holds something else than white space, as kardia's reader demands.

    Args:
        schema: of `kardia.answer.answer_schema`.
        most: the tokens that the answer may have.
    """
    inner = schema["properties"]
    if "reason" not in inner:
        parts = {key: bounded(part, most // len(inner)) for key, part in inner.items()}
        return {**schema, "properties": parts}
    properties = dict(inner)
    properties["reason"] = {**inner["reason"], "pattern": r"\S", "maxLength": max(40, most)}
    if "evidence" in inner:
        passage = {**inner["evidence"]["items"], "minLength": 1, "maxLength": max(20, most // 2 // MOST_EVIDENCE)}
        properties["evidence"] = {**inner["evidence"], "items": passage, "maxItems": MOST_EVIDENCE}
    if "ranking" in inner:
        count = len(inner["ranking"]["items"]["enum"])
        properties["ranking"] = {**inner["ranking"], "minItems": count, "maxItems": count}
    return {**schema, "properties": properties}


class Writer:
    """Writes with one model. Not thread-safe.

    Args:
        reader: of the model.
        tokenizer: the model's.
        sampling: as in the profile; a temperature of null is 0, which takes the likeliest token each time.
        ends: the tokens that end a turn.

    Raises:
        MissingExtra: where llguidance is not installed.
    """

    def __init__(self, reader: Reader, tokenizer: Any, sampling: Sampling, ends: Sequence[int]) -> None:
        try:
            from llguidance import LLMatcher
            from llguidance.hf import from_tokenizer
        except ImportError:
            raise MissingExtra("local", "writing answers within a schema") from None
        self._reader = reader
        self._tokenizer = tokenizer
        self._sampling = sampling
        self._ends = list(ends)
        # there are tokenizers with more tokens than their model knows, and the other way round
        self._size = max(len(tokenizer), int(reader.model.get_output_embeddings().weight.shape[0]))
        self._matcher: Callable[[Any, str], Any] = LLMatcher
        self._grammar_of = LLMatcher.grammar_from_json_schema
        self._words = from_tokenizer(tokenizer, n_vocab=self._size, eos_token=self._ends)
        self._grammars: dict[str, str] = {}
        self.most = sampling.max_tokens or DEFAULT_TOKENS

    def write(self, prompts: Sequence[Prompt], stop: Callable[[], bool] = bool) -> list[Written | AnswerError]:
        """Continues all of these prompts, in their order; an `AnswerError` for one that its schema cannot hold.

        Args:
            prompts: as many as are written at a time.
            stop: asked before each token.

        Raises:
            Stopped: where `stop` says so.
        """
        import torch
        from transformers import LogitsProcessorList

        matchers = [self._matcher(self._words, self._grammar(prompt.schema)) for prompt in prompts]
        rows = [prompt.tokens for prompt in prompts]
        ids, mask, _ = padded(rows, self._reader.device)
        chances = [self._chance(prompt) for prompt in prompts]
        constraint = _Constraint(matchers, self._size, chances, self._sampling, ids.shape[1])

        def ask(input_ids: Tensor, scores: Tensor) -> Tensor:
            if stop():
                raise Stopped
            return constraint(input_ids, scores)

        with torch.inference_mode():
            written = self._reader.model.generate(
                input_ids=ids,
                attention_mask=mask,
                past_key_values=self._cache([row[:-1] for row in rows], stop),
                max_new_tokens=self.most,
                do_sample=False,
                eos_token_id=self._ends,
                pad_token_id=self._ends[0],
                logits_processor=LogitsProcessorList([ask]),
            )[:, ids.shape[1] :].tolist()
        return [self._told(tokens, matcher) for tokens, matcher in zip(written, matchers, strict=True)]

    def _cache(self, rows: Sequence[tuple[int, ...]], stop: Callable[[], bool]) -> Any:
        """The rows' keys and values; None where `generate` computes them."""
        from transformers import DynamicCache

        filled = self._reader.fill(rows, stop) if min(map(len, rows)) else None
        if filled is None:
            return None
        # without the configuration, layers with a sliding window are whole, as these are: the mask cuts them
        cache = DynamicCache()
        for layer in sorted(filled.layers):
            cache.update(*filled.layers.pop(layer), layer)
        return cache

    def _told(self, tokens: list[int], matcher: Any) -> Written | AnswerError:
        if matcher.is_error():
            return AnswerError(f"the answer's schema cannot be kept to: {matcher.get_error().splitlines()[0][:200]}")
        end = next((place for place, token in enumerate(tokens) if token in self._ends), None)
        said = tokens if end is None else tokens[:end]
        text = self._tokenizer.decode(said, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        return Written(text, len(said), end is None)

    def _grammar(self, schema: Mapping[str, Any]) -> str:
        key = json.dumps(schema, ensure_ascii=False)
        known = self._grammars.get(key)
        if known is None:
            if len(self._grammars) >= MAX_GRAMMARS:  # rows that bring criteria of their own have a schema each
                self._grammars.clear()
            form: Any = {"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": "}
            known = self._grammar_of(json.dumps(bounded(schema, self.most), ensure_ascii=False), overrides=form)
            self._grammars[key] = known
        return known

    def _chance(self, prompt: Prompt) -> random.Random:
        if self._sampling.seed is None:
            return random.Random()
        text = f"{self._sampling.seed + prompt.sample} {prompt.tokens}"
        return random.Random(hashlib.sha256(text.encode()).digest())


class _Constraint:
    """Chooses each row's next token among those that its schema allows.

    Args:
        matchers: where each row stands in its schema.
        size: the tokens that the matchers know.
        chances: each row's random numbers, one for each token that is drawn.
        sampling: temperature and top_p.
        start: where the answers begin in the rows.
    """

    def __init__(
        self, matchers: Sequence[Any], size: int, chances: Sequence[random.Random], sampling: Sampling, start: int
    ) -> None:
        from llguidance.numpy import allocate_token_bitmask

        self._matchers = matchers
        self._chances = chances
        self._temperature = sampling.temperature or 0.0
        self._top_p = sampling.top_p
        self._start = start
        self._bits = allocate_token_bitmask(len(matchers), size)

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """Scores of shape (rows, vocabulary) in which one token of each row is left."""
        import torch

        if input_ids.shape[1] > self._start:
            for matcher, token in zip(self._matchers, input_ids[:, -1].tolist(), strict=True):
                if not matcher.is_stopped():
                    matcher.consume_token(token)
        scores = scores.float().masked_fill(~self._allowed(scores), -torch.inf)
        if not self._temperature:
            return scores
        return self._drawn(scores / self._temperature)

    def _allowed(self, scores: Tensor) -> Tensor:
        import numpy as np
        import torch
        from llguidance.numpy import fill_next_token_bitmask

        for row, matcher in enumerate(self._matchers):
            if matcher.is_error():
                self._bits[row] = -1  # the row is lost already; it must end some day
            else:
                fill_next_token_bitmask(matcher, self._bits, row)
        flags = np.unpackbits(self._bits.view(np.uint8), axis=1, bitorder="little")
        allowed: Tensor = torch.from_numpy(flags[:, : scores.shape[1]]).to(scores.device).bool()
        return allowed

    def _drawn(self, scores: Tensor) -> Tensor:
        """One token of each row, by its probability."""
        import torch

        if self._top_p is not None and self._top_p < 1:
            from transformers import TopPLogitsWarper

            scores = TopPLogitsWarper(self._top_p)(torch.empty(0), scores)
        passed = torch.softmax(scores, dim=-1, dtype=torch.float64).cumsum(-1)
        numbers = torch.tensor([[chance.random()] for chance in self._chances], dtype=torch.float64)
        drawn = torch.searchsorted(passed, numbers.to(passed.device) * passed[:, -1:], right=True)
        left = torch.full_like(scores, -torch.inf)
        return left.scatter_(1, drawn.clamp_(max=scores.shape[1] - 1), 0.0)
