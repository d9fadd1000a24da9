"""`kardia.agree`: scorecards and labels → how far each judge agrees with people."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kardia.agreement.bootstrap import RESAMPLES, Bootstrap
from kardia.agreement.confusion import base_rates, confusion
from kardia.agreement.consensus import Rule, consensus
from kardia.agreement.correlation import concordance, pearson
from kardia.agreement.figures import (
    Figure,
    all_found,
    beside_people,
    figures,
    found_in,
    number_figures,
    of_people,
    share,
)
from kardia.agreement.joined import OneJudge, Rated, Scored, join_labels
from kardia.agreement.leave_one_out import Beside, against_others, leave_one_out
from kardia.agreement.measure import Measure, Sums
from kardia.agreement.names import Names
from kardia.agreement.preference import preference_accuracy, preferences
from kardia.agreement.ratings import needs_numpy
from kardia.agreement.sheets import Rows, read_named, read_sheets
from kardia.agreement.statistic import Statistic
from kardia.agreement.table import (
    Agreement,
    CriterionAgreement,
    JudgeAgreement,
    Mean,
    PreferenceAgreement,
    ScoreAgreement,
)
from kardia.agreement.votes import Choice, read_votes
from kardia.errors import InputError
from kardia.rubric.rubric import Rubric

__all__ = ["agree"]

Pair = tuple[Choice, float | None, float | None]


def agree(
    scores: Rows,
    labels: Rows,
    *,
    rubric: str | Path | Rubric | Sequence[str | Path | Rubric] = (),
    criteria: Sequence[str] = (),
    overall: str | None = None,
    span: tuple[float, float] | None = None,
    rater: str | None = None,
    consensus: Rule = "median",
    unscored_as: Sequence[str] = (),
    tie: float = 0.0,
    resamples: int = RESAMPLES,
    confidence: float = 0.95,
    seed: int = 7,
) -> Agreement:
    """How far judges agree with people, or with another judge.

    Args:
        scores: scorecards, as a file (JSONL or Parquet) or as objects; of one or several judges and rubrics.
        labels: what people said: CSV, JSONL or Parquet, or rows as mappings. Long (`id`, `criterion`, `level`), wide (a
            column a criterion), pairs (`chosen` and `rejected`, or `id_a`, `id_b`, `preferred`), or scorecards of
            another judge. `rater` says who, where several people rated.
        rubric: which cards count, and where their scales are had from; default: all, each by its name and version.
        criteria: only these, and no scores or pairs; default: all that are labelled.
        overall: the column of an overall rating; default: `overall` or `rating`, where there is one.
        span: the lowest and the highest overall rating that could be given: then bias and concordance are known too.
        rater: the column that says who rated; default: `rater` or `annotator`.
        consensus: what several people's levels are made into, on ordered scales of more than two levels.
        unscored_as: levels that count where the judge has none: `1`, or `warmth=1`; default: such units are left out.
        tie: scores that differ by no more are a tie, where there are pairs.
        resamples: of the intervals, for which whole groups of conversations are drawn; 0: no intervals.
        confidence: of the intervals.
        seed: equal seeds give equal intervals.

    Raises:
        InputError: with file, line and key, for anything that is wrong with the files; where nothing of the labels is
            of what was scored.
        MissingExtra: without numpy or scipy.
    """
    needs_numpy("agreement with people")
    if span is not None and not span[0] < span[1]:
        raise InputError(f"the lowest rating comes first and the highest second, not {span[0]:g} and {span[1]:g}")
    references = (rubric,) if isinstance(rubric, (str, Path, Rubric)) else tuple(rubric)
    named = read_named(references)
    sheets = read_sheets(scores, named)
    names = Names(sheets)
    votes = read_votes(labels, overall=overall, rater=rater, named=named, criteria=frozenset(names.known))
    joined = join_labels(sheets, votes, names, unscored_as)
    if votes.sheets is not None:
        span = (0.0, 1.0)  # scores beside scores
    wanted = _wanted(criteria, names, [each.asked.key for judge in joined.judges for each in judge.criteria])
    settings: dict[str, Any] = {
        "consensus": consensus,
        "confidence": confidence,
        "resamples": resamples,
        "seed": seed,
        "unscored_as": list(unscored_as),
        "tie": tie,
    }
    judges: list[JudgeAgreement] = []
    for one in joined.judges:
        bootstrap = Bootstrap(one.groups, resamples=resamples, seed=seed, confidence=confidence) if resamples else None
        table = _Table(one, bootstrap, consensus, span, tie)
        hashes = {ref: sheets.rubrics[ref].hash for ref in sheets.by_judge[one.judge]}
        judges.append(table.made(hashes, wanted))
    return Agreement(_named(scores), _named(labels), tuple(judges), tuple(joined.notes), settings)


def _named(source: Rows) -> str:
    return os.fspath(source) if isinstance(source, (str, Path)) else "rows"


def _wanted(criteria: Sequence[str], names: Names, labelled: Sequence[str]) -> frozenset[str] | None:
    if not criteria:
        return None
    wanted: set[str] = set()
    for name in criteria:
        keys = names.one(name)
        if not set(keys) & set(labelled):
            raise InputError(f"nobody labelled the criterion {name!r}; there are labels of {', '.join(labelled)}")
        wanted.update(keys)
    return frozenset(wanted)


class _Table:
    """One judge's figures."""

    def __init__(
        self,
        one: OneJudge,
        bootstrap: Bootstrap | None,
        rule: Rule,
        span: tuple[float, float] | None,
        tie: float,
    ) -> None:
        self._one = one
        self._bootstrap = bootstrap
        self._rule: Rule = rule
        self._span = span
        self._tie = tie

    def made(self, hashes: Mapping[str, str], wanted: frozenset[str] | None) -> JudgeAgreement:
        one = self._one
        criteria: list[CriterionAgreement] = []
        measures: list[dict[str, Figure]] = []
        beside: list[tuple[Sums, Sums]] = []
        for rated in one.criteria:
            if wanted is not None and rated.asked.key not in wanted:
                continue
            found, measured, both = self._criterion(rated)
            criteria.append(found)
            measures.append(measured)
            beside += [] if both is None else [both]
        return JudgeAgreement(
            one.judge.name,
            one.judge.hash,
            dict(hashes),
            len(one.units),
            len(set(one.groups)),
            tuple(criteria),
            self._overall(criteria, measures),
            self._beside(beside) if beside else None,
            tuple(self._score(scored) for scored in one.scores) if wanted is None else (),
            tuple(self._preference(ref, pairs) for ref, pairs in one.choices.items()) if wanted is None else (),
            one.unlabelled,
        )

    def _criterion(self, rated: Rated) -> tuple[CriterionAgreement, dict[str, Figure], tuple[Sums, Sums] | None]:
        scale = rated.scale
        together = consensus(rated.people, scale, self._rule)
        measured: dict[str, Figure] = {"coverage": share(rated.covered), **figures(rated.judge, together, scale)}
        statistics = all_found(measured, self._bootstrap)
        both = [None not in pair for pair in zip(rated.judge, together.levels, strict=True)]
        known = [judge for judge, counts in zip(rated.judge, both, strict=True) if counts]
        said = [
            [scale.nearest(rating) if isinstance(rating, float) else rating for rating in row]
            for row, judge in zip(rated.people, rated.judge, strict=True)
            if judge is not None
        ]
        several = len(rated.raters) > 1
        name, reference, judge, people, measure = beside_people(rated.judge, rated.people, scale)
        found = CriterionAgreement(
            name=rated.name,
            key=rated.asked.key,
            rubric=rated.asked.ref,
            kind=scale.kind,
            levels=scale.levels,
            scale_known=scale.known,
            n=sum(both),
            counts=rated.counts,
            coverage=statistics.pop("coverage"),
            judge=base_rates([[level] for level in known], scale.levels),
            people=base_rates(said, scale.levels),
            statistics=statistics,
            confusion=confusion(rated.judge, together.levels, scale.levels),
            raters=rated.raters,
            split=together.split,
            between=together.between,
            among_people=all_found(of_people(rated.people, scale), self._bootstrap) if several else {},
            beside_people=leave_one_out(
                judge, people, measure, reference=reference, names=rated.raters, bootstrap=self._bootstrap
            )
            if several
            else None,
            measure=name,
        )
        return found, measured, against_others(judge, people, measure, reference) if several else None

    def _overall(
        self, criteria: Sequence[CriterionAgreement], measures: Sequence[Mapping[str, Figure]]
    ) -> dict[str, Mean]:
        found: dict[str, Mean] = {}
        for name in measures[0] if measures else ():
            there: list[Measure] = []
            left_out: dict[str, str] = {}
            for criterion, own in zip(criteria, measures, strict=True):
                figure = own[name]
                why = figure if isinstance(figure, str) else figure.why if figure.value() is None else None
                if why is not None:
                    left_out[criterion.name] = why
                elif not isinstance(figure, str):
                    there.append(figure)
            widths = {len(criterion.levels) for criterion in criteria if criterion.name not in left_out}
            if name == "bias" and len(widths) > 1:
                why = "the scales have different numbers of levels; generosity is in shares of a scale"
                found[name] = Mean(Statistic(None, None, None, 0, why), 0, left_out)
            elif not there:
                why = "no criterion has this figure"
                found[name] = Mean(Statistic(None, None, None, 0, why), 0, left_out)
            else:
                found[name] = Mean(self._sum(there, [1.0 / len(there)] * len(there)), len(there), left_out)
        return found

    def _sum(self, measures: Sequence[Measure], weights: Sequence[float]) -> Statistic:
        bootstrap = self._bootstrap
        if bootstrap is None:  # without resamples the value is all that is used of one
            found = Bootstrap(self._one.groups, resamples=10).total(measures, weights)
            return Statistic(found.value, None, None, found.n, found.why if found.value is None else None)
        return bootstrap.total(measures, weights)

    def _beside(self, each: Sequence[tuple[Sums, Sums]]) -> Beside | None:
        """The means over criteria, where both have a value."""
        there = [both for both in each if all(measure.value() is not None for measure in both)]
        if not there:
            return None
        weight = 1.0 / len(there)
        judges, people = [judge for judge, _ in there], [person for _, person in there]
        difference = self._sum([*judges, *people], [weight] * len(there) + [-weight] * len(there))
        person, judge = (self._sum(side, [weight] * len(there)) for side in (people, judges))
        return Beside(None, person, judge, difference)

    def _score(self, scored: Scored) -> ScoreAgreement:
        people = [[self._rescaled(one) for one in row] for row in scored.people]
        means = [_mean(row) for row in people]
        measured = {"coverage": share(scored.covered), **number_figures(scored.judge, means)}
        if self._span is None:
            same_scale = ("icc_2_1", "icc_3_1", "icc_2_k", "icc_3_k", "concordance", "bias")
            measured |= dict.fromkeys(same_scale, "scores and ratings are on one scale only with --range")
        statistics = all_found(measured, self._bootstrap)
        several = len(scored.raters) > 1
        measure = pearson if self._span is None else concordance
        return ScoreAgreement(
            scored.ref,
            sum(score is not None and mean is not None for score, mean in zip(scored.judge, means, strict=True)),
            scored.counts,
            statistics.pop("coverage"),
            statistics,
            scored.raters,
            leave_one_out(scored.judge, people, measure, names=scored.raters, bootstrap=self._bootstrap)
            if several
            else None,
            "pearson" if self._span is None else "concordance",
        )

    def _rescaled(self, rating: float | None) -> float | None:
        if rating is None or self._span is None:
            return rating
        low, high = self._span
        if not low <= rating <= high:
            raise InputError(f"the overall rating {rating:g} is none from {low:g} to {high:g}", file="--range")
        return (rating - low) / (high - low)

    def _preference(self, ref: str, pairs: Sequence[Pair]) -> PreferenceAgreement:
        judge = preferences([pair[1] for pair in pairs], [pair[2] for pair in pairs], self._tie)
        people = [pair[0].preferred for pair in pairs]
        groups = _components(pairs, dict(zip(self._one.units, self._one.groups, strict=True)))
        bootstrap = None if self._bootstrap is None else self._bootstrap.of(groups)
        kinds = (("accuracy", "half"), ("decided", "decided"), ("match", "match"))
        statistics = {
            name: found_in(preference_accuracy(judge, people, ties), bootstrap)  # type: ignore[arg-type]
            for name, ties in kinds
        }
        return PreferenceAgreement(
            ref,
            len(pairs),
            sum(each is None for each in judge),
            sum(each == "tie" for each in judge),
            sum(each == "tie" for each in people),
            statistics,
            found_in(share([each is not None for each in judge]), bootstrap),
        )


def _mean(row: Sequence[float | None]) -> float | None:
    said = [one for one in row if one is not None]
    return sum(said) / len(said) if said else None


def _components(pairs: Sequence[Pair], groups: Mapping[str, str]) -> list[str]:
    """One group a pair: two pairs are together where a conversation of each is of one group, also by way of others."""
    parent: dict[str, str] = {}

    def root(name: str) -> str:
        while parent.setdefault(name, name) != name:
            parent[name] = parent[parent[name]]
            name = parent[name]
        return name

    for choice, *_ in pairs:
        first, second = (groups.get(own_id, f"id {own_id}") for own_id in (choice.first, choice.second))
        parent[root(first)] = root(second)
    return [root(groups.get(choice.first, f"id {choice.first}")) for choice, *_ in pairs]
