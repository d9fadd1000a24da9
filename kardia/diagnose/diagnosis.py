"""The diagnosis of a judge: every check, and what is certain of what they found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kardia.agreement.ratings import needs_numpy
from kardia.agreement.statistic import Statistic
from kardia.diagnose.cards import Scored
from kardia.diagnose.difference import Beside, beside_cards, check_difference
from kardia.diagnose.drift import check_drift
from kardia.diagnose.finding import ALPHA, Finding, Record, confirmed
from kardia.diagnose.gaps import check_gaps
from kardia.diagnose.length import check_length
from kardia.diagnose.log import Log, Placed, check_report
from kardia.diagnose.noise import check_noise, check_second
from kardia.diagnose.redundancy import check_redundancy
from kardia.diagnose.signal import check_signal
from kardia.diagnose.table import Table, column, table_of
from kardia.diagnose.vetoes import check_vetoes
from kardia.errors import InputError
from kardia.version import __version__

if TYPE_CHECKING:
    from kardia.rubric.rubric import Rubric

__all__ = ["Diagnosis", "diagnose"]


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What was found.

    Attributes:
        facts: what was diagnosed: files, rubric, judges, counts. No clock.
        findings: what is wrong, the weightiest first.
        overall: name → figure of the score, or of the judge.
        criteria: criterion → name → figure.
        detail: check → plain data: correlations, vetoes, reasons, the curve over steps.
        skipped: check → why it was not made.
    """

    facts: Mapping[str, Any]
    findings: tuple[Finding, ...]
    overall: Mapping[str, Statistic]
    criteria: Mapping[str, Mapping[str, Statistic]]
    detail: Mapping[str, Any]
    skipped: Mapping[str, str]

    def to_json(self) -> dict[str, Any]:
        """Everything, as plain data; texts of conversations and reasons are not in it."""
        return {
            "format": "kardia-diagnosis/1",
            "kardia": __version__,
            **self.facts,
            "findings": [finding.to_json() for finding in self.findings],
            "overall": {name: told.to_json() for name, told in self.overall.items()},
            "criteria": {
                criterion: {name: told.to_json() for name, told in figures.items()}
                for criterion, figures in self.criteria.items()
            },
            "detail": dict(self.detail),
            "skipped": dict(self.skipped),
        }


def diagnose(
    scored: Scored,
    rubric: Rubric | None = None,
    *,
    against: Scored | None = None,
    labels: str | Path | None = None,
    log: Log | None = None,
    seed: int = 7,
) -> Diagnosis:
    """Looks for what is wrong with a judge as a reward.

    Args:
        scored: its cards.
        rubric: theirs; None: what needs it is left out, and said.
        against: the same replies, scored by another judge (the reference), or once more by the same one.
        labels: a file of people's labels; needs the rubric.
        log: what a training left behind.
        seed: equal seeds give equal figures.

    Raises:
        InputError: where `against` is of other replies, or another rubric; where labels are wrong, or have no rubric.
        MissingExtra: without numpy and scipy.
    """
    needs_numpy("diagnosis")
    placed = {} if log is None else log.place(scored.cards.values())
    table = table_of(scored, rubric, groups={key: place.prompt for key, place in placed.items()}, seed=seed)
    record = Record()
    rare = len(scored.criteria) - len(table.criteria)
    if rare:
        record.skipped["rare criteria"] = f"{rare:,} criteria are on fewer than one card in twenty"
    check_signal(table, record)
    beside = None if labels is None else _labelled(table, labels, rubric)
    if beside is None:
        check_length(table, record)
    else:
        check_difference(table, record, beside)
        check_length(table, record, beside.mean_N, beside.value_NC)
    check_redundancy(table, record)
    check_noise(table, record)
    check_vetoes(table, record)
    check_gaps(table, record)
    if against is not None:
        _check_against(table, record, against, placed, labelled=beside is not None)
    if log is not None and log.report is not None:
        check_report(record, log.report)
    elif log is not None and not placed:
        record.skipped["log"] = f"no reply of {scored.file} is in {log.source}: name the completions that were scored"
    return Diagnosis(
        _facts(table, record, against, labels, log),
        confirmed(record),
        record.overall,
        record.criteria,
        record.detail,
        record.skipped,
    )


def _labelled(table: Table, labels: str | Path, rubric: Rubric | None) -> Beside:
    from kardia.diagnose.labels import beside_labels

    if rubric is None:
        raise InputError(
            f"labels are read by the rubric's scales, and {table.scored.rubric} was not found as it was: name it",
            file="--rubric",
        )
    return beside_labels(table, labels, rubric)


def _check_against(
    table: Table, record: Record, against: Scored, placed: Mapping[str, Placed], *, labelled: bool
) -> None:
    own = table.scored
    shared = [card for card in table.cards if card.id in against.cards]
    if not shared:
        raise InputError(f"holds none of the replies of {own.file}: name a second scoring of them", file=against.file)
    for card in shared:
        other = against.cards[card.id]
        if card.text is not None and other.text is not None and card.text != other.text:
            raise InputError(
                f"the reply {card.id!r} is another than in {own.file}: both files must be of the same replies",
                file=against.file,
                line=other.line,
                key="target.text",
            )
    if own.rubric_name != against.rubric_name:
        raise InputError(
            f"is of the rubric {against.rubric}, and {own.file} of {own.rubric}: score both by one rubric",
            file=against.file,
        )
    if (own.judge, own.rubric_hash) == (against.judge, against.rubric_hash):
        # one judge: at most it was asked with other settings, such as another seed
        check_second(table, record, against.cards)
        if own.judge_hash == against.judge_hash:
            return
    beside = beside_cards(table, against)
    # people are the better measure, where there are labels
    check_difference(table, record, beside, claims=not labelled)
    steps = [card.step if card.step is not None else _step(placed.get(card.id)) for card in table.cards]
    if any(step is not None for step in steps):
        assert beside.score_N is not None
        check_drift(table, record, column(steps), beside.score_N, beside.who)


def _step(placed: Placed | None) -> float | None:
    return None if placed is None else placed.step


def _facts(
    table: Table, record: Record, against: Scored | None, labels: str | Path | None, log: Log | None
) -> dict[str, Any]:
    import numpy as np

    sizes_G = np.bincount(table.group_N)
    return {
        "scores": table.scored.source(),
        "against": None if against is None else against.source(),
        "labels": None if labels is None else str(labels),
        "log": None if log is None else log.source,
        "replies": len(table.cards),
        "groups": len(sizes_G),
        "groups_of_several": int((sizes_G > 1).sum()),
        "seed": table.seed,
        "alpha": ALPHA,
        "claims": len(record.claims),
    }
