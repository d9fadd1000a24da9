"""A panel's or a cascade's desk: plans each request anew for the members, asks them, and puts together what they say.

Every member is asked in its own words, mode and samples, at its own desk: through the ledger, its gate and its retries.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from kardia.combine import Voice, because, combine_panel, combine_samples
from kardia.engine.asked import Asked, Asks
from kardia.judge.ensemble import EnsembleJudge
from kardia.judge.protocol import Request, Usage
from kardia.judgment import Judgment
from kardia.plan import Planner
from kardia.rubric.models import Criterion
from kardia.rubric.rubric import Rubric

__all__ = ["CascadeTally", "EnsembleDesk", "MemberPlanners", "PlannerOf", "confidence"]

MAX_PLANNERS = 64
_EPS = 1e-9  # a share that was computed as 0.7999… is 0.8

PlannerOf = Callable[[int, Rubric], Planner]
"""The number of a member, and a rubric → how that member is asked by it."""
_Wanted = tuple[Request, Sequence[Criterion]]


@dataclass(slots=True)
class CascadeTally:
    """What a cascade did, and what it saved. One a run and cascade; the run adds to it.

    Attributes:
        judgments: how many the cascade was asked for.
        again: for how many of them its second judge was asked.
        first, then: what the two judges took.
    """

    judgments: int = 0
    again: int = 0
    first: Usage = field(default_factory=Usage)
    then: Usage = field(default_factory=Usage)

    @property
    def share(self) -> float | None:
        """Of the judgments for which the second judge was asked, in [0, 1]; None where there were none at all."""
        return self.again / self.judgments if self.judgments else None

    def add(self, other: CascadeTally) -> None:
        """Counts in what it did elsewhere."""
        self.judgments += other.judgments
        self.again += other.again
        self.first += other.first
        self.then += other.then

    def sentence(self) -> str | None:
        """For people; None where there was nothing to judge. What the second judge would have taken for all is what it
        took for one judgment, times all of them."""
        if self.share is None:
            return None
        told = (
            f"Cascade saving: the second judge was asked for {self.again:,} of {self.judgments:,} judgments "
            f"({100 * self.share:.1f} %)"
        )
        if not self.again:
            return told
        alone = self.judgments / self.again
        if self.then.cost:
            paid = (self.first.cost or 0.0) + self.then.cost
            return (
                f"{told}; both cost {paid:,.4f}, the second alone would have cost about {self.then.cost * alone:,.4f}"
            )
        tokens = self.then.input_tokens + self.then.output_tokens
        told += f"; it took {_amount(self.then.requests, tokens)}, "
        return f"{told}and would have taken about {_amount(self.then.requests * alone, tokens * alone)} for all"


def _amount(requests: float, tokens: float) -> str:
    return f"{requests:,.0f} requests" + (f" and {tokens:,.0f} tokens" if tokens else "")


def confidence(judgment: Judgment) -> float | None:
    """How sure a judge is of the level that it gave, in [0, 1]: the level's probability, or how far its samples agree —
    the smaller of the two where there are both. None where there is no level, or nothing tells."""
    if judgment.level is None or (judgment.samples is not None and judgment.agreement is None):
        return None
    shares = judgment.probabilities
    told = [judgment.agreement, None if shares is None else shares.get(judgment.level, 0.0)]
    return min((share for share in told if share is not None), default=None)


class MemberPlanners:
    """The members' planners, by rubric; a `PlannerOf`.

    Args:
        judge: the ensemble.
        rubrics: for these they are made now, so that a template or a mode that cannot ask them is refused at the door.

    Raises:
        InputError: as `Planner` does.
    """

    def __init__(self, judge: EnsembleJudge, rubrics: Iterable[Rubric] = ()) -> None:
        self._judges = [member.judge for member in judge.members]
        # by the rubric itself, which is kept: another one may get the address of one that is gone
        self._made: OrderedDict[tuple[int, int], tuple[Rubric, Planner]] = OrderedDict()
        for rubric in rubrics:
            for place in range(len(self._judges)):
                self(place, rubric)

    def __call__(self, place: int, rubric: Rubric) -> Planner:
        key = (place, id(rubric))
        if key not in self._made:
            if rubric.instance:  # one row's own criteria: planned by the rubric that they were added to
                for (other, _), (base, planner) in reversed(self._made.items()):
                    if other == place and base.ref == rubric.ref:
                        return planner
            judge = self._judges[place]
            self._made[key] = rubric, Planner(rubric, judge.profile, prompts=judge.reads_prompts)
            while len(self._made) > MAX_PLANNERS * len(self._judges):
                self._made.popitem(last=False)
        return self._made[key][1]


@dataclass(frozen=True, slots=True)
class _Told:
    """What one member said to one request: a judgment for each criterion that it was asked for."""

    judgments: dict[str, Judgment]
    usages: dict[str, Usage]

    @property
    def usage(self) -> Usage:
        return sum(self.usages.values(), Usage())


class EnsembleDesk:
    """Asks a panel or a cascade; made for one run, on one event loop.

    Args:
        judge: the ensemble.
        desks: one for each of its members, in their order.
        planner_of: how the members are asked; default: planners are made as rubrics come.
        tally: where a cascade counts.

    Attributes:
        batch_size: 1: the members' own desks make batches where a judge wants them.
    """

    batch_size = 1

    def __init__(
        self,
        judge: EnsembleJudge,
        desks: Sequence[Asks],
        planner_of: PlannerOf | None = None,
        tally: CascadeTally | None = None,
    ) -> None:
        if len(desks) != len(judge.members):
            raise ValueError(f"{judge.profile.name} has {len(judge.members)} members, not {len(desks)}")
        self.judge = judge
        self.desks = tuple(desks)
        self.tally = tally if tally is not None else CascadeTally()
        self._planner_of = planner_of or MemberPlanners(judge)
        self._asking = [_Together(desk) if desk.batch_size > 1 else desk for desk in desks]
        # as many as keep the members busy; a request that only waits need not be rendered yet
        self._slots = asyncio.Semaphore(2 * judge.profile.concurrency)

    def known(self, requests: Sequence[Request]) -> list[Asked | None]:
        """Nothing: the members' desks look up what their judges are asked."""
        return [None] * len(requests)

    async def ask(self, request: Request) -> Asked:
        """What the members' answers come to, with what all of them took.

        Raises:
            JudgeUnreachable, BudgetExhausted: where asking on would be in vain, of whichever member.
            Stopped: where the run was stopped before the members were asked.
        """
        async with self._slots:
            return (await self._ask([request]))[0]

    async def ask_all(self, requests: Sequence[Request]) -> list[Asked]:
        """Several requests, each member being asked all of them at a time."""
        return await self._ask(requests)

    async def ask_batch(self, requests: Sequence[Request]) -> list[Asked]:
        """As `ask_all`."""
        return await self._ask(requests)

    def stop(self, *, hard: bool = False) -> None:
        """Stops the members' desks."""
        for asking in self._asking:
            asking.stop(hard=hard)

    async def settle(self) -> None:
        """Waits until what is under way at the members' desks has ended."""
        for asking in self._asking:
            await asking.settle()

    async def _ask(self, requests: Sequence[Request]) -> list[Asked]:
        if self.judge.profile.panel is not None:
            return await self._ask_panel(requests)
        return await self._ask_cascade(requests)

    async def _ask_panel(self, requests: Sequence[Request]) -> list[Asked]:
        panel = self.judge.profile.panel
        assert panel is not None
        members = self.judge.members
        wanted: list[_Wanted] = [(request, request.criteria) for request in requests]
        told = await asyncio.gather(*(self._told(place, wanted) for place in range(len(members))))
        results: list[Asked] = []
        for request, each in zip(requests, zip(*told, strict=True), strict=True):
            judgments: list[Judgment] = []
            for criterion in request.criteria:
                voices = [
                    Voice(member.judge.profile.name, member.weight, one.judgments[criterion.id])
                    for member, one in zip(members, each, strict=True)
                ]
                judgments.append(combine_panel(criterion, voices, panel.combine))
            shares = tuple(sum((one.usages[item.id] for one in each), Usage()) for item in request.criteria)
            results.append(Asked(tuple(judgments), sum(shares, Usage()), shares))
        return results

    async def _ask_cascade(self, requests: Sequence[Request]) -> list[Asked]:
        cascade = self.judge.profile.cascade
        assert cascade is not None
        first = await self._told(0, [(request, request.criteria) for request in requests])
        unsure: list[_Wanted] = []
        for request, one in zip(requests, first, strict=True):
            criteria = [item for item in request.criteria if _unsure(one.judgments[item.id], cascade.unsure_below)]
            if criteria:
                unsure.append((request, criteria))
        then = iter(await self._told(1, unsure)) if unsure else iter(())
        again = {id(request): criteria for request, criteria in unsure}
        results: list[Asked] = []
        for request, one in zip(requests, first, strict=True):
            usages = dict(one.usages)
            settled = dict(one.judgments)
            self.tally.judgments += len(request.criteria)
            self.tally.first += one.usage
            if id(request) in again:
                other = next(then)
                self.tally.again += len(again[id(request)])
                self.tally.then += other.usage
                for criterion in again[id(request)]:
                    settled[criterion.id] = self._settled(one.judgments[criterion.id], other.judgments[criterion.id])
                    usages[criterion.id] += other.usages[criterion.id]
            shares = tuple(usages[criterion.id] for criterion in request.criteria)
            judgments = tuple(settled[criterion.id] for criterion in request.criteria)
            results.append(Asked(judgments, sum(shares, Usage()), shares))
        return results

    def _settled(self, first: Judgment, then: Judgment) -> Judgment:
        """The second judge's judgment; where it has no level either, with both their reasons."""
        if then.status not in ("unscored", "abstained"):
            return then
        one, two = (member.judge.profile.name for member in self.judge.members)
        if first.status == "scored":
            sure = confidence(first)
            how = "unsure" if sure is None else f"unsure ({sure:.2f})"
            first = Judgment(first.criterion, "unscored", error=how)
        return Judgment(then.criterion, then.status, reason=then.reason, error=because([(one, first), (two, then)]))

    async def _told(self, place: int, wanted: Sequence[_Wanted]) -> list[_Told]:
        """What one member says, its samples combined; for each request the criteria that are named with it."""
        sampling = self.judge.members[place].judge.profile.sampling
        planned: list[list[Request]] = []
        for request, criteria in wanted:
            planner = self._planner_of(place, request.rubric)
            planned.append(planner.requests_for(request.conversation, request.rubric, request.target, criteria))
        answers = iter(await self._asking[place].ask_all([request for each in planned for request in each]))
        results: list[_Told] = []
        for (_, criteria), each in zip(wanted, planned, strict=True):
            samples: dict[str, list[Judgment]] = {}
            usages = {item.id: Usage() for item in criteria}
            for _ in each:
                asked = next(answers)
                for judgment, share in zip(asked.judgments, asked.each(), strict=True):
                    samples.setdefault(judgment.criterion, []).append(judgment)
                    usages[judgment.criterion] += share
            combined = {item.id: combine_samples(item, samples[item.id], sampling.combine) for item in criteria}
            results.append(_Told(combined, usages))
        return results


