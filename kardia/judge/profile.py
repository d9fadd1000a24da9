"""The judge profile: who answers, where, how it is asked, within which limits."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

import orjson
from pydantic import BaseModel, ConfigDict, Field, StrictInt, StrictStr, ValidationError, model_validator

from kardia.content import folders
from kardia.errors import ProfileError, YamlError
from kardia.rubric.rubric import content_hash
from kardia.schema_errors import faults_of, model_keys, raise_first
from kardia.yamlfile import Document, load_yaml, parse_scalar

__all__ = [
    "EmbeddedOptions",
    "JudgeProfile",
    "Limits",
    "Price",
    "Sampling",
    "apply_overrides",
    "load_profile",
    "profile_names",
]

Mode = Literal["per_criterion", "all_criteria", "logprob", "pairwise", "groupwise"]
Backend = Literal["openai", "http", "litellm", "embedded", "fake"]
Count = Annotated[StrictInt, Field(ge=1, lt=2**31)]
Money = Annotated[float, Field(ge=0, strict=True)]

DEFAULT_TEMPLATES: dict[str, str] = {
    "per_criterion": "reasoned",
    "all_criteria": "all-criteria",
    "logprob": "logprob",
    "pairwise": "pairwise",
    "groupwise": "groupwise",
}
ENDPOINTS = ("openai", "http", "litellm")


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, use_attribute_docstrings=True)


class Sampling(_Model):
    """How the judge samples. `null`: not sent, the server's default holds."""

    temperature: Annotated[float, Field(ge=0, le=2, strict=True)] | None = 0.0
    seed: Annotated[StrictInt, Field(ge=-(2**63), lt=2**63)] | None = 7
    """Sample n of a criterion is asked with seed + n."""
    max_tokens: Count | None = 512
    top_p: Annotated[float, Field(gt=0, le=1, strict=True)] | None = None
    samples: Annotated[StrictInt, Field(ge=1, le=64)] = 1
    """How often each request is asked; the judgment is the mean of the samples' values."""


class Limits(_Model):
    """How hard an endpoint may be driven."""

    concurrency: Annotated[StrictInt, Field(ge=1, le=4096)] = 64
    requests_per_minute: Count | None = None
    tokens_per_minute: Count | None = None
    timeout_s: Annotated[float, Field(gt=0, le=3600, strict=True)] = 60.0
    retries: Annotated[StrictInt, Field(ge=0, le=100)] = 6
    """Tries after the first, where the endpoint is overloaded, fails or does not answer."""
    reask: Annotated[StrictInt, Field(ge=0, le=20)] = 3
    """Tries after the first, where the answer cannot be parsed."""


class Price(_Model):
    """What tokens cost, per million, in one currency."""

    input_per_million: Money | None = None
    output_per_million: Money | None = None

    def cost(self, input_tokens: int, output_tokens: int) -> float | None:
        """What so many tokens cost; None where there is no price."""
        if self.input_per_million is None and self.output_per_million is None:
            return None
        paid = input_tokens * (self.input_per_million or 0.0) + output_tokens * (self.output_per_million or 0.0)
        return paid / 1e6


class EmbeddedOptions(_Model):
    """How the embedded judge compares."""

    min_examples: Annotated[StrictInt, Field(ge=2)] = 6
    """With fewer examples of a criterion it abstains."""
    batch_size: Count = 64
    """Texts in one forward pass."""
    device: StrictStr = "cpu"


