"""A calibration as part of a judge: applied after the answer, said in the scorecard, and stale as soon as it is."""

from __future__ import annotations

import json
import logging
import pickle

import pytest

pytest.importorskip("numpy", reason="calibration needs kardia[agree]")
pytest.importorskip("scipy", reason="calibration needs kardia[agree]")

import kardia
from kardia.calibration.artifact import calibration_text, parse_calibration
from kardia.calibration.binding import correction_of, load_calibration
from kardia.calibration.calibrate import calibrate
from kardia.datafile import Malformed
from kardia.errors import InputError, ProfileError
from kardia.judge.profile import JudgeProfile, load_profile
from kardia.prompt import load_template
from kardia.report.sections import read_sections
from kardia.report.sections.blocks import charts
from kardia.report.sections.bound import Bound
from kardia.rubric.loading import load_rubric

from .planted import RUBRIC, judge, planted, rubric, scored

DATA = planted()


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A calibration of a judge that is 0.7 of a level too generous."""
    folder = tmp_path_factory.mktemp("binding")
    path = rubric(folder)
    found = calibrate(scored(DATA, path, judge(DATA, over=0.7)), DATA.labels, rubric=path, resamples=0)
    found.write(folder / "calibration.json")
    return folder


def asked(place, over=0.7, **profile):
    return judge(DATA, over=over, calibration=str(place / "calibration.json"), **profile)


def bias(cards):
    labels = {label["id"]: (label["warm"] - 1) / 4 for label in DATA.labels}
    return sum(card.criteria["warm"].value - labels[card.id] for card in cards) / len(cards)


def test_it_is_applied_after_the_answer(place):
    raw = scored(DATA, place / "planted.yaml", judge(DATA, over=0.7))
    cards = scored(DATA, place / "planted.yaml", asked(place))
    assert bias(raw) > 0.12
    assert abs(bias(cards)) < 0.01
    changed = 0
    for before, after in zip(raw, cards, strict=True):
        said, now = before.criteria["warm"], after.criteria["warm"]
        assert now.uncalibrated == {"level": said.level, "value": said.value, "probabilities": None}
        assert now.reason == said.reason
        assert after.criteria["demeans"] == before.criteria["demeans"]  # a requirement stays as it is
        assert after.vetoed_by == before.vetoed_by
        changed += now.level != said.level
    assert changed > 40
    assert {card.score for card in cards} != {card.score for card in raw}


def test_the_scorecard_says_where_its_numbers_come_from(place):
    card = scored(DATA, place / "planted.yaml", asked(place))[0].to_json()
    told = card["provenance"]["calibration"]
    assert told["applied"] is True
    assert told["why"] is None
    assert told["digest"] == load_calibration(place / "calibration.json").digest
    assert told["criteria"]["warm"] == "isotonic"
    plain = scored(DATA, place / "planted.yaml", judge(DATA))[0].to_json()
    assert "calibration" not in plain["provenance"]
    assert "uncalibrated" not in plain["criteria"]["warm"]
    assert told["judge_hash"] == plain["provenance"]["judge"]["hash"]
    assert card["provenance"]["judge"]["hash"] != told["judge_hash"]


def test_the_hash_is_over_the_content_and_not_the_path(place, tmp_path):
    other = tmp_path / "other.json"
    other.write_bytes((place / "calibration.json").read_bytes())
    one, two = (
        JudgeProfile(name="fake", backend="fake", calibration=str(path)) for path in (place / "calibration.json", other)
    )
    plain = JudgeProfile(name="fake", backend="fake")
    assert one.hash == two.hash != plain.hash == one.asked_hash
    other.write_bytes(other.read_bytes() + b"\n")
    correction = correction_of(load_rubric(place / "planted.yaml"), two, load_template("reasoned", "per_criterion"))
    assert correction.provenance["digest"] == load_calibration(place / "calibration.json").digest  # as its hash says
    assert JudgeProfile(name="fake", backend="fake", calibration=str(other)).hash != one.hash


def test_the_ledger_keeps_the_answers_and_not_the_corrections(place, tmp_path):
    profile = JudgeProfile(name="fake", backend="fake")
    rows, path = DATA.rows[:8], place / "planted.yaml"
    first = list(kardia.score_many(rows, path, profile, ledger=tmp_path / "ledger.sqlite3"))
    whole = JudgeProfile(name="fake", backend="fake", calibration=str(place / "calibration.json"))
    calibrated = kardia.load_judge(whole)
    second = list(kardia.score_many(rows, path, calibrated, ledger=tmp_path / "ledger.sqlite3", max_requests=1))
    assert [card.criteria["warm"].uncalibrated["value"] for card in second] == [
        card.criteria["warm"].value for card in first
    ]  # not one request was left to ask


@pytest.fixture
def stale(place, tmp_path):
    (tmp_path / "planted.yaml").write_text(RUBRIC.replace("How warm is", "How kind is"))
    return tmp_path / "planted.yaml"


def test_another_rubric_makes_it_stale(place, stale, caplog):
    raw = scored(DATA, stale, judge(DATA, over=0.7))
    with caplog.at_level(logging.WARNING, "kardia"):
        cards = scored(DATA, stale, asked(place))
        again = scored(DATA, stale, asked(place))
    told = cards[0].provenance["calibration"]
    assert told["applied"] is False
    assert "is stale, for it was made for planted@1.0.0, which has changed" in told["why"]
    assert [card.score for card in cards] == [card.score for card in raw] == [card.score for card in again]
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == 1  # once, however many batches
    assert said[0].endswith(told["why"])
    assert "calibrate again" in said[0]


def why(place, rubric, profile, template="reasoned"):
    loaded = load_template(template, "per_criterion")
    correction = correction_of(load_rubric(rubric), profile, loaded)
    assert correction is not None
    return correction.why


def test_another_judge_makes_it_stale(place):
    path, where = place / "planted.yaml", str(place / "calibration.json")
    profile = JudgeProfile(name="fake", backend="fake", calibration=where)
    assert why(place, path, profile) is None
    moved = JudgeProfile(name="fake", backend="fake", sampling={"temperature": 1.0}, calibration=where)
    assert "for the judge fake, which has changed" in why(place, path, moved)
    other = JudgeProfile(name="mine", backend="fake", calibration=where)
    assert "for the judge fake, and this is mine" in why(place, path, other)
    cheaper = JudgeProfile(name="fake", backend="fake", limits={"concurrency": 3}, calibration=where)
    assert why(place, path, cheaper) is None


def test_other_words_and_another_version_make_it_stale(place, tmp_path):
    profile = JudgeProfile(name="fake", backend="fake", calibration=str(place / "calibration.json"))
    data = json.loads((place / "calibration.json").read_text())
    data["judge"]["template"] = "sha256:" + "0" * 64
    (tmp_path / "c.json").write_text(json.dumps(data))
    worded = JudgeProfile(name="fake", backend="fake", calibration=str(tmp_path / "c.json"))
    assert "the words in which fake is asked have changed" in why(place, place / "planted.yaml", worded)
    assert "for planted@1.0.0, and this is planted@1.1.0" in why(place, rubric(tmp_path, "1.1.0"), profile)
    assert "is of the rubric planted, and not of safety" in why(place, "safety", profile)


def test_it_is_found_beside_the_profile_and_by_a_plain_path(place, tmp_path, monkeypatch):
    (place / "calibrated.yaml").write_text("name: fake\nbackend: fake\ncalibration: calibration.json\n")
    loaded = load_profile(place / "calibrated.yaml")
    assert loaded.calibration_file == place / "calibration.json"
    assert loaded.hash == JudgeProfile(name="fake", backend="fake", calibration=str(place / "calibration.json")).hash
    monkeypatch.chdir(place)
    assert load_profile("fake", ["calibration=calibration.json"]).hash == loaded.hash


def test_a_reward_has_it_too(place):
    rows = DATA.rows[:12]
    prompts, completions = [row["context"] for row in rows], [row["response"] for row in rows]

    def scores(asked):
        reward = kardia.RubricReward(place / "planted.yaml", judge=asked, ledger="off")
        return reward(prompts=prompts, completions=completions)

    plain, calibrated = scores(judge(DATA, over=0.7)), scores(asked(place))
    assert plain != calibrated
    cards = scored(DATA, place / "planted.yaml", asked(place))[:12]
    assert calibrated == [card.score for card in cards]
    named = kardia.RubricReward(
        place / "planted.yaml",
        judge=JudgeProfile(name="fake", backend="fake", calibration=str(place / "calibration.json")),
    )
    copy = pickle.loads(pickle.dumps(named))
    assert copy.source.profile_of(None).hash == asked(place).profile.hash


def test_what_was_calibrated_is_not_calibrated_again(place):
    cards = scored(DATA, place / "planted.yaml", asked(place))
    with pytest.raises(InputError, match="by a judge with a calibration") as caught:
        calibrate(cards, DATA.labels, rubric=place / "planted.yaml")
    assert caught.value.key == "provenance.calibration"


def test_a_panel_has_one_of_its_own_and_no_member_has(place):
    member = JudgeProfile(name="fake", backend="fake", calibration=str(place / "calibration.json"))
    (place / "member.yaml").write_text("name: member\nbackend: fake\ncalibration: calibration.json\n")
    (place / "panel.yaml").write_text(
        "name: pair\nbackend: panel\ncalibration: calibration.json\npanel: {judges: [{judge: fake}, {judge: words}]}\n"
    )
    assert load_profile(place / "panel.yaml").asked_hash != load_profile(place / "panel.yaml").hash
    (place / "wrong.yaml").write_text(
        "name: pair\nbackend: panel\npanel: {judges: [{judge: member.yaml}, {judge: words}]}\n"
    )
    with pytest.raises(ProfileError, match="the judge member is calibrated"):
        load_profile(place / "wrong.yaml")
    with pytest.raises(ValueError, match="compares replies and gives none"):
        JudgeProfile(name="fake", backend="fake", mode="pairwise", calibration=member.calibration)


def test_probabilities_that_are_missing_are_not_made_up(place, tmp_path):
    sure = judge(DATA, sure=5.0)
    path = place / "planted.yaml"
    found = calibrate(
        scored(DATA, path, sure), DATA.labels, rubric=path, criteria=["warm"], method="temperature", resamples=0
    )
    found.write(tmp_path / "t.json")
    right = judge(DATA, sure=5.0).script

    def answers(request):
        known = right(request)
        if request.criteria[0].id == "warm" and request.target.text.endswith("3"):
            return {"reason": "No numbers here.", "evidence": [], "level": 3}
        return known

    profile = JudgeProfile(name="fake", backend="fake", calibration=str(tmp_path / "t.json"))
    cards = scored(DATA, path, kardia.FakeJudge(answers, profile=profile))
    assert cards[3].criteria["warm"].status == "unscored"
    assert "needs probabilities" in cards[3].criteria["warm"].error
    soft = cards[4].criteria["warm"]
    assert sum(soft.probabilities.values()) == pytest.approx(1)
    assert soft.value == pytest.approx(sum(share * (level - 1) / 4 for level, share in soft.probabilities.items()))


def test_the_report_reads_it(place):
    found = load_calibration(place / "calibration.json").calibration
    bound = Bound(frozenset([found.rubric.hash]), frozenset([found.judge.hash]))
    (section,) = read_sections(calibration=place / "calibration.json", bound=bound)
    tables = {block["caption"]: block["rows"] for block in section["blocks"] if block["type"] == "table"}
    (errors,) = [rows for caption, rows in tables.items() if caption.startswith("Expected")]
    warm = found.criteria["warm"]
    ece = [f"{side.ece.value:.3f}" for side in (warm.before, warm.after)]
    assert errors[0][:5] == ["warm", "isotonic", 160, *ece]
    (levels,) = [rows for caption, rows in tables.items() if caption.startswith("What it does")]
    assert levels[0][1] == f"{warm.before.kappa.value:.2f}"
    drawn = next(charts(section["blocks"]))
    assert len(drawn["series"]["before"]) == len(warm.before.bins)
    (left_out,) = [rows for caption, rows in tables.items() if caption.startswith("Criteria without")]
    assert "can lift a veto" in left_out[0][1]


def test_round_trip(place):
    text = (place / "calibration.json").read_text("utf-8")
    assert calibration_text(parse_calibration(text)) == text


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda data: "nonsense", "line 1: is not JSON"),
        (lambda data: "[]", "no calibration that this kardia can read"),
        (lambda data: json.dumps({**data, "kardia": "calibration/9"}), "'calibration/9'"),
        (lambda data: json.dumps({**data, "extra": 1}), "extra"),
        (lambda data: json.dumps(warm(data, y=[0.0, float("nan")])), "NaN is no number"),
        (lambda data: json.dumps(warm(data, y=[0.0, 7.5])).replace("7.5", "1e999"), "criteria.warm.isotonic.y.1: "),
        (lambda data: json.dumps(warm(data, x=[0.5, 0.5])), "criteria.warm.isotonic"),
        (lambda data: json.dumps(warm(data, y=[1.0, 0.0])), "must not fall"),
        (lambda data: json.dumps(warm(data, method="magic")), "criteria.warm"),
    ],
)
def test_what_is_no_calibration_is_refused(place, tmp_path, change, said):
    data = json.loads((place / "calibration.json").read_text())
    path = tmp_path / "c.json"
    path.write_text(change(data))
    with pytest.raises(Malformed) as caught:
        parse_calibration(path.read_text())
    assert said in str(caught.value)
    with pytest.raises(InputError, match=r"c\.json"):
        load_calibration(path)
    with pytest.raises(InputError, match="there is no such calibration"):
        load_calibration(tmp_path / "none.json")


def warm(data, **more):
    one = {**data["criteria"]["warm"], "x": [0.0, 1.0], "y": [0.0, 1.0], **more}
    return {**data, "criteria": {**data["criteria"], "warm": one}}


def test_levels_that_are_not_the_rubrics_are_refused(place, tmp_path):
    data = json.loads((place / "calibration.json").read_text())
    (tmp_path / "c.json").write_text(json.dumps(warm(data, levels=[1, 2])))
    profile = JudgeProfile(name="fake", backend="fake", calibration=str(tmp_path / "c.json"))
    with pytest.raises(InputError, match=r"no criterion of planted@1\.0\.0 with these levels"):
        why(place, place / "planted.yaml", profile)
