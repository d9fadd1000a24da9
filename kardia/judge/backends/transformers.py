"""The local language-model judge: a chat model that runs on this machine, by transformers.

In the mode `logprob` it is read: the probabilities of a criterion's levels are those of their labels after the prompt,
and nothing is written. In the other modes it writes a reason and then a level, within the answer's JSON Schema. Either
way, what requests have in common (instructions, context, a reply) is computed once (`kardia.judge.local`).
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from kardia.errors import AnswerError
from kardia.judge.labels import level_labels
from kardia.judge.local.labels import Question, question_of
from kardia.judge.local.loading import dtype_of, known_as, load
from kardia.judge.local.memory import halving
from kardia.judge.local.reader import Reader
from kardia.judge.local.shortening import Shortening
from kardia.judge.local.wording import Wording
from kardia.judge.local.writer import DEFAULT_TOKENS, Prompt, Writer, Written
from kardia.judge.options import TransformersOptions
from kardia.judge.profile import JudgeProfile
from kardia.judge.protocol import Answer, Known, Opinion, Request, Said, Usage
from kardia.pretrained import quiet
from kardia.rubric.models import Level
from kardia.rubric.rubric import canonical_json
from kardia.version import __version__

if TYPE_CHECKING:
    from kardia.judge.local.loading import Loaded

__all__ = ["TransformersJudge"]

READS = 1
"""Moves when the same model would be read differently."""
DIGITS = 5
"""Digits of a probability: more would be noise that the composition of a batch leaves in float32."""
ROW_TOKENS = {"cpu": 16_384}
"""Tokens of the answers that are written at a time, prompts included, by device."""
MOST_ROW_TOKENS = 131_072
SAMPLED = ("temperature", "seed", "max_tokens", "top_p")

_Stop = Callable[[], bool]


@dataclass(frozen=True, slots=True)
class _Worded:
    """A request as tokens."""

    request: Request
    text: str
    tokens: tuple[int, ...]
    dropped: int = 0
    question: Question | None = None

    @property
    def longest(self) -> int:
        """Tokens of the longest sequence that is read for it."""
        readings = () if self.question is None else self.question.readings
        return max(len(self.tokens), *(len(each.tokens) for each in readings), 0)


@dataclass(slots=True)
class _Engine:
    """A loaded model with all that works with it; the writer is made when something is to be written."""

    loaded: Loaded
    reader: Reader
    wording: Wording
    end: int
    writer: Writer | None = None


class TransformersJudge:
    """The `transformers` backend.

    The model is found and loaded when the first request is answered, and stays loaded. One batch is computed at a time.

    Args:
        profile: of the backend `transformers`.

    Raises (from `answer`):
        MissingExtra: where torch or transformers are not installed, or what the profile wants besides.
        ProfileError: where the model is not on this machine, or cannot be used.
    """

    reads_prompts = True
    batch_size = 128

    def __init__(self, profile: JudgeProfile) -> None:
        self.profile = profile
        self._options = profile.transformers or TransformersOptions()
        self._engine: _Engine | None = None
        self._shortening = Shortening(profile)
        self._rows: int | None = None
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        return f"TransformersJudge({self.profile.name!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        return TransformersJudge, (self.profile,)

    @cached_property
    def identity(self) -> str:
        """What determines its answers beside the request: the model and the adapter as they lie here, how they are
        computed and read, what becomes of what is too long, and how it samples where it writes.

        Raises:
            MissingExtra, ProfileError: where the model is not on this machine.
        """
        options, profile = self._options, self.profile
        writes = profile.mode != "logprob"
        known = {
            "backend": "transformers",
            "model": known_as(profile, "model"),
            "adapter": known_as(profile, "adapter") if options.adapter else None,
            "dtype": dtype_of(options),
            "quantization": options.quantization,
            "max_context": options.max_context,
            "too_long": options.too_long,
            "sampling": profile.sampling.model_dump(mode="json", include=set(SAMPLED)) if writes else None,
            "reads": READS,
            "kardia": __version__,
        }
        return canonical_json(known)

    async def answer(self, requests: Sequence[Request]) -> list[Answer | Exception]:
        """An answer to every request. Runs in a worker thread; where the caller goes away, it ends early."""
        given_up = threading.Event()
        try:
            return await asyncio.to_thread(self._answer, list(requests), given_up.is_set)
        except asyncio.CancelledError:
            given_up.set()
            raise

    async def aclose(self) -> None:
        """Lets go of the last conversation's keys and values; the model stays loaded."""
        if self._lock.acquire(blocking=False):  # somebody else's batch is not disturbed
            try:
                if self._engine is not None:
                    self._engine.reader.forget()
            finally:
                self._lock.release()

    def _answer(self, requests: list[Request], stop: _Stop) -> list[Answer | Exception]:
        with self._lock:
            if self._engine is None:
                self._engine = self._load()
            engine = self._engine
            answers: list[Answer | Exception | None] = [None] * len(requests)
            read: dict[int, _Worded] = {}
            written: dict[int, _Worded] = {}
            for place, worded in enumerate(self._worded(engine, requests)):
                if isinstance(worded, AnswerError):
                    answers[place] = worded
                else:
                    (read if worded.question is not None else written)[place] = worded
            for group, work in ((read, self._read), (written, self._write)):
                for place, answer in zip(group, work(engine, list(group.values()), stop), strict=True):
                    answers[place] = answer
            return [AnswerError("the judge gave no answer") if answer is None else answer for answer in answers]

    def _load(self) -> _Engine:
        loaded = load(self.profile)
        wording = Wording(loaded.tokenizer, loaded.ends)
        with quiet():  # a model that cannot share says so in transformers' words, too
            reader = Reader(loaded.model, self._options.batch_tokens)
        return _Engine(loaded, reader, wording, wording.end())

    def _worded(self, engine: _Engine, requests: Sequence[Request]) -> list[_Worded | AnswerError]:
        """The requests as tokens; an error for one that is too long, or cannot be asked."""
        texts = [engine.wording.text(request.messages) for request in requests]
        tokens = engine.wording.tokens(texts)
        found: list[_Worded | AnswerError] = []
        for request, text, ids in zip(requests, texts, tokens, strict=True):
            try:
                worded = self._asked(engine, _Worded(request, text, ids))
                found.append(worded if self._fits(engine, worded) else self._shortened(engine, worded))
            except AnswerError as problem:
                found.append(problem)
        return found

    def _asked(self, engine: _Engine, worded: _Worded) -> _Worded:
        """With the question that its labels make, where it is one to be read."""
        request = worded.request
        if request.mode != "logprob":
            return worded
        try:
            answered = engine.wording.answered(worded.text, worded.tokens, _labels_of(request))
            question = question_of(answered, engine.end)
        except ValueError as problem:
            raise AnswerError(f"{request.criteria[0].id}: {problem}") from None
        return _Worded(request, worded.text, worded.tokens, worded.dropped, question)

    def _room(self) -> int:
        """Tokens that an answer may take."""
        return self.profile.sampling.max_tokens or DEFAULT_TOKENS

    def _fits(self, engine: _Engine, worded: _Worded) -> bool:
        most = engine.loaded.context
        return most is None or worded.longest + (0 if worded.question is not None else self._room()) <= most

    def _shortened(self, engine: _Engine, worded: _Worded) -> _Worded:
        if self._options.too_long != "truncate":
            room = "" if worded.question is not None else f" and {self._room()} for the answer"
            raise AnswerError(
                f"the conversation is longer than the model's context: {worded.longest} tokens{room}, of at most "
                f"{engine.loaded.context} (transformers.too_long: truncate leaves its oldest messages out)"
            )

        def reworded(request: Request) -> _Worded:
            text = engine.wording.text(request.messages)
            return self._asked(engine, _Worded(request, text, engine.wording.tokens([text])[0]))

        shorter, dropped = self._shortening.shorten(
            worded.request, lambda request: self._fits(engine, reworded(request))
        )
        again = reworded(shorter)
        return _Worded(again.request, again.text, again.tokens, dropped, again.question)

    def _read(self, engine: _Engine, asked: list[_Worded], stop: _Stop) -> list[Answer | Exception]:
        """The probabilities of each request's labels."""

        def read(some: Sequence[_Worded]) -> list[Answer | Exception]:
            questions = [each.question for each in some if each.question is not None]
            told = iter(engine.reader.read([reading for each in questions for reading in each.readings], stop))
            answers: list[Answer | Exception] = []
            for each, question in zip(some, questions, strict=True):
                shares = question.shares([next(told) for _ in question.readings])
                answers.append(_known(each, shares))
            return answers

        return halving(asked, read, _too_much, engine.reader.relieve)

    def _write(self, engine: _Engine, asked: list[_Worded], stop: _Stop) -> list[Answer | Exception]:
        """An answer in words to each request."""
        if not asked:
            return []
        if engine.writer is None:
            engine.writer = Writer(engine.reader, engine.loaded.tokenizer, self.profile.sampling, engine.loaded.ends)
        writer = engine.writer

        trying = 0

        def write(some: Sequence[_Worded]) -> list[Answer | Exception]:
            nonlocal trying
            trying = len(some)
            prompts = [Prompt(each.tokens, each.request.schema or {}, each.request.sample) for each in some]
            return [_said(each, told) for each, told in zip(some, writer.write(prompts, stop), strict=True)]

        def relieve() -> bool:
            engine.reader.relieve()
            self._rows = max(1, trying // 2)
            return False  # the same rows would need as much again

        answers: dict[int, Answer | Exception] = {}
        # neighbours in this order share the most
        order = sorted(range(len(asked)), key=lambda place: asked[place].tokens)
        while order:
            size = self._rows_of(engine, max(len(asked[place].tokens) for place in order))
            batch, order = order[:size], order[size:]
            told = halving([asked[place] for place in batch], write, _too_much, relieve)
            for place, each in zip(batch, told, strict=True):
                answers[place] = each
        return [answers[place] for place in range(len(asked))]

    def _rows_of(self, engine: _Engine, longest: int) -> int:
        """How many answers are written at a time."""
        most = self._options.batch_tokens or ROW_TOKENS.get(engine.reader.device.type, MOST_ROW_TOKENS)
        rows = max(1, most // (longest + self._room()))
        return rows if self._rows is None else min(rows, self._rows)


def _labels_of(request: Request) -> Mapping[str, Level]:
    return request.labels or level_labels(request.criteria[0])


def _known(asked: _Worded, shares: Mapping[str, float]) -> Known:
    request, labels = asked.request, _labels_of(asked.request)
    rounded = {labels[label]: float(f"{share:.{DIGITS}g}") for label, share in shares.items()}
    return Known({request.criteria[0].id: Opinion(rounded)}, Usage(1, len(asked.tokens)), asked.dropped)


def _said(asked: _Worded, told: Written | AnswerError) -> Said | AnswerError:
    if isinstance(told, AnswerError):
        return told
    usage = Usage(1, len(asked.tokens), told.tokens)
    return Said(told.text, truncated=told.truncated, usage=usage, dropped=asked.dropped)


def _too_much(asked: _Worded) -> AnswerError:
    return AnswerError(
        f"the memory does not hold the conversation: {asked.longest} tokens (transformers.max_context sets a limit, "
        "a smaller dtype or quantization makes room)"
    )
