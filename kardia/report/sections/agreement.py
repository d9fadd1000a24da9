"""What `kardia agree --json` wrote, as a section."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from kardia.report.sections.blocks import (
    Block,
    Section,
    counted,
    figure,
    fold,
    grid,
    heading,
    interval_row,
    intervals,
    number,
    share,
    table,
    text,
)
from kardia.report.sections.bound import Bound

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
_SHOWN = ("exact", "weighted_kappa", "alpha", "spearman", "bias")
_UNCOUNTED = {
    "unscored": "unscored",
    "abstained": "abstained",
    "not_applicable": "not applicable",
    "without_card": "without a scorecard",
}
_ON_MEAN = {
    "better": "the judge agrees with people better than a person does",
    "as good": "the judge is as good as a person",
    "worse": "the judge agrees with people less than a person does",
    "open": "it is open whether the judge is as good as a person",
}
_MEAN = "mean of criteria"


def agreement_section(data: Mapping[str, Any], bound: Bound | None = None) -> Section:
    """An agreement as a section.

    Args:
        data: `Agreement.to_json()`.
        bound: what made the scores beside it.
    """
    blocks: list[Block] = []
    judges = data["judges"]
    if bound is not None:
        rubrics = [each for judge in judges for each in judge["rubrics"].values()]
        hashes = [judge["judge"]["hash"] for judge in judges]
        blocks += bound.remarks("The agreement", rubrics, hashes, "Run `kardia agree` on these scores.")
    remarks = list(blocks)
    blocks += [text(note) for note in data["notes"]]
    gists: list[str] = []
    for judge in judges:
        name = judge["judge"]["name"]
        if len(judges) > 1:
            blocks.append(heading(f"Judge {name}"))
        of = f", judge {name}" if len(judges) > 1 else ""
        told = list(_told(judge))
        gists += [f"{name}: {' '.join(told[:2])}" if of else " ".join(told[:2])] if told else []
        blocks += [text(" ".join(told))] if told else []
        blocks += _judge(judge, of)
    return {
        "id": "agreement",
        "nav": "Agreement",
        "title": "Agreement with people",
        "gist": Bound.gist(remarks, " ".join(gists)),
        "blocks": blocks,
    }


def _told(judge: Mapping[str, Any]) -> Iterator[str]:
    """What it comes to, in sentences."""
    criteria = judge["criteria"]
    known = [each for each in criteria if each["statistics"]["weighted_kappa"]["value"] is not None]
    if known:
        least = min(known, key=lambda each: float(each["statistics"]["weighted_kappa"]["value"]))
        lowest = figure(least["statistics"]["weighted_kappa"])
        told, more = lowest, ""
        if len(criteria) > 1:
            mean = judge["overall"]["weighted_kappa"]
            told = f"{figure(mean)} on the mean of {mean['criteria']:,} criteria"
            more = f"; lowest on {least['name']}, {lowest}"
        yield (
            f"Weighted κ with people is {told}, over {counted(judge['units'], 'labelled conversation')} in "
            f"{counted(judge['groups'], 'group')}{more}."
        )
    elif judge["scores"]:
        first = judge["scores"][0]
        yield (
            f"The score and people's overall ratings go together at Spearman "
            f"{figure(first['statistics']['spearman']) or '–'}, over {counted(first['n'], 'conversation')}."
        )
    elif judge["preferences"]:
        pairs = judge["preferences"][0]
        yield f"The judge prefers what people prefer in {_per_cent(pairs['statistics']['accuracy'])} of the pairs."
    together = judge["beside_people"]
    if together is not None and together["judge"]["value"] is not None and together["person"]["value"] is not None:
        yield (
            f"Beside the other people it reaches {number(together['judge']['value'])} where a person reaches "
            f"{number(together['person']['value'])}: on the mean of the criteria {_ON_MEAN[_verdict(together)]}."
        )
    for verdict, where in (("worse", "below"), ("better", "above")):
        names = [each["name"] for each in criteria if _verdict_of(each) == verdict]
        if names:
            yield f"It is {verdict} than a person on {', '.join(names)}: there the interval lies {where} 0."


def _verdict(compared: Mapping[str, Any]) -> str:
    """As `kardia.agreement.leave_one_out.Beside.verdict` says without a margin."""
    low, high = compared["difference"]["low"], compared["difference"]["high"]
    if low is None or high is None:
        return "open"
    return "better" if low > 0 else "worse" if high < 0 else "open"


def _verdict_of(criterion: Mapping[str, Any]) -> str | None:
    return None if criterion["beside_people"] is None else _verdict(criterion["beside_people"]["together"])


def _judge(judge: Mapping[str, Any], of: str) -> Iterator[Block]:
    criteria = judge["criteria"]
    if criteria:
        yield from _figures(judge, criteria, of)
        yield from _reasons(criteria, judge["overall"])
        yield from _beside(judge, criteria, of)
        yield from _folded(criteria, of)
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
            (
                one["rubric"],
                one["pairs"],
                *(figure(one["statistics"].get(name)) for name in ("accuracy", "decided")),
                one["ties"],
                one["unscored"],
            )
            for one in judge["preferences"]
        ]
        title = f"Pairs of which people prefer one{of}"
        columns = ("rubric", "pairs", "accuracy, ties half", "without ties", "ties", "unscored")
        yield table(title, columns, compared)
    if judge["unlabelled"]:
        yield text(f"Nobody labelled {', '.join(judge['unlabelled'])}.")


def _figures(judge: Mapping[str, Any], criteria: Sequence[Mapping[str, Any]], of: str) -> Iterator[Block]:
    rows = [
        interval_row(each["name"], each["statistics"]["weighted_kappa"], warn=_verdict_of(each) == "worse")
        for each in criteria
    ]
    overall = judge["overall"] if len(criteria) > 1 else {}
    if overall:
        rows.append(interval_row(_MEAN, overall["weighted_kappa"]))
    yield intervals(
        f"Weighted κ with people, by criterion{of}",
        rows,
        high=1,
        zero=0,
        x="κ; 0 is chance, 1 is equal",
        marked="worse than a person",
    )
    lines = [
        (
            each["name"],
            each["n"],
            share(each["coverage"]["value"]),
            share(each["statistics"]["exact"]["value"]),
            share(each["base_rates"]["people"]["commonest"]),
            *(figure(each["statistics"][key]) for key in _SHOWN[1:]),
        )
        for each in criteria
    ]
    if overall:
        lines.append(
            (
                _MEAN,
                "",
                *(share(overall[key]["value"]) for key in ("coverage", "exact")),
                "",
                *(figure(overall[key]) for key in _SHOWN[1:]),
            )
        )
    yield table(
        f"Agreement{of}; in brackets the interval. The base rate is how often people give their commonest level",
        ("criterion", "n", "coverage", "exact", "base rate", "weighted κ", "α", "Spearman", "bias"),
        lines,
    )


def _reasons(criteria: Iterable[Mapping[str, Any]], overall: Mapping[str, Mapping[str, Any]]) -> Iterator[Block]:
    """Why there is a dash, or no interval."""
    found: dict[str, dict[str, None]] = {}
    for each in criteria:
        for key in _SHOWN:
            statistic = each["statistics"][key]
            # on options some have no meaning, which is no remark
            if statistic["low"] is None and statistic["why"] and (each["kind"] != "choice" or key != "spearman"):
                found.setdefault(statistic["why"], {})[each["name"]] = None
    kappa = overall.get("weighted_kappa")
    if kappa is not None and kappa["low"] is None and kappa["why"]:
        found.setdefault(kappa["why"], {})[_MEAN] = None
    if found:
        rows = [(", ".join(names), why) for why, names in found.items()]
        yield table("Why a figure or its interval is missing", ("of", "why"), rows, left=2, closed=True)


def _beside(judge: Mapping[str, Any], criteria: Sequence[Mapping[str, Any]], of: str) -> Iterator[Block]:
    """As good as a person? The judge and each person, both beside the other people."""
    rows = [
        (
            each["name"],
            each["beside_people"]["measure"].replace("_", " "),
            *_compared(each["beside_people"]["together"]),
            figure(each["among_people"].get("alpha")),
        )
        for each in criteria
        if each["beside_people"] is not None
    ]
    if rows:
        if judge["beside_people"] is not None and len(criteria) > 1:
            rows.append((_MEAN, "", *_compared(judge["beside_people"]), ""))
        yield table(
            f"The judge and a person, each beside the other people{of}",
            ("criterion", "measure", "judge", "a person", "difference", "the judge is", "α among people"),
            rows,
            left=2,
        )


def _compared(found: Mapping[str, Any]) -> tuple[str | None, ...]:
    judge, person = figure(found["judge"]), figure(found["person"])
    return judge, person, figure(found["difference"], signed=True), _verdict(found)


def _folded(criteria: Sequence[Mapping[str, Any]], of: str) -> Iterator[Block]:
    yield table(
        f"Every figure{of}",
        ("criterion", *_ALL.values()),
        [(each["name"], *(figure(each["statistics"].get(key)) for key in _ALL)) for each in criteria],
        closed=True,
    )
    uncounted = [
        (each["name"], *(each["counts"].get(key, 0) for key in _UNCOUNTED), each["split"])
        for each in criteria
        if each["split"] or any(each["counts"].get(key) for key in _UNCOUNTED)
    ]
    if uncounted:
        columns = ("criterion", *_UNCOUNTED.values(), "people are split")
        yield table(f"Labelled, and not counted{of}", columns, uncounted, closed=True)
    yield fold(
        f"Which levels meet which{of}: the judge's in rows, people's in columns",
        [grid(_confusion(each) for each in criteria)],
    )


def _confusion(each: Mapping[str, Any]) -> Block:
    levels = [str(level) for level in each["confusion"]["levels"]]
    rows = [(level, *counts) for level, counts in zip(levels, each["confusion"]["counts"], strict=True)]
    return table(each["name"], ("judge ↓ people →", *levels), rows, shaded=True)


def _per_cent(statistic: Mapping[str, Any]) -> str:
    ends = "" if statistic["low"] is None else f" [{share(statistic['low'])}, {share(statistic['high'])}]"
    return f"{share(statistic['value']) or '–'}{ends}"
