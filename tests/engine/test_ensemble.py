"""Panels and cascades at work: members asked in their own ways, their answers put together, nobody asked in vain."""

from __future__ import annotations

import asyncio
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from making import at, binary, make, ordinal, without

import kardia
from kardia.answer import from_distribution, read_answer
from kardia.combine import combine_samples
from kardia.engine.asked import Asked
from kardia.engine.ensemble import CascadeTally, EnsembleDesk, MemberPlanners, confidence
from kardia.errors import JudgeUnreachable, ProfileError
from kardia.judge.ensemble import EnsembleJudge
from kardia.judge.profile import JudgeProfile
from kardia.judge.protocol import Known, Opinion, Request, Said, Usage
from kardia.spans import target_of

RUBRIC = make(ordinal("kind"), ordinal("warm"), binary("blames", good="no"))
KIND = RUBRIC.criteria[0]
ROW = kardia.Conversation(
    "c", (kardia.Message("user", "My dog died."), kardia.Message("assistant", "I'm so sorry. He was family."))
)


class PlainDesk:
    """A member's desk without anything around it: every request goes to the judge, and is kept for the test."""

    def __init__(self, judge):
        self.judge = judge
        self.batch_size = judge.batch_size
        self.calls = []
        self.stored = {}
        self.stops = []
        self.settled = 0

    def known(self, requests):
        return [self.stored.get(request.target.text) for request in requests]

    async def ask_all(self, requests):
        return await self.ask_batch(requests)

    async def ask_batch(self, requests):
        self.calls.append(list(requests))
        asked = []
        for request, answer in zip(requests, await self.judge.answer(requests), strict=True):
            if isinstance(answer, Exception):
                raise answer
            asked.append(Asked(tuple(read_answer(request, answer)[0]), answer.usage))
        return asked

    def stop(self, *, hard=False):
        self.stops.append(hard)

    async def settle(self):
        self.settled += 1

    @property
    def asked(self):
        return [request for call in self.calls for request in call]


class Certain:
    """A judge without words, which takes several requests at a time."""

    reads_prompts = False

    def __init__(self, name="certain", share=1.0, batch_size=8):
        self.profile = JudgeProfile(name=name, backend="fake")
        self.batch_size = batch_size
        self.share = share

    async def answer(self, requests):
        await asyncio.sleep(0)
        answers = []
        for request in requests:
            opinions = {}
            for criterion in request.criteria:
                best, *rest = sorted(criterion.levels, key=criterion.value, reverse=True)
                shares = {level: (1 - self.share) / len(rest) for level in rest}
                opinions[criterion.id] = Opinion({best: self.share, **shares})
            answers.append(Known(opinions, Usage(requests=1)))
        return answers

    async def aclose(self):
        return None


