"""A slowly moving copy of the policy, which says how well an answer follows from its reasoning (GRPO-CARE, arXiv
2506.16141).

Published is the moving average: 0.995 of the copy and 0.005 of the policy, every 10 steps. The likelihood is the
geometric mean over the answer's tokens.
"""

from __future__ import annotations

import copy
import inspect
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from kardia.errors import InputError, MissingExtra
from kardia.reward.completion import Completion
from kardia.spans import split_reply, tag_of, tag_pattern, without_thinking

if TYPE_CHECKING:
    import torch

__all__ = ["MovingReference", "answers_by", "updating"]

Prompt = str | Sequence[Mapping[str, str]]


class MovingReference:
    """A copy of a causal language model that follows it as a moving average. It takes as much memory as the model.

    Args:
        model: transformers' causal language model, with an adapter of peft's or without; it is copied, not kept.
        decay: how much of the copy stays at each update, in [0, 1].
        every: at which calls of `update` there is one.
        batch_size: how many texts are read at a time.

    Attributes:
        model: the copy, in evaluation mode.
        steps: how often `update` was called.

    Raises:
        MissingExtra: where torch is not installed.
        InputError: for a decay or a number that cannot be.
    """

    def __init__(self, model: Any, *, decay: float = 0.995, every: int = 10, batch_size: int = 8) -> None:
        try:
            import torch  # noqa: F401
        except ImportError:
            raise MissingExtra("local", "a moving reference model") from None
        if not 0 <= decay <= 1:
            raise InputError(f"the decay of a moving reference lies between 0 and 1, not at {decay}")
        if every < 1 or batch_size < 1:
            raise InputError("a moving reference is updated, and reads, 1 or more at a time")
        self.decay = decay
        self.every = every
        self.batch_size = batch_size
        self.steps = 0
        self.model = copy.deepcopy(model).eval().requires_grad_(False)
        # a step of 0.005 of a small difference is lost in a parameter of 16 bits: such averages are kept apart
        self._averages: dict[str, torch.Tensor] = {}

    def to(self, device: Any) -> None:
        """Moves the copy to where it is to compute."""
        self.model.to(device)
        self._averages = {name: average.to(device) for name, average in self._averages.items()}

    def update(self, model: Any) -> bool:
        """Called after every step of training; moves the copy towards the model at every 10th (`every`).

        Only what is trained moves: of a model with an adapter, the adapter.

        Returns:
            whether it was moved.

        Raises:
            InputError: where the model is another one than was copied, or only a part of it lies in this process.
        """
        import torch

        self.steps += 1
        if self.steps % self.every:
            return False
        own = dict(self.model.named_parameters())
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                if not parameter.requires_grad:
                    continue
                target = own.get(name)
                if target is None or target.shape != parameter.shape:
                    raise InputError(
                        f"the moving reference cannot follow the model: {name} is not what it was when it was copied. "
                        "Copy the model that is trained, after its adapter was added; a model that is split over "
                        "processes cannot be followed"
                    )
                self._follow(name, target, parameter.detach())
        return True

    def _follow(self, name: str, target: torch.Tensor, parameter: torch.Tensor) -> None:
        import torch

        if target.dtype not in (torch.float16, torch.bfloat16):
            target.lerp_(parameter.to(target), 1 - self.decay)
            return
        average = self._averages.setdefault(name, target.float())
        average.lerp_(parameter.to(average), 1 - self.decay)
        target.copy_(average)

    def likelihoods(
        self, prompts: Sequence[Prompt], reasoning: Sequence[str], answers: Sequence[str], tokenizer: Any
    ) -> list[float]:
        """How likely each answer is after its prompt and its reasoning.

        Args:
            prompts: texts, to which the tokenizer adds what it begins a text with; or lists of messages with `role` and
                `content`, which its chat template makes a text of.
            reasoning: what was written before the answer, tags and all.
            answers: what is to be predicted. Each is cut into tokens on its own: end the reasoning where a token ends,
                such as with the tag that opens the answer.
            tokenizer: the model's.

        Returns:
            for each, exp of the mean log-probability of the answer's tokens, in [0, 1]. Of a text that is longer than
            the model's context its beginning is left out.

        Raises:
            ValueError: where the three are not as long as each other, or an answer has no tokens.
        """
        rows = [self._coded(*row, tokenizer) for row in zip(prompts, reasoning, answers, strict=True)]
        found = [0.0] * len(rows)
        by_length = sorted(range(len(rows)), key=lambda place: len(rows[place][0]))
        for start in range(0, len(rows), self.batch_size):
            places = by_length[start : start + self.batch_size]
            for place, likelihood in zip(places, self._batch([rows[each] for each in places]), strict=True):
                found[place] = likelihood
        return found

    def _coded(self, prompt: Prompt, reasoning: str, answer: str, tokenizer: Any) -> tuple[list[int], int]:
        """The tokens of a whole text, and how many of them are the answer's."""
        written = not isinstance(prompt, str)
        if written:
            prompt = tokenizer.apply_chat_template(prompt, tokenize=False, add_generation_prompt=True)
        before: list[int] = tokenizer(f"{prompt}{reasoning}", add_special_tokens=not written)["input_ids"]
        after: list[int] = tokenizer(answer, add_special_tokens=False)["input_ids"]
        if not after:
            raise ValueError("an answer without text has no likelihood")
        if not before:  # the first token is predicted from something, too
            begin = tokenizer.bos_token_id if tokenizer.bos_token_id is not None else tokenizer.eos_token_id
            before = [begin if begin is not None else after[0]]
        ids = before + after
        longest = getattr(self.model.config, "max_position_embeddings", None) or len(ids)
        ids = ids[-longest:]
        return ids, min(len(after), len(ids) - 1)

    def _batch(self, rows: Sequence[tuple[list[int], int]]) -> Iterator[float]:
        import torch

        # padded on the left: the answers, which alone need scores over the vocabulary, are then at the end of all
        device = next(self.model.parameters()).device
        longest = max(len(ids) for ids, _ in rows)
        keep = max(count for _, count in rows) + 1
        ids_BL = torch.zeros((len(rows), longest), dtype=torch.long)
        mask_BL = torch.zeros_like(ids_BL)
        for row, (ids, _) in enumerate(rows):
            ids_BL[row, -len(ids) :] = torch.tensor(ids)
            mask_BL[row, -len(ids) :] = 1
        ids_BL, mask_BL = ids_BL.to(device), mask_BL.to(device)
        given = {"position_ids": (mask_BL.cumsum(-1) - 1).clamp(min=0), "logits_to_keep": keep, "use_cache": False}
        taken = _parameters(self.model)
        with torch.no_grad():
            output = self.model(
                input_ids=ids_BL, attention_mask=mask_BL, **{name: given[name] for name in given if name in taken}
            )
            logits_BKV = output.logits[:, -keep:-1].float()
            next_BK = ids_BL[:, 1 - keep :]
            logs_BK = logits_BKV.gather(-1, next_BK[..., None])[..., 0] - logits_BKV.logsumexp(-1)
        for logs_K, (_, count) in zip(logs_BK.tolist(), rows, strict=True):
            yield min(math.exp(math.fsum(logs_K[-count:]) / count), 1.0)


