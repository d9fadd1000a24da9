"""Recipes by name or path, with errors that name file, line and key."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from kardia.content import folders
from kardia.errors import InputError
from kardia.overrides import apply_overrides
from kardia.policy.recipe import Recipe
from kardia.reward.expression import RewardSpec
from kardia.reward.loading import load_reward_spec
from kardia.schema_errors import dotted, faults_of, model_keys, raise_first
from kardia.yamlfile import Document, YamlPath, load_yaml

__all__ = ["find_file", "load_recipe", "recipe_names", "reward_of"]


def recipe_names() -> dict[str, Path]:
    """Name → file of every recipe in `./training`, `$KARDIA_PATH` and what is shipped; the first of a name."""
    found: dict[str, Path] = {}
    for folder in folders("training"):
        for path in sorted(folder.glob("*.yaml")):
            found.setdefault(path.stem, path)
    return dict(sorted(found.items()))


def load_recipe(
    reference: str | Path | Mapping[str, Any] | Recipe, overrides: Sequence[str] = (), seed: int | None = None
) -> Recipe:
    """A recipe, checked as far as its own text goes; its data and its models are looked at later.

    Args:
        reference: a name among `recipe_names()`, a path to a YAML file, plain data, or a recipe.
        overrides: `key.path=value` items, the values read as YAML.
        seed: replaces the recipe's.

    Raises:
        InputError: where there is none of that name, or it is not valid, with file, line and key.
    """
    if isinstance(reference, Recipe):
        document = Document(reference.model_dump(mode="python", exclude_unset=True), f"the recipe {reference.name}", "")
        beside = reference.beside
    elif isinstance(reference, Mapping):
        document, beside = Document(dict(reference), "the recipe", ""), None
    else:
        path = _find(reference)
        document, beside = load_yaml(path), path.parent
    if not isinstance(document.data, dict):
        raise InputError("is no recipe: expected keys such as name, model, data", file=document.file, line=1)
    data = apply_overrides(document.data, overrides)
    if seed is not None:
        data["seed"] = seed
    try:
        recipe = Recipe.model_validate(data)
    except ValidationError as problem:
        _raise(faults_of(problem, data, model_keys(Recipe)), document, overrides)
        raise
    recipe._beside = beside
    if recipe.reward is not None and not isinstance(recipe.reward.spec, str):
        _check_inline(recipe.reward.spec, document, overrides)
    return recipe


def reward_of(recipe: Recipe) -> RewardSpec | None:
    """The declaration of a recipe's reward; None where its environment gives it.

    Raises:
        InputError: where there is none of that name, or it is not valid.
    """
    if recipe.reward is None:
        return None
    spec: Any = recipe.reward.spec
    if isinstance(spec, str) and spec.endswith((".yaml", ".yml")):
        spec = find_file(recipe, spec, "reward.spec")
    known = load_reward_spec(spec)
    if not recipe.reward.overrides:
        return known
    try:
        return load_reward_spec(spec, tuple(recipe.reward.overrides))
    except InputError as problem:  # without them it is sound
        key = "reward.overrides" + (f" ({problem.key})" if problem.key else "")
        raise InputError(problem.message, file=f"the recipe {recipe.name}", key=key) from None


def find_file(recipe: Recipe, written: str, key: str) -> Path:
    """A file or folder that a recipe names: beside the recipe, else in the working directory.

    Raises:
        InputError: where it is in neither place.
    """
    path = Path(written).expanduser()
    for place in ([recipe.beside / path] if recipe.beside is not None else []) + [path]:
        if place.exists():
            return place
    beside = "neither beside the recipe nor in the working directory" if recipe.beside is not None else "no such file"
    raise InputError(f"{written}: {beside}", file=f"the recipe {recipe.name}", key=key)


def _check_inline(spec: Mapping[str, Any], document: Document, overrides: Sequence[str]) -> None:
    try:
        RewardSpec.model_validate(spec)
    except ValidationError as problem:
        found = faults_of(problem, dict(spec), model_keys(RewardSpec))
        _raise([(("reward", "spec", *path), message) for path, message in found], document, overrides)


def _raise(faults: Sequence[tuple[YamlPath, str]], document: Document, overrides: Sequence[str]) -> None:
    """A fault that an override brought is the override's; any other has its line in the file."""
    if not overrides:
        raise_first(faults, document, InputError)
    set_ = [tuple(item.partition("=")[0].split(".")) for item in overrides]
    for path, message in faults:
        steps = tuple(map(str, path))
        if any(steps[: len(key)] == key for key in set_):
            raise InputError(message, file="--set", key=dotted(path) or None)
    raise_first(faults, document, InputError)


def _find(reference: str | Path) -> Path:
    path = Path(reference)
    if isinstance(reference, Path) or path.suffix in (".yaml", ".yml") or "/" in str(reference):
        return path
    known = recipe_names()
    if str(reference) in known:
        return known[str(reference)]
    close = difflib.get_close_matches(str(reference), known, n=1)
    hint = f"did you mean {close[0]!r}?" if close else f"there are {', '.join(known) or 'none'}"
    raise InputError(f"there is no recipe called {str(reference)!r}; {hint}")
