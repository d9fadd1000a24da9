"""What lies beside a student for people and for `--judge FOLDER`: model card, metrics, judge profile. Pure but for the
writing."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kardia.files import write_text
from kardia.model.metrics import TaskMetrics

if TYPE_CHECKING:
    from kardia.student.student import Manifest, Student

__all__ = ["card_text", "profile_text", "write_card"]

CARD, METRICS, PROFILE = "README.md", "metrics.json", "judge.yaml"


def write_card(student: Student, metrics: Mapping[str, TaskMetrics], folder: Path) -> None:
    """Writes `README.md`, `metrics.json` and `judge.yaml` into a student's folder."""
    manifest = student.manifest()
    data = {key: value.to_json() for key, value in metrics.items()}
    write_text(folder / METRICS, json.dumps(data, ensure_ascii=False, indent=2) + "\n")
    write_text(folder / CARD, card_text(manifest, metrics, folder.resolve().name))
    write_text(folder / PROFILE, profile_text(manifest, folder.resolve().name))


def profile_text(manifest: Manifest, name: str) -> str:
    """The judge profile that `--judge FOLDER` takes.

    Args:
        name: of the folder; what a profile's name may not hold is left out.
    """
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-._")[:80] or "student"
    data: dict[str, Any] = {"name": plain, "backend": "embedded"}
    data["description"] = (
        f"A student of {len(manifest.tasks)} criteria on {manifest.backbone.model}; README.md says how "
        "good it is. It gives no reasons. Other criteria are compared with their rubric's examples."
    )
    if manifest.kind == "encoder":  # by which other criteria are compared with their examples
        known = manifest.backbone.model_dump(mode="json", exclude_none=True)
        data |= known if manifest.weights != "backbone" else {"model": known["model"]}
    data["embedded"] = {"heads": "."}
    return "".join(f"{key}: {json.dumps(value, ensure_ascii=False)}\n" for key, value in data.items())


def card_text(manifest: Manifest, metrics: Mapping[str, TaskMetrics], name: str) -> str:
    """The model card, in Markdown."""
    parts = [f"# {name}", _what(manifest), _use(name), _measures(manifest, metrics), _training(manifest), _LIMITS]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def _what(manifest: Manifest) -> str:
    of = {
        "adapter": "with a LoRA adapter",
        "backbone": "trained as a whole",
        "frozen": "frozen",
    }[manifest.weights]
    reading = manifest.reading
    digest = manifest.training.get("start")
    went = "" if digest is None else f"\n- goes on from: {_start(manifest)}, the student of sha256 {digest}"
    return f"""\
A student: a small model that says, for a context and a reply, how likely each level of {len(manifest.tasks)} criteria
is. It was made by `kardia distill`.

- backbone: {manifest.backbone.model}{f" at {manifest.backbone.revision}" if manifest.backbone.revision else ""}, {of}
- weights of the backbone: sha256 {manifest.backbone.sha256 or "not known"}{went}
- pooling: {manifest.pooling}{" over the reply" if manifest.reply_only else ""}; a head of thresholds for each ordered
  scale, of options for each choice
- reads the last {reading.context_chars:,} characters of the context and {reading.reply_chars:,} of the reply"""


def _start(manifest: Manifest) -> str:
    """What people call the student that this one goes on from."""
    return Path((manifest.training.get("recipe") or {}).get("start") or "").name or "another student"


def _use(name: str) -> str:
    return f"""\
## Use

    kardia score conversations.jsonl --rubric RUBRIC --judge {name}/

A criterion is recognised by what it asks, not by its name: one whose question, guidance or levels were changed is no
longer served by its head."""


def _measures(manifest: Manifest, metrics: Mapping[str, TaskMetrics]) -> str:
    if not metrics:
        return "## How good it is\n\nNothing was held out: it was not measured."
    rows = []
    for taught in manifest.tasks:
        found = metrics.get(taught.key)
        rows.append(
            [f"`{taught.key}`", *(["–"] * 7)]
            if found is None
            else [
                f"`{taught.key}`",
                f"{found.n:,}",
                _number(found.kappa),
                _number(found.macro_f1),
                _number(found.accuracy),
                _number(found.majority),
                _number(found.ece_before),
                _number(found.ece_after),
            ]
        )
    again = (
        ""
        if manifest.training.get("start") is None
        else f"\nWhat {_start(manifest)} had learnt from may be among it: then they flatter more."
    )
    heads = ["criterion", "n", "κ", "macro-F1", "accuracy", "majority", "ECE before", "ECE after"]
    return f"""\
## How good it is

On the part of the examples that was held out, by conversation. The best pass and the temperatures were chosen on the
same part, so these figures flatter a little; few labels (n) prove little.{again}

{_table(heads, rows)}

κ is Cohen's, quadratically weighted on an ordered scale; majority is the accuracy of always saying the commonest level;
ECE is the expected calibration error, before and after the temperature was fitted."""


def _training(manifest: Manifest) -> str:
    facts = manifest.training
    lines = []
    for key, value in facts.items():
        if key in ("history", "labels", "start"):
            continue
        shown = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        lines.append(f"- {key}: {shown}")
    history = facts.get("history") or []
    passes = [[f"{entry['epoch']:g}", _number(entry["loss"]), _number(entry["select"])] for entry in history]
    told = "\n\n" + _table(["pass", "loss", "selected by"], passes) if passes else ""
    labels = facts.get("labels") or {}
    counts = ", ".join(f"`{key}` {count:,}" for key, count in labels.items())
    return (
        "## How it was trained\n\n" + "\n".join(lines) + (f"\n- labels learnt from: {counts}" if counts else "") + told
    )


_LIMITS = """\
## What it must not be used for

- It repeats its labels: their mistakes, their language, their kinds of people. On other data its levels and
  probabilities may mean little; measure before you rely on them.
- It sees manner more than meaning: it cannot tell whether advice is wrong or a fact made up, and it is no safety check.
- Whatever is trained against it will learn to please it. Keep a judge and people beside it who are not trained against.
- It is no clinical instrument, and no decision about a person should rest on it."""


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [heads, ["---", *(["---:"] * (len(heads) - 1))], *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
