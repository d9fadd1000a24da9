"""`kardia filter`, from scored conversations to prompts that a policy is trained on."""

from __future__ import annotations

import json
import stat
import statistics
from pathlib import Path

import pytest

from .command import CLEAR, PLAIN, WARM, kardia, read_cards, write_rows
from .test_help import HEAVY, imported, through_main

RUBRIC = PLAIN + WARM + CLEAR
PROMPTS = 10


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four replies to each of ten prompts, scored by the fake judge, whose levels are by chance and always the same."""
    folder = tmp_path_factory.mktemp("filter")
    (folder / "plain.yaml").write_text(RUBRIC)
    rows = [
        {
            "id": f"r{number}",
            "context": f"My dog {number % PROMPTS} died. 🥀",
            "response": f"<think>{number}</think>I hear you, {number}.",
            "emotion": "sad",
            "sample": number // PROMPTS,
        }
        for number in range(4 * PROMPTS)
    ]
    write_rows(folder / "talks.jsonl", rows)
    done = kardia("score", "talks.jsonl", "-r", "plain.yaml", "-j", "fake", "-o", "scores.jsonl", cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder


def run(place: Path, *arguments: object, **rest: str):
    return kardia("filter", "scores.jsonl", "--data", "talks.jsonl", *arguments, cwd=place, **rest)


def figures(stderr: str) -> dict[str, str]:
    return {name.strip(): value for name, _, value in (line.rstrip().rpartition("  ") for line in stderr.splitlines())}


def scores_of(place: Path) -> list[list[float]]:
    """Each prompt's scores, from the scorecards themselves."""
    cards = read_cards((place / "scores.jsonl").read_text("utf-8"))
    return [[card["score"] for card in cards[which::PROMPTS]] for which in range(PROMPTS)]


def test_from_scores_to_prompts(place):
    done = run(place, "-o", "prompts.jsonl")
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    rows = read_cards((place / "prompts.jsonl").read_text("utf-8"))
    scores = scores_of(place)
    means = [statistics.fmean(group) for group in scores]
    cuts = statistics.quantiles(means, n=5, method="inclusive")
    fit = [which for which, mean in enumerate(means) if cuts[0] - 1e-9 <= mean <= cuts[3] + 1e-9]
    fit = [which for which in fit if len(set(scores[which])) > 1]
    assert [row["id"] for row in rows] == [f"r{which}" for which in fit]
    assert 3 <= len(fit) <= 6
    cards = read_cards((place / "scores.jsonl").read_text("utf-8"))
    for row, which in zip(rows, fit, strict=True):
        assert row["prompt"] == [{"role": "user", "content": f"My dog {which} died. 🥀"}]
        assert row["reward_mean"] == pytest.approx(means[which], abs=1e-6)
        assert row["reward_std"] == pytest.approx(statistics.pstdev(scores[which]), abs=1e-6)
        assert (row["reward_best"], row["n"]) == (max(scores[which]), 4)
        assert (row["emotion"], row["group"]) == ("sad", None)
        assert "sample" not in row, "that is a reply's, not the prompt's"
        assert (row["reward_rubric"], row["reward_judge"]) == ("plain@1.0.0", "fake")
        assert row["reward_rubric_hash"] == cards[0]["provenance"]["rubric"]["hash"]
        assert row["reward_judge_hash"] == cards[0]["provenance"]["judge"]["hash"]
    assert stat.S_IMODE((place / "prompts.jsonl").stat().st_mode) == 0o600
    told = figures(done.stderr)
    assert done.stderr.startswith("filter · plain@1.0.0 · judge fake\n")
    assert (told["prompts"], told["kept"]) == (str(PROMPTS), str(len(rows)))
    assert told["the band: mean, quantiles 0.2 to 0.8"] == f"{cuts[0]:.3f} – {cuts[3]:.3f}"
    assert told["mean score of those kept"] == f"{statistics.fmean(means[which] for which in fit):.3f}"


def test_the_rows_can_be_trained_on(place):
    from kardia.policy.corpora import read_talks

    assert run(place, "-o", "train.jsonl").returncode == 0
    talks = read_talks(place / "train.jsonl").talks
    rows = read_cards((place / "train.jsonl").read_text("utf-8"))
    assert [talk.id for talk in talks] == [row["id"] for row in rows]
    for talk, row in zip(talks, rows, strict=True):
        assert [message.content for message in talk.messages] == [row["prompt"][0]["content"]]
        assert talk.metadata["emotion"] == "sad"


def test_options_reach_the_band(place):
    scores = scores_of(place)
    every = read_cards(run(place, "--low", "0", "--high", "1").stdout)
    alive = [which for which in range(PROMPTS) if len(set(scores[which])) > 1]
    assert [row["id"] for row in every] == [f"r{which}" for which in alive]
    best = read_cards(run(place, "--low", "0.7", "--high", "1", "--by", "best").stdout)
    cut = statistics.quantiles(map(max, scores), n=10, method="inclusive")[6]
    assert [row["id"] for row in best] == [f"r{which}" for which in alive if max(scores[which]) >= cut - 1e-9]
    wide = run(place, "--low", "0.5", "--high", "1", "--by", "variance")
    cut = statistics.median(map(statistics.pvariance, scores))
    assert {row["id"] for row in read_cards(wide.stdout)} == {
        f"r{which}" for which in alive if statistics.pvariance(scores[which]) >= cut - 1e-9
    }
    assert "the band: variance, quantiles 0.5 to 1" in wide.stderr
    spread = read_cards(run(place, "--low", "0", "--high", "1", "--min-spread", "0.2").stdout)
    assert [row["id"] for row in spread] == [f"r{which}" for which in alive if statistics.pstdev(scores[which]) >= 0.2]
    assert 0 < len(spread) < len(every)


