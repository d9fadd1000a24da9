"""The prompt's vector: what a gating network reads. The text that is embedded, and who embeds it.

The text is what came before the judged part: the messages before the reply, or, where the conversation is judged, those
before the assistant's first one. An encoder turns it into a vector, one text at a time: in a batch, the others in it
would show in the last digits, and equal runs must be equal bytes.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Mapping, Sequence
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from kardia.artifact import EncoderId, Gating
from kardia.byobject import by_object
from kardia.conversation import Conversation
from kardia.errors import MissingExtra
from kardia.pretrained import DEFAULT_MODEL, file_digest, find_encoder
from kardia.rubric.rubric import Rubric
from kardia.spans import context_of

if TYPE_CHECKING:
    from kardia.judge.encoder import Encoder
    from kardia.judge.profile import JudgeProfile

__all__ = ["PromptVectors", "encoder_folder", "encoder_id", "gated", "prompt_text"]

MAX_CHARACTERS = 4000
"""How much of the prompt's end is read."""

_lock = threading.Lock()


def prompt_text(conversation: Conversation, target: str) -> str:
    """What came before the judged part: the messages, a blank line between two, without their roles.

    Args:
        conversation: one that is judged.
        target: the rubric's: `reply` or `conversation`.
    """
    messages: Sequence[str]
    if target == "conversation":
        first = next(place for place, message in enumerate(conversation.messages) if message.role == "assistant")
        messages = [message.content for message in conversation.messages[:first]]
    else:
        messages = [message.content for message in context_of(conversation)]
    return "\n\n".join(content.strip() for content in messages if content.strip())[-MAX_CHARACTERS:]


def encoder_id(profile: JudgeProfile) -> EncoderId:
    """The encoder of a profile of the backend `embedded`, as an artifact names it.

    Raises:
        MissingExtra, ProfileError: as `kardia.pretrained.find_encoder` does.
    """
    model = profile.model or DEFAULT_MODEL
    folder = find_encoder(model, profile.revision, profile.sha256)
    digest = file_digest(folder / "model.safetensors")
    size = json.loads((folder / "config.json").read_text(encoding="utf-8"))["hidden_size"]
    return EncoderId(model=model, revision=profile.revision, sha256=digest, dimensions=size)


def encoder_folder(encoder: EncoderId) -> Path:
    """Where the encoder of a gate lies on this machine; its weights are verified.

    Raises:
        MissingExtra: where it is not here; the sentence says how to bring it.
        ProfileError: where what is here is another one.
    """
    return find_encoder(encoder.model, encoder.revision, encoder.sha256)


class PromptVectors:
    """Prompts → vectors, for the gates of some rubrics; loaded when it is first asked.

    Args:
        encoders: who embeds.

    Raises:
        MissingExtra, ProfileError: where an encoder is not on this machine.
    """

    def __init__(self, encoders: Sequence[EncoderId]) -> None:
        if any(find_spec(package) is None for package in ("torch", "transformers", "threadpoolctl")):
            raise MissingExtra("local", "weighing criteria by the prompt")
        self._folders = {encoder.sha256: encoder_folder(encoder) for encoder in encoders}

    @classmethod
    def of(cls, rubrics: Sequence[Rubric]) -> PromptVectors | None:
        """For all gates in the trees of these rubrics; None where there is none."""
        found = [gate.encoder for rubric in rubrics for gate in _gates(rubric)]
        return cls(found) if found else None

    async def embed(self, texts: Sequence[str]) -> dict[str, Mapping[str, tuple[float, ...]]]:
        """Text → digest of each encoder's weights → vector. Runs in a worker thread."""
        return await asyncio.to_thread(self.embed_now, texts)

    def embed_now(self, texts: Sequence[str]) -> dict[str, Mapping[str, tuple[float, ...]]]:
        """`embed`, in this thread."""
        from threadpoolctl import threadpool_limits

        distinct = list(dict.fromkeys(texts))
        found: dict[str, dict[str, tuple[float, ...]]] = {text: {} for text in distinct}
        with _lock:
            encoders = {digest: _loaded(folder) for digest, folder in self._folders.items()}
            for digest, encoder in encoders.items():
                # on one thread of its own: one short text is no work for several, which would wait for each other
                with threadpool_limits(limits=1, user_api="openmp"):
                    vectors = encoder.encode(distinct)
                for text, vector in zip(distinct, vectors.tolist(), strict=True):
                    found[text][digest] = tuple(vector)
        return dict(found)


def gated(rubric: Rubric) -> bool:
    """Whether a gate weighs something in the rubric's tree."""
    return bool(_gates(rubric))


@by_object(most=64)
def _gates(rubric: Rubric) -> tuple[Gating, ...]:
    artifacts = [learned.artifact for learned in rubric.artifacts.values()]
    return tuple(artifact for artifact in artifacts if isinstance(artifact, Gating))


@lru_cache(maxsize=2)
def _loaded(folder: Path) -> Encoder:
    from kardia.judge.encoder import Encoder
    from kardia.judge.options import EmbeddedOptions

    return Encoder(folder, EmbeddedOptions(batch_size=1))
