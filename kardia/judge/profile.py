"""The judge profile: who answers, where, how it is asked, within which limits."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import orjson
from pydantic import Field, PrivateAttr, StrictStr, ValidationError, model_validator

from kardia.content import folders
from kardia.errors import InputError, ProfileError
from kardia.judge.options import (
    CascadeOptions,
    EmbeddedOptions,
    Limits,
    PanelOptions,
    Price,
    Sampling,
    TransformersOptions,
    WordsOptions,
)
from kardia.overrides import apply_overrides, has_place
from kardia.rubric.rubric import content_hash
from kardia.schema_errors import dotted, faults_of, model_keys, raise_first
from kardia.strict import Strict
from kardia.student.manifest import student_digest
from kardia.yamlfile import Document, YamlPath, load_yaml

if TYPE_CHECKING:
    from kardia.calibration.binding import Loaded

__all__ = [
    "ENSEMBLES",
    "EmbeddedOptions",
    "JudgeProfile",
    "Limits",
    "Price",
    "Sampling",
    "TransformersOptions",
    "WordsOptions",
    "load_profile",
    "profile_names",
]

Mode = Literal["per_criterion", "all_criteria", "logprob", "pairwise", "groupwise"]
Backend = Literal["openai", "http", "litellm", "transformers", "embedded", "words", "panel", "cascade", "fake"]

DEFAULT_TEMPLATES: dict[str, str] = {
    "per_criterion": "reasoned",
    "all_criteria": "all-criteria",
    "logprob": "logprob",
    "pairwise": "pairwise",
    "groupwise": "groupwise",
}
DIRECT_TEMPLATE = "level"
"""In the mode logprob, what asks a model that is read and writes nothing."""
ENDPOINTS = ("openai", "http", "litellm")
ENSEMBLES = ("panel", "cascade")
WORDLESS = ("embedded", "words")
"""Backends that read the texts themselves and no prompt."""
COMPARING = ("pairwise", "groupwise")
_HOW_IT_RUNS = ("device", "batch_tokens")
HERE = "this machine (nothing is sent)"


class JudgeProfile(Strict):
    """A judge, as its YAML describes it."""

    name: Annotated[StrictStr, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=80)]
    backend: Backend
    description: StrictStr | None = None
    model: StrictStr | None = None
    revision: StrictStr | None = None
    """embedded, transformers: the commit of the model on the hub."""
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
    words: WordsOptions | None = None
    transformers: TransformersOptions | None = None
    panel: PanelOptions | None = None
    cascade: CascadeOptions | None = None
    calibration: StrictStr | None = None
    """What `kardia calibrate` wrote, applied to its answers; a path beside the profile or in the working directory."""
    _members: tuple[JudgeProfile, ...] | None = PrivateAttr(default=None)
    _beside: Path | None = PrivateAttr(default=None)

    @model_validator(mode="after")
    def _fits_backend(self) -> JudgeProfile:
        for ensemble in ENSEMBLES:
            if (self.backend == ensemble) != (getattr(self, ensemble) is not None):
                raise ValueError(f"`{ensemble}: …` goes with the backend {ensemble}, and with no other")
        if self.backend in ENSEMBLES:
            extra = sorted(self.model_fields_set - {"name", "backend", "description", "calibration", self.backend})
            if extra:
                raise ValueError(f"`{extra[0]}` belongs into the profiles of the judges that the {self.backend} asks")
        if self.backend in (*ENDPOINTS, "transformers") and not self.model:
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
        if self.backend != "embedded" and (self.embedded or self.sha256):
            raise ValueError("`embedded` and `sha256` belong to the backend embedded")
        if self.revision and self.backend not in ("embedded", "transformers"):
            raise ValueError("`revision` belongs to the backends embedded and transformers")
        if self.backend != "transformers" and self.transformers:
            raise ValueError("`transformers: …` goes with the backend transformers, and with no other")
        if self.backend == "transformers" and self.mode == "logprob":
            self._check_reading()
        if (self.backend == "words") != (self.words is not None):
            raise ValueError("`words: …` goes with the backend words, and with no other")
        if self.backend == "words" and self.model:
            raise ValueError("`model` names a language model or an encoder; the backend words has `words.model`")
        if self.backend in WORDLESS and self.mode != "per_criterion":
            raise ValueError(f"the backend {self.backend} knows only the mode per_criterion")
        if self.calibration is not None and self.mode in COMPARING:
            raise ValueError(f"`calibration` corrects levels, and the mode {self.mode} compares replies and gives none")
        return self

    def _check_reading(self) -> None:
        """The backend transformers writes nothing in the mode logprob: it reads the prompt, and what would follow."""
        if self.template == DEFAULT_TEMPLATES["logprob"]:
            raise ValueError(
                f"the template {self.template} asks for a reason first, and the backend transformers writes none in "
                "the mode logprob; leave `template` out, or take one that asks for a level alone, such as "
                f"{DIRECT_TEMPLATE}"
            )
        if self.sampling.samples > 1:
            raise ValueError(
                "the backend transformers samples nothing in the mode logprob: it reads the probabilities themselves; "
                "leave `sampling.samples` at 1"
            )

    @property
    def template_name(self) -> str:
        """The template's name: as given, or the mode's own."""
        if self.backend == "transformers" and self.mode == "logprob":
            return self.template or DIRECT_TEMPLATE
        return self.template or DEFAULT_TEMPLATES[self.mode]

    @property
    def beside(self) -> Path | None:
        """The folder that its file lies in; None for a profile that was made in Python."""
        return self._beside

    @property
    def heads(self) -> Path | None:
        """The folder of the embedded judge's trained heads: as written, from the profile's own folder on."""
        written = None if self.embedded is None else self.embedded.heads
        return None if written is None else (self._beside or Path()) / written

    @property
    def words_model(self) -> Path | None:
        """The file of the words judge's model: as written, from the profile's own folder on."""
        return None if self.words is None else (self._beside or Path()) / self.words.model

    @property
    def calibration_file(self) -> Path | None:
        """What corrects its answers: as written, from the profile's own folder, else from the working directory."""
        if self.calibration is None:
            return None
        beside = (self._beside or Path()) / self.calibration
        return beside if beside.exists() else Path(self.calibration)

    @cached_property
    def loaded_calibration(self) -> Loaded | None:
        """What corrects its answers, read once: what is applied is what its hash is over.

        Raises:
            InputError: where the file is not there, or is no calibration.
        """
        from kardia.calibration.binding import load_calibration

        return None if self.calibration_file is None else load_calibration(self.calibration_file)

    @property
    def references(self) -> tuple[tuple[YamlPath, str, float], ...]:
        """Who is asked by an ensemble: the key, the name or path that stands there, and the weight."""
        if self.panel is not None:
            seats = enumerate(self.panel.judges)
            return tuple((("panel", "judges", place, "judge"), seat.judge, seat.weight) for place, seat in seats)
        if self.cascade is not None:
            return (("cascade", "first"), self.cascade.first, 1.0), (("cascade", "then"), self.cascade.then, 1.0)
        return ()

    @property
    def members(self) -> tuple[JudgeProfile, ...]:
        """The profiles of the judges that an ensemble asks, in their order; none for a single judge.

        Raises:
            InputError: where one cannot be found or does not fit; a profile that was loaded has them already.
        """
        if self._members is None:
            self._members = _load_members(self, None, ())
        return self._members

    def with_members(self, members: Sequence[JudgeProfile], *, confident: bool = False) -> JudgeProfile:
        """The same ensemble over these judges.

        Args:
            members: as many as the profile names, in its order.
            confident: whether the first is known to show how sure it is, whatever its profile says.

        Raises:
            ProfileError: where they are not as many as are named, or do not fit.
        """
        if len(members) != len(self.references):
            raise ProfileError(f"{self.name} asks {len(self.references)} judges, not {len(members)}")
        fault = _fault_of_members(self, members, confident)
        if fault is not None:
            raise _misfit(fault[1], fault[0], self)
        copy = self.model_copy()
        for known in ("hash", "asked_hash"):
            copy.__dict__.pop(known, None)
        copy._members = tuple(members)
        return copy

    @property
    def shows_confidence(self) -> bool:
        """Whether its judgments tell how sure they are: by probabilities, or by samples that agree or do not."""
        if self.backend == "cascade":
            return all(member.shows_confidence for member in self.members)
        return self.backend in ("panel", "embedded") or self.mode == "logprob" or self.sampling.samples > 1

    @property
    def concurrency(self) -> int:
        """How many requests may be under way at once; of an ensemble, with its least limited member."""
        return max((member.concurrency for member in self.members), default=self.limits.concurrency)

    @cached_property
    def hash(self) -> str:
        """Hash over everything that can move a score: limits, price, key and headers are left out.

        An ensemble's is over its members' hashes; under which name or path they are found does not count. Of a
        calibration the content counts.

        Raises:
            InputError: where the calibration cannot be read.
        """
        loaded = self.loaded_calibration
        if loaded is None:
            return self.asked_hash
        return content_hash({"judge": self.asked_hash, "calibration": loaded.digest})

    @cached_property
    def asked_hash(self) -> str:
        """The hash of the judge as it answers: `hash` without its calibration."""
        skip = {"limits", "price", "api_key_env", "headers", "description", "calibration", *ENSEMBLES}
        data = self.model_dump(mode="json", exclude_defaults=True, exclude=skip)
        if self.heads is not None:
            data["embedded"]["heads"] = student_digest(self.heads)  # what is in the folder counts, not where it lies
        if self.words_model is not None:
            from kardia.judge.words import words_digest  # the model's shape takes a while to build

            data["words"]["model"] = words_digest(self.words_model)
        # where a model runs, and how much at a time, is no part of what it says
        run = {key: value for key, value in data.pop("transformers", {}).items() if key not in _HOW_IT_RUNS}
        data.update({"transformers": run} if run else {})
        hashes = [member.hash for member in self.members]
        if self.panel is not None:
            seats = zip(self.panel.judges, hashes, strict=True)
            judges = [{"weight": seat.weight, "hash": digest} for seat, digest in seats]
            data["panel"] = {"combine": self.panel.combine, "judges": judges}
        elif self.cascade is not None:
            first, then = hashes
            data["cascade"] = {"first": first, "then": then, "unsure_below": self.cascade.unsure_below}
        return content_hash(data)

    @property
    def reads_prompts(self) -> bool:
        """Whether the backend reads words, so that requests need rendered messages."""
        return self.backend not in (*WORDLESS, *ENSEMBLES)

    @property
    def destination(self) -> str:
        """Where judged texts go, for people: a host, or that they stay here."""
        if self.backend in ("transformers", "fake", *WORDLESS):
            return HERE
        if self.backend in ENSEMBLES:
            places = dict.fromkeys(member.destination for member in self.members)
            return ", ".join(place for place in places if place != HERE) or HERE
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
    return _load(_find(reference), overrides, ())