def _unsure(judgment: Judgment, below: float) -> bool:
    if judgment.status == "scored":
        sure = confidence(judgment)
        return sure is None or sure < below - _EPS
    return judgment.status in ("unscored", "abstained")


class _Together:
    """Makes batches of what is asked side by side of a judge that takes several requests at a time."""

    def __init__(self, desk: Asks) -> None:
        self._desk = desk
        self._queue: deque[tuple[Request, asyncio.Future[Asked]]] = deque()
        self._worker: asyncio.Task[None] | None = None

    async def ask_all(self, requests: Sequence[Request]) -> list[Asked]:
        known = self._desk.known(requests)
        loop = asyncio.get_running_loop()
        waiting: list[asyncio.Future[Asked]] = []
        for request, asked in zip(requests, known, strict=True):
            if asked is None:
                waiting.append(loop.create_future())
                self._queue.append((request, waiting[-1]))
        if self._queue and (self._worker is None or self._worker.done()):
            self._worker = asyncio.ensure_future(self._work())
        new = iter(await asyncio.gather(*waiting))
        return [next(new) if asked is None else asked for asked in known]

    def stop(self, *, hard: bool = False) -> None:
        self._desk.stop(hard=hard)
        if hard and self._worker is not None:
            self._worker.cancel()

    async def settle(self) -> None:
        if self._worker is not None:
            await asyncio.wait([self._worker])
        await self._desk.settle()

    async def _work(self) -> None:
        while self._queue:
            batch: list[tuple[Request, asyncio.Future[Asked]]] = []
            while self._queue and len(batch) < self._desk.batch_size:
                item = self._queue.popleft()
                if not item[1].done():  # whoever waited may have been cancelled
                    batch.append(item)
            if not batch:
                continue
            try:
                answers = await self._desk.ask_batch([request for request, _ in batch])
            except asyncio.CancelledError:
                for _, future in (*batch, *self._queue):
                    future.cancel()
                raise
            except BaseException as problem:  # nobody must wait for ever
                for _, future in batch:
                    if not future.done():
                        future.set_exception(problem)
                continue
            for (_, future), asked in zip(batch, answers, strict=True):
                if not future.done():
                    future.set_result(asked)
