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
    observed, said = ([noise.randrange(3) for _ in range(50)] for _ in range(2))
    kappas = common.Resamples.drawn(["one"] * 50, 4).kappas(observed, said)  # one group: each sample is the whole
    assert kappas.tolist() == pytest.approx([common.figures(observed, said).kappa] * 4)
    assert common.figures([0, 0], [0, 0]).kappa == 0.0


def test_resamples_keep_a_post_together(scripts):
    common = scripts["epitome_common"]
    observed, right, wrong = [0, 2, 0, 2], [0, 2, 0, 2], [2, 0, 0, 2]
    resamples = common.Resamples.drawn(["a", "a", "b", "b"], 200)
    gains = resamples.kappas(observed, right) - resamples.kappas(observed, wrong)
    assert {round(float(gain), 6) for gain in gains} == {0.0, 1.0, 2.0}  # of 2, 1 or 0 times b, and never half of one


def test_what_is_unscored_counts_as_none(scripts):
    assert scripts["epitome_common"].counted([None, 2, 0]) == [0, 2, 0]


def test_baselines_see_the_words(scripts, tmp_path):
    rows = rows_of(scripts, put(tmp_path))
    train = rows_of(scripts, tmp_path / "train.jsonl")
    baselines, common = scripts["epitome_baselines"].baselines, scripts["epitome_common"]
    found = baselines(rows, train, "explorations")
    assert [one.name for one in found][:2] == ["always 0", "a question mark: 2"]
    kappas = [common.figures(common.truth(rows, "explorations"), one.levels).kappa for one in found]
    assert kappas[0] == 0.0
    assert min(kappas[1:]) > 0.5
    assert baselines(rows, None, "explorations") == found[:2]


def cells_of(table: str) -> dict[tuple[str, str], list[str]]:
    """Mechanism and what the levels are from → the numbers behind them."""
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()[2:]]
    return {(mechanism, name): numbers for mechanism, name, *numbers in lines}


def test_means_of_the_three(scripts, tmp_path):
    rows = rows_of(scripts, put(tmp_path))
    train = rows_of(scripts, tmp_path / "train.jsonl")
    noise = random.Random(4)
    said = {name: [noise.choice((None, 0, 1, 2)) for _ in rows] for name in scripts["epitome_common"].MECHANISMS}
    found = cells_of(scripts["epitome"].judge_table(rows, said, train, "judge", 50))
    three = [name for mechanism, name in found if mechanism == "mean of the three"]
    kinds = ("always", "three rules alone", "three rules + length, fitted")
    assert three == ["judge", "always the most frequent level", *kinds[1:]]
    rules = ("sympathy words: 2", "“I was”, “been there”, …: 2", "a question mark: 2")
    for kind, name in zip(("judge", *kinds), three, strict=True):
        each = [
            next(
                numbers
                for (one, label), numbers in found.items()
                if one == mechanism and (label == rule if kind == "three rules alone" else label.startswith(kind))
            )
            for mechanism, rule in zip(said, rules, strict=True)
        ]
        for place in range(4 if kind == "judge" else 5):  # coverage, κ, macro-F1, accuracy, Δκ
            expected = sum(float(numbers[place]) for numbers in each) / 3
            assert float(found["mean of the three", name][place]) == pytest.approx(expected, abs=0.0011)
    assert found["mean of the three", "judge"][4:] == ["", ""]
    assert 0.5 < float(found["mean of the three", "judge"][0]) < 1.0


def test_the_three_are_resampled_together(scripts, tmp_path):
    """Three times the same mechanism has the interval of one: draws of their own would make it narrower."""
    common = scripts["epitome_common"]
    noise = random.Random(5)
    rows = [
        common.Row(f"post {number // 2}", "So", dict.fromkeys(common.MECHANISMS, noise.randrange(3)))
        for number in range(40)
    ]
    levels = [noise.choice((row.levels["explorations"], 0, 1, 2)) for row in rows]
    table = scripts["epitome"].judge_table(rows, dict.fromkeys(common.MECHANISMS, levels), None, "judge", 300)
    found = cells_of(table)
    alone = found["explorations", "a question mark: 2"]
    assert alone[-1] not in ("", "+0.000 … +0.000")
    assert found["mean of the three", "three rules alone"] == alone
    resamples = common.Resamples.drawn([row.group for row in rows], 300)
    for draw in range(0, 300, 60):  # κ of a draw is that of its posts' rows, as often as the post is in it
        times = resamples.times_SG[draw, resamples.group_N]
        again = [place for place, often in enumerate(times) for _ in range(often)]
        observed = [rows[place].levels["explorations"] for place in again]
        kappa = common.figures(observed, [levels[place] for place in again]).kappa
        assert resamples.kappas(common.truth(rows, "explorations"), levels)[draw] == pytest.approx(kappa)


@pytest.fixture
def readme(scripts, tmp_path, monkeypatch):
    """What `--write` writes to, and a judge that says 0 to everything."""
    path = tmp_path / "README.md"
    blocks = ("epitome", "epitome-all", "mine", "epitome-train")
    path.write_text("".join(f"<!-- {name} -->\nnothing yet\n<!-- /{name} -->\n" for name in blocks))
    monkeypatch.setattr(scripts["epitome"], "README", path)

    def judged(rows: list[Any], judge: str) -> dict[str, list[int | None]]:
        return {name: [0] * len(rows) for name in scripts["epitome_common"].MECHANISMS}

    monkeypatch.setattr(scripts["epitome"], "judged", judged)
    return path


def block(readme: Path, name: str) -> str:
    return readme.read_text().partition(f"<!-- {name} -->\n")[2].partition(f"<!-- /{name} -->")[0]