def _load(path: Path, overrides: Sequence[str], asking: tuple[Path, ...]) -> JudgeProfile:
    """`asking`: the ensembles' files on the way here."""
    if path.resolve() in asking:
        names = " → ".join(each.name for each in (*asking[asking.index(path.resolve()) :], path))
        raise ProfileError(f"the judges ask one another in a circle: {names}")
    document = load_yaml(path)
    if not isinstance(document.data, dict):
        raise ProfileError("is not a judge profile: expected keys such as name, backend", file=document.file, line=1)
    data = apply_overrides(document.data, overrides)
    try:
        profile = JudgeProfile.model_validate(data)
    except ValidationError as problem:
        keys = model_keys(JudgeProfile)
        faults = faults_of(problem, data, keys)
        if overrides and not _invalid(document, keys):
            path_, message = faults[0]
            raise ProfileError(message, file="--set", key=dotted(path_) or None) from None
        raise_first(faults, document, ProfileError)
        raise
    profile._beside = path.parent
    if profile.backend in ENSEMBLES:
        profile._members = _load_members(profile, document, (*asking, path.resolve()))
    return profile


def _load_members(
    profile: JudgeProfile, document: Document | None, asking: tuple[Path, ...]
) -> tuple[JudgeProfile, ...]:
    """Whom an ensemble asks; `document` is None for one that was made in Python."""
    beside = None if document is None else Path(document.file).parent
    members: list[JudgeProfile] = []
    for path, reference, _ in profile.references:
        try:
            members.append(_load(_find_member(reference, beside), (), asking))
        except InputError as problem:
            if problem.file is not None:
                raise
            raise _misfit(problem.message, path, profile, document) from None
    fault = _fault_of_members(profile, members)
    if fault is not None:
        raise _misfit(fault[1], fault[0], profile, document)
    return tuple(members)


