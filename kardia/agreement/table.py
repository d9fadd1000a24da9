"""How far judges agree with people: the result, as objects, as JSON, as a pandas table and in a notebook."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kardia.agreement.confusion import BaseRates, Confusion
from kardia.agreement.leave_one_out import Beside, LeaveOneOut
from kardia.agreement.statistic import Statistic
from kardia.errors import InputError
from kardia.rubric.models import Level

if TYPE_CHECKING:
    import pandas

__all__ = ["Agreement", "CriterionAgreement", "JudgeAgreement", "Mean", "PreferenceAgreement", "ScoreAgreement"]


@dataclass(frozen=True, slots=True)
class CriterionAgreement:
    """One criterion: a judge beside people.

    Attributes:
        name: the criterion's id; with its rubric's name before it where several rubrics have one of that id.
        key: `<rubric>.<criterion id>`.
        rubric: `name@version`.
        kind: `ordinal`, `binary` or `choice`.
        levels: the scale, in its order.
        scale_known: whether the rubric says so; else these are the levels that were given.
        n: units with a level by the judge and a consensus level by people.
        counts: units by what there is: people labelled them and the judge `scored`, `unscored`, `abstained`,
            `not_applicable`; `without_card`, labelled but without a scorecard; `unlabelled`.
        coverage: the share of labelled units that the judge scored, of those it was to score.
        judge, people: base rates: the judge's over units that count, and all people's ratings of them.
        statistics: name in `figures.FIGURES` → the figure.
        confusion: the judge's levels in rows, people's consensus in columns.
        raters: who rated.
        split: units on which people are split, so that there is no consensus level.
        between: units whose consensus level was taken from between two levels.
        among_people: the figures of people among themselves; empty with one rater.
        beside_people: the judge and each person beside the others; None with one rater.
        measure: of which `beside_people` is.
    """

    name: str
    key: str
    rubric: str
    kind: str
    levels: tuple[Level, ...]
    scale_known: bool
    n: int
    counts: Mapping[str, int]
    coverage: Statistic
    judge: BaseRates
    people: BaseRates
    statistics: Mapping[str, Statistic]
    confusion: Confusion
    raters: tuple[str, ...]
    split: int
    between: int
    among_people: Mapping[str, Statistic]
    beside_people: LeaveOneOut | None
    measure: str

    @property
    def base_rate(self) -> float | None:
        """The share of people's commonest level: what somebody who always says it would agree by."""
        return self.people.commonest

    def to_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "key": self.key,
            "rubric": self.rubric,
            "kind": self.kind,
            "levels": list(self.levels),
            "scale_known": self.scale_known,
            "n": self.n,
            "counts": dict(self.counts),
            "coverage": self.coverage.to_json(),
            "base_rates": {"judge": self.judge.to_json(), "people": self.people.to_json()},
            "statistics": _json(self.statistics),
            "confusion": self.confusion.to_json(),
            "raters": list(self.raters),
            "split": self.split,
            "between": self.between,
            "among_people": _json(self.among_people),
            "beside_people": _beside(self.measure, self.beside_people),
        }


@dataclass(frozen=True, slots=True)
class Mean:
    """The mean of a figure over criteria.

    Attributes:
        statistic: its `n` counts units.
        criteria: how many it is over.
        left_out: criterion → why it has no such figure.
    """

    statistic: Statistic
    criteria: int
    left_out: Mapping[str, str]

    def to_json(self) -> dict[str, Any]:
        return {**self.statistic.to_json(), "criteria": self.criteria, "left_out": dict(self.left_out)}


@dataclass(frozen=True, slots=True)
class ScoreAgreement:
    """A rubric's score beside overall ratings.

    Attributes:
        rubric: `name@version`.
        n: cards with a score and a rating.
        counts, coverage, raters, beside_people, measure: as in `CriterionAgreement`.
        statistics: correlations; where it is known what could be given, also bias, concordance and ICC, in shares of
            that range.
    """

    rubric: str
    n: int
    counts: Mapping[str, int]
    coverage: Statistic
    statistics: Mapping[str, Statistic]
    raters: tuple[str, ...]
    beside_people: LeaveOneOut | None
    measure: str

    def to_json(self) -> dict[str, Any]:
        return {
            "rubric": self.rubric,
            "n": self.n,
            "counts": dict(self.counts),
            "coverage": self.coverage.to_json(),
            "statistics": _json(self.statistics),
            "raters": list(self.raters),
            "beside_people": _beside(self.measure, self.beside_people),
        }


@dataclass(frozen=True, slots=True)
class PreferenceAgreement:
    """A rubric's score on pairs of which people prefer one.

    Attributes:
        rubric: `name@version`.
        pairs: how many comparisons there are.
        unscored: those of which one conversation or both have no score; they do not count.
        ties: of those that count, where the judge's two scores are a tie.
        people_ties: where people say that both are as good.
        statistics: `accuracy`: a tie of the judge counts half; `decided`: pairs on which both prefer one; `match`: a
            tie is an answer like the others.
        coverage: the share of pairs with two scores.
    """

    rubric: str
    pairs: int
    unscored: int
    ties: int
    people_ties: int
    statistics: Mapping[str, Statistic]
    coverage: Statistic

    def to_json(self) -> dict[str, Any]:
        return {
            "rubric": self.rubric,
            "pairs": self.pairs,
            "unscored": self.unscored,
            "ties": self.ties,
            "people_ties": self.people_ties,
            "statistics": _json(self.statistics),
            "coverage": self.coverage.to_json(),
        }


