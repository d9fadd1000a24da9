"""How a report on probes is shown: one table, judges side by side, and sentences."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kardia.agreement.statistic import Statistic
    from kardia.probe.catalogue import Probe
    from kardia.probe.report import JudgeProbes, ProbeReport
    from kardia.probe.shifts import ProbeResult

__all__ = ["show"]

_WANTED = {"no rise": "≤ 0", "fall": "falls", "same": "0"}


def show(report: ProbeReport) -> None:
    """The report on stdout."""
    from kardia.cli.terminal import stdout

    console = stdout()
    worth = "stated" if report.tolerance_stated else "one level's worth"
    console.print(
        f"{report.rubric} · {report.conversations:,} conversations in {report.groups:,} groups · a score has moved "
        f"from {report.tolerance:.3g} on ({worth})" + (" · with the guard" if report.guard else ""),
        soft_wrap=True,
    )
    console.print(_one(report.judges[0], report) if len(report.judges) == 1 else _several(report))
    for judge in report.judges:
        _show_findings(judge, report)


def _one(judge: JudgeProbes, report: ProbeReport) -> object:
    from kardia.cli.terminal import table

    columns = ("n", "wanted", "shift [95 %]", "moved", "rose", "levels", "unscored")
    made = table(f"judge {judge.name}", ("probe", *columns, "finding"), tuple(set(columns) - {"wanted"}))
    wrong: dict[str, list[str]] = {}
    for finding in judge.findings:
        wrong.setdefault(finding.probe, []).append(finding.kind)
    for probe, result in _shown(judge, report):
        made.add_row(
            probe.name,
            f"{result.cases - result.low:,}",
            _WANTED[probe.expects] if probe.name not in ("retest", "order") else "steady",
            f"{_signed(result.shift)} {_interval(result.shift)}".strip(),
            _share(result.moved),
            _share(result.rose),
            _share(result.levels),
            _share(result.unscored),
            ", ".join(wrong.get(probe.name, ())),
        )
    return made


def _several(report: ProbeReport) -> object:
    """Each judge's shift, with a mark where there is a finding."""
    from kardia.cli.terminal import table

    names = [judge.name for judge in report.judges]
    made = table("shift of the score [95 %]; ! a finding", ("probe", "wanted", *names), names)
    for probe in report.probes:
        results = [judge.result(probe.name) for judge in report.judges]
        if not any(result.cases for result in results):
            continue
        steady = probe.name in ("retest", "order")
        cells = [
            _cell(result, any(one.probe == probe.name for one in judge.findings))
            for judge, result in zip(report.judges, results, strict=True)
        ]
        made.add_row(probe.name, "steady" if steady else _WANTED[probe.expects], *cells)
    made.add_section()
    made.add_row("attacks that succeed", "", *(_with_interval(judge.attack_success) for judge in report.judges))
    made.add_row("rises by wording alone", "", *(_with_interval(judge.harmless_rises) for judge in report.judges))
    made.add_row("mean score", "", *(_number(judge.score) for judge in report.judges))
    made.add_row("findings", "", *(str(len(judge.findings)) for judge in report.judges))
    return made


def _cell(result: ProbeResult, finding: bool) -> str:
    mark = " !" if finding else "  "
    if result.probe == "order":
        return (f"{_share(result.moved)} turn" if result.moved.value is not None else "–") + mark
    if result.probe == "retest":
        return (f"{_share(result.levels)} change" if result.levels.value is not None else "–") + mark
    if result.shift.value is None:
        return ("unscored" if result.unscored.value else "–") + mark
    return f"{_signed(result.shift)} {_interval(result.shift)}{mark}"


def _shown(judge: JudgeProbes, report: ProbeReport) -> list[tuple[Probe, ProbeResult]]:
    """What has something to show."""
    pairs = [(probe, judge.result(probe.name)) for probe in report.probes]
    return [(probe, result) for probe, result in pairs if result.cases]


def _show_findings(judge: JudgeProbes, report: ProbeReport) -> None:
    from kardia.cli.terminal import note, stdout

    console = stdout()
    told = judge.attack_success
    if told.value is not None and len(report.judges) == 1:
        harmless = judge.harmless_rises
        beside = f"; where only the wording changed, {harmless.value:.0%} rise" if harmless.value is not None else ""
        console.print(
            f"{told.value:.0%} of {told.n:,} attacks succeed{_span(told)}{beside}. {judge.no_room:,} of the replies "
            "scored so high that they had no room to rise.",
            soft_wrap=True,
        )
        console.print()
    for finding in judge.findings:
        console.print(f"{judge.name} · {finding.probe} · {finding.severity}: {finding.sentence}", soft_wrap=True)
        console.print(f"  → {finding.advice}", soft_wrap=True)
    if not judge.findings:
        console.print(f"{judge.name}: no finding", soft_wrap=True)
    silent = [(probe, judge.result(probe.name)) for probe in report.probes]
    for probe, result in silent:
        if result.note:
            note(f"{judge.name}: {probe.name}: {result.note}")
    nowhere = [probe.name for probe, result in silent if not result.cases and not result.note]
    if nowhere:
        note(f"{judge.name}: {', '.join(nowhere)}: there is nothing here that could be changed in this way")


def _span(told: Statistic) -> str:
    return "" if told.low is None or told.high is None else f" ({told.low:.0%} to {told.high:.0%})"


def _signed(told: Statistic) -> str:
    return "–" if told.value is None else f"{told.value:+.3f}"


def _number(told: Statistic) -> str:
    return "–" if told.value is None else f"{told.value:.3f}"


def _interval(told: Statistic) -> str:
    return "" if told.low is None or told.high is None else f"[{told.low:+.2f}, {told.high:+.2f}]"


def _with_interval(told: Statistic) -> str:
    return "–" if told.value is None else f"{told.value:.0%}{_span(told)}"


def _share(told: Statistic) -> str:
    return "–" if told.value is None else f"{told.value:.0%}"
