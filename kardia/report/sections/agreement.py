"""What `kardia agree --json` wrote, as a section."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from kardia.report.sections.blocks import Block, Section, figure, interval_row, intervals, share, table, text

__all__ = ["agreement_section"]

_ALL = {
    "exact": "exact",
    "within_one": "within one",
    "kappa": "κ",
    "kappa_linear": "κ linear",
    "kappa_quadratic": "κ quadratic",
    "alpha_nominal": "α nominal",
    "alpha_ordinal": "α ordinal",
    "alpha_interval": "α interval",
    "ac1": "AC1",
    "ac2": "AC2",
    "icc_2_1": "ICC(2,1)",
    "icc_3_1": "ICC(3,1)",
    "icc_2_k": "ICC(2,k)",
    "icc_3_k": "ICC(3,k)",
    "spearman": "Spearman",
    "kendall": "Kendall τ-b",
    "pearson": "Pearson",
    "concordance": "concordance",
    "bias": "bias",
}
"""Figure → how a table calls it."""


def agreement_section(data: Mapping[str, Any]) -> Section:
    """Args: data: `Agreement.to_json()`."""
    blocks: list[Block] = [text(note) for note in data["notes"]]
    many = len(data["judges"]) > 1
    for judge in data["judges"]:
        name = judge["judge"]["name"]
        blocks += _judge(judge, f", judge {name}" if many else "")
    return {"id": "agreement", "nav": "Agreement", "title": "Agreement with people", "blocks": blocks}


def _judge(judge: Mapping[str, Any], of: str) -> Iterator[Block]:
    criteria = judge["criteria"]
    if criteria:
        rows = [interval_row(each["name"], each["statistics"]["weighted_kappa"]) for each in criteria]
        if "weighted_kappa" in judge["overall"]:
            rows.append(interval_row("mean", judge["overall"]["weighted_kappa"]))
        yield intervals(
            f"Weighted κ with people, by criterion{of}", rows, high=1, zero=0, x="κ; 0 is chance, 1 is equal"
        )
        yield table(
            f"Agreement{of}; in brackets the interval",
            ("criterion", "n", "coverage", "exact", "base rate", "weighted κ", "α", "Spearman", "bias"),
            [_row(each) for each in criteria],
        )
        yield table(
            f"Every figure{of}",
            ("criterion", *_ALL.values()),
            [(each["name"], *(figure(each["statistics"].get(key)) for key in _ALL)) for each in criteria],
            closed=True,
        )
        yield from _beside(criteria, of)
        for each in criteria:
            levels = [str(level) for level in each["confusion"]["levels"]]
            yield table(
                f"{each['name']}{of}: the judge's levels in rows, people's in columns",
                ("judge", *levels),
                [(level, *counts) for level, counts in zip(levels, each["confusion"]["counts"], strict=True)],
                closed=True,
            )
    if judge["scores"]:
        names = ("spearman", "kendall", "pearson", "concordance", "bias")
        yield table(
            f"The score beside people's overall ratings{of}",
            ("rubric", "n", *(_ALL[name] for name in names)),
            [
                (each["rubric"], each["n"], *(figure(each["statistics"].get(name)) for name in names))
                for each in judge["scores"]
            ],
        )
    if judge["preferences"]:
        compared = [
            (one["rubric"], one["pairs"], figure(one["statistics"].get("accuracy")), one["ties"], one["unscored"])
            for one in judge["preferences"]
        ]
        title = f"Pairs of which people prefer one{of}"
        yield table(title, ("rubric", "pairs", "accuracy", "ties", "unscored"), compared)
    if judge["unlabelled"]:
        yield text(f"Nobody labelled {', '.join(judge['unlabelled'])}.")


def _row(each: Mapping[str, Any]) -> tuple[Any, ...]:
    found = each["statistics"]
    return (
        each["name"],
        each["n"],
        share(each["coverage"]["value"]),
        share(found["exact"]["value"]),
        share(each["base_rates"]["people"]["commonest"]),
        figure(found["weighted_kappa"]),
        figure(found["alpha"]),
        figure(found["spearman"]),
        figure(found["bias"]),
    )


def _beside(criteria: list[Mapping[str, Any]], of: str) -> Iterator[Block]:
    """As good as a person? The judge and each person, both beside the other people."""
    rows = [
        (
            each["name"],
            each["beside_people"]["measure"].replace("_", " "),
            figure(each["beside_people"]["together"]["judge"]),
            figure(each["beside_people"]["together"]["person"]),
            figure(each["beside_people"]["together"]["difference"]),
        )
        for each in criteria
        if each["beside_people"] is not None
    ]
    if rows:
        yield table(
            f"The judge and a person, each beside the other people{of}",
            ("criterion", "measure", "judge", "a person", "difference"),
            rows,
            left=2,
        )
