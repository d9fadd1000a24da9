"""Tiny backbones with random weights, built from their configurations, and a world small enough for them to learn."""

from __future__ import annotations

import string
from pathlib import Path
from typing import Any

from making import binary, choice, make, ordinal

from kardia.model.examples import Labelled, level_target
from kardia.model.labels import Questions
from kardia.rubric.rubric import Rubric

SPECIALS = {"unk": "[UNK]", "pad": "[PAD]", "cls": "[CLS]", "sep": "[SEP]", "mask": "[MASK]"}
WORDS = ["sorry", "sad", "dog", "exam", "you", "your", "fault", "why", "tell", "me", "more", "that", "hurts", "…"]
MAX_POSITIONS = 64


def wordpiece(folder: Path) -> None:
    """An uncased tokenizer of BERT's build: a few words, and every ASCII character."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    letters = string.ascii_lowercase + string.digits
    pieces = [*SPECIALS.values(), *letters, *(f"##{each}" for each in letters), *string.punctuation, *WORDS]
    inner = Tokenizer(models.WordPiece({piece: number for number, piece in enumerate(pieces)}, unk_token="[UNK]"))
    inner.normalizer = normalizers.BertNormalizer()
    inner.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    inner.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    names = {f"{name}_token": text for name, text in SPECIALS.items()}
    PreTrainedTokenizerFast(tokenizer_object=inner, **names).save_pretrained(folder)


def byte_level(folder: Path, *, roberta: bool) -> Any:
    """A tokenizer of single bytes: RoBERTa's layout of pairs, or a chat model's."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    names = (
        {"bos": "<s>", "pad": "<pad>", "eos": "</s>", "unk": "<unk>", "mask": "<mask>", "cls": "<s>", "sep": "</s>"}
        if roberta
        else {"eos": "<|im_end|>", "pad": "<|endoftext|>"}
    )
    texts = list(dict.fromkeys(names.values())) + ([] if roberta else ["<|im_start|>"])
    pieces = texts + sorted(pre_tokenizers.ByteLevel.alphabet())
    inner = Tokenizer(models.BPE({piece: number for number, piece in enumerate(pieces)}, []))
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    if roberta:
        inner.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), add_prefix_space=False)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=inner, **{f"{name}_token": text for name, text in names.items()}
    )
    if not roberta:
        tokenizer.add_special_tokens({"additional_special_tokens": ["<|im_start|>"]})
        tokenizer.chat_template = (
            "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n"
            "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
        )
    tokenizer.save_pretrained(folder)
    return tokenizer


def bert(folder: Path) -> Path:
    import torch
    from transformers import BertConfig, BertModel

    wordpiece(folder)
    torch.manual_seed(0)
    size = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
    config = BertConfig(vocab_size=160, max_position_embeddings=MAX_POSITIONS, initializer_range=0.2, **size)
    BertModel(config).save_pretrained(folder)
    return folder


def roberta(folder: Path) -> Path:
    import torch
    from transformers import RobertaConfig, RobertaModel

    byte_level(folder, roberta=True)
    torch.manual_seed(0)
    size = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
    ids = {"bos_token_id": 0, "pad_token_id": 1, "eos_token_id": 2}
    config = RobertaConfig(
        vocab_size=262,
        max_position_embeddings=MAX_POSITIONS + 2,
        initializer_range=0.2,
        type_vocab_size=1,
        **size,
        **ids,
    )
    RobertaModel(config).save_pretrained(folder)
    return folder


def qwen(folder: Path, *, with_head: bool = False) -> Path:
    import torch
    from transformers import Qwen2Config, Qwen2ForCausalLM, Qwen2Model

    byte_level(folder, roberta=False)
    torch.manual_seed(0)
    size = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
    config = Qwen2Config(
        vocab_size=260, num_key_value_heads=1, max_position_embeddings=2048, eos_token_id=0, pad_token_id=1, **size
    )
    (Qwen2ForCausalLM if with_head else Qwen2Model)(config).save_pretrained(folder)
    return folder


def rubric(**rest: Any) -> Rubric:
    """Three criteria that show in single words: warmth (1–3), blame, tone."""
    return make(ordinal("warmth", 1, 3), binary("blames", good="no"), choice("tone"), name="world", **rest)


REPLIES = [
    # reply, warmth, blames, tone
    ("sorry that hurts", 3, "no", "warm"),
    ("sorry you hurt", 3, "no", "warm"),
    ("tell me more", 2, "no", "neutral"),
    ("why that", 2, "no", "neutral"),
    ("your fault", 1, "yes", "cold"),
    ("that is your fault", 1, "yes", "cold"),
]


def world(contexts: int = 10) -> list[Labelled]:
    """Examples whose levels can be read off single words, six replies to each context."""
    tasks = {task.key: task for task in Questions([rubric()]).tasks}
    found = []
    for number in range(contexts):
        for reply, warmth, blames, tone in REPLIES:
            levels = {"world.warmth": warmth, "world.blames": blames, "world.tone": tone}
            targets = {key: level_target(tasks[key], level) for key, level in levels.items()}
            context = f"my dog {number}" if number % 2 else f"the exam {number}"
            found.append(Labelled(context, reply, context, targets, id=f"{number}:{reply}"))
    return found


QUICK = ["epochs=2", "batch_size=8", "head_lr=0.02", "lr=0.003", "dropout=0", "device=cpu", "patience=0"]
"""What `--set` is given, so that a tiny backbone learns the world in a moment."""
