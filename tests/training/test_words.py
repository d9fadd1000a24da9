"""The launcher that fits the judge of words: what it is fitted on, and that it makes what is shipped."""

from __future__ import annotations

import json
import shutil
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from kardia.judge.words import WordsModel, read_words
from kardia.model.examples import Labelled
from kardia.model.labels import Questions

from .launchers import launcher

for needed in ("numpy", "sklearn", "torch", "transformers", "peft", "accelerate"):
    pytest.importorskip(needed, reason="fitting needs scikit-learn and kardia[local]")

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = ROOT / "judges" / "words"


@pytest.fixture(scope="module", autouse=True)
def _on_one_thread(one_thread: None) -> None: ...


LAUNCHER = launcher("words")
Halves = tuple[list[Labelled], list[Labelled]]


@pytest.fixture(scope="module")
def questions() -> Questions:
    found: Questions = LAUNCHER.questions_of(LAUNCHER.embedded())
    return found


@pytest.fixture(scope="module")
def halves(questions: Questions) -> Halves:
    found: Halves = LAUNCHER.halves(LAUNCHER.embedded(), questions)
    return found


@pytest.fixture(scope="module")
def shipped() -> WordsModel:
    return read_words(SHIPPED / "model.json")


@pytest.fixture(scope="module")
def fitted(halves: Halves, questions: Questions) -> dict[str, Any]:
    made: dict[str, Any] = LAUNCHER.fit(halves[0], questions.tasks)
    return made


@pytest.fixture(scope="module")
def measured(halves: Halves, questions: Questions, shipped: WordsModel) -> list[Any]:
    found: list[Any] = LAUNCHER.measure(shipped, halves[1], questions)
    return found


class TestTheHalves:
    def test_they_have_no_group_and_no_context_in_common(self, halves: Halves) -> None:
        known, unseen = halves
        for told in (
            lambda example: example.group,
            lambda example: " ".join(example.context.split()),
            lambda example: example.id,
        ):
            assert not {told(example) for example in known} & {told(example) for example in unseen} - {""}
        groups = [len({example.group for example in half}) for half in halves]
        assert 0.85 < groups[0] / groups[1] < 1.15

    def test_replies_that_were_made_worse_are_of_their_half(self, halves: Halves) -> None:
        for half in halves:
            worse = [example for example in half if LAUNCHER.is_worse(example)]
            kinds = Counter(example.id.split("-", 3)[-1] for example in worse)
            assert set(kinds) == {"misplaced", *LAUNCHER.embedded().SPOILT}
            written = [example for example in half if not LAUNCHER.is_worse(example)]
            assert {example.id.rsplit("-", 1)[0] for example in worse if example.id.endswith(LAUNCHER.MOVED)} <= {
                example.id for example in written
            }
            assert {example.context for example in worse} <= {example.context for example in written}

    def test_a_group_stays_where_it_is(self) -> None:
        assert [LAUNCHER.side(group) for group in ("a1-001", "a1-002", "z6-001", "é")] == [0, 0, 1, 0]

    def test_other_languages_are_in_neither(self, halves: Halves) -> None:
        rows = map(json.loads, (ROOT / "training" / "embedded" / "conversations.jsonl").read_text("utf-8").splitlines())
        language = {row["id"]: row["metadata"]["language"] for row in rows}
        assert {language["-".join(example.id.split("-", 3)[:3])] for half in halves for example in half} == {"en"}


