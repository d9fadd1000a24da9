"""The groups of keys inside a judge profile."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, StrictInt, StrictStr, field_validator, model_validator

from kardia.combine import How
from kardia.strict import Strict

__all__ = [
    "CascadeOptions",
    "EmbeddedOptions",
    "Limits",
    "PanelOptions",
    "Price",
    "Sampling",
    "Seat",
    "TransformersOptions",
    "WordsOptions",
]

Count = Annotated[StrictInt, Field(ge=1, lt=2**31)]
Money = Annotated[float, Field(ge=0, strict=True)]
Reference = Annotated[StrictStr, Field(pattern=r"\S")]
"""A name or path."""


class Sampling(Strict):
    """How the judge samples. `null`: not sent, the server's default holds."""

    temperature: Annotated[float, Field(ge=0, le=2, strict=True)] | None = 0.0
    seed: Annotated[StrictInt, Field(ge=-(2**63), lt=2**63)] | None = 7
    """Sample n of a criterion is asked with seed + n."""
    max_tokens: Count | None = 512
    top_p: Annotated[float, Field(gt=0, le=1, strict=True)] | None = None
    samples: Annotated[StrictInt, Field(ge=1, le=64)] = 1
    """How often each request is asked."""
    combine: How = "mean"
    """How the samples become one judgment: see `kardia.combine`."""


class Limits(Strict):
    """How hard an endpoint may be driven."""

    concurrency: Annotated[StrictInt, Field(ge=1, le=4096)] = 64
    requests_per_minute: Count | None = None
    tokens_per_minute: Count | None = None
    timeout_s: Annotated[float, Field(gt=0, le=3600, strict=True)] = 60.0
    retries: Annotated[StrictInt, Field(ge=0, le=100)] = 6
    """Tries after the first, where the endpoint is overloaded, fails or does not answer."""
    reask: Annotated[StrictInt, Field(ge=0, le=20)] = 3
    """Tries after the first, where the answer cannot be parsed."""


class Price(Strict):
    """What tokens cost, per million, in one currency."""

    input_per_million: Money | None = None
    output_per_million: Money | None = None

    def cost(self, input_tokens: int, output_tokens: int) -> float | None:
        """What so many tokens cost; None where there is no price."""
        if self.input_per_million is None and self.output_per_million is None:
            return None
        paid = input_tokens * (self.input_per_million or 0.0) + output_tokens * (self.output_per_million or 0.0)
        return paid / 1e6


class EmbeddedOptions(Strict):
    """How the embedded judge reads, and what it compares with."""

    heads: StrictStr | None = None
    """The folder of its trained heads (a student, as `kardia distill` makes one), beside the profile."""
    min_examples: Annotated[StrictInt, Field(ge=2)] = 6
    """With fewer examples of a criterion that it has no head for, it abstains."""
    batch_size: Count = 64
    """Texts in one forward pass."""
    device: StrictStr = "cpu"


class WordsOptions(Strict):
    """What the judge of words goes by."""

    model: Reference
    """The file of its fitted model (`kardia.judge.words`), beside the profile."""


class TransformersOptions(Strict):
    """How a language model is run on this machine."""

    device: Annotated[StrictStr, Field(pattern=r"^(auto|cpu|mps|xpu|cuda(:[0-9]+)?)$")] = "auto"
    """`auto`: a CUDA GPU where there is one, else the CPU."""
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """`auto`: float32 on a CPU, elsewhere what the model was saved in."""
    quantization: Literal["8bit", "4bit"] | None = None
    """Loads the weights rounded, through bitsandbytes."""
    adapter: Reference | None = None
    """A LoRA adapter by peft: a folder, or a name in the Hugging Face cache."""
    max_context: Count | None = None
    """The most tokens of a prompt and its answer; `null`: as many as the model takes."""
    too_long: Literal["unscored", "truncate"] = "unscored"
    """What a conversation that is longer comes to. `truncate`: its oldest messages are left out, and the scorecard says
    so."""
    batch_tokens: Count | None = None
    """The most tokens that are held at a time; `null`: what suits the device."""


class Seat(Strict):
    """A judge in a panel."""

    judge: Reference
    """Its profile: a name, or a path beside the panel's own file."""
    weight: Annotated[float, Field(gt=0, strict=True)] = 1.0

    @model_validator(mode="before")
    @classmethod
    def _is_a_mapping(cls, data: Any) -> Any:
        if isinstance(data, str):
            raise ValueError(f"a judge of a panel is written as {{judge: {data}}}, with a `weight` where it has one")
        return data


class PanelOptions(Strict):
    """Several judges that are all asked."""

    judges: list[Seat]
    """2 to 16 of them."""
    combine: How = "mean"
    """How their judgments become one: see `kardia.combine`."""

    @field_validator("judges")
    @classmethod
    def _a_few(cls, judges: list[Seat]) -> list[Seat]:
        if not 2 <= len(judges) <= 16:
            raise ValueError(f"a panel has 2 to 16 judges, not {len(judges)}")
        return judges


class CascadeOptions(Strict):
    """A judge that is asked everything, and one that is asked where the first is unsure."""

    first: Reference
    then: Reference
    unsure_below: Annotated[float, Field(gt=0, le=1, strict=True)] = 0.8
    """Where the first judge's confidence in its level is below this, the second is asked."""
