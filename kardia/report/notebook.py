"""What a notebook shows of a rubric and of a scorecard: small tables without scripts. Everything in them is escaped."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kardia.judgment import Judgment, Scorecard
    from kardia.rubric.models import Criterion
    from kardia.rubric.rubric import Rubric

__all__ = ["card_html", "rubric_html"]

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
