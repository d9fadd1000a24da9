"""The EPITOME benchmark on made-up rows: its measures, its baselines, and what a cross-validation keeps apart."""

from __future__ import annotations

import itertools
import json
import random
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("scipy", reason="the benchmark needs kardia[local]")
pytest.importorskip("sklearn", reason="the benchmark needs scikit-learn")

ROOT = Path(__file__).resolve().parents[1]
NAMES = ("epitome", "epitome_baselines", "epitome_common", "epitome_training", "tables")


@pytest.fixture
def scripts(monkeypatch):
    """The benchmark's modules by name, as `python benchmarks/epitome.py` finds them."""
    import importlib

    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    for name in NAMES:
        monkeypatch.delitem(sys.modules, name, raising=False)
    yield {name: importlib.import_module(name) for name in NAMES}
    for name in NAMES:
        sys.modules.pop(name, None)


def made(count: int, seed: int = 0) -> list[dict[str, Any]]:
    """Rows whose levels show in their words, two replies to every post."""
    noise = random.Random(seed)
    found = []
    for number in range(count):
        levels = {
            name: noise.choice((0, 0, 1, 2)) for name in ("emotional_reactions", "interpretations", "explorations")
        }
        words = [("Fine.", "A hug.", "I am so sorry."), ("Well.", "I see.", "I was there."), ("Bye.", "So", "How so?")]
        reply = " ".join(said[level] for said, level in zip(words, levels.values(), strict=True))
        found.append({"seeker_post": f"post {seed} {number // 2}", "response_post": f"{reply} {number}", **levels})
    return found


def put(folder: Path, count: int = 60) -> Path:
    for name, seed in (("train", 1), ("dev", 2)):
        lines = [json.dumps(row) for row in made(count, seed)]
        (folder / f"{name}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder / "dev.jsonl"


def rows_of(scripts: dict[str, Any], path: Path) -> list[Any]:
    rows: list[Any] = scripts["epitome_common"].read_rows(path)
    return rows


def test_kappa_by_tables_is_that_of_figures(scripts):
    common, noise = scripts["epitome_common"], random.Random(3)
    observed, first, second = ([noise.randrange(3) for _ in range(50)] for _ in range(3))
    gains = common.kappa_gains(observed, first, second, ["one"] * 50, samples=4)  # one group: each sample is the whole
    expected = common.figures(observed, first).kappa - common.figures(observed, second).kappa
    assert gains.tolist() == pytest.approx([expected] * 4)
    assert common.figures([0, 0], [0, 0]).kappa == 0.0


def test_resamples_keep_a_post_together(scripts):
    common = scripts["epitome_common"]
    observed, right, wrong = [0, 2, 0, 2], [0, 2, 0, 2], [2, 0, 0, 2]
    gains = common.kappa_gains(observed, right, wrong, ["a", "a", "b", "b"], samples=200)
    assert {round(float(gain), 6) for gain in gains} == {0.0, 1.0, 2.0}  # of 2, 1 or 0 times b, and never half of one


def test_what_is_unscored_counts_as_none(scripts):
    assert scripts["epitome_common"].counted([None, 2, 0]) == [0, 2, 0]


def test_baselines_see_the_words(scripts, tmp_path):
    rows = rows_of(scripts, put(tmp_path))
    train = rows_of(scripts, tmp_path / "train.jsonl")
    found = scripts["epitome"].baselines(rows, train, "explorations")
    assert list(found)[:2] == ["always 0", "a question mark: 2"]
    kappas = [
        scripts["epitome_common"].figures(scripts["epitome_common"].truth(rows, "explorations"), levels).kappa
        for levels in found.values()
    ]
    assert kappas[0] == 0.0
    assert min(kappas[1:]) > 0.5
    assert list(scripts["epitome"].baselines(rows, None, "explorations")) == list(found)[:2]


def test_word_counts_learn(scripts, tmp_path):
    rows = rows_of(scripts, put(tmp_path))
    train = rows_of(scripts, tmp_path / "train.jsonl")
    said, chosen = scripts["epitome_baselines"].word_counts(train, rows, "emotional_reactions")
    observed = scripts["epitome_common"].truth(rows, "emotional_reactions")
    assert scripts["epitome_common"].figures(observed, said).accuracy > 0.9
    assert chosen.startswith("C=")


def test_no_fold_learns_from_what_it_is_measured_on(scripts, tmp_path, monkeypatch):
    """With a command that looks at its file instead of learning from it."""
    training = scripts["epitome_training"]
    put(tmp_path)
    rows = [*rows_of(scripts, tmp_path / "train.jsonl"), *rows_of(scripts, tmp_path / "dev.jsonl")]
    seen: list[tuple[set[str], list[str]]] = []

    def command(arguments: list[str], **rest: object) -> None:
        file, student = arguments[1], Path(arguments[arguments.index("--output") + 1])
        learnt = [json.loads(line) for line in Path(file).read_text(encoding="utf-8").splitlines()]
        sets = [value for key, value in itertools.pairwise(arguments) if key == "--set"]
        seen.append(({row["messages"][0]["content"] for row in learnt}, sets))
        student.mkdir(parents=True)
        merit = 0.9 if "rarity=0.5" in sets else 0.1
        metrics = {f"empathy-mechanisms.{name}": {"macro_f1": merit} for name in training.MECHANISMS}
        (student / "metrics.json").write_text(json.dumps(metrics))

    measured: list[set[str]] = []

    def judged(test: list[Any], judge: str) -> dict[str, list[int | None]]:
        measured.append({row.post for row in test})
        return {name: [None] * len(test) for name in training.MECHANISMS}

    monkeypatch.setattr(training, "app", command)
    monkeypatch.setattr(training, "judged", judged)
    plan = training.Plan(("epochs=1",), (0.5, 0.0), 3, (0, 2), 7, tmp_path / "work")
    results = training.cross_validate(rows, plan)
    assert len(seen) == 6  # two rarities and the student itself, twice
    for number, (learnt, sets) in enumerate(seen):
        assert learnt
        assert not learnt & measured[number // 3]
        assert ("dev_share=0" in sets) == (number % 3 == 2)
    assert "task_rarity.empathy-mechanisms.explorations=0.5" in seen[2][1]
    assert not measured[0] & measured[1]
    assert results[0]["student"]["explorations"] == [0] * len(results[0]["observed"]["explorations"])
    assert training.cross_validate(rows, plan) == results
    assert len(seen) == 6  # nothing was run again
    table = training.training_table(results)
    assert table.count("\n") == 10
    assert "rarity 0.5 0.5" in table
    assert not any("post" in path.read_text() for path in (tmp_path / "work").rglob("*.json"))


def test_no_data(scripts, tmp_path, capsys):
    assert scripts["epitome"].main(["--data", str(tmp_path / "dev.jsonl")]) == 2
    assert "name it by --data" in capsys.readouterr().err


def test_a_part_is_not_written(scripts, capsys):
    with pytest.raises(SystemExit):
        scripts["epitome"].main(["--train", "--folds-to-run", "0", "--write"])
    assert "all rows and all folds" in capsys.readouterr().err
