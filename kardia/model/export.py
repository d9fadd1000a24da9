"""A student as a plain reward model: a folder that transformers' own classes load, with one label.

Trainers load a reward model by `AutoModelForSequenceClassification.from_pretrained(path, num_labels=1)`: a backbone, a
hidden layer with tanh, and one output. That is enough for a rubric's score, without any code beside the weights:

- a logistic unit is half of one plus half of a tanh, σ(z) = ½ + ½ tanh(z / 2), so the hidden layer holds the student's
  outputs and the last one their weighted sum. A score that is linear in the criteria's expected values comes out as it
  is (`exact`). Any other — a veto, a choice among three options — is fitted on texts, with the student's scores as
  what is learnt (`fitted`), and the card says how near it comes.
- the mean over all tokens is one more layer whose attention looks at all tokens alike: its queries and keys are 0, its
  output is multiplied so that what it is added to does not show, and the normalisation after it takes the factor out.
- nothing cuts what such a trainer tokenises. The chat template cuts texts as the student does, and the table of
  positions is long enough for whatever is left: its last row stands for all beyond the backbone's own, as in the
  student.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kardia.errors import InputError, ProfileError
from kardia.files import write_text
from kardia.model.head import Head, exact_head, fitted_head
from kardia.model.linear import LogisticSum, logistic_sum
from kardia.model.reward import CardScore, RewardModel
from kardia.model.template import chat_template
from kardia.pretrained import quiet
from kardia.rubric.rubric import Rubric
from kardia.student.network import plain, positions_of
from kardia.student.ordinal import slots_of
from kardia.student.reading import GAP
from kardia.student.scorer import Scorer
from kardia.student.student import Student
from kardia.student.tasks import Task
from kardia.student.tokens import Coder
from kardia.version import __version__

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

__all__ = ["Exported", "check_export", "export_reward"]

MANIFEST = "kardia-reward.json"
LOUD = 1e6
"""What the added layer multiplies the mean by: what it is added to is then below float32's precision."""
TOLERANCE = 1e-4
MIN_TEXTS = 50
MOST_PROBES = 64


@dataclass(frozen=True)
class Exported:
    """What an export came to.

    Attributes:
        folder: where it is.
        rubric: whose score it says, `name@version`.
        form: `exact` or `fitted`.
        off: the largest difference from the student's own score, on the texts that were tried; of a fitted one, the
            mean difference on texts that it was not fitted on.
        correlation: with the student's own score there; None for an exact one.
    """

    folder: Path
    rubric: str
    form: str
    off: float
    correlation: float | None

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "folder": str(self.folder)}

    @property
    def sentence(self) -> str:
        if self.form == "exact":
            exactly = f"exactly (within {self.off:.0e})"
            return f"A reward model that says the score of {self.rubric} {exactly} is in {self.folder}"
        return (
            f"A reward model fitted to the score of {self.rubric}, which no plain one can say exactly, is in "
            f"{self.folder}: on texts it was not fitted on it is off by {self.off:.3f} on average"
            + ("" if self.correlation is None else f" and correlates {self.correlation:.3f}")
        )


def export_reward(
    student: Student | str | Path,
    rubric: Rubric,
    folder: str | Path,
    *,
    pairs: Sequence[tuple[str, str]] = (),
    seed: int = 7,
) -> Exported:
    """Writes a plain reward model that says a rubric's score.

    Args:
        student: a student, or its folder; an encoder of BERT's or RoBERTa's build with the pooling `mean` or `cls`.
        rubric: whose score; its criteria read the reply, and the student has heads for them.
        folder: where it goes.
        pairs: (context, reply) texts; a score that is no weighted sum is fitted on them, at least 50.
        seed: of the fit.

    Raises:
        InputError: where the rubric has no score by this student, or there are too few texts to fit on.
        ProfileError: where the student is of another build.
    """
    student = student if isinstance(student, Student) else Student.load(student)
    folder = Path(folder)
    _check_build(student)
    score = CardScore(rubric, student.tasks)
    weighted = logistic_sum(score, student.slots)
    if len(weighted.weights_O) > student.network.heads["weight_OD"].shape[1]:
        raise ProfileError("the student has more outputs than its backbone has dimensions, and cannot be exported")
    tokenizer = _tokenizer(student)
    head, figures = _head(student, score, weighted, pairs, seed)
    model = _model(student, head)
    model.config.pad_token_id = student.coder.pad
    with quiet(warnings=False):
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
    found = _verified(student, score, weighted, head, folder, [*_PROBES, *pairs[:MOST_PROBES]])
    form = "exact" if weighted.exact else "fitted"
    off, correlation = (found, None) if figures is None else figures
    exported = Exported(folder, rubric.ref, form, off, correlation)
    _write_manifest(exported, student, rubric)
    return exported


