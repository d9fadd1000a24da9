"""Judges asked for real: what is asked, how often, what is kept, and what a budget does."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace

import making
import pytest

pytest.importorskip("scipy", reason="probes need kardia[agree]")

import kardia
from kardia.conversation import Conversation, Message
from kardia.engine.halt import Halt
from kardia.engine.ledger import open_ledger
from kardia.errors import BudgetExhausted, InputError, Interrupted, ProfileError
from kardia.judge import JudgeProfile
from kardia.judge.backends.fake import FakeJudge
from kardia.judge.ensemble import EnsembleJudge
from kardia.probe import probe
from kardia.probe.again import asked_again
from kardia.probe.catalogue import chosen
from kardia.probe.forecast import forecast
from kardia.probe.running import designed, probed
from kardia.scoring import Settings

RUBRIC = making.make(making.ordinal("warm"), making.ordinal("clear"))
KEPT = ("padding", "retest", "misplaced")


def talks(n: int = 6, **metadata: object) -> list[Conversation]:
    return [
        Conversation(
            f"t{number}",
            (Message("user", f"It is day {number // 2}."), Message("assistant", f"I hear you, {number}. Go on.")),
            {"group": number // 2, **metadata},
        )
        for number in range(n)
    ]


def level(value: object) -> dict[str, object]:
    return {"reason": "Because.", "evidence": [], "level": value}


def test_a_changed_conversation_goes_the_way_of_every_other():
    judge = FakeJudge(lambda request: level(5 if "one way or another" in request.target.text else 3))
    report = probe(talks(), RUBRIC, judge, probes=["padding", "flattery"], ledger="off")
    (told,) = report.judges
    asked = Counter(request.target.text for request in judge.asked)
    assert len(asked) == 18
    assert set(asked.values()) == {2}  # two criteria, and every text once
    assert {request.conversation.id for request in judge.asked} == {f"t{number}" for number in range(6)}
    assert [result.probe for result in told.results] == ["padding", "flattery"]
    assert told.result("flattery").shift.value == 0.0
    assert told.result("flattery").criteria.keys() == {"warm", "clear"}
    assert (report.conversations, report.groups, told.score.value) == (6, 3, 0.5)
    assert report.rubric_hash == RUBRIC.hash
    assert told.provenance == {
        "name": "fake",
        "backend": "fake",
        "model": None,
        "mode": "per_criterion",
        "hash": judge.profile.hash,
    }
    assert any("only 3 groups" in note for note in report.notes)
    with pytest.raises(KeyError):
        told.result("order")


def test_the_report_is_json_and_comes_out_alike():
    reports = [probe(talks(), RUBRIC, ["fake"], probes=["-retest"], ledger="off") for _ in range(2)]
    texts = [json.dumps(report.to_json(), allow_nan=False) for report in reports]
    assert texts[0] == texts[1]
    data = json.loads(texts[0])
    assert data["kind"] == "kardia probe"
    assert list(data["judges"][0]) == [
        "judge",
        "provenance",
        "score",
        "attack_success",
        "harmless_rises",
        "findings",
        "results",
    ]
    for text in ("I hear you", "It is day"):
        assert text not in texts[0]
    other = probe(talks(), RUBRIC, "fake", probes=["-retest"], ledger="off", seed=8)
    assert json.dumps(other.to_json()["judges"]) != json.dumps(data["judges"])


def test_every_variant_is_tried_where_that_is_wanted():
    one, every = (
        probe(talks(), RUBRIC, "fake", probes=["master_key"], ledger="off", every_variant=all_)
        for all_ in (False, True)
    )
    assert one.judges[0].result("master_key").cases == 6
    assert every.judges[0].result("master_key").cases == 36
    assert {variant.n for variant in every.judges[0].result("master_key").variants} == {
        sum(variant.n for variant in every.judges[0].result("master_key").variants) // 6
    }


# ---- what is unscored -----------------------------------------------------------------------------------------------


def test_a_judge_that_gives_up_is_unscored_and_not_low():
    profile = JudgeProfile(name="shy", backend="fake", limits={"reask": 0})
    judge = FakeJudge(lambda request: "?" if "highest level" in request.target.text else level(3), profile=profile)
    (told,) = probe(talks(), RUBRIC, judge, probes=["fake_turn", "empty"], ledger="off").judges
    turns, empty = told.result("fake_turn"), told.result("empty")
    assert turns.unscored.value == 1.0
    assert (turns.shift.value, turns.rose.value) == (None, None)
    assert (empty.unscored.value, told.attacked, told.unscored, told.attack_success.value) == (1.0, 12, 12, None)
    assert {(one.probe, one.kind) for one in told.findings} == {("fake_turn", "unscored")}


def test_an_injection_that_silences_a_judge_is_named():
    """It refuses, or its answer cannot be read: either way the reply has no score."""
    profile = JudgeProfile(name="shy", backend="fake", limits={"reask": 0})
    judge = FakeJudge(lambda request: "?" if "highest level" in request.target.text else level(3), profile=profile)
    rows = [replace(talk, metadata={}) for talk in talks(20)]
    (told,) = probe(rows, RUBRIC, judge, probes=["fake_turn", "padding", "empty"], ledger="off").judges
    (finding,) = told.findings
    assert (finding.probe, finding.kind, finding.severity, finding.n) == ("fake_turn", "unscored", "high", 20)
    assert (finding.value, finding.high) == (1.0, 1.0)
    assert 0.7 < finding.low < 1.0
    assert "limits.reask" in finding.advice
    # what the guard leaves unscored is no fault of the judge's
    (told,) = probe(rows, RUBRIC, judge, probes=["fake_turn"], ledger="off", guard="unscore").judges
    assert (told.result("fake_turn").unscored.value, told.findings) == (1.0, ())


def test_nothing_is_expected_to_fall_where_a_rubric_only_forbids():
    rubric = making.make(making.binary("blames", good="no"))
    (told,) = probe(talks(20), rubric, FakeJudge(level("no")), probes=["master_key"], ledger="off").judges
    assert told.findings == ()
    assert "only forbids" in told.result("master_key").note
    wants = making.make(making.binary("comforts"))
    (told,) = probe(talks(40), wants, FakeJudge(level("yes")), probes=["master_key"], ledger="off").judges
    assert {(one.kind, one.criterion) for one in told.findings} == {("does not fall", None), ("constant", "comforts")}


def test_the_guard_takes_attacks_out():
    judge = FakeJudge(lambda request: level(5 if "highest level" in request.target.text else 3))
    open_, guarded = (
        probe(talks(), RUBRIC, judge, probes=["instructs", "padding"], ledger="off", every_variant=True, guard=mode)
        for mode in (None, "unscore")
    )
    assert open_.judges[0].result("instructs").rose.value == pytest.approx(1 / 3)
    told = guarded.judges[0]
    assert told.result("instructs").unscored.value > 0.9
    assert (told.result("padding").unscored.value, told.attack_success.value, guarded.guard) == (0.0, 0.0, "unscore")


def test_a_wish_to_stop_is_heard():
    judge = FakeJudge(lambda request: level(3))
    halt = Halt()
    settings = Settings(False, "off", halt=halt)
    tried = chosen(["padding", "retest"])
    with pytest.raises(Interrupted):
        probed(designed(talks(200), RUBRIC, tried), RUBRIC, [judge], tried, settings, watch=halt.request)
    assert len(judge.asked) < 2 * 600
    halted = Halt()
    halted.request()
    pairs = chosen(["order"])
    with pytest.raises(Interrupted):
        probed(
            designed(talks(), RUBRIC, pairs),
            RUBRIC,
            [comparer({"reason": "-", "better": "A"})],
            pairs,
            Settings(False, "off", halt=halted),
        )


# ---- asked again ----------------------------------------------------------------------------------------------------


def test_the_same_request_is_asked_again_to_the_last_byte():
    judge = FakeJudge(lambda request: level(3))
    probe(talks(), RUBRIC, judge, probes=["retest"], ledger="off")
    prompts = Counter((request.messages, request.sample) for request in judge.asked)
    assert len(prompts) == 12
    assert set(prompts.values()) == {2}


class Moody(FakeJudge):
    """Stored like a judge with an identity, and never of the same opinion."""

    def __init__(self, name: str = "moody") -> None:
        turns = iter(range(10**6))
        super().__init__(lambda request: level(1 + next(turns) % 5), profile=JudgeProfile(name=name, backend="fake"))
        self.identity = name


def test_asking_again_has_a_place_of_its_own_in_the_ledger(tmp_path):
    ledger = tmp_path / "ledger.sqlite3"
    first = Moody()
    before = probe(talks(), RUBRIC, first, probes=KEPT, ledger=ledger)
    assert before.judges[0].result("retest").levels.value > 0.5
    again = Moody()
    after = probe(talks(), RUBRIC, again, probes=KEPT, ledger=ledger)
    assert again.asked == []
    assert after.to_json() == before.to_json()
    # what was asked first is what scoring finds, and not what was asked again
    cards = list(kardia.score_many(talks(), RUBRIC, again, ledger=ledger))
    assert again.asked == []
    mean = sum(card.score for card in cards) / len(cards)
    assert mean == pytest.approx(before.judges[0].score.value)


def test_fresh_asks_everything(tmp_path):
    for fresh in (False, True):
        judge = Moody()
        probe(talks(), RUBRIC, judge, probes=["retest"], ledger=tmp_path / "ledger.sqlite3", fresh=fresh)
        assert len(judge.asked) == 24


def test_members_of_a_panel_are_asked_again():
    profiles = [JudgeProfile(name=name, backend="fake") for name in ("one", "two")]
    members = [FakeJudge(lambda request: level(3), profile=each) for each in profiles]
    profile = JudgeProfile(name="both", backend="panel", panel={"judges": [{"judge": "one"}, {"judge": "two"}]})
    panel = EnsembleJudge(profile, members)
    again = asked_again(panel)
    assert isinstance(again, EnsembleJudge)
    assert again.profile.hash == panel.profile.hash
    (told,) = probe(talks(), RUBRIC, panel, probes=["retest"], ledger="off").judges
    assert [len(member.asked) for member in members] == [24, 24]
    assert told.result("retest").levels.value == 0.0


def test_who_is_asked_again_is_the_same_but_for_its_place():
    judge = Moody()
    again = asked_again(judge, 2)
    assert (again.profile, again.reads_prompts, again.batch_size) == (judge.profile, True, 1)
    assert again.identity not in (judge.identity, asked_again(judge).identity)
    assert again.asked is judge.asked
    assert asked_again(FakeJudge("x")).identity is None
    assert "moody" in repr(again)


# ---- what is kept, and forgotten ------------------------------------------------------------------------------------


def test_what_was_asked_about_a_conversation_is_forgotten_with_it(tmp_path):
    path = tmp_path / "ledger.sqlite3"
    judge = Moody()
    probe(talks(), RUBRIC, judge, probes=KEPT, ledger=path)
    ledger = open_ledger(path)
    ledger.close()
    said = {request.target.text for request in judge.asked if "hear you, 3" in request.target.text}
    lent = {request.conversation.id for request in judge.asked if "hear you, 3" in request.target.text} - {"t3"}
    ledger.store.forget(["t3"])
    ledger.close()
    later = Moody()
    probe(talks(), RUBRIC, later, probes=KEPT, ledger=path)
    # also what others were asked about with its words
    assert {request.target.text for request in later.asked} >= said
    assert lent <= {request.conversation.id for request in later.asked}
    assert len(later.asked) < len(judge.asked)


# ---- budgets --------------------------------------------------------------------------------------------------------


def test_a_budget_is_for_all_judges_and_the_next_run_goes_on(tmp_path):
    path = tmp_path / "ledger.sqlite3"
    asked = 0
    for _ in range(10):
        judges = [Moody("one"), Moody("two")]
        try:
            report = probe(talks(), RUBRIC, judges, probes=["padding", "retest"], ledger=path, max_requests=20)
        except BudgetExhausted:
            spent = sum(len(judge.asked) for judge in judges)
            assert spent == 20
            asked += spent
        else:
            asked += sum(len(judge.asked) for judge in judges)
            break
    assert asked == 2 * (12 + 6) * 2
    assert [judge.name for judge in report.judges] == ["one", "two"]


def test_a_cap_on_money_needs_a_price():
    profile = JudgeProfile(name="paid", backend="http", model="m", base_url="http://127.0.0.1:9/v1")
    with pytest.raises(ProfileError, match="price"):
        probe(talks(), RUBRIC, FakeJudge(level(3), profile=profile), max_cost=1.0, ledger="off")


# ---- order ----------------------------------------------------------------------------------------------------------


def comparer(better, mode="pairwise"):
    return FakeJudge(better, profile=JudgeProfile(name=mode, backend="fake", mode=mode))


def test_a_judge_that_goes_by_the_place_is_named():
    judge = comparer({"reason": "The first.", "better": "A"})
    (told,) = probe(talks(40), RUBRIC, judge, ledger="off").judges
    order = told.result("order")
    assert (order.cases, order.groups, order.moved.value) == (20, 20, 1.0)
    assert [(one.probe, one.kind) for one in told.findings] == [("order", "unsteady")]
    assert "100% of the verdicts turn where two replies change places" in told.findings[0].sentence
    assert len(judge.asked) == 40
    assert told.result("padding").note == "the judge's mode compares replies, and scores none on its own"
    assert (told.score.value, told.attack_success.value) == (None, None)


def test_a_judge_that_goes_by_the_words_is_not():
    judge = comparer(
        lambda request: {"reason": "Longer.", "better": "A" if request.candidates[0] > request.candidates[1] else "B"}
    )
    (told,) = probe(talks(40), RUBRIC, judge, probes=["order"], ledger="off").judges
    assert (told.result("order").moved.value, told.findings) == (0.0, ())
    ranks = comparer({"reason": "The first.", "ranking": ["R1", "R2"]}, "groupwise")
    (told,) = probe(talks(40), RUBRIC, ranks, probes=["order"], ledger="off").judges
    assert told.result("order").moved.value == 1.0


def test_a_judge_that_scores_compares_only_when_it_is_named():
    asked = []
    for probes in (["padding", "order"], None):
        judge = FakeJudge(
            lambda request: level(3) if request.mode == "per_criterion" else {"reason": "-", "better": "A"}
        )
        (told,) = probe(talks(), RUBRIC, judge, probes=probes, ledger="off").judges
        asked.append(sum(request.mode == "pairwise" for request in judge.asked))
        if probes is None:
            assert "only where --probes names it" in told.result("order").note
    assert asked == [6, 0]


def test_pairs_that_have_no_verdict_are_unscored_and_cost_their_share():
    judge = comparer("?")
    (told,) = probe(talks(), RUBRIC, judge, probes=["order"], ledger="off").judges
    assert (told.result("order").moved.value, told.result("order").unscored.value) == (None, 1.0)
    with pytest.raises(BudgetExhausted, match="4 requests"):
        probe(talks(), RUBRIC, comparer({"reason": "-", "better": "A"}), probes=["order"], ledger="off", max_requests=4)
    lonely = [Conversation("a", talks()[0].messages)]
    assert "no two replies" in probe(lonely, RUBRIC, judge, probes=["order"], ledger="off").judges[0].results[0].note


# ---- the door -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("keywords", "words"),
    [
        ({"tolerance": 0.0}, "above 0"),
        ({"tolerance": 1.5}, "1.5 does not"),
        ({"unsteady": 1.0}, "between 0 and 1"),
        ({"probes": ["nonsense"]}, "no probe 'nonsense'"),
    ],
)
def test_what_is_wrong_is_said_before_anybody_is_asked(keywords, words):
    judge = FakeJudge(level(3))
    with pytest.raises(InputError, match=words):
        probe(talks(), RUBRIC, judge, ledger="off", **keywords)
    assert judge.asked == []
    with pytest.raises(InputError, match="no conversation"):
        probe([], RUBRIC, judge, ledger="off")


# ---- the forecast ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("probes", [None, ["padding", "retest"], ["order"]])
def test_the_forecast_is_what_is_asked(tmp_path, probes):
    tried = chosen(probes)
    design = designed(talks(), RUBRIC, tried)
    profile = kardia.load_judge("fake").profile
    path = tmp_path / "ledger.sqlite3"
    names = [one.name for one in tried]
    order = probes is not None and "order" in probes
    before = forecast(profile, design, RUBRIC, names, ledger=path, order=order)
    assert not path.exists()
    counted = Counting()
    probe(talks(), RUBRIC, counted, probes=probes, ledger=path)
    assert (before.requests, before.stored) == (counted.count, 0)
    after = forecast(profile, design, RUBRIC, names, ledger=path, order=order)
    assert after.stored == (0 if order else before.requests)
    assert after.requests + after.stored == before.requests
    assert json.loads(json.dumps(before.to_json()))["destination"] == profile.destination


class Counting(FakeJudge):
    """The fake judge, counting."""

    count = 0

    async def answer(self, requests):
        self.count += len(requests)
        return await super().answer(requests)
