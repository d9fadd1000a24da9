"""Needs → what the judge, the encoder and the comparison said. The only part of a reward that asks anybody.

Equal completions of one prompt are one conversation here, and are asked about once; all completions of a batch are
handed over together and in the order of their groups, so that a judge can read once what they share.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Collection, Coroutine, Iterable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from kardia.conversation import Conversation
from kardia.engine import loop
from kardia.engine.budget import Spent
from kardia.engine.desks import Office
from kardia.engine.ledger import Ledger
from kardia.errors import BudgetExhausted, ConversationError, InputError, JudgeError
from kardia.judge import Judge, JudgeProfile, default_judge, load_judge, load_profile
from kardia.judge.protocol import Usage
from kardia.judgment import Scorecard
from kardia.reward.completion import Completion
from kardia.reward.questions import Questions, text_of
from kardia.reward.term import Cards, Likelihoods, Need, Ranks, RowCards, Vectors
from kardia.rubric.loading import load_rubric
from kardia.rubric.rubric import Rubric
from kardia.scoring import Settings, acards_of

__all__ = ["Evidence", "JudgeLike", "LikelihoodsOf", "Source"]

JudgeLike = str | Path | JudgeProfile | Judge | None
LikelihoodsOf = Callable[[Sequence[Completion]], Sequence[float | None]]
"""Completions → how likely their answers are given their own reasoning."""

_UNASKED = "nothing was asked"


@dataclass
class Evidence:
    """What was found for a batch, and what it took.

    Attributes:
        found: need → one entry a completion.
        spent: what was asked for this batch; what the ledger knew is counted, and took nothing.
        down: what ended the asking, where a judge could not be reached or a budget ran out.
    """

    found: dict[Need, list[Any]] = field(default_factory=dict)
    spent: Spent = field(default_factory=Spent)
    down: JudgeError | None = None

    @property
    def usage(self) -> Usage:
        spent = self.spent
        return Usage(spent.requests, spent.input_tokens, spent.output_tokens, spent.cost, spent.asked)


@dataclass(eq=False)
class _Asked:
    """One conversation, by all the rubrics that are wanted of it, and who waits for the cards."""

    conversation: Conversation
    order: tuple[int, int]
    rubrics: dict[str, Rubric] = field(default_factory=dict)
    receivers: list[tuple[Cards | RowCards, int, str]] = field(default_factory=list)


class Source:
    """Whom a reward asks. Built when it is first asked; a copy that was pickled builds its own.

    Args:
        judge: who judges where a term names nobody else; as `kardia.load_judge` takes it.
        ledger: where answers are kept; as `kardia.score` takes it.
        likelihoods: for the terms that need them; called in a thread of its own.
        patience: "raise": a judge that cannot be reached raises; "none": what it was to say is missing, with the
            reason.
        max_requests, max_cost: what may be spent on all batches together; None: no cap.
        own_columns: columns that a term reads its row's own criteria from.
    """

    def __init__(
        self,
        judge: JudgeLike = None,
        *,
        ledger: str | Path | Ledger | None = None,
        likelihoods: LikelihoodsOf | None = None,
        patience: Literal["raise", "none"] = "raise",
        max_requests: int | None = None,
        max_cost: float | None = None,
        own_columns: Collection[str] = (),
    ) -> None:
        self.judge = judge
        self.ledger = ledger
        self.likelihoods = likelihoods
        self.patience = patience
        self.max_requests = max_requests
        self.max_cost = max_cost
        self.own_columns = frozenset(own_columns)
        self.requests = 0
        """What was asked so far."""
        self.cost = 0.0
        """What that cost."""
        self._judges: dict[str | None, Judge] = {}
        self._rubrics: dict[str, Rubric] = {}
        self._encoder: Any = None

    def __getstate__(self) -> dict[str, Any]:
        # a ledger that is open holds a thread: the copy opens the same place
        ledger = self.ledger.where if isinstance(self.ledger, Ledger) else self.ledger
        return {**self.__dict__, "ledger": ledger, "_judges": {}, "_encoder": None}

    def profile_of(self, name: str | None) -> JudgeProfile:
        """That judge's profile, without the judge being built.

        Raises:
            ProfileError: where there is no such profile, or it is not valid.
        """
        reference = self.judge if name is None else name
        if isinstance(reference, JudgeProfile):
            return reference
        if reference is None or isinstance(reference, (str, Path)):
            return load_profile(reference or default_judge())
        return reference.profile

    def judge_of(self, name: str | None) -> Judge:
        """The judge of that name; None: the reward's own."""
        known = self._judges.get(name)
        if known is None:
            known = self._judges[name] = load_judge(self.judge if name is None else name)
            if known is not self.judge:
                loop.close_later(known)
        return known

    def rubric_of(self, reference: str | Rubric) -> Rubric:
        """A rubric by its reference, loaded once."""
        if isinstance(reference, Rubric):
            return reference
        known = self._rubrics.get(reference)
        if known is None:
            known = self._rubrics[reference] = load_rubric(reference)
        return known

    async def gather(
        self,
        wanted: Mapping[Need, Iterable[int]],
        completions: Sequence[Completion],
        evidence: Evidence | None = None,
    ) -> Evidence:
        """Asks for what is needed.

        Args:
            wanted: need → the places in `completions` for which it is.
            completions: the batch.
            evidence: what was found for this batch before; what is found is added to it.

        Returns:
            the evidence; where nothing was asked, a sentence that says so.

        Raises:
            InputError: where a judge cannot do what is asked of it.
            JudgeUnreachable, BudgetExhausted: unless `patience` is "none".
        """
        evidence = evidence or Evidence()
        cards: dict[str | None, list[tuple[Cards | RowCards, Sequence[int]]]] = {}
        work: list[Coroutine[Any, Any, None]] = []
        for need, listed in wanted.items():
            known = evidence.found.setdefault(need, [_UNASKED] * len(completions))
            places = [place for place in listed if known[place] is _UNASKED]
            if not places:
                continue
            if isinstance(need, (Cards, RowCards)):
                cards.setdefault(need.judge, []).append((need, places))
            elif isinstance(need, Vectors):
                work.append(self._vectors(need, places, completions, evidence))
            elif isinstance(need, Ranks):
                work.append(self._ranks(need, places, completions, evidence))
            else:
                work.append(self._likelihoods(need, places, completions, evidence))
        work += [self._cards(name, needs, completions, evidence) for name, needs in cards.items()]
        await self._all(work)
        return evidence

    async def _all(self, work: Sequence[Coroutine[Any, Any, None]]) -> None:
        """Side by side; under a cap one after the other, so that each knows what is left."""
        if self.max_requests is None and self.max_cost is None:
            await _together(work)
            return
        for number, each in enumerate(work):
            try:
                await each
            except BaseException:
                for rest in work[number + 1 :]:
                    rest.close()
                raise

    async def _cards(
        self,
        name: str | None,
        needs: Sequence[tuple[Cards | RowCards, Sequence[int]]],
        completions: Sequence[Completion],
        evidence: Evidence,
    ) -> None:
        """All scorecards that one judge is to give: conversations that want the same rubrics together."""
        judge = self.judge_of(name)
        questions = Questions(self.rubric_of, self.own_columns, completions)
        groups: dict[str, int] = {}
        asked: dict[str, _Asked] = {}
        for need, places in needs:
            for place in places:
                completion = completions[place]
                question = questions.question(need, completion)
                if isinstance(question, str):
                    evidence.found[need][place] = question
                    continue
                key = question.conversation.id
                entry = asked.get(key)
                if entry is None:
                    order = groups.setdefault(completion.group, place), place
                    entry = asked[key] = _Asked(question.conversation, order)
                entry.rubrics[question.rubric.hash] = question.rubric
                entry.receivers.append((need, place, question.rubric.hash))
        bundles: dict[tuple[str, ...], list[_Asked]] = {}
        for entry in asked.values():
            bundles.setdefault(tuple(entry.rubrics), []).append(entry)
        for bundle in bundles.values():
            bundle.sort(key=lambda entry: entry.order)
        await self._all([self._bundle(bundle, judge, evidence) for bundle in bundles.values()])

    async def _bundle(self, entries: Sequence[_Asked], judge: Judge, evidence: Evidence) -> None:
        """Scorecards of conversations by the same rubrics."""
        rubrics = list(entries[0].rubrics.values())
        cards: dict[tuple[str, str], Scorecard] = {}
        why = "the judge gave no answer"
        spent = Spent()
        try:
            settings = Settings(
                ledger=self.ledger,
                office=Office(spent=spent),
                max_requests=None if self.max_requests is None else max(self.max_requests - self.requests, 0),
                max_cost=None if self.max_cost is None else max(self.max_cost - self.cost, 0.0),
            )
            conversations = [entry.conversation for entry in entries]
            try:
                async with aclosing(acards_of(conversations, rubrics, judge, settings)) as chunks:
                    async for chunk in chunks:
                        for card in chunk:
                            cards[card.id, card.provenance["rubric"]["hash"]] = card
            finally:
                self._count(spent, evidence)
        except JudgeError as problem:
            why = self._down(problem, evidence)
        for entry in entries:
            for need, place, digest in entry.receivers:
                evidence.found[need][place] = cards.get((entry.conversation.id, digest), why)

    async def _vectors(
        self, need: Vectors, places: Sequence[int], completions: Sequence[Completion], evidence: Evidence
    ) -> None:
        texts: dict[int, tuple[str, str]] = {}
        for place in places:
            pair = [text_of(completions[place], what) for what in need.of]
            gap = next((what for what, text in zip(need.of, pair, strict=True) if text is None), None)
            if gap is not None:
                evidence.found[need][place] = f"the row has no {_NAMES.get(gap, gap)}"
            else:
                texts[place] = (pair[0] or "", pair[1] or "")
        if not texts:
            return
        known = await asyncio.to_thread(self._encoded, [text for pair in texts.values() for text in pair])
        for place, (one, other) in texts.items():
            evidence.found[need][place] = (known[one], known[other])

    def _encoded(self, texts: Iterable[str]) -> dict[str, tuple[float, ...]]:
        """One text at a time, so that what else is in a batch does not show in the last digits."""
        if self._encoder is None:
            from kardia.judge.encoder import Encoder
            from kardia.judge.options import EmbeddedOptions
            from kardia.judge.profile import load_profile
            from kardia.pretrained import DEFAULT_MODEL, find_encoder

            profile = load_profile("embedded")
            folder = find_encoder(profile.model or DEFAULT_MODEL, profile.revision, profile.sha256)
            self._encoder = Encoder(folder, EmbeddedOptions(batch_size=1))
        listed = list(dict.fromkeys(texts))
        return {text: tuple(vector) for text, vector in zip(listed, self._encoder.encode(listed).tolist(), strict=True)}

    async def _ranks(
        self, need: Ranks, places: Sequence[int], completions: Sequence[Completion], evidence: Evidence
    ) -> None:
        groups: dict[str, list[int]] = {}
        for place in places:
            groups.setdefault(completions[place].group, []).append(place)
        rubric, judge = self.rubric_of(need.rubric), self.judge_of(need.judge)
        await self._all(
            [self._ranked(need, members, completions, evidence, rubric, judge) for members in groups.values()]
        )

    async def _ranked(
        self,
        need: Ranks,
        members: Sequence[int],
        completions: Sequence[Completion],
        evidence: Evidence,
        rubric: Rubric,
        judge: Judge,
    ) -> None:
        """The ranking of one prompt's completions."""
        from kardia.comparing import ajudge_group

        why = None
        ranks: Sequence[float] = ()
        if len(members) < 2:
            why = "it is the only completion of its prompt: there is nothing to rank"
        else:
            try:
                self._check_budget()
                listed = [completions[place].conversation for place in members]
                judged = await ajudge_group(listed, rubric, judge, orders=need.orders, seed=need.seed)
                used = judged.usage
                self._count(
                    Spent(used.requests, used.input_tokens, used.output_tokens, used.cost, used.requests), evidence
                )
                ranks = judged.ranks or ()
                why = f"the judge gave no ranking: {judged.error}" if judged.ranks is None else None
            except ConversationError as problem:
                why = str(problem)
            except JudgeError as problem:
                why = self._down(problem, evidence)
        for number, place in enumerate(members):
            evidence.found[need][place] = why or (ranks[number], len(members))

    async def _likelihoods(
        self, need: Likelihoods, places: Sequence[int], completions: Sequence[Completion], evidence: Evidence
    ) -> None:
        if self.likelihoods is None:
            raise InputError("a term needs likelihoods under a reference model: hand `likelihoods=` to the reward")
        values = await asyncio.to_thread(self.likelihoods, [completions[place] for place in places])
        if len(values) != len(places):
            raise InputError(f"`likelihoods` gave {len(values)} numbers for {len(places)} completions")
        for place, value in zip(places, values, strict=True):
            known = value is not None and math.isfinite(value)
            evidence.found[need][place] = float(value) if known and value is not None else "its likelihood is not known"

    def _down(self, problem: JudgeError, evidence: Evidence) -> str:
        """What is said of that which a judge that is not there was asked, where that is not raised."""
        if isinstance(problem, BudgetExhausted):
            problem = self._used_up() or problem
        if self.patience == "raise":
            raise problem from None
        evidence.down = problem
        return f"the judge was not there: {problem}"

    def _used_up(self) -> BudgetExhausted | None:
        if self.max_requests is None and self.max_cost is None:
            return None
        caps = [] if self.max_requests is None else [f"{self.max_requests:,} requests"]
        caps += [] if self.max_cost is None else [f"{self.max_cost:g} in money"]
        return BudgetExhausted(
            f"what this reward may spend ({', '.join(caps)}) is used up: {self.requests:,} requests were asked, which "
            f"cost {self.cost:.6g}; give it more, and what is stored in the ledger is not asked again"
        )

    def _check_budget(self) -> None:
        spent = (self.max_requests is not None and self.requests >= self.max_requests) or (
            self.max_cost is not None and self.cost >= self.max_cost
        )
        if spent and (problem := self._used_up()):
            raise problem

    def _count(self, spent: Spent, evidence: Evidence) -> None:
        # a judge on this machine sends no requests: then what it was asked counts
        self.requests += max(spent.requests, spent.asked)
        self.cost += spent.cost or 0.0
        for name in ("requests", "input_tokens", "output_tokens", "asked", "stored", "shared", "failed"):
            setattr(evidence.spent, name, getattr(evidence.spent, name) + getattr(spent, name))
        if spent.cost is not None:
            evidence.spent.cost = (evidence.spent.cost or 0.0) + spent.cost

    async def aclose(self) -> None:
        """Closes the judges that were built here."""
        for judge in self._judges.values():
            if judge is not self.judge:
                await judge.aclose()
        self._judges = {}


_NAMES = {"reference": "`reference` reply", "gold": "`emotion`"}


async def _together(work: Sequence[Coroutine[Any, Any, None]]) -> None:
    """All of them side by side; where one raises, the others are given up first."""
    tasks = [asyncio.ensure_future(each) for each in work]
    try:
        await asyncio.gather(*tasks)
    except BaseException:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        raise