def _misfit(message: str, path: YamlPath, profile: JudgeProfile, document: Document | None = None) -> ProfileError:
    if document is None:
        return ProfileError(message, file=profile.name, key=dotted(path))
    written: Any = document.data
    for step in path:
        written = written[step] if has_place(written, step) else None
    if written != next(reference for place, reference, _ in profile.references if place == path):
        return ProfileError(message, file="--set", key=dotted(path))
    return ProfileError(message, file=document.file, line=document.line(path), key=dotted(path))


def _fault_of_members(
    profile: JudgeProfile, members: Sequence[JudgeProfile], confident: bool = False
) -> tuple[YamlPath, str] | None:
    """Why these judges cannot be the ensemble's: the key, and a sentence."""
    places = [path for path, _, _ in profile.references]
    for number, (path, member) in enumerate(zip(places, members, strict=True)):
        if member.mode in COMPARING:
            return path, f"the judge {member.name} compares replies (mode {member.mode}) and scores none on its own"
        if member.calibration is not None:
            return path, (
                f"the judge {member.name} is calibrated, and the {profile.backend} puts together what judges say "
                f"themselves; calibrate the {profile.backend} in its place"
            )
        if any(member.hash == other.hash for other in members[:number]):
            return path, f"the judge {member.name} is named twice, and would say the same twice"
    if profile.cascade is not None and members[0].backend == "words":
        return places[0], (
            f"the judge {members[0].name} says a value, and does not tell how sure it is; use a judge with the mode "
            "logprob, with `sampling.samples` of 2 or more, or embedded"
        )
    if profile.cascade is not None and not (confident or members[0].shows_confidence):
        return places[0], (
            f"the judge {members[0].name} shows neither probabilities nor several samples, and nobody can tell where "
            "it is unsure; use a judge with the mode logprob, with `sampling.samples` of 2 or more, or embedded"
        )
    return None