def test_dev_alone_and_both_files(scripts, readme, tmp_path, capsys):
    dev, train = put(tmp_path), tmp_path / "train.jsonl"
    rest = ["--samples", "20", "--write"]
    assert scripts["epitome"].main(["--data", str(dev), *rest]) == 0
    assert "60 pairs" in capsys.readouterr().err
    assert block(readme, "epitome").count("fitted") == 4
    assert "nothing yet" in block(readme, "epitome-all")
    assert scripts["epitome"].main(["--data", str(train), "--data", str(dev), *rest]) == 0
    said = capsys.readouterr().err
    assert "120 pairs" in said
    assert "train.jsonl is itself measured" in said
    assert "mean of the three" in block(readme, "epitome-all")
    assert "fitted" not in block(readme, "epitome-all")
    assert scripts["epitome"].main(["--data", str(train), str(dev), "--name", "mine", *rest]) == 0
    assert block(readme, "mine") == block(readme, "epitome-all")
    train.rename(tmp_path / "elsewhere.jsonl")
    assert scripts["epitome"].main(["--data", str(tmp_path), "--samples", "20"]) == 0
    assert "no train.jsonl beside it" in capsys.readouterr().err


def test_a_train_file_by_another_name_is_not_learnt_from(scripts, tmp_path, capsys):
    dev = put(tmp_path)
    link = tmp_path / "apart.jsonl"
    link.symlink_to(tmp_path / "train.jsonl")
    assert scripts["epitome"].to_learn_from([dev, link]) is None
    assert "itself measured" in capsys.readouterr().err
    assert scripts["epitome"].to_learn_from([dev]) == tmp_path / "train.jsonl"


def test_which_files(scripts, tmp_path, monkeypatch):
    find = scripts["epitome_common"].find_data
    (tmp_path / "epitome").mkdir()
    dev = put(tmp_path / "epitome", 2)
    assert find([str(dev), str(dev.parent), str(dev.with_name("train.jsonl"))]) == [dev, dev.with_name("train.jsonl")]
    monkeypatch.setenv("KARDIA_BENCH_DATA", str(tmp_path))
    assert find([]) == [dev]
    monkeypatch.delenv("KARDIA_BENCH_DATA")
    for given in ([], [str(dev), str(tmp_path / "none.jsonl")]):
        with pytest.raises(scripts["epitome_common"].InputError) as problem:
            find(given)
        assert ("none.jsonl" in str(problem.value)) == bool(given)


def test_markers_are_missed_before_anything_is_computed(scripts, readme, tmp_path, monkeypatch, capsys):
    def judged(rows: object, judge: object) -> None:
        raise AssertionError("judged for nothing")

    monkeypatch.setattr(scripts["epitome"], "judged", judged)
    assert scripts["epitome"].main(["--data", str(put(tmp_path)), "--name", "other", "--write"]) == 2
    assert "<!-- other -->" in capsys.readouterr().err


def test_training_takes_dev_alone(scripts, tmp_path, capsys):
    dev = put(tmp_path)
    with pytest.raises(SystemExit):
        scripts["epitome"].main(["--train", "--data", str(dev), str(dev.with_name("train.jsonl"))])
    assert "dev.jsonl alone" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("given", "used", "told"),
    [
        ([], [0.5, 0.5], "rarity 0.5; fixed"),
        (["--rarities", "0"], [0.0, 0.0], "rarity 0; fixed"),
        (["--rarities", "0", "0.5"], [0.5, 0.5], "rarity 0.5; chosen inside the folds"),
        (["--rarities", "0", "0.5"], [0.5, 0.0], "rarity 0.5 0; chosen inside the folds"),
    ],
)
def test_the_table_says_which_rarity(scripts, readme, tmp_path, monkeypatch, given, used, told):
    names = scripts["epitome_common"].MECHANISMS
    plans = []

    def cross_validate(rows: list[Any], plan: Any) -> list[dict[str, Any]]:
        plans.append(plan)
        levels = {name: [0, 1, 2] for name in names}
        return [
            {
                "rarity": dict.fromkeys(names, rarity),
                "tfidf": dict.fromkeys(names, "C=1"),
                "observed": levels,
                "student": levels,
                "words": levels,
            }
            for rarity in used
        ]

    monkeypatch.setattr(scripts["epitome"], "cross_validate", cross_validate)
    assert scripts["epitome"].main(["--train", "--data", str(put(tmp_path)), "--write", *given]) == 0
    assert plans[0].rarities == (tuple(float(number) for number in given[1:]) or (0.5,))
    table = block(readme, "epitome-train")
    assert table.count(f"| {told} ") == 3
    assert table.count("| C=1; chosen inside the folds ") == 3
    assert "| settings " in table


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
    table = training.training_table(results, plan.rarities)
    assert table.count("\n") == 10
    assert "rarity 0.5; chosen inside the folds" in table
    assert not any("post" in path.read_text() for path in (tmp_path / "work").rglob("*.json"))
    fixed = training.Plan(("epochs=1",), (training.RARITY,), 3, (0,), 7, tmp_path / "work")
    training.cross_validate(rows, fixed)
    assert len(seen) == 7  # the student alone
    assert {"dev_share=0", "task_rarity.empathy-mechanisms.explorations=0.5"} <= set(seen[6][1])
    assert not seen[6][0] & measured[2]


def test_no_data(scripts, tmp_path, capsys):
    assert scripts["epitome"].main(["--data", str(tmp_path / "dev.jsonl")]) == 2
    assert "name it by --data" in capsys.readouterr().err


def test_a_part_is_not_written(scripts, capsys):
    with pytest.raises(SystemExit):
        scripts["epitome"].main(["--train", "--folds-to-run", "0", "--write"])
    assert "all rows and all folds" in capsys.readouterr().err
