"""Plots for papers: what the report draws, as SVG and PNG files, by matplotlib."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kardia.errors import MissingExtra, OutputError
from kardia.report.report import Survey
from kardia.report.sections.blocks import charts
from kardia.report.tally import BINS, SeriesKey, SeriesTally

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from kardia.report.asked import Asked

__all__ = ["needs_matplotlib", "write_plots", "write_section_plots"]

DOTS = 300
"""Of the PNG, in an inch."""
WIDE = 6.3
"""Inches: the text of a page with one column."""
_ACCENT, _WARN, _MUTED = "#17656d", "#8a4b08", "#59636d"
_STYLE = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": _MUTED,
    "axes.titlesize": 10,
    "svg.fonttype": "none",
    "svg.hashsalt": "kardia",
    "text.parse_math": False,
}
"""Texts stay texts in the SVG, equal runs give equal bytes, and a dollar sign in a name is a dollar sign."""


def needs_matplotlib() -> None:
    """Raises MissingExtra where matplotlib is not installed."""
    if find_spec("matplotlib") is None:
        raise MissingExtra("report", "drawing plots")


def write_plots(found: Survey, sections: Sequence[Mapping[str, Any]], folder: Path) -> list[str]:
    """Writes every plot twice, `<name>.svg` and `<name>.png`.

    Args:
        found: the scored file.
        sections: as `read_sections` gives them: their charts are drawn too.
        folder: made where it is not there.

    Returns:
        The names, without their endings.

    Raises:
        MissingExtra: without matplotlib.
        OutputError: where the folder cannot be written.
    """
    return _written(lambda: _all(found, sections), folder)


def write_section_plots(sections: Sequence[Mapping[str, Any]], folder: Path) -> list[str]:
    """As `write_plots`, of the charts of some sections alone."""
    return _written(lambda: _of_sections(sections), folder)


def _written(draw: Callable[[], Iterator[tuple[str, Figure]]], folder: Path) -> list[str]:
    needs_matplotlib()
    import matplotlib as mpl

    names: list[str] = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with mpl.rc_context(_STYLE):
            for name, drawn in draw():
                drawn.savefig(folder / f"{name}.svg", bbox_inches="tight", metadata={"Date": None})
                drawn.savefig(folder / f"{name}.png", bbox_inches="tight", dpi=DOTS, metadata={"Software": None})
                names.append(name)
    except OSError as problem:
        raise OutputError(f"cannot be written: {problem.strerror or problem}", file=str(folder)) from None
    return names


def _all(found: Survey, sections: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, Figure]]:
    for place, (key, series) in enumerate(found.tally.series.items()):
        after = f"-{place + 1}" if len(found.tally.series) > 1 else ""
        if series.score.n:
            yield f"scores{after}", _scores(key, series)
        if any(criterion.levels for criterion in series.criteria.values()):
            yield f"levels{after}", _levels(key, series, found.asked[key])
    yield from _of_sections(sections)


def _of_sections(sections: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, Figure]]:
    for section in sections:
        number = 0
        for block in charts(section["blocks"]):
            if block["type"] == "intervals" and not _defined(block):
                continue
            draw = _intervals if block["type"] == "intervals" else _lines
            number += 1
            yield f"{section['id']}-{number}-{_slug(block['label'])}", draw(block)


def _figure(high: float) -> tuple[Figure, Axes]:
    from matplotlib.figure import Figure

    made = Figure(figsize=(WIDE, high), layout="constrained")
    return made, made.subplots()


def _scores(key: SeriesKey, series: SeriesTally) -> Figure:
    made, axes = _figure(2.6)
    axes.bar([(at + 0.5) / BINS for at in range(BINS)], series.histogram, width=0.94 / BINS, color=_ACCENT)
    axes.axvline(series.score.mean, color=_WARN, linewidth=1)
    axes.set(xlim=(0, 1), xlabel="score", ylabel="scorecards")
    axes.set_title(f"{key.rubric}, judge {key.judge}: mean {series.score.mean:.2f} (line), n = {series.score.n:,}")
    return made


def _levels(key: SeriesKey, series: SeriesTally, asked: Sequence[Asked]) -> Figure:
    """Shares of the levels of each criterion, the worst to the best from pale to dark."""
    import matplotlib as mpl

    shown = [one for one in asked if one.id in series.criteria and series.criteria[one.id].levels]
    made, axes = _figure(0.8 + 0.28 * len(shown))
    # from a teal that is still seen on white to the report's own
    shades = mpl.colors.LinearSegmentedColormap.from_list("kardia", ["#d3e3e4", _ACCENT])
    for place, one in enumerate(reversed(shown)):
        counts = series.criteria[one.id].levels
        order = sorted(one.levels, key=lambda level, one=one: one.values.get(level, one.levels.index(level)))  # type: ignore[misc]
        total, left = sum(counts.values()), 0.0
        for at, level in enumerate(order):
            share = counts[level] / total
            shade = shades(at / max(len(order) - 1, 1))
            axes.barh(place, share, left=left, height=0.7, color=shade, edgecolor="white", linewidth=0.5)
            if share >= 0.05:
                ink = "white" if at > 0.5 * (len(order) - 1) else "black"
                axes.text(left + share / 2, place, level, ha="center", va="center", fontsize=7, color=ink)
            left += share
    axes.set_yticks(range(len(shown)), [one.id for one in reversed(shown)])
    axes.set(xlim=(0, 1), xlabel="share of scorecards, from the worst level to the best")
    axes.set_title(f"{key.rubric}, judge {key.judge}")
    axes.margins(y=0.01)
    return made


def _intervals(block: Mapping[str, Any]) -> Figure:
    rows = _defined(block)
    made, axes = _figure(0.9 + 0.24 * len(rows))
    for place, row in enumerate(reversed(rows)):
        colour = _WARN if row["warn"] else _ACCENT
        if row["low"] is not None:
            axes.plot([row["low"], row["high"]], [place, place], color=colour, linewidth=1.5)
        axes.plot(row["value"], place, "D" if row["warn"] else "o", color=colour, markersize=4, clip_on=False, zorder=3)
    if block["zero"] is not None:
        axes.axvline(block["zero"], color=_MUTED, linewidth=0.8, linestyle=":")
    axes.set_yticks(range(len(rows)), [row["name"] for row in reversed(rows)])
    axes.set(xlabel=block["x"], title=block["label"])
    axes.set_xlim(left=block["min"], right=block["max"])
    if block["marked"] and any(row["warn"] for row in rows):
        axes.plot([], [], "D", color=_WARN, markersize=4, label=block["marked"])
        made.legend(frameon=False, loc="outside lower left")
    return made


def _defined(block: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [row for row in block["rows"] if row["value"] is not None]


def _lines(block: Mapping[str, Any]) -> Figure:
    made, axes = _figure(3.2)
    marks = ((_ACCENT, "o"), (_WARN, "s"), (_MUTED, "^"))
    most = max((point[2] for points in block["series"].values() for point in points if len(point) > 2), default=1)
    for place, (name, points) in enumerate(block["series"].items()):
        colour, mark = marks[place % len(marks)]
        across, along, *of = zip(*points, strict=True)
        axes.plot(across, along, color=colour, linewidth=1.2, clip_on=False)
        sizes = [10 + 40 * n / most for n in of[0]] if of else 16
        axes.scatter(across, along, sizes, color=colour, marker=mark, label=name, clip_on=False, zorder=3)
    if block["diagonal"]:
        axes.plot([0, 1], [0, 1], color=_MUTED, linewidth=0.8, linestyle=":")
        axes.set(xlim=(0, 1), ylim=(0, 1), aspect="equal")
    axes.set(xlabel=block["x"], ylabel=block["y"], title=block["label"])
    axes.legend(frameon=False)
    return made


def _slug(label: str) -> str:
    plain = label.lower().replace("κ", "kappa").replace("α", "alpha")
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:60].strip("-") or "plot"
