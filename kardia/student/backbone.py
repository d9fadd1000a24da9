"""The backbone of a student: which one it is, whether its weights are the right ones, and how it is loaded.

Where it lies on this machine says `kardia.pretrained`; nothing is ever downloaded.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field, StrictStr

from kardia.errors import MissingExtra, ProfileError
from kardia.pretrained import (
    DEFAULT_MODEL,
    DEFAULT_REVISION,
    DEFAULT_SHA256,
    file_digest,
    find_model,
    first_line,
    quiet,
)
from kardia.strict import Strict

if TYPE_CHECKING:
    import torch

__all__ = ["Backbone", "default_backbone", "find_backbone", "load_model", "load_tokenizer", "weights_digest"]

_ATTENTION_DROPOUT = ("attention_probs_dropout_prob", "attention_dropout")
"""Set to 0: on a CPU attention is fused only without it, and dropout elsewhere does as much while training."""


class Backbone(Strict):
    """Which model a student stands on."""

    model: StrictStr
    """A folder, or a name on the Hugging Face hub."""
    revision: StrictStr | None = None
    """The commit on the hub."""
    sha256: Annotated[StrictStr, Field(pattern=r"^[0-9a-f]{64}$")] | None = None
    """The digest of its weights, as `weights_digest` gives it."""


def default_backbone() -> Backbone:
    """The sentence encoder that the shipped judge `embedded` names, pinned by its digest."""
    return Backbone(model=DEFAULT_MODEL, revision=DEFAULT_REVISION, sha256=DEFAULT_SHA256)


def find_backbone(backbone: Backbone) -> Path:
    """The folder of the backbone, its weights verified where their digest is named.

    Raises:
        ProfileError: where the folder is none, or holds other weights.
        MissingExtra: where it is not on this machine; the sentence says how to bring it there.
    """
    folder = find_model(backbone.model, backbone.revision)
    if backbone.sha256 is not None:
        found = weights_digest(folder)
        if found != backbone.sha256:
            raise ProfileError(
                f"these weights are not those that the student stands on: their digest is {found[:12]}…, expected "
                f"{backbone.sha256[:12]}…",
                file=str(folder),
            )
    return folder


def weights_digest(folder: Path) -> str:
    """The SHA-256 of a model's weights: of the file where it is one, else of the files' digests in their order."""
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        raise ProfileError("holds no weights: *.safetensors is not in it", file=str(folder))
    digests = [file_digest(path) for path in files]
    return digests[0] if len(digests) == 1 else hashlib.sha256(" ".join(digests).encode()).hexdigest()


def load_model(folder: Path, dtype: torch.dtype) -> Any:
    """The model without a head, in evaluation mode, on the CPU.

    Raises:
        MissingExtra: where torch or transformers are not installed.
        ProfileError: where the folder cannot be loaded.
    """
    try:
        from transformers import AutoConfig, AutoModel
    except ImportError:
        raise MissingExtra("local", "a student") from None
    with quiet(warnings=False):
        try:
            config = AutoConfig.from_pretrained(str(folder), local_files_only=True)
            for name in _ATTENTION_DROPOUT:
                if hasattr(config, name):
                    setattr(config, name, 0.0)
            model = AutoModel.from_pretrained(
                str(folder), config=config, local_files_only=True, dtype=dtype, use_safetensors=True
            )
        except (OSError, ValueError, KeyError) as problem:
            raise ProfileError(f"cannot be loaded as a model: {first_line(problem)}", file=str(folder)) from None
    if getattr(model, "pooler", None) is not None:
        model.pooler = None  # trained for another purpose, and never read here
    return model.eval()


def load_tokenizer(folder: Path) -> Any:
    """The model's fast tokenizer.

    Raises:
        MissingExtra, ProfileError: as `load_model`.
    """
    try:
        from transformers import AutoTokenizer
    except ImportError:
        raise MissingExtra("local", "a student") from None
    with quiet(warnings=False):
        try:
            return AutoTokenizer.from_pretrained(str(folder), local_files_only=True, use_fast=True)
        except (OSError, ValueError, KeyError) as problem:
            raise ProfileError(f"has no tokenizer: {first_line(problem)}", file=str(folder)) from None
