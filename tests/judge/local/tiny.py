"""Tiny chat models, whole and real: a tokenizer that is trained here, and a few thousand random weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

CHATML = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n"
    "{% if enable_thinking is defined and not enable_thinking %}<think>\n\n</think>\n\n{% endif %}{% endif %}"
)
TEXTS = (
    "You judge conversations in which somebody seeks support. Criterion: how warm is the reply? Levels: 1, 2, 3, 4, 5",
    "My dog died this morning. I'm so sorry. He was family. What was he like?",
    '{"reason": "Warm and to the point.", "evidence": ["He was family."], "level": 4}',
    "Which level does the judged text show? Answer with exactly one of these and nothing else: no, yes",
)


def tokenizer_of(template: str = CHATML, size: int = 400, **further: Any) -> Any:
    """A byte-level BPE with a chat template; token 0 pads, 1 begins a turn, 2 ends one."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    inner = Tokenizer(models.BPE())
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=["<|pad|>", "<|im_start|>", "<|im_end|>"],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    inner.train_from_iterator(TEXTS * 2, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=inner, eos_token="<|im_end|>", pad_token="<|pad|>", chat_template=template, **further
    )


SIZES: dict[str, Any] = {
    "vocab_size": 400,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 4096,
    "bos_token_id": None,
    "eos_token_id": 2,
    "pad_token_id": 0,
}
GEMMA = {"head_dim": 8, "sliding_window": 12, "query_pre_attn_scalar": 8}
SLIDING = {"layer_types": ["sliding_attention", "sliding_attention", "sliding_attention", "full_attention"]}
ARCHITECTURES: dict[str, tuple[str, dict[str, Any]]] = {
    "qwen2": ("Qwen2Config", {}),
    "qwen2-sliding": ("Qwen2Config", {"use_sliding_window": True, "sliding_window": 13, "max_window_layers": 1}),
    "qwen3": ("Qwen3Config", {"head_dim": 8}),
    "llama": ("LlamaConfig", {"tie_word_embeddings": True}),
    "gemma2": ("Gemma2Config", GEMMA),
    "gemma3": ("Gemma3TextConfig", GEMMA | SLIDING),
    "phi3": ("Phi3Config", {}),
    "mistral": ("MistralConfig", {"sliding_window": 17}),
    "gpt-oss": (
        "GptOssConfig",
        {"head_dim": 8, "sliding_window": 12, "num_local_experts": 4, "num_experts_per_tok": 2}
        | {"layer_types": ["sliding_attention", "full_attention"] * 2, "rope_parameters": {"rope_type": "default"}},
    ),
}


def model_of(name: str = "qwen2", seed: int = 0, **further: Any) -> Any:
    """A causal language model of an architecture, whose attention is far from even."""
    import torch
    import transformers

    kind, own = ARCHITECTURES[name]
    transformers.utils.logging.set_verbosity_error()
    torch.manual_seed(seed)
    config = getattr(transformers, kind)(**(SIZES | own | further))
    model = transformers.AutoModelForCausalLM.from_config(config, dtype=torch.float32).eval()
    chance = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for part, parameter in model.named_parameters():
            if parameter.dim() > 1 or "sinks" in part:
                parameter.normal_(0.0, 1.2 * parameter.shape[-1] ** -0.5, generator=chance)
    return model


def saved(folder: Path, name: str = "qwen2", *, template: str = CHATML, seed: int = 0, **further: Any) -> Path:
    """The folder of a chat model, as one that was downloaded."""
    model = model_of(name, seed, **further)
    model.save_pretrained(folder)
    tokenizer_of(template).save_pretrained(folder)
    return folder
