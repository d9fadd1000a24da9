"""The backbone of a student: where it lies on this machine, whether it is the right one, and how it is loaded.

Nothing is ever downloaded: a folder, the Hugging Face hub cache, and for the pinned sentence encoder the package of
kardia's extra `offline`, in this order.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field, StrictStr

from kardia.errors import MissingExtra, ProfileError
from kardia.judge.encoder import DEFAULT_MODEL, DEFAULT_REVISION, _quiet, find_encoder
from kardia.judge.options import Strict
from kardia.judge.profile import JudgeProfile

if TYPE_CHECKING:
    import torch

__all__ = ["Backbone", "default_backbone", "find_backbone", "load_model", "load_tokenizer", "quiet", "weights_digest"]

_ATTENTION_DROPOUT = ("attention_probs_dropout_prob", "attention_dropout")
"""Set to 0: on a CPU attention is fused only without it, and dropout elsewhere does as much while training."""
_PATTERNS = ("*.safetensors",)
_ALLOWED = ["*.json", "*.safetensors", "*.txt", "*.model", "*.jinja"]


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
    from kardia.content import shipped
    from kardia.judge.profile import load_profile

    profile = load_profile(shipped("judges") / "embedded.yaml")
    return Backbone(model=profile.model or DEFAULT_MODEL, revision=profile.revision, sha256=profile.sha256)


def find_backbone(backbone: Backbone) -> Path:
    """The folder of the backbone, its weights verified where their digest is named.

    Raises:
        ProfileError: where the folder is none, or holds other weights.
        MissingExtra: where it is not on this machine; the sentence says how to bring it there.
    """
    folder = _local(backbone.model) or _in_hub_cache(backbone) or _pinned(backbone)
    if folder is None:
        pinned = f" --revision {backbone.revision}" if backbone.revision else ""
        raise MissingExtra(
            "local",
            f"the model {backbone.model} is neither a folder nor in the hub cache, and kardia downloads nothing by "
            f"itself (hf download {backbone.model}{pinned} does); running it",
        )
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
    files = sorted(path for pattern in _PATTERNS for path in folder.glob(pattern))
    if not files:
        raise ProfileError("holds no weights: *.safetensors is not in it", file=str(folder))
    digests = [_file_digest(path) for path in files]
    return digests[0] if len(digests) == 1 else hashlib.sha256(" ".join(digests).encode()).hexdigest()


_digests: dict[tuple[str, int, int], str] = {}


def _file_digest(path: Path) -> str:
    """A file's SHA-256, computed once a process for a file that did not change."""
    state = path.stat()
    key = (str(path.resolve()), state.st_size, state.st_mtime_ns)
    if key not in _digests:
        hasher = hashlib.sha256()
        with path.open("rb") as stream:
            while block := stream.read(1 << 20):
                hasher.update(block)
        _digests[key] = hasher.hexdigest()
    return _digests[key]


def _local(model: str) -> Path | None:
    folder = Path(model).expanduser()
    if folder.is_dir():
        if not (folder / "config.json").is_file():
            raise ProfileError(f"the folder {model} holds no model: config.json is not in it")
        return folder
    if model.startswith((".", "~", "/", "\\")) or folder.is_absolute():
        raise ProfileError(f"there is no folder {model}")
    return None


def _in_hub_cache(backbone: Backbone) -> Path | None:
    try:
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError
    except ImportError:
        return None
    revision = backbone.revision
    if revision is None and backbone.model == DEFAULT_MODEL:
        revision = DEFAULT_REVISION
    try:
        found = snapshot_download(
            backbone.model, revision=revision, local_files_only=True, allow_patterns=_ALLOWED, token=False
        )
    except HFValidationError:
        raise ProfileError(f"{backbone.model!r} is neither a folder nor the name of a model on the hub") from None
    except LocalEntryNotFoundError:
        return None
    folder = Path(found)
    whole = (folder / "config.json").is_file() and any(folder.glob(_PATTERNS[0]))
    return folder if whole else None


def _pinned(backbone: Backbone) -> Path | None:
    """The sentence encoder, as the embedded judge finds it; its error says how to get it."""
    if backbone.model != DEFAULT_MODEL:
        return None
    return find_encoder(JudgeProfile(name="student", backend="embedded", model=DEFAULT_MODEL))


@contextmanager
def quiet() -> Iterator[None]:
    """Keeps the progress bars, remarks and warnings of transformers and peft off the terminal while they load and
    save: what a user must know is said by our own errors."""
    with warnings.catch_warnings(), _quiet():
        warnings.simplefilter("ignore")
        yield


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
    with quiet():
        try:
            config = AutoConfig.from_pretrained(str(folder), local_files_only=True)
            for name in _ATTENTION_DROPOUT:
                if hasattr(config, name):
                    setattr(config, name, 0.0)
            model = AutoModel.from_pretrained(
                str(folder), config=config, local_files_only=True, dtype=dtype, use_safetensors=True
            )
        except (OSError, ValueError, KeyError) as problem:
            raise ProfileError(f"cannot be loaded as a model: {_first_line(problem)}", file=str(folder)) from None
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
    with quiet():
        try:
            return AutoTokenizer.from_pretrained(str(folder), local_files_only=True, use_fast=True)
        except (OSError, ValueError, KeyError) as problem:
            raise ProfileError(f"has no tokenizer: {_first_line(problem)}", file=str(folder)) from None


def _first_line(problem: Exception) -> str:
    return (str(problem).strip().splitlines() or [type(problem).__name__])[0]
