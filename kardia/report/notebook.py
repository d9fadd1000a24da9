"""What a notebook shows of a rubric, of a scorecard and of a report on probes: small tables without scripts. Everything
in them is escaped."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kardia.agreement.statistic import Statistic
    from kardia.judgment import Judgment, Scorecard
    from kardia.probe.report import JudgeProbes, ProbeReport
    from kardia.rubric.models import Criterion
    from kardia.rubric.rubric import Rubric

__all__ = ["card_html", "probes_html", "rubric_html"]

_LEFT = ' style="text-align:left"'


def rubric_html(rubric: Rubric) -> str:
    """A rubric: its criteria with question, scale, weight and what vetoes."""
    rows = [
        (criterion.id, criterion.question.strip(), _scale(criterion), f"{criterion.weight:g}", _veto(criterion))
        for criterion in rubric.criteria
    ]
    head = f"<p><b>{escape(rubric.title)}</b> · {escape(rubric.ref)} · <code>{escape(rubric.hash[:19])}…</code></p>"
    about = f"<p>{escape(rubric.file.description.strip())}</p>" if rubric.file.description else ""
    return head + about + _table(("criterion", "question", "levels", "weight", ""), rows)


def card_html(card: Scorecard) -> str:
    """A scorecard: its score, what was judged, and each criterion with level, value and reason."""
    score = "no score" if card.score is None else f"{card.score:.3f}"
    veto = f", vetoed by {', '.join(card.vetoed_by)}" if card.vetoed_by else ""
    head = (
        f"<p><b>{score}</b> ({escape(card.status)}{escape(veto)}) · {escape(card.id)} · {escape(card.rubric)} · "
        f"judge {escape(card.judge)}</p>"
    )
    text = card.target.get("text")
    body = f'<blockquote style="white-space:pre-wrap">{escape(str(text))}</blockquote>' if text else ""
    rows = [
        (
            key,
            said.status.replace("_", " ") if said.level is None else str(said.level),
            "–" if said.value is None else f"{said.value:.2f}",
            _words(said),
        )
        for key, said in card.criteria.items()
    ]
    return head + body + _table(("criterion", "level", "value", "reason"), rows)


def probes_html(report: ProbeReport) -> str:
    """A report on probes: of each judge what was found, and each probe's shift of the score with its interval."""
    head = (
        f"<p><b>{escape(report.rubric)}</b> · {report.conversations:,} conversations in {report.groups:,} groups · a "
        f"score has moved from {report.tolerance:.3g} on{' · with the guard' if report.guard else ''}</p>"
    )
    notes = "".join(f"<p>{escape(note)}</p>" for note in report.notes)
    return head + "".join(_probes(judge, report) for judge in report.judges) + notes


def _probes(judge: JudgeProbes, report: ProbeReport) -> str:
    attack = judge.attack_success
    success = "" if attack.value is None else f" · {_percent(attack)} of {attack.n:,} attacks succeed"
    wrong: dict[str, list[str]] = {}
    for finding in judge.findings:
        wrong.setdefault(finding.probe, []).append(finding.kind)
    rows = [
        (
            result.probe,
            {"no rise": "does not rise", "fall": "falls", "same": "stays"}[probe.expects],
            f"{result.cases - result.low:,}",
            _shift(result.shift),
            *(_percent(told) for told in (result.moved, result.rose, result.levels, result.unscored)),
            ", ".join(wrong.get(result.probe, ())),
        )
        for probe, result in zip(report.probes, map(judge.result, (one.name for one in report.probes)), strict=True)
        if result.cases
    ]
    columns = ("probe", "a good judge's score", "n", "shift", "moved", "rose", "levels changed", "unscored", "finding")
    found = "".join(
        f"<li><b>{escape(one.probe)}</b> ({escape(one.severity)}): {escape(one.sentence)}. {escape(one.advice)}.</li>"
        for one in judge.findings
    )
    told = f"<ul>{found}</ul>" if found else "<p>No finding.</p>"
    return f"<p>judge <b>{escape(judge.name)}</b>{success}</p>{told}{_table(columns, rows)}"


def _shift(told: Statistic) -> str:
    if told.value is None:
        return "–"
    ends = "" if told.low is None or told.high is None else f" [{_signed(told.low, 2)}, {_signed(told.high, 2)}]"
    return f"{_signed(told.value, 3)}{ends}"


def _signed(value: float, digits: int) -> str:
    return f"{round(value, digits) + 0.0:+.{digits}f}"  # no −0.00


def _percent(told: Statistic) -> str:
    return "–" if told.value is None else f"{told.value:.0%}"


def _words(said: Judgment) -> str:
    quotes = " ".join(f"“{quote}”" for quote in said.evidence)
    return " ".join(part for part in (said.reason or said.error or "", quotes) if part)


def _scale(criterion: Criterion) -> str:
    levels = criterion.levels
    return f"{levels[0]}–{levels[-1]}" if isinstance(levels[0], int) else ", ".join(map(str, levels))


def _veto(criterion: Criterion) -> str:
    return "vetoes" if criterion.required is not None else ""


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    parts = ["<table><thead><tr>", *(f"<th{_LEFT}>{escape(name)}</th>" for name in columns), "</tr></thead><tbody>"]
    for row in rows:
        parts += ["<tr>", *(f'<td dir="auto"{_LEFT}>{escape(cell)}</td>' for cell in row), "</tr>"]
    return "".join((*parts, "</tbody></table>"))
