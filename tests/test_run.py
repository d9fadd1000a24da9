"""A run: everything is checked before the first request."""

from __future__ import annotations

import json

import pytest

import kardia
from kardia.errors import ConversationError, InputError, OutputError, RubricError
from kardia.run import Run

ROW = {"id": "a", "context": "I failed.", "response": "That hurts."}


@pytest.fixture
def rows(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps({**ROW, "id": id_}) + "\n" for id_ in "abc"))
    return str(path)


def test_prepared(rows):
    run = Run.prepare(rows, ["safety", "kardia-r1"], "fake", limit=2)
    assert (run.total, run.bad, run.profile.name) == (4, 0, "fake")
    assert [card.rubric for card in run.cards()] == ["safety@1.0.0", "kardia-r1@1.0.0"] * 2


def test_the_estimate_is_what_is_then_asked(rows):
    overrides = ["price.input_per_million=1.0", "price.output_per_million=2.0", "sampling.max_tokens=100"]
    run = Run.prepare(rows, ["safety", "kardia-r1"], "fake", overrides=overrides)
    estimate = run.estimate()
    cards = list(run.cards())
    assert estimate.conversations == 3
    assert estimate.requests == sum(card.usage["requests"] for card in cards) == 3 * 12
    assert estimate.output_tokens == estimate.requests * 100
    assert estimate.input_tokens > 1000
    assert estimate.cost == pytest.approx((estimate.input_tokens + 2 * estimate.output_tokens) / 1e6)


def test_an_estimate_without_prices_names_none(rows):
    assert Run.prepare(rows, ["safety"], "fake").estimate().cost is None


def test_every_row_is_checked_before_the_first_is_asked(tmp_path, rows, monkeypatch):
    with open(rows, "a") as stream:
        stream.write(json.dumps(ROW) + "\n")

    def never(*_):
        raise AssertionError("asked")

    monkeypatch.setattr(kardia.FakeJudge, "answer", never)
    with pytest.raises(ConversationError) as caught:
        Run.prepare(rows, ["safety"], "fake")
    assert caught.value.line == 4


def test_a_rows_own_criteria_are_checked_against_every_rubric(tmp_path):
    own = {**ROW, "metadata": {"rubric": [{"id": "fluency", "question": "Is it fluent?"}]}}
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps(own) + "\n")
    assert Run.prepare(str(path), ["safety"], "fake").total == 1
    with pytest.raises(ConversationError, match="fluency") as caught:
        Run.prepare(str(path), ["safety", "kardia-r1"], "fake")
    assert (caught.value.line, caught.value.key) == (1, "metadata.rubric.0.id")


def test_one_rubric_twice(rows):
    with pytest.raises(RubricError, match="given twice"):
        Run.prepare(rows, ["safety", "safety@1"], "fake")


@pytest.mark.parametrize("output", [None, "-"])
def test_rejected_rows_have_no_place_beside_standard_output(tmp_path, rows, output):
    with open(rows, "a") as stream:
        stream.write("{broken\n")
    run = Run.prepare(rows, ["safety"], "fake", skip_bad=True)
    run.write_rejected(output)
    assert run.rejected is None
    assert run.bad == 1


def test_rejected_rows(tmp_path, rows):
    with open(rows, "a") as stream:
        stream.write("{broken\n")
    run = Run.prepare(rows, ["safety"], "fake", skip_bad=True)
    run.write_rejected(str(tmp_path / "out"))
    assert json.loads(run.rejected.read_text())["line"] == 4
    assert run.rejected.stat().st_mode & 0o077 == 0
    (tmp_path / "other.rejected.jsonl").mkdir()
    with pytest.raises(OutputError, match="cannot be written"):
        run.write_rejected(str(tmp_path / "other"))


def test_without_bad_rows_nothing_is_listed(tmp_path, rows):
    run = Run.prepare(rows, ["safety"], "fake", skip_bad=True)
    run.write_rejected(str(tmp_path / "out"))
    assert run.rejected is None
    assert [path.name for path in tmp_path.iterdir()] == ["rows.jsonl"]


def test_the_judge_is_closed_when_the_cards_end(rows, monkeypatch):
    closed = []

    async def aclose(self):
        closed.append(self)

    monkeypatch.setattr(kardia.FakeJudge, "aclose", aclose)
    list(Run.prepare(rows, ["safety"], "fake").cards())
    cards = Run.prepare(rows, ["safety"], "fake").cards()
    next(cards)
    cards.close()
    assert len(closed) == 2


def test_input_is_wrong_in_a_sentence(rows):
    for file, rubrics, judge in [
        ("gone.jsonl", ["safety"], "fake"),
        (rows, ["gone"], "fake"),
        (rows, ["safety"], "gone"),
    ]:
        with pytest.raises(InputError, match="gone"):
            Run.prepare(file, rubrics, judge)
