"""A run: everything is checked before the first request."""

from __future__ import annotations

import json

import pytest

import kardia
from kardia.errors import ConversationError, InputError, Interrupted, OutputError, ProfileError, RubricError
from kardia.run import Run
from kardia.scoring import Settings

pytestmark = pytest.mark.usefixtures("own_ledgers")

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


# with a ledger


def settings(path, **more):
    return Settings(ledger=path, **more)


def test_what_is_stored_is_not_estimated_again(tmp_path):
    rows, path = str(tmp_path / "rows.jsonl"), tmp_path / "ledger.db"
    with open(rows, "w") as stream:
        stream.writelines(json.dumps({**ROW, "id": id_, "response": f"That hurts, {id_}."}) + "\n" for id_ in "abc")
    first = Run.prepare(rows, ["safety"], "fake", limit=2, settings=settings(path))
    cards = list(first.cards())
    assert (first.settings.office.spent.requests, first.settings.office.spent.stored) == (14, 0)
    estimate = Run.prepare(rows, ["safety"], "fake", settings=settings(path), dry=True).estimate()
    assert (estimate.requests, estimate.stored, estimate.at_most) == (7, 14, False)
    fresh = Run.prepare(rows, ["safety"], "fake", settings=settings(path, fresh=True), dry=True).estimate()
    assert (fresh.requests, fresh.stored) == (21, 0)
    assert fresh.input_tokens > estimate.input_tokens > 0
    again = Run.prepare(rows, ["safety"], "fake", settings=settings(path))
    assert list(again.cards())[:2] == cards
    assert (again.settings.office.spent.requests, again.settings.office.spent.stored) == (7, 14)


def test_an_estimate_makes_no_ledger_and_asks_for_no_key(tmp_path, rows):
    path = tmp_path / "ledger.db"
    run = Run.prepare(rows, ["safety"], "openai", settings=settings(path), dry=True)
    assert run.judge is None
    assert run.estimate().requests == 21
    assert not path.exists()
    with pytest.raises(ValueError, match="estimated only"):
        next(run.cards())
    with pytest.raises(ProfileError, match="OPENAI_API_KEY"):
        Run.prepare(rows, ["safety"], "openai", settings=settings(path))


def test_an_ensemble_is_estimated_by_its_members(tmp_path, rows):
    for name, text in {
        "one.yaml": "name: one\nbackend: fake\nsampling: {samples: 2}\n",
        "two.yaml": "name: two\nbackend: fake\nmode: all_criteria\nprice: {input_per_million: 1.0}\n",
        "panel.yaml": "name: p\nbackend: panel\npanel: {judges: [{judge: ./one.yaml}, {judge: ./two.yaml}]}\n",
        "cascade.yaml": "name: c\nbackend: cascade\ncascade: {first: ./one.yaml, then: ./two.yaml}\n",
    }.items():
        (tmp_path / name).write_text(text)
    panel, cascade = (
        Run.prepare(rows, ["safety"], str(tmp_path / name), dry=True).estimate()
        for name in ("panel.yaml", "cascade.yaml")
    )
    assert (panel.requests, panel.at_most) == (3 * (2 * 7 + 1), False)
    assert (cascade.requests, cascade.at_most) == (3 * (2 * 7 + 1), True)
    assert 0 < panel.cost < panel.input_tokens / 1e6  # of one of them only


def test_a_place_that_can_hold_no_ledger_is_told_at_the_door(tmp_path, rows):
    with pytest.raises(InputError, match="is a directory"):
        Run.prepare(rows, ["safety"], "fake", settings=settings(tmp_path))


def test_a_cap_on_costs_wants_a_price_at_the_door(tmp_path, rows):
    (tmp_path / "own.yaml").write_text("name: own\nbackend: http\nmodel: m\nbase_url: http://127.0.0.1:9/v1\n")
    with pytest.raises(ProfileError) as caught:
        Run.prepare(rows, ["safety"], str(tmp_path / "own.yaml"), settings=settings("off", max_cost=1.0), dry=True)
    assert (caught.value.file, caught.value.key) == ("own", "price")


def test_a_wish_to_stop_before_the_first_card(rows):
    run = Run.prepare(rows, ["safety"], "fake")
    run.halt.request()
    with pytest.raises(Interrupted):
        next(run.cards())
    assert run.settings.office.spent.requests == 0