def says(name, levels, *, words=None, price=None, tokens=0, **profile):
    """A judge that gives each criterion the same level whatever it reads; a level may be a function of the sample."""

    def verdict(criterion, sample):
        level = levels[criterion.id]
        level = level(sample) if callable(level) else level
        return {"reason": words or f"{name} says so", "evidence": [], "level": level}

    def reply(request):
        for criterion in request.criteria:
            if isinstance(levels[criterion.id], Exception):
                return levels[criterion.id]
        verdicts = {criterion.id: verdict(criterion, request.sample) for criterion in request.criteria}
        body = verdicts if request.mode == "all_criteria" else verdicts[request.criteria[0].id]
        return Said(json.dumps(body), usage=Usage(1, tokens, tokens // 10, price))

    return kardia.FakeJudge(reply, profile=JudgeProfile.model_validate({"name": name, "backend": "fake", **profile}))


def panel(*members, **options):
    judges = [{"judge": f"j{number}", "weight": weight} for number, (_, weight) in enumerate(members)]
    profile = {"name": "p", "backend": "panel", "panel": {"judges": judges, **options}}
    return EnsembleJudge(JudgeProfile.model_validate(profile), [judge for judge, _ in members])


def cascade(first, then, **options):
    profile = {"name": "c", "backend": "cascade", "cascade": {"first": "a", "then": "b", **options}}
    return EnsembleJudge(JudgeProfile.model_validate(profile), [first, then])


def desk_of(judge, planner_of=None, **rest):
    desks = [
        desk_of(member.judge) if isinstance(member.judge, EnsembleJudge) else PlainDesk(member.judge)
        for member in judge.members
    ]
    return EnsembleDesk(judge, desks, planner_of, **rest)


def outer(rubric=RUBRIC, row=ROW, criteria=None):
    """A request as it is planned for an ensemble: all criteria of a target, in no words yet."""
    return Request(row, target_of(row, "reply"), rubric, tuple(criteria or rubric.criteria), "all_criteria")


def rows(count):
    messages = [(kardia.Message("user", "I failed."), kardia.Message("assistant", f"Oh, {n}.")) for n in range(count)]
    return [kardia.Conversation(str(number), each) for number, each in enumerate(messages)]


ALL_1 = {"kind": 1, "warm": 1, "blames": "no"}
ALL_5 = {"kind": 5, "warm": 5, "blames": "no"}


# --- panels ----------------------------------------------------------------------------------------------------------


async def test_a_panel_asks_everybody_in_their_own_way():
    one = says("one", ALL_1, mode="per_criterion", sampling={"samples": 2})
    two = says("two", {"kind": 4, "warm": 2, "blames": "yes"}, mode="all_criteria")
    desk = desk_of(panel((one, 1.0), (two, 3.0)))
    asked = await desk.ask(outer())
    requests = [inner.asked for inner in desk.desks]
    assert [(request.mode, request.sample, len(request.criteria)) for request in requests[0]] == [
        ("per_criterion", sample, 1) for _ in RUBRIC.criteria for sample in (0, 1)
    ]
    assert [(request.mode, len(request.criteria)) for request in requests[1]] == [("all_criteria", 3)]
    assert all(request.messages for each in requests for request in each)
    assert [judgment.criterion for judgment in asked.judgments] == ["kind", "warm", "blames"]
    kind, warm, blames = asked.judgments
    assert (kind.level, kind.value, kind.samples, kind.reason) == (4, pytest.approx(0.5625), (1, 4), "two says so")
    assert (warm.level, blames.level) == (2, "yes")
    assert kind.agreement == 0.75
    assert asked.usage.requests == 7


async def test_a_members_own_samples_are_combined_by_its_own_rule():
    torn = {"kind": lambda sample: (1, 5, 5)[sample]}
    made = {}
    for how in ("mean", "majority"):
        one = says("one", torn, sampling={"samples": 3, "combine": how})
        judgment = (await desk_of(panel((one, 1.0), (says("two", ALL_5), 1.0))).ask(outer(criteria=[KIND]))).judgments[
            0
        ]
        made[how] = judgment.value
        assert judgment.samples == (5, 5)
    assert made == {"mean": pytest.approx((2 / 3 + 1) / 2), "majority": 1.0}


@pytest.mark.parametrize(("how", "value"), [("mean", 7 / 12), ("median", 0.75), ("majority", 0.0)])
async def test_a_panel_combines_as_it_says(how, value):
    members = [(says(name, {"kind": level}), 1.0) for name, level in (("a", 1), ("b", 4), ("c", 5))]
    asked = await desk_of(panel(*members, combine=how)).ask(outer(criteria=[KIND]))
    assert asked.judgments[0].value == pytest.approx(value)


async def test_a_member_that_failed_is_left_out_and_named():
    garbage = kardia.FakeJudge("a strong 4!", profile=JudgeProfile(name="odd", backend="fake"))
    asked = await desk_of(panel((garbage, 1.0), (says("one", ALL_5), 1.0))).ask(outer(criteria=[KIND]))
    assert (asked.judgments[0].level, asked.judgments[0].samples) == (5, (None, 5))
    asked = await desk_of(panel((garbage, 1.5), (says("one", ALL_5), 1.0))).ask(outer(criteria=[KIND]))
    assert asked.judgments[0].status == "unscored"
    assert asked.judgments[0].error.startswith("odd: the answer is not a JSON object")


async def test_usage_adds_up_over_the_members():
    members = [(says("one", ALL_1, price=0.5, tokens=100), 1.0), (says("two", ALL_1, tokens=50), 1.0)]
    usage = (await desk_of(panel(*members)).ask(outer())).usage
    assert (usage.requests, usage.input_tokens, usage.output_tokens, usage.cost) == (6, 450, 45, 1.5)


async def test_a_member_that_cannot_be_reached_ends_the_run():
    gone = says("gone", {"kind": JudgeUnreachable("nobody is there")})
    desk = desk_of(panel((says("one", ALL_1), 1.0), (gone, 1.0)))
    with pytest.raises(JudgeUnreachable, match="nobody is there"):
        await desk.ask(outer(criteria=[KIND]))


async def test_nothing_is_known_and_stopping_stops_the_members():
    desk = desk_of(panel((says("one", ALL_1), 1.0), (Certain(), 1.0)))
    assert desk.batch_size == 1
    assert desk.known([outer(), outer()]) == [None, None]
    desk.stop()
    desk.stop(hard=True)
    await desk.settle()
    assert [(inner.stops, inner.settled) for inner in desk.desks] == [([False, True], 1)] * 2


async def test_many_requests_at_once_come_back_in_their_order():
    def level(request):
        return {"reason": "so", "level": 1 + int(request.conversation.id) % 5}

    one = kardia.FakeJudge(level, profile=JudgeProfile(name="one", backend="fake"))
    desk = desk_of(panel((one, 1.0), (says("two", ALL_1), 0.001)))
    requests = [outer(row=row, criteria=[KIND]) for row in rows(7)]
    for asked in (await desk.ask_all(requests), await desk.ask_batch(requests)):
        assert [each.judgments[0].level for each in asked] == [1, 2, 3, 4, 5, 1, 2]
    assert [len(call) for call in desk.desks[1].calls] == [7, 7]


async def test_no_more_is_rendered_than_keeps_the_members_busy():
    under_way = peak = 0

    async def late(request):
        nonlocal under_way, peak
        under_way += 1
        peak = max(peak, under_way)
        await asyncio.sleep(0.001)
        under_way -= 1
        return {"reason": "so", "level": 3}

    profile = {"name": "one", "backend": "fake", "limits": {"concurrency": 3}}
    one = kardia.FakeJudge(late, profile=JudgeProfile.model_validate(profile))
    two = says("two", ALL_1, limits={"concurrency": 2})
    desk = desk_of(panel((one, 1.0), (two, 1.0)))
    await asyncio.gather(*(desk.ask(outer(row=row, criteria=[KIND])) for row in rows(40)))
    assert peak == 6


# --- judges that take several requests at a time ---------------------------------------------------------------------


async def test_what_is_asked_side_by_side_becomes_batches():
    desk = desk_of(panel((Certain(batch_size=8), 1.0), (says("two", ALL_5), 1.0)))
    requests = [outer(row=row) for row in rows(10)]
    asked = await asyncio.gather(*(desk.ask(request) for request in requests))
    assert [len(call) for call in desk.desks[0].calls] == [8, 8, 8, 6]
    assert [[judgment.level for judgment in each.judgments] for each in asked] == [[5, 5, "no"]] * 10
    assert {each.usage.requests for each in asked} == {6}
    assert [request.conversation.id for request in desk.desks[0].asked] == [str(n // 3) for n in range(30)]


async def test_what_the_ledger_knows_is_not_in_the_batches():
    desk = desk_of(panel((Certain(), 1.0), (says("two", ALL_5), 0.001)))
    known = Asked((at(KIND, 2),), Usage())
    desk.desks[0].stored["Oh, 1."] = known
    asked = await asyncio.gather(*(desk.ask(outer(row=row, criteria=[KIND])) for row in rows(3)))
    assert [each.judgments[0].level for each in asked] == [5, 2, 5]
    assert [request.conversation.id for request in desk.desks[0].asked] == ["0", "2"]


async def test_a_batch_that_fails_fails_for_all_that_are_in_it():
    class Dead(Certain):
        async def answer(self, requests):
            raise JudgeUnreachable("the encoder is gone")

    desk = desk_of(panel((Dead(), 1.0), (says("two", ALL_5), 1.0)))
    asked = await asyncio.gather(*(desk.ask(outer(row=row)) for row in rows(3)), return_exceptions=True)
    assert [str(each) for each in asked] == ["the encoder is gone"] * 3


async def test_what_nobody_waits_for_any_more_is_not_asked():
    desk = desk_of(panel((Certain(batch_size=3), 1.0), (says("two", ALL_5), 1.0)))
    tasks = [asyncio.ensure_future(desk.ask(outer(row=row, criteria=[KIND]))) for row in rows(5)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)  # all of them wait for the batches now
    tasks[4].cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert [request.conversation.id for request in desk.desks[0].asked] == ["0", "1", "2", "3"]


async def test_giving_up_leaves_no_task_behind():
    class Slow(Certain):
        async def answer(self, requests):
            await asyncio.sleep(3600)

    desk = desk_of(panel((Slow(), 1.0), (says("two", ALL_5), 1.0)))
    tasks = [asyncio.ensure_future(desk.ask(outer(row=row))) for row in rows(3)]
    await asyncio.sleep(0.01)
    desk.stop(hard=True)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await asyncio.wait_for(desk.settle(), 30)
    assert asyncio.all_tasks() == {asyncio.current_task()}


# --- cascades --------------------------------------------------------------------------------------------------------


def wavering(levels, **rest):
    return says("first", levels, sampling={"samples": 4}, **rest)


async def test_a_cascade_asks_again_only_where_the_first_is_unsure():
    first = wavering({"kind": 4, "warm": lambda sample: (1, 2, 3, 4)[sample], "blames": lambda sample: "no"})
    then = says("then", {"kind": 1, "warm": 5, "blames": "yes"}, mode="all_criteria")
    desk = desk_of(cascade(first, then))
    asked = await desk.ask(outer())
    assert [judgment.level for judgment in asked.judgments] == [4, 5, "no"]
    assert asked.judgments[1].reason == "then says so"
    assert asked.judgments[0].samples == (4, 4, 4, 4)
    assert [[item.id for item in request.criteria] for request in desk.desks[1].asked] == [["warm"]]
    assert (desk.tally.judgments, desk.tally.again, desk.tally.share) == (3, 1, 1 / 3)
    assert asked.usage.requests == 13
    assert (desk.tally.first.requests, desk.tally.then.requests) == (12, 1)


async def test_all_unsure_criteria_are_one_question_where_the_second_takes_them_together():
    def unsure(sample):
        return 1 + sample

    then = says("then", ALL_5, mode="all_criteria")
    desk = desk_of(cascade(wavering({**ALL_1, "kind": unsure, "warm": unsure}), then))
    assert [judgment.level for judgment in (await desk.ask(outer())).judgments] == [5, 5, "no"]
    assert [[item.id for item in request.criteria] for request in desk.desks[1].asked] == [["kind", "warm"]]


async def test_where_the_first_is_sure_nobody_else_is_asked():
    desk = desk_of(cascade(wavering(ALL_1), says("then", ALL_5)))
    asked = await desk.ask_all([outer(row=row) for row in rows(4)])
    assert all([judgment.level for judgment in each.judgments] == [1, 1, "no"] for each in asked)
    assert desk.desks[1].calls == []
    assert desk.tally.sentence() == ("Cascade saving: the second judge was asked for 0 of 12 judgments (0.0 %)")


@pytest.mark.parametrize(
    ("levels", "below", "again"),
    [
        ((4, 4, 4, 4), 1.0, False),
        ((4, 4, 4, 3), 1.0, True),
        ((4, 4, 4, 3), 0.75, False),
        ((4, 4, 4, 3), 0.76, True),
        ((4, 4, 3, 3), 0.5, False),
    ],
)
async def test_how_unsure_is_unsure(levels, below, again):
    first = wavering({"kind": lambda sample: levels[sample]})
    desk = desk_of(cascade(first, says("then", ALL_1), unsure_below=below))
    level = (await desk.ask(outer(criteria=[KIND]))).judgments[0].level
    assert (level == 1) == bool(desk.desks[1].calls) == again


@pytest.mark.parametrize(("share", "again"), [(0.81, False), (0.79, True)])
async def test_probabilities_tell_how_sure_a_judge_is(share, again):
    desk = desk_of(cascade(Certain(share=share), says("then", {"kind": 2})))
    assert (await desk.ask(outer(criteria=[KIND]))).judgments[0].level == (2 if again else 5)


@pytest.mark.parametrize("status", ["unscored", "abstained"])
async def test_what_the_first_cannot_judge_the_second_does(status):
    class Silent(Certain):
        async def answer(self, requests):
            why = {"failed": "no idea"} if status == "unscored" else {"abstained": "too few examples"}
            return [Known({item.id: Opinion(**why) for item in request.criteria}) for request in requests]

    desk = desk_of(cascade(Silent(), says("then", ALL_5)))
    assert [judgment.level for judgment in (await desk.ask(outer())).judgments] == [5, 5, "no"]
    assert desk.tally.again == 3
    # where the second has no level either, both reasons are kept, and no number is made up
    garbage = kardia.FakeJudge("a strong 4!", profile=JudgeProfile(name="then", backend="fake"))
    judgment = (await desk_of(cascade(Silent(), garbage)).ask(outer())).judgments[0]
    assert (judgment.status, judgment.level) == ("unscored", None)
    why = "no idea" if status == "unscored" else "too few examples"
    assert judgment.error.startswith(f"certain: {why}; then: the answer is not a JSON object")


async def test_an_unsure_level_is_not_kept_where_the_second_fails():
    garbage = kardia.FakeJudge("a strong 4!", profile=JudgeProfile(name="then", backend="fake"))
    judgment = (await desk_of(cascade(Certain(share=0.6), garbage)).ask(outer())).judgments[0]
    assert (judgment.status, judgment.value) == ("unscored", None)
    assert judgment.error.startswith("certain: unsure (0.60); then: the answer is not a JSON object")


async def test_what_the_first_finds_not_applicable_is_not_asked_again():
    rubric = make(ordinal("kind", not_relevant="Where nobody is spoken to."))
    first = says("first", {"kind": "not relevant"}, sampling={"samples": 2})
    desk = desk_of(cascade(first, says("then", ALL_5)))
    assert (await desk.ask(outer(rubric))).judgments[0].status == "not_applicable"
    assert desk.desks[1].calls == []


async def test_a_first_judge_that_cannot_tell_is_refused():
    with pytest.raises(ProfileError, match=r"c: cascade.first: the judge first shows neither probabilities nor"):
        cascade(says("first", ALL_1), says("then", ALL_5))


async def test_a_cascade_whose_second_judge_is_a_panel():
    both = panel((says("one", ALL_1), 1.0), (says("two", ALL_5), 1.0))
    desk = desk_of(cascade(Certain(share=0.5), both))
    judgment = (await desk.ask(outer())).judgments[0]
    assert (judgment.value, judgment.samples) == (0.5, (1, 5))


async def test_a_panel_that_is_unsure_because_its_members_differ():
    torn = panel((says("one", {**ALL_1, "warm": 4}), 1.0), (says("two", {**ALL_5, "warm": 4}), 1.0))
    desk = desk_of(cascade(torn, says("then", {"kind": 3, "warm": 1, "blames": "yes"})))
    assert [judgment.level for judgment in (await desk.ask(outer())).judgments] == [3, 4, "no"]


# --- confidence and the tally ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("judgment", "sure"),
    [
        (at(KIND, 4), None),
        (without(KIND), None),
        (without(KIND, "abstained"), None),
        (from_distribution(KIND, {4: 0.7, 5: 0.3}), 0.7),
        (combine_samples(KIND, [at(KIND, 4), at(KIND, 4), at(KIND, 5)]), 2 / 3),
        (combine_samples(KIND, [at(KIND, 4), at(KIND, 4), at(KIND, 5)], "majority"), 2 / 3),
        # samples that agree on a level of which none is sure
        (combine_samples(KIND, [from_distribution(KIND, {4: 0.6, 5: 0.4})] * 2), 0.6),
        # one sample of two is nobody's agreement
        (combine_samples(KIND, [at(KIND, 4), without(KIND)]), None),
    ],
)
def test_confidence(judgment, sure):
    assert confidence(judgment) == (sure and pytest.approx(sure))


@given(st.lists(st.sampled_from(KIND.levels), min_size=1, max_size=6), st.sampled_from(["mean", "median", "majority"]))
def test_confidence_is_a_share(levels, how):
    sure = confidence(combine_samples(KIND, [at(KIND, level) for level in levels], how))
    assert (sure is None) == (len(levels) == 1)
    if sure is not None:
        assert 1 / len(levels) - 1e-9 <= sure <= 1
        assert (sure == 1) == (len(set(levels)) == 1)


def test_the_saving_in_a_sentence():
    head = "Cascade saving: the second judge was asked for 120 of 1,500 judgments (8.0 %)"
    assert CascadeTally().sentence() is None
    assert CascadeTally().share is None
    free = CascadeTally(1500, 120, Usage(1500, 900_000), Usage(120, 80_000, 4_000))
    assert free.sentence() == (
        f"{head}; it took 120 requests and 84,000 tokens, and would have taken about 1,500 requests and "
        "1,050,000 tokens for all"
    )
    wordless = CascadeTally(1500, 120, Usage(), Usage(120))
    assert wordless.sentence() == f"{head}; it took 120 requests, and would have taken about 1,500 requests for all"
    priced = CascadeTally(1500, 120, Usage(1500, cost=0.05), Usage(120, cost=0.4))
    assert priced.sentence() == f"{head}; both cost 0.4500, the second alone would have cost about 5.0000"


async def test_a_tally_is_added_to_by_every_desk_that_is_given_it():
    tally = CascadeTally()
    for _ in range(2):
        await desk_of(cascade(Certain(share=0.5), says("then", ALL_5)), tally=tally).ask(outer())
    assert (tally.judgments, tally.again) == (6, 6)


# --- planners --------------------------------------------------------------------------------------------------------


def test_members_are_planned_at_the_door():
    unasked = make(ordinal("kind", not_relevant="Where nobody is spoken to."))
    judge = panel((says("one", ALL_1), 1.0), (says("two", ALL_1, mode="logprob"), 1.0))
    with pytest.raises(ProfileError, match="two: mode: logprob mode cannot ask kind"):
        MemberPlanners(judge, [RUBRIC, unasked])
    planners = MemberPlanners(judge, [RUBRIC])
    assert planners(0, RUBRIC) is planners(0, RUBRIC)
    assert [planners(place, RUBRIC).profile.name for place in (0, 1)] == ["one", "two"]


def test_a_rows_own_criteria_are_planned_by_the_rubric_that_they_were_added_to():
    judge = panel((says("one", ALL_1), 1.0), (Certain(), 1.0))
    planners = MemberPlanners(judge, [RUBRIC, make(ordinal("other"), name="other")])
    extended = RUBRIC.with_instance([make(ordinal("own")).criteria[0]])
    assert planners(0, extended) is planners(0, RUBRIC)
    assert planners(1, extended) is planners(1, RUBRIC)
    assert planners(1, RUBRIC).template is None
    requests = planners(0, extended).requests_for(ROW, extended, target_of(ROW, "reply"), extended.criteria)
    assert [request.criteria[0].id for request in requests] == ["kind", "warm", "blames", "own"]


def test_a_run_over_many_rubrics_keeps_few_planners():
    judge = panel((says("one", ALL_1), 1.0), (Certain(), 1.0))
    planners = MemberPlanners(judge)
    first = planners(0, RUBRIC)
    for number in range(150):
        planners(0, make(ordinal("kind"), name=f"r{number}"))
    assert len(planners._made) == 128
    assert planners(0, RUBRIC) is not first


def test_there_is_one_desk_a_member():
    with pytest.raises(ValueError, match="p has 2 members, not 1"):
        EnsembleDesk(panel((says("one", ALL_1), 1.0), (says("two", ALL_1), 1.0)), [PlainDesk(Certain())])