def answers_by(
    reference: MovingReference, tokenizer: Any, span: str = "emotion"
) -> Callable[[Sequence[Completion]], list[float | None]]:
    """What a reward with a consistency term takes as its `likelihoods`.

    Args:
        reference: who finds an answer likely or not.
        tokenizer: its tokenizer; one without a chat template is given the prompt's messages as plain text.
        span: the answer is this span of a completion; its reasoning is all that stands before.

    Returns:
        a function of completions that gives the likelihood of each one's answer; None where it has none.
    """

    def likelihoods(completions: Sequence[Completion]) -> list[float | None]:
        parted = [_parted(completion, span) for completion in completions]
        known = [place for place, parts in enumerate(parted) if parts is not None]
        values = reference.likelihoods(
            [_prompt(completions[place], tokenizer) for place in known],
            [parts[0] for parts in parted if parts is not None],
            [parts[1] for parts in parted if parts is not None],
            tokenizer,
        )
        found: list[float | None] = [None] * len(completions)
        for place, value in zip(known, values, strict=True):
            found[place] = value
        return found

    return likelihoods


def updating(reference: MovingReference) -> Any:
    """A callback for transformers' `Trainer` and those built on it, which moves the reference after every step of the
    optimizer, and puts it on the device of the model when training begins.

    Raises:
        MissingExtra: where transformers is not installed.
    """
    try:
        from transformers import TrainerCallback
    except ImportError:
        raise MissingExtra("local", "following a model in training") from None

    class Updating(TrainerCallback):  # type: ignore[misc]  # transformers is not typed
        def on_train_begin(self, args: Any, state: Any, control: Any, **rest: Any) -> None:
            reference.to(next(rest["model"].parameters()).device)

        def on_step_end(self, args: Any, state: Any, control: Any, **rest: Any) -> None:
            reference.update(rest["model"])

    return Updating()


def _parted(completion: Completion, span: str) -> tuple[str, str] | None:
    """What stands before the text of a span, its opening tag included, and that text; None where there is none, and
    where thinking stands elsewhere than at the beginning."""
    text = completion.text
    answer = split_reply(text, (span,)).spans.get(span)
    plain, _ = without_thinking(text)
    if not answer or not text.endswith(plain):
        return None
    tags = tag_pattern((span,))
    # the first such place: at one that quotes it afterwards, any answer would be likely
    for tag in tags.finditer(plain):
        after = plain[tag.end() :].lstrip()
        if tag_of(tag)[2] and after.startswith(answer) and tags.match(after[len(answer) :].lstrip()):
            return text[: len(text) - len(after)], answer
    return None


def _prompt(completion: Completion, tokenizer: Any) -> Prompt:
    messages = completion.conversation.messages[:-1]
    if getattr(tokenizer, "chat_template", None) is None:
        return "\n\n".join(message.content for message in messages)
    return [message.to_json() for message in messages]


def _parameters(model: Any) -> frozenset[str]:
    """What the model's forward can be given; one with an adapter hands everything on to the model within."""
    inner = model.get_base_model() if hasattr(model, "get_base_model") else model
    return frozenset(inspect.signature(type(inner).forward).parameters)