class TestTheModel:
    @pytest.mark.slow
    def test_the_shipped_one_is_what_the_launcher_makes(self, fitted: dict[str, Any], shipped: WordsModel) -> None:
        made = WordsModel.model_validate(fitted)
        assert made.made == shipped.made
        assert list(made.vocabulary) == list(shipped.vocabulary)
        assert made.vocabulary == pytest.approx(shipped.vocabulary, abs=2e-3)
        assert made.common == shipped.common
        for name, standard in made.figures.items():
            assert standard.model_dump() == pytest.approx(shipped.figures[name].model_dump(), abs=1e-3)
        assert [task.digest for task in made.tasks] == [task.digest for task in shipped.tasks]
        for one, other in zip(made.tasks, shipped.tasks, strict=True):
            assert (one.key, one.levels, one.alpha) == (other.key, other.levels, other.alpha)
            assert (one.intercept, *one.figures) == pytest.approx((other.intercept, *other.figures), abs=5e-3)
            # another machine takes sums in another order, and a weight may be rounded the other way
            scaled = [one.unit * weight for weight in one.weights]
            assert scaled == pytest.approx([other.unit * weight for weight in other.weights], abs=1.5 * other.unit)

    @pytest.mark.slow
    def test_twice_is_the_same(self, halves: Halves, questions: Questions, fitted: dict[str, Any]) -> None:
        tasks = questions.tasks[5:8]
        again = LAUNCHER.fit(halves[0], tasks)
        wanted = {task.key for task in tasks}
        kept = [task for task in fitted["tasks"] if task["key"] in wanted]
        assert LAUNCHER.model_text(again) == LAUNCHER.model_text({**fitted, "tasks": kept})

    def test_the_file_is_written_a_line_a_task(self) -> None:
        text = (SHIPPED / "model.json").read_text(encoding="utf-8")
        assert LAUNCHER.model_text(json.loads(text)) == text
        assert max(map(len, text.splitlines())) < 100_000
        assert len(text.splitlines()) < 50


class TestTheCard:
    def test_its_table_is_what_the_shipped_model_does(
        self, halves: Halves, shipped: WordsModel, measured: list[Any]
    ) -> None:
        text = LAUNCHER.table(measured, LAUNCHER.moved(shipped, halves[1], LAUNCHER.GRASPS))
        card = (SHIPPED / "README.md").read_text(encoding="utf-8")
        assert f"<!-- figures -->\n{text}\n<!-- /figures -->" in card
        made = shipped.made
        assert f"{made['replies']:,} replies to {made['contexts']:,} contexts" in card.replace("\n", " ")
        assert f"{len(shipped.vocabulary):,} words and pairs of words" in card
        assert f"{made['replies_made_worse']:,} replies that were made worse" in card.replace("\n", " ")

    def test_it_is_worth_something_on_what_it_has_not_seen(self, measured: list[Any]) -> None:
        assert all(row.r > 0.1 for row in measured)
        assert sum(row.r for row in measured) / len(measured) > 0.45

    def test_agreement_with_mean_labels(self) -> None:
        assert LAUNCHER.agreement([0.0, 1.0, 2.0], [0.2, 0.9, 2.4]) == 1.0
        assert LAUNCHER.agreement([0.0, 0.0], [0.1, 0.2]) is None
        assert LAUNCHER.agreement([0.0, 1.5, 2.0, 0.5], [0.0, 1.0, 2.0, 1.0]) < 1.0

    def test_all_of_it_is_written(
        self,
        tmp_path: Path,
        shipped: WordsModel,
        halves: Halves,
        measured: list[Any],
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        text = (SHIPPED / "model.json").read_text(encoding="utf-8")
        monkeypatch.setattr(LAUNCHER, "halves", lambda *_: halves)
        monkeypatch.setattr(LAUNCHER, "fit", lambda *_: json.loads(text))
        monkeypatch.setattr(LAUNCHER, "measure", lambda *_: measured)
        monkeypatch.setattr(sys, "argv", ["words.py", "-o", str(tmp_path)])
        assert LAUNCHER.main() == 0
        assert list(tmp_path.iterdir()) == []
        assert "understanding.grasps_situation" in capsys.readouterr().out
        shutil.copy(SHIPPED / "README.md", tmp_path)
        monkeypatch.setattr(sys, "argv", ["words.py", "--write", "-o", str(tmp_path)])
        assert LAUNCHER.main() == 0
        for name in ("model.json", "README.md"):
            assert (tmp_path / name).read_bytes() == (SHIPPED / name).read_bytes()
        (tmp_path / "README.md").write_text("# A card without a place for the table\n")
        with pytest.raises(SystemExit, match="has no lines <!-- figures -->"):
            LAUNCHER.main()
