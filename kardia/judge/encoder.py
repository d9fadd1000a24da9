"""The sentence encoder: texts → vectors.

Where it lies on this machine says `kardia.pretrained`; nothing is ever downloaded. Its weights must have the digest
that the profile names: scores of other weights would not be comparable.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kardia.errors import MissingExtra, ProfileError
from kardia.judge.profile import EmbeddedOptions, JudgeProfile
from kardia.pretrained import DEFAULT_MODEL, first_line, quiet
from kardia.pretrained import find_encoder as find_named

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vectors = NDArray[np.float32]

__all__ = ["Encoder", "find_encoder"]

MAX_TOKENS = 256
"""Word-pieces in one window: what the encoder was trained with. Longer texts are read window by window."""
MAX_WINDOWS = 8
"""Windows of one text; of a text with more, the beginning and the end are read."""
MAX_KEPT = 16_384
"""Vectors kept per layer, the least recently used go first (25 MB at 384 dimensions)."""


def find_encoder(profile: JudgeProfile) -> Path:
    """The folder of the profile's encoder, its weights verified.

    Raises:
        ProfileError, MissingExtra: as `kardia.pretrained.find_encoder` does.
    """
    return find_named(profile.model or DEFAULT_MODEL, profile.revision, profile.sha256)


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
        with quiet():
            try:
                self._tokenizer = AutoTokenizer.from_pretrained(str(folder), local_files_only=True, use_fast=True)
                model = AutoModel.from_pretrained(
                    str(folder), local_files_only=True, dtype=torch.float32, use_safetensors=True
                )
            except (OSError, ValueError, KeyError) as problem:
                raise ProfileError(f"cannot be loaded as an encoder: {first_line(problem)}", file=str(folder)) from None
        try:
            self._model = model.eval().to(self.options.device)
        except (RuntimeError, AssertionError) as problem:  # torch without CUDA asserts
            raise ProfileError(f"is not there: {first_line(problem)}", key="embedded.device") from None
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