@dataclass(frozen=True, slots=True)
class JudgeAgreement:
    """One judge beside people.

    Attributes:
        judge, judge_hash: who.
        rubrics: `name@version` → content hash.
        units, groups: labelled conversations of which it has a scorecard, and how many groups they are of.
        criteria: those that people labelled.
        overall: the means of the figures over the criteria, and of `coverage`.
        beside_people: the means of `together` of the criteria in which the judge was set beside single people; None
            where there are none.
        scores: where there are overall ratings.
        preferences: where there are pairs.
        unlabelled: criteria that nobody labelled.
    """

    judge: str
    judge_hash: str
    rubrics: Mapping[str, str]
    units: int
    groups: int
    criteria: tuple[CriterionAgreement, ...]
    overall: Mapping[str, Mean]
    beside_people: Beside | None
    scores: tuple[ScoreAgreement, ...]
    preferences: tuple[PreferenceAgreement, ...]
    unlabelled: tuple[str, ...]

    def __getitem__(self, name: str) -> CriterionAgreement:
        """A criterion by its name or key.

        Raises:
            KeyError: where nobody labelled it.
        """
        for each in self.criteria:
            if name in (each.name, each.key):
                return each
        raise KeyError(name)

    def to_json(self) -> dict[str, Any]:
        return {
            "judge": {"name": self.judge, "hash": self.judge_hash},
            "rubrics": dict(self.rubrics),
            "units": self.units,
            "groups": self.groups,
            "criteria": [each.to_json() for each in self.criteria],
            "overall": {name: mean.to_json() for name, mean in self.overall.items()},
            "beside_people": None if self.beside_people is None else self.beside_people.to_json(),
            "scores": [each.to_json() for each in self.scores],
            "preferences": [each.to_json() for each in self.preferences],
            "unlabelled": list(self.unlabelled),
        }


@dataclass(frozen=True, slots=True)
class Agreement:
    """How far judges agree with people. `kardia.agree` makes it; a notebook shows it as a table.

    Attributes:
        scores, labels: what was read.
        judges: in the order of the scorecards.
        notes: sentences on what was left out, and why.
        settings: `consensus`, `confidence`, `resamples`, `seed`, `unscored_as`, `tie`.
    """

    scores: str
    labels: str
    judges: tuple[JudgeAgreement, ...]
    notes: tuple[str, ...]
    settings: Mapping[str, Any]

    def to_json(self) -> dict[str, Any]:
        """All of it; numbers that are not defined are null, with the reason in `why`."""
        return {
            "kind": "agreement",
            "scores": self.scores,
            "labels": self.labels,
            "settings": dict(self.settings),
            "judges": [each.to_json() for each in self.judges],
            "notes": list(self.notes),
        }

    def lines(self) -> Iterator[tuple[JudgeAgreement, str, Mapping[str, Any], Mapping[str, Statistic]]]:
        """Everything that has figures: the judge, what it is (`criterion`, `mean`, `score` or `preference`), what is
        known of it, and its figures."""
        for judge in self.judges:
            for each in judge.criteria:
                about = {"name": each.name, "rubric": each.rubric, "n": each.n, "base_rate": each.base_rate}
                yield judge, "criterion", about, {"coverage": each.coverage, **each.statistics}
            if judge.overall:
                figures = {name: mean.statistic for name, mean in judge.overall.items()}
                yield judge, "mean", {"name": "mean", "rubric": None, "n": judge.units, "base_rate": None}, figures
            for score in judge.scores:
                about = {"name": "score", "rubric": score.rubric, "n": score.n, "base_rate": None}
                yield judge, "score", about, {"coverage": score.coverage, **score.statistics}
            for pairs in judge.preferences:
                about = {"name": "preference", "rubric": pairs.rubric, "n": pairs.pairs, "base_rate": None}
                yield judge, "preference", about, {"coverage": pairs.coverage, **pairs.statistics}

    def to_pandas(self) -> pandas.DataFrame:
        """One row for each judge and criterion, for the mean over criteria, and for each score or set of pairs: each
        figure's value, with its interval's ends in `<figure>_low` and `<figure>_high`. Where there is no value, or no
        interval that was asked for, `<figure>_why` says why.

        Raises:
            InputError: where pandas is not installed.
        """
        try:
            import pandas as pd
        except ImportError:
            raise InputError("a table for pandas needs pandas, which is not installed: pip install pandas") from None
        rows: list[dict[str, Any]] = []
        for judge, what, about, figures in self.lines():
            row = {"judge": judge.judge, "judge_hash": judge.judge_hash, "what": what, **about}
            for name, found in figures.items():
                row |= {name: found.value, f"{name}_low": found.low, f"{name}_high": found.high}
                row[f"{name}_why"] = found.why
            rows.append(row)
        return pd.DataFrame(rows)

    def _repr_html_(self) -> str:
        from kardia.agreement.tablehtml import table_html

        return table_html(self)


def _json(statistics: Mapping[str, Statistic]) -> dict[str, Any]:
    return {name: found.to_json() for name, found in statistics.items()}


def _beside(measure: str, found: LeaveOneOut | None) -> dict[str, Any] | None:
    return None if found is None else {"measure": measure, **found.to_json()}
