"""An agreement as a small table for a notebook. Everything in it is escaped: names may come from judged texts."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from kardia.agreement.statistic import Statistic

if TYPE_CHECKING:
    from kardia.agreement.table import Agreement

__all__ = ["table_html"]

COLUMNS = (
    ("coverage", "coverage"),
    ("exact", "exact"),
    ("weighted_kappa", "weighted κ"),
    ("alpha", "α"),
    ("spearman", "Spearman"),
    ("bias", "bias"),
    ("accuracy", "accuracy"),
)


def table_html(agreement: Agreement) -> str:
    """A table of the figures that matter most, an interval as the cell's title, then the notes."""
    lines = list(agreement.lines())
    columns = [(key, name) for key, name in COLUMNS if any(key in figures for *_, figures in lines)]
    parts = ["<table><thead><tr><th>judge</th><th></th><th>n</th><th>base rate</th>"]
    parts += [f"<th>{escape(name)}</th>" for _, name in columns]
    parts.append("</tr></thead><tbody>")
    for judge, what, about, figures in lines:
        name = about["name"] if what == "criterion" else f"{about['name']} {about['rubric'] or ''}".strip()
        rate = about["base_rate"]
        parts.append(f"<tr><td>{escape(judge.judge)}</td><td>{escape(str(name))}</td><td>{about['n']:,}</td>")
        parts.append(f"<td>{'–' if rate is None else f'{rate:.2f}'}</td>")
        parts += [_cell(figures.get(key)) for key, _ in columns]
        parts.append("</tr>")
    parts.append("</tbody></table>")
    parts += [f"<p>{escape(note)}</p>" for note in agreement.notes]
    return "".join(parts)


def _cell(found: Statistic | None) -> str:
    if found is None or found.value is None:
        title = "" if found is None or found.why is None else f' title="{escape(found.why)}"'
        return f"<td{title}>–</td>"
    title = "" if found.low is None or found.high is None else f' title="{found.low:.3f} to {found.high:.3f}"'
    return f"<td{title}>{found.value:.3f}</td>"
