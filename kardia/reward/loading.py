"""Rewards by name or path: the presets that are shipped, and files of one's own."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

from pydantic import ValidationError

from kardia.content import folders
from kardia.errors import InputError
from kardia.overrides import apply_overrides
from kardia.reward.expression import AnyTerm, RewardSpec
from kardia.reward.term import Bounds, Requirement, Term
from kardia.rubric.loading import looks_like_path, rubric_keys
from kardia.schema_errors import dotted, faults_of, raise_first
from kardia.yamlfile import YamlPath, load_yaml

__all__ = ["FOLDER", "TERMS", "load_reward_spec", "reward_names", "spec_from"]

FOLDER = "rewards"
"""Where rewards lie inside a `training` folder."""
TERMS: dict[str, type[Term]] = {each.model_fields["kind"].default: each for each in get_args(get_args(AnyTerm)[0])}
"""Kind → the term that it declares."""


def reward_names() -> dict[str, Path]:
    """Name → file of every reward in `./training/rewards`, `$KARDIA_PATH` and what is shipped; the first of a name."""
    found: dict[str, Path] = {}
    for folder in folders("training"):
        for path in sorted((folder / FOLDER).glob("*.yaml")):
            found.setdefault(path.stem, path)
    return dict(sorted(found.items()))


def load_reward_spec(
    reference: str | Path | Mapping[str, Any] | RewardSpec, overrides: Sequence[str] = ()
) -> RewardSpec:
    """A reward's declaration.

    Args:
        reference: a name among `reward_names()`, a path to a YAML file, plain data, or a declaration itself. Paths of
            rubrics and judges inside a file may be given from where it lies.
        overrides: `key.path=value` items, the values read as YAML, such as `terms.rubric.rubric=supportiveness@1`.

    Raises:
        InputError: where there is none of that name, or it is not valid, with file, line and key.

    >>> load_reward_spec("kardia-r1").combine
    'mean'
    """
    if isinstance(reference, RewardSpec):
        return reference if not overrides else spec_from(apply_overrides(_plain(reference), overrides), "--set")
    if isinstance(reference, Mapping):
        return spec_from(apply_overrides(dict(reference), overrides), "the reward")
    path = _find(reference)
    document = load_yaml(path)
    if not isinstance(document.data, dict):
        raise InputError("is no reward: expected keys such as name, terms", file=str(path), line=1)
    raise_first(_faults(document.data), document, InputError)
    data = _beside(document.data, path.parent)
    return RewardSpec.model_validate(data) if not overrides else spec_from(apply_overrides(data, overrides), str(path))


def spec_from(data: Any, where: str) -> RewardSpec:
    """A declaration from plain data.

    Raises:
        InputError: with the key; `where` stands for the file.
    """
    for path, message in _faults(data):
        raise InputError(message, file=where, key=dotted(path) or None)
    return RewardSpec.model_validate(data)


def _faults(data: Any) -> list[tuple[YamlPath, str]]:
    """What is wrong with a declaration. Each term is looked at by itself, as what its kind says that it is."""
    try:
        RewardSpec.model_validate(data)
    except ValidationError as problem:
        terms = data.get("terms") if isinstance(data, Mapping) else None
        found: list[tuple[YamlPath, str]] = []
        if isinstance(terms, Mapping):
            for name, term in terms.items():
                found += [(("terms", name, *path), message) for path, message in _term_faults(term)]
        whole = [item for item in faults_of(problem, data, RewardSpec.model_fields) if item[0][:1] != ("terms",)]
        return found + whole or faults_of(problem, data, RewardSpec.model_fields)
    return []


def _term_faults(data: Any) -> list[tuple[YamlPath, str]]:
    if isinstance(data, Term):
        return []
    if not isinstance(data, Mapping):
        return [((), f"is no term: expected keys, with `kind` among them, which is one of {', '.join(TERMS)}")]
    kind = data.get("kind")
    if not isinstance(kind, str) or kind not in TERMS:
        if kind is None:
            return [((), f"has no `kind`; there are {', '.join(TERMS)}")]
        close = difflib.get_close_matches(str(kind), TERMS, n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"there are {', '.join(TERMS)}"
        return [(("kind",), f"there is no term of the kind {kind!r}; {hint}")]
    try:
        TERMS[kind].model_validate(data)
    except ValidationError as problem:
        keys = {*TERMS[kind].model_fields, *Bounds.model_fields, *Requirement.model_fields}
        return faults_of(problem, dict(data), keys | (rubric_keys() if "aggregate" in keys else set()))
    return []


def _plain(spec: RewardSpec) -> dict[str, Any]:
    """As it is written; a rubric that is an object stays one."""
    return {**spec.model_dump(exclude={"terms"}), "terms": {name: dict(term) for name, term in spec.terms.items()}}


def _beside(data: dict[str, Any], folder: Path) -> dict[str, Any]:
    """With the paths of rubrics and judges that are given from the file's own folder as they are from here."""

    def placed(value: Any) -> Any:
        if isinstance(value, str) and looks_like_path(value) and (folder / value).is_file():
            return str(folder / value)
        return value

    terms = data["terms"]
    return {
        **data,
        "terms": {
            name: {key: placed(value) if key in ("rubric", "judge") else value for key, value in term.items()}
            for name, term in terms.items()
        },
    }


def _find(reference: str | Path) -> Path:
    if isinstance(reference, Path) or looks_like_path(reference):
        return Path(reference)
    known = reward_names()
    if reference in known:
        return known[reference]
    close = difflib.get_close_matches(reference, known, n=1)
    hint = f"did you mean {close[0]!r}?" if close else f"there are {', '.join(known) or 'none'}"
    raise InputError(f"there is no reward called {reference!r}; {hint}")