def test_unscored_replies_are_left_out_and_prompts_with_too_few_are_named(place, tmp_path):
    cards = read_cards((place / "scores.jsonl").read_text("utf-8"))
    for number, card in enumerate(cards):
        if number % PROMPTS == 2 and number != 2:
            card.update(status="unscored", score=None)
        if number == 3:
            card.update(status="unscored", score=None)
    write_rows(tmp_path / "scores.jsonl", cards)
    (tmp_path / "talks.jsonl").write_bytes((place / "talks.jsonl").read_bytes())
    done = run(tmp_path, "--low", "0", "--high", "1")
    assert "kardia: fewer than 2 scored replies have: that of r2\n" in done.stderr
    told = figures(done.stderr)
    assert (told["dropped: too few scored replies"], told["replies that do not count: unscored"]) == ("1", "4")
    rows = {row["id"]: row for row in read_cards(done.stdout)}
    assert "r2" not in rows
    assert rows["r3"]["n"] == 3
    assert rows["r3"]["reward_mean"] == pytest.approx(statistics.fmean(scores_of(place)[3][1:]), abs=1e-6)
    assert "r2" in {row["id"] for row in read_cards(run(tmp_path, "--low", "0", "--min-scored", "1").stdout)} or (
        scores_of(place)[2][0] > rows["r3"]["reward_mean"]
    )
    partial = [{**card, "status": "partial"} for card in cards if card["score"] is not None]
    write_rows(tmp_path / "scores.jsonl", partial)
    assert run(tmp_path).returncode == 1
    assert run(tmp_path, "--partial").returncode == 0


def test_nothing_is_left(place):
    (place / "kept.jsonl").write_text("earlier\n")
    done = run(place, "--min-scored", "5", "-o", "kept.jsonl")
    assert (done.returncode, done.stdout) == (1, "")
    assert "no prompt is left, and nothing is written" in done.stderr
    assert "that of r0, that of r1, that of r2, that of r3, that of r4, and 5 more" in done.stderr
    assert (place / "kept.jsonl").read_text() == "earlier\n"


def test_what_is_left_out_before(place, tmp_path):
    rows = read_cards((place / "talks.jsonl").read_text("utf-8"))
    write_rows(tmp_path / "talks.jsonl", [*rows, {"id": "bad"}, {"id": "new", "context": "a", "response": "b"}])
    (tmp_path / "scores.jsonl").write_bytes((place / "scores.jsonl").read_bytes())
    done = run(tmp_path)
    assert "1 bad rows of talks.jsonl are left out" in done.stderr
    assert "1 conversations have no scorecard, and are left out" in done.stderr
    assert done.stdout == run(place).stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--low", "0.8", "--high", "0.2"), "--low: is 0.8, and --high 0.2: a band goes from a lower quantile"),
        (("--low", "1.5"), "Invalid value for '--low'"),
        (("--by", "worst"), "Invalid value for '--by'"),
        (("--rubric", "safety"), "scores.jsonl: holds no scorecard of safety"),
        (("--data", "nowhere.jsonl"), "nowhere.jsonl: no such file"),
        (("-o", "talks.jsonl"), "talks.jsonl: would overwrite the input talks.jsonl; name another file"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_what_is_wrong(place, arguments, words):
    before = {path.name: path.read_bytes() for path in place.iterdir()}
    done = run(place, *arguments, COLUMNS="200")
    assert (done.returncode, done.stdout) == (2, "")
    assert words in done.stderr
    assert {path.name: path.read_bytes() for path in place.iterdir()} == before


def test_standard_input_holds_one_of_the_two(place):
    cards, talks = ((place / name).read_text("utf-8") for name in ("scores.jsonl", "talks.jsonl"))
    both = kardia("filter", "-", "--data", "-", cwd=place, stdin=cards)
    assert both.returncode == 2
    assert "stdin cannot hold both" in both.stderr
    usual = run(place).stdout
    assert json.loads(usual.splitlines()[0])
    assert kardia("filter", "-", "--data", "talks.jsonl", cwd=place, stdin=cards).stdout == usual
    assert kardia("filter", "scores.jsonl", "--data", "-", cwd=place, stdin=talks).stdout == usual


def test_help_with_an_example(tmp_path):
    done = kardia("filter", "--help", cwd=tmp_path, COLUMNS="200")
    assert done.returncode == 0
    assert "Example:  kardia filter scores.jsonl --data conversations.jsonl -o prompts.jsonl" in done.stdout
    assert imported(through_main("filter", "--help"), tmp_path).isdisjoint(HEAVY)