class JudgeProfile(_Model):
    """A judge, as its YAML describes it."""

    name: Annotated[StrictStr, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=80)]
    backend: Backend
    description: StrictStr | None = None
    model: StrictStr | None = None
    revision: StrictStr | None = None
    """embedded: the commit of the encoder on the hub."""
    sha256: Annotated[StrictStr, Field(pattern=r"^[0-9a-f]{64}$")] | None = None
    """embedded: the digest of the encoder's weights file."""
    base_url: Annotated[StrictStr, Field(pattern=r"^https?://[^\s/]+")] | None = None
    api_key_env: Annotated[StrictStr, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")] | None = None
    """The name of an environment variable that holds the key. Never the key."""
    mode: Mode = "per_criterion"
    template: StrictStr | None = None
    """`judges/templates/<name>.j2`; default: the mode's own."""
    sampling: Sampling = Field(default_factory=Sampling)
    limits: Limits = Field(default_factory=Limits)
    price: Price = Field(default_factory=Price)
    extra_body: dict[StrictStr, Any] = Field(default_factory=dict)
    headers: dict[StrictStr, StrictStr] = Field(default_factory=dict, repr=False)
    embedded: EmbeddedOptions | None = None

    @model_validator(mode="after")
    def _fits_backend(self) -> JudgeProfile:
        if self.backend in ENDPOINTS and not self.model:
            raise ValueError(f"the backend {self.backend} needs a `model`")
        if self.base_url and "@" in self.base_url.split("://", 1)[1].split("/", 1)[0]:
            raise ValueError("a `base_url` holds no user or password; name the key's variable in `api_key_env`")
        if self.base_url:
            _check_url(self.base_url)
        for name, value in self.headers.items():
            if not (name + value).isascii() or not (name + value).isprintable():
                raise ValueError(f"the header {name!r} holds characters that a header cannot hold")
        try:
            orjson.dumps(self.extra_body)
        except (orjson.JSONEncodeError, TypeError) as problem:
            raise ValueError(f"`extra_body` cannot be sent as JSON: {problem}") from None
        if self.backend == "http" and not self.base_url:
            raise ValueError("the backend http needs a `base_url` such as http://127.0.0.1:8000/v1")
        if self.backend != "embedded" and (self.embedded or self.revision or self.sha256):
            raise ValueError("`embedded`, `revision` and `sha256` belong to the backend embedded")
        if self.backend == "embedded" and self.mode != "per_criterion":
            raise ValueError("the backend embedded knows only the mode per_criterion")
        return self

    @property
    def template_name(self) -> str:
        """The template's name: as given, or the mode's own."""
        return self.template or DEFAULT_TEMPLATES[self.mode]

    @cached_property
    def hash(self) -> str:
        """Hash over everything that can move a score: limits, price, key and headers are left out."""
        skip = {"limits", "price", "api_key_env", "headers", "description"}
        return content_hash(self.model_dump(mode="json", exclude_defaults=True, exclude=skip))

    @property
    def reads_prompts(self) -> bool:
        """Whether the backend reads words, so that requests need rendered messages."""
        return self.backend != "embedded"

    @property
    def destination(self) -> str:
        """Where judged texts go, for people: a host, or that they stay here."""
        if self.backend in ("embedded", "fake"):
            return "this machine (nothing is sent)"
        if self.base_url:
            from urllib.parse import urlsplit

            return urlsplit(self.base_url).netloc
        return "api.openai.com" if self.backend == "openai" else f"the provider that litellm picks for {self.model}"


def _check_url(url: str) -> None:
    from urllib.parse import urlsplit

    try:
        parts = urlsplit(url)
        whole = bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        whole = False
    if not whole:
        raise ValueError(f"{url!r} is not a URL such as http://127.0.0.1:8000/v1")


def profile_names() -> dict[str, Path]:
    """Every profile that can be found by name → its file, in lookup order."""
    found: dict[str, Path] = {}
    for folder in folders("judges"):
        for path in sorted(folder.iterdir()):
            if path.suffix in (".yaml", ".yml") and path.is_file():
                found.setdefault(path.stem, path)
    return found


def load_profile(reference: str | Path, overrides: Sequence[str] = ()) -> JudgeProfile:
    """Loads a profile by name or path.

    Args:
        reference: a name among `./judges`, `$KARDIA_PATH` and what is shipped, or a path to a YAML file.
        overrides: `key.path=value` items, the values read as YAML.

    Raises:
        ProfileError: where there is none of that name, or it is not valid (with file, line and key).
    """
    document = load_yaml(_find(reference))
    if not isinstance(document.data, dict):
        raise ProfileError("is not a judge profile: expected keys such as name, backend", file=document.file, line=1)
    data = apply_overrides(document.data, overrides)
    try:
        return JudgeProfile.model_validate(data)
    except ValidationError as problem:
        keys = model_keys(JudgeProfile)
        faults = faults_of(problem, data, keys)
        if overrides and not _invalid(document, keys):
            path, message = faults[0]
            key = ".".join(str(part) for part in path)
            raise ProfileError(message, file="--set", key=key or None) from None
        raise_first(faults, document, ProfileError)
        raise


def _invalid(document: Document, keys: set[str]) -> bool:
    try:
        JudgeProfile.model_validate(document.data)
    except ValidationError:
        return True
    return False


def _find(reference: str | Path) -> Path:
    text = str(reference)
    if isinstance(reference, Path) or text.endswith((".yaml", ".yml")) or "/" in text or "\\" in text:
        path = Path(text)
        if path.is_dir() and (path / "judge.yaml").is_file():
            return path / "judge.yaml"  # a folder that carries its own profile
        return path
    known = profile_names()
    places = [folder / (text + suffix) for folder in folders("judges") for suffix in (".yaml", ".yml")]
    found = [place for place in places if place.is_file()]
    if not found:
        raise ProfileError(f"there is no judge {text!r}; there are: {', '.join(sorted(known)) or 'none'}")
    for other in found[1:]:
        if load_yaml(other).data != load_yaml(found[0]).data:
            raise ProfileError(f"the judge {text!r} stands with different content in {found[0]} and {other}")
    return found[0]


def apply_overrides(data: dict[str, Any], overrides: Sequence[str]) -> dict[str, Any]:
    """The data with `a.b=value` items set; the input is left as it is."""
    result = dict(data)
    for item in overrides:
        key, equals, text = item.partition("=")
        steps = key.split(".")
        if not equals or not all(steps):
            raise ProfileError(f"{item!r} is not of the form key=value, such as sampling.temperature=1", file="--set")
        here = result
        for step in steps[:-1]:
            inner = here.get(step)
            if inner is not None and not isinstance(inner, dict):
                raise ProfileError(f"{step!r} is a value, not a group of keys", file="--set", key=key)
            here[step] = dict(inner or {})
            here = here[step]
        try:
            here[steps[-1]] = parse_scalar(text)
        except YamlError as problem:
            raise ProfileError(problem.message, file="--set", key=key) from None
    return result
