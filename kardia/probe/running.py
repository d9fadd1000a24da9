"""Asking the judges: every text of a design through the same way that `kardia score` goes, ledger and budget included.

A changed conversation keeps its id, so that `kardia ledger forget` finds what was asked about it; what holds another
conversation's words is found under both ids. Asking again goes under a name of its own (`kardia.probe.again`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from kardia.comparing import judge_group, judge_pair
from kardia.conversation import Conversation
from kardia.engine import loop
from kardia.engine.key import answer_key, identity_of
from kardia.engine.ledger import Ledger, open_ledger
from kardia.errors import BudgetExhausted, InputError, Interrupted
from kardia.judge import Judge, JudgeProfile, load_judge
from kardia.judge.ensemble import EnsembleJudge
from kardia.judge.profile import COMPARING
from kardia.plan import Planner
from kardia.probe.again import asked_again
from kardia.probe.catalogue import Probe, chosen
from kardia.probe.design import Design, plan_cases
from kardia.probe.findings import UNSTEADY
from kardia.probe.judged import Given, judged_by
from kardia.probe.questions import terms_of
from kardia.probe.report import JudgeProbes, ProbeReport
from kardia.probe.scene import PARAPHRASES, TRANSLATIONS, scene_of
from kardia.probe.shifts import Outcome, outcome_of
from kardia.rubric.loading import load_rubric
from kardia.rubric.rubric import Rubric
from kardia.scoring import ConversationLike, JudgeLike, RubricLike, Settings, as_conversation, budget_of, cards_of

if TYPE_CHECKING:
    from kardia.guard import GuardMode

__all__ = ["FEWEST", "Watch", "check_terms", "compares", "designed", "probe", "probed", "scores"]

FEWEST = 10
"""With fewer groups than this, even a plain fault can go without a finding."""
Watch = Callable[[], None]


def probe(
    conversations: Iterable[ConversationLike],
    rubric: RubricLike,
    judges: JudgeLike | Sequence[JudgeLike] = None,
    *,
    probes: Sequence[str] | None = None,
    tolerance: float | None = None,
    unsteady: float = UNSTEADY,
    every_variant: bool = False,
    seed: int = 7,
    paraphrases: str = PARAPHRASES,
    translations: str = TRANSLATIONS,
    ledger: str | Path | Ledger | None = None,
    fresh: bool = False,
    max_requests: int | None = None,
    max_cost: float | None = None,
    guard: GuardMode | None = None,
) -> ProbeReport:
    """Finds out what fools a judge, on conversations of one's own.

    Args:
        conversations: as `kardia.score_many` takes them.
        rubric: by which they are judged.
        judges: one, or several, to be shown side by side; None: `$KARDIA_JUDGE`, else `embedded`.
        probes: names of probes or of groups of them; `-name` leaves one out. None: all.
        tolerance: from how much on a score has moved, in (0, 1]; None: one level's worth (`level_worth`). A mean shift
            is a finding from as much on, and without a tolerance from 0.075 on at the latest.
        unsteady: which share of moves where nothing changed is too much, in (0, 1).
        every_variant: change each conversation in all ways of a probe, and not in one that is drawn for it.
        seed: what is drawn is drawn again by equal seeds.
        paraphrases, translations: the metadata's keys that hold one's own.
        ledger, fresh, max_requests, max_cost: as in `kardia.score_many`; the budget is for all judges together.
        guard: `unscore`: replies that address the judge are left unscored, as they would be in scoring with it.

    Raises:
        InputError: where something is wrong with what was given.
        JudgeUnreachable, BudgetExhausted: what was asked is in the ledger, and the same call goes on from there.

    >>> rows = [{"id": "dog", "context": "My dog died this morning.", "response": "I'm so sorry. He was family."}]
    >>> report = probe(rows, "supportiveness@1", "fake", probes=["retest", "padding"], ledger="off")
    >>> [result.probe for result in report.judges[0].results], report.judges[0].result("retest").moved.value
    (['padding', 'retest'], 0.0)
    """
    listed = judges if isinstance(judges, Sequence) and not isinstance(judges, str) else [judges]
    tried = chosen(probes)
    loaded_rubric = load_rubric(rubric)
    check_terms(tolerance, unsteady)
    known = [as_conversation(item, number) for number, item in enumerate(conversations, 1)]
    design = designed(
        known,
        loaded_rubric,
        tried,
        seed=seed,
        every_variant=every_variant,
        paraphrases=paraphrases,
        translations=translations,
    )
    settings = Settings(False, ledger, fresh, max_requests, max_cost, guard)
    order = probes is not None and "order" in probes
    return probed(
        design, loaded_rubric, listed, tried, settings, tolerance=tolerance, unsteady=unsteady, seed=seed, order=order
    )


def check_terms(tolerance: float | None, unsteady: float) -> None:
    """Raises InputError where a bound is none."""
    if tolerance is not None and not 0 < tolerance <= 1:
        raise InputError(f"lies above 0 and at most at 1, as scores do; {tolerance:g} does not", key="tolerance")
    if not 0 < unsteady < 1:
        raise InputError(f"is a share between 0 and 1; {unsteady:g} is not", key="unsteady")


def designed(
    conversations: Sequence[Conversation],
    rubric: Rubric,
    probes: Sequence[Probe],
    *,
    seed: int = 7,
    every_variant: bool = False,
    paraphrases: str = PARAPHRASES,
    translations: str = TRANSLATIONS,
) -> Design:
    """All that is to be judged; nothing is asked.

    Raises:
        InputError: where there is no conversation.
    """
    if not conversations:
        raise InputError("there is no conversation to probe a judge with")
    scene = scene_of(conversations, rubric, seed=seed, paraphrases=paraphrases, translations=translations)
    return plan_cases(conversations, probes, scene, every_variant=every_variant)


def scores(profile: JudgeProfile) -> bool:
    """Whether a judge scores single replies."""
    return profile.mode not in COMPARING


def compares(profile: JudgeProfile, reads_prompts: bool, named: bool) -> bool:
    """Whether a judge is asked about pairs: where its mode compares, or where `order` was asked for by name."""
    return profile.mode in COMPARING or (named and reads_prompts)


def probed(
    design: Design,
    rubric: Rubric,
    judges: Sequence[JudgeLike],
    probes: Sequence[Probe],
    settings: Settings,
    *,
    tolerance: float | None = None,
    unsteady: float = UNSTEADY,
    seed: int = 7,
    order: bool = False,
    watch: Watch | None = None,
) -> ProbeReport:
    """Asks every judge about everything, one judge after the other.

    Args:
        design: what is asked about.
        rubric, judges, probes, tolerance, unsteady, seed: as in `probe`.
        settings: how; its budget is for all judges together, and its `halt` stops between two cards.
        order: whether pairs are compared by judges that score single replies, too.
        watch: called after each card and each pair.
    """
    from kardia.agreement.ratings import needs_numpy

    needs_numpy("probing")
    terms = terms_of(rubric, tolerance=tolerance, unsteady=unsteady, seed=seed)
    if not isinstance(settings.ledger, Ledger):
        settings = replace(settings, ledger=open_ledger(settings.ledger) or "off")
    loaded = [load_judge(judge) for judge in judges]
    for judge in loaded:
        budget_of(judge.profile, settings.max_requests, settings.max_cost)
        if scores(judge.profile):
            Planner(rubric, judge.profile, prompts=judge.reads_prompts)  # what does not fit is told before it is paid
    found: list[JudgeProbes] = []
    try:
        for judge in loaded:
            asking = _Asking(judge, rubric, settings, watch or _unwatched)
            given = asking.everything(design, probes, order)
            found.append(judged_by(given, design, probes, terms))
    finally:
        for judge, given_judge in zip(loaded, judges, strict=True):
            if judge is not given_judge:
                loop.finish(judge.aclose())
    return ProbeReport(
        rubric.ref,
        rubric.hash,
        design.originals,
        design.groups,
        terms.tolerance,
        tolerance is not None,
        terms.least,
        unsteady,
        seed,
        tuple(probes),
        tuple(found),
        _notes(design),
        settings.guard,
    )


def _unwatched() -> None:
    return None


def _notes(design: Design) -> tuple[str, ...]:
    if design.groups >= FEWEST:
        return ()
    return (
        f"there are only {design.groups} groups of conversations: with fewer than {FEWEST}, even a plain fault can go "
        "without a finding",
    )


class _Asking:
    """One judge, asked about a design."""

    def __init__(self, judge: Judge, rubric: Rubric, settings: Settings, watch: Watch) -> None:
        self.judge = judge
        self.rubric = rubric
        self.settings = settings
        self.watch = watch

    def everything(self, design: Design, probes: Sequence[Probe], order: bool) -> Given:
        names = {probe.name for probe in probes}
        profile = self.judge.profile
        given = Given(profile)
        if scores(profile) and (design.cases or "retest" in names):
            given.outcomes = self.outcomes(self.judge, design.texts)
            self.share(design)
            if "retest" in names:
                given.again = self.outcomes(asked_again(self.judge), design.texts[: design.originals])
        if "order" in names and compares(profile, self.judge.reads_prompts, order):
            given.compares = True
            given.turned = [self.turned(design.texts[one], design.texts[two]) for one, two, _ in design.pairs]
        return given

    def outcomes(self, judge: Judge, texts: Sequence[Conversation]) -> list[Outcome]:
        """What a judge gives each of these, in their order."""
        found = []
        cards = cards_of(texts, self.rubric, judge, self._left())
        with closing(cards):
            for card in cards:
                found.append(outcome_of(card))
                self.watch()
        return found

    def _left(self) -> Settings:
        """The settings, with what is left of the budget."""
        spent, settings = self.settings.office.spent, self.settings
        requests, cost = settings.max_requests, settings.max_cost
        return replace(
            settings,
            max_requests=None if requests is None else max(requests - spent.requests, 0),
            max_cost=None if cost is None else max(cost - (spent.cost or 0.0), 0.0),
        )

    def share(self, design: Design) -> None:
        """Has what holds another conversation's words forgotten with that one, too."""
        ledger = self.settings.ledger
        if not isinstance(ledger, Ledger) or not design.lenders:
            return
        for judge in _single(self.judge):
            identity = identity_of(judge)
            if identity is None:
                continue
            planner = Planner(self.rubric, judge.profile, prompts=judge.reads_prompts)
            for place, lenders in design.lenders.items():
                for request in planner.plan(design.texts[place]).requests:
                    for lender in lenders:
                        ledger.share(answer_key(request, identity), lender)

    def turned(self, one: Conversation, two: Conversation) -> bool | None:
        """Whether the verdict on two replies turns with their order; None where there is none."""
        settings, spent = self.settings, self.settings.office.spent
        if settings.halt is not None and settings.halt.requested:
            raise Interrupted("stopped before all pairs were compared")
        if settings.max_requests is not None and spent.requests + 2 > settings.max_requests:
            raise BudgetExhausted(
                f"the budget of {settings.max_requests:,} requests is used up; what was scored is kept, and the same "
                "command goes on from there"
            )
        if settings.max_cost is not None and (spent.cost or 0.0) >= settings.max_cost:
            raise BudgetExhausted(
                f"the budget of {settings.max_cost:g} is used up; what was scored is kept, and the same command goes "
                "on from there"
            )
        if self.judge.profile.mode == "groupwise":
            ranked = judge_group([one, two], self.rubric, self.judge)
            usage, verdict = ranked.usage, None if ranked.agreement is None else ranked.agreement < 0
        else:
            paired = judge_pair(one, two, self.rubric, self.judge)
            usage, verdict = paired.usage, None if paired.consistent is None else not paired.consistent
        spent.requests += usage.requests
        spent.input_tokens += usage.input_tokens
        spent.output_tokens += usage.output_tokens
        if usage.cost is not None:
            spent.cost = (spent.cost or 0.0) + usage.cost
        self.watch()
        return verdict


def _single(judge: Judge) -> list[Judge]:
    if not isinstance(judge, EnsembleJudge):
        return [judge]
    return [inner for member in judge.members for inner in _single(member.judge)]