def _find_member(reference: str, beside: Path | None) -> Path:
    """A member's file: by name as everywhere, by path from the ensemble's own folder, else from the working one."""
    if not _is_path(reference):
        return _find(reference)
    for folder in (beside, Path()):
        if folder is not None and (folder / reference).exists():
            return _find(folder / reference)
    raise ProfileError(f"there is no file {reference}, neither beside this profile nor in the working directory")


def _invalid(document: Document, keys: set[str]) -> bool:
    try:
        JudgeProfile.model_validate(document.data)
    except ValidationError:
        return True
    return False


def _find(reference: str | Path) -> Path:
    text = str(reference)
    if isinstance(reference, Path) or _is_path(text):
        path = Path(text)
        if path.is_dir() and (path / "judge.yaml").is_file():
            return path / "judge.yaml"  # a folder that carries its own profile
        return path
    known = profile_names()
    places = [folder / (text + suffix) for folder in folders("judges") for suffix in (".yaml", ".yml")]
    found = [place for place in places if place.is_file()]
    if not found:
        if (Path(text) / "judge.yaml").is_file():
            return Path(text) / "judge.yaml"
        raise ProfileError(f"there is no judge {text!r}; there are: {', '.join(sorted(known)) or 'none'}")
    for other in found[1:]:
        if load_yaml(other).data != load_yaml(found[0]).data:
            raise ProfileError(f"the judge {text!r} stands with different content in {found[0]} and {other}")
    return found[0]


def _is_path(text: str) -> bool:
    return text.endswith((".yaml", ".yml")) or "/" in text or "\\" in text
