"""How a student is trained, as a user says it: `--set key=value` on the command line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import Field, StrictBool, StrictInt, StrictStr, ValidationError, model_validator

from kardia.errors import InputError
from kardia.overrides import apply_overrides
from kardia.schema_errors import dotted, faults_of, model_keys
from kardia.strict import Strict
from kardia.student.manifest import Lora
from kardia.student.reading import Reading
from kardia.yamlfile import parse_scalar

__all__ = ["Recipe", "recipe_with"]

_BROUGHT = ("backbone", "revision", "sha256", "kind", "freeze", "pooling", "reply_only")
"""What is settled by the student that is gone on from."""
_BY_TASK = ("task_weights", "task_rarity")

Rate = Annotated[float, Field(gt=0, le=1)]
Share = Annotated[float, Field(ge=0, lt=1)]
Count = Annotated[StrictInt, Field(ge=1)]


class Recipe(Strict):
    """How a student is trained. The defaults are for an encoder of 22 million parameters on two CPU cores."""

    backbone: StrictStr | None = None
    """A folder or a name on the hub; default: the embedded judge's pinned encoder."""
    revision: StrictStr | None = None
    """The commit on the hub."""
    sha256: Annotated[StrictStr, Field(pattern=r"^[0-9a-f]{64}$")] | None = None
    """The digest of its weights, where only those will do."""
    start: StrictStr | None = None
    """A student to go on from: its folder, or the judge profile that has it as heads, such as `embedded`. It brings
    backbone, adapter, pooling and reading, and the heads of the tasks that ask the same."""
    kind: Literal["encoder", "causal"] = "encoder"
    """encoder: BERT and its kin; causal: a language model."""
    lora: Lora | None = Field(default_factory=Lora)
    """The adapter; null: the whole backbone is trained. With `start`: null, or the other student's own."""
    freeze: StrictBool = False
    """With `lora: null`: only the heads are trained."""
    pooling: Literal["mean", "cls", "attention", "last"] | None = None
    """How a text's states become one; default: mean for an encoder, last for a causal model."""
    reply_only: StrictBool = False
    """With the pooling `attention`: over the reply's tokens alone."""
    reading: Reading = Field(default_factory=Reading)
    """How much of the texts is read. With `start`: what is not said here is as the other student reads."""
    epochs: Annotated[float, Field(gt=0)] = 8
    """Passes over the examples, at most."""
    max_steps: Count | None = None
    """Ends the training after so many steps."""
    patience: Annotated[StrictInt, Field(ge=0)] = 2
    """Ends it after so many passes without a better result on the part that is held out; 0: never."""
    select: Literal["kappa", "loss"] = "kappa"
    """Which pass is kept: that of the highest mean κ over tasks, or of the lowest loss, on the part held out."""
    dev_share: Share = 0.15
    """Share of the examples that is held out, to select and calibrate on."""
    batch_size: Count = 16
    accumulate: Count = 1
    """Batches whose gradients make one step."""
    lr: Rate | None = None
    """Learning rate of the backbone or its adapter; default: 1e-3 with an adapter, 1e-4 without."""
    head_lr: Rate = 1e-3
    """Learning rate of the heads."""
    warmup: Share = 0.1
    """Share of the steps in which the learning rates rise; then they fall in a straight line to 0."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.01
    dropout: Share = 0.1
    """On the pooled state."""
    rarity: Annotated[float, Field(ge=0, le=1)] = 0.0
    """How much more a rare level's labels count: share ** −rarity. It helps to find rare levels, and makes them look
    more likely than they are."""
    task_rarity: dict[StrictStr, Annotated[float, Field(ge=0, le=1)]] = Field(default_factory=dict)
    """Task key → its own `rarity`."""
    task_weights: dict[StrictStr, Annotated[float, Field(gt=0)]] = Field(default_factory=dict)
    """Task key → what its labels count; 1 where it is not named."""
    seed: Annotated[StrictInt, Field(ge=0, lt=2**32)] = 7
    """Of the split, the order of the examples, the first weights and the dropout."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """auto: the GPU where there is one."""
    dtype: Literal["float32", "bfloat16"] = "float32"
    """What is computed in; bfloat16 saves time and memory on a GPU. Weights are saved and used in float32, or half."""
    half: StrictBool = True
    """Saves what was trained in float16: half the size, and at most about 1e-3 off in a probability."""

    @model_validator(mode="after")
    def _fits(self) -> Recipe:
        brought = [key for key in _BROUGHT if key in self.model_fields_set and getattr(self, key) != _default(key)]
        if self.start is not None and self.lora not in (None, Lora()):
            brought.append("lora")
        if self.start is not None and brought:
            raise ValueError(
                f"`start` is another student, which has {', '.join(brought)} settled: leave that out"
                + (" (`lora: null`, which trains its whole backbone, is possible)" if "lora" in brought else "")
            )
        if self.freeze and self.lora is not None:
            raise ValueError("`freeze: true` goes with `lora: null`")
        if self.kind == "encoder" and self.pooling == "last":
            raise ValueError("the pooling `last` is for a causal model; an encoder has mean, cls and attention")
        if self.kind == "causal" and self.pooling == "cls":
            raise ValueError("the pooling `cls` is for an encoder: a causal model's first token has read nothing")
        if self.reply_only and self.pooling != "attention":
            raise ValueError("`reply_only` goes with the pooling `attention`")
        return self

    @property
    def backbone_lr(self) -> float:
        return self.lr if self.lr is not None else 1e-3 if self.lora is not None else 1e-4


def _default(key: str) -> Any:
    return Recipe.model_fields[key].get_default(call_default_factory=True)


def recipe_with(overrides: Sequence[str], **known: Any) -> Recipe:
    """The default recipe with `key.path=value` items, the values read as YAML.

    Args:
        known: keys that were given in another way; an override of the same key replaces them.

    Raises:
        InputError: for an unknown key or a wrong value, with the key.
    """
    by_task = {name: [item for item in overrides if item.startswith(f"{name}.")] for name in _BY_TASK}
    rest = [item for item in overrides if all(item not in items for items in by_task.values())]
    data = apply_overrides({key: value for key, value in known.items() if value is not None}, rest)
    for name, items in by_task.items():
        if items:
            # a task's key has dots of its own
            named = (item.removeprefix(f"{name}.").rpartition("=") for item in items)
            data[name] = {key: parse_scalar(value) for key, _, value in named}
    try:
        return Recipe.model_validate(data)
    except ValidationError as problem:
        path, message = faults_of(problem, data, model_keys(Recipe))[0]
        raise InputError(message, file="--set", key=dotted(path) or None) from None
