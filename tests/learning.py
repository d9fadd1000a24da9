"""Artifacts of every kind and rubrics that name them, made in a line."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from kardia.artifact import (
    Artifact,
    Bound,
    Calibration,
    Debiased,
    Distribution,
    EncoderId,
    Gating,
    Layer,
    Learned,
    Linear,
    Made,
    Network,
    Ordinal,
    RatingScale,
    Verbosity,
    Weighted,
    artifact_text,
)
from kardia.rubric.rubric import Rubric

NOBODY = Bound(name="made", hash="sha256:" + "0" * 64)
MADE = Made(
    kardia="0.0.0",
    seed=0,
    data="sha256:" + "1" * 64,
    judge={"name": "fake", "hash": "sha256:" + "2" * 64},
    counts={"cards": 20, "ratings": 40},
    settings={"strength": 0.1, "nonnegative": True, "folds": 5},
    figures={"learned": {"pearson": 0.5, "rmse": None}},
)
ENCODER = EncoderId(model="tiny", sha256="3" * 64, dimensions=2)


def linear(weights: dict[str, float], intercept: float = 0.0, fill: float = 0.5, rubric: Bound = NOBODY) -> Linear:
    inputs = [Weighted(id=key, weight=weight, fill=fill) for key, weight in weights.items()]
    return Linear(
        kardia="aggregate/1", kind="linear", rubric=rubric, made=MADE, inputs=inputs, intercept=float(intercept)
    )


def ordinal(weights: dict[str, float], thresholds: list[float], scale: RatingScale, rubric: Bound = NOBODY) -> Ordinal:
    inputs = [Weighted(id=key, weight=weight, fill=0.5) for key, weight in weights.items()]
    return Ordinal(
        kardia="aggregate/1",
        kind="ordinal",
        rubric=rubric,
        made=MADE,
        inputs=inputs,
        thresholds=thresholds,
        scale=scale,
    )


def gating(
    debias: dict[str, float],
    layers: list[tuple[list[list[float]], list[float]]],
    verbosity: tuple[float, float] = (5.0, 1.0),
    encoder: EncoderId = ENCODER,
    rubric: Bound = NOBODY,
) -> Gating:
    return Gating(
        kardia="aggregate/1",
        kind="gating",
        rubric=rubric,
        made=MADE,
        inputs=[Debiased(id=key, debias=one) for key, one in debias.items()],
        encoder=encoder,
        verbosity=Verbosity(mean=verbosity[0], span=verbosity[1]),
        layers=[Layer(weights=weights, bias=bias) for weights, bias in layers],
    )


def calibration(
    levels: dict[str, tuple[Any, ...]],
    networks: list[tuple[list[list[float]], list[float], list[float], list[float]]],
    scale: RatingScale,
    rubric: Bound = NOBODY,
) -> Calibration:
    return Calibration(
        kardia="aggregate/1",
        kind="calibration",
        rubric=rubric,
        made=MADE,
        inputs=[
            Distribution(id=key, levels=list(each), fill=[1 / len(each)] * len(each)) for key, each in levels.items()
        ],
        scale=scale,
        networks=[
            Network(hidden=Layer(weights=weights, bias=bias), out=out, thresholds=thresholds)
            for weights, bias, out, thresholds in networks
        ],
    )


def bound(rubric: Rubric) -> Bound:
    return Bound(name=rubric.name, hash=rubric.asked_hash)


def learned(rubric: Rubric, artifact: Artifact) -> Rubric:
    """The rubric with this artifact, whatever it is bound to."""
    text = artifact_text(artifact)
    rule = rubric.file.aggregate.model_copy(update={"method": "learned", "artifact": "a.json"})
    file = rubric.file.model_copy(update={"aggregate": rule})
    found = Learned(artifact, "sha256:" + hashlib.sha256(text.encode()).hexdigest(), "a.json")
    return Rubric(file, rubric.parts, rubric.source, rubric.instance, found)


def tiny_encoder(folder: Path) -> EncoderId:
    """A sentence encoder of two layers with random weights in a folder, as an artifact names it."""
    import torch
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    words = ["my", "dog", "died", "i", "failed", "an", "exam", "am", "sad", "alone", "today", "again", ".", ",", "!"]
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    vocabulary = {word: number for number, word in enumerate([*special, *words])}
    inner = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    inner.normalizer = normalizers.BertNormalizer()
    inner.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    inner.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    names = {"unk": "[UNK]", "pad": "[PAD]", "cls": "[CLS]", "sep": "[SEP]", "mask": "[MASK]"}
    PreTrainedTokenizerFast(
        tokenizer_object=inner, **{f"{name}_token": token for name, token in names.items()}
    ).save_pretrained(folder)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=256,
    )
    BertModel(config).save_pretrained(folder)
    digest = hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
    return EncoderId(model=str(folder), sha256=digest, dimensions=16)
