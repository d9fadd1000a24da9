"""What `kardia agree` shows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from kardia.cli.terminal import number, stdout, table

if TYPE_CHECKING:
    from rich.console import Console

    from kardia.agreement.leave_one_out import Beside
    from kardia.agreement.statistic import Statistic
    from kardia.agreement.table import Agreement, CriterionAgreement, JudgeAgreement

__all__ = ["show"]

NAMES = {
    "coverage": "coverage",
    "exact": "exact agreement",
    "within_one": "within one level",
    "kappa": "Cohen's κ",
    "kappa_linear": "κ, linear weights",
    "kappa_quadratic": "κ, quadratic weights",
    "alpha_nominal": "Krippendorff's α, nominal",
    "alpha_ordinal": "Krippendorff's α, ordinal",
    "alpha_interval": "Krippendorff's α, interval",
    "ac1": "Gwet's AC1",
    "ac2": "Gwet's AC2",
    "icc_2_1": "ICC(2,1)",
    "icc_3_1": "ICC(3,1)",
    "icc_2_k": "ICC(2,k)",
    "icc_3_k": "ICC(3,k)",
    "spearman": "Spearman's ρ",
    "kendall": "Kendall's τ-b",
    "pearson": "Pearson's r",
    "concordance": "Lin's concordance",
    "bias": "bias, in levels",
    "generosity": "generosity, of the scale",
    "accuracy": "accuracy, ties half",
    "decided": "accuracy, without ties",
    "match": "accuracy, ties as answers",
}
"""`weighted_kappa` and `alpha` are others of these by another name."""
NAMED = 5
"""So many criteria without a label are named."""
LONGEST = 22
"""A name that is longer is folded, where it can be after a dot: the table fits 100 characters."""


def show(agreement: Agreement, *, every: bool, with_confusion: bool, margin: float) -> None:
    """Tables and sentences on stdout.

    Args:
        every: all figures.
        with_confusion: also which levels meet which.
        margin: by how much a judge may be worse and still be as good as a person.
    """
    console = stdout()
    percent = f"{agreement.settings['confidence'] * 100:g} %"
    for judge in agreement.judges:
        rubrics = ", ".join(judge.rubrics)
        console.print(
            f"judge {judge.judge} · {rubrics} · {judge.units:,} labelled conversations in {judge.groups:,} groups",
            soft_wrap=True,
        )
        if judge.criteria:
            console.print(_criteria(judge, percent))
            _remarks(console, judge)
        if every:
            console.print(_every(judge, percent))
        beside = [each.beside_people for each in judge.criteria] + [each.beside_people for each in judge.scores]
        if any(beside):
            console.print(_beside(judge, percent, margin))
            _why_open(console, judge)
            _verdict(console, judge.beside_people, margin)
        if judge.scores:
            console.print(_scores(judge, percent))
            _told(
                console,
                (
                    (f"score of {each.rubric}", figure)
                    for each in judge.scores
                    for figure in (each.coverage, *(each.statistics[key] for key in ("spearman", "kendall", "pearson")))
                ),
            )
        for pairs in judge.preferences:
            accuracy = pairs.statistics["accuracy"]
            console.print(
                f"Pairs by {pairs.rubric}: {pairs.pairs:,}, of which {pairs.unscored:,} have no two scores. The judge "
                f"prefers what people prefer in {_with_interval(accuracy)} of {accuracy.n:,}; its {pairs.ties:,} ties "
                f"count half. Without them: {_with_interval(pairs.statistics['decided'])}.",
                soft_wrap=True,
            )
            kinds = (("with ties as half", accuracy), ("without ties", pairs.statistics["decided"]))
            _told(console, ((f"pairs, {name}", figure) for name, figure in kinds))
        if with_confusion:
            for each in judge.criteria:
                console.print(_confusion(each))
        if judge.unlabelled and judge.criteria:
            more = len(judge.unlabelled) - NAMED
            told = ", ".join(judge.unlabelled[:NAMED]) + (f", and {more:,} more" if more > 0 else "")
            console.print(f"Without a label: {told}.", soft_wrap=True)


def _criteria(judge: JudgeAgreement, percent: str) -> object:
    columns = ("criterion", "n", "cover", "exact", "base", f"weighted κ [{percent}]", "α", "Spearman", "bias")
    made = table(None, columns, columns[1:])
    made.columns[0].no_wrap = False
    made.columns[0].max_width = LONGEST
    for each in judge.criteria:
        figures = each.statistics
        made.add_row(
            _folded(each.name),
            f"{each.n:,}",
            number(each.coverage.value, 2),
            number(figures["exact"].value, 2),
            number(each.base_rate, 2),
            _with_interval(figures["weighted_kappa"]),
            number(figures["alpha"].value, 2),
            number(figures["spearman"].value, 2),
            _signed(figures["bias"].value),
        )
    if len(judge.criteria) > 1:
        mean = {name: each.statistic for name, each in judge.overall.items()}
        made.add_section()
        made.add_row(
            "mean of criteria",
            "",
            number(mean["coverage"].value, 2),
            number(mean["exact"].value, 2),
            "",
            _with_interval(mean["weighted_kappa"]),
            number(mean["alpha"].value, 2),
            number(mean["spearman"].value, 2),
            _signed(mean["bias"].value),
        )
    return made


def _remarks(console: Console, judge: JudgeAgreement) -> None:
    """Why there is a dash, what was split, and what a label could not be joined with."""
    _told(
        console,
        (
            (each.name, figure)
            for each in judge.criteria
            for key, figure in {"coverage": each.coverage, **each.statistics}.items()
            # on options some have no meaning, which is no remark
            if key in ("coverage", "exact", "weighted_kappa", "alpha") or (key == "spearman" and each.kind != "choice")
        ),
    )
    bias, single = judge.overall["bias"].statistic, [each.statistics["bias"].value for each in judge.criteria]
    if bias.value is None and sum(one is not None for one in single) > 1:
        console.print(f"mean of criteria, bias: {bias.why}.", soft_wrap=True)
    left = [("unscored", "unscored"), ("abstained", "abstained from"), ("not_applicable", "not applicable")]
    for key, words in left:
        counts = {each.name: each.counts.get(key, 0) for each in judge.criteria}
        if any(counts.values()):
            told = ", ".join(f"{name} {count:,}" for name, count in counts.items() if count)
            console.print(f"Labelled, and {words} by the judge: {told}.", soft_wrap=True)
    split = {each.name: each.split for each in judge.criteria if each.split}
    if split:
        told = ", ".join(f"{name} {count:,}" for name, count in split.items())
        console.print(f"People are split, so that there is no consensus level: {told}.", soft_wrap=True)


def _why_open(console: Console, judge: JudgeAgreement) -> None:
    """Why a judge and people cannot be compared."""
    named = [(each.name, each.beside_people) for each in judge.criteria]
    named += [(f"score of {each.rubric}", each.beside_people) for each in judge.scores]
    _told(console, ((name, found.together.difference) for name, found in named if found is not None))


def _told(console: Console, figures: Iterable[tuple[str, Statistic]]) -> None:
    """Why a figure has no value, or not the interval that was asked for: each reason once."""
    reasons: dict[str, dict[str, None]] = {}
    for name, found in figures:
        if found.why:
            reasons.setdefault(found.why, {})[name] = None
    for why, names in reasons.items():
        console.print(f"{', '.join(names)}: {why}.", soft_wrap=True)


def _every(judge: JudgeAgreement, percent: str) -> object:
    columns = ("criterion", "figure", "n", "value", percent, "why not")
    made = table(None, columns, columns[2:4])
    rows: list[tuple[str, Mapping[str, Statistic]]] = [
        (each.name, {"coverage": each.coverage, **each.statistics}) for each in judge.criteria
    ]
    rows.append(("mean of criteria", {name: mean.statistic for name, mean in judge.overall.items()}))
    rows += [(f"score of {each.rubric}", {"coverage": each.coverage, **each.statistics}) for each in judge.scores]
    rows += [(f"pairs by {each.rubric}", {"coverage": each.coverage, **each.statistics}) for each in judge.preferences]
    for name, figures in rows:
        if figures:
            made.add_section()
        for key, found in figures.items():
            if key in NAMES:
                made.add_row(
                    name, NAMES[key], f"{found.n:,}", number(found.value), _interval(found, 3), found.why or ""
                )
    for each in judge.criteria:
        made.add_section()
        for key, found in each.among_people.items():
            if key in NAMES:
                name = f"{each.name}: people"
                made.add_row(
                    name, NAMES[key], f"{found.n:,}", number(found.value), _interval(found, 3), found.why or ""
                )
    return made


def _beside(judge: JudgeAgreement, percent: str, margin: float) -> object:
    columns = ("beside the other people", "n", "a person", "judge", f"difference [{percent}]", "the judge is")
    made = table("Each person against the others, and the judge against the same others", columns, columns[1:5])
    made.columns[0].no_wrap = False
    named = [(each.name, each.beside_people) for each in judge.criteria]
    named += [(f"score of {each.rubric}", each.beside_people) for each in judge.scores]
    for name, found in named:
        if found is not None:
            made.add_row(name, *_compared(found.together, margin))
    if judge.beside_people is not None and len(judge.criteria) > 1:
        made.add_section()
        made.add_row("mean of criteria", "", *_compared(judge.beside_people, margin)[1:])
    return made


def _compared(found: Beside, margin: float) -> tuple[str, ...]:
    return (
        f"{found.difference.n:,}",
        number(found.person.value, 2),
        number(found.judge.value, 2),
        _with_interval(found.difference, signed=True),
        found.verdict(margin),
    )


def _verdict(console: Console, found: Beside | None, margin: float) -> None:
    if found is None:
        return
    within = f" within {margin:g}" if margin else ""
    told = {
        "better": "On the mean of the criteria the judge agrees with people better than a person does.",
        "as good": f"On the mean of the criteria the judge is as good as a person{within}.",
        "worse": "On the mean of the criteria the judge agrees with people less than a person does.",
        "open": "On the mean of the criteria it is open whether the judge is as good as a person: more labels, or a "
        "--margin that was chosen before, would tell.",
    }
    console.print(told[found.verdict(margin)], soft_wrap=True)


def _scores(judge: JudgeAgreement, percent: str) -> object:
    columns = ("score beside overall rating", "n", "cover", f"Spearman [{percent}]", "Kendall", "Pearson", "bias")
    made = table(None, columns, columns[1:])
    for each in judge.scores:
        figures = each.statistics
        made.add_row(
            each.rubric,
            f"{each.n:,}",
            number(each.coverage.value, 2),
            _with_interval(figures["spearman"]),
            number(figures["kendall"].value, 2),
            number(figures["pearson"].value, 2),
            _signed(figures["bias"].value),
        )
    return made


def _confusion(each: CriterionAgreement) -> object:
    columns = ["judge \\ people", *map(str, each.levels), "all"]
    made = table(each.name, columns, columns[1:])
    for level, row in zip(each.levels, each.confusion.counts, strict=True):
        made.add_row(str(level), *_counts(row))
    made.add_section()
    made.add_row("all", *_counts([sum(column) for column in zip(*each.confusion.counts, strict=True)]))
    return made


def _counts(row: Sequence[int]) -> list[str]:
    return [f"{count:,}" for count in (*row, sum(row))]


def _folded(name: str) -> str:
    return name if len(name) <= LONGEST else name.replace(".", ".\n")


def _signed(value: float | None) -> str:
    return "–" if value is None else f"{round(value, 2) + 0.0:+.2f}"  # no −0.00


def _interval(found: Statistic, digits: int = 2) -> str:
    return "" if found.low is None or found.high is None else f"{found.low:.{digits}f} to {found.high:.{digits}f}"


def _with_interval(found: Statistic, *, signed: bool = False) -> str:
    value = _signed(found.value) if signed else number(found.value, 2)
    return value if found.low is None or found.high is None else f"{value} [{found.low:.2f}, {found.high:.2f}]"