def check_export(kind: str, pooling: str | None, rubric: Rubric, tasks: Sequence[Task], texts: int) -> None:
    """Whether a student that is still to be trained will be exportable, as far as that can be told.

    Args:
        kind, pooling: as in the recipe.
        tasks: what it will learn.
        texts: how many distinct pairs there are to fit on.

    Raises:
        InputError, ProfileError: as `export_reward`.
    """
    _check_kind(kind, pooling or ("mean" if kind == "encoder" else "last"))
    score = CardScore(rubric, tasks)
    if not logistic_sum(score, slots_of(tasks)).exact:
        _check_texts(rubric, texts)


def _check_kind(kind: str, pooling: str) -> None:
    if kind != "encoder" or pooling not in ("mean", "cls"):
        raise ProfileError(
            f"a student of the kind {kind} with the pooling {pooling} is no plain reward model; "
            "train an encoder with the pooling mean or cls"
        )


def _check_texts(rubric: Rubric, count: int) -> None:
    if count < MIN_TEXTS:
        raise InputError(
            f"the score of {rubric.ref} is no weighted mean of expected values (a requirement, a condition or a choice "
            f"is in it), so a plain reward model must be fitted on texts: at least {MIN_TEXTS}, not {count}"
        )


def _check_build(student: Student) -> None:
    network = student.network
    _check_kind(student.coder.kind, network.pooling)
    if positions_of(plain(network.backbone))[0] is None:
        kind = plain(network.backbone).config.model_type
        raise ProfileError(f"a backbone of the type {kind} cannot be exported; use one of BERT's or RoBERTa's build")


def _tokenizer(student: Student) -> Any:
    """The student's tokenizer with a chat template; that it gives the student's own tokens is seen here."""
    coder = student.coder
    tokenizer = copy.deepcopy(coder.tokenizer)
    words = ["".join(tokenizer.convert_ids_to_tokens(list(ids))) for ids in (coder.before, coder.between, coder.after)]
    tokenizer.chat_template = chat_template(coder.reading, coder.specials, *words)
    for pair, own in zip(_PROBES, coder.code(_PROBES), strict=True):
        text = tokenizer.apply_chat_template(messages_of(pair), tokenize=False)
        ids = tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]
        if tuple(ids) != own.ids and len(own.ids) < coder.reading.max_tokens:
            raise ProfileError("the backbone's tokenizer splits a text in another way beside a separator than alone")
    tokenizer.model_max_length = _positions(student.coder)
    return tokenizer


def messages_of(pair: tuple[str, str]) -> list[dict[str, str]]:
    """A pair as messages: one of the person, where there is a context, and the reply."""
    context, reply = pair
    asked = [{"role": "user", "content": context}] if context else []
    return [*asked, {"role": "assistant", "content": reply}]


def _positions(coder: Coder) -> int:
    """As many tokens as a text of the template can have: a character has four bytes at most, and a byte a token."""
    reading = coder.reading
    characters = reading.context_chars + reading.reply_chars + len(GAP)
    return 4 * characters + len(coder.before) + len(coder.between) + len(coder.after)


def _head(
    student: Student, score: CardScore, weighted: LogisticSum, pairs: Sequence[tuple[str, str]], seed: int
) -> tuple[Head, tuple[float, float] | None]:
    exact = exact_head(student, weighted)
    if weighted.exact:
        return exact, None
    distinct = list(dict.fromkeys(pairs))
    _check_texts(score.rubric, len(distinct))
    return fitted_head(student, score, exact, distinct, seed)


