"""What a fit hands back: the artifact, how well it does on cards that it has not seen, and what to paste."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kardia.artifact import Artifact, Made, renormalises
from kardia.fitting.cards import Cards
from kardia.rubric.rubric import Rubric
from kardia.version import __version__

__all__ = ["Fit", "Line", "made", "short", "yaml_lines"]


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the table: what predicts, and its figures by column."""

    name: str
    figures: Mapping[str, float | None]


@dataclass(frozen=True)
class Fit:
    """What was learned.

    Attributes:
        artifact: what `kardia fit` writes.
        title: what the figures are about.
        lines: the fit first, then what it is held against; every figure is of cards that its fit has not seen.
        inputs: columns of what was learned about each input, by its id.
        remarks: sentences that a reader needs.
    """

    artifact: Artifact
    title: str
    lines: tuple[Line, ...]
    inputs: Mapping[str, Mapping[str, float]]
    remarks: tuple[str, ...] = field(default=())

    def to_json(self) -> dict[str, Any]:
        """Plain data, for machines."""
        return {
            "kind": self.artifact.kind,
            "rubric": self.artifact.rubric.model_dump(mode="json"),
            "made": self.artifact.made.model_dump(mode="json"),
            "title": self.title,
            "figures": {line.name: dict(line.figures) for line in self.lines},
            "inputs": {key: dict(columns) for key, columns in self.inputs.items()},
            "remarks": list(self.remarks),
        }


def made(
    cards: Cards,
    seed: int,
    data: str,
    counts: Mapping[str, int],
    settings: Mapping[str, int | float | str | bool | None],
    lines: Sequence[Line],
) -> Made:
    """How an artifact came to be, for the artifact."""
    figures = {
        line.name: {key: None if one is None else round(one, 4) for key, one in line.figures.items()} for line in lines
    }
    return Made(
        kardia=__version__,
        seed=seed,
        data=data,
        judge=dict(cards.judge),
        counts=dict(counts),
        settings=dict(settings),
        figures=figures,
    )


def short(number: float) -> float:
    """A fitted number with six significant digits: more would be noise of the machine."""
    return float(f"{number:.6g}") + 0.0  # -0.0 is 0.0


def yaml_lines(artifact: Artifact, path: Path, digest: str, rubric: Rubric) -> str:
    """What to paste into the rubric's file; an artifact that lies elsewhere is taken to be moved beside it."""
    named = path.name
    if rubric.source is not None:
        folder = Path(rubric.source).resolve().parent
        if path.resolve().is_relative_to(folder):
            named = path.resolve().relative_to(folder).as_posix()
    quoted = named if all(one.isalnum() or one in "._-/" for one in named) else "'" + named.replace("'", "''") + "'"
    keeps = rubric.file.aggregate.unscored == "renormalise" and renormalises(artifact)
    unscored = "  unscored: renormalise\n" if keeps else ""
    return f"aggregate:\n  method: learned\n  artifact: {quoted}\n  sha256: {digest}\n{unscored}"
