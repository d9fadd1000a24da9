"""What notebooks show."""

from __future__ import annotations

import math

import pytest

import kardia
from kardia.errors import InputError

from .cardfile import RUBRIC, card, mixed, write

HOSTILE = "<script>alert(1)</script>"
ROW = {"id": HOSTILE, "context": "I failed.", "response": f"That hurts. {HOSTILE}"}


def test_a_rubric_shows_its_criteria():
    html = RUBRIC._repr_html_()
    assert all(criterion.id in html for criterion in RUBRIC.criteria)
    assert html.count("<tr>") == len(RUBRIC.criteria) + 1
    assert RUBRIC.ref in html


def test_a_scorecard_shows_levels_and_reasons():
    made = kardia.score(ROW, RUBRIC, "fake")
    html = made._repr_html_()
    assert "<script" not in html
    assert "&lt;script&gt;" in html
    assert all(key in html for key in made.criteria)
    assert "made-up level" in html


def test_an_unscored_one_says_why():
    def silent(request):
        raise kardia.AnswerError("no answer <b>today</b>")

    made = kardia.score(ROW, RUBRIC, kardia.FakeJudge(silent))
    html = made._repr_html_()
    assert "no score" in html
    assert "no answer &lt;b&gt;today" in html


def test_a_report_on_probes_shows_shifts():
    pytest.importorskip("scipy")
    from kardia.probe.running import probe

    rows = [{"id": str(at), "context": f"I failed {at}.", "response": f"That hurts {at}."} for at in range(12)]
    found = probe(rows, RUBRIC, "fake", probes=["padding", "retest", "paraphrases"], ledger="off")
    html = found._repr_html_()
    assert RUBRIC.ref in html
    assert html.count("<table>") == len(found.judges) == 1
    assert html.count("<tr>") == 3  # paraphrases has no case, and no row
    shift = found.judges[0].result("padding").shift
    assert f"{shift.value:+.3f} [{shift.low:+.2f}, {shift.high:+.2f}]" in html
    assert html.count("<li>") == len(found.findings)


def test_a_finding_of_a_probe_is_shown_and_escaped():
    pytest.importorskip("scipy")
    from dataclasses import replace

    from kardia.probe.running import probe

    def longer(request):
        """A judge that takes the longer reply for the better one."""
        (criterion,) = request.criteria
        order = sorted(criterion.levels, key=criterion.value)
        return {"reason": "So.", "evidence": [], "level": order[-1 if len(request.target.text) > 40 else 0]}

    rows = [{"id": str(at), "context": f"I failed {at}.", "response": f"That hurts so, {at}."} for at in range(40)]
    found = probe(rows, RUBRIC, kardia.FakeJudge(longer), probes=["padding"], ledger="off")
    assert found.findings
    html = replace(found, notes=(HOSTILE,), rubric=HOSTILE)._repr_html_()
    assert "<script" not in html
    assert html.count("&lt;script&gt;") == 2
    finding = found.judges[0].findings[0]
    assert f"<b>{finding.probe}</b> ({finding.severity})" in html
    assert f">{finding.kind}</td>" in html


def test_cards_as_a_table(tmp_path):
    pytest.importorskip("pandas")
    rows = mixed(20)
    path = write(tmp_path / "s.jsonl", rows)
    found = kardia.to_pandas(path)
    assert len(found) == 20
    first = RUBRIC.criteria[0].id
    for (_, line), row in zip(found.iterrows(), rows, strict=True):
        assert line["id"] == row["id"]
        assert math.isnan(line["score"]) if row["score"] is None else line["score"] == row["score"]
    assert found[first].isna().sum() == 2
    assert f"{first}:level" in found.columns
    long = kardia.to_pandas(str(path), long=True)
    assert len(long) == 20 * len(RUBRIC.criteria)
    assert set(long["status"]) == {"scored", "unscored"}
    cards = list(kardia.score_many([ROW], RUBRIC, "fake"))
    assert kardia.to_pandas(cards)["score"].tolist() == [cards[0].score]
    with pytest.raises(InputError):
        kardia.to_pandas(write(tmp_path / "bad.jsonl", [{**card(), "status": "odd"}]))


def test_without_pandas(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pandas", None)
    with pytest.raises(InputError, match="pip install pandas"):
        kardia.to_pandas([])