def _model(student: Student, head: Head) -> Any:
    """A sequence classifier of the backbone's own kind that computes the head on the pooled state."""
    import torch
    from transformers import AutoConfig, AutoModelForSequenceClassification

    body = _merged(student.network.backbone)
    mean = student.network.pooling == "mean"
    own, offset = positions_of(body)
    assert own is not None
    wanted = offset + max(own, _positions(student.coder))
    data = {**body.config.to_dict(), "num_labels": 1, "problem_type": "regression"}
    for stale in ("id2label", "label2id", "architectures", "_name_or_path", "dtype"):
        data.pop(stale, None)
    data["num_hidden_layers"] += mean
    data["max_position_embeddings"] = wanted
    config = AutoConfig.for_model(**data)
    with quiet(warnings=False):
        model = AutoModelForSequenceClassification.from_config(config).eval()
    state = {name: tensor for name, tensor in body.state_dict().items() if "position_ids" not in name}
    table = state["embeddings.position_embeddings.weight"]
    state["embeddings.position_embeddings.weight"] = torch.cat([table, table[-1:].expand(wanted - len(table), -1)])
    inner = model.base_model
    left = inner.load_state_dict(state, strict=False)
    assert not left.unexpected_keys, left.unexpected_keys
    with torch.no_grad():
        if mean:
            _average(inner.encoder.layer[-1])
        if getattr(inner, "pooler", None) is not None:
            dense, out = inner.pooler.dense, model.classifier
        else:
            dense, out = model.classifier.dense, model.classifier.out_proj
        dense.weight.copy_(head.hidden_HD)
        dense.bias.copy_(head.hidden_H)
        out.weight.copy_(head.out_H[None])
        out.bias.copy_(torch.tensor([head.constant]))
    return model


def _merged(backbone: Any) -> Any:
    """The backbone with its adapter folded in; the student keeps its own."""
    if not hasattr(backbone, "merge_and_unload"):
        return backbone
    with quiet(warnings=False):
        return copy.deepcopy(backbone).merge_and_unload()


def _average(layer: Any) -> None:
    """Makes a layer give every token the mean over all tokens, normalised."""
    import torch

    for module in layer.modules():
        if isinstance(module, torch.nn.Linear):
            module.weight.zero_()
            module.bias.zero_()
        elif isinstance(module, torch.nn.LayerNorm):
            module.weight.fill_(1.0)
            module.bias.zero_()
    attention = layer.attention
    attention.self.value.weight.copy_(torch.eye(len(attention.self.value.weight)))
    attention.output.dense.weight.copy_(torch.eye(len(attention.output.dense.weight)) * LOUD)


def _verified(
    student: Student,
    score: CardScore,
    weighted: LogisticSum,
    head: Head,
    folder: Path,
    pairs: Sequence[tuple[str, str]],
) -> float:
    """The largest difference between what the folder says and what it should.

    Raises:
        ProfileError: where it is above 1e-4: the backbone is of a build that this module does not know well enough.
    """
    rewards = RewardModel(folder).rewards([messages_of(pair) for pair in pairs])
    wanted = student_scores(student, score, pairs) if weighted.exact else head.of(student, pairs)
    off = max(abs(a - b) for a, b in zip(rewards, wanted, strict=True))
    if off > TOLERANCE:
        raise ProfileError(
            f"the exported model says something else than the student, by up to {off:.1e}; a backbone of this build "
            "cannot be exported"
        )
    return off


def student_scores(student: Student, score: CardScore, pairs: Sequence[tuple[str, str]]) -> list[float]:
    """The rubric's score of each pair, by the student's own probabilities."""
    shares = Scorer(student).probabilities(pairs)
    rows = [{key: values[row].tolist() for key, values in shares.items()} for row in range(len(pairs))]
    return [score(row) for row in rows]


def _write_manifest(exported: Exported, student: Student, rubric: Rubric) -> None:
    data = {
        "format": "kardia-reward/1",
        "form": exported.form,
        "off": exported.off,
        "correlation": exported.correlation,
        "rubric": {"name": rubric.name, "version": rubric.version, "hash": rubric.hash},
        "student": None if student.folder is None else student.digest,
        "backbone": student.backbone.model_dump(mode="json", exclude_none=True),
        "reading": student.coder.reading.model_dump(mode="json"),
        "kardia": __version__,
    }
    write_text(exported.folder / MANIFEST, json.dumps(data, ensure_ascii=False, indent=2) + "\n")


_LONG = "I could not sleep again and went over every word that was said until it was light outside. "
_PROBES: list[tuple[str, str]] = [
    ("My dog died this morning.", "I'm so sorry. A morning like that empties the whole house."),
    ("", "That sounds hard."),
    (_LONG * 40, "You have carried this for many nights."),
    ("I failed.", _LONG * 30),
    ("She said [SEP] and </s> and <s>, [CLS].", "Why [SEP]? <pad> [PAD] [MASK] <mask>"),
    ("  spaces  \n and\nlines ", "\n  Oh —  no… “really”? 🥀 \t"),
    ("Estoy muy triste, no sé qué hacer.", "Lo siento mucho; ¿quieres contarme más?"),
]
