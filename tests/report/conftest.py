"""One browser for all tests of the report, and what the other commands say of one scored file."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from .cardfile import RUBRIC, calibration, judgment, mixed, write
from .chromium import Page, programs, start

KEY = RUBRIC.criteria[0].id


@pytest.fixture(scope="session")
def _driver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[object]:
    pytest.importorskip("selenium", reason="the report is opened by selenium")
    if programs() is None:
        pytest.skip("there is no Chromium with its driver: apt-get install chromium chromium-driver")
    driver = start(tmp_path_factory.mktemp("profile"))
    yield driver
    driver.quit()


@pytest.fixture
def page(_driver: object) -> Iterator[Page]:
    """A browser; what its console says is an error, unless the test has looked at it."""
    found = Page(_driver)
    yield found
    assert found.errors() == []


@pytest.fixture(scope="session")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where reports of several tests lie."""
    return tmp_path_factory.mktemp("reports")


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Scores, and the JSON of every command that a report shows."""
    pytest.importorskip("scipy")
    import kardia
    from kardia.compare.comparison import compare
    from kardia.diagnose.cards import read_scored
    from kardia.diagnose.diagnosis import diagnose
    from kardia.probe.running import probe

    folder = tmp_path_factory.mktemp("sections")
    scores = write(folder / "s.jsonl", mixed(40))
    labels = folder / "labels.csv"
    given = [f"talk-{at:05d},{KEY},{who},{1 + (at + (who == 'bo')) % 4}" for at in range(40) for who in ("ann", "bo")]
    labels.write_text("\n".join(["id,criterion,rater,level", *given]) + "\n", "utf-8")
    rows = [{"id": str(at), "context": f"I failed {at}.", "response": f"That hurts {at}. I'm here."} for at in range(4)]
    found = {
        "agree": kardia.agree(scores, labels, resamples=50).to_json(),
        "diagnose": diagnose(read_scored(scores), RUBRIC).to_json(),
        "probe": probe(rows, "supportiveness", "fake", probes=["padding", "one_token"], ledger="off").to_json(),
        "compare": {"comparisons": [compare(read_scored(scores), read_scored(_kinder(folder)), top=3).to_json()]},
        "calibration": calibration(),
    }
    paths = {"scores": scores}
    for name, result in found.items():
        paths[name] = folder / f"{name}.json"
        paths[name].write_text(json.dumps(result, allow_nan=False), "utf-8")
    return paths


def _kinder(folder: Path) -> Path:
    """The same conversations by a kinder judge; one has another reply, one is not there."""
    rows = mixed(39)
    for at, one in enumerate(rows):
        one["judge"] = "other"
        one["provenance"] = {**one["provenance"], "judge": {"name": "other", "hash": "sha256:" + "c" * 64}}
        if one["score"] is not None and not one["vetoed_by"]:
            one["score"] = round(min(one["score"] + 0.2 + at % 3 / 50, 1), 3)
        if one["criteria"][KEY]["level"] is not None:
            best = max(RUBRIC.criteria[0].levels, key=RUBRIC.criteria[0].value)
            one["criteria"][KEY] = judgment(best, 1.0, reason=f"Kinder {at}.")
    rows[0]["target"] = {**rows[0]["target"], "text": "Oh."}
    return write(folder / "other.jsonl", rows)
